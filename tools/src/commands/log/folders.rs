//! The folders of a data directory, for reading.

use super::FolderArgs;
use millrace_engine::inspect::Source;
use millrace_engine::io::Dir;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

/// A data directory's folders.
pub(super) struct Folders {
    root: PathBuf,
    journal: PathBuf,
    segments: PathBuf,
}

impl Folders {
    pub(super) fn new(args: &FolderArgs) -> Self {
        let journal = args.journal_dir.clone();
        Self {
            journal: journal.unwrap_or_else(|| args.data_dir.join("journal")),
            segments: args.data_dir.join("segments"),
            root: args.data_dir.clone(),
        }
    }

    fn folder(&self, dir: Dir) -> &PathBuf {
        match dir {
            Dir::Root => &self.root,
            Dir::Journal => &self.journal,
            Dir::Segments => &self.segments,
        }
    }

    fn names(&self, dir: Dir) -> io::Result<Vec<(String, u64)>> {
        let mut found = Vec::new();
        for child in fs::read_dir(self.folder(dir))? {
            let child = child?;
            let metadata = child.metadata()?;
            if metadata.is_file() {
                let name = child.file_name().to_string_lossy().into_owned();
                found.push((name, metadata.len()));
            }
        }
        found.sort();
        Ok(found)
    }
}

impl Source for Folders {
    fn list(&self, dir: Dir) -> Result<Vec<(String, u64)>, String> {
        let named = |error| format!("folder {}: {error}", self.folder(dir).display());
        self.names(dir).map_err(named)
    }

    fn read(&self, dir: Dir, name: &str, position: u64, out: &mut [u8]) -> Result<(), String> {
        let file = File::open(self.folder(dir).join(name)).map_err(|error| error.to_string())?;
        file.read_exact_at(out, position)
            .map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => {
                    let end = position + out.len() as u64;
                    format!("the file ends before position {end}")
                }
                _ => format!("cannot be read: {error}"),
            })
    }
}
