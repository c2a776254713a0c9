//! Loading groups: when a shard gets partitions of the offsets topic, it reads their logs, one
//! after the other, before it answers for their groups.

use crate::broker::BrokerShard;
use crate::groups::offsets_topic::OFFSETS_TOPIC;
use crate::slab::SlabKey;
use crate::ticket::{Waiting, ticket};
use crate::topics::catalog::Catalog;
use millrace_engine::ids::PartitionHandle;
use millrace_engine::partition::{ReadBatches, ReadBound, ReadError, ReadRequest};
use millrace_engine::record_batch::records::{Records, payload};
use millrace_engine::record_batch::{Compression, Header};
use millrace_engine::shard::Read;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A partition whose log is read.
#[derive(Clone, Copy, Debug)]
pub struct GroupLoad {
    index: i32,
    handle: PartitionHandle,
    /// Where the next read begins, once it has begun.
    next_offset: Option<i64>,
    is_reading: bool,
}

/// Bytes of one read.
const READ_BYTES: usize = 1 << 20;

impl BrokerShard {
    /// A new catalog: what its partitions of the offsets topic and its topics mean for groups.
    pub(crate) fn hold_group_partitions(&mut self, before: &Arc<Catalog>) {
        let catalog = Arc::clone(&self.catalog);
        let topic = catalog.topic(OFFSETS_TOPIC);
        let partitions = topic.map_or(&[][..], |topic| &topic.partitions);
        let mine: BTreeSet<i32> = (0..)
            .zip(partitions)
            .filter(|(_, place)| place.shard == self.me)
            .map(|(index, _)| index)
            .collect();
        let count = i32::try_from(partitions.len()).unwrap_or(i32::MAX);
        let now = self.group_now();
        let new = self.groups.coordinator.assign(count, &mine, now);
        for index in new {
            if let Some(place) = topic.and_then(|topic| topic.partition(index)) {
                self.groups.loads.push_back(GroupLoad {
                    index,
                    handle: place.handle,
                    next_offset: None,
                    is_reading: false,
                });
            }
        }
        let is_deleted = |name: &str| before.topic(name).is_some() && catalog.topic(name).is_none();
        if before.topics().any(|topic| is_deleted(&topic.name)) {
            self.groups.coordinator.topics_deleted(is_deleted, now);
        }
        self.load_groups();
    }

    /// Goes on loading.
    pub(crate) fn load_groups(&mut self) {
        self.groups.is_load_starved = false;
        while let Some(load) = self.groups.loads.front().copied() {
            if load.is_reading {
                break;
            }
            let offsets = self.engine.offsets(load.handle);
            let from = load
                .next_offset
                .or_else(|| Some(offsets?.log_start))
                .unwrap_or_default();
            let request = ReadRequest {
                offset: from,
                bytes_max: READ_BYTES,
                bound: ReadBound::HighWatermark,
            };
            let wanted = ticket(Waiting::GroupLoad, SlabKey::from_bits(0), 0);
            let read = self.engine.read(&mut self.io, load.handle, request, wanted);
            match read {
                Ok(Read::Ready(batches)) => self.group_batches_read(Ok(batches)),
                Ok(Read::Pending) => {
                    if let Some(load) = self.groups.loads.front_mut() {
                        load.is_reading = true;
                    }
                    break;
                }
                Err(error) => self.group_batches_read(Err(error)),
            }
            if self.groups.is_load_starved {
                break;
            }
        }
        self.carry_out_groups();
    }

    /// A read from the disk is done.
    pub(crate) fn group_log_read(&mut self, result: Result<ReadBatches, ReadError>) {
        if let Some(load) = self.groups.loads.front_mut() {
            load.is_reading = false;
        }
        self.group_batches_read(result);
        self.load_groups();
    }

    fn group_batches_read(&mut self, result: Result<ReadBatches, ReadError>) {
        let Some(load) = self.groups.loads.front().copied() else {
            return;
        };
        let batches = match result {
            Ok(batches) => batches,
            Err(ReadError::NoMemory) => {
                self.groups.is_load_starved = true;
                return;
            }
            Err(error) => {
                log::error!(
                    "{OFFSETS_TOPIC}-{}: its groups stay unavailable: {error}",
                    load.index
                );
                self.groups.coordinator.load_failed(load.index);
                self.groups.loads.pop_front();
                return;
            }
        };
        if batches.bytes == 0 {
            let catalog = Arc::clone(&self.catalog);
            let now = self.group_now();
            let is_topic = |name: &str| catalog.topic(name).is_some();
            self.groups.coordinator.loaded(load.index, is_topic, now);
            self.groups.loads.pop_front();
            return;
        }
        self.load_batches(load.index, &batches);
        if let Some(load) = self.groups.loads.front_mut() {
            load.next_offset = Some(batches.next_offset);
        }
    }

    fn load_batches(&mut self, index: i32, batches: &ReadBatches) {
        // Batches may lie across parts; a load is rare enough to copy them together.
        let parts = batches.parts.iter();
        let bytes: Vec<u8> = parts.flat_map(|part| part.iter().copied()).collect();
        let now = self.group_now();
        let mut rest = &*bytes;
        while let Ok(header) = Header::parse(rest) {
            let Some((batch, behind)) = rest.split_at_checked(header.batch_bytes as usize) else {
                break;
            };
            rest = behind;
            if header.compression() != Some(Compression::None) {
                log::warn!(
                    "{OFFSETS_TOPIC}-{index}: the compressed batch at offset {} was left out",
                    header.base_offset
                );
                continue;
            }
            for record in Records::new(&header, payload(batch)).map_while(Result::ok) {
                let key = record.key.unwrap_or_default();
                let coordinator = &mut self.groups.coordinator;
                coordinator.load_record(index, key, record.value, now);
            }
        }
    }
}
