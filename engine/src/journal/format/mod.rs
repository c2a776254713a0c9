//! The bytes of a commit: one block-aligned stretch of the ring, written by one durable write.
//!
//! ```text
//! header (128)  keyed check over itself; names its place, its predecessor and the mark
//! table         per entry a fixed part (128), batch descriptors (48 each), granule CRCs (4 each)
//! echo          (handle, end offset) of every append of the commit before (16 each)
//! payload       per entry, in table order: tail image, then inline bytes or control record
//! zeros         to the end of the block
//! ```
//! Table and echo have one CRC, the payload another, so that damage to records leaves the names
//! of the partitions that it hit. All fields are little-endian; nothing read here is trusted.

mod entry;
mod found;

pub use entry::{Entry, TableBuilder};
pub use found::{CommitContent, Damage, Entries, FoundEntry, FoundHeader, read_header};

use super::check::{Check, JournalKey};
use super::ring::Place;
use crate::ids::{JournalId, PartitionHandle};
use crate::limits::BLOCK_BYTES;
use zerocopy::byteorder::little_endian::{I16, I32, I64, U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// First bytes of every commit.
pub const COMMIT_MAGIC: [u8; 8] = *b"MILLCMT1";
/// Version of commit and checkpoint; another one is refused.
pub const FORMAT_VERSION: u16 = 1;

/// The fixed start of a commit.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct CommitHeader {
    magic: [u8; 8],
    version: U16,
    journal: U16,
    flags: U32,
    check: [u8; 16],
    previous: [u8; 16],
    epoch: U64,
    sequence: U64,
    mark: U64,
    position: U64,
    file: U32,
    length: U32,
    entry_count: U32,
    echo_count: U32,
    table_bytes: U32,
    payload_bytes: U32,
    table_crc: U32,
    payload_crc: U32,
    reserved: [u8; 16],
}

/// Bytes of [`CommitHeader`].
pub const COMMIT_HEADER_BYTES: usize = 128;
const CHECK_AT: usize = 16;

/// The fixed part of a table entry.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct TableEntry {
    kind: u8,
    flags: u8,
    reserved: U16,
    descriptor_count: U32,
    handle: U64,
    placement_epoch: U32,
    leader_epoch: I32,
    previous_sequence: U64,
    base_offset: I64,
    end_offset: I64,
    ceiling: I64,
    file: U64,
    position: U64,
    length: U64,
    placed_start: U64,
    placed_end: U64,
    generation: U32,
    crc_count: U32,
    image_bytes: U32,
    inline_bytes: U32,
    reserved_end: [u8; 16],
}

/// Bytes of [`TableEntry`].
pub const TABLE_ENTRY_BYTES: usize = 128;
const FLAG_CEILING: u8 = 1;

/// What a batch of a placed range was.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Descriptor {
    base_offset: I64,
    last_offset: I64,
    max_timestamp: I64,
    producer_id: I64,
    bytes: U32,
    base_sequence: I32,
    producer_epoch: I16,
    attributes: I16,
    reserved: [u8; 4],
}

/// Bytes of a batch descriptor in the table.
pub const DESCRIPTOR_BYTES: usize = 48;

/// Bytes of one granule checksum in the table.
pub const CRC_BYTES: usize = 4;

/// What the commit before held of one partition.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Echo {
    handle: U64,
    end_offset: I64,
}

/// Bytes of one echo.
pub const ECHO_BYTES: usize = 16;

const _: () = assert!(size_of::<CommitHeader>() == COMMIT_HEADER_BYTES);
const _: () = assert!(std::mem::offset_of!(CommitHeader, check) == CHECK_AT);
const _: () = assert!(std::mem::offset_of!(CommitHeader, epoch) == 48);
const _: () = assert!(std::mem::offset_of!(CommitHeader, file) == 80);
const _: () = assert!(size_of::<TableEntry>() == TABLE_ENTRY_BYTES);
const _: () = assert!(std::mem::offset_of!(TableEntry, file) == 56);
const _: () = assert!(size_of::<Descriptor>() == DESCRIPTOR_BYTES);
const _: () = assert!(size_of::<Echo>() == ECHO_BYTES);

/// What a table entry is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Whole batches of one partition, inline, placed or both.
    Append = 1,
    /// A partition came to be.
    Create = 2,
    /// A partition is gone.
    Delete = 3,
    /// A new active segment.
    Roll = 4,
    /// The exact end of a segment that takes no more.
    Seal = 5,
    /// The log start moved.
    LogStart = 6,
    /// The leader epoch moved.
    LeaderEpoch = 7,
    /// The log was cut at an offset.
    Truncate = 8,
    /// Segments were replaced by compacted ones.
    Swap = 9,
    /// The producers of a partition.
    ProducerSnapshot = 10,
    /// A relaxed partition's offset ceiling without records.
    Ceiling = 11,
    /// A range of a partition is fenced.
    Quarantine = 12,
    /// A fenced range was given up.
    Gap = 13,
    /// A partition leaves this shard.
    MoveOut = 14,
    /// A partition came to this shard.
    MoveIn = 15,
    /// One registry entry.
    Registry = 16,
}

impl Kind {
    /// The kind with this number.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Append,
            2 => Self::Create,
            3 => Self::Delete,
            4 => Self::Roll,
            5 => Self::Seal,
            6 => Self::LogStart,
            7 => Self::LeaderEpoch,
            8 => Self::Truncate,
            9 => Self::Swap,
            10 => Self::ProducerSnapshot,
            11 => Self::Ceiling,
            12 => Self::Quarantine,
            13 => Self::Gap,
            14 => Self::MoveOut,
            15 => Self::MoveIn,
            16 => Self::Registry,
            _ => return None,
        })
    }
}

/// Encodes one echo.
#[must_use]
pub fn encode_echo(handle: PartitionHandle, end_offset: i64) -> [u8; ECHO_BYTES] {
    let mut bytes = [0; ECHO_BYTES];
    bytes[..8].copy_from_slice(&handle.0.to_le_bytes());
    bytes[8..].copy_from_slice(&end_offset.to_le_bytes());
    bytes
}

/// Smallest whole number of blocks that holds `bytes`.
#[must_use]
pub const fn round_up_to_block(bytes: usize) -> usize {
    bytes.next_multiple_of(BLOCK_BYTES as usize)
}

/// What a header says beyond its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommitId {
    /// Which journal.
    pub journal: JournalId,
    /// Journal epoch.
    pub epoch: u64,
    /// Sequence number.
    pub sequence: u64,
    /// Check of the commit before, or the epoch's seed.
    pub previous: Check,
    /// Where it lies.
    pub place: Place,
    /// Last sequence that was resolved when it was closed.
    pub mark: u64,
}

/// Writes the header over the first [`COMMIT_HEADER_BYTES`] of `commit`, which holds table, echo,
/// payload and padding already, and returns its check.
///
/// # Panics
/// When the parts do not lie within `commit`: the builder of the commit laid them out.
pub fn seal_commit(
    commit: &mut [u8],
    key: &JournalKey,
    id: &CommitId,
    table: &TableBuilder,
    echo_count: usize,
) -> Check {
    let table_bytes = table.table().len();
    let table_end = COMMIT_HEADER_BYTES + table_bytes + echo_count * ECHO_BYTES;
    let payload_end = table_end + table.payload_bytes();
    let mut header = CommitHeader {
        magic: COMMIT_MAGIC,
        version: FORMAT_VERSION.into(),
        journal: id.journal.0.into(),
        flags: U32::ZERO,
        check: [0; 16],
        previous: id.previous,
        epoch: id.epoch.into(),
        sequence: id.sequence.into(),
        mark: id.mark.into(),
        position: id.place.position.into(),
        file: id.place.file.into(),
        length: (commit.len() as u32).into(),
        entry_count: table.entry_count().into(),
        echo_count: (echo_count as u32).into(),
        table_bytes: (table_bytes as u32).into(),
        payload_bytes: (table.payload_bytes() as u32).into(),
        table_crc: crc32c::crc32c(&commit[COMMIT_HEADER_BYTES..table_end]).into(),
        payload_crc: crc32c::crc32c(&commit[table_end..payload_end]).into(),
        reserved: [0; 16],
    };
    header.check = header_check(key, &header);
    commit[..COMMIT_HEADER_BYTES].copy_from_slice(header.as_bytes());
    header.check
}

fn header_check(key: &JournalKey, header: &CommitHeader) -> Check {
    if crate::planted::is(crate::planted::Bug::HeaderCheckNotKeyed) {
        return header_check_with(&JournalKey([0; 16]), header);
    }
    header_check_with(key, header)
}

fn header_check_with(key: &JournalKey, header: &CommitHeader) -> Check {
    let bytes = header.as_bytes();
    key.check(&[&bytes[..CHECK_AT], &[0; 16], &bytes[CHECK_AT + 16..]])
}

#[cfg(test)]
mod tests;
