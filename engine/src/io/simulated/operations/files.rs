//! File operations: what the housekeeper does in production.

use super::{OpenFile, failure, is_flat, path_of_file_op};
use crate::io::simulated::config::DiskFault;
use crate::io::simulated::disk::{BLOCK, NodeId};
use crate::io::simulated::world::Inner;
use crate::io::{FileHandle, FileOp, FilePath, FileReply, IoFailure};

impl Inner {
    pub(super) fn file_operation(
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

    pub(super) fn zero_fill(
        &mut self,
        id: NodeId,
        from: u64,
        to: u64,
    ) -> Result<FileReply, IoFailure> {
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
}
