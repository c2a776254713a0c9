//! Segment files against what checkpoints say of them: index blocks, then every granule.

use super::{Known, KnownBatch, Partitions, Records, Report, Source};
use crate::ids::{FileId, PartitionHandle};
use crate::io::Dir;
use crate::limits::{BLOCK_BYTES, GRANULE_BYTES, SEGMENT_DATA_START};
use crate::partition::SegmentFacts;
use crate::record_batch::{HEADER_BYTES, Header, crc};
use crate::segment::file_format::{SegmentIdentity, decode_index_block, index_name, segment_name};
use crate::segment::granules::{GranuleOwner, granule_start};
use crate::segment::index::SegmentIndex;
use std::ops::Range;

const BLOCK: usize = BLOCK_BYTES as usize;

/// Checks every segment that a checkpoint names.
pub(super) fn check_named(
    report: &mut Report<'_>,
    source: &dyn Source,
    partitions: &Partitions,
    prefix: Option<&str>,
) -> Result<(), String> {
    let sizes = source.list(Dir::Segments)?;
    for (&handle, known) in partitions.iter().filter(|(_, known)| !known.is_deleted) {
        for facts in &known.segments {
            let name = segment_name(facts.file);
            let is_wanted = prefix.is_none_or(|prefix| name.starts_with(prefix));
            if !is_wanted {
                continue;
            }
            let size = sizes.iter().find(|(found, _)| *found == name);
            let mut check = SegmentCheck {
                report,
                source,
                known,
                handle,
                facts,
                name,
                bytes: size.map(|(_, bytes)| *bytes),
            };
            check.run();
        }
    }
    Ok(())
}

struct SegmentCheck<'a, 'b> {
    report: &'a mut Report<'b>,
    source: &'a dyn Source,
    known: &'a Known,
    handle: PartitionHandle,
    facts: &'a SegmentFacts,
    name: String,
    /// Size of the file; `None` when it is missing.
    bytes: Option<u64>,
}

impl SegmentCheck<'_, '_> {
    fn run(&mut self) {
        let facts = self.facts;
        let path = format!("segments/{}", self.name);
        let whole = self.records(facts.base_offset, facts.end_offset);
        self.report.show(|| {
            format!(
                "{path}: handle {}, generation {}, offsets [{}, {}), records end at position {}",
                self.handle.0, facts.generation, facts.base_offset, facts.end_offset, facts.bytes
            )
        });
        let faults = self.known.faults.iter();
        for (_, position, text) in faults.filter(|(file, ..)| *file == facts.file) {
            let lost = self.records_from(*position);
            self.costs(&path, *position, text.clone(), lost);
        }
        if facts.bytes <= SEGMENT_DATA_START {
            return self.check_identity(&path);
        }
        let end = self.end_behind_checkpoint(self.last_granule());
        if end <= self.known.log_start {
            return;
        }
        let Some(file_bytes) = self.bytes else {
            let lost = self.records(facts.base_offset, end);
            return self.costs(&path, 0, "is missing".to_owned(), lost);
        };
        let Some(index) = self.index(whole) else {
            return;
        };
        for number in 0..=self.last_granule() {
            let position = u64::from(number) * GRANULE_BYTES;
            let granule_end = (position + GRANULE_BYTES).min(facts.bytes);
            if granule_end > file_bytes {
                let records_end = facts.bytes;
                let text = format!("the file ends at {file_bytes}, its records at {records_end}");
                let lost = self.records(self.batch_across(&index, position), end);
                return self.costs(&path, position, text, lost);
            }
            self.report.granules += 1;
            if let Some(fault) = self.granule_fault(&index, number, position..granule_end) {
                let lost = self.records_in(&index, number);
                self.costs(&path, position, fault, lost);
            }
        }
        if self.report.show.is_some() {
            self.show_batches();
        }
    }

    const fn last_granule(&self) -> u32 {
        self.facts.bytes.div_ceil(GRANULE_BYTES) as u32 - 1
    }

    /// What is wrong with the bytes of a granule.
    fn granule_fault(
        &self,
        index: &SegmentIndex,
        number: u32,
        range: Range<u64>,
    ) -> Option<String> {
        let may_grow = number == self.last_granule() && !range.end.is_multiple_of(GRANULE_BYTES);
        let stored = self.facts.tail_crc.filter(|_| may_grow);
        let Some(stored) = stored.or_else(|| index.crc(number)) else {
            return Some("the index has no checksum for this granule".to_owned());
        };
        let mut granule = vec![0; (range.end - range.start) as usize];
        let read = self
            .source
            .read(Dir::Segments, &self.name, range.start, &mut granule);
        if let Err(error) = read {
            return Some(error);
        }
        let computed = crc32c::crc32c_append(self.facts.owner.seed(range.start), &granule);
        (stored != computed)
            .then(|| format!("its granule has crc {stored:#010x}, computed {computed:#010x}"))
    }

    /// The first block of a segment that is younger than the checkpoint: its owner, or zeros where
    /// nothing says that its file is made.
    fn check_identity(&mut self, path: &str) {
        let mut block = vec![0; BLOCK];
        let is_there = self.bytes.is_some_and(|bytes| bytes >= BLOCK_BYTES);
        let read = self.source.read(Dir::Segments, &self.name, 0, &mut block);
        let is_made = self.facts.prepared > 0;
        if !is_there || !is_made && read.is_ok() && block.iter().all(|&byte| byte == 0) {
            return;
        }
        let owner = &self.facts.owner;
        let is_right = SegmentIdentity::decode(&block).is_some_and(|found| {
            (found.topic_id, found.index, found.file, found.generation)
                == (owner.topic_id, owner.index, owner.file, owner.generation)
        });
        if read.is_err() || !is_right {
            let lost = self.records(self.facts.base_offset, self.end_behind_checkpoint(0));
            self.costs(
                path,
                0,
                "the block that says whose it is is damaged".to_owned(),
                lost,
            );
        }
    }

    fn records(&self, start: i64, end: i64) -> Option<Records> {
        self.known.wanted(self.handle, start, end)
    }

    /// A problem, unless all it costs was given up or is below the log start.
    fn costs(&mut self, path: &str, position: u64, text: String, records: Option<Records>) {
        if records.is_some() {
            self.report.costs(path, position, text, records);
        }
    }

    /// The whole index: what the checkpoint has of it, and the blocks of its file. `None` when a
    /// block is damaged: then no granule of the segment can be checked, or read.
    fn index(&mut self, whole: Option<Records>) -> Option<SegmentIndex> {
        let mut index = self.facts.index.clone();
        let missing = match index.granules.is_empty() {
            true => u32::MAX,
            false => index.missing,
        };
        let mut from_file = SegmentIndex::default();
        let name = index_name(self.facts.file);
        for number in 0..self.facts.index_blocks {
            let mut block = vec![0; BLOCK];
            let position = u64::from(number) * BLOCK_BYTES;
            let read = self.source.read(Dir::Segments, &name, position, &mut block);
            let text = match read {
                Err(error) => error,
                Ok(()) => {
                    let owner = &self.facts.owner;
                    match decode_index_block(owner, &block, number, &mut from_file) {
                        Some(()) => continue,
                        None => "the index block is damaged".to_owned(),
                    }
                }
            };
            self.costs(&format!("segments/{name}"), position, text, whole);
            return None;
        }
        if missing == u32::MAX {
            return Some(from_file);
        }
        let missing = missing as usize;
        let front = from_file.granules.get(..missing)?;
        index.granules.get_mut(..missing)?.copy_from_slice(front);
        index.missing = 0;
        Some(index)
    }

    /// The records that granule `number` holds a part of.
    fn records_in(&self, index: &SegmentIndex, number: u32) -> Option<Records> {
        let facts = self.facts;
        let start = self.batch_across(index, u64::from(number) * GRANULE_BYTES);
        let later = index.granules.get(number as usize + 1..).unwrap_or(&[]);
        let next = later.iter().find(|entry| entry.has_batch());
        let end = match next {
            Some(entry) => facts.base_offset + i64::from(entry.offset_delta),
            None => self.end_behind_checkpoint(number),
        };
        self.records(start, end)
    }

    /// The end of what lies in granule `number` or before it.
    fn end_behind_checkpoint(&self, number: u32) -> i64 {
        let granule_end = (u64::from(number) + 1) * GRANULE_BYTES;
        let later = self
            .later_batches()
            .filter(|batch| batch.position < granule_end);
        later
            .map(|batch| batch.end_offset)
            .fold(self.facts.end_offset, i64::max)
    }

    /// What the journal knows of this segment.
    fn later_batches(&self) -> impl Iterator<Item = &KnownBatch> {
        let batches = self.known.batches.iter();
        batches.filter(|batch| batch.file == self.facts.file)
    }

    /// The records of all granules that the journal's batch at `position` touches.
    fn records_from(&self, position: u64) -> Option<Records> {
        let mut found = self.later_batches();
        let batch = found.find(|batch| batch.position <= position && position < batch.end())?;
        let start = granule_start(batch.position.min(position));
        let end = batch.end().next_multiple_of(GRANULE_BYTES);
        let touched = |other: &&KnownBatch| other.position < end && start < other.end();
        let first = self
            .later_batches()
            .filter(touched)
            .map(|b| b.base_offset)
            .min()?;
        let last = self
            .later_batches()
            .filter(touched)
            .map(|b| b.end_offset)
            .max()?;
        let before = match start < self.facts.bytes {
            true => self.batch_across(&self.facts.index, start),
            false => first,
        };
        self.records(first.min(before), last)
    }

    /// Base offset of the batch that lies at `position`, as far as whole batches before it tell.
    fn batch_across(&self, index: &SegmentIndex, position: u64) -> i64 {
        let facts = self.facts;
        let before = position
            .checked_sub(1)
            .filter(|at| *at >= SEGMENT_DATA_START);
        let Some((at, delta)) = before.and_then(|before| index.locate_position(before)) else {
            return facts.base_offset;
        };
        let mut offset = facts.base_offset + i64::from(delta);
        let mut at = u64::from(at);
        let mut header = [0; HEADER_BYTES];
        while self
            .source
            .read(Dir::Segments, &self.name, at, &mut header)
            .is_ok()
            && let Ok(found) = Header::parse(&header)
            && at + u64::from(found.batch_bytes) <= position
        {
            offset = found.end_offset();
            at += u64::from(found.batch_bytes);
        }
        offset
    }

    fn show_batches(&mut self) {
        let end = self.facts.bytes;
        show_batches(self.report, self.source, &self.name, end);
    }
}

/// Prints the batches of a segment up to `end`, or to the first bytes that are none.
fn show_batches(report: &mut Report<'_>, source: &dyn Source, name: &str, end: u64) {
    let mut position = SEGMENT_DATA_START;
    while position + HEADER_BYTES as u64 <= end {
        let mut batch = vec![0; HEADER_BYTES];
        let whole = source
            .read(Dir::Segments, name, position, &mut batch)
            .ok()
            .and_then(|()| Header::parse(&batch).ok())
            .filter(|header| position + u64::from(header.batch_bytes) <= end);
        let Some(header) = whole else { return };
        batch.resize(header.batch_bytes as usize, 0);
        let read = source.read(Dir::Segments, name, position, &mut batch);
        if read.is_err() || crc(&batch) != header.crc {
            return;
        }
        report.batches += 1;
        report.show(|| {
            format!(
                "  position {position}: offsets [{}, {}], {} records, {} bytes, epoch {}",
                header.base_offset,
                header.last_offset(),
                header.record_count,
                header.batch_bytes,
                header.partition_leader_epoch
            )
        });
        position += u64::from(header.batch_bytes);
    }
}

/// Without journals: whose each segment file is by its own first block, and what batches begin it.
/// What ends there and what is damaged cannot be told apart.
pub(super) fn show_all(
    report: &mut Report<'_>,
    source: &dyn Source,
    prefix: Option<&str>,
) -> Result<(), String> {
    for (name, bytes) in source.list(Dir::Segments)? {
        let is_wanted = prefix.is_none_or(|prefix| name.starts_with(prefix));
        let Some(stem) = name.strip_suffix(".seg").filter(|_| is_wanted) else {
            continue;
        };
        let file = u64::from_str_radix(stem, 16).map(FileId);
        let mut block = vec![0; BLOCK];
        let read = source.read(Dir::Segments, &name, 0, &mut block);
        let identity = read.ok().and_then(|()| SegmentIdentity::decode(&block));
        let Some(identity) = identity.filter(|found| Ok(found.file) == file) else {
            report.show(|| format!("{name}: {bytes} bytes, no records"));
            continue;
        };
        report.show(|| {
            format!(
                "{name}: handle {} index {}, generation {}",
                identity.handle.0, identity.index, identity.generation
            )
        });
        check_indexed(report, source, &name, &identity);
        show_batches(report, source, &name, bytes);
    }
    Ok(())
}

/// The granules whose checksum the index file knows, whole ones only.
fn check_indexed(
    report: &mut Report<'_>,
    source: &dyn Source,
    name: &str,
    identity: &SegmentIdentity,
) {
    let owner = GranuleOwner {
        topic_id: identity.topic_id,
        index: identity.index,
        file: identity.file,
        generation: identity.generation,
    };
    let index_file = index_name(identity.file);
    let mut index = SegmentIndex::default();
    for number in 0.. {
        let mut block = vec![0; BLOCK];
        let position = u64::from(number) * BLOCK_BYTES;
        let read = source.read(Dir::Segments, &index_file, position, &mut block);
        let is_whole =
            read.is_ok() && decode_index_block(&owner, &block, number, &mut index).is_some();
        if !is_whole {
            break;
        }
    }
    // The last one ends with the records, and where they end nothing here says.
    for number in 0..(index.granules.len() as u32).saturating_sub(1) {
        let position = u64::from(number) * GRANULE_BYTES;
        let mut granule = vec![0; GRANULE_BYTES as usize];
        report.granules += 1;
        let read = source.read(Dir::Segments, name, position, &mut granule);
        let sum = crc32c::crc32c_append(owner.seed(position), &granule);
        if read.is_err() || index.crc(number) != Some(sum) {
            let text = "its granule is not what the index file says";
            report.problem(format!("segments/{name}"), position, text);
        }
    }
}
