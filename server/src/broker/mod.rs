//! One shard of the broker: connections, requests in flight, the engine's shard, and the turn
//! that drives them. See `server/src/handlers` for what is done with a request.
//!
//! Everything here belongs to one thread. A turn never waits: it takes what came, does it, and
//! leaves; `park` waits. A simulation may call `turn` instead of the kernel's loop. Files:
//! `arrivals` (completions, mail, events), `frames` (requests), `answers` (mail, responses).

mod answers;
mod arrivals;
mod frames;

use crate::config::BrokerSettings;
use crate::counters::BrokerCounters;
use crate::handlers::fetch::part::{ActivePart, FetchPart, PartItem, PartResult};
use crate::handlers::fetch::sessions::FetchSessions;
use crate::handlers::fetch::{FetchRequest, Watchers};
use crate::handlers::group_requests::GroupDesk;
use crate::handlers::produce::{Hop, ProduceRequest};
use crate::handlers::question::{Answering, QuestionRequest};
use crate::handlers::validation::Validation;
use crate::listener::Acceptor;
use crate::mail::{HopProduce, Mail};
use crate::net::{ConnectionKey, FrameBytes, Net};
use crate::request::RequestHead;
use crate::slab::{Slab, SlabKey};
use crate::topics::catalog::Catalog;
use crate::topics::controller::{Controller, JobReply, Order};
use millrace_engine::ids::{PartitionHandle, ShardId};
use millrace_engine::io::mailbox::Mailbox;
use millrace_engine::io::{Awaiting, Completion, Io};
use millrace_engine::shard::{Event, Shard};
use rustc_hash::FxHashMap;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::ops::Range;
use std::sync::Arc;

/// What all shards of a broker know from the start.
#[derive(Debug)]
pub struct Shared {
    /// The settings.
    pub settings: Arc<BrokerSettings>,
    /// How many shards there are.
    pub shards: usize,
    /// Memory for the groups of each shard.
    pub group_bytes_max: usize,
    /// Memory for the fetch sessions of each shard.
    pub session_bytes_max: usize,
}

/// Answers an admin request once the controller is done.
pub type Finish = fn(&mut BrokerShard, &RequestHead, &FrameBytes, &JobReply);

/// A request that waits for the controller.
#[derive(Debug)]
pub struct AdminRequest {
    /// Where its response goes.
    pub head: RequestHead,
    /// Its bytes, read again for the response.
    pub frame: FrameBytes,
    /// Writes the response.
    pub finish: Finish,
}

/// Something to do at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// Answer this fetch with what there is.
    Fetch(SlabKey),
}

/// Things to do at times. Those that became needless stay until their time.
#[derive(Debug, Default)]
pub struct Timers(BinaryHeap<Reverse<(u64, Timer)>>);

impl Timers {
    /// Adds one.
    pub fn push(&mut self, deadline_ns: u64, timer: Timer) {
        self.0.push(Reverse((deadline_ns, timer)));
    }

    fn next_ns(&self) -> Option<u64> {
        self.0.peek().map(|Reverse((deadline_ns, _))| *deadline_ns)
    }

    fn pop_due(&mut self, now_ns: u64) -> Option<Timer> {
        self.next_ns()
            .filter(|deadline_ns| *deadline_ns <= now_ns)?;
        self.0.pop().map(|Reverse((_, timer))| timer)
    }
}

/// Where a broker shard is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Waits for the first catalog.
    Starting,
    /// Takes connections.
    Serving,
    /// Ends the engine's work.
    Stopping,
    /// Nothing is in flight any more.
    Stopped,
}

/// One shard of the broker.
#[derive(Debug)]
pub struct BrokerShard {
    pub(crate) io: Io,
    pub(crate) engine: Shard,
    pub(crate) net: Net,
    pub(crate) me: ShardId,
    pub(crate) shared: Arc<Shared>,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) acceptor: Option<Acceptor>,
    pub(crate) controller: Option<Controller>,
    pub(crate) produces: Slab<ProduceRequest>,
    pub(crate) produce_pool: Vec<ProduceRequest>,
    pub(crate) hops: Slab<Hop>,
    pub(crate) stalled_hops: VecDeque<(ShardId, HopProduce)>,
    /// Batches whose records are looked at, in the order in which they came.
    pub(crate) validations: VecDeque<Validation>,
    pub(crate) fetches: Slab<FetchRequest>,
    pub(crate) fetch_pool: Vec<FetchRequest>,
    pub(crate) part_items: Vec<Vec<PartItem>>,
    pub(crate) parts: Slab<ActivePart>,
    #[expect(clippy::vec_box, reason = "parts travel between shards in their boxes")]
    pub(crate) part_pool: Vec<Box<FetchPart>>,
    pub(crate) result_pool: Vec<Vec<PartResult>>,
    pub(crate) part_keys: FxHashMap<(ShardId, u64), SlabKey>,
    pub(crate) starved_parts: Vec<SlabKey>,
    pub(crate) watchers: Watchers,
    pub(crate) sessions: FetchSessions,
    pub(crate) groups: GroupDesk,
    pub(crate) questions: Slab<QuestionRequest>,
    pub(crate) answering: Slab<Answering>,
    pub(crate) index_waits: Vec<(PartitionHandle, SlabKey, usize)>,
    pub(crate) admin: Slab<AdminRequest>,
    pub(crate) changes: Slab<crate::changes::Changing>,
    pub(crate) producer_ids: Range<i64>,
    pub(crate) timers: Timers,
    pub(crate) scratch: Vec<u8>,
    pub(crate) cuts: Vec<(usize, usize)>,
    pub(crate) phase: Phase,
    mailbox: Mailbox<Mail>,
    outboxes: Vec<VecDeque<Mail>>,
    outbox_len: usize,
    held: Vec<ConnectionKey>,
    ready: Vec<ConnectionKey>,
    done: Vec<Completion>,
    mail: Vec<(ShardId, Mail)>,
    events: Vec<Event>,
    next_sweep_ns: u64,
}

/// Pieces of mail taken in one turn.
const MAIL_MAX: usize = 256;
/// Frames of one connection handled in one turn.
const FRAMES_MAX: usize = 64;
/// Time between looks at silent connections.
const SWEEP_NS: u64 = 5_000_000_000;
/// The same while some connection waits for memory.
const STARVED_SWEEP_NS: u64 = 1_000_000_000;
/// Time after which something that waits for memory is tried again.
const STARVED_RETRY_NS: u64 = 1_000_000;

/// What a broker shard is made of.
#[derive(Debug)]
pub struct Parts {
    /// Its access to the world.
    pub io: Io,
    /// Its mailbox.
    pub mailbox: Mailbox<Mail>,
    /// The engine's shard.
    pub engine: Shard,
    /// Its connections.
    pub net: Net,
    /// Its listener, if it has one.
    pub acceptor: Option<Acceptor>,
    /// What all shards know.
    pub shared: Arc<Shared>,
}

impl BrokerShard {
    /// A shard that has recovered and not said hello.
    #[must_use]
    pub fn new(mut parts: Parts) -> Self {
        let me = parts.io.shard();
        let shards = parts.shared.shards;
        let settings = &parts.shared.settings;
        let controller = (me == ShardId(0)).then(|| {
            let own = parts
                .engine
                .registry()
                .filter(|(owner, ..)| *owner == PartitionHandle(0));
            Controller::new(
                Arc::clone(settings),
                shards,
                own.map(|(_, key, value)| (key, value)),
            )
        });
        let groups = GroupDesk::new(settings.groups, parts.shared.group_bytes_max);
        let sessions = FetchSessions::new(
            (
                settings.fetch_sessions_max.div_ceil(shards),
                parts.shared.session_bytes_max,
            ),
            (i32::from(me.0), i32::try_from(shards).unwrap_or(1)),
            parts.io.random_u64(),
        );
        Self {
            io: parts.io,
            engine: parts.engine,
            net: parts.net,
            me,
            shared: parts.shared,
            catalog: Arc::default(),
            acceptor: parts.acceptor,
            controller,
            produces: Slab::default(),
            produce_pool: Vec::new(),
            hops: Slab::default(),
            stalled_hops: VecDeque::new(),
            validations: VecDeque::new(),
            fetches: Slab::default(),
            fetch_pool: Vec::new(),
            part_items: Vec::new(),
            parts: Slab::default(),
            part_pool: Vec::new(),
            result_pool: Vec::new(),
            part_keys: FxHashMap::default(),
            starved_parts: Vec::new(),
            watchers: Watchers::default(),
            sessions,
            groups,
            questions: Slab::default(),
            answering: Slab::default(),
            index_waits: Vec::new(),
            admin: Slab::default(),
            changes: Slab::default(),
            producer_ids: 0..0,
            timers: Timers::default(),
            scratch: Vec::new(),
            cuts: Vec::new(),
            phase: Phase::Starting,
            mailbox: parts.mailbox,
            outboxes: (0..shards).map(|_| VecDeque::new()).collect(),
            outbox_len: 0,
            held: Vec::new(),
            ready: Vec::new(),
            done: Vec::new(),
            mail: Vec::new(),
            events: Vec::new(),
            next_sweep_ns: 0,
        }
    }

    /// Where the shard is in its life.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// What the shard did so far.
    #[must_use]
    pub fn counters(&self) -> BrokerCounters {
        BrokerCounters {
            shard: self.me,
            io: self.io.counters(),
            engine: self.engine.counters(),
            net: self.net.counters(),
        }
    }

    /// The shard's access to the world, for what the owner of the thread does there.
    pub fn io_mut(&mut self) -> &mut Io {
        &mut self.io
    }

    /// Does everything that can be done without waiting.
    pub fn turn(&mut self) {
        self.take_completions();
        self.take_mail();
        self.retry();
        self.take_frames();
        self.engine.end_turn(&mut self.io);
        self.take_events();
        self.take_timers();
        self.tell_closed();
        self.net.flush(&mut self.io);
        self.flush_outboxes();
        if self.phase == Phase::Stopping && self.engine.is_stopped() {
            self.phase = Phase::Stopped;
        }
    }

    /// Waits until there is something to do.
    pub fn park(&mut self) {
        if self.net.has_ready() {
            return;
        }
        let deadlines = [
            self.engine.next_deadline_ns(),
            self.timers.next_ns(),
            self.groups.coordinator.next_deadline_ns(),
            self.retry_ns(),
            self.sweep_ns(),
        ];
        let deadline = deadlines.into_iter().flatten().min();
        let awaiting = if self.engine.is_awaiting_disk() {
            Awaiting::Disk
        } else {
            Awaiting::Anything
        };
        self.io.park(deadline, awaiting);
    }

    fn sweep_ns(&self) -> Option<u64> {
        let is_accept_due = self.acceptor.as_ref().and_then(Acceptor::retry_ns);
        let sweep = (self.net.open_connections() > 0).then_some(self.next_sweep_ns);
        [is_accept_due, sweep].into_iter().flatten().min()
    }

    fn retry_ns(&self) -> Option<u64> {
        let is_waiting = self.net.is_starved()
            || !self.stalled_hops.is_empty()
            || !self.starved_parts.is_empty()
            || self.groups.is_load_starved
            || self.outbox_len > 0;
        is_waiting.then(|| self.io.now_ns().saturating_add(STARVED_RETRY_NS))
    }

    /// Whether frames wait for the next turn, so that `park` does not wait.
    #[must_use]
    pub fn has_frames(&self) -> bool {
        self.net.has_ready()
    }

    /// Begins a clean stop.
    pub fn stop(&mut self) {
        if matches!(self.phase, Phase::Starting | Phase::Serving) {
            self.phase = Phase::Stopping;
            if let Some(acceptor) = self.acceptor.take() {
                self.io.close_socket(acceptor.socket());
            }
            self.net.close_all(&mut self.io);
            self.engine.begin_stop(&mut self.io);
        }
    }

    /// Lets the controller do something and carries out what it orders.
    pub(crate) fn control(
        &mut self,
        act: impl FnOnce(&mut Controller, &mut dyn FnMut() -> u64) -> Vec<Order>,
    ) {
        let Some(mut controller) = self.controller.take() else {
            return;
        };
        let orders = act(&mut controller, &mut || self.io.random_u64());
        self.controller = Some(controller);
        for order in orders {
            self.carry_out(order);
        }
    }

    fn retry(&mut self) {
        if self.net.is_starved() {
            self.net.retry_starved(&mut self.io);
        }
        if !self.stalled_hops.is_empty() {
            self.retry_stalled_hops();
        }
        if !self.starved_parts.is_empty() {
            self.retry_starved_parts();
        }
        if self.groups.is_load_starved {
            self.load_groups();
        }
        if !self.held.is_empty() && !self.is_pressed() {
            for key in std::mem::take(&mut self.held) {
                self.net.look_again(key);
            }
        }
    }

    fn take_timers(&mut self) {
        let now_ns = self.io.now_ns();
        while let Some(Timer::Fetch(key)) = self.timers.pop_due(now_ns) {
            self.fetch_is_due(key);
        }
        self.tick_groups(now_ns);
        if now_ns >= self.next_sweep_ns {
            self.net.sweep(&mut self.io);
            let until_ns = if self.net.is_starved() {
                STARVED_SWEEP_NS
            } else {
                SWEEP_NS
            };
            self.next_sweep_ns = now_ns.saturating_add(until_ns);
        }
        self.retry_accept(now_ns);
    }
}
