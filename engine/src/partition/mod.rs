//! One partition's log: a state machine without I/O.
//!
//! It decides and remembers; its shard performs the writes and reads it plans and tells it how
//! they ended. Bytes live in memory (the tail) until a plan put them on disk; what of the tail is
//! not needed any more stays as cache until the shard asks for memory back.
//!
//! Offsets of one partition, always in this order:
//! `log_start <= last_stable <= high_watermark <= closed_end <= log_end`, and `durable_end` (end of
//! what has been resolved) apart from the high watermark.

use crate::ids::{FileId, PartitionHandle, TopicId};
use crate::io::arena::{ArenaBuf, ArenaSlice};
use std::ops::Range;

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
    /// partial blocks apart).
    Slab(ArenaBuf),
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
}

/// A cold read: the shard reads `range`, checks it with `check_granules`, and asks for the
/// batches in it with `batches_in`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskRead {
    /// Which segment file.
    pub file: FileId,
    /// Its generation when planned.
    pub generation: u32,
    /// Block-aligned byte range of the file.
    pub range: Range<u64>,
    /// The request it belongs to.
    pub offset: i64,
}

/// A write to a segment file, planned by the partition, done by the shard, always durable.
#[derive(Debug)]
pub struct SegmentWrite {
    /// Which segment file.
    pub file: FileId,
    /// Block-aligned.
    pub position: u64,
    /// Block-aligned slices.
    pub parts: Vec<ArenaSlice>,
    /// Sum of the slices.
    pub bytes: u64,
    /// The partition's name for it, given back to `write_done`.
    pub id: u64,
}

/// What a batch in a placed range was, for replay (inline batches say it themselves).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchDescriptor {
    /// First offset.
    pub base_offset: i64,
    /// Last offset, inclusive.
    pub last_offset: i64,
    /// Bytes.
    pub bytes: u32,
    /// Largest timestamp.
    pub max_timestamp: i64,
    /// Producer id or -1.
    pub producer_id: i64,
    /// Producer epoch.
    pub producer_epoch: i16,
    /// First sequence or -1.
    pub base_sequence: i32,
    /// The batch's attribute bits.
    pub attributes: i16,
}

/// A stretch of whole batches taken into a commit.
///
/// Bytes `[position, position + length)` of the segment, of which `placed` (whole blocks, may
/// begin before `position` at its block's start; empty when all is inline) is in the file already
/// and the rest, `inline`, goes into the commit. `image` are the bytes from `position`'s block
/// start up to `position`, present when a checkpoint made it due and `position` is not aligned.
#[derive(Debug)]
pub struct ClosedEntry {
    /// Whose.
    pub handle: PartitionHandle,
    /// Commit that held the partition's entry before this one, 0 for none.
    pub previous_sequence: u64,
    /// First offset.
    pub base_offset: i64,
    /// End offset, exclusive.
    pub end_offset: i64,
    /// Leader epoch.
    pub leader_epoch: i32,
    /// Segment file.
    pub file: FileId,
    /// Its generation.
    pub generation: u32,
    /// First byte in the segment file.
    pub position: u64,
    /// Bytes in all.
    pub length: u64,
    /// Placed range in the file.
    pub placed: Range<u64>,
    /// crc32c over the placed range.
    pub placed_crc: u32,
    /// Descriptors of all batches of the entry when `placed` is not empty; else empty.
    pub descriptors: Vec<BatchDescriptor>,
    /// Tail image.
    pub image: Option<ArenaSlice>,
    /// Inline bytes, in order: those of `[position, position + length)` not in `placed`.
    pub inline: Vec<ArenaSlice>,
    /// Relaxed classes: an offset no exposed record lies at or above until the next commit.
    pub ceiling: Option<i64>,
}
