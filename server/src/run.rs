//! Starts a broker in this process: checks what was asked, starts the shards, says where clients
//! connect, and stops cleanly.

use crate::broker::{BrokerShard, Parts, Phase, Shared};
use crate::config::BrokerSettings;
use crate::counters::BrokerCounters;
use crate::listen_plan::{Bound, ListenPlan};
use crate::listener::Acceptor;
use crate::mail::Mail;
use crate::net::{Net, NetLimits};
use crate::run_error::{RunError, open_failed, option_named};
use crate::serve_config::{Advertise, ServeConfig};
use crate::start_lines::{self, RelaxedTopic, StartFacts};
use millrace_engine::engine::open::{DirectoryLock, prepare};
use millrace_engine::engine::{Cores, EngineConfig, MemoryPlan};
use millrace_engine::ids::{PartitionHandle, ShardId};
use millrace_engine::io::group::{
    KernelConfig, ShardGroup, ShardSeat, allowed_cores, on_terminate, start_shards,
};
use millrace_engine::io::remote::{Remote, RemoteInbox};
use millrace_engine::io::{Io, SocketHandle, process_limits};
use millrace_engine::partition::Durability;
use millrace_engine::shard::{JournalSetup, Shard, ShardConfig};
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

/// Response bytes of one connection that may wait for its socket.
const OUTGOING_BYTES_MAX: usize = 8 << 20;
const MAILBOX_CAPACITY: usize = 1024;
/// Segment files open at most, over all shards: opening one for each write back would cost a
/// quarter of a core at a thousand partitions that are written.
const SEGMENT_FILES_MAX: usize = 16_384;
/// Segment files without which the limit of open files is worth a warning.
const SEGMENT_FILES_FEW: u64 = 1024;
/// Of the memory that the engine leaves to the broker, two thirds are for groups.
const GROUPS_PART: (u64, u64) = (2, 3);
/// And a third is for fetch sessions.
const SESSIONS_PART: (u64, u64) = (1, 3);
/// Commands taken in one turn.
const COMMANDS_MAX: usize = 16;

/// What a broker can be told while it runs.
#[derive(Clone, Debug)]
pub enum Command {
    /// End cleanly.
    Stop,
    /// Say what was done so far.
    Count(SyncSender<BrokerCounters>),
}

/// What a shard says when it serves.
#[derive(Debug)]
struct Started {
    shard: ShardId,
    address: Option<SocketAddr>,
    /// Of shard 0; the others leave it empty.
    relaxed_topics: Vec<RelaxedTopic>,
}

/// A broker that runs in this process.
#[derive(Debug)]
pub struct Running {
    group: ShardGroup<Result<(), RunError>, Command>,
    addresses: Vec<SocketAddr>,
    relaxed_topics: Vec<RelaxedTopic>,
    kernel: KernelConfig,
    lock: DirectoryLock,
}

impl Running {
    /// Where it listens, in shard order.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// What was found and chosen at start, one sentence each.
    #[must_use]
    pub fn report(&self) -> &[String] {
        &self.group.report().lines
    }

    /// What could not be had at start or should not be so, and what it costs.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.group.report().warnings
    }

    /// Topics that the start found below the `disk` class, by name.
    #[must_use]
    pub fn relaxed_topics(&self) -> &[RelaxedTopic] {
        &self.relaxed_topics
    }

    /// What each shard did so far, in shard order. Shards that have ended are left out.
    #[must_use]
    pub fn counters(&self) -> Vec<BrokerCounters> {
        let remote = self.group.remote();
        // Has its room from the start: counting must not make a shard allocate.
        let (to, counters) = sync_channel(remote.shards());
        for index in 0..remote.shards() {
            let shard = ShardId(u16::try_from(index).unwrap_or(0));
            if remote.send(shard, Command::Count(to.clone())).is_err() {
                log::debug!("{shard} has ended, or has too much to do to be counted");
            }
        }
        drop(to);
        let mut counters: Vec<_> = counters.iter().collect();
        counters.sort_by_key(|counters: &BrokerCounters| counters.shard);
        counters
    }

    /// Asks it to end cleanly; `join` waits for it.
    pub fn stop(&self) {
        stop_all(&self.group.remote());
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// What ended it, if nobody asked it to.
    pub fn join(self) -> Result<(), RunError> {
        let ended = self.group.join().into_iter().collect();
        drop(self.lock);
        ended
    }
}

/// Each shard's share of a part of the memory.
fn share(memory_bytes: u64, part: (u64, u64), shards: usize) -> usize {
    let bytes = MemoryPlan::of(memory_bytes).callers;
    let share = bytes * part.0 / part.1 / shards.max(1) as u64;
    usize::try_from(share).unwrap_or(usize::MAX)
}

fn stop_all(remote: &Remote<Command>) {
    for index in 0..remote.shards() {
        let to = ShardId(u16::try_from(index).unwrap_or(0));
        if remote.send(to, Command::Stop).is_err() {
            log::debug!("{to} has ended already");
        }
    }
}

/// Runs a broker until SIGINT or SIGTERM; a second signal ends the process at once.
///
/// # Errors
/// See [`RunError`].
pub fn run(config: &ServeConfig) -> Result<(), RunError> {
    let running = start(config)?;
    // Before anybody is told that it is ready: who reads that may end it at once.
    let remote = running.group.remote();
    let watched = on_terminate(move |times| {
        if times > 1 {
            log::warn!("told to stop twice: ending without a clean checkpoint");
            std::process::abort();
        }
        log::info!("stopping");
        stop_all(&remote);
    });
    if let Err(error) = watched {
        log::warn!("signals are not handled, the broker can only be killed: {error}");
    }
    let told = config.advertised.clone();
    let told = told.or_else(|| running.addresses.first().map(SocketAddr::to_string));
    start_lines::log_start(&StartFacts {
        kernel: &running.kernel,
        memory_bytes: config.memory_bytes,
        report: running.group.report(),
        relaxed_topics: &running.relaxed_topics,
        client_address: &told.unwrap_or_default(),
        nodes: running.addresses.len(),
    });
    running.join()
}

/// Starts a broker and returns once it takes connections.
///
/// # Errors
/// See [`RunError`].
pub fn start(config: &ServeConfig) -> Result<Running, RunError> {
    let (mut settings, warnings) = BrokerSettings::from_assignments(&config.settings)?;
    for warning in warnings {
        log::warn!("{warning}");
    }
    let connections_in_memory = MemoryPlan::of(config.memory_bytes).connections_max();
    settings.connections_max = settings.connections_max.min(connections_in_memory);
    if let Some(line) = few_files(settings.connections_max, process_limits::raise().open_files) {
        log::warn!("{line}");
    }
    let plan = Arc::new(ListenPlan::new(config, &settings)?);
    // A stored data directory may have another number of shards than there are cores.
    let known = config.cores.as_ref().map_or(1, Vec::len);
    let mut bound = plan.listen(0..known)?;
    let prepared = prepare(&engine_config(config, &settings), Arc::new(place));
    let prepared = prepared.map_err(|error| option_named(error, config))?;
    let shards = prepared.shards.len();
    bound.extend(plan.listen(known..shards.max(known))?);
    let bound = Arc::new(Mutex::new(bound));
    for line in &prepared.report {
        log::info!("{line}");
    }
    let shared = Arc::new(Shared {
        settings: Arc::new(settings),
        shards,
        group_bytes_max: share(config.memory_bytes, GROUPS_PART, shards),
        session_bytes_max: share(config.memory_bytes, SESSIONS_PART, shards),
    });
    let (started, starts) = channel();
    let arena_bytes = prepared.kernel.arena_bytes;
    let journals = prepared.shards;
    let body = move |seat: ShardSeat<Mail, Command>| {
        let shard = ShardStart {
            plan: Arc::clone(&plan),
            bound: Arc::clone(&bound),
            shared: Arc::clone(&shared),
            arena_bytes,
            started: started.clone(),
        };
        let (config, journal) = journals[seat.io.shard().index()].clone();
        shard.run(seat, config, journal)
    };
    let group = start_shards(&prepared.kernel, body)?;
    match wait_for(&starts, shards) {
        Some((addresses, relaxed_topics)) => Ok(Running {
            group,
            addresses,
            relaxed_topics,
            kernel: prepared.kernel,
            lock: prepared.lock,
        }),
        None => {
            let ended = group.join();
            let first = ended.into_iter().filter_map(Result::err);
            let first = first.reduce(|first, next| match first {
                RunError::Stopped => next,
                other => other,
            });
            Err(first.unwrap_or(RunError::Stopped))
        }
    }
}

/// Where the shards listen and which topics are below `disk`, once all serve; `None` when one
/// could not start.
fn wait_for(
    starts: &Receiver<Option<Started>>,
    shards: usize,
) -> Option<(Vec<SocketAddr>, Vec<RelaxedTopic>)> {
    let mut addresses = Vec::new();
    let mut relaxed_topics = Vec::new();
    for _ in 0..shards {
        let started = starts.recv().ok()??;
        addresses.extend(started.address.map(|address| (started.shard, address)));
        relaxed_topics.extend(started.relaxed_topics);
    }
    addresses.sort();
    let addresses = addresses.into_iter().map(|(_, address)| address).collect();
    Some((addresses, relaxed_topics))
}

/// What one shard's thread starts with.
struct ShardStart {
    plan: Arc<ListenPlan>,
    /// Each shard takes its own out of it, once.
    bound: Arc<Mutex<Vec<Bound>>>,
    shared: Arc<Shared>,
    arena_bytes: usize,
    started: Sender<Option<Started>>,
}

impl ShardStart {
    fn run(
        self,
        seat: ShardSeat<Mail, Command>,
        config: ShardConfig,
        journal: JournalSetup,
    ) -> Result<(), RunError> {
        let ShardSeat {
            mut io,
            mut mailbox,
            inbox,
            ..
        } = seat;
        match self.open(&mut io, config, journal) {
            Ok((acceptor, engine)) => {
                let me = io.shard();
                let address = acceptor.as_ref().map(Acceptor::address);
                let node = address.map(|address| self.plan.node(me, address));
                let mut shard = BrokerShard::new(Parts {
                    net: Net::new(self.limits()),
                    io,
                    mailbox,
                    engine,
                    acceptor,
                    shared: Arc::clone(&self.shared),
                });
                shard.say_hello(node);
                self.serve(&mut shard, inbox, address)
            }
            Err(error) => {
                for index in 0..self.shared.shards {
                    let to = ShardId(u16::try_from(index).unwrap_or(0));
                    if mailbox.send(&mut io, to, Mail::Stop).is_err() {
                        log::error!("{to} could not be told to stop");
                    }
                }
                // The doorbells reach the other shards with the next poll.
                io.poll(&mut Vec::new());
                self.tell(None);
                Err(error)
            }
        }
    }

    fn tell(&self, start: Option<Started>) {
        if self.started.send(start).is_err() {
            log::debug!("nobody waits for the start any more");
        }
    }

    fn serve(
        &self,
        shard: &mut BrokerShard,
        mut inbox: RemoteInbox<Command>,
        address: Option<SocketAddr>,
    ) -> Result<(), RunError> {
        let mut commands = Vec::new();
        let mut has_served = false;
        loop {
            inbox.receive(shard.io_mut(), COMMANDS_MAX, &mut commands);
            for command in commands.drain(..) {
                match command {
                    Command::Stop => shard.stop(),
                    // Whoever asked may be gone.
                    Command::Count(to) => drop(to.send(shard.counters())),
                }
            }
            shard.turn();
            match shard.phase() {
                Phase::Serving if !has_served => {
                    has_served = true;
                    self.tell(Some(Started {
                        shard: shard.me,
                        address,
                        relaxed_topics: relaxed_topics(shard),
                    }));
                }
                Phase::Stopped => break,
                Phase::Starting | Phase::Serving | Phase::Stopping => {}
            }
            shard.park();
        }
        if !has_served {
            self.tell(None);
            return Err(RunError::Stopped);
        }
        start_lines::log_end(&shard.counters());
        Ok(())
    }

    fn take_listener(&self, io: &mut Io) -> Option<(SocketHandle, SocketAddr)> {
        let mut bound = self.bound.lock().unwrap_or_else(PoisonError::into_inner);
        let index = bound.iter().position(|(shard, ..)| *shard == io.shard())?;
        let (_, socket, address) = bound.swap_remove(index);
        Some((io.attach_socket(socket), address))
    }

    fn limits(&self) -> NetLimits {
        let settings = &self.shared.settings;
        let idle_ms = u64::try_from(settings.connection_idle_ms_max).ok();
        NetLimits {
            request_bytes_max: settings.request_bytes_max,
            requests_max: settings.connection_requests_max,
            outgoing_bytes_max: OUTGOING_BYTES_MAX,
            large_bytes_max: self.arena_bytes / 4,
            idle_ns_max: idle_ms.map(|ms| ms.saturating_mul(1_000_000)),
        }
    }

    fn open(
        &self,
        io: &mut Io,
        config: ShardConfig,
        journal: JournalSetup,
    ) -> Result<(Option<Acceptor>, Shard), RunError> {
        let shard = io.shard();
        let listener = self.take_listener(io);
        let settings = &self.shared.settings;
        let all = (0..self.shared.shards).map(|index| ShardId(u16::try_from(index).unwrap_or(0)));
        let (shards, share) = match self.plan.advertise {
            Advertise::Single => (all.collect(), 1),
            Advertise::PerCore => (vec![shard], self.shared.shards),
        };
        let acceptor = listener.map(|listener| {
            let connections = settings.connections_max.div_ceil(share);
            let per_ip = settings.connections_per_ip_max.div_ceil(share);
            Acceptor::new(listener, shards, connections, per_ip)
        });
        let engine = Shard::open(io, config, journal).map_err(|error| open_failed(shard, error))?;
        Ok((acceptor, engine))
    }
}

/// The topics below `disk`, when asked of shard 0.
fn relaxed_topics(shard: &BrokerShard) -> Vec<RelaxedTopic> {
    if shard.me != ShardId(0) {
        return Vec::new();
    }
    let topics = shard.catalog.topics().map(|topic| RelaxedTopic {
        name: Arc::clone(&topic.name),
        durability: topic.settings.partition.durability,
    });
    topics
        .filter(|topic| topic.durability != Durability::Disk)
        .collect()
}

fn engine_config(config: &ServeConfig, settings: &BrokerSettings) -> EngineConfig {
    EngineConfig {
        journal_dir: config.journal_dir.clone(),
        cores: match &config.cores {
            Some(cores) => Cores::Listed(cores.clone()),
            None => Cores::Allowed(allowed_cores()),
        },
        memory_bytes: config.memory_bytes,
        journal_bytes: settings.journal_bytes,
        partitions_max: settings.partitions_max,
        producers_max: settings.producers_max,
        open_files_max: open_files_max(),
        checkpoint_interval_ms: settings.checkpoint_interval_ms,
        retention_check_ms: settings.retention_check_ms,
        mailbox_capacity: MAILBOX_CAPACITY,
        cleaner: settings.cleaner,
        ..EngineConfig::new(&config.data_dir)
    }
}

/// Segment files that may be open: at most half of what the process may open, for sockets need the
/// rest.
fn open_files_max() -> usize {
    let allowed = process_limits::raise().open_files.unwrap_or(u64::MAX);
    let half = usize::try_from(allowed / 2).unwrap_or(usize::MAX);
    half.min(SEGMENT_FILES_MAX)
}

/// What the limit of open files costs, if it is below what the settings allow.
fn few_files(connections_max: usize, open_files: Option<u64>) -> Option<String> {
    let allowed = open_files?;
    let wanted = connections_max as u64 + SEGMENT_FILES_FEW;
    (allowed < wanted).then(|| {
        format!(
            "open files are limited to {allowed}, below max.connections {connections_max} and \
             segment files: connections above the limit wait; raise it with LimitNOFILE (systemd), \
             --ulimit nofile (containers) or ulimit -n"
        )
    })
}

/// Where partitions go when the number of shards changes. What belongs to no partition belongs to
/// the controller.
#[must_use]
pub fn place(handle: PartitionHandle, _: ShardId, shards: usize) -> ShardId {
    let index = handle.0 % shards as u64;
    ShardId(u16::try_from(index).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_of_open_files_below_the_settings_is_told() {
        assert_eq!(few_files(10_000, None), None);
        assert_eq!(few_files(10_000, Some(20_000)), None);
        let line = few_files(10_000, Some(1024)).unwrap();
        assert!(
            line.contains("limited to 1024") && line.contains("LimitNOFILE"),
            "{line}"
        );
    }
}
