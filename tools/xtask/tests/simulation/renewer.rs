//! A client that has one topic to itself: makes it, writes, reads all of it, deletes it, sees that
//! it is gone, and makes it again under the same name. Each life of the topic is a log of its own.

use super::actor::{Actor, BACKOFF_NS, NEVER, REQUEST_TIMEOUT_NS};
use super::admin::{self, NewTopic};
use super::fetching::{self, Place, Read};
use super::link::Link;
use super::payload::{self, Form};
use super::producer;
use super::scene::{Partition, Scene};
use millrace_engine::record_batch::Compression;
use millrace_server::protocol::messages::{
    CreateTopicsResponse, DeleteTopicsRequest, DeleteTopicsResponse, FetchResponse, ProduceResponse,
};
use millrace_server::protocol::{ErrorCode, decode_response};
use std::collections::VecDeque;
use xtask::history::{LogClass, What};

const DELETE_VERSION: i16 = 5;
const FETCH_BYTES: i32 = 50_000;
const AWAIT_MS: i32 = 2_000;
/// A connection that broke may have requests on their way for this long, which are for a topic by
/// its name and could meet the next one.
const LINGER_NS: u64 = 25_000_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Making,
    /// So many batches more.
    Writing(u32),
    Reading(i64),
    Deleting,
    /// Is asked for so many times more.
    Gone(u32),
    /// The run is closing: it stays.
    Kept,
}

#[derive(Clone, Copy, Debug)]
enum Asked {
    Make,
    Write(u64),
    Read(i64),
    Delete,
    /// A long poll that the deletion meets.
    Await(i64),
    Probe,
}

#[derive(Debug)]
pub(crate) struct Renewer {
    id: u32,
    link: Link,
    topic: NewTopic,
    /// Lives of the topic so far, with the present one.
    lives: u32,
    partition: Partition,
    stage: Stage,
    /// What it wants was asked for before, and may have been done.
    is_repeated: bool,
    asked: VecDeque<(Asked, u64)>,
    retry_ns: u64,
    wake_ns: u64,
}

fn partition(scene: &mut Scene, topic: &NewTopic, life: u32) -> Partition {
    let name = format!("{}#{life}/0", topic.name);
    Partition {
        topic: topic.name.clone(),
        index: 0,
        log: scene.history.log(&name, LogClass::Durable),
        is_durable: true,
        is_keyed: false,
    }
}

impl Renewer {
    pub(crate) fn new(id: u32, scene: &mut Scene, topic: NewTopic) -> Self {
        Self {
            id,
            link: Link::new(),
            partition: partition(scene, &topic, 1),
            topic,
            lives: 1,
            stage: Stage::Making,
            is_repeated: false,
            asked: VecDeque::new(),
            retry_ns: 0,
            wake_ns: 0,
        }
    }

    fn ask(&mut self, scene: &mut Scene) {
        match self.stage {
            Stage::Making => {
                admin::ask_create(&mut self.link, &self.topic);
                self.note(scene, Asked::Make);
            }
            Stage::Writing(_) => self.write(scene),
            Stage::Reading(position) => self.fetch(scene, position, Asked::Read(position)),
            Stage::Deleting => {
                // An append may meet the deletion.
                if scene.random.chance(1, 2) {
                    self.write(scene);
                }
                let end = scene.known_end(self.partition.log);
                if scene.random.chance(1, 2) {
                    let wants = (FETCH_BYTES, AWAIT_MS);
                    fetching::ask(&mut self.link, &self.partition, end, wants);
                    self.note(scene, Asked::Await(end));
                }
                let request = DeleteTopicsRequest {
                    topic_names: [self.topic.name.as_str()].into(),
                    timeout_ms: 10_000,
                    ..DeleteTopicsRequest::default()
                };
                self.link.send(DELETE_VERSION, &request);
                self.note(scene, Asked::Delete);
            }
            Stage::Gone(_) => self.fetch(scene, 0, Asked::Probe),
            Stage::Kept => {}
        }
    }

    fn note(&mut self, scene: &Scene, asked: Asked) {
        self.asked.push_back((asked, scene.now_ns()));
    }

    fn fetch(&mut self, scene: &Scene, position: i64, asked: Asked) {
        fetching::ask(&mut self.link, &self.partition, position, (FETCH_BYTES, 0));
        self.note(scene, asked);
    }

    fn write(&mut self, scene: &mut Scene) {
        let count = 1 + scene.random.below(20) as u32;
        let first = scene.numbers(count);
        let value_bytes = scene.random.below(3000) as usize;
        let form = Form {
            value_bytes,
            compression: Compression::None,
            is_keyed: false,
            time_ms: None,
        };
        let bytes = payload::batch(first..first + u64::from(count), None, form);
        let bytes = bytes.expect("batches of the simulation are small");
        let op = scene.op();
        let send = What::Send {
            op,
            log: self.partition.log,
            sequence: None,
            first,
            count,
        };
        scene.note(self.id, send);
        producer::ask(&mut self.link, &self.partition, &bytes);
        self.note(scene, Asked::Write(op));
    }

    fn take(&mut self, scene: &mut Scene, asked: Asked, sent_ns: u64, frame: &[u8]) {
        match asked {
            Asked::Make => self.take_made(scene, frame),
            Asked::Write(op) => self.take_written(scene, op, frame),
            Asked::Read(position) => self.take_read(scene, position, sent_ns, frame),
            Asked::Delete => self.take_deleted(scene, frame),
            Asked::Await(position) => self.take_awaited(scene, position, frame),
            Asked::Probe => self.take_probed(scene, frame),
        }
    }

    /// Nothing is changed by this answer: later again, if it may be one.
    fn later(&mut self, scene: &mut Scene, what: &str, code: Option<ErrorCode>) {
        self.is_repeated = true;
        self.retry_ns = scene.now_ns() + BACKOFF_NS;
        if !code.is_some_and(|code| scene.may_answer(code)) {
            let text = format!("{what} in life {} of the topic: {code:?}", self.lives);
            scene.problem(self.id, text);
        }
    }

    fn take_made(&mut self, scene: &mut Scene, frame: &[u8]) {
        let decoded = decode_response::<CreateTopicsResponse<'_>>(frame, admin::VERSION);
        let result = decoded.ok().and_then(|(_, answer)| answer.topics.first());
        match result.and_then(|result| ErrorCode::from_code(result.error_code)) {
            Some(ErrorCode::None) => {}
            // An answer to the one before was lost.
            Some(ErrorCode::TopicAlreadyExists) if self.is_repeated => {}
            code => return self.later(scene, "CreateTopics", code),
        }
        self.is_repeated = false;
        self.stage = Stage::Writing(1 + scene.random.below(40) as u32);
    }

    fn take_written(&mut self, scene: &mut Scene, op: u64, frame: &[u8]) {
        let decoded = decode_response::<ProduceResponse<'_>>(frame, producer::PRODUCE_VERSION);
        let topic = decoded
            .ok()
            .and_then(|(_, answer)| answer.responses.first());
        let result = topic.and_then(|topic| topic.partition_responses.first());
        let code = result
            .as_ref()
            .and_then(|result| ErrorCode::from_code(result.error_code));
        match (code, self.stage) {
            (Some(ErrorCode::None), _) => {
                let base_offset = result.map(|result| result.base_offset);
                scene.note(self.id, What::Acked { op, base_offset });
            }
            (Some(ErrorCode::UnknownTopicOrPartition), Stage::Writing(_)) => {
                scene.problem(self.id, "Produce: a topic that was acknowledged is unknown");
            }
            // The deletion overtook it.
            (Some(ErrorCode::UnknownTopicOrPartition), Stage::Deleting) => {}
            (Some(code), Stage::Deleting) if scene.may_answer(code) => {}
            (code, _) => self.later(scene, "Produce", code),
        }
        if let Stage::Writing(left) = self.stage {
            self.stage = Stage::Writing(left - 1);
            if left == 1 || scene.is_closing {
                self.read_from_start(scene);
            }
        }
    }

    fn read_from_start(&mut self, scene: &mut Scene) {
        self.stage = Stage::Reading(0);
        let log = self.partition.log;
        scene.note(self.id, What::Seek { log, offset: 0 });
    }

    fn take_read(&mut self, scene: &mut Scene, position: i64, began_ns: u64, frame: &[u8]) {
        let place = Place {
            position,
            began_ns,
            may_be_cut: false,
        };
        match fetching::take(scene, self.id, &self.partition, place, frame) {
            Read::Next(next, false) => self.stage = Stage::Reading(next),
            Read::Next(_, true) if scene.is_closing => {
                scene.partitions.push(self.partition.clone());
                self.stage = Stage::Kept;
            }
            Read::Next(_, true) => {
                self.is_repeated = false;
                self.stage = Stage::Deleting;
            }
            Read::Later => self.retry_ns = scene.now_ns() + BACKOFF_NS,
            read @ (Read::Deleted(_) | Read::Damaged) => {
                scene.problem(self.id, format!("Fetch at {position}: {read:?}"));
            }
        }
    }

    fn take_deleted(&mut self, scene: &mut Scene, frame: &[u8]) {
        let decoded = decode_response::<DeleteTopicsResponse<'_>>(frame, DELETE_VERSION);
        let result = decoded
            .ok()
            .and_then(|(_, answer)| answer.responses.first());
        match result.and_then(|result| ErrorCode::from_code(result.error_code)) {
            Some(ErrorCode::None) => {}
            Some(ErrorCode::UnknownTopicOrPartition) if self.is_repeated => {}
            code => return self.later(scene, "DeleteTopics", code),
        }
        self.is_repeated = false;
        scene.topics_deleted += 1;
        self.stage = Stage::Gone(1 + scene.random.below(4) as u32);
    }

    /// The long poll ends with the topic, in time, or with what was appended last.
    fn take_awaited(&self, scene: &mut Scene, position: i64, frame: &[u8]) {
        let decoded = decode_response::<FetchResponse<'_>>(frame, fetching::VERSION);
        let topic = decoded
            .ok()
            .and_then(|(_, answer)| answer.responses.first());
        let part = topic.and_then(|topic| topic.partitions.first());
        let code = part
            .as_ref()
            .and_then(|part| ErrorCode::from_code(part.error_code));
        let records = part.and_then(|part| part.records).unwrap_or_default();
        let read = payload::read(records, position, false);
        match (code, read) {
            (Some(ErrorCode::None), Ok(fetched)) => {
                let is_made = fetched.records.iter().all(|run| run.number.is_some());
                if !is_made {
                    scene.problem(self.id, "Fetch while a topic is deleted: made by nobody");
                }
            }
            (Some(ErrorCode::UnknownTopicOrPartition), _) => scene.awaited_deletions += 1,
            (Some(code), _) if scene.may_answer(code) => {}
            other => scene.problem(
                self.id,
                format!("Fetch while a topic is deleted: {other:?}"),
            ),
        }
    }

    fn take_probed(&mut self, scene: &mut Scene, frame: &[u8]) {
        let decoded = decode_response::<FetchResponse<'_>>(frame, fetching::VERSION);
        let topic = decoded
            .ok()
            .and_then(|(_, answer)| answer.responses.first());
        let part = topic.and_then(|topic| topic.partitions.first());
        match part.and_then(|part| ErrorCode::from_code(part.error_code)) {
            Some(ErrorCode::UnknownTopicOrPartition) => {}
            code => {
                self.later(scene, "Fetch from a topic that was deleted", code);
                self.is_repeated = false;
                return;
            }
        }
        scene.probes_done += 1;
        let Stage::Gone(left) = self.stage else {
            return;
        };
        // Long enough for a crash to come between.
        self.retry_ns = scene.now_ns() + scene.random.below(2_000_000_000);
        self.is_repeated = false;
        self.stage = Stage::Gone(left - 1);
        if left == 1 {
            self.lives += 1;
            self.partition = partition(scene, &self.topic, self.lives);
            self.stage = Stage::Making;
        }
    }

    /// The connection is gone, and with it what it owed.
    fn forget_link(&mut self, scene: &mut Scene) {
        self.link.drop_connection();
        if !self.asked.is_empty() {
            self.asked.clear();
            self.is_repeated = true;
            self.retry_ns = scene.now_ns() + LINGER_NS;
            if let Stage::Reading(_) = self.stage {
                self.read_from_start(scene);
            }
        }
    }
}

impl Actor for Renewer {
    fn link(&mut self) -> &mut Link {
        &mut self.link
    }

    fn act(&mut self, scene: &mut Scene) {
        self.wake_ns = NEVER;
        for answer in self.link.answers(&scene.world) {
            match self.asked.pop_front() {
                Some((asked, sent_ns)) => self.take(scene, asked, sent_ns, &answer.frame),
                None => scene.problem(self.id, "an answer that nobody asked for"),
            }
        }
        let now_ns = scene.now_ns();
        let oldest = self.asked.front().copied();
        if oldest.is_some_and(|(_, sent_ns)| now_ns >= sent_ns + REQUEST_TIMEOUT_NS) {
            if scene.is_calm && self.link.is_up() {
                scene.problem(
                    self.id,
                    format!("{oldest:?}: no answer, and nothing is wrong"),
                );
            }
            self.link.drop_connection();
        }
        if !self.link.is_up() {
            self.forget_link(scene);
        }
        if self.asked.is_empty() && now_ns >= self.retry_ns && self.stage != Stage::Kept {
            if self.link.is_up() || self.link.connect(&scene.world, scene.address) {
                self.ask(scene);
            } else {
                self.retry_ns = now_ns + BACKOFF_NS;
            }
        }
        self.wake_ns = match self.asked.front() {
            Some((_, sent_ns)) => sent_ns + REQUEST_TIMEOUT_NS,
            None if self.stage == Stage::Kept => NEVER,
            None => self.retry_ns.max(now_ns + 1),
        };
    }

    fn begin_life(&mut self) {
        // What was on its way went with the process.
        self.retry_ns = 0;
        self.wake_ns = 0;
    }

    fn wake_ns(&self) -> u64 {
        self.wake_ns
    }

    fn is_done(&self) -> bool {
        self.stage == Stage::Kept
    }
}
