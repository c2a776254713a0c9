//! `cargo xtask rot`: damages the files of data directories at rest, one thing a case, and sees
//! that it is detected and never served: `tools/xtask/tests/rot`.

use crate::proof_runs;
use anyhow::{Context, Result, bail};
use serde_json::json;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

/// Options of `cargo xtask rot`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How many cases
    #[arg(long, default_value_t = 1000)]
    cases: u64,
    /// The first seed; a seed that finds nothing to damage is no case
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Add a line about this run to docs/proof-runs.jsonl
    #[arg(long)]
    record: bool,
    /// Plant this bug of engine/src/planted.rs, to see it found
    #[arg(long, conflicts_with = "record")]
    bug: Option<u8>,
    /// Write all that the engine logs to stderr
    #[arg(long)]
    trace: bool,
}

/// What the last line of a run says.
#[derive(Debug, PartialEq)]
struct Summary {
    cases: u64,
    detected: u64,
    harmless: u64,
    served_wrong: u64,
}

impl Summary {
    /// Reads `rot: N cases, D detected, H harmless, S served wrong`.
    fn read(line: &str) -> Option<Self> {
        let mut parts = line.strip_prefix("rot: ")?.split(", ");
        let mut part = |name: &str| parts.next()?.strip_suffix(name).map(str::trim);
        Some(Self {
            cases: part(" cases")?.parse().ok()?,
            detected: part(" detected")?.parse().ok()?,
            harmless: part(" harmless")?.parse().ok()?,
            served_wrong: part(" served wrong")?.parse().ok()?,
        })
    }
}

/// Runs the cases.
///
/// # Errors
/// When one of them fails.
pub(crate) fn run(root: &Path, args: &Args) -> Result<()> {
    let commit = match args.record {
        true => Some(proof_runs::clean_commit(root)?),
        false => None,
    };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args("test --quiet --package xtask --test rot --".split(' '));
    command.args(["--cases", &args.cases.to_string()]);
    command.args(["--from", &args.from.to_string()]);
    if let Some(bug) = args.bug {
        command.args(["--bug", &bug.to_string()]);
    }
    command.args(args.trace.then_some("--trace"));
    command.current_dir(root).stdout(Stdio::piped());
    let mut child = command.spawn().context("run cargo")?;
    let mut last = String::new();
    if let Some(output) = child.stdout.take() {
        for line in BufReader::new(output).lines() {
            last = line.context("read what the cases say")?;
            println!("{last}");
        }
    }
    let is_good = child.wait().context("wait for cargo")?.success();
    if let Some(commit) = commit {
        let summary = Summary::read(&last).context("the run ended without its last line")?;
        let facts = json!({
            "layer": "rot",
            "from": args.from,
            "cases": summary.cases,
            "detected": summary.detected,
            "harmless": summary.harmless,
            "served_wrong": summary.served_wrong,
        });
        proof_runs::add(root, &commit, facts)?;
    }
    if !is_good {
        bail!("rot was not dealt with");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::Summary;

    #[test]
    fn the_last_line_is_read_and_any_other_is_not() {
        let line = "rot: 1000 cases, 690 detected, 309 harmless, 1 served wrong";
        let summary = Summary {
            cases: 1000,
            detected: 690,
            harmless: 309,
            served_wrong: 1,
        };
        assert_eq!(Summary::read(line), Some(summary));
        assert_eq!(Summary::read("1000 cases, 690 detected"), None);
    }
}
