//! What may go: log start, whole segments, silent producers, fenced ranges. A file leaves the
//! partition only when the log start that passed it is resolved; the shard frees it later still.

use super::{Control, Fence, Partition};
use crate::ids::Ticket;

/// Fenced ranges remembered at most; beyond it the last one grows.
const FENCES_MAX: usize = 256;

impl Partition {
    /// Asks for a new log start; it holds when its commit resolves (`Acks::controls`).
    ///
    /// # Errors
    /// The high watermark when `offset` is below 0 or above it.
    pub fn advance_log_start(&mut self, offset: i64, ticket: Ticket) -> Result<(), i64> {
        if offset < 0 || offset > self.high_watermark.offset {
            return Err(self.high_watermark.offset);
        }
        self.asked_log_start = self.asked_log_start.max(offset);
        self.seal_if_deleted(offset);
        self.push_control(Control::LogStart { offset }, ticket);
        Ok(())
    }

    /// Seals the active segment when every record of it is below `log_start`, so that its file goes
    /// too: deleting everything must give a full disk its space back.
    fn seal_if_deleted(&mut self, log_start: i64) {
        let readable = self.high_watermark.offset.min(self.resolved.offset);
        if let Some(active) = self.segments.back_mut()
            && active.record_bytes() > 0
            && active.end_offset <= log_start.min(readable)
        {
            active.is_sealed = true;
        }
    }

    /// Records appended from here on have leader epoch `epoch` (higher than the present one).
    pub fn raise_epoch(&mut self, epoch: i32) {
        if epoch <= self.leader_epochs.current() {
            return;
        }
        let start_offset = self.appended.offset;
        self.leader_epochs.begin(epoch, start_offset);
        let control = Control::LeaderEpoch {
            epoch,
            start_offset,
        };
        self.push_control(control, Ticket::NONE);
    }

    /// KIP-320: the largest epoch not above `epoch` with the end offset of that epoch. `None` for
    /// an epoch above the present one.
    #[must_use]
    pub fn end_of_epoch(&self, epoch: i32) -> Option<(i32, i64)> {
        self.leader_epochs.end_of(epoch, self.appended.offset)
    }

    /// Fences a range: reads in it answer `Corrupt`, appends `Fenced` if it stops appends. Holds
    /// at once; a control record makes it durable.
    pub fn fence(&mut self, fence: Fence) {
        if self.add_fence(fence) {
            self.push_control(Control::Quarantine { fence }, Ticket::NONE);
        }
    }

    /// Returns whether it says anything new.
    pub(super) fn add_fence(&mut self, fence: Fence) -> bool {
        let says_it = |known: &Fence| {
            known.start_offset <= fence.start_offset
                && known.end_offset >= fence.end_offset
                && known.stops_appends >= fence.stops_appends
        };
        if fence.start_offset >= fence.end_offset || self.fences.iter().any(says_it) {
            return false;
        }
        let touches = |known: &&mut Fence| {
            let is_same =
                (known.stops_appends, known.is_lost) == (fence.stops_appends, fence.is_lost);
            is_same
                && known.start_offset <= fence.end_offset
                && fence.start_offset <= known.end_offset
        };
        if let Some(known) = self.fences.iter_mut().find(touches) {
            known.start_offset = known.start_offset.min(fence.start_offset);
            known.end_offset = known.end_offset.max(fence.end_offset);
        } else if self.fences.len() >= FENCES_MAX
            && let Some(last) = self.fences.last_mut()
        {
            last.start_offset = last.start_offset.min(fence.start_offset);
            last.end_offset = last.end_offset.max(fence.end_offset);
            last.stops_appends |= fence.stops_appends;
        } else {
            self.fences.push(fence);
        }
        true
    }

    /// Gives all fenced ranges up for lost: readers skip them and appends go on. Pending batches
    /// behind a damaged tail block are gone too; the shard has failed them. A segment whose end is
    /// lost takes nothing more: its last block cannot be written again.
    pub fn accept_loss(&mut self, ticket: Ticket) {
        let closed_end = self.closed.offset;
        let is_end_lost =
            |f: &Fence| !f.is_lost && f.start_offset < closed_end && f.end_offset >= closed_end;
        if self.fences.iter().any(is_end_lost) && self.closed_count == self.batches.len() {
            self.seal();
        }
        if self.fences.iter().any(|f| f.stops_appends) && self.is_tail_block_missing() {
            self.abandon_pending();
        }
        for fence in &mut self.fences {
            if !fence.is_lost {
                fence.is_lost = true;
                fence.stops_appends = false;
                let control = Control::AcceptLoss { fence: *fence };
                self.pending_controls.push_back((control, Ticket::NONE));
            }
        }
        let offset = self.closed_log_start;
        // Comes last, so it is durable when all of them are.
        self.push_control(Control::LogStart { offset }, ticket);
    }

    /// Drops what was appended and not closed, behind a damaged tail block; its offsets stay used.
    /// The segment ends here, so that nothing more shares a granule with the damage.
    pub fn abandon_pending(&mut self) {
        self.tail.cut(self.closed.position);
        self.batches.truncate(self.closed_count);
        self.exposed_count = self.exposed_count.min(self.closed_count);
        self.runs.clear();
        self.producers.forget_above(self.closed.offset);
        self.appended.position = self.closed.position;
        if let Some(last) = self.segments.back_mut() {
            last.end = self.closed.position;
            last.end_offset = last.closed_end_offset;
        }
        self.seal();
    }

    /// The fenced ranges.
    #[must_use]
    pub fn fences(&self) -> &[Fence] {
        &self.fences
    }

    /// Where retention by time and size would move the log start: give it to `advance_log_start`.
    /// Whole sealed segments below the high watermark only. Seals an expired active segment first
    /// (hence `&mut`), as Kafka rolls it.
    pub fn apply_retention(&mut self, wall_ms: i64) -> Option<i64> {
        self.retained_from(Some(wall_ms))
    }

    /// The same for retention by size alone.
    pub fn apply_size_retention(&mut self) -> Option<i64> {
        self.retained_from(None)
    }

    fn retained_from(&mut self, wall_ms: Option<i64>) -> Option<i64> {
        let config = &self.spec.config;
        let (retention_ms, retention_bytes) = (config.retention_ms, config.retention_bytes);
        let readable = self.high_watermark.offset.min(self.resolved.offset);
        let mut log_start = self.asked_log_start;
        let mut excess = match u64::try_from(retention_bytes) {
            Ok(kept) => self.log_bytes().saturating_sub(kept),
            Err(_) => 0,
        };
        for segment in &mut self.segments {
            let is_expired = wall_ms.is_some_and(|wall_ms| {
                let age_ms = wall_ms.saturating_sub(segment.retention_timestamp());
                retention_ms >= 0 && age_ms > retention_ms
            });
            let bytes = segment.record_bytes();
            let is_excess = segment.is_sealed && bytes <= excess && excess > 0;
            if !(is_expired || is_excess) || segment.end_offset > readable || bytes == 0 {
                break;
            }
            segment.is_sealed = true;
            log_start = segment.end_offset;
            excess = excess.saturating_sub(bytes);
        }
        (log_start > self.asked_log_start).then_some(log_start)
    }

    /// Idempotent producers that are remembered.
    #[must_use]
    pub fn producer_count(&self) -> usize {
        self.producers.len()
    }

    /// When each remembered producer appended last, wall milliseconds, in no order.
    pub fn producers_last_ms(&self) -> impl Iterator<Item = i64> {
        self.producers.last_ms()
    }

    /// Forgets producers that were silent for `producer.id.expiration.ms`.
    pub fn expire_producers(&mut self, wall_ms: i64) {
        let silent_since = wall_ms.saturating_sub(self.spec.config.producer_expiration_ms);
        self.producers.forget_silent(silent_since, &mut 0);
    }

    /// Forgets producers that appended last before `since_ms` and, of those that did it then,
    /// `more`, which goes down by them.
    pub fn forget_producers(&mut self, since_ms: i64, more: &mut usize) {
        self.producers.forget_silent(since_ms, more);
    }

    /// Whether the closed state has no more need of a segment.
    pub(super) fn is_dropped(&self, segment: &crate::segment::Segment, log_start: i64) -> bool {
        segment.is_closed_whole() && segment.end_offset <= log_start
    }

    /// Lets segments wholly below the log start go.
    pub(super) fn drop_segments(&mut self) {
        while let Some(first) = self.segments.front()
            && self.is_dropped(first, self.log_start)
            && first.end <= self.resolved.position
        {
            self.released.push(super::released(first));
            let behind = match self.segments.get(1) {
                Some(next) => next.start,
                None => first.end,
            };
            self.segments.pop_front();
            while self.tail.front().is_some_and(|front| front < behind) {
                self.tail.pop_front();
            }
            self.written_ranges.retain(|range| range.start >= behind);
            self.written_end = self.written_end.max(behind);
            if self.disk_end.position < behind {
                self.disk_end = super::DiskEnd {
                    position: behind,
                    crc: 0,
                    offset: None,
                };
            }
            self.advance_written();
        }
    }
}
