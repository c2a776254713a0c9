//! A data directory as an offline tool sees it: bytes in, findings out, no I/O.
//!
//! A broker trusts its checkpoint for what a segment holds. This reads a segment from its own
//! bytes alone: whose it is, what its index file says, whether each granule still has the checksum
//! that was written, and which batches lie in it.

use crate::ids::{FileId, JournalId};
use crate::journal::checkpoint::Copy;
use crate::limits::{BLOCK_BYTES, GRANULE_BYTES};
use crate::segment::file_format::{INDEX_BLOCK_ENTRIES, SegmentIdentity, decode_index_block};
use crate::segment::granules::GranuleOwner;
use crate::segment::index::SegmentIndex;
use crate::shard::ring_files::{copy_path, ring_path};

/// Name of a file of a journal's ring.
#[must_use]
pub fn ring_file_name(journal: JournalId, index: u32) -> String {
    ring_path(journal, index).name
}

/// Name of a checkpoint copy.
#[must_use]
pub fn checkpoint_name(journal: JournalId, copy: Copy) -> String {
    copy_path(journal, copy).name
}

/// A segment's identity and what of its index file counts.
#[derive(Debug)]
pub struct SegmentView {
    identity: SegmentIdentity,
    owner: GranuleOwner,
    index: SegmentIndex,
    /// First block of the index file that does not count, if there is one.
    index_end: Option<u32>,
}

impl SegmentView {
    /// Reads block 0 of a segment file and its whole index file. `None`: block 0 is no identity of
    /// a segment with records, or names another file.
    #[must_use]
    pub fn read(file: FileId, block: &[u8], index_file: &[u8]) -> Option<Self> {
        let identity = SegmentIdentity::decode(block).filter(|found| found.file == file)?;
        let owner = GranuleOwner {
            topic_id: identity.topic_id,
            index: identity.index,
            file,
            generation: identity.generation,
        };
        let mut view = Self {
            identity,
            owner,
            index: SegmentIndex::default(),
            index_end: None,
        };
        for (number, block) in (0..).zip(index_file.chunks(BLOCK_BYTES as usize)) {
            if decode_index_block(&owner, block, number, &mut view.index).is_none() {
                view.index_end = Some(number);
                break;
            }
        }
        Some(view)
    }

    /// Whose it is.
    #[must_use]
    pub const fn identity(&self) -> &SegmentIdentity {
        &self.identity
    }

    /// Granules whose checksum the index file knows.
    #[must_use]
    pub const fn granule_count(&self) -> usize {
        self.index.granules.len()
    }

    /// First block of the index file that is damaged, of an older use of the file, or empty.
    #[must_use]
    pub const fn index_end(&self) -> Option<u32> {
        self.index_end
    }

    /// Whether a later block of the index file counts, so that the first one that does not is
    /// damage and not the end.
    #[must_use]
    pub fn has_index_hole(&self, index_file: &[u8]) -> bool {
        let Some(first_bad) = self.index_end else {
            return false;
        };
        let blocks = (0..).zip(index_file.chunks(BLOCK_BYTES as usize));
        blocks.skip(first_bad as usize + 1).any(|(number, block)| {
            let mut probe = SegmentIndex::default();
            let empty = crate::segment::index::GranuleEntry::EMPTY;
            probe
                .granules
                .resize(number as usize * INDEX_BLOCK_ENTRIES, empty);
            decode_index_block(&self.owner, block, number, &mut probe).is_some()
        })
    }

    /// Compares granule `number` with its checksum; `bytes` begin at its start and end with it, or
    /// with the segment's records. `None`: right, or not known to the index file.
    #[must_use]
    pub fn granule_fault(&self, number: usize, bytes: &[u8]) -> Option<GranuleFault> {
        let stored = self.index.granules.get(number)?.crc;
        let position = number as u64 * GRANULE_BYTES;
        let computed = crc32c::crc32c_append(self.owner.seed(position), bytes);
        (stored != computed).then_some(GranuleFault {
            position,
            stored,
            computed,
        })
    }
}

/// A granule that is not what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("granule at position {position} has crc {stored:#010x}, computed {computed:#010x}")]
pub struct GranuleFault {
    /// Where it begins.
    pub position: u64,
    /// What the index file says.
    pub stored: u32,
    /// What its bytes give.
    pub computed: u32,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{PartitionHandle, TopicId};
    use crate::segment::file_format::encode_index_block;

    fn identity() -> SegmentIdentity {
        SegmentIdentity {
            topic_id: TopicId([7; 16]),
            index: 3,
            handle: PartitionHandle(5),
            file: FileId(9),
            generation: 2,
        }
    }

    /// An index file of `granules` granules whose bytes all are their number.
    fn index_file(granules: u32) -> Vec<u8> {
        let view = SegmentView::read(FileId(9), &identity().encode(), &[]).unwrap();
        let mut index = SegmentIndex::default();
        for number in 0..granules {
            let seed = view.owner.seed(u64::from(number) * GRANULE_BYTES);
            index.complete(number, crc32c::crc32c_append(seed, &granule(number)));
        }
        let blocks = 0..granules.div_ceil(INDEX_BLOCK_ENTRIES as u32);
        blocks
            .flat_map(|number| encode_index_block(&view.owner, &index, number))
            .collect()
    }

    fn granule(number: u32) -> Vec<u8> {
        vec![number as u8; GRANULE_BYTES as usize]
    }

    #[test]
    fn right_granules_give_no_fault_and_changed_or_moved_ones_do() {
        let view = SegmentView::read(FileId(9), &identity().encode(), &index_file(4)).unwrap();
        assert_eq!((view.granule_count(), view.index_end()), (4, None));
        for number in 0..4_u32 {
            assert_eq!(view.granule_fault(number as usize, &granule(number)), None);
        }
        let mut changed = granule(2);
        changed[77] ^= 1;
        let fault = view.granule_fault(2, &changed).unwrap();
        assert_eq!(fault.position, 2 * GRANULE_BYTES);
        assert!(view.granule_fault(1, &granule(2)).is_some());
        assert_eq!(view.granule_fault(4, &granule(4)), None);
    }

    #[test]
    fn a_damaged_index_block_is_told_from_the_end_by_what_follows() {
        let whole = index_file(400);
        let mut damaged = whole.clone();
        damaged[BLOCK_BYTES as usize + 50] ^= 1;
        let view = SegmentView::read(FileId(9), &identity().encode(), &damaged).unwrap();
        assert_eq!(view.index_end(), Some(1));
        assert!(view.has_index_hole(&damaged));
        let ended = [&whole[..BLOCK_BYTES as usize], &[0; 4096]].concat();
        let view = SegmentView::read(FileId(9), &identity().encode(), &ended).unwrap();
        assert_eq!(view.granule_count(), INDEX_BLOCK_ENTRIES);
        assert!(!view.has_index_hole(&ended));
    }

    #[test]
    fn block_0_of_another_file_or_of_zeros_is_no_segment() {
        assert!(SegmentView::read(FileId(8), &identity().encode(), &[]).is_none());
        assert!(SegmentView::read(FileId(9), &[0; 4096], &[]).is_none());
    }
}
