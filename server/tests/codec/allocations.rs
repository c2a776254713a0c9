//! Counts what a thread allocates, to show that decoding allocates nothing.
#![expect(
    unsafe_code,
    reason = "a global allocator is an unsafe trait; this one only counts"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static ALLOCATED_BYTES: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED_BYTES.set(ALLOCATED_BYTES.get() + layout.size());
        // SAFETY: the caller keeps the contract, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: `block` came from `alloc` above, so from the system's allocator.
        unsafe { System.dealloc(block, layout) }
    }
}

/// Runs `work` and returns how many bytes this thread allocated meanwhile.
pub(crate) fn allocated_bytes<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = ALLOCATED_BYTES.get();
    let result = work();
    (result, ALLOCATED_BYTES.get() - before)
}

#[test]
fn the_counter_sees_allocations_of_this_thread() {
    let (vector, bytes) = allocated_bytes(|| std::hint::black_box(Vec::<u8>::with_capacity(1000)));
    assert_eq!(bytes, 1000);
    drop(vector);
    assert_eq!(allocated_bytes(|| 1 + 1).1, 0);
}
