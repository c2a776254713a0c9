//! Bytes of the segment files. All fields are little-endian.
//!
//! ```text
//! {file id:016x}.seg  block 0: identity   bytes 4096..: record batches as on the wire
//! {file id:016x}.idx  blocks of 4096, each for 170 granules of the .seg file
//! ```
//! An index block is written once: when its granules are complete, or at the segment's end.

use super::granules::GranuleOwner;
use super::index::{GranuleEntry, SegmentIndex};
use crate::ids::{FileId, PartitionHandle, TopicId};
use crate::limits::BLOCK_BYTES;
use zerocopy::byteorder::little_endian::{I32, I64, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// First bytes of a segment file.
pub const SEGMENT_MAGIC: [u8; 8] = *b"MILLSEG1";
/// First bytes of an index block.
pub const INDEX_MAGIC: [u8; 4] = *b"MIX1";
/// Granules per index block.
pub const INDEX_BLOCK_ENTRIES: usize = 170;

const BLOCK: usize = BLOCK_BYTES as usize;

/// Name of a segment's record file.
#[must_use]
pub fn segment_name(file: FileId) -> String {
    format!("{:016x}.seg", file.0)
}

/// Name of a segment's index file.
#[must_use]
pub fn index_name(file: FileId) -> String {
    format!("{:016x}.idx", file.0)
}

/// Whose a segment file is, as its block 0 says. Written once, when the file is made or taken over,
/// and on stable storage before any record: a file whose identity does not fit what journal and
/// checkpoint say of it holds nothing of ours. So nothing of it may depend on a later roll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentIdentity {
    /// The topic.
    pub topic_id: TopicId,
    /// The partition's index in the topic.
    pub index: i32,
    /// The partition.
    pub handle: PartitionHandle,
    /// The file itself.
    pub file: FileId,
    /// How often it was reused.
    pub generation: u32,
}

#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct IdentityBlock {
    magic: [u8; 8],
    crc: U32,
    generation: U32,
    topic_id: [u8; 16],
    handle: U64,
    file: U64,
    index: I32,
    zeros: [u8; BLOCK - 52],
}

#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct IndexBlock {
    magic: [u8; 4],
    crc: U32,
    number: U32,
    entry_count: U32,
    entries: [IndexEntry; INDEX_BLOCK_ENTRIES],
}

#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct IndexEntry {
    crc: U32,
    position: U32,
    offset_delta: U32,
    reserved: U32,
    max_timestamp: I64,
}

const _: () = assert!(size_of::<IdentityBlock>() == BLOCK);
const _: () = assert!(size_of::<IndexBlock>() == BLOCK);
/// Where what the block's own crc covers begins.
const IDENTITY_CRC_FROM: usize = 12;
const INDEX_CRC_FROM: usize = 8;

impl SegmentIdentity {
    /// The bytes of block 0.
    #[must_use]
    pub fn encode(&self) -> [u8; BLOCK] {
        let mut block = IdentityBlock {
            magic: SEGMENT_MAGIC,
            crc: U32::ZERO,
            generation: self.generation.into(),
            topic_id: self.topic_id.0,
            handle: self.handle.0.into(),
            file: self.file.0.into(),
            index: self.index.into(),
            zeros: [0; BLOCK - 52],
        };
        block.crc = crc32c::crc32c(&block.as_bytes()[IDENTITY_CRC_FROM..]).into();
        zerocopy::transmute!(block)
    }

    /// Reads block 0; `None` when it is not a whole identity.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (block, _) = IdentityBlock::ref_from_prefix(bytes).ok()?;
        let crc = crc32c::crc32c(&block.as_bytes()[IDENTITY_CRC_FROM..]);
        (block.magic == SEGMENT_MAGIC && block.crc.get() == crc).then(|| Self {
            topic_id: TopicId(block.topic_id),
            index: block.index.get(),
            handle: PartitionHandle(block.handle.get()),
            file: FileId(block.file.get()),
            generation: block.generation.get(),
        })
    }
}

/// The bytes of index block `number`.
pub(crate) fn encode_index_block(
    owner: &GranuleOwner,
    index: &SegmentIndex,
    number: u32,
) -> [u8; BLOCK] {
    let first = number as usize * INDEX_BLOCK_ENTRIES;
    let last = (first + INDEX_BLOCK_ENTRIES).min(index.granules.len());
    let mut block = IndexBlock::new_zeroed_block(number, last.saturating_sub(first) as u32);
    for (to, entry) in block.entries.iter_mut().zip(&index.granules[first..last]) {
        *to = IndexEntry {
            crc: entry.crc.into(),
            position: entry.position.into(),
            offset_delta: entry.offset_delta.into(),
            reserved: U32::ZERO,
            max_timestamp: entry.max_timestamp.into(),
        };
    }
    block.crc = index_crc(owner, &block).into();
    zerocopy::transmute!(block)
}

/// Adds the granules of index block `number` to `index`; `None` when the block is damaged or not
/// this segment's.
pub(crate) fn decode_index_block(
    owner: &GranuleOwner,
    bytes: &[u8],
    number: u32,
    index: &mut SegmentIndex,
) -> Option<()> {
    let (block, _) = IndexBlock::ref_from_prefix(bytes).ok()?;
    let is_ours = block.magic == INDEX_MAGIC
        && block.number.get() == number
        && block.entry_count.get() as usize <= INDEX_BLOCK_ENTRIES
        && block.crc.get() == index_crc(owner, block)
        && index.granules.len() == number as usize * INDEX_BLOCK_ENTRIES;
    if !is_ours {
        return None;
    }
    for entry in &block.entries[..block.entry_count.get() as usize] {
        index.granules.push(GranuleEntry {
            crc: entry.crc.get(),
            position: entry.position.get(),
            offset_delta: entry.offset_delta.get(),
            max_timestamp: entry.max_timestamp.get(),
        });
    }
    index.complete = index.granules.len() as u32;
    Some(())
}

fn index_crc(owner: &GranuleOwner, block: &IndexBlock) -> u32 {
    crc32c::crc32c_append(owner.seed(0), &block.as_bytes()[INDEX_CRC_FROM..])
}

impl IndexBlock {
    fn new_zeroed_block(number: u32, entry_count: u32) -> Self {
        let zero = IndexEntry {
            crc: U32::ZERO,
            position: U32::ZERO,
            offset_delta: U32::ZERO,
            reserved: U32::ZERO,
            max_timestamp: I64::ZERO,
        };
        Self {
            magic: INDEX_MAGIC,
            crc: U32::ZERO,
            number: number.into(),
            entry_count: entry_count.into(),
            entries: [zero; INDEX_BLOCK_ENTRIES],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner() -> GranuleOwner {
        GranuleOwner {
            topic_id: TopicId([7; 16]),
            index: 3,
            file: FileId(9),
            generation: 1,
        }
    }

    #[test]
    fn an_identity_reads_back_and_a_flipped_bit_does_not() {
        let identity = SegmentIdentity {
            topic_id: TopicId([7; 16]),
            index: 3,
            handle: PartitionHandle(5),
            file: FileId(9),
            generation: 2,
        };
        let mut block = identity.encode();
        assert_eq!(SegmentIdentity::decode(&block), Some(identity));
        for at in [0, 9, 13, 40, 67, 4095] {
            block[at] ^= 1;
            assert_eq!(SegmentIdentity::decode(&block), None, "byte {at}");
            block[at] ^= 1;
        }
        assert_eq!(SegmentIdentity::decode(&block[..4095]), None);
    }

    #[test]
    fn an_index_reads_back_block_by_block_and_only_by_its_owner() {
        let mut index = SegmentIndex::default();
        for granule in 0..400u32 {
            index.note_batch(granule * 65_536 + 4096, granule * 3, i64::from(granule));
            index.complete(granule, granule ^ 77);
        }
        let mut found = SegmentIndex::default();
        for number in 0..3 {
            let mut block = encode_index_block(&owner(), &index, number);
            let mut other = owner();
            other.generation += 1;
            assert!(decode_index_block(&other, &block, number, &mut found).is_none());
            block[100] ^= 4;
            assert!(decode_index_block(&owner(), &block, number, &mut found).is_none());
            block[100] ^= 4;
            assert!(decode_index_block(&owner(), &block, number + 1, &mut found).is_none());
            decode_index_block(&owner(), &block, number, &mut found).unwrap();
        }
        assert_eq!(found.granules, index.granules);
        assert_eq!(found.complete, 400);
    }
}
