//! The broker process on the simulated machine: opening its data directory, its shards, their
//! turns and its end.

use super::limits::Limits;
use millrace_engine::engine::EngineError;
use millrace_engine::engine::open::prepare_on;
use millrace_engine::ids::ShardId;
use millrace_engine::io::simulated::World;
use millrace_engine::shard::{JournalSetup, OpenError, Shard};
use millrace_server::broker::{BrokerShard, Parts, Phase, Shared};
use millrace_server::config::BrokerSettings;
use millrace_server::listener::Acceptor;
use millrace_server::net::{Net, NetLimits};
use millrace_server::run::place;
use millrace_server::topics::catalog::Node;
use std::net::SocketAddr;
use std::sync::Arc;

const MAILBOX_CAPACITY: usize = 64;

/// Why a broker did not start.
#[derive(Debug)]
pub(crate) struct StartError(pub(crate) String);

impl From<EngineError> for StartError {
    fn from(error: EngineError) -> Self {
        Self(error.to_string())
    }
}

impl From<OpenError> for StartError {
    fn from(error: OpenError) -> Self {
        Self(error.to_string())
    }
}

/// A broker that runs.
#[derive(Debug)]
pub(crate) struct Machine {
    world: World,
    pub(crate) shards: Vec<BrokerShard>,
    /// Its journals, in shard order.
    pub(crate) journals: Vec<JournalSetup>,
    /// Those whose last turn left frames for the next.
    busy: Vec<bool>,
    /// Turns so far.
    pub(crate) turns: u64,
}

impl Machine {
    /// Starts a process on the disk as it is.
    pub(crate) fn start(
        world: &World,
        limits: &Limits,
        address: SocketAddr,
    ) -> Result<Self, StartError> {
        let count = limits.shards;
        let mut ios = world.restart(count);
        let mut listeners = Vec::new();
        for (nth, io) in ios.iter_mut().take(limits.nodes()).enumerate() {
            let at = SocketAddr::new(address.ip(), address.port() + nth as u16);
            let listened = io.listen(at);
            listeners.push(listened.map_err(|failure| StartError(failure.to_string()))?);
        }
        let mut listeners = listeners.into_iter();
        let directory = prepare_on(&mut ios[0], &limits.engine, &place)?;
        let journals = directory.journals();
        let (settings, _) = BrokerSettings::from_assignments(&limits.settings)
            .map_err(|error| StartError(error.to_string()))?;
        let shared = Arc::new(Shared {
            settings: Arc::new(settings),
            shards: count,
            group_bytes_max: 1 << 20,
            session_bytes_max: 1 << 20,
        });
        let mut engines = Vec::new();
        for ((index, io), setup) in ios.iter_mut().enumerate().zip(&journals) {
            engines.push(Shard::open(io, limits.shard(index), *setup)?);
        }
        let mailboxes = world.mailboxes(MAILBOX_CAPACITY);
        let mut machine = Self {
            world: world.clone(),
            shards: Vec::new(),
            journals,
            busy: vec![true; count],
            turns: 0,
        };
        for ((io, engine), mailbox) in ios.into_iter().zip(engines).zip(mailboxes) {
            let me = io.shard();
            let listener = listeners.next();
            let node = listener.as_ref().map(|(_, at)| Node {
                id: i32::from(me.0),
                host: at.ip().to_string(),
                port: at.port(),
            });
            // A node's connections are its shard's; else they are dealt out.
            let served = match limits.is_per_core {
                true => vec![me],
                false => (0..count).map(|index| ShardId(index as u16)).collect(),
            };
            let mut shard = BrokerShard::new(Parts {
                net: Net::new(net_limits(&shared.settings, limits)),
                io,
                mailbox,
                engine,
                acceptor: listener.map(|listener| Acceptor::new(listener, served, 1000, 1000)),
                shared: Arc::clone(&shared),
            });
            shard.say_hello(node);
            machine.shards.push(shard);
        }
        Ok(machine)
    }

    /// A turn of every shard that was woken or is not through.
    pub(crate) fn turn(&mut self) {
        for index in 0..self.shards.len() {
            let is_woken = self.world.take_runnable(ShardId(index as u16));
            if is_woken || self.busy[index] {
                let shard = &mut self.shards[index];
                shard.turn();
                shard.park();
                self.busy[index] = shard.has_frames();
                self.turns += 1;
            }
        }
    }

    /// Whether a turn is due although nothing happens.
    pub(crate) fn is_busy(&self) -> bool {
        self.busy.contains(&true)
    }

    /// What its shards are like, for a report.
    pub(crate) fn describe(&mut self) -> String {
        let mut text = String::new();
        for shard in &mut self.shards {
            let phase = shard.phase();
            let counters = shard.counters().engine;
            let arena = shard.io_mut().arena();
            text += &format!(
                "; {phase:?} with {} of {} KiB of memory, {} KiB of live journal, {} KiB unwritten",
                arena.used_bytes() >> 10,
                arena.capacity_bytes() >> 10,
                counters.live_journal_bytes_now >> 10,
                counters.unwritten_bytes_now >> 10
            );
        }
        text
    }

    pub(crate) fn stop(&mut self) {
        for (shard, busy) in self.shards.iter_mut().zip(&mut self.busy) {
            shard.stop();
            *busy = true;
        }
    }

    pub(crate) fn is_stopped(&self) -> bool {
        let mut phases = self.shards.iter().map(BrokerShard::phase);
        phases.all(|phase| phase == Phase::Stopped)
    }
}

fn net_limits(settings: &BrokerSettings, limits: &Limits) -> NetLimits {
    let idle_ms = u64::try_from(settings.connection_idle_ms_max).ok();
    NetLimits {
        request_bytes_max: settings.request_bytes_max,
        requests_max: settings.connection_requests_max,
        outgoing_bytes_max: 256 << 10,
        large_bytes_max: limits.arena_bytes / 4,
        idle_ns_max: idle_ms.map(|ms| ms.saturating_mul(1_000_000)),
    }
}
