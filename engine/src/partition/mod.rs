//! One partition's log: a state machine without I/O.
//!
//! It decides and remembers; its shard performs the writes and reads it plans and tells it how
//! they ended. Bytes live in memory (the tail) until a plan put them on disk; what of the tail is
//! not needed any more stays as cache until the shard asks for memory back.
//!
//! Offsets of one partition, always in this order:
//! `log_start <= last_stable <= high_watermark <= closed_end <= log_end`, and `durable_end` (end of
//! what has been resolved) apart from the high watermark.

mod types;

pub use types::*;

use crate::ids::{FileId, Ticket};
use crate::io::arena::{Arena, ArenaSlice};
use crate::record_batch::Header;

/// One partition's log.
///
/// Order of calls for an append: `roll_needed` (then `roll`), `append`, later `plan_placed` or
/// `close_next`, `written`/`resolve` when the commit ended, `plan_write_back` whenever there is
/// time, `write_done` for every planned write. A failed write is never reported: the shard stops.
#[derive(Debug)]
pub struct Partition {
    _private: (),
}

/// Life, settings, offsets.
#[expect(unused_variables, clippy::todo, reason = "signatures first")]
impl Partition {
    /// A new, empty partition: all offsets 0, leader epoch 0, no segment, no memory.
    #[must_use]
    pub fn new(spec: PartitionSpec) -> Self {
        todo!()
    }

    /// Who it is and its settings.
    #[must_use]
    pub fn spec(&self) -> &PartitionSpec {
        todo!()
    }

    /// Gives it other settings; they hold from the next append on.
    pub fn configure(&mut self, config: PartitionConfig) {
        todo!()
    }

    /// Its offsets.
    #[must_use]
    pub fn offsets(&self) -> LogOffsets {
        todo!()
    }

    /// Offset behind the last record taken into a commit.
    #[must_use]
    pub fn closed_end(&self) -> i64 {
        todo!()
    }

    /// Bytes of all segments (records, not identities or padding).
    #[must_use]
    pub fn log_bytes(&self) -> u64 {
        todo!()
    }

    /// All segment files that belong to it, oldest first: for reference counting, deletion of the
    /// partition and the recovery of the file table.
    pub fn files(&self) -> impl Iterator<Item = ReleasedFile> + '_ {
        std::iter::empty()
    }

    /// Moves files that retention or an advanced log start set free into `out`. They are not read
    /// or planned for any more; operations in flight on them may still complete.
    pub fn take_released(&mut self, out: &mut Vec<ReleasedFile>) {
        todo!()
    }
}

/// Append.
#[expect(unused_variables, clippy::todo, reason = "signatures first")]
impl Partition {
    /// The address remainder modulo 4096 a slab should have to be appended next without a copy
    /// (if nothing is appended before it).
    #[must_use]
    pub fn append_remainder(&self) -> usize {
        todo!()
    }

    /// Whether `roll` must come before a batch of `batch_bytes` is appended: no active segment, no
    /// room in it, or it is older than `segment.ms`.
    #[must_use]
    pub fn roll_needed(&self, batch_bytes: usize, wall_ms: i64) -> bool {
        todo!()
    }

    /// Size the next segment's file should be able to grow to, given `segment.bytes` and that it
    /// must take a batch of `batch_bytes`. Identity block included, block-aligned.
    #[must_use]
    pub fn segment_file_bytes(&self, batch_bytes: usize) -> u64 {
        todo!()
    }

    /// Seals the active segment (if any) and makes `segment` the active one. The control records
    /// come from `close_next` in their place. Afterwards `roll_needed` is false for a batch that
    /// fits `segment.file_bytes`.
    pub fn roll(&mut self, segment: NewSegment, wall_ms: i64) {
        todo!()
    }

    /// Seals the active segment without a new one (the next append needs a roll).
    pub fn seal(&mut self) {
        todo!()
    }

    /// Appends one whole checked batch: checks its producer, gives it offsets and leader epoch (in
    /// place), and puts it in the tail. On `Ok` without `is_acked`, `ticket` comes back exactly
    /// once from `resolve` or `written`. The shard has checked before that it does not stop, that
    /// there is disk space, and that no roll is needed.
    ///
    /// # Errors
    /// Nothing was added; a slab is dropped.
    pub fn append(
        &mut self,
        context: &mut AppendContext<'_>,
        header: &Header,
        bytes: BatchBytes<'_>,
        ticket: Ticket,
    ) -> Result<Appended, AppendError> {
        todo!()
    }

    /// Says that the file's first `end` bytes are prepared: zero-filled and synced. A file that is
    /// not (any more) ours is ignored. Writes are planned only into prepared space.
    pub fn set_prepared(&mut self, file: FileId, end: u64) {
        todo!()
    }

    /// The next stretch to prepare, by rate, at most one per partition; `None` when enough is
    /// there. The shard remembers what it began; the answer is the same until `set_prepared`.
    #[must_use]
    pub fn space_wanted(&self, now: Now) -> Option<SpaceWanted> {
        todo!()
    }

    /// Appended bytes (and identity blocks) that have no prepared place yet; admission counts
    /// their sum against the ballast.
    #[must_use]
    pub fn unprepared_bytes(&self) -> u64 {
        todo!()
    }
}

/// Placing, closing, resolving.
#[expect(unused_variables, clippy::todo, reason = "signatures first")]
impl Partition {
    /// The next placed write, if the rule asks for one and prepared space allows it. Call until
    /// `None`. Its batches (and all behind them) are not closed before `write_done` came for all
    /// writes of their run.
    pub fn plan_placed(
        &mut self,
        arena: &mut Arena,
        rule: &PlacingRule,
        spare: &mut SpareVecs,
    ) -> Option<SegmentWrite> {
        todo!()
    }

    /// A planned write (placed, write-back or index) completed whole and is durable.
    pub fn write_done(&mut self, id: u64) {
        todo!()
    }

    /// When the partition wants a commit: `Some(0)` at once, `Some(ns)` at that monotonic time
    /// (relaxed classes), `None` when it has nothing it could close.
    #[must_use]
    pub fn close_deadline_ns(&self) -> Option<u64> {
        todo!()
    }

    /// Takes the next control record or the next stretch of whole batches into commit `sequence`.
    /// Call until `None`; then the partition has nothing more that fits or may be closed. All that
    /// one commit takes must be closed with the same, ever rising sequence.
    ///
    /// `bytes_max` bounds image and inline bytes together (a batch that does not fit waits for the
    /// next commit). `entry` is overwritten when `Closed::Entry` is returned. Offsets up to
    /// `entry.end_offset` are part of the closed state from then on, as are index, granule
    /// checksums and producers: `encode_state` includes them.
    pub fn close_next(
        &mut self,
        sequence: u64,
        bytes_max: usize,
        entry: &mut ClosedEntry,
    ) -> Option<Closed> {
        todo!()
    }

    /// Commit `sequence` (and all before it) was written, not necessarily flushed: class `Written`
    /// is acknowledged. Returns whether the high watermark moved.
    pub fn written(&mut self, sequence: u64, acks: &mut Acks) -> bool {
        todo!()
    }

    /// Commit `sequence` and all before it are on stable storage: acknowledges, applies control
    /// records (log start), lets write-back go on. Returns whether the high watermark moved.
    pub fn resolve(&mut self, sequence: u64, acks: &mut Acks) -> bool {
        todo!()
    }

    /// The shard stopped: all tickets that will never be acknowledged.
    pub fn fail(&mut self, failed: &mut Acks) {
        todo!()
    }

    /// Whether anything is pending or closed and not resolved.
    #[must_use]
    pub fn is_awaiting_commit(&self) -> bool {
        todo!()
    }

    /// The partial block at the log's end is on disk only and the next entry (or write-back) needs
    /// it: read exactly this and give it to `tail_block_loaded`. `None` when not needed.
    #[must_use]
    pub fn tail_block_wanted(&self) -> Option<DiskRead> {
        todo!()
    }

    /// Takes the tail block. Until then `close_next` returns no entry.
    ///
    /// # Errors
    /// `Corrupt`: its bytes fail their checksum; the partition is fenced for appends.
    pub fn tail_block_loaded(
        &mut self,
        read: &DiskRead,
        block: ArenaSlice,
    ) -> Result<(), ReadError> {
        todo!()
    }
}

/// Control changes.
#[expect(unused_variables, clippy::todo, reason = "signatures first")]
impl Partition {
    /// Asks for a new log start; it holds when its commit resolves (`Acks::controls`).
    ///
    /// # Errors
    /// The high watermark when `offset` is below 0 or above it.
    pub fn advance_log_start(&mut self, offset: i64, ticket: Ticket) -> Result<(), i64> {
        todo!()
    }

    /// Records appended from here on have leader epoch `epoch` (higher than the present one).
    pub fn raise_epoch(&mut self, epoch: i32) {
        todo!()
    }

    /// KIP-320: the largest epoch not above `epoch` with the end offset of that epoch. `None` for
    /// an epoch above the present one.
    #[must_use]
    pub fn end_of_epoch(&self, epoch: i32) -> Option<(i32, i64)> {
        todo!()
    }

    /// Fences a range: reads in it answer `Corrupt`, appends `Fenced` if it stops appends. Holds
    /// at once; a control record makes it durable.
    pub fn fence(&mut self, fence: Fence) {
        todo!()
    }

    /// Gives all fenced ranges up for lost.
    pub fn accept_loss(&mut self, ticket: Ticket) {
        todo!()
    }

    /// The fenced ranges.
    #[must_use]
    pub fn fences(&self) -> &[Fence] {
        todo!()
    }

    /// Where retention by time and size would move the log start: give it to `advance_log_start`.
    /// Whole sealed segments below the high watermark only. Seals an expired active segment first
    /// (hence `&mut`), as Kafka rolls it.
    pub fn apply_retention(&mut self, wall_ms: i64) -> Option<i64> {
        todo!()
    }

    /// Forgets producers that were silent for `producer.id.expiration.ms` and, beyond `keep_max`,
    /// the longest silent ones. Returns how many remain.
    pub fn expire_producers(&mut self, wall_ms: i64, keep_max: usize) -> usize {
        todo!()
    }
}

/// Checkpoint and write-back.
#[expect(unused_variables, clippy::todo, reason = "signatures first")]
impl Partition {
    /// Appends the state as of the closed end to `out` and makes a tail image due for the next
    /// entry. Call it for all partitions in one turn (S = last sequence given to any of them);
    /// then let `plan_write_back` run until `is_checkpoint_flushed` and resolved >= S, write the
    /// record with these bytes, and call `end_checkpoint`. One checkpoint at a time.
    pub fn begin_checkpoint(&mut self, out: &mut Vec<u8>) {
        todo!()
    }

    /// Whether all bytes up to the checkpoint's end are in the segment files. True without a
    /// checkpoint.
    #[must_use]
    pub fn is_checkpoint_flushed(&self) -> bool {
        todo!()
    }

    /// The checkpoint is durable (both copies).
    pub fn end_checkpoint(&mut self) {
        todo!()
    }

    /// Whether something closed since the last checkpoint began (the state bytes would differ), so
    /// that an unchanged partition can be skipped or its old bytes reused.
    #[must_use]
    pub fn is_changed(&self) -> bool {
        todo!()
    }

    /// The next write-back: resolved bytes only, whole blocks that gained bytes (a partial last
    /// block, zero-padded from a copy, only for a checkpoint or at the end of a sealed segment),
    /// never over placed blocks or writes in flight, oldest first, at most 1 MiB. A checkpoint
    /// that waits makes any size worth it. Call until `None`, bounded by the shard's depth.
    pub fn plan_write_back(
        &mut self,
        arena: &mut Arena,
        need: WriteBackNeed,
        spare: &mut SpareVecs,
    ) -> Option<SegmentWrite> {
        todo!()
    }

    /// The next write to an `.idx` file: full blocks of the active segment's index, or the rest of
    /// a sealed one's whose records are all written.
    pub fn plan_index_write(
        &mut self,
        arena: &mut Arena,
        spare: &mut SpareVecs,
    ) -> Option<SegmentWrite> {
        todo!()
    }

    /// Sequence of the oldest commit with bytes that are not yet in a segment: what write-back is
    /// ordered by.
    #[must_use]
    pub fn oldest_unwritten_sequence(&self) -> Option<u64> {
        todo!()
    }

    /// Bytes appended and not yet in segments.
    #[must_use]
    pub fn unwritten_bytes(&self) -> u64 {
        todo!()
    }

    /// Writes in flight (any kind).
    #[must_use]
    pub fn writes_in_flight(&self) -> usize {
        todo!()
    }

    /// Arena memory held, in whole blocks.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        todo!()
    }

    /// Gives up cached tail bytes that are in segments, oldest first, until `bytes` are freed or
    /// nothing more can be; `usize::MAX` also gives up the chunk of an idle partition. Returns
    /// bytes freed.
    pub fn evict(&mut self, bytes: usize) -> usize {
        todo!()
    }

    /// Gives up the indexes of sealed segments that are in their `.idx` files. Returns bytes freed.
    pub fn evict_indexes(&mut self) -> usize {
        todo!()
    }
}

/// Reading.
#[expect(unused_variables, clippy::todo, reason = "signatures first")]
impl Partition {
    /// Plans a read: from memory at once, or what to read from disk.
    ///
    /// # Errors
    /// `OutOfRange`, or `Corrupt` for an offset in a fenced range.
    pub fn plan_read(
        &self,
        request: &ReadRequest,
        spare: &mut SpareVecs,
    ) -> Result<ReadPlan, ReadError> {
        todo!()
    }

    /// Checks what a disk read brought against the granule checksums. `parts` are the bytes of
    /// `read.range`, in order; every part but the last is whole granules.
    ///
    /// # Errors
    /// `Corrupt`: damage among the bytes the first batch needs. Damage further on only shortens
    /// `read`. Either way the batches that begin in the damaged granule are fenced by this call,
    /// with a control record.
    pub fn check_granules(
        &mut self,
        read: &mut DiskRead,
        parts: &[ArenaSlice],
    ) -> Result<(), ReadError> {
        todo!()
    }

    /// The batches `request` wants out of checked bytes (`parts` as for `check_granules`).
    ///
    /// # Errors
    /// As `plan_read`; `Corrupt` also for bytes that passed their check and are no batches.
    pub fn batches_in(
        &self,
        read: &DiskRead,
        parts: &[ArenaSlice],
        request: &ReadRequest,
        spare: &mut SpareVecs,
    ) -> Result<FoundBatches, ReadError> {
        todo!()
    }

    /// Takes the index of a sealed segment from its `.idx` file's bytes.
    ///
    /// # Errors
    /// `Corrupt` when it fails its checks.
    pub fn index_loaded(
        &mut self,
        read: &IndexRead,
        parts: &[ArenaSlice],
    ) -> Result<(), ReadError> {
        todo!()
    }

    /// Where to look for the first record at or after `timestamp_ms`; `Err` when a sealed
    /// segment's index must be loaded first.
    ///
    /// # Errors
    /// The index to load.
    pub fn search_timestamp(
        &self,
        timestamp_ms: i64,
    ) -> Result<crate::shard::TimestampSearch, IndexRead> {
        todo!()
    }

    /// Largest timestamp of the log and the base offset of the batch that holds it.
    #[must_use]
    pub fn max_timestamp(&self) -> Option<(i64, i64)> {
        todo!()
    }
}

/// What `batches_in` found.
#[derive(Debug)]
pub enum FoundBatches {
    /// Batches, at least one (or none because the bound or a fence lies right there).
    Found(ReadBatches),
    /// The first batch is longer than what was read: read this instead.
    NeedMore(DiskRead),
}

/// Recovery.
#[expect(unused_variables, clippy::todo, reason = "signatures first")]
impl Partition {
    /// A partition from the state bytes of a checkpoint (as `begin_checkpoint` wrote them, spec
    /// and settings included). Everything up to its end counts as written.
    ///
    /// # Errors
    /// The bytes are damaged.
    pub fn restore(state: &[u8]) -> Result<Self, StateError> {
        todo!()
    }

    /// Applies an append entry of a commit: offsets, index, checksums, producers; inline bytes go
    /// to the tail to be written back, placed ones count as written. Entries come in order, those
    /// of the checkpoint skipped.
    ///
    /// # Errors
    /// `NoMemory` (write back, evict, try again) or `Mismatch`.
    pub fn replay_entry(
        &mut self,
        arena: &mut Arena,
        entry: &ReplayEntry<'_>,
    ) -> Result<(), ReplayError> {
        todo!()
    }

    /// Applies a control record of a commit.
    ///
    /// # Errors
    /// `Mismatch`.
    pub fn replay_control(&mut self, sequence: u64, control: &Control) -> Result<(), ReplayError> {
        todo!()
    }

    /// Ends replay, before the recovery checkpoint and before anything is read or appended. After
    /// an unclean stop the leader epoch rises by one and a relaxed partition goes on at its
    /// ceiling. Then perform `plan_write_back` until the checkpoint is flushed as always.
    pub fn finish_recovery(&mut self, is_clean: bool) {
        todo!()
    }
}

impl Control {
    /// Appends its bytes to `out`, at most 64.
    #[expect(unused_variables, clippy::todo, reason = "signatures first")]
    pub fn encode(&self, out: &mut Vec<u8>) {
        todo!()
    }

    /// Reads it back.
    ///
    /// # Errors
    /// The bytes are no control record.
    #[expect(unused_variables, clippy::todo, reason = "signatures first")]
    pub fn decode(bytes: &[u8]) -> Result<Self, StateError> {
        todo!()
    }
}

impl PartitionSpec {
    /// Appends its bytes to `out` (for the record that creates a partition).
    #[expect(unused_variables, clippy::todo, reason = "signatures first")]
    pub fn encode(&self, out: &mut Vec<u8>) {
        todo!()
    }

    /// Reads it back and how many bytes it took.
    ///
    /// # Errors
    /// The bytes are no spec.
    #[expect(unused_variables, clippy::todo, reason = "signatures first")]
    pub fn decode(bytes: &[u8]) -> Result<(Self, usize), StateError> {
        todo!()
    }
}
