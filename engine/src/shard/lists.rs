//! The partitions of a shard and the lists of those that have something to do, so that a turn
//! costs what happened in it and not what exists.
//!
//! Every list holds slot numbers; a flag in the slot says that it is in the list, so that nothing
//! is queued twice. A slot that was emptied meanwhile is skipped when it is taken.

use super::identity::Owner;
use crate::ids::PartitionHandle;
use crate::partition::Partition;
use rustc_hash::FxHashMap;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// One partition and what the shard remembers of it.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) partition: Partition,
    pub(super) owner: Owner,
    /// Size the active segment's file may grow to.
    pub(super) file_bytes: u64,
    /// Unprepared bytes that the preparation was told of.
    pub(super) unprepared_bytes: u64,
    /// Unwritten bytes that the shard has counted.
    pub(super) unwritten_bytes: u64,
    /// Unresolved batches that the shard has counted.
    pub(super) unresolved_batches: usize,
    /// Producers that the shard has counted.
    pub(super) producers: usize,
    /// Its deletion waits to be durable: gone for callers, not for write-back.
    pub(super) is_deleted: bool,
    /// Its deletion is in a commit: a checkpoint that begins behind that one must not name it.
    pub(super) is_delete_closed: bool,
    /// `Advanced` is wanted.
    pub(super) is_watched: bool,
    /// A read of the tail block is under way.
    pub(super) is_tail_loading: bool,
    /// Failed reads of that block.
    pub(super) tail_failures: u32,
    /// The time at which it stands in the deadlines, 0 for none.
    pub(super) deadline_ns: u64,
    is_touched: bool,
    is_pending: bool,
    is_full: bool,
    is_aging: bool,
    is_checkpointing: bool,
    is_starved: bool,
}

/// Slots in one piece of memory. All of them in one would be copied, and held twice, to grow.
const SLOTS_PER_PIECE: usize = 64;

/// All partitions, by slot and by handle.
#[derive(Debug, Default)]
pub(super) struct Partitions {
    /// Every piece but the last one is full.
    pieces: Vec<Vec<Option<Slot>>>,
    vacant: Vec<u32>,
    by_handle: FxHashMap<PartitionHandle, u32>,
}

impl Partitions {
    pub(super) fn insert(&mut self, partition: Partition) -> u32 {
        let spec = partition.spec();
        let owner = Owner {
            handle: spec.handle,
            topic_id: spec.topic_id,
            index: spec.index,
        };
        let slot = Slot {
            file_bytes: partition.segment_file_bytes(0),
            partition,
            owner,
            unprepared_bytes: 0,
            unwritten_bytes: 0,
            unresolved_batches: 0,
            producers: 0,
            is_deleted: false,
            is_delete_closed: false,
            is_watched: false,
            is_tail_loading: false,
            tail_failures: 0,
            deadline_ns: 0,
            is_touched: false,
            is_pending: false,
            is_full: false,
            is_aging: false,
            is_checkpointing: false,
            is_starved: false,
        };
        let number = self.vacant.pop().unwrap_or_else(|| self.add_slot());
        *self.place(number) = Some(slot);
        self.by_handle.insert(owner.handle, number);
        number
    }

    fn add_slot(&mut self) -> u32 {
        let number = self.slot_count();
        match self.pieces.last_mut() {
            Some(last) if last.len() < SLOTS_PER_PIECE => last.push(None),
            _ => {
                let mut piece = Vec::with_capacity(SLOTS_PER_PIECE);
                piece.push(None);
                self.pieces.push(piece);
            }
        }
        number
    }

    fn place(&mut self, number: u32) -> &mut Option<Slot> {
        let number = number as usize;
        &mut self.pieces[number / SLOTS_PER_PIECE][number % SLOTS_PER_PIECE]
    }

    pub(super) fn remove(&mut self, handle: PartitionHandle) -> Option<Slot> {
        let number = self.by_handle.remove(&handle)?;
        self.vacant.push(number);
        self.place(number).take()
    }

    pub(super) fn number(&self, handle: PartitionHandle) -> Option<u32> {
        self.by_handle.get(&handle).copied()
    }

    pub(super) fn get(&self, handle: PartitionHandle) -> Option<&Slot> {
        self.at(self.number(handle)?)
    }

    pub(super) fn get_mut(&mut self, handle: PartitionHandle) -> Option<&mut Slot> {
        let number = self.number(handle)?;
        self.at_mut(number)
    }

    /// A partition that callers may still use.
    pub(super) fn live(&self, handle: PartitionHandle) -> Option<&Slot> {
        self.get(handle).filter(|slot| !slot.is_deleted)
    }

    /// A partition that callers may still use.
    pub(super) fn live_mut(&mut self, handle: PartitionHandle) -> Option<&mut Slot> {
        self.get_mut(handle).filter(|slot| !slot.is_deleted)
    }

    /// Slot of a partition that callers may still use.
    pub(super) fn live_number(&self, handle: PartitionHandle) -> Option<u32> {
        let number = self.number(handle)?;
        let slot = self.at(number)?;
        (!slot.is_deleted).then_some(number)
    }

    pub(super) fn at(&self, number: u32) -> Option<&Slot> {
        let number = number as usize;
        let piece = self.pieces.get(number / SLOTS_PER_PIECE)?;
        piece.get(number % SLOTS_PER_PIECE)?.as_ref()
    }

    pub(super) fn at_mut(&mut self, number: u32) -> Option<&mut Slot> {
        let number = number as usize;
        let piece = self.pieces.get_mut(number / SLOTS_PER_PIECE)?;
        piece.get_mut(number % SLOTS_PER_PIECE)?.as_mut()
    }

    /// The slot of a partition, unless another partition has it by now.
    pub(super) fn same(&mut self, number: u32, handle: PartitionHandle) -> Option<&mut Slot> {
        self.at_mut(number)
            .filter(|slot| slot.owner.handle == handle)
    }

    pub(super) fn len(&self) -> usize {
        self.by_handle.len()
    }

    /// Number of slots, empty ones included: the bound of a cursor over them.
    pub(super) fn slot_count(&self) -> u32 {
        let before = self.pieces.len().saturating_sub(1) * SLOTS_PER_PIECE;
        (before + self.pieces.last().map_or(0, Vec::len)) as u32
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Slot)> {
        let numbered = self.pieces.iter().flatten().enumerate();
        numbered.filter_map(|(number, slot)| Some((number as u32, slot.as_ref()?)))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (u32, &mut Slot)> {
        let numbered = self.pieces.iter_mut().flatten().enumerate();
        numbered.filter_map(|(number, slot)| Some((number as u32, slot.as_mut()?)))
    }
}

/// Who has something to do.
#[derive(Debug, Default)]
pub(super) struct Lists {
    /// Changed since they were last looked at: space, tail block, placing, closing.
    touched: VecDeque<u32>,
    /// Want a commit at once, in order of arrival.
    pending: VecDeque<u32>,
    /// Have 64 KiB or more to write back.
    full: VecDeque<u32>,
    /// Have anything to write back, by the sequence of its oldest commit (which may have grown
    /// since: it is looked up again when taken).
    aging: BinaryHeap<Reverse<(u64, u32)>>,
    /// Must be written back for the checkpoint.
    checkpointing: VecDeque<u32>,
    /// Have a write that found no memory.
    starved: VecDeque<u32>,
    /// Want a commit at a time. Stale ones are skipped.
    deadlines: BinaryHeap<Reverse<(u64, u32)>>,
}

macro_rules! queue {
    ($push:ident, $pop:ident, $list:ident, $flag:ident) => {
        pub(super) fn $push(&mut self, partitions: &mut Partitions, number: u32) {
            if let Some(slot) = partitions.at_mut(number)
                && !slot.$flag
            {
                slot.$flag = true;
                self.$list.push_back(number);
            }
        }

        pub(super) fn $pop(&mut self, partitions: &mut Partitions) -> Option<u32> {
            while let Some(number) = self.$list.pop_front() {
                // A slot that was given to another partition carries no flag for this one.
                if let Some(slot) = partitions.at_mut(number)
                    && slot.$flag
                {
                    slot.$flag = false;
                    return Some(number);
                }
            }
            None
        }
    };
}

impl Lists {
    queue!(touch, pop_touched, touched, is_touched);
    queue!(push_pending, pop_pending, pending, is_pending);
    queue!(push_full, pop_full, full, is_full);
    queue!(
        push_checkpointing,
        pop_checkpointing,
        checkpointing,
        is_checkpointing
    );
    queue!(push_starved, pop_starved, starved, is_starved);

    /// Puts one back that was taken and is still first in line.
    pub(super) fn unpop_pending(&mut self, partitions: &mut Partitions, number: u32) {
        if let Some(slot) = partitions.at_mut(number)
            && !slot.is_pending
        {
            slot.is_pending = true;
            self.pending.push_front(number);
        }
    }

    pub(super) fn touched_len(&self) -> usize {
        self.touched.len()
    }

    pub(super) fn full_len(&self) -> usize {
        self.full.len()
    }

    pub(super) fn checkpointing_len(&self) -> usize {
        self.checkpointing.len()
    }

    pub(super) fn starved_len(&self) -> usize {
        self.starved.len()
    }

    pub(super) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Notes that a partition has resolved bytes to write back.
    pub(super) fn push_aging(&mut self, partitions: &mut Partitions, number: u32) {
        if let Some(slot) = partitions.at_mut(number)
            && !slot.is_aging
            && let Some(sequence) = slot.partition.oldest_unwritten_sequence()
        {
            slot.is_aging = true;
            self.aging.push(Reverse((sequence, number)));
        }
    }

    /// The partition with the oldest unwritten bytes.
    pub(super) fn pop_aging(&mut self, partitions: &mut Partitions) -> Option<u32> {
        while let Some(Reverse((sequence, number))) = self.aging.pop() {
            let Some(slot) = partitions.at_mut(number).filter(|slot| slot.is_aging) else {
                continue;
            };
            match slot.partition.oldest_unwritten_sequence() {
                Some(oldest) if oldest > sequence => self.aging.push(Reverse((oldest, number))),
                Some(_) => {
                    slot.is_aging = false;
                    return Some(number);
                }
                None => slot.is_aging = false,
            }
        }
        None
    }

    /// Number of partitions that age.
    pub(super) fn aging_len(&self) -> usize {
        self.aging.len()
    }

    /// Wants a commit for a partition at `deadline_ns`.
    pub(super) fn push_deadline(
        &mut self,
        partitions: &mut Partitions,
        number: u32,
        deadline_ns: u64,
    ) {
        if let Some(slot) = partitions.at_mut(number)
            && slot.deadline_ns != deadline_ns
        {
            slot.deadline_ns = deadline_ns;
            self.deadlines.push(Reverse((deadline_ns, number)));
        }
    }

    /// The next deadline that counts.
    pub(super) fn next_deadline_ns(&self) -> Option<u64> {
        self.deadlines
            .peek()
            .map(|Reverse((deadline_ns, _))| *deadline_ns)
    }

    /// A partition whose deadline passed.
    pub(super) fn pop_deadline(&mut self, partitions: &mut Partitions, now_ns: u64) -> Option<u32> {
        while self
            .next_deadline_ns()
            .is_some_and(|deadline_ns| deadline_ns <= now_ns)
        {
            let Reverse((deadline_ns, number)) = self.deadlines.pop()?;
            if let Some(slot) = partitions.at_mut(number)
                && slot.deadline_ns == deadline_ns
            {
                slot.deadline_ns = 0;
                return Some(number);
            }
        }
        None
    }
}
