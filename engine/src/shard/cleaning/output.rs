//! The segment that compaction makes: its bytes on their way to the file, its index and granule
//! checksums, computed while the bytes are hot. No I/O; filled off the data cores.

use crate::limits::{BLOCK_BYTES, GRANULE_BYTES, SEGMENT_DATA_START};
use crate::partition::NewSegment;
use crate::record_batch::Header;
use crate::segment::file_format::{INDEX_BLOCK_ENTRIES, encode_index_block};
use crate::segment::granules::{GranuleOwner, granule_end, granule_number};
use crate::segment::index::SegmentIndex;
use crate::shard::identity::Owner;

/// More bytes than the segment may have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grows;

/// A segment in the making.
#[derive(Debug)]
pub(super) struct Output {
    pub(super) segment: NewSegment,
    owner: GranuleOwner,
    base_offset: i64,
    bytes_max: u64,
    index: SegmentIndex,
    /// Bytes behind `written`, in the order of the file.
    pending: Vec<u8>,
    /// Up to where writes were taken; block-aligned.
    written: u64,
    /// File position behind the last batch.
    end: u64,
    /// Checksum of the last granule up to `end`.
    sum: u32,
    pub(super) end_offset: i64,
    pub(super) max_timestamp: i64,
    pub(super) max_timestamp_offset: i64,
    /// Something differs from what it was made of.
    pub(super) is_changed: bool,
    is_given_up: bool,
}

impl Output {
    /// An empty segment in `segment`'s file of at most `bytes_max` bytes, identity included.
    pub(super) fn new(owner: Owner, segment: NewSegment, base_offset: i64, bytes_max: u64) -> Self {
        let identity = owner.identity(segment.file, segment.generation).encode();
        let owner = GranuleOwner {
            topic_id: owner.topic_id,
            index: owner.index,
            file: segment.file,
            generation: segment.generation,
        };
        Self {
            segment,
            owner,
            base_offset,
            bytes_max,
            index: SegmentIndex::default(),
            pending: Vec::new(),
            written: SEGMENT_DATA_START,
            end: SEGMENT_DATA_START,
            sum: crc32c::crc32c_append(owner.seed(0), &identity),
            end_offset: base_offset,
            max_timestamp: -1,
            max_timestamp_offset: base_offset,
            is_changed: false,
            is_given_up: false,
        }
    }

    /// Whether it holds no batch.
    pub(super) const fn is_empty(&self) -> bool {
        self.end == SEGMENT_DATA_START
    }

    /// Exact end of its records in the file.
    pub(super) const fn length(&self) -> u64 {
        self.end
    }

    /// What it was to replace stays: nothing more is written.
    pub(super) fn give_up(&mut self) {
        self.is_given_up = true;
        self.pending = Vec::new();
    }

    pub(super) const fn is_given_up(&self) -> bool {
        self.is_given_up
    }

    /// Bytes that wait to be written.
    pub(super) const fn pending_bytes(&self) -> usize {
        self.pending.len()
    }

    /// Adds a batch; offsets rise.
    pub(super) fn append(&mut self, header: &Header, batch: &[u8]) -> Result<(), Grows> {
        if self.end + batch.len() as u64 > self.bytes_max {
            return Err(Grows);
        }
        let delta = (header.base_offset - self.base_offset) as u32;
        let position = self.end as u32;
        self.index.note_batch(position, delta, header.max_timestamp);
        if header.max_timestamp > self.max_timestamp {
            self.max_timestamp = header.max_timestamp;
            self.max_timestamp_offset = header.base_offset;
        }
        self.end_offset = header.end_offset();
        self.pending.extend_from_slice(batch);
        self.extend_sum(batch);
        Ok(())
    }

    fn extend_sum(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = (granule_end(self.end) - self.end) as usize;
            let (piece, behind) = bytes.split_at(room.min(bytes.len()));
            bytes = behind;
            self.sum = crc32c::crc32c_append(self.sum, piece);
            self.end += piece.len() as u64;
            if self.end.is_multiple_of(GRANULE_BYTES) {
                self.index.complete(granule_number(self.end) - 1, self.sum);
                self.sum = self.owner.seed(self.end);
            }
        }
    }

    /// No batch follows: the last granule is complete.
    pub(super) fn seal(&mut self) {
        if !self.end.is_multiple_of(GRANULE_BYTES) {
            self.index.complete(granule_number(self.end), self.sum);
        }
    }

    /// Where the next write goes and how many bytes it has: whole blocks, at most `bytes_max`
    /// (a multiple of them), the last one padded with zeros if `is_sealed`. `None`: nothing yet.
    pub(super) fn next_write(&self, bytes_max: usize, is_sealed: bool) -> Option<(u64, usize)> {
        let block = BLOCK_BYTES as usize;
        let blocks = if is_sealed {
            self.pending.len().div_ceil(block)
        } else {
            self.pending.len() / block
        };
        let bytes = (blocks * block).min(bytes_max);
        (bytes > 0).then_some((self.written, bytes))
    }

    /// Takes the bytes of a write that `next_write` gave (its padding apart).
    pub(super) fn take(&mut self, bytes: usize, out: &mut impl FnMut(&[u8])) {
        let taken = bytes.min(self.pending.len());
        out(&self.pending[..taken]);
        self.pending.drain(..taken);
        self.written += bytes as u64;
    }

    /// Blocks of its index file.
    pub(super) fn index_block_count(&self) -> u32 {
        self.index.granules.len().div_ceil(INDEX_BLOCK_ENTRIES) as u32
    }

    /// The bytes of index block `number`.
    pub(super) fn index_block(&self, number: u32) -> [u8; BLOCK_BYTES as usize] {
        encode_index_block(&self.owner, &self.index, number)
    }
}
