//! What the controller has every shard do: create and delete partitions, hold a catalog; and
//! carrying out the controller's orders on shard 0.

use crate::broker::{BrokerShard, Phase};
use crate::error_mapping::control_error;
use crate::mail::{FoundPartition, Hello, Mail};
use crate::protocol::ErrorCode;
use crate::slab::SlabKey;
use crate::ticket::{Waiting, ticket};
use crate::topics::catalog::{Catalog, Node, Topic};
use crate::topics::controller::{Change, Order, Put};
use millrace_engine::ids::{PartitionHandle, ShardId};
use millrace_engine::shard::{ControlError, Shard};
use std::sync::Arc;

/// A change of partitions on its way to the disk.
#[derive(Debug)]
pub struct Changing {
    from: ShardId,
    waiting: usize,
    handles: Vec<PartitionHandle>,
    failed: Vec<(PartitionHandle, ErrorCode)>,
}

/// What identifies registry changes; all of the controller's are one after the other.
const CONTROLLER_KEY: SlabKey = SlabKey::from_bits(0);

impl BrokerShard {
    /// Tells the controller that this shard has recovered.
    pub fn say_hello(&mut self, node: Option<Node>) {
        let hello = Hello {
            partitions: self
                .engine
                .partitions()
                .into_iter()
                .map(|(handle, topic_id, index)| FoundPartition {
                    handle,
                    topic_id,
                    index,
                    leader_epoch: self
                        .engine
                        .offsets(handle)
                        .map_or(0, |offsets| offsets.leader_epoch),
                })
                .collect(),
            node,
        };
        self.send(ShardId(0), Mail::Hello(Box::new(hello)));
    }

    /// Carries out an order of the controller.
    pub(crate) fn carry_out(&mut self, order: Order) {
        match order {
            Order::Record(puts) => self.record(puts),
            Order::Change(to, change) => self.send(to, Mail::Change(Box::new(change))),
            Order::Publish(catalog) => {
                for index in 0..self.shared.shards {
                    let to = ShardId(u16::try_from(index).unwrap_or(0));
                    self.send(to, Mail::Catalog(Arc::clone(&catalog)));
                }
            }
            Order::Answer(to, token, reply) => {
                // The start job has no asker.
                if token != u64::MAX {
                    self.send(to, Mail::JobDone(token, Box::new(reply)));
                }
            }
        }
    }

    fn record(&mut self, puts: Vec<Put>) {
        let mut refused = 0;
        for (key, value) in puts {
            let wanted = ticket(Waiting::Controller, CONTROLLER_KEY, 0);
            let owner = PartitionHandle(0);
            if self
                .engine
                .registry_put(owner, &key, value.as_deref(), wanted)
                .is_err()
            {
                refused += 1;
            }
        }
        for _ in 0..refused {
            self.control(|controller, random| controller.recorded(false, random));
        }
    }

    /// Creates and deletes partitions; `Changed` when all of it is durable.
    pub(crate) fn change_partitions(&mut self, from: ShardId, change: Change) {
        let created = change.creates.iter().map(|spec| spec.handle);
        let handles: Vec<_> = created.chain(change.deletes.iter().copied()).collect();
        let changing = Changing {
            from,
            waiting: handles.len(),
            handles,
            failed: Vec::new(),
        };
        let Ok(key) = self.changes.insert(changing) else {
            return;
        };
        let mut item = 0;
        for spec in change.creates {
            let wanted = ticket(Waiting::Change, key, item);
            let result = self.engine.create_partition(&mut self.io, spec, wanted);
            self.change_begun(key, item, result);
            item += 1;
        }
        for handle in change.deletes {
            let wanted = ticket(Waiting::Change, key, item);
            let result = self.engine.delete_partition(&mut self.io, handle, wanted);
            self.change_begun(key, item, result);
            item += 1;
        }
    }

    fn change_begun(&mut self, key: SlabKey, item: usize, result: Result<(), ControlError>) {
        if let Err(error) = result {
            self.change_done(key, item, Some(control_error(error)));
        }
    }

    /// One partition's change is durable, or will never be.
    pub(crate) fn change_resolved(&mut self, key: SlabKey, item: usize, is_durable: bool) {
        let error = (!is_durable).then_some(ErrorCode::KafkaStorageError);
        self.change_done(key, item, error);
    }

    fn change_done(&mut self, key: SlabKey, item: usize, error: Option<ErrorCode>) {
        let Some(changing) = self.changes.get_mut(key) else {
            return;
        };
        if let (Some(error), Some(handle)) = (error, changing.handles.get(item)) {
            changing.failed.push((*handle, error));
        }
        changing.waiting -= 1;
        if changing.waiting == 0
            && let Some(done) = self.changes.remove(key)
        {
            self.send(done.from, Mail::Changed(done.failed));
        }
    }

    /// Uses a new catalog, gives its settings to this shard's partitions, and says so.
    pub(crate) fn hold_catalog(&mut self, catalog: Arc<Catalog>) {
        for topic in catalog.topics() {
            let old = self.catalog.topic(&topic.name);
            if !old.is_some_and(|old| Arc::ptr_eq(old, topic)) {
                configure(&mut self.engine, self.me, topic);
            }
        }
        let version = catalog.version;
        let before = std::mem::replace(&mut self.catalog, catalog);
        self.hold_group_partitions(&before);
        if self.phase == Phase::Starting {
            self.phase = Phase::Serving;
            self.begin_accepting();
        }
        self.send(ShardId(0), Mail::CatalogHeld(version));
    }
}

/// Gives a topic's settings to those of its partitions that live here.
fn configure(engine: &mut Shard, me: ShardId, topic: &Topic) {
    for place in topic.partitions.iter().filter(|place| place.shard == me) {
        let config = topic.settings.partition.clone();
        if let Err(error) = engine.configure_partition(place.handle, config) {
            log::error!("topic {}: partition not configured: {error}", topic.name);
        }
    }
}
