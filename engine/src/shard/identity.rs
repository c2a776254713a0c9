//! Whose segment a file becomes, and block 0 that says so on disk.
//!
//! Preparation writes an identity before it reports any space, and nobody writes it again: no
//! record lies in a file that names another owner, and no torn write can touch the block while
//! records depend on it. Files are made before the roll that decides offset and time, so the
//! identity holds neither.

use crate::ids::{FileId, PartitionHandle, TopicId};
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

impl Owner {
    /// The identity of a file of this owner.
    #[must_use]
    pub const fn identity(&self, file: FileId, generation: u32) -> SegmentIdentity {
        SegmentIdentity {
            topic_id: self.topic_id,
            index: self.index,
            handle: self.handle,
            file,
            generation,
        }
    }

    /// Whether block 0 of a file says that it is this owner's `generation` of `file`.
    #[must_use]
    pub fn owns(&self, file: FileId, generation: u32, block: &[u8]) -> bool {
        SegmentIdentity::decode(block) == Some(self.identity(file, generation))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_knows_its_files() {
        let owner = Owner {
            handle: PartitionHandle(41),
            topic_id: TopicId([7; 16]),
            index: 3,
        };
        let identity = owner.identity(FileId(5), 2);
        assert!(owner.owns(FileId(5), 2, &identity.encode()));
        assert!(!owner.owns(FileId(5), 3, &identity.encode()));
        assert!(!owner.owns(FileId(6), 2, &identity.encode()));
        let other = Owner { index: 4, ..owner };
        assert!(!other.owns(FileId(5), 2, &identity.encode()));
        assert!(!owner.owns(FileId(5), 2, &[0; 4096]));
    }
}
