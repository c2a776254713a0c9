//! What a crash leaves of the disk.
//!
//! A kill keeps the caches. A power cut decides for every un-flushed sector: lost, kept, or, with
//! its whole block, noise; and for every changed name: any of the files it stood for since its
//! folder was flushed. Nothing that was not being written is touched.

use super::config::WorldCounters;
use super::disk::{ALL_SECTORS, BLOCK, Block, Disk, Node, NodeId, SECTOR};
use super::random::Random;
use std::rc::Rc;

/// How the un-flushed blocks of one file, or of one write, fare.
#[derive(Clone, Copy, Debug)]
enum Fate {
    AllLost,
    AllKept,
    /// The first ones kept, the rest lost.
    Prefix(u64),
    /// Each sector by itself old or new.
    Sectors,
    /// Each block by itself old, new or noise.
    Garbage,
    /// All of it: each block old, new, noise, or mixed by sector.
    Anything,
}

impl Fate {
    fn draw(random: &mut Random, blocks: u64) -> Self {
        match random.below(8) {
            0 => Self::AllLost,
            1 => Self::AllKept,
            2 => Self::Prefix(random.below(blocks + 1)),
            3 => Self::Sectors,
            4 | 5 => Self::Garbage,
            _ => Self::Anything,
        }
    }
}

/// What becomes of one block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BlockFate {
    Lost,
    Kept,
    Mixed,
    Noise,
}

fn block_fate(fate: Fate, nth: u64, random: &mut Random) -> BlockFate {
    match fate {
        Fate::AllLost => BlockFate::Lost,
        Fate::AllKept => BlockFate::Kept,
        Fate::Prefix(end) if nth < end => BlockFate::Kept,
        Fate::Prefix(end) if nth == end => BlockFate::Mixed,
        Fate::Prefix(_) => BlockFate::Lost,
        Fate::Sectors => BlockFate::Mixed,
        Fate::Garbage => {
            [BlockFate::Lost, BlockFate::Kept, BlockFate::Noise][random.below(3) as usize]
        }
        Fate::Anything => [
            BlockFate::Lost,
            BlockFate::Kept,
            BlockFate::Noise,
            BlockFate::Mixed,
        ][random.below(4) as usize],
    }
}

fn settle_block(
    block: &mut Block,
    fate: BlockFate,
    random: &mut Random,
    counters: &mut WorldCounters,
) {
    let dirty = std::mem::take(&mut block.dirty);
    let sectors = u64::from(dirty.count_ones());
    match fate {
        BlockFate::Lost => counters.sectors_lost += sectors,
        BlockFate::Kept => {
            counters.sectors_kept += sectors;
            block.durable.clone_from(&block.cached);
        }
        BlockFate::Mixed => {
            let kept = dirty & (random.bits() as u8);
            counters.sectors_kept += u64::from(kept.count_ones());
            counters.sectors_lost += sectors - u64::from(kept.count_ones());
            counters.blocks_torn += u64::from(kept != 0 && kept != ALL_SECTORS);
            let mut data = block.durable.as_deref().copied().unwrap_or([0; BLOCK]);
            let new = block.cached.as_deref().copied().unwrap_or([0; BLOCK]);
            for sector in (0..8).filter(|sector| kept & (1 << sector) != 0) {
                let range = sector * SECTOR..(sector + 1) * SECTOR;
                data[range.clone()].copy_from_slice(&new[range]);
            }
            block.durable = Some(Rc::new(data));
        }
        BlockFate::Noise => {
            counters.blocks_garbage += 1;
            let mut data = block.durable.as_deref().copied().unwrap_or([0; BLOCK]);
            if dirty == ALL_SECTORS && random.chance(3, 4) {
                random.fill(&mut data);
            } else {
                let sector = random.below(8) as usize;
                random.fill(&mut data[sector * SECTOR..(sector + 1) * SECTOR]);
            }
            block.durable = Some(Rc::new(data));
        }
    }
    block.cached.clone_from(&block.durable);
}

/// Settles the un-flushed blocks among `indexes`.
fn settle(node: &mut Node, indexes: &[u32], random: &mut Random, counters: &mut WorldCounters) {
    let fate = Fate::draw(random, indexes.len() as u64);
    for (nth, &index) in indexes.iter().enumerate() {
        let fate = block_fate(fate, nth as u64, random);
        let block = &mut node.blocks[index as usize];
        if fate != BlockFate::Lost {
            let end = (u64::from(index) + 1) * BLOCK as u64;
            node.durable_bytes = node.durable_bytes.max(end.min(node.bytes));
        }
        settle_block(block, fate, random, counters);
    }
}

impl Disk {
    /// A write that the power cut met in flight: `[from, to)` are its blocks, in the cache by
    /// now. It fares by itself, whatever becomes of the rest of its file.
    pub(super) fn cut_write(
        &mut self,
        id: NodeId,
        from: usize,
        to: usize,
        random: &mut Random,
        counters: &mut WorldCounters,
    ) {
        let node = self.node(id);
        let indexes: Vec<u32> = (from as u32..to as u32).collect();
        settle(node, &indexes, random, counters);
        let blocks = &node.blocks;
        node.dirty
            .retain(|&index| blocks[index as usize].dirty != 0);
    }

    /// The power fails.
    pub(super) fn cut_power(&mut self, random: &mut Random, counters: &mut WorldCounters) {
        for node in self.nodes.values_mut() {
            let mut indexes = std::mem::take(&mut node.dirty);
            if !indexes.is_empty() {
                indexes.sort_unstable();
                settle(node, &indexes, random, counters);
            }
            node.bytes = node.durable_bytes;
            node.open = 0;
            let blocks = (node.bytes as usize).div_ceil(BLOCK);
            node.blocks.truncate(blocks);
        }
        for folder in &mut self.folders {
            for (name, past) in std::mem::take(&mut folder.history) {
                let survivor = random.below(past.len() as u64) as usize;
                counters.names_lost += u64::from(survivor + 1 != past.len());
                match past[survivor] {
                    Some(node) => folder.durable.insert(name, node),
                    None => folder.durable.remove(&name),
                };
            }
            folder.cached.clone_from(&folder.durable);
        }
        self.forget_unnamed();
        self.recount();
    }

    /// The process dies: handles are gone, caches stay.
    pub(super) fn close_all(&mut self) {
        for node in self.nodes.values_mut() {
            node.open = 0;
        }
        self.forget_unnamed();
        self.recount();
    }

    fn forget_unnamed(&mut self) {
        let mut named = Vec::new();
        for folder in &self.folders {
            named.extend(folder.cached.values().copied());
            named.extend(folder.durable.values().copied());
            named.extend(folder.history.values().flatten().flatten().copied());
        }
        named.sort_unstable();
        self.nodes.retain(|id, _| named.binary_search(id).is_ok());
    }
}
