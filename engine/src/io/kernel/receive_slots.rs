//! The slots that small receives are put into: a ring of 2 KiB arena blocks provided to the
//! kernel, which picks one when data arrives. So an idle connection holds no memory.
//!
//! A used block leaves with the completion and a fresh one takes its place at once; without memory
//! the place stays empty until some returns.
#![expect(unsafe_code, reason = "the ring of slots is shared with the kernel")]

use super::super::arena::{ARENA_BLOCK_MIN, Arena, ArenaBuf};
use io_uring::Submitter;
use io_uring::types::BufRingEntry;
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

/// The group's name in submissions.
pub(super) const GROUP: u16 = 0;
const SLOTS: u16 = 256;
const RING_BYTES: usize = SLOTS as usize * size_of::<BufRingEntry>();

pub(super) struct ReceiveSlots {
    entries: NonNull<BufRingEntry>,
    tail: u16,
    blocks: Vec<Option<ArenaBuf>>,
    /// Slots without a block.
    missing: Vec<u16>,
    /// Where empty buffers are split from, for ends of streams.
    empty: ArenaBuf,
}

impl ReceiveSlots {
    pub(super) fn new(submitter: &Submitter<'_>, arena: &mut Arena) -> std::io::Result<Self> {
        let empty = arena.alloc(0);
        let empty = empty.ok_or_else(|| std::io::Error::other("the arena is too small"))?;
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at a place of the kernel's choice touches nobody else's memory.
        let entries = unsafe {
            mmap_anonymous(
                std::ptr::null_mut(),
                RING_BYTES,
                protection,
                MapFlags::PRIVATE,
            )
        }?;
        let entries = NonNull::new(entries.cast())
            .ok_or_else(|| std::io::Error::other("the kernel mapped address 0"))?;
        let mut slots = Self {
            entries,
            tail: 0,
            blocks: (0..SLOTS).map(|_| None).collect(),
            missing: (0..SLOTS).rev().collect(),
            empty,
        };
        let address = entries.addr().get() as u64;
        // SAFETY: page-aligned, of the size given, and unmapped only after the ring is gone.
        unsafe { submitter.register_buf_ring_with_flags(address, SLOTS, GROUP, 0) }?;
        slots.refill(arena);
        Ok(slots)
    }

    /// Takes the block that the kernel filled with `bytes`.
    pub(super) fn take(&mut self, slot: u16, bytes: usize, arena: &mut Arena) -> ArenaBuf {
        let block = self
            .blocks
            .get_mut(usize::from(slot))
            .and_then(Option::take);
        let Some(mut block) = block else {
            panic!("the kernel used receive slot {slot}, which is empty");
        };
        block.extend_written(bytes);
        self.missing.push(slot);
        self.refill(arena);
        block
    }

    /// A buffer for the end of a stream.
    pub(super) fn empty(&mut self) -> ArenaBuf {
        self.empty.split_to(0)
    }

    /// Gives the kernel a block for every empty slot, as far as there is memory.
    pub(super) fn refill(&mut self, arena: &mut Arena) {
        if self.missing.is_empty() {
            return;
        }
        while let Some(&slot) = self.missing.last() {
            let Some(block) = arena.alloc(ARENA_BLOCK_MIN) else {
                break;
            };
            self.provide(slot, &block);
            self.blocks[usize::from(slot)] = Some(block);
            self.missing.pop();
        }
        // SAFETY: the address of the first entry, whose unused field is the ring's tail.
        let tail = unsafe { BufRingEntry::tail(self.entries.as_ptr()) };
        // SAFETY: mapped, aligned, and written by this thread only.
        let tail = unsafe { AtomicU16::from_ptr(tail.cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }

    fn provide(&mut self, slot: u16, block: &ArenaBuf) {
        let place = usize::from(self.tail % SLOTS);
        // SAFETY: inside the mapping.
        let entry = unsafe { self.entries.add(place) };
        // SAFETY: the kernel reads entries only between head and tail; this one is behind.
        let entry = unsafe { &mut *entry.as_ptr() };
        entry.set_addr(block.address() as u64);
        entry.set_len(ARENA_BLOCK_MIN as u32);
        entry.set_bid(slot);
        self.tail = self.tail.wrapping_add(1);
    }
}

impl Drop for ReceiveSlots {
    fn drop(&mut self) {
        // SAFETY: the ring that used it was dropped before (see the order of `Ring`'s fields).
        let unmapped = unsafe { munmap(self.entries.as_ptr().cast(), RING_BYTES) };
        debug_assert_eq!(unmapped, Ok(()));
    }
}
