//! `cargo xtask simulate`: runs the simulation of whole brokers, `tools/xtask/tests/simulation`.

use crate::layer::{self, Words};
use anyhow::{Result, bail};
use serde_json::json;
use std::path::Path;

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
    let words = Words::default()
        .with("--seeds", args.seeds)
        .with("--from", args.from)
        .with_some("--bug", args.bug)
        .with_flag("--trace", args.trace);
    let is_good = layer::run(root, ("simulation", words), args.record, |last, _| {
        let summary = Summary::read(last)?;
        Some(json!({
            "layer": "simulation",
            "from": args.from,
            "seeds": summary.seeds,
            "simulated_hours": summary.hours,
            "faults": summary.faults,
            "violations": summary.violations,
        }))
    })?;
    if !is_good {
        bail!("the simulation found something");
    }
    Ok(())
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
