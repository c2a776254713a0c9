//! What one shard did so far: for gates, benchmarks and the line a broker logs at its end.

use millrace_engine::ids::ShardId;
use millrace_engine::io::IoCounters;
use millrace_engine::shard::ShardCounters;

/// Bytes moved in user space between a socket and its handler. All monotonic.
#[derive(Clone, Copy, Debug, Default)]
pub struct NetCounters {
    /// Bytes received and then copied, before anything was appended: starts of large frames, rests
    /// of full blocks, frames above the largest block, batches that get the broker's time.
    pub copied_in_bytes: u64,
    /// Record bytes copied on their way out.
    pub copied_out_bytes: u64,
}

/// Counts of one shard since its start.
#[derive(Clone, Copy, Debug)]
pub struct BrokerCounters {
    /// Which.
    pub shard: ShardId,
    /// What it asked of the kernel.
    pub io: IoCounters,
    /// What its partitions and its journal did.
    pub engine: ShardCounters,
    /// What its connections did.
    pub net: NetCounters,
}
