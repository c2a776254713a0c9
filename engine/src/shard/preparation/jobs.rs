//! The sequences of file operations that prepare one file each.
//!
//! A new file: create, zero-fill, identity, fdatasync, folder sync. A file that a crash left
//! behind: its missing rest. A spare: identity, fdatasync. Growth: zero-fill,
//! fdatasync. Every step is one operation; its completion starts the next. A step that finds the
//! disk full ends the sequence, which begins again when there may be room; zeros written twice
//! hurt nobody, because nothing is written to a file below what was reported as prepared.

use super::super::file_table::{FileTable, SegmentFile, Want};
use super::super::token::LogKind;
use super::{MEASURE_SLOT, Making, Origin, Preparation, PreparationEvent, SPACE_AGE_MAX_NS};
use crate::ids::FileId;
use crate::io::arena::{ArenaBuf, ArenaSlice};
use crate::io::{Dir, FileHandle, FileOp, FileReply, Io, IoFailure, Op};
use crate::limits::{BLOCK_BYTES, STARVED_RETRY_NS};
use crate::planted::{Bug, is};
use crate::segment::file_format::SegmentIdentity;

/// Growth on a disk that is nearly full.
const TIGHT_STRETCH_BYTES: u64 = 4 * BLOCK_BYTES;
/// From this stretch on a partition gets its next file made before it rolls.
const RESERVE_STRETCH_MIN: u64 = 1 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Opening,
    ReadingIdentity,
    Creating,
    Filling,
    WritingIdentity,
    Syncing,
    SyncingDir,
}

/// One sequence of operations.
#[derive(Debug)]
pub(super) struct Job {
    file: FileId,
    step: Step,
    handle: Option<FileHandle>,
    from: u64,
    to: u64,
    identity: Option<ArenaSlice>,
    /// The file was there although nothing is known of it: memory to look at its identity.
    found: Option<ArenaBuf>,
    was_interrupted: bool,
}

/// One folder sync at a time serves every file made or removed before it was submitted.
#[derive(Debug, Default)]
pub(super) struct DirSync {
    waiting: Vec<u32>,
    running: Vec<u32>,
    pub(super) is_wanted: bool,
    pub(super) is_in_flight: bool,
}

/// The sequence of one file.
impl Preparation {
    pub(super) fn start_jobs(&mut self, io: &mut Io, table: &mut FileTable) {
        self.retry_at_ns = None;
        if self.queue.is_empty() {
            return;
        }
        let is_old = |at| io.now_ns().saturating_sub(at) > SPACE_AGE_MAX_NS;
        if !self.is_measuring && self.measured_at_ns.is_none_or(is_old) {
            self.is_measuring = true;
            let dir = Dir::Segments;
            io.submit(
                LogKind::Ballast.token(MEASURE_SLOT),
                Op::File(FileOp::FreeSpace { dir }),
            );
        }
        while self.jobs_running < self.config.depth_max {
            let Some(file) = self.queue.pop_front() else {
                return;
            };
            if !self.start_job(io, table, file) {
                self.queue.push_front(file);
                self.retry_at_ns = Some(io.now_ns().saturating_add(STARVED_RETRY_NS));
                return;
            }
        }
    }

    /// Returns false when memory or a descriptor is missing; the file stays queued.
    fn start_job(&mut self, io: &mut Io, table: &mut FileTable, file: FileId) -> bool {
        let Some(making) = self.making.get_mut(&file) else {
            return true;
        };
        if !making.is_queued {
            return true;
        }
        let (from, is_identity_due) = match making.origin {
            Origin::Ready(prepared) => (prepared, false),
            Origin::Spare(bytes) => (bytes, true),
            Origin::Unmade | Origin::Begun => (0, true),
        };
        let mut to = making.to.min(making.file_bytes).max(BLOCK_BYTES);
        if matches!(making.origin, Origin::Spare(_)) {
            to = from;
        } else if self.is_tight {
            to = to.min(from + TIGHT_STRETCH_BYTES);
        }
        if to <= from && !is_identity_due {
            making.is_queued = false;
            return true;
        }
        if making.origin == Origin::Unmade && !table.has_room(io) {
            return false;
        }
        let identity = making.owner.identity(file, making.generation);
        let identity = if is_identity_due {
            let Some(block) = identity_block(io, &identity) else {
                return false;
            };
            Some(block)
        } else {
            None
        };
        making.is_queued = false;
        making.is_running = true;
        let origin = making.origin;
        let job = Job {
            file,
            step: Step::Opening,
            handle: None,
            from,
            to: to.max(from),
            identity,
            found: None,
            was_interrupted: false,
        };
        let index = self.insert_job(job);
        if origin == Origin::Unmade {
            self.submit_step(io, index, Step::Creating);
        } else {
            self.open(io, table, index);
        }
        true
    }

    fn insert_job(&mut self, job: Job) -> u32 {
        self.jobs_running += 1;
        let index = self.jobs.iter().position(Option::is_none);
        let index = index.unwrap_or_else(|| {
            self.jobs.push(None);
            self.jobs.len() - 1
        });
        self.jobs[index] = Some(job);
        u32::try_from(index).expect("no more jobs than depth_max")
    }

    fn job(&mut self, index: u32) -> &mut Job {
        let job = self.jobs.get_mut(index as usize).and_then(Option::as_mut);
        job.expect("the job lives until its last step has ended")
    }

    fn open(&mut self, io: &mut Io, table: &mut FileTable, index: u32) {
        let job = self.job(index);
        job.step = Step::Opening;
        let file = SegmentFile::records(job.file);
        let waiter = LogKind::Prepare.key(u64::from(index));
        if let Want::Ready(handle) = table.want(io, file, waiter) {
            // Somebody opened it before, a reader perhaps: it holds more than nothing.
            self.opened(io, index, handle, table.bytes(file));
        }
    }

    /// The file is open: a spare only needs its identity, any other file its zeros first.
    ///
    /// A file that is there already may be longer than its partition knows: a checkpoint remembers
    /// the prepared space of its time, and records may have been placed in what was prepared
    /// since. So nothing below its size is filled.
    fn opened(&mut self, io: &mut Io, index: u32, handle: FileHandle, bytes: u64) {
        let job = self.job(index);
        job.handle = Some(handle);
        let whole_blocks = bytes / BLOCK_BYTES * BLOCK_BYTES;
        let step = if job.found.is_some() && bytes >= BLOCK_BYTES {
            job.from = whole_blocks;
            Step::ReadingIdentity
        } else {
            if job.identity.is_none() {
                job.from = job.from.max(whole_blocks);
                job.to = job.to.max(job.from);
            }
            if job.from < job.to {
                Step::Filling
            } else if job.identity.is_some() {
                Step::WritingIdentity
            } else {
                Step::Syncing
            }
        };
        self.submit_step(io, index, step);
    }

    fn submit_step(&mut self, io: &mut Io, index: u32, step: Step) {
        let job = self.job(index);
        job.step = step;
        let open = || {
            job.handle
                .expect("opened before the first step on its content")
        };
        let op = match step {
            Step::Creating => Op::File(FileOp::Create {
                path: SegmentFile::records(job.file).path(),
            }),
            Step::ReadingIdentity => Op::Read {
                file: open(),
                position: 0,
                buf: job.found.take().expect("allocated when the file was found"),
            },
            Step::Filling => Op::File(FileOp::ZeroFill {
                file: open(),
                from: job.from,
                to: job.to,
            }),
            Step::WritingIdentity => Op::Write {
                file: open(),
                position: 0,
                parts: vec![job.identity.clone().expect("made when the job began")],
                durable: true,
            },
            Step::Syncing => Op::File(FileOp::SyncData { file: open() }),
            Step::Opening | Step::SyncingDir => unreachable!("{step:?} has no operation"),
        };
        io.submit(LogKind::Prepare.token(u64::from(index)), op);
    }

    pub(super) fn job_step_done(
        &mut self,
        io: &mut Io,
        table: &mut FileTable,
        index: u32,
        result: Result<FileReply, IoFailure>,
    ) {
        let reply = match result {
            Ok(reply) => reply,
            Err(failure) => return self.job_step_failed(io, table, index, failure),
        };
        let job = self.job(index);
        job.was_interrupted = false;
        let (file, is_identity_due) = (job.file, job.identity.is_some());
        match (job.step, reply) {
            (Step::Creating, FileReply::Opened { file: handle, .. }) => {
                table.adopt(io, SegmentFile::records(file), handle);
                self.making_of(file).origin = Origin::Begun;
                self.opened(io, index, handle, 0);
            }
            (
                Step::Opening,
                FileReply::Opened {
                    file: handle,
                    bytes,
                },
            ) => {
                self.opened(io, index, handle, bytes);
            }
            (Step::ReadingIdentity, FileReply::Content(block)) => self.found(io, index, &block),
            (Step::Filling, _) if is_identity_due => {
                self.submit_step(io, index, Step::WritingIdentity);
            }
            (Step::Filling, _) => self.submit_step(io, index, Step::Syncing),
            // The identity was written durably, but zeros before it were not.
            (Step::WritingIdentity, _) => self.submit_step(io, index, Step::Syncing),
            (Step::Syncing, _)
                if self.making_of(file).origin == Origin::Begun
                    && !is(Bug::HandOverBeforeDirSync) =>
            {
                self.await_dir_sync(io, index);
            }
            (Step::Syncing, _) => self.end_job(io, table, index, true),
            (step, reply) => unreachable!("{step:?} was answered by {reply:?}"),
        }
    }

    /// A found file may hold placed records of its owner, so nothing below its size is written but
    /// an identity that is not there yet. What an interrupted start left in it hurts nobody.
    fn found(&mut self, io: &mut Io, index: u32, block: &[u8]) {
        let file = self.job(index).file;
        let making = self.making_of(file);
        let is_ours = making.owner.owns(file, making.generation, block);
        let job = self.job(index);
        job.to = job.to.max(job.from);
        if is_ours {
            job.identity = None;
        }
        let step = if job.from < job.to {
            Step::Filling
        } else if is_ours {
            Step::Syncing
        } else {
            Step::WritingIdentity
        };
        self.submit_step(io, index, step);
    }

    fn await_dir_sync(&mut self, io: &mut Io, index: u32) {
        self.job(index).step = Step::SyncingDir;
        self.dir_sync.waiting.push(index);
        self.start_dir_sync(io);
    }

    fn making_of(&mut self, file: FileId) -> &mut Making {
        let making = self.making.get_mut(&file);
        making.expect("a file under way stays known until its job ends")
    }

    fn job_step_failed(
        &mut self,
        io: &mut Io,
        table: &mut FileTable,
        index: u32,
        failure: IoFailure,
    ) {
        let job = self.job(index);
        let (step, file) = (job.step, job.file);
        if failure.is_interrupted() && !job.was_interrupted {
            job.was_interrupted = true;
            match step {
                Step::Opening => self.open(io, table, index),
                Step::SyncingDir => self.await_dir_sync(io, index),
                // The buffer went with the failed read.
                Step::ReadingIdentity => {
                    self.end_job(io, table, index, false);
                    self.making_of(file).origin = Origin::Unmade;
                    self.enqueue(file, true);
                }
                step => self.submit_step(io, index, step),
            }
        } else if step == Step::ReadingIdentity && failure != IoFailure::Stopped {
            log::error!("{file:?}: its first block is unreadable and written anew: {failure}");
            self.found(io, index, &[]);
        } else if step == Step::Creating && failure == IoFailure::Os(libc::EEXIST) {
            // A sequence before a crash made it.
            self.job(index).found = io.arena().alloc(BLOCK_BYTES as usize);
            if self.job(index).found.is_some() {
                self.making_of(file).origin = Origin::Begun;
                self.open(io, table, index);
            } else {
                self.end_job(io, table, index, false);
                self.enqueue(file, true);
            }
        } else if failure.is_full() {
            let is_small = job.to - job.from <= TIGHT_STRETCH_BYTES;
            self.end_job(io, table, index, false);
            if is_small || self.is_tight {
                self.enter_full(io);
                if let Some(making) = self.making.get_mut(&file) {
                    making.is_queued = true;
                    self.stalled.push_back(file);
                }
            } else if self.making.contains_key(&file) {
                self.is_tight = true;
                self.enqueue(file, true);
            }
        } else {
            self.end_job(io, table, index, false);
            self.events.push_back(PreparationEvent::Failed(failure));
        }
    }

    pub(super) fn start_dir_sync(&mut self, io: &mut Io) {
        let sync = &mut self.dir_sync;
        if sync.is_in_flight || (sync.waiting.is_empty() && !sync.is_wanted) {
            return;
        }
        std::mem::swap(&mut sync.waiting, &mut sync.running);
        sync.is_in_flight = true;
        sync.is_wanted = false;
        let dir = Dir::Segments;
        io.submit(
            LogKind::SyncSegments.token(0),
            Op::File(FileOp::SyncDir { dir }),
        );
    }

    pub(super) fn dir_synced(
        &mut self,
        io: &mut Io,
        table: &mut FileTable,
        reply: Result<FileReply, IoFailure>,
    ) {
        self.dir_sync.is_in_flight = false;
        for index in std::mem::take(&mut self.dir_sync.running) {
            match reply {
                Ok(_) => self.end_job(io, table, index, true),
                Err(failure) => self.job_step_failed(io, table, index, failure),
            }
        }
    }

    /// Ends a job; on success its file is prepared up to the job's end.
    fn end_job(&mut self, io: &mut Io, table: &mut FileTable, index: u32, is_done: bool) {
        let job = self.jobs[index as usize].take();
        let job = job.expect("a job ends once");
        self.jobs_running -= 1;
        let file = job.file;
        let mut reserve = None;
        let making = self.making_of(file);
        making.is_running = false;
        if is_done {
            let (owner, file_bytes, to) = (making.owner, making.file_bytes, job.to);
            making.origin = Origin::Ready(to);
            let (is_reserved, is_released) = (making.is_reserved, making.release.is_some());
            let is_extra = making.is_extra;
            if is_reserved {
                self.reserved_bytes += to - if job.identity.is_some() { 0 } else { job.from };
            } else if !is_released {
                self.events.push_back(PreparationEvent::Prepared {
                    handle: owner.handle,
                    file,
                    prepared_to: to,
                });
                let stretch = to - job.from;
                if to >= file_bytes && stretch >= RESERVE_STRETCH_MIN && !is_extra {
                    reserve = Some((owner, file_bytes, stretch));
                }
            }
        }
        if job.handle.is_some() {
            if is_done {
                table.set_bytes(SegmentFile::records(file), job.to);
            }
            table.give_back(io, SegmentFile::records(file));
        }
        self.after_job(io, table, file, is_done);
        if let Some((owner, file_bytes, stretch)) = reserve {
            self.reserve_next(owner, file_bytes, stretch);
        }
    }

    /// Releases or queues again the file of an ended job. It stays known until it is released: its
    /// partition may ask once more for what it is just being told of.
    fn after_job(&mut self, io: &mut Io, table: &mut FileTable, file: FileId, is_done: bool) {
        let making = self.making_of(file);
        let Origin::Ready(prepared) = making.origin else {
            if let Some(released) = making.release.take() {
                self.making.remove(&file);
                self.recycling.release(io, table, released);
            }
            return;
        };
        if let Some(mut released) = making.release.take() {
            released.prepared = released.prepared.max(prepared);
            self.making.remove(&file);
            self.recycling.release(io, table, released);
        } else if is_done && prepared < making.to.min(making.file_bytes) {
            self.enqueue(file, true);
        }
    }
}

pub(super) fn job_index(slot: u64) -> u32 {
    u32::try_from(slot).expect("the preparation made this slot")
}

fn identity_block(io: &mut Io, identity: &SegmentIdentity) -> Option<ArenaSlice> {
    let mut block: ArenaBuf = io.arena().alloc(BLOCK_BYTES as usize)?;
    block.extend_from_slice(&identity.encode());
    Some(block.freeze())
}
