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

use super::check::{Check, JournalKey};
use super::ring::{Place, RingShape};
use crate::ids::{FileId, JournalId, PartitionHandle};
use crate::limits::BLOCK_BYTES;
use crate::partition::BatchDescriptor;
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

/// An entry to be put in a table, or found in one. `image` and `inline` lie in the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it is about.
    pub kind: Kind,
    /// Whose.
    pub handle: PartitionHandle,
    /// Reserved for moves between shards.
    pub placement_epoch: u32,
    /// Leader epoch of its records.
    pub leader_epoch: i32,
    /// Commit that held the partition's entry before this one, 0 for none.
    pub previous_sequence: u64,
    /// First offset.
    pub base_offset: i64,
    /// End offset, exclusive.
    pub end_offset: i64,
    /// Relaxed classes: the offset ceiling.
    pub ceiling: Option<i64>,
    /// Segment file.
    pub file: FileId,
    /// Its generation.
    pub generation: u32,
    /// First byte in the segment file.
    pub position: u64,
    /// Bytes in all.
    pub length: u64,
    /// Placed range in the file; empty when all is inline.
    pub placed_start: u64,
    /// End of the placed range, exclusive.
    pub placed_end: u64,
    /// Bytes of the tail image in the payload.
    pub image_bytes: u32,
    /// Bytes of records, or of the control record, in the payload.
    pub inline_bytes: u32,
    /// Batch descriptors behind it in the table.
    pub descriptor_count: u32,
    /// Checksums of the granules of the placed range, behind the descriptors.
    pub crc_count: u32,
}

impl Entry {
    /// A control entry whose record has `inline_bytes` bytes.
    #[must_use]
    pub const fn control(kind: Kind, handle: PartitionHandle, inline_bytes: u32) -> Self {
        Self {
            kind,
            handle,
            placement_epoch: 0,
            leader_epoch: 0,
            previous_sequence: 0,
            base_offset: 0,
            end_offset: 0,
            ceiling: None,
            file: FileId(0),
            generation: 0,
            position: 0,
            length: 0,
            placed_start: 0,
            placed_end: 0,
            image_bytes: 0,
            inline_bytes,
            descriptor_count: 0,
            crc_count: 0,
        }
    }

    /// Bytes it takes in the table.
    #[must_use]
    pub const fn table_bytes(&self) -> usize {
        TABLE_ENTRY_BYTES
            + self.descriptor_count as usize * DESCRIPTOR_BYTES
            + self.crc_count as usize * CRC_BYTES
    }

    /// Bytes it takes in the payload.
    #[must_use]
    pub const fn payload_bytes(&self) -> usize {
        self.image_bytes as usize + self.inline_bytes as usize
    }

    fn encode(&self) -> TableEntry {
        TableEntry {
            kind: self.kind as u8,
            flags: if self.ceiling.is_some() {
                FLAG_CEILING
            } else {
                0
            },
            reserved: U16::ZERO,
            descriptor_count: self.descriptor_count.into(),
            handle: self.handle.0.into(),
            placement_epoch: self.placement_epoch.into(),
            leader_epoch: self.leader_epoch.into(),
            previous_sequence: self.previous_sequence.into(),
            base_offset: self.base_offset.into(),
            end_offset: self.end_offset.into(),
            ceiling: self.ceiling.unwrap_or(0).into(),
            file: self.file.0.into(),
            position: self.position.into(),
            length: self.length.into(),
            placed_start: self.placed_start.into(),
            placed_end: self.placed_end.into(),
            generation: self.generation.into(),
            crc_count: self.crc_count.into(),
            image_bytes: self.image_bytes.into(),
            inline_bytes: self.inline_bytes.into(),
            reserved_end: [0; 16],
        }
    }

    fn decode(raw: &TableEntry) -> Option<Self> {
        Some(Self {
            kind: Kind::from_number(raw.kind)?,
            handle: PartitionHandle(raw.handle.get()),
            placement_epoch: raw.placement_epoch.get(),
            leader_epoch: raw.leader_epoch.get(),
            previous_sequence: raw.previous_sequence.get(),
            base_offset: raw.base_offset.get(),
            end_offset: raw.end_offset.get(),
            ceiling: (raw.flags & FLAG_CEILING != 0).then(|| raw.ceiling.get()),
            file: FileId(raw.file.get()),
            generation: raw.generation.get(),
            position: raw.position.get(),
            length: raw.length.get(),
            placed_start: raw.placed_start.get(),
            placed_end: raw.placed_end.get(),
            image_bytes: raw.image_bytes.get(),
            inline_bytes: raw.inline_bytes.get(),
            descriptor_count: raw.descriptor_count.get(),
            crc_count: raw.crc_count.get(),
        })
    }
}

/// The table and echo of a commit while it is being closed. Reused from commit to commit.
#[derive(Debug, Default)]
pub struct TableBuilder {
    table: Vec<u8>,
    entry_count: u32,
    payload_bytes: usize,
}

impl TableBuilder {
    /// Forgets all entries, keeps the memory.
    pub fn clear(&mut self) {
        self.table.clear();
        self.entry_count = 0;
        self.payload_bytes = 0;
    }

    /// Whether nothing was put in.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.entry_count == 0
    }

    /// Adds an entry with its descriptors and checksums (the counts in `entry` are set to their
    /// numbers). Its `payload_bytes` must go into the payload next.
    pub fn push(&mut self, mut entry: Entry, descriptors: &[BatchDescriptor], crcs: &[u32]) {
        entry.descriptor_count = descriptors.len() as u32;
        entry.crc_count = crcs.len() as u32;
        self.table.extend_from_slice(entry.encode().as_bytes());
        for batch in descriptors {
            let raw = Descriptor {
                base_offset: batch.base_offset.into(),
                last_offset: batch.last_offset.into(),
                max_timestamp: batch.max_timestamp.into(),
                producer_id: batch.producer_id.into(),
                bytes: batch.bytes.into(),
                base_sequence: batch.base_sequence.into(),
                producer_epoch: batch.producer_epoch.into(),
                attributes: batch.attributes.into(),
                reserved: [0; 4],
            };
            self.table.extend_from_slice(raw.as_bytes());
        }
        for crc in crcs {
            self.table.extend_from_slice(&crc.to_le_bytes());
        }
        self.entry_count += 1;
        self.payload_bytes += entry.payload_bytes();
    }

    /// Bytes of the commit so far with `echo_count` echoes, not rounded up.
    #[must_use]
    pub const fn commit_bytes(&self, echo_count: usize) -> usize {
        COMMIT_HEADER_BYTES + self.table.len() + echo_count * ECHO_BYTES + self.payload_bytes
    }

    /// The encoded table.
    #[must_use]
    pub fn table(&self) -> &[u8] {
        &self.table
    }

    /// Number of entries.
    #[must_use]
    pub const fn entry_count(&self) -> u32 {
        self.entry_count
    }

    /// Bytes of all payloads announced.
    #[must_use]
    pub const fn payload_bytes(&self) -> usize {
        self.payload_bytes
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

/// A header whose keyed check holds: it was written by this data directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoundHeader {
    /// What it says of itself.
    pub id: CommitId,
    /// Its own check.
    pub check: Check,
    /// Bytes of the whole commit.
    pub length: u64,
    entry_count: u32,
    echo_count: u32,
    table_bytes: u32,
    payload_bytes: u32,
    table_crc: u32,
    payload_crc: u32,
}

/// Reads a header that starts at `bytes` and lies at `place`. `None` unless its keyed check holds,
/// it belongs to `journal` and names this place.
#[must_use]
pub fn read_header(
    bytes: &[u8],
    key: &JournalKey,
    journal: JournalId,
    shape: &RingShape,
    place: Place,
) -> Option<FoundHeader> {
    let (header, _) = CommitHeader::ref_from_prefix(bytes).ok()?;
    if header.magic != COMMIT_MAGIC
        || header.version.get() != FORMAT_VERSION
        || header.journal.get() != journal.0
        || header.file.get() != place.file
        || header.position.get() != place.position
        || header.check != header_check(key, header)
    {
        return None;
    }
    let length = u64::from(header.length.get());
    let parts = COMMIT_HEADER_BYTES as u64
        + u64::from(header.table_bytes.get())
        + u64::from(header.echo_count.get()) * ECHO_BYTES as u64
        + u64::from(header.payload_bytes.get());
    if !shape.holds(place, length) || parts > length {
        return None;
    }
    Some(FoundHeader {
        id: CommitId {
            journal,
            epoch: header.epoch.get(),
            sequence: header.sequence.get(),
            previous: header.previous,
            place,
            mark: header.mark.get(),
        },
        check: header.check,
        length,
        entry_count: header.entry_count.get(),
        echo_count: header.echo_count.get(),
        table_bytes: header.table_bytes.get(),
        payload_bytes: header.payload_bytes.get(),
        table_crc: header.table_crc.get(),
        payload_crc: header.payload_crc.get(),
    })
}

/// What is wrong with the content of a commit whose header is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// Table or echo: the names of the partitions are not known from this commit.
    Table,
    /// The payload alone: the table says what is lost.
    Payload,
}

/// The content of a commit.
#[derive(Clone, Copy, Debug)]
pub struct CommitContent<'a> {
    table: &'a [u8],
    entry_count: u32,
    echo: &'a [u8],
    payload: &'a [u8],
}

impl FoundHeader {
    /// The content behind this header; `commit` holds all [`Self::length`] bytes.
    ///
    /// # Errors
    /// What a CRC found. With `Damage::Payload` use [`Self::names`].
    pub fn content<'a>(&self, commit: &'a [u8]) -> Result<CommitContent<'a>, Damage> {
        let content = self.names(commit).ok_or(Damage::Table)?;
        if crc32c::crc32c(content.payload) != self.payload_crc {
            return Err(Damage::Payload);
        }
        Ok(content)
    }

    /// Table and echo alone, when their CRC holds; payload bytes in it are not to be used.
    #[must_use]
    pub fn names<'a>(&self, commit: &'a [u8]) -> Option<CommitContent<'a>> {
        let table_end = COMMIT_HEADER_BYTES.checked_add(self.table_bytes as usize)?;
        let echo_end = table_end.checked_add(self.echo_count as usize * ECHO_BYTES)?;
        let payload_end = echo_end.checked_add(self.payload_bytes as usize)?;
        let covered = commit.get(COMMIT_HEADER_BYTES..echo_end)?;
        if crc32c::crc32c(covered) != self.table_crc {
            return None;
        }
        let content = CommitContent {
            table: &commit[COMMIT_HEADER_BYTES..table_end],
            entry_count: self.entry_count,
            echo: &commit[table_end..echo_end],
            payload: commit.get(echo_end..payload_end)?,
        };
        content.is_well_formed().then_some(content)
    }
}

/// One entry of a commit with the bytes that belong to it.
#[derive(Clone, Copy, Debug)]
pub struct FoundEntry<'a> {
    /// The fixed part.
    pub entry: Entry,
    descriptors: &'a [u8],
    crcs: &'a [u8],
    /// Bytes from the block start of `entry.position` up to it; empty when none was due.
    pub image: &'a [u8],
    /// Inline record bytes, or the control record.
    pub inline: &'a [u8],
}

impl<'a> FoundEntry<'a> {
    /// The batch descriptors of a placed entry.
    pub fn descriptors(&self) -> impl Iterator<Item = BatchDescriptor> + use<'a> {
        self.descriptors
            .chunks_exact(DESCRIPTOR_BYTES)
            .filter_map(|bytes| Descriptor::read_from_bytes(bytes).ok())
            .map(|raw| BatchDescriptor {
                base_offset: raw.base_offset.get(),
                last_offset: raw.last_offset.get(),
                bytes: raw.bytes.get(),
                max_timestamp: raw.max_timestamp.get(),
                producer_id: raw.producer_id.get(),
                producer_epoch: raw.producer_epoch.get(),
                base_sequence: raw.base_sequence.get(),
                attributes: raw.attributes.get(),
            })
    }
}

impl<'a> FoundEntry<'a> {
    /// The checksums of the granules that the placed range touches.
    pub fn placed_crcs(&self) -> impl Iterator<Item = u32> + use<'a> {
        let (words, _) = self.crcs.as_chunks::<CRC_BYTES>();
        words.iter().map(|word| u32::from_le_bytes(*word))
    }
}

impl<'a> CommitContent<'a> {
    /// The entries in order.
    #[must_use]
    pub const fn entries(&self) -> Entries<'a> {
        Entries {
            table: self.table,
            payload: self.payload,
            left: self.entry_count,
        }
    }

    /// What the commit before held: each partition and its end offset there.
    pub fn echo(&self) -> impl Iterator<Item = (PartitionHandle, i64)> + use<'a> {
        self.echo
            .chunks_exact(ECHO_BYTES)
            .filter_map(|bytes| Echo::read_from_bytes(bytes).ok())
            .map(|raw| (PartitionHandle(raw.handle.get()), raw.end_offset.get()))
    }

    fn is_well_formed(&self) -> bool {
        let mut entries = self.entries();
        for _ in 0..self.entry_count {
            if entries.next().is_none() {
                return false;
            }
        }
        entries.table.is_empty() && entries.payload.is_empty()
    }
}

/// Iterator over the entries of a commit.
#[derive(Clone, Copy, Debug)]
pub struct Entries<'a> {
    table: &'a [u8],
    payload: &'a [u8],
    left: u32,
}

impl<'a> Iterator for Entries<'a> {
    type Item = FoundEntry<'a>;

    fn next(&mut self) -> Option<FoundEntry<'a>> {
        self.left = self.left.checked_sub(1)?;
        let (raw, table) = TableEntry::ref_from_prefix(self.table).ok()?;
        let entry = Entry::decode(raw)?;
        let descriptor_bytes = (entry.descriptor_count as usize).checked_mul(DESCRIPTOR_BYTES)?;
        let (descriptors, table) = table.split_at_checked(descriptor_bytes)?;
        let crc_bytes = (entry.crc_count as usize).checked_mul(CRC_BYTES)?;
        let (crcs, table) = table.split_at_checked(crc_bytes)?;
        let (image, payload) = self.payload.split_at_checked(entry.image_bytes as usize)?;
        let (inline, payload) = payload.split_at_checked(entry.inline_bytes as usize)?;
        self.table = table;
        self.payload = payload;
        Some(FoundEntry {
            entry,
            descriptors,
            crcs,
            image,
            inline,
        })
    }
}

#[cfg(test)]
mod tests;
