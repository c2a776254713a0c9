//! `cargo xtask tidy`: the house rules a compiler does not know, as one list of findings.
//!
//! Also a test of this crate, so `cargo test --workspace` runs it. Each rule is one pure function
//! from the sources to findings; a finding names file, line, what is wrong and what to do.

mod layer_rules;
mod map_rules;
mod seam_rules;
mod size_rules;
mod source;
mod text_rules;
mod words;

use anyhow::{Result, bail};
use source::SourceFile;
use std::fmt;
use std::path::Path;

/// Options of `cargo xtask tidy`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Also name the files that are longer than they should be
    #[arg(long)]
    long_files: bool,
}

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
pub(crate) fn run(args: &Args) -> Result<()> {
    let root = crate::workspace_root();
    let sources = source::read_all(&root)?;
    if args.long_files {
        print_long_files(&sources);
    }
    let findings = findings(&root, &sources)?;
    for finding in &findings {
        eprintln!("{finding}");
    }
    if !findings.is_empty() {
        bail!("tidy found {} problems", findings.len());
    }
    println!("tidy: {} source files, no problem", sources.len());
    Ok(())
}

fn print_long_files(sources: &[SourceFile]) {
    for file in sources {
        let lines = size_rules::shipped_lines(file);
        if lines > size_rules::FILE_LINES_WARNED {
            println!(
                "{}: {lines} lines without tests; think of a split",
                file.path
            );
        }
    }
}

fn findings(root: &Path, sources: &[SourceFile]) -> Result<Vec<Finding>> {
    let documents = map_rules::read_documents(root)?;
    let mut findings = Vec::new();
    for file in sources {
        text_rules::check(file, &mut findings);
        size_rules::check(file, &mut findings);
        words::check(file, &mut findings);
        seam_rules::check(file, &mut findings);
        layer_rules::check(file, &mut findings);
    }
    map_rules::check(root, sources, &documents, &mut findings);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_is_tidy() {
        let root = crate::workspace_root();
        let sources = source::read_all(&root).unwrap();
        let findings = findings(&root, &sources).unwrap();
        let listed: Vec<String> = findings.iter().map(ToString::to_string).collect();
        assert!(findings.is_empty(), "\n{}", listed.join("\n"));
    }
}
