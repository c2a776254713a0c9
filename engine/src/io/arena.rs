//! A shard's memory for everything the kernel touches: one reserved region, cut by a buddy
//! allocator into power-of-two blocks (2 KiB to 2 MiB), registered slab by slab with the ring.
//!
//! [`ArenaBuf`] is the unique, writable handle of a range; [`ArenaSlice`] a frozen, shareable,
//! `Send` one. A block's memory returns to its arena when the last handle of any range of it is
//! dropped, on whichever thread: it is pushed on a lock-free stack that the owner drains. That is
//! the only atomic on the data path beside the mailboxes: one per handle, none per byte.

use std::ops::Deref;

/// Smallest block.
pub const ARENA_BLOCK_MIN: usize = 2048;
/// Largest block.
pub const ARENA_BLOCK_MAX: usize = 2 << 20;

/// The allocator; owned by one shard.
#[derive(Debug)]
pub struct Arena {}

impl Arena {
    /// Reserves `bytes` of address space; memory is touched (and registered) as it is used.
    pub fn new(bytes: usize) -> std::io::Result<Self> {
        todo!("{bytes}")
    }

    /// A buffer with at least `bytes` of room (the whole block), empty, aligned to 4096 (blocks of
    /// 2048 to 2048). `None` when the arena is full or `bytes > ARENA_BLOCK_MAX`.
    pub fn alloc(&mut self, bytes: usize) -> Option<ArenaBuf> {
        todo!("{bytes}")
    }

    /// Bytes in blocks handed out and not yet returned.
    #[must_use]
    pub fn used_bytes(&self) -> usize {
        todo!()
    }

    /// Bytes in all.
    #[must_use]
    pub fn capacity_bytes(&self) -> usize {
        todo!()
    }
}

/// A unique range of a block: a filled part, then spare room.
#[derive(Debug)]
pub struct ArenaBuf {}

impl ArenaBuf {
    /// Bytes of spare room behind the filled part.
    #[must_use]
    pub fn spare(&self) -> usize {
        todo!()
    }

    /// Copies `bytes` behind the filled part. Panics if there is no room: callers check `spare`.
    pub fn extend_from_slice(&mut self, bytes: &[u8]) {
        todo!("{bytes:?}")
    }

    /// Zero-fills `bytes` more.
    pub fn extend_zeroed(&mut self, bytes: usize) {
        todo!("{bytes}")
    }

    /// Gives up the front: drops the first `bytes` of the filled part from this handle.
    pub fn advance(&mut self, bytes: usize) {
        todo!("{bytes}")
    }

    /// Leaves the first `bytes` of the *whole range* (filled or not) untouched and makes this an
    /// empty buffer starting behind them, so that its memory address has the wanted remainder
    /// modulo a block. Only on an empty buffer.
    pub fn skip(&mut self, bytes: usize) {
        todo!("{bytes}")
    }

    /// Takes the first `bytes` of the filled part as a buffer of its own (full, no spare room).
    pub fn split_to(&mut self, bytes: usize) -> Self {
        todo!("{bytes}")
    }

    /// Takes the whole filled part as a frozen slice and keeps the spare room as an empty buffer.
    pub fn split_frozen(&mut self) -> ArenaSlice {
        todo!()
    }

    /// Freezes the filled part and gives up the spare room.
    #[must_use]
    pub fn freeze(self) -> ArenaSlice {
        todo!()
    }

    /// The filled part, writable.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        todo!()
    }

    /// The memory address of the first byte, for alignment decisions.
    #[must_use]
    pub fn address(&self) -> usize {
        todo!()
    }
}

impl Deref for ArenaBuf {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        todo!()
    }
}

/// A frozen range of a block. Cloning and dropping is one atomic each.
#[derive(Debug, Clone)]
pub struct ArenaSlice {}

impl ArenaSlice {
    /// A part of it. Panics when out of range: callers hold checked ranges.
    #[must_use]
    pub fn slice(&self, range: std::ops::Range<usize>) -> Self {
        todo!("{range:?}")
    }

    /// The memory address of the first byte, for alignment decisions.
    #[must_use]
    pub fn address(&self) -> usize {
        todo!()
    }

    /// Bytes of the whole block this range pins in memory.
    #[must_use]
    pub fn block_bytes(&self) -> usize {
        todo!()
    }

    /// `Some(joined)` when `next` lies directly behind this in the same block.
    #[must_use]
    pub fn joined(&self, next: &Self) -> Option<Self> {
        todo!("{next:?}")
    }
}

impl Deref for ArenaSlice {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        todo!()
    }
}
