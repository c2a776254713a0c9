//! `docs/proof-runs.jsonl`: a line per long run of a layer, by the command that ran it.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::process::Command;

const FILE: &str = "docs/proof-runs.jsonl";

/// The commit of a work tree without changes; a run of anything else is no proof of anything.
///
/// # Errors
/// When there are changes, or git does not answer.
pub(crate) fn clean_commit(root: &Path) -> Result<String> {
    let changes = git(root, &["status", "--porcelain", "--", ".", ":!docs"])?;
    ensure!(
        changes.is_empty(),
        "there are changes that are not committed; a recorded run belongs to a commit:\n{changes}"
    );
    git(root, &["rev-parse", "--short=12", "HEAD"])
}

/// Appends `facts` with the commit.
///
/// # Errors
/// When the file cannot be written.
pub(crate) fn add(root: &Path, commit: &str, mut facts: Value) -> Result<()> {
    facts["commit"] = commit.into();
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .open(root.join(FILE))
        .with_context(|| format!("open {FILE}"))?;
    writeln!(file, "{facts}").with_context(|| format!("write {FILE}"))
}

fn git(root: &Path, args: &[&str]) -> Result<String> {
    let output = Command::new("git")
        .args(args)
        .current_dir(root)
        .output()
        .context("run git")?;
    ensure!(
        output.status.success(),
        "git {}: {}",
        args.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
