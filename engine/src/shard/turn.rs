//! One turn of the shard, after all work was handed in: plan placed writes, close a commit, write
//! back, checkpoint, timers.
//!
//! Order within the device's budget: the journal first, placed writes next (acknowledgements wait
//! for them), write-back last. Write-back takes what is large; once the live journal passes half
//! of the ring it takes what is oldest.

use super::token::LogKind;
use super::{Life, Shard};
use crate::io::Io;
use crate::journal::control::Control;
use crate::journal::ring::Use;
use crate::limits::{COMMITS_IN_FLIGHT_MAX, STARVED_RETRY_NS, WRITE_BYTES_MAX};
use crate::partition::{Closed, Durability, Now, PlacingRule, WriteBackNeed};
use crate::planted::{Bug, is};

/// Pending bytes from which placing pays even on an idle device.
const PLACED_IDLE_BYTES_MIN: u64 = 512 * 1024;
/// Unwritten bytes from which a partition is written back without need.
const WRITE_BACK_BYTES_MIN: u64 = 64 * 1024;
/// Share of memory above which cached tails are given up, and how far.
const EVICT_ABOVE_PERCENT: usize = 75;
const EVICT_TO_PERCENT: usize = 70;
/// How long memory counts as short after somebody found no block: if tails have nothing to give,
/// they are written.
const BLOCK_WANTED_NS: u64 = 100_000_000;
/// Share of memory above which tails are cut within a granule.
const EVICT_BLOCKS_ABOVE_PERCENT: usize = 78;
/// Partitions that one turn of eviction looks at.
const EVICT_PER_TURN: u32 = 256;
/// Files that nobody uses are closed after once to twice this time, a few per turn.
const FILES_IDLE_NS: u64 = 30_000_000_000;
const FILES_CLOSED_PER_TURN: usize = 16;
/// Commits that are younger have the device to themselves as far as cold reads go.
const COMMITS_RECENT_NS: u64 = 20_000_000;
/// Room for waiting controls that is kept when none waits.
const CONTROLS_KEPT: usize = 64;
/// Bytes of a partition's control record in a commit, at most.
const PARTITION_CONTROL_BYTES_MAX: usize = 128;

impl Shard {
    /// Closes a commit if there is something to commit and room in the window, plans write-back,
    /// checkpoints, file preparation, retention. Once per turn, after all work. A second call right
    /// after it does nothing.
    pub fn end_turn(&mut self, io: &mut Io) {
        self.now = Now {
            ns: io.now_ns(),
            wall_ms: io.wall_ms(),
        };
        self.take_file_events(io);
        self.evict(io);
        let since_commit_ns = self.now.ns.saturating_sub(self.committed_at_ns);
        self.cold.share_device(since_commit_ns < COMMITS_RECENT_NS);
        self.end_query_turn(io);
        self.close_unused_files(io);
        if self.is_at_work() {
            self.feed_starved();
            self.apply_retention();
            self.take_deadlines();
            self.clean(io);
        }
        while self.is_at_work() && self.begin_what_can_begin(io) {}
    }

    fn close_unused_files(&mut self, io: &mut Io) {
        if self.now.ns < self.files_due_ns || !self.table.has_idle() {
            return;
        }
        if self.table.close_unused(io, FILES_CLOSED_PER_TURN) {
            self.files_due_ns = self.now.ns + FILES_IDLE_NS;
        }
    }

    const fn is_at_work(&self) -> bool {
        !matches!(self.life, Life::Failed | Life::Stopped)
    }

    /// Begins everything that can begin now. Returns whether that made more possible: nothing may
    /// be left to a later turn that no completion, deadline or caller brings about.
    fn begin_what_can_begin(&mut self, io: &mut Io) -> bool {
        self.look_at_touched(io);
        self.close_commit(io);
        self.write_back(io);
        let is_moved = self.checkpoint_turn(io);
        self.preparation.end_turn(io, &mut self.table);
        self.take_file_events(io);
        // Partitions that wait for depth are looked at when a write ends.
        is_moved || self.lists.touched_len() > 0 && self.log_depth_left() > 0
    }

    /// When `end_turn` must run next even if nothing happens; `None`: not needed.
    #[must_use]
    pub fn next_deadline_ns(&self) -> Option<u64> {
        if !self.is_at_work() {
            return None;
        }
        let retention = match self.retention_cursor {
            _ if self.life != Life::Running => None,
            Some(_) => Some(self.now.ns),
            None => Some(self.retention_due_ns).filter(|_| self.partitions.len() > 0),
        };
        [
            self.table.has_idle().then_some(self.files_due_ns),
            (self.lists.starved_len() > 0).then_some(self.starved_due_ns),
            self.lists.next_deadline_ns(),
            self.idle_mark_ns,
            self.checkpoint_due_ns(),
            self.preparation.next_deadline_ns(),
            self.queries.next_deadline_ns(),
            self.cleaning_deadline_ns(),
            retention,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    fn take_deadlines(&mut self) {
        while let Some(number) = self.lists.pop_deadline(&mut self.partitions, self.now.ns) {
            self.lists.touch(&mut self.partitions, number);
        }
    }

    /// Percent of the ring that live commits take.
    pub(super) const fn journal_percent(&self) -> u64 {
        let front = &self.journal.front;
        front.live_bytes() * 100 / front.shape().usable_bytes()
    }

    /// Segment writes that may still be started.
    fn log_depth_left(&self) -> usize {
        let reserved = COMMITS_IN_FLIGHT_MAX as usize;
        let depth = self.config.disk_depth_max.saturating_sub(reserved).max(2);
        depth.saturating_sub(self.writes.in_flight())
    }

    fn placing_rule(&self) -> PlacingRule {
        let is_busy = self.journal.in_flight > 1 || self.writes.in_flight() > 0;
        let inline_bytes_max = self.journal.inline_bytes_max() as u64;
        let bytes_min = if is_busy || self.journal_percent() > 50 {
            self.config.placed_bytes_min
        } else {
            PLACED_IDLE_BYTES_MIN.max(self.config.placed_bytes_min)
        };
        PlacingRule {
            bytes_min: bytes_min.min(inline_bytes_max),
            bytes_min_busy: self.config.placed_bytes_min.min(inline_bytes_max),
            bytes_max: WRITE_BYTES_MAX,
            inline_bytes_max,
        }
    }

    /// Looks once at every partition that changed: space, tail block, placing, closing.
    fn look_at_touched(&mut self, io: &mut Io) {
        for _ in 0..self.lists.touched_len() {
            let Some(number) = self.lists.pop_touched(&mut self.partitions) else {
                return;
            };
            let now = self.now;
            let Some(slot) = self.partitions.at_mut(number) else {
                continue;
            };
            if let Some(wanted) = slot.partition.space_wanted(now) {
                self.preparation
                    .want_space(slot.owner, slot.file_bytes, wanted);
            }
            if !slot.is_tail_loading
                && let Some(read) = slot.partition.tail_block_wanted()
            {
                slot.is_tail_loading = true;
                let handle = slot.owner.handle;
                self.queries
                    .load_tail(io, &mut self.table, number, handle, read);
            }
            if self.life != Life::Recovering {
                self.place(io, number);
                self.want_commit(number);
            }
        }
    }

    /// Starts the placed writes that a partition plans.
    fn place(&mut self, io: &mut Io, number: u32) {
        let rule = self.placing_rule();
        while self.log_depth_left() > 0 {
            let Some(slot) = self.partitions.at_mut(number) else {
                return;
            };
            let handle = slot.owner.handle;
            let Some(plan) = slot
                .partition
                .plan_placed(io.arena(), &rule, &mut self.spare)
            else {
                return self.note_starved(number);
            };
            self.counters.placed_bytes += plan.bytes;
            let whose = (LogKind::Placed, number, handle);
            self.writes
                .start(io, &mut self.table, &mut self.spare, whose, plan);
        }
        // The depth is used up: look again next turn.
        self.lists.touch(&mut self.partitions, number);
    }

    /// Puts a partition where its next commit will find it.
    pub(super) fn want_commit(&mut self, number: u32) {
        let Some(slot) = self.partitions.at(number) else {
            return;
        };
        let now_ns = self.now.ns;
        match slot.partition.close_deadline_ns() {
            None => {}
            Some(_) if self.life == Life::Stopping => {
                self.lists.push_pending(&mut self.partitions, number);
            }
            Some(deadline_ns) if deadline_ns <= now_ns => {
                self.lists.push_pending(&mut self.partitions, number);
            }
            Some(deadline_ns) => {
                self.lists
                    .push_deadline(&mut self.partitions, number, deadline_ns);
            }
        }
    }

    /// Closes one commit if the window, the ring and the work allow it.
    fn close_commit(&mut self, io: &mut Io) {
        self.idle_mark_ns = None;
        if self.life == Life::Recovering || !self.journal.has_window() {
            return;
        }
        let may_append = self.journal.has_room(Use::Appends);
        if !may_append && !self.journal.has_room(Use::Control) {
            return;
        }
        self.journal.begin();
        self.close_controls();
        // A record that creates a partition comes before the partition's first entry.
        if may_append && self.controls.is_empty() {
            self.close_partitions();
        }
        if self.journal.is_empty() && !self.is_mark_due() {
            return;
        }
        self.journal.submit(io);
        self.committed_at_ns = self.now.ns;
    }

    fn is_mark_due(&mut self) -> bool {
        let live_from = self.checkpointing.start_sequence();
        let idle_ns = self.config.idle_mark_ms * 1_000_000;
        let due_ns = self
            .journal
            .idle_mark_due_ns(self.now.ns, live_from, idle_ns);
        self.idle_mark_ns = due_ns;
        due_ns.is_some_and(|due_ns| due_ns <= self.now.ns)
    }

    fn close_controls(&mut self) {
        while let Some(waiting) = self.controls.front() {
            if !self.journal.fits_control(waiting.bytes) {
                return;
            }
            let Some(waiting) = self.controls.pop_front() else {
                return;
            };
            if matches!(waiting.control, Control::Delete)
                && let Some(slot) = self.partitions.get_mut(waiting.handle)
            {
                slot.is_delete_closed = true;
            }
            self.journal
                .push_control(waiting.handle, &waiting.control, waiting.ticket);
        }
        // Thousands of partitions are made at once, and then none for long.
        self.controls.shrink_to(CONTROLS_KEPT);
    }

    /// Takes what partitions have pending, in order of arrival.
    fn close_partitions(&mut self) {
        let sequence = self.journal.next_sequence;
        while let Some(number) = self.lists.pop_pending(&mut self.partitions) {
            let Some(slot) = self.partitions.at_mut(number) else {
                continue;
            };
            let is_written = slot.partition.spec().config.durability == Durability::Written;
            if slot.is_deleted {
                continue;
            }
            let handle = slot.owner.handle;
            let mut is_taken = false;
            loop {
                let room = self.journal.room();
                if room < PARTITION_CONTROL_BYTES_MAX {
                    break;
                }
                let closed = slot.partition.close_next(sequence, room, &mut self.entry);
                is_taken |= closed.is_some();
                match closed {
                    None => break,
                    Some(Closed::Entry) => {
                        self.journal.push_entry(number, &mut self.entry, is_written);
                    }
                    Some(Closed::Control(control)) => {
                        self.journal
                            .push_partition_control(number, handle, &control);
                    }
                }
            }
            let is_stopping = self.life == Life::Stopping;
            let is_due = |deadline_ns| deadline_ns <= self.now.ns || is_stopping;
            if !slot.partition.close_deadline_ns().is_some_and(is_due) {
                self.want_commit(number);
                continue;
            }
            if is_taken {
                // What is first in its line now may be placed.
                self.lists.touch(&mut self.partitions, number);
            }
            if !self.journal.is_empty() {
                // It has more than fits: first in line for the next commit.
                self.lists.unpop_pending(&mut self.partitions, number);
                return;
            }
            // What not even an empty commit takes waits for its place in the segment, and is
            // looked at when it has one.
        }
    }

    /// Starts write-back within its share of the device.
    ///
    /// PERF: with many partitions a write carries what its partition got since the last one, so
    /// what a checkpoint under way will write anyway is not written before it, unless the ring
    /// gets short; and memory full of bytes that are in segments already is evicted, not written.
    /// Memory that eviction found nothing more to take from is pressing, and so is memory so short
    /// that appends are refused, whatever fills it.
    fn write_back(&mut self, io: &mut Io) {
        let percent = self.journal_percent();
        let is_ring_pressing = if self.checkpointing.is_idle() {
            percent > 50
        } else {
            percent > 75
        };
        let memory_bytes = io.arena().capacity_bytes() as u64;
        let is_memory_pressing = self.is_memory_short
            || self.is_eviction_dry()
            || self.is_evicting && self.unwritten_bytes > memory_bytes / 2;
        let is_pressing = is_ring_pressing || is_memory_pressing;
        let depth = self.log_depth_left();
        let share = if is_pressing || self.checkpointing.is_flushing() {
            depth
        } else {
            depth.min((self.config.disk_depth_max / 4).max(1))
        };
        let mut left = share;
        self.write_back_checkpoint(io, &mut left);
        if is_pressing && !is(Bug::WriteBackBySize) {
            self.write_back_oldest(io, &mut left);
        }
        self.write_back_full(io, &mut left);
    }

    fn write_back_checkpoint(&mut self, io: &mut Io, left: &mut usize) {
        for _ in 0..self.lists.checkpointing_len() {
            if *left == 0 {
                return;
            }
            let Some(number) = self.lists.pop_checkpointing(&mut self.partitions) else {
                return;
            };
            // What came after the snapshot is not worth a write of its own.
            self.write_back_one(io, number, WriteBackNeed::Full, left);
            let is_flushed = |slot: &super::lists::Slot| slot.partition.is_checkpoint_flushed();
            if !self.partitions.at(number).is_none_or(is_flushed) {
                self.lists.push_checkpointing(&mut self.partitions, number);
            }
        }
    }

    fn write_back_oldest(&mut self, io: &mut Io, left: &mut usize) {
        let rounds = self.lists.aging_len().min(2 * self.config.disk_depth_max);
        for _ in 0..rounds {
            if *left == 0 {
                return;
            }
            let Some(number) = self.lists.pop_aging(&mut self.partitions) else {
                return;
            };
            // It comes back when one of its writes ends or a commit of it resolves.
            self.write_back_one(io, number, WriteBackNeed::Any, left);
            if *left == 0 {
                self.lists.push_aging(&mut self.partitions, number);
            }
        }
    }

    fn write_back_full(&mut self, io: &mut Io, left: &mut usize) {
        for _ in 0..self.lists.full_len() {
            if *left == 0 {
                return;
            }
            let Some(number) = self.lists.pop_full(&mut self.partitions) else {
                return;
            };
            self.write_back_one(io, number, WriteBackNeed::Full, left);
            if *left == 0 {
                self.lists.push_full(&mut self.partitions, number);
            }
        }
    }

    fn write_back_one(&mut self, io: &mut Io, number: u32, need: WriteBackNeed, left: &mut usize) {
        while *left > 0 {
            let Some(slot) = self.partitions.at_mut(number) else {
                return;
            };
            let handle = slot.owner.handle;
            let arena = io.arena();
            let mut kind = LogKind::WriteBack;
            let mut plan = slot.partition.plan_write_back(arena, need, &mut self.spare);
            if plan.is_none() {
                kind = LogKind::WriteIndex;
                plan = slot.partition.plan_index_write(arena, &mut self.spare);
            }
            let Some(plan) = plan else {
                return self.note_starved(number);
            };
            if kind == LogKind::WriteBack {
                self.counters.write_back_bytes += plan.bytes;
            }
            *left -= 1;
            let whose = (kind, number, handle);
            self.writes
                .start(io, &mut self.table, &mut self.spare, whose, plan);
        }
    }

    /// A partition whose write found no memory is looked at again soon: memory comes back with
    /// whatever was sent or written elsewhere, and nobody would tell this partition of it.
    fn note_starved(&mut self, number: u32) {
        let Some(slot) = self.partitions.at_mut(number) else {
            return;
        };
        if slot.partition.take_memory_wanted() {
            self.try_later(number);
        }
    }

    /// Has a partition looked at again after a while.
    pub(super) fn try_later(&mut self, number: u32) {
        if self.lists.starved_len() == 0 {
            self.starved_due_ns = self.now.ns + STARVED_RETRY_NS;
        }
        self.lists.push_starved(&mut self.partitions, number);
    }

    fn feed_starved(&mut self) {
        if self.starved_due_ns > self.now.ns {
            return;
        }
        for _ in 0..self.lists.starved_len() {
            if let Some(number) = self.lists.pop_starved(&mut self.partitions) {
                self.lists.touch(&mut self.partitions, number);
                self.want_write_back(number);
            }
        }
    }

    /// Puts a partition where write-back will find it.
    pub(super) fn want_write_back(&mut self, number: u32) {
        let Some(slot) = self.partitions.at(number) else {
            return;
        };
        if slot.partition.unwritten_bytes() >= WRITE_BACK_BYTES_MIN {
            self.lists.push_full(&mut self.partitions, number);
        }
        self.lists.push_aging(&mut self.partitions, number);
        if !self
            .partitions
            .at(number)
            .is_none_or(|slot| slot.partition.is_checkpoint_flushed())
        {
            self.lists.push_checkpointing(&mut self.partitions, number);
        }
    }

    /// Whether memory is wanted and no partition has anything to give up.
    pub(super) fn is_eviction_dry(&self) -> bool {
        self.is_evicting && self.evict_in_vain >= self.partitions.slot_count()
    }

    /// Gives cached tails up while memory is short, or free in pieces too small for somebody.
    fn evict(&mut self, io: &mut Io) {
        let arena = io.arena();
        let percent = (arena.capacity_bytes() / 100).max(1);
        let refused = arena.take_refused_bytes();
        let used = arena.used_bytes() / percent;
        if refused > 0 {
            self.block_wanted_until_ns = self.now.ns.saturating_add(BLOCK_WANTED_NS);
        }
        self.is_evicting = used >= EVICT_ABOVE_PERCENT || self.now.ns < self.block_wanted_until_ns;
        if !self.is_evicting {
            self.evict_in_vain = 0;
            return;
        }
        let is_deep = used >= EVICT_BLOCKS_ABOVE_PERCENT || refused > 0 || self.is_eviction_dry();
        let mut wanted = (used.saturating_sub(EVICT_TO_PERCENT) * percent).max(2 * refused);
        wanted = wanted.saturating_sub(self.cold.release_memory());
        let count = self.partitions.slot_count();
        for _ in 0..count.min(EVICT_PER_TURN) {
            if wanted == 0 {
                return;
            }
            self.evict_cursor = (self.evict_cursor + 1) % count;
            let freed = match self.partitions.at_mut(self.evict_cursor) {
                Some(slot) if is_deep => slot.partition.evict_blocks(wanted),
                Some(slot) => slot.partition.evict(wanted),
                None => 0,
            };
            if freed == 0 {
                self.evict_in_vain = self.evict_in_vain.saturating_add(1);
                continue;
            }
            self.evict_in_vain = 0;
            wanted = wanted.saturating_sub(freed);
            self.recount(self.evict_cursor);
        }
    }
}
