//! The topics that exist, as an immutable snapshot. Shard 0 makes the next one; every shard reads
//! the one it was last given, without locks.

use crate::config::{TopicOverrides, TopicSettings};
use millrace_engine::ids::{PartitionHandle, ShardId, TopicId};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Where a partition lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionPlace {
    /// Its handle.
    pub handle: PartitionHandle,
    /// The shard that owns it.
    pub shard: ShardId,
    /// Its creator asked for that shard.
    pub is_pinned: bool,
    /// Its leader epoch in this run.
    pub leader_epoch: i32,
}

/// A topic.
#[derive(Clone, Debug)]
pub struct Topic {
    /// Its name.
    pub name: Arc<str>,
    /// Its id.
    pub id: TopicId,
    /// Its partitions, by index.
    pub partitions: Vec<PartitionPlace>,
    /// What was set on it.
    pub overrides: TopicOverrides,
    /// What holds for it.
    pub settings: TopicSettings,
}

impl Topic {
    /// The place of partition `index`.
    #[must_use]
    pub fn partition(&self, index: i32) -> Option<PartitionPlace> {
        self.partitions.get(usize::try_from(index).ok()?).copied()
    }
}

/// What Metadata calls a broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its id.
    pub id: i32,
    /// Where clients reach it.
    pub host: String,
    /// Where clients reach it.
    pub port: u16,
}

/// All topics at one moment.
#[derive(Clone, Debug)]
pub struct Catalog {
    /// Rises with every change.
    pub version: u64,
    /// The cluster's id.
    pub cluster_id: Arc<str>,
    /// The nodes: one, or one for each shard.
    pub nodes: Arc<[Node]>,
    by_name: BTreeMap<Arc<str>, Arc<Topic>>,
    found_by_name: FxHashMap<Arc<str>, Arc<Topic>>,
    by_id: FxHashMap<TopicId, Arc<Topic>>,
}

impl Default for Catalog {
    fn default() -> Self {
        Self {
            version: 0,
            cluster_id: Arc::from(""),
            nodes: Arc::from([]),
            by_name: BTreeMap::new(),
            found_by_name: FxHashMap::default(),
            by_id: FxHashMap::default(),
        }
    }
}

impl Catalog {
    /// A catalog without topics.
    #[must_use]
    pub fn of_nodes(nodes: Arc<[Node]>) -> Self {
        Self {
            nodes,
            ..Self::default()
        }
    }

    /// The node that a shard is known as.
    #[must_use]
    pub fn node_of(&self, shard: ShardId) -> Option<&Node> {
        self.nodes.get(shard.index()).or_else(|| self.nodes.first())
    }

    /// The node in whose name cluster-wide changes are answered: the lowest.
    #[must_use]
    pub fn controller_id(&self) -> i32 {
        self.nodes.first().map_or(-1, |node| node.id)
    }

    /// The topic called `name`.
    #[must_use]
    pub fn topic(&self, name: &str) -> Option<&Arc<Topic>> {
        self.found_by_name.get(name)
    }

    /// The topic with this id.
    #[must_use]
    pub fn topic_by_id(&self, id: TopicId) -> Option<&Arc<Topic>> {
        self.by_id.get(&id)
    }

    /// All topics, by name.
    pub fn topics(&self) -> impl Iterator<Item = &Arc<Topic>> {
        self.by_name.values()
    }

    /// How many topics there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// Adds a topic or replaces the one of the same name.
    pub fn insert(&mut self, topic: Arc<Topic>) {
        self.by_id.insert(topic.id, Arc::clone(&topic));
        self.found_by_name
            .insert(Arc::clone(&topic.name), Arc::clone(&topic));
        self.by_name.insert(Arc::clone(&topic.name), topic);
    }

    /// Removes a topic.
    pub fn remove(&mut self, name: &str) -> Option<Arc<Topic>> {
        let topic = self.by_name.remove(name)?;
        self.found_by_name.remove(name);
        self.by_id.remove(&topic.id);
        Some(topic)
    }
}
