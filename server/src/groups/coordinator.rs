//! The coordinator of a shard: its partitions of `__consumer_offsets`, the groups that belong to
//! them, and the bounds on what they take.
//!
//! INVARIANT: what changes durable state comes out as an append; its answer waits until
//! [`Coordinator::resolved`] says that the append is durable. Appends of one partition resolve in
//! the order they came out.

use super::appending;
use super::effects::{Effect, JoinAnswer, Now, Step, SyncAnswer};
use super::group::Group;
use super::loading::Loading;
use super::offsets_topic::partition_of;
use super::snapshot::Snapshot;
use crate::config::GroupSettings;
use crate::protocol::ErrorCode;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The coordinator.
#[derive(Debug)]
pub struct Coordinator {
    pub(super) settings: GroupSettings,
    pub(super) bytes_max: usize,
    pub(super) bytes: usize,
    pub(super) partition_count: i32,
    pub(super) partitions: BTreeMap<i32, Partition>,
    pub(super) groups: BTreeMap<Arc<str>, Group>,
    pub(super) alarms: BTreeSet<(u64, Arc<str>)>,
    pub(super) effects: Vec<Effect>,
    pub(super) cleanup_ns: u64,
    /// The cleanup goes on behind this group.
    pub(super) cleanup_from: Option<Arc<str>>,
}

/// A partition of `__consumer_offsets` that this shard leads.
#[derive(Debug)]
pub(super) struct Partition {
    pub(super) phase: Phase,
    /// Bytes appended since the last snapshot began.
    pub(super) log_bytes: usize,
    pub(super) last_snapshot_bytes: usize,
    pub(super) snapshot: Option<Snapshot>,
}

#[derive(Debug)]
pub(super) enum Phase {
    Loading(Loading),
    Active,
    /// Its log cannot be read.
    Failed,
}

impl Coordinator {
    /// A coordinator without partitions.
    #[must_use]
    pub const fn new(settings: GroupSettings, bytes_max: usize) -> Self {
        Self {
            settings,
            bytes_max,
            bytes: 0,
            partition_count: 0,
            partitions: BTreeMap::new(),
            groups: BTreeMap::new(),
            alarms: BTreeSet::new(),
            effects: Vec::new(),
            cleanup_ns: u64::MAX,
            cleanup_from: None,
        }
    }

    /// Moves what has to be done into `out`.
    pub fn drain_effects(&mut self, out: &mut Vec<Effect>) {
        out.append(&mut self.effects);
    }

    /// Memory that groups take, about.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// When `tick` has something to do.
    #[must_use]
    pub fn next_deadline_ns(&self) -> Option<u64> {
        let alarm = self.alarms.first().map(|(at, _)| *at);
        let cleanup = Some(self.cleanup_ns).filter(|at| *at != u64::MAX);
        [alarm, cleanup].into_iter().flatten().min()
    }

    /// The partitions of the topic that are here; the others' groups are forgotten. New ones have
    /// to be loaded, and are returned.
    pub fn assign(&mut self, partition_count: i32, mine: &BTreeSet<i32>, now: Now) -> Vec<i32> {
        self.partition_count = partition_count;
        let gone: Vec<_> = self
            .partitions
            .keys()
            .filter(|index| !mine.contains(index))
            .copied()
            .collect();
        for index in gone {
            self.partitions.remove(&index);
            self.drop_groups_of(index);
        }
        let mut new = Vec::new();
        for index in mine {
            if !self.partitions.contains_key(index) {
                let partition = Partition {
                    phase: Phase::Loading(Loading::default()),
                    log_bytes: 0,
                    last_snapshot_bytes: 0,
                    snapshot: None,
                };
                self.partitions.insert(*index, partition);
                new.push(*index);
            }
        }
        if self.cleanup_ns == u64::MAX && !self.partitions.is_empty() {
            self.cleanup_ns = now.after_ms(self.settings.retention_check_ms);
        }
        new
    }

    fn drop_groups_of(&mut self, index: i32) {
        let of_it = self.groups.values().filter(|it| it.partition == index);
        let group_ids: Vec<_> = of_it.map(|group| Arc::clone(&group.group_id)).collect();
        for group_id in group_ids {
            let Some(group) = self.groups.remove(&group_id) else {
                continue;
            };
            self.bytes = self.bytes.saturating_sub(group.bytes());
            self.alarms.remove(&(group.alarm_ns, group_id));
            for member in group.members.values() {
                if let Some(asker) = member.awaiting_join {
                    let answer = JoinAnswer::refused(ErrorCode::NotCoordinator, &member.member_id);
                    self.effects.push(Effect::Joined(asker, Box::new(answer)));
                }
                if let Some(asker) = member.awaiting_sync {
                    let answer = SyncAnswer::refused(ErrorCode::NotCoordinator);
                    self.effects.push(Effect::Synced(asker, answer));
                }
            }
        }
    }

    /// A record of a partition that is being loaded.
    pub fn load_record(&mut self, index: i32, key: &[u8], value: Option<&[u8]>, now: Now) {
        if let Some(partition) = self.partitions.get_mut(&index)
            && let Phase::Loading(loading) = &mut partition.phase
        {
            partition.log_bytes += key.len() + value.map_or(0, <[u8]>::len);
            loading.record(index, key, value, now);
        }
    }

    /// All records were given. Offsets of topics that are not there any more are deleted.
    pub fn loaded(&mut self, index: i32, is_topic: impl Fn(&str) -> bool, now: Now) {
        let Some(partition) = self.partitions.get_mut(&index) else {
            return;
        };
        let Phase::Loading(loading) = std::mem::replace(&mut partition.phase, Phase::Active) else {
            return;
        };
        let groups = loading.finish(now);
        let group_ids: Vec<_> = groups.iter().map(|it| Arc::clone(&it.group_id)).collect();
        for group in groups {
            self.bytes += group.bytes();
            self.groups.insert(Arc::clone(&group.group_id), group);
        }
        for group_id in group_ids {
            self.with_group(&group_id, now, |_, _| ());
            let group = self.groups.get(&group_id);
            let gone = group.map(|it| it.offsets.deletions(|topic, _| !is_topic(topic)));
            self.append_changes(&group_id, gone.unwrap_or_default(), None, now);
        }
        self.maybe_snapshot(index, now);
    }

    /// The partition's log cannot be read: its groups stay unavailable.
    pub fn load_failed(&mut self, index: i32) {
        if let Some(partition) = self.partitions.get_mut(&index) {
            partition.phase = Phase::Failed;
        }
    }

    /// Whether some partition is still being read.
    #[must_use]
    pub fn is_loading(&self) -> bool {
        let mut partitions = self.partitions.values();
        partitions.any(|partition| matches!(partition.phase, Phase::Loading(_)))
    }

    /// The group's partition, when it can be worked with here.
    ///
    /// # Errors
    /// `INVALID_GROUP_ID`, `NOT_COORDINATOR`, `COORDINATOR_LOAD_IN_PROGRESS`,
    /// `COORDINATOR_NOT_AVAILABLE`.
    pub fn partition(&self, group_id: &str) -> Result<i32, ErrorCode> {
        let index = partition_of(group_id, self.partition_count);
        match self.partitions.get(&index).map(|it| &it.phase) {
            None => Err(ErrorCode::NotCoordinator),
            Some(Phase::Loading(_)) => Err(ErrorCode::CoordinatorLoadInProgress),
            Some(Phase::Failed) => Err(ErrorCode::CoordinatorNotAvailable),
            Some(Phase::Active) => Ok(index),
        }
    }

    pub(super) fn named(&self, group_id: &str) -> Result<i32, ErrorCode> {
        if group_id.is_empty() {
            return Err(ErrorCode::InvalidGroupId);
        }
        self.partition(group_id)
    }

    pub(super) fn check_room(&self, added: usize) -> Result<(), ErrorCode> {
        if added > 0 && self.bytes.saturating_add(added) > self.bytes_max {
            log::debug!(
                "groups take {} of {} bytes; {added} more are refused",
                self.bytes,
                self.bytes_max
            );
            return Err(ErrorCode::CoordinatorNotAvailable);
        }
        Ok(())
    }

    pub(super) fn make_group(
        &mut self,
        group_id: &str,
        partition: i32,
        now: Now,
    ) -> Result<(), ErrorCode> {
        if !self.groups.contains_key(group_id) {
            let group_id: Arc<str> = Arc::from(group_id);
            let group = Group::new(Arc::clone(&group_id), partition, now);
            self.check_room(group.bytes())?;
            self.bytes += group.bytes();
            self.groups.insert(group_id, group);
        }
        Ok(())
    }

    /// Lets a group do something; then counts its memory, sets its alarm, appends its state if it
    /// wants that, and forgets it when it has nothing.
    pub(super) fn with_group<T>(
        &mut self,
        group_id: &str,
        now: Now,
        act: impl FnOnce(&mut Group, &mut Step<'_>) -> T,
    ) -> Option<T> {
        let group = self.groups.get_mut(group_id)?;
        let before = group.bytes();
        let first = self.effects.len();
        let mut step = Step {
            now,
            settings: &self.settings,
            effects: &mut self.effects,
        };
        let result = act(group, &mut step);
        let mut log_bytes = 0;
        for effect in self.effects.split_off(first) {
            let effect = match effect {
                Effect::Store(stored) => {
                    let append = appending::state_of(group, stored, now);
                    log_bytes += append.batch.len();
                    Effect::Append(Box::new(append))
                }
                other => other,
            };
            self.effects.push(effect);
        }
        let partition = group.partition;
        self.bytes = (self.bytes + group.bytes()).saturating_sub(before);
        if group.is_unused() {
            self.forget(group_id);
        } else if group.wake_ns < group.alarm_ns {
            let name = Arc::clone(&group.group_id);
            self.alarms.remove(&(group.alarm_ns, Arc::clone(&name)));
            group.alarm_ns = group.wake_ns;
            self.alarms.insert((group.alarm_ns, name));
        }
        if log_bytes > 0 {
            self.count_log(partition, log_bytes, now);
        }
        Some(result)
    }

    pub(super) fn forget(&mut self, group_id: &str) {
        if let Some(group) = self.groups.remove(group_id) {
            self.bytes = self.bytes.saturating_sub(group.bytes());
            self.alarms.remove(&(group.alarm_ns, group.group_id));
        }
    }
}
