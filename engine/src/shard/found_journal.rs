//! A journal as a start finds it: its checkpoint copies, its ring, and which commits lie there.

use super::config::JournalSetup;
use super::error::OpenError;
use super::ring_files::{copy_path, must, open, ring_path};
use super::ring_reader::read_file;
use crate::ids::JournalId;
use crate::io::{FileHandle, FileOp, Io};
use crate::journal::checkpoint::{CHECKPOINT_BYTES_MAX, CheckpointFault, Copy, FoundCheckpoint};
use crate::journal::format::{COMMIT_MAGIC, FoundHeader};
use crate::journal::given_up::GIVEN_UP_MAGIC;
use crate::journal::ring::{Place, RingShape};
use crate::journal::scan::Evidence;
use crate::limits::BLOCK_BYTES;
use crate::planted::{Bug, is};

/// A copy as it was found.
pub(super) struct FoundCopy {
    pub(super) file: FileHandle,
    pub(super) bytes: Vec<u8>,
}

/// The ring as it was found.
pub(super) struct FoundRing {
    pub(super) files: Vec<FileHandle>,
    pub(super) shape: RingShape,
    pub(super) journal: JournalId,
}

pub(super) fn read_copy(
    io: &mut Io,
    journal: JournalId,
    copy: Copy,
) -> Result<FoundCopy, OpenError> {
    let path = copy_path(journal, copy);
    let name = path.name.clone();
    let (file, bytes) = open(io, path)?;
    sync(io, &name, file)?;
    let bytes = bytes / BLOCK_BYTES * BLOCK_BYTES;
    let mut content = Vec::new();
    if bytes > CHECKPOINT_BYTES_MAX {
        return Err(OpenError::Refused {
            object: name,
            problem: format!("has {bytes} bytes, more than {CHECKPOINT_BYTES_MAX}"),
            remedy: "this is no file of Millrace: restore the journal folder".to_owned(),
        });
    }
    if bytes > 0 {
        read_file(io, &name, (file, bytes), &mut content)?;
    }
    Ok(FoundCopy {
        file,
        bytes: content,
    })
}

/// fdatasync before reading, so that what is read now is still there after a power cut.
pub(super) fn sync(io: &mut Io, name: &str, file: FileHandle) -> Result<(), OpenError> {
    if is(Bug::NoFlushBeforeRecovery) {
        return Ok(());
    }
    must(io, name, FileOp::SyncData { file }).map(drop)
}

pub(super) fn newest_copy<'a>(
    setup: &JournalSetup,
    copies: &'a [Result<FoundCheckpoint<'a>, CheckpointFault>; 2],
) -> Result<&'a FoundCheckpoint<'a>, OpenError> {
    let newest = copies
        .iter()
        .flatten()
        .max_by_key(|found| found.head.number);
    let Some(newest) = newest else {
        let faults = copies.each_ref().map(|copy| match copy {
            Ok(_) => String::new(),
            Err(fault) => fault.to_string(),
        });
        return Err(OpenError::Refused {
            object: format!("checkpoints of journal {}", setup.id.0),
            problem: format!("copy A {}, copy B {}", faults[0], faults[1]),
            remedy: "restore the journal folder; starting empty would lose every record".to_owned(),
        });
    };
    for (copy, name) in copies.iter().zip(["A", "B"]) {
        if let Err(fault) = copy {
            log::warn!("journal {}: checkpoint copy {name} {fault}", setup.id.0);
        }
    }
    if newest.head.set_id != setup.set_id {
        return Err(OpenError::Refused {
            object: format!("journal {}", setup.id.0),
            problem: "belongs to another data directory".to_owned(),
            remedy: "give the --journal-dir that belongs to this --data-dir".to_owned(),
        });
    }
    Ok(newest)
}

pub(super) fn open_ring(
    io: &mut Io,
    journal: JournalId,
    shape: RingShape,
) -> Result<FoundRing, OpenError> {
    let mut files = Vec::with_capacity(shape.files as usize);
    for index in 0..shape.files {
        let path = ring_path(journal, index);
        let name = path.name.clone();
        let (file, bytes) = open(io, path)?;
        if bytes != shape.file_bytes {
            return Err(OpenError::Refused {
                object: name,
                problem: format!("has {bytes} bytes instead of {}", shape.file_bytes),
                remedy: "restore the journal folder".to_owned(),
            });
        }
        sync(io, &name, file)?;
        files.push(file);
    }
    Ok(FoundRing {
        files,
        shape,
        journal,
    })
}

/// Looks at every block of the ring. Returns the last file, going forward from `start`, that holds
/// a commit of the epoch.
pub(super) fn collect_evidence(
    io: &mut Io,
    ring: &FoundRing,
    start: u32,
    evidence: &mut Evidence,
) -> Result<u32, OpenError> {
    let mut bytes = Vec::new();
    let mut last_used = start;
    for ahead in 0..ring.shape.files {
        let file = (start + ahead) % ring.shape.files;
        ring.read(io, file, &mut bytes)?;
        let before = evidence.len();
        for (index, block) in bytes.chunks_exact(BLOCK_BYTES as usize).enumerate() {
            if block.starts_with(&COMMIT_MAGIC) || block.starts_with(&GIVEN_UP_MAGIC) {
                let position = index as u64 * BLOCK_BYTES;
                evidence.look_at(block, Place { file, position });
            }
        }
        if evidence.len() > before {
            last_used = file;
        }
    }
    Ok(last_used)
}

impl FoundRing {
    pub(super) fn read(&self, io: &mut Io, file: u32, out: &mut Vec<u8>) -> Result<(), OpenError> {
        let name = ring_path(self.journal, file).name;
        let whole = (self.files[file as usize], self.shape.file_bytes);
        read_file(io, &name, whole, out)
    }
}

/// The journal file that the walk is in.
#[derive(Default)]
pub(super) struct FileReader {
    file: Option<u32>,
    bytes: Vec<u8>,
}

impl FileReader {
    pub(super) fn commit(
        &mut self,
        io: &mut Io,
        ring: &FoundRing,
        header: &FoundHeader,
    ) -> Result<&[u8], OpenError> {
        let place = header.id.place;
        if self.file != Some(place.file) {
            ring.read(io, place.file, &mut self.bytes)?;
            self.file = Some(place.file);
        }
        let start = place.position as usize;
        Ok(&self.bytes[start..start + header.length as usize])
    }
}
