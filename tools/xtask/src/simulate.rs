//! `cargo xtask simulate`: runs the simulation of whole brokers, `tools/xtask/tests/simulation`.
//!
//! It is a test target of its own, so that this program needs no part of the broker.

use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::Command;

/// Options of `cargo xtask simulate`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How many seeds
    #[arg(long, default_value_t = 1000)]
    seeds: u64,
    /// The first of them
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Plant this bug of engine/src/planted.rs, to see it found
    #[arg(long)]
    bug: Option<u8>,
    /// Write every disk operation and all that the broker logs to stderr
    #[arg(long)]
    trace: bool,
}

/// Runs the seeds of the workspace at `root`.
///
/// # Errors
/// When a seed fails, or all together missed what they should have gone through.
pub(crate) fn run(root: &Path, args: &Args) -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args([
        "test",
        "--quiet",
        "--package",
        "xtask",
        "--test",
        "simulation",
        "--",
    ]);
    command.args(["--seeds", &args.seeds.to_string()]);
    command.args(["--from", &args.from.to_string()]);
    if let Some(bug) = args.bug {
        command.args(["--bug", &bug.to_string()]);
    }
    command.args(args.trace.then_some("--trace"));
    let status = command.current_dir(root).status().context("run cargo")?;
    if !status.success() {
        bail!("the simulation found something");
    }
    Ok(())
}
