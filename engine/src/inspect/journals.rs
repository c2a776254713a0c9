//! One journal: its two checkpoint copies, then every commit that recovery would count.

use super::log_tail::LogTail;
use super::{Known, KnownBatch, Partitions, Report, Source, read_whole};
use crate::engine::root_file::Root;
use crate::ids::{JournalId, PartitionHandle};
use crate::io::Dir;
use crate::journal::checkpoint::{CheckpointHead, Copy, FoundCheckpoint, read_checkpoint};
use crate::journal::control::Control;
use crate::journal::format::{CommitContent, FoundEntry, FoundHeader, Kind};
use crate::journal::ring::Place;
use crate::journal::scan::{Evidence, Step, Walk};
use crate::limits::{BLOCK_BYTES, COMMIT_BYTES_MAX, SEGMENT_DATA_START};
use crate::partition::{Control as PartitionControl, Partition, SegmentFacts, Swap};
use crate::record_batch::{Header, crc};
use crate::segment::file_format::segment_name;
use crate::segment::granules::GranuleOwner;
use crate::segment::index::SegmentIndex;
use crate::shard::ring_files::{copy_path, ring_path};

/// Checks a journal of a data directory; gives what it says of its partitions.
pub(super) fn check_journal(
    report: &mut Report<'_>,
    source: &dyn Source,
    root: &Root,
    journal: JournalId,
) -> Result<Partitions, String> {
    let mut newest: Option<CheckpointHead> = None;
    let mut partitions = Partitions::new();
    let mut registry = Vec::new();
    for copy in [Copy::A, Copy::B] {
        let name = copy_path(journal, copy).name;
        let path = format!("journal/{name}");
        let bytes = match read_whole(source, Dir::Journal, &name) {
            Ok(bytes) => bytes,
            Err(error) => {
                report.problem(path, 0, error);
                continue;
            }
        };
        match read_checkpoint(&bytes, &root.key, journal) {
            Ok(found) => {
                let head = found.head;
                if newest.is_none_or(|newest| newest.number < head.number) {
                    newest = Some(head);
                    (partitions, registry) = content_of(report, &path, &found);
                }
            }
            Err(fault) => report.problem(path, 0, format!("the checkpoint {fault}")),
        }
    }
    report.registry.append(&mut registry);
    let Some(head) = newest else {
        let path = format!("journal/{}", copy_path(journal, Copy::A).name);
        let text = "neither copy of the checkpoint counts; a start is refused";
        report.problem(path, 0, text);
        return Ok(partitions);
    };
    check_sizes(report, source, &head)?;
    if head.is_clean {
        return Ok(partitions);
    }
    let mut ring = Ring {
        source,
        head,
        partitions,
        lost_names: Vec::new(),
        has_losses: false,
    };
    ring.check(report, root)?;
    Ok(ring.partitions)
}

/// A ring whose files are not all there, or not whole, is no ring: a start is refused.
fn check_sizes(
    report: &mut Report<'_>,
    source: &dyn Source,
    head: &CheckpointHead,
) -> Result<(), String> {
    let sizes = source.list(Dir::Journal)?;
    let wanted = head.shape.file_bytes;
    for index in 0..head.shape.files {
        let name = ring_path(head.journal, index).name;
        let path = format!("journal/{name}");
        match sizes.iter().find(|(found, _)| *found == name) {
            Some((_, bytes)) if *bytes == wanted => {}
            Some((_, bytes)) => {
                let text = format!("has {bytes} bytes instead of {wanted}; a start is refused");
                report.problem(path, *bytes.min(&wanted), text);
            }
            None => report.problem(path, 0, "is missing; a start is refused"),
        }
    }
    Ok(())
}

type Registry = Vec<(PartitionHandle, Vec<u8>, Vec<u8>)>;

/// What a checkpoint holds.
fn content_of(
    report: &mut Report<'_>,
    path: &str,
    found: &FoundCheckpoint<'_>,
) -> (Partitions, Registry) {
    let mut partitions = Partitions::new();
    let head = &found.head;
    report.show(|| {
        let kind = match head.is_clean {
            true => "clean checkpoint",
            false => "checkpoint",
        };
        format!(
            "{path}: {kind} {}, epoch {}, journal from sequence {}, resolved to {}",
            head.number, head.epoch, head.start_sequence, head.mark
        )
    });
    let Some(content) = found.content() else {
        let text = "its check holds and its parts do not fit";
        report.problem(path, BLOCK_BYTES, text);
        return (partitions, Registry::new());
    };
    for (handle, state) in content.partitions {
        match Partition::restore(state) {
            Ok(partition) => {
                let known = known(&partition);
                report.show(|| show_partition(handle, &known));
                for fence in known.fences.iter().filter(|fence| !fence.is_lost) {
                    let records = known.wanted(handle, fence.start_offset, fence.end_offset);
                    let text = "a damaged range is fenced until its loss is accepted";
                    report.costs(path, BLOCK_BYTES, text, records);
                }
                partitions.insert(handle, known);
            }
            Err(error) => {
                let text = format!("partition {}: {error}", handle.0);
                report.problem(path, BLOCK_BYTES, text);
            }
        }
    }
    let registry = content.registry.iter();
    let registry = registry.map(|(owner, key, value)| (*owner, key.to_vec(), value.to_vec()));
    (partitions, registry.collect())
}

fn known(partition: &Partition) -> Known {
    let (offsets, spec) = (partition.offsets(), partition.spec());
    Known {
        topic_id: spec.topic_id,
        index: spec.index,
        log_start: offsets.log_start,
        log_end: offsets.log_end,
        fences: partition.fences().to_vec(),
        segments: partition.segment_facts().collect(),
        batches: Vec::new(),
        faults: Vec::new(),
        tail: LogTail::default(),
        is_deleted: false,
    }
}

fn show_partition(handle: PartitionHandle, known: &Known) -> String {
    let topic: String = known
        .topic_id
        .0
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    format!(
        "  partition handle {}, topic {topic} index {}: log start {}, log end {}, {} segments",
        handle.0,
        known.index,
        known.log_start,
        known.log_end,
        known.segments.len()
    )
}

/// The ring behind a checkpoint.
struct Ring<'a> {
    source: &'a dyn Source,
    head: CheckpointHead,
    partitions: Partitions,
    /// What the newest lost commits held: place, partition and its end.
    lost_names: Vec<(Place, PartitionHandle, i64)>,
    has_losses: bool,
}

impl Ring<'_> {
    fn path(&self, place: Place) -> String {
        format!("journal/{}", ring_path(self.head.journal, place.file).name)
    }

    fn read(&self, place: Place, length: u64) -> Result<Vec<u8>, String> {
        let mut bytes = vec![0; usize::try_from(length).map_err(|error| error.to_string())?];
        let name = ring_path(self.head.journal, place.file).name;
        self.source
            .read(Dir::Journal, &name, place.position, &mut bytes)?;
        Ok(bytes)
    }

    fn check(&mut self, report: &mut Report<'_>, root: &Root) -> Result<(), String> {
        let head = self.head;
        let mut evidence = Evidence::new(
            root.key,
            head.journal,
            head.shape,
            head.epoch,
            head.start_sequence,
        );
        for file in 0..head.shape.files {
            self.look_at_file(report, file, &mut evidence);
        }
        let resolved = evidence.resolved_at_least(head.mark);
        let mut walk = match Walk::new(&evidence, head.start, head.previous, resolved) {
            Ok(walk) => walk,
            Err(broken) => {
                report.problem(self.path(head.start), head.start.position, broken);
                return Ok(());
            }
        };
        let mut at = head.start;
        loop {
            let mut step = walk.step();
            if let Step::Commit(found) = step {
                at = found.id.place;
                let bytes = self.read(at, found.length).unwrap_or_default();
                let Err(damage) = found.content(&bytes) else {
                    self.check_commit(report, &found, &bytes);
                    walk.accept(&found);
                    at = head.shape.after(at, found.length);
                    continue;
                };
                step = walk.content_is_damaged(&found);
                if matches!(step, Step::Lost { .. }) {
                    let sequence = found.id.sequence;
                    let text = format!("the {damage:?} of commit {sequence} is damaged");
                    report.problem(self.path(at), at.position, text);
                    self.lost_commit(at, found.names(&bytes));
                    continue;
                }
            }
            if !self.goes_on(report, at, step) {
                break;
            }
        }
        self.settle_names(report);
        Ok(())
    }

    /// Says what a step found; `false` at the journal's end.
    fn goes_on(&mut self, report: &mut Report<'_>, at: Place, step: Step) -> bool {
        match step {
            Step::Commit(_) => true,
            Step::Lost { from, to } => {
                let text = format!("acknowledged commits {from} to {} are lost", to - 1);
                report.problem(self.path(at), at.position, text);
                self.has_losses = true;
                if to - from == 1 {
                    // Its successor's echo says whom it concerned.
                    self.lost_names.push((at, PartitionHandle(0), 0));
                }
                true
            }
            Step::LostTail { from, last } => {
                let text = format!(
                    "acknowledged commits {from} to {last} at the end are lost; every partition \
                     of the journal may have lost its last records"
                );
                report.problem(self.path(at), at.position, text);
                false
            }
            Step::End { cut, discarded } => {
                report.show(|| {
                    format!("  journal ends before commit {cut}; {discarded} behind do not count")
                });
                false
            }
        }
    }

    /// A commit is lost whose table is there.
    fn lost_commit(&mut self, place: Place, names: Option<CommitContent<'_>>) {
        self.has_losses = true;
        let entries = names.into_iter().flat_map(|names| names.entries());
        let appends = entries.filter(|found| found.entry.kind == Kind::Append);
        let held = appends.map(|found| (place, found.entry.handle, found.entry.end_offset));
        self.lost_names.extend(held);
    }

    /// What lost commits held and no later entry told of is lost at its partition's end.
    fn settle_names(&mut self, report: &mut Report<'_>) {
        for (place, handle, end) in std::mem::take(&mut self.lost_names) {
            let Some(known) = self.partitions.get_mut(&handle) else {
                continue;
            };
            let (start, path) = (known.log_end, self.head.journal);
            let records = known.wanted(handle, start, end);
            known.log_end = known.log_end.max(end);
            if let Some(records) = records {
                let path = format!("journal/{}", ring_path(path, place.file).name);
                let text = "it held the last records of its partition";
                report.costs(path, place.position, text, Some(records));
            }
        }
    }

    fn look_at_file(&self, report: &mut Report<'_>, file: u32, evidence: &mut Evidence) {
        let mut position = 0;
        while position < self.head.shape.file_bytes {
            let length = COMMIT_BYTES_MAX.min(self.head.shape.file_bytes - position);
            let place = Place { file, position };
            match self.read(place, length) {
                Ok(bytes) => self.look_at_blocks(&bytes, place, evidence),
                Err(_) => self.look_one_by_one(report, place, length, evidence),
            }
            position += length;
        }
    }

    fn look_at_blocks(&self, bytes: &[u8], place: Place, evidence: &mut Evidence) {
        let blocks = bytes.chunks(BLOCK_BYTES as usize);
        for (block, position) in blocks.zip((place.position..).step_by(BLOCK_BYTES as usize)) {
            evidence.look_at(block, Place { position, ..place });
        }
    }

    /// What can be read of a stretch that cannot be read whole.
    fn look_one_by_one(
        &self,
        report: &mut Report<'_>,
        place: Place,
        length: u64,
        evidence: &mut Evidence,
    ) {
        for ahead in (0..length).step_by(BLOCK_BYTES as usize) {
            let position = place.position + ahead;
            let place = Place { position, ..place };
            match self.read(place, BLOCK_BYTES) {
                Ok(bytes) => self.look_at_blocks(&bytes, place, evidence),
                Err(error) => {
                    report.problem(self.path(place), position, error);
                    // A file that ends here has no more to say.
                    return;
                }
            }
        }
    }

    fn check_commit(&mut self, report: &mut Report<'_>, found: &FoundHeader, bytes: &[u8]) {
        let Ok(content) = found.content(bytes) else {
            return;
        };
        report.commits += 1;
        let id = &found.id;
        let path = self.path(id.place);
        report.show(|| {
            format!(
                "{path} at position {}: commit {} of epoch {}, {} bytes, resolved to {}",
                id.place.position, id.sequence, id.epoch, found.length, id.mark
            )
        });
        let waits_for_echo = |(_, handle, _): &(Place, PartitionHandle, i64)| handle.0 == 0;
        if let Some((place, ..)) = self.lost_names.pop_if(|name| waits_for_echo(name)) {
            let echo = content.echo().map(|(handle, end)| (place, handle, end));
            self.lost_names.extend(echo);
        }
        for entry in content.entries() {
            report.show(|| show_entry(&entry));
            if entry.entry.kind == Kind::Append {
                self.check_append(report, &path, id.place.position, &entry);
            } else {
                self.apply(&entry);
            }
        }
    }

    /// The batches of an entry, inline and placed, and whether records are missing before it.
    fn check_append(
        &mut self,
        report: &mut Report<'_>,
        path: &str,
        position: u64,
        found: &FoundEntry<'_>,
    ) {
        let entry = &found.entry;
        let mut batches = Vec::new();
        let (bytes, reason) = self.bytes_of(found);
        let mut faults = self.batches_of(report, (found, &bytes), reason, &mut batches);
        let (handle, source) = (entry.handle, self.source);
        let Some(known) = self.partitions.get_mut(&handle) else {
            return;
        };
        if known.is_deleted {
            return;
        }
        if self.has_losses && entry.base_offset > known.log_end {
            let records = known.wanted(handle, known.log_end, entry.base_offset);
            let text = "records before this entry are lost";
            report.costs(path, position, text, records);
        }
        let shared = known.tail.first_difference(source, entry);
        faults.extend(shared.map(|at| {
            let text = "records before a placed write are damaged in the block they share with it";
            (at, text.to_owned())
        }));
        known.tail.append(entry, found.image, &bytes);
        known.log_end = entry.end_offset;
        known.batches.append(&mut batches);
        if entry.placed_start < entry.placed_end
            && let Some(facts) = known.segments.iter_mut().find(|it| it.file == entry.file)
        {
            facts.prepared = facts.prepared.max(entry.placed_end);
        }
        let faults = faults.into_iter();
        known
            .faults
            .extend(faults.map(|(at, text)| (entry.file, at, text)));
    }

    /// Walks the batches of an entry into `batches`. Gives the positions of damaged ones, and what
    /// is wrong with them.
    fn batches_of(
        &self,
        report: &mut Report<'_>,
        (found, bytes): (&FoundEntry<'_>, &[u8]),
        reason: Option<String>,
        batches: &mut Vec<KnownBatch>,
    ) -> Vec<(u64, String)> {
        let entry = &found.entry;
        let mut faults = Vec::new();
        let mut at = 0;
        let mut end_offset = entry.base_offset;
        let mut descriptors = found.descriptors();
        while at < bytes.len() {
            let position = entry.position + at as u64;
            let header = Header::parse(&bytes[at..]).ok();
            let wanted = match (descriptors.next(), &header) {
                (Some(wanted), _) => (wanted.base_offset, wanted.last_offset + 1, wanted.bytes),
                (None, Some(found)) => (found.base_offset, found.end_offset(), found.batch_bytes),
                (None, None) => (end_offset, entry.end_offset, (bytes.len() - at) as u32),
            };
            let batch = bytes.get(at..at + wanted.2 as usize);
            let is_right = header.zip(batch).is_some_and(|(header, batch)| {
                (header.base_offset, header.end_offset(), header.batch_bytes) == wanted
                    && crc(batch) == header.crc
                    && header.base_offset >= end_offset
                    && header.partition_leader_epoch == entry.leader_epoch
            });
            if !is_right {
                let damaged = || "a batch that the journal knows of is damaged".to_owned();
                faults.push((position, reason.clone().unwrap_or_else(damaged)));
            }
            batches.push(KnownBatch {
                file: entry.file,
                position,
                bytes: u64::from(wanted.2),
                base_offset: wanted.0,
                end_offset: wanted.1,
            });
            report.batches += 1;
            end_offset = wanted.1;
            at += (wanted.2 as usize).max(1);
        }
        faults
    }

    /// The records of an entry out of journal and segment, zeros where the segment does not give
    /// them, and why it does not.
    fn bytes_of(&self, found: &FoundEntry<'_>) -> (Vec<u8>, Option<String>) {
        let entry = &found.entry;
        if entry.placed_start >= entry.placed_end {
            return (found.inline.to_vec(), None);
        }
        let from = entry.placed_start.max(entry.position);
        let head = (from - entry.position) as usize;
        let Some((head, tail)) = found.inline.split_at_checked(head) else {
            return (Vec::new(), None);
        };
        let mut placed = vec![0; (entry.placed_end.saturating_sub(from)) as usize];
        let name = segment_name(entry.file);
        let mut reason = None;
        if self
            .source
            .read(Dir::Segments, &name, from, &mut placed)
            .is_err()
        {
            placed.fill(0);
            let mut position = from;
            for block in placed.chunks_mut(BLOCK_BYTES as usize) {
                if let Err(error) = self.source.read(Dir::Segments, &name, position, block) {
                    reason = Some(error);
                    block.fill(0);
                }
                position += BLOCK_BYTES;
            }
        }
        ([head, &placed, tail].concat(), reason)
    }

    /// What a control record changes of what segments must hold.
    fn apply(&mut self, found: &FoundEntry<'_>) {
        let handle = found.entry.handle;
        match Control::decode(found) {
            Some(Control::Create(spec)) => {
                let partition = Partition::new(spec);
                self.partitions
                    .entry(handle)
                    .or_insert_with(|| known(&partition));
            }
            Some(Control::Delete) => {
                if let Some(known) = self.partitions.get_mut(&handle) {
                    known.is_deleted = true;
                }
            }
            Some(Control::Partition(control)) => {
                if let Some(known) = self.partitions.get_mut(&handle) {
                    known.apply(&control);
                }
            }
            Some(Control::Registry { .. }) | None => {}
        }
    }
}

impl Known {
    fn apply(&mut self, control: &PartitionControl) {
        match control {
            PartitionControl::LogStart { offset } => self.log_start = self.log_start.max(*offset),
            PartitionControl::Quarantine { fence } => self.fences.push(*fence),
            PartitionControl::AcceptLoss { fence } => {
                let mut fence = *fence;
                fence.is_lost = true;
                self.fences.push(fence);
            }
            PartitionControl::Swap(swap) => self.swap(swap),
            PartitionControl::Roll {
                file,
                generation,
                base_offset,
                ..
            } => {
                let owner = GranuleOwner {
                    topic_id: self.topic_id,
                    index: self.index,
                    file: *file,
                    generation: *generation,
                };
                self.segments.push(SegmentFacts {
                    file: *file,
                    generation: *generation,
                    base_offset: *base_offset,
                    end_offset: *base_offset,
                    bytes: SEGMENT_DATA_START,
                    prepared: 0,
                    index_blocks: 0,
                    owner,
                    index: SegmentIndex::default(),
                    tail_crc: None,
                });
            }
            PartitionControl::Seal { .. } | PartitionControl::LeaderEpoch { .. } => {}
        }
    }

    /// Compacted segments give way; the new one is looked at once a checkpoint names it.
    fn swap(&mut self, swap: &Swap) {
        let Some(old) = &swap.old else { return };
        let is = |facts: &SegmentFacts, end: (_, u32)| (facts.file, facts.generation) == end;
        let first = self.segments.iter().position(|facts| is(facts, old.first));
        let last = self.segments.iter().position(|facts| is(facts, old.last));
        if let (Some(first), Some(last)) = (first, last)
            && first <= last
        {
            self.segments.drain(first..=last);
        }
    }
}

fn show_entry(found: &FoundEntry<'_>) -> String {
    let entry = &found.entry;
    match entry.kind {
        Kind::Append => format!(
            "  append to handle {}: offsets [{}, {}), {} at {}, {} bytes, placed {}",
            entry.handle.0,
            entry.base_offset,
            entry.end_offset,
            segment_name(entry.file),
            entry.position,
            entry.length,
            entry.placed_end.saturating_sub(entry.placed_start)
        ),
        kind => format!(
            "  {kind:?} of handle {}, {} bytes",
            entry.handle.0,
            found.inline.len()
        ),
    }
}
