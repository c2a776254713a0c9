//! One group: its members, its generation, and the rules that all phases share.
//!
//! INVARIANT: `awaiting_join` counts the members whose JoinGroup waits; `instances` has exactly
//! the static members; whoever is in `pending` is no member yet (KIP-394).

use super::committed_offsets::CommittedOffsets;
use super::effects::{Effect, Join, JoinAnswer, JoinedMember, MemberRef, Now, Step, SyncAnswer};
use super::member::Member;
use super::subscription;
use crate::protocol::ErrorCode;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Protocol type of consumers; others' metadata is not looked into.
pub const CONSUMER: &str = "consumer";

/// Where a group is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// No members; offsets perhaps.
    Empty,
    /// Waits for the members to join.
    PreparingRebalance,
    /// Waits for the leader's assignment.
    CompletingRebalance,
    /// Everyone has an assignment.
    Stable,
    /// On its way out.
    Dead,
}

impl State {
    /// Kafka's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
            Self::Dead => "Dead",
        }
    }
}

/// How long the members may take to join.
#[derive(Clone, Debug)]
pub(super) struct Rebalance {
    pub(super) deadline_ns: u64,
    /// The group was empty: more members are given time to come.
    pub(super) initial: Option<InitialDelay>,
}

/// `group.initial.rebalance.delay.ms`, started again while members come.
#[derive(Clone, Debug)]
pub(super) struct InitialDelay {
    pub(super) remaining_ms: i32,
    pub(super) has_new_member: bool,
}

/// A group.
#[derive(Clone, Debug)]
pub struct Group {
    pub(super) group_id: Arc<str>,
    pub(super) partition: i32,
    pub(super) state: State,
    pub(super) state_since_ms: i64,
    pub(super) protocol_type: Option<Arc<str>>,
    pub(super) protocol_name: Option<Arc<str>>,
    pub(super) generation: i32,
    pub(super) leader: Option<Arc<str>>,
    pub(super) members: BTreeMap<Arc<str>, Member>,
    pub(super) member_bytes: usize,
    pub(super) instances: BTreeMap<Arc<str>, Arc<str>>,
    pub(super) pending: BTreeMap<Arc<str>, u64>,
    pub(super) awaiting_join: usize,
    protocol_counts: BTreeMap<Arc<str>, usize>,
    /// What the members read; `None`: not known.
    pub(super) subscribed: Option<BTreeSet<Arc<str>>>,
    pub(super) rebalance: Option<Rebalance>,
    pub(super) pending_sync: BTreeSet<Arc<str>>,
    pub(super) sync_deadline_ns: Option<u64>,
    /// The leader's assignment is on its way to the disk.
    pub(super) is_storing: bool,
    /// Its state as it was appended last.
    pub(super) stored: Option<Arc<[u8]>>,
    pub(super) offsets: CommittedOffsets,
    /// Appends of offsets that are on their way.
    pub(super) pending_appends: usize,
    /// The earliest deadline that may have been set since the coordinator looked.
    pub(super) wake_ns: u64,
    /// When the coordinator looks at it again.
    pub(super) alarm_ns: u64,
}

/// What a group costs beside its parts.
const FIXED_BYTES: usize = 800;
/// What a member id given out and not used yet costs.
const PENDING_BYTES: usize = 200;

impl Group {
    /// A group without members.
    pub(super) fn new(group_id: Arc<str>, partition: i32, now: Now) -> Self {
        Self {
            group_id,
            partition,
            state: State::Empty,
            state_since_ms: now.wall_ms,
            protocol_type: None,
            protocol_name: None,
            generation: 0,
            leader: None,
            members: BTreeMap::new(),
            member_bytes: 0,
            instances: BTreeMap::new(),
            pending: BTreeMap::new(),
            awaiting_join: 0,
            protocol_counts: BTreeMap::new(),
            subscribed: None,
            rebalance: None,
            pending_sync: BTreeSet::new(),
            sync_deadline_ns: None,
            is_storing: false,
            stored: None,
            offsets: CommittedOffsets::default(),
            pending_appends: 0,
            wake_ns: u64::MAX,
            alarm_ns: u64::MAX,
        }
    }

    /// Memory it takes, about.
    pub(super) fn bytes(&self) -> usize {
        let pending = self.pending.keys().map(|id| id.len() + PENDING_BYTES);
        FIXED_BYTES
            + 3 * self.group_id.len()
            + self.member_bytes
            + pending.sum::<usize>()
            + self.stored.as_ref().map_or(0, |stored| stored.len())
            + self.offsets.bytes()
    }

    /// Nobody would miss it: it has nothing and never had.
    pub(super) fn is_unused(&self) -> bool {
        self.state == State::Empty
            && self.stored.is_none()
            && self.pending.is_empty()
            && self.pending_appends == 0
            && self.offsets.is_empty()
    }

    pub(super) fn transition(&mut self, state: State, now: Now) {
        self.state = state;
        self.state_since_ms = now.wall_ms;
    }

    pub(super) fn wants_wake(&mut self, deadline_ns: u64) {
        self.wake_ns = self.wake_ns.min(deadline_ns);
    }

    /// Begins a member's session anew.
    pub(super) fn begin_session(&mut self, member_id: &str, timeout_ms: i32, now: Now) {
        let deadline_ns = now.after_ms(timeout_ms);
        if let Some(member) = self.members.get_mut(member_id) {
            member.deadline_ns = deadline_ns;
            self.wants_wake(deadline_ns);
        }
    }

    /// As [`Self::begin_session`], with the member's own timeout.
    pub(super) fn renew_session(&mut self, member_id: &str, now: Now) {
        if let Some(member) = self.members.get(member_id) {
            let timeout_ms = member.session_timeout_ms;
            self.begin_session(member_id, timeout_ms, now);
        }
    }

    /// Time for the slowest member to join.
    pub(super) fn rebalance_timeout_ms(&self) -> i32 {
        let timeouts = self.members.values().map(|it| it.rebalance_timeout_ms);
        timeouts.max().unwrap_or(0)
    }

    /// Whether the member is one, and the one that it says it is (KIP-345).
    ///
    /// # Errors
    /// `UNKNOWN_MEMBER_ID`, `FENCED_INSTANCE_ID`.
    pub(super) fn check_member(
        &self,
        member_id: &str,
        instance_id: Option<&str>,
    ) -> Result<(), ErrorCode> {
        if let Some(instance_id) = instance_id {
            match self.instances.get(instance_id) {
                None => return Err(ErrorCode::UnknownMemberId),
                Some(current) if **current != *member_id => {
                    return Err(ErrorCode::FencedInstanceId);
                }
                Some(_) => {}
            }
        }
        if self.members.contains_key(member_id) {
            Ok(())
        } else {
            Err(ErrorCode::UnknownMemberId)
        }
    }

    /// As [`Self::check_member`], and its generation is the group's.
    ///
    /// # Errors
    /// Also `COORDINATOR_NOT_AVAILABLE` for a dead group and `ILLEGAL_GENERATION`.
    pub(super) fn check_generation(&self, member: MemberRef<'_>) -> Result<(), ErrorCode> {
        if self.state == State::Dead {
            return Err(ErrorCode::CoordinatorNotAvailable);
        }
        self.check_member(member.member_id, member.instance_id)?;
        if member.generation == self.generation {
            Ok(())
        } else {
            Err(ErrorCode::IllegalGeneration)
        }
    }

    /// A heartbeat.
    ///
    /// # Errors
    /// What the member has to do something about.
    pub(super) fn heartbeat(&mut self, member: MemberRef<'_>, now: Now) -> Result<(), ErrorCode> {
        self.check_generation(member)?;
        if matches!(self.state, State::Empty | State::Dead) {
            return Err(ErrorCode::UnknownMemberId);
        }
        self.renew_session(member.member_id, now);
        if self.state == State::PreparingRebalance {
            return Err(ErrorCode::RebalanceInProgress);
        }
        Ok(())
    }

    /// Whether offsets may be committed; keeps the member's session.
    ///
    /// # Errors
    /// See Kafka's OffsetCommit.
    pub(super) fn check_commit(
        &mut self,
        member: MemberRef<'_>,
        now: Now,
    ) -> Result<(), ErrorCode> {
        if self.state == State::Dead {
            return Err(ErrorCode::CoordinatorNotAvailable);
        }
        // An admin client, or a consumer that assigns itself.
        if member.generation < 0 && self.state == State::Empty {
            return Ok(());
        }
        let is_member =
            member.generation >= 0 || !member.member_id.is_empty() || member.instance_id.is_some();
        if !is_member {
            return Err(ErrorCode::UnknownMemberId);
        }
        self.check_generation(member)?;
        // KAFKA: who has the new generation and no assignment yet must not commit the old one's.
        if self.state == State::CompletingRebalance {
            return Err(ErrorCode::RebalanceInProgress);
        }
        self.renew_session(member.member_id, now);
        Ok(())
    }

    /// Whether a member with these protocols can be in the group.
    pub(super) fn supports(&self, join: &Join<'_>) -> bool {
        if self.members.is_empty() {
            return !join.protocol_type.is_empty() && !join.protocols.is_empty();
        }
        self.protocol_type.as_deref() == Some(join.protocol_type)
            && join
                .protocols
                .iter()
                .any(|(name, _)| self.is_known_by_all(name))
    }

    fn is_known_by_all(&self, protocol: &str) -> bool {
        self.protocol_counts.get(protocol) == Some(&self.members.len())
    }

    /// The protocol that most members prefer among those that all know.
    pub(super) fn select_protocol(&self) -> Option<Arc<str>> {
        let mut votes: BTreeMap<&Arc<str>, usize> = BTreeMap::new();
        for member in self.members.values() {
            if let Some(name) = member.vote(|name| self.is_known_by_all(name)) {
                *votes.entry(name).or_default() += 1;
            }
        }
        let most = votes.values().max().copied()?;
        let mut winners = votes.into_iter().filter(|(_, count)| *count == most);
        winners.next().map(|(name, _)| Arc::clone(name))
    }

    /// Adds a member, or puts it in the place of the one with its id.
    pub(super) fn insert(&mut self, member: Member) {
        if self.members.is_empty() && self.leader.is_none() {
            self.leader = Some(Arc::clone(&member.member_id));
        }
        if let Some(instance_id) = &member.instance_id {
            let member_id = Arc::clone(&member.member_id);
            self.instances.insert(Arc::clone(instance_id), member_id);
        }
        for (name, _) in &member.protocols {
            *self.protocol_counts.entry(Arc::clone(name)).or_default() += 1;
        }
        self.member_bytes += member.bytes();
        self.awaiting_join += usize::from(member.awaiting_join.is_some());
        self.pending.remove(&member.member_id);
        self.members.insert(Arc::clone(&member.member_id), member);
    }

    /// Takes a member out; its requests that wait go with it. The leader stays named until
    /// somebody sees to it.
    pub(super) fn take(&mut self, member_id: &str) -> Option<Member> {
        let member = self.members.remove(member_id)?;
        if let Some(instance_id) = &member.instance_id {
            self.instances.remove(instance_id);
        }
        for (name, _) in &member.protocols {
            if let Some(count) = self.protocol_counts.get_mut(name) {
                *count -= 1;
                if *count == 0 {
                    self.protocol_counts.remove(name);
                }
            }
        }
        self.member_bytes = self.member_bytes.saturating_sub(member.bytes());
        self.awaiting_join -= usize::from(member.awaiting_join.is_some());
        Some(member)
    }

    /// Takes a member out for good: its requests are answered with `UNKNOWN_MEMBER_ID`.
    pub(super) fn remove_member(&mut self, member_id: &str, step: &mut Step<'_>) {
        let Some(member) = self.take(member_id) else {
            return;
        };
        if let Some(asker) = member.awaiting_join {
            let answer = JoinAnswer::refused(ErrorCode::UnknownMemberId, "");
            step.effects.push(Effect::Joined(asker, Box::new(answer)));
        }
        if let Some(asker) = member.awaiting_sync {
            let answer = SyncAnswer::refused(ErrorCode::UnknownMemberId);
            step.effects.push(Effect::Synced(asker, answer));
        }
        self.pending_sync.remove(member_id);
        if self.is_leader(member_id) {
            self.leader = self.members.keys().next().cloned();
        }
    }

    pub(super) fn is_leader(&self, member_id: &str) -> bool {
        self.leader.as_deref() == Some(member_id)
    }

    /// All members with their metadata for the chosen protocol.
    pub(super) fn joined_members(&self) -> Vec<JoinedMember> {
        let protocol = self.protocol_name.as_deref().unwrap_or_default();
        self.members
            .values()
            .map(|member| JoinedMember {
                member_id: Arc::clone(&member.member_id),
                instance_id: member.instance_id.clone(),
                metadata: member.metadata(protocol),
            })
            .collect()
    }

    /// What a member is told about the generation that there is.
    pub(super) fn current_answer(&self, member_id: &Arc<str>, is_for_leader: bool) -> JoinAnswer {
        JoinAnswer {
            error: ErrorCode::None,
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol_name.clone(),
            leader: self.leader.clone().unwrap_or_else(|| Arc::from("")),
            skip_assignment: false,
            member_id: Arc::clone(member_id),
            members: if is_for_leader {
                self.joined_members()
            } else {
                Vec::new()
            },
        }
    }

    /// Finds out what the members read.
    pub(super) fn learn_subscriptions(&mut self) {
        self.subscribed = if self.members.is_empty() {
            self.protocol_type.is_some().then(BTreeSet::new)
        } else if self.protocol_type.as_deref() == Some(CONSUMER) {
            self.subscriptions()
        } else {
            None
        };
    }

    fn subscriptions(&self) -> Option<BTreeSet<Arc<str>>> {
        let protocol = self.protocol_name.as_deref()?;
        let mut all = BTreeSet::new();
        for member in self.members.values() {
            let metadata = member.metadata(protocol);
            for topic in subscription::topics(&metadata)? {
                if !all.contains(topic) {
                    all.insert(Arc::from(topic));
                }
            }
        }
        Some(all)
    }

    /// Whether the members read this topic, as far as is known.
    pub(super) fn is_subscribed(&self, topic: &str) -> bool {
        match &self.subscribed {
            Some(topics) => topics.contains(topic),
            None => self.protocol_type.as_deref() == Some(CONSUMER) && !self.members.is_empty(),
        }
    }
}
