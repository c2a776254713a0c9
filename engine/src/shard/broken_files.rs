//! Files of a journal that are missing, end too soon or cannot be read, so that no start can go on:
//! named, and made whole once their loss is accepted. What they held is judged then as any other
//! damage is.

use super::config::JournalSetup;
use super::error::OpenError;
use super::found_journal::newest_copy;
use super::ring_files::{copy_path, make, must, open, ring_path};
use super::ring_reader::{read_what_can_be, write_block};
use crate::io::{Dir, FileHandle, FileOp, FilePath, FileReply, Io};
use crate::journal::checkpoint::{CHECKPOINT_BYTES_MAX, CheckpointFault, Copy, read_checkpoint};
use crate::journal::given_up::given_up_block;
use crate::journal::ring::Place;
use crate::limits::BLOCK_BYTES;

/// A file that is not what it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokenFile {
    /// Its name in the journal directory.
    pub name: String,
    /// Its size, `None` when it is missing.
    pub found_bytes: Option<u64>,
    /// The size it must have: that found for a checkpoint copy, which grows.
    pub wanted_bytes: u64,
    /// Where blocks begin that cannot be read.
    pub unreadable: Vec<u64>,
    /// Number in the ring, and the epoch there; `None` for a checkpoint copy.
    ring: Option<(u32, u64)>,
}

impl BrokenFile {
    fn is_broken(&self) -> bool {
        let is_short = self
            .found_bytes
            .is_none_or(|found| found < self.wanted_bytes);
        is_short || !self.unreadable.is_empty()
    }
}

/// Says which files of a journal are missing, too short, or unreadable somewhere. Reads only.
///
/// # Errors
/// When neither checkpoint copy counts: then nothing says what was there.
pub fn broken_files(io: &mut Io, setup: &JournalSetup) -> Result<Vec<BrokenFile>, OpenError> {
    let sizes = match must(io, "journal folder", FileOp::List { dir: Dir::Journal })? {
        FileReply::Listed(names) => names,
        _ => Vec::new(),
    };
    let size_of = |name: &str| {
        let found = sizes.iter().find(|(found, _)| found == name);
        found.map(|(_, bytes)| *bytes)
    };
    let mut broken = Vec::new();
    let mut contents = [Vec::new(), Vec::new()];
    for (copy, content) in [Copy::A, Copy::B].into_iter().zip(&mut contents) {
        let path = copy_path(setup.id, copy);
        let found = size_of(&path.name).map(|bytes| bytes.min(CHECKPOINT_BYTES_MAX));
        let sizes = (found, found.unwrap_or(0));
        broken.push(look_at(io, path, sizes, None, content)?);
    }
    let copies = contents.each_ref().map(|content| match content.is_empty() {
        true => Err(CheckpointFault::Absent),
        false => read_checkpoint(content, &setup.key, setup.id),
    });
    let head = newest_copy(setup, &copies)?.head;
    let shape = head.shape;
    for index in 0..shape.files {
        let path = ring_path(setup.id, index);
        let found = size_of(&path.name);
        let (sizes, ring) = ((found, shape.file_bytes), Some((index, head.epoch)));
        broken.push(look_at(io, path, sizes, ring, &mut Vec::new())?);
    }
    broken.retain(BrokenFile::is_broken);
    Ok(broken)
}

/// Reads a file as far as it can be read.
fn look_at(
    io: &mut Io,
    path: FilePath,
    (found_bytes, wanted_bytes): (Option<u64>, u64),
    ring: Option<(u32, u64)>,
    content: &mut Vec<u8>,
) -> Result<BrokenFile, OpenError> {
    let name = path.name.clone();
    let mut unreadable = Vec::new();
    let readable = found_bytes.map_or(0, |bytes| {
        bytes.min(wanted_bytes) / BLOCK_BYTES * BLOCK_BYTES
    });
    if readable > 0 {
        let (file, _) = open(io, path)?;
        unreadable = read_what_can_be(io, &name, (file, readable), content)?;
        io.close_file(file);
    }
    Ok(BrokenFile {
        name,
        found_bytes,
        wanted_bytes,
        unreadable: unreadable.iter().map(|block| block.position).collect(),
        ring,
    })
}

/// Makes such a file whole. Blocks of the ring say that they were given up, so that the next
/// recovery counts with commits there; a crash before the end leaves the file broken.
///
/// # Errors
/// When the disk fails or is full.
pub fn remake_file(
    io: &mut Io,
    setup: &JournalSetup,
    broken: &BrokenFile,
) -> Result<(), OpenError> {
    let path = FilePath::new(Dir::Journal, broken.name.clone());
    let file = match broken.found_bytes {
        None => make(io, path, 0)?,
        Some(_) => open(io, path)?.0,
    };
    for &position in &broken.unreadable {
        give_up(io, setup, broken, (file, position))?;
    }
    let found = broken.found_bytes.unwrap_or(0).min(broken.wanted_bytes);
    for position in
        (found / BLOCK_BYTES..broken.wanted_bytes / BLOCK_BYTES).map(|n| n * BLOCK_BYTES)
    {
        give_up(io, setup, broken, (file, position))?;
    }
    must(io, &broken.name, FileOp::SyncData { file })?;
    io.close_file(file);
    must(io, "journal folder", FileOp::SyncDir { dir: Dir::Journal }).map(drop)
}

/// Writes the block that says that one was given up.
fn give_up(
    io: &mut Io,
    setup: &JournalSetup,
    broken: &BrokenFile,
    (file, position): (FileHandle, u64),
) -> Result<(), OpenError> {
    let (index, epoch) = broken.ring.unwrap_or_default();
    let place = Place {
        file: index,
        position,
    };
    let block = given_up_block(&setup.key, setup.id, epoch, place);
    write_block(io, &broken.name, (file, position), &block)
}
