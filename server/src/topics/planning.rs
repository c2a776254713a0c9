//! What a job of the controller comes to: checks against the catalog, and the changes to make.
//! Pure: reads the catalog, changes nothing but the handle counter.

use super::catalog::{Catalog, PartitionPlace, Topic};
use super::controller::{
    Change, ConfigChange, Growth, NewTopic, Plan, Put, TopicRef, nodes, record_of, settings_of,
    topic_of,
};
use super::name::{collision_key, illegal_because};
use super::record::{
    CLUSTER_ID_KEY, NEXT_HANDLE_KEY, PARTITIONS_PER_TOPIC_MAX, TopicRecord, topic_key,
};
use crate::config::{BrokerSettings, TopicOverrides};
use crate::groups::offsets_topic::is_internal;
use crate::mail::Hello;
use crate::protocol::ErrorCode;
use millrace_engine::ids::{PartitionHandle, ShardId, TopicId};
use millrace_engine::partition::PartitionSpec;
use std::collections::BTreeMap;
use std::sync::Arc;

impl std::fmt::Debug for Planner<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Planner")
            .field("next_handle", &self.next_handle)
            .finish_non_exhaustive()
    }
}

/// What became of one topic of a job.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// None, or why not.
    pub error: ErrorCode,
    /// More about the error.
    pub message: Option<String>,
    /// The topic, if it is known.
    pub topic: Option<Arc<Topic>>,
}

impl Outcome {
    fn done(topic: Arc<Topic>) -> Self {
        Self {
            error: ErrorCode::None,
            message: None,
            topic: Some(topic),
        }
    }

    fn refused(error: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            error,
            message: Some(message.into()),
            topic: None,
        }
    }

    /// Turns success into an error; an error stays what it is.
    pub fn fail(&mut self, error: ErrorCode, message: &str) {
        if self.error.is_none() {
            *self = Self::refused(error, message);
        }
    }
}

/// Makes plans.
pub struct Planner<'a> {
    /// The broker's settings.
    pub settings: &'a BrokerSettings,
    /// How many shards there are.
    pub shards: usize,
    /// The topics that exist.
    pub catalog: &'a Catalog,
    /// The next handle to give out.
    pub next_handle: &'a mut u64,
    /// Random bits.
    pub random: &'a mut dyn FnMut() -> u64,
}

type Refusal = (ErrorCode, String);

impl Planner<'_> {
    fn topic_id(&mut self) -> TopicId {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&(self.random)().to_be_bytes());
        id[8..].copy_from_slice(&(self.random)().to_be_bytes());
        // A random UUID by its version and variant bits; never one that clients reserve.
        id[6] = id[6] & 0x0f | 0x40;
        id[8] = id[8] & 0x3f | 0x80;
        TopicId(id)
    }

    fn loads(&self) -> Vec<usize> {
        let mut loads = vec![0; self.shards];
        for topic in self.catalog.topics() {
            for place in &topic.partitions {
                if let Some(load) = loads.get_mut(place.shard.index()) {
                    *load += 1;
                }
            }
        }
        loads
    }

    /// A place for a new partition: where its creator wants it, or where the fewest are.
    fn place(&mut self, loads: &mut [usize], pinned: Option<ShardId>) -> PartitionPlace {
        let fewest = || loads.iter().enumerate().min_by_key(|(_, load)| **load);
        let index = pinned.map_or_else(|| fewest().map_or(0, |(index, _)| index), ShardId::index);
        if let Some(load) = loads.get_mut(index) {
            *load += 1;
        }
        let handle = PartitionHandle(*self.next_handle);
        *self.next_handle += 1;
        PartitionPlace {
            handle,
            shard: ShardId(u16::try_from(index).unwrap_or(0)),
            is_pinned: pinned.is_some(),
            leader_epoch: 0,
        }
    }

    /// The shard that a node id stands for; `None` inside: any shard.
    fn pin(&self, node_ids: &[i32]) -> Result<Option<ShardId>, Refusal> {
        let [node_id] = node_ids else {
            return Err((
                ErrorCode::InvalidReplicationFactor,
                format!(
                    "{} replicas were asked for; one node keeps one",
                    node_ids.len()
                ),
            ));
        };
        let index = self
            .catalog
            .nodes
            .iter()
            .position(|node| node.id == *node_id);
        let Some(index) = index else {
            return Err((
                ErrorCode::InvalidReplicaAssignment,
                format!("there is no node {node_id}"),
            ));
        };
        let is_pinning = self.catalog.nodes.len() == self.shards && self.shards > 1;
        Ok(is_pinning.then(|| ShardId(u16::try_from(index).unwrap_or(0))))
    }

    fn next_handle_put(&self) -> Put {
        let next = self.next_handle.to_le_bytes().to_vec();
        (NEXT_HANDLE_KEY.to_vec(), Some(next))
    }

    /// CreateTopics.
    pub fn create(&mut self, topics: Vec<NewTopic>, is_dry: bool) -> Plan {
        let mut plan = Plan::default();
        let mut catalog = self.catalog.clone();
        let mut loads = self.loads();
        let first_handle = *self.next_handle;
        for wanted in &topics {
            let is_twice = topics
                .iter()
                .filter(|other| other.name == wanted.name)
                .count()
                > 1;
            let made = if is_twice {
                let message = format!("topic {} is in the request twice", wanted.name);
                Err((ErrorCode::InvalidRequest, message))
            } else {
                self.new_topic(&catalog, wanted, &mut loads)
            };
            let topic = match made {
                Ok(topic) => Arc::new(topic),
                Err((error, message)) => {
                    plan.outcomes.push(Outcome::refused(error, message));
                    continue;
                }
            };
            plan.outcomes.push(Outcome::done(Arc::clone(&topic)));
            if !is_dry {
                plan.puts.push(record_of(&topic, false));
                create_partitions(&mut plan, &topic, 0);
                catalog.insert(topic);
            }
        }
        if is_dry {
            *self.next_handle = first_handle;
        } else if !plan.puts.is_empty() {
            plan.puts.insert(0, self.next_handle_put());
            plan.catalog = Some(catalog);
        }
        plan
    }

    fn new_topic(
        &mut self,
        catalog: &Catalog,
        wanted: &NewTopic,
        loads: &mut [usize],
    ) -> Result<Topic, Refusal> {
        let name = wanted.name.as_str();
        if let Some(reason) = illegal_because(name) {
            return Err((ErrorCode::InvalidTopicException, reason.to_owned()));
        }
        if catalog.topic(name).is_some() {
            let message = format!("topic {name} exists");
            return Err((ErrorCode::TopicAlreadyExists, message));
        }
        if name.contains(['.', '_']) {
            let key = collision_key(name);
            let other = catalog
                .topics()
                .find(|topic| collision_key(&topic.name) == key);
            if let Some(other) = other {
                let message = format!(
                    "topic {name} differs from topic {} only in '.' and '_'",
                    other.name
                );
                return Err((ErrorCode::InvalidTopicException, message));
            }
        }
        let pins = self.pins(wanted)?;
        let mut overrides = TopicOverrides::default();
        for (key, value) in &wanted.configs {
            if let Err(error) = overrides.set(key, value.as_deref()) {
                return Err((ErrorCode::InvalidConfig, error.to_string()));
            }
        }
        let partitions = pins.into_iter().map(|pin| self.place(loads, pin)).collect();
        Ok(Topic {
            name: Arc::from(name),
            id: self.topic_id(),
            partitions,
            settings: settings_of(name, &overrides, self.settings),
            overrides,
        })
    }

    /// For each partition of a new topic, the shard its creator chose.
    fn pins(&self, wanted: &NewTopic) -> Result<Vec<Option<ShardId>>, Refusal> {
        if wanted.assignments.is_empty() {
            if !matches!(wanted.replication_factor, -1 | 1) {
                return Err((
                    ErrorCode::InvalidReplicationFactor,
                    format!(
                        "replication factor {} was asked for; one node keeps 1",
                        wanted.replication_factor
                    ),
                ));
            }
            let count = match wanted.partitions {
                -1 => self.settings.num_partitions,
                count => count,
            };
            return Ok(vec![None; self.count_in_bounds(count)?]);
        }
        if wanted.partitions != -1 || wanted.replication_factor != -1 {
            let message = "partition count and replication factor must be -1 beside assignments";
            return Err((ErrorCode::InvalidRequest, message.to_owned()));
        }
        let count = i32::try_from(wanted.assignments.len()).unwrap_or(i32::MAX);
        let mut pins = vec![None; self.count_in_bounds(count)?];
        let mut is_given = vec![false; pins.len()];
        for (index, node_ids) in &wanted.assignments {
            let place = usize::try_from(*index)
                .ok()
                .filter(|place| *place < pins.len());
            let Some(place) = place.filter(|place| !is_given[*place]) else {
                return Err((
                    ErrorCode::InvalidReplicaAssignment,
                    format!(
                        "partition {index} is out of order: assign 0 to {} once",
                        count - 1
                    ),
                ));
            };
            is_given[place] = true;
            pins[place] = self.pin(node_ids)?;
        }
        Ok(pins)
    }

    fn count_in_bounds(&self, count: i32) -> Result<usize, Refusal> {
        let max = PARTITIONS_PER_TOPIC_MAX.min(self.settings.partitions_max * self.shards);
        match usize::try_from(count) {
            Ok(count) if count > 0 && count <= max => Ok(count),
            _ => Err((
                ErrorCode::InvalidPartitions,
                format!("{count} partitions were asked for; a topic has 1 to {max}"),
            )),
        }
    }

    /// DeleteTopics.
    pub fn delete(&mut self, topics: Vec<TopicRef>) -> Plan {
        let mut plan = Plan {
            is_published_first: true,
            ..Plan::default()
        };
        let mut catalog = self.catalog.clone();
        for wanted in topics {
            let found = match &wanted {
                TopicRef::Name(name) => catalog.topic(name).cloned(),
                TopicRef::Id(id) => catalog.topic_by_id(*id).cloned(),
            };
            let error = match &wanted {
                TopicRef::Name(_) => ErrorCode::UnknownTopicOrPartition,
                TopicRef::Id(_) => ErrorCode::UnknownTopicId,
            };
            let Some(topic) = found else {
                plan.outcomes
                    .push(Outcome::refused(error, "there is no such topic"));
                continue;
            };
            if !self.settings.delete_topics {
                let message = "delete.topic.enable is false";
                plan.outcomes
                    .push(Outcome::refused(ErrorCode::TopicDeletionDisabled, message));
                continue;
            }
            catalog.remove(&topic.name);
            plan.puts.push(record_of(&topic, true));
            plan.erases.push((topic_key(topic.id).to_vec(), None));
            for place in &topic.partitions {
                plan.changes
                    .entry(place.shard)
                    .or_default()
                    .deletes
                    .push(place.handle);
            }
            plan.outcomes.push(Outcome::done(topic));
        }
        if !plan.puts.is_empty() {
            plan.catalog = Some(catalog);
        }
        plan
    }

    /// CreatePartitions.
    pub fn grow(&mut self, topics: &[Growth], is_dry: bool) -> Plan {
        let mut plan = Plan::default();
        let mut catalog = self.catalog.clone();
        let mut loads = self.loads();
        let first_handle = *self.next_handle;
        for growth in topics {
            let (old, topic) = match self.grown(&catalog, growth, &mut loads) {
                Ok(grown) => grown,
                Err((error, message)) => {
                    plan.outcomes.push(Outcome::refused(error, message));
                    continue;
                }
            };
            let topic = Arc::new(topic);
            plan.outcomes.push(Outcome::done(Arc::clone(&topic)));
            if !is_dry {
                plan.puts.push(record_of(&topic, false));
                create_partitions(&mut plan, &topic, old.partitions.len());
                plan.before_growth.insert(Arc::clone(&old.name), old);
                catalog.insert(topic);
            }
        }
        if is_dry {
            *self.next_handle = first_handle;
        } else if !plan.puts.is_empty() {
            plan.puts.insert(0, self.next_handle_put());
            plan.catalog = Some(catalog);
        }
        plan
    }

    /// The topic as it is and as it will be.
    fn grown(
        &mut self,
        catalog: &Catalog,
        growth: &Growth,
        loads: &mut [usize],
    ) -> Result<(Arc<Topic>, Topic), Refusal> {
        let name = &growth.name;
        let Some(old) = catalog.topic(name) else {
            let message = format!("there is no topic {name}");
            return Err((ErrorCode::UnknownTopicOrPartition, message));
        };
        if is_internal(name) {
            let message = format!("groups belong to partitions of {name}; their number is fixed");
            return Err((ErrorCode::InvalidTopicException, message));
        }
        let before = old.partitions.len();
        let after = self.count_in_bounds(growth.count)?;
        if after <= before {
            let message = format!("topic {name} has {before} partitions; it can only get more");
            return Err((ErrorCode::InvalidPartitions, message));
        }
        let mut pins = vec![None; after - before];
        if let Some(assignments) = &growth.assignments {
            if assignments.len() != pins.len() {
                let message = format!(
                    "{} assignments for {} partitions",
                    assignments.len(),
                    pins.len()
                );
                return Err((ErrorCode::InvalidReplicaAssignment, message));
            }
            for (pin, node_ids) in pins.iter_mut().zip(assignments) {
                *pin = self.pin(node_ids)?;
            }
        }
        let mut topic = Topic::clone(old);
        let added = pins.into_iter().map(|pin| self.place(loads, pin));
        topic.partitions.extend(added);
        Ok((Arc::clone(old), topic))
    }

    /// AlterConfigs, IncrementalAlterConfigs.
    pub fn configure(&mut self, topics: Vec<(String, Vec<ConfigChange>)>, is_dry: bool) -> Plan {
        let mut plan = Plan::default();
        let mut catalog = self.catalog.clone();
        for (name, changes) in topics {
            match self.configured(&catalog, &name, &changes) {
                Err((error, message)) => plan.outcomes.push(Outcome::refused(error, message)),
                Ok(topic) => {
                    let topic = Arc::new(topic);
                    plan.outcomes.push(Outcome::done(Arc::clone(&topic)));
                    if !is_dry {
                        plan.puts.push(record_of(&topic, false));
                        catalog.insert(topic);
                    }
                }
            }
        }
        if !plan.puts.is_empty() {
            plan.catalog = Some(catalog);
        }
        plan
    }

    fn configured(
        &self,
        catalog: &Catalog,
        name: &str,
        changes: &[ConfigChange],
    ) -> Result<Topic, Refusal> {
        let Some(topic) = catalog.topic(name) else {
            let message = format!("there is no topic {name}");
            return Err((ErrorCode::UnknownTopicOrPartition, message));
        };
        let mut topic = Topic::clone(topic);
        for change in changes {
            let overrides = &mut topic.overrides;
            let result = match change {
                ConfigChange::Set(key, value) => overrides.set(key, value.as_deref()),
                ConfigChange::Unset(key) => overrides.set(key, None),
                ConfigChange::Append(key, value) => {
                    overrides.change_list(key, value, false, self.settings)
                }
                ConfigChange::Subtract(key, value) => {
                    overrides.change_list(key, value, true, self.settings)
                }
                ConfigChange::Clear => {
                    *overrides = TopicOverrides::default();
                    Ok(())
                }
            };
            result.map_err(|error| (ErrorCode::InvalidConfig, error.to_string()))?;
        }
        topic.settings = settings_of(name, &topic.overrides, self.settings);
        Ok(topic)
    }

    /// Makes the first catalog of a run, and finishes what a crash interrupted.
    pub fn start(
        &mut self,
        records: Vec<TopicRecord>,
        hellos: BTreeMap<ShardId, Hello>,
        cluster_id: Option<String>,
    ) -> Plan {
        let mut plan = Plan::default();
        let mut found: BTreeMap<PartitionHandle, (ShardId, i32)> = BTreeMap::new();
        for (shard, hello) in &hellos {
            let partitions = hello.partitions.iter();
            found.extend(partitions.map(|it| (it.handle, (*shard, it.leader_epoch))));
        }
        let mut catalog = Catalog::of_nodes(nodes(&hellos));
        let mut loads = vec![0; self.shards];
        for (shard, _) in found.values() {
            loads[shard.index()] += 1;
        }
        for record in records {
            if record.is_being_deleted {
                plan.erases.push((topic_key(record.id).to_vec(), None));
                continue;
            }
            let places: Vec<_> = record
                .partitions
                .iter()
                .map(|(handle, pinned)| {
                    let pinned = pinned.filter(|shard| shard.index() < self.shards);
                    let here = found.remove(handle);
                    let shard = here.map(|(shard, _)| shard).or(pinned);
                    let shard = shard.unwrap_or_else(|| {
                        let fewest = loads.iter().enumerate().min_by_key(|(_, load)| **load);
                        ShardId(fewest.map_or(0, |(index, _)| index) as u16)
                    });
                    PartitionPlace {
                        handle: *handle,
                        shard,
                        is_pinned: pinned.is_some(),
                        leader_epoch: here.map_or(0, |(_, leader_epoch)| leader_epoch),
                    }
                })
                .collect();
            let topic = Arc::new(topic_of(record, places, self.settings));
            let missing = |handle| !hellos.values().any(|hello| has(hello, handle));
            for (index, place) in topic.partitions.iter().enumerate() {
                if missing(place.handle) {
                    create_partition(&mut plan, &topic, index);
                }
            }
            catalog.insert(topic);
        }
        // What no topic claims was being created or deleted when the broker stopped.
        for (handle, (shard, _)) in found {
            plan.changes.entry(shard).or_default().deletes.push(handle);
        }
        let cluster_id = cluster_id.unwrap_or_else(|| {
            let id = format!("{:016x}", (self.random)());
            let put = (CLUSTER_ID_KEY.to_vec(), Some(id.clone().into_bytes()));
            plan.puts.push(put);
            id
        });
        catalog.cluster_id = Arc::from(cluster_id);
        plan.catalog = Some(catalog);
        plan
    }
}

fn has(hello: &Hello, handle: PartitionHandle) -> bool {
    hello
        .partitions
        .binary_search_by_key(&handle, |it| it.handle)
        .is_ok()
}

fn create_partition(plan: &mut Plan, topic: &Topic, index: usize) {
    let place = topic.partitions[index];
    let spec = PartitionSpec {
        handle: place.handle,
        topic_id: topic.id,
        index: i32::try_from(index).unwrap_or(i32::MAX),
        config: topic.settings.partition.clone(),
    };
    let change: &mut Change = plan.changes.entry(place.shard).or_default();
    change.creates.push(spec);
}

fn create_partitions(plan: &mut Plan, topic: &Topic, from: usize) {
    for index in from..topic.partitions.len() {
        create_partition(plan, topic, index);
    }
}

/// Takes topics with partitions that could not be created out of a catalog that is about to be
/// published, and makes the erasing of their records part of the plan. What was created of them
/// belongs to nobody and goes at the next start.
pub fn withhold(catalog: &mut Catalog, plan: &mut Plan, failed: &[(PartitionHandle, ErrorCode)]) {
    if failed.is_empty() {
        return;
    }
    for outcome in &mut plan.outcomes {
        let Some(topic) = outcome.topic.clone() else {
            continue;
        };
        let failure = failed
            .iter()
            .find(|(handle, _)| topic.partitions.iter().any(|place| place.handle == *handle));
        if let Some((_, error)) = failure {
            let why = if *error == ErrorCode::InvalidPartitions {
                "a shard has all partitions that --memory and millrace.partitions.max allow"
            } else {
                "a shard could not create a partition"
            };
            outcome.fail(*error, why);
            if let Some(before) = plan.before_growth.get(&topic.name) {
                plan.erases.push(record_of(before, false));
                catalog.insert(Arc::clone(before));
            } else {
                plan.erases.push((topic_key(topic.id).to_vec(), None));
                catalog.remove(&topic.name);
            }
        }
    }
}
