//! The files of a journal by name: the ring and the two checkpoint copies. Start-up only, one
//! operation after the other.

use super::error::OpenError;
use crate::ids::JournalId;
use crate::io::{Dir, FileHandle, FileOp, FilePath, FileReply, Io, IoFailure, Op, Outcome};
use crate::journal::checkpoint::Copy;

/// A file of the ring.
pub(crate) fn ring_path(journal: JournalId, index: u32) -> FilePath {
    FilePath::new(Dir::Journal, format!("{:04x}.{index:04}.jnl", journal.0))
}

/// A checkpoint copy.
pub(crate) fn copy_path(journal: JournalId, copy: Copy) -> FilePath {
    let letter = match copy {
        Copy::A => 'A',
        Copy::B => 'B',
    };
    FilePath::new(Dir::Journal, format!("{:04x}.ckpt.{letter}", journal.0))
}

/// Runs one file operation to its end.
pub(super) fn call_file(io: &mut Io, op: FileOp) -> Result<FileReply, IoFailure> {
    match io.call(Op::File(op)) {
        Outcome::File(reply) => reply,
        other => unreachable!("a file operation was answered by {other:?}"),
    }
}

/// The same, with a failure that names `object`.
pub(super) fn must(io: &mut Io, object: &str, op: FileOp) -> Result<FileReply, OpenError> {
    call_file(io, op).map_err(|failure| OpenError::Io {
        object: object.to_owned(),
        failure,
    })
}

/// Opens a file that must be there.
pub(super) fn open(io: &mut Io, path: FilePath) -> Result<(FileHandle, u64), OpenError> {
    let name = path.name.clone();
    match call_file(io, FileOp::Open { path }) {
        Ok(FileReply::Opened { file, bytes }) => Ok((file, bytes)),
        Ok(other) => unreachable!("an open was answered by {other:?}"),
        Err(failure) if failure.is_not_found() => Err(OpenError::Refused {
            object: name,
            problem: "is missing".to_owned(),
            remedy: "bring the journal folder back (is --journal-dir mounted and the right one?)"
                .to_owned(),
        }),
        Err(failure) => Err(OpenError::Io {
            object: name,
            failure,
        }),
    }
}

/// Makes a zero-filled, synced file, over one that an interrupted start left.
pub(super) fn make(io: &mut Io, path: FilePath, bytes: u64) -> Result<FileHandle, OpenError> {
    let name = path.name.clone();
    must(io, &name, FileOp::Unlink { path: path.clone() })?;
    let FileReply::Opened { file, .. } = must(io, &name, FileOp::Create { path })? else {
        unreachable!("a create is answered by Opened");
    };
    let fill = FileOp::ZeroFill {
        file,
        from: 0,
        to: bytes,
    };
    must(io, &name, fill)?;
    must(io, &name, FileOp::SyncData { file })?;
    Ok(file)
}
