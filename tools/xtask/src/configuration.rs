//! `cargo xtask configuration`: writes docs/configuration.md from the broker's own tables.
//!
//! An example of the server prints it, so that this program needs no part of the server and can
//! still generate code when the server does not compile.

use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

const DOCUMENT: &str = "docs/configuration.md";

/// Options of `cargo xtask configuration`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Write nothing, fail when the document is not what the tables say
    #[arg(long)]
    check: bool,
}

/// Writes or checks the document of the workspace at `root`.
///
/// # Errors
/// When the server does not build, the file cannot be written, or a check finds a difference.
pub(crate) fn run(root: &Path, args: &Args) -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let arguments = "run --quiet --package millrace-server --example configuration";
    let printed = Command::new(cargo)
        .args(arguments.split(' '))
        .current_dir(root)
        .stderr(Stdio::inherit())
        .output()
        .context("run cargo")?;
    ensure!(printed.status.success(), "the server does not build or run");
    let path = root.join(DOCUMENT);
    let present = fs::read(&path).unwrap_or_default();
    if present == printed.stdout {
        return Ok(());
    }
    if args.check {
        bail!("{DOCUMENT} is not what the tables say; run `cargo xtask configuration`");
    }
    fs::write(&path, printed.stdout).with_context(|| format!("write {DOCUMENT}"))
}
