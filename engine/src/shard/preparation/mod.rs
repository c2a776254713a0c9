//! Makes segment space ahead of the writers: new files, growth in stretches, spares, ballast.
//!
//! A roll takes its file at once (`next_file`: a name, not yet space); the partition then says what
//! space it wants (`want_space`) and hears by events up to where its file is prepared: identity on
//! disk, zero-filled, synced, named in a synced folder. Placed writes and write-back go only there.
//! Bytes that are appended before their space is prepared are counted; the ballast bounds them, so
//! that a full disk can refuse new appends and still take everything that was admitted.
//! INVARIANT: one sequence of operations per file at a time; no step waits on the shard's thread.

pub(super) mod ballast;
mod jobs;
mod recycling;

use super::file_table::{FileEvent, FileTable};
pub use super::identity::Owner;
use super::token::LogKind;
use crate::ids::{FileId, JournalId, PartitionHandle};
use crate::io::{Dir, FileOp, FileReply, Io, IoFailure, Op, Outcome};
use crate::partition::{NewSegment, ReleasedFile, SpaceWanted};
use crate::planted::{Bug, is};
use ballast::{Ballast, BallastStep};
use jobs::{DirSync, Job, job_index};
use recycling::Recycling;
pub use recycling::{journal_of, number_of};
use rustc_hash::FxHashMap;
use std::collections::VecDeque;

/// Age at which the measured free space is measured again, when there is work.
const SPACE_AGE_MAX_NS: u64 = 10_000_000_000;

/// Settings of the preparation of one shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PreparationConfig {
    /// Whose files: the upper bits of the ids given to new ones.
    pub journal: JournalId,
    /// Bytes of the ballast file, and so of what may be appended before its space is prepared.
    pub ballast_bytes: u64,
    /// Prepared space kept for files that nobody writes yet (spares, reserved files), at most.
    pub spare_bytes_max: u64,
    /// The same as a share of the free disk: 20 for one twentieth.
    pub spare_free_divisor: u64,
    /// Smallest file that is kept as a spare.
    pub spare_file_bytes_min: u64,
    /// Sequences of file operations side by side.
    pub depth_max: usize,
}

impl PreparationConfig {
    /// What a shard of `shard_count` uses.
    #[must_use]
    pub fn of_shard(journal: JournalId, shard_count: usize) -> Self {
        let shards = shard_count.max(1) as u64;
        Self {
            journal,
            ballast_bytes: 64 << 20,
            spare_bytes_max: (4 << 30) / shards,
            spare_file_bytes_min: 1 << 20,
            spare_free_divisor: 20 * shards,
            depth_max: 16,
        }
    }
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
    /// The ballast's space is there for what a full disk stopped: to be tried again. Comes at every
    /// look at a disk that stays full.
    BallastSpent,
    /// A file operation failed for another reason than a full disk: the shard must stop.
    Failed(IoFailure),
}

/// What the disk holds of a file that is being made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// Nothing that was seen.
    Unmade,
    /// A file without an identity that counts: its first stretch was interrupted.
    Begun,
    /// A spare of another owner with this many prepared bytes.
    Spare(u64),
    /// An identity and this many prepared bytes.
    Ready(u64),
}

/// A file that wants space, is reserved, or was prepared here.
#[derive(Debug)]
struct Making {
    owner: Owner,
    generation: u32,
    file_bytes: u64,
    origin: Origin,
    /// Up to where its partition wants it.
    to: u64,
    is_queued: bool,
    is_running: bool,
    /// Made ahead for the owner's next roll.
    is_reserved: bool,
    /// Made by compaction: nothing is made ahead behind it.
    is_extra: bool,
    /// To be released once the sequence under way has ended.
    release: Option<ReleasedFile>,
}

/// Makes and recycles the space of a shard's segments.
#[derive(Debug)]
pub struct Preparation {
    config: PreparationConfig,
    next_number: u64,
    files_reused: u64,
    making: FxHashMap<FileId, Making>,
    reserved: FxHashMap<PartitionHandle, FileId>,
    reserved_bytes: u64,
    queue: VecDeque<FileId>,
    /// Files whose last try found the disk full.
    stalled: VecDeque<FileId>,
    jobs: Vec<Option<Job>>,
    jobs_running: usize,
    dir_sync: DirSync,
    recycling: Recycling,
    ballast: Ballast,
    is_full: bool,
    /// Growth is cut to small steps since a stretch did not fit on the disk.
    is_tight: bool,
    unprepared_bytes: u64,
    measured_at_ns: Option<u64>,
    /// When files that found no memory or descriptor are begun.
    retry_at_ns: Option<u64>,
    is_measuring: bool,
    /// Free bytes of the disk when they were last measured.
    free_bytes: u64,
    events: VecDeque<PreparationEvent>,
}

impl Preparation {
    /// `next_number` is the number of the next new file: the larger of what the checkpoint says
    /// and one more than any listed file of this journal.
    #[must_use]
    pub fn new(config: PreparationConfig, next_number: u64) -> Self {
        Self {
            config,
            next_number,
            files_reused: 0,
            making: FxHashMap::default(),
            reserved: FxHashMap::default(),
            reserved_bytes: 0,
            queue: VecDeque::new(),
            stalled: VecDeque::new(),
            jobs: Vec::new(),
            jobs_running: 0,
            dir_sync: DirSync::default(),
            recycling: Recycling::new(config.journal, config.spare_file_bytes_min),
            ballast: Ballast::new(config.journal, config.ballast_bytes),
            is_full: false,
            is_tight: false,
            unprepared_bytes: 0,
            measured_at_ns: None,
            retry_at_ns: None,
            is_measuring: false,
            free_bytes: 0,
            events: VecDeque::new(),
        }
    }

    /// Makes the ballast and measures the disk, waiting for both: last step of opening a shard. A
    /// full disk is no error: appends are refused until space returned.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn begin(&mut self, io: &mut Io) -> Result<(), IoFailure> {
        while let Some(op) = self.ballast.next_op(io.now_ns()) {
            let reply = call_file(io, op);
            let step = self.ballast.complete(io.now_ns(), reply);
            if let Some(file) = self.ballast.take_closing() {
                io.close_file(file);
            }
            match step {
                BallastStep::Continue | BallastStep::Ready => {}
                BallastStep::Freed => self.enter_full(io),
                BallastStep::Failed(failure) => return Err(failure),
            }
        }
        let dir = Dir::Segments;
        let space = call_file(io, FileOp::FreeSpace { dir })?;
        self.measured(io.now_ns(), &space);
        Ok(())
    }

    /// Files that went from one owner to the next.
    #[must_use]
    pub const fn files_reused(&self) -> u64 {
        self.files_reused
    }

    /// The number the next new file will get; belongs into every checkpoint.
    #[must_use]
    pub const fn next_number(&self) -> u64 {
        self.next_number
    }

    /// Recovery found that `number` was given out: the file it names may not have been made yet.
    pub fn skip_number(&mut self, number: u64) {
        self.next_number = self.next_number.max(number + 1);
    }

    /// Whether `bytes` more may be appended that have no prepared place yet.
    #[must_use]
    pub fn admit(&self, bytes: u64) -> Admission {
        if is(Bug::AdmittedWithoutPlace) {
            Admission::Granted
        } else if self.is_full {
            Admission::Full
        } else if !self.ballast.is_ready() {
            Admission::Wait
        } else if self.unprepared_bytes == 0
            || self.unprepared_bytes + bytes <= self.config.ballast_bytes / 2
        {
            // Half of it: a file's blocks and its inode cost more than the bytes themselves. A
            // single batch above the bound is taken when nothing else waits.
            Admission::Granted
        } else {
            Admission::Wait
        }
    }

    /// A partition's `unprepared_bytes` changed from `before` to `after` (append, `set_prepared`,
    /// deletion).
    pub fn account(&mut self, before: u64, after: u64) {
        self.unprepared_bytes = self
            .unprepared_bytes
            .checked_sub(before)
            .expect("what a partition gives back it has counted before")
            + after;
    }

    /// Bytes appended that have no prepared place yet, of all partitions.
    #[must_use]
    pub const fn unprepared_bytes(&self) -> u64 {
        self.unprepared_bytes
    }

    /// A file for the partition's next segment, which may grow to `file_bytes`. What it lacks of
    /// prepared space follows by events: a spare's whole size, a new file's as it is wanted.
    pub fn next_file(&mut self, owner: Owner, file_bytes: u64) -> NewSegment {
        if let Some(segment) = self.take_reserved(owner.handle, file_bytes) {
            return segment;
        }
        let (file, making) = self.choose_file(owner, file_bytes);
        let segment = NewSegment {
            file,
            generation: making.generation,
            file_bytes,
            prepared: 0,
        };
        let is_spare = matches!(making.origin, Origin::Spare(_));
        self.making.insert(file, making);
        if is_spare {
            self.enqueue(file, true);
        }
        segment
    }

    /// A file for a segment that compaction makes, of at most `file_bytes`. Its space follows by
    /// events as it is wanted. `None` while the disk is too full to spend space on it.
    pub fn extra_file(&mut self, owner: Owner, file_bytes: u64) -> Option<NewSegment> {
        let kept_free = self.config.ballast_bytes.saturating_mul(4);
        if self.is_short() || self.free_bytes < file_bytes.saturating_add(kept_free) {
            return None;
        }
        let (file, mut making) = self.choose_file(owner, file_bytes);
        making.is_extra = true;
        let segment = NewSegment {
            file,
            generation: making.generation,
            file_bytes,
            prepared: 0,
        };
        let is_spare = matches!(making.origin, Origin::Spare(_));
        self.making.insert(file, making);
        if is_spare {
            self.enqueue(file, false);
        }
        Some(segment)
    }

    /// Whether the disk is full or nearly so.
    #[must_use]
    pub const fn is_short(&self) -> bool {
        self.is_full || self.is_tight
    }

    /// Begins to prepare what a partition wants. Asking again for what is under way, or done and
    /// only not yet heard of, does nothing.
    pub fn want_space(&mut self, owner: Owner, file_bytes: u64, wanted: SpaceWanted) {
        let making = self.making.entry(wanted.file).or_insert_with(|| Making {
            owner,
            generation: wanted.generation,
            file_bytes,
            origin: match wanted.from {
                0 => Origin::Unmade,
                from => Origin::Ready(from),
            },
            to: 0,
            is_queued: false,
            is_running: false,
            is_reserved: false,
            is_extra: false,
            release: None,
        });
        making.to = making.to.max(wanted.to);
        if let Origin::Ready(prepared) = making.origin
            && prepared >= making.to.min(making.file_bytes)
        {
            return;
        }
        self.enqueue(wanted.file, wanted.is_urgent);
    }

    /// A file that no checkpoint and no live commit names any more: reused or removed once its
    /// last user gave it back.
    pub fn release(&mut self, io: &mut Io, table: &mut FileTable, file: ReleasedFile) {
        match self.making.get_mut(&file.file) {
            Some(making) if making.is_running => making.release = Some(file),
            Some(_) => {
                self.making.remove(&file.file);
                self.recycling.release(io, table, file);
            }
            None => self.recycling.release(io, table, file),
        }
    }

    /// The partition was deleted: a file reserved for it is released.
    pub fn forget_partition(
        &mut self,
        io: &mut Io,
        table: &mut FileTable,
        handle: PartitionHandle,
    ) {
        let Some(file) = self.reserved.remove(&handle) else {
            return;
        };
        let making = self
            .making
            .get_mut(&file)
            .expect("reserved files are known");
        making.is_reserved = false;
        let prepared = match making.origin {
            Origin::Ready(bytes) => {
                self.reserved_bytes -= bytes;
                bytes
            }
            Origin::Spare(bytes) => bytes,
            Origin::Unmade | Origin::Begun => 0,
        };
        let file = ReleasedFile {
            file,
            generation: making.generation,
            bytes: 0,
            prepared,
        };
        self.release(io, table, file);
    }

    /// Removes the files of this journal that are not in `named`. Only after a durable recovery
    /// checkpoint, and only if every journal recovered cleanly (storage-review A4g).
    pub fn sweep_orphans(&mut self, io: &mut Io, mut named: Vec<FileId>) {
        named.extend(self.making.keys());
        self.recycling.begin_sweep(io, named, self.next_number);
    }

    /// Something else of the shard found the disk full.
    pub fn disk_full(&mut self, io: &mut Io) {
        self.enter_full(io);
    }

    /// Takes the completion of one of its operations, `kind` being `Prepare`, `SyncSegments`,
    /// `Unlink`, `Ballast` or `Sweep`.
    pub fn complete(
        &mut self,
        io: &mut Io,
        table: &mut FileTable,
        kind: LogKind,
        slot: u64,
        outcome: Outcome,
    ) {
        if kind == LogKind::Prepare {
            let index = job_index(slot);
            match outcome {
                Outcome::File(reply) => self.job_step_done(io, table, index, reply),
                Outcome::Write(_, result) => {
                    self.job_step_done(io, table, index, result.map(|()| FileReply::Done));
                }
                Outcome::Read(block, result) => {
                    let result = result.map(|()| FileReply::Content(block.to_vec()));
                    self.job_step_done(io, table, index, result);
                }
                other => unreachable!("preparation was answered by {other:?}"),
            }
        } else {
            let Outcome::File(reply) = outcome else {
                unreachable!("a file operation is answered by a file reply");
            };
            match kind {
                LogKind::SyncSegments => self.dir_synced(io, table, reply),
                LogKind::Unlink => {
                    let result = self.recycling.removed(slot, reply);
                    self.note_failure(result);
                }
                LogKind::Sweep => {
                    let result = self.recycling.swept(io, reply);
                    self.note_failure(result);
                }
                LogKind::Ballast if slot == MEASURE_SLOT => match reply {
                    Ok(space) => self.measured(io.now_ns(), &space),
                    Err(failure) => self.note_failure(Err(failure)),
                },
                LogKind::Ballast => self.ballast_step(io, reply),
                kind => unreachable!("{kind:?} is not the preparation's"),
            }
        }
        self.end_turn(io, table);
    }

    /// Takes events of the file table: `Opened` for waiters of kind `Prepare`, and all `Drained`.
    pub fn file_event(&mut self, io: &mut Io, table: &mut FileTable, event: FileEvent) {
        match event {
            FileEvent::Drained(file) => self.recycling.drained(io, file, self.reserved_bytes),
            FileEvent::Opened { waiter, result, .. } => {
                let (_, slot) = LogKind::parse(waiter).expect("the preparation made this key");
                let reply = result.map(|(file, bytes)| FileReply::Opened { file, bytes });
                self.job_step_done(io, table, job_index(slot), reply);
            }
        }
    }

    /// Starts what can be started; once per turn.
    pub fn end_turn(&mut self, io: &mut Io, table: &mut FileTable) {
        self.start_jobs(io, table);
        if self.recycling.take_dir_changed() {
            self.dir_sync.is_wanted = true;
        }
        self.start_dir_sync(io);
        if let Some(op) = self.ballast.next_op(io.now_ns()) {
            io.submit(LogKind::Ballast.token(0), Op::File(op));
        }
    }

    /// When `end_turn` must run next even if nothing happens.
    #[must_use]
    pub fn next_deadline_ns(&self) -> Option<u64> {
        let deadlines = [self.ballast.deadline_ns(), self.retry_at_ns];
        deadlines.into_iter().flatten().min()
    }

    /// What happened since the last call, oldest first.
    pub fn next_event(&mut self) -> Option<PreparationEvent> {
        self.events.pop_front()
    }

    /// Whether an operation is under way (a clean stop waits for it).
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.jobs_running > 0
            || self.dir_sync.is_in_flight
            || self.recycling.is_busy()
            || self.ballast.is_busy()
            || self.is_measuring
    }
}

/// Slot of the measurement of free space among the operations of kind `Ballast`.
const MEASURE_SLOT: u64 = 1;

/// Choosing files, queueing.
impl Preparation {
    fn choose_file(&mut self, owner: Owner, file_bytes: u64) -> (FileId, Making) {
        let (file, generation, origin) = match self.recycling.take_spare(file_bytes) {
            Some(spare) => {
                self.files_reused += 1;
                (spare.file, spare.generation + 1, Origin::Spare(spare.bytes))
            }
            None => {
                let number = self.next_number;
                assert!(
                    number < 1 << 39,
                    "a journal has used up its 2^39 file numbers"
                );
                self.next_number += 1;
                let file = FileId(u64::from(self.config.journal.0) << 40 | number);
                (file, 0, Origin::Unmade)
            }
        };
        let making = Making {
            owner,
            generation,
            file_bytes,
            origin,
            to: 0,
            is_queued: false,
            is_running: false,
            is_reserved: false,
            is_extra: false,
            release: None,
        };
        (file, making)
    }

    fn take_reserved(&mut self, handle: PartitionHandle, file_bytes: u64) -> Option<NewSegment> {
        let file = *self.reserved.get(&handle)?;
        let making = self.making.get_mut(&file)?;
        if making.file_bytes < file_bytes {
            return None;
        }
        self.reserved.remove(&handle);
        making.is_reserved = false;
        let prepared = match making.origin {
            Origin::Ready(bytes) => bytes,
            _ => 0,
        };
        self.reserved_bytes -= prepared;
        let segment = NewSegment {
            file,
            generation: making.generation,
            file_bytes: making.file_bytes,
            prepared,
        };
        Some(segment)
    }

    /// A busy partition's file is nearly all prepared: makes its next one ahead of the roll.
    fn reserve_next(&mut self, owner: Owner, file_bytes: u64, stretch: u64) {
        let room = self.recycling.spare_bytes_max();
        let held = self.recycling.spare_bytes() + self.reserved_bytes;
        if self.reserved.contains_key(&owner.handle) || self.is_tight || held + stretch > room {
            return;
        }
        let (file, mut making) = self.choose_file(owner, file_bytes);
        making.is_reserved = true;
        making.to = stretch.min(file_bytes);
        self.making.insert(file, making);
        self.reserved.insert(owner.handle, file);
        self.enqueue(file, false);
    }

    fn enqueue(&mut self, file: FileId, is_urgent: bool) {
        let making = self.making.get_mut(&file).expect("queued files are known");
        if making.is_queued || making.is_running {
            return;
        }
        making.is_queued = true;
        if is_urgent {
            self.queue.push_front(file);
        } else {
            self.queue.push_back(file);
        }
    }

    fn enter_full(&mut self, io: &mut Io) {
        self.is_tight = true;
        if !self.is_full {
            self.is_full = true;
            self.events.push_back(PreparationEvent::DiskFull(true));
        }
        self.recycling.remove_spares(io);
        self.ballast.spend();
    }

    fn measured(&mut self, now_ns: u64, space: &FileReply) {
        self.is_measuring = false;
        self.measured_at_ns = Some(now_ns);
        if let FileReply::Space { free, .. } = space {
            self.free_bytes = *free;
            let share = free / self.config.spare_free_divisor.max(1);
            let max = self.config.spare_bytes_max.min(share);
            self.recycling.set_spare_bytes_max(max);
            if !self.is_full && *free >= self.config.ballast_bytes.saturating_mul(4) {
                self.is_tight = false;
            }
        }
    }

    fn ballast_step(&mut self, io: &mut Io, reply: Result<FileReply, IoFailure>) {
        match self.ballast.complete(io.now_ns(), reply) {
            BallastStep::Continue => {}
            BallastStep::Freed => {
                self.enter_full(io);
                self.retry_stalled();
                self.events.push_back(PreparationEvent::BallastSpent);
            }
            BallastStep::Ready => {
                self.is_tight = false;
                if self.is_full {
                    self.is_full = false;
                    self.events.push_back(PreparationEvent::DiskFull(false));
                }
                self.retry_stalled();
            }
            BallastStep::Failed(failure) => self.note_failure(Err(failure)),
        }
        if let Some(file) = self.ballast.take_closing() {
            io.close_file(file);
        }
    }

    fn retry_stalled(&mut self) {
        while let Some(file) = self.stalled.pop_front() {
            if let Some(making) = self.making.get(&file)
                && making.is_queued
            {
                self.queue.push_back(file);
            }
        }
    }

    fn note_failure(&mut self, result: Result<(), IoFailure>) {
        if let Err(failure) = result {
            self.events.push_back(PreparationEvent::Failed(failure));
        }
    }
}

/// Runs one file operation to its end: start-up and shutdown only.
pub(crate) fn call_file(io: &mut Io, op: FileOp) -> Result<FileReply, IoFailure> {
    match io.call(Op::File(op)) {
        Outcome::File(reply) => reply,
        other => unreachable!("a file operation was answered by {other:?}"),
    }
}

#[cfg(test)]
mod tests;
