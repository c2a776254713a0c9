//! The memory behind an arena: one anonymous mapping with the blocks, then one [`Unit`] per
//! smallest block with the number of handles and, once there are none, the link of the stack of
//! returned blocks.
//!
//! Handles on any thread use a region through [`Hold`]; the arena alone drains the stack. Whoever
//! comes last, the arena or a handle, unmaps it.
#![expect(
    unsafe_code,
    reason = "memory is reserved, shared and unmapped by hand"
)]

use super::{ARENA_BLOCK_MAX, ARENA_BLOCK_MIN, order_bytes};
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering, fence};

/// The stack of returned blocks is empty.
const EMPTY: u32 = u32::MAX;
/// The arena is gone: count down instead of pushing.
const CLOSED: u32 = u32::MAX - 1;
const POISON: u8 = 0xDD;

/// Zero bytes are a valid value: the mapping starts that way.
struct Unit {
    /// Handles of the block that starts here.
    handles: AtomicU32,
    /// While there are handles: the block's order. On the stack: the unit below, or `EMPTY`.
    link: AtomicU32,
}

pub(super) struct Region {
    base: NonNull<u8>,
    bytes: usize,
    units: NonNull<Unit>,
    mapped_bytes: usize,
    returned: AtomicU32,
    /// Blocks still held after the arena went.
    orphans: AtomicUsize,
    poison: AtomicBool,
}

impl Region {
    fn unit(&self, unit: u32) -> &Unit {
        assert!((unit as usize) < self.bytes / ARENA_BLOCK_MIN);
        // SAFETY: in bounds of the array of units, as just checked.
        let unit = unsafe { self.units.add(unit as usize) };
        // SAFETY: the mapping is zeroed, zeroes are a `Unit`, and all its fields are atomic.
        unsafe { unit.as_ref() }
    }

    fn block(&self, unit: u32) -> NonNull<u8> {
        // SAFETY: callers pass units of the region, so this stays inside the mapping.
        unsafe { self.base.add(unit as usize * ARENA_BLOCK_MIN) }
    }

    /// Pushes a block without handles on the stack. The region may be gone when this returns.
    ///
    /// # Safety
    /// `region` is alive through a block that nobody else holds: the one of `unit`.
    unsafe fn give_back(region: NonNull<Self>, unit: u32) {
        // SAFETY: alive by the contract of this function.
        let this = unsafe { region.as_ref() };
        let link = &this.unit(unit).link;
        if this.poison.load(Ordering::Relaxed) {
            let bytes = order_bytes(link.load(Ordering::Relaxed) as usize);
            // SAFETY: the block has no handles left, so nobody reads or writes it.
            unsafe { this.block(unit).write_bytes(POISON, bytes) };
        }
        let mut head = this.returned.load(Ordering::Relaxed);
        loop {
            if head == CLOSED {
                fence(Ordering::Acquire);
                if this.orphans.fetch_sub(1, Ordering::AcqRel) == 1 {
                    // SAFETY: the arena is gone and this was the last block.
                    unsafe { Self::unmap(region) };
                }
                return;
            }
            link.store(head, Ordering::Relaxed);
            match this.returned.compare_exchange_weak(
                head,
                unit,
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(_) => return,
                Err(other) => head = other,
            }
        }
    }

    /// # Safety
    /// Nobody uses the region any more.
    unsafe fn unmap(region: NonNull<Self>) {
        // SAFETY: made by `Box::into_raw` in `reserve`, and freed here only.
        let this = unsafe { Box::from_raw(region.as_ptr()) };
        // SAFETY: exactly the mapping made by `reserve`, and nobody uses it any more.
        let unmapped = unsafe { munmap(this.base.as_ptr().cast(), this.mapped_bytes) };
        debug_assert_eq!(unmapped, Ok(()));
    }
}

/// The arena's end of a region.
pub(super) struct RegionOwner(NonNull<Region>);

// SAFETY: everything shared with handles on other threads is atomic.
unsafe impl Send for RegionOwner {}

impl RegionOwner {
    /// Maps `bytes` (a multiple of the largest block), aligned to the largest block.
    pub(super) fn reserve(bytes: usize) -> std::io::Result<Self> {
        let units_bytes = bytes / ARENA_BLOCK_MIN * size_of::<Unit>();
        let mapped_bytes = (bytes + units_bytes).next_multiple_of(4096);
        let base = map_aligned(mapped_bytes)?;
        // SAFETY: inside the mapping; an advice that is refused changes nothing.
        let huge = unsafe { madvise(base.as_ptr().cast(), bytes, Advice::LinuxHugepage) };
        if let Err(error) = huge {
            log::debug!("no huge pages for the arena: {error}");
        }
        // SAFETY: inside the mapping, directly behind the blocks.
        let units = unsafe { base.add(bytes) }.cast();
        let region = Box::new(Region {
            base,
            bytes,
            units,
            mapped_bytes,
            returned: AtomicU32::new(EMPTY),
            orphans: AtomicUsize::new(0),
            poison: AtomicBool::new(false),
        });
        Ok(Self(NonNull::from(Box::leak(region))))
    }

    fn region(&self) -> &Region {
        // SAFETY: lives until `abandon`, which the arena calls when it is dropped.
        unsafe { self.0.as_ref() }
    }

    pub(super) fn bytes(&self) -> usize {
        self.region().bytes
    }

    pub(super) fn address(&self) -> usize {
        self.region().base.addr().get()
    }

    pub(super) fn set_poison(&self, poison: bool) {
        self.region().poison.store(poison, Ordering::Relaxed);
    }

    /// The first handle of a free block, and its memory.
    pub(super) fn lend(&self, unit: u32, order: usize) -> Lent {
        let head = self.region().unit(unit);
        head.link.store(order as u32, Ordering::Relaxed);
        head.handles.store(1, Ordering::Relaxed);
        Lent {
            hold: Hold {
                region: self.0,
                unit,
            },
            start: self.region().block(unit),
            bytes: order_bytes(order),
        }
    }

    /// Hands out every returned block.
    pub(super) fn drain_returned(&self, mut take: impl FnMut(u32)) {
        let region = self.region();
        if region.returned.load(Ordering::Relaxed) == EMPTY {
            return;
        }
        let mut unit = region.returned.swap(EMPTY, Ordering::Acquire);
        while unit != EMPTY {
            let next = region.unit(unit).link.load(Ordering::Relaxed);
            take(unit);
            unit = next;
        }
    }

    /// Looks at every returned block without taking it: only the owner takes, so what was seen on
    /// the stack stays there.
    pub(super) fn each_returned(&self, mut see: impl FnMut(u32)) {
        let region = self.region();
        let mut unit = region.returned.load(Ordering::Acquire);
        while unit != EMPTY {
            see(unit);
            unit = region.unit(unit).link.load(Ordering::Relaxed);
        }
    }

    /// The arena goes, with `taken` blocks not drained. Must be the last use of this.
    pub(super) fn abandon(&mut self, taken: usize) {
        let region = self.region();
        region.orphans.store(taken, Ordering::Relaxed);
        let mut unit = region.returned.swap(CLOSED, Ordering::AcqRel);
        let mut drained = 0;
        while unit != EMPTY {
            drained += 1;
            unit = region.unit(unit).link.load(Ordering::Relaxed);
        }
        let none_left = if drained == 0 {
            // Others count the rest down, and the last of them unmaps.
            taken == 0
        } else {
            region.orphans.fetch_sub(drained, Ordering::AcqRel) == drained
        };
        if none_left {
            // SAFETY: no block is held, and the arena makes no further use.
            unsafe { Region::unmap(self.0) };
        }
    }
}

/// One handle's share of a block: keeps the block and the region alive.
pub(super) struct Hold {
    region: NonNull<Region>,
    unit: u32,
}

/// A block fresh from the arena.
pub(super) struct Lent {
    pub(super) hold: Hold,
    pub(super) start: NonNull<u8>,
    pub(super) bytes: usize,
}

// SAFETY: a hold only counts, atomically.
unsafe impl Send for Hold {}
// SAFETY: as above.
unsafe impl Sync for Hold {}

impl Hold {
    fn head(&self) -> &Unit {
        // SAFETY: a held block keeps its region alive.
        unsafe { self.region.as_ref() }.unit(self.unit)
    }

    pub(super) fn block_bytes(&self) -> usize {
        order_bytes(self.head().link.load(Ordering::Relaxed) as usize)
    }

    pub(super) fn is_same_block(&self, other: &Self) -> bool {
        self.region == other.region && self.unit == other.unit
    }

    /// The whole block as if it were fresh, when this is its only handle.
    pub(super) fn relend(self) -> Result<Lent, Self> {
        if self.head().handles.load(Ordering::Acquire) != 1 {
            return Err(self);
        }
        // SAFETY: a held block keeps its region alive.
        let start = unsafe { self.region.as_ref() }.block(self.unit);
        let bytes = self.block_bytes();
        Ok(Lent {
            hold: self,
            start,
            bytes,
        })
    }
}

impl Clone for Hold {
    fn clone(&self) -> Self {
        let handles = self.head().handles.fetch_add(1, Ordering::Relaxed);
        assert!(handles < u32::MAX / 2, "too many handles of one block");
        Self {
            region: self.region,
            unit: self.unit,
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let handles = &self.head().handles;
        // A sole handle cannot gain company meanwhile: only handles make handles.
        if handles.load(Ordering::Acquire) != 1 {
            if handles.fetch_sub(1, Ordering::Release) != 1 {
                return;
            }
            fence(Ordering::Acquire);
        }
        // SAFETY: this was the last handle of the block.
        unsafe { Region::give_back(self.region, self.unit) };
    }
}

/// An untouched mapping aligned to the largest block.
fn map_aligned(bytes: usize) -> std::io::Result<NonNull<u8>> {
    let with_slack = bytes + ARENA_BLOCK_MAX;
    let protection = ProtFlags::READ | ProtFlags::WRITE;
    let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
    // SAFETY: a new mapping at a place of the kernel's choice touches nobody else's memory.
    let map = unsafe { mmap_anonymous(std::ptr::null_mut(), with_slack, protection, flags) }?;
    let map = map.cast::<u8>();
    let front = map.addr().next_multiple_of(ARENA_BLOCK_MAX) - map.addr();
    if front > 0 {
        // SAFETY: the unused front of the mapping just made.
        unsafe { munmap(map.cast(), front) }?;
    }
    let base = map.wrapping_add(front);
    // SAFETY: the unused rest behind the aligned part of the mapping just made.
    unsafe { munmap(base.wrapping_add(bytes).cast(), ARENA_BLOCK_MAX - front) }?;
    NonNull::new(base).ok_or_else(|| std::io::Error::other("the kernel mapped address 0"))
}
