//! Block 0 of a segment file: who the file belongs to since its latest reuse.
//!
//! It is on stable storage before any record is written to the file, so a file whose identity does
//! not fit what journal and checkpoint say of it holds nothing of ours. The base offset of the
//! segment is not in it: files are made before the roll that decides it, and the first batch says
//! it at the first byte behind this block.
//! Its bytes are those of [`SegmentIdentity`].

use crate::ids::{FileId, PartitionHandle, TopicId};
use crate::limits::BLOCK_BYTES;
use crate::segment::file_format::SegmentIdentity;

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
        SegmentIdentity {
            topic_id: self.owner.topic_id,
            index: self.owner.index,
            handle: self.owner.handle,
            file: self.file,
            generation: self.generation,
        }
        .encode()
    }

    /// Reads block 0. `None` when it is no whole identity block.
    #[must_use]
    pub fn decode(block: &[u8]) -> Option<Self> {
        let found = SegmentIdentity::decode(block)?;
        Some(Self {
            file: found.file,
            generation: found.generation,
            owner: Owner {
                handle: found.handle,
                topic_id: found.topic_id,
                index: found.index,
            },
        })
    }
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
