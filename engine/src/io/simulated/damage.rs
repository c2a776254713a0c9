//! What may become of a file while its machine is off, beyond single bits ([`World::rot`]). Both
//! what is flushed and what is not changes: the medium is wrong.

use super::disk::{BLOCK, NodeId};
use super::world::{Inner, World};
use crate::io::FilePath;
use std::rc::Rc;

impl World {
    /// Writes `data` over the block of a file. False when there is no such block.
    #[must_use]
    pub fn overwrite(&self, path: &FilePath, block: u64, data: &[u8; BLOCK]) -> bool {
        self.with_file(path, |inner, id| {
            let node = inner.disk.node(id);
            let is_there = block < node.bytes.div_ceil(BLOCK as u64);
            if is_there {
                let images = node.block_mut(block as usize);
                images.durable = Some(Rc::new(*data));
                images.cached.clone_from(&images.durable);
            }
            is_there
        })
    }

    /// Cuts a file. False when it is not longer than `bytes`.
    #[must_use]
    pub fn truncate(&self, path: &FilePath, bytes: u64) -> bool {
        self.with_file(path, |inner, id| {
            let node = inner.disk.node(id);
            let is_longer = bytes < node.bytes;
            if is_longer {
                node.bytes = bytes;
                node.durable_bytes = bytes;
                node.blocks.truncate(bytes.div_ceil(BLOCK as u64) as usize);
                let left = node.blocks.len();
                node.dirty.retain(|&index| (index as usize) < left);
                inner.disk.recount();
            }
            is_longer
        })
    }

    /// Takes a file away. False when it is not there.
    #[must_use]
    pub fn remove(&self, path: &FilePath) -> bool {
        self.with_file(path, |inner, _| {
            inner.disk.unlink(path);
            inner.disk.sync_folder(path.dir);
            true
        })
    }

    /// Lets every read of the block fail with EIO, until it is written. False when there is no such
    /// block.
    #[must_use]
    pub fn make_unreadable(&self, path: &FilePath, block: u64) -> bool {
        self.with_file(path, |inner, id| {
            let node = inner.disk.node(id);
            let is_there = block < node.bytes.div_ceil(BLOCK as u64);
            if is_there {
                node.unreadable.insert(block as usize);
            }
            is_there
        })
    }

    /// Lets the blocks of a file be read again: what failed them has passed.
    #[must_use]
    pub fn make_readable(&self, path: &FilePath) -> bool {
        self.with_file(path, |inner, id| {
            let unreadable = &mut inner.disk.node(id).unreadable;
            let was_unreadable = !unreadable.is_empty();
            unreadable.clear();
            was_unreadable
        })
    }

    /// Blocks of a file that cannot be read.
    #[must_use]
    pub fn unreadable_blocks(&self, path: &FilePath) -> Vec<u64> {
        let mut blocks = Vec::new();
        self.with_file(path, |inner, id| {
            let unreadable = &inner.disk.node(id).unreadable;
            blocks.extend(unreadable.iter().map(|&block| block as u64));
            true
        });
        blocks
    }

    fn with_file(&self, path: &FilePath, work: impl FnOnce(&mut Inner, NodeId) -> bool) -> bool {
        let mut inner = self.inner.borrow_mut();
        let found = inner.disk.find(path);
        found.is_some_and(|id| work(&mut inner, id))
    }
}
