//! Kafka's record batch, version 2: the unit that is checked, stored and sent unchanged.
//!
//! The header is read in place (`Header`), a client's batch is checked as a whole (`check`), and
//! the two fields the broker owns are written in place (`patch`): base offset and leader epoch lie
//! before the span of the batch's crc32c. All three are pure, allocate nothing and take any bytes;
//! so does `stamp`. Below that: `records` walks single records, `compression` opens and makes
//! payloads, `builder` makes batches, `rewrite` makes one again with fewer records or another
//! codec. The append path uses none of those four.
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "these bytes come from the network and from disk"
)]

pub mod builder;
pub mod compression;
pub mod records;
pub mod rewrite;
mod stamp;

pub use stamp::stamp;

use crate::limits::BATCH_BYTES_MAX;
use zerocopy::byteorder::big_endian::{I16, I32, I64, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Bytes of a batch's header; its records follow.
pub const HEADER_BYTES: usize = 61;
/// Base offset and length field, which the length field itself does not count.
pub const LENGTH_OVERHEAD_BYTES: usize = 12;
/// Where the span of the crc begins: the attributes.
pub const CRC_SPAN_START: usize = 21;
/// The only format version that is stored.
pub const MAGIC: i8 = 2;

const MAGIC_POSITION: usize = 16;
const COMPRESSION_MASK: i16 = 0x07;
const LOG_APPEND_TIME_BIT: i16 = 0x08;
const TRANSACTIONAL_BIT: i16 = 0x10;
const CONTROL_BIT: i16 = 0x20;
/// KIP-534: the base timestamp is the delete horizon.
const DELETE_HORIZON_BIT: i16 = 0x40;

/// The header as it lies on the wire and on disk, big endian.
///
/// ```text
/// byte  0 base offset (8)            27 base timestamp (8)
///       8 length after this field (4) 35 max timestamp (8)
///      12 leader epoch (4)           43 producer id (8)
///      16 magic (1)                  51 producer epoch (2)
///      17 crc32c of 21.. (4)         53 base sequence (4)
///      21 attributes (2)             57 record count (4)
///      23 last offset delta (4)      61 records
/// ```
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy)]
#[repr(C)]
struct WireHeader {
    base_offset: I64,
    length: I32,
    partition_leader_epoch: I32,
    magic: i8,
    crc: U32,
    attributes: I16,
    last_offset_delta: I32,
    base_timestamp: I64,
    max_timestamp: I64,
    producer_id: I64,
    producer_epoch: I16,
    base_sequence: I32,
    record_count: I32,
}

const _: () = assert!(size_of::<WireHeader>() == HEADER_BYTES);

/// How a batch's records are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// gzip.
    Gzip,
    /// snappy, raw or in the framing of Java's clients.
    Snappy,
    /// lz4 frame.
    Lz4,
    /// zstd.
    Zstd,
}

impl Compression {
    /// Every codec, in the order of its number on the wire.
    pub const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    /// Its number in a batch's attributes.
    #[must_use]
    pub const fn bits(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Gzip => 1,
            Self::Snappy => 2,
            Self::Lz4 => 3,
            Self::Zstd => 4,
        }
    }

    /// The name used in Kafka's settings.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }
}

/// What a batch's timestamps mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestampType {
    /// Given by the producer.
    CreateTime,
    /// Given by the broker: every record has the batch's largest timestamp.
    LogAppendTime,
}

/// A batch's header, decoded. Nothing about it was checked but what `parse` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Offset of the first record.
    pub base_offset: i64,
    /// Bytes of the whole batch, the 12 leading ones included; within `[HEADER_BYTES,
    /// BATCH_BYTES_MAX]`.
    pub batch_bytes: u32,
    /// Leader epoch, given by the broker.
    pub partition_leader_epoch: i32,
    /// Format version, always `MAGIC`.
    pub magic: i8,
    /// crc32c of everything from the attributes on.
    pub crc: u32,
    /// Attribute bits.
    pub attributes: i16,
    /// Last record's offset minus the base offset.
    pub last_offset_delta: i32,
    /// Timestamp to which the records' deltas are added.
    pub base_timestamp: i64,
    /// Largest timestamp of the batch.
    pub max_timestamp: i64,
    /// Producer id, -1 for none.
    pub producer_id: i64,
    /// Producer epoch, -1 for none.
    pub producer_epoch: i16,
    /// Sequence of the first record, -1 for none.
    pub base_sequence: i32,
    /// Number of records.
    pub record_count: i32,
}

/// Why bytes are not a batch that may be appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// Another format version; magic 0 and 1 are Kafka's message sets before 0.11.
    #[error("batch has magic {magic}, only 2 is stored; use a client of Kafka 0.11 or newer")]
    BadMagic {
        /// What the batch says.
        magic: i8,
    },
    /// No batch at all, or bytes behind the first one.
    #[error("{bytes} bytes hold a first batch of {batch_bytes}; send exactly one batch")]
    NotOneBatch {
        /// Bytes given.
        bytes: usize,
        /// Bytes of the first batch, 0 when there is none.
        batch_bytes: usize,
    },
    /// The length is impossible, or fewer bytes came than it says.
    #[error("batch length {batch_bytes} does not fit {bytes} bytes or the bounds [61, 67108864]")]
    BadLength {
        /// What the batch says, its 12 leading bytes included.
        batch_bytes: i64,
        /// Bytes given.
        bytes: usize,
    },
    /// The checksum does not match.
    #[error("batch has crc {stored:#010x}, computed {computed:#010x}; it changed on its way")]
    CorruptCrc {
        /// What the batch says.
        stored: u32,
        /// What its bytes give.
        computed: u32,
    },
    /// Number of records and last offset do not fit each other.
    #[error("batch has {record_count} records and last offset delta {last_offset_delta}")]
    BadCount {
        /// Number of records.
        record_count: i32,
        /// Last offset delta.
        last_offset_delta: i32,
    },
    /// A producer id without a sequence or an epoch.
    #[error("batch of producer {producer_id} has epoch {producer_epoch}, sequence {base_sequence}")]
    BadSequence {
        /// Producer id.
        producer_id: i64,
        /// Producer epoch.
        producer_epoch: i16,
        /// Base sequence.
        base_sequence: i32,
    },
    /// A control batch; only brokers write those.
    #[error("batch is a control batch, which clients may not write")]
    ControlBatch,
    /// Compression bits without a meaning.
    #[error("batch has compression bits {bits}, known are 0 to 4")]
    UnknownCompression {
        /// The bits.
        bits: i16,
    },
}

impl Header {
    /// Reads the header at the start of `bytes`, which may end anywhere behind it. The length is
    /// within bounds and the magic is 2; nothing else is checked.
    ///
    /// # Errors
    /// `BadMagic` (told from 17 bytes on) and `BadLength`.
    pub fn parse(bytes: &[u8]) -> Result<Self, BatchError> {
        if let Some(&magic) = bytes.get(MAGIC_POSITION)
            && magic.cast_signed() != MAGIC
        {
            return Err(BatchError::BadMagic {
                magic: magic.cast_signed(),
            });
        }
        let Ok((wire, _)) = WireHeader::ref_from_prefix(bytes) else {
            let batch_bytes = declared_bytes(bytes).unwrap_or(0);
            return Err(BatchError::BadLength {
                batch_bytes,
                bytes: bytes.len(),
            });
        };
        Ok(Self {
            base_offset: wire.base_offset.get(),
            batch_bytes: bounded_bytes(wire.length.get(), bytes.len())?,
            partition_leader_epoch: wire.partition_leader_epoch.get(),
            magic: wire.magic,
            crc: wire.crc.get(),
            attributes: wire.attributes.get(),
            last_offset_delta: wire.last_offset_delta.get(),
            base_timestamp: wire.base_timestamp.get(),
            max_timestamp: wire.max_timestamp.get(),
            producer_id: wire.producer_id.get(),
            producer_epoch: wire.producer_epoch.get(),
            base_sequence: wire.base_sequence.get(),
            record_count: wire.record_count.get(),
        })
    }

    /// Last offset of the batch, inclusive.
    #[must_use]
    pub const fn last_offset(&self) -> i64 {
        self.base_offset
            .saturating_add(self.last_offset_delta as i64)
    }

    /// Offset behind the batch, exclusive.
    #[must_use]
    pub const fn end_offset(&self) -> i64 {
        self.last_offset().saturating_add(1)
    }

    /// How the records are compressed; `None` when the bits have no meaning.
    #[must_use]
    pub const fn compression(&self) -> Option<Compression> {
        match self.attributes & COMPRESSION_MASK {
            0 => Some(Compression::None),
            1 => Some(Compression::Gzip),
            2 => Some(Compression::Snappy),
            3 => Some(Compression::Lz4),
            4 => Some(Compression::Zstd),
            _ => None,
        }
    }

    /// Whether the batch belongs to a transaction.
    #[must_use]
    pub const fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL_BIT != 0
    }

    /// Whether the batch holds a transaction's marker rather than a client's records.
    #[must_use]
    pub const fn is_control(&self) -> bool {
        self.attributes & CONTROL_BIT != 0
    }

    /// KIP-534: from this time on, compaction may drop the batch's tombstones. Compaction sets it
    /// when it first meets them.
    #[must_use]
    pub const fn delete_horizon_ms(&self) -> Option<i64> {
        if self.attributes & DELETE_HORIZON_BIT == 0 {
            None
        } else {
            Some(self.base_timestamp)
        }
    }

    /// Whether the batch comes from an idempotent producer.
    #[must_use]
    pub const fn has_producer(&self) -> bool {
        self.producer_id >= 0
    }

    /// What the timestamps mean.
    #[must_use]
    pub const fn timestamp_type(&self) -> TimestampType {
        if self.attributes & LOG_APPEND_TIME_BIT == 0 {
            TimestampType::CreateTime
        } else {
            TimestampType::LogAppendTime
        }
    }

    /// What can be told of a client's batch from its header alone, so before its records came.
    ///
    /// # Errors
    /// `BadCount`, `BadSequence`, `ControlBatch`, `UnknownCompression`.
    pub const fn check_fields(&self) -> Result<(), BatchError> {
        if self.record_count <= 0 || self.last_offset_delta != self.record_count.saturating_sub(1) {
            return Err(BatchError::BadCount {
                record_count: self.record_count,
                last_offset_delta: self.last_offset_delta,
            });
        }
        if self.is_control() {
            return Err(BatchError::ControlBatch);
        }
        if self.compression().is_none() {
            return Err(BatchError::UnknownCompression {
                bits: self.attributes & COMPRESSION_MASK,
            });
        }
        if self.has_producer() && (self.base_sequence < 0 || self.producer_epoch < 0) {
            return Err(BatchError::BadSequence {
                producer_id: self.producer_id,
                producer_epoch: self.producer_epoch,
                base_sequence: self.base_sequence,
            });
        }
        Ok(())
    }
}

/// Checks that `bytes` are exactly one whole batch that a client may append.
///
/// # Errors
/// See [`BatchError`]. The crc is compared before the fields it covers, so that damage on the way
/// is called damage.
pub fn check(bytes: &[u8]) -> Result<Header, BatchError> {
    if bytes.is_empty() {
        return Err(BatchError::NotOneBatch {
            bytes: 0,
            batch_bytes: 0,
        });
    }
    let header = Header::parse(bytes)?;
    let batch_bytes = header.batch_bytes as usize;
    if bytes.len() < batch_bytes {
        return Err(BatchError::BadLength {
            batch_bytes: i64::from(header.batch_bytes),
            bytes: bytes.len(),
        });
    }
    if bytes.len() > batch_bytes {
        return Err(BatchError::NotOneBatch {
            bytes: bytes.len(),
            batch_bytes,
        });
    }
    let computed = crc(bytes);
    if computed != header.crc {
        return Err(BatchError::CorruptCrc {
            stored: header.crc,
            computed,
        });
    }
    header.check_fields()?;
    Ok(header)
}

/// The crc32c of one whole batch, over everything from the attributes on.
#[must_use]
pub fn crc(batch: &[u8]) -> u32 {
    crc32c::crc32c(batch.get(CRC_SPAN_START..).unwrap_or_default())
}

/// A batch of `batch_bytes` bytes without records that takes up the offsets `[base_offset,
/// end_offset)`: stands in for batches that were lost, so that their neighbours stay reachable.
/// It is never served. `None` when no batch can have these bounds.
#[must_use]
pub fn stand_in(base_offset: i64, end_offset: i64, batch_bytes: usize) -> Option<Vec<u8>> {
    let last_offset_delta =
        i32::try_from(end_offset.checked_sub(base_offset)?.checked_sub(1)?).ok()?;
    if last_offset_delta < 0 || !(HEADER_BYTES..=BATCH_BYTES_MAX as usize).contains(&batch_bytes) {
        return None;
    }
    let mut batch = vec![0; batch_bytes];
    let (wire, _) = WireHeader::mut_from_prefix(&mut batch).ok()?;
    wire.base_offset = I64::new(base_offset);
    wire.length = I32::new(i32::try_from(batch_bytes.checked_sub(LENGTH_OVERHEAD_BYTES)?).ok()?);
    wire.magic = MAGIC;
    wire.last_offset_delta = I32::new(last_offset_delta);
    wire.producer_id = I64::new(-1);
    wire.producer_epoch = (-1).into();
    wire.base_sequence = I32::new(-1);
    wire.max_timestamp = I64::new(-1);
    let crc = crc(&batch);
    let (wire, _) = WireHeader::mut_from_prefix(&mut batch).ok()?;
    wire.crc = crc.into();
    Some(batch)
}

/// Gives a checked batch its place in the log. Both fields lie before the span of its crc.
///
/// # Panics
/// When `batch` is shorter than a header, which no checked batch is.
pub fn patch(batch: &mut [u8], base_offset: i64, leader_epoch: i32) {
    let wire = WireHeader::mut_from_prefix(batch).map(|(wire, _)| wire);
    assert!(wire.is_ok(), "a batch that is patched was checked before");
    if let Ok(wire) = wire {
        wire.base_offset = I64::new(base_offset);
        wire.partition_leader_epoch = I32::new(leader_epoch);
    }
}

/// What the length field says, its 12 leading bytes included, if that much is there.
fn declared_bytes(bytes: &[u8]) -> Option<i64> {
    let length = bytes.get(8..LENGTH_OVERHEAD_BYTES)?.first_chunk::<4>()?;
    Some(i64::from(i32::from_be_bytes(*length)).saturating_add(LENGTH_OVERHEAD_BYTES as i64))
}

fn bounded_bytes(length: i32, bytes: usize) -> Result<u32, BatchError> {
    let batch_bytes = i64::from(length).saturating_add(LENGTH_OVERHEAD_BYTES as i64);
    match u32::try_from(batch_bytes) {
        Ok(total) if total as usize >= HEADER_BYTES && total <= BATCH_BYTES_MAX => Ok(total),
        _ => Err(BatchError::BadLength { batch_bytes, bytes }),
    }
}

#[cfg(test)]
mod tests;
