//! The two handles of arena memory: [`ArenaBuf`], unique and writable, and [`ArenaSlice`], frozen
//! and shared.
//!
//! INVARIANT: the ranges of all `ArenaBuf`s of a block are disjoint from each other and from every
//! `ArenaSlice`; frozen bytes never become writable again. Block memory is always initialised (a
//! fresh mapping is zero), so spare room may be read and lent as a slice.
#![expect(
    unsafe_code,
    reason = "handles turn checked ranges of a block into slices"
)]

use super::region::{Hold, Lent};
use std::fmt;
use std::ops::{Deref, DerefMut, Range};
use std::ptr::NonNull;

/// A unique range of a block: a filled part, then spare room.
pub struct ArenaBuf {
    hold: Hold,
    start: NonNull<u8>,
    filled: u32,
    room: u32,
}

// SAFETY: unique access to its range of memory, like a `Box<[u8]>`.
unsafe impl Send for ArenaBuf {}
// SAFETY: shared access only reads.
unsafe impl Sync for ArenaBuf {}

impl ArenaBuf {
    pub(super) fn of_block(block: Lent) -> Self {
        Self {
            hold: block.hold,
            start: block.start,
            filled: 0,
            room: block.bytes as u32,
        }
    }

    /// Bytes of spare room behind the filled part.
    #[must_use]
    pub const fn spare(&self) -> usize {
        (self.room - self.filled) as usize
    }

    /// Copies `bytes` behind the filled part.
    ///
    /// # Panics
    /// If there is no room: callers check `spare`.
    pub fn extend_from_slice(&mut self, bytes: &[u8]) {
        self.spare_mut()[..bytes.len()].copy_from_slice(bytes);
        self.filled += bytes.len() as u32;
    }

    /// Zero-fills `bytes` more.
    ///
    /// # Panics
    /// If there is no room: callers check `spare`.
    pub fn extend_zeroed(&mut self, bytes: usize) {
        self.spare_mut()[..bytes].fill(0);
        self.filled += bytes as u32;
    }

    /// The spare room, to be written in place and then taken with [`Self::extend_written`]. Holds
    /// arbitrary older bytes.
    pub fn spare_mut(&mut self) -> &mut [u8] {
        // SAFETY: inside the block, initialised, and this handle's alone.
        unsafe {
            std::slice::from_raw_parts_mut(
                self.start.as_ptr().wrapping_add(self.filled as usize),
                self.spare(),
            )
        }
    }

    /// Counts the first `bytes` of the spare room as filled, whatever they hold.
    ///
    /// # Panics
    /// If there is less spare room.
    pub fn extend_written(&mut self, bytes: usize) {
        assert!(bytes <= self.spare(), "{bytes} of {} spare", self.spare());
        self.filled += bytes as u32;
    }

    /// Makes the filled part shorter; the rest becomes spare room. Longer than it is: no change.
    pub fn truncate(&mut self, bytes: usize) {
        self.filled = self.filled.min(u32::try_from(bytes).unwrap_or(u32::MAX));
    }

    /// Gives up the front: drops the first `bytes` of the filled part from this handle.
    ///
    /// # Panics
    /// If the filled part is shorter.
    pub fn advance(&mut self, bytes: usize) {
        assert!(bytes <= self.len(), "{bytes} of {} filled", self.len());
        self.move_start(bytes);
        self.filled -= bytes as u32;
    }

    /// Leaves the first `bytes` of the *whole range* (filled or not) untouched and makes this an
    /// empty buffer starting behind them, so that its memory address has the wanted remainder
    /// modulo a block. Only on an empty buffer.
    ///
    /// # Panics
    /// If the buffer is not empty or its range shorter.
    pub fn skip(&mut self, bytes: usize) {
        assert!(self.is_empty(), "{} bytes are filled", self.len());
        assert!(bytes <= self.spare(), "{bytes} of {} spare", self.spare());
        self.move_start(bytes);
    }

    /// Gives up spare room beyond `bytes`, so that a receive brings at most that many.
    pub fn limit_spare(&mut self, bytes: usize) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.room = self.room.min(self.filled.saturating_add(bytes));
    }

    /// Takes the first `bytes` of the filled part as a buffer of its own (full, no spare room).
    ///
    /// # Panics
    /// If the filled part is shorter.
    #[must_use]
    pub fn split_to(&mut self, bytes: usize) -> Self {
        let front_start = self.start;
        self.advance(bytes);
        Self {
            hold: self.hold.clone(),
            start: front_start,
            filled: bytes as u32,
            room: bytes as u32,
        }
    }

    /// Takes the whole filled part as a frozen slice and keeps the spare room as an empty buffer.
    #[must_use]
    pub fn split_frozen(&mut self) -> ArenaSlice {
        self.split_to(self.len()).freeze()
    }

    /// Freezes the filled part and gives up the spare room.
    #[must_use]
    pub fn freeze(self) -> ArenaSlice {
        ArenaSlice {
            hold: self.hold,
            start: self.start,
            bytes: self.filled,
        }
    }

    /// The filled part, writable.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: inside the block, initialised, and this handle's alone.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.filled as usize) }
    }

    /// The memory address of the first byte, for alignment decisions.
    #[must_use]
    pub fn address(&self) -> usize {
        self.start.addr().get()
    }

    /// Bytes of the whole block this range pins in memory.
    #[must_use]
    pub fn block_bytes(&self) -> usize {
        self.hold.block_bytes()
    }

    fn move_start(&mut self, bytes: usize) {
        // SAFETY: callers checked that `bytes` more lie in this handle's range of the block.
        self.start = unsafe { self.start.add(bytes) };
        self.room -= bytes as u32;
    }
}

impl Deref for ArenaBuf {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        // SAFETY: inside the block, initialised, and written only through this handle.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.filled as usize) }
    }
}

impl DerefMut for ArenaBuf {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.as_mut_slice()
    }
}

impl fmt::Debug for ArenaBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ArenaBuf {} filled, {} spare", self.len(), self.spare())
    }
}

/// A frozen range of a block. Cloning and dropping is one atomic each.
#[derive(Clone)]
pub struct ArenaSlice {
    hold: Hold,
    start: NonNull<u8>,
    bytes: u32,
}

// SAFETY: its bytes never change while it lives, and the hold counts atomically.
unsafe impl Send for ArenaSlice {}
// SAFETY: as above.
unsafe impl Sync for ArenaSlice {}

impl ArenaSlice {
    /// A part of it.
    ///
    /// # Panics
    /// When out of range: callers hold checked ranges.
    #[must_use]
    pub fn slice(&self, range: Range<usize>) -> Self {
        self.clone().into_part(range)
    }

    /// A part of it, giving up the rest: as [`Self::slice`] without counting.
    ///
    /// # Panics
    /// When out of range: callers hold checked ranges.
    #[must_use]
    pub fn into_part(mut self, range: Range<usize>) -> Self {
        let in_range = range.start <= range.end && range.end <= self.len();
        assert!(in_range, "{range:?} of {} bytes", self.len());
        // SAFETY: inside this slice, as just checked.
        self.start = unsafe { self.start.add(range.start) };
        self.bytes = (range.end - range.start) as u32;
        self
    }

    /// The memory address of the first byte, for alignment decisions.
    #[must_use]
    pub fn address(&self) -> usize {
        self.start.addr().get()
    }

    /// Bytes of the whole block this range pins in memory.
    #[must_use]
    pub fn block_bytes(&self) -> usize {
        self.hold.block_bytes()
    }

    /// The whole block again as an empty buffer, when no other handle of it is left: a fixed set
    /// of buffers can be used for ever without going through the allocator.
    ///
    /// # Errors
    /// Gives the slice back while the block has other handles.
    pub fn reclaim(self) -> Result<ArenaBuf, Self> {
        let Self { hold, start, bytes } = self;
        match hold.relend() {
            Ok(lent) => Ok(ArenaBuf::of_block(lent)),
            Err(hold) => Err(Self { hold, start, bytes }),
        }
    }

    /// `Some(joined)` when `next` lies directly behind this in the same block.
    #[must_use]
    pub fn joined(&self, next: &Self) -> Option<Self> {
        let is_behind = self.address() + self.len() == next.address();
        (is_behind && self.hold.is_same_block(&next.hold)).then(|| Self {
            hold: self.hold.clone(),
            start: self.start,
            bytes: self.bytes + next.bytes,
        })
    }
}

impl Deref for ArenaSlice {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        // SAFETY: inside the block, initialised, and frozen.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.bytes as usize) }
    }
}

impl fmt::Debug for ArenaSlice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ArenaSlice {} bytes", self.len())
    }
}
