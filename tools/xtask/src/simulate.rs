//! `cargo xtask simulate`: runs the simulation of whole brokers, `tools/xtask/tests/simulation`.
//!
//! It is a test target of its own, so that this program needs no part of the broker.

use crate::proof_runs;
use anyhow::{Context, Result, bail};
use serde_json::json;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

/// Options of `cargo xtask simulate`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How many seeds
    #[arg(long, default_value_t = 1000)]
    seeds: u64,
    /// The first of them
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Add a line about this run to docs/proof-runs.jsonl
    #[arg(long)]
    record: bool,
    /// Plant this bug of engine/src/planted.rs, to see it found
    #[arg(long, conflicts_with = "record")]
    bug: Option<u8>,
    /// Write every disk operation and all that the broker logs to stderr
    #[arg(long)]
    trace: bool,
}

/// What the last line of a run says.
#[derive(Debug, PartialEq)]
struct Summary {
    seeds: u64,
    hours: f64,
    faults: u64,
    violations: u64,
}

impl Summary {
    /// Reads `N seeds, H simulated hours, F faults, V violations`.
    fn read(line: &str) -> Option<Self> {
        let mut parts = line.split(", ");
        let mut part = |name: &str| parts.next()?.strip_suffix(name).map(str::trim);
        Some(Self {
            seeds: part(" seeds")?.parse().ok()?,
            hours: part(" simulated hours")?.parse().ok()?,
            faults: part(" faults")?.parse().ok()?,
            violations: part(" violations")?.parse().ok()?,
        })
    }
}

/// Runs the seeds of the workspace at `root`.
///
/// # Errors
/// When a seed fails, or all together missed what they should have gone through.
pub(crate) fn run(root: &Path, args: &Args) -> Result<()> {
    let commit = match args.record {
        true => Some(proof_runs::clean_commit(root)?),
        false => None,
    };
    let (is_good, last) = run_test(root, args)?;
    if let Some(commit) = commit {
        let summary = Summary::read(&last).context("the run ended without its last line")?;
        let facts = json!({
            "layer": "simulation",
            "from": args.from,
            "seeds": summary.seeds,
            "simulated_hours": summary.hours,
            "faults": summary.faults,
            "violations": summary.violations,
        });
        proof_runs::add(root, &commit, facts)?;
    }
    if !is_good {
        bail!("the simulation found something");
    }
    Ok(())
}

/// Runs the test target; whether it passed, and its last line.
fn run_test(root: &Path, args: &Args) -> Result<(bool, String)> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args("test --quiet --package xtask --test simulation --".split(' '));
    command.args(["--seeds", &args.seeds.to_string()]);
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
            last = line.context("read what the simulation says")?;
            println!("{last}");
        }
    }
    let status = child.wait().context("wait for cargo")?;
    Ok((status.success(), last))
}

#[cfg(test)]
mod tests {
    use super::Summary;

    #[test]
    fn the_last_line_is_read_and_any_other_is_not() {
        let line = "300 seeds, 3.29 simulated hours, 2944 faults, 1 violations";
        let summary = Summary {
            seeds: 300,
            hours: 3.29,
            faults: 2944,
            violations: 1,
        };
        assert_eq!(Summary::read(line), Some(summary));
        assert_eq!(Summary::read("300 seeds, 3.29 simulated hours"), None);
        assert_eq!(Summary::read("   10 lives"), None);
    }
}
