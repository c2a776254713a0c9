//! A data directory as an offline tool sees it: bytes in, findings out. Reads only.
//!
//! The way is that of a start: root file, then per journal its checkpoints and the commits that
//! recovery would count, then every segment that they name, granule by granule. Each problem says
//! which file and place it is in and, as far as anything tells, which records it costs.
//! [`Source`] gives the bytes, so that the same check runs over folders and in tests.

mod journals;
mod log_tail;
mod segments;
#[cfg(test)]
mod tests;

use crate::engine::root_file::{COPIES, Root};
use crate::ids::{FileId, PartitionHandle, TopicId};
use crate::io::Dir;
use crate::partition::{Fence, SegmentFacts};
use log_tail::LogTail;
use std::collections::BTreeMap;
use std::fmt;

/// Where the bytes come from.
pub trait Source {
    /// Names and sizes of the files of a folder.
    ///
    /// # Errors
    /// Why it cannot be listed.
    fn list(&self, dir: Dir) -> Result<Vec<(String, u64)>, String>;

    /// Reads exactly `out` from `position` on.
    ///
    /// # Errors
    /// Why not all of it can be read.
    fn read(&self, dir: Dir, name: &str, position: u64, out: &mut [u8]) -> Result<(), String>;
}

/// Records that a problem costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Records {
    /// The partition.
    pub handle: PartitionHandle,
    /// Its topic.
    pub topic_id: TopicId,
    /// Its index in the topic.
    pub index: i32,
    /// First offset.
    pub start_offset: i64,
    /// End offset, exclusive.
    pub end_offset: i64,
}

/// Something that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file, below the data directory.
    pub file: String,
    /// Where in it.
    pub position: u64,
    /// What is wrong.
    pub text: String,
    /// What it costs, if that is known.
    pub records: Option<Records>,
}

impl fmt::Display for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let topic: String = self.topic_id.0.iter().map(|b| format!("{b:02x}")).collect();
        write!(
            f,
            "handle {} (topic {topic}, partition {}), offsets {} to {}",
            self.handle.0,
            self.index,
            self.start_offset,
            self.end_offset - 1
        )
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} at position {}: {}",
            self.file, self.position, self.text
        )?;
        match &self.records {
            Some(records) => write!(f, "; {records}"),
            None => Ok(()),
        }
    }
}

/// What is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// Journals and checkpoints. Without them nothing says what segments hold.
    pub journals: bool,
    /// Segments.
    pub segments: bool,
    /// Only segment files whose name begins with this.
    pub segment_prefix: Option<&'a str>,
}

/// What was found.
pub struct Report<'a> {
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// Commits, granules, batches looked at.
    pub commits: u64,
    /// See `commits`.
    pub granules: u64,
    /// See `commits`.
    pub batches: u64,
    /// Registry entries of all journals: owner, key, value.
    pub registry: Vec<(PartitionHandle, Vec<u8>, Vec<u8>)>,
    /// Takes a line for everything that is looked at.
    show: Option<&'a mut dyn FnMut(String)>,
}

impl fmt::Debug for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Report({:?})", self.problems)
    }
}

/// A partition as checkpoint and commits have it.
#[derive(Debug)]
struct Known {
    topic_id: TopicId,
    index: i32,
    log_start: i64,
    /// The end of what is accounted for.
    log_end: i64,
    fences: Vec<Fence>,
    segments: Vec<SegmentFacts>,
    /// Batches behind the checkpoint.
    batches: Vec<KnownBatch>,
    /// Damage of records that the journal alone knows: file, position, what it is.
    faults: Vec<(FileId, u64, String)>,
    tail: LogTail,
    is_deleted: bool,
}

/// A batch that the journal knows of.
#[derive(Clone, Copy, Debug)]
struct KnownBatch {
    file: FileId,
    position: u64,
    bytes: u64,
    base_offset: i64,
    end_offset: i64,
}

impl KnownBatch {
    const fn end(&self) -> u64 {
        self.position + self.bytes
    }
}

type Partitions = BTreeMap<PartitionHandle, Known>;

impl Known {
    /// The part of these records that is wanted and was not given up. `None`: nothing.
    fn wanted(&self, handle: PartitionHandle, mut start: i64, mut end: i64) -> Option<Records> {
        start = start.max(self.log_start);
        let holds = |fence: &&Fence, offset| {
            fence.is_lost && fence.start_offset <= offset && offset < fence.end_offset
        };
        while let Some(fence) = self.fences.iter().find(|fence| holds(fence, start)) {
            start = fence.end_offset;
        }
        while let Some(fence) = self.fences.iter().find(|fence| holds(fence, end - 1)) {
            end = fence.start_offset;
        }
        (start < end && !self.is_deleted).then_some(Records {
            handle,
            topic_id: self.topic_id,
            index: self.index,
            start_offset: start,
            end_offset: end,
        })
    }
}

impl<'a> Report<'a> {
    fn new(show: Option<&'a mut dyn FnMut(String)>) -> Self {
        Self {
            problems: Vec::new(),
            commits: 0,
            granules: 0,
            batches: 0,
            registry: Vec::new(),
            show,
        }
    }

    fn show(&mut self, line: impl FnOnce() -> String) {
        if let Some(show) = &mut self.show {
            show(line());
        }
    }

    fn problem(&mut self, file: impl Into<String>, position: u64, text: impl fmt::Display) {
        self.costs(file, position, text, None);
    }

    fn costs(
        &mut self,
        file: impl Into<String>,
        position: u64,
        text: impl fmt::Display,
        records: Option<Records>,
    ) {
        self.problems.push(Problem {
            file: file.into(),
            position,
            text: text.to_string(),
            records,
        });
    }
}

/// Looks at a data directory; `show` takes a line for all that is there.
///
/// # Errors
/// When there is no root file, or a folder cannot be listed.
pub fn check<'a>(
    source: &dyn Source,
    scope: Scope<'_>,
    show: Option<&'a mut dyn FnMut(String)>,
) -> Result<Report<'a>, String> {
    let mut report = Report::new(show);
    let root = read_root(source, &mut report)?;
    let mut partitions = Partitions::new();
    if scope.journals {
        for &journal in &root.journals {
            let found = journals::check_journal(&mut report, source, &root, journal)?;
            partitions.extend(found);
        }
    }
    if scope.segments && scope.journals {
        segments::check_named(&mut report, source, &partitions, scope.segment_prefix)?;
    } else if scope.segments {
        segments::show_all(&mut report, source, scope.segment_prefix)?;
    }
    Ok(report)
}

/// The root file's newer copy that is whole.
fn read_root(source: &dyn Source, report: &mut Report<'_>) -> Result<Root, String> {
    let sizes = source.list(Dir::Root)?;
    let mut newest: Option<(u64, Root)> = None;
    for name in COPIES {
        let Some((_, bytes)) = sizes.iter().find(|(found, _)| found == name) else {
            report.problem(
                name,
                0,
                "is missing; the next start makes it from the other copy",
            );
            continue;
        };
        let mut content = vec![0; usize::try_from(*bytes).unwrap_or(0)];
        if let Err(error) = source.read(Dir::Root, name, 0, &mut content) {
            report.problem(name, 0, error);
            continue;
        }
        match Root::from_copy(&content) {
            Ok((number, root)) => {
                report.show(|| {
                    let ids: Vec<u16> = root.journals.iter().map(|id| id.0).collect();
                    let shards = ids.len();
                    format!("{name}: number {number}, {shards} shards, journals {ids:?}")
                });
                if newest.as_ref().is_none_or(|(newest, _)| *newest < number) {
                    newest = Some((number, root));
                }
            }
            Err(fault) => report.problem(name, 0, fault),
        }
    }
    let Some((_, root)) = newest else {
        let damage: String = report.problems.iter().map(|p| format!("; {p}")).collect();
        return Err(format!("no copy of the root file counts{damage}"));
    };
    let is_set_whole = read_whole(source, Dir::Journal, "set")
        .is_ok_and(|content| crate::engine::root_file::is_set_file(&content, &root.set_id));
    if !is_set_whole {
        report.problem("journal/set", 0, "is damaged or missing");
    }
    Ok(root)
}

/// A whole file.
fn read_whole(source: &dyn Source, dir: Dir, name: &str) -> Result<Vec<u8>, String> {
    let sizes = source.list(dir)?;
    let size = sizes.iter().find(|(found, _)| found == name);
    let (_, bytes) = size.ok_or_else(|| "is missing".to_owned())?;
    let mut content = vec![0; usize::try_from(*bytes).map_err(|error| error.to_string())?];
    source.read(dir, name, 0, &mut content)?;
    Ok(content)
}
