//! Writes into segment and index files: placed writes, write-back, index blocks. All are durable,
//! and a failed one stops the shard.
//!
//! INVARIANT: a write holds a use of its file from before it is submitted until it has ended, so
//! that no file is closed, recycled or removed under it. The slices are kept until then, because
//! an interrupted write is submitted once more, whole.

use super::file_table::{Content, FileTable, SegmentFile, Want};
use super::token::LogKind;
use crate::ids::PartitionHandle;
use crate::io::arena::ArenaSlice;
use crate::io::{FileHandle, FileOp, Io, IoFailure, Op};
use crate::partition::{SegmentWrite, SpareVecs, WriteTarget};
use crate::planted::{Bug, is};

/// A write from its plan to its end.
#[derive(Debug)]
struct LogWrite {
    kind: LogKind,
    slot: u32,
    handle: PartitionHandle,
    file: SegmentFile,
    open: Option<FileHandle>,
    position: u64,
    bytes: u64,
    id: u64,
    parts: Vec<ArenaSlice>,
    was_retried: bool,
}

/// A write that ended well.
#[derive(Clone, Copy, Debug)]
pub(super) struct WriteDone {
    pub(super) kind: LogKind,
    pub(super) slot: u32,
    pub(super) handle: PartitionHandle,
    pub(super) id: u64,
}

/// How a write ended.
#[derive(Debug)]
pub(super) enum LogWriteEnd {
    Done(WriteDone),
    /// Submitted once more.
    Again,
    /// An index file could not grow: to be submitted again when there is space.
    DiskFull,
    Failed(String),
}

/// All writes of a shard that are planned or in flight.
#[derive(Debug, Default)]
pub(super) struct LogWrites {
    writes: Vec<Option<LogWrite>>,
    vacant: Vec<u32>,
    count: usize,
    stalled: Vec<u32>,
    /// An index file was made since the folder was last synced.
    pub(super) is_index_made: bool,
}

impl LogWrites {
    /// Writes planned and not ended.
    pub(super) const fn in_flight(&self) -> usize {
        self.count
    }

    /// Starts a write as soon as its file is open.
    pub(super) fn start(
        &mut self,
        io: &mut Io,
        table: &mut FileTable,
        spare: &mut SpareVecs,
        (kind, slot, handle): (LogKind, u32, PartitionHandle),
        plan: SegmentWrite,
    ) {
        let file = match plan.target {
            WriteTarget::Records => SegmentFile::records(plan.file),
            WriteTarget::Index => SegmentFile::index(plan.file),
        };
        let write = LogWrite {
            kind,
            slot,
            handle,
            file,
            open: None,
            position: plan.position,
            bytes: plan.bytes,
            id: plan.id,
            parts: plan.parts,
            was_retried: false,
        };
        let index = self.vacant.pop().unwrap_or_else(|| {
            self.writes.push(None);
            (self.writes.len() - 1) as u32
        });
        self.writes[index as usize] = Some(write);
        self.count += 1;
        if let Want::Ready(open) = table.want(io, file, kind.key(u64::from(index))) {
            self.opened(io, table, spare, u64::from(index), Ok(open));
        }
    }

    /// The file of write `index` is open.
    pub(super) fn opened(
        &mut self,
        io: &mut Io,
        table: &mut FileTable,
        spare: &mut SpareVecs,
        index: u64,
        result: Result<FileHandle, IoFailure>,
    ) -> LogWriteEnd {
        let Some(write) = self.writes.get_mut(index as usize).and_then(Option::as_mut) else {
            return LogWriteEnd::Again;
        };
        match result {
            Ok(open) => {
                write.open = Some(open);
                self.submit(io, spare, index);
                LogWriteEnd::Again
            }
            Err(failure) if failure.is_not_found() && write.file.content == Content::Index => {
                let path = write.file.path();
                io.submit(write.kind.token(index), Op::File(FileOp::Create { path }));
                LogWriteEnd::Again
            }
            Err(failure) => {
                let file = write.file;
                self.remove(io, table, spare, index);
                LogWriteEnd::Failed(format!("{}: {failure}", file.path().name))
            }
        }
    }

    /// The index file of write `index` was made, or could not be made.
    pub(super) fn created(
        &mut self,
        io: &mut Io,
        table: &mut FileTable,
        spare: &mut SpareVecs,
        index: u64,
        result: Result<FileHandle, IoFailure>,
    ) -> LogWriteEnd {
        let Some(write) = self.writes.get_mut(index as usize).and_then(Option::as_mut) else {
            return LogWriteEnd::Again;
        };
        match result {
            Ok(open) => {
                self.is_index_made = true;
                let file = write.file;
                table.adopt(io, file, open);
                self.opened(io, table, spare, index, Ok(open))
            }
            // Another write to the same new file was faster.
            Err(IoFailure::Os(libc::EEXIST)) => {
                let file = write.file;
                match table.want(io, file, write.kind.key(index)) {
                    Want::Ready(open) => self.opened(io, table, spare, index, Ok(open)),
                    Want::Opening => LogWriteEnd::Again,
                }
            }
            Err(failure) if failure.is_full() => {
                self.stalled.push(index as u32);
                LogWriteEnd::DiskFull
            }
            Err(failure) => {
                let file = write.file;
                self.remove(io, table, spare, index);
                LogWriteEnd::Failed(format!("{}: {failure}", file.path().name))
            }
        }
    }

    fn submit(&self, io: &mut Io, spare: &mut SpareVecs, index: u64) {
        let Some(write) = self.writes.get(index as usize).and_then(Option::as_ref) else {
            return;
        };
        let Some(file) = write.open else {
            return;
        };
        let mut parts = spare.take();
        parts.extend(write.parts.iter().cloned());
        let op = Op::Write {
            file,
            position: write.position,
            parts,
            durable: match write.kind {
                LogKind::CleanWrite => !is(Bug::SwapBeforeDurable),
                LogKind::Placed => true,
                _ => !is(Bug::WriteBackNotDurable),
            },
        };
        io.submit(write.kind.token(index), op);
    }

    /// Takes the completion of write `index`.
    pub(super) fn ended(
        &mut self,
        io: &mut Io,
        table: &mut FileTable,
        spare: &mut SpareVecs,
        index: u64,
        result: Result<(), IoFailure>,
    ) -> LogWriteEnd {
        let Some(write) = self.writes.get_mut(index as usize).and_then(Option::as_mut) else {
            return LogWriteEnd::Again;
        };
        match result {
            Err(failure) if failure.is_interrupted() && !write.was_retried => {
                write.was_retried = true;
                self.submit(io, spare, index);
                LogWriteEnd::Again
            }
            Err(failure) if failure.is_full() && write.file.content == Content::Index => {
                self.stalled.push(index as u32);
                LogWriteEnd::DiskFull
            }
            Err(failure) => {
                let text = format!(
                    "{}: {} bytes at {} were not written: {failure}",
                    write.file.path().name,
                    write.bytes,
                    write.position
                );
                self.remove(io, table, spare, index);
                LogWriteEnd::Failed(text)
            }
            Ok(()) => {
                let done = WriteDone {
                    kind: write.kind,
                    slot: write.slot,
                    handle: write.handle,
                    id: write.id,
                };
                self.remove(io, table, spare, index);
                LogWriteEnd::Done(done)
            }
        }
    }

    /// Space returned: tries again what the full disk stopped.
    pub(super) fn retry_stalled(
        &mut self,
        io: &mut Io,
        table: &mut FileTable,
        spare: &mut SpareVecs,
    ) {
        for index in std::mem::take(&mut self.stalled) {
            let Some(write) = self.writes.get(index as usize).and_then(Option::as_ref) else {
                continue;
            };
            let (kind, file, is_open) = (write.kind, write.file, write.open.is_some());
            let index = u64::from(index);
            if is_open {
                self.submit(io, spare, index);
            } else if let Want::Ready(open) = table.want(io, file, kind.key(index)) {
                self.opened(io, table, spare, index, Ok(open));
            }
        }
    }

    fn remove(&mut self, io: &mut Io, table: &mut FileTable, spare: &mut SpareVecs, index: u64) {
        if let Some(write) = self.writes[index as usize].take() {
            if write.open.is_some() {
                table.give_back(io, write.file);
            }
            spare.give(write.parts);
            self.vacant.push(index as u32);
            self.count -= 1;
        }
    }
}
