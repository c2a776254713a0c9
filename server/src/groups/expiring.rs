//! What time does to a group: sessions end, phases are over, offsets are forgotten (KIP-211).

use super::committed_offsets::CommittedOffset;
use super::effects::{OffsetChange, Step};
use super::group::{CONSUMER, Group, State};
use std::sync::Arc;

impl Group {
    /// Does everything whose time has come, and says when to look again.
    pub(super) fn expire(&mut self, step: &mut Step<'_>) {
        let now_ns = step.now.ns;
        let pending = self.pending.len();
        self.pending.retain(|_, deadline_ns| *deadline_ns > now_ns);
        if self.pending.len() < pending {
            self.maybe_complete_join(step);
        }
        let due: Vec<_> = self
            .members
            .values()
            .filter(|member| member.deadline_ns <= now_ns)
            .map(|member| Arc::clone(&member.member_id))
            .collect();
        for member_id in due {
            let member = self.members.get(&member_id);
            // Whoever waits for the coordinator cannot send heartbeats.
            if member.is_some_and(|member| !member.is_new && member.is_awaiting()) {
                self.renew_session(&member_id, step.now);
            } else {
                log::info!("group {}: session of {member_id} ended", self.group_id);
                self.remove_and_rebalance(&member_id, step);
            }
        }
        if self
            .rebalance
            .as_ref()
            .is_some_and(|it| it.deadline_ns <= now_ns)
        {
            self.join_time_is_over(step);
        }
        if self.sync_deadline_ns.is_some_and(|at| at <= now_ns) {
            self.sync_time_is_over(step);
        }
        self.wake_ns = self.next_deadline_ns();
    }

    fn next_deadline_ns(&self) -> u64 {
        let pending = self.pending.values().copied();
        let members = self.members.values().map(|member| member.deadline_ns);
        let phases = [
            self.rebalance.as_ref().map(|it| it.deadline_ns),
            self.sync_deadline_ns,
        ];
        let phases = phases.into_iter().flatten();
        pending
            .chain(members)
            .chain(phases)
            .min()
            .unwrap_or(u64::MAX)
    }

    /// Deletions of the offsets that nobody has needed for `offsets.retention.minutes`.
    pub(super) fn expired_offsets(&self, retention_ms: i64, now_ms: i64) -> Vec<OffsetChange> {
        let is_over = |since_ms: i64| now_ms >= since_ms.saturating_add(retention_ms);
        let is_expired = |topic: &str, offset: &CommittedOffset| {
            if let Some(expire_ms) = offset.expire_ms {
                return now_ms >= expire_ms;
            }
            match (&self.protocol_type, self.state) {
                // Committed without a group: each on its own.
                (None, _) => is_over(offset.commit_ms),
                (Some(_), State::Empty) => is_over(self.state_since_ms.max(offset.commit_ms)),
                (Some(kind), State::Stable) => {
                    **kind == *CONSUMER
                        && self.subscribed.is_some()
                        && !self.is_subscribed(topic)
                        && is_over(offset.commit_ms)
                }
                (Some(_), _) => false,
            }
        };
        self.offsets.deletions(is_expired)
    }
}
