//! Write-back, the part of the checkpoint that is the partition's, and memory.
//!
//! INVARIANT: a block is written whole and once, with two exceptions: the partial last block for a
//! checkpoint, and that block again when it gained bytes, which the live journal then holds with
//! an image of the older ones. Only resolved bytes are written back; no two writes in flight
//! touch one block; `written_end` passes only bytes that are durable in the file.

use super::state::encode_state;
use super::{
    InFlight, Partition, SegmentWrite, SpareVecs, WriteBackNeed, WriteKind, WriteTarget, block_end,
    block_start,
};
use crate::io::arena::{Arena, ArenaSlice};
use crate::limits::{BLOCK_BYTES, GRANULE_BYTES, SEGMENT_DATA_START, WRITE_BYTES_MAX};
use crate::planted::{self, Bug};
use crate::segment::Segment;
use crate::segment::file_format::{INDEX_BLOCK_ENTRIES, encode_index_block};
use crate::segment::granules::granule_start;
use std::ops::Range;

/// Smaller writes wait for more, unless somebody needs them.
const WRITE_BACK_BYTES_MIN: u64 = 64 * 1024;
/// Index blocks per write.
const INDEX_BLOCKS_MAX: u32 = 64;
const BLOCK: usize = BLOCK_BYTES as usize;

/// Checkpoint.
impl Partition {
    /// Appends the state as of the closed end to `out` and makes a tail image due for the next
    /// entry. Call it for all partitions in one turn (S = last sequence given to any of them);
    /// then let `plan_write_back` run until `is_checkpoint_flushed` and resolved >= S, write the
    /// record with these bytes, and call `end_checkpoint`. One checkpoint at a time.
    pub fn begin_checkpoint(&mut self, out: &mut Vec<u8>) {
        self.refresh_tail_block_crc();
        encode_state(self, out);
        self.image_due = true;
        self.checkpoint_end = Some(self.closed.position);
        self.checkpoint_sealed = self.sealed_position();
        self.is_changed = false;
        let (first, end) = (block_start(self.written_end), self.written_end);
        if planted::is(Bug::UnchangedTailFlushed)
            && end == self.closed.position
            && self.tail.covers(first, end)
        {
            self.written_end = first;
        }
    }

    /// Whether all bytes up to the checkpoint's end are in the segment files. True without a
    /// checkpoint.
    #[must_use]
    pub fn is_checkpoint_flushed(&self) -> bool {
        self.checkpoint_end
            .is_none_or(|end| end <= self.written_end)
    }

    /// The checkpoint is durable (both copies).
    pub fn end_checkpoint(&mut self) {
        debug_assert!(self.is_checkpoint_flushed());
        self.checkpoint_end = None;
        self.durable_sealed = self.durable_sealed.max(self.checkpoint_sealed);
        if std::mem::take(&mut self.is_recovering) {
            // Placed bytes of the replayed commits are not in memory: read all of it from disk.
            self.evict(usize::MAX);
        }
    }

    /// Whether something closed since the last checkpoint began (the state bytes would differ), so
    /// that an unchanged partition can be skipped or its old bytes reused.
    #[must_use]
    pub const fn is_changed(&self) -> bool {
        self.is_changed
    }

    fn refresh_tail_block_crc(&mut self) {
        let end = self.closed.position;
        let first = block_start(end);
        if self.tail.covers(first, end) {
            self.tail_block_crc = self.tail.crc(first, end, 0);
        }
    }
}

/// Write-back.
impl Partition {
    /// The next write-back: resolved bytes only, whole blocks that gained bytes (a partial last
    /// block, zero-padded from a copy, only for a checkpoint or at the end of a sealed segment),
    /// never over placed blocks or writes in flight, oldest first, at most 1 MiB. A checkpoint
    /// that waits makes any size worth it. Call until `None`, bounded by the shard's depth.
    pub fn plan_write_back(
        &mut self,
        arena: &mut Arena,
        need: WriteBackNeed,
        spare: &mut SpareVecs,
    ) -> Option<SegmentWrite> {
        self.advance_written();
        let mut from = self.written_end;
        loop {
            let number = self.segment_at(from)?;
            let segment = &self.segments[number];
            if from >= segment.end && segment.is_sealed {
                from = self.segments.get(number + 1)?.start;
                continue;
            }
            let gap = self.next_gap(number, from)?;
            if gap.is_empty() {
                from = segment.end;
                if segment.is_sealed {
                    continue;
                }
                return None;
            }
            if !self.is_worth_writing(number, &gap, need) {
                return None;
            }
            return self.plan_gap(arena, number, gap, spare);
        }
    }

    /// The next stretch of the segment to write: unwritten, not in flight, not placed, resolved.
    /// Empty when the segment has none; `None` when a write in flight must end first.
    fn next_gap(&self, number: usize, from: u64) -> Option<Range<u64>> {
        let segment = &self.segments[number];
        let target = self.write_target(segment);
        let mut start = from.max(segment.data_start());
        loop {
            let block = block_start(start);
            let covering = |r: &&Range<u64>| r.start <= block && r.end > start;
            let Some(range) = self.taken_ranges().find(covering) else {
                break;
            };
            start = range.end;
        }
        if start >= target {
            return Some(target..target);
        }
        let is_taken =
            |r: &&Range<u64>| r.start < block_end(start + 1) && r.end > block_start(start);
        if self
            .in_flight
            .iter()
            .map(|w| &w.range)
            .any(|r| is_taken(&r))
        {
            return None;
        }
        let next_taken = self
            .taken_ranges()
            .map(|range| range.start)
            .filter(|&taken| taken > start)
            .min();
        let prepared = segment.start + segment.prepared / BLOCK_BYTES * BLOCK_BYTES;
        let end = target
            .min(next_taken.unwrap_or(u64::MAX))
            .min(block_start(start) + WRITE_BYTES_MAX)
            .min(prepared);
        (end > start).then_some(start..end)
    }

    /// Ranges that write-back leaves alone.
    fn taken_ranges(&self) -> impl Iterator<Item = &Range<u64>> {
        let forgets_placed = planted::is(Bug::WriteBackRewritesPlaced);
        let in_flight = self.in_flight.iter().map(|write| &write.range);
        let runs = self.runs.iter().map(|run| &run.blocks);
        in_flight
            .chain(runs)
            .chain(&self.written_ranges)
            .filter(move |range| !forgets_placed && !range.is_empty())
    }

    /// Up to where the segment's bytes may be written.
    fn write_target(&self, segment: &Segment) -> u64 {
        let resolved = match planted::is(Bug::CheckpointUnresolvedEnds) {
            true => self.closed.position,
            false => self.resolved.position,
        };
        if segment.is_sealed && resolved >= segment.end {
            return segment.end;
        }
        let whole_blocks = block_start(resolved.min(segment.end));
        match self.checkpoint_end {
            Some(cut) if cut <= resolved && cut <= segment.end => whole_blocks.max(cut),
            _ => whole_blocks,
        }
    }

    fn is_worth_writing(&self, number: usize, gap: &Range<u64>, need: WriteBackNeed) -> bool {
        let segment = &self.segments[number];
        need == WriteBackNeed::Any
            || gap.end - block_start(gap.start) >= WRITE_BACK_BYTES_MIN
            || self.checkpoint_end.is_some_and(|cut| gap.start < cut)
            || segment.is_sealed && gap.end == segment.end
            || self.taken_ranges().any(|range| range.start == gap.end)
    }

    fn plan_gap(
        &mut self,
        arena: &mut Arena,
        number: usize,
        gap: Range<u64>,
        spare: &mut SpareVecs,
    ) -> Option<SegmentWrite> {
        let from = block_start(gap.start);
        let mut parts = spare.take();
        let gathered = self.gather(arena, number, from..gap.end, &mut parts);
        if gathered <= gap.start {
            self.is_memory_wanted = true;
            spare.give(parts);
            return None;
        }
        let id = self.next_write_id();
        self.in_flight.push(InFlight {
            id,
            kind: WriteKind::WriteBack,
            range: from..gathered,
        });
        let segment = &self.segments[number];
        Some(SegmentWrite {
            file: segment.file,
            generation: segment.generation,
            target: WriteTarget::Records,
            position: segment.in_file(from),
            parts,
            bytes: block_end(gathered) - from,
            id,
        })
    }

    /// Collects block-aligned slices of the bytes in `range` (which begins at a block): whole
    /// blocks as they lie in memory, others copied into a zero-padded block. Returns up to where it
    /// came: less than asked for when memory for a copy is short.
    pub(super) fn gather(
        &self,
        arena: &mut Arena,
        number: usize,
        range: Range<u64>,
        parts: &mut Vec<ArenaSlice>,
    ) -> u64 {
        debug_assert!(range.start >= self.segments[number].data_start());
        let mut at = range.start;
        while at < range.end {
            let whole_to = self.gather_whole(at, block_start(range.end), parts);
            if whole_to > at {
                at = whole_to;
                continue;
            }
            let Some(mut copy) = arena.alloc(BLOCK) else {
                return at;
            };
            let bytes = (range.end - at).min(BLOCK_BYTES) as usize;
            copy.extend_zeroed(BLOCK);
            let found = self.tail.copy_out(at, &mut copy[..bytes]);
            debug_assert!(
                found == bytes || planted::is(Bug::PlacedEndRoundedUp),
                "bytes above the written end are in memory"
            );
            parts.push(copy.freeze());
            at += bytes as u64;
        }
        at
    }

    /// Takes the whole blocks of `[from, to)` that one extent holds; returns where they end.
    fn gather_whole(&self, from: u64, to: u64, parts: &mut Vec<ArenaSlice>) -> u64 {
        let extents = self.tail.extents();
        let first = extents.partition_point(|extent| extent.end() <= from);
        let Some(extent) = extents.get(first).filter(|e| e.position <= from) else {
            return from;
        };
        let end = block_start(extent.end()).min(to);
        let start = (from - extent.position) as usize;
        let is_aligned = (extent.slice.address() + start).is_multiple_of(BLOCK);
        if end <= from || !is_aligned {
            return from;
        }
        let part = extent.slice.slice(start..start + (end - from) as usize);
        parts.push(part);
        end
    }

    /// A planned write (placed, write-back or index) completed whole and is durable.
    pub fn write_done(&mut self, id: u64) {
        let Some(found) = self.in_flight.iter().position(|write| write.id == id) else {
            return;
        };
        let write = self.in_flight.swap_remove(found);
        match write.kind {
            WriteKind::Index {
                file,
                generation,
                blocks_end,
            } => {
                // The segment may be gone, and its file may be the next one's.
                if let Some(number) = self.segment_of_file(file, generation) {
                    let segment = &mut self.segments[number];
                    segment.index_blocks_written = blocks_end;
                    segment.index_write_in_flight = false;
                }
                return;
            }
            WriteKind::Placed => {
                let holds = |run: &&mut super::Run| {
                    run.blocks.start <= write.range.start && write.range.end <= run.blocks.end
                };
                if let Some(run) = self.runs.iter_mut().find(holds) {
                    run.writes_in_flight -= 1;
                }
            }
            WriteKind::WriteBack => {}
        }
        self.note_written(write.range);
    }

    pub(super) fn note_written(&mut self, range: Range<u64>) {
        self.written_ranges.push(range);
        self.advance_written();
    }

    /// Moves `written_end` over what was written behind it, over segment ends, and over identity
    /// blocks, which are written when their file is made.
    pub(super) fn advance_written(&mut self) {
        loop {
            let end = self.written_end;
            if let Some(number) = self.segment_at(end)
                && end < self.segments[number].data_start()
            {
                self.written_end = self.segments[number].data_start();
                continue;
            }
            let adjoining = self.written_ranges.iter().position(|r| r.start <= end);
            if let Some(adjoining) = adjoining {
                let range = self.written_ranges.swap_remove(adjoining);
                self.written_end = end.max(range.end);
                continue;
            }
            let next = self.segments.partition_point(|s| s.start <= end);
            let is_at_end = match next.checked_sub(1) {
                Some(number) => self.segments[number].is_sealed && self.segments[number].end <= end,
                None => true,
            };
            match self.segments.get(next) {
                Some(segment) if is_at_end => self.written_end = segment.start,
                _ => break,
            }
        }
        let end = self.written_end;
        while self.unwritten.front().is_some_and(|mark| mark.end <= end) {
            self.unwritten.pop_front();
        }
    }

    /// Sequence of the oldest commit with bytes that are not yet in a segment: what write-back is
    /// ordered by.
    #[must_use]
    pub fn oldest_unwritten_sequence(&self) -> Option<u64> {
        self.unwritten.front().map(|mark| mark.sequence)
    }

    /// Bytes appended and not yet in segments.
    #[must_use]
    pub fn unwritten_bytes(&self) -> u64 {
        let above: u64 = self.written_ranges.iter().map(|r| r.end - r.start).sum();
        let behind = self.appended.position.saturating_sub(self.written_end);
        behind.saturating_sub(above)
    }

    /// Whether a write was not planned since the last call because memory for it was short: nothing
    /// the partition hears of tells when there is some, so it must be asked again.
    pub const fn take_memory_wanted(&mut self) -> bool {
        std::mem::replace(&mut self.is_memory_wanted, false)
    }

    /// Writes in flight (any kind).
    #[must_use]
    pub const fn writes_in_flight(&self) -> usize {
        self.in_flight.len()
    }
}

/// Index files.
impl Partition {
    /// The next write to an `.idx` file: full blocks of the active segment's index, or the rest of
    /// a sealed one's whose records are all written.
    pub fn plan_index_write(
        &mut self,
        arena: &mut Arena,
        spare: &mut SpareVecs,
    ) -> Option<SegmentWrite> {
        let stable = self.stable_end();
        let number = self.segments.iter().position(|segment| {
            !segment.index_write_in_flight
                && segment.index.is_some()
                && index_blocks_ready(segment, stable) > segment.index_blocks_written
        })?;
        let segment = &self.segments[number];
        let from = segment.index_blocks_written;
        let to = index_blocks_ready(segment, stable).min(from + INDEX_BLOCKS_MAX);
        let bytes = (to - from) as usize * BLOCK;
        let Some(mut buf) = arena.alloc(bytes) else {
            self.is_memory_wanted = true;
            return None;
        };
        let owner = self.owner(segment);
        let index = segment.index.as_deref()?;
        for block in from..to {
            buf.extend_from_slice(&encode_index_block(&owner, index, block));
        }
        let (file, generation) = (segment.file, segment.generation);
        let id = self.next_write_id();
        self.in_flight.push(InFlight {
            id,
            kind: WriteKind::Index {
                file,
                generation,
                blocks_end: to,
            },
            range: 0..0,
        });
        self.segments[number].index_write_in_flight = true;
        let mut parts = spare.take();
        parts.push(buf.freeze());
        Some(SegmentWrite {
            file,
            generation,
            target: WriteTarget::Index,
            position: u64::from(from) * BLOCK_BYTES,
            parts,
            bytes: bytes as u64,
            id,
        })
    }

    /// Gives up the indexes of sealed segments that are in their `.idx` files. Returns bytes freed.
    pub fn evict_indexes(&mut self) -> usize {
        let mut freed = 0;
        for segment in &mut self.segments {
            let is_written = segment.is_closed_whole()
                && !segment.index_write_in_flight
                && segment.index_blocks_written == segment.index_block_count();
            if is_written && let Some(index) = segment.index.take() {
                freed += index.heap_bytes();
            }
        }
        freed
    }
}

/// Index blocks that may be written: their granules are complete, in the file and resolved.
fn index_blocks_ready(segment: &Segment, stable_end: u64) -> u32 {
    if segment.is_closed_whole() && stable_end >= segment.end {
        return segment.index_block_count();
    }
    let granules = stable_end.saturating_sub(segment.start) / GRANULE_BYTES;
    let complete = segment.index.as_ref().map_or(0, |index| index.complete);
    (granules as u32).min(complete) / INDEX_BLOCK_ENTRIES as u32
}

/// Memory.
impl Partition {
    /// End of the bytes that are relied on: in the file and resolved.
    pub(super) fn stable_end(&self) -> u64 {
        self.written_end.min(self.resolved.position)
    }

    fn is_all_written(&self) -> bool {
        self.written_end >= self.appended.position && !self.is_awaiting_commit()
    }

    /// Arena memory held, in whole blocks.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.tail.memory_bytes()
    }

    /// Gives up cached tail bytes that are in segments, oldest first, until `bytes` are freed or
    /// nothing more can be; `usize::MAX` also gives up the chunk of an idle partition. Returns
    /// bytes freed.
    pub fn evict(&mut self, bytes: usize) -> usize {
        let before = self.tail.memory_bytes();
        let is_all_written = self.is_all_written();
        let whole_granules = granule_start(self.stable_end());
        if is_all_written {
            self.refresh_tail_block_crc();
        }
        let mut freed = 0;
        while freed < bytes
            && let Some(extent) = self.tail.extents().front()
        {
            if extent.end() <= whole_granules {
                if self.disk_end.position < whole_granules {
                    self.disk_end = super::DiskEnd {
                        position: whole_granules,
                        crc: 0,
                        offset: None,
                    };
                }
            } else if is_all_written {
                self.disk_end = self.disk_end_at_closed();
            } else {
                break;
            }
            freed += self.tail.pop_front().unwrap_or_default();
        }
        let mut uncounted = 0;
        if is_all_written && self.tail.front().is_none() {
            uncounted = self.tail.give_up_last_chunk();
            // Placed bytes of a recovery were never in memory: no extent told of them.
            self.disk_end = self.disk_end_at_closed();
        }
        if bytes == usize::MAX && is_all_written {
            self.shrink();
        }
        before - self.tail.memory_bytes() + uncounted
    }

    /// As [`Self::evict`], and then also whole blocks of the granule that is not complete yet: with
    /// many partitions these are most of the memory.
    pub fn evict_blocks(&mut self, bytes: usize) -> usize {
        let freed = self.evict(bytes);
        freed + self.evict_within_granule(bytes.saturating_sub(freed))
    }

    fn evict_within_granule(&mut self, bytes: usize) -> usize {
        let stable_end = block_start(self.stable_end());
        let (mut count, mut freed, mut end) = (0, 0, 0);
        for extent in self.tail.extents() {
            if freed >= bytes || extent.end() > stable_end {
                break;
            }
            count += 1;
            freed += extent.charged();
            end = extent.end();
        }
        if count == 0 || !end.is_multiple_of(BLOCK_BYTES) {
            return 0;
        }
        let Some(crc) = self.sum_up_to(end) else {
            return 0;
        };
        if self.disk_end.position < end {
            self.disk_end = super::DiskEnd {
                position: end,
                crc,
                offset: None,
            };
        }
        for _ in 0..count {
            self.tail.pop_front();
        }
        freed
    }

    /// Checksum of the granule of `end` up to `end`, from what is known of the disk's end and from
    /// memory. `None` when neither reaches back to the granule's start, and between segments.
    fn sum_up_to(&self, end: u64) -> Option<u32> {
        let segment = &self.segments[self.segment_at(end)?];
        if end <= segment.data_start() || end >= segment.end {
            return None;
        }
        let first = granule_start(end);
        let disk = self.disk_end;
        let (from, sum) = if disk.position > first && disk.position <= end {
            (disk.position, disk.crc)
        } else if first == segment.start {
            let identity = self.identity(segment).encode();
            let seed = self.owner(segment).seed(0);
            (segment.data_start(), crc32c::crc32c_append(seed, &identity))
        } else {
            (first, self.owner(segment).seed(segment.in_file(first)))
        };
        self.tail
            .covers(from, end)
            .then(|| self.tail.crc(from, end, sum))
    }

    pub(super) const fn disk_end_at_closed(&self) -> super::DiskEnd {
        super::DiskEnd {
            position: self.closed.position,
            crc: self.sum,
            offset: Some(self.closed.offset),
        }
    }

    /// An idle partition keeps nothing but its state.
    fn shrink(&mut self) {
        self.tail.shrink();
        self.batches.shrink_to_fit();
        self.commits.shrink_to_fit();
        self.pending_controls.shrink_to_fit();
        self.closed_controls.shrink_to_fit();
        self.runs.shrink_to_fit();
        self.spare_crcs = Vec::new();
        self.in_flight.shrink_to_fit();
        self.written_ranges.shrink_to_fit();
        self.unwritten.shrink_to_fit();
    }
}

const _: () = assert!(SEGMENT_DATA_START == BLOCK_BYTES);
