//! Append: check the producer, assign offsets, put the bytes into the tail. Step 6 of the produce
//! path; nothing here touches the disk. Also rolls, and the file space the log will need next.

use super::producers::{Sequenced, Verdict};
use super::tail::{NoMemory, Patch, Tail};
use super::{
    AppendContext, AppendError, Appended, Batch, BatchBytes, Durability, End, NewSegment, Now,
    Partition, SpaceWanted, block_end,
};
use crate::ids::{FileId, Ticket};
use crate::limits::{BLOCK_BYTES, GRANULE_BYTES, SEGMENT_DATA_START};
use crate::planted::{self, Bug};
use crate::record_batch::Header;
use crate::segment::{Segment, SegmentBirth};

/// File space kept prepared ahead of the log's end: bounds, and seconds of the present rate.
/// PERF: each stretch costs four operations and splits a write-back, whatever its size.
const AHEAD_BYTES_MIN: u64 = 16 * 1024;
const AHEAD_BYTES_MAX: u64 = 64 << 20;
const AHEAD_SECONDS: u64 = 8;
/// The rate is taken anew after this long.
const RATE_WINDOW_NS: u64 = 200_000_000;
/// Positions in a segment must fit the index's 32 bits.
const SEGMENT_BYTES_MAX: u64 = u32::MAX as u64 - (2 << 20);

/// Bytes per second appended, smoothed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rate {
    window_began_ns: u64,
    window_bytes: u64,
    bytes_per_second: u64,
}

impl Rate {
    fn note(&mut self, bytes: u64, now_ns: u64) {
        let elapsed = now_ns.saturating_sub(self.window_began_ns);
        if elapsed >= RATE_WINDOW_NS {
            let measured = self.window_bytes.saturating_mul(1_000_000_000) / elapsed;
            // A burst counts at once, its end only by and by.
            self.bytes_per_second = measured.max(self.bytes_per_second.midpoint(measured));
            self.window_began_ns = now_ns;
            self.window_bytes = 0;
        }
        self.window_bytes = self.window_bytes.saturating_add(bytes);
    }

    pub(super) const fn bytes_per_second(&self) -> u64 {
        self.bytes_per_second
    }

    fn ahead_bytes(&self) -> u64 {
        self.bytes_per_second
            .max(self.window_bytes)
            .saturating_mul(AHEAD_SECONDS)
            .clamp(AHEAD_BYTES_MIN, AHEAD_BYTES_MAX)
    }
}

/// Append.
impl Partition {
    /// The address remainder modulo 4096 a slab should have to be appended next without a copy
    /// (if nothing is appended before it).
    #[must_use]
    pub const fn append_remainder(&self) -> usize {
        Tail::remainder(self.appended.position)
    }

    /// Whether `roll` must come before a batch of `batch_bytes` is appended: no active segment, no
    /// room in it, or it is older than `segment.ms`. Never for the class `Null`.
    #[must_use]
    pub fn roll_needed(&self, batch_bytes: usize, wall_ms: i64) -> bool {
        if self.spec.config.durability == Durability::Null {
            return false;
        }
        let Some(active) = self.active() else {
            return true;
        };
        let after = active.end - active.start + batch_bytes as u64;
        let records = active.record_bytes();
        let is_old = wall_ms.saturating_sub(active.created_ms) >= self.spec.config.segment_ms;
        let delta = self.appended.offset.saturating_sub(active.base_offset);
        after > active.file_bytes
            || records > 0
                && (records + batch_bytes as u64 > self.spec.config.segment_bytes
                    || is_old
                    || delta >= i64::from(i32::MAX))
    }

    /// Size the next segment's file should be able to grow to, given `segment.bytes` and that it
    /// must take a batch of `batch_bytes`. Identity block included, block-aligned.
    #[must_use]
    pub fn segment_file_bytes(&self, batch_bytes: usize) -> u64 {
        let records = self.spec.config.segment_bytes.min(SEGMENT_BYTES_MAX);
        block_end(records.max(batch_bytes as u64) + SEGMENT_DATA_START)
    }

    /// Seals the active segment (if any) and makes `segment` the active one. The control records
    /// come from `close_next` in their place. Afterwards `roll_needed` is false for a batch that
    /// fits `segment.file_bytes`.
    pub fn roll(&mut self, segment: NewSegment, wall_ms: i64) {
        self.seal();
        self.push_segment(segment, self.appended.offset, wall_ms);
    }

    /// Seals the active segment without a new one (the next append needs a roll).
    pub fn seal(&mut self) {
        if let Some(last) = self.segments.back_mut() {
            last.is_sealed = true;
        }
    }

    pub(super) fn push_segment(&mut self, segment: NewSegment, base_offset: i64, created_ms: i64) {
        let start = match self.segments.back() {
            Some(last) => last.next_start(),
            None => self.appended.position.next_multiple_of(GRANULE_BYTES),
        };
        self.segments.push_back(Segment::new(SegmentBirth {
            file: segment.file,
            generation: segment.generation,
            base_offset,
            created_ms,
            file_bytes: segment.file_bytes,
            prepared: segment.prepared,
            start,
        }));
        self.appended.position = start + SEGMENT_DATA_START;
        self.advance_written();
    }

    /// Appends one whole checked batch: checks its producer, gives it offsets and leader epoch (in
    /// place), and puts it in the tail. On `Ok` without `is_acked`, `ticket` comes back exactly
    /// once from `resolve` or `written`. The shard has checked before that it does not stop, that
    /// there is disk space, and that no roll is needed.
    ///
    /// # Errors
    /// Nothing was added; a slab stays where it was.
    pub fn append(
        &mut self,
        context: &mut AppendContext<'_>,
        header: &Header,
        bytes: BatchBytes<'_>,
        ticket: Ticket,
    ) -> Result<Appended, AppendError> {
        self.check_batch_bytes(header)?;
        let record_count = i64::from(header.last_offset_delta.max(0)) + 1;
        if self.spec.config.durability == Durability::Null {
            return Ok(self.append_to_nothing(record_count));
        }
        let sequenced = Sequenced::of(header);
        if let Verdict::Duplicate {
            base_offset,
            end_offset,
        } = self.producers.check(sequenced)?
        {
            return Ok(self.append_again(base_offset, end_offset, ticket));
        }
        debug_assert!(!self.roll_needed(header.batch_bytes as usize, i64::MIN));
        let is_log_append_time = self.spec.config.is_log_append_time;
        let append_time_ms = is_log_append_time.then_some(context.now.wall_ms);
        self.put_in_tail(context, bytes, append_time_ms)?;
        let base_offset = self.appended.offset;
        let end_offset = base_offset + record_count;
        self.producers.note(
            sequenced,
            base_offset,
            self.closed.offset,
            context.now.wall_ms,
        );
        self.batches.push_back(Batch {
            base_offset,
            end_offset,
            position: self.appended.position,
            bytes: header.batch_bytes,
            base_sequence: header.base_sequence,
            producer_id: header.producer_id,
            producer_epoch: header.producer_epoch,
            attributes: header.attributes,
            max_timestamp: append_time_ms.unwrap_or(header.max_timestamp),
            ticket,
            appended_ns: context.now.ns,
        });
        self.appended = End {
            offset: end_offset,
            position: self.appended.position + u64::from(header.batch_bytes),
        };
        if let Some(active) = self.segments.back_mut() {
            active.end = self.appended.position;
            active.end_offset = end_offset;
        }
        self.rate
            .note(u64::from(header.batch_bytes), context.now.ns);
        if planted::is(Bug::HighWatermarkAtAppend) {
            self.high_watermark = self.appended;
        }
        Ok(Appended {
            base_offset,
            end_offset,
            is_duplicate: false,
            is_acked: self.expose_at_append(),
            append_time_ms,
        })
    }

    fn check_batch_bytes(&self, header: &Header) -> Result<(), AppendError> {
        if self.fences.iter().any(|fence| fence.stops_appends) {
            return Err(AppendError::Fenced);
        }
        let config = &self.spec.config;
        let max = u64::from(config.batch_bytes_max)
            .min(config.segment_bytes)
            .min(SEGMENT_BYTES_MAX);
        if u64::from(header.batch_bytes) > max {
            return Err(AppendError::TooLarge {
                bytes: header.batch_bytes as usize,
                max: max as usize,
            });
        }
        Ok(())
    }

    fn put_in_tail(
        &mut self,
        context: &mut AppendContext<'_>,
        bytes: BatchBytes<'_>,
        append_time_ms: Option<i64>,
    ) -> Result<(), AppendError> {
        let patch = Patch {
            base_offset: self.appended.offset,
            leader_epoch: self.leader_epochs.current(),
            append_time_ms,
        };
        let position = self.appended.position;
        let now_ns = context.now.ns;
        let copied = match bytes {
            BatchBytes::Copy(bytes) => {
                self.tail
                    .append_copy(context.arena, position, bytes, patch, now_ns)
            }
            BatchBytes::Slab(slab) => {
                self.tail
                    .append_slab(context.arena, position, slab, patch, now_ns)
            }
        }
        .map_err(|NoMemory(bytes)| AppendError::NoMemory { bytes })?;
        context.copied_bytes += copied.bytes;
        context.realigned_bytes += copied.realigned;
        Ok(())
    }

    fn append_again(&mut self, base_offset: i64, end_offset: i64, ticket: Ticket) -> Appended {
        let is_acked = end_offset <= self.high_watermark.offset;
        if !is_acked && ticket != Ticket::NONE {
            self.duplicates.push((end_offset, ticket));
        }
        Appended {
            base_offset,
            end_offset,
            is_duplicate: true,
            is_acked,
            append_time_ms: None,
        }
    }

    /// The class `Null`: offsets are handed out, nothing is kept (producers neither).
    fn append_to_nothing(&mut self, record_count: i64) -> Appended {
        let base_offset = self.appended.offset;
        self.appended.offset += record_count;
        if self.batches.is_empty() {
            self.closed.offset = self.appended.offset;
            self.resolved.offset = self.appended.offset;
            self.high_watermark.offset = self.appended.offset;
            self.is_changed = true;
        }
        Appended {
            base_offset,
            end_offset: self.appended.offset,
            is_duplicate: false,
            is_acked: true,
            append_time_ms: None,
        }
    }
}

/// File space.
impl Partition {
    /// Says that the file's first `end` bytes are prepared: zero-filled and synced. A file that is
    /// not (any more) ours is ignored. Writes are planned only into prepared space.
    pub fn set_prepared(&mut self, file: FileId, end: u64) {
        if let Some(segment) = self.segments.iter_mut().rev().find(|s| s.file == file) {
            segment.prepared = segment.prepared.max(end);
        }
    }

    /// The next stretch to prepare, by rate, at most one per partition; `None` when enough is
    /// there. The shard remembers what it began; the answer is the same until `set_prepared`.
    #[must_use]
    pub fn space_wanted(&self, now: Now) -> Option<SpaceWanted> {
        let is_short = |s: &&Segment| s.end - s.start > s.prepared;
        let late = self.unwritten_segments().find(is_short);
        let segment = late.or_else(|| self.active())?;
        let used = segment.end - segment.start;
        let is_urgent = used > segment.prepared;
        let quiet_ns = now.ns.saturating_sub(self.rate.window_began_ns);
        let ahead = if segment.is_sealed {
            0
        } else if quiet_ns > 50 * RATE_WINDOW_NS {
            AHEAD_BYTES_MIN
        } else {
            self.rate.ahead_bytes()
        };
        if !is_urgent && (segment.is_sealed || segment.prepared - used >= ahead / 2) {
            return None;
        }
        let to = (used + ahead)
            .next_multiple_of(ahead.next_power_of_two().clamp(BLOCK_BYTES, GRANULE_BYTES))
            .min(block_end(segment.file_bytes));
        (to > segment.prepared).then_some(SpaceWanted {
            file: segment.file,
            generation: segment.generation,
            from: segment.prepared,
            to,
            is_urgent,
        })
    }

    /// Appended bytes (and identity blocks) that have no prepared place yet; admission counts
    /// their sum against the ballast.
    #[must_use]
    pub fn unprepared_bytes(&self) -> u64 {
        let missing = |s: &Segment| (s.end - s.start).saturating_sub(s.prepared);
        self.unwritten_segments().map(missing).sum::<u64>() / BLOCK_BYTES * BLOCK_BYTES
    }

    /// Segments with bytes that are not written, oldest first.
    pub(super) fn unwritten_segments(&self) -> impl Iterator<Item = &Segment> {
        let first = self
            .segments
            .partition_point(|segment| segment.end <= self.written_end);
        self.segments.range(first..)
    }
}
