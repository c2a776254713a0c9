//! Block 0 of a segment file: who the file belongs to since its latest reuse.
//!
//! It is on stable storage before any record is written to the file, so a file whose identity does
//! not fit what journal and checkpoint say of it holds nothing of ours. The base offset of the
//! segment is not in it: files are made before the roll that decides it, and the first batch says
//! it at the first byte behind this block.
//!
//! ```text
//! magic u64 | layout u32 | generation u32 | file id u64 | handle u64 | topic id [16] | index i32
//! | zeros up to 4092 | crc32c u32 over everything before it          (all little-endian)
//! ```

use crate::ids::{FileId, PartitionHandle, TopicId};
use crate::limits::BLOCK_BYTES;

const MAGIC: u64 = u64::from_le_bytes(*b"MLRCSEG\0");
const LAYOUT: u32 = 1;
const CRC_AT: usize = BLOCK_BYTES as usize - 4;

/// Whose segment a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The partition.
    pub handle: PartitionHandle,
    /// Its topic.
    pub topic_id: TopicId,
    /// Its index in the topic.
    pub index: i32,
}

/// What block 0 of a segment file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The file it lies in.
    pub file: FileId,
    /// How often the file was reused.
    pub generation: u32,
    /// The partition.
    pub owner: Owner,
}

impl Identity {
    /// The bytes of block 0.
    #[must_use]
    pub fn encode(&self) -> [u8; BLOCK_BYTES as usize] {
        let mut block = [0; BLOCK_BYTES as usize];
        let mut at = 0;
        let mut put = |bytes: &[u8]| {
            block[at..at + bytes.len()].copy_from_slice(bytes);
            at += bytes.len();
        };
        put(&MAGIC.to_le_bytes());
        put(&LAYOUT.to_le_bytes());
        put(&self.generation.to_le_bytes());
        put(&self.file.0.to_le_bytes());
        put(&self.owner.handle.0.to_le_bytes());
        put(&self.owner.topic_id.0);
        put(&self.owner.index.to_le_bytes());
        let crc = crc32c::crc32c(&block[..CRC_AT]);
        block[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        block
    }

    /// Reads block 0. `None` when it is no whole identity block.
    #[must_use]
    pub fn decode(block: &[u8]) -> Option<Self> {
        let (body, crc) = block
            .get(..BLOCK_BYTES as usize)?
            .split_at_checked(CRC_AT)?;
        if crc32c::crc32c(body).to_le_bytes() != crc {
            return None;
        }
        let mut rest = body;
        if u64::from_le_bytes(take(&mut rest)?) != MAGIC
            || u32::from_le_bytes(take(&mut rest)?) != LAYOUT
        {
            return None;
        }
        Some(Self {
            generation: u32::from_le_bytes(take(&mut rest)?),
            file: FileId(u64::from_le_bytes(take(&mut rest)?)),
            owner: Owner {
                handle: PartitionHandle(u64::from_le_bytes(take(&mut rest)?)),
                topic_id: TopicId(take(&mut rest)?),
                index: i32::from_le_bytes(take(&mut rest)?),
            },
        })
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (first, behind) = rest.split_first_chunk()?;
    *rest = behind;
    Some(*first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> Identity {
        Identity {
            file: FileId(0x0003_0000_0000_0007),
            generation: 9,
            owner: Owner {
                handle: PartitionHandle(41),
                topic_id: TopicId([7; 16]),
                index: 3,
            },
        }
    }

    #[test]
    fn an_identity_is_read_back() {
        assert_eq!(Identity::decode(&identity().encode()), Some(identity()));
    }

    #[test]
    fn any_flipped_bit_makes_an_identity_unreadable() {
        for bit in 0..BLOCK_BYTES as usize * 8 {
            let mut block = identity().encode();
            block[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Identity::decode(&block), None, "bit {bit}");
        }
    }

    #[test]
    fn zeros_and_short_blocks_are_no_identity() {
        assert_eq!(Identity::decode(&[0; BLOCK_BYTES as usize]), None);
        assert_eq!(Identity::decode(&identity().encode()[..4095]), None);
        assert_eq!(Identity::decode(&[]), None);
    }
}
