//! Disk operations of the simulated world: submission and completion; `files` are those of the
//! housekeeper, `faults` what goes wrong, `cut` what a crash makes of those in flight.
//!
//! A write reads its source at submission, at its completion, or somewhere between: a buffer
//! that changes while an operation owns it is found out. Completions come in any order.

mod cut;
mod faults;
mod files;

use super::config::{DiskFault, FaultTarget};
use super::disk::{BLOCK, NodeId};
use super::world::{Event, Inner, Ready};
use crate::io::arena::{Arena, ArenaBuf, ArenaSlice};
use crate::io::{Completion, Dir, FileHandle, FileOp, FilePath, IoFailure, Op, Outcome, Token};
use crate::limits::WRITE_BYTES_MAX;
use std::rc::Rc;

/// A disk operation on its way.
#[derive(Debug)]
pub(super) struct InFlight {
    shard: usize,
    token: Token,
    op: Op,
    /// The source bytes of a write, once they were looked at.
    sampled: Option<Vec<u8>>,
    fault: Option<DiskFault>,
    /// Somebody waits for it in `Io::call`.
    is_call: bool,
}

/// An open file of a shard.
#[derive(Clone, Debug)]
pub(super) struct OpenFile {
    pub(super) node: NodeId,
    pub(super) path: FilePath,
}

const fn failure(code: i32) -> IoFailure {
    IoFailure::Os(code)
}

/// The outcome of `op` if the world stopped before it did anything.
pub(super) fn stopped(op: Op) -> Outcome {
    failed(op, IoFailure::Stopped)
}

pub(super) fn failed(op: Op, failure: IoFailure) -> Outcome {
    match op {
        Op::Read { buf, .. } => Outcome::Read(buf, Err(failure)),
        Op::Write { mut parts, .. } => {
            parts.clear();
            Outcome::Write(parts, Err(failure))
        }
        Op::Accept { .. } => Outcome::Accept(Err(failure)),
        Op::Receive { .. } => Outcome::Receive(Err(failure)),
        Op::Send { mut parts, .. } => {
            parts.clear();
            Outcome::Send(parts, Err(failure))
        }
        Op::File(_) | Op::Work(_) => Outcome::File(Err(failure)),
    }
}

/// What a called operation answers if the machine stops under it; its buffers went with it.
#[derive(Clone, Copy, Debug)]
pub(super) enum StopOutcome {
    Read,
    Write,
    File,
}

pub(super) const fn stop_outcome(op: &Op) -> StopOutcome {
    match op {
        Op::Read { .. } => StopOutcome::Read,
        Op::Write { .. } => StopOutcome::Write,
        _ => StopOutcome::File,
    }
}

impl StopOutcome {
    pub(super) fn outcome(self, arena: &mut Arena) -> Outcome {
        match self {
            Self::Read => {
                let buf = arena
                    .alloc(0)
                    .expect("the operation's buffer just came back");
                Outcome::Read(buf, Err(IoFailure::Stopped))
            }
            Self::Write => Outcome::Write(Vec::new(), Err(IoFailure::Stopped)),
            Self::File => Outcome::File(Err(IoFailure::Stopped)),
        }
    }
}

fn bytes_of(op: &Op) -> u64 {
    match op {
        Op::Read { buf, .. } => buf.spare() as u64,
        Op::Write { parts, .. } => parts.iter().map(|part| part.len() as u64).sum(),
        Op::File(FileOp::ZeroFill { from, to, .. }) => to - from,
        _ => 0,
    }
}

/// The contract of direct I/O, which a kernel would answer with EINVAL.
fn assert_aligned(op: &Op) {
    let block = BLOCK as u64;
    match op {
        Op::Read { position, buf, .. } => {
            let memory = buf.address() + buf.len();
            assert!(
                position.is_multiple_of(block),
                "read at {position}, not a block's start"
            );
            assert!(
                memory.is_multiple_of(BLOCK),
                "read into memory at {memory:#x}"
            );
            assert!(
                buf.spare().is_multiple_of(BLOCK),
                "read of {} bytes",
                buf.spare()
            );
        }
        Op::Write {
            position, parts, ..
        } => {
            assert!(
                position.is_multiple_of(block),
                "write at {position}, not a block's start"
            );
            assert!(
                bytes_of(op) <= WRITE_BYTES_MAX,
                "write of {} bytes",
                bytes_of(op)
            );
            for part in parts {
                assert!(
                    part.address().is_multiple_of(BLOCK),
                    "write from unaligned memory"
                );
                assert!(
                    part.len().is_multiple_of(BLOCK),
                    "write of a part of {}",
                    part.len()
                );
            }
        }
        Op::File(FileOp::ZeroFill { from, to, .. }) => {
            assert!(from <= to, "zero-fill from {from} to {to}");
            assert!(from.is_multiple_of(block) && to.is_multiple_of(block));
        }
        _ => {}
    }
}

impl Inner {
    /// Puts a disk operation under way; returns its number, `None` if the world stopped.
    pub(super) fn submit_disk(
        &mut self,
        shard: usize,
        token: Token,
        op: Op,
        is_call: bool,
    ) -> Option<u64> {
        assert_aligned(&op);
        self.count_disk_event();
        if self.is_stopped() {
            let outcome = stopped(op);
            if !is_call {
                self.push_ready(shard, Ready::Done(Completion { token, outcome }));
            }
            return None;
        }
        let id = self.next_operation();
        let fault = self.draw_fault(shard, &op);
        let now = self.now();
        let mut delay = self
            .disk_random
            .within(&self.config.disk.latency_ns.clone());
        if matches!(op, Op::File(_) | Op::Work(_)) {
            delay += self.disk_random.below(delay + 1);
        }
        if let Some(DiskFault::Stall(ns)) = fault {
            delay += ns;
        }
        let mut sampled = None;
        if let Op::Write { .. } = &op {
            match self.disk_random.below(4) {
                0 => sampled = Some(sample(&op)),
                1 => {
                    let moment = now + self.disk_random.below(delay + 1);
                    self.schedule(moment, Event::Sample(id));
                }
                _ => {}
            }
        }
        self.mix(&[1, id, shard as u64, token.key, bytes_of(&op)]);
        if log::log_enabled!(log::Level::Trace) {
            let file = file_of(&op).and_then(|file| self.shards[shard].files.get(&file.0));
            let name = file.map(|open| open.path.name.as_str()).unwrap_or_default();
            log::trace!("{now} shard {shard} submits {id}: {op:?} {name} {fault:?}");
        }
        self.operations.insert(
            id,
            InFlight {
                shard,
                token,
                op,
                sampled,
                fault,
                is_call,
            },
        );
        self.schedule(now + delay, Event::Disk(id));
        Some(id)
    }

    /// The moment at which the device reads a write's source.
    pub(super) fn sample(&mut self, id: u64) {
        if let Some(operation) = self.operations.get_mut(&id) {
            operation.sampled = Some(sample(&operation.op));
        }
    }

    /// Ends a disk operation and hands its outcome to its shard.
    pub(super) fn complete_disk(&mut self, id: u64) {
        self.count_disk_event();
        let Some(operation) = self.operations.remove(&id) else {
            return;
        };
        if self
            .operations
            .keys()
            .next()
            .is_some_and(|&first| first < id)
        {
            self.counters.reordered += 1;
        }
        let InFlight {
            shard,
            token,
            op,
            sampled,
            fault,
            is_call,
        } = operation;
        self.count_told(fault);
        let outcome = match op {
            Op::Read {
                file,
                position,
                buf,
            } => {
                let mut buf = buf;
                let result = self.read(shard, file, position, &mut buf, fault);
                Outcome::Read(buf, result)
            }
            Op::Write {
                file,
                position,
                mut parts,
                durable,
            } => {
                let source = sampled.unwrap_or_else(|| join(&parts));
                let result = self.write(shard, (file, position), &source, durable, fault);
                parts.clear();
                Outcome::Write(parts, result)
            }
            Op::File(op) => Outcome::File(self.file_operation(shard, op, fault)),
            Op::Work(work) => Outcome::Work(work()),
            Op::Accept { .. } | Op::Receive { .. } | Op::Send { .. } => {
                unreachable!("network operations are not disk operations")
            }
        };
        let is_error = match &outcome {
            Outcome::Read(_, result) | Outcome::Write(_, result) => result.is_err(),
            Outcome::File(result) => result.is_err(),
            _ => false,
        };
        self.mix(&[2, id, u64::from(is_error)]);
        log::trace!("{} shard {shard} gets {id}: {outcome:?}", self.now());
        if is_call {
            self.called = Some((id, outcome));
        } else {
            self.push_ready(shard, Ready::Done(Completion { token, outcome }));
        }
    }

    fn open_file(&self, shard: usize, file: FileHandle) -> Result<NodeId, IoFailure> {
        let open = self.shards[shard].files.get(&file.0);
        open.map(|open| open.node).ok_or(failure(libc::EBADF))
    }

    fn read(
        &mut self,
        shard: usize,
        file: FileHandle,
        position: u64,
        buf: &mut ArenaBuf,
        fault: Option<DiskFault>,
    ) -> Result<(), IoFailure> {
        let node = self.open_file(shard, file)?;
        let wanted = buf.spare() as u64;
        if let Some(DiskFault::Error(code)) = fault {
            return Err(failure(code));
        }
        let stale = matches!(fault, Some(DiskFault::StaleRead));
        let mut room = wanted;
        let node = self.disk.node(node);
        let first = (position / BLOCK as u64) as usize;
        let behind = (position + wanted).div_ceil(BLOCK as u64) as usize;
        if node.unreadable.range(first..behind).next().is_some() {
            return Err(failure(libc::EIO));
        }
        node.read(position, wanted, stale, &mut |bytes| {
            room -= bytes.len() as u64;
            buf.extend_from_slice(bytes);
        });
        if stale && node.differs_when_stale(first..behind) {
            self.counters.reads_stale += 1;
        }
        self.shards[shard].counters.reads += 1;
        self.shards[shard].counters.read_bytes += wanted - room;
        match room {
            0 => Ok(()),
            _ => Err(IoFailure::Short {
                done: (wanted - room) as u32,
                wanted: wanted as u32,
            }),
        }
    }

    fn write(
        &mut self,
        shard: usize,
        place: (FileHandle, u64),
        source: &[u8],
        durable: bool,
        fault: Option<DiskFault>,
    ) -> Result<(), IoFailure> {
        let (file, mut position) = place;
        let id = self.open_file(shard, file)?;
        let blocks = (source.len() / BLOCK) as u64;
        let mut written = source;
        let mut result = Ok(());
        match fault {
            Some(DiskFault::Error(code)) => {
                written = &source[..self.disk_random.below(blocks + 1) as usize * BLOCK];
                result = Err(failure(code));
            }
            Some(DiskFault::ShortWrite(most)) => {
                let done = (most as usize * BLOCK).min(source.len().saturating_sub(BLOCK));
                written = &source[..done];
                let wanted = source.len() as u32;
                result = Err(IoFailure::Short {
                    done: done as u32,
                    wanted,
                });
            }
            Some(DiskFault::Misdirected) => {
                let room = (self.disk.node(id).bytes / BLOCK as u64).saturating_sub(blocks);
                let elsewhere = self.disk_random.below(room + 1) * BLOCK as u64;
                self.counters.writes_misdirected += u64::from(elsewhere != position);
                position = elsewhere;
            }
            Some(DiskFault::LostWrite) => {
                self.counters.writes_lost += 1;
                written = &[];
            }
            _ => {}
        }
        if !written.is_empty() && !self.disk.grow(id, position + written.len() as u64) {
            self.counters.disk_full += 1;
            return Err(failure(libc::ENOSPC));
        }
        let first = (position / BLOCK as u64) as usize;
        self.disk.put(id, first, written);
        if fault == Some(DiskFault::BitFlip) && blocks > 0 {
            let block = first + self.disk_random.below(blocks) as usize;
            self.disk.flip_bit(id, block, &mut self.disk_random);
            self.counters.bits_flipped += 1;
        }
        if durable && result.is_ok() {
            let end = position + written.len() as u64;
            let node = self.disk.node(id);
            node.flush_blocks(first, first + written.len() / BLOCK);
            node.durable_bytes = node.durable_bytes.max(end.min(node.bytes));
            if self
                .disk_random
                .per_million(self.config.disk.flush_all_per_million)
            {
                self.disk.flush_device();
            }
        }
        let counters = &mut self.shards[shard].counters;
        counters.writes += 1;
        counters.written_bytes += written.len() as u64;
        counters.durable_writes += u64::from(durable);
        result
    }

    pub(super) fn close_file(&mut self, shard: usize, file: FileHandle) {
        if let Some(open) = self.shards[shard].files.remove(&file.0) {
            let is_busy = self
                .operations
                .values()
                .any(|operation| operation.shard == shard && file_of(&operation.op) == Some(file));
            assert!(
                !is_busy,
                "{:?} closed with an operation in flight",
                open.path
            );
            self.disk.closed(open.node);
        }
    }
}

fn join(parts: &[ArenaSlice]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(parts.iter().map(|part| part.len()).sum());
    for part in parts {
        bytes.extend_from_slice(part);
    }
    bytes
}

fn sample(op: &Op) -> Vec<u8> {
    match op {
        Op::Write { parts, .. } => join(parts),
        _ => Vec::new(),
    }
}

const fn file_of(op: &Op) -> Option<FileHandle> {
    match op {
        Op::Read { file, .. }
        | Op::Write { file, .. }
        | Op::File(FileOp::ZeroFill { file, .. } | FileOp::SyncData { file }) => Some(*file),
        _ => None,
    }
}

fn path_of(op: &Op) -> Option<FilePath> {
    match op {
        Op::File(op) => path_of_file_op(op).cloned(),
        _ => None,
    }
}

const fn path_of_file_op(op: &FileOp) -> Option<&FilePath> {
    match op {
        FileOp::Open { path }
        | FileOp::Create { path }
        | FileOp::Unlink { path }
        | FileOp::ReadAll { path, .. }
        | FileOp::WriteAll { path, .. }
        | FileOp::Lock { path } => Some(path),
        _ => None,
    }
}

/// Names that leave their folder are refused.
fn is_flat(path: &FilePath) -> bool {
    !path.name.contains(['/', '\0']) && !matches!(&*path.name, "" | "." | "..")
}

const fn target_of(op: &Op) -> Option<FaultTarget> {
    match op {
        Op::Read { .. } => Some(FaultTarget::Read),
        Op::Write { .. } => Some(FaultTarget::Write),
        Op::File(FileOp::SyncData { .. }) => Some(FaultTarget::SyncData),
        Op::File(_) => Some(FaultTarget::File),
        _ => None,
    }
}

impl super::disk::Disk {
    /// Puts whole blocks into the cache.
    pub(super) fn put(&mut self, id: NodeId, first: usize, bytes: &[u8]) {
        let node = self.node(id);
        for (index, chunk) in bytes.chunks_exact(BLOCK).enumerate() {
            let mut data = Rc::new([0; BLOCK]);
            Rc::make_mut(&mut data).copy_from_slice(chunk);
            node.put_block(first + index, Some(data));
        }
    }

    /// Flushes every file's blocks (not its size).
    pub(super) fn flush_device(&mut self) {
        for node in self.nodes.values_mut() {
            let end = (node.durable_bytes as usize).div_ceil(BLOCK);
            node.flush_blocks(0, end);
        }
    }

    pub(super) fn list(&mut self, dir: Dir) -> Vec<(String, u64)> {
        let names: Vec<(String, NodeId)> = self
            .folder(dir)
            .cached
            .iter()
            .map(|(name, &id)| (name.clone(), id))
            .collect();
        names
            .into_iter()
            .map(|(name, id)| (name, self.node(id).bytes))
            .collect()
    }
}
