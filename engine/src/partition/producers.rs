//! Idempotent producers (KIP-98): per producer id its epoch and last batches, so that a batch sent
//! twice gets its first offset and a gap is refused. Follows Kafka's broker in what it accepts.
//!
//! INVARIANT: of each producer at least the last batch below the closed end is kept, however many
//! later ones are pending, so that the state as of the closed end can be written at any time.

use super::AppendError;
use super::wire::{Reader, Writer};
use crate::limits::PRODUCER_BATCHES_REMEMBERED;
use crate::record_batch::Header;
use rustc_hash::FxHashMap;
use std::collections::VecDeque;

/// Producers of one partition at most; beyond it the longest silent ones are forgotten.
const PRODUCERS_MAX: usize = 16_384;

/// A batch of a producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Remembered {
    epoch: i16,
    /// Sequences 0 up to this batch were all seen: an older one is certainly a duplicate.
    from_zero: bool,
    base_sequence: i32,
    last_sequence: i32,
    base_offset: i64,
    end_offset: i64,
}

#[derive(Debug)]
struct Producer {
    /// Oldest first, never empty.
    batches: VecDeque<Remembered>,
    last_ms: i64,
}

// What `engine/memory.rs` counts with.
const _: () = assert!(size_of::<Remembered>() == 32 && size_of::<(i64, Producer)>() <= 56);

/// All producers of a partition.
#[derive(Debug, Default)]
pub(super) struct Producers {
    by_id: Option<Box<FxHashMap<i64, Producer>>>,
}

/// What the check of a batch said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// To be appended.
    New,
    /// Was appended before, at these offsets.
    Duplicate { base_offset: i64, end_offset: i64 },
}

/// A batch as producers are concerned.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sequenced {
    pub(super) producer_id: i64,
    pub(super) epoch: i16,
    pub(super) base_sequence: i32,
    pub(super) record_count: i64,
}

impl Sequenced {
    pub(super) const fn of(header: &Header) -> Self {
        Self {
            producer_id: header.producer_id,
            epoch: header.producer_epoch,
            base_sequence: header.base_sequence,
            record_count: header.last_offset_delta as i64 + 1,
        }
    }

    const fn last_sequence(&self) -> i32 {
        // Sequences wrap from i32::MAX to 0.
        ((self.base_sequence as i64 + self.record_count - 1) % (i32::MAX as i64 + 1)) as i32
    }

    const fn has_producer(&self) -> bool {
        self.producer_id >= 0 && self.base_sequence >= 0
    }
}

const fn following(sequence: i32) -> i32 {
    if sequence == i32::MAX {
        0
    } else {
        sequence + 1
    }
}

impl Producers {
    pub(super) fn len(&self) -> usize {
        self.by_id.as_ref().map_or(0, |by_id| by_id.len())
    }

    /// Whether a batch may be appended.
    pub(super) fn check(&self, batch: Sequenced) -> Result<Verdict, AppendError> {
        if !batch.has_producer() {
            return Ok(Verdict::New);
        }
        let known = self.by_id.as_ref().and_then(|m| m.get(&batch.producer_id));
        // KAFKA: an unknown producer may begin with any sequence; its state may have expired.
        let Some(last) = known.and_then(|producer| producer.batches.back()) else {
            return Ok(Verdict::New);
        };
        if batch.epoch < last.epoch {
            return Err(AppendError::ProducerFenced {
                producer_id: batch.producer_id,
                epoch: batch.epoch,
                current: last.epoch,
            });
        }
        let out_of_order = |expected| AppendError::OutOfOrderSequence {
            producer_id: batch.producer_id,
            base_sequence: batch.base_sequence,
            expected,
        };
        if batch.epoch > last.epoch {
            return match batch.base_sequence {
                0 => Ok(Verdict::New),
                _ => Err(out_of_order(0)),
            };
        }
        let last_sequence = batch.last_sequence();
        let same = known.and_then(|producer| {
            producer.batches.iter().rev().find(|old| {
                old.epoch == batch.epoch
                    && old.base_sequence == batch.base_sequence
                    && old.last_sequence == last_sequence
            })
        });
        if let Some(same) = same {
            return Ok(Verdict::Duplicate {
                base_offset: same.base_offset,
                end_offset: same.end_offset,
            });
        }
        let expected = following(last.last_sequence);
        if batch.base_sequence == expected {
            return Ok(Verdict::New);
        }
        if last.from_zero && last_sequence < last.last_sequence {
            return Err(AppendError::DuplicateSequence {
                producer_id: batch.producer_id,
                base_sequence: batch.base_sequence,
            });
        }
        Err(out_of_order(expected))
    }

    /// Notes a batch that was appended. Batches ending above `closed_end` are not in a commit yet.
    pub(super) fn note(
        &mut self,
        batch: Sequenced,
        base_offset: i64,
        closed_end: i64,
        wall_ms: i64,
    ) {
        if !batch.has_producer() {
            return;
        }
        if self.len() >= PRODUCERS_MAX && !self.contains(batch.producer_id) {
            self.keep_newest(PRODUCERS_MAX - PRODUCERS_MAX / 16);
        }
        let by_id = self.by_id.get_or_insert_default();
        let producer = by_id.entry(batch.producer_id).or_insert_with(|| Producer {
            batches: VecDeque::with_capacity(PRODUCER_BATCHES_REMEMBERED + 1),
            last_ms: wall_ms,
        });
        let continues = producer
            .batches
            .back()
            .is_some_and(|last| last.epoch == batch.epoch && last.from_zero);
        let wraps = batch.last_sequence() < batch.base_sequence;
        producer.last_ms = wall_ms;
        producer.batches.push_back(Remembered {
            epoch: batch.epoch,
            from_zero: !wraps && (batch.base_sequence == 0 || continues),
            base_sequence: batch.base_sequence,
            last_sequence: batch.last_sequence(),
            base_offset,
            end_offset: base_offset + batch.record_count,
        });
        while producer.batches.len() > PRODUCER_BATCHES_REMEMBERED
            && producer.batches[1].end_offset <= closed_end
        {
            producer.batches.pop_front();
        }
    }

    /// Forgets producers silent since before `since_ms` and, of those that appended last at that
    /// time, `more`, which goes down by them.
    pub(super) fn forget_silent(&mut self, since_ms: i64, more: &mut usize) {
        let Some(by_id) = &mut self.by_id else { return };
        by_id.retain(|_, producer| {
            let is_tied = producer.last_ms == since_ms && *more > 0;
            *more -= usize::from(is_tied);
            producer.last_ms >= since_ms && !is_tied
        });
        self.give_back();
    }

    /// When each producer appended last, in no order.
    pub(super) fn last_ms(&self) -> impl Iterator<Item = i64> {
        let all = self.by_id.iter().flat_map(|by_id| by_id.values());
        all.map(|producer| producer.last_ms)
    }

    /// Gives back the places of a map that is mostly empty.
    fn give_back(&mut self) {
        let Some(by_id) = &mut self.by_id else { return };
        if by_id.is_empty() {
            self.by_id = None;
        } else if by_id.len() * 4 < by_id.capacity() {
            by_id.shrink_to(by_id.len() * 2);
        }
    }

    /// Forgets batches that end above `end_offset`: they are gone from the log.
    pub(super) fn forget_above(&mut self, end_offset: i64) {
        if let Some(by_id) = &mut self.by_id {
            by_id.retain(|_, producer| {
                producer
                    .batches
                    .retain(|batch| batch.end_offset <= end_offset);
                !producer.batches.is_empty()
            });
        }
    }

    /// Producer ids and the offset behind the last batch of each.
    pub(super) fn last_ends(&self) -> impl Iterator<Item = (i64, i64)> {
        let all = self.by_id.iter().flat_map(|by_id| by_id.iter());
        all.filter_map(|(&id, producer)| Some((id, producer.batches.back()?.end_offset)))
    }

    fn contains(&self, producer_id: i64) -> bool {
        self.by_id
            .as_ref()
            .is_some_and(|by_id| by_id.contains_key(&producer_id))
    }

    fn keep_newest(&mut self, keep: usize) {
        let Some(by_id) = &mut self.by_id else { return };
        let mut ages: Vec<(i64, i64)> = by_id.iter().map(|(&id, p)| (p.last_ms, id)).collect();
        ages.sort_unstable();
        for &(_, id) in &ages[..ages.len().saturating_sub(keep)] {
            by_id.remove(&id);
        }
    }

    /// Writes the state as of `closed_end`, ordered by producer id.
    pub(super) fn encode(&self, closed_end: i64, out: &mut Writer<'_>) {
        let mut ids: Vec<i64> = Vec::with_capacity(self.len());
        if let Some(by_id) = &self.by_id {
            let is_closed = |p: &Producer| p.batches[0].end_offset <= closed_end;
            ids.extend(
                by_id
                    .iter()
                    .filter(|(_, p)| is_closed(p))
                    .map(|(&id, _)| id),
            );
        }
        ids.sort_unstable();
        out.u32(ids.len() as u32);
        for id in ids {
            let Some(producer) = self.by_id.as_ref().and_then(|by_id| by_id.get(&id)) else {
                continue;
            };
            let closed = producer
                .batches
                .partition_point(|batch| batch.end_offset <= closed_end);
            let first = closed.saturating_sub(PRODUCER_BATCHES_REMEMBERED);
            out.i64(id);
            out.i64(producer.last_ms);
            out.u32((closed - first) as u32);
            for batch in producer.batches.range(first..closed) {
                out.u16(batch.epoch.cast_unsigned());
                out.u8(u8::from(batch.from_zero));
                out.i32(batch.base_sequence);
                out.i32(batch.last_sequence);
                out.i64(batch.base_offset);
                out.i64(batch.end_offset);
            }
        }
    }

    pub(super) fn decode(from: &mut Reader<'_>) -> Option<Self> {
        let mut producers = Self::default();
        let count = from.count(20)?;
        for _ in 0..count {
            let id = from.i64()?;
            let last_ms = from.i64()?;
            let batch_count = from.count(27)?;
            if batch_count == 0 || batch_count > PRODUCER_BATCHES_REMEMBERED {
                return None;
            }
            let mut batches = VecDeque::with_capacity(PRODUCER_BATCHES_REMEMBERED + 1);
            for _ in 0..batch_count {
                batches.push_back(Remembered {
                    epoch: from.u16()?.cast_signed(),
                    from_zero: from.u8()? != 0,
                    base_sequence: from.i32()?,
                    last_sequence: from.i32()?,
                    base_offset: from.i64()?,
                    end_offset: from.i64()?,
                });
            }
            let by_id = producers.by_id.get_or_insert_default();
            by_id.insert(id, Producer { batches, last_ms });
        }
        Some(producers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn batch(epoch: i16, base_sequence: i32, record_count: i64) -> Sequenced {
        Sequenced {
            producer_id: 7,
            epoch,
            base_sequence,
            record_count,
        }
    }

    fn append(producers: &mut Producers, batch: Sequenced, offset: i64) {
        assert_eq!(producers.check(batch), Ok(Verdict::New));
        producers.note(batch, offset, i64::MAX, 0);
    }

    #[test]
    fn the_last_five_batches_are_recognised_and_get_their_offsets() {
        let mut producers = Producers::default();
        for i in 0..7 {
            append(&mut producers, batch(0, i * 10, 10), i64::from(i) * 10);
        }
        for i in 2..7 {
            let duplicate = Verdict::Duplicate {
                base_offset: i64::from(i) * 10,
                end_offset: i64::from(i) * 10 + 10,
            };
            assert_eq!(producers.check(batch(0, i * 10, 10)), Ok(duplicate));
        }
        let older = producers.check(batch(0, 10, 10));
        assert!(matches!(older, Err(AppendError::DuplicateSequence { .. })));
    }

    #[test]
    fn a_gap_is_out_of_order_and_names_what_would_follow() {
        let mut producers = Producers::default();
        append(&mut producers, batch(0, 0, 3), 0);
        let gap = producers.check(batch(0, 4, 1));
        assert!(matches!(
            gap,
            Err(AppendError::OutOfOrderSequence { expected: 3, .. })
        ));
    }

    #[test]
    fn an_older_epoch_is_fenced_and_a_newer_one_starts_at_zero() {
        let mut producers = Producers::default();
        append(&mut producers, batch(3, 0, 3), 0);
        let fenced = producers.check(batch(2, 3, 1));
        assert!(matches!(
            fenced,
            Err(AppendError::ProducerFenced { current: 3, .. })
        ));
        let late = producers.check(batch(4, 3, 1));
        assert!(matches!(
            late,
            Err(AppendError::OutOfOrderSequence { expected: 0, .. })
        ));
        append(&mut producers, batch(4, 0, 1), 3);
    }

    #[test]
    fn sequences_wrap_behind_the_largest_number() {
        let mut producers = Producers::default();
        append(&mut producers, batch(0, i32::MAX - 1, 4), 0);
        append(&mut producers, batch(0, 2, 1), 4);
        let again = producers.check(batch(0, i32::MAX - 1, 4));
        assert!(matches!(
            again,
            Ok(Verdict::Duplicate { base_offset: 0, .. })
        ));
    }

    #[test]
    fn an_unknown_producer_begins_anywhere_but_its_past_is_no_duplicate() {
        let mut producers = Producers::default();
        append(&mut producers, batch(5, 100, 1), 0);
        let before = producers.check(batch(5, 50, 1));
        assert!(matches!(
            before,
            Err(AppendError::OutOfOrderSequence { expected: 101, .. })
        ));
    }

    #[test]
    fn the_state_written_is_that_of_the_closed_end_however_much_is_pending() {
        let mut producers = Producers::default();
        for i in 0..20 {
            // Only the first 4 batches are closed.
            producers.note(batch(0, i, 1), i64::from(i), i64::from(i.min(4)), 0);
        }
        let mut bytes = Vec::new();
        producers.encode(4, &mut Writer::new(&mut bytes));
        let restored = Producers::decode(&mut Reader::new(&bytes)).unwrap();
        assert_eq!(restored.check(batch(0, 4, 1)), Ok(Verdict::New));
        let last = restored.check(batch(0, 3, 1));
        assert!(matches!(
            last,
            Ok(Verdict::Duplicate { base_offset: 3, .. })
        ));
        for cut in 0..bytes.len() {
            assert!(Producers::decode(&mut Reader::new(&bytes[..cut])).is_none());
        }
    }

    #[test]
    fn silent_producers_are_forgotten_and_give_their_places_back() {
        let mut producers = Producers::default();
        for id in 0..1000 {
            let one = Sequenced {
                producer_id: id,
                epoch: 0,
                base_sequence: 0,
                record_count: 1,
            };
            producers.note(one, id, i64::MAX, id / 10);
        }
        producers.forget_silent(95, &mut 0);
        assert_eq!(producers.len(), 50);
        let mut more = 4;
        producers.forget_silent(96, &mut more);
        assert_eq!((producers.len(), more), (36, 0));
        assert!(producers.by_id.as_ref().is_some_and(|m| m.capacity() < 200));
        let mut more = 4;
        producers.forget_silent(1000, &mut more);
        assert_eq!((producers.len(), more), (0, 4));
        assert!(producers.by_id.is_none());
    }

    #[test]
    fn one_log_remembers_a_bounded_number() {
        let mut producers = Producers::default();
        for id in 0..PRODUCERS_MAX as i64 + 1 {
            let one = Sequenced {
                producer_id: id,
                epoch: 0,
                base_sequence: 0,
                record_count: 1,
            };
            producers.note(one, id, i64::MAX, id);
        }
        assert_eq!(producers.len(), PRODUCERS_MAX - PRODUCERS_MAX / 16 + 1);
        assert!(producers.contains(PRODUCERS_MAX as i64) && !producers.contains(0));
    }
}
