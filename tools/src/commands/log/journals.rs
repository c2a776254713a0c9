//! One journal: its two checkpoint copies, then every commit that recovery would count.

use super::Report;
use anyhow::{Context, Result};
use millrace_engine::engine::root_file::Root;
use millrace_engine::ids::JournalId;
use millrace_engine::inspect::{checkpoint_name, ring_file_name};
use millrace_engine::journal::checkpoint::{
    CheckpointFault, CheckpointHead, Copy, FoundCheckpoint, read_checkpoint,
};
use millrace_engine::journal::format::{CommitContent, FoundEntry, FoundHeader, Kind};
use millrace_engine::journal::ring::Place;
use millrace_engine::journal::scan::{Evidence, Step, Walk};
use millrace_engine::limits::{BLOCK_BYTES, COMMIT_BYTES_MAX};
use millrace_engine::partition::Partition;
use millrace_engine::record_batch::{Header, crc};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// The ring's files, open.
struct Ring {
    paths: Vec<PathBuf>,
    files: Vec<File>,
}

impl Ring {
    fn open(folder: &Path, journal: JournalId, count: u32) -> Result<Self> {
        let paths: Vec<PathBuf> = (0..count)
            .map(|index| folder.join(ring_file_name(journal, index)))
            .collect();
        let open = |path: &PathBuf| {
            File::open(path).with_context(|| format!("{} of the ring", path.display()))
        };
        let files = paths.iter().map(open).collect::<Result<_>>()?;
        Ok(Self { paths, files })
    }

    fn path(&self, place: Place) -> &Path {
        &self.paths[place.file as usize]
    }

    fn read(&self, place: Place, length: u64) -> Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(length)?];
        self.files[place.file as usize].read_exact_at(&mut bytes, place.position)?;
        Ok(bytes)
    }
}

/// Checks a journal of a data directory.
pub(super) fn check_journal(
    report: &mut Report,
    folder: &Path,
    root: &Root,
    journal: JournalId,
) -> Result<()> {
    let mut newest: Option<CheckpointHead> = None;
    let mut newest_ends = Vec::new();
    for copy in [Copy::A, Copy::B] {
        let path = folder.join(checkpoint_name(journal, copy));
        let bytes = fs::read(&path).with_context(|| {
            format!("{}; give --journal-dir if it is elsewhere", path.display())
        })?;
        match read_checkpoint(&bytes, &root.key, journal) {
            Ok(found) => {
                let head = found.head;
                let ends = check_content(report, &path, &found);
                if newest.is_none_or(|newest| newest.number < head.number) {
                    newest = Some(head);
                    newest_ends = ends;
                }
            }
            // A copy that was never written is how a fresh journal looks.
            Err(CheckpointFault::Absent) => report.show(|| format!("{}: empty", path.display())),
            Err(fault) => report.problem(&path, 0, fault),
        }
    }
    let Some(head) = newest else {
        let path = folder.join(checkpoint_name(journal, Copy::A));
        report.problem(
            &path,
            0,
            "neither copy of the checkpoint counts; recovery will refuse",
        );
        return Ok(());
    };
    report.log_ends.extend(newest_ends);
    check_ring(report, folder, root, &head)
}

/// Checks what a checkpoint holds; gives the log end of each partition that has records.
fn check_content(report: &mut Report, path: &Path, found: &FoundCheckpoint<'_>) -> Vec<(u64, i64)> {
    let mut ends = Vec::new();
    let head = &found.head;
    report.show(|| {
        let kind = if head.is_clean {
            "clean checkpoint"
        } else {
            "checkpoint"
        };
        format!(
            "{}: {kind} {}, epoch {}, journal from sequence {}, resolved to {}",
            path.display(),
            head.number,
            head.epoch,
            head.start_sequence,
            head.mark
        )
    });
    let Some(content) = found.content() else {
        report.problem(
            path,
            BLOCK_BYTES,
            "its check holds and its parts do not fit",
        );
        return ends;
    };
    for (handle, state) in content.partitions {
        match Partition::restore(state) {
            Ok(partition) => {
                let offsets = partition.offsets();
                if offsets.log_start < offsets.log_end {
                    ends.push((handle.0, offsets.log_end));
                }
                show_partition(report, handle.0, &partition);
            }
            Err(error) => {
                report.problem(
                    path,
                    BLOCK_BYTES,
                    format!("partition {}: {error}", handle.0),
                );
            }
        }
    }
    for (owner, key, value) in content.registry {
        report.show(|| {
            let key = String::from_utf8_lossy(key);
            format!(
                "  registry of handle {}: {key:?}, {} bytes",
                owner.0,
                value.len()
            )
        });
    }
    ends
}

fn show_partition(report: &Report, handle: u64, partition: &Partition) {
    report.show(|| {
        let (offsets, spec) = (partition.offsets(), partition.spec());
        let bytes = spec.topic_id.0.iter();
        let topic: String = bytes.map(|byte| format!("{byte:02x}")).collect();
        format!(
            "  partition handle {handle}, topic {topic} index {}: log start {}, log end {}",
            spec.index, offsets.log_start, offsets.log_end
        )
    });
}

fn check_ring(
    report: &mut Report,
    folder: &Path,
    root: &Root,
    head: &CheckpointHead,
) -> Result<()> {
    let ring = Ring::open(folder, head.journal, head.shape.files)?;
    let mut evidence = Evidence::new(
        root.key,
        head.journal,
        head.shape,
        head.epoch,
        head.start_sequence,
    );
    for file in 0..head.shape.files {
        look_at_file(&ring, file, head.shape.file_bytes, &mut evidence)?;
    }
    let resolved = evidence.resolved_at_least(head.mark);
    let mut walk = match Walk::new(&evidence, head.start, head.previous, resolved) {
        Ok(walk) => walk,
        Err(broken) => {
            report.problem(ring.path(head.start), head.start.position, broken);
            return Ok(());
        }
    };
    let mut at = head.start;
    loop {
        let mut step = walk.step();
        if let Step::Commit(found) = &step {
            let found = *found;
            at = found.id.place;
            let bytes = ring.read(at, found.length)?;
            match found.content(&bytes) {
                Ok(content) => {
                    check_commit(report, ring.path(at), &found, &content);
                    walk.accept(&found);
                    continue;
                }
                Err(damage) => {
                    step = walk.content_is_damaged(&found);
                    if !matches!(step, Step::End { .. }) {
                        let text = format!("commit {}: {damage:?} is damaged", found.id.sequence);
                        report.problem(ring.path(at), at.position, text);
                    }
                }
            }
        }
        if !goes_on(report, ring.path(at), at, step) {
            return Ok(());
        }
    }
}

/// Says what a step found; `false` at the journal's end.
fn goes_on(report: &mut Report, path: &Path, at: Place, step: Step) -> bool {
    match step {
        Step::Commit(_) => true,
        Step::Lost { from, to } => {
            let text = format!("acknowledged commits {from} to {} are lost", to - 1);
            report.problem(path, at.position, text);
            true
        }
        Step::LostTail { from, last } => {
            let text = format!("acknowledged commits {from} to {last} at the end are lost");
            report.problem(path, at.position, text);
            false
        }
        Step::End { cut, discarded } => {
            report.show(|| {
                format!("  journal ends before commit {cut}; {discarded} behind it do not count")
            });
            false
        }
    }
}

fn look_at_file(ring: &Ring, file: u32, file_bytes: u64, evidence: &mut Evidence) -> Result<()> {
    let mut position = 0;
    while position < file_bytes {
        let length = COMMIT_BYTES_MAX.min(file_bytes - position);
        let bytes = ring.read(Place { file, position }, length)?;
        for block in bytes.chunks(BLOCK_BYTES as usize) {
            evidence.look_at(block, Place { file, position });
            position += BLOCK_BYTES;
        }
    }
    Ok(())
}

fn check_commit(
    report: &mut Report,
    path: &Path,
    found: &FoundHeader,
    content: &CommitContent<'_>,
) {
    report.commits += 1;
    let id = &found.id;
    report.show(|| {
        format!(
            "{} at position {}: commit {} of epoch {}, {} bytes, resolved to {}",
            path.display(),
            id.place.position,
            id.sequence,
            id.epoch,
            found.length,
            id.mark
        )
    });
    for entry in content.entries() {
        show_entry(report, &entry);
        match entry.entry.kind {
            Kind::Append => check_inline(report, path, id.place.position, &entry),
            Kind::Quarantine => {
                let text = format!(
                    "handle {}: a damaged range was fenced",
                    entry.entry.handle.0
                );
                report.problem(path, id.place.position, text);
            }
            _ => {}
        }
    }
}

fn show_entry(report: &Report, found: &FoundEntry<'_>) {
    let entry = &found.entry;
    report.show(|| match entry.kind {
        Kind::Append => format!(
            "  append to handle {}: offsets [{}, {}), {:016x}.seg at {}, {} bytes, placed {}",
            entry.handle.0,
            entry.base_offset,
            entry.end_offset,
            entry.file.0,
            entry.position,
            entry.length,
            entry.placed_end - entry.placed_start
        ),
        kind => format!(
            "  {kind:?} of handle {}, {} bytes",
            entry.handle.0,
            found.inline.len()
        ),
    });
}

/// The batches of an entry that is inline as a whole.
fn check_inline(report: &mut Report, path: &Path, position: u64, found: &FoundEntry<'_>) {
    if found.entry.placed_start != found.entry.placed_end {
        return;
    }
    let mut rest = found.inline;
    while !rest.is_empty() {
        let whole = Header::parse(rest).map(|header| {
            let batch = rest.get(..header.batch_bytes as usize);
            batch.filter(|batch| crc(batch) == header.crc)
        });
        match whole {
            Ok(Some(batch)) => {
                report.batches += 1;
                rest = &rest[batch.len()..];
            }
            _ => {
                let text = format!(
                    "handle {}: an inline batch is damaged",
                    found.entry.handle.0
                );
                report.problem(path, position, text);
                return;
            }
        }
    }
}
