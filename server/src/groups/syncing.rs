//! The second phase of a rebalance: the leader assigns, the assignment becomes durable, and
//! everyone gets their part.

use super::effects::{Effect, Step, Stored, Sync, SyncAnswer};
use super::group::{Group, State};
use crate::protocol::ErrorCode;
use std::collections::BTreeMap;
use std::sync::Arc;

impl Group {
    /// A SyncGroup request.
    pub(super) fn sync(&mut self, sync: &Sync<'_>, step: &mut Step<'_>) {
        let error = match self.check_sync(sync) {
            Err(error) => error,
            Ok(State::Stable) => {
                self.pending_sync.remove(sync.member.member_id);
                let answer = self.assigned(sync.member.member_id);
                return step.effects.push(Effect::Synced(sync.asker, answer));
            }
            Ok(State::CompletingRebalance) => return self.sync_waits(sync, step),
            Ok(State::PreparingRebalance) => ErrorCode::RebalanceInProgress,
            Ok(State::Empty | State::Dead) => ErrorCode::UnknownMemberId,
        };
        let answer = SyncAnswer::refused(error);
        step.effects.push(Effect::Synced(sync.asker, answer));
    }

    fn check_sync(&self, sync: &Sync<'_>) -> Result<State, ErrorCode> {
        self.check_generation(sync.member)?;
        let differs =
            |said: Option<&str>, is: &Option<Arc<str>>| said.is_some() && said != is.as_deref();
        if differs(sync.protocol_type, &self.protocol_type)
            || differs(sync.protocol_name, &self.protocol_name)
        {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        Ok(self.state)
    }

    fn sync_waits(&mut self, sync: &Sync<'_>, step: &mut Step<'_>) {
        let member_id = sync.member.member_id;
        self.pending_sync.remove(member_id);
        if let Some(member) = self.members.get_mut(member_id)
            && let Some(before) = member.awaiting_sync.replace(sync.asker)
        {
            let answer = SyncAnswer::refused(ErrorCode::RebalanceInProgress);
            step.effects.push(Effect::Synced(before, answer));
        }
        if self.is_leader(member_id) && !self.is_storing {
            let given: BTreeMap<&str, &[u8]> = sync.assignments.iter().copied().collect();
            self.assign(|member_id| given.get(member_id).copied().unwrap_or_default());
            self.is_storing = true;
            let stored = Stored::Assignment(self.generation);
            step.effects.push(Effect::Store(stored));
        }
    }

    /// Bytes of all assignments that there are.
    pub(super) fn assignment_bytes(&self) -> usize {
        self.members.values().map(|it| it.assignment.len()).sum()
    }

    fn assign<'a>(&mut self, given: impl Fn(&str) -> &'a [u8]) {
        for member in self.members.values_mut() {
            self.member_bytes = self.member_bytes.saturating_sub(member.assignment.len());
            member.assignment = Arc::from(given(&member.member_id));
            self.member_bytes += member.assignment.len();
        }
    }

    /// The group's state is durable, or will never be.
    pub(super) fn store_resolved(
        &mut self,
        stored: Stored,
        result: Result<(), ErrorCode>,
        step: &mut Step<'_>,
    ) {
        match stored {
            Stored::Empty => {
                if let Err(error) = result {
                    log::warn!("group {}: state not stored: {error}", self.group_id);
                }
            }
            Stored::Replaced(asker, mut answer) => {
                if let Err(error) = result {
                    *answer = super::effects::JoinAnswer::refused(error, &answer.member_id);
                }
                step.effects.push(Effect::Joined(asker, answer));
            }
            Stored::Assignment(generation) => {
                let is_current =
                    self.state == State::CompletingRebalance && self.generation == generation;
                if !is_current {
                    return;
                }
                self.is_storing = false;
                match result {
                    Ok(()) => self.hand_out(step),
                    Err(error) => {
                        self.fail_syncs(error, step);
                        self.begin_rebalance(step);
                    }
                }
            }
        }
    }

    fn hand_out(&mut self, step: &mut Step<'_>) {
        self.transition(State::Stable, step.now);
        let member_ids: Vec<_> = self.members.keys().cloned().collect();
        for member_id in member_ids {
            let waiting = self.members.get_mut(&member_id);
            let waiting = waiting.and_then(|member| member.awaiting_sync.take());
            if let Some(asker) = waiting {
                let answer = self.assigned(&member_id);
                step.effects.push(Effect::Synced(asker, answer));
                self.renew_session(&member_id, step.now);
            }
        }
    }

    fn assigned(&self, member_id: &str) -> SyncAnswer {
        let assignment = self.members.get(member_id).map(|it| &it.assignment);
        SyncAnswer {
            error: ErrorCode::None,
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol_name.clone(),
            assignment: assignment.map_or_else(|| Arc::from([].as_slice()), Arc::clone),
        }
    }

    /// Nobody gets an assignment of this generation.
    pub(super) fn fail_syncs(&mut self, error: ErrorCode, step: &mut Step<'_>) {
        self.assign(|_| &[]);
        let member_ids: Vec<_> = self.members.keys().cloned().collect();
        for member_id in member_ids {
            let waiting = self.members.get_mut(&member_id);
            let waiting = waiting.and_then(|member| member.awaiting_sync.take());
            if let Some(asker) = waiting {
                let answer = SyncAnswer::refused(error);
                step.effects.push(Effect::Synced(asker, answer));
                self.renew_session(&member_id, step.now);
            }
        }
    }

    /// Members that joined and did not sync in time are out.
    pub(super) fn sync_time_is_over(&mut self, step: &mut Step<'_>) {
        self.sync_deadline_ns = None;
        if !matches!(self.state, State::CompletingRebalance | State::Stable) {
            return;
        }
        let late = std::mem::take(&mut self.pending_sync);
        if late.is_empty() {
            return;
        }
        for member_id in &late {
            self.remove_member(member_id, step);
        }
        self.begin_rebalance(step);
    }
}
