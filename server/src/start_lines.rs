//! What a person reads when the broker starts and when it ends.

use millrace_engine::ids::ShardId;
use millrace_engine::io::IoCounters;
use millrace_engine::io::group::{KernelConfig, kernel_release};
use millrace_engine::shard::ShardCounters;

const MIB: u64 = 1 << 20;

/// Logs what was found, chosen and bounded, and where a client connects.
pub(crate) fn log_start(
    kernel: &KernelConfig,
    memory_bytes: u64,
    report: &[String],
    client_address: &str,
    nodes: usize,
) {
    let cores: Vec<String> = kernel.cores.iter().map(usize::to_string).collect();
    log::info!(
        "kernel {}, {} shards on cores {}",
        kernel_release(),
        kernel.cores.len(),
        cores.join(",")
    );
    for line in report {
        log::info!("{line}");
    }
    log::info!(
        "memory: {} MiB in all, {} MiB of buffers per shard; data in {}, journals in {}",
        memory_bytes / MIB,
        kernel.arena_bytes as u64 / MIB,
        kernel.data_dir.display(),
        kernel.journal_dir.display()
    );
    log::info!(
        "ready as {nodes} {}: point Kafka clients at {client_address} (for example: kcat -b \
         {client_address} -L)",
        if nodes == 1 { "node" } else { "nodes" }
    );
}

/// Logs what one shard did in its life, for operators and benchmarks.
pub(crate) fn log_end(shard: ShardId, io: &IoCounters, engine: &ShardCounters) {
    log::info!(
        "{shard} counters: batches {} bytes {} commits {} commit_bytes {} placed_bytes {} \
         write_back_bytes {} copied_bytes {} realigned_bytes {} checkpoints {} rolls {} \
         cold_read_bytes {}; enters {} submitted {} writes {} written_bytes {} durable_writes {} \
         receives {} received_bytes {} sends {} sent_bytes {} doorbells {} slow_enters {}",
        engine.batches,
        engine.batch_bytes,
        engine.commits,
        engine.commit_bytes,
        engine.placed_bytes,
        engine.write_back_bytes,
        engine.copied_bytes,
        engine.realigned_bytes,
        engine.checkpoints,
        engine.rolls,
        engine.cold_read_bytes,
        io.enters,
        io.submitted,
        io.writes,
        io.written_bytes,
        io.durable_writes,
        io.receives,
        io.received_bytes,
        io.sends,
        io.sent_bytes,
        io.doorbells,
        io.slow_enters,
    );
}
