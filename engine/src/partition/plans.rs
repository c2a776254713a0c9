//! What a partition wants done and what it works with: writes, space, files, the shard's memory and
//! time. Plain data.

use super::DiskRead;
use crate::ids::FileId;
use crate::io::arena::{Arena, ArenaSlice};

/// Which file of a segment a write goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteTarget {
    /// The `.seg` file.
    Records,
    /// The `.idx` file.
    Index,
}

/// A write to a segment file, planned by the partition, done by the shard, always durable.
#[derive(Debug)]
pub struct SegmentWrite {
    /// Which segment file.
    pub file: FileId,
    /// Its generation.
    pub generation: u32,
    /// `.seg` or `.idx`.
    pub target: WriteTarget,
    /// Block-aligned.
    pub position: u64,
    /// Block-aligned slices.
    pub parts: Vec<ArenaSlice>,
    /// Sum of the slices, at most `WRITE_BYTES_MAX`.
    pub bytes: u64,
    /// The partition's name for it, given back to `write_done`.
    pub id: u64,
}

/// A segment file the partition needs no more. It is free for others only when the rules of
/// release (both checkpoints past it, nothing in flight, no reader) are met; the shard sees to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReleasedFile {
    /// Which file.
    pub file: FileId,
    /// The generation it had here.
    pub generation: u32,
    /// Bytes of records and identity in it.
    pub bytes: u64,
    /// Its prepared (zero-filled, synced) size.
    pub prepared: u64,
}

/// A file for the next active segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewSegment {
    /// Its id. The file itself may come later: nothing is written before `set_prepared`.
    pub file: FileId,
    /// Its generation: 0 for a new file, one more at each reuse.
    pub generation: u32,
    /// Size it may grow to, identity block included; at least what `segment_file_bytes` says for
    /// the batch that made the roll necessary.
    pub file_bytes: u64,
    /// Prepared (zero-filled, synced) size already there: the whole size for a recycled file.
    pub prepared: u64,
}

/// File space that should be prepared next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpaceWanted {
    /// Which file.
    pub file: FileId,
    /// Its generation.
    pub generation: u32,
    /// Prepared so far (0: the file must be created first).
    pub from: u64,
    /// Up to where, exclusive; block-aligned.
    pub to: u64,
    /// Appended bytes already wait for it.
    pub is_urgent: bool,
}

/// Both clocks of a turn, read once by the shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Monotonic.
    pub ns: u64,
    /// Wall clock, as Kafka timestamps.
    pub wall_ms: i64,
}

/// What an append may use.
#[derive(Debug)]
pub struct AppendContext<'a> {
    /// The shard's memory.
    pub arena: &'a mut Arena,
    /// The time.
    pub now: Now,
    /// Bytes the append copied in user space are added here.
    pub copied_bytes: u64,
    /// Of those, bytes copied because a slab did not fit its place.
    pub realigned_bytes: u64,
}

/// Vectors that come back from finished writes and reads, so that plans allocate nothing after
/// warm-up.
#[derive(Debug, Default)]
pub struct SpareVecs {
    spare: Vec<Vec<ArenaSlice>>,
    crcs: Vec<Vec<u32>>,
}

/// Vectors of one kind kept at most.
const SPARE_MAX: usize = 256;

impl SpareVecs {
    /// Takes an empty vector of checksums.
    pub(super) fn take_crcs(&mut self) -> Vec<u32> {
        self.crcs.pop().unwrap_or_default()
    }

    /// Gives the checksums of a finished read back.
    pub fn give_read(&mut self, read: &mut DiskRead) {
        let mut crcs = std::mem::take(&mut read.crcs);
        crcs.clear();
        if self.crcs.len() < SPARE_MAX && crcs.capacity() > 0 {
            self.crcs.push(crcs);
        }
    }

    /// Takes an empty vector.
    #[must_use]
    pub fn take(&mut self) -> Vec<ArenaSlice> {
        self.spare.pop().unwrap_or_default()
    }

    /// Gives one back; what it still holds is dropped.
    pub fn give(&mut self, mut parts: Vec<ArenaSlice>) {
        parts.clear();
        if self.spare.len() < SPARE_MAX && parts.capacity() > 0 {
            self.spare.push(parts);
        }
    }
}

/// When pending bytes are worth a placed write.
#[derive(Clone, Copy, Debug)]
pub struct PlacingRule {
    /// Pending bytes from which a run is placed at once (`placed_bytes_min` when the device is
    /// busy or the journal more than half full, else 512 KiB).
    pub bytes_min: u64,
    /// What `bytes_min` is when the device is busy.
    pub bytes_min_busy: u64,
    /// Coalesced bytes of a run at most; a single larger batch is a run of its own.
    pub bytes_max: u64,
    /// A batch larger than this cannot go inline and is placed whatever `bytes_min` says.
    pub inline_bytes_max: u64,
}

/// How eagerly write-back is planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteBackNeed {
    /// Only writes of at least 64 KiB (or the end of a sealed segment).
    Full,
    /// Any whole blocks: the journal or memory is short.
    Any,
}
