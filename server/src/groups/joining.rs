//! The first phase of a rebalance: everyone joins, a generation begins.

use super::effects::{Asker, Effect, Join, JoinAnswer, Now, Step, Stored, SyncAnswer};
use super::group::{Group, InitialDelay, Rebalance, State};
use super::member::Member;
use crate::protocol::ErrorCode;
use std::sync::Arc;

/// A new member's JoinGroup may wait this long for the others.
const NEW_MEMBER_JOIN_MS: i32 = 300_000;
/// A client's id begins its members' ids; no more than this of it.
const CLIENT_ID_BYTES_MAX: usize = 255;

impl Group {
    /// A JoinGroup request. Its session timeout was checked.
    pub(super) fn join(&mut self, join: &Join<'_>, step: &mut Step<'_>) {
        if !self.has_room_for(join.member_id, step.settings.group_size_max) {
            self.remove_member(join.member_id, step);
            return refuse(join.asker, ErrorCode::GroupMaxSizeReached, "", step);
        }
        if self.state == State::Dead {
            let error = ErrorCode::CoordinatorNotAvailable;
            return refuse(join.asker, error, join.member_id, step);
        }
        if !self.supports(join) {
            let error = ErrorCode::InconsistentGroupProtocol;
            return refuse(join.asker, error, join.member_id, step);
        }
        if join.member_id.is_empty() {
            self.join_new(join, step);
        } else {
            self.join_known(join, step);
        }
    }

    /// KIP-389.
    fn has_room_for(&self, member_id: &str, size_max: usize) -> bool {
        let member = self.members.get(member_id);
        match self.state {
            State::Empty | State::Dead => true,
            State::PreparingRebalance => {
                member.is_some_and(|member| member.awaiting_join.is_some())
                    || self.awaiting_join < size_max
            }
            State::CompletingRebalance | State::Stable => {
                member.is_some() || self.members.len() < size_max
            }
        }
    }

    fn join_new(&mut self, join: &Join<'_>, step: &mut Step<'_>) {
        if let Some(instance_id) = join.instance_id {
            let member_id = new_member_id(instance_id, join.random);
            return match self.instances.get(instance_id).cloned() {
                Some(old_id) => self.replace_static(&old_id, member_id, join, step),
                None => self.add_member(member_id, join, step),
            };
        }
        let member_id = new_member_id(join.client_id, join.random);
        if join.needs_member_id {
            let deadline_ns = step.now.after_ms(join.session_timeout_ms);
            self.wants_wake(deadline_ns);
            self.pending.insert(Arc::clone(&member_id), deadline_ns);
            return refuse(join.asker, ErrorCode::MemberIdRequired, &member_id, step);
        }
        self.add_member(member_id, join, step);
    }

    fn join_known(&mut self, join: &Join<'_>, step: &mut Step<'_>) {
        if let Some((member_id, _)) = self.pending.get_key_value(join.member_id) {
            // KAFKA: an id given out is a dynamic member's; a static one never waits with it.
            if join.instance_id.is_some() {
                let error = ErrorCode::UnknownServerError;
                return refuse(join.asker, error, join.member_id, step);
            }
            let member_id = Arc::clone(member_id);
            return self.add_member(member_id, join, step);
        }
        if let Err(error) = self.check_member(join.member_id, join.instance_id) {
            return refuse(join.asker, error, join.member_id, step);
        }
        let Some(member) = self.members.get(join.member_id) else {
            return;
        };
        let member_id = Arc::clone(&member.member_id);
        let is_same = member.matches(join.protocols);
        let is_leader = self.is_leader(join.member_id);
        let has_to_rebalance = match self.state {
            State::PreparingRebalance => true,
            // The answer to its first request was lost.
            State::CompletingRebalance => !is_same,
            // KAFKA: a leader that joins again wants to assign anew.
            State::Stable => is_leader || !is_same,
            State::Empty | State::Dead => {
                return refuse(join.asker, ErrorCode::UnknownMemberId, join.member_id, step);
            }
        };
        if has_to_rebalance {
            self.update_member(&member_id, join, step);
        } else {
            let is_for_leader = is_leader && self.state == State::CompletingRebalance;
            let answer = self.current_answer(&member_id, is_for_leader);
            step.effects
                .push(Effect::Joined(join.asker, Box::new(answer)));
        }
    }

    fn add_member(&mut self, member_id: Arc<str>, join: &Join<'_>, step: &mut Step<'_>) {
        if self.members.is_empty() {
            self.protocol_type = Some(Arc::from(join.protocol_type));
        }
        let mut member = Member::new(Arc::clone(&member_id), join);
        member.awaiting_join = Some(join.asker);
        self.insert(member);
        self.begin_session(&member_id, NEW_MEMBER_JOIN_MS, step.now);
        let initial = self.rebalance.as_mut().and_then(|it| it.initial.as_mut());
        if let Some(initial) = initial {
            initial.has_new_member = true;
        }
        self.rebalance_or_complete(step);
    }

    fn update_member(&mut self, member_id: &Arc<str>, join: &Join<'_>, step: &mut Step<'_>) {
        let Some(mut member) = self.take(member_id) else {
            return;
        };
        member.update(join);
        let before = member.awaiting_join.replace(join.asker);
        self.insert(member);
        if let Some(asker) = before {
            refuse(asker, ErrorCode::RebalanceInProgress, member_id, step);
        }
        self.rebalance_or_complete(step);
    }

    /// KIP-345: a static member that lost its id gets a new one and keeps its place.
    fn replace_static(
        &mut self,
        old_id: &Arc<str>,
        new_id: Arc<str>,
        join: &Join<'_>,
        step: &mut Step<'_>,
    ) {
        let Some(mut member) = self.take(old_id) else {
            return;
        };
        if let Some(asker) = member.awaiting_join.take() {
            refuse(asker, ErrorCode::FencedInstanceId, old_id, step);
        }
        if let Some(asker) = member.awaiting_sync.take() {
            let answer = SyncAnswer::refused(ErrorCode::FencedInstanceId);
            step.effects.push(Effect::Synced(asker, answer));
        }
        let old_leader = self.leader.clone();
        if self.is_leader(old_id) {
            self.leader = Some(Arc::clone(&new_id));
        }
        if self.pending_sync.remove(old_id) {
            self.pending_sync.insert(Arc::clone(&new_id));
        }
        member.member_id = Arc::clone(&new_id);
        member.client_id = Arc::from(join.client_id);
        member.client_host = Arc::from(join.client_host);
        member.update(join);
        let is_stable = self.state == State::Stable;
        if !is_stable {
            member.awaiting_join = Some(join.asker);
        }
        self.insert(member);
        self.renew_session(&new_id, step.now);
        if !is_stable {
            return self.rebalance_or_complete(step);
        }
        if self.select_protocol() != self.protocol_name {
            if let Some(mut member) = self.take(&new_id) {
                member.awaiting_join = Some(join.asker);
                self.insert(member);
            }
            return self.rebalance_or_complete(step);
        }
        // KIP-814: a leader that can skip is told the members; an older one must not think it
        // leads, so it is told the id that it no longer has.
        let is_skipping = join.can_skip_assignment && self.is_leader(&new_id);
        let mut answer = self.current_answer(&new_id, is_skipping);
        answer.skip_assignment = is_skipping;
        if !join.can_skip_assignment {
            answer.leader = old_leader.unwrap_or_else(|| Arc::from(""));
        }
        let stored = Stored::Replaced(join.asker, Box::new(answer));
        step.effects.push(Effect::Store(stored));
    }

    /// Somebody joined, changed or left: a rebalance begins, or goes on.
    pub(super) fn rebalance_or_complete(&mut self, step: &mut Step<'_>) {
        match self.state {
            State::Empty | State::CompletingRebalance | State::Stable => {
                self.begin_rebalance(step);
            }
            State::PreparingRebalance => self.maybe_complete_join(step),
            State::Dead => {}
        }
    }

    pub(super) fn begin_rebalance(&mut self, step: &mut Step<'_>) {
        if self.state == State::CompletingRebalance {
            self.fail_syncs(ErrorCode::RebalanceInProgress, step);
        }
        let is_initial = self.state == State::Empty;
        self.sync_deadline_ns = None;
        self.pending_sync.clear();
        self.is_storing = false;
        self.transition(State::PreparingRebalance, step.now);
        let timeout_ms = self.rebalance_timeout_ms();
        if is_initial {
            let delay_ms = step.settings.initial_rebalance_delay_ms;
            let initial = InitialDelay {
                remaining_ms: timeout_ms.saturating_sub(delay_ms).max(0),
                has_new_member: false,
            };
            self.wait_for_joins(delay_ms, Some(initial), step.now);
        } else {
            self.wait_for_joins(timeout_ms, None, step.now);
            self.maybe_complete_join(step);
        }
    }

    fn wait_for_joins(&mut self, ms: i32, initial: Option<InitialDelay>, now: Now) {
        let deadline_ns = now.after_ms(ms);
        self.wants_wake(deadline_ns);
        self.rebalance = Some(Rebalance {
            deadline_ns,
            initial,
        });
    }

    /// Completes the phase when everyone is here.
    pub(super) fn maybe_complete_join(&mut self, step: &mut Step<'_>) {
        let is_initial = self
            .rebalance
            .as_ref()
            .is_some_and(|it| it.initial.is_some());
        let is_everyone_here = self.members.len() == self.awaiting_join && self.pending.is_empty();
        if self.state == State::PreparingRebalance && is_everyone_here && !is_initial {
            self.complete_join(step);
        }
    }

    /// The time to join is over.
    pub(super) fn join_time_is_over(&mut self, step: &mut Step<'_>) {
        let Some(rebalance) = self.rebalance.take() else {
            return;
        };
        match rebalance.initial {
            Some(initial) if initial.has_new_member && initial.remaining_ms > 0 => {
                let delay_ms = step.settings.initial_rebalance_delay_ms;
                let delay_ms = delay_ms.min(initial.remaining_ms);
                let again = InitialDelay {
                    remaining_ms: initial.remaining_ms.saturating_sub(delay_ms).max(0),
                    has_new_member: false,
                };
                self.wait_for_joins(delay_ms, Some(again), step.now);
            }
            _ => self.complete_join(step),
        }
    }

    /// Begins the generation of those who are here.
    fn complete_join(&mut self, step: &mut Step<'_>) {
        self.rebalance = None;
        let late: Vec<_> = self
            .members
            .values()
            .filter(|member| member.awaiting_join.is_none() && member.instance_id.is_none())
            .map(|member| Arc::clone(&member.member_id))
            .collect();
        for member_id in late {
            self.remove_member(&member_id, step);
        }
        if !self.elect_leader() && !self.members.is_empty() {
            // Only static members that are away: their sessions decide.
            let timeout_ms = self.rebalance_timeout_ms();
            return self.wait_for_joins(timeout_ms, None, step.now);
        }
        self.generation = self.generation.checked_add(1).unwrap_or(1);
        if self.members.is_empty() {
            self.protocol_name = None;
            self.leader = None;
            self.transition(State::Empty, step.now);
            self.learn_subscriptions();
            step.effects.push(Effect::Store(Stored::Empty));
            return;
        }
        self.protocol_name = self.select_protocol();
        self.transition(State::CompletingRebalance, step.now);
        self.learn_subscriptions();
        self.answer_joins(step);
    }

    fn answer_joins(&mut self, step: &mut Step<'_>) {
        let member_ids: Vec<_> = self.members.keys().cloned().collect();
        for member_id in &member_ids {
            let answer = self.current_answer(member_id, self.is_leader(member_id));
            let Some(member) = self.members.get_mut(member_id) else {
                continue;
            };
            member.is_new = false;
            if let Some(asker) = member.awaiting_join.take() {
                self.awaiting_join -= 1;
                step.effects.push(Effect::Joined(asker, Box::new(answer)));
            }
            self.renew_session(member_id, step.now);
            self.pending_sync.insert(Arc::clone(member_id));
        }
        let deadline_ns = step.now.after_ms(self.rebalance_timeout_ms());
        self.sync_deadline_ns = Some(deadline_ns);
        self.wants_wake(deadline_ns);
    }

    /// The leader, or the first who joined in its place. Whether there is one that is here.
    fn elect_leader(&mut self) -> bool {
        let is_here = |id: &Arc<str>| {
            self.members
                .get(id)
                .is_some_and(|member| member.awaiting_join.is_some())
        };
        if self.leader.as_ref().is_some_and(is_here) {
            return true;
        }
        let mut here = self.members.values();
        let next = here.find(|member| member.awaiting_join.is_some());
        let Some(next) = next else {
            return false;
        };
        self.leader = Some(Arc::clone(&next.member_id));
        true
    }
}

fn refuse(asker: Asker, error: ErrorCode, member_id: &str, step: &mut Step<'_>) {
    let answer = JoinAnswer::refused(error, member_id);
    step.effects.push(Effect::Joined(asker, Box::new(answer)));
}

/// What the client or instance is called, and a random UUID.
fn new_member_id(prefix: &str, random: u128) -> Arc<str> {
    let mut ends = (0..=CLIENT_ID_BYTES_MAX.min(prefix.len())).rev();
    let end = ends.find(|end| prefix.is_char_boundary(*end)).unwrap_or(0);
    let prefix = &prefix[..end];
    let uuid = random & !(0xf000 << 64) & !(0xc000 << 48) | 0x4000 << 64 | 0x8000 << 48;
    let part = |from: u32, bits: u32| uuid >> from & ((1 << bits) - 1);
    Arc::from(format!(
        "{prefix}-{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        part(96, 32),
        part(80, 16),
        part(64, 16),
        part(48, 16),
        part(0, 48),
    ))
}
