//! Making a journal, and taking one apart: what re-sharding needs beside opening.

use super::config::{JournalSetup, ShardConfig};
use super::error::OpenError;
use super::ring_files::{copy_path, make, must, ring_path};
use super::{Life, Shard};
use crate::ids::PartitionHandle;
use crate::io::{Dir, FileOp, FileReply, Io};
use crate::journal::checkpoint::{CheckpointBuilder, CheckpointHead, Copy, read_checkpoint};
use crate::journal::ring::{Place, RingShape};

/// Everything a journal is responsible for, at rest: no record of it is in the journal alone.
#[derive(Clone, Debug, Default)]
pub struct ShardContent {
    /// States of the partitions, as they encoded themselves.
    pub partitions: Vec<(PartitionHandle, Vec<u8>)>,
    /// Registry entries: owner, key, value.
    pub registry: Vec<(PartitionHandle, Vec<u8>, Vec<u8>)>,
    /// Counter for the next segment file.
    pub next_file: u64,
}

/// Makes a fresh journal whose first checkpoint holds `content`. Its id must never have been used
/// in this data directory. It counts once the root file names it; until then it may be made again.
///
/// # Errors
/// When the disk fails or is full.
pub fn create_journal(
    io: &mut Io,
    config: &ShardConfig,
    setup: &JournalSetup,
    content: &ShardContent,
) -> Result<(), OpenError> {
    let shape = ring_shape(io, config)?;
    for index in 0..shape.files {
        let file = make(io, ring_path(setup.id, index), shape.file_bytes)?;
        io.close_file(file);
    }
    let head = CheckpointHead {
        set_id: setup.set_id,
        journal: setup.id,
        number: 1,
        epoch: 1,
        start_sequence: 1,
        start: Place {
            file: 0,
            position: 0,
        },
        previous: setup.key.seed(setup.id.0, 1),
        mark: 0,
        shape,
        next_file: content.next_file,
        is_clean: true,
    };
    let mut builder = CheckpointBuilder::default();
    builder.clear();
    for (handle, state) in &content.partitions {
        builder.partition(*handle, |out| out.extend_from_slice(state));
    }
    for (owner, key, value) in &content.registry {
        builder.registry(*owner, key, value);
    }
    let bytes = builder.seal(&setup.key, &head);
    for copy in [Copy::A, Copy::B] {
        let path = copy_path(setup.id, copy);
        let name = path.name.clone();
        let content = bytes.to_vec();
        must(io, &name, FileOp::WriteAll { path, content })?;
    }
    must(io, "journal folder", FileOp::SyncDir { dir: Dir::Journal })?;
    Ok(())
}

/// The ring that is asked for, smaller on a disk that has little room.
fn ring_shape(io: &mut Io, config: &ShardConfig) -> Result<RingShape, OpenError> {
    let dir = Dir::Journal;
    let bytes_max = match must(io, "journal folder", FileOp::FreeSpace { dir })? {
        FileReply::Space { free, .. } => free / config.journal_free_divisor.max(1),
        _ => u64::MAX,
    };
    let bytes = config.journal_bytes.min(bytes_max);
    if bytes < config.journal_bytes {
        log::info!(
            "{}: a journal of about {} MiB instead of {}: it takes no more than its share of the \
             free disk",
            config.shard,
            bytes >> 20,
            config.journal_bytes >> 20
        );
    }
    Ok(RingShape::for_config(bytes, config.journal_files))
}

/// Recovers a journal, brings everything it holds into segments, and returns what it is then
/// responsible for. The journal stays as it is and may be opened again.
///
/// # Errors
/// As opening it.
pub fn export_journal(
    io: &mut Io,
    config: ShardConfig,
    setup: JournalSetup,
) -> Result<ShardContent, OpenError> {
    let shard = Shard::recover(io, config, setup)?;
    let found = read_checkpoint(shard.checkpoint_bytes(), &setup.key, setup.id);
    let lost = |problem: String| OpenError::Refused {
        object: copy_path(setup.id, Copy::A).name,
        problem,
        remedy: "this is a bug of the program: keep the data directory and report it".to_owned(),
    };
    let found = found.map_err(|fault| lost(fault.to_string()))?;
    let content = found
        .content()
        .ok_or_else(|| lost("does not hold what was put in".to_owned()))?;
    let partitions = content.partitions.iter();
    let registry = content.registry.iter();
    let content = ShardContent {
        partitions: partitions
            .map(|(handle, state)| (*handle, state.to_vec()))
            .collect(),
        registry: registry
            .map(|(owner, key, value)| (*owner, key.to_vec(), value.to_vec()))
            .collect(),
        next_file: found.head.next_file,
    };
    shard.rest(io)?;
    Ok(content)
}

impl Shard {
    /// Lets what is under way end and closes every file: no completion of this shard reaches the
    /// one that uses `io` next.
    pub(super) fn rest(mut self, io: &mut Io) -> Result<(), OpenError> {
        self.life = Life::Stopped;
        let mut done = Vec::new();
        while self.is_busy() || self.journal.in_flight > 0 || self.journal.is_syncing() {
            let waited = io.wait(&mut done);
            waited.map_err(|failure| OpenError::Io {
                object: "the machine".to_owned(),
                failure,
            })?;
            for completion in done.drain(..) {
                self.complete(io, completion);
            }
        }
        if self.life == Life::Failed {
            return Err(self.why_failed());
        }
        self.table.close_all_idle(io);
        for file in self.journal.files.drain(..) {
            io.close_file(file);
        }
        self.checkpointing.close(io);
        Ok(())
    }
}

/// Removes the files of a journal that the root file does not name any more.
///
/// # Errors
/// When the disk fails.
pub fn remove_journal(io: &mut Io, setup: &JournalSetup, ring_files: u32) -> Result<(), OpenError> {
    let rings = (0..ring_files).map(|index| ring_path(setup.id, index));
    let copies = [Copy::A, Copy::B].map(|copy| copy_path(setup.id, copy));
    for path in rings.chain(copies) {
        let name = path.name.clone();
        must(io, &name, FileOp::Unlink { path })?;
    }
    must(io, "journal folder", FileOp::SyncDir { dir: Dir::Journal })?;
    Ok(())
}
