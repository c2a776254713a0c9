//! Settings of the engine of one data directory, checked once at start.

use super::memory::MemoryPlan;
use crate::ids::ShardId;
use crate::shard::{CleanerConfig, ShardConfig};
use std::path::PathBuf;

/// Smallest memory of a shard: commit and checkpoint buffers, and room for a large batch.
pub const SHARD_MEMORY_MIN: u64 = 16 << 20;
/// Shards at most: a mailbox lies between every two of them.
pub const SHARDS_MAX: usize = 256;

/// Which cores the shards run on, and whether that decides how many there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cores {
    /// The cores the process may use. A new data directory gets a shard for each; an existing one
    /// keeps its number of shards, which share the cores as well as they can.
    Allowed(Vec<usize>),
    /// One shard per entry, pinned to it; the same core may come twice. An existing data directory
    /// with another number of shards is re-sharded before anything else.
    Listed(Vec<usize>),
}

impl Cores {
    /// The cores themselves.
    #[must_use]
    pub fn list(&self) -> &[usize] {
        let (Self::Allowed(list) | Self::Listed(list)) = self;
        list
    }
}

/// Settings of an engine. Limits are for all shards together unless they say otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineConfig {
    /// The data directory.
    pub data_dir: PathBuf,
    /// Where journals and checkpoints live; `journal` below the data directory by default.
    pub journal_dir: Option<PathBuf>,
    /// The cores.
    pub cores: Cores,
    /// Memory in all: three quarters are buffers of the kernel, the rest bounds what is on the
    /// heap (see [`MemoryPlan`]).
    pub memory_bytes: u64,
    /// Journal space of each shard. By default twice its memory, at most its share of 1 GiB (but
    /// 256 MiB), and together at most an eighth of the free disk. Holds for journals that are made
    /// from now on.
    pub journal_bytes: Option<u64>,
    /// Open segment files at most.
    pub open_files_max: usize,
    /// Partitions at most, on each shard; the memory may allow fewer.
    pub partitions_max: usize,
    /// Producers remembered at most, on each shard; the memory may allow fewer.
    pub producers_max: usize,
    /// Disk operations in flight at most; stay below the queue of the device.
    pub disk_depth_max: usize,
    /// Pending bytes of a partition from which placing them is considered.
    pub placed_bytes_min: u64,
    /// Idle time after which a shard writes down that its last commit counts.
    pub idle_mark_ms: u64,
    /// Largest time between checkpoints while there is something to checkpoint.
    pub checkpoint_interval_ms: u64,
    /// Time between looks at retention.
    pub retention_check_ms: u64,
    /// Bytes each shard keeps in a file of its own, to be given up when the disk is full so that
    /// everything taken before can still be brought to its place.
    pub ballast_bytes: u64,
    /// Messages that wait in each mailbox at most.
    pub mailbox_capacity: usize,
    /// Compaction.
    pub cleaner: CleanerConfig,
}

/// A setting that is out of its bounds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("config {key}: {value} is outside {min}..={max}")]
pub struct ConfigError {
    /// Which setting.
    pub key: &'static str,
    /// What it is.
    pub value: u64,
    /// Smallest allowed value.
    pub min: u64,
    /// Largest allowed value.
    pub max: u64,
}

impl EngineConfig {
    /// Defaults for a data directory on all cores this process may use.
    #[must_use]
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            journal_dir: None,
            cores: Cores::Allowed(crate::io::group::allowed_cores()),
            memory_bytes: 512 << 20,
            journal_bytes: None,
            open_files_max: 512,
            partitions_max: 100_000,
            producers_max: 100_000,
            disk_depth_max: 192,
            placed_bytes_min: 64 << 10,
            idle_mark_ms: 5,
            checkpoint_interval_ms: 10_000,
            retention_check_ms: 300_000,
            ballast_bytes: 64 << 20,
            mailbox_capacity: 1024,
            cleaner: CleanerConfig::default(),
        }
    }

    /// The folder of journals and checkpoints.
    #[must_use]
    pub fn journal_dir(&self) -> PathBuf {
        match &self.journal_dir {
            Some(dir) => dir.clone(),
            None => self.data_dir.join("journal"),
        }
    }

    /// Checks every setting that can be checked without the data directory.
    ///
    /// # Errors
    /// The first one that is out of bounds, with its bounds.
    pub fn check(&self) -> Result<(), ConfigError> {
        let cores = self.cores.list().len() as u64;
        check("cores", cores, 1, SHARDS_MAX as u64)?;
        if let Cores::Listed(list) = &self.cores {
            self.check_memory(list.len())?;
        }
        let journal_min = 4 * 128 * 1024;
        let journal = self.journal_bytes.unwrap_or(journal_min);
        check("journal_bytes", journal, journal_min, 64 << 30)?;
        let counts = [
            ("open_files_max", self.open_files_max, 2 * cores),
            ("partitions_max", self.partitions_max, 1),
            ("producers_max", self.producers_max, 1),
            ("disk_depth_max", self.disk_depth_max, 8 * cores),
            ("mailbox_capacity", self.mailbox_capacity, 8),
        ];
        for (key, value, min) in counts {
            check(key, value as u64, min, 16 << 20)?;
        }
        check("ballast_bytes", self.ballast_bytes, 1 << 20, 16 << 30)?;
        let placed_max = crate::limits::WRITE_BYTES_MAX;
        check("placed_bytes_min", self.placed_bytes_min, 4096, placed_max)?;
        let day_ms = 86_400_000;
        check("idle_mark_ms", self.idle_mark_ms, 1, 1000)?;
        check(
            "checkpoint_interval_ms",
            self.checkpoint_interval_ms,
            10,
            day_ms,
        )?;
        check("retention_check_ms", self.retention_check_ms, 1, day_ms)
    }

    /// Whether the memory is enough for `shards`.
    pub(super) fn check_memory(&self, shards: usize) -> Result<(), ConfigError> {
        let min = SHARD_MEMORY_MIN * shards as u64;
        check("memory_bytes", self.memory_bytes, min, 1 << 44)
    }

    /// How the memory is divided.
    #[must_use]
    pub const fn memory_plan(&self) -> MemoryPlan {
        MemoryPlan::of(self.memory_bytes)
    }

    /// Arena bytes of one of `shards` shards.
    #[must_use]
    pub fn arena_bytes(&self, shards: usize) -> usize {
        let share = self.memory_plan().buffers / shards.max(1) as u64;
        usize::try_from(share).unwrap_or(usize::MAX)
    }

    /// What `shard` of `shards` is configured with.
    #[must_use]
    pub fn shard_config(&self, shard: ShardId, shards: usize) -> ShardConfig {
        let shards = shards.max(1);
        // Many partitions share a journal: what each of them has in half of it is what one write
        // back carries. docs/decisions/0010-measured.md
        let journal_bytes = self.journal_bytes.unwrap_or_else(|| {
            let share = ((1 << 30) / shards as u64).max(256 << 20);
            let twice_memory = 2 * self.arena_bytes(shards) as u64;
            twice_memory.min(share)
        });
        let journal_free_divisor = match self.journal_bytes {
            Some(_) => 1,
            None => 8 * shards as u64,
        };
        let plan = self.memory_plan();
        ShardConfig {
            shard,
            journal_bytes,
            journal_free_divisor,
            placed_bytes_min: self.placed_bytes_min,
            idle_mark_ms: self.idle_mark_ms,
            checkpoint_interval_ms: self.checkpoint_interval_ms,
            open_files_max: (self.open_files_max / shards).max(2),
            partitions_max: self.partitions_max,
            partitions_in_memory_max: plan.partitions_max(shards),
            unresolved_batches_max: plan.batches_max(shards),
            producers_max: self.producers_max.min(plan.producers_max(shards)),
            disk_depth_max: (self.disk_depth_max / shards).max(4),
            retention_check_ms: self.retention_check_ms,
            ballast_bytes: self.ballast_bytes,
            prepared_bytes_max: (4 << 30) / shards as u64,
            cleaner: self.cleaner.share(shards, plan.keys),
            ..ShardConfig::default()
        }
    }
}

fn check(key: &'static str, value: u64, min: u64, max: u64) -> Result<(), ConfigError> {
    if (min..=max).contains(&value) {
        Ok(())
    } else {
        Err(ConfigError {
            key,
            value,
            min,
            max,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_pass_and_each_setting_names_itself_when_out_of_bounds() {
        let mut config = EngineConfig::new("/somewhere");
        config.cores = Cores::Allowed(vec![0, 1]);
        assert_eq!(config.check(), Ok(()));
        type Change = fn(&mut EngineConfig);
        let changes: [(&str, Change); 6] = [
            ("cores", |c| c.cores = Cores::Listed(vec![])),
            ("memory_bytes", |c| {
                c.memory_bytes = 1 << 20;
                c.cores = Cores::Listed(vec![0]);
            }),
            ("journal_bytes", |c| c.journal_bytes = Some(1)),
            ("open_files_max", |c| c.open_files_max = 1),
            ("placed_bytes_min", |c| c.placed_bytes_min = 100),
            ("idle_mark_ms", |c| c.idle_mark_ms = 0),
        ];
        for (key, change) in changes {
            let mut changed = config.clone();
            change(&mut changed);
            let error = changed.check().unwrap_err();
            assert_eq!(error.key, key);
            assert!(error.to_string().contains(key));
        }
    }
}
