//! Reading a commit: every length is checked against what is there before it is used.

use super::{
    COMMIT_HEADER_BYTES, COMMIT_MAGIC, CRC_BYTES, CommitHeader, CommitId, DESCRIPTOR_BYTES,
    Descriptor, ECHO_BYTES, Echo, Entry, FORMAT_VERSION, TableEntry, header_check,
};
use crate::ids::{JournalId, PartitionHandle};
use crate::journal::check::{Check, JournalKey};
use crate::journal::ring::{Place, RingShape};
use crate::partition::BatchDescriptor;
use zerocopy::FromBytes;

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
    pub(super) table_bytes: u32,
    pub(super) payload_bytes: u32,
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
