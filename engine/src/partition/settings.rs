//! What a partition is told about itself when it is made or changed: its place and its settings.

use crate::ids::{PartitionHandle, TopicId};

/// When an append is acknowledged; `millrace.durability`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// After its commit is on stable storage.
    #[default]
    Disk,
    /// After its commit was written, before it was flushed.
    Written,
    /// At once; committed within `flush_messages` / `flush_ms`.
    Memory,
    /// At once, and nothing is kept.
    Null,
}

impl Durability {
    /// Its word in `millrace.durability`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Disk => "disk",
            Self::Written => "written",
            Self::Memory => "memory",
            Self::Null => "null",
        }
    }
}

/// Settings of one partition; may change while it lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionConfig {
    /// When appends are acknowledged.
    pub durability: Durability,
    /// `segment.bytes`: ceiling of a segment.
    pub segment_bytes: u64,
    /// `segment.ms`: a segment older than this rolls at the next append.
    pub segment_ms: i64,
    /// `retention.bytes`, -1 for none.
    pub retention_bytes: i64,
    /// `retention.ms`, -1 for none.
    pub retention_ms: i64,
    /// `flush.messages` (relaxed classes).
    pub flush_messages: u64,
    /// `flush.ms` (relaxed classes), at most 1000.
    pub flush_ms: u64,
    /// `max.message.bytes`: largest batch.
    pub batch_bytes_max: u32,
    /// `producer.id.expiration.ms`.
    pub producer_expiration_ms: i64,
    /// `message.timestamp.type=LogAppendTime`: batches get the time of their append.
    pub is_log_append_time: bool,
    /// `cleanup.policy` holds `compact`.
    pub compaction: Option<CompactionConfig>,
}

/// Settings of a compacted partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompactionConfig {
    /// `min.cleanable.dirty.ratio`, in millionths.
    pub dirty_ratio_ppm: u32,
    /// `min.compaction.lag.ms`.
    pub lag_ms_min: i64,
    /// `max.compaction.lag.ms`.
    pub lag_ms_max: i64,
    /// `delete.retention.ms`.
    pub delete_retention_ms: i64,
}

/// Everything needed to create a partition.
#[derive(Clone, Debug)]
pub struct PartitionSpec {
    /// Its handle.
    pub handle: PartitionHandle,
    /// Its topic.
    pub topic_id: TopicId,
    /// Its index in the topic.
    pub index: i32,
    /// Its settings.
    pub config: PartitionConfig,
}
