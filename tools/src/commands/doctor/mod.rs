//! `millrace doctor`: what this machine, its kernel and a directory are like for a broker. One
//! line each: a verdict, what was found, and what to do. Nothing is changed; the one file that is
//! written for the measurement has no name.

mod cores;
mod disk;
mod kernel;
mod memory;

use anyhow::{Result, bail};
use serde_json::json;
use std::io::Write;
use std::path::PathBuf;

/// Options of `millrace doctor`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The data directory, or where it is to be
    #[arg(long, value_name = "DIR", default_value = "millrace-data")]
    data_dir: PathBuf,
    /// The journal directory, if it is not in the data directory
    #[arg(long, value_name = "DIR")]
    journal_dir: Option<PathBuf>,
    /// One JSON object per line
    #[arg(long)]
    json: bool,
}

/// How good a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Ok,
    /// The broker runs, at a cost.
    Warn,
    /// The broker does not run.
    Fail,
}

impl Verdict {
    const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "FAIL",
        }
    }
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Finding {
    verdict: Verdict,
    subject: &'static str,
    found: String,
    /// What to do about it; empty when nothing is to be done.
    fix: String,
}

impl Finding {
    fn ok(subject: &'static str, found: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Ok,
            subject,
            found: found.into(),
            fix: String::new(),
        }
    }

    fn warn(subject: &'static str, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Warn,
            fix: fix.into(),
            ..Self::ok(subject, found)
        }
    }

    fn fail(subject: &'static str, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Fail,
            ..Self::warn(subject, found, fix)
        }
    }
}

/// Looks at everything and prints it.
///
/// # Errors
/// When a finding means that the broker could not run.
pub(crate) fn run(args: &Args) -> Result<()> {
    let mut findings = kernel::findings();
    findings.extend(cores::findings());
    findings.extend(memory::findings());
    findings.extend(disk::findings(&args.data_dir, "data directory"));
    if let Some(journal_dir) = &args.journal_dir {
        findings.extend(disk::findings(journal_dir, "journal directory"));
    }
    let mut out = std::io::stdout().lock();
    for finding in &findings {
        if args.json {
            let line = json!({
                "verdict": finding.verdict.name().to_ascii_lowercase(),
                "subject": finding.subject,
                "found": finding.found,
                "fix": finding.fix,
            });
            writeln!(out, "{line}")?;
            continue;
        }
        let (verdict, subject) = (finding.verdict.name(), finding.subject);
        writeln!(out, "{verdict:<5} {subject:<18} {}", finding.found)?;
        if !finding.fix.is_empty() {
            writeln!(out, "{:<25}do: {}", "", finding.fix)?;
        }
    }
    let failures = findings
        .iter()
        .filter(|finding| finding.verdict == Verdict::Fail);
    match failures.count() {
        0 => Ok(()),
        count => bail!("the broker would not run here: {count} of the lines above say FAIL"),
    }
}

/// A small file of the kernel's; `None` where it is not to be seen.
fn read(path: &str) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    Some(text.trim().to_owned())
}
