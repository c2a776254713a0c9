//! Reads that have to go to the disk: open, read, check every granule, cut whole batches.
//!
//! Nothing unchecked leaves this module. Readers of one stretch share one read; a stretch behind
//! the one just read is fetched ahead when access is sequential; checked stretches stay in a small
//! cache that is given back before anything else when memory is short.

use super::file_table::{FileEvent, FileTable};
use crate::ids::{PartitionHandle, Ticket};
use crate::io::arena::ArenaSlice;
use crate::io::{Io, Outcome};
use crate::partition::{DiskRead, ReadBatches, ReadError, ReadRequest};
use std::ops::Range;

/// What a checked stretch holds for a reader.
#[derive(Debug)]
pub enum StretchBatches {
    /// Whole batches.
    Found(ReadBatches),
    /// A batch goes on behind the stretch: this block-aligned range is needed in one piece.
    NeedMore(Range<u64>),
    /// The partition moved on (truncated, log start advanced, deleted): plan again.
    Gone,
}

/// What a cold read asks of the partition it belongs to.
pub trait ReadChecks {
    /// Whether `parts`, which lie at `read.range.start` of the file, are what was written there:
    /// same generation, and the granule checksums fit. `Err` is the offset that is corrupt.
    fn check_granules(
        &mut self,
        handle: PartitionHandle,
        read: &DiskRead,
        parts: &[ArenaSlice],
    ) -> Result<(), i64>;

    /// The batches of `request` in checked bytes.
    fn batches_in(
        &mut self,
        handle: PartitionHandle,
        read: &DiskRead,
        request: ReadRequest,
        parts: &[ArenaSlice],
    ) -> StretchBatches;
}

/// Settings of a shard's cold reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ColdReadConfig {
    /// Disk reads in flight at most.
    pub depth_max: usize,
    /// Bytes of checked stretches kept at most.
    pub cache_bytes_max: usize,
}

/// A finished read.
#[derive(Debug)]
pub struct ColdReadDone {
    /// The reader's ticket.
    pub ticket: Ticket,
    /// Whose log.
    pub handle: PartitionHandle,
    /// What came. `None`: the partition moved on; plan the same request again.
    pub result: Option<Result<ReadBatches, ReadError>>,
    /// The request.
    pub request: ReadRequest,
}

/// The cold reads of a shard.
#[derive(Debug)]
pub struct ColdReads {}

#[expect(unused_variables, clippy::todo, reason = "signatures only")]
impl ColdReads {
    /// No reads yet.
    #[must_use]
    pub fn new(config: ColdReadConfig) -> Self {
        todo!()
    }

    /// Begins a read the partition planned. Its end comes from `next_done`, even if the stretch
    /// is in the cache.
    #[expect(clippy::too_many_arguments, reason = "signatures only")]
    pub fn start(
        &mut self,
        io: &mut Io,
        table: &mut FileTable,
        checks: &mut impl ReadChecks,
        handle: PartitionHandle,
        request: ReadRequest,
        read: DiskRead,
        ticket: Ticket,
    ) {
        todo!()
    }

    /// Takes the completion of an operation of kind `ColdRead`.
    pub fn complete(
        &mut self,
        io: &mut Io,
        table: &mut FileTable,
        checks: &mut impl ReadChecks,
        slot: u64,
        outcome: Outcome,
    ) {
        todo!()
    }

    /// Takes `Opened` events of the file table for waiters of kind `ColdRead`.
    pub fn file_event(
        &mut self,
        io: &mut Io,
        table: &mut FileTable,
        checks: &mut impl ReadChecks,
        event: FileEvent,
    ) {
        todo!()
    }

    /// Starts reads that waited for depth or memory; once per turn.
    pub fn end_turn(&mut self, io: &mut Io, table: &mut FileTable, checks: &mut impl ReadChecks) {
        todo!()
    }

    /// Finished reads, oldest first.
    pub fn next_done(&mut self) -> Option<ColdReadDone> {
        todo!()
    }

    /// Forgets cached stretches of a file (its segment was released or rewritten).
    pub fn forget_file(&mut self, file: crate::ids::FileId) {
        todo!()
    }

    /// Gives back all cached memory. Returns the bytes given back.
    pub fn release_memory(&mut self) -> usize {
        todo!()
    }

    /// Bytes read from segments since the start.
    #[must_use]
    pub fn read_bytes(&self) -> u64 {
        todo!()
    }

    /// Whether a read is under way (a clean stop waits for it).
    #[must_use]
    pub fn is_busy(&self) -> bool {
        todo!()
    }
}
