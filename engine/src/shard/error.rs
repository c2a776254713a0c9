//! Why a shard refuses.

/// Why a control operation was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// The handle exists already.
    #[error("the partition exists")]
    Exists,
    /// No such partition on this shard.
    #[error("no such partition on this shard")]
    UnknownPartition,
    /// `partitions_max` reached.
    #[error("the shard has its {0} partitions")]
    TooManyPartitions(usize),
    /// The memory allows no more.
    #[error("the shard has {0} partitions, more need a larger --memory")]
    TooManyForMemory(usize),
    /// Offset above the high watermark or below 0.
    #[error("offset {offset} is outside [0, {high_watermark}]")]
    OutOfRange {
        /// What was asked.
        offset: i64,
        /// The bound.
        high_watermark: i64,
    },
    /// Key or value too large for a control record.
    #[error("registry entry of {0} bytes is above 262144")]
    TooLarge(usize),
    /// The disk is full.
    #[error("no disk space can be prepared")]
    DiskFull,
    /// The shard stopped.
    #[error("the shard does not take changes any more")]
    Stopped,
}

/// Why a shard could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The disk failed.
    #[error("{object}: {failure}")]
    Io {
        /// File or folder.
        object: String,
        /// What it said.
        failure: crate::io::IoFailure,
    },
    /// What is on disk cannot be trusted or belongs to something else.
    #[error("{object}: {problem}; {remedy}")]
    Refused {
        /// File or folder.
        object: String,
        /// What is wrong.
        problem: String,
        /// What to do.
        remedy: String,
    },
}

impl OpenError {
    /// Start-up needs more memory than the shard has.
    pub(super) fn no_memory(object: &str) -> Self {
        Self::Refused {
            object: object.to_owned(),
            problem: "the shard's memory cannot hold what opening needs".to_owned(),
            remedy: "start with a larger --memory".to_owned(),
        }
    }
}
