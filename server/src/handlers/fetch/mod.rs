//! Fetch 4-12: whole batches from the wanted offsets on, waiting until there are enough of them.
//!
//! The shard that was asked splits the request by owner into parts (see [`part`]), answers when
//! the parts offer `min_bytes`, when one has an error, or at the deadline, and sends batches by
//! reference. Version 7 adds incremental sessions ([`sessions`]), 9 the leader epoch, 11 racks
//! (there is one replica). There are no transactions, so no aborted ones.

pub mod part;
pub mod sessions;

use crate::broker::{BrokerShard, Timer};
use crate::mail::Mail;
use crate::net::Response;
use crate::protocol::fetch::{FetchResponseWriter, FetchStart, FetchedPartition};
use crate::protocol::messages::FetchRequest as Asked;
use crate::protocol::{EncodeError, ErrorCode};
use crate::request::{Refusal, Request, RequestHead};
use crate::slab::SlabKey;
use millrace_engine::ids::{PartitionHandle, ShardId};
use millrace_engine::partition::{LogOffsets, ReadBatches, ReadBound};
use part::{POOL_MAX, PartItem, PartReport};
use sessions::SessionUse;
use std::ops::Range;

const READ_COMMITTED: i8 = 1;
/// Longest wait of a fetch.
const WAIT_MS_MAX: i32 = 300_000;

/// A fetch in flight.
#[derive(Debug)]
pub struct FetchRequest {
    head: RequestHead,
    session: SessionUse,
    names: String,
    topics: Vec<(Range<usize>, Range<usize>)>,
    places: Vec<Place>,
    bytes_min: usize,
    bytes_max: usize,
    bytes: usize,
    has_error: bool,
    is_due: bool,
    parts_waiting: usize,
    watching: Vec<ShardId>,
}

/// A partition of a fetch.
#[derive(Debug)]
struct Place {
    wanted: Wanted,
    error: ErrorCode,
    offsets: LogOffsets,
    batches: ReadBatches,
}

impl Place {
    fn told(&self) -> Told {
        Told {
            high_watermark: self.offsets.high_watermark,
            log_start: self.offsets.log_start,
        }
    }

    /// Whether the answer mentions the partition.
    fn is_shown(&self, session: SessionUse) -> bool {
        !matches!(session, SessionUse::Incremental(_))
            || !self.error.is_none()
            || self.batches.bytes > 0
            || self.wanted.told != Some(self.told())
    }
}

/// What is wanted of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Its index.
    pub index: i32,
    /// First offset.
    pub offset: i64,
    /// Bytes at most.
    pub bytes_max: i32,
    /// The leader epoch the client knows.
    pub leader_epoch: i32,
    /// What the client was last told, in an incremental session.
    pub told: Option<Told>,
}

/// What a client was told of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// High watermark.
    pub high_watermark: i64,
    /// Log start.
    pub log_start: i64,
}

/// Handles the request.
///
/// # Errors
/// Bytes that are no such request.
pub fn handle(broker: &mut BrokerShard, request: &Request<'_>) -> Result<(), Refusal> {
    let asked: Asked<'_> = request.decode()?;
    let mut fetch = broker
        .fetch_pool
        .pop()
        .unwrap_or_else(|| FetchRequest::new(request.head));
    fetch.reset(request.head);
    match broker.open_session(&asked, &mut fetch) {
        Ok(session) => fetch.session = session,
        Err(error) => {
            broker.refuse_fetch(&request.head, error);
            broker.fetch_pool.push(fetch);
            return Ok(());
        }
    }
    fetch.bytes_min = usize::try_from(asked.min_bytes).unwrap_or(0);
    fetch.bytes_max = usize::try_from(asked.max_bytes)
        .unwrap_or(0)
        .min(broker.shared.settings.fetch_bytes_max);
    let wait_ms = asked.max_wait_ms.clamp(0, WAIT_MS_MAX);
    let bound = if asked.isolation_level == READ_COMMITTED {
        ReadBound::LastStable
    } else {
        ReadBound::HighWatermark
    };
    broker.start_fetch(fetch, bound, wait_ms);
    Ok(())
}

impl FetchRequest {
    const fn new(head: RequestHead) -> Self {
        Self {
            head,
            session: SessionUse::None,
            names: String::new(),
            topics: Vec::new(),
            places: Vec::new(),
            bytes_min: 0,
            bytes_max: 0,
            bytes: 0,
            has_error: false,
            is_due: false,
            parts_waiting: 0,
            watching: Vec::new(),
        }
    }

    fn reset(&mut self, head: RequestHead) {
        self.head = head;
        self.session = SessionUse::None;
        self.names.clear();
        self.topics.clear();
        self.places.clear();
        self.bytes = 0;
        self.has_error = false;
        self.is_due = false;
        self.parts_waiting = 0;
        self.watching.clear();
    }

    /// Adds a topic; its partitions follow.
    fn topic(&mut self, name: &str) {
        let from = self.names.len();
        self.names.push_str(name);
        let places = self.places.len();
        self.topics.push((from..self.names.len(), places..places));
    }

    /// Adds a partition of the last topic.
    fn partition(&mut self, wanted: Wanted) {
        self.places.push(Place {
            wanted,
            error: ErrorCode::None,
            offsets: LogOffsets {
                log_start: -1,
                last_stable: -1,
                high_watermark: -1,
                ..LogOffsets::default()
            },
            batches: ReadBatches::default(),
        });
        if let Some((_, places)) = self.topics.last_mut() {
            places.end += 1;
        }
    }

    /// Name of a topic and its places.
    fn topics(&self) -> impl Iterator<Item = (&str, Range<usize>)> {
        self.topics
            .iter()
            .map(|(name, places)| (&self.names[name.clone()], places.clone()))
    }
}

impl BrokerShard {
    fn refuse_fetch(&mut self, head: &RequestHead, error: ErrorCode) {
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        let start = FetchStart {
            error_code: error.code(),
            ..FetchStart::default()
        };
        let written =
            FetchResponseWriter::begin(&mut scratch, head.version, head.correlation_id, &start)
                .and_then(FetchResponseWriter::finish);
        self.respond_bytes(head, written, &scratch);
        self.scratch = scratch;
    }

    fn start_fetch(&mut self, mut fetch: FetchRequest, bound: ReadBound, wait_ms: i32) {
        let waits_below = (wait_ms > 0).then_some(fetch.bytes_min);
        let mut parts: Vec<Vec<PartItem>> = std::mem::take(&mut self.part_items);
        parts.resize_with(self.shared.shards, Vec::new);
        for (topic, range) in &fetch.topics {
            let name = &fetch.names[topic.clone()];
            for (index, place) in fetch.places[range.clone()].iter_mut().enumerate() {
                match self.find(name, place.wanted.index) {
                    Err(error) => {
                        place.error = error;
                        fetch.has_error = true;
                    }
                    Ok((found, _)) => parts[found.shard.index()].push(PartItem {
                        place: u32::try_from(range.start + index).unwrap_or(u32::MAX),
                        handle: found.handle,
                        offset: place.wanted.offset,
                        bytes_max: usize::try_from(place.wanted.bytes_max).unwrap_or(0),
                        leader_epoch: place.wanted.leader_epoch,
                    }),
                }
            }
        }
        fetch.is_due = wait_ms == 0 || fetch.bytes_min == 0;
        fetch.parts_waiting = parts.iter().filter(|items| !items.is_empty()).count();
        let (has_error, bytes_max) = (fetch.has_error, fetch.bytes_max);
        let is_empty = fetch.parts_waiting == 0;
        let connection = fetch.head.connection;
        let Ok(key) = self.fetches.insert(fetch) else {
            self.close(connection);
            return;
        };
        for (index, items) in parts.iter_mut().enumerate() {
            if items.is_empty() {
                continue;
            }
            let mut part = self.part_pool.pop().unwrap_or_default();
            part.request = key.to_bits();
            part.items.append(items);
            part.bytes_max = bytes_max;
            part.bound = bound;
            part.waits_below = waits_below.filter(|_| !has_error);
            let to = ShardId(u16::try_from(index).unwrap_or(0));
            if to == self.me {
                self.part_arrived(to, part);
            } else {
                self.send(to, Mail::Fetch(part));
            }
        }
        self.part_items = parts;
        if wait_ms > 0 && self.fetches.get_mut(key).is_some() {
            let deadline_ns = self
                .io
                .now_ns()
                .saturating_add(wait_ms.cast_unsigned() as u64 * 1_000_000);
            self.timers.push(deadline_ns, Timer::Fetch(key));
        }
        if is_empty {
            self.look_at_fetch(key);
        }
    }

    /// A part of a fetch of this shard reports.
    pub(crate) fn part_reported(&mut self, from: ShardId, mut report: PartReport) {
        let key = SlabKey::from_bits(report.request);
        let Some(fetch) = self.fetches.get_mut(key) else {
            return;
        };
        let was_watching = fetch.watching.contains(&from);
        if !was_watching {
            fetch.parts_waiting = fetch.parts_waiting.saturating_sub(1);
        }
        if report.is_watching && !was_watching {
            fetch.watching.push(from);
        } else if !report.is_watching {
            fetch.watching.retain(|shard| *shard != from);
        }
        for result in report.results.drain(..) {
            let Some(place) = fetch.places.get_mut(result.place as usize) else {
                continue;
            };
            fetch.bytes = fetch.bytes.saturating_sub(place.batches.bytes) + result.batches.bytes;
            fetch.has_error |= !result.error.is_none();
            place.error = result.error;
            place.offsets = result.offsets;
            place.batches = result.batches;
            if !result.error.is_none() {
                // KAFKA: nothing is said of a log that could not be read.
                place.offsets.log_start = if result.error == ErrorCode::OffsetOutOfRange {
                    result.offsets.log_start
                } else {
                    -1
                };
            }
        }
        if self.result_pool.len() < POOL_MAX {
            self.result_pool.push(report.results);
        }
        self.look_at_fetch(key);
    }

    /// The deadline of a fetch has come.
    pub(crate) fn fetch_is_due(&mut self, key: SlabKey) {
        if let Some(fetch) = self.fetches.get_mut(key) {
            fetch.is_due = true;
            self.look_at_fetch(key);
        }
    }

    fn look_at_fetch(&mut self, key: SlabKey) {
        let Some(fetch) = self.fetches.get_mut(key) else {
            return;
        };
        let is_enough = fetch.is_due || fetch.has_error || fetch.bytes >= fetch.bytes_min;
        if fetch.parts_waiting > 0 || !is_enough {
            return;
        }
        let Some(mut fetch) = self.fetches.remove(key) else {
            return;
        };
        for shard in fetch.watching.drain(..) {
            if shard == self.me {
                self.part_over(self.me, key.to_bits());
            } else {
                self.send(shard, Mail::FetchOver(key.to_bits()));
            }
        }
        self.respond_fetch(&mut fetch);
        fetch.places.clear();
        self.fetch_pool.push(fetch);
    }

    fn respond_fetch(&mut self, fetch: &mut FetchRequest) {
        trim(&mut fetch.places, fetch.bytes_max);
        let session_id = self.session_answers(fetch);
        let mut scratch = std::mem::take(&mut self.scratch);
        let mut cuts = std::mem::take(&mut self.cuts);
        scratch.clear();
        cuts.clear();
        let head = fetch.head;
        match write_response(&mut scratch, &mut cuts, fetch, session_id) {
            Ok(()) => {
                let response = self.fetch_response(&scratch, &cuts, &mut fetch.places);
                self.net.respond(head.connection, head.slot, response);
            }
            Err(error) => self.respond_bytes(&head, Err(error), &[]),
        }
        self.scratch = scratch;
        self.cuts = cuts;
    }

    /// Puts the batches between the pieces of the head.
    fn fetch_response(
        &mut self,
        written: &[u8],
        cuts: &[(usize, usize)],
        places: &mut [Place],
    ) -> Response {
        let Some(head) = self.net.to_slice(&mut self.io, written) else {
            let mut whole = Vec::with_capacity(written.len());
            let mut from = 0;
            for (position, place) in cuts {
                whole.extend_from_slice(&written[from..*position]);
                for part in &places[*place].batches.parts {
                    self.net.note_copied_out(part.len());
                    whole.extend_from_slice(part);
                }
                from = *position;
            }
            whole.extend_from_slice(&written[from..]);
            return Response::Heap(whole);
        };
        if cuts.is_empty() {
            return Response::One(head);
        }
        let mut parts = self.net.vector();
        let mut from = 0;
        for (position, place) in cuts {
            parts.push(head.slice(from..*position));
            let mut batches = std::mem::take(&mut places[*place].batches.parts);
            parts.append(&mut batches);
            self.engine.give_vector(batches);
            from = *position;
        }
        if from < head.len() {
            let end = head.len();
            parts.push(head.into_part(from..end));
        }
        Response::Parts(parts)
    }
}

/// Keeps batches in the order of the request until `bytes_max`; the first ones stay in any case.
fn trim(places: &mut [Place], bytes_max: usize) {
    let mut bytes = 0;
    for place in places {
        if bytes > 0 && bytes + place.batches.bytes > bytes_max {
            place.batches = ReadBatches::default();
        }
        bytes += place.batches.bytes;
    }
}

fn write_response(
    scratch: &mut Vec<u8>,
    cuts: &mut Vec<(usize, usize)>,
    fetch: &FetchRequest,
    session_id: i32,
) -> Result<(), EncodeError> {
    let is_shown = |place: &Place| place.is_shown(fetch.session);
    let counts = |range: &Range<usize>| {
        fetch.places[range.clone()]
            .iter()
            .filter(|place| is_shown(place))
            .count()
    };
    let topic_count = fetch
        .topics()
        .filter(|(_, range)| counts(range) > 0)
        .count();
    let start = FetchStart {
        session_id,
        topic_count,
        ..FetchStart::default()
    };
    let head = &fetch.head;
    let mut writer =
        FetchResponseWriter::begin(scratch, head.version, head.correlation_id, &start)?;
    for (name, range) in fetch.topics() {
        let count = counts(&range);
        if count == 0 {
            continue;
        }
        writer.topic(name, count)?;
        for index in range {
            let place = &fetch.places[index];
            if !is_shown(place) {
                continue;
            }
            let partition = FetchedPartition {
                index: place.wanted.index,
                error_code: place.error.code(),
                high_watermark: place.offsets.high_watermark,
                last_stable_offset: place.offsets.last_stable,
                log_start_offset: place.offsets.log_start,
            };
            let position = writer.partition(&partition, place.batches.bytes)?;
            if place.batches.bytes > 0 {
                cuts.push((position, index));
            }
        }
    }
    writer.finish()
}

/// A partition's watchers.
pub type Watchers = rustc_hash::FxHashMap<PartitionHandle, Vec<SlabKey>>;
