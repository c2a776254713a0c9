//! Gates of the data path that no neighbour on the machine can disturb: allocations, kernel
//! workers, system calls and copies per request, counted over the whole broker: real ring, real
//! sockets on 127.0.0.1, a real directory.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod fetching;
#[expect(dead_code, reason = "shared with the broker's other tests")]
#[path = "../it/harness.rs"]
mod harness;
mod measure;
mod producing;

use millrace_engine::io::allocations::CountingAllocator;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;
