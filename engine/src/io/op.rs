//! The operations a shard may ask for, and what comes back.
//!
//! Every operation owns its buffers; its completion gives them back.

use super::arena::{ArenaBuf, ArenaSlice};
use std::any::Any;
use std::fmt;
use std::net::SocketAddr;

/// Which part of the shard an operation belongs to; decides who gets the completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Class {
    /// Journal writes: the ack path.
    Journal,
    /// Segment reads and writes, file preparation.
    Log,
    /// Sockets.
    Net,
    /// Work of the broker off the data path (decompression, admin).
    Broker,
}

/// The submitter's name for an operation. `key` is for the submitter alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Token {
    /// Who gets the completion.
    pub class: Class,
    /// The submitter's own key.
    pub key: u64,
}

/// An open file on this shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileHandle(pub u32);

/// A socket on this shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SocketHandle(pub u32);

/// A folder of a data directory. Names below it are flat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dir {
    /// `--data-dir`: the root file copies and the lock.
    Root,
    /// `--journal-dir` (default `journal` below the data directory): journal files, checkpoints.
    Journal,
    /// `segments` below the data directory.
    Segments,
}

/// A file by name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FilePath {
    /// The folder.
    pub dir: Dir,
    /// The name inside it; no separators.
    pub name: String,
}

impl FilePath {
    /// A file called `name` in `dir`.
    pub fn new(dir: Dir, name: impl Into<String>) -> Self {
        Self {
            dir,
            name: name.into(),
        }
    }
}

/// Where received bytes go.
#[derive(Debug)]
pub enum ReceiveInto {
    /// A small slot chosen by the ring when data arrives: an idle connection holds no memory.
    Slot,
    /// The spare room of this buffer, `buf.spare()` bytes at most; completes with what came. With
    /// `fill`, completes only when exactly the spare room is full (or at the end of the stream).
    Buffer {
        /// Receives behind its filled part.
        buf: ArenaBuf,
        /// Wait for all of it.
        fill: bool,
    },
}

/// What one operation does.
pub enum Op {
    /// Reads into `buf`'s spare room, all of it. Place, length and memory are block-aligned.
    Read {
        /// From which file.
        file: FileHandle,
        /// First byte.
        position: u64,
        /// Where to; comes back filled.
        buf: ArenaBuf,
    },
    /// Writes the slices one behind the other. Place, lengths and memory are block-aligned;
    /// at most `WRITE_BYTES_MAX` in all. The vector comes back empty for reuse.
    Write {
        /// To which file.
        file: FileHandle,
        /// First byte.
        position: u64,
        /// What to write.
        parts: Vec<ArenaSlice>,
        /// Completes only once the bytes are on stable storage (RWF_DSYNC).
        durable: bool,
    },
    /// Waits for one incoming connection.
    Accept {
        /// The listener.
        listener: SocketHandle,
    },
    /// Waits for bytes.
    Receive {
        /// From where.
        socket: SocketHandle,
        /// Into what.
        into: ReceiveInto,
    },
    /// Sends all slices, one behind the other; completes when all are handed to the kernel and
    /// the memory may be reused. The vector comes back empty.
    Send {
        /// To where.
        socket: SocketHandle,
        /// What to send.
        parts: Vec<ArenaSlice>,
    },
    /// A file operation that may block; done by the housekeeper, never on the shard.
    File(FileOp),
    /// A computation too long for a shard (decompression); done by the housekeeper.
    Work(Box<dyn FnOnce() -> Box<dyn Any + Send> + Send>),
}

impl fmt::Debug for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { file, position, .. } => write!(f, "Read {file:?} at {position}"),
            Self::Write {
                file,
                position,
                parts,
                durable,
            } => {
                let bytes: usize = parts.iter().map(|part| part.len()).sum();
                write!(
                    f,
                    "Write {file:?} at {position} bytes {bytes} durable {durable}"
                )
            }
            Self::Accept { listener } => write!(f, "Accept {listener:?}"),
            Self::Receive { socket, .. } => write!(f, "Receive {socket:?}"),
            Self::Send { socket, parts } => write!(f, "Send {socket:?} parts {}", parts.len()),
            Self::File(op) => write!(f, "File {op:?}"),
            Self::Work(_) => write!(f, "Work"),
        }
    }
}

/// Single file operations, executed one at a time or side by side by the housekeeper. Sequences
/// of them (create, fill, sync, sync the folder, hand over) are state machines on the shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileOp {
    /// Opens for O_DIRECT reads and writes. Reply: `Opened`.
    Open {
        /// Which file.
        path: FilePath,
    },
    /// Makes a new empty file and opens it; an existing one is an error. Reply: `Opened`.
    Create {
        /// Which file.
        path: FilePath,
    },
    /// Writes zeros over `[from, to)`, block-aligned, growing the file. Not yet synced.
    ZeroFill {
        /// Which file.
        file: FileHandle,
        /// First byte.
        from: u64,
        /// End, exclusive.
        to: u64,
    },
    /// fdatasync.
    SyncData {
        /// Which file.
        file: FileHandle,
    },
    /// fsync of a folder: makes creations and removals in it durable.
    SyncDir {
        /// Which folder.
        dir: Dir,
    },
    /// Removes a name. A file that is not there is no error.
    Unlink {
        /// Which file.
        path: FilePath,
    },
    /// Names and sizes. Reply: `Listed`.
    List {
        /// Which folder.
        dir: Dir,
    },
    /// Reads a small file whole, `bytes_max` at most (a larger one is an error). Reply: `Content`.
    ReadAll {
        /// Which file.
        path: FilePath,
        /// Bound.
        bytes_max: u64,
    },
    /// Creates or replaces the content of a small file in place and fdatasyncs it.
    WriteAll {
        /// Which file.
        path: FilePath,
        /// The new content.
        content: Vec<u8>,
    },
    /// Takes the exclusive lock of a file (made if absent) until the group of shards ends, at the
    /// latest with the process. Reply: `Locked(false)` when another group or process holds it.
    Lock {
        /// Which file.
        path: FilePath,
    },
    /// Free and total bytes of the file system. Reply: `Space`.
    FreeSpace {
        /// Which folder.
        dir: Dir,
    },
}

/// What a finished file operation says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileReply {
    /// Done, nothing to tell.
    Done,
    /// The file is open on this shard.
    Opened {
        /// Its handle.
        file: FileHandle,
        /// Its size.
        bytes: u64,
    },
    /// Name and size of each file, sorted by name.
    Listed(Vec<(String, u64)>),
    /// The whole content.
    Content(Vec<u8>),
    /// Whether the lock is ours.
    Locked(bool),
    /// File system space.
    Space {
        /// Bytes free for us.
        free: u64,
        /// Bytes in all.
        total: u64,
    },
}

/// Why an operation failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IoFailure {
    /// The operating system's error number.
    #[error("{}", std::io::Error::from_raw_os_error(*.0))]
    Os(i32),
    /// Fewer bytes than asked for were read or written.
    #[error("only {done} of {wanted} bytes")]
    Short {
        /// How many were done.
        done: u32,
        /// How many were asked for.
        wanted: u32,
    },
    /// The operation was cancelled, or its socket closed.
    #[error("cancelled")]
    Cancelled,
    /// No receive slot was free; ask again once memory came back.
    #[error("no receive slot is free")]
    NoSlot,
    /// The simulated world ended here (a crash).
    #[error("the simulated machine stopped")]
    Stopped,
}

impl IoFailure {
    /// The file system or the quota is full.
    #[must_use]
    pub const fn is_full(self) -> bool {
        matches!(self, Self::Os(libc::ENOSPC | libc::EDQUOT))
    }

    /// The one class of failed disk write that may be submitted once more (storage-review A2).
    #[must_use]
    pub const fn is_interrupted(self) -> bool {
        matches!(self, Self::Os(libc::EINTR | libc::EAGAIN | libc::ECANCELED))
    }

    /// Somebody else listens there.
    #[must_use]
    pub const fn is_address_in_use(self) -> bool {
        matches!(self, Self::Os(libc::EADDRINUSE))
    }

    /// No interface of this machine has the address.
    #[must_use]
    pub const fn is_foreign_address(self) -> bool {
        matches!(self, Self::Os(libc::EADDRNOTAVAIL))
    }

    /// The limit of open files is reached.
    #[must_use]
    pub const fn is_out_of_files(self) -> bool {
        matches!(self, Self::Os(libc::EMFILE | libc::ENFILE))
    }

    /// A read found less than there must be: no such file, or its end. No later try finds more.
    #[must_use]
    pub const fn is_missing_bytes(self) -> bool {
        matches!(self, Self::Os(libc::ENOENT) | Self::Short { .. })
    }

    /// There is no such file.
    #[must_use]
    pub const fn is_not_found(self) -> bool {
        matches!(self, Self::Os(libc::ENOENT))
    }
}

/// Bytes that a receive brought.
#[derive(Debug)]
pub enum Received {
    /// In a slot; drop it to give the memory back. Empty at the end of the stream.
    Slot(ArenaBuf),
    /// The caller's buffer and how many bytes were added (0: end of the stream).
    Buffer(ArenaBuf, u32),
}

/// How an operation ended, with everything it owned.
pub enum Outcome {
    /// `Op::Read`.
    Read(ArenaBuf, Result<(), IoFailure>),
    /// `Op::Write`, with the emptied vector.
    Write(Vec<ArenaSlice>, Result<(), IoFailure>),
    /// `Op::Accept`.
    Accept(Result<(SocketHandle, SocketAddr), IoFailure>),
    /// `Op::Receive`. On failure the buffer, if there was one, is dropped.
    Receive(Result<Received, IoFailure>),
    /// `Op::Send`, with the emptied vector.
    Send(Vec<ArenaSlice>, Result<(), IoFailure>),
    /// `Op::File`.
    File(Result<FileReply, IoFailure>),
    /// `Op::Work`.
    Work(Box<dyn Any + Send>),
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(_, result) => write!(f, "Read {result:?}"),
            Self::Write(_, result) => write!(f, "Write {result:?}"),
            Self::Accept(result) => write!(f, "Accept {result:?}"),
            Self::Receive(result) => write!(f, "Receive {result:?}"),
            Self::Send(_, result) => write!(f, "Send {result:?}"),
            Self::File(result) => write!(f, "File {result:?}"),
            Self::Work(_) => write!(f, "Work"),
        }
    }
}

/// A finished operation.
#[derive(Debug)]
pub struct Completion {
    /// The submitter's name for it.
    pub token: Token,
    /// How it ended.
    pub outcome: Outcome,
}

/// A socket between two shards.
#[derive(Debug)]
pub enum DetachedSocket {
    /// A real one.
    Kernel(std::os::fd::OwnedFd),
    /// A simulated one.
    Simulated(u64),
}
