//! `cargo xtask rot`: damages the files of data directories at rest, one thing a case, and sees
//! that it is detected and never served: `tools/xtask/tests/rot`.

use crate::layer::{self, Words};
use anyhow::{Result, bail};
use serde_json::json;
use std::path::Path;

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
    let words = Words::default()
        .with("--cases", args.cases)
        .with("--from", args.from)
        .with_some("--bug", args.bug)
        .with_flag("--trace", args.trace);
    let is_good = layer::run(root, ("rot", words), args.record, |last, _| {
        let summary = Summary::read(last)?;
        Some(json!({
            "layer": "rot",
            "from": args.from,
            "cases": summary.cases,
            "detected": summary.detected,
            "harmless": summary.harmless,
            "served_wrong": summary.served_wrong,
        }))
    })?;
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
