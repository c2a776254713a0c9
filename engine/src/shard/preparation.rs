//! Makes segment space ahead of the writers: new files, growth in stretches, spares, ballast.
//!
//! The shard asks for a file when a partition needs one (`next_file`, answered at once: an id, not
//! yet space), asks before each append whether its bytes may be taken (`admit`), tells what was
//! appended (`appended`), and hears by events up to where a file is prepared: zero-filled, synced
//! and named in a synced folder. Write-back and placed writes go only there.

use super::file_table::{FileEvent, FileTable};
use crate::ids::{FileId, JournalId, PartitionHandle, TopicId};
use crate::io::{Io, IoFailure, Outcome};

/// Settings of the preparation of one shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PreparationConfig {
    /// Whose files: the upper bits of the ids given to new ones.
    pub journal: JournalId,
    /// Bytes of the ballast file, and so of what may be appended before its space is prepared.
    pub ballast_bytes: u64,
    /// Prepared space without records in it, spares included, at most.
    pub prepared_bytes_max: u64,
    /// The same as a share of the free disk: 20 for one twentieth.
    pub prepared_free_divisor: u64,
    /// Sequences of file operations side by side.
    pub depth_max: usize,
}

/// Whose segment a file becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The partition.
    pub handle: PartitionHandle,
    /// Its topic.
    pub topic_id: TopicId,
    /// Its index in the topic.
    pub index: i32,
}

/// A file for a partition's next segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewFile {
    /// Its id.
    pub file: FileId,
    /// Its generation: 1 for a new file, one more at each reuse.
    pub generation: u32,
    /// Bytes it may grow to, identity block included.
    pub capacity: u64,
    /// Up to where it is prepared already; 0 while even its identity block is not on disk.
    pub prepared_to: u64,
}

/// Whether bytes may be appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// There is, or can be made, space for them.
    Granted,
    /// Too many bytes wait for space: again after the next `Prepared`.
    Wait,
    /// The disk is full.
    Full,
}

/// What the preparation tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PreparationEvent {
    /// `file` may be written below `prepared_to`.
    Prepared {
        /// Whose file.
        handle: PartitionHandle,
        /// Which file.
        file: FileId,
        /// End of the prepared space.
        prepared_to: u64,
    },
    /// The disk became full (`true`), or space returned and the ballast was made (`false`).
    DiskFull(bool),
    /// A file operation failed for another reason than a full disk: the shard must stop.
    Failed(IoFailure),
}

/// Makes and recycles the space of a shard's segments.
#[derive(Debug)]
pub struct Preparation {}

#[expect(unused_variables, clippy::todo, reason = "signatures only")]
impl Preparation {
    /// `next_file` is the lower part of the id for the next new file (see `next_file_number`).
    #[must_use]
    pub fn new(config: PreparationConfig, next_file: u64) -> Self {
        todo!()
    }

    /// Begins work once recovery is over: makes the ballast, measures the disk.
    pub fn begin(&mut self, io: &mut Io) {
        todo!()
    }

    /// The number the next new file will get; belongs into every checkpoint. After recovery pass
    /// the larger of it and one more than any listed file of this journal.
    #[must_use]
    pub fn next_file_number(&self) -> u64 {
        todo!()
    }

    /// Recovery's active file of a partition: written up to `end`, prepared up to `prepared_to`.
    pub fn adopt(
        &mut self,
        owner: Owner,
        file: FileId,
        generation: u32,
        capacity: u64,
        end: u64,
        prepared_to: u64,
    ) {
        todo!()
    }

    /// A file for the partition's next segment of at most `segment_bytes`. Its space follows by
    /// events, unless it was reserved ahead.
    pub fn next_file(
        &mut self,
        io: &mut Io,
        table: &mut FileTable,
        owner: Owner,
        segment_bytes: u64,
    ) -> NewFile {
        todo!()
    }

    /// Whether bytes up to position `end` of `file` may be appended.
    pub fn admit(&mut self, file: FileId, end: u64) -> Admission {
        todo!()
    }

    /// Bytes up to position `end` of `file` were appended: prepares ahead by the partition's rate,
    /// and near `capacity` a next file.
    pub fn appended(&mut self, io: &mut Io, table: &mut FileTable, file: FileId, end: u64) {
        todo!()
    }

    /// No more appends to `file`: only what is appended already is still prepared.
    pub fn seal(&mut self, file: FileId) {
        todo!()
    }

    /// The partition of `file` was deleted: nothing of it needs space any more.
    pub fn abandon(&mut self, file: FileId) {
        todo!()
    }

    /// A released file that no checkpoint and no live commit names: reused or removed once its
    /// last user gave it back. `bytes` of it are known to be prepared.
    pub fn release(
        &mut self,
        io: &mut Io,
        table: &mut FileTable,
        file: FileId,
        generation: u32,
        bytes: u64,
    ) {
        todo!()
    }

    /// Removes the files of this journal that `is_named` does not know. Only after a durable
    /// recovery checkpoint, and only if every journal recovered cleanly (storage-review A4g).
    pub fn sweep_orphans(&mut self, io: &mut Io, named: Vec<FileId>) {
        todo!()
    }

    /// Takes the completion of one of its operations, `kind` being `Prepare`, `SyncSegments`,
    /// `Unlink`, `Ballast` or `Sweep`.
    pub fn complete(
        &mut self,
        io: &mut Io,
        table: &mut FileTable,
        kind: super::token::LogKind,
        slot: u64,
        outcome: Outcome,
    ) {
        todo!()
    }

    /// Takes events of the file table: `Opened` for waiters of kind `Prepare`, all `Drained`.
    pub fn file_event(&mut self, io: &mut Io, table: &mut FileTable, event: FileEvent) {
        todo!()
    }

    /// Starts what can be started; once per turn.
    pub fn end_turn(&mut self, io: &mut Io, table: &mut FileTable) {
        todo!()
    }

    /// When `end_turn` must run next even if nothing happens.
    #[must_use]
    pub fn next_deadline_ns(&self) -> Option<u64> {
        todo!()
    }

    /// What happened since the last call, oldest first.
    pub fn next_event(&mut self) -> Option<PreparationEvent> {
        todo!()
    }

    /// Whether a sequence is under way (a clean stop waits for it).
    #[must_use]
    pub fn is_busy(&self) -> bool {
        todo!()
    }
}
