//! From a record's key to the offset of its newest record, in bounded memory.
//!
//! Keys are known by a keyed 128-bit hash. The hash's secret never leaves the data directory, so
//! that nobody can make two keys meet, and with that a record vanish.

use crate::journal::check::{Check, JournalKey};

/// Room at the start.
const SLOTS_MIN: usize = 1024;
/// Of a word of `left_behind`.
const BITS: usize = u64::BITS as usize;

#[derive(Clone, Copy, Debug)]
struct Slot {
    hash: Check,
    /// -1: vacant.
    offset: i64,
}

const VACANT: Slot = Slot {
    hash: [0; 16],
    offset: -1,
};

/// The newest offset of every key of a stretch of a log; and, once all keys are in it, which of
/// them have an older record that stays.
#[derive(Debug)]
pub(super) struct KeyMap {
    secret: JournalKey,
    slots: Vec<Slot>,
    /// A bit for each slot; none as long as no key was left behind.
    left_behind: Vec<u64>,
    key_count: usize,
    slots_max: usize,
}

/// The map has no room for another key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

impl KeyMap {
    /// An empty map of at most `bytes_max` bytes, the copying at its growth included.
    pub(super) fn new(secret: JournalKey, bytes_max: usize) -> Self {
        let slots_max = (bytes_max / size_of::<Slot>() / 3 * 2 + 1).next_power_of_two() / 2;
        let slots_max = slots_max.max(SLOTS_MIN);
        Self {
            secret,
            slots: vec![VACANT; SLOTS_MIN],
            left_behind: Vec::new(),
            key_count: 0,
            slots_max,
        }
    }

    /// Notes that a record with this key lies at `offset`; the newest one counts.
    ///
    /// # Errors
    /// `Full`: the key is new and finds no room.
    pub(super) fn put(&mut self, key: &[u8], offset: i64) -> Result<(), Full> {
        let hash = self.hash(key);
        let place = self.place(&hash);
        if self.slots[place].offset >= 0 {
            self.slots[place].offset = self.slots[place].offset.max(offset);
            return Ok(());
        }
        if self.key_count >= self.slots.len() / 4 * 3 {
            if self.slots.len() >= self.slots_max {
                return Err(Full);
            }
            self.grow();
        }
        let place = self.place(&hash);
        self.slots[place] = Slot { hash, offset };
        self.key_count += 1;
        Ok(())
    }

    /// The offset of the newest record with this key.
    pub(super) fn get(&self, key: &[u8]) -> Option<i64> {
        let slot = self.slots[self.place(&self.hash(key))];
        (slot.offset >= 0).then_some(slot.offset)
    }

    /// Notes that a record with this key stays where it is although the map knows a newer one.
    /// From here on no key is put.
    pub(super) fn leave_behind(&mut self, key: &[u8]) {
        let place = self.place(&self.hash(key));
        if self.left_behind.is_empty() {
            self.left_behind = vec![0; self.slots.len().div_ceil(BITS)];
        }
        self.left_behind[place / BITS] |= 1 << (place % BITS);
    }

    /// Whether [`Self::leave_behind`] had this key.
    pub(super) fn is_left_behind(&self, key: &[u8]) -> bool {
        let place = self.place(&self.hash(key));
        let word = self.left_behind.get(place / BITS);
        word.is_some_and(|word| word >> (place % BITS) & 1 == 1)
    }

    /// Keys in it.
    pub(super) const fn key_count(&self) -> usize {
        self.key_count
    }

    fn hash(&self, key: &[u8]) -> Check {
        self.secret.check(&[b"millrace key map", key])
    }

    /// The slot that has this hash, or would get it. There is always a vacant one.
    fn place(&self, hash: &Check) -> usize {
        let mask = self.slots.len() - 1;
        let [a, b, c, d, e, f, g, h, ..] = *hash;
        let mut place = u64::from_le_bytes([a, b, c, d, e, f, g, h]) as usize & mask;
        while self.slots[place].offset >= 0 && self.slots[place].hash != *hash {
            place = (place + 1) & mask;
        }
        place
    }

    fn grow(&mut self) {
        let doubled = self.slots.len() * 2;
        let before = std::mem::replace(&mut self.slots, vec![VACANT; doubled]);
        for slot in before.into_iter().filter(|slot| slot.offset >= 0) {
            let place = self.place(&slot.hash);
            self.slots[place] = slot;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn it_agrees_with_a_plain_map_while_it_grows() {
        let mut map = KeyMap::new(JournalKey([3; 16]), 8 << 20);
        let mut plain = BTreeMap::new();
        let mut random = 5_u64;
        for offset in 0..50_000_i64 {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let key = (random >> 40) % 20_000;
            map.put(&key.to_le_bytes(), offset).unwrap();
            plain.insert(key, offset);
        }
        assert_eq!(map.key_count(), plain.len());
        for key in 0..20_500_u64 {
            assert_eq!(map.get(&key.to_le_bytes()), plain.get(&key).copied());
        }
    }

    #[test]
    fn keys_left_behind_are_those_that_were_named() {
        let mut map = KeyMap::new(JournalKey([4; 16]), 1 << 20);
        for key in 0..3000_u64 {
            map.put(&key.to_le_bytes(), 1).unwrap();
        }
        assert!(!map.is_left_behind(&0_u64.to_le_bytes()));
        for key in (0..3000_u64).step_by(7) {
            map.leave_behind(&key.to_le_bytes());
        }
        for key in 0..3000_u64 {
            let is_named = key.is_multiple_of(7);
            assert_eq!(map.is_left_behind(&key.to_le_bytes()), is_named, "{key}");
        }
    }

    #[test]
    fn a_full_map_takes_known_keys_and_refuses_new_ones_within_its_bytes() {
        for bytes_max in [0, 100_000, 1 << 20] {
            let mut map = KeyMap::new(JournalKey([3; 16]), bytes_max);
            let mut count = 0_u64;
            while map.put(&count.to_le_bytes(), 1).is_ok() {
                count += 1;
            }
            assert!(count >= SLOTS_MIN as u64 / 4 * 3);
            let bytes = map.slots.capacity() * size_of::<Slot>();
            assert!(bytes * 3 / 2 <= bytes_max.max(SLOTS_MIN * size_of::<Slot>() * 3 / 2));
            assert_eq!(map.put(&0_u64.to_le_bytes(), 9), Ok(()));
            assert_eq!(map.get(&0_u64.to_le_bytes()), Some(9));
            assert_eq!(map.put(&0_u64.to_le_bytes(), 4), Ok(()));
            assert_eq!(map.get(&0_u64.to_le_bytes()), Some(9), "the newest counts");
            assert_eq!(map.put(b"new", 9), Err(Full));
        }
    }
}
