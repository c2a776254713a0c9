//! Questions that a segment's index answers: where an offset or a timestamp is. An index that is
//! in its `.idx` file only (a sealed segment's, or the older part after a restart) is loaded first.

use super::{IndexRead, LargestTimestamp, Partition, ReadError, TimestampSearch};
use crate::io::arena::ArenaSlice;
use crate::limits::BLOCK_BYTES;
use crate::segment::Segment;
use crate::segment::file_format::decode_index_block;
use crate::segment::index::SegmentIndex;

const BLOCK: usize = BLOCK_BYTES as usize;

/// Loading.
impl Partition {
    /// Takes the index of a sealed segment from its `.idx` file's bytes.
    ///
    /// # Errors
    /// `Corrupt` when it fails its checks.
    pub fn index_loaded(
        &mut self,
        read: &IndexRead,
        parts: &[ArenaSlice],
    ) -> Result<(), ReadError> {
        let Some(number) = self.segment_of_file(read.file, read.generation) else {
            return Ok(());
        };
        let segment = &self.segments[number];
        if is_loaded(segment) {
            return Ok(());
        }
        let corrupt = ReadError::Corrupt {
            offset: segment.base_offset,
        };
        let owner = self.owner(segment);
        let mut loaded = SegmentIndex::default();
        let blocks = parts.iter().flat_map(|part| part.chunks(BLOCK));
        for (block, bytes) in (0u32..).zip(blocks) {
            decode_index_block(&owner, bytes, block, &mut loaded).ok_or(corrupt)?;
        }
        let segment = &mut self.segments[number];
        match &mut segment.index {
            Some(index) => {
                let missing = index.missing as usize;
                let front = loaded.granules.get(..missing).ok_or(corrupt)?;
                index.granules[..missing].copy_from_slice(front);
                index.missing = 0;
            }
            None => {
                if loaded.granules.len() != segment.granule_count() as usize {
                    return Err(corrupt);
                }
                segment.index = Some(Box::new(loaded));
            }
        }
        Ok(())
    }
}

/// Timestamps.
impl Partition {
    /// Where to look for the first record at or after `timestamp_ms`; `Err` when a sealed
    /// segment's index must be loaded first.
    ///
    /// # Errors
    /// The index to load.
    pub fn search_timestamp(&self, timestamp_ms: i64) -> Result<TimestampSearch, IndexRead> {
        let reaches =
            |s: &&Segment| s.max_timestamp >= timestamp_ms && s.end_offset > self.log_start;
        if let Some(segment) = self.segments.iter().find(reaches) {
            if !is_loaded(segment) {
                return Err(index_read(segment));
            }
            let index = segment.index.as_ref();
            let delta = index.and_then(|index| index.locate_timestamp(timestamp_ms));
            let offset = segment.base_offset + i64::from(delta.unwrap_or(0));
            return Ok(TimestampSearch::StartAt(offset.max(self.log_start)));
        }
        let pending = self.pending().find(|b| b.max_timestamp >= timestamp_ms);
        Ok(pending.map_or(TimestampSearch::NotFound, |batch| {
            TimestampSearch::StartAt(batch.base_offset)
        }))
    }

    /// Where the largest timestamp of the log is; `Err` when a sealed segment's index must be
    /// loaded first.
    ///
    /// # Errors
    /// The index to load.
    pub fn largest_timestamp(&self) -> Result<LargestTimestamp, IndexRead> {
        let is_alive = |s: &&Segment| s.closed_end_offset > self.log_start;
        let mut alive = self.segments.iter().filter(is_alive).peekable();
        let mut look_until = self.log_start;
        let mut front = None;
        let is_deleted = |s: &&Segment| s.max_timestamp_offset < self.log_start;
        if let Some(first) = alive.next_if(is_deleted) {
            if !is_loaded(first) {
                return Err(index_read(first));
            }
            let delta = offset_delta(first, self.log_start);
            let index = first.index.as_ref();
            let behind = index.and_then(|index| index.largest_behind(delta));
            look_until = behind.map_or(first.closed_end_offset, |(next, _)| {
                first.base_offset + i64::from(next)
            });
            front = behind.map(|(_, (time, delta))| (time, first.base_offset + i64::from(delta)));
        }
        let closed = alive.map(|s| (s.max_timestamp, s.max_timestamp_offset));
        let pending = self.pending().map(|b| (b.max_timestamp, b.base_offset));
        // The first batch that has it.
        let rest = front
            .into_iter()
            .chain(closed)
            .chain(pending)
            .filter(|&(timestamp, _)| timestamp >= 0)
            .min_by_key(|&(timestamp, offset)| (-timestamp, offset));
        Ok(LargestTimestamp { look_until, rest })
    }
}

/// What an index says.
pub(super) enum Lookup<T> {
    Found(T),
    /// It lies before everything the index has.
    Before,
    NotLoaded,
}

pub(super) fn lookup<T>(
    segment: &Segment,
    look: impl FnOnce(&SegmentIndex) -> Option<T>,
) -> Lookup<T> {
    let Some(index) = &segment.index else {
        return Lookup::NotLoaded;
    };
    match look(index) {
        Some(found) => Lookup::Found(found),
        None if index.missing > 0 => Lookup::NotLoaded,
        None => Lookup::Before,
    }
}

pub(super) fn is_loaded(segment: &Segment) -> bool {
    segment
        .index
        .as_ref()
        .is_some_and(|index| index.missing == 0)
}

pub(super) fn index_read(segment: &Segment) -> IndexRead {
    IndexRead {
        file: segment.file,
        generation: segment.generation,
        range: 0..u64::from(segment.index_blocks_written) * BLOCK_BYTES,
    }
}

pub(super) fn offset_delta(segment: &Segment, offset: i64) -> u32 {
    let delta = offset.saturating_sub(segment.base_offset).max(0);
    u32::try_from(delta).unwrap_or(u32::MAX)
}
