//! Reads and questions. What is in memory is answered at once; the rest goes through the cold
//! reads, which check every byte before it is handed out.

use super::cold_reads::{ColdLogs, Env};
use super::file_table::{FileEvent, FileTable, SegmentFile, Want};
use super::lists::Partitions;
use super::token::LogKind;
use super::{Event, IndexNotLoaded, LargestTimestamp, Life, Read, Shard, TimestampSearch};
use crate::ids::{FileId, PartitionHandle, Ticket};
use crate::io::arena::ArenaSlice;
use crate::io::{FileHandle, Io, IoFailure, Op, Outcome};
use crate::limits::STARVED_RETRY_NS;
use crate::partition::{
    DiskRead, FoundBatches, IndexRead, ReadError, ReadPlan, ReadRequest, SpareVecs,
};

/// A read of a partition's partial last block, before its first append after a restart.
#[derive(Debug)]
struct TailRead {
    slot: u32,
    handle: PartitionHandle,
    read: DiskRead,
    is_open: bool,
    /// No memory at the last try.
    is_waiting: bool,
}

/// Reads that are not a client's: tail blocks, and indexes for a search.
#[derive(Debug, Default)]
pub(super) struct Queries {
    tails: Vec<Option<TailRead>>,
    waiting: usize,
    /// When those that wait are tried again.
    retry_at_ns: u64,
    /// Indexes that a search by timestamp wants.
    indexes: Vec<(PartitionHandle, IndexRead)>,
}

/// One read takes or holds at most this part of the shard's buffers.
const READ_MEMORY_DIVISOR: usize = 16;

/// Reads of a partition's last block, 5 ms apart, until it counts as damaged.
const TAIL_TRIES_MAX: u32 = 8;

/// Tickets of index loads: not a caller's.
const INDEX_TICKET: Ticket = Ticket::NONE;

pub(super) struct Logs<'a>(pub(super) &'a mut Partitions);

impl ColdLogs for Logs<'_> {
    fn plan(
        &mut self,
        handle: PartitionHandle,
        request: &ReadRequest,
        spare: &mut SpareVecs,
    ) -> Result<ReadPlan, ReadError> {
        let slot = self.0.live(handle).ok_or(ReadError::UnknownPartition)?;
        slot.partition.plan_read(request, spare)
    }

    fn check(
        &mut self,
        handle: PartitionHandle,
        read: &mut DiskRead,
        parts: &[ArenaSlice],
        sums: &[Option<u32>],
    ) -> Result<(), ReadError> {
        let slot = self.0.live_mut(handle).ok_or(ReadError::UnknownPartition)?;
        slot.partition.check_granules(read, parts, sums)
    }

    fn granule_sum(
        &self,
        handle: PartitionHandle,
        (file, generation): (FileId, u32),
        position: u64,
        bytes: &[u8],
    ) -> Option<u32> {
        let partition = &self.0.live(handle)?.partition;
        Some(partition.granule_sum(file, generation, position, bytes))
    }

    fn batches(
        &mut self,
        handle: PartitionHandle,
        read: &DiskRead,
        parts: &[ArenaSlice],
        request: &ReadRequest,
        spare: &mut SpareVecs,
    ) -> Result<FoundBatches, ReadError> {
        let slot = self.0.live(handle).ok_or(ReadError::UnknownPartition)?;
        slot.partition.batches_in(read, parts, request, spare)
    }

    fn index_loaded(
        &mut self,
        handle: PartitionHandle,
        read: &IndexRead,
        parts: &[ArenaSlice],
    ) -> Result<(), ReadError> {
        let slot = self.0.live_mut(handle).ok_or(ReadError::UnknownPartition)?;
        slot.partition.index_loaded(read, parts)
    }

    fn has_segment(&self, handle: PartitionHandle, file: FileId, generation: u32) -> bool {
        let slot = self.0.live(handle);
        slot.is_some_and(|slot| slot.partition.has_segment(file, generation))
    }
}

impl Queries {
    /// Whether a tail block is on its way.
    pub(super) fn is_busy(&self) -> bool {
        self.tails.iter().any(Option::is_some)
    }

    fn load_index(&mut self, handle: PartitionHandle, read: IndexRead) -> IndexNotLoaded {
        self.indexes.push((handle, read));
        IndexNotLoaded
    }

    /// Reads a partition's partial last block.
    pub(super) fn load_tail(
        &mut self,
        io: &mut Io,
        table: &mut FileTable,
        slot: u32,
        handle: PartitionHandle,
        read: DiskRead,
    ) {
        let index = match self.tails.iter().position(Option::is_none) {
            Some(index) => index,
            None => {
                self.tails.push(None);
                self.tails.len() - 1
            }
        };
        let file = SegmentFile::records(read.file);
        self.tails[index] = Some(TailRead {
            slot,
            handle,
            read,
            is_open: false,
            is_waiting: false,
        });
        let key = LogKind::TailRead.key(index as u64);
        if let Want::Ready(open) = table.want(io, file, key) {
            self.tail_opened(io, index, open);
        }
    }

    fn tail_opened(&mut self, io: &mut Io, index: usize, file: FileHandle) {
        let Some(tail) = self.tails.get_mut(index).and_then(Option::as_mut) else {
            return;
        };
        tail.is_open = true;
        let range = &tail.read.range;
        let bytes = (range.end - range.start) as usize;
        let Some(mut buf) = io.arena().alloc(bytes) else {
            if !tail.is_waiting {
                tail.is_waiting = true;
                self.waiting += 1;
                self.retry_at_ns = io.now_ns().saturating_add(STARVED_RETRY_NS);
            }
            return;
        };
        // A read fills all spare room: leave exactly the wanted bytes.
        let surplus = buf.spare() - bytes;
        buf.skip(surplus);
        if tail.is_waiting {
            tail.is_waiting = false;
            self.waiting -= 1;
        }
        let op = Op::Read {
            file,
            position: range.start,
            buf,
        };
        io.submit(LogKind::TailRead.token(index as u64), op);
    }

    /// When something must be tried again even if nothing happens.
    pub(super) fn next_deadline_ns(&self) -> Option<u64> {
        (self.waiting > 0).then_some(self.retry_at_ns)
    }

    /// Tries again what found no memory.
    fn retry_tails(&mut self, io: &mut Io, table: &mut FileTable) {
        if self.waiting == 0 {
            return;
        }
        self.retry_at_ns = io.now_ns().saturating_add(STARVED_RETRY_NS);
        for index in 0..self.tails.len() {
            let Some(tail) = self.tails[index].as_ref().filter(|tail| tail.is_waiting) else {
                continue;
            };
            let file = SegmentFile::records(tail.read.file);
            let key = LogKind::TailRead.key(index as u64);
            if let Want::Ready(open) = table.want(io, file, key) {
                // The first use is still held.
                table.give_back(io, file);
                self.tail_opened(io, index, open);
            }
        }
    }
}

impl Shard {
    /// Reads whole batches: of `bytes_max` bytes at most, and of a sixteenth of the shard's
    /// buffers, the first batch apart.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn read(
        &mut self,
        io: &mut Io,
        handle: PartitionHandle,
        request: ReadRequest,
        ticket: Ticket,
    ) -> Result<Read, ReadError> {
        let slot = self
            .partitions
            .live(handle)
            .ok_or(ReadError::UnknownPartition)?;
        let share = io.arena().capacity_bytes() / READ_MEMORY_DIVISOR;
        let request = ReadRequest {
            bytes_max: request.bytes_max.min(share),
            ..request
        };
        let plan = slot.partition.plan_read(&request, &mut self.spare)?;
        if let ReadPlan::Ready(batches) = plan {
            return Ok(Read::Ready(batches));
        }
        let mut env = Env {
            io,
            table: &mut self.table,
            logs: &mut Logs(&mut self.partitions),
            spare: &mut self.spare,
        };
        self.cold.start(&mut env, handle, request, plan, ticket);
        Ok(Read::Pending)
    }

    /// Takes back the vector of batches that were sent, so that the next read need not allocate.
    pub fn give_vector(&mut self, parts: Vec<ArenaSlice>) {
        self.spare.give(parts);
    }

    /// Says that `Advanced` is wanted (once) when the high watermark of this partition moves.
    pub fn watch(&mut self, handle: PartitionHandle) {
        if let Some(slot) = self.partitions.live_mut(handle) {
            slot.is_watched = true;
        }
    }

    /// Bytes of a partition's log between log start and log end.
    #[must_use]
    pub fn log_bytes(&self, handle: PartitionHandle) -> Option<u64> {
        Some(self.partitions.live(handle)?.partition.log_bytes())
    }

    /// Where to look for the first record at or after `timestamp_ms`. `None`: no such partition.
    pub fn search_timestamp(
        &mut self,
        handle: PartitionHandle,
        timestamp_ms: i64,
    ) -> Option<Result<TimestampSearch, IndexNotLoaded>> {
        let slot = self.partitions.live(handle)?;
        let found = slot.partition.search_timestamp(timestamp_ms);
        Some(found.map_err(|read| self.queries.load_index(handle, read)))
    }

    /// Where the largest timestamp of the log is. `None`: no such partition.
    pub fn largest_timestamp(
        &mut self,
        handle: PartitionHandle,
    ) -> Option<Result<LargestTimestamp, IndexNotLoaded>> {
        let slot = self.partitions.live(handle)?;
        let found = slot.partition.largest_timestamp();
        Some(found.map_err(|read| self.queries.load_index(handle, read)))
    }

    /// KIP-320: the largest epoch not above `epoch` and the end offset of that epoch.
    #[must_use]
    pub fn end_of_epoch(&self, handle: PartitionHandle, epoch: i32) -> Option<(i32, i64)> {
        self.partitions.live(handle)?.partition.end_of_epoch(epoch)
    }

    /// Ranges of a partition that are fenced after corruption.
    #[must_use]
    pub fn fences(&self, handle: PartitionHandle) -> &[crate::partition::Fence] {
        self.partitions
            .live(handle)
            .map_or(&[], |slot| slot.partition.fences())
    }

    pub(super) fn end_query_turn(&mut self, io: &mut Io) {
        self.queries.retry_tails(io, &mut self.table);
        let mut env = Env {
            io,
            table: &mut self.table,
            logs: &mut Logs(&mut self.partitions),
            spare: &mut self.spare,
        };
        for (handle, read) in self.queries.indexes.drain(..) {
            self.cold.load_index(&mut env, handle, read, INDEX_TICKET);
        }
        self.cold.end_turn(&mut env);
        self.take_finished_reads();
    }

    pub(super) fn take_finished_reads(&mut self) {
        while let Some(done) = self.cold.next_done() {
            if done.ticket == INDEX_TICKET {
                self.events.push(Event::IndexLoaded(done.handle));
            } else {
                if matches!(done.result, Err(ReadError::Corrupt { .. }))
                    && let Some(number) = self.partitions.live_number(done.handle)
                {
                    // The fence goes into the next commit.
                    self.lists.touch(&mut self.partitions, number);
                }
                if done.ticket == Ticket::CLEANER {
                    self.cleaner.has_read(done.result);
                } else {
                    self.events.push(Event::ReadDone(done.ticket, done.result));
                }
            }
        }
    }

    pub(super) fn complete_query(
        &mut self,
        io: &mut Io,
        kind: LogKind,
        index: u64,
        outcome: Outcome,
    ) {
        if kind == LogKind::TailRead {
            self.tail_read(io, index, outcome);
            return;
        }
        let mut env = Env {
            io,
            table: &mut self.table,
            logs: &mut Logs(&mut self.partitions),
            spare: &mut self.spare,
        };
        self.cold.complete(&mut env, index, outcome);
        self.take_finished_reads();
    }

    pub(super) fn query_file_event(
        &mut self,
        io: &mut Io,
        kind: LogKind,
        index: u64,
        event: FileEvent,
    ) {
        let FileEvent::Opened { result, .. } = event else {
            return;
        };
        if kind != LogKind::TailRead {
            let mut env = Env {
                io,
                table: &mut self.table,
                logs: &mut Logs(&mut self.partitions),
                spare: &mut self.spare,
            };
            self.cold.file_event(&mut env, event);
            self.take_finished_reads();
            return;
        }
        match result {
            Ok((file, _)) => self.queries.tail_opened(io, index as usize, file),
            Err(failure) if failure.is_missing_bytes() => {
                if let Some(tail) = self.queries.tails[index as usize].take() {
                    self.tail_ended(&tail, None);
                }
            }
            Err(failure) => {
                self.queries.tails[index as usize] = None;
                self.fail_stop(format!("a partition's last block was not read: {failure}"));
            }
        }
    }

    fn tail_read(&mut self, io: &mut Io, index: u64, outcome: Outcome) {
        let Outcome::Read(buf, result) = outcome else {
            debug_assert!(false, "a read was answered by {outcome:?}");
            return;
        };
        let Some(tail) = self
            .queries
            .tails
            .get_mut(index as usize)
            .and_then(Option::take)
        else {
            return;
        };
        self.table
            .give_back(io, SegmentFile::records(tail.read.file));
        match result {
            Ok(()) => self.tail_ended(&tail, Some(buf.freeze())),
            Err(failure) if failure.is_missing_bytes() => self.tail_ended(&tail, None),
            Err(failure) => self.tail_failed(&tail, failure),
        }
    }

    /// The device did not give a partition's last block: it is tried again, and then counts as
    /// damaged for this partition, so that the others go on.
    fn tail_failed(&mut self, tail: &TailRead, failure: IoFailure) {
        let Some(slot) = self.partitions.same(tail.slot, tail.handle) else {
            return;
        };
        slot.tail_failures += 1;
        if slot.tail_failures < TAIL_TRIES_MAX {
            slot.is_tail_loading = false;
            self.try_later(tail.slot);
            return;
        }
        log::error!(
            "partition {}: its last block was not read in {TAIL_TRIES_MAX} tries: {failure}",
            tail.handle.0
        );
        self.tail_ended(tail, None);
    }

    /// A partition's last block came; `None`: it is not there.
    fn tail_ended(&mut self, tail: &TailRead, block: Option<ArenaSlice>) {
        if self.life == Life::Failed {
            return;
        }
        let Some(slot) = self.partitions.same(tail.slot, tail.handle) else {
            return;
        };
        slot.is_tail_loading = false;
        slot.tail_failures = 0;
        let loaded = match block {
            Some(block) => slot.partition.tail_block_loaded(&tail.read, block),
            None => slot.partition.tail_block_missing(&tail.read),
        };
        if let Err(error) = loaded {
            log::error!("partition {}: its last block: {error}", tail.handle.0);
            slot.partition.fail(&mut self.acks);
            self.events
                .extend(self.acks.appends.drain(..).map(Event::AppendFailed));
            self.events
                .extend(self.acks.controls.drain(..).map(Event::ControlFailed));
            if let Some(slot) = self.partitions.same(tail.slot, tail.handle) {
                slot.partition.abandon_pending();
            }
        }
        self.lists.touch(&mut self.partitions, tail.slot);
        self.want_write_back(tail.slot);
    }
}
