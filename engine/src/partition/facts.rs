//! What a partition knows of its segments, for offline tools that compare it with the files.

use super::Partition;
use crate::ids::FileId;
use crate::segment::Segment;
use crate::segment::granules::GranuleOwner;
use crate::segment::index::SegmentIndex;

/// A segment as a checkpoint has it.
#[derive(Clone, Debug)]
pub struct SegmentFacts {
    /// Its file.
    pub file: FileId,
    /// How often the file was reused.
    pub generation: u32,
    /// Offset its first record has at least.
    pub base_offset: i64,
    /// Offset behind its last record.
    pub end_offset: i64,
    /// Position behind its last record.
    pub bytes: u64,
    /// Bytes of its file that are prepared, as far as is known.
    pub prepared: u64,
    /// Blocks of its index file that are written.
    pub index_blocks: u32,
    /// Whose its granules are.
    pub(crate) owner: GranuleOwner,
    /// What of the index is not in the index file.
    pub(crate) index: SegmentIndex,
    /// Checksum of the last granule, where that may still grow.
    pub(crate) tail_crc: Option<u32>,
}

impl Partition {
    /// Its segments, oldest first.
    pub fn segment_facts(&self) -> impl Iterator<Item = SegmentFacts> + '_ {
        self.segments.iter().map(|segment| self.facts_of(segment))
    }

    fn facts_of(&self, segment: &Segment) -> SegmentFacts {
        let is_active_end = self.disk_end.position == segment.end && !segment.is_closed_whole();
        SegmentFacts {
            file: segment.file,
            generation: segment.generation,
            base_offset: segment.base_offset,
            end_offset: segment.end_offset,
            bytes: segment.end - segment.start,
            prepared: segment.prepared,
            index_blocks: segment.index_blocks_written,
            owner: self.owner(segment),
            index: segment.index.as_deref().cloned().unwrap_or_default(),
            tail_crc: is_active_end.then_some(self.disk_end.crc),
        }
    }
}
