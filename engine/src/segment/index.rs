//! A segment's sparse index: per granule its checksum, its first batch (position, offset) and the
//! largest timestamp of the batches that begin in it.
//!
//! INVARIANT: holds exactly the batches taken into commits; those appended and not yet closed are
//! found in the partition's queue of batches instead. A wanted offset lies in the granule of the
//! last first batch at or before it, because every granule in which a batch begins has an entry.

use super::granules::granule_number;
use crate::limits::GRANULE_BYTES;

/// One granule. `position` 0 means that no batch begins in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GranuleEntry {
    pub(crate) crc: u32,
    /// Position in the file of the first batch that begins in the granule.
    pub(crate) position: u32,
    /// That batch's base offset minus the segment's.
    pub(crate) offset_delta: u32,
    /// Largest timestamp of the batches that begin in the granule.
    pub(crate) max_timestamp: i64,
}

impl GranuleEntry {
    pub(crate) const EMPTY: Self = Self {
        crc: 0,
        position: 0,
        offset_delta: 0,
        max_timestamp: -1,
    };

    pub(crate) const fn has_batch(&self) -> bool {
        self.position != 0
    }
}

/// All granules of a segment, by number.
#[derive(Clone, Debug, Default)]
pub(crate) struct SegmentIndex {
    pub(crate) granules: Vec<GranuleEntry>,
    /// Granules from the front whose checksum is final.
    pub(crate) complete: u32,
    /// Granules from the front that are in the `.idx` file only; empty entries stand for them.
    pub(crate) missing: u32,
}

impl SegmentIndex {
    /// Bytes of memory held.
    pub(crate) const fn heap_bytes(&self) -> usize {
        self.granules.capacity() * size_of::<GranuleEntry>() + size_of::<Self>()
    }

    pub(crate) fn note_batch(&mut self, position: u32, offset_delta: u32, max_timestamp: i64) {
        let number = granule_number(u64::from(position));
        let entry = self.entry_mut(number);
        if !entry.has_batch() {
            entry.position = position;
            entry.offset_delta = offset_delta;
        }
        entry.max_timestamp = entry.max_timestamp.max(max_timestamp);
    }

    /// The checksum of granule `number` is final. Granules complete in order.
    pub(crate) fn complete(&mut self, number: u32, crc: u32) {
        self.entry_mut(number).crc = crc;
        self.complete = self.complete.max(number + 1);
    }

    /// The final checksum of a granule.
    pub(crate) fn crc(&self, number: u32) -> Option<u32> {
        let entry = self.granules.get(number as usize)?;
        (number >= self.missing && number < self.complete).then_some(entry.crc)
    }

    /// The last first batch at or before `offset_delta`: (position, offset delta).
    pub(crate) fn locate_offset(&self, offset_delta: u32) -> Option<(u32, u32)> {
        let mut low = self.missing as usize;
        let mut high = self.granules.len();
        let mut found = None;
        while low < high {
            let middle = low + (high - low) / 2;
            // A granule inside a large batch has no entry: the batch's own granule speaks for it.
            let Some(number) = (low..=middle).rev().find(|&n| self.granules[n].has_batch()) else {
                low = middle + 1;
                continue;
            };
            let entry = &self.granules[number];
            if entry.offset_delta <= offset_delta {
                found = Some((entry.position, entry.offset_delta));
                low = middle + 1;
            } else {
                high = number;
            }
        }
        found
    }

    /// The last first batch at or before file position `position`: (position, offset delta).
    pub(crate) fn locate_position(&self, position: u64) -> Option<(u32, u32)> {
        let last = (granule_number(position) as usize + 1).min(self.granules.len());
        self.granules[..last]
            .iter()
            .rev()
            .find(|entry| entry.has_batch() && u64::from(entry.position) <= position)
            .map(|entry| (entry.position, entry.offset_delta))
    }

    /// First granule that holds a timestamp at or above `timestamp`: its first batch's delta.
    pub(crate) fn locate_timestamp(&self, timestamp: i64) -> Option<u32> {
        self.granules
            .iter()
            .find(|entry| entry.has_batch() && entry.max_timestamp >= timestamp)
            .map(|entry| entry.offset_delta)
    }

    /// Of the granules that begin behind `offset_delta`: the first one's delta, and the largest
    /// timestamp with the delta of the first granule that has it.
    pub(crate) fn largest_behind(&self, offset_delta: u32) -> Option<(u32, (i64, u32))> {
        let is_behind =
            |entry: &&GranuleEntry| entry.has_batch() && entry.offset_delta > offset_delta;
        let mut behind = self.granules.iter().filter(is_behind);
        let first = behind.next()?;
        let mut largest = (first.max_timestamp, first.offset_delta);
        for entry in behind {
            if entry.max_timestamp > largest.0 {
                largest = (entry.max_timestamp, entry.offset_delta);
            }
        }
        Some((first.offset_delta, largest))
    }

    /// The offset delta of the first of the granules' first batches that begins behind `delta`.
    pub(crate) fn next_behind(&self, delta: u32) -> Option<u32> {
        let deltas = self.granules.iter().filter(|entry| entry.has_batch());
        deltas
            .map(|entry| entry.offset_delta)
            .find(|&next| next > delta)
    }

    /// Offset deltas of the batches that begin in granule `number`: first, and first of a later
    /// granule (`None` at the end). `None` when no batch begins in it.
    pub(crate) fn deltas_in(&self, number: u32) -> Option<(u32, Option<u32>)> {
        let entry = self.granules.get(number as usize)?;
        let next = self.granules[number as usize + 1..]
            .iter()
            .find(|entry| entry.has_batch())
            .map(|entry| entry.offset_delta);
        entry.has_batch().then_some((entry.offset_delta, next))
    }

    fn entry_mut(&mut self, number: u32) -> &mut GranuleEntry {
        let number = number as usize;
        debug_assert!(number as u64 <= u64::from(u32::MAX) / GRANULE_BYTES);
        if self.granules.len() <= number {
            self.granules.resize(number + 1, GranuleEntry::EMPTY);
        }
        &mut self.granules[number]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index() -> SegmentIndex {
        let mut index = SegmentIndex::default();
        index.note_batch(4096, 0, 10);
        index.note_batch(30_000, 5, 40);
        // A batch of three granules: none begins in 2 and 3.
        index.note_batch(70_000, 9, 20);
        index.note_batch(270_000, 30, 90);
        index
    }

    #[test]
    fn an_offset_is_found_in_the_granule_where_its_batch_begins() {
        let index = index();
        assert_eq!(index.locate_offset(0), Some((4096, 0)));
        assert_eq!(index.locate_offset(8), Some((4096, 0)));
        assert_eq!(index.locate_offset(9), Some((70_000, 9)));
        assert_eq!(index.locate_offset(29), Some((70_000, 9)));
        assert_eq!(index.locate_offset(30), Some((270_000, 30)));
        assert_eq!(index.locate_offset(1000), Some((270_000, 30)));
        assert_eq!(SegmentIndex::default().locate_offset(0), None);
    }

    #[test]
    fn searching_agrees_with_a_plain_scan() {
        let mut random = 3u64;
        for _ in 0..200 {
            let mut index = SegmentIndex::default();
            let mut batches = Vec::new();
            let (mut position, mut delta) = (4096u32, 0u32);
            for _ in 0..100 {
                random = random
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                batches.push((position, delta));
                index.note_batch(position, delta, 0);
                position += 61 + (random >> 40) as u32 % 300_000;
                delta += 1 + (random >> 33) as u32 % 7;
            }
            let firsts: Vec<_> = batches
                .iter()
                .enumerate()
                .filter(|&(i, b)| i == 0 || batches[i - 1].0 >> 16 != b.0 >> 16)
                .map(|(_, b)| *b)
                .collect();
            for wanted in 0..delta + 3 {
                let plain = firsts.iter().rev().find(|b| b.1 <= wanted).copied();
                assert_eq!(index.locate_offset(wanted), plain);
            }
        }
    }

    #[test]
    fn a_timestamp_is_found_in_the_first_granule_that_reaches_it() {
        let index = index();
        assert_eq!(index.locate_timestamp(10), Some(0));
        assert_eq!(index.locate_timestamp(41), Some(30));
        assert_eq!(index.locate_timestamp(91), None);
    }
}
