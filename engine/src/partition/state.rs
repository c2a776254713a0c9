//! The state of a partition in a checkpoint, as of its closed end, and the bytes of its control
//! records. Decoding takes any bytes.

use super::leader_epochs::LeaderEpochs;
use super::producers::Producers;
use super::wire::{Reader, Writer};
use super::{
    CompactionConfig, Control, DiskEnd, Durability, End, Fence, Partition, PartitionConfig,
    PartitionSpec, SegmentRun, StateError, Swap, SwappedIn,
};
use crate::ids::{FileId, PartitionHandle, TopicId};
use crate::limits::{BLOCK_BYTES, GRANULE_BYTES, SEGMENT_DATA_START};
use crate::segment::file_format::INDEX_BLOCK_ENTRIES;
use crate::segment::index::{GranuleEntry, SegmentIndex};
use crate::segment::{Segment, SegmentBirth};
use std::collections::VecDeque;

/// Version of the state bytes. Version 1 knows nothing of compaction.
const STATE_VERSION: u8 = 2;
const STATE_VERSION_MIN: u8 = 1;
/// Largest segment file the state may claim.
const SEGMENT_BYTES_LIMIT: u64 = u32::MAX as u64;

pub(super) fn encode_state(partition: &Partition, out: &mut Vec<u8>) {
    partition.spec.encode(out);
    let mut out = Writer::new(out);
    out.u8(STATE_VERSION);
    out.i64(partition.closed_log_start.max(partition.log_start));
    out.i64(partition.closed.offset);
    out.i64(partition.closed_ceiling);
    out.u64(partition.last_sequence);
    out.u32(partition.sum);
    out.u32(partition.tail_block_crc);
    out.i64(partition.closed_cleaned_end());
    partition
        .leader_epochs
        .encode(partition.closed_epoch, &mut out);
    out.u32(partition.fences.len() as u32);
    for fence in &partition.fences {
        encode_fence(fence, &mut out);
    }
    partition
        .producers
        .encode(partition.closed.offset, &mut out);
    let is_kept =
        |s: &&Segment| s.roll_closed && !partition.is_dropped(s, partition.closed_log_start);
    let swapped = partition.closed_swap();
    let kept = partition.closed_segments(&swapped).filter(is_kept);
    out.u32(kept.count() as u32);
    for segment in partition.closed_segments(&swapped).filter(is_kept) {
        encode_segment(partition, segment, &mut out);
    }
}

fn encode_segment(partition: &Partition, segment: &Segment, out: &mut Writer<'_>) {
    let is_sealed = segment.seal_closed;
    let (end, end_offset) = if is_sealed {
        (segment.end, segment.end_offset)
    } else {
        (partition.closed.position, segment.closed_end_offset)
    };
    out.u64(segment.file.0);
    out.u32(segment.generation);
    out.u8(u8::from(is_sealed));
    out.i64(segment.base_offset);
    out.i64(end_offset);
    out.i64(segment.created_ms);
    out.u64(end - segment.start);
    out.u64(segment.file_bytes);
    out.u64(segment.prepared);
    out.i64(segment.max_timestamp);
    out.i64(segment.max_timestamp_offset);
    out.u32(segment.index_blocks_written);
    let Some(index) = &segment.index else {
        out.u32(0);
        out.u32(0);
        return;
    };
    let first = segment.index_blocks_written as usize * INDEX_BLOCK_ENTRIES;
    out.u32(index.complete);
    let rest = index.granules.get(first..).unwrap_or_default();
    out.u32(rest.len() as u32);
    for granule in rest {
        out.u32(granule.crc);
        out.u32(granule.position);
        out.u32(granule.offset_delta);
        out.i64(granule.max_timestamp);
    }
}

/// A segment and whether the state says that its seal was closed.
fn decode_segment(from: &mut Reader<'_>, start: u64) -> Option<Segment> {
    let file = FileId(from.u64()?);
    let generation = from.u32()?;
    let is_sealed = from.u8()? != 0;
    let base_offset = from.i64()?;
    let end_offset = from.i64()?;
    let created_ms = from.i64()?;
    let length = from.u64()?;
    let file_bytes = from.u64()?;
    let prepared = from.u64()?;
    let max_timestamp = from.i64()?;
    let max_timestamp_offset = from.i64()?;
    let blocks_written = from.u32()?;
    let complete = from.u32()?;
    let rest = from.count(20)?;
    let granules = length.div_ceil(GRANULE_BYTES);
    let missing = u64::from(blocks_written) * INDEX_BLOCK_ENTRIES as u64;
    let is_plausible = (SEGMENT_DATA_START..=SEGMENT_BYTES_LIMIT).contains(&length)
        && file_bytes <= SEGMENT_BYTES_LIMIT
        && base_offset <= end_offset
        && u64::from(complete) <= granules
        && (rest == 0 || missing + rest as u64 <= granules)
        && missing < granules + INDEX_BLOCK_ENTRIES as u64;
    if !is_plausible {
        return None;
    }
    let mut segment = Segment::new(SegmentBirth {
        file,
        generation,
        base_offset,
        created_ms,
        file_bytes,
        prepared,
        start,
    });
    // The state was taken before its bytes were brought to their place: what is written by now was
    // prepared, whatever was known then.
    if length > SEGMENT_DATA_START {
        segment.prepared = prepared.max(length.next_multiple_of(BLOCK_BYTES));
    }
    segment.end = start + length;
    segment.end_offset = end_offset;
    segment.closed_end_offset = end_offset;
    segment.is_sealed = is_sealed;
    segment.roll_closed = true;
    segment.seal_closed = is_sealed;
    segment.max_timestamp = max_timestamp;
    segment.max_timestamp_offset = max_timestamp_offset;
    segment.index_blocks_written = blocks_written;
    if is_sealed && blocks_written == segment.index_block_count() {
        segment.index = None;
        return Some(segment);
    }
    let mut index = SegmentIndex {
        granules: vec![GranuleEntry::EMPTY; missing.min(granules) as usize],
        complete,
        missing: missing.min(granules) as u32,
    };
    for _ in 0..rest {
        index.granules.push(GranuleEntry {
            crc: from.u32()?,
            position: from.u32()?,
            offset_delta: from.u32()?,
            max_timestamp: from.i64()?,
        });
    }
    segment.index = Some(Box::new(index));
    Some(segment)
}

pub(super) fn decode_state(bytes: &[u8]) -> Result<Partition, StateError> {
    let (spec, spec_bytes) = PartitionSpec::decode(bytes)?;
    let mut from = Reader::new(&bytes[spec_bytes..]);
    let decoded = decode_fields(spec, &mut from);
    decoded
        .filter(|_| from.is_empty())
        .ok_or_else(|| StateError {
            at: spec_bytes + from.at(),
            bytes: bytes.len(),
        })
}

fn decode_fields(spec: PartitionSpec, from: &mut Reader<'_>) -> Option<Partition> {
    let version = from.u8()?;
    if !(STATE_VERSION_MIN..=STATE_VERSION).contains(&version) {
        return None;
    }
    let mut partition = Partition::new(spec);
    let log_start = from.i64()?;
    let offset = from.i64()?;
    partition.closed_ceiling = from.i64()?;
    partition.last_sequence = from.u64()?;
    partition.sum = from.u32()?;
    partition.tail_block_crc = from.u32()?;
    partition.cleaned_end = if version >= 2 { from.i64()? } else { 0 };
    partition.leader_epochs = LeaderEpochs::decode(from)?;
    partition.closed_epoch = partition.leader_epochs.current();
    for _ in 0..from.count(18)? {
        partition.fences.push(decode_fence(from)?);
    }
    partition.producers = Producers::decode(from)?;
    let mut segments: VecDeque<Segment> = VecDeque::new();
    for _ in 0..from.count(20)? {
        let start = segments.back().map_or(0, Segment::next_start);
        let segment = decode_segment(from, start)?;
        let follows = segments
            .back()
            .is_none_or(|last| last.is_sealed && last.end_offset <= segment.base_offset);
        if !follows {
            return None;
        }
        segments.push_back(segment);
    }
    let end = End {
        offset,
        position: segments.back().map_or(0, |last| last.end),
    };
    if log_start > offset || segments.back().is_some_and(|s| s.end_offset > offset) {
        return None;
    }
    partition.segments = segments;
    partition.log_start = log_start;
    partition.closed_log_start = log_start;
    partition.asked_log_start = log_start;
    partition.durable_ceiling = partition.closed_ceiling;
    partition.set_all_ends(end);
    partition.written_end = end.position;
    partition.disk_end = DiskEnd {
        position: end.position,
        crc: partition.sum,
        offset: Some(offset),
    };
    partition.durable_sealed = partition.sealed_position();
    partition.image_due = true;
    partition.is_recovering = true;
    partition.is_changed = false;
    Some(partition)
}

impl Partition {
    pub(super) const fn set_all_ends(&mut self, end: End) {
        self.appended = end;
        self.closed = end;
        self.resolved = end;
        self.high_watermark = end;
    }
}

fn encode_fence(fence: &Fence, out: &mut Writer<'_>) {
    out.i64(fence.start_offset);
    out.i64(fence.end_offset);
    out.u8(u8::from(fence.stops_appends));
    out.u8(u8::from(fence.is_lost));
}

fn decode_fence(from: &mut Reader<'_>) -> Option<Fence> {
    Some(Fence {
        start_offset: from.i64()?,
        end_offset: from.i64()?,
        stops_appends: from.u8()? != 0,
        is_lost: from.u8()? != 0,
    })
}

impl Control {
    /// Appends its bytes to `out`, at most 128.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut out = Writer::new(out);
        match self {
            Self::Seal {
                file,
                generation,
                length,
                end_offset,
            } => {
                out.u8(1);
                out.u64(file.0);
                out.u32(*generation);
                out.u64(*length);
                out.i64(*end_offset);
            }
            Self::Roll {
                file,
                generation,
                base_offset,
                file_bytes,
                created_ms,
            } => {
                out.u8(2);
                out.u64(file.0);
                out.u32(*generation);
                out.i64(*base_offset);
                out.u64(*file_bytes);
                out.i64(*created_ms);
            }
            Self::LogStart { offset } => {
                out.u8(3);
                out.i64(*offset);
            }
            Self::LeaderEpoch {
                epoch,
                start_offset,
            } => {
                out.u8(4);
                out.i32(*epoch);
                out.i64(*start_offset);
            }
            Self::Quarantine { fence } => {
                out.u8(5);
                encode_fence(fence, &mut out);
            }
            Self::AcceptLoss { fence } => {
                out.u8(6);
                encode_fence(fence, &mut out);
            }
            Self::Swap(swap) => {
                out.u8(7);
                encode_swap(swap, &mut out);
            }
        }
    }

    /// Reads it back.
    ///
    /// # Errors
    /// The bytes are no control record.
    pub fn decode(bytes: &[u8]) -> Result<Self, StateError> {
        let mut from = Reader::new(bytes);
        let control = decode_control(&mut from);
        control
            .filter(|_| from.is_empty())
            .ok_or_else(|| StateError {
                at: from.at(),
                bytes: bytes.len(),
            })
    }
}

fn decode_control(from: &mut Reader<'_>) -> Option<Control> {
    Some(match from.u8()? {
        1 => Control::Seal {
            file: FileId(from.u64()?),
            generation: from.u32()?,
            length: from.u64()?,
            end_offset: from.i64()?,
        },
        2 => Control::Roll {
            file: FileId(from.u64()?),
            generation: from.u32()?,
            base_offset: from.i64()?,
            file_bytes: from.u64()?,
            created_ms: from.i64()?,
        },
        3 => Control::LogStart {
            offset: from.i64()?,
        },
        4 => Control::LeaderEpoch {
            epoch: from.i32()?,
            start_offset: from.i64()?,
        },
        5 => Control::Quarantine {
            fence: decode_fence(from)?,
        },
        6 => Control::AcceptLoss {
            fence: decode_fence(from)?,
        },
        7 => Control::Swap(decode_swap(from)?),
        _ => return None,
    })
}

fn encode_swap(swap: &Swap, out: &mut Writer<'_>) {
    out.i64(swap.cleaned_end);
    out.u32(swap.old.map_or(0, |old| old.count));
    if let Some(old) = &swap.old {
        for (file, generation) in [old.first, old.last] {
            out.u64(file.0);
            out.u32(generation);
        }
    }
    out.u8(u8::from(swap.new.is_some()));
    if let Some(new) = &swap.new {
        out.u64(new.file.0);
        out.u32(new.generation);
        out.i64(new.base_offset);
        out.i64(new.end_offset);
        out.i64(new.created_ms);
        out.u64(new.length);
        out.u64(new.prepared);
        out.i64(new.max_timestamp);
        out.i64(new.max_timestamp_offset);
    }
}

fn decode_swap(from: &mut Reader<'_>) -> Option<Swap> {
    let cleaned_end = from.i64()?;
    let count = from.u32()?;
    let old = if count == 0 {
        None
    } else {
        Some(SegmentRun {
            first: (FileId(from.u64()?), from.u32()?),
            last: (FileId(from.u64()?), from.u32()?),
            count,
        })
    };
    let new = if from.u8()? == 0 {
        None
    } else {
        let new = SwappedIn {
            file: FileId(from.u64()?),
            generation: from.u32()?,
            base_offset: from.i64()?,
            end_offset: from.i64()?,
            created_ms: from.i64()?,
            length: from.u64()?,
            prepared: from.u64()?,
            max_timestamp: from.i64()?,
            max_timestamp_offset: from.i64()?,
        };
        let is_plausible = (SEGMENT_DATA_START..=SEGMENT_BYTES_LIMIT).contains(&new.length)
            && new.prepared <= SEGMENT_BYTES_LIMIT
            && new.base_offset <= new.end_offset;
        if !is_plausible {
            return None;
        }
        Some(new)
    };
    Some(Swap {
        old,
        new,
        cleaned_end,
    })
}

impl PartitionSpec {
    /// Appends its bytes to `out` (for the record that creates a partition).
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut out = Writer::new(out);
        let config = &self.config;
        out.u8(STATE_VERSION);
        out.u64(self.handle.0);
        out.bytes(&self.topic_id.0);
        out.i32(self.index);
        out.u8(match config.durability {
            Durability::Disk => 0,
            Durability::Written => 1,
            Durability::Memory => 2,
            Durability::Null => 3,
        });
        out.u64(config.segment_bytes);
        out.i64(config.segment_ms);
        out.i64(config.retention_bytes);
        out.i64(config.retention_ms);
        out.u64(config.flush_messages);
        out.u64(config.flush_ms);
        out.u32(config.batch_bytes_max);
        out.i64(config.producer_expiration_ms);
        out.u8(u8::from(config.is_log_append_time));
        out.u8(u8::from(config.compaction.is_some()));
        if let Some(compaction) = &config.compaction {
            out.u32(compaction.dirty_ratio_ppm);
            out.i64(compaction.lag_ms_min);
            out.i64(compaction.lag_ms_max);
            out.i64(compaction.delete_retention_ms);
        }
    }

    /// Reads it back and how many bytes it took.
    ///
    /// # Errors
    /// The bytes are no spec.
    pub fn decode(bytes: &[u8]) -> Result<(Self, usize), StateError> {
        let mut from = Reader::new(bytes);
        let spec = decode_spec(&mut from);
        let at = from.at();
        spec.map(|spec| (spec, at)).ok_or(StateError {
            at,
            bytes: bytes.len(),
        })
    }
}

fn decode_spec(from: &mut Reader<'_>) -> Option<PartitionSpec> {
    let version = from.u8()?;
    if !(STATE_VERSION_MIN..=STATE_VERSION).contains(&version) {
        return None;
    }
    Some(PartitionSpec {
        handle: PartitionHandle(from.u64()?),
        topic_id: TopicId(from.array()?),
        index: from.i32()?,
        config: PartitionConfig {
            durability: match from.u8()? {
                0 => Durability::Disk,
                1 => Durability::Written,
                2 => Durability::Memory,
                3 => Durability::Null,
                _ => return None,
            },
            segment_bytes: from.u64()?,
            segment_ms: from.i64()?,
            retention_bytes: from.i64()?,
            retention_ms: from.i64()?,
            flush_messages: from.u64()?,
            flush_ms: from.u64()?,
            batch_bytes_max: from.u32()?,
            producer_expiration_ms: from.i64()?,
            is_log_append_time: version >= 2 && from.u8()? != 0,
            compaction: if version >= 2 && from.u8()? != 0 {
                Some(CompactionConfig {
                    dirty_ratio_ppm: from.u32()?,
                    lag_ms_min: from.i64()?,
                    lag_ms_max: from.i64()?,
                    delete_retention_ms: from.i64()?,
                })
            } else {
                None
            },
        },
    })
}

const _: () = assert!(GRANULE_BYTES.is_multiple_of(BLOCK_BYTES));
