//! `cargo xtask crash-loop`: the release binary under real clients, harmed again and again.
//!
//! The loops are the test target `tools/xtask/tests/crash_loop`, so that this program needs no
//! Kafka client.

use crate::interop;
use crate::layer::{self, Words};
use anyhow::{Result, bail};
use serde_json::json;
use std::path::{Path, PathBuf};
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
    let binary = match &args.binary {
        Some(binary) => std::path::absolute(binary)?,
        None => interop::build_broker()?,
    };
    let words = Words::default()
        .with_path("--binary", &binary)
        .with("--cycles", args.cycles)
        .with("--fault", &args.fault)
        .with("--shards", args.shards)
        .with("--from", args.from);
    let begin = Instant::now();
    let is_good = layer::run(root, ("crash_loop", words), args.record, |last, is_good| {
        let summary = Summary::read(last)?;
        Some(json!({
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
        }))
    })?;
    if !is_good {
        bail!("the crash loops found something");
    }
    Ok(())
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
