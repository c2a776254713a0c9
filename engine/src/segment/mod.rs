//! One segment: a stretch of a partition's log in one `.seg` file, with a sparse index and granule
//! checksums kept beside it (in memory while it is active, in the `.idx` file afterwards).
//!
//! A partition numbers the bytes of all its segments in one space of *log positions*: each segment
//! gets a granule-aligned `start`, and a log position is `start` plus the position in the file.
//! Log positions are never stored; they begin at 0 again when a partition is restored.

pub mod file_format;
pub mod granules;
pub mod index;

use crate::ids::FileId;
use crate::limits::{GRANULE_BYTES, SEGMENT_DATA_START};
use index::SegmentIndex;

/// A segment as its partition knows it.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) file: FileId,
    pub(crate) generation: u32,
    /// Offset its first record has at least.
    pub(crate) base_offset: i64,
    /// Offset behind the last record appended to it.
    pub(crate) end_offset: i64,
    /// Offset behind the last record of it that went into a commit.
    pub(crate) closed_end_offset: i64,
    pub(crate) created_ms: i64,
    /// Log position of the file's first byte.
    pub(crate) start: u64,
    /// Log position behind the last byte appended to it.
    pub(crate) end: u64,
    /// Size the file may grow to.
    pub(crate) file_bytes: u64,
    /// Prepared size of the file.
    pub(crate) prepared: u64,
    pub(crate) is_sealed: bool,
    /// Its roll (its seal) went into a commit.
    pub(crate) roll_closed: bool,
    pub(crate) seal_closed: bool,
    /// Largest timestamp of the records closed so far and the base offset of its batch.
    pub(crate) max_timestamp: i64,
    pub(crate) max_timestamp_offset: i64,
    /// `None`: given up, to be loaded from the `.idx` file.
    pub(crate) index: Option<Box<SegmentIndex>>,
    /// Blocks of the `.idx` file that are written.
    pub(crate) index_blocks_written: u32,
    pub(crate) index_write_in_flight: bool,
}

/// What identifies a segment to its partition when it begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SegmentBirth {
    pub(crate) file: FileId,
    pub(crate) generation: u32,
    pub(crate) base_offset: i64,
    pub(crate) created_ms: i64,
    pub(crate) file_bytes: u64,
    pub(crate) prepared: u64,
    pub(crate) start: u64,
}

impl Segment {
    pub(crate) fn new(birth: SegmentBirth) -> Self {
        Self {
            file: birth.file,
            generation: birth.generation,
            base_offset: birth.base_offset,
            end_offset: birth.base_offset,
            closed_end_offset: birth.base_offset,
            created_ms: birth.created_ms,
            start: birth.start,
            end: birth.start + SEGMENT_DATA_START,
            file_bytes: birth.file_bytes,
            prepared: birth.prepared,
            is_sealed: false,
            roll_closed: false,
            seal_closed: false,
            max_timestamp: -1,
            max_timestamp_offset: birth.base_offset,
            index: Some(Box::default()),
            index_blocks_written: 0,
            index_write_in_flight: false,
        }
    }

    /// Bytes of records.
    pub(crate) const fn record_bytes(&self) -> u64 {
        self.end - self.start - SEGMENT_DATA_START
    }

    /// First log position of its records, behind the identity block.
    pub(crate) const fn data_start(&self) -> u64 {
        self.start + SEGMENT_DATA_START
    }

    /// First log position of a segment behind this one.
    pub(crate) const fn next_start(&self) -> u64 {
        self.end.next_multiple_of(GRANULE_BYTES)
    }

    /// Position in the file.
    pub(crate) const fn in_file(&self, log_position: u64) -> u64 {
        log_position - self.start
    }

    /// Nothing more of it will be closed.
    pub(crate) const fn is_closed_whole(&self) -> bool {
        self.roll_closed && self.seal_closed
    }

    /// Granules its bytes up to `end` touch.
    pub(crate) const fn granule_count(&self) -> u32 {
        (self.end - self.start).div_ceil(GRANULE_BYTES) as u32
    }

    /// Blocks its `.idx` file has when sealed.
    pub(crate) const fn index_block_count(&self) -> u32 {
        self.granule_count()
            .div_ceil(file_format::INDEX_BLOCK_ENTRIES as u32)
    }

    /// The timestamp retention by time goes by.
    pub(crate) const fn retention_timestamp(&self) -> i64 {
        if self.max_timestamp >= 0 {
            self.max_timestamp
        } else {
            self.created_ms
        }
    }

    /// Notes a batch that was taken into a commit.
    pub(crate) fn note_closed(
        &mut self,
        log_position: u64,
        offsets: std::ops::Range<i64>,
        max_timestamp: i64,
    ) {
        let base_offset = offsets.start;
        self.closed_end_offset = offsets.end;
        if max_timestamp > self.max_timestamp {
            self.max_timestamp = max_timestamp;
            self.max_timestamp_offset = base_offset;
        }
        let position = self.in_file(log_position) as u32;
        let delta = (base_offset - self.base_offset) as u32;
        if let Some(index) = &mut self.index {
            index.note_batch(position, delta, max_timestamp);
        }
    }
}
