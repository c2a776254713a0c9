//! Identifiers. Record offsets are `i64` and byte positions are `u64` everywhere, so the two
//! cannot be mixed without a visible cast; everything else that names a thing is a newtype.

use std::fmt;

/// A shard: one core with its ring, memory, journal and partitions. Dense from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId(pub u16);

impl ShardId {
    /// The shard's place in arrays that have one element per shard.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "shard {}", self.0)
    }
}

/// A partition for the life of a data directory. Never reused, even after deletion. 0 is the
/// shard itself (owner of registry entries that belong to no partition).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartitionHandle(pub u64);

/// A topic's UUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicId(pub [u8; 16]);

/// A segment file. Unique over all shards of a data directory: `journal id << 40 | counter`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(pub u64);

/// A journal (one per shard), named in the root file. Never reused within a data directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JournalId(pub u16);

/// The caller's name for a request in flight; comes back in the event that answers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

impl Ticket {
    /// A ticket for which no event is wanted.
    pub const NONE: Self = Self(u64::MAX);
    /// The engine's own reads for compaction; callers never use it.
    pub const CLEANER: Self = Self(u64::MAX - 1);
}
