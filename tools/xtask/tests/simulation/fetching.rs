//! One fetch of one partition: asking, and what an answer means, noted in the history.

use super::link::Link;
use super::payload;
use super::scene::{Partition, Scene};
use millrace_server::protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use millrace_server::protocol::messages::fetch_response::PartitionData;
use millrace_server::protocol::messages::{FetchRequest, FetchResponse};
use millrace_server::protocol::{ErrorCode, decode_response};
use xtask::history::{Poll, What};

pub(crate) const VERSION: i16 = 12;

/// Where a client reads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// The offset asked for.
    pub(crate) position: i64,
    /// When it was asked for.
    pub(crate) began_ns: u64,
    /// Other records came before: there may be none that is whole.
    pub(crate) may_be_cut: bool,
}

/// What an answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// It goes on here, and whether that is the end of the log.
    Next(i64, bool),
    /// What was asked for is deleted; begin here.
    Deleted(i64),
    /// It is damaged.
    Damaged,
    /// Ask again later.
    Later,
}

/// Asks for records.
pub(crate) fn ask(link: &mut Link, partition: &Partition, position: i64, limits: (i32, i32)) {
    let (partition_max_bytes, max_wait_ms) = limits;
    let request = FetchRequest {
        max_wait_ms,
        min_bytes: 1,
        max_bytes: 4 << 20,
        session_epoch: -1,
        replica_id: -1,
        topics: [FetchTopic {
            topic: &partition.topic,
            partitions: [FetchPartition {
                partition: partition.index,
                current_leader_epoch: -1,
                fetch_offset: position,
                last_fetched_epoch: -1,
                partition_max_bytes,
                ..FetchPartition::default()
            }]
            .into(),
        }]
        .into(),
        ..FetchRequest::default()
    };
    link.send(VERSION, &request);
}

/// Reads an answer for client `id`.
pub(crate) fn take(
    scene: &mut Scene,
    id: u32,
    partition: &Partition,
    place: Place,
    frame: &[u8],
) -> Read {
    let decoded = decode_response::<FetchResponse<'_>>(frame, VERSION);
    let Ok((_, answer)) = decoded else {
        scene.problem(id, "an answer to Fetch that is none");
        return Read::Later;
    };
    let topic = answer.responses.first();
    let Some(part) = topic.and_then(|topic| topic.partitions.first()) else {
        scene.problem(id, format!("Fetch: error {}", answer.error_code));
        return Read::Later;
    };
    take_part(scene, id, partition, place, &part)
}

/// Reads what an answer says of one partition.
pub(crate) fn take_part(
    scene: &mut Scene,
    id: u32,
    partition: &Partition,
    place: Place,
    part: &PartitionData<'_>,
) -> Read {
    let trimmed = scene.trimmed(partition.log);
    match ErrorCode::from_code(part.error_code) {
        Some(ErrorCode::None) => return take_records(scene, id, partition, place, part),
        Some(ErrorCode::OffsetOutOfRange) if place.position < trimmed => {
            return Read::Deleted(trimmed);
        }
        Some(ErrorCode::CorruptMessage) if scene.is_rotten => {
            scene.damage_told += 1;
            return Read::Damaged;
        }
        Some(ErrorCode::UnknownTopicOrPartition) if scene.knows_topics(place.began_ns) => {
            scene.problem(id, "Fetch: a topic that was acknowledged is unknown");
        }
        Some(code) if scene.may_answer(code) => {}
        code => scene.problem(id, format!("Fetch: {code:?} at {}", place.position)),
    }
    Read::Later
}

fn take_records(
    scene: &mut Scene,
    id: u32,
    partition: &Partition,
    place: Place,
    part: &PartitionData<'_>,
) -> Read {
    let Place {
        position, began_ns, ..
    } = place;
    let bytes = part.records.unwrap_or_default();
    let fetched = match payload::read(bytes, position, partition.is_keyed) {
        Ok(fetched) => fetched,
        Err(problem) => {
            scene.problem(id, format!("Fetch at {position}: {problem}"));
            return Read::Later;
        }
    };
    let next = fetched.end.unwrap_or(position);
    let end = part.high_watermark;
    if next > end {
        scene.problem(id, format!("Fetch: reads up to {next}, the end is {end}"));
    }
    if next == position && end > next && !bytes.is_empty() && !place.may_be_cut {
        scene.problem(id, format!("Fetch: no whole batch at {next}"));
    }
    let counts = fetched.records.iter().map(|run| u64::from(run.count));
    let count = counts.sum::<u64>();
    scene.polled_records += count;
    if partition.is_keyed {
        let offsets = next - position.max(part.log_start_offset).min(next);
        scene.compacted_away += (offsets as u64).saturating_sub(count);
    }
    scene.saw_end(partition.log, end);
    let poll = Poll {
        log: partition.log,
        began_ns,
        position,
        next,
        log_start: part.log_start_offset,
        end,
        records: fetched.records,
    };
    scene.note(id, What::Poll(poll));
    let is_in_gap = bytes.is_empty() && scene.may_be_gap(partition, next);
    Read::Next(next, next >= end || is_in_gap)
}
