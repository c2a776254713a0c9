//! What a partition puts into commits and what replay gives back to it: entries, control records,
//! fences, acknowledgements. Plain data.

use crate::ids::{FileId, PartitionHandle, Ticket};
use crate::io::arena::ArenaSlice;
use std::ops::Range;

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
