//! What a shard needs to know before it opens its journal.

use crate::ids::{JournalId, ShardId};
use crate::journal::check::JournalKey;

/// Settings of a shard.
#[derive(Clone, Debug)]
pub struct ShardConfig {
    /// Which shard.
    pub shard: ShardId,
    /// Bytes of its journal ring in all files (grown to at least 4 files).
    pub journal_bytes: u64,
    /// The same as a share of the disk that is free when the journal is made: 8 for an eighth.
    pub journal_free_divisor: u64,
    /// Journal files.
    pub journal_files: u32,
    /// Pending bytes of a partition from which placing them is considered.
    pub placed_bytes_min: u64,
    /// Idle time after which a mark commit is written.
    pub idle_mark_ms: u64,
    /// Largest time between checkpoints while there is something to checkpoint.
    pub checkpoint_interval_ms: u64,
    /// Open segment files at most.
    pub open_files_max: usize,
    /// Partitions at most on this shard.
    pub partitions_max: usize,
    /// Partitions at most as far as memory goes. More than these, and a quarter, are not opened.
    pub partitions_in_memory_max: usize,
    /// Batches appended and not resolved at most: more wait.
    pub unresolved_batches_max: usize,
    /// Producers remembered at most on this shard: of more, the longest silent are forgotten.
    pub producers_max: usize,
    /// Disk operations in flight at most on this shard.
    pub disk_depth_max: usize,
    /// Time between looks at retention.
    pub retention_check_ms: u64,
    /// Bytes of the ballast: what may be appended before its place on disk is prepared.
    pub ballast_bytes: u64,
    /// Bytes of prepared segment space without records at most.
    pub prepared_bytes_max: u64,
    /// Smallest segment file that is kept for reuse when it is released.
    pub spare_file_bytes_min: u64,
    /// Compaction.
    pub cleaner: CleanerConfig,
}

/// Settings of compaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CleanerConfig {
    /// `log.cleaner.enable`.
    pub is_enabled: bool,
    /// `log.cleaner.io.max.bytes.per.second`: bytes read and written by it at most, on average.
    pub bytes_per_second_max: u64,
    /// `log.cleaner.dedupe.buffer.size`: memory for keys while a partition is compacted.
    pub key_map_bytes_max: usize,
    /// `log.cleaner.backoff.ms`: time between looks when there was nothing to do.
    pub backoff_ms: u64,
}

impl Default for CleanerConfig {
    fn default() -> Self {
        Self {
            is_enabled: true,
            bytes_per_second_max: 64 << 20,
            key_map_bytes_max: 128 << 20,
            backoff_ms: 15_000,
        }
    }
}

impl CleanerConfig {
    /// The part of one shard of `shards`, which have `memory_bytes` for keys together.
    #[must_use]
    pub fn share(self, shards: usize, memory_bytes: u64) -> Self {
        let shards = shards.max(1);
        let memory = usize::try_from(memory_bytes).unwrap_or(usize::MAX);
        Self {
            bytes_per_second_max: (self.bytes_per_second_max / shards as u64).max(1),
            key_map_bytes_max: self.key_map_bytes_max.min(memory) / shards,
            ..self
        }
    }
}

impl Default for ShardConfig {
    fn default() -> Self {
        Self {
            shard: ShardId(0),
            journal_bytes: 256 << 20,
            journal_free_divisor: 1,
            journal_files: 8,
            placed_bytes_min: 64 << 10,
            idle_mark_ms: 5,
            checkpoint_interval_ms: 10_000,
            open_files_max: 1024,
            partitions_max: 100_000,
            partitions_in_memory_max: 100_000,
            unresolved_batches_max: 1 << 20,
            producers_max: 100_000,
            disk_depth_max: 64,
            retention_check_ms: 300_000,
            ballast_bytes: 64 << 20,
            prepared_bytes_max: 4 << 30,
            spare_file_bytes_min: 1 << 20,
            cleaner: CleanerConfig::default(),
        }
    }
}

/// Which journal a shard opens, as the root file says.
#[derive(Clone, Copy, Debug)]
pub struct JournalSetup {
    /// Its id.
    pub id: JournalId,
    /// The data directory's secret.
    pub key: JournalKey,
    /// The data directory's id.
    pub set_id: [u8; 16],
}
