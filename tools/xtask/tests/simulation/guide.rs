//! A client that asks for metadata again and again: it compares the nodes with those that there
//! are, and tells the other clients who leads which partition.

use super::actor::{Actor, BACKOFF_NS, NEVER, REQUEST_TIMEOUT_NS};
use super::link::Link;
use super::scene::Scene;
use millrace_server::protocol::messages::{MetadataRequest, MetadataResponse};
use millrace_server::protocol::{ErrorCode, decode_response};
use std::collections::BTreeMap;
use std::net::SocketAddr;

const VERSION: i16 = 9;
const PAUSE_NS_MAX: u64 = 5_000_000_000;

#[derive(Debug)]
pub(crate) struct Guide {
    id: u32,
    link: Link,
    /// When, and how many partitions there were then.
    asked: Option<(u64, usize)>,
    next_ns: u64,
    wake_ns: u64,
}

impl Guide {
    pub(crate) const fn new(id: u32) -> Self {
        Self {
            id,
            link: Link::new(),
            asked: None,
            next_ns: 0,
            wake_ns: 0,
        }
    }

    fn take(&self, scene: &mut Scene, (sent_ns, count): (u64, usize), frame: &[u8]) {
        let decoded = decode_response::<MetadataResponse<'_>>(frame, VERSION);
        let Ok((_, answer)) = decoded else {
            return scene.problem(self.id, "an answer to Metadata that is none");
        };
        let mut nodes: BTreeMap<i32, SocketAddr> = BTreeMap::new();
        for node in &answer.brokers {
            let port = u16::try_from(node.port).unwrap_or(0);
            match node.host.parse() {
                Ok(ip) => _ = nodes.insert(node.node_id, SocketAddr::new(ip, port)),
                Err(_) => scene.problem(self.id, format!("Metadata: host {}", node.host)),
            }
        }
        let told: Vec<(i32, SocketAddr)> = nodes.iter().map(|(id, at)| (*id, *at)).collect();
        if told != scene.nodes() {
            let text = format!(
                "Metadata: nodes {told:?}, and there are {:?}",
                scene.nodes()
            );
            return scene.problem(self.id, text);
        }
        let mut leaders = BTreeMap::new();
        for topic in &answer.topics {
            let name = topic.name.unwrap_or_default();
            for partition in &topic.partitions {
                match nodes.get(&partition.leader_id) {
                    Some(address) => {
                        leaders.insert((name.to_owned(), partition.partition_index), *address);
                    }
                    None => scene.problem(
                        self.id,
                        format!("Metadata: {name} is led by {}", partition.leader_id),
                    ),
                }
            }
            if topic.error_code != ErrorCode::None.code() {
                let text = format!("Metadata: {name}: error {}", topic.error_code);
                scene.problem(self.id, text);
            }
        }
        let is_known = |topic: &str, index| leaders.contains_key(&(topic.to_owned(), index));
        let missing = scene
            .partitions
            .iter()
            .take(count)
            .find(|partition| !is_known(&partition.topic, partition.index));
        if let Some(missing) = missing
            && scene.knows_topics(sent_ns)
        {
            let text = format!("Metadata: {missing:?} was acknowledged, and is not told");
            return scene.problem(self.id, text);
        }
        scene.metadata_told += 1;
        scene.leaders = leaders;
    }
}

impl Actor for Guide {
    fn link(&mut self) -> &mut Link {
        &mut self.link
    }

    fn act(&mut self, scene: &mut Scene) {
        self.wake_ns = NEVER;
        for answer in self.link.answers(&scene.world) {
            if let Some(asked) = self.asked.take() {
                self.take(scene, asked, &answer.frame);
                let pause_ns = scene.random.below(PAUSE_NS_MAX);
                self.next_ns = scene.now_ns() + BACKOFF_NS + pause_ns;
            }
        }
        let now_ns = scene.now_ns();
        let is_late = |(sent_ns, _)| now_ns >= sent_ns + REQUEST_TIMEOUT_NS;
        if self.asked.is_some_and(is_late) {
            if scene.is_calm && self.link.is_up() {
                scene.problem(self.id, "Metadata: no answer, and nothing is wrong");
            }
            self.link.drop_connection();
        }
        if !self.link.is_up() && self.asked.take().is_some() {
            self.next_ns = now_ns + BACKOFF_NS;
        }
        if self.asked.is_none() && now_ns >= self.next_ns {
            let address = scene.some_node();
            if self.link.is_up() || self.link.connect(&scene.world, address) {
                self.link.send(VERSION, &MetadataRequest::default());
                self.asked = Some((now_ns, scene.partitions.len()));
            } else {
                self.next_ns = now_ns + BACKOFF_NS;
            }
        }
        let timeout = self.asked.map(|(sent_ns, _)| sent_ns + REQUEST_TIMEOUT_NS);
        self.wake_ns = timeout.unwrap_or(self.next_ns);
    }

    /// Other nodes, maybe: they are asked for at once.
    fn begin_life(&mut self) {
        self.next_ns = 0;
        self.wake_ns = 0;
    }

    fn wake_ns(&self) -> u64 {
        self.wake_ns
    }

    fn is_done(&self) -> bool {
        true
    }
}
