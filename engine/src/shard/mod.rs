//! One core of the engine: its partitions, its journal, its files, driven turn by turn.
//!
//! The owner of the thread (the broker, an embedder, a simulation) runs:
//! ```text
//! loop {
//!     io.poll(&mut done);                       // completions of the kernel
//!     for c in done { shard.complete(&mut io, c) or hand it to the network }
//!     ... append, read, create: they only change memory and queue operations ...
//!     shard.end_turn(&mut io);                  // close commits, plan write-back, timers
//!     for event in shard.drain_events() { ... } // acks, finished reads, new data
//!     io.park(min(deadlines), awaiting);
//! }
//! ```

pub mod cold_reads;
pub mod file_table;
pub mod identity;
pub mod preparation;
pub mod token;

use crate::ids::{JournalId, PartitionHandle, ShardId, Ticket};
use crate::io::{Completion, Io};
use crate::partition::{
    AppendError, Appended, BatchBytes, LogOffsets, PartitionConfig, PartitionSpec, ReadBatches,
    ReadError, ReadRequest,
};

/// Settings of a shard.
#[derive(Clone, Debug)]
pub struct ShardConfig {
    /// Which shard.
    pub shard: ShardId,
    /// Bytes of its journal ring in all files (grown to at least 4 files).
    pub journal_bytes: u64,
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
    /// Producers remembered at most on this shard.
    pub producers_max: usize,
    /// Disk operations in flight at most on this shard.
    pub disk_depth_max: usize,
    /// Time between looks at retention.
    pub retention_check_ms: u64,
}

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

/// A position found by timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestampSearch {
    /// Every batch's largest timestamp is below the wanted one.
    NotFound,
    /// The first batch whose largest timestamp is at or above the wanted one begins at or before
    /// this offset and not before: read from here and walk on until it is found.
    StartAt(i64),
}

/// The engine on one core.
#[derive(Debug)]
pub struct Shard {
    _private: (),
}

#[expect(unused_variables, clippy::todo, reason = "signatures only")]
impl Shard {
    /// Recovers (or makes) the shard's journal and partitions: when it returns, every record that
    /// was ever acknowledged by the `Disk` class is readable, and appends may begin.
    ///
    /// # Errors
    /// See [`OpenError`]; nothing was changed on disk that a later try would miss.
    pub fn open(io: &mut Io, config: ShardConfig, journal: JournalId) -> Result<Self, OpenError> {
        todo!()
    }

    /// Takes completions of `Class::Journal` and `Class::Log`.
    pub fn complete(&mut self, io: &mut Io, completion: Completion) {
        todo!()
    }

    /// Closes a commit if there is something to commit and room in the window, plans write-back,
    /// checkpoints, file preparation, retention. Once per turn, after all work.
    pub fn end_turn(&mut self, io: &mut Io) {
        todo!()
    }

    /// When `end_turn` must run next even if nothing happens; `None`: not needed.
    #[must_use]
    pub fn next_deadline_ns(&self) -> Option<u64> {
        todo!()
    }

    /// Moves the events since the last call into `out`.
    pub fn drain_events(&mut self, out: &mut Vec<Event>) {
        todo!()
    }

    /// Whether appends or control changes still wait for the disk.
    #[must_use]
    pub fn is_awaiting_disk(&self) -> bool {
        todo!()
    }

    /// Creates a partition; `ControlDone` when its creation is durable. Appends may begin at once.
    pub fn create_partition(
        &mut self,
        io: &mut Io,
        spec: PartitionSpec,
        ticket: Ticket,
    ) -> Result<(), ControlError> {
        todo!()
    }

    /// Deletes a partition; `ControlDone` when the deletion is durable. Its files are released
    /// once nothing needs them.
    pub fn delete_partition(
        &mut self,
        io: &mut Io,
        handle: PartitionHandle,
        ticket: Ticket,
    ) -> Result<(), ControlError> {
        todo!()
    }

    /// Gives a partition its settings (after `open`, settings are defaults until this is called).
    pub fn configure_partition(
        &mut self,
        handle: PartitionHandle,
        config: PartitionConfig,
    ) -> Result<(), ControlError> {
        todo!()
    }

    /// Handles of all partitions here, ascending.
    #[must_use]
    pub fn partitions(&self) -> Vec<(PartitionHandle, crate::ids::TopicId, i32)> {
        todo!()
    }

    /// What address remainder modulo 4096 a slab should have to be appended next without a copy.
    #[must_use]
    pub fn append_remainder(&self, handle: PartitionHandle) -> usize {
        todo!()
    }

    /// Appends one whole checked batch (see `record_batch::check`). Offsets are assigned at once;
    /// the acknowledgement comes as `AppendAcked(ticket)` unless `is_acked` says it is given.
    pub fn append(
        &mut self,
        io: &mut Io,
        handle: PartitionHandle,
        bytes: BatchBytes<'_>,
        ticket: Ticket,
    ) -> Result<Appended, AppendError> {
        todo!()
    }

    /// Reads whole batches.
    pub fn read(
        &mut self,
        io: &mut Io,
        handle: PartitionHandle,
        request: ReadRequest,
        ticket: Ticket,
    ) -> Result<Read, ReadError> {
        todo!()
    }

    /// Says that `Advanced` is wanted (once) when the high watermark of this partition moves.
    pub fn watch(&mut self, handle: PartitionHandle) {
        todo!()
    }

    /// The offsets of a partition.
    #[must_use]
    pub fn offsets(&self, handle: PartitionHandle) -> Option<LogOffsets> {
        todo!()
    }

    /// Bytes of a partition's log between log start and log end.
    #[must_use]
    pub fn log_bytes(&self, handle: PartitionHandle) -> Option<u64> {
        todo!()
    }

    /// Where to look for the first record at or after `timestamp_ms`.
    #[must_use]
    pub fn search_timestamp(
        &self,
        handle: PartitionHandle,
        timestamp_ms: i64,
    ) -> Option<TimestampSearch> {
        todo!()
    }

    /// Largest timestamp of the log and an offset at or before the batch that holds it.
    #[must_use]
    pub fn max_timestamp(&self, handle: PartitionHandle) -> Option<(i64, i64)> {
        todo!()
    }

    /// KIP-320: the largest epoch not above `epoch` and the end offset of that epoch.
    #[must_use]
    pub fn end_of_epoch(&self, handle: PartitionHandle, epoch: i32) -> Option<(i32, i64)> {
        todo!()
    }

    /// Moves the log start to `offset` (at most the high watermark); `ControlDone` when durable.
    pub fn advance_log_start(
        &mut self,
        io: &mut Io,
        handle: PartitionHandle,
        offset: i64,
        ticket: Ticket,
    ) -> Result<(), ControlError> {
        todo!()
    }

    /// Changes one entry of the durable registry: a small map that lives in the journal and in
    /// checkpoints and moves with its owner when shards change. `None` removes. The change is
    /// visible at once and durable at `ControlDone`.
    pub fn registry_put(
        &mut self,
        owner: PartitionHandle,
        key: &[u8],
        value: Option<&[u8]>,
        ticket: Ticket,
    ) -> Result<(), ControlError> {
        todo!()
    }

    /// All registry entries, ordered by owner and key.
    pub fn registry(&self) -> impl Iterator<Item = (PartitionHandle, &[u8], &[u8])> {
        std::iter::empty()
    }

    /// Begins a clean stop: no more appends; ends with a clean checkpoint.
    pub fn begin_stop(&mut self, io: &mut Io) {
        todo!()
    }

    /// The clean stop is complete (or impossible after a failed write): nothing is in flight.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        todo!()
    }

    /// Counters for metrics, gates and benchmarks.
    #[must_use]
    pub fn counters(&self) -> ShardCounters {
        todo!()
    }
}

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
    /// Bytes read from segments.
    pub cold_read_bytes: u64,
    /// Bytes of the live journal.
    pub live_journal_bytes_now: u64,
    /// Bytes appended and not yet in segments.
    pub unwritten_bytes_now: u64,
}

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
