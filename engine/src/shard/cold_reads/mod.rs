//! Reads that have to go to the disk: open, read, check every granule, cut whole batches.
//!
//! A planned read is cut into pieces (see `pieces`), shared by all readers that want them at once
//! or soon after; when the last piece of a reader is in memory the partition checks the bytes and
//! finds the batches. INVARIANT: bytes leave only through `ColdLogs::check`, also those from the
//! cache. A sequential reader finds the stretch behind its last one already on the way.

mod pieces;
#[cfg(test)]
mod tests;

use super::file_table::{FileEvent, FileTable, SegmentFile};
use super::token::LogKind;
use crate::ids::{FileId, PartitionHandle, Ticket};
use crate::io::arena::ArenaSlice;
use crate::io::{Io, Outcome};
use crate::partition::{
    DiskRead, FoundBatches, IndexRead, ReadBatches, ReadError, ReadPlan, ReadRequest, SpareVecs,
};
use pieces::{PIECE_BYTES, PieceSums, Pieces, Progress, Stretch};
use rustc_hash::FxHashMap;
use std::collections::VecDeque;

/// Bytes kept on their way ahead of a sequential reader: what the disk brings while one read's
/// worth is sent and the next one is asked for.
const READAHEAD_BYTES_MAX: u64 = 12 << 20;
/// Disk reads in flight at most while durable writes are made.
const DEPTH_BESIDE_WRITES: usize = 1;
/// Partitions whose next expected offset is remembered.
const SEQUENTIAL_MAX: usize = 1024;

/// What cold reads ask of the partitions of their shard. `UnknownPartition` when it is gone.
pub trait ColdLogs {
    /// `Partition::plan_read`.
    ///
    /// # Errors
    /// As that.
    fn plan(
        &mut self,
        handle: PartitionHandle,
        request: &ReadRequest,
        spare: &mut SpareVecs,
    ) -> Result<ReadPlan, ReadError>;

    /// `Partition::check_granules`.
    ///
    /// # Errors
    /// As that.
    fn check(
        &mut self,
        handle: PartitionHandle,
        read: &mut DiskRead,
        parts: &[ArenaSlice],
        sums: &[Option<u32>],
    ) -> Result<(), ReadError>;

    /// `Partition::granule_sum` for a file and its generation. `None` when the partition is gone.
    fn granule_sum(
        &self,
        handle: PartitionHandle,
        file: (FileId, u32),
        position: u64,
        bytes: &[u8],
    ) -> Option<u32>;

    /// `Partition::batches_in`.
    ///
    /// # Errors
    /// As that.
    fn batches(
        &mut self,
        handle: PartitionHandle,
        read: &DiskRead,
        parts: &[ArenaSlice],
        request: &ReadRequest,
        spare: &mut SpareVecs,
    ) -> Result<FoundBatches, ReadError>;

    /// `Partition::index_loaded`.
    ///
    /// # Errors
    /// As that.
    fn index_loaded(
        &mut self,
        handle: PartitionHandle,
        read: &IndexRead,
        parts: &[ArenaSlice],
    ) -> Result<(), ReadError>;

    /// `Partition::has_segment`. `false` when the partition is gone.
    fn has_segment(&self, handle: PartitionHandle, file: FileId, generation: u32) -> bool;
}

/// Settings of a shard's cold reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ColdReadConfig {
    /// Disk reads in flight at most.
    pub depth_max: usize,
    /// Bytes of memory kept for stretches nobody waits for, at most.
    pub cache_bytes_max: usize,
}

/// A finished read.
#[derive(Debug)]
pub struct ColdReadDone {
    /// The reader's ticket.
    pub ticket: Ticket,
    /// Whose log.
    pub handle: PartitionHandle,
    /// What came. For `load_index`: no batches once the index is in memory.
    pub result: Result<ReadBatches, ReadError>,
}

#[derive(Debug)]
enum Wanted {
    Records(DiskRead),
    Index(IndexRead),
}

#[derive(Debug)]
struct Reader {
    ticket: Ticket,
    handle: PartitionHandle,
    /// `None`: only the index is wanted.
    request: Option<ReadRequest>,
    wanted: Wanted,
    pieces: Vec<u32>,
    missing: u32,
    is_sequential: bool,
    /// It failed together with bytes around it, and is read again without them.
    is_alone: bool,
}

/// The cold reads of a shard.
#[derive(Debug)]
pub struct ColdReads {
    config: ColdReadConfig,
    pieces: Pieces,
    readers: Vec<Option<Reader>>,
    vacant: Vec<u32>,
    /// Offset behind the last cold read of a partition.
    expected: FxHashMap<PartitionHandle, i64>,
    parts: Vec<ArenaSlice>,
    sums: Vec<Option<u32>>,
    done: VecDeque<ColdReadDone>,
}

impl ColdReads {
    /// No reads yet.
    #[must_use]
    pub fn new(config: ColdReadConfig) -> Self {
        assert!(config.depth_max > 0, "reads need at least one operation");
        Self {
            config,
            pieces: Pieces::new(config),
            readers: Vec::new(),
            vacant: Vec::new(),
            expected: FxHashMap::default(),
            parts: Vec::new(),
            sums: Vec::new(),
            done: VecDeque::new(),
        }
    }

    /// Begins a read as the partition planned it; its end comes from `next_done`.
    pub fn start(
        &mut self,
        env: &mut Env<'_, impl ColdLogs>,
        handle: PartitionHandle,
        request: ReadRequest,
        plan: ReadPlan,
        ticket: Ticket,
    ) {
        let is_sequential = self.expected.get(&handle) == Some(&request.offset);
        let wanted = match plan {
            ReadPlan::Ready(batches) => return self.finish(ticket, handle, Ok(batches)),
            ReadPlan::Disk(read) => Wanted::Records(read),
            ReadPlan::Index(read) => Wanted::Index(read),
        };
        self.begin(
            env,
            Reader {
                ticket,
                handle,
                request: Some(request),
                wanted,
                pieces: Vec::new(),
                missing: 0,
                is_sequential,
                is_alone: false,
            },
        );
    }

    /// Loads the index of a sealed segment into its partition.
    pub fn load_index(
        &mut self,
        env: &mut Env<'_, impl ColdLogs>,
        handle: PartitionHandle,
        read: IndexRead,
        ticket: Ticket,
    ) {
        self.begin(
            env,
            Reader {
                ticket,
                handle,
                request: None,
                wanted: Wanted::Index(read),
                pieces: Vec::new(),
                missing: 0,
                is_sequential: false,
                is_alone: false,
            },
        );
    }

    /// Takes the completion of an operation of kind `ColdRead`.
    pub fn complete(&mut self, env: &mut Env<'_, impl ColdLogs>, slot: u64, outcome: Outcome) {
        // Summed as they come, so that a reader does not wait for all of its bytes to be summed.
        let sums = match &outcome {
            Outcome::Read(buf, Ok(_)) => self.pieces.sum(slot, |handle, file, position, from| {
                env.logs.granule_sum(handle, file, position, &buf[from])
            }),
            _ => PieceSums::default(),
        };
        self.pieces.complete(env.io, env.table, slot, outcome, sums);
        self.advance(env);
    }

    /// Takes `Opened` events of the file table for waiters of kind `ColdRead`.
    pub fn file_event(&mut self, env: &mut Env<'_, impl ColdLogs>, event: FileEvent) {
        let FileEvent::Opened { waiter, result, .. } = event else {
            return;
        };
        let (_, slot) = LogKind::parse(waiter).expect("a piece made this key");
        let result = result.map(|(handle, _)| handle);
        self.pieces.opened(env.io, slot, result);
        self.advance(env);
    }

    /// Starts reads that waited for memory; once per turn.
    pub fn end_turn(&mut self, env: &mut Env<'_, impl ColdLogs>) {
        if self.is_busy() {
            self.advance(env);
        }
    }

    /// Whether durable writes share the device: a scheduler that prefers reads makes each of them
    /// wait for every read that is in flight.
    pub fn share_device(&mut self, is_shared: bool) {
        let depth_max = self.config.depth_max;
        self.pieces.depth = if is_shared {
            depth_max.min(DEPTH_BESIDE_WRITES)
        } else {
            depth_max
        };
    }

    /// Finished reads, oldest first.
    pub fn next_done(&mut self) -> Option<ColdReadDone> {
        self.done.pop_front()
    }

    /// Forgets what is cached of a file (it is about to be released).
    pub fn forget_file(&mut self, file: FileId) {
        self.pieces.forget_file(file);
    }

    /// Gives back all memory that nobody waits for. Returns the bytes given back.
    pub fn release_memory(&mut self) -> usize {
        self.pieces.shrink_cache(0)
    }

    /// Bytes read from segments since the start.
    #[must_use]
    pub const fn read_bytes(&self) -> u64 {
        self.pieces.read_bytes
    }

    /// Disk reads since the start.
    #[must_use]
    pub const fn reads(&self) -> u64 {
        self.pieces.reads
    }

    /// Bytes of memory that nobody waits for.
    #[must_use]
    pub const fn cached_bytes(&self) -> usize {
        self.pieces.cached_bytes
    }

    /// Whether a read is under way or waits (a clean stop waits for it).
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.readers.len() > self.vacant.len() || self.pieces.is_busy()
    }
}

/// What a cold read works with: the shard's own parts, lent for a call.
#[derive(Debug)]
pub struct Env<'a, L> {
    /// The world.
    pub io: &'a mut Io,
    /// The shard's files.
    pub table: &'a mut FileTable,
    /// The shard's partitions.
    pub logs: &'a mut L,
    /// The shard's spare vectors: those of sent batches come back there.
    pub spare: &'a mut SpareVecs,
}

impl ColdReads {
    fn begin(&mut self, env: &mut Env<'_, impl ColdLogs>, mut reader: Reader) {
        let mut stretch = stretch_of(reader.handle, &reader.wanted);
        stretch.is_alone = reader.is_alone;
        let slot = self.vacant.pop().unwrap_or_else(|| {
            self.readers.push(None);
            u32::try_from(self.readers.len() - 1).expect("fewer readers than 2^32")
        });
        reader.pieces = self.pieces.take_list();
        reader.missing = self.pieces.pin(&stretch, slot, &mut reader.pieces);
        let is_there = reader.missing == 0;
        self.readers[slot as usize] = Some(reader);
        if is_there {
            self.loaded(env, slot);
        }
        self.advance(env);
    }

    /// Starts what may be started and hands out what came, until neither changes anything.
    fn advance(&mut self, env: &mut Env<'_, impl ColdLogs>) {
        loop {
            self.pieces.start_queued(env.io, env.table);
            let Some(progress) = self.pieces.next_progress() else {
                return;
            };
            match progress {
                Progress::Loaded(slot) => {
                    let Some(reader) = &mut self.readers[slot as usize] else {
                        continue;
                    };
                    reader.missing -= 1;
                    if reader.missing == 0 {
                        self.loaded(env, slot);
                    }
                }
                Progress::Failed(slot, error) => {
                    if self.readers[slot as usize].is_some() {
                        let reader = self.take(slot);
                        self.failed(env, reader, error);
                    }
                }
            }
        }
    }

    /// Takes a reader off its slot, its pieces and their waiting lists.
    fn take(&mut self, slot: u32) -> Reader {
        let reader = self.readers[slot as usize].take();
        let mut reader = reader.expect("the reader waits for its pieces");
        self.pieces.unpin(&reader.pieces, slot);
        self.pieces.give_list(std::mem::take(&mut reader.pieces));
        self.vacant.push(slot);
        reader
    }

    fn finish(
        &mut self,
        ticket: Ticket,
        handle: PartitionHandle,
        result: Result<ReadBatches, ReadError>,
    ) {
        self.done.push_back(ColdReadDone {
            ticket,
            handle,
            result,
        });
    }

    /// A piece of a reader did not come. While it waited for its turn the segment may have gone,
    /// and its file with it: then that says nothing about the disk. Else the first batch is read
    /// once more, alone, since what failed may lie behind it, or around it: pieces are shared.
    fn failed(&mut self, env: &mut Env<'_, impl ColdLogs>, mut reader: Reader, error: ReadError) {
        let (file, generation) = match &reader.wanted {
            Wanted::Records(read) => (read.file, read.generation),
            Wanted::Index(read) => (read.file, read.generation),
        };
        let is_of_disk = matches!(error, ReadError::Io(_));
        if !is_of_disk || env.logs.has_segment(reader.handle, file, generation) {
            if let (Wanted::Records(_), Some(request)) = (&reader.wanted, reader.request)
                && is_of_disk
                && !reader.is_alone
            {
                reader.is_alone = true;
                let first = ReadRequest {
                    bytes_max: 1,
                    ..request
                };
                reader.request = Some(first);
                return self.plan_again(env, reader, first);
            }
            let error = match (&reader.wanted, error) {
                (Wanted::Records(read), ReadError::Io(failure)) if failure.is_missing_bytes() => {
                    ReadError::Corrupt {
                        offset: read.offset,
                    }
                }
                (Wanted::Index(_), ReadError::Io(failure)) if failure.is_missing_bytes() => {
                    let offset = reader.request.map_or(0, |request| request.offset);
                    ReadError::Corrupt { offset }
                }
                (_, error) => error,
            };
            return self.finish(reader.ticket, reader.handle, Err(error));
        }
        match reader.request {
            Some(request) => self.plan_again(env, reader, request),
            None => self.finish(reader.ticket, reader.handle, Ok(ReadBatches::default())),
        }
    }

    /// All pieces of a reader are in memory.
    fn loaded(&mut self, env: &mut Env<'_, impl ColdLogs>, slot: u32) {
        let mut parts = std::mem::take(&mut self.parts);
        let reader = self.readers[slot as usize].as_ref();
        let reader = reader.expect("the reader waits for its pieces");
        let stretch = stretch_of(reader.handle, &reader.wanted);
        self.pieces.gather(&stretch, &reader.pieces, &mut parts);
        self.pieces
            .gather_sums(&stretch, &reader.pieces, &mut self.sums);
        let mut reader = self.take(slot);
        match &mut reader.wanted {
            Wanted::Records(_) => self.records_loaded(env, reader, &parts),
            Wanted::Index(read) => {
                let result = env.logs.index_loaded(reader.handle, read, &parts);
                match (result, reader.request) {
                    (Err(error), _) => self.finish(reader.ticket, reader.handle, Err(error)),
                    (Ok(()), None) => {
                        self.finish(reader.ticket, reader.handle, Ok(ReadBatches::default()));
                    }
                    (Ok(()), Some(request)) => self.plan_again(env, reader, request),
                }
            }
        }
        parts.clear();
        self.parts = parts;
    }

    fn plan_again(
        &mut self,
        env: &mut Env<'_, impl ColdLogs>,
        mut reader: Reader,
        request: ReadRequest,
    ) {
        match env.logs.plan(reader.handle, &request, env.spare) {
            Ok(ReadPlan::Ready(batches)) => {
                self.finish(reader.ticket, reader.handle, Ok(batches));
            }
            Ok(ReadPlan::Disk(read)) => {
                reader.wanted = Wanted::Records(read);
                self.begin(env, reader);
            }
            Ok(ReadPlan::Index(read)) => {
                reader.wanted = Wanted::Index(read);
                self.begin(env, reader);
            }
            Err(error) => self.finish(reader.ticket, reader.handle, Err(error)),
        }
    }

    fn records_loaded(
        &mut self,
        env: &mut Env<'_, impl ColdLogs>,
        mut reader: Reader,
        parts: &[ArenaSlice],
    ) {
        let (Wanted::Records(read), Some(request)) = (&mut reader.wanted, reader.request) else {
            unreachable!("records are read for a request");
        };
        let handle = reader.handle;
        let found = env
            .logs
            .check(handle, read, parts, &self.sums)
            .and_then(|()| env.logs.batches(handle, read, parts, &request, env.spare));
        let file = read.file;
        env.spare.give_read(read);
        match found {
            Ok(FoundBatches::PlanAgain) => self.plan_again(env, reader, request),
            Ok(FoundBatches::NeedMore(read)) => {
                reader.wanted = Wanted::Records(read);
                self.begin(env, reader);
            }
            Ok(FoundBatches::Found(batches)) => {
                let next_offset = batches.next_offset;
                self.finish(reader.ticket, handle, Ok(batches));
                if self.expected.len() >= SEQUENTIAL_MAX && !self.expected.contains_key(&handle) {
                    self.expected.clear();
                }
                self.expected.insert(handle, next_offset);
                if reader.is_sequential {
                    let offset = next_offset;
                    self.read_ahead(env, handle, &ReadRequest { offset, ..request });
                }
            }
            Err(error) => {
                self.pieces.forget_file(file);
                self.finish(reader.ticket, handle, Err(error));
            }
        }
    }

    /// Loads the stretch a sequential reader will ask for next, if that costs nobody anything.
    fn read_ahead(
        &mut self,
        env: &mut Env<'_, impl ColdLogs>,
        handle: PartitionHandle,
        request: &ReadRequest,
    ) {
        let room = self.pieces.room_ahead(READAHEAD_BYTES_MAX);
        if room == 0 {
            return;
        }
        let plan = env.logs.plan(handle, request, env.spare);
        let Ok(ReadPlan::Disk(mut read)) = plan else {
            return;
        };
        // Whole pieces only: a part of one would have to be read again.
        let reach = read.range.start + room;
        let end = reach.min(read.file_end) / PIECE_BYTES * PIECE_BYTES;
        if end > read.range.end {
            read.range.end = end;
            read.data_end = end;
        }
        read.range.end = read.range.end.min(reach);
        let mut wanted = Wanted::Records(read);
        self.pieces.want_ahead(&stretch_of(handle, &wanted));
        if let Wanted::Records(read) = &mut wanted {
            env.spare.give_read(read);
        }
    }
}

fn stretch_of(handle: PartitionHandle, wanted: &Wanted) -> Stretch {
    match wanted {
        Wanted::Records(read) => Stretch {
            handle,
            file: SegmentFile::records(read.file),
            generation: read.generation,
            range: read.range.clone(),
            data_end: read.data_end.min(read.range.end),
            is_alone: false,
        },
        Wanted::Index(read) => Stretch {
            handle,
            file: SegmentFile::index(read.file),
            generation: read.generation,
            range: read.range.clone(),
            data_end: read.range.end,
            is_alone: false,
        },
    }
}
