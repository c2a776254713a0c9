//! What a commit holds of one partition, and how the commit's table is written.

use super::{
    COMMIT_HEADER_BYTES, CRC_BYTES, DESCRIPTOR_BYTES, Descriptor, ECHO_BYTES, FLAG_CEILING, Kind,
    TABLE_ENTRY_BYTES, TableEntry,
};
use crate::ids::{FileId, PartitionHandle};
use crate::partition::BatchDescriptor;
use zerocopy::IntoBytes;
use zerocopy::byteorder::little_endian::U16;

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

    pub(super) fn decode(raw: &TableEntry) -> Option<Self> {
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
