//! One compaction of one partition, step by step.
//!
//! ```text
//! map      read the dirty part, take its keys into the map, until it is full
//! rewrite  per group of segments: read, keep what the rules keep, write to a file of its own
//! seal     the group's last block, its index, the folder: all durable
//! swap     control record in a commit; resolved: readers switch, the old files are released
//! end      a swap of nothing says up to where the log is compacted
//! ```
//! A crash before the swap is durable leaves a file that nobody names. A log start that moves
//! makes the run void. INVARIANT: a swap is asked for only when everything it names is durable.

use super::filter::{CleanError, Mapped, Rules};
use super::output::Output;
use super::{Arrived, RETRY_NS};
use crate::ids::{FileId, PartitionHandle, Ticket};
use crate::io::arena::ArenaSlice;
use crate::io::{Dir, FileOp, Io, Op};
use crate::limits::BLOCK_BYTES;
use crate::partition::{
    Cleanable, CleaningGroup, ReadBatches, ReadBound, ReadError, ReadPlan, ReadRequest,
    ReleasedFile, SegmentWrite, SpaceWanted, Swap, SwappedIn, WriteTarget,
};
use crate::shard::cold_reads::Env;
use crate::shard::identity::Owner;
use crate::shard::query::Logs;
use crate::shard::token::LogKind;
use crate::shard::{Life, Shard};
use std::collections::VecDeque;

/// Bytes of one read, and of one write.
const SLICE_BYTES: usize = 256 * 1024;
/// File space is prepared in stretches of this.
const STRETCH_BYTES: u64 = 1 << 20;
/// Index blocks per write.
const INDEX_BLOCKS: u32 = 64;

/// How far a run came.
#[derive(Debug)]
pub(super) enum Step {
    Wait,
    Done,
    Void,
    Blocked(String),
}

/// What the run waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waiting {
    Nothing,
    Read,
    Work,
    Space,
    Write,
    Sync,
    Swap,
}

/// What is done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Keys of the dirty part.
    Map,
    /// The next group.
    Group,
    /// Records of the group.
    Records,
    /// The index, from this block on.
    Index(u32),
    Sync,
    Swap,
    /// The end of what is compacted.
    End,
}

/// A compaction under way.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) number: u32,
    pub(super) handle: PartitionHandle,
    pub(super) owner: Owner,
    found: Cleanable,
    phase: Phase,
    waiting: Waiting,
    next_offset: i64,
    /// With the work while that is under way.
    rules: Option<Box<Rules>>,
    groups: VecDeque<CleaningGroup>,
    group: Option<CleaningGroup>,
    output: Option<Box<Output>>,
    /// The file of the group's output, until a swap gave it to the partition.
    file: Option<ReleasedFile>,
    file_bytes: u64,
    map_end: i64,
    pub(super) read_bytes: u64,
    pub(super) written_bytes: u64,
}

/// What comes back from work on a slice.
struct Worked {
    rules: Box<Rules>,
    output: Option<Box<Output>>,
    result: Result<Option<Mapped>, CleanError>,
    next_offset: i64,
}

impl Run {
    pub(super) fn new((number, owner): (u32, Owner), found: Cleanable, rules: Rules) -> Self {
        Self {
            number,
            handle: owner.handle,
            owner,
            found,
            phase: Phase::Map,
            waiting: Waiting::Nothing,
            next_offset: found.dirty_start,
            rules: Some(Box::new(rules)),
            groups: VecDeque::new(),
            group: None,
            output: None,
            file: None,
            file_bytes: 0,
            map_end: found.dirty_start,
            read_bytes: 0,
            written_bytes: 0,
        }
    }

    /// Up to where the log is compacted when it is done.
    pub(super) const fn end_offset(&self) -> i64 {
        self.map_end
    }

    /// The file it holds that nobody else knows.
    pub(super) const fn file(&self) -> Option<ReleasedFile> {
        self.file
    }

    pub(super) const fn is_in_flight(&self) -> bool {
        matches!(
            self.waiting,
            Waiting::Read | Waiting::Work | Waiting::Write | Waiting::Sync
        )
    }

    /// Whether it waits for nothing but a turn.
    pub(super) fn is_ready(&self) -> bool {
        self.waiting == Waiting::Nothing
    }

    pub(super) fn prepared(&mut self, file: FileId, to: u64) {
        if let Some(own) = self.file.as_mut().filter(|own| own.file == file) {
            own.prepared = own.prepared.max(to);
            if self.waiting == Waiting::Space {
                self.waiting = Waiting::Nothing;
            }
        }
    }
}

impl Shard {
    pub(super) fn step_cleaning(&mut self, io: &mut Io, run: &mut Run) -> Step {
        loop {
            if run.is_in_flight() {
                let Some(arrived) = self.cleaner.arrived.take() else {
                    return Step::Wait;
                };
                run.waiting = Waiting::Nothing;
                if self.is_cleaning_void(run) {
                    return Step::Void;
                }
                if let Some(step) = self.take_arrived(io, run, arrived) {
                    return step;
                }
                continue;
            }
            if self.is_cleaning_void(run) {
                return Step::Void;
            }
            if run.waiting == Waiting::Swap {
                let slot = self.partitions.at(run.number);
                if slot.is_some_and(|slot| slot.partition.is_swapping()) {
                    return Step::Wait;
                }
                run.waiting = Waiting::Nothing;
                run.phase = Phase::Group;
            }
            if run.waiting == Waiting::Space {
                return Step::Wait;
            }
            if self.cleaner.allowed_ns > self.now.ns {
                self.cleaner.wake_ns = Some(self.cleaner.allowed_ns);
                return Step::Wait;
            }
            if let Some(step) = self.next_of_cleaning(io, run) {
                return step;
            }
        }
    }

    /// Whether what the run was begun for is not there any more.
    fn is_cleaning_void(&self, run: &Run) -> bool {
        let slot = self.partitions.live(run.handle);
        let is_same = slot.is_some_and(|slot| {
            slot.partition.asked_log_start() == run.found.log_start
                && slot.partition.spec().config.compaction.is_some()
        });
        let is_disk_short = run.waiting == Waiting::Space && self.preparation.is_short();
        !is_same || is_disk_short || self.life != Life::Running
    }

    /// Starts the next operation. `Some`: the run waits without one, or is over.
    fn next_of_cleaning(&mut self, io: &mut Io, run: &mut Run) -> Option<Step> {
        match run.phase {
            Phase::Map if run.next_offset < run.found.dirty_end => self.read_for_cleaning(io, run),
            Phase::Map => {
                self.end_map(run);
                None
            }
            Phase::Group => self.begin_group(run),
            Phase::Records => self.go_on_with_records(io, run),
            Phase::Index(block) => self.write_index(io, run, block),
            Phase::Sync => {
                let dir = Dir::Segments;
                let op = Op::File(FileOp::SyncDir { dir });
                io.submit(LogKind::CleanSync.token(0), op);
                run.waiting = Waiting::Sync;
                None
            }
            Phase::Swap => self.swap_group(io, run),
            Phase::End => {
                let swap = Swap {
                    old: None,
                    new: None,
                    cleaned_end: run.map_end,
                };
                let is_taken = self.ask_for_swap(run, swap);
                Some(if is_taken { Step::Done } else { Step::Void })
            }
        }
    }

    fn read_for_cleaning(&mut self, io: &mut Io, run: &mut Run) -> Option<Step> {
        let request = ReadRequest {
            offset: run.next_offset.max(run.found.log_start),
            bytes_max: SLICE_BYTES,
            bound: ReadBound::HighWatermark,
        };
        let Some(slot) = self.partitions.live(run.handle) else {
            return Some(Step::Void);
        };
        run.waiting = Waiting::Read;
        match slot.partition.plan_read(&request, &mut self.spare) {
            Err(error) => self.cleaner.has_read(Err(error)),
            Ok(ReadPlan::Ready(batches)) => self.cleaner.has_read(Ok(batches)),
            Ok(plan) => {
                let mut env = Env {
                    io,
                    table: &mut self.table,
                    logs: &mut Logs(&mut self.partitions),
                    spare: &mut self.spare,
                };
                self.cold
                    .start(&mut env, run.handle, request, plan, Ticket::CLEANER);
                self.take_finished_reads();
            }
        }
        None
    }

    fn take_arrived(&mut self, io: &mut Io, run: &mut Run, arrived: Arrived) -> Option<Step> {
        match arrived {
            Arrived::Read(Ok(batches)) => self.work_on(io, run, batches),
            Arrived::Read(Err(ReadError::NoMemory)) => {
                self.cleaner.wake_ns = Some(self.now.ns + RETRY_NS);
                Some(Step::Wait)
            }
            Arrived::Read(Err(ReadError::OutOfRange { .. } | ReadError::UnknownPartition)) => {
                Some(Step::Void)
            }
            Arrived::Read(Err(error)) => Some(Step::Blocked(error.to_string())),
            Arrived::Worked(result) => {
                let Ok(worked) = result.downcast::<Worked>() else {
                    return Some(Step::Void);
                };
                self.take_worked(run, *worked)
            }
            Arrived::Written => {
                if let Phase::Index(block) = run.phase {
                    run.phase = self.after_index(run, block);
                }
                None
            }
            Arrived::Synced => {
                run.phase = Phase::Swap;
                None
            }
        }
    }

    /// Hands a slice to the work off the data core.
    fn work_on(&mut self, io: &mut Io, run: &mut Run, batches: ReadBatches) -> Option<Step> {
        if batches.bytes == 0 || batches.next_offset <= run.next_offset {
            // Whatever hides what must lie there: nothing may be left out for it.
            self.give_vector(batches.parts);
            return Some(Step::Void);
        }
        run.read_bytes += batches.bytes as u64;
        self.cleaner.charge(batches.bytes as u64, self.now.ns);
        let Some(rules) = run.rules.take() else {
            return Some(Step::Void);
        };
        let (from, to) = match run.group {
            None => (run.next_offset, run.found.dirty_end),
            Some(group) => (group.base_offset, group.end_offset),
        };
        let (output, next_offset) = (run.output.take(), batches.next_offset);
        let parts = batches.parts;
        let work = move || -> Box<dyn std::any::Any + Send> {
            Box::new(work(rules, output, &parts, (from, to), next_offset))
        };
        io.submit(LogKind::CleanWork.token(0), Op::Work(Box::new(work)));
        run.waiting = Waiting::Work;
        None
    }

    fn take_worked(&mut self, run: &mut Run, worked: Worked) -> Option<Step> {
        run.rules = Some(worked.rules);
        run.output = worked.output;
        run.next_offset = worked.next_offset;
        match worked.result {
            Ok(Some(mapped)) => {
                run.map_end = mapped.end_offset;
                if mapped.is_full {
                    run.next_offset = i64::MAX;
                }
                None
            }
            Ok(None) => None,
            Err(CleanError::Grows) => {
                log::info!(
                    "partition {}: segments from offset {} on stay as they are: {}",
                    run.handle.0,
                    run.group.map_or(-1, |group| group.base_offset),
                    CleanError::Grows
                );
                // Once more over all of it, to note what stays.
                if let (Some(output), Some(group)) = (&mut run.output, run.group) {
                    output.give_up();
                    run.next_offset = group.base_offset;
                }
                None
            }
            Err(error) => Some(self.cleaning_failed(run, error)),
        }
    }

    /// The keys are known up to `map_end`: the segments below are compacted.
    fn end_map(&self, run: &mut Run) {
        if let Some(rules) = &mut run.rules {
            if run.next_offset != i64::MAX {
                run.map_end = run.found.dirty_end;
            }
            rules.map_end = run.map_end;
            rules.keep_end = run.map_end;
            log::debug!(
                "partition {}: {} keys below offset {}",
                run.handle.0,
                rules.map.key_count(),
                run.map_end
            );
        }
        if let Some(slot) = self.partitions.live(run.handle) {
            run.groups = slot.partition.cleaning_groups(run.map_end).into();
        }
        run.phase = Phase::Group;
    }

    fn begin_group(&mut self, run: &mut Run) -> Option<Step> {
        let Some(group) = run.groups.pop_front() else {
            run.phase = Phase::End;
            return None;
        };
        let file_bytes = group.file_bytes_max.next_multiple_of(BLOCK_BYTES);
        let Some(segment) = self.preparation.extra_file(run.owner, file_bytes) else {
            log::debug!("partition {}: no disk space to compact", run.handle.0);
            return Some(Step::Void);
        };
        run.file = Some(ReleasedFile {
            file: segment.file,
            generation: segment.generation,
            bytes: 0,
            prepared: 0,
        });
        run.file_bytes = file_bytes;
        let bytes_max = group.file_bytes_max;
        let output = Output::new(run.owner, segment, group.base_offset, bytes_max);
        run.output = Some(Box::new(output));
        run.next_offset = group.base_offset;
        run.group = Some(group);
        run.phase = Phase::Records;
        None
    }

    fn go_on_with_records(&mut self, io: &mut Io, run: &mut Run) -> Option<Step> {
        let (Some(group), Some(output)) = (run.group, run.output.as_mut()) else {
            return Some(Step::Void);
        };
        let is_read = run.next_offset >= group.end_offset;
        if !is_read && output.pending_bytes() < SLICE_BYTES {
            return self.read_for_cleaning(io, run);
        }
        if output.is_given_up() {
            run.output = None;
            run.phase = Phase::Swap;
            return None;
        }
        if let Some((position, bytes)) = output.next_write(SLICE_BYTES, is_read) {
            return self.write_records(io, run, position, bytes);
        }
        output.seal();
        let is_same = !output.is_changed && group.old.count == 1;
        run.phase = if is_same || output.is_empty() {
            Phase::Swap
        } else {
            Phase::Index(0)
        };
        None
    }

    fn write_records(
        &mut self,
        io: &mut Io,
        run: &mut Run,
        position: u64,
        bytes: usize,
    ) -> Option<Step> {
        let (Some(file), Some(output)) = (run.file, run.output.as_mut()) else {
            return Some(Step::Void);
        };
        let end = position + bytes as u64;
        if end > file.prepared {
            let to = (end + STRETCH_BYTES).min(run.file_bytes);
            let wanted = SpaceWanted {
                file: file.file,
                generation: file.generation,
                from: file.prepared,
                to,
                is_urgent: false,
            };
            self.preparation
                .want_space(run.owner, run.file_bytes, wanted);
            run.waiting = Waiting::Space;
            return Some(Step::Wait);
        }
        let Some(mut buf) = io.arena().alloc(bytes) else {
            self.cleaner.wake_ns = Some(self.now.ns + RETRY_NS);
            return Some(Step::Wait);
        };
        output.take(bytes, &mut |taken| buf.extend_from_slice(taken));
        buf.extend_zeroed(bytes - buf.len());
        self.write_for_cleaning(io, run, WriteTarget::Records, position, buf.freeze());
        None
    }

    fn write_index(&mut self, io: &mut Io, run: &mut Run, block: u32) -> Option<Step> {
        let output = run.output.as_ref()?;
        let end = output.index_block_count().min(block + INDEX_BLOCKS);
        let bytes = (end - block) as usize * BLOCK_BYTES as usize;
        let Some(mut buf) = io.arena().alloc(bytes) else {
            self.cleaner.wake_ns = Some(self.now.ns + RETRY_NS);
            return Some(Step::Wait);
        };
        for number in block..end {
            buf.extend_from_slice(&output.index_block(number));
        }
        let position = u64::from(block) * BLOCK_BYTES;
        self.write_for_cleaning(io, run, WriteTarget::Index, position, buf.freeze());
        None
    }

    fn after_index(&self, run: &Run, block: u32) -> Phase {
        let count = run.output.as_ref().map_or(0, |it| it.index_block_count());
        let next = block + INDEX_BLOCKS;
        if next < count {
            Phase::Index(next)
        } else {
            Phase::Sync
        }
    }

    fn write_for_cleaning(
        &mut self,
        io: &mut Io,
        run: &mut Run,
        target: WriteTarget,
        position: u64,
        bytes: ArenaSlice,
    ) {
        let Some(file) = run.file else { return };
        let length = bytes.len() as u64;
        let mut parts = self.spare.take();
        parts.push(bytes);
        let plan = SegmentWrite {
            file: file.file,
            generation: file.generation,
            target,
            position,
            parts,
            bytes: length,
            id: 0,
        };
        run.waiting = Waiting::Write;
        if target == WriteTarget::Records {
            run.written_bytes += length;
        }
        self.cleaner.charge(length, self.now.ns);
        let whose = (LogKind::CleanWrite, run.number, run.handle);
        self.writes
            .start(io, &mut self.table, &mut self.spare, whose, plan);
    }

    /// The group's output is durable, empty, or of no use.
    fn swap_group(&mut self, io: &mut Io, run: &mut Run) -> Option<Step> {
        let group = run.group.take()?;
        let output = run.output.take();
        let Some(output) = output.filter(|it| it.is_changed || group.old.count > 1) else {
            self.abandon_cleaning(io, run);
            run.file = None;
            run.phase = Phase::Group;
            return None;
        };
        let prepared = run.file.map_or(0, |file| file.prepared);
        let new = (!output.is_empty()).then(|| SwappedIn {
            file: output.segment.file,
            generation: output.segment.generation,
            base_offset: group.base_offset,
            end_offset: output.end_offset,
            created_ms: group.created_ms,
            length: output.length(),
            prepared,
            max_timestamp: output.max_timestamp,
            max_timestamp_offset: output.max_timestamp_offset,
        });
        let swap = Swap {
            old: Some(group.old),
            new,
            cleaned_end: 0,
        };
        if !self.ask_for_swap(run, swap) {
            return Some(Step::Void);
        }
        if new.is_none() {
            self.abandon_cleaning(io, run);
        }
        run.file = None;
        run.waiting = Waiting::Swap;
        None
    }

    fn ask_for_swap(&mut self, run: &Run, swap: Swap) -> bool {
        let Some(slot) = self.partitions.same(run.number, run.handle) else {
            return false;
        };
        let is_taken = slot.partition.swap(swap, run.found.log_start);
        if is_taken {
            self.counters.swaps += u64::from(swap.old.is_some());
            self.lists.touch(&mut self.partitions, run.number);
        }
        is_taken
    }
}

/// Off the data core: takes keys into the map, or what is kept into the output.
fn work(
    mut rules: Box<Rules>,
    mut output: Option<Box<Output>>,
    parts: &[ArenaSlice],
    (from, to): (i64, i64),
    next_offset: i64,
) -> Worked {
    let joined;
    let bytes: &[u8] = match parts {
        [one] => one,
        parts => {
            joined = parts
                .iter()
                .flat_map(|part| part.iter().copied())
                .collect::<Vec<u8>>();
            &joined
        }
    };
    let result = match &mut output {
        None => rules.map_batches(bytes, from, to).map(Some),
        Some(output) => rules.keep_batches(bytes, to, output).map(|()| None),
    };
    Worked {
        rules,
        output,
        result,
        next_offset,
    }
}
