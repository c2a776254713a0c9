//! Questions about single partitions: offsets, epochs, deleting records. The shard that was asked
//! gathers them by owner, the owners answer, and the handler writes the response from the request
//! (read again) and the answers, which are in the order of its partitions.
//!
//! Finding a timestamp reads batches until one holds it. A compressed batch is opened off the
//! shard, with a bound on what may come out.

use crate::broker::BrokerShard;
use crate::error_mapping::{control_error, read_error};
use crate::mail::Mail;
use crate::net::FrameBytes;
use crate::protocol::ErrorCode;
use crate::request::{Request, RequestHead};
use crate::slab::SlabKey;
use crate::ticket::{Waiting, ticket};
use millrace_engine::ids::{PartitionHandle, ShardId};
use millrace_engine::io::{Class, Op, Outcome, Token};
use millrace_engine::partition::{LogOffsets, ReadBatches, ReadBound, ReadError, ReadRequest};
use millrace_engine::record_batch::records::{Records, payload};
use millrace_engine::record_batch::{Compression, Header, TimestampType, compression};
use millrace_engine::shard::{Read, TimestampSearch};

/// What is asked of a partition.
#[derive(Clone, Copy, Debug)]
pub enum Question {
    /// ListOffsets.
    Offset {
        /// A time, or one of the special values.
        timestamp: i64,
        /// The leader epoch the client knows, -1 for none.
        leader_epoch: i32,
        /// Only finished transactions count.
        is_committed: bool,
    },
    /// OffsetForLeaderEpoch.
    EndOfEpoch {
        /// The leader epoch the client knows, -1 for none.
        leader_epoch: i32,
        /// The epoch asked about.
        epoch: i32,
    },
    /// DeleteRecords; -1 is the high watermark.
    Delete {
        /// First offset that stays.
        offset: i64,
    },
}

/// A question on its way to the owner.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// Its place in the request.
    pub place: u32,
    /// The partition.
    pub handle: PartitionHandle,
    /// What is asked.
    pub question: Question,
}

/// The answer; which fields mean something depends on the question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// None, or why there is none.
    pub error: ErrorCode,
    /// Timestamp of the record found, -1 for none.
    pub timestamp: i64,
    /// The offset, -1 for none.
    pub offset: i64,
    /// The leader epoch, -1 for none.
    pub leader_epoch: i32,
}

impl Answer {
    /// No answer.
    #[must_use]
    pub const fn error(error: ErrorCode) -> Self {
        Self {
            error,
            timestamp: -1,
            offset: -1,
            leader_epoch: -1,
        }
    }
}

/// Writes the response once all answers are there.
pub type FinishAnswers = fn(&mut BrokerShard, &RequestHead, &FrameBytes, &[Answer]);

/// A request that waits for answers.
#[derive(Debug)]
pub struct QuestionRequest {
    head: RequestHead,
    frame: FrameBytes,
    finish: FinishAnswers,
    shards_waiting: usize,
    answers: Vec<Answer>,
}

/// Questions of one request that this shard answers.
#[derive(Debug)]
pub struct Answering {
    from: ShardId,
    request: u64,
    waiting: usize,
    answers: Vec<(u32, Answer)>,
    asked: Vec<Asked>,
    searches: Vec<Option<Search>>,
    index_loads: usize,
}

/// A search for the first record at or after a time.
#[derive(Clone, Copy, Debug)]
struct Search {
    timestamp: i64,
    /// Records before the log start are deleted, although their batch may still be there.
    start: i64,
    end: i64,
    leader_epoch: i32,
}

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
/// Bytes of one read of a search.
const SEARCH_BYTES: usize = 256 << 10;
/// Index loads that one request may cause before it is answered with an error.
const INDEX_LOADS_MAX: usize = 1000;
/// What a compressed batch may become when it is opened.
const OPENED_BYTES_MAX: usize = 64 << 20;

impl BrokerShard {
    /// Asks the owners. `places` are the request's partitions in order: the owner and the
    /// question, or why there is none.
    pub(crate) fn ask(
        &mut self,
        request: &Request<'_>,
        places: &[Result<(ShardId, PartitionHandle, Question), ErrorCode>],
        finish: FinishAnswers,
    ) {
        let mut by_shard: Vec<Vec<Asked>> = vec![Vec::new(); self.shared.shards];
        let mut answers = vec![Answer::error(ErrorCode::None); places.len()];
        for (index, place) in places.iter().enumerate() {
            match place {
                Err(error) => answers[index] = Answer::error(*error),
                Ok((shard, handle, question)) => by_shard[shard.index()].push(Asked {
                    place: u32::try_from(index).unwrap_or(u32::MAX),
                    handle: *handle,
                    question: *question,
                }),
            }
        }
        let waiting = QuestionRequest {
            head: request.head,
            frame: request.frame.clone(),
            finish,
            shards_waiting: by_shard.iter().filter(|asked| !asked.is_empty()).count(),
            answers,
        };
        if waiting.shards_waiting == 0 {
            finish(self, &waiting.head, &waiting.frame, &waiting.answers);
            return;
        }
        let Ok(key) = self.questions.insert(waiting) else {
            self.close(request.head.connection);
            return;
        };
        for (index, asked) in by_shard.into_iter().enumerate() {
            if !asked.is_empty() {
                let to = ShardId(u16::try_from(index).unwrap_or(0));
                self.send(to, Mail::Ask(key.to_bits(), asked));
            }
        }
    }

    /// Answers of one owner.
    pub(crate) fn answered(&mut self, request: u64, answers: &[(u32, Answer)]) {
        let key = SlabKey::from_bits(request);
        let Some(waiting) = self.questions.get_mut(key) else {
            return;
        };
        for (place, answer) in answers {
            if let Some(slot) = waiting.answers.get_mut(*place as usize) {
                *slot = *answer;
            }
        }
        waiting.shards_waiting -= 1;
        if waiting.shards_waiting == 0
            && let Some(done) = self.questions.remove(key)
        {
            (done.finish)(self, &done.head, &done.frame, &done.answers);
        }
    }

    /// Questions from a shard (or this one) about partitions of this shard.
    pub(crate) fn answer(&mut self, from: ShardId, request: u64, asked: Vec<Asked>) {
        let answering = Answering {
            from,
            request,
            waiting: asked.len(),
            answers: Vec::with_capacity(asked.len()),
            searches: vec![None; asked.len()],
            index_loads: 0,
            asked: asked.clone(),
        };
        let Ok(key) = self.answering.insert(answering) else {
            let error = Answer::error(ErrorCode::KafkaStorageError);
            let answers = asked.iter().map(|asked| (asked.place, error)).collect();
            self.send(from, Mail::Answers(request, answers));
            return;
        };
        for (item, asked) in asked.iter().enumerate() {
            if let Some(answer) = self.answer_one(key, item, *asked) {
                self.question_done(key, item, answer);
            }
        }
    }

    /// `None`: the answer comes later.
    fn answer_one(&mut self, key: SlabKey, item: usize, asked: Asked) -> Option<Answer> {
        let Some(offsets) = self.engine.offsets(asked.handle) else {
            return Some(Answer::error(ErrorCode::UnknownTopicOrPartition));
        };
        match asked.question {
            Question::Offset {
                timestamp,
                leader_epoch,
                is_committed,
            } => {
                if let Err(error) = check_epoch(leader_epoch, offsets.leader_epoch) {
                    return Some(Answer::error(error));
                }
                self.find_offset(key, item, asked.handle, (timestamp, is_committed, offsets))
            }
            Question::EndOfEpoch {
                leader_epoch,
                epoch,
            } => {
                if let Err(error) = check_epoch(leader_epoch, offsets.leader_epoch) {
                    return Some(Answer::error(error));
                }
                let found = self.engine.end_of_epoch(asked.handle, epoch);
                let (leader_epoch, offset) = found.unwrap_or((-1, -1));
                Some(Answer {
                    leader_epoch,
                    offset,
                    ..Answer::error(ErrorCode::None)
                })
            }
            Question::Delete { offset } => {
                let offset = if offset == -1 {
                    offsets.high_watermark
                } else {
                    offset
                };
                let wanted = ticket(Waiting::Question, key, item);
                let result =
                    self.engine
                        .advance_log_start(&mut self.io, asked.handle, offset, wanted);
                result
                    .err()
                    .map(|error| Answer::error(control_error(error)))
            }
        }
    }

    fn find_offset(
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
        let leader_epoch = offsets.leader_epoch;
        let at = |offset| {
            Some(Answer {
                error: ErrorCode::None,
                timestamp: -1,
                offset,
                leader_epoch,
            })
        };
        let (timestamp, from) = match timestamp {
            LATEST => return at(end),
            EARLIEST => return at(offsets.log_start),
            MAX_TIMESTAMP => match self.engine.max_timestamp(handle) {
                None => return Some(Answer::error(ErrorCode::None)),
                Some((timestamp, from)) => (timestamp, from),
            },
            0.. => match self.engine.search_timestamp(handle, timestamp) {
                Some(TimestampSearch::StartAt(from)) => (timestamp, from),
                Some(TimestampSearch::NotFound) | None => {
                    return Some(Answer::error(ErrorCode::None));
                }
                Some(TimestampSearch::NotLoaded) => {
                    self.index_waits.push((handle, key, item));
                    return None;
                }
            },
            _ => return Some(Answer::error(ErrorCode::UnsupportedVersion)),
        };
        let search = Search {
            timestamp,
            start: offsets.log_start,
            end,
            leader_epoch,
        };
        self.answering.get_mut(key)?.searches[item] = Some(search);
        self.search_from(key, item, handle, from.max(offsets.log_start))
    }

    /// The index of a partition was loaded (or could not be): its searches go on.
    pub(crate) fn index_loaded(&mut self, handle: PartitionHandle) {
        let waits = std::mem::take(&mut self.index_waits);
        let (again, others) = waits
            .into_iter()
            .partition(|(waiting, ..)| *waiting == handle);
        self.index_waits = others;
        let again: Vec<(PartitionHandle, SlabKey, usize)> = again;
        for (_, key, item) in again {
            let Some(answering) = self.answering.get_mut(key) else {
                continue;
            };
            answering.index_loads += 1;
            let answer = if answering.index_loads > INDEX_LOADS_MAX {
                Some(Answer::error(ErrorCode::KafkaStorageError))
            } else {
                let asked = answering.asked[item];
                self.answer_one(key, item, asked)
            };
            if let Some(answer) = answer {
                self.question_done(key, item, answer);
            }
        }
    }

    fn search_from(
        &mut self,
        key: SlabKey,
        item: usize,
        handle: PartitionHandle,
        mut from: i64,
    ) -> Option<Answer> {
        let search = self.answering.get_mut(key)?.searches[item]?;
        loop {
            if from >= search.end {
                return Some(Answer::error(ErrorCode::None));
            }
            let request = ReadRequest {
                offset: from,
                bytes_max: SEARCH_BYTES,
                bound: ReadBound::HighWatermark,
            };
            let wanted = ticket(Waiting::Question, key, item);
            match self.engine.read(&mut self.io, handle, request, wanted) {
                Ok(Read::Pending) => return None,
                Ok(Read::Ready(batches)) => match self.search_in(key, item, search, &batches) {
                    SearchStep::Found(answer) => return Some(answer),
                    SearchStep::Opening => return None,
                    SearchStep::GoOn if batches.next_offset > from => from = batches.next_offset,
                    SearchStep::GoOn => return Some(Answer::error(ErrorCode::None)),
                },
                Err(error) => return Some(Answer::error(read_error(error))),
            }
        }
    }

    fn search_in(
        &mut self,
        key: SlabKey,
        item: usize,
        search: Search,
        batches: &ReadBatches,
    ) -> SearchStep {
        let joined;
        // Batches may lie across parts; a search is rare enough to copy them together.
        let bytes: &[u8] = match batches.parts.as_slice() {
            [] => return SearchStep::GoOn,
            [one] => one,
            parts => {
                joined = parts
                    .iter()
                    .flat_map(|part| part.iter().copied())
                    .collect::<Vec<u8>>();
                &joined
            }
        };
        let mut rest = bytes;
        while let Ok(header) = Header::parse(rest) {
            let Some((batch, behind)) = rest.split_at_checked(header.batch_bytes as usize) else {
                break;
            };
            rest = behind;
            if header.max_timestamp < search.timestamp {
                continue;
            }
            if header.timestamp_type() == TimestampType::LogAppendTime {
                let offset = header.base_offset.max(search.start);
                return SearchStep::Found(found(search, header.max_timestamp, offset));
            }
            match header.compression() {
                None => {}
                Some(Compression::None) => {
                    if let Some((time, offset)) = first_at(&header, payload(batch), search) {
                        return SearchStep::Found(found(search, time, offset));
                    }
                }
                Some(codec) => {
                    self.open_batch(key, item, (header, codec, search), batch.to_vec());
                    return SearchStep::Opening;
                }
            }
        }
        SearchStep::GoOn
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
                Ok(()) => Ok(first_at(&header, &opened, search)),
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
        let (Some(search), handle) = (answering.searches[item], answering.asked[item].handle)
        else {
            return;
        };
        let answer = match opened.found {
            Err(()) => Some(Answer::error(ErrorCode::CorruptMessage)),
            Ok(Some((time, offset))) => Some(found(search, time, offset)),
            Ok(None) => self.search_from(key, item, handle, opened.next_offset),
        };
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
        let (Some(search), handle) = (answering.searches[item], answering.asked[item].handle)
        else {
            return;
        };
        let answer = match result {
            Err(error) => Some(Answer::error(read_error(error))),
            Ok(batches) => match self.search_in(key, item, search, &batches) {
                SearchStep::Found(answer) => Some(answer),
                SearchStep::Opening => None,
                SearchStep::GoOn if batches.bytes == 0 => Some(Answer::error(ErrorCode::None)),
                SearchStep::GoOn => self.search_from(key, item, handle, batches.next_offset),
            },
        };
        if let Some(answer) = answer {
            self.question_done(key, item, answer);
        }
    }

    /// Deleted records are gone durably, or will not be.
    pub(crate) fn deletion_done(&mut self, key: SlabKey, item: usize, is_durable: bool) {
        let Some(answering) = self.answering.get_mut(key) else {
            return;
        };
        let handle = answering.asked[item].handle;
        let offset = self
            .engine
            .offsets(handle)
            .map_or(-1, |offsets| offsets.log_start);
        let answer = if is_durable {
            Answer {
                offset,
                ..Answer::error(ErrorCode::None)
            }
        } else {
            Answer::error(ErrorCode::KafkaStorageError)
        };
        self.question_done(key, item, answer);
    }

    fn question_done(&mut self, key: SlabKey, item: usize, answer: Answer) {
        let Some(answering) = self.answering.get_mut(key) else {
            return;
        };
        let place = answering.asked[item].place;
        answering.answers.push((place, answer));
        answering.waiting -= 1;
        if answering.waiting == 0
            && let Some(done) = self.answering.remove(key)
        {
            self.send(done.from, Mail::Answers(done.request, done.answers));
        }
    }
}

/// KIP-320: the client's idea of the leader epoch against ours.
///
/// # Errors
/// The client's is older or newer.
pub const fn check_epoch(known: i32, current: i32) -> Result<(), ErrorCode> {
    if known < 0 || known == current {
        Ok(())
    } else if known < current {
        Err(ErrorCode::FencedLeaderEpoch)
    } else {
        Err(ErrorCode::UnknownLeaderEpoch)
    }
}

struct Opened {
    found: Result<Option<(i64, i64)>, ()>,
    next_offset: i64,
}

enum SearchStep {
    Found(Answer),
    Opening,
    GoOn,
}

fn found(search: Search, timestamp: i64, offset: i64) -> Answer {
    if offset >= search.end {
        return Answer::error(ErrorCode::None);
    }
    Answer {
        error: ErrorCode::None,
        timestamp,
        offset,
        leader_epoch: search.leader_epoch,
    }
}

fn first_at(header: &Header, payload: &[u8], search: Search) -> Option<(i64, i64)> {
    let mut records = Records::new(header, payload).map_while(Result::ok);
    let record = records
        .find(|record| record.timestamp >= search.timestamp && record.offset >= search.start)?;
    Some((record.timestamp, record.offset))
}
