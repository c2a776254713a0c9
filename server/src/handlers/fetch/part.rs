//! The owner's half of a fetch: the partitions of one request that live on one shard.
//!
//! A part reads its partitions in order within a byte budget and reports. If the request may wait,
//! the part stays, watches its partitions and reports again whenever it can offer more bytes than
//! before, until the asking shard says that the request is over. Batches are reported by
//! reference.

use super::super::question::check_epoch;
use crate::broker::BrokerShard;
use crate::error_mapping::read_error;
use crate::mail::Mail;
use crate::protocol::ErrorCode;
use crate::slab::SlabKey;
use crate::ticket::{Waiting, ticket};
use millrace_engine::ids::{PartitionHandle, ShardId};
use millrace_engine::partition::{LogOffsets, ReadBatches, ReadBound, ReadError, ReadRequest};
use millrace_engine::shard::Read;

/// A partition wanted by a fetch.
#[derive(Clone, Copy, Debug)]
pub struct PartItem {
    /// Its place in the request.
    pub place: u32,
    /// The partition.
    pub handle: PartitionHandle,
    /// First offset wanted.
    pub offset: i64,
    /// Bytes at most.
    pub bytes_max: usize,
    /// The leader epoch the client knows, -1 for none.
    pub leader_epoch: i32,
}

/// A fetch's partitions on one shard.
#[derive(Debug)]
pub struct FetchPart {
    /// The asking shard's name for the request.
    pub request: u64,
    /// The partitions, in the order of the request.
    pub items: Vec<PartItem>,
    /// Record bytes at most, the first batch apart.
    pub bytes_max: usize,
    /// Up to where.
    pub bound: ReadBound,
    /// Bytes from which the request need not wait, `None` if it may not wait at all.
    pub waits_below: Option<usize>,
}

impl Default for FetchPart {
    fn default() -> Self {
        Self {
            request: 0,
            items: Vec::new(),
            bytes_max: 0,
            bound: ReadBound::HighWatermark,
            waits_below: None,
        }
    }
}

/// What was read of one partition.
#[derive(Debug)]
pub struct PartResult {
    /// Its place in the request.
    pub place: u32,
    /// None, or why there are no batches.
    pub error: ErrorCode,
    /// The partition's offsets.
    pub offsets: LogOffsets,
    /// The batches.
    pub batches: ReadBatches,
}

/// What a part found.
#[derive(Debug)]
pub struct PartReport {
    /// The asking shard's name for the request.
    pub request: u64,
    /// One for each item.
    pub results: Vec<PartResult>,
    /// The part goes on watching.
    pub is_watching: bool,
}

/// A part on its owner.
#[derive(Debug)]
pub struct ActivePart {
    from: ShardId,
    part: Box<FetchPart>,
    results: Vec<PartResult>,
    reading: usize,
    next: usize,
    bytes: usize,
    /// Bytes of the last report; `None` before the first.
    reported: Option<usize>,
    is_watching: bool,
    /// Something was appended while it was reading.
    is_stale: bool,
    /// A read found no memory: worth another try later.
    is_starved: bool,
}

/// Unused parts and vectors kept for the next fetches.
pub(super) const POOL_MAX: usize = 1024;
/// Reads of one part in flight at most.
const READING_MAX: usize = 8;

impl BrokerShard {
    /// A fetch wants partitions of this shard.
    pub(crate) fn part_arrived(&mut self, from: ShardId, part: Box<FetchPart>) {
        let request = part.request;
        let active = ActivePart {
            from,
            results: self.result_pool.pop().unwrap_or_default(),
            part,
            reading: 0,
            next: 0,
            bytes: 0,
            reported: None,
            is_watching: false,
            is_stale: false,
            is_starved: false,
        };
        match self.parts.insert(active) {
            Ok(key) => {
                self.part_keys.insert((from, request), key);
                self.read_part(key);
            }
            Err(active) => {
                let results = active.part.items.iter().map(|item| PartResult {
                    place: item.place,
                    error: ErrorCode::KafkaStorageError,
                    offsets: LogOffsets::default(),
                    batches: ReadBatches::default(),
                });
                let report = PartReport {
                    request,
                    results: results.collect(),
                    is_watching: false,
                };
                self.report(from, report);
            }
        }
    }

    /// Reads on until everything is read or waits for the disk, then reports.
    fn read_part(&mut self, key: SlabKey) {
        loop {
            let Some(active) = self.parts.get_mut(key) else {
                return;
            };
            let Some(item) = active.part.items.get(active.next).copied() else {
                break;
            };
            if active.reading >= READING_MAX {
                return;
            }
            let index = active.next;
            active.next += 1;
            let bound = active.part.bound;
            let left = active.part.bytes_max.saturating_sub(active.bytes);
            let bytes_max = item.bytes_max.min(left);
            let is_first = active.bytes == 0;
            let result = self.read_item(key, index, (item, bytes_max, bound, is_first));
            let Some(active) = self.parts.get_mut(key) else {
                return;
            };
            if result.is_none() {
                // The budget is charged with what may come until it is known.
                active.reading += 1;
                active.bytes += bytes_max;
            }
            let result = result.unwrap_or_else(|| PartResult {
                place: item.place,
                error: ErrorCode::None,
                offsets: LogOffsets::default(),
                batches: ReadBatches::default(),
            });
            active.bytes += result.batches.bytes;
            active.results.push(result);
        }
        self.report_part(key);
    }

    /// `None`: the disk is read.
    fn read_item(
        &mut self,
        key: SlabKey,
        index: usize,
        (item, bytes_max, bound, is_first): (PartItem, usize, ReadBound, bool),
    ) -> Option<PartResult> {
        let mut result = PartResult {
            place: item.place,
            error: ErrorCode::None,
            offsets: LogOffsets::default(),
            batches: ReadBatches::default(),
        };
        let Some(offsets) = self.engine.offsets(item.handle) else {
            result.error = ErrorCode::UnknownTopicOrPartition;
            return Some(result);
        };
        result.offsets = offsets;
        if let Err(error) = check_epoch(item.leader_epoch, offsets.leader_epoch) {
            result.error = error;
            return Some(result);
        }
        if item.offset < offsets.log_start || item.offset > offsets.log_end {
            result.error = ErrorCode::OffsetOutOfRange;
            return Some(result);
        }
        let end = match bound {
            ReadBound::HighWatermark => offsets.high_watermark,
            ReadBound::LastStable => offsets.last_stable,
            ReadBound::LogEnd => offsets.log_end,
        };
        // KAFKA: the first batch of a response comes even above all bounds.
        let bytes_max = if is_first {
            bytes_max.max(1)
        } else {
            bytes_max
        };
        if item.offset >= end || bytes_max == 0 {
            return Some(result);
        }
        let request = ReadRequest {
            offset: item.offset,
            bytes_max,
            bound,
        };
        let wanted = ticket(Waiting::Fetch, key, index);
        match self.engine.read(&mut self.io, item.handle, request, wanted) {
            Ok(Read::Pending) => return None,
            Ok(Read::Ready(batches)) => {
                if is_first || batches.bytes <= bytes_max {
                    result.batches = batches;
                }
            }
            Err(ReadError::NoMemory) => {
                if let Some(active) = self.parts.get_mut(key) {
                    active.is_starved = true;
                }
            }
            Err(error) => result.error = read_error(error),
        }
        Some(result)
    }

    /// A disk read of a part is done.
    pub(crate) fn part_read(
        &mut self,
        key: SlabKey,
        index: usize,
        result: Result<ReadBatches, ReadError>,
    ) {
        let Some(active) = self.parts.get_mut(key) else {
            return;
        };
        let Some(item) = active.part.items.get(index).copied() else {
            return;
        };
        let charged = item.bytes_max.min(active.part.bytes_max);
        active.reading = active.reading.saturating_sub(1);
        active.bytes = active.bytes.saturating_sub(charged);
        let offsets = self.engine.offsets(item.handle);
        if let Some(slot) = active.results.get_mut(index) {
            match result {
                Ok(batches) => {
                    active.bytes += batches.bytes;
                    slot.batches = batches;
                }
                Err(ReadError::NoMemory) => active.is_starved = true,
                Err(error) => slot.error = read_error(error),
            }
            match offsets {
                Some(offsets) => slot.offsets = offsets,
                None => slot.error = ErrorCode::UnknownTopicOrPartition,
            }
        }
        self.read_part(key);
    }

    fn report_part(&mut self, key: SlabKey) {
        let Some(active) = self.parts.get_mut(key) else {
            return;
        };
        if active.reading > 0 {
            return;
        }
        active.bytes = active
            .results
            .iter()
            .map(|result| result.batches.bytes)
            .sum();
        let has_error = active.results.iter().any(|result| !result.error.is_none());
        let must_wait = active
            .part
            .waits_below
            .is_some_and(|enough| active.bytes < enough);
        let is_watching = must_wait && !has_error;
        let has_more = active.reported.is_none_or(|before| active.bytes > before);
        let is_stale = std::mem::take(&mut active.is_stale);
        let is_starved = std::mem::take(&mut active.is_starved);
        let was_watching = std::mem::replace(&mut active.is_watching, is_watching);
        if has_more || has_error || !is_watching {
            active.reported = Some(active.bytes);
            let report = PartReport {
                request: active.part.request,
                results: std::mem::take(&mut active.results),
                is_watching,
            };
            let from = active.from;
            self.report(from, report);
        }
        if !is_watching {
            self.forget_part(key);
            return;
        }
        if !was_watching {
            self.watch_part(key);
        }
        if is_starved {
            self.starved_parts.push(key);
        } else if is_stale || !was_watching && self.has_grown(key) {
            self.reread_part(key);
        }
    }

    /// Whether a partition moved between the read and the watch.
    fn has_grown(&mut self, key: SlabKey) -> bool {
        let Some(active) = self.parts.get_mut(key) else {
            return false;
        };
        let reported = active.reported.unwrap_or(0);
        let engine = &self.engine;
        reported == 0
            && active.part.items.iter().any(|item| {
                let end = engine
                    .offsets(item.handle)
                    .map_or(0, |offsets| offsets.high_watermark);
                item.offset < end && active.part.bytes_max > 0 && item.bytes_max > 0
            })
    }

    fn watch_part(&mut self, key: SlabKey) {
        let Some(active) = self.parts.get_mut(key) else {
            return;
        };
        for item in &active.part.items {
            self.engine.watch(item.handle);
            self.watchers.entry(item.handle).or_default().push(key);
        }
    }

    /// A watched partition's high watermark moved.
    pub(crate) fn partition_advanced(&mut self, handle: PartitionHandle) {
        let Some(watchers) = self.watchers.get_mut(&handle) else {
            return;
        };
        let mut keys = std::mem::take(watchers);
        keys.retain(|key| self.parts.get_mut(*key).is_some());
        for key in &keys {
            self.reread_part(*key);
        }
        keys.retain(|key| self.parts.get_mut(*key).is_some());
        if keys.is_empty() {
            // Kept for its memory while the same consumers come back.
            keys.clear();
        } else {
            self.engine.watch(handle);
        }
        if let Some(watchers) = self.watchers.get_mut(&handle) {
            keys.append(watchers);
            *watchers = keys;
        }
    }

    fn reread_part(&mut self, key: SlabKey) {
        let Some(active) = self.parts.get_mut(key) else {
            return;
        };
        if active.reading > 0 {
            active.is_stale = true;
            return;
        }
        active.results.clear();
        active.next = 0;
        active.bytes = 0;
        self.read_part(key);
    }

    /// Parts whose reads found no memory try again.
    pub(crate) fn retry_starved_parts(&mut self) {
        for key in std::mem::take(&mut self.starved_parts) {
            self.reread_part(key);
        }
    }

    /// The request is answered.
    pub(crate) fn part_over(&mut self, from: ShardId, request: u64) {
        if let Some(key) = self.part_keys.get(&(from, request)).copied() {
            self.forget_part(key);
        }
    }

    fn forget_part(&mut self, key: SlabKey) {
        let Some(mut active) = self.parts.remove(key) else {
            return;
        };
        self.part_keys.remove(&(active.from, active.part.request));
        if active.is_watching {
            for item in &active.part.items {
                if let Some(watchers) = self.watchers.get_mut(&item.handle) {
                    watchers.retain(|watcher| *watcher != key);
                }
            }
        }
        active.part.items.clear();
        if self.part_pool.len() < POOL_MAX {
            self.part_pool.push(active.part);
        }
        active.results.clear();
        if active.results.capacity() > 0 && self.result_pool.len() < POOL_MAX {
            self.result_pool.push(active.results);
        }
    }

    fn report(&mut self, to: ShardId, report: PartReport) {
        if to == self.me {
            self.part_reported(self.me, report);
        } else {
            self.send(to, Mail::Fetched(Box::new(report)));
        }
    }
}
