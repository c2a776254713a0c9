//! Requests about several groups, each answered by its own coordinator: the shard that was asked
//! gathers the answers, and the handler writes the response from them and the request.

use super::group_requests::GroupWait;
use super::{delete_groups, describe_groups, list_groups, offset_fetch};
use crate::broker::BrokerShard;
use crate::groups::committed_offsets::CommittedOffset;
use crate::groups::describing::{DescribedGroup, ListedGroup};
use crate::mail::{GroupRequest, Mail};
use crate::net::FrameBytes;
use crate::protocol::{ApiKey, ErrorCode};
use crate::request::{Refusal, Request, RequestHead};
use crate::slab::SlabKey;
use millrace_engine::ids::ShardId;
use std::sync::Arc;

/// What a coordinator says about one group (or, for a list, about all of its own).
#[derive(Debug)]
pub enum GroupAnswer {
    /// Nothing but this.
    Error(ErrorCode),
    /// Committed offsets of the partitions asked for, in their order; `None`: none committed.
    Offsets(Vec<Option<CommittedOffset>>),
    /// All committed offsets, by topic and partition.
    AllOffsets(Vec<(Arc<str>, i32, CommittedOffset)>),
    /// The group; `None`: it is not there.
    Described(Option<DescribedGroup>),
    /// The shard's groups.
    Listed(Vec<ListedGroup>),
}

/// Answers, each with its place in the request.
pub type PlacedAnswers = Vec<(u32, GroupAnswer)>;

/// Writes the response once all answers are there.
pub type FinishGroups = fn(&mut BrokerShard, &RequestHead, &FrameBytes, &[GroupAnswer]);

/// A request that waits for coordinators.
#[derive(Debug)]
pub struct GroupQuestion {
    head: RequestHead,
    frame: FrameBytes,
    finish: FinishGroups,
    waiting: usize,
    answers: Vec<GroupAnswer>,
}

impl BrokerShard {
    /// Asks the coordinator of each group, in the order of the request.
    ///
    /// # Errors
    /// When more requests wait than can be named.
    pub(super) fn ask_coordinators<'g>(
        &mut self,
        request: &Request<'_>,
        groups: impl Iterator<Item = &'g str>,
        finish: FinishGroups,
    ) -> Result<(), Refusal> {
        let head = &request.head;
        let places: Vec<_> = groups
            .map(|group_id| self.coordinator_of(head, group_id))
            .collect();
        self.ask_group_shards(request, &places, finish)
    }

    /// Asks a shard for each place of the request, or knows why not.
    ///
    /// # Errors
    /// When more requests wait than can be named.
    pub(super) fn ask_group_shards(
        &mut self,
        request: &Request<'_>,
        shards: &[Result<ShardId, ErrorCode>],
        finish: FinishGroups,
    ) -> Result<(), Refusal> {
        let mut places: Vec<Vec<u32>> = vec![Vec::new(); self.shared.shards];
        let mut answers = Vec::with_capacity(shards.len());
        for (place, shard) in (0_u32..).zip(shards) {
            answers.push(GroupAnswer::Error(
                shard.err().unwrap_or(ErrorCode::CoordinatorNotAvailable),
            ));
            if let Ok(shard) = shard {
                places[shard.index()].push(place);
            }
        }
        let question = GroupQuestion {
            head: request.head,
            frame: request.frame.clone(),
            finish,
            waiting: places.iter().map(Vec::len).sum(),
            answers,
        };
        if question.waiting == 0 {
            finish(self, &question.head, &question.frame, &question.answers);
            return Ok(());
        }
        let questions = &mut self.groups.questions;
        let key = questions.insert(question).map_err(|_| Refusal::Close)?;
        for (index, places) in places.into_iter().enumerate() {
            let to = ShardId(u16::try_from(index).unwrap_or(0));
            let asked = Box::new(GroupRequest {
                head: request.head,
                frame: request.frame.clone(),
            });
            if places.is_empty() {
                continue;
            }
            if to == self.me {
                self.answer_groups(to, key.to_bits(), &places, &asked);
            } else {
                self.send(to, Mail::GroupAsk(key.to_bits(), places, asked));
            }
        }
        Ok(())
    }

    /// Answers for some places of a request; what has to become durable first comes later.
    pub(crate) fn answer_groups(
        &mut self,
        from: ShardId,
        key: u64,
        places: &[u32],
        asked: &GroupRequest,
    ) {
        let frame = &asked.frame;
        let answers = match asked.head.api {
            ApiKey::OffsetFetch => offset_fetch::answer(self, (frame, asked.head.version), places),
            ApiKey::DescribeGroups => describe_groups::answer(self, frame, places),
            ApiKey::ListGroups => Some(list_groups::answer(self, places)),
            ApiKey::DeleteGroups => delete_groups::answer(self, (from, key), frame, places),
            _ => None,
        };
        // The frame was decoded before; should that fail now, every place gets an error.
        let answers = answers.unwrap_or_else(|| {
            let error = |place: &u32| (*place, GroupAnswer::Error(ErrorCode::InvalidRequest));
            places.iter().map(error).collect()
        });
        self.send_group_answers(from, key, answers);
        self.carry_out_groups();
    }

    /// Sends answers to the shard that gathers them.
    pub(super) fn send_group_answers(&mut self, to: ShardId, key: u64, answers: PlacedAnswers) {
        if to == self.me {
            self.groups_answered(key, answers);
        } else if !answers.is_empty() {
            self.send(to, Mail::GroupAnswers(key, answers));
        }
    }

    /// Answers of one coordinator.
    pub(crate) fn groups_answered(&mut self, key: u64, answers: PlacedAnswers) {
        let key = SlabKey::from_bits(key);
        let Some(question) = self.groups.questions.get_mut(key) else {
            return;
        };
        for (place, answer) in answers {
            if let Some(slot) = question.answers.get_mut(place as usize) {
                *slot = answer;
                question.waiting = question.waiting.saturating_sub(1);
            }
        }
        if question.waiting == 0
            && let Some(done) = self.groups.questions.remove(key)
        {
            (done.finish)(self, &done.head, &done.frame, &done.answers);
        }
    }

    /// Parks one group's deletion.
    pub(super) fn wait_for_deletion(
        &mut self,
        (from, key): (ShardId, u64),
        place: u32,
    ) -> Result<crate::groups::effects::Asker, Refusal> {
        self.wait_for_group(GroupWait::Delete(from, key, place))
    }
}
