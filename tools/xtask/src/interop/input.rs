//! What is sent: the lines of Debian's package index, each with its number before it, so that
//! every line is different and its place can be told.

use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const LISTS: &str = "/var/lib/apt/lists";
const READER: &str = "/usr/lib/apt/apt-helper";
/// Digits of a line's number; a blank follows.
pub(super) const NUMBER_DIGITS: usize = 8;

/// The lines, also as a file.
#[derive(Debug)]
pub(super) struct Input {
    /// Lines without their ends.
    pub(super) lines: Vec<Vec<u8>>,
    /// The same, one per line.
    pub(super) file: PathBuf,
}

impl Input {
    /// Reads at most `bytes_max` bytes of the index.
    pub(super) fn read(folder: &Path, bytes_max: usize) -> Result<Self> {
        let index = package_index()?;
        let mut lines = Vec::new();
        let mut bytes = 0;
        for (number, line) in index.split(|&byte| byte == b'\n').enumerate() {
            if bytes >= bytes_max {
                break;
            }
            let numbered = [format!("{number:08} ").as_bytes(), line].concat();
            bytes += numbered.len();
            lines.push(numbered);
        }
        let file = folder.join("input.txt");
        fs::create_dir_all(folder)?;
        fs::write(&file, [lines.join(&b'\n'), vec![b'\n']].concat())?;
        Ok(Self { lines, file })
    }

    /// Bytes of all lines.
    pub(super) fn bytes(&self) -> usize {
        self.lines.iter().map(Vec::len).sum()
    }
}

fn package_index() -> Result<Vec<u8>> {
    let mut lists = Vec::new();
    for child in fs::read_dir(LISTS).with_context(|| format!("folder {LISTS}"))? {
        let path = child?.path();
        if path.to_string_lossy().contains("_Packages") {
            lists.push(path);
        }
    }
    lists.sort();
    if lists.is_empty() {
        bail!("no package index in {LISTS}; run apt-get update first");
    }
    let read = Command::new(READER)
        .arg("cat-file")
        .args(&lists)
        .output()
        .context(READER)?;
    if !read.status.success() {
        bail!("{READER}: {}", String::from_utf8_lossy(&read.stderr));
    }
    Ok(read.stdout)
}
