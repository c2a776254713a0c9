//! Starts the threads of a group, in this order: directories, the storage probe, the rings (each
//! on its own thread), then, once every ring is up, the housekeeper and the bodies. So whatever
//! stands in the way is said before anything runs.

use super::super::housekeeper::{Directories, Housekeeper, HousekeeperHandle, Reply, ReplyTo};
use super::super::kernel::Ring;
use super::super::kernel::setup::RingConfig;
use super::super::kernel::signal::Signal;
use super::super::mailbox::{Mailbox, Pairs};
use super::super::probe::{self, DurableBy};
use super::super::remote::{Remote, RemoteInbox};
use super::super::{Backend, Io};
use super::super::{filesystem, process_limits};
use super::{KernelConfig, SetupError, SetupReport, ShardGroup, ShardSeat, allowed_cores};
use crate::ids::ShardId;
use rustix::thread::{CpuSet, sched_setaffinity};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::JoinHandle;

/// What a shard's thread says when its ring is up, or why it is not.
type RingUp = Result<Vec<String>, SetupError>;

/// What a shard's thread is made from.
struct Plan<M, T> {
    core: usize,
    ring: RingConfig,
    pairs: Pairs<M>,
    inbox: RemoteInbox<T>,
    /// Brings the report when every ring is up; closed if one is not.
    go: Receiver<Arc<SetupReport>>,
}

pub(super) fn start<M, T, R, F>(
    config: &KernelConfig,
    body: F,
) -> Result<ShardGroup<R, T>, SetupError>
where
    M: Send + 'static,
    T: Send + 'static,
    R: Send + 'static,
    F: Fn(ShardSeat<M, T>) -> R + Send + Sync + 'static,
{
    let shards = config.cores.len();
    if shards == 0 || shards > usize::from(u16::MAX) {
        return Err(SetupError(format!(
            "{shards} shards: need 1 to {}",
            u16::MAX
        )));
    }
    process_limits::raise();
    let mut report = SetupReport::default();
    let directories = Directories::new(&config.data_dir, &config.journal_dir);
    directories.create().map_err(|(path, error)| {
        SetupError(format!(
            "{}: cannot make the directory: {error}",
            path.display()
        ))
    })?;
    report.warnings.extend(objections(config));
    report.durable_by = match config.durable_by {
        Some(known) => known,
        None => probe_storage(config, &mut report)?,
    };

    let signals = new_signals(shards)?;
    let (remote, inboxes) = Remote::new(signals.iter().cloned().map(Some), config.mailbox_capacity);
    let (reply_to, replies): (Vec<_>, Vec<_>) = signals.iter().map(reply_channel).unzip();
    let (handle, housekeeper) = Housekeeper::new(directories, reply_to);
    let rings = ring_configs(config, report.durable_by, &signals, &handle, replies);
    drop(handle);

    let body = Arc::new(body);
    let pairs = Pairs::connected(shards, config.mailbox_capacity);
    let (up, ups) = mpsc::channel();
    let mut gates = Vec::with_capacity(shards);
    let mut threads = Vec::with_capacity(shards);
    for (((core, ring), pairs), inbox) in config.cores.iter().zip(rings).zip(pairs).zip(inboxes) {
        let (gate, go) = mpsc::channel();
        gates.push(gate);
        let plan = Plan {
            core: *core,
            ring,
            pairs,
            inbox,
            go,
        };
        threads.push(spawn_shard(plan, up.clone(), Arc::clone(&body))?);
    }
    drop(up);
    for up in ups {
        report.warnings.extend(up?);
    }
    let housekeeper = spawn("housekeeper".to_owned(), move || housekeeper.run())?;
    let report = Arc::new(report);
    for gate in gates {
        // A thread that does not listen has panicked, which ends the process.
        drop(gate.send(Arc::clone(&report)));
    }
    Ok(ShardGroup {
        remote,
        report,
        threads,
        housekeeper,
    })
}

/// What is bad about the places of the data, and about how shards lie on cores.
fn objections(config: &KernelConfig) -> Vec<String> {
    let mut lines = Vec::new();
    let mut dirs = vec![&config.data_dir];
    if !config.journal_dir.starts_with(&config.data_dir) {
        dirs.push(&config.journal_dir);
    }
    for dir in dirs {
        // A directory that cannot be looked at fails with its own error in a moment.
        let found = filesystem::of(dir).ok();
        let objection = found.and_then(|found| Some((found.name, found.objection()?)));
        lines.extend(objection.map(|(name, text)| format!("{}: {name} {text}", dir.display())));
    }
    let used: BTreeSet<_> = config.cores.iter().collect();
    for &core in used {
        let sharing = config.cores.iter().filter(|&&other| other == core).count();
        if sharing > 1 {
            lines.push(format!(
                "{sharing} shards share core {core}: they wait for each other, good for tests only"
            ));
        }
    }
    lines
}

fn probe_storage(config: &KernelConfig, report: &mut SetupReport) -> Result<DurableBy, SetupError> {
    let dir = config.journal_dir.display();
    let probe = probe::measure(&config.journal_dir).map_err(|error| {
        let advice = match error.raw_os_error() {
            Some(libc::EINVAL | libc::EOPNOTSUPP) => {
                "; this file system knows no O_DIRECT or RWF_DSYNC: use ext4 or xfs"
            }
            _ => "",
        };
        SetupError(format!("{dir}: cannot write durably: {error}{advice}"))
    })?;
    report.lines.push(format!("{dir}: {}", probe.line()));
    Ok(probe.durable_by())
}

fn new_signals(shards: usize) -> Result<Vec<Arc<Signal>>, SetupError> {
    let signals = (0..shards).map(|_| Signal::new().map(Arc::new));
    signals
        .collect::<Result<_, _>>()
        .map_err(|error| SetupError(format!("making an eventfd: {error}")))
}

fn reply_channel(signal: &Arc<Signal>) -> (ReplyTo, Receiver<Reply>) {
    let (replies, receiver) = mpsc::channel();
    let signal = Arc::clone(signal);
    (ReplyTo { replies, signal }, receiver)
}

fn ring_configs(
    config: &KernelConfig,
    durable_by: DurableBy,
    signals: &[Arc<Signal>],
    housekeeper: &HousekeeperHandle,
    replies: Vec<Receiver<Reply>>,
) -> Vec<RingConfig> {
    // Spinning on a core that others need would cost more than the wake-up it saves.
    let own_cores: BTreeSet<_> = config.cores.iter().collect();
    let may_spin = allowed_cores().len() >= 2 && own_cores.len() == config.cores.len();
    let replies = replies.into_iter().enumerate();
    replies
        .map(|(shard, replies)| RingConfig {
            shard: ShardId(shard as u16),
            arena_bytes: config.arena_bytes,
            durable_by,
            may_spin,
            signals: signals.to_vec(),
            housekeeper: housekeeper.clone(),
            replies,
        })
        .collect()
}

fn spawn_shard<M, T, R, F>(
    plan: Plan<M, T>,
    up: Sender<RingUp>,
    body: Arc<F>,
) -> Result<JoinHandle<Option<R>>, SetupError>
where
    M: Send + 'static,
    T: Send + 'static,
    R: Send + 'static,
    F: Fn(ShardSeat<M, T>) -> R + Send + Sync + 'static,
{
    spawn(format!("shard-{}", plan.ring.shard.0), move || {
        let pinned = pin(plan.core);
        let ring = match Ring::new(plan.ring) {
            Ok((ring, lines)) => {
                let lines = lines.into_iter().chain(pinned.err());
                drop(up.send(Ok(lines.collect())));
                ring
            }
            Err(error) => {
                drop(up.send(Err(error)));
                return None;
            }
        };
        drop(up);
        let report = plan.go.recv().ok()?;
        Some(body(ShardSeat {
            io: Io {
                backend: Backend::Kernel(Box::new(ring)),
            },
            mailbox: Mailbox::kernel(plan.pairs),
            inbox: plan.inbox,
            report,
        }))
    })
}

/// A named thread whose panic ends the process.
fn spawn<R: Send + 'static>(
    name: String,
    body: impl FnOnce() -> R + Send + 'static,
) -> Result<JoinHandle<R>, SetupError> {
    let thread = std::thread::Builder::new().name(name.clone());
    let body = move || {
        let _guard = AbortOnPanic;
        body()
    };
    thread
        .spawn(body)
        .map_err(|error| SetupError(format!("starting the thread {name}: {error}")))
}

struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let thread = std::thread::current();
            let name = thread.name().unwrap_or("unnamed");
            log::error!("the thread {name} panicked; the process ends, for others depend on it");
            std::process::abort();
        }
    }
}

/// Pins this thread. `Err`: a line for the report.
fn pin(core: usize) -> Result<(), String> {
    let mut set = CpuSet::new();
    if core >= CpuSet::MAX_CPU {
        return Err(format!(
            "core {core}: no such core; its shard is not pinned"
        ));
    }
    set.set(core);
    sched_setaffinity(None, &set).map_err(|error| {
        format!("core {core}: its shard is not pinned ({error}), so its latency will vary")
    })
}
