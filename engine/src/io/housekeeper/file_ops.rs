//! The file operations, one function each. Everything that moves data or waits for the device goes
//! through tokio-uring; the rest runs on the blocking pool.
#![expect(
    unsafe_code,
    reason = "open-file locks and borrowed descriptors have no safe interface"
)]

use super::super::arena::{Arena, ArenaSlice};
use super::super::op::{Dir, FileOp, FilePath, FileReply, IoFailure};
use super::{Answer, Directories, end_with_panic};
use std::cell::{Cell, RefCell};
use std::io::{Error, Read, Result};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use tokio_uring::buf::BoundedBuf;
use tokio_uring::fs::{File, OpenOptions};

/// Zeros are written in pieces of this size.
const ZEROS_BYTES: u64 = 1 << 20;
/// Written zeros without moving any (Linux 6.17, some devices). Not in libc yet.
const FALLOC_FL_WRITE_ZEROES: i32 = 0x80;

pub(super) struct FileOps {
    directories: Directories,
    /// Held until the housekeeper ends.
    locks: RefCell<Vec<OwnedFd>>,
    /// Cleared once a file system refuses.
    may_write_zeroes: Cell<bool>,
}

impl FileOps {
    pub(super) const fn new(directories: Directories) -> Self {
        Self {
            directories,
            locks: RefCell::new(Vec::new()),
            may_write_zeroes: Cell::new(true),
        }
    }

    pub(super) async fn perform(&self, op: FileOp, file: Option<Arc<OwnedFd>>) -> Answer {
        match op {
            FileOp::Open { path } => self.open(&path, OpenOptions::new()).await,
            FileOp::Create { path } => {
                let mut options = OpenOptions::new();
                options.create_new(true);
                self.open(&path, options).await
            }
            other => {
                let result = self.perform_simple(other, file).await;
                Answer::File(result.map_err(|error| failure(&error)))
            }
        }
    }

    async fn perform_simple(&self, op: FileOp, file: Option<Arc<OwnedFd>>) -> Result<FileReply> {
        match op {
            FileOp::ZeroFill { from, to, .. } => self.zero_fill(&shared(file)?, from, to).await,
            FileOp::SyncData { .. } => {
                shared(file)?.sync_data().await?;
                Ok(FileReply::Done)
            }
            FileOp::SyncDir { dir } => self.sync_dir(dir).await,
            FileOp::Unlink { path } => {
                match tokio_uring::fs::remove_file(self.path(&path)?).await {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
                    _ => Ok(FileReply::Done),
                }
            }
            FileOp::List { dir } => self.blocking(dir, |path| list(&path)).await,
            FileOp::ReadAll { path, bytes_max } => {
                let path = self.path(&path)?;
                let read = move || read_all(&path, bytes_max);
                end_with_panic(tokio::task::spawn_blocking(read).await)
            }
            FileOp::WriteAll { path, content } => self.write_all(&path, content).await,
            FileOp::Lock { path } => self.lock(&path),
            FileOp::FreeSpace { dir } => self.blocking(dir, |path| free_space(&path)).await,
            FileOp::Open { .. } | FileOp::Create { .. } => Err(Error::other("not a simple one")),
        }
    }

    fn path(&self, path: &FilePath) -> Result<PathBuf> {
        self.directories
            .file(path)
            .map_err(|_| Error::from_raw_os_error(libc::EINVAL))
    }

    async fn blocking(
        &self,
        dir: Dir,
        action: impl FnOnce(PathBuf) -> Result<FileReply> + Send + 'static,
    ) -> Result<FileReply> {
        let path = self.directories.path(dir).to_owned();
        end_with_panic(tokio::task::spawn_blocking(move || action(path)).await)
    }

    async fn open(&self, path: &FilePath, mut options: OpenOptions) -> Answer {
        options.read(true).write(true);
        options.mode(0o640);
        options.custom_flags(libc::O_DIRECT | libc::O_CLOEXEC);
        let opened = async {
            let path = self.path(path)?;
            let opened = options.open(&path).await;
            if let Err(error) = &opened
                && error.raw_os_error() == Some(libc::EINVAL)
            {
                let path = path.display();
                log::error!("{path}: this file system knows no O_DIRECT; use ext4 or xfs");
            }
            owned(&opened?)
        };
        let opened = opened.await.and_then(|fd| {
            let bytes = rustix::fs::fstat(&fd)?.st_size as u64;
            Ok((fd, bytes))
        });
        match opened {
            Ok((fd, bytes)) => Answer::Opened(fd, bytes),
            Err(error) => Answer::File(Err(failure(&error))),
        }
    }

    async fn zero_fill(&self, file: &File, from: u64, to: u64) -> Result<FileReply> {
        let bytes = to.saturating_sub(from);
        if bytes == 0 {
            return Ok(FileReply::Done);
        }
        if self.may_write_zeroes.get() {
            match file.fallocate(from, bytes, FALLOC_FL_WRITE_ZEROES).await {
                Ok(()) => return Ok(FileReply::Done),
                Err(error) if is_unsupported(&error) => self.may_write_zeroes.set(false),
                Err(error) => return Err(error),
            }
        }
        // PERF: asks for all of the room at once, so that it is in one piece on the device as a
        // rule. A direct write over two pieces is handed to a kernel worker by ext4.
        match file.fallocate(from, bytes, 0).await {
            Ok(()) => {}
            Err(error) if is_unsupported(&error) => {}
            Err(error) => return Err(error),
        }
        let zeros = zeros()?;
        let mut position = from;
        while position < to {
            let piece = (to - position).min(ZEROS_BYTES) as usize;
            let (written, _) = file.write_at(zeros.slice(..piece), position).submit().await;
            match written? {
                0 => return Err(Error::from_raw_os_error(libc::ENOSPC)),
                written => position += written as u64,
            }
        }
        Ok(FileReply::Done)
    }

    async fn sync_dir(&self, dir: Dir) -> Result<FileReply> {
        let mut options = OpenOptions::new();
        options.read(true);
        options.custom_flags(libc::O_DIRECTORY | libc::O_CLOEXEC);
        let folder = options.open(self.directories.path(dir)).await?;
        folder.sync_all().await?;
        Ok(FileReply::Done)
    }

    async fn write_all(&self, path: &FilePath, content: Vec<u8>) -> Result<FileReply> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).mode(0o640);
        options.custom_flags(libc::O_CLOEXEC);
        let file = options.open(self.path(path)?).await?;
        let bytes = content.len() as u64;
        let (written, _) = file.write_all_at(content, 0).await;
        written?;
        let fd = owned(&file)?;
        if rustix::fs::fstat(&fd)?.st_size as u64 == bytes {
            file.sync_data().await?;
        } else {
            // A shorter size is metadata, which fdatasync may leave for later.
            rustix::fs::ftruncate(&fd, bytes)?;
            file.sync_all().await?;
        }
        // PERF: a direct write over cached pages cannot be done at once; the kernel would hand it
        // to a worker.
        if let Err(error) = rustix::fs::fadvise(&fd, 0, None, rustix::fs::Advice::DontNeed) {
            log::debug!("pages stay cached: {error}");
        }
        Ok(FileReply::Done)
    }

    /// An open-file lock: it belongs to the descriptor kept here, so that a second engine in this
    /// process is refused like one in another.
    fn lock(&self, path: &FilePath) -> Result<FileReply> {
        let path = self.path(path)?;
        let mut options = std::fs::OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = options.mode(0o640).open(path)?;
        // SAFETY: zeroes are a valid description: from the start to the end of the file.
        let mut whole: libc::flock = unsafe { std::mem::zeroed() };
        whole.l_type = libc::F_WRLCK as libc::c_short;
        whole.l_whence = libc::SEEK_SET as libc::c_short;
        // SAFETY: an open descriptor and a complete description of the lock.
        let locked = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &raw const whole) };
        if locked == 0 {
            self.locks.borrow_mut().push(file.into());
            return Ok(FileReply::Locked(true));
        }
        let error = Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::EAGAIN | libc::EACCES) => Ok(FileReply::Locked(false)),
            _ => Err(error),
        }
    }
}

fn failure(error: &Error) -> IoFailure {
    IoFailure::Os(error.raw_os_error().unwrap_or(libc::EIO))
}

fn is_unsupported(error: &Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EOPNOTSUPP | libc::EINVAL | libc::ENOSYS)
    )
}

/// The shard's file as tokio-uring wants it: with a descriptor of its own.
fn shared(file: Option<Arc<OwnedFd>>) -> Result<File> {
    let file = file.ok_or_else(|| Error::from_raw_os_error(libc::EBADF))?;
    Ok(File::from_std(file.try_clone()?.into()))
}

fn owned(file: &File) -> Result<OwnedFd> {
    // SAFETY: open as long as `file`, which outlives this borrow.
    let fd = unsafe { BorrowedFd::borrow_raw(file.as_raw_fd()) };
    fd.try_clone_to_owned()
}

/// Aligned zeros in memory of their own: the shared zero page would make one segment per page.
fn zeros() -> Result<&'static [u8]> {
    static ZEROS: OnceLock<ArenaSlice> = OnceLock::new();
    if let Some(zeros) = ZEROS.get() {
        return Ok(zeros);
    }
    let bytes = ZEROS_BYTES as usize;
    let mut block = Arena::new(bytes)?
        .alloc(bytes)
        .ok_or_else(|| Error::other("no memory for zeros"))?;
    block.extend_zeroed(bytes);
    Ok(ZEROS.get_or_init(|| block.freeze()))
}

/// Regular files with names we could have given.
fn list(path: &Path) -> Result<FileReply> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        match entry.metadata() {
            Ok(metadata) if metadata.is_file() => files.push((name, metadata.len())),
            Ok(_) => {}
            // Removed meanwhile.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    files.sort_unstable();
    Ok(FileReply::Listed(files))
}

fn read_all(path: &Path, bytes_max: u64) -> Result<FileReply> {
    let file = std::fs::File::open(path)?;
    let mut content = Vec::new();
    let read = file
        .take(bytes_max.saturating_add(1))
        .read_to_end(&mut content)?;
    if read as u64 > bytes_max {
        return Err(Error::from_raw_os_error(libc::EFBIG));
    }
    Ok(FileReply::Content(content))
}

fn free_space(path: &Path) -> Result<FileReply> {
    let space = rustix::fs::statvfs(path)?;
    Ok(FileReply::Space {
        free: space.f_bavail * space.f_frsize,
        total: space.f_blocks * space.f_frsize,
    })
}
