//! Requests to a group's coordinator: the way there, and carrying out what the coordinator wants.
//!
//! A request that came to another shard of the same node hops: its frame goes to the
//! coordinator's shard, is handled there by the same handler, and the response comes back. Where
//! shards are nodes of their own it is refused instead, so that the client finds the right one.

use super::group_questions::{GroupAnswer, GroupQuestion};
use super::{join_group, sync_group};
use crate::broker::BrokerShard;
use crate::config::GroupSettings;
use crate::error_mapping::group_append_error;
use crate::groups::Coordinator;
use crate::groups::effects::{Append, Asker, Effect, Now, Pending, Stored};
use crate::groups::offsets_topic::{OFFSETS_TOPIC, partition_of};
use crate::handlers::group_loading::GroupLoad;
use crate::mail::{GroupRequest, Mail};
use crate::net::FrameBytes;
use crate::protocol::{ErrorCode, Reader, RequestHeader};
use crate::request::{Refusal, Request, RequestHead};
use crate::slab::{Slab, SlabKey};
use crate::ticket::{Waiting, ticket};
use millrace_engine::ids::{PartitionHandle, ShardId, Ticket};
use millrace_engine::partition::{AppendError, BatchBytes};
use std::collections::VecDeque;

/// Everything of a broker shard about groups.
#[derive(Debug)]
pub struct GroupDesk {
    /// The groups of this shard.
    pub(crate) coordinator: Coordinator,
    /// Requests that wait for the coordinator.
    pub(super) waits: Slab<GroupWait>,
    /// The coordinator's appends that are not durable.
    appends: Slab<Pending>,
    /// Partitions to load, the first of them being read.
    pub(super) loads: VecDeque<GroupLoad>,
    /// The load waits for memory.
    pub(crate) is_load_starved: bool,
    /// Requests that several coordinators answer.
    pub(super) questions: Slab<GroupQuestion>,
    effects: Vec<Effect>,
}

impl GroupDesk {
    /// An empty desk.
    #[must_use]
    pub fn new(settings: GroupSettings, bytes_max: usize) -> Self {
        Self {
            coordinator: Coordinator::new(settings, bytes_max),
            waits: Slab::default(),
            appends: Slab::default(),
            loads: VecDeque::new(),
            is_load_starved: false,
            questions: Slab::default(),
            effects: Vec::new(),
        }
    }
}

/// Writes the response to a request whose change is durable, or not.
pub type FinishChange = fn(&mut BrokerShard, &RequestHead, &FrameBytes, &[ErrorCode], ErrorCode);

/// A request that waits for the coordinator.
#[derive(Debug)]
pub enum GroupWait {
    /// JoinGroup.
    Join(RequestHead),
    /// SyncGroup.
    Sync(RequestHead),
    /// OffsetCommit and OffsetDelete.
    Change {
        /// Where its response goes.
        head: RequestHead,
        /// Its bytes, read again for the response.
        frame: FrameBytes,
        /// What is known of each partition.
        codes: Vec<ErrorCode>,
        /// Writes the response.
        finish: FinishChange,
    },
    /// One group of DeleteGroups: who asked, the request there, the place in it.
    Delete(ShardId, u64, u32),
}

/// Where a request is handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Here.
    Here,
    /// It is on its way to another shard.
    Sent,
}

/// The codes of a request's partitions in their order: what was wrong with each by itself, and of
/// the others what became of the whole.
pub(super) fn own_codes(codes: &[ErrorCode], error: ErrorCode) -> impl FnMut() -> i16 {
    let mut codes = codes.iter();
    move || {
        let own = codes.next().filter(|code| !code.is_none());
        own.copied().unwrap_or(error).code()
    }
}

impl BrokerShard {
    /// Both clocks.
    pub(super) fn group_now(&self) -> Now {
        Now {
            ns: self.io.now_ns(),
            wall_ms: self.io.wall_ms(),
        }
    }

    /// The shard that leads the group's partition of the offsets topic.
    ///
    /// # Errors
    /// `NOT_COORDINATOR` when there is no such topic yet, or when shards are nodes and the
    /// request came to the wrong one.
    pub(super) fn coordinator_of(
        &self,
        head: &RequestHead,
        group_id: &str,
    ) -> Result<ShardId, ErrorCode> {
        let topic = self.catalog.topic(OFFSETS_TOPIC);
        let topic = topic.ok_or(ErrorCode::NotCoordinator)?;
        let count = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
        let place = topic.partition(partition_of(group_id, count));
        let shard = place.ok_or(ErrorCode::NotCoordinator)?.shard;
        let is_other_node = self.catalog.nodes.len() > 1 && head.shard != shard;
        let is_lost = head.shard != self.me && shard != self.me;
        if is_other_node || is_lost {
            return Err(ErrorCode::NotCoordinator);
        }
        Ok(shard)
    }

    /// As [`Self::coordinator_of`], for requests that an empty group id is no good for; sends the
    /// request there.
    ///
    /// # Errors
    /// Also `INVALID_GROUP_ID`.
    pub(super) fn go_to_coordinator(
        &mut self,
        request: &Request<'_>,
        group_id: &str,
    ) -> Result<Destination, ErrorCode> {
        if group_id.is_empty() {
            return Err(ErrorCode::InvalidGroupId);
        }
        self.go_to_any_coordinator(request, group_id)
    }

    /// As [`Self::go_to_coordinator`]; KIP-289 keeps some requests with an empty id working.
    ///
    /// # Errors
    /// See [`Self::coordinator_of`].
    pub(super) fn go_to_any_coordinator(
        &mut self,
        request: &Request<'_>,
        group_id: &str,
    ) -> Result<Destination, ErrorCode> {
        let shard = self.coordinator_of(&request.head, group_id)?;
        if shard == self.me {
            return Ok(Destination::Here);
        }
        let request = GroupRequest {
            head: request.head,
            frame: request.frame.clone(),
        };
        self.send(shard, Mail::GroupRequest(Box::new(request)));
        Ok(Destination::Sent)
    }

    /// A request from a connection of another shard.
    pub(crate) fn group_request_arrived(&mut self, arrived: &GroupRequest) {
        if self.handle_arrived(arrived).is_err() {
            let refused = Box::new((arrived.head, None));
            self.send(arrived.head.shard, Mail::Respond(refused));
        }
    }

    fn handle_arrived(&mut self, arrived: &GroupRequest) -> Result<(), Refusal> {
        let mut reader = Reader::new(&arrived.frame);
        let header = RequestHeader::decode(&mut reader)?;
        let head = arrived.head;
        let api = super::api(head.api, head.version).ok_or(Refusal::Close)?;
        let request = Request {
            head,
            header,
            reader,
            frame: &arrived.frame,
        };
        (api.handler)(self, &request)
    }

    /// The coordinator's response to a request of this shard's connection.
    pub(crate) fn respond_for_coordinator(&mut self, head: &RequestHead, bytes: Option<Vec<u8>>) {
        match bytes {
            Some(bytes) => self.respond_bytes(head, Ok(()), &bytes),
            None => self.close(head.connection),
        }
    }

    /// Parks a request until the coordinator answers.
    ///
    /// # Errors
    /// When more requests wait than can be named.
    pub(super) fn wait_for_group(&mut self, wait: GroupWait) -> Result<Asker, Refusal> {
        let key = self.groups.waits.insert(wait).map_err(|_| Refusal::Close)?;
        Ok(Asker(key.to_bits()))
    }

    /// Takes a parked request back.
    pub(super) fn group_wait_over(&mut self, asker: Asker) -> Option<GroupWait> {
        self.groups.waits.remove(SlabKey::from_bits(asker.0))
    }

    /// Says what is known of each partition of a parked change.
    pub(super) fn learn_codes(&mut self, asker: Asker, learned: Vec<ErrorCode>) {
        let wait = self.groups.waits.get_mut(SlabKey::from_bits(asker.0));
        if let Some(GroupWait::Change { codes, .. }) = wait {
            *codes = learned;
        }
    }

    /// Does what is due in the groups.
    pub(crate) fn tick_groups(&mut self, now_ns: u64) {
        let due = self.groups.coordinator.next_deadline_ns();
        if due.is_some_and(|at| at <= now_ns) {
            let now = self.group_now();
            self.groups.coordinator.tick(now);
            self.carry_out_groups();
        }
    }

    /// Carries out what the coordinator wants, and what that leads to.
    pub(crate) fn carry_out_groups(&mut self) {
        let mut effects = std::mem::take(&mut self.groups.effects);
        loop {
            self.groups.coordinator.drain_effects(&mut effects);
            if effects.is_empty() {
                break;
            }
            for effect in effects.drain(..) {
                self.carry_out_group_effect(effect);
            }
        }
        self.groups.effects = effects;
    }

    fn carry_out_group_effect(&mut self, effect: Effect) {
        match effect {
            Effect::Joined(asker, answer) => {
                if let Some(GroupWait::Join(head)) = self.group_wait_over(asker) {
                    join_group::respond(self, &head, &answer);
                }
            }
            Effect::Synced(asker, answer) => {
                if let Some(GroupWait::Sync(head)) = self.group_wait_over(asker) {
                    sync_group::respond(self, &head, &answer);
                }
            }
            Effect::Answered(asker, error) => match self.group_wait_over(asker) {
                Some(GroupWait::Change {
                    head,
                    frame,
                    codes,
                    finish,
                }) => finish(self, &head, &frame, &codes, error),
                Some(GroupWait::Delete(from, request, place)) => {
                    let answers = vec![(place, GroupAnswer::Error(error))];
                    self.send_group_answers(from, request, answers);
                }
                _ => {}
            },
            Effect::Append(append) => self.append_for_groups(*append),
            Effect::Trim { partition, offset } => self.trim_group_log(partition, offset),
            // The coordinator makes appends of them.
            Effect::Store(_) => debug_assert!(false, "a state to store left the coordinator"),
        }
    }

    fn group_log(&self, partition: i32) -> Option<PartitionHandle> {
        let place = self.find(OFFSETS_TOPIC, partition).ok()?.0;
        (place.shard == self.me).then_some(place.handle)
    }

    fn append_for_groups(&mut self, append: Append) {
        let Append {
            partition,
            batch,
            pending,
        } = append;
        let is_state = matches!(pending, Pending::Group(..));
        let piece_of = match pending {
            Pending::Snapshot(index) => Some(index),
            Pending::Group(..) | Pending::Offsets { .. } => None,
        };
        let key = match self.groups.appends.insert(pending) {
            Ok(key) => key,
            Err(pending) => return self.group_append_refused(pending, AppendError::Stopped),
        };
        let wanted = ticket(Waiting::Group, key, 0);
        let appended = match self.group_log(partition) {
            None => Err(AppendError::UnknownPartition),
            Some(handle) => {
                let bytes = BatchBytes::Copy(&batch);
                self.engine.append(&mut self.io, handle, bytes, wanted)
            }
        };
        match appended {
            Ok(appended) => {
                if let Some(index) = piece_of {
                    let coordinator = &mut self.groups.coordinator;
                    coordinator.piece_appended(index, appended.base_offset);
                }
                if appended.is_acked {
                    self.group_append_resolved(key, true);
                }
            }
            Err(error) => {
                log::debug!(
                    "{OFFSETS_TOPIC}-{partition}: append refused (state: {is_state}): {error}"
                );
                if let Some(pending) = self.groups.appends.remove(key) {
                    self.group_append_refused(pending, error);
                }
            }
        }
    }

    fn group_append_refused(&mut self, pending: Pending, error: AppendError) {
        let code = match (&pending, group_append_error(error)) {
            // KAFKA: a group's state that is too large for a record is the server's trouble.
            (Pending::Group(_, Stored::Assignment(_)), ErrorCode::InvalidCommitOffsetSize) => {
                ErrorCode::UnknownServerError
            }
            (_, code) => code,
        };
        let now = self.group_now();
        self.groups.coordinator.resolved(pending, Err(code), now);
    }

    /// An append of the coordinator is durable, or will never be.
    pub(crate) fn group_append_resolved(&mut self, key: SlabKey, is_durable: bool) {
        let Some(pending) = self.groups.appends.remove(key) else {
            return;
        };
        let result = if is_durable {
            Ok(())
        } else {
            Err(ErrorCode::CoordinatorNotAvailable)
        };
        let now = self.group_now();
        self.groups.coordinator.resolved(pending, result, now);
        self.carry_out_groups();
    }

    fn trim_group_log(&mut self, partition: i32, offset: Option<i64>) {
        let Some(handle) = self.group_log(partition) else {
            return;
        };
        let Some(offsets) = self.engine.offsets(handle) else {
            return;
        };
        let offset = offset.unwrap_or(offsets.high_watermark);
        let trimmed = self
            .engine
            .advance_log_start(&mut self.io, handle, offset, Ticket::NONE);
        if let Err(error) = trimmed {
            log::warn!("{OFFSETS_TOPIC}-{partition}: not trimmed below {offset}: {error}");
        }
    }
}
