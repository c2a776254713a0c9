//! What the shards did between two moments, and what their kernel workers did.
//!
//! A round may meet what happens now and then: a stretch of a file is prepared, a neighbour slows
//! the client down. What happens for every batch, request or turn shows in every round, so the
//! best one is judged.

use crate::harness::TestBroker;
use millrace_server::counters::BrokerCounters;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// One broker at a time: threads of two would be mistaken for each other.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

pub(crate) fn alone() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What all shards of a broker did, summed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Done {
    pub(crate) allocations: u64,
    pub(crate) system_calls: u64,
    /// How often their kernel workers ran.
    pub(crate) worker_runs: u64,
    pub(crate) received_bytes: u64,
    pub(crate) sent_bytes: u64,
    /// Read from segments.
    pub(crate) read_bytes: u64,
    pub(crate) batches: u64,
    pub(crate) batch_bytes: u64,
    pub(crate) placed_bytes: u64,
    /// Copied on the way from a socket to memory and to the journal.
    pub(crate) copied_in_bytes: u64,
    /// Record bytes copied on the way out.
    pub(crate) copied_out_bytes: u64,
}

impl Done {
    fn so_far(broker: &TestBroker) -> Self {
        let counters = broker.running().counters();
        let sum = |of: fn(&BrokerCounters) -> u64| counters.iter().map(of).sum();
        Self {
            allocations: sum(|shard| shard.io.allocations),
            system_calls: sum(|shard| shard.io.enters + shard.io.other_calls),
            worker_runs: worker_runs("shard-"),
            received_bytes: sum(|shard| shard.io.received_bytes),
            sent_bytes: sum(|shard| shard.io.sent_bytes),
            read_bytes: sum(|shard| shard.engine.cold_read_bytes),
            batches: sum(|shard| shard.engine.batches),
            batch_bytes: sum(|shard| shard.engine.batch_bytes),
            placed_bytes: sum(|shard| shard.engine.placed_bytes),
            copied_in_bytes: sum(|shard| shard.net.copied_in_bytes + shard.engine.copied_bytes),
            copied_out_bytes: sum(|shard| shard.net.copied_out_bytes),
        }
    }

    fn since(self, before: Self) -> Self {
        Self {
            allocations: self.allocations - before.allocations,
            system_calls: self.system_calls - before.system_calls,
            // A worker that ended takes its count along.
            worker_runs: self.worker_runs.saturating_sub(before.worker_runs),
            received_bytes: self.received_bytes - before.received_bytes,
            sent_bytes: self.sent_bytes - before.sent_bytes,
            read_bytes: self.read_bytes - before.read_bytes,
            batches: self.batches - before.batches,
            batch_bytes: self.batch_bytes - before.batch_bytes,
            placed_bytes: self.placed_bytes - before.placed_bytes,
            copied_in_bytes: self.copied_in_bytes - before.copied_in_bytes,
            copied_out_bytes: self.copied_out_bytes - before.copied_out_bytes,
        }
    }
}

/// One of the counts.
pub(crate) type Count = fn(&Done) -> u64;

/// Rounds before anything is judged, and rounds of which the best is.
const WARM_UP: usize = 4;
const JUDGED: usize = 6;

/// The rounds to be judged; `round` allocates nothing and waits until all of it is answered.
pub(crate) fn rounds(broker: &TestBroker, mut round: impl FnMut()) -> Vec<Done> {
    (0..WARM_UP).for_each(|_| round());
    let judged = (0..JUDGED).map(|_| {
        let before = Done::so_far(broker);
        round();
        Done::so_far(broker).since(before)
    });
    judged.collect()
}

/// The smallest share of `what` in `of` among the rounds.
#[track_caller]
pub(crate) fn assert_at_most(bound: f64, rounds: &[Done], (what, of): (Count, Count)) {
    let shares = rounds
        .iter()
        .map(|done| what(done) as f64 / of(done) as f64);
    let best = shares.fold(f64::INFINITY, f64::min);
    assert!(
        best <= bound,
        "{best} is above {bound} in every round: {rounds:#?}"
    );
}

/// Nothing at all in some round.
#[track_caller]
pub(crate) fn assert_none(rounds: &[Done], what: Count) {
    assert_at_most(0.0, rounds, (what, |_| 1));
}

/// How often the kernel workers of threads with such names ran. The kernel names a worker after
/// the thread it works for; a worker sleeps until an operation is handed to it.
pub(crate) fn worker_runs(of: &str) -> u64 {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let threads: Vec<_> = tasks
        .filter_map(|task| {
            let task = task.ok()?;
            let name = std::fs::read_to_string(task.path().join("comm")).ok()?;
            let id = task.file_name().into_string().ok()?;
            Some((id, name.trim_end().to_owned(), task.path()))
        })
        .collect();
    let owners = threads.iter().filter(|(_, name, _)| name.starts_with(of));
    let runs = owners.map(|(owner, ..)| {
        let worker = format!("iou-wrk-{owner}");
        let workers = threads.iter().filter(|(_, name, _)| *name == worker);
        workers.map(|(.., path)| 1 + switches(path)).sum::<u64>()
    });
    runs.sum()
}

/// How often a thread went to sleep. 0 when it is gone.
fn switches(task: &std::path::Path) -> u64 {
    let status = std::fs::read_to_string(task.join("status")).unwrap_or_default();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    line.and_then(|count| count.trim().parse().ok())
        .unwrap_or(0)
}
