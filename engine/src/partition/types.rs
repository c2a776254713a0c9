//! What goes into and comes out of a partition: the contract between it and its shard. Plain data;
//! the rules are told where the methods are.

use crate::ids::{FileId, PartitionHandle, Ticket, TopicId};
use crate::io::arena::{Arena, ArenaBuf, ArenaSlice};
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

/// Which file of a segment a write goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteTarget {
    /// The `.seg` file.
    Records,
    /// The `.idx` file.
    Index,
}

/// A write to a segment file, planned by the partition, done by the shard, always durable.
#[derive(Debug)]
pub struct SegmentWrite {
    /// Which segment file.
    pub file: FileId,
    /// Its generation.
    pub generation: u32,
    /// `.seg` or `.idx`.
    pub target: WriteTarget,
    /// Block-aligned.
    pub position: u64,
    /// Block-aligned slices.
    pub parts: Vec<ArenaSlice>,
    /// Sum of the slices, at most `WRITE_BYTES_MAX`.
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
///
/// The shard keeps one and lets `close_next` fill it again and again, so that its vectors are
/// allocated once; it copies the slices into the commit before it closes the next.
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
    /// One checksum per granule that the placed bytes from `position` on touch, in order; replay
    /// needs them to go on with the granule checksums without reading those bytes. At most 1025.
    pub placed_crcs: Vec<u32>,
    /// Descriptors of all batches of the entry when `placed` is not empty; else empty.
    pub descriptors: Vec<BatchDescriptor>,
    /// Tail image, in order; empty for none.
    pub image: Vec<ArenaSlice>,
    /// Inline bytes, in order: those of `[position, position + length)` not in `placed`.
    pub inline: Vec<ArenaSlice>,
    /// Relaxed classes: an offset no exposed record lies at or above until the next commit.
    pub ceiling: Option<i64>,
}

impl Default for ClosedEntry {
    fn default() -> Self {
        Self {
            handle: PartitionHandle(0),
            previous_sequence: 0,
            base_offset: 0,
            end_offset: 0,
            leader_epoch: 0,
            file: FileId(0),
            generation: 0,
            position: 0,
            length: 0,
            placed: 0..0,
            placed_crcs: Vec::new(),
            descriptors: Vec::new(),
            image: Vec::new(),
            inline: Vec::new(),
            ceiling: None,
        }
    }
}

/// A change of a partition that goes into a commit as a control record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Control {
    /// The segment takes no more; `length` is its exact end (a position of the file).
    Seal {
        /// Which file.
        file: FileId,
        /// Its generation.
        generation: u32,
        /// Exact end.
        length: u64,
        /// Offset behind its last record.
        end_offset: i64,
    },
    /// A new active segment, empty.
    Roll {
        /// Which file.
        file: FileId,
        /// Its generation.
        generation: u32,
        /// Offset its first record will have at least.
        base_offset: i64,
        /// Size the file may grow to, identity block included.
        file_bytes: u64,
        /// Wall clock of the roll.
        created_ms: i64,
    },
    /// The log begins at this offset.
    LogStart {
        /// New log start.
        offset: i64,
    },
    /// Records from `start_offset` on have this leader epoch.
    LeaderEpoch {
        /// The epoch.
        epoch: i32,
        /// Its first offset.
        start_offset: i64,
    },
    /// The range failed its checks and is never served.
    Quarantine {
        /// The fenced offsets.
        fence: Fence,
    },
    /// The fenced range was given up for lost: readers skip it, appends go on.
    AcceptLoss {
        /// The fenced offsets.
        fence: Fence,
    },
    /// Compaction replaced segments.
    Swap(Swap),
}

/// Consecutive sealed segments give way to one that holds the records compaction kept of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Swap {
    /// The segments that go. `None`: none do, only `cleaned_end` moves.
    pub old: Option<SegmentRun>,
    /// What comes in their place; `None` when no record was kept. Its records and its index are on
    /// stable storage, and so are the names of both files.
    pub new: Option<SwappedIn>,
    /// No record below has a later one of the same key below.
    pub cleaned_end: i64,
}

/// Consecutive segments of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentRun {
    /// File and generation of the first.
    pub first: (FileId, u32),
    /// File and generation of the last.
    pub last: (FileId, u32),
    /// How many.
    pub count: u32,
}

/// A segment that compaction made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SwappedIn {
    /// Its file.
    pub file: FileId,
    /// Its generation.
    pub generation: u32,
    /// The base offset of the first segment it replaces.
    pub base_offset: i64,
    /// Offset behind its last batch.
    pub end_offset: i64,
    /// When the first segment it replaces was rolled.
    pub created_ms: i64,
    /// Exact end of its records in the file.
    pub length: u64,
    /// Prepared size of the file.
    pub prepared: u64,
    /// Largest timestamp, and the base offset of its first batch that has it.
    pub max_timestamp: i64,
    /// See `max_timestamp`.
    pub max_timestamp_offset: i64,
}

/// Offsets that are not served because their stored bytes failed a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fence {
    /// First offset.
    pub start_offset: i64,
    /// End offset, exclusive.
    pub end_offset: i64,
    /// The partition takes no appends until the loss is accepted (damage found by recovery at the
    /// log's end). Rot found by a cold read only stops readers of the range.
    pub stops_appends: bool,
    /// Given up: readers are taken past the range instead of being told that it is corrupt.
    pub is_lost: bool,
}

/// What `close_next` put into the commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Closed {
    /// The scratch entry was filled.
    Entry,
    /// A control record.
    Control(Control),
}

/// Tickets that became due; reused from call to call, the caller drains it.
#[derive(Debug, Default)]
pub struct Acks {
    /// Appends that are acknowledged.
    pub appends: Vec<Ticket>,
    /// Control changes that are durable.
    pub controls: Vec<Ticket>,
}

/// A segment file the partition needs no more. It is free for others only when the rules of
/// release (both checkpoints past it, nothing in flight, no reader) are met; the shard sees to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReleasedFile {
    /// Which file.
    pub file: FileId,
    /// The generation it had here.
    pub generation: u32,
    /// Bytes of records and identity in it.
    pub bytes: u64,
    /// Its prepared (zero-filled, synced) size.
    pub prepared: u64,
}

/// A file for the next active segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewSegment {
    /// Its id. The file itself may come later: nothing is written before `set_prepared`.
    pub file: FileId,
    /// Its generation: 0 for a new file, one more at each reuse.
    pub generation: u32,
    /// Size it may grow to, identity block included; at least what `segment_file_bytes` says for
    /// the batch that made the roll necessary.
    pub file_bytes: u64,
    /// Prepared (zero-filled, synced) size already there: the whole size for a recycled file.
    pub prepared: u64,
}

/// File space that should be prepared next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpaceWanted {
    /// Which file.
    pub file: FileId,
    /// Its generation.
    pub generation: u32,
    /// Prepared so far (0: the file must be created first).
    pub from: u64,
    /// Up to where, exclusive; block-aligned.
    pub to: u64,
    /// Appended bytes already wait for it.
    pub is_urgent: bool,
}

/// Both clocks of a turn, read once by the shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Monotonic.
    pub ns: u64,
    /// Wall clock, as Kafka timestamps.
    pub wall_ms: i64,
}

/// What an append may use.
#[derive(Debug)]
pub struct AppendContext<'a> {
    /// The shard's memory.
    pub arena: &'a mut Arena,
    /// The time.
    pub now: Now,
    /// Bytes the append copied in user space are added here.
    pub copied_bytes: u64,
    /// Of those, bytes copied because a slab did not fit its place.
    pub realigned_bytes: u64,
}

/// Vectors that come back from finished writes and reads, so that plans allocate nothing after
/// warm-up.
#[derive(Debug, Default)]
pub struct SpareVecs {
    spare: Vec<Vec<ArenaSlice>>,
    crcs: Vec<Vec<u32>>,
}

/// Vectors of one kind kept at most.
const SPARE_MAX: usize = 256;

impl SpareVecs {
    /// Takes an empty vector of checksums.
    pub(super) fn take_crcs(&mut self) -> Vec<u32> {
        self.crcs.pop().unwrap_or_default()
    }

    /// Gives the checksums of a finished read back.
    pub fn give_read(&mut self, read: &mut DiskRead) {
        let mut crcs = std::mem::take(&mut read.crcs);
        crcs.clear();
        if self.crcs.len() < SPARE_MAX && crcs.capacity() > 0 {
            self.crcs.push(crcs);
        }
    }

    /// Takes an empty vector.
    #[must_use]
    pub fn take(&mut self) -> Vec<ArenaSlice> {
        self.spare.pop().unwrap_or_default()
    }

    /// Gives one back; what it still holds is dropped.
    pub fn give(&mut self, mut parts: Vec<ArenaSlice>) {
        parts.clear();
        if self.spare.len() < SPARE_MAX && parts.capacity() > 0 {
            self.spare.push(parts);
        }
    }
}

/// When pending bytes are worth a placed write.
#[derive(Clone, Copy, Debug)]
pub struct PlacingRule {
    /// Pending bytes from which a run is placed at once (`placed_bytes_min` when the device is
    /// busy or the journal more than half full, else 512 KiB).
    pub bytes_min: u64,
    /// What `bytes_min` is when the device is busy.
    pub bytes_min_busy: u64,
    /// Coalesced bytes of a run at most; a single larger batch is a run of its own.
    pub bytes_max: u64,
    /// A batch larger than this cannot go inline and is placed whatever `bytes_min` says.
    pub inline_bytes_max: u64,
}

/// How eagerly write-back is planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteBackNeed {
    /// Only writes of at least 64 KiB (or the end of a sealed segment).
    Full,
    /// Any whole blocks: the journal or memory is short.
    Any,
}

/// An append entry as replay found it in a commit.
#[derive(Clone, Debug)]
pub struct ReplayEntry<'a> {
    /// Sequence of the commit.
    pub sequence: u64,
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
    /// As closed.
    pub placed_crcs: &'a [u32],
    /// As closed.
    pub descriptors: &'a [BatchDescriptor],
    /// Tail image; empty for none.
    pub image: &'a [u8],
    /// Inline bytes, one behind the other.
    pub inline: &'a [u8],
    /// As closed.
    pub ceiling: Option<i64>,
}

/// Why a commit's content could not be replayed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// No memory: perform write-back, evict, and replay the same entry again (nothing was added).
    #[error("no memory for {bytes} bytes")]
    NoMemory {
        /// Bytes asked for.
        bytes: usize,
    },
    /// The entry does not continue what came before it.
    #[error("partition {handle:?}: {problem}")]
    Mismatch {
        /// Whose.
        handle: PartitionHandle,
        /// What does not fit.
        problem: String,
    },
}

/// State bytes of a checkpoint that cannot be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("partition state is damaged at byte {at} of {bytes}")]
pub struct StateError {
    /// Where decoding stopped.
    pub at: usize,
    /// How many bytes there were.
    pub bytes: usize,
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

/// A position found by timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestampSearch {
    /// Every batch's largest timestamp is below the wanted one.
    NotFound,
    /// The first batch whose largest timestamp is at or above the wanted one begins at this offset
    /// or behind it, in the same granule: read from here and walk on until it is found.
    StartAt(i64),
    /// The index that knows is being read from disk: search again at `Event::IndexLoaded`.
    NotLoaded,
}
