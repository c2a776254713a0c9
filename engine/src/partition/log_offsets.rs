//! The offsets, and the only code that moves them: what a written or resolved commit acknowledges,
//! how far readers may see, and what of the control records takes effect.
//!
//! INVARIANT: a record is exposed (acknowledged, below the high watermark) by the class `Disk` only
//! once resolved, and by relaxed classes only below the durable ceiling, so that a crash can always
//! go on at an offset that no reader has seen.

use super::{Acks, Commit, Control, Durability, End, LogOffsets, Partition};
use crate::ids::Ticket;

impl Partition {
    /// Its offsets.
    #[must_use]
    pub fn offsets(&self) -> LogOffsets {
        LogOffsets {
            log_start: self.log_start,
            last_stable: self.high_watermark.offset,
            high_watermark: self.high_watermark.offset,
            durable_end: self.resolved.offset,
            log_end: self.appended.offset,
            leader_epoch: self.leader_epochs.current(),
        }
    }

    /// Offset behind the last record taken into a commit.
    #[must_use]
    pub const fn closed_end(&self) -> i64 {
        self.closed.offset
    }

    /// Batches that are appended and not resolved.
    #[must_use]
    pub fn unresolved_batches(&self) -> usize {
        self.batches.len()
    }

    /// Whether anything is pending or closed and not resolved.
    #[must_use]
    pub fn is_awaiting_commit(&self) -> bool {
        !self.batches.is_empty()
            || !self.commits.is_empty()
            || !self.closed_controls.is_empty()
            || !self.pending_controls.is_empty()
            || self.is_segment_control_due()
    }

    /// Commit `sequence` (and all before it) was written, not necessarily flushed: class `Written`
    /// is acknowledged. Returns whether the high watermark moved.
    pub fn written(&mut self, sequence: u64, acks: &mut Acks) -> bool {
        let before = self.high_watermark.offset;
        self.written_count = self
            .commits
            .iter()
            .take_while(|commit| commit.sequence <= sequence)
            .map(|commit| commit.batch_count)
            .sum();
        self.expose(acks);
        self.high_watermark.offset != before
    }

    /// Commit `sequence` and all before it are on stable storage: acknowledges, applies control
    /// records (log start), lets write-back go on. Returns whether the high watermark moved.
    pub fn resolve(&mut self, sequence: u64, acks: &mut Acks) -> bool {
        let before = self.high_watermark.offset;
        while let Some(&commit) = self.commits.front()
            && commit.sequence <= sequence
        {
            self.commits.pop_front();
            self.resolve_commit(commit, acks);
        }
        while let Some(&(closed_in, ..)) = self.closed_controls.front()
            && closed_in <= sequence
        {
            if let Some((_, control, ticket)) = self.closed_controls.pop_front() {
                self.apply_resolved(&control);
                if ticket != Ticket::NONE {
                    acks.controls.push(ticket);
                }
            }
        }
        self.drop_segments();
        self.expose(acks);
        self.high_watermark.offset != before
    }

    fn resolve_commit(&mut self, commit: Commit, acks: &mut Acks) {
        for _ in 0..commit.batch_count {
            let Some(batch) = self.batches.pop_front() else {
                break;
            };
            if self.exposed_count > 0 {
                self.exposed_count -= 1;
            } else if batch.ticket != Ticket::NONE {
                acks.appends.push(batch.ticket);
            }
        }
        self.closed_count -= commit.batch_count;
        self.written_count = self.written_count.saturating_sub(commit.batch_count);
        self.resolved = commit.end;
        if commit.end.offset >= self.high_watermark.offset {
            self.high_watermark = commit.end;
        }
        if let Some(ceiling) = commit.ceiling {
            // A later commit that lowered it is under way already.
            let lowered = self.commits.iter().filter_map(|later| later.ceiling).min();
            self.durable_ceiling = lowered.map_or(ceiling, |lowered| lowered.min(ceiling));
        }
        self.release_duplicates(acks);
    }

    fn apply_resolved(&mut self, control: &Control) {
        match control {
            Control::LogStart { offset } => {
                self.log_start = self.log_start.max(*offset);
                self.leader_epochs.forget_below(self.log_start);
            }
            Control::Swap(swap) => {
                let is_applied = self.apply_swap(swap);
                debug_assert!(
                    is_applied,
                    "the segments were there when the swap was asked for"
                );
            }
            _ => {}
        }
    }

    /// Exposes what the class allows beyond the resolved end.
    fn expose(&mut self, acks: &mut Acks) {
        let limit = self.exposable_count();
        while self.exposed_count < limit {
            let batch = &mut self.batches[self.exposed_count];
            if batch.end_offset > self.durable_ceiling {
                break;
            }
            let ticket = std::mem::replace(&mut batch.ticket, Ticket::NONE);
            if ticket != Ticket::NONE {
                acks.appends.push(ticket);
            }
            self.high_watermark = End {
                offset: batch.end_offset,
                position: batch.end(),
            };
            self.exposed_count += 1;
        }
        self.release_duplicates(acks);
    }

    /// Exposes the batch just appended if its class allows it at once.
    pub(super) fn expose_at_append(&mut self) -> bool {
        let last = self.batches.len() - 1;
        let Some(batch) = self.batches.back_mut() else {
            return false;
        };
        let is_exposed = self.spec.config.durability == Durability::Memory
            && self.exposed_count == last
            && batch.end_offset <= self.durable_ceiling;
        if is_exposed {
            batch.ticket = Ticket::NONE;
            self.exposed_count = last + 1;
            self.high_watermark = self.appended;
        }
        is_exposed
    }

    fn exposable_count(&self) -> usize {
        match self.spec.config.durability {
            Durability::Disk | Durability::Null => 0,
            Durability::Written => self.written_count,
            Durability::Memory => self.batches.len(),
        }
    }

    fn release_duplicates(&mut self, acks: &mut Acks) {
        let exposed = self.high_watermark.offset;
        self.duplicates.retain(|&(end_offset, ticket)| {
            let is_due = end_offset <= exposed;
            if is_due {
                acks.appends.push(ticket);
            }
            !is_due
        });
    }

    /// The shard stopped: all tickets that will never be acknowledged.
    pub fn fail(&mut self, failed: &mut Acks) {
        for batch in &mut self.batches {
            let ticket = std::mem::replace(&mut batch.ticket, Ticket::NONE);
            if ticket != Ticket::NONE {
                failed.appends.push(ticket);
            }
        }
        let duplicates = self.duplicates.drain(..).map(|(_, ticket)| ticket);
        failed.appends.extend(duplicates);
        let pending = self.pending_controls.iter_mut().map(|(_, ticket)| ticket);
        let closed = self.closed_controls.iter_mut().map(|(.., ticket)| ticket);
        for ticket in pending.chain(closed) {
            let ticket = std::mem::replace(ticket, Ticket::NONE);
            if ticket != Ticket::NONE {
                failed.controls.push(ticket);
            }
        }
    }
}
