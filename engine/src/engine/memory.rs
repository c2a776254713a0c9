//! How the memory an engine may take is divided: buffers of the kernel, and what is known of
//! partitions, batches and producers on the heap.

/// What a broker takes beside all that is counted here: code, stacks, requests in flight, and the
/// allocator's huge pages.
const PROGRAM_BYTES: u64 = 24 << 20;
/// Memory of one partition without records: 3.3-4.2 KiB were measured of a whole broker
/// (docs/decisions/0010-measured.md).
const PARTITION_BYTES: u64 = 4096;
/// Heap of one batch that is appended and not resolved: its entry of 72 bytes in a queue that
/// doubles.
const BATCH_BYTES: u64 = 144;
/// Heap of one producer of a partition: 8 places of 32 bytes, and its place in a map.
const PRODUCER_BYTES: u64 = 320;
/// Heap of one connection: 3-5 KiB were measured (`bench idle`), of idle ones.
const CONNECTION_BYTES: u64 = 4096;

/// The parts of `memory_bytes`. Together they are not above it from 192 MiB on; below, the program
/// itself takes more than what is left for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryPlan {
    /// Buffers, of all shards.
    pub buffers: u64,
    /// For partitions.
    pub partitions: u64,
    /// For batches that are appended and not resolved.
    pub batches: u64,
    /// For producers.
    pub producers: u64,
    /// For the keys of a partition that is compacted.
    pub keys: u64,
    /// For connections.
    pub connections: u64,
    /// For whoever builds on the engine: groups, sessions.
    pub callers: u64,
}

impl MemoryPlan {
    /// Three quarters are buffers; of the rest, less the program, a third is for partitions, a
    /// sixth each for compaction, connections and the caller, a twelfth each for batches and
    /// producers.
    #[must_use]
    pub const fn of(memory_bytes: u64) -> Self {
        let rest = memory_bytes / 4;
        let program = if PROGRAM_BYTES < rest / 2 {
            PROGRAM_BYTES
        } else {
            rest / 2
        };
        let heap = rest - program;
        Self {
            buffers: memory_bytes - rest,
            partitions: heap / 3,
            batches: heap / 12,
            producers: heap / 12,
            keys: heap / 6,
            connections: heap / 6,
            callers: heap / 6,
        }
    }

    /// Partitions that one of `shards` shards may hold.
    #[must_use]
    pub fn partitions_max(&self, shards: usize) -> usize {
        count(self.partitions, PARTITION_BYTES, shards)
    }

    /// Batches that one of `shards` shards may have appended and not resolved.
    #[must_use]
    pub fn batches_max(&self, shards: usize) -> usize {
        count(self.batches, BATCH_BYTES, shards)
    }

    /// Producers that one of `shards` shards remembers.
    #[must_use]
    pub fn producers_max(&self, shards: usize) -> usize {
        count(self.producers, PRODUCER_BYTES, shards)
    }

    /// Connections of all shards together.
    #[must_use]
    pub fn connections_max(&self) -> usize {
        count(self.connections, CONNECTION_BYTES, 1)
    }
}

fn count(bytes: u64, each: u64, shards: usize) -> usize {
    usize::try_from(bytes / each / shards.max(1) as u64).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_and_the_program_are_the_whole() {
        for memory_bytes in [192 << 20, 1 << 30, 1 << 40] {
            let plan = MemoryPlan::of(memory_bytes);
            let heap = plan.partitions + plan.batches + plan.producers + plan.keys;
            let heap = heap + plan.connections + plan.callers;
            let all = plan.buffers + heap + PROGRAM_BYTES;
            assert!(all <= memory_bytes && all + 12 > memory_bytes, "{plan:?}");
        }
    }

    #[test]
    fn little_memory_still_has_room_for_partitions() {
        let plan = MemoryPlan::of(16 << 20);
        assert_eq!(plan.buffers, 12 << 20);
        assert_eq!(plan.partitions_max(1), 170);
        assert_eq!(plan.connections_max(), 85);
        assert!(MemoryPlan::of(1 << 30).partitions_max(1) > 19_000);
        assert!(MemoryPlan::of(1 << 30).connections_max() > 9_800);
    }
}
