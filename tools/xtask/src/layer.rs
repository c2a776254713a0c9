//! Runs a layer of tests that is a test target of this package, so that this program needs no part
//! of the broker; prints what it says and, if asked to, records the run.

use crate::proof_runs;
use anyhow::{Context, Result};
use serde_json::Value;
use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

/// Words of a command line.
#[derive(Debug, Default)]
pub(crate) struct Words(Vec<OsString>);

impl Words {
    /// An option and its value.
    pub(crate) fn with(mut self, option: &str, value: impl ToString) -> Self {
        self.0.extend([option.into(), value.to_string().into()]);
        self
    }

    /// The same, if there is a value.
    pub(crate) fn with_some(self, option: &str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.with(option, value),
            None => self,
        }
    }

    /// An option and a path.
    pub(crate) fn with_path(mut self, option: &str, path: &Path) -> Self {
        self.0.extend([option.into(), path.into()]);
        self
    }

    /// A flag, if it is set.
    pub(crate) fn with_flag(mut self, flag: &str, is_set: bool) -> Self {
        self.0.extend(is_set.then(|| flag.into()));
        self
    }
}

/// Runs the test target; whether it passed. With `is_recorded` the facts that `facts` reads from
/// its last line, given whether it passed, go to `docs/proof-runs.jsonl`.
///
/// # Errors
/// When it cannot be run, or a run to be recorded ends without its last line.
pub(crate) fn run(
    root: &Path,
    (target, words): (&str, Words),
    is_recorded: bool,
    facts: impl FnOnce(&str, bool) -> Option<Value>,
) -> Result<bool> {
    let commit = match is_recorded {
        true => Some(proof_runs::clean_commit(root)?),
        false => None,
    };
    let (is_good, last) = run_target(root, target, words)?;
    if let Some(commit) = commit {
        let facts = facts(&last, is_good).context("the run ended without its last line")?;
        proof_runs::add(root, &commit, facts)?;
    }
    Ok(is_good)
}

/// Whether it passed, and its last line.
fn run_target(root: &Path, target: &str, words: Words) -> Result<(bool, String)> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args([
        "test",
        "--quiet",
        "--package",
        "xtask",
        "--test",
        target,
        "--",
    ]);
    command
        .args(words.0)
        .current_dir(root)
        .stdout(Stdio::piped());
    let mut child = command.spawn().context("run cargo")?;
    let mut last = String::new();
    if let Some(output) = child.stdout.take() {
        for line in BufReader::new(output).lines() {
            last = line.with_context(|| format!("read what {target} says"))?;
            println!("{last}");
        }
    }
    let status = child.wait().context("wait for cargo")?;
    Ok((status.success(), last))
}
