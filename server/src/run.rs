//! Starts a broker in this process: checks what was asked, starts the shards, says where clients
//! connect, and stops cleanly.

use crate::broker::{BrokerShard, Parts, Phase, Shared};
use crate::config::{BrokerSettings, ConfigError};
use crate::counters::BrokerCounters;
use crate::listener::Acceptor;
use crate::mail::Mail;
use crate::net::{Net, NetLimits};
use crate::start_lines::{self, RelaxedTopic, StartFacts};
use crate::topics::catalog::Node;
use millrace_engine::engine::open::{DirectoryLock, prepare};
use millrace_engine::engine::{Cores, EngineConfig, EngineError};
use millrace_engine::ids::{PartitionHandle, ShardId};
use millrace_engine::io::group::{
    KernelConfig, SetupError, ShardGroup, ShardSeat, allowed_cores, on_terminate, start_shards,
};
use millrace_engine::io::remote::{Remote, RemoteInbox};
use millrace_engine::io::{Io, IoFailure, SocketHandle, process_limits};
use millrace_engine::partition::Durability;
use millrace_engine::shard::{JournalSetup, OpenError, Shard, ShardConfig};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

/// How shards appear to clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Advertise {
    /// As one node with one port.
    #[default]
    Single,
    /// Each as its own node: node id and port of the first plus its number.
    PerCore,
}

/// What `millrace serve` was told.
#[derive(Clone, Debug)]
pub struct ServeConfig {
    /// Where the data is.
    pub data_dir: PathBuf,
    /// Where the journals are; `None`: `journal` in the data directory.
    pub journal_dir: Option<PathBuf>,
    /// Where to listen, `HOST:PORT`; the host is an address or `localhost`.
    pub listen: String,
    /// What clients are told to connect to, `HOST:PORT`; `None`: where it listens.
    pub advertised: Option<String>,
    /// How shards appear to clients.
    pub advertise: Advertise,
    /// Id of the (first) node.
    pub node_id: i32,
    /// One core for each shard; `None`: the allowed cores.
    pub cores: Option<Vec<usize>>,
    /// Memory for everything that grows with use.
    pub memory_bytes: u64,
    /// Settings: the configuration file's, then those of the command line.
    pub settings: Vec<(String, String)>,
}

impl Default for ServeConfig {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("millrace-data"),
            journal_dir: None,
            listen: "127.0.0.1:9092".to_owned(),
            advertised: None,
            advertise: Advertise::Single,
            node_id: 0,
            cores: None,
            memory_bytes: 1 << 30,
            settings: Vec::new(),
        }
    }
}

/// Why a broker could not be started.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A setting is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// An option is wrong.
    #[error("{option} {value:?}: {problem}")]
    Option {
        /// Which.
        option: &'static str,
        /// Its value.
        value: String,
        /// What is wrong and what to do.
        problem: String,
    },
    /// The kernel does not let the shards run.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// A port cannot be listened on.
    #[error("cannot listen on {address}: {failure}{hint}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        failure: IoFailure,
        /// What it may be.
        hint: &'static str,
    },
    /// The data cannot be opened.
    #[error("{shard}: {error}{hint}")]
    Open {
        /// Which shard.
        shard: ShardId,
        /// Why.
        error: OpenError,
        /// What to do.
        hint: &'static str,
    },
    /// The data directory cannot be used.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Another shard could not start; its error says why.
    #[error("stopped because another shard could not start")]
    Stopped,
}

/// Response bytes of one connection that may wait for its socket.
const OUTGOING_BYTES_MAX: usize = 8 << 20;
const MAILBOX_CAPACITY: usize = 1024;
/// Segment files open at most, over all shards: opening one for each write back would cost a
/// quarter of a core at a thousand partitions that are written.
const SEGMENT_FILES_MAX: usize = 16_384;
/// Segment files without which the limit of open files is worth a warning.
const SEGMENT_FILES_FEW: u64 = 1024;
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

/// A sixteenth of the memory is for groups, each shard's its share.
fn group_bytes_max(memory_bytes: u64, shards: usize) -> usize {
    let share = memory_bytes / 16 / shards.max(1) as u64;
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
    running.join()
}

/// Starts a broker and returns once it takes connections.
///
/// # Errors
/// See [`RunError`].
pub fn start(config: &ServeConfig) -> Result<Running, RunError> {
    let (settings, warnings) = BrokerSettings::from_assignments(&config.settings)?;
    for warning in warnings {
        log::warn!("{warning}");
    }
    if let Some(line) = few_files(settings.connections_max, process_limits::raise().open_files) {
        log::warn!("{line}");
    }
    let prepared = prepare(&engine_config(config, &settings), Arc::new(place));
    let prepared = prepared.map_err(|error| option_named(error, config))?;
    let shards = prepared.shards.len();
    let plan = Arc::new(ListenPlan::new(config, &settings, shards)?);
    for line in &prepared.report {
        log::info!("{line}");
    }
    let shared = Arc::new(Shared {
        settings: Arc::new(settings),
        shards,
        group_bytes_max: group_bytes_max(config.memory_bytes, shards),
    });
    let (started, starts) = channel();
    let arena_bytes = prepared.kernel.arena_bytes;
    let journals = prepared.shards;
    let body = move |seat: ShardSeat<Mail, Command>| {
        let shard = ShardStart {
            plan: Arc::clone(&plan),
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

/// Where shards listen and what clients are told.
#[derive(Debug)]
struct ListenPlan {
    advertise: Advertise,
    node_id: i32,
    listen: SocketAddr,
    advertised: Option<(String, u16)>,
}

impl ListenPlan {
    fn new(
        config: &ServeConfig,
        settings: &BrokerSettings,
        shards: usize,
    ) -> Result<Self, RunError> {
        let (listen_option, listen) = match settings.explicit("listeners") {
            Some(listener) => ("config listeners", bare(listener)),
            None => ("--listen", config.listen.as_str()),
        };
        let (advertised_option, advertised) = match settings.explicit("advertised.listeners") {
            Some(listener) => ("config advertised.listeners", Some(bare(listener))),
            None => ("--advertised", config.advertised.as_deref()),
        };
        let (host, port) = host_and_port(listen_option, listen)?;
        let ip: IpAddr = match host.as_str() {
            "localhost" => IpAddr::V4(Ipv4Addr::LOCALHOST),
            host => host.parse().map_err(|_| RunError::Option {
                option: listen_option,
                value: listen.to_owned(),
                problem: "the host must be an IP address or localhost".to_owned(),
            })?,
        };
        if ip.is_unspecified() && advertised.is_none() {
            return Err(RunError::Option {
                option: listen_option,
                value: listen.to_owned(),
                problem: "listening on all addresses needs --advertised HOST:PORT, the address \
                          that clients are told to connect to"
                    .to_owned(),
            });
        }
        let ports_needed = match config.advertise {
            Advertise::Single => 1,
            Advertise::PerCore => shards,
        };
        let advertised = advertised
            .map(|text| host_and_port(advertised_option, text))
            .transpose()?;
        for port in [Some(port), advertised.as_ref().map(|(_, port)| *port)]
            .into_iter()
            .flatten()
        {
            if usize::from(port) + ports_needed > usize::from(u16::MAX) + 1 {
                return Err(RunError::Option {
                    option: listen_option,
                    value: listen.to_owned(),
                    problem: format!("{ports_needed} ports from {port} on end above 65535"),
                });
            }
        }
        let node_id = settings
            .explicit("node.id")
            .or_else(|| settings.explicit("broker.id"));
        Ok(Self {
            advertise: config.advertise,
            node_id: node_id
                .and_then(|id| id.parse().ok())
                .unwrap_or(config.node_id),
            listen: SocketAddr::new(ip, port),
            advertised,
        })
    }

    /// Where a shard listens, if it does.
    fn address(&self, shard: ShardId) -> Option<SocketAddr> {
        let mut address = self.listen;
        match self.advertise {
            Advertise::Single => (shard == ShardId(0)).then_some(address),
            Advertise::PerCore => {
                if address.port() != 0 {
                    address.set_port(address.port() + shard.0);
                }
                Some(address)
            }
        }
    }

    /// What clients are told about the shard that listens at `bound`.
    fn node(&self, shard: ShardId, bound: SocketAddr) -> Node {
        let id = self.node_id + i32::from(shard.0);
        match &self.advertised {
            Some((host, port)) => Node {
                id,
                host: host.clone(),
                port: port + shard.0,
            },
            None => Node {
                id,
                host: bound.ip().to_string(),
                port: bound.port(),
            },
        }
    }
}

/// Takes `PLAINTEXT://` off a Kafka listener.
fn bare(listener: &str) -> &str {
    listener
        .split_once("://")
        .map_or(listener, |(_, address)| address)
}

fn host_and_port(option: &'static str, text: &str) -> Result<(String, u16), RunError> {
    let wrong = || RunError::Option {
        option,
        value: text.to_owned(),
        problem: "expected one HOST:PORT with a port up to 65535".to_owned(),
    };
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let port = port.parse().map_err(|_| wrong())?;
    if host.is_empty() {
        return Err(wrong());
    }
    Ok((host.to_owned(), port))
}

/// What one shard's thread starts with.
struct ShardStart {
    plan: Arc<ListenPlan>,
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
        start_lines::log_end(&shard.counters());
        if !has_served {
            self.tell(None);
            return Err(RunError::Stopped);
        }
        Ok(())
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
        let listener = self
            .plan
            .address(shard)
            .map(|address| listen(io, address))
            .transpose()?;
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

fn listen(io: &mut Io, address: SocketAddr) -> Result<(SocketHandle, SocketAddr), RunError> {
    io.listen(address).map_err(|failure| RunError::Listen {
        address,
        failure,
        hint: if failure.is_address_in_use() {
            "; another broker or program uses this port: stop it or choose another with --listen"
        } else if failure.is_foreign_address() {
            "; no interface of this machine has this address: give one that it has, or \
             --listen 0.0.0.0:PORT with --advertised"
        } else {
            ""
        },
    })
}

fn open_failed(shard: ShardId, error: OpenError) -> RunError {
    let hint = match &error {
        OpenError::Io { failure, .. } if failure.is_out_of_files() => {
            "; raise the limit of open files with LimitNOFILE (systemd), --ulimit nofile \
             (containers) or ulimit -n"
        }
        OpenError::Io { failure, .. } if failure.is_full() => {
            "; free space on the disk of --data-dir or --journal-dir"
        }
        OpenError::Io { .. } | OpenError::Refused { .. } => "",
    };
    RunError::Open { shard, error, hint }
}

/// The engine's names of what the command line has options for.
fn option_named(error: EngineError, config: &ServeConfig) -> RunError {
    match error {
        EngineError::Config(wrong) if wrong.key == "memory_bytes" => RunError::Option {
            option: "--memory",
            value: format!("{} MiB", config.memory_bytes >> 20),
            problem: format!(
                "{} to {} MiB are allowed; each shard needs 16 MiB at least, fewer --cores need \
                 less",
                wrong.min >> 20,
                wrong.max >> 20
            ),
        },
        EngineError::Config(wrong) if wrong.key == "cores" => RunError::Option {
            option: "--cores",
            value: format!("{} cores", wrong.value),
            problem: format!("{} to {} are allowed", wrong.min, wrong.max),
        },
        other => RunError::Engine(other),
    }
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
fn place(handle: PartitionHandle, _: ShardId, shards: usize) -> ShardId {
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

    #[test]
    fn a_failed_opening_says_what_to_raise_or_free() {
        let said = |errno| {
            let object = "0001.0000.jnl".to_owned();
            let failure = IoFailure::Os(errno);
            open_failed(ShardId(1), OpenError::Io { object, failure }).to_string()
        };
        // EMFILE, ENOSPC, EIO.
        assert!(said(24).contains("0001.0000.jnl") && said(24).contains("LimitNOFILE"));
        assert!(said(28).contains("free space"));
        assert!(!said(5).contains(';'));
    }
}
