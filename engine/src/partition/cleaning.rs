//! Compaction, the partition's part (`cleanup.policy=compact`): what may be compacted, in which
//! groups of segments, and the swap of a group for the segment that holds what was kept of it.
//!
//! INVARIANT: only segments that are sealed, resolved, wholly in their files and sealed so in a
//! durable checkpoint are compacted, never the newest one; so a replayed swap finds its segments
//! as the checkpoint names them, and their bytes are never waiting to be written. Readers see the
//! new segment when the swap is resolved, checkpoints as soon as it is closed.

use super::{Control, DiskEnd, Partition, ReleasedFile, SegmentRun, Swap, SwappedIn, released};
use crate::ids::{FileId, Ticket};
use crate::segment::{Segment, SegmentBirth};
use rustc_hash::FxHashMap;
use std::ops::Range;

/// Segments of a group at most: what one swap replaces.
const GROUP_SEGMENTS_MAX: usize = 1024;

/// How much of a partition compaction could work on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cleanable {
    /// First offset that was never compacted.
    pub dirty_start: i64,
    /// End of what may be compacted.
    pub dirty_end: i64,
    /// Bytes of segments below `dirty_start`, and of the others up to `dirty_end`.
    pub clean_bytes: u64,
    /// See `clean_bytes`.
    pub dirty_bytes: u64,
    /// `max.compaction.lag.ms` has passed for its oldest dirty records.
    pub is_overdue: bool,
    /// The log start when this was found out: a run is void when it moves.
    pub log_start: i64,
}

impl Cleanable {
    /// Dirty bytes among all, in millionths.
    #[must_use]
    pub fn dirty_ppm(&self) -> u64 {
        let all = u128::from(self.clean_bytes) + u128::from(self.dirty_bytes);
        (u128::from(self.dirty_bytes) * 1_000_000 / all.max(1)) as u64
    }
}

/// Consecutive segments that become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CleaningGroup {
    /// The segments.
    pub old: SegmentRun,
    /// Base offset of the first.
    pub base_offset: i64,
    /// End offset of the last.
    pub end_offset: i64,
    /// When the first was rolled.
    pub created_ms: i64,
    /// Largest size of what comes in their place, identity block included.
    pub file_bytes_max: u64,
}

/// Planning.
impl Partition {
    /// What of the log is worth compacting now: more than `min.cleanable.dirty.ratio` of it is
    /// dirty, or `max.compaction.lag.ms` has passed. `None` also while a swap is under way.
    #[must_use]
    pub fn cleanable(&self, wall_ms: i64) -> Option<Cleanable> {
        let config = self.spec.config.compaction.as_ref()?;
        if self.swap_under_way().is_some() {
            return None;
        }
        let dirty_start = self.cleaned_end.max(self.asked_log_start);
        let mut found = Cleanable {
            dirty_start,
            dirty_end: dirty_start,
            clean_bytes: 0,
            dirty_bytes: 0,
            is_overdue: false,
            log_start: self.asked_log_start,
        };
        for segment in self.cleanable_segments() {
            if segment.end_offset <= dirty_start {
                found.clean_bytes += segment.record_bytes();
                continue;
            }
            let age_ms = wall_ms.saturating_sub(segment.retention_timestamp());
            if config.lag_ms_min > 0 && age_ms < config.lag_ms_min {
                break;
            }
            let waited_ms = wall_ms.saturating_sub(segment.created_ms);
            found.is_overdue |= found.dirty_bytes == 0 && waited_ms > config.lag_ms_max;
            found.dirty_bytes += segment.record_bytes();
            found.dirty_end = segment.end_offset;
        }
        let is_worth_it = found.is_overdue || found.dirty_ppm() > u64::from(config.dirty_ratio_ppm);
        (found.dirty_bytes > 0 && is_worth_it).then_some(found)
    }

    /// The groups in which the segments that begin below `end_offset` are compacted. Each becomes
    /// at most one segment of `segment.bytes`.
    #[must_use]
    pub fn cleaning_groups(&self, end_offset: i64) -> Vec<CleaningGroup> {
        let bytes_max = self.spec.config.segment_bytes;
        let mut groups: Vec<CleaningGroup> = Vec::new();
        let mut group_bytes = 0;
        let mut group_start = 0;
        let below = |segment: &&Segment| segment.base_offset < end_offset;
        for segment in self.cleanable_segments().take_while(below) {
            let bytes = segment.record_bytes();
            let name = (segment.file, segment.generation);
            let joins = groups.last().is_some_and(|group| {
                group_bytes + bytes <= bytes_max
                    && (group.old.count as usize) < GROUP_SEGMENTS_MAX
                    && segment.end_offset - group.base_offset <= i64::from(i32::MAX)
            });
            match groups.last_mut().filter(|_| joins) {
                Some(group) => {
                    group_bytes += bytes;
                    group.old.last = name;
                    group.old.count += 1;
                    group.end_offset = segment.end_offset;
                    group.file_bytes_max = segment.next_start() - group_start;
                }
                None => {
                    group_bytes = bytes;
                    group_start = segment.start;
                    groups.push(CleaningGroup {
                        old: SegmentRun {
                            first: name,
                            last: name,
                            count: 1,
                        },
                        base_offset: segment.base_offset,
                        end_offset: segment.end_offset,
                        created_ms: segment.created_ms,
                        file_bytes_max: segment.next_start() - segment.start,
                    });
                }
            }
        }
        groups
    }

    /// Offset behind the last record of every producer that is remembered: its batch is kept, if
    /// need be without records, so that it can still be told from a duplicate.
    #[must_use]
    pub fn producer_ends(&self) -> FxHashMap<i64, i64> {
        self.producers.last_ends().collect()
    }

    /// The log start that was last asked for, durable or not.
    #[must_use]
    pub const fn asked_log_start(&self) -> i64 {
        self.asked_log_start
    }

    /// Up to where the log is compacted.
    #[must_use]
    pub const fn cleaned_end(&self) -> i64 {
        self.cleaned_end
    }

    /// The segments that compaction may touch, oldest first; those that a log start asked for will
    /// drop are left to it.
    fn cleanable_segments(&self) -> impl Iterator<Item = &Segment> {
        let readable = self.high_watermark.offset.min(self.resolved.offset);
        let stable = self.stable_end().min(self.durable_sealed);
        let last = self.segments.len().saturating_sub(1);
        let is_settled = move |segment: &&Segment| {
            segment.is_closed_whole()
                && segment.end <= stable
                && segment.end_offset <= readable
                && !segment.index_write_in_flight
                && segment.index_blocks_written == segment.index_block_count()
        };
        self.segments
            .range(..last)
            .skip_while(|segment| segment.end_offset <= self.asked_log_start)
            .take_while(is_settled)
    }

    /// Log position up to where segments are sealed, as of the closed end.
    pub(super) fn sealed_position(&self) -> u64 {
        let sealed = self.segments.partition_point(Segment::is_closed_whole);
        let last = sealed.checked_sub(1).map(|last| &self.segments[last]);
        last.map_or(0, |segment| segment.end)
    }
}

/// The swap.
impl Partition {
    /// Asks for a swap; it holds when its commit resolves. From here on the new file is the
    /// partition's. Returns `false`, and takes nothing, when the log start moved since the group
    /// was planned, or another swap is under way: then the work was for nothing.
    pub fn swap(&mut self, swap: Swap, log_start: i64) -> bool {
        let is_there = swap.old.is_none_or(|old| self.find(&old).is_some());
        if self.asked_log_start != log_start || !is_there || self.swap_under_way().is_some() {
            return false;
        }
        self.push_control(Control::Swap(swap), Ticket::NONE);
        true
    }

    /// Whether a swap was asked for and is not resolved.
    #[must_use]
    pub fn is_swapping(&self) -> bool {
        self.swap_under_way().is_some()
    }

    pub(super) fn swap_under_way(&self) -> Option<&Swap> {
        let pending = self.pending_controls.iter().map(|(control, _)| control);
        let closed = self.closed_controls.iter().map(|(_, control, _)| control);
        pending.chain(closed).find_map(swap_of)
    }

    /// Where the segments of a swap are, and the new one, if it is closed and not yet resolved.
    pub(super) fn closed_swap(&self) -> Option<(Range<usize>, Option<Segment>)> {
        let swap = self.closed_swap_control()?;
        let range = self.find(&swap.old?)?;
        let start = self.segments[range.start].start;
        Some((range, swap.new.map(|new| segment_of(&new, start))))
    }

    /// The segments as of the closed end: `swapped` is what `closed_swap` gave.
    pub(super) fn closed_segments<'a>(
        &'a self,
        swapped: &'a Option<(Range<usize>, Option<Segment>)>,
    ) -> impl Iterator<Item = &'a Segment> {
        let segments = self.segments.iter().enumerate();
        segments.filter_map(move |(number, segment)| match swapped {
            Some((range, new)) if range.start == number => new.as_ref(),
            Some((range, _)) if range.contains(&number) => None,
            _ => Some(segment),
        })
    }

    pub(super) fn closed_cleaned_end(&self) -> i64 {
        let swap = self.closed_swap_control();
        swap.map_or(self.cleaned_end, |swap| {
            swap.cleaned_end.max(self.cleaned_end)
        })
    }

    fn closed_swap_control(&self) -> Option<&Swap> {
        let controls = self.closed_controls.iter();
        controls.map(|(_, control, _)| control).find_map(swap_of)
    }

    /// Numbers of the segments of a run, if all of them are there.
    fn find(&self, run: &SegmentRun) -> Option<Range<usize>> {
        let (file, generation): (FileId, u32) = run.first;
        let first = self.segment_of_file(file, generation)?;
        let end = first.checked_add(run.count as usize)?;
        let last = self.segments.get(end.checked_sub(1)?)?;
        ((last.file, last.generation) == run.last).then_some(first..end)
    }

    /// Puts the new segment in the place of the old ones. `false`: they are not there, or not
    /// wholly in their files.
    pub(super) fn apply_swap(&mut self, swap: &Swap) -> bool {
        if let Some(old) = &swap.old {
            let Some(range) = self.find(old) else {
                return false;
            };
            let first = &self.segments[range.start];
            let (start, base_offset) = (first.start, first.base_offset);
            let last = &self.segments[range.end - 1];
            let is_settled = last.is_closed_whole() && last.end <= self.written_end;
            let behind = last.next_start();
            let fits = swap.new.is_none_or(|new| {
                new.base_offset == base_offset
                    && new.end_offset <= last.end_offset
                    && start + new.length <= behind
            });
            if !is_settled || !fits {
                return false;
            }
            self.forget_memory_below(behind);
            let gone = self.segments.drain(range.clone());
            let gone: Vec<ReleasedFile> = gone.map(|segment| released(&segment)).collect();
            self.released.extend(gone);
            if let Some(new) = &swap.new {
                self.segments.insert(range.start, segment_of(new, start));
            }
        }
        self.cleaned_end = self.cleaned_end.max(swap.cleaned_end);
        self.is_changed = true;
        true
    }

    /// What is written and lies below `behind`, where a segment ends, is read from disk from now
    /// on: its log positions get another meaning.
    fn forget_memory_below(&mut self, behind: u64) {
        while self.tail.front().is_some_and(|front| front < behind) {
            self.tail.pop_front();
        }
        if self.disk_end.position < behind {
            self.disk_end = DiskEnd {
                position: behind,
                crc: 0,
                offset: None,
            };
        }
    }
}

const fn swap_of(control: &Control) -> Option<&Swap> {
    match control {
        Control::Swap(swap) => Some(swap),
        _ => None,
    }
}

/// The segment that a swap brings, at log position `start`.
pub(super) fn segment_of(new: &SwappedIn, start: u64) -> Segment {
    let mut segment = Segment::new(SegmentBirth {
        file: new.file,
        generation: new.generation,
        base_offset: new.base_offset,
        created_ms: new.created_ms,
        file_bytes: new.prepared,
        prepared: new.prepared,
        start,
    });
    segment.end = start + new.length;
    segment.end_offset = new.end_offset;
    segment.closed_end_offset = new.end_offset;
    segment.is_sealed = true;
    segment.roll_closed = true;
    segment.seal_closed = true;
    segment.max_timestamp = new.max_timestamp;
    segment.max_timestamp_offset = new.max_timestamp_offset;
    segment.index_blocks_written = segment.index_block_count();
    segment.index = None;
    segment
}
