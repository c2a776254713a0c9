//! Changes that are not records: partitions, registry, log start, retention. Each becomes a
//! control record in a commit and is durable when that commit resolves.

use super::{ControlError, Event, Life, Shard, WaitingControl};
use crate::ids::{PartitionHandle, Ticket, TopicId};
use crate::io::Io;
use crate::journal::control::Control;
use crate::partition::{LogOffsets, Partition, PartitionConfig, PartitionSpec};

/// Largest key and value of a registry entry together.
const REGISTRY_BYTES_MAX: usize = 256 * 1024;
/// Bytes of a control record beside key and value, at most.
const CONTROL_FIXED_BYTES: usize = 256;
/// Partitions that one turn of retention looks at.
const RETENTION_PER_TURN: u32 = 64;

impl Shard {
    /// Creates a partition; `ControlDone` when its creation is durable. Appends may begin at once.
    ///
    /// # Errors
    /// See [`ControlError`].
    pub fn create_partition(
        &mut self,
        _io: &mut Io,
        spec: PartitionSpec,
        ticket: Ticket,
    ) -> Result<(), ControlError> {
        self.check_running()?;
        if self.partitions.get(spec.handle).is_some() {
            return Err(ControlError::Exists);
        }
        let by_memory = self.config.partitions_in_memory_max;
        if self.partitions.len() >= by_memory {
            return Err(ControlError::TooManyForMemory(by_memory));
        }
        if self.partitions.len() >= self.config.partitions_max {
            return Err(ControlError::TooManyPartitions(self.config.partitions_max));
        }
        let handle = spec.handle;
        self.partitions.insert(Partition::new(spec.clone()));
        self.enqueue(handle, Control::Create(spec), CONTROL_FIXED_BYTES, ticket);
        Ok(())
    }

    /// Deletes a partition: it is gone for callers at once. `ControlDone` when the deletion is
    /// durable; appends that were not acknowledged by then fail, and the files are released once
    /// nothing needs them.
    ///
    /// # Errors
    /// See [`ControlError`].
    pub fn delete_partition(
        &mut self,
        _io: &mut Io,
        handle: PartitionHandle,
        ticket: Ticket,
    ) -> Result<(), ControlError> {
        self.check_running()?;
        let slot = self
            .partitions
            .live_mut(handle)
            .ok_or(ControlError::UnknownPartition)?;
        // Until the deletion resolves a checkpoint may still name it, so it is written back.
        slot.is_deleted = true;
        self.registry.remove(&handle);
        self.enqueue(handle, Control::Delete, 0, ticket);
        Ok(())
    }

    /// The deletion is durable: forgets the partition and gives its files up.
    pub(super) fn finish_delete(&mut self, io: &mut Io, handle: PartitionHandle) {
        let Some(mut slot) = self.partitions.remove(handle) else {
            return;
        };
        // What other partitions were just acknowledged does not fail with this one.
        self.tell_acks();
        slot.partition.fail(&mut self.acks);
        self.events
            .extend(self.acks.appends.drain(..).map(Event::AppendFailed));
        self.events
            .extend(self.acks.controls.drain(..).map(Event::ControlFailed));
        self.uncount(io, &slot);
        slot.partition.take_released(&mut self.released);
        self.released.extend(slot.partition.files());
    }

    /// Gives a partition its settings (after `open`, settings are those it had until this is
    /// called).
    ///
    /// # Errors
    /// `UnknownPartition`.
    pub fn configure_partition(
        &mut self,
        handle: PartitionHandle,
        config: PartitionConfig,
    ) -> Result<(), ControlError> {
        let number = self
            .partitions
            .live_number(handle)
            .ok_or(ControlError::UnknownPartition)?;
        if let Some(slot) = self.partitions.at_mut(number) {
            slot.partition.configure(config);
        }
        self.lists.touch(&mut self.partitions, number);
        Ok(())
    }

    /// Handles of all partitions here, ascending.
    #[must_use]
    pub fn partitions(&self) -> Vec<(PartitionHandle, TopicId, i32)> {
        let mut all: Vec<_> = self
            .partitions
            .iter()
            .filter(|(_, slot)| !slot.is_deleted)
            .map(|(_, slot)| (slot.owner.handle, slot.owner.topic_id, slot.owner.index))
            .collect();
        all.sort_unstable_by_key(|(handle, ..)| *handle);
        all
    }

    /// Moves the log start to `offset` (at most the high watermark); `ControlDone` when durable.
    ///
    /// # Errors
    /// See [`ControlError`].
    pub fn advance_log_start(
        &mut self,
        _io: &mut Io,
        handle: PartitionHandle,
        offset: i64,
        ticket: Ticket,
    ) -> Result<(), ControlError> {
        self.check_running()?;
        self.change(handle, |slot| {
            slot.advance_log_start(offset, ticket)
                .map_err(|high_watermark| ControlError::OutOfRange {
                    offset,
                    high_watermark,
                })
        })
    }

    /// Gives fenced ranges of a partition up for lost: readers skip them and appends go on.
    /// `ControlDone` when durable.
    ///
    /// # Errors
    /// See [`ControlError`].
    pub fn accept_loss(
        &mut self,
        handle: PartitionHandle,
        ticket: Ticket,
    ) -> Result<(), ControlError> {
        self.check_running()?;
        self.cleaner.unblock(handle);
        self.change(handle, |partition| {
            partition.accept_loss(ticket);
            Ok(())
        })
    }

    fn change(
        &mut self,
        handle: PartitionHandle,
        change: impl FnOnce(&mut Partition) -> Result<(), ControlError>,
    ) -> Result<(), ControlError> {
        let number = self
            .partitions
            .live_number(handle)
            .ok_or(ControlError::UnknownPartition)?;
        let slot = self
            .partitions
            .at_mut(number)
            .ok_or(ControlError::UnknownPartition)?;
        change(&mut slot.partition)?;
        self.lists.touch(&mut self.partitions, number);
        Ok(())
    }

    /// Changes one entry of the durable registry: a small map that lives in the journal and in
    /// checkpoints and moves with its owner when shards change. `None` removes. The change is
    /// visible at once and durable at `ControlDone`. Entries of a partition go with it.
    ///
    /// # Errors
    /// `TooLarge`, `UnknownPartition` for an owner that is not here, `Stopped`.
    pub fn registry_put(
        &mut self,
        owner: PartitionHandle,
        key: &[u8],
        value: Option<&[u8]>,
        ticket: Ticket,
    ) -> Result<(), ControlError> {
        self.check_running()?;
        let bytes = key.len() + value.map_or(0, <[u8]>::len);
        let bound = self
            .journal
            .control_bytes_max()
            .saturating_sub(CONTROL_FIXED_BYTES)
            .min(REGISTRY_BYTES_MAX);
        if bytes > bound {
            return Err(ControlError::TooLarge(bytes));
        }
        if owner != PartitionHandle(0) && self.partitions.live(owner).is_none() {
            return Err(ControlError::UnknownPartition);
        }
        apply_registry(&mut self.registry, owner, key, value);
        let control = Control::Registry {
            key: key.to_vec(),
            value: value.map(<[u8]>::to_vec),
        };
        self.enqueue(owner, control, bytes + CONTROL_FIXED_BYTES, ticket);
        Ok(())
    }

    /// All registry entries, ordered by owner and key.
    pub fn registry(&self) -> impl Iterator<Item = (PartitionHandle, &[u8], &[u8])> {
        self.registry.iter().flat_map(|(owner, entries)| {
            let entries = entries.iter();
            entries.map(|(key, value)| (*owner, &**key, &**value))
        })
    }

    /// The offsets of a partition.
    #[must_use]
    pub fn offsets(&self, handle: PartitionHandle) -> Option<LogOffsets> {
        Some(self.partitions.live(handle)?.partition.offsets())
    }

    fn check_running(&self) -> Result<(), ControlError> {
        match self.life {
            Life::Running => Ok(()),
            _ => Err(ControlError::Stopped),
        }
    }

    fn enqueue(&mut self, handle: PartitionHandle, control: Control, bytes: usize, ticket: Ticket) {
        self.controls.push_back(WaitingControl {
            handle,
            control,
            bytes,
            ticket,
        });
    }

    /// Retention by size of a partition that rolls, so that a fast log does not outgrow its bound
    /// between two looks.
    pub(super) fn retain_by_size(&mut self, number: u32) {
        self.retain(number, Partition::apply_size_retention);
    }

    fn retain(&mut self, number: u32, retention: impl Fn(&mut Partition) -> Option<i64>) {
        let Some(slot) = self.partitions.at_mut(number) else {
            return;
        };
        if slot.is_deleted {
            return;
        }
        let Some(offset) = retention(&mut slot.partition) else {
            return;
        };
        // Retention proposes offsets at or below the high watermark only.
        let moved = slot.partition.advance_log_start(offset, Ticket::NONE);
        debug_assert!(moved.is_ok(), "retention went above the high watermark");
        self.lists.touch(&mut self.partitions, number);
    }

    /// Retention, a few partitions per turn once its time came.
    pub(super) fn apply_retention(&mut self) {
        if self.life != Life::Running {
            return;
        }
        let start = match self.retention_cursor {
            Some(cursor) => cursor,
            None if self.now.ns >= self.retention_due_ns => 0,
            None => return,
        };
        let end = self
            .partitions
            .slot_count()
            .min(start.saturating_add(RETENTION_PER_TURN));
        for number in start..end {
            if let Some(slot) = self.partitions.at_mut(number) {
                slot.partition.expire_producers(self.now.wall_ms);
            }
            self.recount_producers(number);
            let wall_ms = self.now.wall_ms;
            self.retain(number, |partition| partition.apply_retention(wall_ms));
        }
        if end < self.partitions.slot_count() {
            self.retention_cursor = Some(end);
        } else {
            self.retention_cursor = None;
            let interval_ns = self.config.retention_check_ms.saturating_mul(1_000_000);
            self.retention_due_ns = self.now.ns.saturating_add(interval_ns);
        }
    }
}

/// Applies one registry change.
pub(super) fn apply_registry(
    registry: &mut super::Registry,
    owner: PartitionHandle,
    key: &[u8],
    value: Option<&[u8]>,
) {
    if let Some(value) = value {
        let entries = registry.entry(owner).or_default();
        entries.insert(key.into(), value.into());
    } else if let Some(entries) = registry.get_mut(&owner) {
        entries.remove(key);
        if entries.is_empty() {
            registry.remove(&owner);
        }
    }
}
