//! Segment files: identity, granule checksums, and the batches one behind the other.
//!
//! What lies behind the last granule that the index file knows is judged by its batches alone: the
//! first bytes that are no whole batch are where the segment ends as far as it can be told.

use super::Report;
use anyhow::{Context, Result};
use millrace_engine::ids::FileId;
use millrace_engine::inspect::SegmentView;
use millrace_engine::limits::{BLOCK_BYTES, GRANULE_BYTES, SEGMENT_DATA_START};
use millrace_engine::record_batch::{HEADER_BYTES, Header, crc};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Checks every segment file of a folder.
pub(super) fn check_all(report: &mut Report, folder: &Path, prefix: Option<&str>) -> Result<()> {
    let mut paths: Vec<PathBuf> = Vec::new();
    let listed = fs::read_dir(folder).with_context(|| format!("folder {}", folder.display()))?;
    for child in listed {
        let path = child?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if name.ends_with(".seg") && prefix.is_none_or(|prefix| name.starts_with(prefix)) {
            paths.push(path);
        }
    }
    paths.sort();
    for path in paths {
        check_one(report, &path)?;
    }
    Ok(())
}

fn check_one(report: &mut Report, path: &Path) -> Result<()> {
    let stem = path
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let Ok(number) = u64::from_str_radix(&stem, 16) else {
        report.problem(path, 0, "its name is no segment's");
        return Ok(());
    };
    let file = File::open(path).with_context(|| path.display().to_string())?;
    let bytes = file.metadata()?.len();
    let mut block = vec![0; BLOCK_BYTES as usize];
    if bytes < BLOCK_BYTES || file.read_exact_at(&mut block, 0).is_err() {
        report.show(|| format!("{}: {bytes} bytes, not begun", path.display()));
        return Ok(());
    }
    let index_path = path.with_extension("idx");
    let index_file = fs::read(&index_path).unwrap_or_default();
    let Some(view) = SegmentView::read(FileId(number), &block, &index_file) else {
        report.show(|| format!("{}: {bytes} bytes, no records", path.display()));
        return Ok(());
    };
    let identity = view.identity();
    report.show(|| {
        format!(
            "{}: handle {} index {}, generation {}, {} granules indexed",
            path.display(),
            identity.handle.0,
            identity.index,
            identity.generation,
            view.granule_count()
        )
    });
    if view.has_index_hole(&index_file) {
        let position = u64::from(view.index_end().unwrap_or(0)) * BLOCK_BYTES;
        report.problem(&index_path, position, "the index block is damaged");
    }
    let records_end = check_batches(report, path, &file, &view, bytes)?;
    check_granules(report, path, &file, &view, records_end)
}

/// Walks the batches; gives the position behind the last whole one.
fn check_batches(
    report: &mut Report,
    path: &Path,
    file: &File,
    view: &SegmentView,
    file_bytes: u64,
) -> Result<u64> {
    let indexed_end = view.granule_count().saturating_sub(1) as u64 * GRANULE_BYTES;
    let mut position = SEGMENT_DATA_START;
    let mut next_offset = 0;
    let mut batch = Vec::new();
    while position + HEADER_BYTES as u64 <= file_bytes {
        let header = read_batch(file, position, file_bytes, &mut batch)?;
        let Some(header) = header.filter(|header| header.base_offset >= next_offset) else {
            if position < indexed_end {
                report.problem(path, position, "no whole batch of this segment begins here");
            }
            break;
        };
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
        next_offset = header.end_offset();
        position += u64::from(header.batch_bytes);
    }
    if position > SEGMENT_DATA_START {
        let end = report
            .segment_ends
            .entry(view.identity().handle.0)
            .or_insert(0);
        *end = next_offset.max(*end);
    }
    report.show(|| format!("  records end at position {position}, offset {next_offset}"));
    Ok(position)
}

/// The batch at a position, if a whole one with the right crc lies there.
fn read_batch(
    file: &File,
    position: u64,
    file_bytes: u64,
    batch: &mut Vec<u8>,
) -> Result<Option<Header>> {
    batch.resize(HEADER_BYTES, 0);
    file.read_exact_at(batch, position)?;
    let Ok(header) = Header::parse(batch) else {
        return Ok(None);
    };
    if position + u64::from(header.batch_bytes) > file_bytes {
        return Ok(None);
    }
    batch.resize(header.batch_bytes as usize, 0);
    file.read_exact_at(batch, position)?;
    Ok((crc(batch) == header.crc).then_some(header))
}

fn check_granules(
    report: &mut Report,
    path: &Path,
    file: &File,
    view: &SegmentView,
    records_end: u64,
) -> Result<()> {
    let mut granule = vec![0; GRANULE_BYTES as usize];
    for number in 0..view.granule_count() {
        report.granules += 1;
        let position = number as u64 * GRANULE_BYTES;
        let is_last = number + 1 == view.granule_count();
        let end = position + GRANULE_BYTES;
        // The last granule's checksum covers records only, not what pads their last block.
        let bytes = if is_last {
            end.min(records_end.max(position)) - position
        } else {
            GRANULE_BYTES
        };
        let place = &mut granule[..usize::try_from(bytes)?];
        if file.read_exact_at(place, position).is_err() {
            report.problem(
                path,
                position,
                "the file ends within a granule it must hold",
            );
            return Ok(());
        }
        if let Some(fault) = view.granule_fault(number, place) {
            report.problem(path, position, fault);
        }
    }
    Ok(())
}
