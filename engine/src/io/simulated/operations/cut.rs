//! What a crash makes of the operations in flight: each happens wholly, partly or not.

use super::join;
use crate::io::simulated::config::Crash;
use crate::io::simulated::disk::{BLOCK, NodeId};
use crate::io::simulated::world::Inner;
use crate::io::{FileOp, FilePath, Op};

impl Inner {
    /// What a crash makes of the operations in flight: each happens wholly, partly or not.
    pub(in crate::io::simulated) fn cut_operations(&mut self, crash: Crash) {
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
}
