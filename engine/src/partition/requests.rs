//! What is asked of a partition and what comes back: appends, reads, the errors of both. Plain
//! data; the rules are told where the methods are.

use crate::ids::FileId;
use crate::io::arena::{ArenaBuf, ArenaSlice};
use std::ops::Range;

/// The offsets of a partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogOffsets {
    /// First offset that may be read.
    pub log_start: i64,
    /// End for read_committed readers, exclusive.
    pub last_stable: i64,
    /// End for read_uncommitted readers, exclusive.
    pub high_watermark: i64,
    /// End of what is on stable storage, exclusive.
    pub durable_end: i64,
    /// The offset the next record will get.
    pub log_end: i64,
    /// The current leader epoch.
    pub leader_epoch: i32,
}

/// A batch's bytes on their way in.
#[derive(Debug)]
pub enum BatchBytes<'a> {
    /// To be copied into the partition's chunk.
    Copy(&'a [u8]),
    /// Received into a buffer of its own whose address has the remainder modulo 4096 that
    /// `append_remainder` gave: becomes part of the tail without a copy (its first and last
    /// partial blocks apart). It is there before the append and taken by one that succeeds.
    Slab(&'a mut Option<ArenaBuf>),
}

/// A finished append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Offset of the first record.
    pub base_offset: i64,
    /// Offset behind the last record.
    pub end_offset: i64,
    /// The batch had been appended before (same producer, epoch and sequence); nothing was added.
    /// Its event, if it is not yet resolved, still comes.
    pub is_duplicate: bool,
    /// It is acknowledged by this return already (relaxed classes, resolved duplicates).
    pub is_acked: bool,
    /// The time the batch was given (`message.timestamp.type=LogAppendTime`).
    pub append_time_ms: Option<i64>,
}

/// Why an append was refused. Nothing was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// No memory: try again when some came back.
    #[error("no memory for {bytes} bytes")]
    NoMemory {
        /// Bytes asked for.
        bytes: usize,
    },
    /// The producer's sequence does not follow.
    #[error("producer {producer_id}: base sequence {base_sequence}, expected {expected}")]
    OutOfOrderSequence {
        /// Producer id.
        producer_id: i64,
        /// What the batch says.
        base_sequence: i32,
        /// What would follow.
        expected: i32,
    },
    /// The producer's epoch is older than one seen.
    #[error("producer {producer_id}: epoch {epoch} is older than {current}")]
    ProducerFenced {
        /// Producer id.
        producer_id: i64,
        /// What the batch says.
        epoch: i16,
        /// The newest epoch.
        current: i16,
    },
    /// The batch is a duplicate older than the batches remembered.
    #[error(
        "producer {producer_id}: sequence {base_sequence} is older than the batches remembered"
    )]
    DuplicateSequence {
        /// Producer id.
        producer_id: i64,
        /// What the batch says.
        base_sequence: i32,
    },
    /// Larger than `max.message.bytes` or than a segment may be.
    #[error("batch of {bytes} bytes is above {max}")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The bound.
        max: usize,
    },
    /// The disk is full; reads go on.
    #[error("no disk space can be prepared")]
    DiskFull,
    /// The shard stopped after a failed durable write, or is shutting down; reads go on.
    #[error("the shard does not take appends any more")]
    Stopped,
    /// No such partition on this shard.
    #[error("no such partition on this shard")]
    UnknownPartition,
    /// A range was fenced after corruption; `millrace log accept-loss` gives it up.
    #[error("the partition is fenced after corruption")]
    Fenced,
}

/// Up to where a reader may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadBound {
    /// High watermark.
    HighWatermark,
    /// Last stable offset.
    LastStable,
    /// Log end (embedders, tools; never Kafka consumers).
    LogEnd,
}

/// What a reader wants.
#[derive(Clone, Copy, Debug)]
pub struct ReadRequest {
    /// First offset wanted; the batch that contains it comes whole.
    pub offset: i64,
    /// Bytes at most; the first batch comes even if it is larger, unless this is 0.
    pub bytes_max: usize,
    /// Up to where.
    pub bound: ReadBound,
}

/// Why a read was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Below the log start or above the log end.
    #[error("offset {offset} is outside [{log_start}, {log_end}]")]
    OutOfRange {
        /// What was asked.
        offset: i64,
        /// First readable offset.
        log_start: i64,
        /// Log end.
        log_end: i64,
    },
    /// Stored bytes failed their check; never served.
    #[error("stored bytes at offset {offset} are corrupt")]
    Corrupt {
        /// First offset of the fenced range.
        offset: i64,
    },
    /// The disk failed to read.
    #[error("the disk failed to read: {0}")]
    Io(crate::io::IoFailure),
    /// No memory for a disk read now.
    #[error("no memory for a disk read")]
    NoMemory,
    /// No such partition on this shard.
    #[error("no such partition on this shard")]
    UnknownPartition,
}

/// Whole batches, in order, as they go on the wire.
#[derive(Debug, Default)]
pub struct ReadBatches {
    /// The bytes; concatenated they are whole batches.
    pub parts: Vec<ArenaSlice>,
    /// Their sum.
    pub bytes: usize,
    /// First offset behind them (where the next read goes on).
    pub next_offset: i64,
}

/// What a planned read needs.
#[derive(Debug)]
pub enum ReadPlan {
    /// All in memory (also when there is nothing to read yet: no parts).
    Ready(ReadBatches),
    /// A stretch of a segment file, granule-aligned except at the stretch's known end.
    Disk(DiskRead),
    /// The index of a sealed segment is not in memory: read it (all of it, from the `.idx` file),
    /// give it to `index_loaded` and plan again.
    Index(IndexRead),
}

/// A cold read: the shard reads `range`, checks it with `check_granules`, and asks for the
/// batches in it with `batches_in`. What the check needs lies in here, so that the partition may
/// change while the read is in flight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskRead {
    /// Which segment file.
    pub file: FileId,
    /// Its generation when planned.
    pub generation: u32,
    /// Block-aligned byte range of the file, beginning at a granule (a tail block apart).
    pub range: Range<u64>,
    /// The offset wanted.
    pub offset: i64,
    /// End of the file's records within `range` (not behind `range.end`, not aligned).
    pub data_end: u64,
    /// End of the file's records that are on disk: a later read may go up to here.
    pub file_end: u64,
    /// Damage before this position is an error; damage behind it only makes the read shorter.
    pub needed_end: u64,
    /// Position in the file of a batch at or before the wanted one.
    pub walk_from: u64,
    /// The expected checksum of each granule.
    pub crcs: Vec<u32>,
}

/// A read of a sealed segment's `.idx` file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexRead {
    /// Which segment file's index.
    pub file: FileId,
    /// Its generation when planned.
    pub generation: u32,
    /// Block-aligned byte range, always the whole file.
    pub range: Range<u64>,
}

/// What `batches_in` found.
#[derive(Debug)]
pub enum FoundBatches {
    /// Batches, at least one (or none because the bound or a fence lies right there).
    Found(ReadBatches),
    /// The first batch is longer than what was read: read this instead.
    NeedMore(DiskRead),
    /// The segment was replaced meanwhile: plan the read anew.
    PlanAgain,
}

/// Where the largest timestamp of a log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LargestTimestamp {
    /// Records from the log start up to this offset have to be looked at one by one: they share
    /// a granule with deleted ones. At or below the log start: none have to.
    pub look_until: i64,
    /// Largest timestamp of what follows, and an offset at or before the first batch that has it.
    pub rest: Option<(i64, i64)>,
}

/// A position found by timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestampSearch {
    /// Every batch's largest timestamp is below the wanted one.
    NotFound,
    /// The first batch whose largest timestamp is at or above the wanted one begins at this offset
    /// or behind it, in the same granule: read from here and walk on until it is found.
    StartAt(i64),
}
