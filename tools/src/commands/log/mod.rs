//! `millrace log`: looks at a data directory whose broker does not run. Reads only.
//!
//! Both commands take the same way: root file, then per journal its checkpoints and commits, then
//! the segment files. `inspect` prints what it finds on the way, `verify` only what is wrong.

mod journals;
mod segments;

use anyhow::{Context, Result, bail};
use journals::check_journal;
use millrace_engine::engine::root_file::{COPIES, Root};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The commands.
#[derive(clap::Subcommand, Debug)]
pub(crate) enum Command {
    /// Prints root file, checkpoints, commits, segments and batches
    Inspect(Args),
    /// Checks all of them and names each problem with file and position
    Verify(Args),
}

/// Where to look.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The data directory
    #[arg(long, value_name = "DIR", default_value = "millrace-data")]
    data_dir: PathBuf,
    /// The journal directory, if it is not `journal` in the data directory
    #[arg(long, value_name = "DIR")]
    journal_dir: Option<PathBuf>,
    /// Leave out journals
    #[arg(long)]
    no_journals: bool,
    /// Leave out segments
    #[arg(long)]
    no_segments: bool,
    /// Only the segment files whose name begins with this
    #[arg(long, value_name = "NAME")]
    segment: Option<String>,
}

/// What was found so far.
struct Report {
    is_shown: bool,
    problems: usize,
    commits: u64,
    batches: u64,
    granules: u64,
    /// Where the log of each handle ends by the newest checkpoint of its journal.
    log_ends: BTreeMap<u64, i64>,
    /// Where the records of each handle end in its segment files.
    segment_ends: BTreeMap<u64, i64>,
}

impl Report {
    const fn new(is_shown: bool) -> Self {
        Self {
            is_shown,
            problems: 0,
            commits: 0,
            batches: 0,
            granules: 0,
            log_ends: BTreeMap::new(),
            segment_ends: BTreeMap::new(),
        }
    }

    /// A checkpoint is written only after everything up to its log ends is in segment files.
    fn compare_ends(&mut self, folder: &Path) {
        for (handle, log_end) in std::mem::take(&mut self.log_ends) {
            let found = self.segment_ends.get(&handle).copied().unwrap_or(0);
            if found < log_end {
                let text = format!(
                    "the records of handle {handle} end at offset {found}, its checkpoint says \
                     {log_end}"
                );
                self.problem(folder, 0, text);
            }
        }
    }

    /// Prints a line of `inspect`.
    fn show(&self, line: impl FnOnce() -> String) {
        if self.is_shown {
            println!("{}", line());
        }
    }

    /// Prints a problem.
    fn problem(&mut self, file: &Path, position: u64, text: impl std::fmt::Display) {
        self.problems += 1;
        println!("PROBLEM {} at position {position}: {text}", file.display());
    }
}

/// Runs one of them.
pub(crate) fn run(command: &Command) -> Result<()> {
    let (args, is_shown) = match command {
        Command::Inspect(args) => (args, true),
        Command::Verify(args) => (args, false),
    };
    let mut report = Report::new(is_shown);
    let root = read_root(&args.data_dir, &mut report)?;
    if !args.no_journals {
        let folder = args
            .journal_dir
            .clone()
            .unwrap_or_else(|| args.data_dir.join("journal"));
        for &journal in &root.journals {
            check_journal(&mut report, &folder, &root, journal)?;
        }
    }
    if !args.no_segments {
        let folder = args.data_dir.join("segments");
        segments::check_all(&mut report, &folder, args.segment.as_deref())?;
        if !args.no_journals && args.segment.is_none() {
            report.compare_ends(&folder);
        }
    }
    eprintln!(
        "{} commits, {} granules, {} batches looked at, {} problems",
        report.commits, report.granules, report.batches, report.problems
    );
    if report.problems > 0 {
        bail!(
            "{} problems; keep a copy of the directory before anything is repaired",
            { report.problems }
        );
    }
    Ok(())
}

/// The root file's newer copy that is whole.
fn read_root(data_dir: &Path, report: &mut Report) -> Result<Root> {
    let mut newest: Option<(u64, Root)> = None;
    for name in COPIES {
        let path = data_dir.join(name);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error).with_context(|| path.display().to_string()),
        };
        match Root::from_copy(&bytes) {
            Ok((number, root)) => {
                report.show(|| {
                    let ids: Vec<u16> = root.journals.iter().map(|id| id.0).collect();
                    format!(
                        "{name}: number {number}, {} shards, journals {ids:?}",
                        ids.len()
                    )
                });
                if newest.as_ref().is_none_or(|(newest, _)| *newest < number) {
                    newest = Some((number, root));
                }
            }
            Err(fault) => report.problem(&path, 0, fault),
        }
    }
    let Some((_, root)) = newest else {
        bail!(
            "{} holds no root file; give the broker's --data-dir",
            data_dir.display()
        );
    };
    Ok(root)
}
