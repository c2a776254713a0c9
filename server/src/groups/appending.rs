//! The coordinator's way to the log and back: records out, what became of them in, and the
//! snapshots that keep the log short.

use super::coordinator::{Coordinator, Phase};
use super::effects::{Append, Asker, Effect, Now, OffsetChange, Pending, Stored};
use super::group::{Group, State};
use super::record_format::{group_key, group_value, offset_key, offset_value};
use super::snapshot::{Piece, Snapshot};
use crate::protocol::ErrorCode;
use millrace_engine::record_batch::builder::BatchBuilder;
use std::sync::Arc;

impl Coordinator {
    pub(super) fn append_changes(
        &mut self,
        group_id: &Arc<str>,
        changes: Vec<OffsetChange>,
        asker: Option<Asker>,
        now: Now,
    ) {
        if !changes.is_empty() {
            self.append_offsets(group_id, changes, (asker, false), now);
        }
    }

    /// Deletes a group with all it has: dead from now on, gone when that is durable.
    pub(super) fn append_deletion(
        &mut self,
        group_id: &Arc<str>,
        changes: Vec<OffsetChange>,
        asker: Option<Asker>,
        now: Now,
    ) {
        if let Some(group) = self.groups.get_mut(group_id) {
            group.transition(State::Dead, now);
            group.pending.clear();
            // No snapshot may bring it back.
            let stored = group.stored.take().map_or(0, |stored| stored.len());
            self.bytes = self.bytes.saturating_sub(stored);
        }
        self.append_offsets(group_id, changes, (asker, true), now);
    }

    fn append_offsets(
        &mut self,
        group_id: &Arc<str>,
        changes: Vec<OffsetChange>,
        (asker, is_group_deleted): (Option<Asker>, bool),
        now: Now,
    ) {
        let Some(group) = self.groups.get_mut(group_id) else {
            return;
        };
        let before = group.bytes();
        let mut builder = BatchBuilder::default();
        let mut places = Vec::with_capacity(changes.len());
        for (topic, partition, offset) in changes {
            let key = offset_key(group_id, &topic, partition);
            let value = offset.as_ref().map(offset_value);
            builder.push(now.wall_ms, Some(&key), value.as_deref(), &[]);
            places.push((Arc::clone(&topic), partition));
            group.offsets.stage(&topic, partition, offset);
        }
        if is_group_deleted {
            builder.push(now.wall_ms, Some(&group_key(group_id)), None, &[]);
        }
        group.pending_appends += 1;
        let partition = group.partition;
        self.bytes = (self.bytes + group.bytes()).saturating_sub(before);
        let pending = Pending::Offsets {
            group_id: Arc::clone(group_id),
            places,
            is_group_deleted,
            asker,
        };
        match builder.build() {
            Ok(batch) => {
                let log_bytes = batch.len();
                let append = Append {
                    partition,
                    batch,
                    pending,
                };
                self.effects.push(Effect::Append(Box::new(append)));
                self.count_log(partition, log_bytes, now);
            }
            Err(error) => {
                log::warn!("group {group_id}: {error}");
                self.resolved(pending, Err(ErrorCode::InvalidCommitOffsetSize), now);
            }
        }
    }

    /// An append of this coordinator is durable, or will never be.
    pub fn resolved(&mut self, pending: Pending, result: Result<(), ErrorCode>, now: Now) {
        match pending {
            Pending::Group(group_id, stored) => {
                self.with_group(&group_id, now, |group, step| {
                    group.store_resolved(stored, result, step);
                });
            }
            Pending::Offsets {
                group_id,
                places,
                is_group_deleted,
                asker,
            } => {
                self.with_group(&group_id, now, |group, _| {
                    group.pending_appends = group.pending_appends.saturating_sub(1);
                    for (topic, partition) in places {
                        group.offsets.settle(&topic, partition, result.is_ok());
                    }
                });
                if is_group_deleted {
                    self.deletion_resolved(&group_id, result.is_ok(), now);
                }
                if let Some(asker) = asker {
                    let error = result.err().unwrap_or(ErrorCode::None);
                    self.effects.push(Effect::Answered(asker, error));
                }
            }
            Pending::Snapshot(index) => self.piece_resolved(index, result.is_ok(), now),
        }
    }

    fn deletion_resolved(&mut self, group_id: &Arc<str>, is_durable: bool, now: Now) {
        if is_durable {
            self.forget(group_id);
        } else {
            // It stays, as if nothing had been asked.
            self.with_group(group_id, now, |group, step| {
                group.stored = Some(Arc::from(group_value(group)));
                group.transition(State::Empty, step.now);
            });
        }
    }

    pub(super) fn count_log(&mut self, index: i32, bytes: usize, now: Now) {
        if let Some(partition) = self.partitions.get_mut(&index) {
            partition.log_bytes += bytes;
        }
        self.maybe_snapshot(index, now);
    }

    pub(super) fn maybe_snapshot(&mut self, index: i32, now: Now) {
        let bytes_min = self.settings.snapshot_bytes_min;
        let Some(partition) = self.partitions.get_mut(&index) else {
            return;
        };
        let is_due = partition.log_bytes > bytes_min.max(2 * partition.last_snapshot_bytes)
            && partition.snapshot.is_none()
            && matches!(partition.phase, Phase::Active);
        if is_due {
            partition.log_bytes = 0;
            partition.snapshot = Some(Snapshot::default());
            self.next_piece(index, now);
        }
    }

    fn next_piece(&mut self, index: i32, now: Now) {
        let Some(partition) = self.partitions.get_mut(&index) else {
            return;
        };
        let Some(snapshot) = &mut partition.snapshot else {
            return;
        };
        loop {
            match snapshot.next_piece(index, &self.groups, now.wall_ms) {
                Piece::Nothing => {}
                Piece::Batch(batch) => {
                    let append = Append {
                        partition: index,
                        batch,
                        pending: Pending::Snapshot(index),
                    };
                    self.effects.push(Effect::Append(Box::new(append)));
                    return;
                }
                Piece::End => break,
            }
        }
        partition.last_snapshot_bytes = snapshot.bytes;
        let start = snapshot.start;
        partition.snapshot = None;
        self.effects.push(Effect::Trim {
            partition: index,
            offset: start,
        });
    }

    /// Where the log put a piece.
    pub fn piece_appended(&mut self, index: i32, base_offset: i64) {
        let snapshot = self.partitions.get_mut(&index);
        if let Some(snapshot) = snapshot.and_then(|it| it.snapshot.as_mut()) {
            snapshot.start.get_or_insert(base_offset);
        }
    }

    fn piece_resolved(&mut self, index: i32, is_durable: bool, now: Now) {
        if is_durable {
            return self.next_piece(index, now);
        }
        if let Some(partition) = self.partitions.get_mut(&index) {
            log::warn!("__consumer_offsets-{index}: the snapshot was given up");
            partition.snapshot = None;
        }
    }
}

/// An append of the group's state as it is now.
pub(super) fn state_of(group: &mut Group, stored: Stored, now: Now) -> Append {
    let value = group_value(group);
    let mut builder = BatchBuilder::default();
    let key = group_key(&group.group_id);
    builder.push(now.wall_ms, Some(&key), Some(&value), &[]);
    group.stored = Some(Arc::from(value));
    Append {
        partition: group.partition,
        // Too large for any batch: the append of nothing is refused, and the group told so.
        batch: builder.build().unwrap_or_default(),
        pending: Pending::Group(Arc::clone(&group.group_id), stored),
    }
}
