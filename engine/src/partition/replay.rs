//! Recovery: a partition from its checkpoint state and the commits behind it. Inline bytes go back
//! to the tail to be written again, placed ones count as written and are not read.

use super::producers::Sequenced;
use super::state::decode_state;
use super::tail::NoMemory;
use super::{
    BatchDescriptor, Control, DiskRead, End, Fence, NewSegment, Partition, ReplayEntry,
    ReplayError, StateError, block_start,
};
use crate::ids::FileId;
use crate::io::arena::Arena;
use crate::limits::BLOCK_BYTES;
use crate::planted::{self, Bug};
use crate::record_batch::Header;
use crate::segment::Segment;
use crate::segment::file_format::SegmentIdentity;
use std::ops::Range;

impl Partition {
    /// A partition from the state bytes of a checkpoint (as `begin_checkpoint` wrote them, spec
    /// and settings included). Everything up to its end counts as written.
    ///
    /// # Errors
    /// The bytes are damaged.
    pub fn restore(state: &[u8]) -> Result<Self, StateError> {
        decode_state(state)
    }

    /// Applies an append entry of a commit: offsets, index, checksums, producers; inline bytes go
    /// to the tail to be written back, placed ones count as written. Entries come in order, those
    /// of the checkpoint skipped.
    ///
    /// # Errors
    /// `NoMemory` (write back, evict, try again) or `Mismatch`.
    pub fn replay_entry(
        &mut self,
        arena: &mut Arena,
        entry: &ReplayEntry<'_>,
    ) -> Result<(), ReplayError> {
        let number = self.check_continues(entry)?;
        let start = self.segments[number].start;
        let (from, to) = (
            start + entry.position,
            start + entry.position + entry.length,
        );
        let placed = if entry.placed.is_empty() {
            from..from
        } else {
            start + entry.placed.start..start + entry.placed.end
        };
        let head = from..placed.start.max(from);
        self.check_batches(entry)?;
        if let Err(NoMemory(bytes)) = self.put_back(arena, entry, &head, placed.end.max(from)..to) {
            return Err(ReplayError::NoMemory { bytes });
        }
        self.is_recovering = true;
        self.replay_batches(number, entry);
        if !placed.is_empty() {
            self.note_written(placed.clone());
            let segment = &mut self.segments[number];
            segment.prepared = segment.prepared.max(entry.placed.end);
        }
        self.extend_sum(number, head.end);
        self.extend_sum_by_pieces(number, placed.end.max(from), entry.placed_crcs);
        self.extend_sum(number, to);
        let end = End {
            offset: entry.end_offset,
            position: to,
        };
        self.set_all_ends(end);
        self.segments[number].end = to;
        self.segments[number].end_offset = entry.end_offset;
        self.last_sequence = entry.sequence;
        if let Some(ceiling) = entry.ceiling {
            self.closed_ceiling = ceiling;
            self.durable_ceiling = ceiling;
        }
        self.note_unwritten(entry.sequence, from);
        self.advance_written();
        self.is_changed = true;
        Ok(())
    }

    /// What of the block at replay's end is on disk only, though the next entry is written over it:
    /// an entry's image, when the one that brought it is lost. The bytes up to the end are right if
    /// their crc32c is the read's.
    #[must_use]
    pub fn lost_image(&self) -> Option<DiskRead> {
        let end = self.closed.position;
        let first = block_start(end);
        let segment = self.segments.back().filter(|segment| !segment.is_sealed)?;
        let is_missing = first < end && end > segment.data_start() && !self.tail.covers(first, end);
        is_missing.then(|| self.tail_block(segment))
    }

    /// Where replay stands: the active segment's file, its generation, and the position in it at
    /// which the next entry must begin.
    #[must_use]
    pub fn replay_end(&self) -> Option<(FileId, u32, u64)> {
        let segment = self.segments.back().filter(|segment| !segment.is_sealed)?;
        let position = segment.in_file(self.closed.position);
        Some((segment.file, segment.generation, position))
    }

    fn mismatch(&self, problem: impl Into<String>) -> ReplayError {
        ReplayError::Mismatch {
            handle: self.spec.handle,
            problem: problem.into(),
        }
    }

    /// The active segment, if the entry goes on exactly where it ends.
    fn check_continues(&self, entry: &ReplayEntry<'_>) -> Result<usize, ReplayError> {
        let number = self.segments.len().checked_sub(1);
        let Some(number) = number.filter(|&n| !self.segments[n].is_sealed) else {
            return Err(self.mismatch("an entry without an active segment"));
        };
        let segment = &self.segments[number];
        if (segment.file, segment.generation) != (entry.file, entry.generation) {
            return Err(self.mismatch(format!(
                "an entry in {:?}.{}, the active segment is {:?}.{}",
                entry.file, entry.generation, segment.file, segment.generation
            )));
        }
        let end = segment.in_file(self.closed.position);
        if entry.position != end || entry.base_offset < self.closed.offset {
            return Err(self.mismatch(format!(
                "an entry at position {} offset {}, the log ends at {} and {}",
                entry.position, entry.base_offset, end, self.closed.offset
            )));
        }
        let entry_end = entry.position.checked_add(entry.length);
        let is_sound = entry.end_offset > entry.base_offset
            && entry_end.is_some_and(|end| end <= segment.file_bytes)
            && self.is_placed_sound(entry);
        if !is_sound {
            return Err(self.mismatch("an entry that contradicts itself"));
        }
        Ok(number)
    }

    fn is_placed_sound(&self, entry: &ReplayEntry<'_>) -> bool {
        let placed = &entry.placed;
        if placed.start >= placed.end {
            return entry.inline.len() as u64 == entry.length;
        }
        let end = entry.position + entry.length;
        let from = placed.start.max(entry.position);
        let granules = (from / crate::limits::GRANULE_BYTES)
            ..placed.end.div_ceil(crate::limits::GRANULE_BYTES);
        placed.start >= block_start(entry.position)
            && (placed.end <= end || planted::is(Bug::PlacedEndRoundedUp))
            && placed.start.is_multiple_of(BLOCK_BYTES)
            && placed.end.is_multiple_of(BLOCK_BYTES)
            && granules.end - granules.start == entry.placed_crcs.len() as u64
            && entry.inline.len() as u64 == (from - entry.position) + end.saturating_sub(placed.end)
    }

    /// Inline bytes must be whole batches that fit the entry, descriptors too.
    fn check_batches(&self, entry: &ReplayEntry<'_>) -> Result<(), ReplayError> {
        let mut end_offset = entry.base_offset;
        let mut bytes = 0u64;
        let mut is_sound = true;
        each_batch(entry, |batch| {
            is_sound &= batch.is_some_and(|batch| {
                let follows =
                    batch.base_offset >= end_offset && batch.last_offset >= batch.base_offset;
                end_offset = batch.last_offset.saturating_add(1);
                bytes += u64::from(batch.bytes);
                follows
            });
        });
        if is_sound && bytes == entry.length && end_offset == entry.end_offset {
            Ok(())
        } else {
            Err(self.mismatch("an entry whose batches do not add up to it"))
        }
    }

    fn put_back(
        &mut self,
        arena: &mut Arena,
        entry: &ReplayEntry<'_>,
        head: &Range<u64>,
        rest: Range<u64>,
    ) -> Result<(), NoMemory> {
        let first = block_start(head.start);
        let image_missing = !entry.image.is_empty() && !self.tail.covers(first, head.start);
        let undo_to = if image_missing { first } else { head.start };
        let (head_bytes, rest_bytes) = entry.inline.split_at((head.end - head.start) as usize);
        let mut put = || {
            if image_missing {
                self.tail.put_back(arena, first, entry.image)?;
            }
            self.tail.put_back(arena, head.start, head_bytes)?;
            self.tail.put_back(arena, rest.start, rest_bytes)
        };
        let result = put();
        if result.is_err() {
            self.tail.cut(undo_to);
        }
        result
    }

    fn replay_batches(&mut self, number: usize, entry: &ReplayEntry<'_>) {
        let mut position = self.closed.position;
        let created_ms = self.segments[number].created_ms;
        each_batch(entry, |batch| {
            let Some(batch) = batch else { return };
            let offsets = batch.base_offset..batch.last_offset + 1;
            self.segments[number].note_closed(position, offsets, batch.max_timestamp);
            let sequenced = Sequenced {
                producer_id: batch.producer_id,
                epoch: batch.producer_epoch,
                base_sequence: batch.base_sequence,
                record_count: batch.last_offset - batch.base_offset + 1,
            };
            let end_offset = batch.last_offset + 1;
            // Time did not stand still for the producer: what it wrote tells when it was alive.
            let last_ms = batch.max_timestamp.max(created_ms);
            self.producers
                .note(sequenced, batch.base_offset, end_offset, last_ms);
            position += u64::from(batch.bytes);
        });
    }

    /// Applies a control record of a commit.
    ///
    /// # Errors
    /// `Mismatch`.
    pub fn replay_control(&mut self, sequence: u64, control: &Control) -> Result<(), ReplayError> {
        self.is_changed = true;
        self.is_recovering = true;
        match *control {
            Control::Roll {
                file,
                generation,
                base_offset,
                file_bytes,
                created_ms,
            } => {
                if self.active().is_some() || base_offset < self.closed.offset {
                    return Err(self.mismatch(format!("a roll to {file:?} at {base_offset}")));
                }
                let segment = NewSegment {
                    file,
                    generation,
                    file_bytes,
                    prepared: 0,
                };
                self.push_segment(segment, base_offset, created_ms);
                self.begin_closed_segment(self.segments.len() - 1);
                self.set_all_ends(self.closed);
                self.note_unwritten(sequence, self.closed.position - BLOCK_BYTES);
                self.last_sequence = sequence;
            }
            Control::Seal {
                file,
                generation,
                length,
                ..
            } => {
                let fits = |s: &&Segment| {
                    (s.file, s.generation, s.end - s.start) == (file, generation, length)
                };
                if self.active().filter(fits).is_none() {
                    return Err(self.mismatch(format!("a seal of {file:?} at {length}")));
                }
                self.seal();
                self.end_closed_segment(self.segments.len() - 1);
                self.last_sequence = sequence;
                self.drop_segments();
            }
            Control::LogStart { offset } => self.replay_log_start(offset),
            Control::LeaderEpoch {
                epoch,
                start_offset,
            } => {
                self.leader_epochs.begin(epoch, start_offset);
                self.closed_epoch = self.leader_epochs.current();
            }
            Control::Quarantine { fence } => {
                self.add_fence(fence);
            }
            Control::AcceptLoss { fence } => self.replay_accepted_loss(&fence),
            Control::Swap(swap) => {
                if !self.apply_swap(&swap) {
                    return Err(self.mismatch(format!("a swap of {:?}", swap.old)));
                }
            }
        }
        Ok(())
    }

    /// Records from the log's end to `end_offset` are lost for good: their offsets are never given
    /// out again, readers of them are told, and appends wait until the loss is accepted.
    pub fn replay_loss(&mut self, end_offset: i64) {
        let start_offset = self.closed.offset;
        if end_offset <= start_offset {
            return;
        }
        self.set_all_ends(End {
            offset: end_offset,
            position: self.closed.position,
        });
        self.fence_replayed(Fence {
            start_offset,
            end_offset,
            stops_appends: true,
            is_lost: false,
        });
    }

    /// Fences a range that a commit should have held. The checkpoint that ends recovery makes it
    /// durable: a record of its own would keep the partition from coming to rest before that.
    pub fn fence_replayed(&mut self, fence: Fence) {
        self.is_changed = true;
        self.add_fence(fence);
    }

    /// Files that are still to be written to and are not there, by their identities, with their
    /// prepared sizes: zeros in their place take what is written, and what was in them fails its
    /// checks.
    pub fn missing_files<'a>(
        &'a self,
        is_there: impl Fn(FileId) -> bool + 'a,
    ) -> impl Iterator<Item = (SegmentIdentity, u64)> + 'a {
        let is_wanted = |s: &&Segment| !s.is_sealed || s.end > self.written_end;
        let segments = self.segments.iter().filter(is_wanted);
        segments
            .filter(move |segment| segment.prepared > 0 && !is_there(segment.file))
            .map(|segment| (self.identity(segment), segment.prepared))
    }

    fn replay_log_start(&mut self, offset: i64) {
        self.log_start = self.log_start.max(offset);
        self.closed_log_start = self.log_start;
        self.asked_log_start = self.log_start;
        self.leader_epochs.forget_below(self.log_start);
        self.drop_segments();
    }

    fn replay_accepted_loss(&mut self, fence: &Fence) {
        for known in &mut self.fences {
            if known.start_offset >= fence.start_offset && known.end_offset <= fence.end_offset {
                known.is_lost = true;
                known.stops_appends = false;
            }
        }
    }

    /// Ends replay, before the recovery checkpoint and before anything is read or appended. After
    /// an unclean stop the leader epoch rises by one and a relaxed partition goes on at its
    /// ceiling. Then perform `plan_write_back` until the checkpoint is flushed as always.
    pub fn finish_recovery(&mut self, is_clean: bool) {
        if is_clean {
            return;
        }
        if self.closed_ceiling > self.closed.offset && !planted::is(Bug::RelaxedOffsetsReused) {
            self.set_all_ends(End {
                offset: self.closed_ceiling,
                position: self.closed.position,
            });
        }
        let epoch = self.leader_epochs.current() + 1;
        self.leader_epochs.begin(epoch, self.closed.offset);
        self.closed_epoch = epoch;
        self.is_changed = true;
    }
}

/// Calls `visit` with what each batch of the entry was; with `None` and then no more when the
/// inline bytes are not whole batches.
fn each_batch(entry: &ReplayEntry<'_>, mut visit: impl FnMut(Option<BatchDescriptor>)) {
    if entry.placed.start < entry.placed.end {
        entry.descriptors.iter().copied().map(Some).for_each(visit);
        return;
    }
    let mut rest = entry.inline;
    while !rest.is_empty() {
        let header = Header::parse(rest).ok();
        let Some(header) = header.filter(|h| h.batch_bytes as usize <= rest.len()) else {
            visit(None);
            return;
        };
        visit(Some(BatchDescriptor {
            base_offset: header.base_offset,
            last_offset: header.last_offset(),
            bytes: header.batch_bytes,
            max_timestamp: header.max_timestamp,
            producer_id: header.producer_id,
            producer_epoch: header.producer_epoch,
            base_sequence: header.base_sequence,
            attributes: header.attributes,
        }));
        rest = &rest[header.batch_bytes as usize..];
    }
}
