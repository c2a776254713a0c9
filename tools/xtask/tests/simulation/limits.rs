//! How small everything is in one run: drawn from the seed, so that over many seeds everything
//! that is rare in life happens often.

use millrace_engine::engine::config::SHARD_MEMORY_MIN;
use millrace_engine::engine::{Cores, EngineConfig};
use millrace_engine::ids::ShardId;
use millrace_engine::io::simulated::Random;
use millrace_engine::shard::{CleanerConfig, ShardConfig};

/// The limits of a run.
#[derive(Debug)]
pub(crate) struct Limits {
    pub(crate) shards: usize,
    /// Each shard is a node with a port of its own.
    pub(crate) is_per_core: bool,
    pub(crate) arena_bytes: usize,
    pub(crate) engine: EngineConfig,
    pub(crate) settings: Vec<(String, String)>,
    placed_bytes_min: u64,
}

impl Limits {
    pub(crate) fn draw(random: &mut Random) -> Self {
        let shards = [1, 1, 2, 3][random.below(4) as usize];
        let mut limits = Self {
            shards,
            is_per_core: random.chance(1, 3),
            arena_bytes: SHARD_MEMORY_MIN as usize,
            engine: EngineConfig {
                journal_bytes: Some(512 << 10),
                open_files_max: 64,
                partitions_max: 64,
                producers_max: 256,
                idle_mark_ms: 2,
                checkpoint_interval_ms: [50, 500, 10_000][random.below(3) as usize],
                retention_check_ms: 1000,
                ballast_bytes: 1 << 20,
                mailbox_capacity: 64,
                cleaner: CleanerConfig {
                    // Some runs are slow enough for crashes to meet them, or know few keys.
                    bytes_per_second_max: [64 << 20, 64 << 10][random.below(2) as usize],
                    key_map_bytes_max: [1 << 20, 1 << 10][random.below(2) as usize],
                    backoff_ms: [10, 500][random.below(2) as usize],
                    ..CleanerConfig::default()
                },
                ..EngineConfig::new("/simulated")
            },
            settings: Vec::new(),
            placed_bytes_min: [16 << 10, 64 << 10][random.below(2) as usize],
        };
        limits.set_shards(shards);
        limits.set("auto.create.topics.enable", "false");
        limits.set("producer.id.expiration.ms", "2147483647");
        limits.set("connections.max.idle.ms", "20000");
        limits.set("group.initial.rebalance.delay.ms", "100");
        limits.set("offsets.retention.minutes", "2147483647");
        let partitions = (1 + random.below(3)).to_string();
        limits.set("offsets.topic.num.partitions", &partitions);
        limits.set("offsets.topic.segment.bytes", "1048576");
        limits.set("millrace.group.snapshot.bytes", "4096");
        limits
    }

    /// The next start may be asked for another number of shards.
    pub(crate) fn maybe_reshard(&mut self, random: &mut Random) -> bool {
        let shards = 1 + random.below(3) as usize;
        let is_change = random.chance(1, 8) && shards != self.shards;
        if is_change {
            self.set_shards(shards);
        }
        is_change
    }

    fn set(&mut self, key: &str, value: &str) {
        self.settings.push((key.to_owned(), value.to_owned()));
    }

    /// How many nodes clients see.
    pub(crate) const fn nodes(&self) -> usize {
        if self.is_per_core { self.shards } else { 1 }
    }

    pub(crate) fn set_shards(&mut self, shards: usize) {
        self.shards = shards;
        self.engine.cores = Cores::Listed(vec![0; shards]);
        self.engine.memory_bytes = shards as u64 * SHARD_MEMORY_MIN;
    }

    pub(crate) fn shard(&self, index: usize) -> ShardConfig {
        ShardConfig {
            placed_bytes_min: self.placed_bytes_min,
            disk_depth_max: 8,
            prepared_bytes_max: 8 << 20,
            spare_file_bytes_min: 16 << 10,
            ..self.engine.shard_config(ShardId(index as u16), self.shards)
        }
    }
}
