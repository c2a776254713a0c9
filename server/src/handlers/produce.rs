//! Produce 3-11: one batch for each partition, appended by its owner, answered when it is as
//! durable as its topic says.
//!
//! acks 1 and all mean the same on one node; with acks 0 nothing is answered and an error closes
//! the connection. Version 5 adds the log start, 7 zstd, 8 error messages. Transactions are
//! refused. Nothing here allocates once a shard is warm: requests in flight are reused.

use crate::broker::BrokerShard;
use crate::config::{TimestampType, TopicSettings};
use crate::error_mapping::{append_error, batch_error, explanation};
use crate::groups::offsets_topic::is_internal;
use crate::handlers::validation::{RecordRules, Refused, Validation};
use crate::mail::{HopBytes, HopProduce, Mail, Produced};
use crate::net::{Frame, FrameBytes, Response};
use crate::protocol::produce::{
    Piece, ProduceCursor, ProduceResponseWriter, ProducedPartition, Start, Step,
};
use crate::protocol::{DecodeError, EncodeError, ErrorCode};
use crate::request::{Refusal, Request, RequestHead};
use crate::slab::SlabKey;
use crate::ticket::{Waiting, ticket};
use crate::topics::catalog::PartitionPlace;
use millrace_engine::ids::{PartitionHandle, ShardId, Ticket};
use millrace_engine::io::arena::ArenaBuf;
use millrace_engine::partition::{AppendError, Appended, BatchBytes};
use millrace_engine::record_batch::{self, Compression, Header};
use std::ops::Range;

/// A Produce request in flight.
#[derive(Debug)]
pub struct ProduceRequest {
    head: RequestHead,
    acks: i16,
    waiting: usize,
    is_complete: bool,
    names: String,
    topics: Vec<(Range<usize>, Range<usize>)>,
    partitions: Vec<PartitionResult>,
    /// What records a batch was refused for, ordered by item: a request may hold very many.
    refused_records: Vec<(usize, Vec<i32>)>,
}

#[derive(Clone, Copy, Debug)]
struct PartitionResult {
    index: i32,
    /// Whose append is waited for on this shard.
    handle: Option<PartitionHandle>,
    error: ErrorCode,
    base_offset: i64,
    log_append_time: i64,
    log_start: i64,
}

/// An append that this shard does for another.
#[derive(Debug)]
pub struct Hop {
    from: ShardId,
    ticket: Ticket,
    handle: PartitionHandle,
    produced: Produced,
}

/// What a batch's partition and request say about it.
struct BatchRules<'a> {
    settings: &'a TopicSettings,
    version: i16,
    now_ms: i64,
}

const ZSTD_VERSION_MIN: i16 = 7;
const KEYLESS: &str = "the topic is compacted and takes no records without a key";

/// Handles a request that is all in one place.
///
/// # Errors
/// Bytes that are no such request, and errors that cannot be answered.
pub fn handle(broker: &mut BrokerShard, request: &Request<'_>) -> Result<(), Refusal> {
    let frame = request.frame;
    let (start, mut cursor) = begin(frame, frame.len())?;
    check_whole(frame, cursor.clone())?;
    let key = broker.open_produce(request.head, &start)?;
    let piece = Piece {
        bytes: frame,
        position: 0,
    };
    let mut topic = "";
    loop {
        match cursor.next(piece)? {
            Step::NeedMore => return Err(Refusal::Close),
            Step::End => break,
            Step::Topic { name, .. } => {
                topic = name;
                broker.produce_topic(key, name);
            }
            Step::Partition { index, records } => {
                let records = records.map(|range| &frame[range]);
                broker.produce_partition(key, &start, (topic, index), records, frame);
            }
        }
    }
    broker.finish_produce_pass(key)
}

/// Handles a request whose only batch lies in memory of its own.
///
/// # Errors
/// Bytes that are no such request, and errors that cannot be answered.
pub fn handle_split(
    broker: &mut BrokerShard,
    head: RequestHead,
    frame: Frame,
) -> Result<(), Refusal> {
    let Frame::Split {
        prefix,
        batch,
        suffix,
    } = frame
    else {
        return Err(Refusal::Close);
    };
    let frame_bytes = prefix.len() + batch.len() + suffix.len();
    let (start, mut cursor) = begin(&prefix, frame_bytes)?;
    let piece = Piece {
        bytes: &prefix,
        position: 0,
    };
    let Step::Topic { name, .. } = cursor.next(piece)? else {
        return Err(Refusal::Close);
    };
    let Step::Partition { index, records } = cursor.next(piece)? else {
        return Err(Refusal::Close);
    };
    let behind = prefix.len() + batch.len();
    if records != Some(prefix.len()..behind) {
        return Err(Refusal::Close);
    }
    let piece = Piece {
        bytes: &suffix,
        position: behind,
    };
    if cursor.next(piece)? != Step::End {
        return Err(Refusal::Close);
    }
    let key = broker.open_produce(head, &start)?;
    broker.produce_topic(key, name);
    broker.produce_slab(key, &start, (name, index), batch);
    broker.finish_produce_pass(key)
}

fn begin(bytes: &[u8], frame_bytes: usize) -> Result<(Start<'_>, ProduceCursor), Refusal> {
    ProduceCursor::begin(bytes, frame_bytes)?.ok_or(Refusal::Close)
}

/// Walks to the end, so that a frame that is wrong somewhere appends nothing.
fn check_whole(frame: &[u8], mut cursor: ProduceCursor) -> Result<(), DecodeError> {
    let piece = Piece {
        bytes: frame,
        position: 0,
    };
    loop {
        match cursor.next(piece)? {
            Step::End | Step::NeedMore => return Ok(()),
            Step::Topic { .. } | Step::Partition { .. } => {}
        }
    }
}

impl BrokerShard {
    fn open_produce(&mut self, head: RequestHead, start: &Start<'_>) -> Result<SlabKey, Refusal> {
        let mut request = self.produce_pool.pop().unwrap_or_else(|| ProduceRequest {
            head,
            acks: 0,
            waiting: 0,
            is_complete: false,
            names: String::new(),
            topics: Vec::new(),
            partitions: Vec::new(),
            refused_records: Vec::new(),
        });
        request.head = head;
        request.acks = start.acks;
        request.waiting = 0;
        request.is_complete = false;
        request.names.clear();
        request.topics.clear();
        request.partitions.clear();
        request.refused_records.clear();
        self.produces.insert(request).map_err(|_| Refusal::Close)
    }

    fn produce_topic(&mut self, key: SlabKey, name: &str) {
        if let Some(request) = self.produces.get_mut(key) {
            let from = request.names.len();
            request.names.push_str(name);
            let partitions = request.partitions.len();
            request
                .topics
                .push((from..request.names.len(), partitions..partitions));
        }
    }

    /// Adds the partition's result and returns its item.
    fn produce_result(&mut self, key: SlabKey, index: i32) -> usize {
        let Some(request) = self.produces.get_mut(key) else {
            return 0;
        };
        request.partitions.push(PartitionResult {
            index,
            handle: None,
            error: ErrorCode::None,
            base_offset: -1,
            log_append_time: -1,
            log_start: -1,
        });
        if let Some((_, partitions)) = request.topics.last_mut() {
            partitions.end += 1;
        }
        request.partitions.len() - 1
    }

    fn produce_partition(
        &mut self,
        key: SlabKey,
        start: &Start<'_>,
        (topic, index): (&str, i32),
        records: Option<&[u8]>,
        frame: &FrameBytes,
    ) {
        let item = self.produce_result(key, index);
        let checked = self.check_batch(start, (topic, index), records.unwrap_or_default());
        let (place, rules) = match checked {
            Ok(checked) => checked,
            Err(error) => return self.produce_failed(key, item, error),
        };
        let Some(records) = records else {
            return;
        };
        match self.must_validate(place.handle, rules.as_ref(), records) {
            Err(refused) => return self.produce_refused(key, item, refused),
            Ok(true) => {
                let bytes = frame.slice_of(records);
                return self.produce_validated(key, item, start, (place, bytes), rules);
            }
            Ok(false) => {}
        }
        let wanted = ticket(Waiting::Produce, key, item);
        let own = if start.acks == 0 {
            Ticket::NONE
        } else {
            wanted
        };
        let is_direct = place.shard == self.me && self.stalled_hops.is_empty();
        if is_direct {
            let bytes = BatchBytes::Copy(records);
            match self.engine.append(&mut self.io, place.handle, bytes, own) {
                Ok(appended) => return self.produce_appended(key, item, place.handle, appended),
                Err(AppendError::NoMemory { .. }) => {}
                Err(error) => return self.produce_failed(key, item, append_error(error)),
            }
        }
        // Another shard's partition, or this shard must wait for memory, in order.
        let hop = HopProduce {
            ticket: wanted,
            handle: place.handle,
            bytes: HopBytes::Shared(frame.slice_of(records)),
            is_acked: start.acks != 0,
        };
        if let Some(request) = self.produces.get_mut(key) {
            request.waiting += 1;
        }
        if place.shard == self.me {
            self.stalled_hops.push_back((self.me, hop));
        } else {
            self.send(place.shard, Mail::Produce(hop));
        }
    }

    fn produce_slab(
        &mut self,
        key: SlabKey,
        start: &Start<'_>,
        (topic, index): (&str, i32),
        batch: ArenaBuf,
    ) {
        let item = self.produce_result(key, index);
        let (place, rules) = match self.check_batch(start, (topic, index), &batch) {
            Ok(checked) => checked,
            Err(error) => return self.produce_failed(key, item, error),
        };
        match self.must_validate(place.handle, rules.as_ref(), &batch) {
            Err(refused) => return self.produce_refused(key, item, refused),
            Ok(true) => {
                let bytes = FrameBytes::Arena(batch.freeze());
                return self.produce_validated(key, item, start, (place, bytes), rules);
            }
            Ok(false) => {}
        }
        let wanted = ticket(Waiting::Produce, key, item);
        let is_own = place.shard == self.me;
        let mut slab = Some(batch);
        if is_own && self.stalled_hops.is_empty() {
            let bytes = BatchBytes::Slab(&mut slab);
            let own = if start.acks == 0 {
                Ticket::NONE
            } else {
                wanted
            };
            match self.engine.append(&mut self.io, place.handle, bytes, own) {
                Ok(appended) => return self.produce_appended(key, item, place.handle, appended),
                Err(AppendError::NoMemory { .. }) => {}
                Err(error) => return self.produce_failed(key, item, append_error(error)),
            }
        }
        let bytes = match slab {
            Some(batch) if !is_own => HopBytes::Shared(FrameBytes::Arena(batch.freeze())),
            slab => HopBytes::Slab(slab),
        };
        let hop = HopProduce {
            ticket: wanted,
            handle: place.handle,
            bytes,
            is_acked: start.acks != 0,
        };
        if let Some(request) = self.produces.get_mut(key) {
            request.waiting += 1;
        }
        if place.shard == self.me {
            self.stalled_hops.push_back((self.me, hop));
        } else {
            self.send(place.shard, Mail::Produce(hop));
        }
    }

    /// The batch waits until its records were looked at, or for one of its partition before it.
    fn produce_validated(
        &mut self,
        key: SlabKey,
        item: usize,
        start: &Start<'_>,
        (place, bytes): (PartitionPlace, FrameBytes),
        rules: Option<RecordRules>,
    ) {
        if let Some(request) = self.produces.get_mut(key) {
            request.waiting += 1;
        }
        let validation = Validation {
            key,
            item,
            place,
            bytes,
            is_acked: start.acks != 0,
            result: None,
        };
        self.validate(validation, rules);
    }

    /// Where a batch goes and what its records must be, or why it is refused.
    fn check_batch(
        &self,
        start: &Start<'_>,
        (topic, index): (&str, i32),
        batch: &[u8],
    ) -> Result<(PartitionPlace, Option<RecordRules>), ErrorCode> {
        if !matches!(start.acks, -1..=1) {
            return Err(ErrorCode::InvalidRequiredAcks);
        }
        if start.transactional_id.is_some() {
            return Err(ErrorCode::InvalidTxnState);
        }
        let (place, topic) = self.find(topic, index)?;
        // KAFKA: the topics that the broker keeps its own state in are not for clients.
        if is_internal(&topic.name) {
            return Err(ErrorCode::InvalidTopicException);
        }
        let rules = BatchRules {
            settings: &topic.settings,
            version: start.header.api_version,
            now_ms: self.io.wall_ms(),
        };
        let header = check_rules(&rules, batch)?;
        let rules = RecordRules::of(&topic.settings, &header, rules.now_ms);
        Ok((place, rules))
    }

    fn produce_failed(&mut self, key: SlabKey, item: usize, error: ErrorCode) {
        if let Some(request) = self.produces.get_mut(key) {
            request.partitions[item].error = error;
        }
    }

    pub(crate) fn produce_refused(&mut self, key: SlabKey, item: usize, refused: Refused) {
        self.produce_failed(key, item, refused.error);
        if let Some(request) = self.produces.get_mut(key)
            && !refused.records.is_empty()
        {
            let all = &mut request.refused_records;
            let place = all.partition_point(|(of, _)| *of < item);
            all.insert(place, (item, refused.records));
        }
    }

    fn produce_appended(
        &mut self,
        key: SlabKey,
        item: usize,
        handle: PartitionHandle,
        appended: Appended,
    ) {
        let log_start = self
            .engine
            .offsets(handle)
            .map_or(-1, |offsets| offsets.log_start);
        if let Some(request) = self.produces.get_mut(key) {
            let result = &mut request.partitions[item];
            result.base_offset = appended.base_offset;
            result.log_start = log_start;
            result.log_append_time = appended.append_time_ms.unwrap_or(-1);
            if !appended.is_acked && request.acks != 0 {
                request.waiting += 1;
                result.handle = Some(handle);
            }
        }
    }

    /// All partitions have been looked at; answers if none is waited for.
    fn finish_produce_pass(&mut self, key: SlabKey) -> Result<(), Refusal> {
        let Some(request) = self.produces.get_mut(key) else {
            return Ok(());
        };
        request.is_complete = true;
        if request.waiting > 0 {
            return Ok(());
        }
        self.respond_produce(key);
        Ok(())
    }

    /// An append of this shard is acknowledged, or will never be.
    pub(crate) fn produce_resolved(&mut self, key: SlabKey, item: usize, is_acked: bool) {
        let result = if is_acked {
            None
        } else {
            let request = self.produces.get_mut(key);
            let handle = request.and_then(|request| request.partitions[item].handle);
            Some(Err(self.failed_append(handle)))
        };
        self.produce_result_arrived(key, item, result);
    }

    /// Why an append that was accepted is never acknowledged: its partition was deleted meanwhile,
    /// or its shard has failed.
    fn failed_append(&self, handle: Option<PartitionHandle>) -> ErrorCode {
        match handle {
            Some(handle) if self.engine.offsets(handle).is_none() => {
                ErrorCode::UnknownTopicOrPartition
            }
            _ => ErrorCode::KafkaStorageError,
        }
    }

    /// `None`: the result that is there stands.
    pub(crate) fn produce_result_arrived(
        &mut self,
        key: SlabKey,
        item: usize,
        result: Option<Result<Produced, ErrorCode>>,
    ) {
        let Some(request) = self.produces.get_mut(key) else {
            return;
        };
        if request.waiting == 0 {
            return;
        }
        match result {
            None => {}
            Some(Ok(produced)) => {
                request.partitions[item].base_offset = produced.base_offset;
                request.partitions[item].log_start = produced.log_start;
                request.partitions[item].log_append_time = produced.log_append_time;
            }
            Some(Err(error)) => request.partitions[item].error = error,
        }
        request.waiting -= 1;
        if request.waiting == 0 && request.is_complete {
            self.respond_produce(key);
        }
    }

    fn respond_produce(&mut self, key: SlabKey) {
        let Some(request) = self.produces.remove(key) else {
            return;
        };
        let head = request.head;
        if request.acks == 0 {
            if request
                .partitions
                .iter()
                .all(|result| result.error.is_none())
            {
                self.net
                    .respond(head.connection, head.slot, Response::Nothing);
            } else {
                self.close(head.connection);
            }
        } else {
            let mut scratch = std::mem::take(&mut self.scratch);
            scratch.clear();
            let written = write_response(&mut scratch, &request);
            self.respond_bytes(&head, written, &scratch);
            self.scratch = scratch;
        }
        self.produce_pool.push(request);
    }

    /// An append for another shard (or for this one, that waited for memory).
    pub(crate) fn hop_arrived(&mut self, from: ShardId, hop: HopProduce) {
        if self.stalled_hops.is_empty() {
            if let Some(stalled) = self.append_hop(from, hop) {
                self.stalled_hops.push_back((from, stalled));
            }
        } else {
            self.stalled_hops.push_back((from, hop));
        }
    }

    /// Appends that wait for memory, oldest first.
    pub(crate) fn retry_stalled_hops(&mut self) {
        while let Some((from, hop)) = self.stalled_hops.pop_front() {
            if let Some(stalled) = self.append_hop(from, hop) {
                self.stalled_hops.push_front((from, stalled));
                return;
            }
        }
    }

    /// Gives the hop back when there is no memory for it.
    fn append_hop(&mut self, from: ShardId, mut hop: HopProduce) -> Option<HopProduce> {
        let waiting = Hop {
            from,
            ticket: hop.ticket,
            handle: hop.handle,
            produced: Produced {
                base_offset: -1,
                log_start: -1,
                log_append_time: -1,
            },
        };
        let Ok(key) = self.hops.insert(waiting) else {
            return Some(hop);
        };
        let wanted = ticket(Waiting::Hop, key, 0);
        let bytes = match &mut hop.bytes {
            HopBytes::Shared(bytes) => BatchBytes::Copy(bytes),
            HopBytes::Slab(slab) => BatchBytes::Slab(slab),
        };
        let appended = match self.engine.append(&mut self.io, hop.handle, bytes, wanted) {
            Ok(appended) => appended,
            Err(AppendError::NoMemory { .. }) => {
                self.hops.remove(key);
                return Some(hop);
            }
            Err(error) => {
                self.hops.remove(key);
                self.hop_answer(from, hop.ticket, Err(append_error(error)));
                return None;
            }
        };
        let offsets = self.engine.offsets(hop.handle);
        let produced = Produced {
            base_offset: appended.base_offset,
            log_start: offsets.map_or(-1, |offsets| offsets.log_start),
            log_append_time: appended.append_time_ms.unwrap_or(-1),
        };
        if appended.is_acked || !hop.is_acked {
            self.hops.remove(key);
            self.hop_answer(from, hop.ticket, Ok(produced));
        } else if let Some(waiting) = self.hops.get_mut(key) {
            waiting.produced = produced;
        }
        None
    }

    /// An append for another shard is acknowledged, or will never be.
    pub(crate) fn hop_resolved(&mut self, key: SlabKey, is_acked: bool) {
        if let Some(hop) = self.hops.remove(key) {
            let result = if is_acked {
                Ok(hop.produced)
            } else {
                Err(self.failed_append(Some(hop.handle)))
            };
            self.hop_answer(hop.from, hop.ticket, result);
        }
    }

    fn hop_answer(&mut self, to: ShardId, ticket: Ticket, result: Result<Produced, ErrorCode>) {
        if to == self.me {
            self.hop_answered(ticket, result);
        } else {
            self.send(to, Mail::Produced(ticket, result));
        }
    }

    /// The owner's answer to an append of this shard's request.
    pub(crate) fn hop_answered(&mut self, ticket: Ticket, result: Result<Produced, ErrorCode>) {
        if let Some((Waiting::Produce, key, item)) = crate::ticket::read_ticket(ticket) {
            self.produce_result_arrived(key, item, Some(result));
        }
    }
}

fn check_rules(rules: &BatchRules<'_>, batch: &[u8]) -> Result<Header, ErrorCode> {
    let settings = rules.settings;
    if batch.len() > settings.batch_bytes_max as usize {
        return Err(ErrorCode::MessageTooLarge);
    }
    let header = record_batch::check(batch).map_err(batch_error)?;
    if header.is_transactional() {
        return Err(ErrorCode::InvalidTxnState);
    }
    if header.compression() == Some(Compression::Zstd) && rules.version < ZSTD_VERSION_MIN {
        return Err(ErrorCode::UnsupportedCompressionType);
    }
    if settings.timestamp_type == TimestampType::Create {
        let oldest = rules
            .now_ms
            .saturating_sub(settings.timestamp_before_ms_max);
        let newest = rules.now_ms.saturating_add(settings.timestamp_after_ms_max);
        // -1 says that the records carry no time.
        let is_in_bounds = |time: i64| time < 0 || (time >= oldest && time <= newest);
        if !is_in_bounds(header.max_timestamp) || !is_in_bounds(header.base_timestamp) {
            return Err(ErrorCode::InvalidTimestamp);
        }
    }
    Ok(header)
}

fn write_response(scratch: &mut Vec<u8>, request: &ProduceRequest) -> Result<(), EncodeError> {
    let head = &request.head;
    let topics = request.topics.len();
    let mut writer =
        ProduceResponseWriter::begin(scratch, head.version, head.correlation_id, topics)?;
    for (name, partitions) in &request.topics {
        writer.topic(&request.names[name.clone()], partitions.len())?;
        for item in partitions.clone() {
            let result = &request.partitions[item];
            let all = &request.refused_records;
            let found = all.binary_search_by_key(&item, |(of, _)| *of);
            let refused = found.ok().map(|place| &all[place]);
            let is_good = result.error.is_none();
            writer.partition(&ProducedPartition {
                index: result.index,
                error_code: result.error.code(),
                base_offset: if is_good { result.base_offset } else { -1 },
                log_append_time_ms: if is_good { result.log_append_time } else { -1 },
                log_start_offset: if is_good { result.log_start } else { -1 },
                refused_records: refused.map_or(&[], |(_, records)| records.as_slice()),
                error_message: match refused {
                    Some(_) if result.error == ErrorCode::InvalidRecord => Some(KEYLESS),
                    _ => explanation(result.error),
                },
            })?;
        }
    }
    writer.finish(0)
}
