//! The content of a disk: blocks that copies share until one of them is written.

use std::sync::Arc;

/// Bytes of a block.
pub const BLOCK_BYTES: usize = 4096;

/// A disk. Blocks that nobody wrote are zero and take no memory.
#[derive(Clone, Debug, Default)]
pub struct Blocks {
    blocks: Vec<Option<Arc<[u8; BLOCK_BYTES]>>>,
}

impl Blocks {
    /// A disk of `bytes`, rounded down to whole blocks, all zero.
    #[must_use]
    pub fn new(bytes: u64) -> Self {
        Self {
            blocks: vec![None; usize::try_from(bytes).unwrap_or(0) / BLOCK_BYTES],
        }
    }

    /// Its size.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        (self.blocks.len() * BLOCK_BYTES) as u64
    }

    /// Fills `into` from `position` on; behind the end of the disk with zeros.
    pub fn read(&self, position: u64, into: &mut [u8]) {
        for (index, at, piece) in pieces(position, into.len()) {
            let into = &mut into[piece];
            match self.blocks.get(index) {
                Some(Some(block)) => into.copy_from_slice(&block[at..at + into.len()]),
                Some(None) | None => into.fill(0),
            }
        }
    }

    /// Writes `bytes` at `position`; what lies behind the end of the disk is left out.
    pub fn write(&mut self, position: u64, bytes: &[u8]) {
        for (index, at, piece) in pieces(position, bytes.len()) {
            let bytes = &bytes[piece];
            if let Some(block) = self.blocks.get_mut(index) {
                let block = block.get_or_insert_with(|| Arc::new([0; BLOCK_BYTES]));
                Arc::make_mut(block)[at..at + bytes.len()].copy_from_slice(bytes);
            }
        }
    }

    /// The blocks that were ever written, with their numbers.
    pub fn written(&self) -> impl Iterator<Item = (usize, &[u8; BLOCK_BYTES])> {
        let numbered = self.blocks.iter().enumerate();
        numbered.filter_map(|(index, block)| Some((index, &**block.as_ref()?)))
    }
}

/// Cuts a range at the bounds of blocks: number of the block, place in it, part of the range.
pub(super) fn pieces(
    position: u64,
    length: usize,
) -> impl Iterator<Item = (usize, usize, std::ops::Range<usize>)> {
    let position = usize::try_from(position).unwrap_or(usize::MAX / 2);
    let mut done = 0;
    std::iter::from_fn(move || {
        let (index, at) = (
            (position + done) / BLOCK_BYTES,
            (position + done) % BLOCK_BYTES,
        );
        let end = length.min(done + BLOCK_BYTES - at);
        let piece = done..end;
        done = end;
        (!piece.is_empty()).then_some((index, at, piece))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_is_read_back_across_blocks_and_leaves_copies_alone() {
        let mut disk = Blocks::new(3 * 4096);
        let copy = disk.clone();
        disk.write(4000, &[7; 5000]);
        let mut found = vec![1; 12_288];
        disk.read(0, &mut found);
        assert!(found[..4000].iter().all(|&byte| byte == 0));
        assert!(found[4000..9000].iter().all(|&byte| byte == 7));
        assert!(found[9000..].iter().all(|&byte| byte == 0));
        assert_eq!(disk.written().count(), 3);
        assert_eq!(copy.written().count(), 0);
    }

    #[test]
    fn nothing_lies_behind_the_end() {
        let mut disk = Blocks::new(4096);
        disk.write(4090, &[5; 100]);
        let mut found = [1; 10];
        disk.read(4090, &mut found);
        assert_eq!(found, [5, 5, 5, 5, 5, 5, 0, 0, 0, 0]);
        assert_eq!(disk.bytes(), 4096);
    }
}
