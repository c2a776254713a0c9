//! One shard of the broker: connections, requests in flight, the engine's shard, and the turn
//! that drives them. See `server/src/handlers` for what is done with a request.
//!
//! Everything here belongs to one thread. A turn never waits: it takes what came, does it, and
//! leaves; `park` waits. A simulation may call `turn` instead of the kernel's loop.

use crate::config::BrokerSettings;
use crate::counters::BrokerCounters;
use crate::handlers::fetch::part::{ActivePart, FetchPart, PartItem, PartResult};
use crate::handlers::fetch::sessions::FetchSessions;
use crate::handlers::fetch::{FetchRequest, Watchers};
use crate::handlers::group_requests::GroupDesk;
use crate::handlers::produce::{Hop, ProduceRequest};
use crate::handlers::question::{Answering, QuestionRequest};
use crate::handlers::validation::Validation;
use crate::handlers::{self, api_versions};
use crate::listener::Acceptor;
use crate::mail::{HopProduce, Mail};
use crate::net::{
    ConnectionKey, Frame, FrameBytes, LargeFramePlanner, LargePlan, Net, NextFrame, Response,
};
use crate::protocol::produce::first_records;
use crate::protocol::{
    ApiKey, EncodeError, ErrorCode, Message, Reader, RequestHeader, encode_response,
};
use crate::request::{Refusal, Request, RequestHead};
use crate::slab::{Slab, SlabKey};
use crate::ticket::{Waiting, read_ticket};
use crate::topics::catalog::{Catalog, PartitionPlace, Topic};
use crate::topics::controller::{Controller, JobReply, Order};
use millrace_engine::ids::{PartitionHandle, ShardId, Ticket};
use millrace_engine::io::mailbox::Mailbox;
use millrace_engine::io::{Awaiting, Class, Completion, Io, Outcome};
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
    pub fn new(parts: Parts) -> Self {
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
            settings.fetch_sessions_max.div_ceil(shards),
            parts.shared.session_bytes_max,
            i32::from(me.0),
            i32::try_from(shards).unwrap_or(1),
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

    fn take_completions(&mut self) {
        let mut done = std::mem::take(&mut self.done);
        self.io.poll(&mut done);
        for completion in done.drain(..) {
            match completion.token.class {
                Class::Journal | Class::Log => self.engine.complete(&mut self.io, completion),
                Class::Net => {
                    let arrived = self.net.complete(&mut self.io, completion);
                    self.connection_arrived(arrived);
                }
                Class::Broker => {
                    self.work_done(Ticket(completion.token.key), completion.outcome);
                }
            }
        }
        self.done = done;
    }

    fn work_done(&mut self, ticket: Ticket, outcome: Outcome) {
        match read_ticket(ticket) {
            Some((Waiting::Question, key, item)) => self.batch_opened(key, item, outcome),
            Some((Waiting::Produce, key, item)) => self.validated(key, item, outcome),
            _ => {}
        }
    }

    fn take_mail(&mut self) {
        let mut mail = std::mem::take(&mut self.mail);
        self.mailbox.receive(&mut self.io, MAIL_MAX, &mut mail);
        for (from, piece) in mail.drain(..) {
            self.take_piece(from, piece);
        }
        self.mail = mail;
    }

    fn take_piece(&mut self, from: ShardId, piece: Mail) {
        match piece {
            Mail::Socket(socket, peer) => {
                let socket = self.io.attach_socket(socket);
                if self.phase == Phase::Serving {
                    self.net.add(&mut self.io, socket, peer);
                } else {
                    self.io.close_socket(socket);
                    self.send(from, Mail::Closed(vec![peer]));
                }
            }
            Mail::Closed(peers) => {
                if let Some(acceptor) = &mut self.acceptor {
                    peers
                        .into_iter()
                        .for_each(|peer| acceptor.closed(from, peer));
                }
            }
            Mail::Hello(hello) => {
                self.control(|controller, random| controller.hello(from, *hello, random))
            }
            Mail::Catalog(catalog) => self.hold_catalog(catalog),
            Mail::CatalogHeld(version) => {
                self.control(|controller, random| controller.held(version, random));
            }
            Mail::Produce(hop) => self.hop_arrived(from, hop),
            Mail::Produced(ticket, result) => self.hop_answered(ticket, result),
            Mail::Fetch(part) => self.part_arrived(from, part),
            Mail::Fetched(report) => self.part_reported(from, *report),
            Mail::FetchOver(request) => self.part_over(from, request),
            Mail::Ask(request, asked) => self.answer(from, request, asked),
            Mail::Answers(request, answers) => self.answered(request, &answers),
            Mail::GroupRequest(request) => self.group_request_arrived(&request),
            Mail::Respond(response) => self.respond_for_coordinator(&response.0, response.1),
            Mail::GroupAsk(key, places, asked) => self.answer_groups(from, key, &places, &asked),
            Mail::GroupAnswers(key, answers) => self.groups_answered(key, answers),
            Mail::Job(token, job) => {
                self.control(|controller, random| controller.ask(from, token, *job, random));
            }
            Mail::JobDone(token, reply) => {
                if let Some(done) = self.admin.remove(SlabKey::from_bits(token)) {
                    (done.finish)(self, &done.head, &done.frame, &reply);
                }
            }
            Mail::Change(change) => self.change_partitions(from, *change),
            Mail::Changed(failed) => {
                self.control(|controller, random| controller.changed(failed, random));
            }
            Mail::Stop => self.stop(),
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

    /// Too much waits for other shards or for memory: no new requests.
    fn is_pressed(&self) -> bool {
        let waiting_max = self.shared.settings.hops_waiting_max;
        !self.stalled_hops.is_empty()
            || self.outbox_len >= waiting_max
            || self.validations.len() >= waiting_max
    }

    fn take_frames(&mut self) {
        let mut ready = std::mem::take(&mut self.ready);
        self.net.drain_ready(&mut ready);
        for key in ready.drain(..) {
            self.take_frames_of(key);
        }
        self.ready = ready;
    }

    fn take_frames_of(&mut self, key: ConnectionKey) {
        for _ in 0..FRAMES_MAX {
            if self.is_pressed() {
                self.held.push(key);
                return;
            }
            let planner = Planner {
                catalog: &self.catalog,
                engine: &self.engine,
                me: self.me,
            };
            match self.net.next_frame(&mut self.io, key, &planner) {
                NextFrame::Wait => return,
                NextFrame::Close(error) => {
                    log::debug!("connection closed: {error}");
                    self.close(key);
                    return;
                }
                NextFrame::Frame(frame) => {
                    if self.dispatch(key, frame).is_err() {
                        self.close(key);
                        return;
                    }
                }
            }
        }
        self.net.look_again(key);
    }

    fn dispatch(&mut self, key: ConnectionKey, frame: Frame) -> Result<(), Refusal> {
        let bytes: &[u8] = match &frame {
            Frame::Whole(bytes) => bytes,
            Frame::Split { prefix, .. } => prefix,
        };
        let mut reader = Reader::new(bytes);
        let header = RequestHeader::decode(&mut reader)?;
        let slot = self.net.open_slot(key).ok_or(Refusal::Close)?;
        let mut head = RequestHead {
            shard: self.me,
            peer: self.net.peer(key).ok_or(Refusal::Close)?,
            connection: key,
            slot,
            correlation_id: header.correlation_id,
            api: header.api_key,
            version: header.api_version,
        };
        let Some(api) = handlers::api(header.api_key, header.api_version) else {
            if header.api_key != ApiKey::ApiVersions {
                let (api, version) = (header.api_key, header.api_version);
                log::debug!("request refused: {api:?} version {version} is not served");
                return Err(Refusal::Close);
            }
            // KAFKA: KIP-511: in version 0, so that the client can read it and ask again.
            head.version = 0;
            api_versions::respond(self, &head, ErrorCode::UnsupportedVersion);
            return Ok(());
        };
        match &frame {
            Frame::Split { .. } => handlers::produce::handle_split(self, head, frame),
            Frame::Whole(bytes) => {
                let request = Request {
                    head,
                    header,
                    reader,
                    frame: bytes,
                };
                (api.handler)(self, &request)
            }
        }
    }

    fn take_events(&mut self) {
        let mut events = std::mem::take(&mut self.events);
        self.engine.drain_events(&mut events);
        for event in events.drain(..) {
            match event {
                Event::AppendAcked(ticket) => self.append_resolved(ticket, true),
                Event::AppendFailed(ticket) => self.append_resolved(ticket, false),
                Event::ReadDone(ticket, result) => match read_ticket(ticket) {
                    Some((Waiting::Fetch, key, item)) => self.part_read(key, item, result),
                    Some((Waiting::Question, key, item)) => self.search_read(key, item, result),
                    Some((Waiting::GroupLoad, ..)) => self.group_log_read(result),
                    _ => {}
                },
                Event::ControlDone(ticket) => self.control_resolved(ticket, true),
                Event::ControlFailed(ticket) => self.control_resolved(ticket, false),
                Event::Advanced(handle) => self.partition_advanced(handle),
                Event::IndexLoaded(handle) => self.index_loaded(handle),
                Event::FailStopped(why) => {
                    log::error!("{} takes no more appends until restart: {why}", self.me);
                }
                Event::DiskFull(true) => {
                    let wanted = self.engine.free_bytes_wanted() >> 20;
                    log::error!(
                        "{}: disk full: produce is refused with KAFKA_STORAGE_ERROR and goes on by \
                         itself once {wanted} MiB are free; reads go on",
                        self.me
                    );
                }
                Event::DiskFull(false) => {
                    log::info!("{}: disk space is back, produce goes on", self.me)
                }
            }
        }
        self.events = events;
    }

    fn append_resolved(&mut self, ticket: Ticket, is_acked: bool) {
        match read_ticket(ticket) {
            Some((Waiting::Produce, key, item)) => self.produce_resolved(key, item, is_acked),
            Some((Waiting::Hop, key, _)) => self.hop_resolved(key, is_acked),
            Some((Waiting::Group, key, _)) => self.group_append_resolved(key, is_acked),
            _ => {}
        }
    }

    fn control_resolved(&mut self, ticket: Ticket, is_durable: bool) {
        match read_ticket(ticket) {
            Some((Waiting::Controller, ..)) => {
                self.control(|controller, random| controller.recorded(is_durable, random));
            }
            Some((Waiting::Change, key, item)) => self.change_resolved(key, item, is_durable),
            Some((Waiting::Question, key, item)) => self.deletion_done(key, item, is_durable),
            _ => {}
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

    /// Sends mail; what does not fit the mailbox waits in order.
    pub(crate) fn send(&mut self, to: ShardId, mail: Mail) {
        let outbox = &mut self.outboxes[to.index()];
        if outbox.is_empty() {
            match self.mailbox.send(&mut self.io, to, mail) {
                Ok(()) => return,
                Err(mail) => outbox.push_back(mail),
            }
        } else {
            outbox.push_back(mail);
        }
        self.outbox_len += 1;
    }

    fn flush_outboxes(&mut self) {
        if self.outbox_len == 0 {
            return;
        }
        for (index, outbox) in self.outboxes.iter_mut().enumerate() {
            let to = ShardId(u16::try_from(index).unwrap_or(0));
            while let Some(mail) = outbox.pop_front() {
                if let Err(mail) = self.mailbox.send(&mut self.io, to, mail) {
                    outbox.push_front(mail);
                    break;
                }
                self.outbox_len -= 1;
            }
        }
    }

    /// A partition's place and topic.
    pub(crate) fn find(
        &self,
        topic: &str,
        index: i32,
    ) -> Result<(PartitionPlace, &Topic), ErrorCode> {
        let topic = self
            .catalog
            .topic(topic)
            .ok_or(ErrorCode::UnknownTopicOrPartition)?;
        let place = topic
            .partition(index)
            .ok_or(ErrorCode::UnknownTopicOrPartition)?;
        Ok((place, topic))
    }

    /// Closes a connection.
    pub(crate) fn close(&mut self, connection: ConnectionKey) {
        self.net.close(&mut self.io, connection);
    }

    /// Writes and sends a response.
    pub(crate) fn reply<'a, M: Message<'a>>(&mut self, head: &RequestHead, response: &M) {
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        let written = encode_response(&mut scratch, head.version, head.correlation_id, response);
        self.respond_bytes(head, written, &scratch);
        self.scratch = scratch;
    }

    /// Sends an encoded response.
    pub(crate) fn respond_bytes(
        &mut self,
        head: &RequestHead,
        written: Result<(), EncodeError>,
        bytes: &[u8],
    ) {
        if head.shard != self.me {
            let bytes = written.is_ok().then(|| bytes.to_vec());
            self.send(head.shard, Mail::Respond(Box::new((*head, bytes))));
            return;
        }
        if let Err(error) = written {
            log::error!(
                "response to {:?} version {}: {error}",
                head.api,
                head.version
            );
            self.close(head.connection);
            return;
        }
        let response = match self.net.to_slice(&mut self.io, bytes) {
            Some(slice) => Response::One(slice),
            None => Response::Heap(bytes.to_vec()),
        };
        self.net.respond(head.connection, head.slot, response);
    }
}

struct Planner<'a> {
    catalog: &'a Catalog,
    engine: &'a Shard,
    me: ShardId,
}

impl LargeFramePlanner for Planner<'_> {
    fn plan(&self, received: &[u8], frame_bytes: usize) -> LargePlan {
        // What is wrong with the request is found, and said, when it is handled.
        let Ok(first) = first_records(received, frame_bytes) else {
            return LargePlan::Whole;
        };
        let Some(first) = first else {
            return LargePlan::NeedMore;
        };
        let is_alone = first.start.topic_count == 1 && first.partition_count == 1;
        let topic = self.catalog.topic(first.topic_name).filter(|_| is_alone);
        let place = topic.and_then(|topic| topic.partition(first.partition_index));
        match (place, first.records) {
            (Some(place), Some(records)) if place.shard == self.me => LargePlan::Split {
                prefix_bytes: records.start,
                batch_bytes: records.len(),
                remainder: self.engine.append_remainder(place.handle),
                log: place.handle.0,
            },
            _ => LargePlan::Whole,
        }
    }
}
