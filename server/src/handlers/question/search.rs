//! Finding a record by its timestamp: reads batches and looks at their records, from where the
//! engine's index says. A compressed batch is opened off the shard, with a bound on what may come
//! out.

use super::Answer;
use crate::broker::BrokerShard;
use crate::error_mapping::read_error;
use crate::protocol::ErrorCode;
use crate::slab::SlabKey;
use crate::ticket::{Waiting, ticket};
use millrace_engine::ids::PartitionHandle;
use millrace_engine::io::{Class, Op, Outcome, Token};
use millrace_engine::partition::{LogOffsets, ReadBatches, ReadBound, ReadError, ReadRequest};
use millrace_engine::record_batch::records::{Records, payload};
use millrace_engine::record_batch::{Compression, Header, TimestampType, compression};
use millrace_engine::shard::{IndexNotLoaded, Read, TimestampSearch};

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
/// Bytes of one read of a search.
const SEARCH_BYTES: usize = 256 << 10;
/// What a compressed batch may become when it is opened.
const OPENED_BYTES_MAX: usize = 64 << 20;

/// A record's timestamp and offset.
type Place = (i64, i64);

/// What a search looks for.
#[derive(Clone, Copy, Debug)]
enum Goal {
    /// The first record at or after this time.
    FirstAt(i64),
    /// The first record with the largest timestamp.
    Largest {
        /// Every record below this offset is looked at.
        until: i64,
        /// Of those so far.
        best: Option<Place>,
        /// Largest timestamp of what follows, and where to look for it.
        rest: Option<Place>,
    },
}

/// A search for a record of a partition.
#[derive(Clone, Copy, Debug)]
pub(super) struct Search {
    goal: Goal,
    /// Records before the log start are deleted, although their batch may still be there.
    start: i64,
    end: i64,
    leader_epoch: i32,
}

/// What a read or an opened batch brought.
enum Step {
    Done(Answer),
    Opening,
    /// Look on from this offset.
    GoOn(i64),
}

impl Search {
    /// The smallest timestamp that is of interest.
    fn wanted(&self) -> i64 {
        match self.goal {
            Goal::FirstAt(timestamp) => timestamp,
            Goal::Largest { best, .. } => {
                best.map_or(0, |(timestamp, _)| timestamp.saturating_add(1))
            }
        }
    }

    /// Notes a record of at least the wanted timestamp; returns the answer if it is one.
    fn note(&mut self, place: Place) -> Option<Answer> {
        match &mut self.goal {
            Goal::FirstAt(_) => Some(self.found(place)),
            Goal::Largest { best, until, .. } => {
                let is_larger = best.is_none_or(|best| place.0 > best.0);
                if place.1 < *until && is_larger {
                    *best = Some(place);
                }
                None
            }
        }
    }

    /// Where to look on from `from`; the answer when there is nothing to look at.
    fn go_on(&mut self, mut from: i64) -> Result<i64, Answer> {
        if let Goal::Largest { until, best, rest } = self.goal
            && from >= until.min(self.end)
        {
            match (best, rest) {
                (Some(best), rest) if rest.is_none_or(|rest| rest.0 <= best.0) => {
                    return Err(self.found(best));
                }
                (_, None) => return Err(Answer::error(ErrorCode::None)),
                (_, Some((timestamp, offset))) => {
                    self.goal = Goal::FirstAt(timestamp);
                    from = offset;
                }
            }
        }
        if from >= self.end {
            return Err(Answer::error(ErrorCode::None));
        }
        Ok(from)
    }

    fn found(&self, (timestamp, offset): Place) -> Answer {
        if offset >= self.end {
            return Answer::error(ErrorCode::None);
        }
        Answer {
            error: ErrorCode::None,
            timestamp,
            offset,
            leader_epoch: self.leader_epoch,
        }
    }

    /// The record of a batch that is looked for.
    fn look_in(&self, header: &Header, payload: &[u8]) -> Option<Place> {
        let wanted = self.wanted();
        let mut records = Records::new(header, payload)
            .map_while(Result::ok)
            .filter(|record| record.timestamp >= wanted && record.offset >= self.start)
            .map(|record| (record.timestamp, record.offset));
        match self.goal {
            Goal::FirstAt(_) => records.next(),
            Goal::Largest { until, .. } => records
                .filter(|&(_, offset)| offset < until)
                .min_by_key(|&(timestamp, offset)| (-timestamp, offset)),
        }
    }
}

/// What opening a compressed batch brought.
struct Opened {
    found: Result<Option<Place>, ()>,
    next_offset: i64,
}

impl BrokerShard {
    /// `None`: the answer comes later.
    pub(super) fn find_offset(
        &mut self,
        key: SlabKey,
        item: usize,
        handle: PartitionHandle,
        (timestamp, is_committed, offsets): (i64, bool, LogOffsets),
    ) -> Option<Answer> {
        let end = if is_committed {
            offsets.last_stable
        } else {
            offsets.high_watermark
        };
        let at = |offset| {
            Some(Answer {
                error: ErrorCode::None,
                timestamp: -1,
                offset,
                leader_epoch: offsets.leader_epoch,
            })
        };
        let start = offsets.log_start;
        let found = match timestamp {
            LATEST => return at(end),
            EARLIEST => return at(start),
            MAX_TIMESTAMP => self.engine.largest_timestamp(handle).map(|found| {
                found.map(|largest| {
                    let goal = Goal::Largest {
                        until: largest.look_until,
                        best: None,
                        rest: largest.rest,
                    };
                    Some((goal, start))
                })
            }),
            0.. => self
                .engine
                .search_timestamp(handle, timestamp)
                .map(|found| {
                    found.map(|found| match found {
                        TimestampSearch::StartAt(from) => Some((Goal::FirstAt(timestamp), from)),
                        TimestampSearch::NotFound => None,
                    })
                }),
            _ => return Some(Answer::error(ErrorCode::UnsupportedVersion)),
        };
        let (goal, from) = match found {
            Some(Ok(Some(found))) => found,
            Some(Ok(None)) | None => return Some(Answer::error(ErrorCode::None)),
            Some(Err(IndexNotLoaded)) => {
                self.index_waits.push((handle, key, item));
                return None;
            }
        };
        let search = Search {
            goal,
            start,
            end,
            leader_epoch: offsets.leader_epoch,
        };
        self.answering.get_mut(key)?.searches[item] = Some(search);
        self.search_from(key, item, handle, from.max(start))
    }

    fn search_from(
        &mut self,
        key: SlabKey,
        item: usize,
        handle: PartitionHandle,
        mut from: i64,
    ) -> Option<Answer> {
        loop {
            let search = self.answering.get_mut(key)?.searches[item].as_mut()?;
            from = match search.go_on(from) {
                Ok(from) => from,
                Err(answer) => return Some(answer),
            };
            let request = ReadRequest {
                offset: from,
                bytes_max: SEARCH_BYTES,
                bound: ReadBound::HighWatermark,
            };
            let wanted = ticket(Waiting::Question, key, item);
            match self.engine.read(&mut self.io, handle, request, wanted) {
                Ok(Read::Pending) => return None,
                Ok(Read::Ready(batches)) => match self.search_in(key, item, &batches)? {
                    Step::Done(answer) => return Some(answer),
                    Step::Opening => return None,
                    Step::GoOn(next) if next > from => from = next,
                    Step::GoOn(_) => return Some(Answer::error(ErrorCode::None)),
                },
                Err(error) => return Some(Answer::error(read_error(error))),
            }
        }
    }

    /// `None`: nobody asks any more.
    fn search_in(&mut self, key: SlabKey, item: usize, batches: &ReadBatches) -> Option<Step> {
        let joined;
        // Batches may lie across parts; a search is rare enough to copy them together.
        let bytes: &[u8] = match batches.parts.as_slice() {
            [] => return Some(Step::GoOn(batches.next_offset)),
            [one] => one,
            parts => {
                joined = parts
                    .iter()
                    .flat_map(|part| part.iter().copied())
                    .collect::<Vec<u8>>();
                &joined
            }
        };
        let search = self.answering.get_mut(key)?.searches[item].as_mut()?;
        let mut rest = bytes;
        while let Ok(header) = Header::parse(rest) {
            let Some((batch, behind)) = rest.split_at_checked(header.batch_bytes as usize) else {
                break;
            };
            rest = behind;
            if header.max_timestamp < search.wanted() {
                continue;
            }
            let place = match (header.timestamp_type(), header.compression()) {
                (TimestampType::LogAppendTime, _) => {
                    Some((header.max_timestamp, header.base_offset.max(search.start)))
                }
                (_, None) => None,
                (_, Some(Compression::None)) => search.look_in(&header, payload(batch)),
                (_, Some(codec)) => {
                    let search = *search;
                    self.open_batch(key, item, (header, codec, search), batch.to_vec());
                    return Some(Step::Opening);
                }
            };
            if let Some(answer) = place.and_then(|place| search.note(place)) {
                return Some(Step::Done(answer));
            }
        }
        Some(Step::GoOn(batches.next_offset))
    }

    /// Opens a compressed batch off the shard and looks for the record there.
    fn open_batch(
        &mut self,
        key: SlabKey,
        item: usize,
        (header, codec, search): (Header, Compression, Search),
        batch: Vec<u8>,
    ) {
        let token = Token {
            class: Class::Broker,
            key: ticket(Waiting::Question, key, item).0,
        };
        let work = move || -> Box<dyn std::any::Any + Send> {
            let mut opened = Vec::new();
            let result =
                compression::decompress(codec, payload(&batch), OPENED_BYTES_MAX, &mut opened);
            let found = match result {
                Ok(()) => Ok(search.look_in(&header, &opened)),
                Err(_) => Err(()),
            };
            let behind = header
                .base_offset
                .saturating_add(i64::from(header.last_offset_delta));
            Box::new(Opened {
                found,
                next_offset: behind.saturating_add(1),
            })
        };
        self.io.submit(token, Op::Work(Box::new(work)));
    }

    /// A batch that a search needed was opened.
    pub(crate) fn batch_opened(&mut self, key: SlabKey, item: usize, outcome: Outcome) {
        let Outcome::Work(result) = outcome else {
            return;
        };
        let Ok(opened) = result.downcast::<Opened>() else {
            return;
        };
        let Some(answering) = self.answering.get_mut(key) else {
            return;
        };
        let handle = answering.asked[item].handle;
        let Some(search) = answering.searches[item].as_mut() else {
            return;
        };
        let answer = match opened.found {
            Err(()) => Some(Answer::error(ErrorCode::CorruptMessage)),
            Ok(place) => place.and_then(|place| search.note(place)),
        };
        let answer = answer.or_else(|| self.search_from(key, item, handle, opened.next_offset));
        if let Some(answer) = answer {
            self.question_done(key, item, answer);
        }
    }

    /// A read that a search needed is done.
    pub(crate) fn search_read(
        &mut self,
        key: SlabKey,
        item: usize,
        result: Result<ReadBatches, ReadError>,
    ) {
        let Some(answering) = self.answering.get_mut(key) else {
            return;
        };
        let handle = answering.asked[item].handle;
        let answer = match result {
            Err(error) => Some(Answer::error(read_error(error))),
            Ok(batches) => match self.search_in(key, item, &batches) {
                None | Some(Step::Opening) => None,
                Some(Step::Done(answer)) => Some(answer),
                Some(Step::GoOn(_)) if batches.bytes == 0 => Some(Answer::error(ErrorCode::None)),
                Some(Step::GoOn(next)) => self.search_from(key, item, handle, next),
            },
        };
        if let Some(answer) = answer {
            self.question_done(key, item, answer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_record_with_the_largest_timestamp_that_there_can_be_is_the_answer() {
        let mut search = Search {
            goal: Goal::Largest {
                until: 10,
                best: None,
                rest: Some((i64::MAX, 20)),
            },
            start: 0,
            end: 100,
            leader_epoch: 3,
        };
        assert_eq!(search.note((i64::MAX, 4)), None);
        assert_eq!(search.wanted(), i64::MAX);
        assert_eq!(search.note((i64::MAX, 7)), None);
        assert_eq!(search.note((i64::MAX, 12)), None);
        assert_eq!(search.go_on(9), Ok(9));
        let answer = search.go_on(10).unwrap_err();
        assert_eq!((answer.timestamp, answer.offset), (i64::MAX, 4));
    }
}
