//! Writes into segment and index files: placed writes, write-back, index blocks. All are durable,
//! and a failed one stops the shard.
//!
//! INVARIANT: a write waits for its file, or holds a use of it, from its plan until it has ended,
//! so that no file is closed, recycled or removed under it; one that a full disk stalled before
//! its file was open is ended by the file's release. The slices are kept until then, because
//! an interrupted write is submitted once more, whole.

use super::file_table::{Content, FileTable, SegmentFile, Want};
use super::token::LogKind;
use crate::ids::{FileId, PartitionHandle};
use crate::io::arena::ArenaSlice;
use crate::io::{FileHandle, Io, IoFailure, Op};
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

impl LogWrite {
    const fn done(&self) -> WriteDone {
        WriteDone {
            kind: self.kind,
            slot: self.slot,
            handle: self.handle,
            id: self.id,
        }
    }
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
        if let Want::Ready(open) = want(io, table, file, kind.key(u64::from(index))) {
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
            Err(failure) if failure.is_full() && write.file.content == Content::Index => {
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
                let done = write.done();
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
            } else if let Want::Ready(open) = want(io, table, file, kind.key(index)) {
                self.opened(io, table, spare, index, Ok(open));
            }
        }
    }

    /// Ends the stalled writes of a file that is about to be released: tried again later they would
    /// reach its next owner. What they held is nobody's any more.
    pub(super) fn forget_stalled(
        &mut self,
        io: &mut Io,
        table: &mut FileTable,
        spare: &mut SpareVecs,
        file: FileId,
    ) -> Vec<WriteDone> {
        let mut ended = Vec::new();
        for index in std::mem::take(&mut self.stalled) {
            let write = self.writes.get(index as usize).and_then(Option::as_ref);
            match write.filter(|write| write.file.id == file) {
                Some(write) => {
                    ended.push(write.done());
                    self.remove(io, table, spare, u64::from(index));
                }
                None => self.stalled.push(index),
            }
        }
        ended
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

/// Records are written to files that were prepared, an index file is made by its first write.
fn want(io: &mut Io, table: &mut FileTable, file: SegmentFile, waiter: u64) -> Want {
    match file.content {
        Content::Records => table.want(io, file, waiter),
        Content::Index => table.want_made(io, file, waiter),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::simulated::{World, WorldConfig};

    #[test]
    fn a_stalled_write_of_a_released_file_is_not_tried_again() {
        let (_world, mut ios) = World::new(7, 1, WorldConfig::default());
        let io = &mut ios[0];
        let (mut table, mut spare) = (FileTable::new(4), SpareVecs::default());
        let mut writes = LogWrites::default();
        for number in [5, 6] {
            let plan = SegmentWrite {
                file: FileId(number),
                generation: 0,
                target: WriteTarget::Index,
                position: 0,
                parts: Vec::new(),
                bytes: 4096,
                id: number,
            };
            let whose = (LogKind::WriteIndex, 0, PartitionHandle(1));
            writes.start(io, &mut table, &mut spare, whose, plan);
            let full = Err(IoFailure::Os(libc::ENOSPC));
            let end = writes.opened(io, &mut table, &mut spare, number - 5, full);
            assert!(matches!(end, LogWriteEnd::DiskFull));
        }
        let ended = writes.forget_stalled(io, &mut table, &mut spare, FileId(5));
        assert_eq!(ended.iter().map(|done| done.id).collect::<Vec<_>>(), [5]);
        assert_eq!(writes.in_flight(), 1, "the other one still waits for space");
        assert_eq!(writes.stalled, [1]);
    }
}
