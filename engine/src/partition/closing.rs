//! Closing: what the partition puts into a commit, in order. Seal and roll come before the first
//! entry of the new segment, a leader epoch before the first entry that has it, a log start once
//! the log reaches it.
//!
//! From here on bytes belong to the *closed state*: index, granule checksums and segment ends move
//! with the closed end, so that a checkpoint can take them at any time without reading a byte.

use super::{
    BatchDescriptor, Closed, ClosedEntry, Commit, Control, DiskRead, Durability, End, Fence,
    Partition, ReadError, Unwritten, block_start,
};
use crate::ids::Ticket;
use crate::io::arena::ArenaSlice;
use crate::limits::{BLOCK_BYTES, GRANULE_BYTES};
use crate::planted::{self, Bug};
use crate::segment::granules::{granule_end, granule_number, join_piece};

/// Bytes a descriptor takes in a commit's table, against the caller's bound.
const DESCRIPTOR_BYTES: usize = 64;
/// Offsets a relaxed partition may expose before its next commit, at least.
const CEILING_AHEAD_MIN: i64 = 65_536;
/// Relaxed classes: pending bytes from which a commit is wanted whatever `flush.ms` says.
const RELAXED_PENDING_BYTES_MAX: u64 = 512 * 1024;
/// Commits whose bytes lie within one such stretch are remembered as one, by the oldest.
const UNWRITTEN_STRETCH_BYTES: u64 = 64 * 1024;
/// Vectors for the checksums of runs that a partition keeps for its next ones.
const SPARE_CRCS_MAX: usize = 8;

impl Partition {
    /// When the partition wants a commit: `Some(0)` at once, `Some(ns)` at that monotonic time
    /// (relaxed classes), `None` when it has nothing it could close.
    #[must_use]
    pub fn close_deadline_ns(&self) -> Option<u64> {
        if self.is_segment_control_due() || self.pending_control_due().is_some() {
            return Some(0);
        }
        let first = self.pending().next()?;
        if self.is_tail_block_missing() {
            return None;
        }
        if let Some(run) = self.runs.front() {
            return run.is_written().then_some(0);
        }
        let config = &self.spec.config;
        let records = self.appended.offset - self.closed.offset;
        let is_due = config.durability != Durability::Memory
            || self.exposed_count < self.batches.len()
            || records.cast_unsigned() >= config.flush_messages
            || self.appended.position - self.closed.position >= RELAXED_PENDING_BYTES_MAX;
        let flush_ns = config.flush_ms.saturating_mul(1_000_000);
        Some(if is_due {
            0
        } else {
            first.appended_ns.saturating_add(flush_ns)
        })
    }

    /// Takes the next control record or the next stretch of whole batches into commit `sequence`.
    /// Call until `None`; then the partition has nothing more that fits or may be closed. All that
    /// one commit takes must be closed with the same, ever rising sequence.
    ///
    /// `bytes_max` bounds image and inline bytes and the table's descriptors together (a batch that
    /// does not fit waits for the next commit). `entry` is overwritten when `Closed::Entry` is
    /// returned. Offsets up to `entry.end_offset` are part of the closed state from then on, as are
    /// index, granule checksums and producers: the next checkpoint includes them.
    pub fn close_next(
        &mut self,
        sequence: u64,
        bytes_max: usize,
        entry: &mut ClosedEntry,
    ) -> Option<Closed> {
        if let Some(control) = self.close_control(sequence) {
            self.is_changed = true;
            return Some(Closed::Control(control));
        }
        self.pending().next()?;
        if self.is_tail_block_missing() {
            return None;
        }
        let is_closed = match self.runs.front() {
            Some(run) if run.is_closable() => self.close_run(bytes_max, entry)?,
            Some(_) => return None,
            None => self.close_inline(bytes_max, entry)?,
        };
        self.finish_entry(sequence, is_closed, entry);
        Some(Closed::Entry)
    }

    fn close_control(&mut self, sequence: u64) -> Option<Control> {
        if let Some(control) = self.close_segment_control(sequence) {
            return Some(control);
        }
        let due = self.pending_control_due()?;
        let (control, ticket) = self.pending_controls.remove(due)?;
        match &control {
            Control::LogStart { offset } => {
                self.closed_log_start = self.closed_log_start.max(*offset);
            }
            Control::LeaderEpoch { epoch, .. } => self.closed_epoch = *epoch,
            _ => {}
        }
        self.closed_controls
            .push_back((sequence, control.clone(), ticket));
        Some(control)
    }

    /// The first pending control record that may be closed.
    fn pending_control_due(&self) -> Option<usize> {
        let (first, _) = self.pending_controls.front()?;
        let next_base = self.pending().next().map_or(i64::MAX, |b| b.base_offset);
        let is_due = match first {
            Control::LogStart { offset } => self.closed.offset >= *offset,
            Control::LeaderEpoch { start_offset, .. } => next_base >= *start_offset,
            _ => true,
        };
        is_due.then_some(0)
    }

    /// The segment whose roll or seal comes next.
    fn open_segment(&self) -> Option<usize> {
        let closed = self
            .segments
            .partition_point(crate::segment::Segment::is_closed_whole);
        (closed < self.segments.len()).then_some(closed)
    }

    pub(super) fn is_segment_control_due(&self) -> bool {
        self.open_segment().is_some_and(|number| {
            let segment = &self.segments[number];
            !segment.roll_closed || segment.is_sealed && segment.end == self.closed.position
        })
    }

    fn close_segment_control(&mut self, sequence: u64) -> Option<Control> {
        let number = self.open_segment()?;
        let segment = &self.segments[number];
        let control = if !segment.roll_closed {
            let control = Control::Roll {
                file: segment.file,
                generation: segment.generation,
                base_offset: segment.base_offset,
                file_bytes: segment.file_bytes,
                created_ms: segment.created_ms,
            };
            self.begin_closed_segment(number);
            control
        } else if segment.is_sealed && segment.end == self.closed.position {
            let control = Control::Seal {
                file: segment.file,
                generation: segment.generation,
                length: segment.end - segment.start,
                end_offset: segment.end_offset,
            };
            self.end_closed_segment(number);
            control
        } else {
            return None;
        };
        self.commits.push_back(Commit {
            sequence,
            end: self.closed,
            batch_count: 0,
            ceiling: None,
        });
        self.last_sequence = sequence;
        self.note_unwritten(sequence, self.closed.position);
        Some(control)
    }

    /// The closed end moves behind the identity block of a new segment. Offsets below its first one
    /// are used, also those of batches that were abandoned.
    pub(super) fn begin_closed_segment(&mut self, number: usize) {
        let segment = &self.segments[number];
        self.closed.offset = self.closed.offset.max(segment.base_offset);
        let identity = self.identity(segment).encode();
        self.sum = crc32c::crc32c_append(self.owner(segment).seed(0), &identity);
        self.closed.position = segment.data_start();
        self.segments[number].roll_closed = true;
        self.advance_written();
    }

    /// The last granule of a sealed segment is complete.
    pub(super) fn end_closed_segment(&mut self, number: usize) {
        let sum = self.sum;
        let segment = &mut self.segments[number];
        segment.seal_closed = true;
        let length = segment.end - segment.start;
        if !length.is_multiple_of(GRANULE_BYTES)
            && let Some(index) = &mut segment.index
        {
            index.complete(granule_number(length), sum);
        }
    }

    /// Fills `entry` with the first run; returns the number of batches.
    fn close_run(&mut self, bytes_max: usize, entry: &mut ClosedEntry) -> Option<usize> {
        let run = self.runs.front()?;
        let (start, end, count) = (run.start, run.end, run.batch_count);
        let blocks = run.blocks.clone();
        entry.inline.clear();
        self.tail
            .slices(start, blocks.start.max(start), &mut entry.inline);
        self.tail
            .slices(blocks.end.min(end), end, &mut entry.inline);
        self.attach_image(blocks.start, entry);
        let table_bytes = count * DESCRIPTOR_BYTES + run.crcs.len() * size_of::<u32>();
        if inline_bytes(entry) + table_bytes > bytes_max {
            return None;
        }
        let segment = &self.segments[self.segment_at(start)?];
        entry.placed = segment.in_file(blocks.start)..segment.in_file(blocks.end);
        let first = self.closed_count;
        entry.descriptors.clear();
        entry.descriptors.extend(
            self.batches
                .range(first..first + count)
                .map(super::Batch::descriptor),
        );
        let run = self.runs.pop_front()?;
        let spare = std::mem::replace(&mut entry.placed_crcs, run.crcs);
        if self.spare_crcs.len() < SPARE_CRCS_MAX {
            self.spare_crcs.push(spare);
        }
        Some(count)
    }

    /// Fills `entry` with as many pending batches as fit inline; returns their number.
    fn close_inline(&self, bytes_max: usize, entry: &mut ClosedEntry) -> Option<usize> {
        let start = self.closed.position;
        self.attach_image(u64::MAX, entry);
        let image_bytes: usize = entry.image.iter().map(|part| part.len()).sum();
        let bytes_max = bytes_max.saturating_sub(image_bytes) as u64;
        let epoch_limit = self.next_epoch_start();
        let mut end = start;
        let mut count = 0;
        for batch in self.pending() {
            let fits = batch.position == end
                && batch.end() - start <= bytes_max
                && (count == 0 || batch.base_offset < epoch_limit);
            if !fits {
                break;
            }
            end = batch.end();
            count += 1;
        }
        if count == 0 {
            return None;
        }
        entry.inline.clear();
        let covered = self.tail.slices(start, end, &mut entry.inline);
        debug_assert_eq!(covered, end, "pending bytes are in memory");
        entry.placed = 0..0;
        entry.placed_crcs.clear();
        entry.descriptors.clear();
        Some(count)
    }

    /// Attaches the bytes from the closed end's block start on, if a checkpoint made them due and
    /// the block was not placed whole.
    fn attach_image(&self, placed_from: u64, entry: &mut ClosedEntry) {
        entry.image.clear();
        let from = block_start(self.closed.position);
        if !self.image_due || placed_from <= from || planted::is(Bug::TailImageOmitted) {
            return;
        }
        let to = self.closed.position;
        let covered = self.tail.slices(from, to, &mut entry.image);
        debug_assert_eq!(covered, to, "the tail block is in memory");
    }

    fn finish_entry(&mut self, sequence: u64, count: usize, entry: &mut ClosedEntry) {
        let first = self.batches[self.closed_count];
        let last = self.batches[self.closed_count + count - 1];
        let start = self.closed.position;
        let end = End {
            offset: last.end_offset,
            position: last.end(),
        };
        let number = self.segment_at(start).unwrap_or_default();
        let segment = &mut self.segments[number];
        for batch in self
            .batches
            .range(self.closed_count..self.closed_count + count)
        {
            let offsets = batch.base_offset..batch.end_offset;
            segment.note_closed(batch.position, offsets, batch.max_timestamp);
        }
        entry.handle = self.spec.handle;
        entry.previous_sequence = self.last_sequence;
        entry.base_offset = first.base_offset;
        entry.end_offset = end.offset;
        entry.file = segment.file;
        entry.generation = segment.generation;
        entry.position = segment.in_file(start);
        entry.length = end.position - start;
        let segment_start = segment.start;
        let placed = entry.placed.start + segment_start..entry.placed.end + segment_start;
        if entry.placed.is_empty() {
            self.extend_sum(number, end.position);
        } else {
            self.extend_sum(number, placed.start.max(start));
            self.extend_sum_by_pieces(number, placed.end.min(end.position), &entry.placed_crcs);
            self.extend_sum(number, end.position);
        }
        entry.leader_epoch = self.closed_epoch;
        self.closed = end;
        self.closed_count += count;
        entry.ceiling = self.next_ceiling();
        self.commits.push_back(Commit {
            sequence,
            end,
            batch_count: count,
            ceiling: entry.ceiling,
        });
        self.image_due = false;
        self.last_sequence = sequence;
        self.is_changed = true;
        self.note_unwritten(sequence, start);
    }

    /// The ceiling the entry up to the closed end carries.
    fn next_ceiling(&mut self) -> Option<i64> {
        let ceiling = match self.spec.config.durability {
            Durability::Written | Durability::Memory => {
                let pending = self.appended.offset - self.resolved.offset;
                let ahead = pending.saturating_mul(4).max(CEILING_AHEAD_MIN);
                self.appended.offset.saturating_add(ahead)
            }
            Durability::Disk | Durability::Null if self.closed_ceiling > self.closed.offset => {
                // A relaxed past: what it exposed stays below.
                self.high_watermark.offset.max(self.closed.offset)
            }
            Durability::Disk | Durability::Null => return None,
        };
        self.closed_ceiling = ceiling;
        self.durable_ceiling = self.durable_ceiling.min(ceiling);
        Some(ceiling)
    }

    /// Continues the granule checksums from the closed end up to `to` over bytes in memory.
    pub(super) fn extend_sum(&mut self, number: usize, to: u64) {
        while self.closed.position < to {
            let at = self.closed.position;
            let end = granule_end(at).min(to);
            self.sum = self.tail.crc(at, end, self.sum);
            self.step_sum(number, end);
        }
    }

    /// The same with the checksums of pieces that were placed.
    pub(super) fn extend_sum_by_pieces(&mut self, number: usize, to: u64, pieces: &[u32]) {
        for &piece in pieces {
            let at = self.closed.position;
            let end = granule_end(at).min(to);
            if at >= end {
                break;
            }
            self.sum = join_piece(self.sum, at, piece, end - at);
            self.step_sum(number, end);
        }
    }

    fn step_sum(&mut self, number: usize, end: u64) {
        self.closed.position = end;
        if end.is_multiple_of(GRANULE_BYTES) {
            let segment = &self.segments[number];
            let in_file = segment.in_file(end);
            let seed = self.owner(segment).seed(in_file);
            let sum = std::mem::replace(&mut self.sum, seed);
            if let Some(index) = &mut self.segments[number].index {
                index.complete(granule_number(in_file) - 1, sum);
            }
        }
    }

    /// Remembers which commit holds the bytes from `start` up to the closed end.
    pub(super) fn note_unwritten(&mut self, sequence: u64, start: u64) {
        let end = self.closed.position;
        if let Some(last) = self.unwritten.back_mut()
            && end - last.start <= UNWRITTEN_STRETCH_BYTES
        {
            last.end = end;
            return;
        }
        self.unwritten.push_back(Unwritten {
            sequence,
            start,
            end,
        });
    }

    /// The next entry needs the bytes before the closed end in its block, and they are on disk.
    pub(super) fn is_tail_block_missing(&self) -> bool {
        let end = self.closed.position;
        let first = block_start(end);
        self.image_due
            && first < end
            && self.pending().next().is_some_and(|b| b.position == end)
            && !self.tail.covers(first, end)
    }

    /// The partial block at the log's end is on disk only and the next entry (or write-back) needs
    /// it: read exactly this and give it to `tail_block_loaded`. `None` when not needed.
    #[must_use]
    pub fn tail_block_wanted(&self) -> Option<DiskRead> {
        let is_fenced = self.fences.iter().any(|f| f.stops_appends && !f.is_lost);
        if is_fenced || !self.is_tail_block_missing() {
            return None;
        }
        let segment = &self.segments[self.segment_at(self.closed.position)?];
        Some(self.tail_block(segment))
    }

    /// The partial block at the closed end, as it lies in its segment.
    pub(super) fn tail_block(&self, segment: &crate::segment::Segment) -> DiskRead {
        let end = self.closed.position;
        let first = segment.in_file(block_start(end));
        DiskRead {
            file: segment.file,
            generation: segment.generation,
            range: first..first + BLOCK_BYTES,
            offset: self.closed.offset,
            data_end: segment.in_file(end),
            file_end: segment.in_file(end),
            needed_end: segment.in_file(end),
            walk_from: segment.in_file(end),
            crcs: vec![self.tail_block_crc],
        }
    }

    /// Takes the tail block. Until then `close_next` returns no entry.
    ///
    /// # Errors
    /// `Corrupt`: its bytes fail their checksum; the partition is fenced for appends, and the shard
    /// fails what is pending (`fail`).
    pub fn tail_block_loaded(
        &mut self,
        read: &DiskRead,
        block: ArenaSlice,
    ) -> Result<(), ReadError> {
        if self.tail_block_wanted().as_ref() != Some(read) {
            return Ok(());
        }
        let end = self.closed.position;
        let length = (end - block_start(end)) as usize;
        let whole = block.len() >= length;
        if !whole || crc32c::crc32c(&block[..length]) != self.tail_block_crc {
            return self.tail_block_missing(read);
        }
        self.tail
            .put_front(block_start(end), block.into_part(0..length));
        Ok(())
    }

    /// The file ends before the tail block, or is gone.
    ///
    /// # Errors
    /// `Corrupt`, as for a block that fails its checksum.
    pub fn tail_block_missing(&mut self, read: &DiskRead) -> Result<(), ReadError> {
        if self.tail_block_wanted().as_ref() != Some(read) {
            return Ok(());
        }
        let offset = self.closed.offset;
        self.fence(Fence {
            start_offset: offset - 1,
            end_offset: offset,
            stops_appends: true,
            is_lost: false,
        });
        Err(ReadError::Corrupt { offset: offset - 1 })
    }

    pub(super) fn push_control(&mut self, control: Control, ticket: Ticket) {
        self.pending_controls.push_back((control, ticket));
    }
}

impl super::Run {
    pub(super) const fn is_written(&self) -> bool {
        self.writes_in_flight == 0 && self.planned_to == self.blocks.end
    }

    fn is_closable(&self) -> bool {
        self.is_written() || planted::is(Bug::AckBeforePlaced) && self.planned_to == self.blocks.end
    }
}

impl super::Batch {
    fn descriptor(&self) -> BatchDescriptor {
        let has_producer = !planted::is(Bug::PlacedWithoutProducers);
        BatchDescriptor {
            base_offset: self.base_offset,
            last_offset: self.end_offset - 1,
            bytes: self.bytes,
            max_timestamp: self.max_timestamp,
            producer_id: if has_producer { self.producer_id } else { -1 },
            producer_epoch: self.producer_epoch,
            base_sequence: self.base_sequence,
            attributes: self.attributes,
        }
    }
}

fn inline_bytes(entry: &ClosedEntry) -> usize {
    let parts = entry.inline.iter().chain(&entry.image);
    parts.map(|part| part.len()).sum()
}
