//! What time does to all groups of a shard.

use super::coordinator::Coordinator;
use super::effects::Now;
use super::group::{Group, State};
use std::ops::Bound;
use std::sync::Arc;

/// Groups whose offsets are looked at in one step of the cleanup.
const CLEANUP_GROUPS_MAX: usize = 200;

impl Coordinator {
    /// Does what is due.
    pub fn tick(&mut self, now: Now) {
        while let Some((at, group_id)) = self.alarms.first()
            && *at <= now.ns
        {
            let group_id = Arc::clone(group_id);
            self.alarms.pop_first();
            if let Some(group) = self.groups.get_mut(&group_id) {
                group.alarm_ns = u64::MAX;
            }
            self.with_group(&group_id, now, Group::expire);
        }
        if now.ns >= self.cleanup_ns {
            self.clean_up(now);
        }
    }

    /// Forgets expired offsets and groups that have nothing left, some groups at a time.
    fn clean_up(&mut self, now: Now) {
        let from = self.cleanup_from.take();
        let lower = from.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let rest = self.groups.range::<str, _>((lower, Bound::Unbounded));
        let some: Vec<_> = rest
            .take(CLEANUP_GROUPS_MAX)
            .map(|(id, _)| Arc::clone(id))
            .collect();
        for group_id in &some {
            let Some(group) = self.groups.get(group_id) else {
                continue;
            };
            let expired = group.expired_offsets(self.settings.offsets_retention_ms, now.wall_ms);
            self.append_changes(group_id, expired, None, now);
            let is_over = self.groups.get(group_id).is_some_and(|group| {
                group.state == State::Empty
                    && group.pending.is_empty()
                    && !group.offsets.has_latest()
            });
            if is_over {
                self.append_deletion(group_id, Vec::new(), None, now);
            }
        }
        if some.len() == CLEANUP_GROUPS_MAX {
            self.cleanup_from = some.last().cloned();
        } else {
            self.cleanup_ns = now.after_ms(self.settings.retention_check_ms);
        }
    }
}
