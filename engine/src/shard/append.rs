//! Append: the one way for records into a shard. Step 2 of the append path: after the caller's
//! check of the batch, before placing and commit.
//!
//! INVARIANT: a batch is taken only if its bytes can be kept until they are in a segment: there
//! is room in the ballast or prepared space, the journal is not full, and memory remains for the
//! write-back that frees memory.

use super::lists::Slot;
use super::preparation::Admission;
use super::{Event, Life, Shard};
use crate::ids::{PartitionHandle, Ticket};
use crate::io::Io;
use crate::partition::{AppendContext, AppendError, Appended, BatchBytes, Durability, Now};
use crate::record_batch::Header;

/// Appends stop when the live journal takes more than this share of the ring.
const JOURNAL_STOP_PERCENT: u64 = 90;
/// Appends stop when this share of memory is used, and go on below the other.
const MEMORY_STOP_PERCENT: usize = 90;
pub(super) const MEMORY_GO_PERCENT: usize = 80;

impl Shard {
    /// What address remainder modulo 4096 a slab should have to be appended next without a copy.
    #[must_use]
    pub fn append_remainder(&self, handle: PartitionHandle) -> usize {
        self.partitions
            .live(handle)
            .map_or(0, |slot| slot.partition.append_remainder())
    }

    /// Appends one whole batch that `record_batch::check` accepted (its crc is not computed again
    /// here). Offsets are assigned at once; the acknowledgement comes as `AppendAcked(ticket)`
    /// unless `is_acked` says it is given.
    ///
    /// # Errors
    /// See [`AppendError`]; nothing was added, and a slab stays where it was.
    pub fn append(
        &mut self,
        io: &mut Io,
        handle: PartitionHandle,
        bytes: BatchBytes<'_>,
        ticket: Ticket,
    ) -> Result<Appended, AppendError> {
        if self.life != Life::Running {
            return Err(AppendError::Stopped);
        }
        let number = self
            .partitions
            .live_number(handle)
            .ok_or(AppendError::UnknownPartition)?;
        let view: &[u8] = match &bytes {
            BatchBytes::Copy(bytes) => bytes,
            BatchBytes::Slab(slab) => slab.as_deref().unwrap_or_default(),
        };
        let batch_bytes = view.len();
        // Only a caller that did not check its batch can fail here.
        let header = Header::parse(view).map_err(|_| AppendError::TooLarge {
            bytes: batch_bytes,
            max: 0,
        })?;
        self.admit(io, batch_bytes)?;
        self.now = Now {
            ns: io.now_ns(),
            wall_ms: io.wall_ms(),
        };
        self.roll_if_needed(number, batch_bytes);
        let mut context = AppendContext {
            arena: io.arena(),
            now: self.now,
            copied_bytes: 0,
            realigned_bytes: 0,
        };
        let Some(slot) = self.partitions.at_mut(number) else {
            return Err(AppendError::UnknownPartition);
        };
        let appended = slot
            .partition
            .append(&mut context, &header, bytes, ticket)?;
        self.counters.copied_bytes += context.copied_bytes;
        self.counters.realigned_bytes += context.realigned_bytes;
        if !appended.is_duplicate {
            self.counters.batches += 1;
            self.counters.batch_bytes += batch_bytes as u64;
            let exposes_at_once = matches!(
                slot.partition.spec().config.durability,
                Durability::Memory | Durability::Null
            );
            if exposes_at_once && std::mem::take(&mut slot.is_watched) {
                self.events.push(Event::Advanced(handle));
            }
            self.recount(number);
            if header.producer_id >= 0 {
                self.recount_producers(number);
                self.bound_producers();
            }
            self.lists.touch(&mut self.partitions, number);
        }
        Ok(appended)
    }

    fn admit(&mut self, io: &mut Io, batch_bytes: usize) -> Result<(), AppendError> {
        let no_memory = AppendError::NoMemory { bytes: batch_bytes };
        let front = &self.journal.front;
        if front.live_bytes() * 100 > front.shape().usable_bytes() * JOURNAL_STOP_PERCENT {
            return Err(no_memory);
        }
        if self.unresolved_batches >= self.config.unresolved_batches_max {
            return Err(no_memory);
        }
        let arena = io.arena();
        let used = arena.used_bytes() / (arena.capacity_bytes() / 100).max(1);
        if used >= MEMORY_STOP_PERCENT {
            self.is_memory_short = true;
        } else if used < MEMORY_GO_PERCENT {
            self.is_memory_short = false;
        }
        if self.is_memory_short {
            return Err(no_memory);
        }
        match self.preparation.admit(batch_bytes as u64) {
            Admission::Granted => Ok(()),
            Admission::Wait => Err(no_memory),
            Admission::Full => Err(AppendError::DiskFull),
        }
    }

    fn roll_if_needed(&mut self, number: u32, batch_bytes: usize) {
        let Some(slot) = self.partitions.at_mut(number) else {
            return;
        };
        if !slot.partition.roll_needed(batch_bytes, self.now.wall_ms) {
            return;
        }
        let file_bytes = slot.partition.segment_file_bytes(batch_bytes);
        let segment = self.preparation.next_file(slot.owner, file_bytes);
        slot.file_bytes = segment.file_bytes;
        slot.partition.roll(segment, self.now.wall_ms);
        self.counters.rolls += 1;
        self.lists.touch(&mut self.partitions, number);
        self.retain_by_size(number);
    }

    /// Carries a partition's unprepared and unwritten bytes over into the shard's sums.
    pub(super) fn recount(&mut self, number: u32) {
        let Some(slot) = self.partitions.at_mut(number) else {
            return;
        };
        let unprepared = slot.partition.unprepared_bytes();
        if unprepared != slot.unprepared_bytes {
            self.preparation.account(slot.unprepared_bytes, unprepared);
            slot.unprepared_bytes = unprepared;
        }
        let unwritten = slot.partition.unwritten_bytes();
        self.unwritten_bytes = self.unwritten_bytes - slot.unwritten_bytes + unwritten;
        slot.unwritten_bytes = unwritten;
        let batches = slot.partition.unresolved_batches();
        self.unresolved_batches = self.unresolved_batches - slot.unresolved_batches + batches;
        slot.unresolved_batches = batches;
    }

    /// Takes a partition that was removed out of the shard's sums, and off the preparation.
    pub(super) fn uncount(&mut self, io: &mut Io, slot: &Slot) {
        self.preparation.account(slot.unprepared_bytes, 0);
        self.preparation
            .forget_partition(io, &mut self.table, slot.owner.handle);
        self.unwritten_bytes -= slot.unwritten_bytes;
        self.unresolved_batches -= slot.unresolved_batches;
        self.producers -= slot.producers;
    }
}
