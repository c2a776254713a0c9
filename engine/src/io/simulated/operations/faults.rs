//! Which operation fails, and how: as a test scripted it, or by chance.

use super::{bytes_of, file_of, path_of, target_of};
use crate::io::simulated::config::{DiskFault, FaultTarget, ScriptedFault};
use crate::io::simulated::disk::BLOCK;
use crate::io::simulated::world::Inner;
use crate::io::{FilePath, Op};

impl Inner {
    pub(super) fn draw_fault(&mut self, shard: usize, op: &Op) -> Option<DiskFault> {
        self.scripted_fault(shard, op)
            .or_else(|| self.random_fault(shard, op))
    }

    /// An operation with this fault ended. What a dishonest one did counts where it is done.
    pub(super) fn count_told(&mut self, fault: Option<DiskFault>) {
        match fault {
            Some(DiskFault::Stall(_)) => self.counters.stalls += 1,
            Some(DiskFault::Error(_) | DiskFault::ShortWrite(_)) => self.counters.disk_faults += 1,
            _ => {}
        }
    }

    fn scripted_fault(&mut self, shard: usize, op: &Op) -> Option<DiskFault> {
        if self.faults.is_empty() {
            return None;
        }
        let target = target_of(op)?;
        let path = self.path_at(shard, op);
        let matches = |fault: &ScriptedFault| {
            fault.target == target && (fault.path.is_none() || fault.path == path)
        };
        let index = self.faults.iter().position(matches)?;
        if self.faults[index].skip > 0 {
            self.faults[index].skip -= 1;
            return None;
        }
        Some(self.faults.remove(index).fault)
    }

    fn path_at(&self, shard: usize, op: &Op) -> Option<FilePath> {
        path_of(op).or_else(|| {
            let file = file_of(op)?;
            let open = self.shards[shard].files.get(&file.0);
            open.map(|open| open.path.clone())
        })
    }

    fn random_fault(&mut self, shard: usize, op: &Op) -> Option<DiskFault> {
        let place = self.config.disk.dishonest_in;
        let is_there = |dir| self.path_at(shard, op).is_some_and(|path| path.dir == dir);
        let is_dishonest = place.is_none_or(is_there);
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
            FaultTarget::Read
                if is_dishonest && random.per_million(disk.stale_read_per_million) =>
            {
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
                } else if !is_dishonest {
                    None
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
