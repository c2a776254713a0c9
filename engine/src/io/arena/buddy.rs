//! Which units of the arena are free. Knows numbers only, no memory.
//!
//! A free block heads a list of its order; a block and its buddy join when both are free. Blocks
//! that come back first rest, unjoined, on a short pile of their order, because the next request
//! is usually for the same size. Largest blocks behind the `fresh` mark were never used: they
//! come last, so that idle memory stays untouched.

use super::{ARENA_BLOCK_MIN, ORDERS, order_bytes};

/// Blocks of one order that rest before they are joined with their buddies.
const RESTING_MAX: usize = 32;
/// Units in a largest block.
const UNITS_MAX: u32 = 1 << (ORDERS - 1);
const NONE: u32 = u32::MAX;

/// What a unit is the head of. The zero value means: not the head of any block.
const FREE: u8 = 0x40;
const TAKEN: u8 = 0x80;
const RESTING: u8 = 0x20;
const ORDER_MASK: u8 = 0x0F;

pub(super) struct Buddy {
    /// `FREE`, `TAKEN` or `RESTING` with the order for heads of blocks, 0 inside of them.
    heads: Vec<u8>,
    /// Neighbours in the free list, valid for free heads.
    next: Vec<u32>,
    previous: Vec<u32>,
    lists: [u32; ORDERS],
    resting: [Vec<u32>; ORDERS],
    fresh: u32,
    units: u32,
    taken_blocks: usize,
    taken_bytes: usize,
}

impl Buddy {
    pub(super) fn new(units: u32) -> Self {
        Self {
            // Zeroed vectors come from untouched pages: a large arena costs nothing yet.
            heads: vec![0; units as usize],
            next: vec![0; units as usize],
            previous: vec![0; units as usize],
            lists: [NONE; ORDERS],
            resting: std::array::from_fn(|_| Vec::with_capacity(RESTING_MAX)),
            fresh: 0,
            units,
            taken_blocks: 0,
            taken_bytes: 0,
        }
    }

    /// Takes a block of this order and returns its first unit.
    pub(super) fn take(&mut self, order: usize) -> Option<u32> {
        let unit = match self.resting[order].pop() {
            Some(unit) => unit,
            None => self.take_split(order)?,
        };
        self.heads[unit as usize] = TAKEN | order as u8;
        self.taken_blocks += 1;
        self.taken_bytes += order_bytes(order);
        Some(unit)
    }

    /// Takes back the block that starts at `unit`.
    pub(super) fn give(&mut self, unit: u32) {
        let head = self.heads[unit as usize];
        assert!(head & TAKEN != 0, "unit {unit} heads no taken block");
        let order = usize::from(head & ORDER_MASK);
        self.taken_blocks -= 1;
        self.taken_bytes -= order_bytes(order);
        if self.resting[order].len() < RESTING_MAX {
            self.heads[unit as usize] = RESTING | order as u8;
            self.resting[order].push(unit);
        } else {
            self.join(unit, order);
        }
    }

    /// Size of the taken block that starts at `unit`.
    pub(super) fn block_bytes(&self, unit: u32) -> usize {
        ARENA_BLOCK_MIN << (self.heads[unit as usize] & ORDER_MASK)
    }

    pub(super) const fn taken_blocks(&self) -> usize {
        self.taken_blocks
    }

    pub(super) const fn taken_bytes(&self) -> usize {
        self.taken_bytes
    }

    fn take_split(&mut self, order: usize) -> Option<u32> {
        if let Some(unit) = self.split_from_lists(order) {
            return Some(unit);
        }
        if self.fresh < self.units {
            let unit = self.fresh;
            self.fresh += UNITS_MAX;
            return Some(self.split(unit, ORDERS - 1, order));
        }
        for order in 0..ORDERS {
            while let Some(unit) = self.resting[order].pop() {
                self.join(unit, order);
            }
        }
        self.split_from_lists(order)
    }

    fn split_from_lists(&mut self, order: usize) -> Option<u32> {
        let from = (order..ORDERS).find(|&order| self.lists[order] != NONE)?;
        let unit = self.lists[from];
        self.unlink(unit, from);
        Some(self.split(unit, from, order))
    }

    /// Cuts a block down to `order`; the upper halves become free.
    fn split(&mut self, unit: u32, from: usize, order: usize) -> u32 {
        for order in (order..from).rev() {
            self.link(unit + (1 << order), order);
        }
        unit
    }

    fn join(&mut self, mut unit: u32, mut order: usize) {
        while order < ORDERS - 1 {
            let buddy = unit ^ (1 << order);
            if self.heads[buddy as usize] != FREE | order as u8 {
                break;
            }
            self.unlink(buddy, order);
            self.heads[unit.max(buddy) as usize] = 0;
            unit = unit.min(buddy);
            order += 1;
        }
        self.link(unit, order);
    }

    fn link(&mut self, unit: u32, order: usize) {
        let first = self.lists[order];
        self.heads[unit as usize] = FREE | order as u8;
        self.next[unit as usize] = first;
        self.previous[unit as usize] = NONE;
        if first != NONE {
            self.previous[first as usize] = unit;
        }
        self.lists[order] = unit;
    }

    fn unlink(&mut self, unit: u32, order: usize) {
        let next = self.next[unit as usize];
        let previous = self.previous[unit as usize];
        if previous == NONE {
            self.lists[order] = next;
        } else {
            self.next[previous as usize] = next;
        }
        if next != NONE {
            self.previous[next as usize] = previous;
        }
        self.heads[unit as usize] = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_never_overlap_and_all_join_again() {
        let mut buddy = Buddy::new(4 * UNITS_MAX);
        let mut random = 7u64;
        let mut taken: Vec<(u32, usize)> = Vec::new();
        let mut owner = vec![false; 4 * UNITS_MAX as usize];
        for _ in 0..50_000 {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let order = (random >> 33) as usize % ORDERS;
            if random >> 63 == 0 {
                let Some(unit) = buddy.take(order) else {
                    continue;
                };
                assert!(unit.is_multiple_of(1 << order));
                for unit in unit..unit + (1 << order) {
                    assert!(!std::mem::replace(&mut owner[unit as usize], true));
                }
                taken.push((unit, order));
            } else if !taken.is_empty() {
                let (unit, order) = taken.swap_remove((random >> 40) as usize % taken.len());
                assert_eq!(buddy.block_bytes(unit), order_bytes(order));
                owner[unit as usize..][..1 << order].fill(false);
                buddy.give(unit);
            }
            let bytes: usize = taken.iter().map(|&(_, order)| order_bytes(order)).sum();
            assert_eq!(buddy.taken_bytes(), bytes);
            assert_eq!(buddy.taken_blocks(), taken.len());
        }
        for (unit, _) in taken {
            buddy.give(unit);
        }
        let largest: Vec<_> = std::iter::from_fn(|| buddy.take(ORDERS - 1)).collect();
        assert_eq!(largest.len(), 4, "everything joined to largest blocks");
    }

    #[test]
    #[should_panic(expected = "heads no taken block")]
    fn giving_a_block_back_twice_is_noticed() {
        let mut buddy = Buddy::new(UNITS_MAX);
        let unit = buddy.take(0).unwrap();
        buddy.give(unit);
        buddy.give(unit);
    }
}
