//! Brokers behind one bootstrap list: who leads what, and one connection to each.

use super::connection::Connection;
use super::{ClientArgs, check, is_retriable};
use anyhow::{Context, Result, anyhow, bail};
use millrace_server::protocol::Uuid;
use millrace_server::protocol::messages::MetadataResponse;
use millrace_server::protocol::messages::metadata_request::{
    MetadataRequest, MetadataRequestTopic,
};
use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

const RETRY_INTERVAL: Duration = Duration::from_millis(100);

/// A topic as metadata describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Topic {
    /// Its name.
    pub(crate) name: String,
    /// Its id, zero when the broker does not tell.
    pub(crate) id: Uuid,
    /// Whether the brokers made it for themselves.
    pub(crate) is_internal: bool,
    /// Its partitions' leaders (-1 for none) and leader epochs, by index.
    pub(crate) leaders: BTreeMap<i32, (i32, i32)>,
}

/// The brokers.
#[derive(Debug)]
pub(crate) struct Cluster {
    bootstrap: Vec<String>,
    timeout: Duration,
    nodes: BTreeMap<i32, String>,
    controller: i32,
    first: Option<Connection>,
    connections: BTreeMap<i32, Connection>,
}

impl Cluster {
    /// Reaches the first broker of the list that answers.
    pub(crate) fn open(args: &ClientArgs) -> Result<Self> {
        let mut cluster = Self {
            bootstrap: args
                .bootstrap
                .split(',')
                .map(|address| address.trim().to_owned())
                .collect(),
            timeout: Duration::from_secs(args.timeout),
            nodes: BTreeMap::new(),
            controller: -1,
            first: None,
            connections: BTreeMap::new(),
        };
        cluster.metadata(Some(&[]), false)?;
        Ok(cluster)
    }

    /// How long to wait for one answer.
    pub(crate) const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Nodes and their addresses.
    pub(crate) const fn nodes(&self) -> &BTreeMap<i32, String> {
        &self.nodes
    }

    /// The controller, or the lowest node where none is told.
    pub(crate) fn controller(&mut self) -> Result<&mut Connection> {
        let lowest = self.nodes.keys().next().copied();
        let is_known = self.nodes.contains_key(&self.controller);
        let node = if is_known {
            Some(self.controller)
        } else {
            lowest
        };
        self.node(node.ok_or_else(|| anyhow!("the broker names no node; check its log"))?)
    }

    /// The connection to a node.
    pub(crate) fn node(&mut self, node: i32) -> Result<&mut Connection> {
        let connection = match self.connections.remove(&node) {
            Some(connection) => connection,
            None => {
                let address = self.nodes.get(&node).with_context(|| {
                    format!("node {node} is in no metadata; the broker may be starting, try again")
                })?;
                Connection::open(address, self.timeout).with_context(|| {
                    format!("node {node} is advertised as {address}, where it cannot be reached")
                })?
            }
        };
        Ok(self.connections.entry(node).or_insert(connection))
    }

    /// Takes over the address of a node that something other than metadata named.
    pub(crate) fn learn(&mut self, node: i32, address: String) {
        if self.nodes.get(&node) != Some(&address) {
            self.connections.remove(&node);
            self.nodes.insert(node, address);
        }
    }

    /// Closes the connection to a node, so that the next use opens a new one.
    pub(crate) fn forget(&mut self, node: i32) {
        self.connections.remove(&node);
    }

    /// Closes every connection: the brokers may have restarted.
    pub(crate) fn forget_all(&mut self) {
        self.connections.clear();
        self.first = None;
    }

    /// All topics.
    pub(crate) fn topics(&mut self) -> Result<Vec<Topic>> {
        let answered = self.metadata(None, false)?;
        answered.into_iter().map(|(_, topic)| Ok(topic)).collect()
    }

    /// One topic as it is at this moment; `None` when there is none of this name.
    pub(crate) fn find_topic(&mut self, name: &str) -> Result<Option<Topic>> {
        let answered = self.metadata(Some(&[name]), false)?;
        let found = answered.into_iter().next();
        Ok(found.and_then(|(code, topic)| (code == 0).then_some(topic)))
    }

    /// One topic, waited for while the broker says that it is not ready; created by the broker
    /// if `creates` and its settings allow.
    pub(crate) fn topic(&mut self, name: &str, creates: bool) -> Result<Topic> {
        let start = Instant::now();
        loop {
            let answered = self.metadata(Some(&[name]), creates)?;
            let Some((code, topic)) = answered.into_iter().next() else {
                bail!("topic {name}: the broker did not answer for it");
            };
            let is_ready = code == 0 && topic.leaders.values().all(|(leader, _)| *leader >= 0);
            if is_ready {
                return Ok(topic);
            }
            // A topic that is being created is unknown for a moment, or has no leaders.
            let is_waited_for = code == 0 || (is_retriable(code) && (creates || code != 3));
            if !is_waited_for || start.elapsed() > self.timeout {
                check(code, &format!("topic {name}"), None)?;
                bail!("topic {name}: a partition has no leader; see `millrace topic describe`");
            }
            thread::sleep(RETRY_INTERVAL);
        }
    }

    fn metadata(&mut self, names: Option<&[&str]>, creates: bool) -> Result<Vec<(i16, Topic)>> {
        let topics = names.map(|names| {
            names
                .iter()
                .map(|name| MetadataRequestTopic {
                    name: Some(name),
                    ..MetadataRequestTopic::default()
                })
                .collect()
        });
        let request = MetadataRequest {
            topics,
            allow_auto_topic_creation: creates,
            ..MetadataRequest::default()
        };
        let mut connection = match self.first.take() {
            Some(connection) => connection,
            None => self.connect()?,
        };
        let response = connection.call(&request)?;
        let answered = self.read_metadata(&response);
        self.first = Some(connection);
        answered
    }

    fn connect(&self) -> Result<Connection> {
        let known = self.bootstrap.iter().chain(self.nodes.values());
        let mut first_error = None;
        for address in known {
            match Connection::open(address, self.timeout) {
                Ok(connection) => return Ok(connection),
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        Err(first_error.unwrap_or_else(|| anyhow!("--bootstrap is empty; give HOST:PORT")))
    }

    fn read_metadata(&mut self, response: &MetadataResponse<'_>) -> Result<Vec<(i16, Topic)>> {
        self.controller = response.controller_id;
        self.nodes = response
            .brokers
            .iter()
            .map(|broker| (broker.node_id, format!("{}:{}", broker.host, broker.port)))
            .collect();
        let mut topics = Vec::new();
        for topic in &response.topics {
            let partitions = topic.partitions.iter();
            let leaders = partitions
                .map(|part| (part.partition_index, (part.leader_id, part.leader_epoch)))
                .collect();
            let name = topic.name.unwrap_or_default().to_owned();
            let is_internal = topic.is_internal;
            let id = topic.topic_id;
            topics.push((
                topic.error_code,
                Topic {
                    name,
                    id,
                    is_internal,
                    leaders,
                },
            ));
        }
        Ok(topics)
    }
}
