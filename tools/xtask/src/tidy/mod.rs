//! `cargo xtask tidy`: the house rules a compiler does not know, as one list of findings.
//!
//! Also a test of this crate, so `cargo test --workspace` runs it. Each rule is one pure function
//! from the sources to findings; a finding names file, line, what is wrong and what to do.

mod source;
mod text_rules;

use anyhow::{Result, bail};
use source::SourceFile;
use std::fmt;

/// Options of `cargo xtask tidy`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {}

/// One broken rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    path: String,
    line: usize,
    text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.text)
    }
}

/// Prints every finding.
///
/// # Errors
/// When there is one, or when the sources cannot be read.
pub(crate) fn run(_args: &Args) -> Result<()> {
    let findings = findings()?;
    for finding in &findings {
        eprintln!("{finding}");
    }
    if findings.is_empty() {
        println!("tidy: nothing to say");
        return Ok(());
    }
    bail!("tidy found {} problems", findings.len())
}

fn findings() -> Result<Vec<Finding>> {
    let sources = source::read_all(&crate::workspace_root())?;
    let mut findings = Vec::new();
    for file in &sources {
        text_rules::check(file, &mut findings);
    }
    findings.sort();
    Ok(findings)
}

fn finding(file: &SourceFile, line: usize, text: impl Into<String>) -> Finding {
    Finding {
        path: file.path.clone(),
        line,
        text: text.into(),
    }
}
