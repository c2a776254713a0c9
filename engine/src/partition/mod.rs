//! One partition's log: a state machine without I/O.
//!
//! It decides and remembers; its shard performs the writes and reads it plans and tells it how
//! they ended. Bytes live in memory (the tail) until a plan put them on disk; what of the tail is
//! not needed any more stays as cache until the shard asks for memory back.
//!
//! Offsets of one partition, always in this order:
//! `log_start <= last_stable <= high_watermark <= log_end`, and `closed_end` (taken into a commit)
//! and `durable_end` (end of what has been resolved) apart from the high watermark, which they
//! equal or exceed for the class `Disk` and may trail for relaxed classes.

mod append;
mod cleaning;
mod closing;
mod disk_read;
mod entries;
mod facts;
mod index_lookup;
mod leader_epochs;
mod log_offsets;
mod piece_sums;
mod placing;
mod plans;
mod producers;
mod read;
mod replay;
mod requests;
mod retention;
mod settings;
mod state;
mod tail;
#[cfg(test)]
mod tests;
mod wire;
mod write_back;

pub use cleaning::{Cleanable, CleaningGroup};
pub use entries::*;
pub use facts::SegmentFacts;
pub use plans::*;
pub use requests::*;
pub use settings::*;

use crate::ids::{FileId, Ticket};
use crate::limits::BLOCK_BYTES;
use crate::segment::Segment;
use crate::segment::file_format::SegmentIdentity;
use crate::segment::granules::GranuleOwner;
use leader_epochs::LeaderEpochs;
use producers::Producers;
use std::collections::VecDeque;
use std::ops::Range;
use tail::Tail;

/// An end of the log: offset and log position (see `segment`), both exclusive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct End {
    offset: i64,
    position: u64,
}

/// A batch that was appended and is not yet resolved.
#[derive(Clone, Copy, Debug)]
struct Batch {
    base_offset: i64,
    end_offset: i64,
    position: u64,
    bytes: u32,
    base_sequence: i32,
    producer_id: i64,
    producer_epoch: i16,
    attributes: i16,
    max_timestamp: i64,
    ticket: Ticket,
    appended_ns: u64,
}

// What `engine/memory.rs` counts with.
const _: () = assert!(size_of::<Batch>() == 72);

impl Batch {
    const fn end(&self) -> u64 {
        self.position + self.bytes as u64
    }
}

/// What one commit took of the partition.
#[derive(Clone, Copy, Debug)]
struct Commit {
    sequence: u64,
    end: End,
    batch_count: usize,
    ceiling: Option<i64>,
}

/// Whole batches that go to their place in the segment before their entry is closed.
#[derive(Debug)]
struct Run {
    /// Log positions of the batches.
    start: u64,
    end: u64,
    batch_count: usize,
    /// Whole blocks that are placed.
    blocks: Range<u64>,
    /// Up to where writes were planned.
    planned_to: u64,
    writes_in_flight: u32,
    /// Granule pieces of `blocks` from `start` on.
    crcs: Vec<u32>,
}

/// A planned write.
#[derive(Clone, Debug)]
struct InFlight {
    id: u64,
    kind: WriteKind,
    /// Log positions; block-aligned start, exact end. Empty for an index write.
    range: Range<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WriteKind {
    Placed,
    WriteBack,
    Index {
        file: FileId,
        generation: u32,
        blocks_end: u32,
    },
}

/// Bytes of commits from `sequence` on end at log position `end`.
#[derive(Clone, Copy, Debug)]
struct Unwritten {
    sequence: u64,
    start: u64,
    end: u64,
}

/// Up to where the log can be read from disk, and what checks the incomplete granule there.
#[derive(Clone, Copy, Debug, Default)]
struct DiskEnd {
    position: u64,
    /// Checksum of the last granule up to `position`, if that is inside of one.
    crc: u32,
    /// The offset there, if `position` is known to be between two batches.
    offset: Option<i64>,
}

/// One partition's log.
///
/// Order of calls for an append: `roll_needed` (then `roll`), `append`, later `plan_placed` or
/// `close_next`, `written`/`resolve` when the commit ended, `plan_write_back` whenever there is
/// time, `write_done` for every planned write. A failed write is never reported: the shard stops.
#[derive(Debug)]
pub struct Partition {
    spec: PartitionSpec,
    /// Oldest first; the last one is active unless it is sealed.
    segments: VecDeque<Segment>,
    tail: Tail,

    appended: End,
    closed: End,
    resolved: End,
    high_watermark: End,
    log_start: i64,
    /// The log start as of the closed end, and as last asked for.
    closed_log_start: i64,
    asked_log_start: i64,

    /// Batches above the resolved end; of these, from the front, how many are in commits, in
    /// commits that were written, and acknowledged.
    batches: VecDeque<Batch>,
    closed_count: usize,
    written_count: usize,
    exposed_count: usize,
    commits: VecDeque<Commit>,
    pending_controls: VecDeque<(Control, Ticket)>,
    closed_controls: VecDeque<(u64, Control, Ticket)>,
    /// Tickets of duplicates of batches that are not acknowledged yet, with their end offsets.
    duplicates: Vec<(i64, Ticket)>,

    producers: Producers,
    leader_epochs: LeaderEpochs,
    closed_epoch: i32,
    fences: Vec<Fence>,
    released: Vec<ReleasedFile>,

    /// Ceilings of relaxed classes: as of the closed end, and up to where records may be exposed.
    closed_ceiling: i64,
    durable_ceiling: i64,

    runs: VecDeque<Run>,
    spare_crcs: Vec<Vec<u32>>,
    in_flight: Vec<InFlight>,
    next_write_id: u64,
    /// Written log positions: everything below `written_end`, and these ranges above it.
    written_end: u64,
    written_ranges: Vec<Range<u64>>,
    unwritten: VecDeque<Unwritten>,
    disk_end: DiskEnd,
    /// Checksum of the closed end's granule up to the closed end.
    sum: u32,
    /// Checksum of the closed end's partial block, as of the last checkpoint or eviction.
    tail_block_crc: u32,
    image_due: bool,
    /// A write was not planned because no memory was there for a copy of a block.
    is_memory_wanted: bool,
    checkpoint_end: Option<u64>,
    /// Segments up to this log position are sealed in the checkpoint under way, and in the newest
    /// durable one.
    checkpoint_sealed: u64,
    durable_sealed: u64,
    /// Up to where the log is compacted.
    cleaned_end: i64,
    is_changed: bool,
    is_recovering: bool,
    last_sequence: u64,

    rate: append::Rate,
}

/// Life, settings, offsets.
impl Partition {
    /// A new, empty partition: all offsets 0, leader epoch 0, no segment, no memory.
    #[must_use]
    pub fn new(spec: PartitionSpec) -> Self {
        Self {
            spec,
            segments: VecDeque::new(),
            tail: Tail::default(),
            appended: End::default(),
            closed: End::default(),
            resolved: End::default(),
            high_watermark: End::default(),
            log_start: 0,
            closed_log_start: 0,
            asked_log_start: 0,
            batches: VecDeque::new(),
            closed_count: 0,
            written_count: 0,
            exposed_count: 0,
            commits: VecDeque::new(),
            pending_controls: VecDeque::new(),
            closed_controls: VecDeque::new(),
            duplicates: Vec::new(),
            producers: Producers::default(),
            leader_epochs: LeaderEpochs::new(),
            closed_epoch: 0,
            fences: Vec::new(),
            released: Vec::new(),
            closed_ceiling: 0,
            durable_ceiling: 0,
            runs: VecDeque::new(),
            spare_crcs: Vec::new(),
            in_flight: Vec::new(),
            next_write_id: 1,
            written_end: 0,
            written_ranges: Vec::new(),
            unwritten: VecDeque::new(),
            disk_end: DiskEnd::default(),
            sum: 0,
            tail_block_crc: 0,
            image_due: false,
            is_memory_wanted: false,
            checkpoint_end: None,
            checkpoint_sealed: 0,
            durable_sealed: 0,
            cleaned_end: 0,
            is_changed: true,
            is_recovering: false,
            last_sequence: 0,
            rate: append::Rate::default(),
        }
    }

    /// Who it is and its settings.
    #[must_use]
    pub const fn spec(&self) -> &PartitionSpec {
        &self.spec
    }

    /// Gives it other settings; they hold from the next append on.
    pub fn configure(&mut self, config: PartitionConfig) {
        self.spec.config = config;
    }

    /// Bytes of all segments (records, not identities or padding).
    #[must_use]
    pub fn log_bytes(&self) -> u64 {
        self.segments.iter().map(Segment::record_bytes).sum()
    }

    /// All segment files that belong to it, oldest first, and the one that a swap under way brings:
    /// for deletion of the partition and the recovery of the file table.
    pub fn files(&self) -> impl Iterator<Item = ReleasedFile> + '_ {
        let swapped_in = self.swap_under_way().and_then(|swap| swap.new);
        let swapped_in = swapped_in.map(|new| released(&cleaning::segment_of(&new, 0)));
        self.segments.iter().map(released).chain(swapped_in)
    }

    /// Whether a segment of its log lies in `file` with this generation.
    #[must_use]
    pub fn has_segment(&self, file: FileId, generation: u32) -> bool {
        self.segment_of_file(file, generation).is_some()
    }

    /// Moves files that retention or an advanced log start set free into `out`. They are not read
    /// or planned for any more; operations in flight on them may still complete.
    pub fn take_released(&mut self, out: &mut Vec<ReleasedFile>) {
        out.append(&mut self.released);
    }

    fn active(&self) -> Option<&Segment> {
        self.segments.back().filter(|segment| !segment.is_sealed)
    }

    /// Number of the segment that holds log position `position` (its end included).
    fn segment_at(&self, position: u64) -> Option<usize> {
        let behind = self.segments.partition_point(|s| s.start <= position);
        behind.checked_sub(1)
    }

    fn segment_of_file(&self, file: FileId, generation: u32) -> Option<usize> {
        let is_it = |s: &Segment| s.file == file && s.generation == generation;
        self.segments.iter().rposition(is_it)
    }

    const fn owner(&self, segment: &Segment) -> GranuleOwner {
        GranuleOwner {
            topic_id: self.spec.topic_id,
            index: self.spec.index,
            file: segment.file,
            generation: segment.generation,
        }
    }

    const fn identity(&self, segment: &Segment) -> SegmentIdentity {
        SegmentIdentity {
            topic_id: self.spec.topic_id,
            index: self.spec.index,
            handle: self.spec.handle,
            file: segment.file,
            generation: segment.generation,
        }
    }

    const fn next_write_id(&mut self) -> u64 {
        let id = self.next_write_id;
        self.next_write_id += 1;
        id
    }
}

const fn released(segment: &Segment) -> ReleasedFile {
    ReleasedFile {
        file: segment.file,
        generation: segment.generation,
        bytes: segment.end - segment.start,
        prepared: segment.prepared,
    }
}

/// Start of the block that holds `position`.
const fn block_start(position: u64) -> u64 {
    position - position % BLOCK_BYTES
}

/// End of the last block that holds a byte below `position`.
const fn block_end(position: u64) -> u64 {
    position.next_multiple_of(BLOCK_BYTES)
}
