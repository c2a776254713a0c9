//! Reading: from an offset to whole batches, out of memory or through a disk read that carries its
//! own checksums. Step 6 of the fetch path.
//!
//! INVARIANT: bytes below `disk_end` may be read from disk, bytes at and above the first extent are
//! in memory, and `disk_end` is never below that extent. A disk read ends at a granule's end, at a
//! sealed segment's end, or at `disk_end`, so that every granule of it has a checksum.

use super::{
    DiskRead, End, Fence, FoundBatches, IndexRead, Partition, ReadBatches, ReadBound, ReadError,
    ReadPlan, ReadRequest, SpareVecs, block_end,
};
use crate::io::arena::ArenaSlice;
use crate::limits::{BLOCK_BYTES, GRANULE_BYTES, SEGMENT_DATA_START, WRITE_BYTES_MAX};
use crate::record_batch::{HEADER_BYTES, Header};
use crate::segment::Segment;
use crate::segment::file_format::decode_index_block;
use crate::segment::granules::{GranuleOwner, granule_end, granule_number, granule_start};
use crate::segment::index::SegmentIndex;
use crate::shard::TimestampSearch;
use std::ops::Range;

const BLOCK: usize = BLOCK_BYTES as usize;

/// Where a wanted offset is.
enum Found {
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
            return Ok(nothing_at(request.offset));
        }
        match self.locate(offset)? {
            Found::Nothing => Ok(nothing_at(request.offset)),
            Found::NeedsIndex(read) => Ok(ReadPlan::Index(read)),
            Found::InMemory(start) => {
                let batches = self.take_from_memory(start, limit, bound, request, spare)?;
                Ok(ReadPlan::Ready(batches))
            }
            Found::OnDisk { segment, position } => {
                self.plan_disk_read(segment, position, offset, request.bytes_max, None)
            }
        }
    }

    const fn bound(&self, bound: ReadBound) -> End {
        match bound {
            ReadBound::HighWatermark | ReadBound::LastStable => self.high_watermark,
            ReadBound::LogEnd => self.appended,
        }
    }

    /// The offset itself, or the end of the lost ranges it lies in.
    fn past_losses(&self, mut offset: i64) -> i64 {
        let holds =
            |f: &&Fence, offset| f.is_lost && f.start_offset <= offset && offset < f.end_offset;
        while let Some(fence) = self.fences.iter().find(|fence| holds(fence, offset)) {
            offset = fence.end_offset;
        }
        offset
    }

    /// Up to which offset a read from `offset` may go: its bound or the next fenced range.
    fn fence_limit(&self, offset: i64, bound: i64) -> Result<i64, ReadError> {
        let mut limit = bound;
        for fence in &self.fences {
            if !fence.is_lost && fence.start_offset <= offset && offset < fence.end_offset {
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

    fn locate(&self, offset: i64) -> Result<Found, ReadError> {
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

    fn walk_in_memory(&self, mut position: u64, offset: i64) -> Result<Found, ReadError> {
        loop {
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

    fn take_from_memory(
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
    fn batch_boundary(
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
        loop {
            let Some(header) = self.tail.header_at(end.position) else {
                // The log's end: nothing behind.
                break;
            };
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
    fn plan_disk_read(
        &self,
        number: usize,
        position: u64,
        offset: i64,
        bytes_max: usize,
        needed: Option<u64>,
    ) -> Result<ReadPlan, ReadError> {
        let segment = &self.segments[number];
        let walk_from = segment.in_file(position);
        let first = granule_start(walk_from);
        let disk_end = self.disk_end.position.min(segment.end) - segment.start;
        let wanted = (walk_from - first)
            .saturating_add(bytes_max as u64)
            .clamp(GRANULE_BYTES, WRITE_BYTES_MAX);
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
        let mut crcs = Vec::with_capacity(numbers.len());
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
            needed_end: needed_end.min(data_end),
            walk_from,
            crcs,
        }))
    }

    /// Start of the granule in which the next fenced range behind `offset` begins.
    fn fenced_granule(&self, segment: &Segment, offset: i64) -> Option<u64> {
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

/// After the disk read.
impl Partition {
    /// Checks what a disk read brought against the granule checksums. `parts` are the bytes of
    /// `read.range`, in order; every part but the last is whole granules.
    ///
    /// # Errors
    /// `Corrupt`: damage among the bytes the first batch needs. Damage further on only shortens
    /// `read`. Either way the batches that begin in the damaged granule are fenced by this call,
    /// with a control record.
    pub fn check_granules(
        &mut self,
        read: &mut DiskRead,
        parts: &[ArenaSlice],
    ) -> Result<(), ReadError> {
        let owner = GranuleOwner {
            topic_id: self.spec.topic_id,
            index: self.spec.index,
            file: read.file,
            generation: read.generation,
        };
        let view = PartsView::of(read, parts);
        let mut at = read.range.start;
        for (number, &expected) in read.crcs.iter().enumerate() {
            let end = granule_end(at).min(read.data_end);
            if view.crc(at..end, owner.seed(at)) != Some(expected) {
                let is_needed = at < read.needed_end;
                self.fence_granule(read, at);
                if is_needed {
                    return Err(ReadError::Corrupt {
                        offset: read.offset,
                    });
                }
                read.data_end = at;
                read.range.end = at;
                read.crcs.truncate(number);
                return Ok(());
            }
            at = end;
        }
        Ok(())
    }

    /// Fences the batches that begin in a damaged granule. A batch that only reaches into it is
    /// noticed whenever it is read.
    fn fence_granule(&mut self, read: &DiskRead, position: u64) {
        let Some(number) = self.segment_of_file(read.file, read.generation) else {
            return;
        };
        let segment = &self.segments[number];
        let deltas = segment
            .index
            .as_ref()
            .and_then(|index| index.deltas_in(granule_number(position)));
        let Some((first, next)) = deltas else {
            return;
        };
        let end_of_closed = segment.end_offset.min(self.closed.offset);
        let end_offset = next.map_or(end_of_closed, |n| segment.base_offset + i64::from(n));
        let start_offset = segment.base_offset + i64::from(first);
        self.fence(Fence {
            start_offset,
            end_offset,
            stops_appends: false,
            is_lost: false,
        });
    }

    /// The batches `request` wants out of checked bytes (`parts` as for `check_granules`).
    ///
    /// # Errors
    /// As `plan_read`; `Corrupt` also for bytes that passed their check and are no batches.
    pub fn batches_in(
        &self,
        read: &DiskRead,
        parts: &[ArenaSlice],
        request: &ReadRequest,
        spare: &mut SpareVecs,
    ) -> Result<FoundBatches, ReadError> {
        if request.offset < self.log_start {
            return Err(ReadError::OutOfRange {
                offset: request.offset,
                log_start: self.log_start,
                log_end: self.appended.offset,
            });
        }
        let corrupt = ReadError::Corrupt {
            offset: read.offset,
        };
        // What passed the check here may have been fenced by another read meanwhile.
        let limit = self.fence_limit(read.offset, self.bound(request.bound).offset);
        let limit = limit
            .unwrap_or(i64::MAX)
            .min(self.bound(request.bound).offset);
        let view = PartsView::of(read, parts);
        let mut start = None;
        let mut at = read.walk_from;
        let mut next_offset = request.offset;
        while let Some(header) = self.header_across(read, &view, at) {
            let header = header.ok_or(corrupt)?;
            let end = at + u64::from(header.batch_bytes);
            if header.end_offset() <= read.offset {
                at = end;
                continue;
            }
            let first = *start.get_or_insert(at);
            let is_first = first == at;
            let is_too_much = (end - first) as usize > request.bytes_max && !is_first;
            if header.base_offset >= limit || is_too_much {
                break;
            }
            if end > read.data_end {
                if is_first {
                    return self.first_batch_split(read, at..end, &view, &header, spare);
                }
                break;
            }
            next_offset = header.end_offset();
            at = end;
        }
        let Some(start) = start else {
            // Offsets are missing here (a crash of a relaxed class left a gap): the batch behind
            // the gap lies further on, perhaps in memory.
            if let Some(position) = self.log_position(read, at)
                && let Ok(Found::InMemory(start)) = self.walk_in_memory(position, read.offset)
            {
                let bound = self.bound(request.bound);
                let batches = self.take_from_memory(start, limit, bound, request, spare)?;
                return Ok(FoundBatches::Found(batches));
            }
            return self.need_more(read, at, at + HEADER_BYTES as u64);
        };
        let mut found = spare.take();
        view.slices(start..at, &mut found);
        Ok(FoundBatches::Found(ReadBatches {
            parts: found,
            bytes: (at - start) as usize,
            next_offset,
        }))
    }

    /// The header at a file position of the read; its end may be in memory. `None` when it is not
    /// all there, `Some(None)` when it is none.
    fn header_across(
        &self,
        read: &DiskRead,
        view: &PartsView<'_>,
        position: u64,
    ) -> Option<Option<Header>> {
        let mut bytes = [0; HEADER_BYTES];
        let mut done = view.copy_out(position, &mut bytes);
        if done == 0 {
            return None;
        }
        if done < HEADER_BYTES {
            let number = self.segment_of_file(read.file, read.generation)?;
            let behind = self.segments[number].start + position + done as u64;
            done += self.tail.copy_out(behind, &mut bytes[done..]);
        }
        (done == HEADER_BYTES).then(|| Header::parse(&bytes).ok())
    }

    fn log_position(&self, read: &DiskRead, in_file: u64) -> Option<u64> {
        let number = self.segment_of_file(read.file, read.generation)?;
        Some(self.segments[number].start + in_file)
    }

    /// The first batch reaches behind what was read: the rest is in memory, or more must be read.
    fn first_batch_split(
        &self,
        read: &DiskRead,
        batch: Range<u64>,
        view: &PartsView<'_>,
        header: &Header,
        spare: &mut SpareVecs,
    ) -> Result<FoundBatches, ReadError> {
        if let Some(number) = self.segment_of_file(read.file, read.generation) {
            let start = self.segments[number].start;
            let (from, to) = (start + read.data_end, start + batch.end);
            if self.tail.covers(from, to) {
                let mut parts = spare.take();
                view.slices(batch.start..read.data_end, &mut parts);
                self.tail.slices(from, to, &mut parts);
                return Ok(FoundBatches::Found(ReadBatches {
                    parts,
                    bytes: (batch.end - batch.start) as usize,
                    next_offset: header.end_offset(),
                }));
            }
        }
        self.need_more(read, batch.start, batch.end)
    }

    fn need_more(
        &self,
        read: &DiskRead,
        walk_from: u64,
        needed_end: u64,
    ) -> Result<FoundBatches, ReadError> {
        let corrupt = ReadError::Corrupt {
            offset: read.offset,
        };
        let Some(number) = self.segment_of_file(read.file, read.generation) else {
            return Err(ReadError::OutOfRange {
                offset: read.offset,
                log_start: self.log_start,
                log_end: self.appended.offset,
            });
        };
        let segment = &self.segments[number];
        let disk_end = self.disk_end.position.min(segment.end) - segment.start;
        if disk_end <= read.data_end {
            return Err(corrupt);
        }
        let needed = segment.start + needed_end.min(disk_end);
        let plan = self.plan_disk_read(
            number,
            segment.start + walk_from,
            read.offset,
            (needed_end - walk_from) as usize,
            Some(needed),
        )?;
        match plan {
            ReadPlan::Disk(more) => Ok(FoundBatches::NeedMore(more)),
            // Its index went meanwhile: the caller begins again.
            _ => Err(ReadError::NoMemory),
        }
    }

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

    /// Largest timestamp of the log and the base offset of the batch that holds it.
    #[must_use]
    pub fn max_timestamp(&self) -> Option<(i64, i64)> {
        let closed = self
            .segments
            .iter()
            .filter(|s| s.max_timestamp >= 0)
            .map(|s| (s.max_timestamp, s.max_timestamp_offset));
        let pending = self.pending().map(|b| (b.max_timestamp, b.base_offset));
        // The first batch that has it.
        closed
            .chain(pending)
            .min_by_key(|&(timestamp, offset)| (-timestamp, offset))
    }
}

/// What an index says.
enum Lookup<T> {
    Found(T),
    /// It lies before everything the index has.
    Before,
    NotLoaded,
}

fn lookup<T>(segment: &Segment, look: impl FnOnce(&SegmentIndex) -> Option<T>) -> Lookup<T> {
    let Some(index) = &segment.index else {
        return Lookup::NotLoaded;
    };
    match look(index) {
        Some(found) => Lookup::Found(found),
        None if index.missing > 0 => Lookup::NotLoaded,
        None => Lookup::Before,
    }
}

fn is_loaded(segment: &Segment) -> bool {
    segment
        .index
        .as_ref()
        .is_some_and(|index| index.missing == 0)
}

fn index_read(segment: &Segment) -> IndexRead {
    IndexRead {
        file: segment.file,
        generation: segment.generation,
        range: 0..u64::from(segment.index_blocks_written) * BLOCK_BYTES,
    }
}

fn offset_delta(segment: &Segment, offset: i64) -> u32 {
    let delta = offset.saturating_sub(segment.base_offset).max(0);
    u32::try_from(delta).unwrap_or(u32::MAX)
}

const fn nothing_at(offset: i64) -> ReadPlan {
    ReadPlan::Ready(ReadBatches {
        parts: Vec::new(),
        bytes: 0,
        next_offset: offset,
    })
}

/// The bytes a disk read brought, by file position, up to where they are records.
struct PartsView<'a> {
    parts: &'a [ArenaSlice],
    start: u64,
    end: u64,
}

impl<'a> PartsView<'a> {
    fn of(read: &DiskRead, parts: &'a [ArenaSlice]) -> Self {
        let bytes: usize = parts.iter().map(|part| part.len()).sum();
        Self {
            parts,
            start: read.range.start,
            end: read.data_end.min(read.range.start + bytes as u64),
        }
    }

    /// Calls `part` with the pieces of `range`; whether all of it was there.
    fn each(&self, range: Range<u64>, mut part: impl FnMut(&'a ArenaSlice, Range<usize>)) -> bool {
        if range.start < self.start || range.end > self.end {
            return false;
        }
        let mut part_start = self.start;
        for slice in self.parts {
            let part_end = part_start + slice.len() as u64;
            let from = range.start.max(part_start);
            let to = range.end.min(part_end);
            if from < to {
                part(
                    slice,
                    (from - part_start) as usize..(to - part_start) as usize,
                );
            }
            part_start = part_end;
        }
        true
    }

    fn crc(&self, range: Range<u64>, mut crc: u32) -> Option<u32> {
        self.each(range, |slice, part| {
            crc = crc32c::crc32c_append(crc, &slice[part]);
        })
        .then_some(crc)
    }

    fn slices(&self, range: Range<u64>, out: &mut Vec<ArenaSlice>) {
        self.each(range, |slice, part| out.push(slice.slice(part)));
    }

    /// Copies bytes from `position` on, as many as there are.
    fn copy_out(&self, position: u64, out: &mut [u8]) -> usize {
        let mut done = 0;
        let end = self.end.min(position.saturating_add(out.len() as u64));
        self.each(position..end.max(position), |slice, part| {
            let part = &slice[part];
            out[done..done + part.len()].copy_from_slice(part);
            done += part.len();
        });
        done
    }
}
