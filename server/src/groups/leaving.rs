//! LeaveGroup.

use super::effects::Step;
use super::group::{Group, State};
use crate::protocol::ErrorCode;
use std::sync::Arc;

impl Group {
    /// One member leaves, or an administrator takes a static one out by its instance id alone.
    ///
    /// # Errors
    /// Why it stays.
    pub(super) fn leave(
        &mut self,
        member_id: &str,
        instance_id: Option<&str>,
        step: &mut Step<'_>,
    ) -> Result<(), ErrorCode> {
        if member_id.is_empty()
            && let Some(instance_id) = instance_id
        {
            let known = self.instances.get(instance_id);
            let member_id = known.cloned().ok_or(ErrorCode::UnknownMemberId)?;
            self.remove_and_rebalance(&member_id, step);
            return Ok(());
        }
        if self.pending.remove(member_id).is_some() {
            self.maybe_complete_join(step);
            return Ok(());
        }
        self.check_member(member_id, instance_id)?;
        self.remove_and_rebalance(&Arc::from(member_id), step);
        Ok(())
    }

    /// A member is out; the others share its part.
    pub(super) fn remove_and_rebalance(&mut self, member_id: &Arc<str>, step: &mut Step<'_>) {
        self.remove_member(member_id, step);
        match self.state {
            State::CompletingRebalance | State::Stable => self.begin_rebalance(step),
            State::PreparingRebalance => self.maybe_complete_join(step),
            State::Empty | State::Dead => {}
        }
    }
}
