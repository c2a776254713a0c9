//! The client that creates the topics, as often as it takes.

use super::actor::{Actor, BACKOFF_NS, NEVER, REQUEST_TIMEOUT_NS};
use super::link::Link;
use super::scene::Scene;
use millrace_server::protocol::messages::create_topics_request::{
    CreatableTopic, CreatableTopicConfig,
};
use millrace_server::protocol::messages::{CreateTopicsRequest, CreateTopicsResponse};
use millrace_server::protocol::{ErrorCode, decode_response};

pub(crate) const VERSION: i16 = 7;

/// A topic to be.
#[derive(Clone, Debug)]
pub(crate) struct NewTopic {
    pub(crate) name: String,
    pub(crate) partitions: i32,
    pub(crate) configs: Vec<(&'static str, String)>,
}

/// Asks for a topic to be made.
pub(crate) fn ask_create(link: &mut Link, topic: &NewTopic) {
    let configs = topic
        .configs
        .iter()
        .map(|(name, value)| CreatableTopicConfig {
            name,
            value: Some(value),
        });
    let request = CreateTopicsRequest {
        topics: [CreatableTopic {
            name: &topic.name,
            num_partitions: topic.partitions,
            replication_factor: 1,
            configs: configs.collect(),
            ..CreatableTopic::default()
        }]
        .into(),
        timeout_ms: 5_000,
        ..CreateTopicsRequest::default()
    };
    link.send(VERSION, &request);
}

#[derive(Debug)]
pub(crate) struct Admin {
    id: u32,
    link: Link,
    /// Those that may not exist yet.
    topics: Vec<NewTopic>,
    asked_ns: Option<u64>,
    wake_ns: u64,
}

impl Admin {
    pub(crate) fn new(id: u32, topics: Vec<NewTopic>) -> Self {
        Self {
            id,
            link: Link::new(),
            topics,
            asked_ns: None,
            wake_ns: 0,
        }
    }

    fn ask(&mut self) {
        if let Some(topic) = self.topics.first() {
            ask_create(&mut self.link, topic);
        }
    }

    fn take(&mut self, scene: &mut Scene, frame: &[u8]) {
        let decoded = decode_response::<CreateTopicsResponse<'_>>(frame, VERSION);
        let Some(result) = decoded.ok().and_then(|(_, answer)| answer.topics.first()) else {
            return scene.problem(self.id, "an answer to CreateTopics that is none");
        };
        match ErrorCode::from_code(result.error_code) {
            Some(ErrorCode::None | ErrorCode::TopicAlreadyExists) => {
                self.topics.remove(0);
                if self.topics.is_empty() {
                    scene.topics_known_ns = Some(scene.now_ns());
                }
            }
            Some(code) if scene.may_answer(code) => {
                self.wake_ns = scene.now_ns() + BACKOFF_NS;
            }
            other => {
                let text = format!("CreateTopics: {other:?} {:?}", result.error_message);
                scene.problem(self.id, text);
            }
        }
    }
}

impl Actor for Admin {
    fn link(&mut self) -> &mut Link {
        &mut self.link
    }

    fn act(&mut self, scene: &mut Scene) {
        self.wake_ns = NEVER;
        for answer in self.link.answers(&scene.world) {
            self.asked_ns = None;
            self.take(scene, &answer.frame);
        }
        let now_ns = scene.now_ns();
        let is_late = |asked: u64| now_ns >= asked + REQUEST_TIMEOUT_NS;
        if self.asked_ns.is_some_and(is_late) {
            self.link.drop_connection();
        }
        if self.topics.is_empty() {
            return;
        }
        if !self.link.is_up() {
            self.asked_ns = None;
            if !self.link.connect(&scene.world, scene.address) {
                self.wake_ns = now_ns + BACKOFF_NS;
                return;
            }
        }
        match self.asked_ns {
            None if self.wake_ns == NEVER => {
                self.ask();
                self.asked_ns = Some(now_ns);
                self.wake_ns = now_ns + REQUEST_TIMEOUT_NS;
            }
            None => {}
            Some(asked) => self.wake_ns = asked + REQUEST_TIMEOUT_NS,
        }
    }

    fn wake_ns(&self) -> u64 {
        self.wake_ns
    }

    fn is_done(&self) -> bool {
        self.topics.is_empty()
    }
}
