//! Names for the shard's own operations of [`Class::Log`]: what an operation is for, and which of
//! its kind. The shard reads a completion's token to find the part of it that is waiting.

use crate::io::{Class, Token};

const SLOT_BITS: u32 = 56;
const SLOT_MASK: u64 = (1 << SLOT_BITS) - 1;

/// What an operation of `Class::Log` is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum LogKind {
    /// The file table opens a file.
    OpenFile = 1,
    /// A step of making segment space.
    Prepare = 2,
    /// One folder sync for all files made or removed since the one before.
    SyncSegments = 3,
    /// Removal of a released file.
    Unlink = 4,
    /// A step of the ballast.
    Ballast = 5,
    /// Listing for orphans.
    Sweep = 6,
    /// A read of a stretch for readers.
    ColdRead = 7,
    /// A sealed segment's index.
    LoadIndex = 8,
    /// Write-back into a segment.
    WriteBack = 9,
    /// A placed write.
    Placed = 10,
    /// A write into an index file.
    WriteIndex = 11,
    /// The partial last block of a partition whose memory was dropped.
    TailRead = 12,
    /// A write of compaction into a segment or index file of its own.
    CleanWrite = 13,
    /// A computation of compaction.
    CleanWork = 14,
    /// The folder sync behind the names of files that compaction made.
    CleanSync = 15,
}

const KINDS: [LogKind; 15] = [
    LogKind::OpenFile,
    LogKind::Prepare,
    LogKind::SyncSegments,
    LogKind::Unlink,
    LogKind::Ballast,
    LogKind::Sweep,
    LogKind::ColdRead,
    LogKind::LoadIndex,
    LogKind::WriteBack,
    LogKind::Placed,
    LogKind::WriteIndex,
    LogKind::TailRead,
    LogKind::CleanWrite,
    LogKind::CleanWork,
    LogKind::CleanSync,
];

impl LogKind {
    /// The key of operation `slot` of this kind. Also names who waits for a file to open.
    #[must_use]
    pub const fn key(self, slot: u64) -> u64 {
        assert!(slot <= SLOT_MASK);
        ((self as u64) << SLOT_BITS) | slot
    }

    /// The token of operation `slot` of this kind.
    #[must_use]
    pub const fn token(self, slot: u64) -> Token {
        Token {
            class: Class::Log,
            key: self.key(slot),
        }
    }

    /// What a key of `Class::Log` means. `None` for a key this module did not make.
    #[must_use]
    pub fn parse(key: u64) -> Option<(Self, u64)> {
        let kind = (key >> SLOT_BITS) as usize;
        let kind = *KINDS.get(kind.checked_sub(1)?)?;
        Some((kind, key & SLOT_MASK))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_read_back_from_its_key() {
        for kind in KINDS {
            assert_eq!(LogKind::parse(kind.key(77)), Some((kind, 77)));
        }
        assert_eq!(LogKind::parse(77), None);
        assert_eq!(LogKind::parse(u64::MAX), None);
    }
}
