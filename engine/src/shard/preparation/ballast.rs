//! The ballast: a file of zeros per shard whose removal makes room on a full disk for everything
//! that was admitted before the disk was found full.
//!
//! A state machine over single file operations: `next_op` says what to do, `complete` takes the
//! answer. At start-up the shard runs it to its end; later it runs beside everything else.
//! INVARIANT: `is_ready` means that the zeros, their size and the name are on stable storage.

use crate::ids::JournalId;
use crate::io::{Dir, FileHandle, FileOp, FilePath, FileReply, IoFailure};

/// Time between looks at the free space while the disk is full.
const PROBE_INTERVAL_NS: u64 = 1_000_000_000;

/// Free space from which a ballast of `bytes` is made again: twice its size, for the one half is
/// taken by the ballast itself.
pub(in crate::shard) const fn free_bytes_wanted(bytes: u64) -> u64 {
    bytes.saturating_mul(2)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Opening,
    Creating,
    Filling {
        file: FileHandle,
        from: u64,
    },
    Syncing(FileHandle),
    SyncingDir,
    Ready,
    /// Removing it; `SyncingRemoval` makes the file system give the space back.
    Removing,
    SyncingRemoval,
    /// The space was given to admitted bytes; waits for the next probe.
    Spent,
    Probing,
}

/// What a step of the ballast means for its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BallastStep {
    /// Go on.
    Continue,
    /// It is there: the disk is not full.
    Ready,
    /// Its space is free for admitted bytes.
    Freed,
    /// A file operation failed for another reason than a full disk.
    Failed(IoFailure),
}

#[derive(Debug)]
pub(super) struct Ballast {
    path: FilePath,
    bytes: u64,
    state: State,
    is_in_flight: bool,
    probe_at_ns: u64,
    closing: Option<FileHandle>,
}

impl Ballast {
    pub(super) fn new(journal: JournalId, bytes: u64) -> Self {
        Self {
            path: FilePath::new(Dir::Segments, format!("{:04x}.ballast", journal.0)),
            bytes,
            state: State::Opening,
            is_in_flight: false,
            probe_at_ns: 0,
            closing: None,
        }
    }

    pub(super) const fn is_ready(&self) -> bool {
        matches!(self.state, State::Ready)
    }

    /// The disk is full: gives up the file. Without effect when it is being given up already.
    pub(super) fn spend(&mut self) {
        if self.is_ready() {
            self.state = State::Removing;
        }
    }

    pub(super) const fn is_busy(&self) -> bool {
        self.is_in_flight
    }

    /// When `next_op` may have something new to do.
    pub(super) const fn deadline_ns(&self) -> Option<u64> {
        match self.state {
            State::Spent if !self.is_in_flight => Some(self.probe_at_ns),
            _ => None,
        }
    }

    /// A handle to close: no operation uses it any more.
    pub(super) const fn take_closing(&mut self) -> Option<FileHandle> {
        self.closing.take()
    }

    /// The operation to perform next, if none is in flight.
    pub(super) fn next_op(&mut self, now_ns: u64) -> Option<FileOp> {
        if self.is_in_flight {
            return None;
        }
        let dir = Dir::Segments;
        match self.state {
            State::Ready => return None,
            State::Spent if now_ns < self.probe_at_ns => return None,
            _ => {}
        }
        let path = self.path.clone();
        let op = match self.state {
            State::Ready => return None,
            State::Spent => {
                self.state = State::Probing;
                FileOp::FreeSpace { dir }
            }
            State::Probing => FileOp::FreeSpace { dir },
            State::Opening => FileOp::Open { path },
            State::Creating => FileOp::Create { path },
            State::Filling { file, from } => {
                let to = self.bytes;
                FileOp::ZeroFill { file, from, to }
            }
            State::Syncing(file) => FileOp::SyncData { file },
            State::SyncingDir | State::SyncingRemoval => FileOp::SyncDir { dir },
            State::Removing => FileOp::Unlink { path },
        };
        self.is_in_flight = true;
        Some(op)
    }

    /// Takes the answer to the operation in flight.
    pub(super) fn complete(
        &mut self,
        now_ns: u64,
        reply: Result<FileReply, IoFailure>,
    ) -> BallastStep {
        self.is_in_flight = false;
        let reply = match reply {
            Ok(reply) => reply,
            Err(failure) => return self.failed(now_ns, failure),
        };
        self.state = match (self.state, reply) {
            (State::Opening | State::Creating, FileReply::Opened { file, bytes }) => {
                if bytes < self.bytes {
                    let from = bytes / crate::limits::BLOCK_BYTES * crate::limits::BLOCK_BYTES;
                    State::Filling { file, from }
                } else {
                    State::Syncing(file)
                }
            }
            (State::Filling { file, .. }, _) => State::Syncing(file),
            (State::Syncing(file), _) => {
                self.closing = Some(file);
                State::SyncingDir
            }
            (State::SyncingDir, _) => State::Ready,
            (State::Removing, _) => State::SyncingRemoval,
            (State::SyncingRemoval, _) => {
                self.probe_at_ns = now_ns + PROBE_INTERVAL_NS;
                State::Spent
            }
            (State::Probing, FileReply::Space { free, .. }) => {
                if free >= free_bytes_wanted(self.bytes) {
                    State::Opening
                } else {
                    self.probe_at_ns = now_ns + PROBE_INTERVAL_NS;
                    State::Spent
                }
            }
            (state, reply) => unreachable!("ballast in {state:?} was answered by {reply:?}"),
        };
        match self.state {
            State::Ready => BallastStep::Ready,
            State::Spent => BallastStep::Freed,
            _ => BallastStep::Continue,
        }
    }

    fn failed(&mut self, now_ns: u64, failure: IoFailure) -> BallastStep {
        match self.state {
            State::Opening if failure.is_not_found() => {
                self.state = State::Creating;
                BallastStep::Continue
            }
            _ if failure.is_interrupted() => BallastStep::Continue,
            _ if failure.is_full() => {
                if let State::Filling { file, .. } | State::Syncing(file) = self.state {
                    self.closing = Some(file);
                }
                // What was made of it is room that admitted bytes need more.
                self.state = match self.state {
                    State::Creating => {
                        self.probe_at_ns = now_ns + PROBE_INTERVAL_NS;
                        State::Spent
                    }
                    _ => State::Removing,
                };
                match self.state {
                    State::Spent => BallastStep::Freed,
                    _ => BallastStep::Continue,
                }
            }
            _ => BallastStep::Failed(failure),
        }
    }
}
