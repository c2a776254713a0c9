//! A producer of one partition: idempotent with retries in order, or plain with or without them.

use super::actor::{Actor, BACKOFF_NS, NEVER, REQUEST_TIMEOUT_NS};
use super::link::Link;
use super::payload::{self, Form};
use super::scene::{Partition, Scene};
use millrace_engine::record_batch::Compression;
use millrace_engine::record_batch::builder;
use millrace_server::protocol::messages::produce_request::{
    PartitionProduceData, TopicProduceData,
};
use millrace_server::protocol::messages::{
    InitProducerIdRequest, InitProducerIdResponse, ProduceRequest, ProduceResponse,
};
use millrace_server::protocol::{ErrorCode, decode_response};
use std::collections::VecDeque;
use xtask::history::{Sequence, What};

pub(crate) const PRODUCE_VERSION: i16 = 9;
const INIT_VERSION: i16 = 4;

/// How a producer works.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    pub(crate) is_idempotent: bool,
    /// Sends again what was not acknowledged; an idempotent one always does.
    pub(crate) is_retrying: bool,
    pub(crate) in_flight_max: usize,
    pub(crate) records_max: u32,
    pub(crate) value_bytes_max: usize,
    pub(crate) compression: Compression,
    /// Time between two batches at most.
    pub(crate) think_ns_max: u64,
    /// Batches in each life of the broker.
    pub(crate) batches: u32,
}

/// A batch that is not acknowledged.
#[derive(Debug)]
struct Batch {
    first: u64,
    count: u32,
    sequence: Option<Sequence>,
    bytes: Vec<u8>,
}

/// A request under way.
#[derive(Clone, Copy, Debug)]
struct Sent {
    correlation_id: i32,
    op: u64,
    first: u64,
    count: u32,
    sent_ns: u64,
}

/// Sends a batch; the request's number.
pub(crate) fn ask(link: &mut Link, partition: &Partition, batch: &[u8]) -> i32 {
    let request = ProduceRequest {
        acks: -1,
        timeout_ms: 10_000,
        topic_data: [TopicProduceData {
            name: &partition.topic,
            partition_data: [PartitionProduceData {
                index: partition.index,
                records: Some(batch),
            }]
            .into(),
        }]
        .into(),
        ..ProduceRequest::default()
    };
    link.send(PRODUCE_VERSION, &request)
}

#[derive(Debug)]
pub(crate) struct Producer {
    id: u32,
    link: Link,
    style: Style,
    partition: Partition,
    /// Its id and epoch at the broker.
    identity: Option<(i64, i16)>,
    asked_identity_ns: Option<u64>,
    next_sequence: i32,
    /// A batch was acknowledged.
    is_known: bool,
    backlog: VecDeque<Batch>,
    in_flight: VecDeque<Sent>,
    /// Something failed: what is under way is waited for, then all is sent again.
    is_failed: bool,
    retry_ns: u64,
    next_batch_ns: u64,
    left: u32,
    wake_ns: u64,
}

impl Producer {
    pub(crate) fn new(id: u32, partition: Partition, style: Style) -> Self {
        Self {
            id,
            link: Link::new(),
            style,
            partition,
            identity: None,
            asked_identity_ns: None,
            next_sequence: 0,
            is_known: false,
            backlog: VecDeque::new(),
            in_flight: VecDeque::new(),
            is_failed: false,
            retry_ns: 0,
            next_batch_ns: 0,
            left: 0,
            wake_ns: 0,
        }
    }

    fn take_answers(&mut self, scene: &mut Scene) {
        for answer in self.link.answers(&scene.world) {
            if self.asked_identity_ns.take().is_some() {
                self.take_identity(scene, &answer.frame);
                continue;
            }
            match self.in_flight.pop_front() {
                Some(sent) if sent.correlation_id == answer.correlation_id => {
                    self.take_produced(scene, sent, &answer.frame);
                }
                sent => {
                    let text = format!("answer {} where {sent:?} is due", answer.correlation_id);
                    scene.problem(self.id, text);
                }
            }
        }
    }

    fn take_identity(&mut self, scene: &mut Scene, frame: &[u8]) {
        let Ok((_, answer)) = decode_response::<InitProducerIdResponse>(frame, INIT_VERSION) else {
            return scene.problem(self.id, "an answer to InitProducerId that is none");
        };
        match ErrorCode::from_code(answer.error_code) {
            Some(ErrorCode::None) => {
                self.identity = Some((answer.producer_id, answer.producer_epoch));
            }
            Some(code) if scene.may_answer(code) => self.retry_ns = scene.now_ns() + BACKOFF_NS,
            code => scene.problem(self.id, format!("InitProducerId: {code:?}")),
        }
    }

    fn take_produced(&mut self, scene: &mut Scene, sent: Sent, frame: &[u8]) {
        let decoded = decode_response::<ProduceResponse<'_>>(frame, PRODUCE_VERSION);
        let topic = decoded
            .ok()
            .and_then(|(_, answer)| answer.responses.first());
        let Some(result) = topic.and_then(|topic| topic.partition_responses.first()) else {
            return scene.problem(self.id, "an answer to Produce that is none");
        };
        let code = ErrorCode::from_code(result.error_code);
        match code {
            Some(ErrorCode::None | ErrorCode::DuplicateSequenceNumber) => {
                let base_offset = (code == Some(ErrorCode::None) && result.base_offset >= 0)
                    .then_some(result.base_offset);
                let op = sent.op;
                if let Some(base) = base_offset {
                    let end = base + i64::from(sent.count);
                    scene.saw_acked(self.partition.log, end);
                }
                scene.note(self.id, What::Acked { op, base_offset });
                self.backlog.retain(|batch| batch.first != sent.first);
                self.is_known = true;
                return;
            }
            Some(ErrorCode::UnknownTopicOrPartition) if scene.knows_topics(sent.sent_ns) => {
                scene.problem(self.id, "Produce: a topic that was acknowledged is unknown");
            }
            Some(ErrorCode::OutOfOrderSequenceNumber) if self.is_failed => {}
            Some(code) if scene.may_answer(code) => {}
            code => {
                let text = format!("Produce: {code:?} {:?}", result.error_message);
                scene.problem(self.id, text);
            }
        }
        self.fail(scene, sent.first);
    }

    fn fail(&mut self, scene: &Scene, first: u64) {
        self.is_failed = true;
        self.retry_ns = scene.now_ns() + BACKOFF_NS;
        if !self.style.is_idempotent && !self.style.is_retrying {
            self.backlog.retain(|batch| batch.first != first);
        }
    }

    /// The connection is gone, and with it what it owed.
    fn forget_link(&mut self) {
        self.link.drop_connection();
        self.asked_identity_ns = None;
        self.is_failed = false;
        for sent in std::mem::take(&mut self.in_flight) {
            if !self.style.is_idempotent && !self.style.is_retrying {
                self.backlog.retain(|batch| batch.first != sent.first);
            }
        }
    }

    fn make_batch(&mut self, scene: &mut Scene) {
        let now_ns = scene.now_ns();
        let style = self.style;
        let count = 1 + scene.random.below(u64::from(style.records_max)) as u32;
        let first = scene.numbers(count);
        let sequence = self.identity.map(|(producer, epoch)| Sequence {
            producer,
            epoch,
            base: self.next_sequence,
        });
        let named = sequence.map(|sequence| builder::Producer {
            id: sequence.producer,
            epoch: sequence.epoch,
            base_sequence: sequence.base,
        });
        let value_bytes = scene.random.below(style.value_bytes_max as u64 + 1) as usize;
        let form = Form {
            value_bytes,
            compression: style.compression,
            is_keyed: self.partition.is_keyed,
            time_ms: scene.time_ms().filter(|_| self.partition.is_keyed),
        };
        let numbers = first..first + u64::from(count);
        if form.is_keyed {
            let keys = numbers.clone().map(payload::key_of).collect();
            let log = self.partition.log;
            scene.note(self.id, What::Keys { log, first, keys });
        }
        let bytes = payload::batch(numbers, named, form);
        self.next_sequence += count as i32;
        self.backlog.push_back(Batch {
            first,
            count,
            sequence,
            bytes: bytes.expect("batches of the simulation are small"),
        });
        self.left -= 1;
        self.next_batch_ns = now_ns + scene.random.below(style.think_ns_max + 1);
    }

    fn send(&mut self, scene: &mut Scene, index: usize) {
        let batch = &self.backlog[index];
        let correlation_id = ask(&mut self.link, &self.partition, &batch.bytes);
        let op = scene.op();
        let (first, count, sequence) = (batch.first, batch.count, batch.sequence);
        let log = self.partition.log;
        let send = What::Send {
            op,
            log,
            sequence,
            first,
            count,
        };
        scene.note(self.id, send);
        self.in_flight.push_back(Sent {
            correlation_id,
            op,
            first,
            count,
            sent_ns: scene.now_ns(),
        });
    }

    fn ask_identity(&mut self, now_ns: u64) {
        let request = InitProducerIdRequest {
            producer_id: -1,
            producer_epoch: -1,
            transaction_timeout_ms: 60_000,
            ..InitProducerIdRequest::default()
        };
        self.link.send(INIT_VERSION, &request);
        self.asked_identity_ns = Some(now_ns);
    }

    /// When the oldest request has waited too long.
    fn timeout_ns(&self) -> u64 {
        let asked = self.asked_identity_ns;
        let oldest = asked.or_else(|| self.in_flight.front().map(|sent| sent.sent_ns));
        oldest.map_or(NEVER, |since| since + REQUEST_TIMEOUT_NS)
    }

    fn work(&mut self, scene: &mut Scene) {
        let now_ns = scene.now_ns();
        if self.asked_identity_ns.is_some() || now_ns < self.retry_ns {
            return;
        }
        if scene.topics_known_ns.is_none() {
            self.retry_ns = now_ns + BACKOFF_NS;
            return;
        }
        if self.style.is_idempotent && self.identity.is_none() {
            return self.ask_identity(now_ns);
        }
        if self.is_failed {
            if !self.in_flight.is_empty() {
                return;
            }
            self.is_failed = false;
        }
        while self.left > 0
            && !scene.is_closing
            && now_ns >= self.next_batch_ns
            && self.backlog.len() < self.style.in_flight_max
        {
            self.make_batch(scene);
        }
        // KAFKA: a broker that knows nothing of a producer takes any sequence, so a second batch
        // must not go out before the first one was taken.
        let most = if self.is_known {
            self.style.in_flight_max
        } else {
            1
        };
        while self.in_flight.len() < self.backlog.len().min(most) {
            self.send(scene, self.in_flight.len());
        }
    }
}

impl Actor for Producer {
    fn link(&mut self) -> &mut Link {
        &mut self.link
    }

    fn act(&mut self, scene: &mut Scene) {
        self.take_answers(scene);
        let now_ns = scene.now_ns();
        if now_ns >= self.timeout_ns() {
            if scene.is_calm && self.link.is_up() {
                scene.problem(self.id, "Produce: no answer, and nothing is wrong");
            }
            self.link.drop_connection();
        }
        if !self.link.is_up() {
            self.forget_link();
            let leader = scene.leader(&self.partition);
            if now_ns >= self.retry_ns && !self.link.connect(&scene.world, leader) {
                self.retry_ns = now_ns + BACKOFF_NS;
            }
        }
        if self.link.is_up() {
            self.work(scene);
        }
        let is_making = self.left > 0
            && !scene.is_closing
            && self.next_batch_ns > now_ns
            && self.backlog.len() < self.style.in_flight_max;
        let next_batch = if is_making { self.next_batch_ns } else { NEVER };
        let is_waiting = self.retry_ns > now_ns;
        let retry = if is_waiting { self.retry_ns } else { NEVER };
        self.wake_ns = retry.min(next_batch).min(self.timeout_ns());
    }

    fn begin_life(&mut self) {
        self.left = self.style.batches;
    }

    fn wake_ns(&self) -> u64 {
        self.wake_ns
    }

    fn is_done(&self) -> bool {
        self.backlog.is_empty()
    }
}
