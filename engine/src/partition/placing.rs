//! Placed writes: runs of pending batches that go straight to their place in the segment, whole
//! blocks only, before the entry that refers to them is closed.
//!
//! INVARIANT: runs are a prefix of the pending batches, in order. A run's blocks hold new bytes
//! only, its first block apart: that one may begin with bytes of earlier entries if it was never
//! written, because they lie inline in the live journal until it is.

use super::{
    Batch, Control, InFlight, Partition, PlacingRule, Run, SegmentWrite, SpareVecs, WriteKind,
    WriteTarget, block_start,
};
use crate::io::arena::Arena;
use crate::limits::{BLOCK_BYTES, WRITE_BYTES_MAX};
use crate::planted::{self, Bug};

/// Batches of a run at most: each needs a descriptor in the commit's table.
const RUN_BATCHES_MAX: usize = 512;
/// Each run on its way makes the next one wait for four times the bytes, up to this many.
const RUNS_COUNTED_MAX: usize = 2;
/// Rate of a log from which it is placed as if the device were busy: it soon will be.
const FAST_BYTES_PER_SECOND: u64 = 32 << 20;

impl Partition {
    /// The next placed write, if the rule asks for one and prepared space allows it. Call until
    /// `None`. Its batches (and all behind them) are not closed before `write_done` came for all
    /// writes of their run.
    pub fn plan_placed(
        &mut self,
        arena: &mut Arena,
        rule: &PlacingRule,
        spare: &mut SpareVecs,
    ) -> Option<SegmentWrite> {
        let is_planned = |run: &Run| run.planned_to == run.blocks.end;
        if self.runs.back().is_none_or(is_planned) {
            let run = self.next_run(rule)?;
            self.runs.push_back(run);
        }
        self.plan_run_write(arena, spare)
    }

    /// Pending batches that are in no run: index of the first.
    fn first_unplaced(&self) -> usize {
        self.closed_count + self.runs.iter().map(|run| run.batch_count).sum::<usize>()
    }

    fn next_run(&mut self, rule: &PlacingRule) -> Option<Run> {
        let first = self.first_unplaced();
        let start = self.batches.get(first)?.position;
        let number = self.segment_at(start)?;
        let segment = &self.segments[number];
        let epoch_limit = self.next_epoch_start();
        let mut count = 0;
        let mut end = start;
        for batch in self.batches.range(first..) {
            let fits = count == 0
                || batch.end() - start <= rule.bytes_max
                    && count < RUN_BATCHES_MAX
                    && batch.base_offset < epoch_limit;
            if !fits || batch.position != end {
                break;
            }
            end = batch.end();
            count += 1;
        }
        let pending = self.appended.position.min(segment.end) - start;
        let is_forced = end - start > rule.inline_bytes_max;
        let wanted = self.run_bytes_wanted(rule);
        let is_worth_it = pending >= wanted && end - start >= wanted / 2;
        let is_prepared = segment.in_file(end).next_multiple_of(BLOCK_BYTES) <= segment.prepared;
        if !(is_forced || is_worth_it) || !is_prepared {
            return None;
        }
        let blocks = self.run_blocks(start, end);
        if blocks.is_empty() {
            return None;
        }
        let mut crcs = self.spare_crcs.pop().unwrap_or_default();
        crcs.clear();
        self.sum_pieces(blocks.start.max(start), blocks.end, number, &mut crcs);
        Some(Run {
            start,
            end,
            batch_count: count,
            planned_to: blocks.start,
            blocks,
            writes_in_flight: 0,
            crcs,
        })
    }

    /// Pending bytes that are worth a run. A log that is written fast need not find the device
    /// busy, and the more of its runs are on their way, the longer the next one may grow.
    fn run_bytes_wanted(&self, rule: &PlacingRule) -> u64 {
        let least = if self.rate.bytes_per_second() >= FAST_BYTES_PER_SECOND {
            rule.bytes_min_busy
        } else {
            rule.bytes_min
        };
        let on_their_way = self.runs.iter().filter(|run| !run.is_written());
        let waiting = on_their_way.count().min(RUNS_COUNTED_MAX);
        (least << (2 * waiting)).min(rule.bytes_max).max(least)
    }

    /// Whole blocks of `[start, end)`, from the start of its first block on if that block was not
    /// written before and all of it is in memory.
    fn run_blocks(&self, start: u64, end: u64) -> std::ops::Range<u64> {
        let first = block_start(start);
        let is_fresh = self.written_end <= first
            && !self.written_ranges.iter().any(|r| overlaps(r, first))
            && !self.in_flight.iter().any(|w| overlaps(&w.range, first))
            && !self.runs.iter().any(|run| overlaps(&run.blocks, first))
            && self.tail.covers(first, start);
        let from = if start == first || is_fresh {
            first
        } else {
            first + BLOCK_BYTES
        };
        let to = if planted::is(Bug::PlacedEndRoundedUp) {
            end.next_multiple_of(BLOCK_BYTES)
        } else {
            block_start(end)
        };
        from..to.max(from)
    }

    fn plan_run_write(&mut self, arena: &mut Arena, spare: &mut SpareVecs) -> Option<SegmentWrite> {
        let run = self.runs.back()?;
        let from = run.planned_to;
        let to = run.blocks.end.min(from + WRITE_BYTES_MAX);
        let number = self.segment_at(from)?;
        let mut parts = spare.take();
        let gathered = self.gather(arena, number, from..to, &mut parts);
        if gathered == from {
            self.is_memory_wanted = true;
            spare.give(parts);
            return None;
        }
        let id = self.next_write_id();
        self.in_flight.push(InFlight {
            id,
            kind: WriteKind::Placed,
            range: from..gathered,
        });
        let run = self.runs.back_mut()?;
        run.planned_to = gathered;
        run.writes_in_flight += 1;
        let segment = &self.segments[number];
        Some(SegmentWrite {
            file: segment.file,
            generation: segment.generation,
            target: WriteTarget::Records,
            position: segment.in_file(from),
            parts,
            bytes: gathered - from,
            id,
        })
    }

    /// First offset of the next leader epoch that is not in a commit yet: no entry crosses it.
    pub(super) fn next_epoch_start(&self) -> i64 {
        let starts = self.pending_controls.iter().filter_map(|(control, _)| {
            if let Control::LeaderEpoch { start_offset, .. } = control {
                Some(*start_offset)
            } else {
                None
            }
        });
        starts
            .filter(|&start| start > self.closed.offset)
            .min()
            .unwrap_or(i64::MAX)
    }

    /// Pending batches, oldest first.
    pub(super) fn pending(&self) -> impl Iterator<Item = &Batch> {
        self.batches.range(self.closed_count..)
    }
}

/// Whether the range touches the block that begins at `block`.
const fn overlaps(range: &std::ops::Range<u64>, block: u64) -> bool {
    range.start < block + BLOCK_BYTES && range.end > block
}
