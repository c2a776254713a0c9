//! Questions about single partitions: offsets, epochs, deleting records. The shard that was asked
//! gathers them by owner, the owners answer, and the handler writes the response from the request
//! (read again) and the answers, which are in the order of its partitions.

mod search;

use self::search::Search;
use crate::broker::BrokerShard;
use crate::error_mapping::control_error;
use crate::mail::Mail;
use crate::net::FrameBytes;
use crate::protocol::ErrorCode;
use crate::request::{Request, RequestHead};
use crate::slab::SlabKey;
use crate::ticket::{Waiting, ticket};
use millrace_engine::ids::{PartitionHandle, ShardId};

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

/// Index loads that one request may cause before it is answered with an error.
const INDEX_LOADS_MAX: usize = 1000;
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
