//! Disk operations of the simulated world: submission, their faults, completion, and what a
//! crash makes of those in flight.
//!
//! A write reads its source at submission, at its completion, or somewhere between: a buffer
//! that changes while an operation owns it is found out. Completions come in any order.

use super::config::{Crash, DiskFault, FaultTarget};
use super::disk::{BLOCK, NodeId};
use super::world::{Event, Inner, Ready};
use crate::io::arena::{Arena, ArenaBuf, ArenaSlice};
use crate::io::{
    Completion, Dir, FileHandle, FileOp, FilePath, FileReply, IoFailure, Op, Outcome, Token,
};
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
        node.read(position, wanted, stale, &mut |bytes| {
            room -= bytes.len() as u64;
            buf.extend_from_slice(bytes);
        });
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
                position = self.disk_random.below(room + 1) * BLOCK as u64;
            }
            Some(DiskFault::LostWrite) => written = &[],
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

    fn file_operation(
        &mut self,
        shard: usize,
        op: FileOp,
        fault: Option<DiskFault>,
    ) -> Result<FileReply, IoFailure> {
        if let Some(DiskFault::Error(code)) = fault {
            if let FileOp::SyncData { file } = op {
                let node = self.open_file(shard, file)?;
                self.disk.node(node).forget_unflushed();
            }
            return Err(failure(code));
        }
        if !path_of_file_op(&op).is_none_or(is_flat) {
            return Err(failure(libc::EINVAL));
        }
        match op {
            FileOp::Open { path } => {
                let node = self.disk.find(&path).ok_or(failure(libc::ENOENT))?;
                Ok(self.open(shard, node, path))
            }
            FileOp::Create { path } => {
                let node = self.disk.create(&path).ok_or(failure(libc::EEXIST))?;
                Ok(self.open(shard, node, path))
            }
            FileOp::ZeroFill { file, from, to } => {
                let node = self.open_file(shard, file)?;
                self.zero_fill(node, from, to)
            }
            FileOp::SyncData { file } => {
                let node = self.open_file(shard, file)?;
                self.disk.node(node).flush();
                Ok(FileReply::Done)
            }
            FileOp::SyncDir { dir } => {
                self.disk.sync_folder(dir);
                Ok(FileReply::Done)
            }
            FileOp::Unlink { path } => {
                self.disk.unlink(&path);
                Ok(FileReply::Done)
            }
            FileOp::List { dir } => Ok(FileReply::Listed(self.disk.list(dir))),
            FileOp::ReadAll { path, bytes_max } => self.read_all(&path, bytes_max),
            FileOp::WriteAll { path, content } => self.write_all(&path, &content),
            FileOp::Lock { path } => {
                if self.disk.find(&path).is_none() {
                    self.disk.create(&path);
                }
                Ok(FileReply::Locked(self.locks.insert(path)))
            }
            FileOp::FreeSpace { .. } => Ok(FileReply::Space {
                free: self.disk.free_bytes(),
                total: self.disk.space_bytes,
            }),
        }
    }

    fn open(&mut self, shard: usize, node: NodeId, path: FilePath) -> FileReply {
        self.disk.opened(node);
        let bytes = self.disk.node(node).bytes;
        let shard = &mut self.shards[shard];
        let file = shard.next_file;
        shard.next_file += 1;
        shard.files.insert(file, OpenFile { node, path });
        FileReply::Opened {
            file: FileHandle(file),
            bytes,
        }
    }

    fn zero_fill(&mut self, id: NodeId, from: u64, to: u64) -> Result<FileReply, IoFailure> {
        if from < to && !self.disk.grow(id, to) {
            self.counters.disk_full += 1;
            return Err(failure(libc::ENOSPC));
        }
        let node = self.disk.node(id);
        for index in from / BLOCK as u64..to / BLOCK as u64 {
            node.put_block(index as usize, None);
        }
        Ok(FileReply::Done)
    }

    fn read_all(&mut self, path: &FilePath, bytes_max: u64) -> Result<FileReply, IoFailure> {
        let id = self.disk.find(path).ok_or(failure(libc::ENOENT))?;
        let node = self.disk.node(id);
        if node.bytes > bytes_max {
            return Err(failure(libc::EFBIG));
        }
        let mut content = Vec::with_capacity(node.bytes as usize);
        node.read(0, node.bytes, false, &mut |bytes| {
            content.extend_from_slice(bytes)
        });
        Ok(FileReply::Content(content))
    }

    fn write_all(&mut self, path: &FilePath, content: &[u8]) -> Result<FileReply, IoFailure> {
        let id = match self.disk.find(path) {
            Some(id) => id,
            None => self.disk.create(path).ok_or(failure(libc::EEXIST))?,
        };
        if !self.disk.replace(id, content) {
            self.counters.disk_full += 1;
            return Err(failure(libc::ENOSPC));
        }
        self.disk.node(id).flush();
        Ok(FileReply::Done)
    }

    /// What a crash makes of the operations in flight: each happens wholly, partly or not.
    pub(super) fn cut_operations(&mut self, crash: Crash) {
        for (_, operation) in std::mem::take(&mut self.operations) {
            match operation.op {
                Op::Write {
                    file,
                    position,
                    parts,
                    ..
                } => {
                    let Ok(id) = self.open_file(operation.shard, file) else {
                        continue;
                    };
                    let source = operation.sampled.unwrap_or_else(|| join(&parts));
                    self.cut_write(crash, id, position, &source);
                }
                Op::File(op) => self.cut_file_operation(operation.shard, op),
                _ => {}
            }
        }
    }

    fn cut_write(&mut self, crash: Crash, id: NodeId, position: u64, source: &[u8]) {
        self.counters.writes_cut += 1;
        if !self.disk.grow(id, position + source.len() as u64) {
            return;
        }
        let first = (position / BLOCK as u64) as usize;
        match crash {
            Crash::Kill if self.crash_random.chance(1, 2) => {}
            Crash::Kill => self.disk.put(id, first, source),
            Crash::PowerCut => {
                self.disk.put(id, first, source);
                let end = first + source.len() / BLOCK;
                let (random, counters) = (&mut self.crash_random, &mut self.counters);
                self.disk.cut_write(id, first, end, random, counters);
            }
        }
    }

    fn cut_file_operation(&mut self, shard: usize, op: FileOp) {
        if self.crash_random.chance(1, 2) {
            return;
        }
        match op {
            FileOp::ZeroFill { file, from, to } => {
                let blocks = (to - from) / BLOCK as u64;
                let done = self.crash_random.below(blocks + 1) * BLOCK as u64;
                if let Ok(id) = self.open_file(shard, file) {
                    _ = self.zero_fill(id, from, from + done);
                }
            }
            FileOp::WriteAll { path, content } => self.cut_write_all(&path, &content),
            FileOp::Create { .. }
            | FileOp::Unlink { .. }
            | FileOp::SyncData { .. }
            | FileOp::SyncDir { .. } => {
                _ = self.file_operation(shard, op, None);
            }
            _ => {}
        }
    }

    /// An interrupted replacement has written and not flushed, or not even written all.
    fn cut_write_all(&mut self, path: &FilePath, content: &[u8]) {
        let found = self.disk.find(path).or_else(|| self.disk.create(path));
        if let Some(id) = found {
            let most = content.len() as u64 + 1;
            let done = self.crash_random.below(most) as usize;
            let done = if self.crash_random.chance(1, 2) {
                content.len()
            } else {
                done
            };
            self.disk.replace(id, &content[..done]);
        }
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

    fn draw_fault(&mut self, shard: usize, op: &Op) -> Option<DiskFault> {
        let fault = self
            .scripted_fault(shard, op)
            .or_else(|| self.random_fault(op))?;
        let is_stall = matches!(fault, DiskFault::Stall(_));
        self.counters.stalls += u64::from(is_stall);
        self.counters.disk_faults += u64::from(!is_stall);
        Some(fault)
    }

    fn scripted_fault(&mut self, shard: usize, op: &Op) -> Option<DiskFault> {
        if self.faults.is_empty() {
            return None;
        }
        let target = target_of(op)?;
        let path = path_of(op).or_else(|| {
            let file = file_of(op)?;
            self.shards[shard]
                .files
                .get(&file.0)
                .map(|open| open.path.clone())
        });
        let matches = |fault: &super::config::ScriptedFault| {
            fault.target == target && (fault.path.is_none() || fault.path == path)
        };
        let index = self.faults.iter().position(matches)?;
        if self.faults[index].skip > 0 {
            self.faults[index].skip -= 1;
            return None;
        }
        Some(self.faults.remove(index).fault)
    }

    fn random_fault(&mut self, op: &Op) -> Option<DiskFault> {
        let disk = &self.config.disk;
        let random = &mut self.disk_random;
        let target = target_of(op)?;
        if random.per_million(disk.stall_per_million) {
            return Some(DiskFault::Stall(disk.stall_ns));
        }
        let is_transfer = matches!(target, FaultTarget::Read | FaultTarget::Write);
        if is_transfer && random.per_million(disk.interrupted_per_million) {
            let codes = [libc::EINTR, libc::EAGAIN];
            return Some(DiskFault::Error(codes[random.below(2) as usize]));
        }
        match target {
            FaultTarget::Read if random.per_million(disk.read_error_per_million) => {
                Some(DiskFault::Error(libc::EIO))
            }
            FaultTarget::Read if random.per_million(disk.stale_read_per_million) => {
                Some(DiskFault::StaleRead)
            }
            FaultTarget::SyncData if random.per_million(disk.sync_error_per_million) => {
                Some(DiskFault::Error(libc::EIO))
            }
            FaultTarget::Write => {
                if random.per_million(disk.write_error_per_million) {
                    Some(DiskFault::Error(libc::EIO))
                } else if random.per_million(disk.short_write_per_million) {
                    Some(DiskFault::ShortWrite(
                        random.below(bytes_of(op) / BLOCK as u64) as u32,
                    ))
                } else if random.per_million(disk.bit_flip_per_million) {
                    Some(DiskFault::BitFlip)
                } else if random.per_million(disk.misdirected_per_million) {
                    Some(DiskFault::Misdirected)
                } else if random.per_million(disk.lost_write_per_million) {
                    Some(DiskFault::LostWrite)
                } else {
                    None
                }
            }
            _ => None,
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
