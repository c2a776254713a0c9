//! A reader of one partition: from the beginning forward, and now and then from the beginning
//! again; or once over everything, when the run is over.

use super::actor::{Actor, BACKOFF_NS, NEVER, REQUEST_TIMEOUT_NS};
use super::link::Link;
use super::payload;
use super::scene::{Partition, Scene};
use millrace_server::protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use millrace_server::protocol::messages::fetch_response::PartitionData;
use millrace_server::protocol::messages::{FetchRequest, FetchResponse};
use millrace_server::protocol::{ErrorCode, decode_response};
use xtask::history::{Poll, What};

const VERSION: i16 = 12;
const WAIT_MS: i32 = 500;

#[derive(Debug)]
pub(crate) struct Reader {
    id: u32,
    link: Link,
    partition: Partition,
    position: i64,
    is_placed: bool,
    asked_ns: Option<u64>,
    retry_ns: u64,
    wake_ns: u64,
    fetch_bytes: i32,
    /// Ends at the end of the log.
    is_scan: bool,
    is_over: bool,
}

impl Reader {
    pub(crate) const fn new(
        id: u32,
        partition: Partition,
        fetch_bytes: i32,
        is_scan: bool,
    ) -> Self {
        Self {
            id,
            link: Link::new(),
            partition,
            position: 0,
            is_placed: false,
            asked_ns: None,
            retry_ns: 0,
            wake_ns: 0,
            fetch_bytes,
            is_scan,
            is_over: false,
        }
    }

    fn seek(&mut self, scene: &mut Scene, offset: i64) {
        self.position = offset;
        let log = self.partition.log;
        scene.note(self.id, What::Seek { log, offset });
    }

    fn ask(&mut self, now_ns: u64) {
        let request = FetchRequest {
            max_wait_ms: WAIT_MS,
            min_bytes: 1,
            max_bytes: 4 << 20,
            session_epoch: -1,
            replica_id: -1,
            topics: [FetchTopic {
                topic: &self.partition.topic,
                partitions: [FetchPartition {
                    partition: self.partition.index,
                    current_leader_epoch: -1,
                    fetch_offset: self.position,
                    last_fetched_epoch: -1,
                    partition_max_bytes: self.fetch_bytes,
                    ..FetchPartition::default()
                }]
                .into(),
            }]
            .into(),
            ..FetchRequest::default()
        };
        self.link.send(VERSION, &request);
        self.asked_ns = Some(now_ns);
    }

    fn take(&mut self, scene: &mut Scene, began_ns: u64, frame: &[u8]) {
        let decoded = decode_response::<FetchResponse<'_>>(frame, VERSION);
        let Ok((_, answer)) = decoded else {
            return scene.problem(self.id, "an answer to Fetch that is none");
        };
        let topic = answer.responses.first();
        let Some(part) = topic.and_then(|topic| topic.partitions.first()) else {
            return scene.problem(self.id, format!("Fetch: error {}", answer.error_code));
        };
        match ErrorCode::from_code(part.error_code) {
            Some(ErrorCode::None) => self.take_records(scene, began_ns, &part),
            Some(ErrorCode::UnknownTopicOrPartition) if scene.knows_topics(began_ns) => {
                scene.problem(self.id, "Fetch: a topic that was acknowledged is unknown");
            }
            Some(code) if scene.may_answer(code) => self.retry_ns = scene.now_ns() + BACKOFF_NS,
            Some(ErrorCode::OffsetOutOfRange)
                if self.position < scene.trimmed(self.partition.log) =>
            {
                let offset = scene.trimmed(self.partition.log);
                self.seek(scene, offset);
            }
            code => {
                let text = format!("Fetch: {code:?} at {}", self.position);
                scene.problem(self.id, text);
                self.retry_ns = scene.now_ns() + BACKOFF_NS;
            }
        }
    }

    fn take_records(&mut self, scene: &mut Scene, began_ns: u64, part: &PartitionData<'_>) {
        let bytes = part.records.unwrap_or_default();
        let fetched = match payload::read(bytes, self.position) {
            Ok(fetched) => fetched,
            Err(problem) => {
                return scene.problem(self.id, format!("Fetch at {}: {problem}", self.position));
            }
        };
        let next = fetched.end.unwrap_or(self.position);
        if next > part.high_watermark {
            let text = format!("reads up to {next}, the end is {}", part.high_watermark);
            scene.problem(self.id, text);
        }
        if next == self.position && part.high_watermark > next && !bytes.is_empty() {
            scene.problem(self.id, format!("no whole batch at {next}"));
        }
        scene.polled_records += fetched
            .records
            .iter()
            .map(|run| u64::from(run.count))
            .sum::<u64>();
        scene.saw_end(self.partition.log, part.high_watermark);
        let poll = Poll {
            log: self.partition.log,
            began_ns,
            position: self.position,
            next,
            log_start: part.log_start_offset,
            end: part.high_watermark,
            records: fetched.records,
        };
        self.position = next;
        scene.note(self.id, What::Poll(poll));
        // What a crash took from the end of a relaxed log is a gap until the next append.
        let is_in_gap = bytes.is_empty() && !self.partition.is_durable;
        let is_at_end = next >= part.high_watermark || is_in_gap;
        self.is_over = self.is_scan && is_at_end;
        if is_at_end && !self.is_scan && scene.random.chance(1, 16) {
            self.seek(scene, 0);
        }
    }
}

impl Actor for Reader {
    fn link(&mut self) -> &mut Link {
        &mut self.link
    }

    fn act(&mut self, scene: &mut Scene) {
        self.wake_ns = NEVER;
        for answer in self.link.answers(&scene.world) {
            match self.asked_ns.take() {
                Some(began_ns) => self.take(scene, began_ns, &answer.frame),
                None => scene.problem(self.id, "an answer that nobody asked for"),
            }
        }
        let now_ns = scene.now_ns();
        let deadline_ns = self.asked_ns.map(|asked| asked + REQUEST_TIMEOUT_NS);
        if deadline_ns.is_some_and(|deadline| now_ns >= deadline) {
            if scene.is_calm && self.link.is_up() {
                scene.problem(self.id, "Fetch: no answer, and nothing is wrong");
            }
            self.link.drop_connection();
        }
        if self.is_over {
            return;
        }
        if now_ns < self.retry_ns {
            self.wake_ns = self.retry_ns;
            return;
        }
        if !self.link.is_up() {
            self.asked_ns = None;
            if !self.link.connect(&scene.world, scene.address) {
                self.retry_ns = now_ns + BACKOFF_NS;
                self.wake_ns = self.retry_ns;
                return;
            }
        }
        if self.asked_ns.is_none() {
            if !std::mem::replace(&mut self.is_placed, true) {
                self.seek(scene, 0);
            }
            self.ask(now_ns);
        }
        self.wake_ns = self
            .asked_ns
            .map_or(NEVER, |asked| asked + REQUEST_TIMEOUT_NS);
    }

    fn wake_ns(&self) -> u64 {
        self.wake_ns
    }

    fn is_done(&self) -> bool {
        self.is_over || !self.is_scan
    }
}
