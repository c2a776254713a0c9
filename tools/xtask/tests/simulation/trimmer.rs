//! A client that deletes records from the beginning of partitions now and then.

use super::actor::{Actor, BACKOFF_NS, NEVER, REQUEST_TIMEOUT_NS};
use super::link::Link;
use super::scene::{Partition, Scene};
use millrace_server::protocol::messages::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsTopic,
};
use millrace_server::protocol::messages::{DeleteRecordsRequest, DeleteRecordsResponse};
use millrace_server::protocol::{ErrorCode, decode_response};

const VERSION: i16 = 2;

#[derive(Debug)]
pub(crate) struct Trimmer {
    id: u32,
    link: Link,
    partition: Partition,
    pause_ns_max: u64,
    /// What was asked for last, and when, while there is no answer.
    asked: Option<(i64, u64)>,
    next_ns: u64,
    wake_ns: u64,
}

impl Trimmer {
    pub(crate) const fn new(id: u32, partition: Partition, pause_ns_max: u64) -> Self {
        Self {
            id,
            link: Link::new(),
            partition,
            pause_ns_max,
            asked: None,
            next_ns: 0,
            wake_ns: 0,
        }
    }

    fn ask(&mut self, scene: &mut Scene) {
        let log = self.partition.log;
        let (trimmed, end) = (scene.trimmed(log), scene.known_end(log));
        let more = scene.random.below((end - trimmed).max(0) as u64 + 1);
        let offset = trimmed + more as i64;
        scene.trim(self.id, log, offset);
        let request = DeleteRecordsRequest {
            topics: [DeleteRecordsTopic {
                name: &self.partition.topic,
                partitions: [DeleteRecordsPartition {
                    partition_index: self.partition.index,
                    offset,
                }]
                .into(),
            }]
            .into(),
            timeout_ms: 10_000,
        };
        self.link.send(VERSION, &request);
        self.asked = Some((offset, scene.now_ns()));
    }

    fn take(&self, scene: &mut Scene, offset: i64, sent_ns: u64, frame: &[u8]) {
        let decoded = decode_response::<DeleteRecordsResponse<'_>>(frame, VERSION);
        let topic = decoded.ok().and_then(|(_, answer)| answer.topics.first());
        let Some(result) = topic.and_then(|topic| topic.partitions.first()) else {
            return scene.problem(self.id, "an answer to DeleteRecords that is none");
        };
        match ErrorCode::from_code(result.error_code) {
            Some(ErrorCode::None) if result.low_watermark >= offset => {
                scene.trims_done += 1;
            }
            Some(ErrorCode::UnknownTopicOrPartition) if !scene.knows_topics(sent_ns) => {}
            Some(code) if scene.may_answer(code) => {}
            code => {
                let text = format!(
                    "DeleteRecords to {offset}: {code:?} {}",
                    result.low_watermark
                );
                scene.problem(self.id, text);
            }
        }
    }
}

impl Actor for Trimmer {
    fn link(&mut self) -> &mut Link {
        &mut self.link
    }

    fn act(&mut self, scene: &mut Scene) {
        self.wake_ns = NEVER;
        for answer in self.link.answers(&scene.world) {
            if let Some((offset, sent_ns)) = self.asked.take() {
                self.take(scene, offset, sent_ns, &answer.frame);
                let pause_ns = scene.random.below(self.pause_ns_max);
                self.next_ns = scene.now_ns() + BACKOFF_NS + pause_ns;
            }
        }
        let now_ns = scene.now_ns();
        let is_late = |(_, sent): (i64, u64)| now_ns >= sent + REQUEST_TIMEOUT_NS;
        if self.asked.is_some_and(is_late) {
            if scene.is_calm && self.link.is_up() {
                scene.problem(self.id, "DeleteRecords: no answer, and nothing is wrong");
            }
            self.link.drop_connection();
        }
        if !self.link.is_up() {
            self.asked = None;
        }
        if scene.is_closing && self.asked.is_none() {
            return;
        }
        if self.asked.is_none() && now_ns >= self.next_ns {
            let leader = scene.leader(&self.partition);
            if self.link.is_up() || self.link.connect(&scene.world, leader) {
                self.ask(scene);
            } else {
                self.next_ns = now_ns + BACKOFF_NS;
            }
        }
        let timeout = self.asked.map(|(_, sent)| sent + REQUEST_TIMEOUT_NS);
        self.wake_ns = timeout.unwrap_or(self.next_ns);
    }

    fn wake_ns(&self) -> u64 {
        self.wake_ns
    }

    fn is_done(&self) -> bool {
        true
    }
}
