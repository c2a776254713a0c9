//! A shard's memory for everything the kernel touches: one reserved region, cut by a buddy
//! allocator into power-of-two blocks (2 KiB to 2 MiB), registered slab by slab with the ring.
//!
//! [`ArenaBuf`] is the unique, writable handle of a range; [`ArenaSlice`] a frozen, shareable,
//! `Send` one. A block's memory returns to its arena when the last handle of any range of it is
//! dropped, on whichever thread: it is pushed on a lock-free stack that the owner drains. That is
//! the only atomic on the data path beside the mailboxes: one per handle, none per byte.
//! The region itself is unmapped when the arena and the last handle are gone.

mod buddy;
mod handles;
mod region;
#[cfg(test)]
mod tests;

pub use handles::{ArenaBuf, ArenaSlice};

use buddy::Buddy;
use region::RegionOwner;
use std::fmt;

/// Smallest block.
pub const ARENA_BLOCK_MIN: usize = 2048;
/// Largest block.
pub const ARENA_BLOCK_MAX: usize = 2 << 20;

/// Powers of two between the smallest and the largest block, both included.
const ORDERS: usize = (ARENA_BLOCK_MAX / ARENA_BLOCK_MIN).ilog2() as usize + 1;
/// The kernel takes 16384 registered buffers; larger arenas get larger slabs.
const SLABS_MAX: usize = 8192;

const fn order_bytes(order: usize) -> usize {
    ARENA_BLOCK_MIN << order
}

/// The allocator; owned by one shard.
pub struct Arena {
    buddy: Buddy,
    region: RegionOwner,
    slab_bytes: usize,
    refused_bytes: usize,
}

impl Arena {
    /// Reserves `bytes` of address space, rounded up to whole largest blocks; memory is touched
    /// (and registered) as it is used.
    ///
    /// # Errors
    /// What the operating system says to the reservation.
    pub fn new(bytes: usize) -> std::io::Result<Self> {
        let bytes = bytes.max(1).next_multiple_of(ARENA_BLOCK_MAX);
        let units = u32::try_from(bytes / ARENA_BLOCK_MIN).map_err(std::io::Error::other)?;
        let region = RegionOwner::reserve(bytes)?;
        let slab_bytes = (bytes / SLABS_MAX).next_power_of_two().max(ARENA_BLOCK_MAX);
        Ok(Self {
            buddy: Buddy::new(units),
            region,
            slab_bytes,
            refused_bytes: 0,
        })
    }

    /// A buffer with at least `bytes` of room (the whole block), empty, aligned to 4096 (blocks of
    /// 2048 to 2048). `None` when the arena is full or `bytes > ARENA_BLOCK_MAX`.
    pub fn alloc(&mut self, bytes: usize) -> Option<ArenaBuf> {
        if bytes > ARENA_BLOCK_MAX {
            return None;
        }
        self.take_returned();
        let order = bytes.div_ceil(ARENA_BLOCK_MIN).max(1).next_power_of_two();
        let order = order.trailing_zeros() as usize;
        let Some(unit) = self.buddy.take(order) else {
            self.refused_bytes = self.refused_bytes.max(order_bytes(order));
            return None;
        };
        Some(ArenaBuf::of_block(self.region.lend(unit, order)))
    }

    /// The largest block that was asked for and not there since this was last asked; 0 for none.
    /// Memory may be refused although much is free, in pieces.
    pub const fn take_refused_bytes(&mut self) -> usize {
        std::mem::replace(&mut self.refused_bytes, 0)
    }

    /// Bytes in blocks handed out and not yet returned.
    #[must_use]
    pub fn used_bytes(&self) -> usize {
        let mut used = self.buddy.taken_bytes();
        self.region
            .each_returned(|unit| used -= self.buddy.block_bytes(unit));
        used
    }

    /// Bytes in all.
    #[must_use]
    pub fn capacity_bytes(&self) -> usize {
        self.region.bytes()
    }

    /// Fills blocks with 0xDD when they return, so that a use after the last drop is seen. For
    /// tests and simulation.
    pub fn set_poison_on_free(&mut self, poison: bool) {
        self.region.set_poison(poison);
    }

    fn take_returned(&mut self) {
        let buddy = &mut self.buddy;
        self.region.drain_returned(|unit| buddy.give(unit));
    }

    /// Slabs in all, touched or not.
    pub(in crate::io) fn slabs(&self) -> usize {
        self.region.bytes().div_ceil(self.slab_bytes)
    }

    /// Which slab a range lies in: `None` for memory of other arenas. No block straddles slabs.
    pub(in crate::io) fn slab_of(&self, address: usize) -> Option<usize> {
        let place = address.checked_sub(self.region.address())?;
        (place < self.region.bytes()).then(|| place / self.slab_bytes)
    }

    /// Address and length of a slab.
    pub(in crate::io) fn slab_range(&self, slab: usize) -> (usize, usize) {
        let from = slab * self.slab_bytes;
        let to = (from + self.slab_bytes).min(self.region.bytes());
        (self.region.address() + from, to - from)
    }
}

impl fmt::Debug for Arena {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arena")
            .field("capacity_bytes", &self.capacity_bytes())
            .field("taken_bytes", &self.buddy.taken_bytes())
            .finish_non_exhaustive()
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        self.take_returned();
        self.region.abandon(self.buddy.taken_blocks());
    }
}
