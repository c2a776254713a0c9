//! Compaction: which partition is next, at what rate, and what happens to a run that ends.
//!
//! One partition of a shard at a time, and of it one operation at a time: a read of 256 KiB, the
//! work on it off the data core, a write of 256 KiB. So neither the acknowledgement's path nor a
//! turn feels more of it than that. What a run does is in `run`; what is kept is decided in
//! `filter`; the partition's side is `engine/src/partition/cleaning.rs`.

mod filter;
mod key_map;
mod output;
mod run;

use super::config::CleanerConfig;
use super::{Life, Shard};
use crate::ids::{FileId, PartitionHandle};
use crate::io::{Io, Outcome};
use crate::partition::{Cleanable, Fence, ReadBatches, ReadError};
use filter::CleanError;
use run::{Run, Step};
use rustc_hash::FxHashSet;
use std::any::Any;

/// Partitions that one turn looks at.
const LOOKS_PER_TURN: u32 = 64;
/// Time after which a run that found no memory tries again.
const RETRY_NS: u64 = 5_000_000;
/// The rate may be exceeded for this long after a pause.
const BURST_NS: u64 = 100_000_000;

/// What an operation of a run brought.
#[derive(Debug)]
enum Arrived {
    Read(Result<ReadBatches, ReadError>),
    Worked(Box<dyn Any + Send>),
    Written,
    Synced,
}

/// The partition that needs compaction most, so far.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    number: u32,
    handle: PartitionHandle,
    rank: (bool, u64),
}

/// The compaction of a shard.
#[derive(Debug)]
pub(super) struct Cleaner {
    config: CleanerConfig,
    /// When partitions are looked at next.
    due_ns: u64,
    cursor: Option<u32>,
    best: Option<Candidate>,
    /// Partitions that cannot be compacted until something is done about them.
    blocked: FxHashSet<PartitionHandle>,
    run: Option<Box<Run>>,
    arrived: Option<Arrived>,
    /// The rate allows the next operation from then on.
    allowed_ns: u64,
    /// The run waits for this time; else for an operation, or for a turn.
    wake_ns: Option<u64>,
    cleaned_bytes: u64,
}

impl Cleaner {
    pub(super) fn new(config: CleanerConfig) -> Self {
        Self {
            config,
            due_ns: 0,
            cursor: None,
            best: None,
            blocked: FxHashSet::default(),
            run: None,
            arrived: None,
            allowed_ns: 0,
            wake_ns: None,
            cleaned_bytes: 0,
        }
    }

    /// Whether one of its operations has not ended (a clean stop waits for it).
    pub(super) fn is_in_flight(&self) -> bool {
        self.arrived.is_none() && self.run.as_ref().is_some_and(|run| run.is_in_flight())
    }

    /// A read of the run is done.
    pub(super) fn has_read(&mut self, result: Result<ReadBatches, ReadError>) {
        self.arrived = Some(Arrived::Read(result));
    }

    /// A write of the run is on stable storage.
    pub(super) fn written(&mut self) {
        self.arrived = Some(Arrived::Written);
    }

    /// Space for a file is prepared up to `to`.
    pub(super) fn prepared(&mut self, file: FileId, to: u64) {
        if let Some(run) = &mut self.run {
            run.prepared(file, to);
        }
    }

    /// Whatever stopped the compaction of a partition was dealt with.
    pub(super) fn unblock(&mut self, handle: PartitionHandle) {
        self.blocked.remove(&handle);
    }

    /// Whether a run is under way.
    pub(super) const fn is_running(&self) -> bool {
        self.run.is_some()
    }

    /// Bytes read and written since the start.
    pub(super) const fn cleaned_bytes(&self) -> u64 {
        self.cleaned_bytes
    }

    fn charge(&mut self, bytes: u64, now_ns: u64) {
        self.cleaned_bytes += bytes;
        let rate = u128::from(self.config.bytes_per_second_max.max(1));
        let took_ns = u128::from(bytes) * 1_000_000_000 / rate;
        let from = self.allowed_ns.max(now_ns.saturating_sub(BURST_NS));
        self.allowed_ns = from.saturating_add(u64::try_from(took_ns).unwrap_or(u64::MAX));
    }
}

impl Shard {
    /// When compaction needs the next turn even if nothing happens.
    pub(super) fn cleaning_deadline_ns(&self) -> Option<u64> {
        let cleaner = &self.cleaner;
        if self.life != Life::Running || !cleaner.config.is_enabled || self.partitions.len() == 0 {
            return None;
        }
        match (&cleaner.run, cleaner.cursor) {
            (Some(run), _) if cleaner.arrived.is_some() || run.is_ready() => {
                // It came after this turn's look at it.
                Some(cleaner.wake_ns.unwrap_or(self.now.ns))
            }
            (Some(_), _) => None,
            (None, Some(_)) => Some(self.now.ns),
            (None, None) => Some(cleaner.due_ns),
        }
    }

    /// Goes on with compaction as far as it comes without waiting.
    pub(super) fn clean(&mut self, io: &mut Io) {
        if !self.cleaner.config.is_enabled {
            return;
        }
        if self.cleaner.run.is_none() && self.life == Life::Running {
            self.choose_cleaning();
        }
        self.cleaner.wake_ns = None;
        let Some(mut run) = self.cleaner.run.take() else {
            return;
        };
        match self.step_cleaning(io, &mut run) {
            Step::Wait => self.cleaner.run = Some(run),
            Step::Done => {
                log::info!(
                    "partition {}: compacted to offset {}, {} of {} bytes kept",
                    run.handle.0,
                    run.end_offset(),
                    run.written_bytes,
                    run.read_bytes
                );
                // Another partition may have waited.
                self.cleaner.due_ns = self.now.ns;
            }
            Step::Void => {
                log::debug!("partition {}: compaction begins again", run.handle.0);
                self.abandon_cleaning(io, &run);
            }
            Step::Blocked(reason) => {
                log::error!(
                    "partition {} (topic {:02x?}, index {}): compaction stops until the next \
                     start or accepted loss: {reason}",
                    run.handle.0,
                    run.owner.topic_id.0,
                    run.owner.index
                );
                self.cleaner.blocked.insert(run.handle);
                self.abandon_cleaning(io, &run);
            }
        }
    }

    /// Looks at some partitions; at the end of a pass begins with the one that needs it most.
    fn choose_cleaning(&mut self) {
        let start = match self.cleaner.cursor {
            Some(cursor) => cursor,
            None if self.now.ns >= self.cleaner.due_ns => 0,
            None => return,
        };
        let count = self.partitions.slot_count();
        let end = count.min(start.saturating_add(LOOKS_PER_TURN));
        for number in start..end {
            let Some(found) = self.cleanable(number) else {
                continue;
            };
            let Some(slot) = self.partitions.at(number) else {
                continue;
            };
            let candidate = Candidate {
                number,
                handle: slot.owner.handle,
                rank: (found.is_overdue, found.dirty_ppm()),
            };
            if self
                .cleaner
                .best
                .is_none_or(|best| best.rank < candidate.rank)
            {
                self.cleaner.best = Some(candidate);
            }
        }
        if end < count {
            self.cleaner.cursor = Some(end);
            return;
        }
        self.cleaner.cursor = None;
        let backoff_ns = self.cleaner.config.backoff_ms.saturating_mul(1_000_000);
        self.cleaner.due_ns = self.now.ns.saturating_add(backoff_ns);
        if let Some(best) = self.cleaner.best.take() {
            self.begin_cleaning(best);
        }
    }

    fn cleanable(&self, number: u32) -> Option<Cleanable> {
        let slot = self.partitions.at(number)?;
        let is_open = !slot.is_deleted && !self.cleaner.blocked.contains(&slot.owner.handle);
        is_open.then(|| slot.partition.cleanable(self.now.wall_ms))?
    }

    fn begin_cleaning(&mut self, best: Candidate) {
        let Some(found) = self.cleanable(best.number) else {
            return;
        };
        let Some(slot) = self.partitions.same(best.number, best.handle) else {
            return;
        };
        let Some(config) = slot.partition.spec().config.compaction else {
            return;
        };
        let rules = filter::Rules {
            map: key_map::KeyMap::new(
                self.journal.setup.key,
                self.cleaner.config.key_map_bytes_max,
            ),
            map_start: found.dirty_start,
            map_end: found.dirty_start,
            now_ms: self.now.wall_ms,
            delete_retention_ms: config.delete_retention_ms,
            producer_ends: slot.partition.producer_ends(),
            keep_end: found.dirty_end,
        };
        self.cleaner.arrived = None;
        self.counters.cleanings += 1;
        let run = Run::new((best.number, slot.owner), found, rules);
        self.cleaner.run = Some(Box::new(run));
    }

    /// Gives back what a run that came to nothing had made.
    fn abandon_cleaning(&mut self, io: &mut Io, run: &Run) {
        if let Some(file) = run.file() {
            // No commit ever named it.
            self.preparation.release(io, &mut self.table, file);
        }
    }

    /// Takes the completion of a computation or a folder sync of the run.
    pub(super) fn complete_cleaning(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Work(result) => self.cleaner.arrived = Some(Arrived::Worked(result)),
            Outcome::File(Ok(_)) => self.cleaner.arrived = Some(Arrived::Synced),
            Outcome::File(Err(failure)) => {
                self.fail_stop(format!("the folder of segments was not synced: {failure}"));
            }
            other => debug_assert!(false, "compaction was answered by {other:?}"),
        }
    }

    /// Why a run cannot go on; damage is fenced first.
    fn cleaning_failed(&mut self, run: &Run, error: CleanError) -> Step {
        if let CleanError::Corrupt {
            base_offset,
            end_offset,
        } = error
            && base_offset >= 0
            && let Some(slot) = self.partitions.same(run.number, run.handle)
        {
            slot.partition.fence(Fence {
                start_offset: base_offset,
                end_offset,
                stops_appends: false,
                is_lost: false,
            });
            self.lists.touch(&mut self.partitions, run.number);
        }
        Step::Blocked(error.to_string())
    }
}
