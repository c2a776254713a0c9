//! Records that say which they are, and readers that find out when they are not whole.
//!
//! A value is the record's number, the value's length, and bytes that follow from both. Records of
//! compacted topics have a key that follows from their number, some no value; the number is a
//! header then.

use millrace_engine::record_batch::builder::{BatchBuilder, BuildError, Producer};
use millrace_engine::record_batch::compression::decompress;
use millrace_engine::record_batch::records::{Record, Records, payload};
use millrace_engine::record_batch::{self, Compression, Header};
use std::ops::Range;
use xtask::history::{Key, Run};

const HEAD_BYTES: usize = 12;
/// Before every wall clock of a simulation, so that no timestamp lies ahead of it.
const TIMESTAMP_MS: i64 = 1_600_000_000_000;
/// Opened bytes of one batch at most.
const OPENED_BYTES_MAX: usize = 16 << 20;

/// The value of a record.
fn value(number: u64, value_bytes: usize) -> Vec<u8> {
    let length = value_bytes.max(HEAD_BYTES);
    let mut value = Vec::with_capacity(length + 8);
    value.extend_from_slice(&number.to_le_bytes());
    value.extend_from_slice(&(length as u32).to_le_bytes());
    let mut word = number ^ 0x9e37_79b9_7f4a_7c15;
    while value.len() < length {
        word = word.wrapping_mul(0xd134_2543_de82_ef95).rotate_left(29) ^ number;
        value.extend_from_slice(&word.to_le_bytes());
    }
    value.truncate(length);
    value
}

/// The number of the record whose value this is, if it is one.
fn number_of(bytes: &[u8]) -> Option<u64> {
    let (number, _) = bytes.split_first_chunk()?;
    let number = u64::from_le_bytes(*number);
    (value(number, bytes.len()) == bytes).then_some(number)
}

/// The key that a record of a compacted topic has: some keys are written all the time, some hardly
/// ever, and one in eight of their records is a tombstone.
pub(crate) const fn key_of(number: u64) -> Key {
    let word = (number ^ 0x5851_f42d_4c95_7f2d)
        .wrapping_mul(0xd134_2543_de82_ef95)
        .rotate_left(23)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let zeros = (word >> 40).trailing_zeros() as u64;
    let rank = if zeros > 9 { 9 } else { zeros };
    Key {
        key: rank * 4 + (word >> 20) % 4,
        is_tombstone: (word >> 32).is_multiple_of(8),
    }
}

/// What the records of a batch are like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Form {
    pub(crate) value_bytes: usize,
    pub(crate) compression: Compression,
    /// They are for a compacted topic.
    pub(crate) is_keyed: bool,
    /// Their time; without one, one that is long past.
    pub(crate) time_ms: Option<i64>,
}

/// A batch of the records `numbers`.
pub(crate) fn batch(
    numbers: Range<u64>,
    producer: Option<Producer>,
    form: Form,
) -> Result<Vec<u8>, BuildError> {
    let mut builder = BatchBuilder::new(form.compression);
    builder.set_producer(producer);
    for number in numbers {
        let timestamp = form.time_ms.unwrap_or(TIMESTAMP_MS + number as i64);
        let value = value(number, form.value_bytes);
        let bytes = number.to_le_bytes();
        let key = key_of(number);
        if form.is_keyed && key.is_tombstone {
            let header: (&[u8], Option<&[u8]>) = (b"number", Some(&bytes));
            builder.push(timestamp, Some(&key.key.to_le_bytes()), None, &[header]);
        } else if form.is_keyed {
            builder.push(timestamp, Some(&key.key.to_le_bytes()), Some(&value), &[]);
        } else {
            let key = (number % 16).to_le_bytes();
            builder.push(timestamp, Some(&key), Some(&value), &[]);
        }
    }
    builder.build()
}

/// The number of a record that a client made, as it was made.
fn number_in(mut record: Record<'_>, is_keyed: bool) -> Option<u64> {
    let number = match record.value {
        Some(value) => number_of(value)?,
        None => u64::from_le_bytes(record.headers.next()?.1?.try_into().ok()?),
    };
    let key = key_of(number);
    let is_as_made =
        record.key == Some(&key.key.to_le_bytes()) && record.value.is_none() == key.is_tombstone;
    (!is_keyed || is_as_made).then_some(number)
}

/// What a fetch brought.
#[derive(Debug, Default)]
pub(crate) struct Fetched {
    /// Records at or behind the position asked for.
    pub(crate) records: Vec<Run>,
    /// Behind the last whole batch; `None` without one.
    pub(crate) end: Option<i64>,
}

impl Fetched {
    fn add(&mut self, offset: i64, number: Option<u64>) {
        if let Some(last) = self.records.last_mut()
            && last.offset + i64::from(last.count) == offset
            && let (Some(first), Some(next)) = (last.number, number)
            && first + u64::from(last.count) == next
        {
            last.count += 1;
            return;
        }
        self.records.push(Run {
            offset,
            number,
            count: 1,
        });
    }
}

/// Reads batches as a consumer does: a last one that is cut off is no error.
pub(crate) fn read(mut bytes: &[u8], position: i64, is_keyed: bool) -> Result<Fetched, String> {
    let mut fetched = Fetched::default();
    while let Ok(header) = Header::parse(bytes) {
        let Some(batch) = bytes.get(..header.batch_bytes as usize) else {
            break;
        };
        bytes = &bytes[batch.len()..];
        // What compaction left of a batch is less than a client may send.
        if is_keyed && record_batch::crc(batch) != header.crc {
            return Err("a batch that does not pass its check".to_owned());
        }
        if !is_keyed {
            record_batch::check(batch).map_err(|error| format!("a batch that is none: {error}"))?;
        }
        if header.end_offset() <= position {
            continue;
        }
        read_batch(&header, batch, (position, is_keyed), &mut fetched)?;
        fetched.end = Some(header.end_offset());
    }
    Ok(fetched)
}

fn read_batch(
    header: &Header,
    batch: &[u8],
    (position, is_keyed): (i64, bool),
    fetched: &mut Fetched,
) -> Result<(), String> {
    let mut opened = Vec::new();
    if header.record_count == 0 {
        return Ok(());
    }
    let codec = header.compression().ok_or("an unknown codec")?;
    decompress(codec, payload(batch), OPENED_BYTES_MAX, &mut opened)
        .map_err(|error| format!("a batch that does not open: {error}"))?;
    for record in Records::new(header, &opened) {
        let record = record.map_err(|error| error.to_string())?;
        if record.offset >= position {
            fetched.add(record.offset, number_in(record, is_keyed));
        }
    }
    Ok(())
}
