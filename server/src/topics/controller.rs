//! The one writer of topics, on shard 0: turns requests into durable registry changes, has the
//! owning shards create or delete partitions, and publishes the next catalog.
//!
//! Jobs run one after the other. A job is answered when its changes are durable and every shard
//! holds the catalog that shows them. Order of a creation: record, create partitions, publish. Of
//! a deletion: tombstone, publish, delete partitions, erase the tombstone. A start is a job too:
//! it finishes whatever a crash left in the middle.

use super::catalog::{Catalog, Node, PartitionPlace, Topic};
use super::planning::{self, Outcome};
use super::record::{NEXT_PRODUCER_ID_KEY, TopicRecord, topic_key};
use crate::config::{BrokerSettings, TopicOverrides, TopicSettings};
use crate::groups::offsets_topic::is_internal;
use crate::mail::Hello;
use crate::protocol::ErrorCode;
use millrace_engine::ids::{PartitionHandle, ShardId, TopicId};
use millrace_engine::partition::{Durability, PartitionSpec};
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;

/// A topic to create.
#[derive(Clone, Debug, Default)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// Its partitions, -1 for the default.
    pub partitions: i32,
    /// Its replicas, -1 for the default.
    pub replication_factor: i16,
    /// Partition index and node ids, when the creator chose.
    pub assignments: Vec<(i32, Vec<i32>)>,
    /// Its settings.
    pub configs: Vec<(String, Option<String>)>,
}

/// A topic that gets partitions.
#[derive(Clone, Debug, Default)]
pub struct Growth {
    /// Its name.
    pub name: String,
    /// How many it has then.
    pub count: i32,
    /// Node ids of each added one, when somebody chose.
    pub assignments: Option<Vec<Vec<i32>>>,
}

/// A topic by name or id.
#[derive(Clone, Debug)]
pub enum TopicRef {
    /// By name.
    Name(String),
    /// By id.
    Id(TopicId),
}

/// One change of a topic's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigChange {
    /// Sets a value.
    Set(String, Option<String>),
    /// Back to the default.
    Unset(String),
    /// Adds words to a list.
    Append(String, String),
    /// Takes words from a list.
    Subtract(String, String),
    /// Forgets all settings first (AlterConfigs gives the whole set).
    Clear,
}

/// What the controller is asked.
#[derive(Debug)]
pub enum Job {
    /// Finish the start: the hellos of all shards.
    Start(BTreeMap<ShardId, Hello>),
    /// CreateTopics, auto-creation.
    Create {
        /// The topics.
        topics: Vec<NewTopic>,
        /// Check only.
        is_dry: bool,
    },
    /// DeleteTopics.
    Delete(Vec<TopicRef>),
    /// CreatePartitions.
    Grow {
        /// The topics.
        topics: Vec<Growth>,
        /// Check only.
        is_dry: bool,
    },
    /// AlterConfigs, IncrementalAlterConfigs.
    Configure {
        /// Topic and changes.
        topics: Vec<(String, Vec<ConfigChange>)>,
        /// Check only.
        is_dry: bool,
    },
    /// InitProducerId: a block of producer ids.
    ProducerIds,
}

/// Answer to a job.
#[derive(Debug, Default)]
pub struct JobReply {
    /// One for each topic of the job, in its order.
    pub outcomes: Vec<Outcome>,
    /// The block of producer ids.
    pub producer_ids: Range<i64>,
    /// The whole job failed.
    pub error: Option<ErrorCode>,
}

/// What one shard has to do for a job.
#[derive(Debug, Default)]
pub struct Change {
    /// Partitions to create.
    pub creates: Vec<PartitionSpec>,
    /// Partitions to delete.
    pub deletes: Vec<PartitionHandle>,
}

/// A registry change of shard 0.
pub type Put = (Vec<u8>, Option<Vec<u8>>);

/// What a job comes to.
#[derive(Debug, Default)]
pub struct Plan {
    /// One for each topic of the job.
    pub outcomes: Vec<Outcome>,
    /// Written first.
    pub puts: Vec<Put>,
    /// Done by the shards.
    pub changes: BTreeMap<ShardId, Change>,
    /// Published.
    pub catalog: Option<Catalog>,
    /// Published before the shards change anything.
    pub is_published_first: bool,
    /// Topics as they were before partitions were added.
    pub before_growth: BTreeMap<Arc<str>, Arc<Topic>>,
    /// Written last.
    pub erases: Vec<Put>,
    /// Given to the asker.
    pub producer_ids: Range<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Record,
    Change,
    Publish,
    Erase,
    Answer,
}

/// What the controller wants done next.
#[derive(Debug)]
pub enum Order {
    /// Write these; `recorded` for each.
    Record(Vec<Put>),
    /// Send to that shard; `changed` for each.
    Change(ShardId, Change),
    /// Send to all shards; `held` for each.
    Publish(Arc<Catalog>),
    /// Answer the asker.
    Answer(ShardId, u64, JobReply),
}

#[derive(Debug)]
struct Running {
    from: ShardId,
    token: u64,
    plan: Plan,
    steps: VecDeque<Step>,
    waiting: usize,
    error: Option<ErrorCode>,
    failed: Vec<(PartitionHandle, ErrorCode)>,
}

/// The controller.
#[derive(Debug)]
pub struct Controller {
    settings: Arc<BrokerSettings>,
    shards: usize,
    catalog: Catalog,
    next_handle: u64,
    next_producer_id: i64,
    cluster_id: Option<String>,
    records: Vec<TopicRecord>,
    queue: VecDeque<(ShardId, u64, Job)>,
    running: Option<Running>,
    hellos: BTreeMap<ShardId, Hello>,
}

/// Producer ids given to a shard at a time.
const PRODUCER_ID_BLOCK: i64 = 1000;

impl Controller {
    /// Reads what the registry of shard 0 holds.
    pub fn new<'a>(
        settings: Arc<BrokerSettings>,
        shards: usize,
        registry: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    ) -> Self {
        let mut found = Self {
            settings,
            shards,
            catalog: Catalog::default(),
            next_handle: 1,
            next_producer_id: 0,
            cluster_id: None,
            records: Vec::new(),
            queue: VecDeque::new(),
            running: None,
            hellos: BTreeMap::new(),
        };
        for (key, value) in registry {
            found.read(key, value);
        }
        found
    }

    fn read(&mut self, key: &[u8], value: &[u8]) {
        let number = value.first_chunk::<8>().copied().map(u64::from_le_bytes);
        if let Some(id) = super::record::topic_of_key(key) {
            match TopicRecord::decode(id, value) {
                Some(record) => self.records.push(record),
                None => log::error!("registry: the record of topic {:02x?} is unreadable", id.0),
            }
        } else if key == super::record::NEXT_HANDLE_KEY {
            self.next_handle = number.unwrap_or(1).max(self.next_handle);
        } else if key == NEXT_PRODUCER_ID_KEY {
            self.next_producer_id = number.and_then(|id| i64::try_from(id).ok()).unwrap_or(0);
        } else if key == super::record::CLUSTER_ID_KEY {
            self.cluster_id = std::str::from_utf8(value).ok().map(str::to_owned);
        }
    }

    /// A shard has started. When all have, the start job runs.
    pub fn hello(
        &mut self,
        from: ShardId,
        hello: Hello,
        random: &mut dyn FnMut() -> u64,
    ) -> Vec<Order> {
        self.hellos.insert(from, hello);
        if self.hellos.len() < self.shards {
            return Vec::new();
        }
        let job = Job::Start(std::mem::take(&mut self.hellos));
        self.ask(ShardId(0), u64::MAX, job, random)
    }

    /// Takes a job.
    pub fn ask(
        &mut self,
        from: ShardId,
        token: u64,
        job: Job,
        random: &mut dyn FnMut() -> u64,
    ) -> Vec<Order> {
        self.queue.push_back((from, token, job));
        if self.running.is_some() {
            return Vec::new();
        }
        self.begin(random)
    }

    fn begin(&mut self, random: &mut dyn FnMut() -> u64) -> Vec<Order> {
        let Some((from, token, job)) = self.queue.pop_front() else {
            return Vec::new();
        };
        let plan = self.plan(job, random);
        let order: &[Step] = if plan.is_published_first {
            &[
                Step::Record,
                Step::Publish,
                Step::Change,
                Step::Erase,
                Step::Answer,
            ]
        } else {
            &[
                Step::Record,
                Step::Change,
                Step::Publish,
                Step::Erase,
                Step::Answer,
            ]
        };
        self.running = Some(Running {
            from,
            token,
            plan,
            steps: order.iter().copied().collect(),
            waiting: 0,
            error: None,
            failed: Vec::new(),
        });
        self.advance(random)
    }

    fn plan(&mut self, job: Job, random: &mut dyn FnMut() -> u64) -> Plan {
        let mut planner = planning::Planner {
            settings: &self.settings,
            shards: self.shards,
            catalog: &self.catalog,
            next_handle: &mut self.next_handle,
            random,
        };
        match job {
            Job::Start(hellos) => {
                let records = std::mem::take(&mut self.records);
                planner.start(records, hellos, self.cluster_id.take())
            }
            Job::Create { topics, is_dry } => planner.create(topics, is_dry),
            Job::Delete(topics) => planner.delete(topics),
            Job::Grow { topics, is_dry } => planner.grow(&topics, is_dry),
            Job::Configure { topics, is_dry } => planner.configure(topics, is_dry),
            Job::ProducerIds => {
                let first = self.next_producer_id;
                self.next_producer_id += PRODUCER_ID_BLOCK;
                let next = self.next_producer_id.cast_unsigned().to_le_bytes().to_vec();
                Plan {
                    puts: vec![(NEXT_PRODUCER_ID_KEY.to_vec(), Some(next))],
                    producer_ids: first..self.next_producer_id,
                    ..Plan::default()
                }
            }
        }
    }

    /// Goes on to the next step that has something to do.
    fn advance(&mut self, random: &mut dyn FnMut() -> u64) -> Vec<Order> {
        let mut orders = Vec::new();
        while let Some(running) = &mut self.running {
            if running.waiting > 0 {
                break;
            }
            let Some(step) = running.steps.pop_front() else {
                self.running = None;
                orders.extend(self.begin(random));
                break;
            };
            match step {
                Step::Record => {
                    let puts = std::mem::take(&mut running.plan.puts);
                    running.waiting = puts.len();
                    if !puts.is_empty() {
                        orders.push(Order::Record(puts));
                    }
                }
                Step::Change => {
                    let changes = std::mem::take(&mut running.plan.changes);
                    running.waiting = changes.len();
                    orders.extend(
                        changes
                            .into_iter()
                            .map(|(to, change)| Order::Change(to, change)),
                    );
                }
                Step::Publish => {
                    if let Some(mut catalog) = running.plan.catalog.take() {
                        planning::withhold(&mut catalog, &mut running.plan, &running.failed);
                        catalog.version = self.catalog.version + 1;
                        self.catalog = catalog.clone();
                        running.waiting = self.shards;
                        orders.push(Order::Publish(Arc::new(catalog)));
                    }
                }
                Step::Erase => {
                    let erases = std::mem::take(&mut running.plan.erases);
                    running.waiting = erases.len();
                    if !erases.is_empty() {
                        orders.push(Order::Record(erases));
                    }
                }
                Step::Answer => {
                    let reply = JobReply {
                        outcomes: std::mem::take(&mut running.plan.outcomes),
                        producer_ids: running.plan.producer_ids.clone(),
                        error: running.error,
                    };
                    orders.push(Order::Answer(running.from, running.token, reply));
                }
            }
        }
        orders
    }

    /// A registry change is durable, or will never be.
    pub fn recorded(&mut self, is_durable: bool, random: &mut dyn FnMut() -> u64) -> Vec<Order> {
        if let Some(running) = &mut self.running {
            running.waiting = running.waiting.saturating_sub(1);
            if !is_durable {
                // Shard 0 stopped or has no room: nothing more of this job is done.
                running.error = Some(ErrorCode::KafkaStorageError);
                for outcome in &mut running.plan.outcomes {
                    outcome.fail(
                        ErrorCode::KafkaStorageError,
                        "the registry takes no changes",
                    );
                }
                running.steps.retain(|step| *step == Step::Answer);
            }
        }
        self.advance(random)
    }

    /// A shard has made its changes.
    pub fn changed(
        &mut self,
        failed: Vec<(PartitionHandle, ErrorCode)>,
        random: &mut dyn FnMut() -> u64,
    ) -> Vec<Order> {
        if let Some(running) = &mut self.running {
            running.waiting = running.waiting.saturating_sub(1);
            running.failed.extend(failed);
        }
        self.advance(random)
    }

    /// A shard uses the catalog of this version.
    pub fn held(&mut self, version: u64, random: &mut dyn FnMut() -> u64) -> Vec<Order> {
        if version == self.catalog.version
            && let Some(running) = &mut self.running
        {
            running.waiting = running.waiting.saturating_sub(1);
        }
        self.advance(random)
    }
}

/// The record of a topic that exists.
#[must_use]
pub fn record_of(topic: &Topic, is_being_deleted: bool) -> Put {
    let record = TopicRecord {
        id: topic.id,
        name: topic.name.to_string(),
        is_being_deleted,
        partitions: topic
            .partitions
            .iter()
            .map(|place| (place.handle, place.is_pinned.then_some(place.shard)))
            .collect(),
        overrides: topic.overrides.clone(),
    };
    (topic_key(topic.id).to_vec(), Some(record.encode()))
}

/// A topic from its record, with its partitions where `places` says.
#[must_use]
pub fn topic_of(
    record: TopicRecord,
    places: Vec<PartitionPlace>,
    settings: &BrokerSettings,
) -> Topic {
    Topic {
        settings: settings_of(&record.name, &record.overrides, settings),
        name: Arc::from(record.name),
        id: record.id,
        partitions: places,
        overrides: record.overrides,
    }
}

/// What holds for a topic. Groups' state is on stable storage before it is acknowledged, whatever
/// the topic's configs say.
#[must_use]
pub fn settings_of(
    name: &str,
    overrides: &TopicOverrides,
    settings: &BrokerSettings,
) -> TopicSettings {
    let mut found = TopicSettings::new(overrides, settings);
    if is_internal(name) {
        found.partition.durability = Durability::Disk;
    }
    found
}

/// The nodes of all shards, in shard order.
#[must_use]
pub fn nodes(hellos: &BTreeMap<ShardId, Hello>) -> Arc<[Node]> {
    hellos
        .values()
        .filter_map(|hello| hello.node.clone())
        .collect()
}
