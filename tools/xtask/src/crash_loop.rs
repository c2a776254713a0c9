//! `cargo xtask crash-loop`: the release binary under real clients, harmed again and again.
//!
//! The loops are the test target `tools/xtask/tests/crash_loop`, so that this program needs no
//! Kafka client.

use crate::{interop, proof_runs};
use anyhow::{Context, Result, bail};
use serde_json::json;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// Options of `cargo xtask crash-loop`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How many cycles, of each fault
    #[arg(long, default_value_t = 60)]
    cycles: u64,
    /// What is done to the broker
    #[arg(long, default_value = "kill",
        value_parser = ["kill", "stop", "oom", "full-disk", "slow-disk", "all"])]
    fault: String,
    /// Shards of the broker
    #[arg(long, default_value_t = 2)]
    shards: usize,
    /// Number of the first round: moments of harm follow from it
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// The broker to test; built with --release when not given
    #[arg(long, value_name = "PATH")]
    binary: Option<PathBuf>,
    /// Add a line about this run to docs/proof-runs.jsonl
    #[arg(long, conflicts_with = "binary")]
    record: bool,
}

/// What the last line of a run says.
#[derive(Debug, PartialEq, Eq)]
struct Summary {
    cycles: u64,
    acked: u64,
    lost: u64,
    duplicates: u64,
}

impl Summary {
    /// Reads `crash-loop: N cycles, R records acknowledged, L lost, D duplicates`.
    fn read(line: &str) -> Option<Self> {
        let mut parts = line.strip_prefix("crash-loop: ")?.split(", ");
        let mut part = |name: &str| parts.next()?.strip_suffix(name)?.parse().ok();
        Some(Self {
            cycles: part(" cycles")?,
            acked: part(" records acknowledged")?,
            lost: part(" lost")?,
            duplicates: part(" duplicates")?,
        })
    }
}

/// Runs the loops of the workspace at `root`.
///
/// # Errors
/// When something was lost, doubled or otherwise wrong, or the broker does not come back.
pub(crate) fn run(root: &Path, args: &Args) -> Result<()> {
    let commit = match args.record {
        true => Some(proof_runs::clean_commit(root)?),
        false => None,
    };
    let binary = match &args.binary {
        Some(binary) => std::path::absolute(binary)?,
        None => interop::build_broker()?,
    };
    let begin = Instant::now();
    let (is_good, last) = run_test(root, args, &binary)?;
    if let Some(commit) = commit {
        let summary = Summary::read(&last).context("the run ended without its last line")?;
        let facts = json!({
            "layer": "crash-loop",
            "fault": args.fault,
            "shards": args.shards,
            "from": args.from,
            "cycles": summary.cycles,
            "records_acknowledged": summary.acked,
            "lost": summary.lost,
            "duplicates": summary.duplicates,
            "is_good": is_good,
            "seconds": begin.elapsed().as_secs(),
        });
        proof_runs::add(root, &commit, facts)?;
    }
    if !is_good {
        bail!("the crash loops found something");
    }
    Ok(())
}

/// Runs the test target; whether it passed, and its last line.
fn run_test(root: &Path, args: &Args, binary: &Path) -> Result<(bool, String)> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args("test --quiet --package xtask --test crash_loop --".split(' '));
    command.arg("--binary").arg(binary);
    command.args(["--cycles", &args.cycles.to_string()]);
    command.args(["--fault", &args.fault]);
    command.args(["--shards", &args.shards.to_string()]);
    command.args(["--from", &args.from.to_string()]);
    command.current_dir(root).stdout(Stdio::piped());
    let mut child = command.spawn().context("run cargo")?;
    let mut last = String::new();
    if let Some(output) = child.stdout.take() {
        for line in BufReader::new(output).lines() {
            last = line.context("read what the loops say")?;
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
        let line = "crash-loop: 60 cycles, 81234 records acknowledged, 0 lost, 1 duplicates";
        let summary = Summary {
            cycles: 60,
            acked: 81_234,
            lost: 0,
            duplicates: 1,
        };
        assert_eq!(Summary::read(line), Some(summary));
        assert_eq!(Summary::read("   kill: 30 cycles"), None);
    }
}
