//! The folders of a data directory: where they are, and making them so that they survive a power
//! cut.

use super::super::op::{Dir, FilePath, IoFailure};
use std::fs::File;
use std::io::Result;
use std::path::{Path, PathBuf};

#[derive(Clone, Debug)]
pub(in crate::io) struct Directories {
    root: PathBuf,
    journal: PathBuf,
    segments: PathBuf,
}

impl Directories {
    pub(in crate::io) fn new(data_dir: &Path, journal_dir: &Path) -> Self {
        Self {
            root: data_dir.to_owned(),
            journal: journal_dir.to_owned(),
            segments: data_dir.join("segments"),
        }
    }

    /// Makes those that are absent, each durable in its parent.
    pub(in crate::io) fn create(&self) -> std::result::Result<(), (PathBuf, std::io::Error)> {
        for path in [&self.root, &self.journal, &self.segments] {
            create_durably(path).map_err(|error| (path.clone(), error))?;
        }
        Ok(())
    }

    pub(in crate::io) fn path(&self, dir: Dir) -> &Path {
        match dir {
            Dir::Root => &self.root,
            Dir::Journal => &self.journal,
            Dir::Segments => &self.segments,
        }
    }

    /// The path of a file. Names are flat: one that leaves its folder is refused.
    pub(super) fn file(&self, file: &FilePath) -> std::result::Result<PathBuf, IoFailure> {
        let is_flat = !file.name.contains(['/', '\0']);
        if !is_flat || matches!(&*file.name, "" | "." | "..") {
            return Err(IoFailure::Os(libc::EINVAL));
        }
        Ok(self.path(file.dir).join(&file.name))
    }
}

fn create_durably(path: &Path) -> Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => Path::new("/"),
    };
    if parent != path {
        create_durably(parent)?;
    }
    match std::fs::create_dir(path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && path.is_dir() => {}
        other => other?,
    }
    File::open(parent)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_leave_their_folder_are_refused() {
        let directories = Directories::new(Path::new("/data"), Path::new("/journal"));
        for name in ["", ".", "..", "a/b", "/etc/passwd", "a\0"] {
            let refused = directories.file(&FilePath::new(Dir::Root, name));
            assert_eq!(refused, Err(IoFailure::Os(libc::EINVAL)), "{name:?}");
        }
        let path = directories.file(&FilePath::new(Dir::Segments, "1.seg"));
        assert_eq!(path, Ok(PathBuf::from("/data/segments/1.seg")));
    }

    #[test]
    fn directories_are_made_with_their_parents_and_may_exist() {
        let dir = crate::io::test_dir::TestDir::new("directories");
        let root = dir.path().join("a/b");
        let directories = Directories::new(&root, &root.join("journal"));
        directories.create().unwrap();
        directories.create().unwrap();
        assert!(root.join("segments").is_dir() && root.join("journal").is_dir());
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        let blocked = Directories::new(&file, &file);
        assert_eq!(blocked.create().unwrap_err().0, file);
    }
}
