//! The simulated disk's content: files, folders, and what of them a crash may take.
//!
//! Each block has a durable and a cached image and a bit per 512-byte sector that differs in
//! standing; reads see the cache. Folder changes wait for a flush of the folder. [`Disk`] knows
//! no time and no operation: `operations` drives it, `crash` ruins it.

use super::random::Random;
use crate::io::{Dir, FilePath};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::rc::Rc;

/// A block, the unit of a direct write.
pub(super) const BLOCK: usize = 4096;
/// What a drive writes at once.
pub(super) const SECTOR: usize = 512;
/// Every sector of a block.
pub(super) const ALL_SECTORS: u8 = 0xff;

pub(super) type Data = [u8; BLOCK];

/// A file apart from its names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct NodeId(pub(super) u32);

/// One block of a file; `None` is all zeros.
#[derive(Clone, Debug, Default)]
pub(super) struct Block {
    pub(super) durable: Option<Rc<Data>>,
    pub(super) cached: Option<Rc<Data>>,
    /// What lay here before the last write, for a disk that lies.
    past: Option<Rc<Data>>,
    /// Sectors of `cached` that no flush covered.
    pub(super) dirty: u8,
}

/// A file's content.
#[derive(Debug, Default)]
pub(super) struct Node {
    pub(super) blocks: Vec<Block>,
    /// Blocks with dirty sectors, each once, in the order of their first write.
    pub(super) dirty: Vec<u32>,
    pub(super) bytes: u64,
    pub(super) durable_bytes: u64,
    pub(super) open: u32,
    /// Blocks that cannot be read until they are written.
    pub(super) unreadable: BTreeSet<usize>,
}

/// The names of one folder.
#[derive(Debug, Default)]
pub(super) struct Folder {
    pub(super) cached: BTreeMap<String, NodeId>,
    pub(super) durable: BTreeMap<String, NodeId>,
    /// What each name stood for since the last flush of the folder, oldest first.
    pub(super) history: BTreeMap<String, Vec<Option<NodeId>>>,
}

/// The whole disk.
#[derive(Debug)]
pub(super) struct Disk {
    pub(super) nodes: BTreeMap<NodeId, Node>,
    pub(super) folders: [Folder; 3],
    pub(super) space_bytes: u64,
    used_bytes: u64,
    next_node: u32,
}

const fn folder_index(dir: Dir) -> usize {
    match dir {
        Dir::Root => 0,
        Dir::Journal => 1,
        Dir::Segments => 2,
    }
}

const fn space_of(bytes: u64) -> u64 {
    bytes.next_multiple_of(BLOCK as u64)
}

impl Node {
    pub(super) fn block_mut(&mut self, index: usize) -> &mut Block {
        if self.blocks.len() <= index {
            self.blocks.resize_with(index + 1, Block::default);
        }
        &mut self.blocks[index]
    }

    fn mark_dirty(&mut self, index: usize, sectors: u8) {
        let block = &mut self.blocks[index];
        if block.dirty == 0 {
            self.dirty.push(index as u32);
        }
        block.dirty |= sectors;
    }

    /// Puts a whole block into the cache, un-flushed.
    pub(super) fn put_block(&mut self, index: usize, data: Option<Rc<Data>>) {
        self.unreadable.remove(&index);
        let block = self.block_mut(index);
        block.past = std::mem::replace(&mut block.cached, data);
        self.mark_dirty(index, ALL_SECTORS);
    }

    /// Makes the cache of these blocks durable.
    pub(super) fn flush_blocks(&mut self, from: usize, to: usize) {
        for index in from..to.min(self.blocks.len()) {
            let block = &mut self.blocks[index];
            if block.dirty != 0 {
                block.durable.clone_from(&block.cached);
                block.dirty = 0;
            }
        }
        let blocks = &self.blocks;
        self.dirty
            .retain(|&index| blocks[index as usize].dirty != 0);
    }

    /// Makes everything durable, the size too.
    pub(super) fn flush(&mut self) {
        for index in std::mem::take(&mut self.dirty) {
            let block = &mut self.blocks[index as usize];
            block.durable.clone_from(&block.cached);
            block.dirty = 0;
        }
        self.durable_bytes = self.bytes;
    }

    /// Forgets what was not flushed, as a kernel does with pages whose write-back failed.
    pub(super) fn forget_unflushed(&mut self) {
        for index in std::mem::take(&mut self.dirty) {
            let block = &mut self.blocks[index as usize];
            block.cached.clone_from(&block.durable);
            block.dirty = 0;
        }
    }

    /// Whether other bytes lay in these blocks before they were written last.
    pub(super) fn differs_when_stale(&self, blocks: Range<usize>) -> bool {
        let end = blocks.end.min(self.blocks.len());
        let blocks = self.blocks.get(blocks.start..end).unwrap_or_default();
        let bytes = |image: &Option<Rc<Data>>| image.as_deref().copied().unwrap_or([0; BLOCK]);
        let differs = |block: &Block| bytes(&block.past) != bytes(&block.cached);
        blocks.iter().any(differs)
    }

    /// Gives `[position, position + length)` to `out`, cut at the end of the file.
    pub(super) fn read(&self, position: u64, length: u64, stale: bool, out: &mut dyn FnMut(&[u8])) {
        static ZEROS: Data = [0; BLOCK];
        let mut at = position;
        let file_end = self.bytes.min(position + length);
        while at < file_end {
            let block = self.blocks.get((at / BLOCK as u64) as usize);
            let data = block.and_then(|block| {
                let image = if stale { &block.past } else { &block.cached };
                image.as_deref()
            });
            let within = (at % BLOCK as u64) as usize;
            let end = (file_end - at).min((BLOCK - within) as u64) as usize + within;
            out(&data.unwrap_or(&ZEROS)[within..end]);
            at += (end - within) as u64;
        }
    }
}

impl Disk {
    pub(super) fn new(space_bytes: u64) -> Self {
        Self {
            nodes: BTreeMap::new(),
            folders: std::array::from_fn(|_| Folder::default()),
            space_bytes,
            used_bytes: 0,
            next_node: 0,
        }
    }

    pub(super) const fn used_bytes(&self) -> u64 {
        self.used_bytes
    }

    pub(super) fn free_bytes(&self) -> u64 {
        self.space_bytes.saturating_sub(self.used_bytes)
    }

    pub(super) fn folder(&self, dir: Dir) -> &Folder {
        &self.folders[folder_index(dir)]
    }

    pub(super) fn find(&self, path: &FilePath) -> Option<NodeId> {
        self.folder(path.dir).cached.get(&path.name).copied()
    }

    pub(super) fn node(&mut self, id: NodeId) -> &mut Node {
        self.nodes
            .get_mut(&id)
            .expect("a named or open file has a node")
    }

    fn set_name(&mut self, path: &FilePath, node: Option<NodeId>) {
        let folder = &mut self.folders[folder_index(path.dir)];
        let before = match node {
            Some(node) => folder.cached.insert(path.name.clone(), node),
            None => folder.cached.remove(&path.name),
        };
        let history = folder.history.entry(path.name.clone()).or_default();
        if history.is_empty() {
            history.push(before);
        }
        history.push(node);
    }

    /// Makes a new name with a new empty file; `None` when the name is taken.
    pub(super) fn create(&mut self, path: &FilePath) -> Option<NodeId> {
        if self.find(path).is_some() {
            return None;
        }
        let id = NodeId(self.next_node);
        self.next_node += 1;
        self.nodes.insert(id, Node::default());
        self.set_name(path, Some(id));
        Some(id)
    }

    /// Removes a name. The file's space is free at once unless it is open; its content stays
    /// for as long as a crash could bring the name back.
    pub(super) fn unlink(&mut self, path: &FilePath) {
        if let Some(id) = self.find(path) {
            self.set_name(path, None);
            if self.nodes.get(&id).is_some_and(|node| node.open == 0) {
                let bytes = self.node(id).bytes;
                self.used_bytes -= space_of(bytes);
            }
            self.collect(id);
        }
    }

    /// Makes the folder's names durable.
    pub(super) fn sync_folder(&mut self, dir: Dir) {
        let folder = &mut self.folders[folder_index(dir)];
        folder.durable.clone_from(&folder.cached);
        let history = std::mem::take(&mut folder.history);
        for id in history.into_values().flatten().flatten() {
            self.collect(id);
        }
    }

    pub(super) fn opened(&mut self, id: NodeId) {
        self.node(id).open += 1;
    }

    pub(super) fn closed(&mut self, id: NodeId) {
        let node = self.node(id);
        node.open -= 1;
        let bytes = node.bytes;
        if node.open == 0 && !self.is_named(id) {
            self.used_bytes -= space_of(bytes);
        }
        self.collect(id);
    }

    fn is_named(&self, id: NodeId) -> bool {
        self.folders
            .iter()
            .any(|folder| folder.cached.values().any(|&named| named == id))
    }

    fn collect(&mut self, id: NodeId) {
        let remembered = |folder: &Folder| {
            let mut past = folder.history.values().flatten().flatten();
            folder.durable.values().any(|&named| named == id) || past.any(|&named| named == id)
        };
        let is_open = self.nodes.get(&id).is_some_and(|node| node.open > 0);
        if !is_open && !self.is_named(id) && !self.folders.iter().any(remembered) {
            self.nodes.remove(&id);
        }
    }

    /// Takes the space that a file of `to` bytes needs more than now; false when there is none.
    pub(super) fn grow(&mut self, id: NodeId, to: u64) -> bool {
        let bytes = self.node(id).bytes;
        let more = space_of(to).saturating_sub(space_of(bytes));
        if more > self.free_bytes() {
            return false;
        }
        self.used_bytes += more;
        let node = self.node(id);
        node.bytes = bytes.max(to);
        true
    }

    /// Counts the used space anew from the names; after a crash, when no file is open.
    pub(super) fn recount(&mut self) {
        let named = |folder: &Folder| folder.cached.values().copied().collect::<Vec<_>>();
        let ids: Vec<NodeId> = self.folders.iter().flat_map(named).collect();
        self.used_bytes = ids.iter().map(|&id| space_of(self.node(id).bytes)).sum();
    }

    /// Replaces a small file's whole content and flushes it; false when the disk is full.
    pub(super) fn replace(&mut self, id: NodeId, content: &[u8]) -> bool {
        if !self.grow(id, content.len() as u64) {
            return false;
        }
        let released = space_of(self.node(id).bytes) - space_of(content.len() as u64);
        self.used_bytes -= released;
        let node = self.node(id);
        node.bytes = content.len() as u64;
        let blocks = content.len().div_ceil(BLOCK);
        for index in blocks..node.blocks.len() {
            node.put_block(index, None);
        }
        for (index, chunk) in content.chunks(BLOCK).enumerate() {
            let mut data = [0; BLOCK];
            data[..chunk.len()].copy_from_slice(chunk);
            node.put_block(index, Some(Rc::new(data)));
        }
        true
    }

    /// Turns one bit of one block over, in both images: the medium is wrong.
    pub(super) fn flip_bit(&mut self, id: NodeId, index: usize, random: &mut Random) {
        let bit = random.below(BLOCK as u64 * 8) as usize;
        let block = self.node(id).block_mut(index);
        for image in [&mut block.durable, &mut block.cached] {
            let data = Rc::make_mut(image.get_or_insert_with(|| Rc::new([0; BLOCK])));
            data[bit / 8] ^= 1 << (bit % 8);
        }
    }
}
