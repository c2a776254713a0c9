//! Reading: from an offset to whole batches, out of memory or through a disk read that carries its
//! own checksums. Step 6 of the fetch path.
//!
//! INVARIANT: bytes below `disk_end` may be read from disk, bytes at and above the first extent are
//! in memory, and `disk_end` is never below that extent. A disk read ends at a granule's end, at a
//! sealed segment's end, or at `disk_end`, so that every granule of it has a checksum.

use super::index_lookup::{Lookup, index_read, lookup, offset_delta};
use super::{
    DiskRead, End, Fence, IndexRead, Partition, ReadBatches, ReadBound, ReadError, ReadPlan,
    ReadRequest, SpareVecs, block_end,
};
use crate::limits::{GRANULE_BYTES, READ_BYTES_MAX, SEGMENT_DATA_START};
use crate::planted::{self, Bug};
use crate::segment::Segment;
use crate::segment::granules::{granule_end, granule_number, granule_start};

/// Where a wanted offset is.
pub(super) enum Found {
    /// Nothing there: the log ends, or only a gap follows.
    Nothing,
    /// The batch begins at this log position, in memory.
    InMemory(u64),
    /// It begins at or behind this log position of the segment, in the same granule, on disk.
    OnDisk { segment: usize, position: u64 },
    /// The segment's index must be loaded first.
    NeedsIndex(IndexRead),
}

/// Planning.
impl Partition {
    /// Plans a read: from memory at once, or what to read from disk.
    ///
    /// # Errors
    /// `OutOfRange`, or `Corrupt` for an offset in a fenced range.
    pub fn plan_read(
        &self,
        request: &ReadRequest,
        spare: &mut SpareVecs,
    ) -> Result<ReadPlan, ReadError> {
        let bound = self.bound(request.bound);
        if request.offset < self.log_start || request.offset > self.appended.offset {
            return Err(ReadError::OutOfRange {
                offset: request.offset,
                log_start: self.log_start,
                log_end: self.appended.offset,
            });
        }
        let offset = self.past_losses(request.offset);
        let limit = self.fence_limit(offset, bound.offset)?;
        if offset >= limit || request.bytes_max == 0 {
            return Ok(ReadPlan::Ready(nothing_at(request.offset)));
        }
        match self.locate(offset)? {
            Found::Nothing => Ok(ReadPlan::Ready(nothing_at(request.offset))),
            Found::NeedsIndex(read) => Ok(ReadPlan::Index(read)),
            // From a gap that a relaxed log's crash left, the next batch may lie above the bound.
            Found::InMemory(start) if start >= bound.position => {
                Ok(ReadPlan::Ready(nothing_at(request.offset)))
            }
            Found::InMemory(start) => {
                let batches = self.take_from_memory(start, limit, bound, request, spare)?;
                Ok(ReadPlan::Ready(batches))
            }
            Found::OnDisk { segment, position } => {
                self.plan_disk_read(segment, position, offset, request.bytes_max, None, spare)
            }
        }
    }

    pub(super) const fn bound(&self, bound: ReadBound) -> End {
        match bound {
            ReadBound::HighWatermark | ReadBound::LastStable => self.high_watermark,
            ReadBound::LogEnd => self.appended,
        }
    }

    /// The offset itself, or the end of the lost ranges it lies in.
    pub(super) fn past_losses(&self, mut offset: i64) -> i64 {
        let holds =
            |f: &&Fence, offset| f.is_lost && f.start_offset <= offset && offset < f.end_offset;
        while let Some(fence) = self.fences.iter().find(|fence| holds(fence, offset)) {
            offset = fence.end_offset;
        }
        offset
    }

    /// Up to which offset a read from `offset` may go: its bound or the next fenced range.
    pub(super) fn fence_limit(&self, offset: i64, bound: i64) -> Result<i64, ReadError> {
        let mut limit = bound;
        for fence in &self.fences {
            if !fence.is_lost && fence.start_offset <= offset && offset < fence.end_offset {
                if planted::is(Bug::FencedIsOutOfRange) {
                    return Err(ReadError::OutOfRange {
                        offset,
                        log_start: self.log_start,
                        log_end: self.appended.offset,
                    });
                }
                return Err(ReadError::Corrupt {
                    offset: fence.start_offset,
                });
            }
            if fence.start_offset > offset {
                limit = limit.min(fence.start_offset);
            }
        }
        Ok(limit)
    }

    pub(super) fn locate(&self, offset: i64) -> Result<Found, ReadError> {
        if let Some(first) = self.batches.front()
            && offset >= first.base_offset
        {
            let number = self.batches.partition_point(|b| b.end_offset <= offset);
            let batch = self.batches.get(number);
            return Ok(batch.map_or(Found::Nothing, |batch| Found::InMemory(batch.position)));
        }
        let behind = self.segments.partition_point(|s| s.base_offset <= offset);
        let mut number = behind.saturating_sub(1);
        while let Some(segment) = self.segments.get(number)
            && segment.end_offset <= offset
        {
            number += 1;
        }
        let Some(segment) = self.segments.get(number) else {
            return Ok(Found::Nothing);
        };
        let delta = offset_delta(segment, offset);
        let in_file = match lookup(segment, |index| index.locate_offset(delta)) {
            Lookup::Found((position, _)) => u64::from(position),
            Lookup::Before => SEGMENT_DATA_START,
            Lookup::NotLoaded => return Ok(Found::NeedsIndex(index_read(segment))),
        };
        let position = segment.start + in_file;
        let disk = self.disk_end;
        let in_memory = self.tail.front().is_some_and(|front| front <= position);
        if in_memory || position >= disk.position {
            return self.walk_in_memory(position, offset);
        }
        if disk.offset.is_some_and(|end| end <= offset) {
            // The granule begins on disk, the wanted batch lies behind its part there.
            let segment_holds_it = disk.position < segment.end;
            let from = if segment_holds_it {
                disk.position
            } else {
                position
            };
            return self.walk_in_memory(from, offset);
        }
        Ok(Found::OnDisk {
            segment: number,
            position,
        })
    }

    pub(super) fn walk_in_memory(
        &self,
        mut position: u64,
        offset: i64,
    ) -> Result<Found, ReadError> {
        loop {
            if position >= self.appended.position {
                // A crash of a relaxed class left a gap at the log's end.
                return Ok(Found::Nothing);
            }
            let Some(header) = self.tail.header_at(position) else {
                // Replayed and not yet dropped from memory.
                return Err(ReadError::NoMemory);
            };
            if header.end_offset() > offset {
                return Ok(Found::InMemory(position));
            }
            position += u64::from(header.batch_bytes);
        }
    }

    pub(super) fn take_from_memory(
        &self,
        start: u64,
        limit_offset: i64,
        bound: End,
        request: &ReadRequest,
        spare: &mut SpareVecs,
    ) -> Result<ReadBatches, ReadError> {
        let Some(number) = self.segment_at(start) else {
            return Err(ReadError::NoMemory);
        };
        let segment = &self.segments[number];
        let whole = if bound.position < segment.end {
            bound
        } else {
            End {
                offset: segment.end_offset,
                position: segment.end,
            }
        };
        let wanted = start.saturating_add(request.bytes_max as u64);
        let end = if limit_offset >= bound.offset && wanted >= whole.position {
            whole
        } else {
            self.batch_boundary(number, start, wanted.min(whole.position), limit_offset)?
        };
        let mut parts = spare.take();
        if self.tail.slices(start, end.position, &mut parts) < end.position {
            spare.give(parts);
            return Err(ReadError::NoMemory);
        }
        Ok(ReadBatches {
            parts,
            bytes: (end.position - start) as usize,
            next_offset: end.offset,
        })
    }

    /// The last end of a batch at or before `wanted` whose batch begins below `limit_offset`; the
    /// end of the first batch if that one is larger.
    pub(super) fn batch_boundary(
        &self,
        number: usize,
        start: u64,
        wanted: u64,
        limit_offset: i64,
    ) -> Result<End, ReadError> {
        if limit_offset == i64::MAX || limit_offset >= self.high_watermark.offset {
            let behind = self.batches.partition_point(|b| b.end() <= wanted);
            if let Some(last) = behind.checked_sub(1).map(|last| self.batches[last])
                && last.position >= start
            {
                return Ok(End {
                    offset: last.end_offset,
                    position: last.end(),
                });
            }
        }
        let segment = &self.segments[number];
        let mut end = End {
            offset: i64::MIN,
            position: start,
        };
        if let Some(index) = &segment.index
            && let Some((position, delta)) = index.locate_position(segment.in_file(wanted))
        {
            let offset = segment.base_offset + i64::from(delta);
            let position = segment.start + u64::from(position);
            if position > start && offset <= limit_offset {
                end = End { offset, position };
            }
        }
        while let Some(header) = self.tail.header_at(end.position) {
            let next = end.position + u64::from(header.batch_bytes);
            let is_first = end.position == start;
            if (!is_first && next > wanted) || header.base_offset >= limit_offset {
                break;
            }
            end = End {
                offset: header.end_offset(),
                position: next,
            };
            if is_first && next > wanted || next >= segment.end {
                break;
            }
        }
        if end.position == start {
            return Err(ReadError::NoMemory);
        }
        Ok(end)
    }

    /// A disk read that begins with the granule of log position `position`. With `needed` it goes
    /// at least that far (a log position).
    pub(super) fn plan_disk_read(
        &self,
        number: usize,
        position: u64,
        offset: i64,
        bytes_max: usize,
        needed: Option<u64>,
        spare: &mut SpareVecs,
    ) -> Result<ReadPlan, ReadError> {
        let segment = &self.segments[number];
        let walk_from = segment.in_file(position);
        let first = granule_start(walk_from);
        let disk_end = self.disk_end.position.min(segment.end) - segment.start;
        let wanted = (walk_from - first)
            .saturating_add(bytes_max as u64)
            .clamp(GRANULE_BYTES, READ_BYTES_MAX);
        let mut data_end = (first + wanted).next_multiple_of(GRANULE_BYTES);
        let mut needed_end = granule_end(walk_from);
        if let Some(fenced) = self.fenced_granule(segment, offset) {
            data_end = data_end.min(fenced.max(needed_end));
        }
        if let Some(needed) = needed {
            needed_end = segment.in_file(needed);
            data_end = data_end.max(needed_end.next_multiple_of(GRANULE_BYTES));
        }
        let data_end = data_end.min(disk_end);
        let numbers = granule_number(first)..data_end.div_ceil(GRANULE_BYTES) as u32;
        let mut crcs = spare.take_crcs();
        for granule in numbers {
            let end = (u64::from(granule) + 1) * GRANULE_BYTES;
            let is_tail = end > data_end && segment.start + data_end == self.disk_end.position;
            let is_sealed_end =
                segment.is_closed_whole() && segment.start + data_end == segment.end;
            if is_tail && !is_sealed_end {
                crcs.push(self.disk_end.crc);
                continue;
            }
            match lookup(segment, |index| index.crc(granule)) {
                Lookup::Found(crc) => crcs.push(crc),
                Lookup::NotLoaded => return Ok(ReadPlan::Index(index_read(segment))),
                Lookup::Before => return Err(ReadError::Corrupt { offset }),
            }
        }
        Ok(ReadPlan::Disk(DiskRead {
            file: segment.file,
            generation: segment.generation,
            range: first..block_end(data_end),
            offset,
            data_end,
            file_end: disk_end,
            needed_end: needed_end.min(data_end),
            walk_from,
            crcs,
        }))
    }

    /// Start of the granule in which the next fenced range behind `offset` begins.
    pub(super) fn fenced_granule(&self, segment: &Segment, offset: i64) -> Option<u64> {
        let next = self
            .fences
            .iter()
            .map(|fence| fence.start_offset)
            .filter(|&start| start > offset && start < segment.end_offset)
            .min()?;
        let index = segment.index.as_ref()?;
        let (position, _) = index.locate_offset(offset_delta(segment, next))?;
        Some(granule_start(u64::from(position)))
    }
}

pub(super) const fn nothing_at(offset: i64) -> ReadBatches {
    ReadBatches {
        parts: Vec::new(),
        bytes: 0,
        next_offset: offset,
    }
}
