//! `cargo xtask check-history`: judges what clients recorded of a run.

use anyhow::{Context, Result, bail};
use std::path::PathBuf;
use xtask::history::{History, check};

/// Options of `cargo xtask check-history`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The recorded history; its lines are described in docs/reliability.md
    file: PathBuf,
}

/// Prints every violation.
///
/// # Errors
/// When there is one, or the file is no history.
pub(crate) fn run(args: &Args) -> Result<()> {
    let name = args.file.display();
    let text = std::fs::read_to_string(&args.file).with_context(|| format!("read {name}"))?;
    let history = History::from_text(&text).with_context(|| name.to_string())?;
    let violations = check(&history);
    for violation in &violations {
        println!("{violation}");
    }
    println!(
        "{} events, {} violations",
        history.events().len(),
        violations.len()
    );
    if !violations.is_empty() {
        bail!("{name}: the history cannot come from a broker that keeps its promises");
    }
    Ok(())
}
