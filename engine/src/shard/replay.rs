//! Replay of commits into partitions, and the account of what rot took.
//!
//! Where a lost commit left a hole inside a segment, the hole is fenced and the log goes on behind
//! it. A partition that cannot go on so stops at its last record before the hole, and everything
//! known behind it is fenced. Of the partitions without an entry behind a lost commit,
//! those that it held are fenced at their end: by name where the commit's table or its successor's
//! echo survived, else all of them, for nothing proves that they are whole.

use super::Shard;
use super::append::MEMORY_GO_PERCENT;
use super::control::apply_registry;
use super::error::OpenError;
use super::file_table::SegmentFile;
use super::lists::Slot;
use super::ring_files::call_file;
use crate::ids::{JournalId, PartitionHandle};
use crate::io::{FileOp, FileReply, Io, IoFailure, Op, Outcome};
use crate::journal::control::Control;
use crate::journal::format::{CommitContent, FoundEntry, Kind};
use crate::partition::{DiskRead, Fence, Partition, ReplayEntry, ReplayError};
use crate::record_batch::stand_in;
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, BTreeSet};

/// Offsets that are given up when a lost commit may have held records of a partition and nothing
/// says how many: more than a commit's window can hold of any sensible batches.
const UNKNOWN_LOSS_RECORDS: i64 = 1 << 20;

/// Memory is made free again after this part of it was filled, once it is short.
const ROOM_DIVISOR: usize = 32;

/// Sequences that were resolved and are lost.
#[derive(Debug)]
struct LostRange {
    from: u64,
    to: u64,
    /// What they held of each partition: its end offset. `None` when nothing tells.
    names: Option<BTreeMap<PartitionHandle, i64>>,
}

/// The state of a replay.
#[derive(Debug)]
pub(super) struct Replay {
    journal: JournalId,
    lost: Vec<LostRange>,
    /// Sequence of the last entry seen of each partition, since the first loss.
    last_seen: FxHashMap<PartitionHandle, u64>,
    deleted: BTreeSet<PartitionHandle>,
    /// Partitions that could not go on, and the end of what they are known to have held.
    refused: BTreeMap<PartitionHandle, i64>,
    /// Bytes put into memory since it was made free.
    kept_bytes: usize,
}

impl Replay {
    pub(super) fn new(journal: JournalId) -> Self {
        Self {
            journal,
            lost: Vec::new(),
            last_seen: FxHashMap::default(),
            deleted: BTreeSet::new(),
            refused: BTreeMap::new(),
            kept_bytes: 0,
        }
    }

    /// Whether anything that was acknowledged is missing.
    pub(super) fn was_damaged(&self) -> bool {
        !self.lost.is_empty() || !self.refused.is_empty()
    }

    /// Commits `[from, to)` are lost; nothing of them is known but what their successor echoes.
    pub(super) fn lost(&mut self, from: u64, to: u64) {
        log::error!(
            "journal {}: commits {from} to {} were acknowledged and are damaged",
            self.journal.0,
            to - 1
        );
        self.lost.push(LostRange {
            from,
            to,
            names: None,
        });
    }

    /// The payload of commit `sequence` is lost, its table is not.
    pub(super) fn lost_with_names(&mut self, sequence: u64, names: &CommitContent<'_>) {
        self.lost(sequence, sequence + 1);
        let mut held = BTreeMap::new();
        for found in names.entries() {
            match found.entry.kind {
                Kind::Append => {
                    held.insert(found.entry.handle, found.entry.end_offset);
                }
                kind => log::error!(
                    "journal {}: a {kind:?} record of partition {} is lost",
                    self.journal.0,
                    found.entry.handle.0
                ),
            }
        }
        if let Some(range) = self.lost.last_mut() {
            range.names = Some(held);
        }
    }

    /// Replays a commit whose checks hold.
    pub(super) fn commit(
        &mut self,
        shard: &mut Shard,
        io: &mut Io,
        sequence: u64,
        content: &CommitContent<'_>,
    ) -> Result<(), OpenError> {
        if let Some(range) = self.lost.last_mut()
            && range.names.is_none()
            && range.to == sequence
            && range.to - range.from == 1
        {
            range.names = Some(content.echo().collect());
        }
        self.leave_room(shard, io)?;
        for found in content.entries() {
            if found.entry.kind == Kind::Append {
                self.kept_bytes += found.image.len() + found.inline.len();
                self.append(shard, io, sequence, &found)?;
            } else {
                self.control(io, shard, sequence, &found);
            }
        }
        Ok(())
    }

    /// Frees memory before it is full: writing back, which frees it, takes some.
    fn leave_room(&mut self, shard: &mut Shard, io: &mut Io) -> Result<(), OpenError> {
        let arena = io.arena();
        let is_short = arena.used_bytes() >= arena.capacity_bytes() / 100 * MEMORY_GO_PERCENT;
        if is_short && self.kept_bytes >= arena.capacity_bytes() / ROOM_DIVISOR {
            self.kept_bytes = 0;
            shard.make_room(io)?;
        }
        Ok(())
    }

    fn append(
        &mut self,
        shard: &mut Shard,
        io: &mut Io,
        sequence: u64,
        found: &FoundEntry<'_>,
    ) -> Result<(), OpenError> {
        let handle = found.entry.handle;
        if self.deleted.contains(&handle) {
            return Ok(());
        }
        if !self.lost.is_empty() {
            self.last_seen.insert(handle, sequence);
        }
        if let Some(end_offset) = self.refused.get_mut(&handle) {
            *end_offset = found.entry.end_offset.max(*end_offset);
            return Ok(());
        }
        let descriptors: Vec<_> = found.descriptors().collect();
        let crcs: Vec<_> = found.placed_crcs().collect();
        let entry = ReplayEntry {
            sequence,
            base_offset: found.entry.base_offset,
            end_offset: found.entry.end_offset,
            leader_epoch: found.entry.leader_epoch,
            file: found.entry.file,
            generation: found.entry.generation,
            position: found.entry.position,
            length: found.entry.length,
            placed: found.entry.placed_start..found.entry.placed_end,
            placed_crcs: &crcs,
            descriptors: &descriptors,
            image: found.image,
            inline: found.inline,
            ceiling: found.entry.ceiling,
        };
        let mut was_tried = false;
        loop {
            let Some(slot) = shard.partitions.get_mut(handle) else {
                self.refuse(handle, found.entry.end_offset, "its creation is lost");
                return Ok(());
            };
            match slot.partition.replay_entry(io.arena(), &entry) {
                Ok(()) => {
                    shard.bound_producers_of(handle);
                    return Ok(());
                }
                Err(ReplayError::NoMemory { .. }) if !was_tried => {
                    was_tried = true;
                    shard.make_room(io)?;
                }
                Err(ReplayError::NoMemory { .. }) => return Err(OpenError::no_memory("replay")),
                Err(ReplayError::Mismatch { .. }) if self.bridge(shard, io, &entry, handle)? => {}
                Err(ReplayError::Mismatch { problem, .. }) => {
                    self.refuse(handle, found.entry.end_offset, &problem);
                    return Ok(());
                }
            }
        }
    }

    /// Lets a partition go on behind records that rot took: fences them, and puts a batch without
    /// records where they lay, so that what follows keeps its place. Returns whether it could.
    fn bridge(
        &self,
        shard: &mut Shard,
        io: &mut Io,
        entry: &ReplayEntry<'_>,
        handle: PartitionHandle,
    ) -> Result<bool, OpenError> {
        let Some(slot) = shard
            .partitions
            .get_mut(handle)
            .filter(|_| !self.lost.is_empty())
        else {
            return Ok(false);
        };
        let base_offset = slot.partition.closed_end();
        let Some((file, generation, position)) = slot.partition.replay_end() else {
            return Ok(false);
        };
        let gap = entry.position.saturating_sub(position);
        let stand_in = stand_in(base_offset, entry.base_offset, gap as usize);
        let is_same_file = (file, generation) == (entry.file, entry.generation);
        let Some(stand_in) = stand_in.filter(|_| is_same_file) else {
            return Ok(false);
        };
        // The lost entry may have been the one that brought the block's older bytes.
        let image = match slot.partition.lost_image() {
            None => Vec::new(),
            Some(read) => match read_image(io, &read)? {
                Some(image) => image,
                None => return Ok(false),
            },
        };
        let bridge = ReplayEntry {
            sequence: entry.sequence,
            base_offset,
            end_offset: entry.base_offset,
            leader_epoch: entry.leader_epoch,
            file,
            generation,
            position,
            length: gap,
            placed: 0..0,
            placed_crcs: &[],
            descriptors: &[],
            image: &image,
            inline: &stand_in,
            ceiling: None,
        };
        let mut replayed = slot.partition.replay_entry(io.arena(), &bridge);
        if matches!(replayed, Err(ReplayError::NoMemory { .. })) {
            shard.make_room(io)?;
            let Some(slot) = shard.partitions.get_mut(handle) else {
                return Ok(false);
            };
            replayed = slot.partition.replay_entry(io.arena(), &bridge);
        }
        if replayed.is_ok() {
            self.fence_bridge(shard, handle, base_offset, entry.base_offset);
        }
        Ok(replayed.is_ok())
    }

    fn fence_bridge(
        &self,
        shard: &mut Shard,
        handle: PartitionHandle,
        start_offset: i64,
        end_offset: i64,
    ) {
        log::error!(
            "journal {}: partition {}: records {start_offset} to {} are lost",
            self.journal.0,
            handle.0,
            end_offset - 1
        );
        if let Some(slot) = shard.partitions.get_mut(handle) {
            slot.partition.fence_replayed(Fence {
                start_offset,
                end_offset,
                stops_appends: false,
                is_lost: false,
            });
        }
    }

    fn control(&mut self, io: &mut Io, shard: &mut Shard, sequence: u64, found: &FoundEntry<'_>) {
        let handle = found.entry.handle;
        let Some(control) = Control::decode(found) else {
            self.refuse(handle, 0, "it has a control record that cannot be read");
            return;
        };
        match control {
            Control::Create(spec) => {
                if shard.partitions.get(handle).is_none() {
                    shard.partitions.insert(Partition::new(spec));
                }
            }
            Control::Delete => {
                if let Some(mut slot) = shard.partitions.remove(handle) {
                    // A wait for memory counted it.
                    shard.uncount(io, &slot);
                    slot.partition.take_released(&mut shard.released);
                    shard.released.extend(slot.partition.files());
                }
                shard.registry.remove(&handle);
                self.deleted.insert(handle);
                self.refused.remove(&handle);
            }
            Control::Registry { key, value } => {
                apply_registry(&mut shard.registry, handle, &key, value.as_deref());
            }
            Control::Partition(control) => {
                if self.deleted.contains(&handle) || self.refused.contains_key(&handle) {
                    return;
                }
                let Some(slot) = shard.partitions.get_mut(handle) else {
                    self.refuse(handle, 0, "its creation is lost");
                    return;
                };
                if let Err(error) = slot.partition.replay_control(sequence, &control) {
                    self.refuse(handle, 0, &error.to_string());
                }
            }
        }
    }

    fn refuse(&mut self, handle: PartitionHandle, end_offset: i64, problem: &str) {
        if self.refused.insert(handle, end_offset).is_none() {
            log::error!(
                "journal {}: partition {}: {problem}; what follows of it is not replayed",
                self.journal.0,
                handle.0
            );
        }
    }

    /// Fences what is lost: of partitions that could not go on, and at the ends of partitions that
    /// a lost commit held, or may have held.
    pub(super) fn finish(&self, shard: &mut Shard) {
        for (handle, end_offset) in &self.refused {
            if let Some(slot) = shard.partitions.get_mut(*handle) {
                let at_least = slot.partition.closed_end() + 1;
                self.fence(slot, (*end_offset).max(at_least), true);
            }
        }
        for range in &self.lost {
            for (_, slot) in shard.partitions.iter_mut() {
                let handle = slot.owner.handle;
                let is_proven = |seen: &u64| *seen >= range.to;
                if self.last_seen.get(&handle).is_some_and(is_proven)
                    || self.refused.contains_key(&handle)
                {
                    continue;
                }
                let closed_end = slot.partition.closed_end();
                let Some(names) = &range.names else {
                    self.fence(slot, closed_end + UNKNOWN_LOSS_RECORDS, false);
                    continue;
                };
                let end = names.get(&handle).copied().unwrap_or(closed_end);
                if end > closed_end {
                    self.fence(slot, end, true);
                }
            }
        }
    }

    fn fence(&self, slot: &mut Slot, end_offset: i64, is_known: bool) {
        let start_offset = slot.partition.closed_end();
        log::error!(
            "journal {}: partition {} (topic {:02x?}, index {}): records from offset \
             {start_offset} on {} lost; it takes no appends until the loss is accepted",
            self.journal.0,
            slot.owner.handle.0,
            slot.owner.topic_id.0,
            slot.owner.index,
            if is_known { "are" } else { "may be" },
        );
        slot.partition.replay_loss(end_offset);
    }
}

/// The bytes of a partition's last block, if they are what was written.
fn read_image(io: &mut Io, read: &DiskRead) -> Result<Option<Vec<u8>>, OpenError> {
    let path = SegmentFile::records(read.file).path();
    let name = path.name.clone();
    let FileReply::Opened { file, .. } = (match call_file(io, FileOp::Open { path }) {
        Err(failure) if failure.is_missing_bytes() => return Ok(None),
        opened => opened.map_err(|failure| OpenError::Io {
            object: name.clone(),
            failure,
        })?,
    }) else {
        return Ok(None);
    };
    let bytes = (read.range.end - read.range.start) as usize;
    let buf = io.arena().alloc(bytes);
    let mut buf = buf.ok_or_else(|| OpenError::no_memory(&name))?;
    let surplus = buf.spare() - bytes;
    buf.skip(surplus);
    let op = Op::Read {
        file,
        position: read.range.start,
        buf,
    };
    let outcome = io.call(op);
    io.close_file(file);
    let Outcome::Read(buf, result) = outcome else {
        return Ok(None);
    };
    match result {
        Err(IoFailure::Stopped) => Err(OpenError::Io {
            object: name,
            failure: IoFailure::Stopped,
        }),
        Err(_) => Ok(None),
        Ok(()) => {
            let image = &buf[..(read.data_end - read.range.start) as usize];
            let is_right = read.crcs.first() == Some(&crc32c::crc32c(image));
            Ok(is_right.then(|| image.to_vec()))
        }
    }
}
