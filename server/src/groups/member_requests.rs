//! The requests of a group's members, at the coordinator.

use super::coordinator::Coordinator;
use super::effects::{Effect, Join, JoinAnswer, MemberRef, Now, Sync, SyncAnswer};
use super::group::State;
use super::member::join_bytes;
use crate::protocol::ErrorCode;

impl Coordinator {
    /// JoinGroup; answered by an effect.
    pub fn join(&mut self, join: &Join<'_>, now: Now) {
        if let Err(error) = self.try_join(join, now) {
            let answer = JoinAnswer::refused(error, join.member_id);
            self.effects
                .push(Effect::Joined(join.asker, Box::new(answer)));
        }
    }

    fn try_join(&mut self, join: &Join<'_>, now: Now) -> Result<(), ErrorCode> {
        let partition = self.named(join.group_id)?;
        let settings = &self.settings;
        let allowed = settings.session_timeout_ms_min..=settings.session_timeout_ms_max;
        if !allowed.contains(&join.session_timeout_ms) {
            return Err(ErrorCode::InvalidSessionTimeout);
        }
        if !self.groups.contains_key(join.group_id) && !join.member_id.is_empty() {
            return Err(ErrorCode::UnknownMemberId);
        }
        // A member that joins again adds what it says more than before.
        let known = self.groups.get(join.group_id);
        let known = known.and_then(|group| group.members.get(join.member_id));
        let known = known.map_or(0, |member| 2 * member.bytes());
        self.check_room(join_bytes(join).saturating_sub(known))?;
        self.make_group(join.group_id, partition, now)?;
        self.with_group(join.group_id, now, |group, step| group.join(join, step));
        Ok(())
    }

    /// SyncGroup; answered by an effect.
    pub fn sync(&mut self, sync: &Sync<'_>, now: Now) {
        if let Err(error) = self.try_sync(sync, now) {
            let answer = SyncAnswer::refused(error);
            self.effects.push(Effect::Synced(sync.asker, answer));
        }
    }

    fn try_sync(&mut self, sync: &Sync<'_>, now: Now) -> Result<(), ErrorCode> {
        self.named(sync.group_id)?;
        let assigned: usize = sync.assignments.iter().map(|(_, bytes)| bytes.len()).sum();
        let group = self.groups.get(sync.group_id);
        let before = group.map_or(0, |group| group.assignment_bytes());
        self.check_room((2 * assigned).saturating_sub(2 * before))?;
        self.with_group(sync.group_id, now, |group, step| group.sync(sync, step))
            .ok_or(ErrorCode::UnknownMemberId)
    }

    /// Heartbeat. Allocates nothing.
    ///
    /// # Errors
    /// What the member has to do something about.
    pub fn heartbeat(
        &mut self,
        group_id: &str,
        member: MemberRef<'_>,
        now: Now,
    ) -> Result<(), ErrorCode> {
        self.named(group_id)?;
        let group = self.groups.get_mut(group_id);
        group
            .ok_or(ErrorCode::UnknownMemberId)?
            .heartbeat(member, now)
    }

    /// LeaveGroup, member by member (id, instance id).
    ///
    /// # Errors
    /// What holds for all of them; what became of each is inside.
    pub fn leave(
        &mut self,
        group_id: &str,
        members: &[(&str, Option<&str>)],
        now: Now,
    ) -> Result<Vec<Result<(), ErrorCode>>, ErrorCode> {
        self.named(group_id)?;
        let left = self.with_group(group_id, now, |group, step| {
            if group.state == State::Dead {
                return Err(ErrorCode::CoordinatorNotAvailable);
            }
            let left = members.iter();
            Ok(left
                .map(|(member_id, instance_id)| group.leave(member_id, *instance_id, step))
                .collect())
        });
        left.unwrap_or_else(|| Ok(vec![Err(ErrorCode::UnknownMemberId); members.len()]))
    }
}
