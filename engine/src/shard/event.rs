//! What a shard tells its owner.

use crate::ids::{PartitionHandle, Ticket};
use crate::partition::{ReadBatches, ReadError};

/// What happened on a shard since events were last drained.
#[derive(Debug)]
pub enum Event {
    /// The append with this ticket is acknowledged by its topic's durability class.
    AppendAcked(Ticket),
    /// The append's fate is unknown (the shard stopped); never acknowledge it.
    AppendFailed(Ticket),
    /// A read that had to go to the disk is done.
    ReadDone(Ticket, Result<ReadBatches, ReadError>),
    /// Create, delete, advance of the log start, registry change: durable now.
    ControlDone(Ticket),
    /// The shard stopped before the control operation became durable.
    ControlFailed(Ticket),
    /// The high watermark of a watched partition moved.
    Advanced(PartitionHandle),
    /// The shard stopped acknowledging for ever: a durable write failed. Said once.
    FailStopped(String),
    /// The index that was not loaded (`IndexNotLoaded`) is there (or failed to load): search
    /// again.
    IndexLoaded(PartitionHandle),
    /// Disk full began (`true`) or ended (`false`).
    DiskFull(bool),
}

/// Result of `Shard::read`.
#[derive(Debug)]
pub enum Read {
    /// Here it is.
    Ready(ReadBatches),
    /// `Event::ReadDone` will bring it.
    Pending,
}

pub use crate::partition::{LargestTimestamp, TimestampSearch};

/// The index that knows the answer is being read from disk: ask again at `Event::IndexLoaded`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexNotLoaded;

/// Counts since open; all monotonic except the `_now` ones.
#[derive(Clone, Copy, Debug, Default)]
pub struct ShardCounters {
    /// Batches appended.
    pub batches: u64,
    /// Their bytes.
    pub batch_bytes: u64,
    /// Commits written.
    pub commits: u64,
    /// Bytes of commits.
    pub commit_bytes: u64,
    /// Bytes placed straight into segments.
    pub placed_bytes: u64,
    /// Bytes written back to segments.
    pub write_back_bytes: u64,
    /// Bytes copied in user space on the append path (chunks and commit buffers).
    pub copied_bytes: u64,
    /// Bytes copied because a slab did not fit its place.
    pub realigned_bytes: u64,
    /// Checkpoints done.
    pub checkpoints: u64,
    /// Segments rolled.
    pub rolls: u64,
    /// Times the journal came to the first place of its ring.
    pub ring_wraps: u64,
    /// Entries that carried an image of the block they begin in.
    pub tail_images: u64,
    /// Whole commits behind a hole that recovery cut off.
    pub commits_cut: u64,
    /// Segment files that went from one owner to the next.
    pub files_reused: u64,
    /// Bytes read from segments.
    pub cold_read_bytes: u64,
    /// Segments, or groups of them, that compaction asked to replace.
    pub swaps: u64,
    /// Compactions of a partition that were begun.
    pub cleanings: u64,
    /// Of them, those that are under way.
    pub cleanings_now: u64,
    /// Bytes compaction read and wrote.
    pub cleaned_bytes: u64,
    /// Bytes of the live journal.
    pub live_journal_bytes_now: u64,
    /// Bytes appended and not yet in segments.
    pub unwritten_bytes_now: u64,
}
