//! Committed offsets and whole groups, at the coordinator: commit, fetch, delete, describe, list.

use super::committed_offsets::{CommittedOffset, CommittedOffsets};
use super::coordinator::Coordinator;
use super::describing::{DescribedGroup, ListedGroup};
use super::effects::{Asker, Effect, MemberRef, Now, OffsetChange};
use super::group::{Group, State};
use crate::protocol::ErrorCode;
use std::sync::Arc;

/// An offset that a request commits.
#[derive(Clone, Copy, Debug)]
pub struct Commit<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The partition.
    pub partition: i32,
    /// The next offset to read.
    pub offset: i64,
    /// Leader epoch of the last record read, -1 for none.
    pub leader_epoch: i32,
    /// What the client wrote beside it.
    pub metadata: &'a str,
}

impl Coordinator {
    /// OffsetCommit; `Answered` follows when it is durable.
    ///
    /// # Errors
    /// Why nothing is committed.
    pub fn commit(
        &mut self,
        (asker, group_id): (Asker, &str),
        member: MemberRef<'_>,
        commits: &[Commit<'_>],
        expire_ms: Option<i64>,
        now: Now,
    ) -> Result<(), ErrorCode> {
        let partition = self.partition(group_id)?;
        match self.groups.get_mut(group_id) {
            Some(group) => group.check_commit(member, now)?,
            None if member.generation >= 0 => return Err(ErrorCode::IllegalGeneration),
            None => {}
        }
        if commits.is_empty() {
            self.effects.push(Effect::Answered(asker, ErrorCode::None));
            return Ok(());
        }
        let none = CommittedOffsets::default();
        let known = self.groups.get(group_id).map_or(&none, |it| &it.offsets);
        let added = commits
            .iter()
            .map(|it| known.added_bytes(it.topic, it.partition, it.metadata.len()));
        self.check_room(added.sum())?;
        self.make_group(group_id, partition, now)?;
        let mut changes: Vec<OffsetChange> = Vec::with_capacity(commits.len());
        for commit in commits {
            let topic = match changes.last() {
                Some((topic, ..)) if **topic == *commit.topic => Arc::clone(topic),
                _ => Arc::from(commit.topic),
            };
            let offset = CommittedOffset {
                offset: commit.offset,
                leader_epoch: commit.leader_epoch,
                metadata: Arc::from(commit.metadata),
                commit_ms: now.wall_ms,
                expire_ms,
            };
            changes.push((topic, commit.partition, Some(offset)));
        }
        self.append_changes(&Arc::from(group_id), changes, Some(asker), now);
        Ok(())
    }

    /// OffsetDelete. The result says of each partition what is wrong; `Answered` follows when
    /// those that can be deleted are, durably.
    ///
    /// # Errors
    /// Why nothing is deleted.
    pub fn delete_offsets(
        &mut self,
        (asker, group_id): (Asker, &str),
        partitions: &[(&str, i32)],
        now: Now,
    ) -> Result<Vec<ErrorCode>, ErrorCode> {
        self.named(group_id)?;
        let group = self.groups.get(group_id);
        let group = group.ok_or(ErrorCode::GroupIdNotFound)?;
        group.check_offset_deletion()?;
        let mut changes = Vec::new();
        let mut codes = Vec::with_capacity(partitions.len());
        for (topic, partition) in partitions {
            if group.is_subscribed(topic) {
                codes.push(ErrorCode::GroupSubscribedToTopic);
                continue;
            }
            codes.push(ErrorCode::None);
            changes.extend(group.offsets.deletion_of(topic, *partition));
        }
        let group_id = Arc::clone(&group.group_id);
        if changes.is_empty() {
            self.effects.push(Effect::Answered(asker, ErrorCode::None));
        } else {
            self.append_changes(&group_id, changes, Some(asker), now);
        }
        Ok(codes)
    }

    /// DeleteGroups; `Answered` follows when it is durable.
    ///
    /// # Errors
    /// Why the group stays.
    pub fn delete_group(
        &mut self,
        asker: Asker,
        group_id: &str,
        now: Now,
    ) -> Result<(), ErrorCode> {
        self.partition(group_id)?;
        let group = self.groups.get(group_id);
        let group = group.ok_or(ErrorCode::GroupIdNotFound)?;
        let changes = group.deletion()?;
        let group_id = Arc::clone(&group.group_id);
        self.append_deletion(&group_id, changes, Some(asker), now);
        Ok(())
    }

    /// Committed offsets as readers see them, by topic and partition.
    ///
    /// # Errors
    /// Why they cannot be told. A group that is not there has none.
    pub fn committed(&self, group_id: &str) -> Result<Option<&Group>, ErrorCode> {
        self.partition(group_id)?;
        let group = self.groups.get(group_id);
        Ok(group.filter(|group| group.state != State::Dead))
    }

    /// DescribeGroups for one group; `None`: it is not there.
    ///
    /// # Errors
    /// Why it cannot be told.
    pub fn describe(&self, group_id: &str) -> Result<Option<DescribedGroup>, ErrorCode> {
        self.partition(group_id)?;
        Ok(self.groups.get(group_id).map(Group::describe))
    }

    /// ListGroups for this shard.
    #[must_use]
    pub fn list(&self) -> Vec<ListedGroup> {
        self.groups.values().map(Group::list).collect()
    }

    /// Topics were deleted: their offsets go.
    pub fn topics_deleted(&mut self, is_deleted: impl Fn(&str) -> bool, now: Now) {
        let group_ids: Vec<_> = self.groups.keys().cloned().collect();
        for group_id in group_ids {
            let group = self.groups.get(&group_id);
            let gone = group.map(|it| it.offsets.deletions(|topic, _| is_deleted(topic)));
            self.append_changes(&group_id, gone.unwrap_or_default(), None, now);
        }
    }
}

impl Group {
    /// The offset that readers see for a partition.
    #[must_use]
    pub fn offset(&self, topic: &str, partition: i32) -> Option<&CommittedOffset> {
        self.offsets.durable(topic, partition)
    }

    /// All offsets that readers see.
    pub fn all_offsets(&self) -> impl Iterator<Item = (&Arc<str>, i32, &CommittedOffset)> {
        self.offsets.all_durable()
    }
}
