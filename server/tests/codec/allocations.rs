//! Counts what a thread allocates, to show that decoding allocates nothing.

/// Runs `work` and returns how many bytes this thread allocated meanwhile.
pub(crate) fn allocated_bytes<T>(work: impl FnOnce() -> T) -> (T, u64) {
    let mut result = None;
    let counted = allocation_counter::measure(|| result = Some(work()));
    (result.expect("the work was done"), counted.bytes_total)
}

#[test]
fn the_counter_sees_allocations_of_this_thread() {
    let (vector, bytes) = allocated_bytes(|| std::hint::black_box(Vec::<u8>::with_capacity(1000)));
    assert_eq!(bytes, 1000);
    drop(vector);
    assert_eq!(allocated_bytes(|| 1 + 1).1, 0);
}
