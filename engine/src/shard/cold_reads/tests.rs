//! Cold reads on the simulated disk, with a log of made-up batches and real granule checksums.

use super::{ColdLogs, ColdReadConfig, ColdReadDone, ColdReads, Env};
use crate::ids::{FileId, PartitionHandle, Ticket, TopicId};
use crate::io::arena::ArenaSlice;
use crate::io::simulated::{DiskFault, FaultTarget, ScriptedFault, World, WorldConfig};
use crate::io::{FileOp, FileReply, Io, IoFailure, Op, Outcome};
use crate::limits::{BLOCK_BYTES, GRANULE_BYTES, SEGMENT_DATA_START};
use crate::partition::{
    DiskRead, FoundBatches, IndexRead, ReadBatches, ReadBound, ReadError, ReadPlan, ReadRequest,
    SpareVecs,
};
use crate::segment::granules::GranuleOwner;
use crate::shard::file_table::{FileEvent, FileTable, SegmentFile};
use crate::shard::token::LogKind;
use std::ops::Range;

const KIB: u64 = 1024;
const FILE: FileId = FileId(9);
const HANDLE: PartitionHandle = PartitionHandle(1);

/// One segment on disk: batch `n` holds offset `n` alone.
struct Log {
    owner: GranuleOwner,
    bytes: Vec<u8>,
    batches: Vec<Range<u64>>,
    index_wanted: bool,
    indexes_loaded: u32,
    plans: u32,
    sums_known: u32,
}

impl Log {
    fn new(batch_bytes: &[u64]) -> Self {
        let mut bytes = vec![0; SEGMENT_DATA_START as usize];
        let mut batches = Vec::new();
        for (number, &length) in batch_bytes.iter().enumerate() {
            let start = bytes.len() as u64;
            let byte = |at: u64| (at * 31 + number as u64 * 7) as u8;
            bytes.extend((0..length).map(byte));
            batches.push(start..start + length);
        }
        Self {
            owner: GranuleOwner {
                topic_id: TopicId([7; 16]),
                index: 3,
                file: FILE,
                generation: 2,
            },
            bytes,
            batches,
            index_wanted: false,
            indexes_loaded: 0,
            plans: 0,
            sums_known: 0,
        }
    }

    fn crc(&self, start: u64, bytes: &[u8]) -> u32 {
        crc32c::crc32c_append(self.owner.seed(start), bytes)
    }

    fn read_of(&self, offset: i64, bytes: u64) -> DiskRead {
        let walk_from = self.batches[offset as usize].start;
        let data_end = self.bytes.len() as u64;
        let start = walk_from / GRANULE_BYTES * GRANULE_BYTES;
        let end = (walk_from + bytes).next_multiple_of(GRANULE_BYTES);
        let end = end.min(data_end.next_multiple_of(BLOCK_BYTES));
        let data_end = data_end.min(end);
        let granules = (start..data_end).step_by(GRANULE_BYTES as usize);
        let crcs = granules.map(|at| {
            let to = (at + GRANULE_BYTES).min(self.bytes.len() as u64);
            self.crc(at, &self.bytes[at as usize..to as usize])
        });
        DiskRead {
            file: FILE,
            generation: self.owner.generation,
            range: start..end,
            offset,
            data_end,
            file_end: self.bytes.len() as u64,
            needed_end: self.batches[offset as usize].end.min(data_end),
            walk_from,
            crcs: crcs.collect(),
        }
    }

    fn on_disk(&self) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        bytes.resize(bytes.len().next_multiple_of(BLOCK_BYTES as usize), 0);
        bytes
    }
}

impl ColdLogs for Log {
    fn plan(
        &mut self,
        _: PartitionHandle,
        request: &ReadRequest,
        _: &mut SpareVecs,
    ) -> Result<ReadPlan, ReadError> {
        self.plans += 1;
        if self.index_wanted {
            return Ok(ReadPlan::Index(IndexRead {
                file: FILE,
                generation: self.owner.generation,
                range: 0..BLOCK_BYTES,
            }));
        }
        if request.offset as usize >= self.batches.len() {
            return Ok(ReadPlan::Ready(ReadBatches::default()));
        }
        let read = self.read_of(request.offset, request.bytes_max as u64);
        Ok(ReadPlan::Disk(read))
    }

    fn check(
        &mut self,
        _: PartitionHandle,
        read: &mut DiskRead,
        parts: &[ArenaSlice],
        sums: &[Option<u32>],
    ) -> Result<(), ReadError> {
        let bytes = concat(parts);
        assert_eq!(sums.len(), read.crcs.len(), "one place for each granule");
        assert_eq!(bytes.len() as u64, read.range.end - read.range.start);
        let whole = |part: &ArenaSlice| (part.len() as u64).is_multiple_of(GRANULE_BYTES);
        assert!(parts.split_last().unwrap().1.iter().all(whole));
        for (number, &expected) in read.crcs.iter().enumerate() {
            let at = read.range.start + number as u64 * GRANULE_BYTES;
            let to = (at + GRANULE_BYTES).min(read.data_end);
            let [from, to] = [at, to].map(|place| (place - read.range.start) as usize);
            let sum = self.crc(at, &bytes[from..to]);
            if let Some(known) = sums[number] {
                assert_eq!(known, sum, "the sum of this granule's bytes");
                self.sums_known += 1;
            }
            if sum != expected {
                let offset = read.offset;
                return Err(ReadError::Corrupt { offset });
            }
        }
        Ok(())
    }

    fn granule_sum(
        &self,
        _: PartitionHandle,
        file: (FileId, u32),
        position: u64,
        bytes: &[u8],
    ) -> Option<u32> {
        assert_eq!(file, (FILE, self.owner.generation));
        Some(self.crc(position, bytes))
    }

    fn batches(
        &mut self,
        _: PartitionHandle,
        read: &DiskRead,
        parts: &[ArenaSlice],
        _: &ReadRequest,
        _: &mut SpareVecs,
    ) -> Result<FoundBatches, ReadError> {
        let first = &self.batches[read.offset as usize];
        if first.end > read.data_end {
            let bytes = first.end - first.start;
            return Ok(FoundBatches::NeedMore(self.read_of(read.offset, bytes)));
        }
        let rest = &self.batches[read.offset as usize..];
        let whole: Vec<_> = rest.iter().take_while(|b| b.end <= read.data_end).collect();
        let bytes = concat(parts);
        let end = (whole[whole.len() - 1].end - read.range.start) as usize;
        let from = (first.start - read.range.start) as usize;
        let mut at = 0;
        let mut found = ReadBatches::default();
        for part in parts {
            let piece = from.max(at)..end.min(at + part.len());
            if piece.start < piece.end {
                found
                    .parts
                    .push(part.slice(piece.start - at..piece.end - at));
            }
            at += part.len();
        }
        found.bytes = end - from;
        found.next_offset = read.offset + whole.len() as i64;
        assert!(concat(&found.parts) == bytes[from..end]);
        Ok(FoundBatches::Found(found))
    }

    fn index_loaded(
        &mut self,
        _: PartitionHandle,
        read: &IndexRead,
        parts: &[ArenaSlice],
    ) -> Result<(), ReadError> {
        let bytes: usize = parts.iter().map(|part| part.len()).sum();
        assert_eq!(bytes as u64, read.range.end);
        self.index_wanted = false;
        self.indexes_loaded += 1;
        Ok(())
    }

    fn has_segment(&self, _: PartitionHandle, file: FileId, generation: u32) -> bool {
        (file, generation) == (FILE, self.owner.generation)
    }
}

fn concat(parts: &[ArenaSlice]) -> Vec<u8> {
    parts.iter().flat_map(|part| part.iter().copied()).collect()
}

struct Fixture {
    world: World,
    io: Io,
    table: FileTable,
    log: Log,
    reads: ColdReads,
    spare: SpareVecs,
    next_ticket: u64,
}

fn config() -> ColdReadConfig {
    ColdReadConfig {
        depth_max: 8,
        cache_bytes_max: 4 << 20,
    }
}

fn fixture(batch_bytes: &[u64]) -> Fixture {
    fixture_with(batch_bytes, config(), 16 << 20)
}

fn fixture_with(batch_bytes: &[u64], config: ColdReadConfig, arena_bytes: usize) -> Fixture {
    let world_config = WorldConfig {
        arena_bytes,
        ..WorldConfig::default()
    };
    let (world, mut ios) = World::new(5, 1, world_config);
    let mut io = ios.remove(0);
    let log = Log::new(batch_bytes);
    write(&mut io, SegmentFile::records(FILE), log.on_disk());
    write(
        &mut io,
        SegmentFile::index(FILE),
        vec![0; BLOCK_BYTES as usize],
    );
    Fixture {
        world,
        io,
        table: FileTable::new(4),
        log,
        reads: ColdReads::new(config),
        spare: SpareVecs::default(),
        next_ticket: 0,
    }
}

fn write(io: &mut Io, file: SegmentFile, content: Vec<u8>) {
    let path = file.path();
    match io.call(Op::File(FileOp::WriteAll { path, content })) {
        Outcome::File(Ok(FileReply::Done)) => {}
        other => panic!("writing answered {other:?}"),
    }
}

fn request(offset: i64, bytes_max: usize) -> ReadRequest {
    ReadRequest {
        offset,
        bytes_max,
        bound: ReadBound::HighWatermark,
    }
}

impl Fixture {
    fn start(&mut self, offset: i64, bytes_max: usize) -> Ticket {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        let request = request(offset, bytes_max);
        let plan = self.log.plan(HANDLE, &request, &mut SpareVecs::default());
        let mut env = Env {
            io: &mut self.io,
            table: &mut self.table,
            logs: &mut self.log,
            spare: &mut self.spare,
        };
        self.reads
            .start(&mut env, HANDLE, request, plan.unwrap(), ticket);
        ticket
    }

    fn turn(&mut self) {
        let mut done = Vec::new();
        self.io.poll(&mut done);
        let mut env = Env {
            io: &mut self.io,
            table: &mut self.table,
            logs: &mut self.log,
            spare: &mut self.spare,
        };
        for completion in done {
            let (kind, slot) = LogKind::parse(completion.token.key).unwrap();
            match kind {
                LogKind::OpenFile => env.table.complete(env.io, slot, completion.outcome),
                _ => self.reads.complete(&mut env, slot, completion.outcome),
            }
        }
        while let Some(event) = env.table.next_event() {
            if let FileEvent::Opened { .. } = event {
                self.reads.file_event(&mut env, event);
            }
        }
        self.reads.end_turn(&mut env);
    }

    fn settle(&mut self) -> Vec<ColdReadDone> {
        loop {
            self.turn();
            if !self.world.step() {
                break;
            }
        }
        assert!(!self.reads.is_busy());
        std::iter::from_fn(|| self.reads.next_done()).collect()
    }

    /// The result of one read alone.
    fn read(&mut self, offset: i64, bytes_max: usize) -> Result<Vec<u8>, ReadError> {
        self.start(offset, bytes_max);
        let mut done = self.settle();
        assert_eq!(done.len(), 1);
        done.remove(0).result.map(|batches| concat(&batches.parts))
    }

    fn batch(&self, offset: i64) -> &[u8] {
        let range = &self.log.batches[offset as usize];
        &self.log.bytes[range.start as usize..range.end as usize]
    }
}

#[test]
fn a_cold_read_brings_whole_batches() {
    let mut f = fixture(&[30 * KIB; 40]);
    let bytes = f.read(7, 200 * KIB as usize).unwrap();
    assert!(bytes.len() as u64 >= 180 * KIB);
    assert_eq!(bytes[..30 * KIB as usize], *f.batch(7));
}

#[test]
fn every_batch_is_read_in_order_by_a_sequential_reader_and_mostly_ahead() {
    let mut f = fixture(&[50 * KIB; 200]);
    let mut all = Vec::new();
    let mut offset = 0;
    let mut waited = 0;
    while offset < 200 {
        f.start(offset, 512 * KIB as usize);
        // What is there already needs no event.
        if f.reads.done.is_empty() {
            waited += 1;
        }
        let batches = f.settle().remove(0).result.unwrap();
        all.extend(concat(&batches.parts));
        offset = batches.next_offset;
    }
    assert!(f.log.bytes[SEGMENT_DATA_START as usize..] == all[..]);
    assert!(waited <= 4, "{waited} reads waited for the disk");
    let file_bytes = f.log.bytes.len() as u64;
    assert!(f.reads.read_bytes() < file_bytes * 3 / 2);
}

#[test]
fn a_batch_longer_than_the_stretch_is_read_whole() {
    let mut f = fixture(&[KIB, 3 << 20, KIB]);
    let bytes = f.read(1, 1).unwrap();
    assert!(bytes[..3 << 20] == *f.batch(1));
}

#[test]
fn many_readers_of_a_stretch_share_one_read() {
    let mut f = fixture(&[30 * KIB; 40]);
    for _ in 0..50 {
        f.start(0, 200 * KIB as usize);
    }
    let done = f.settle();
    assert_eq!(done.len(), 50);
    assert!(done.iter().all(|done| done.result.is_ok()));
    assert_eq!(f.reads.reads(), 1);
    f.read(0, 200 * KIB as usize).unwrap();
    assert_eq!(f.reads.reads(), 1, "and the cache serves who comes later");
    assert_eq!(
        f.log.sums_known,
        51 * 4,
        "granules are summed once, as they come"
    );
    assert!(f.reads.release_memory() > 0);
    f.read(0, 200 * KIB as usize).unwrap();
    assert_eq!(f.reads.reads(), 2);
}

#[test]
fn a_flipped_bit_is_never_served() {
    for block in [0, 16, 17, 40] {
        let mut f = fixture(&[30 * KIB; 40]);
        let path = SegmentFile::records(FILE).path();
        assert!(f.world.rot(&path, block + 1));
        let offset = i64::from(block as i32) * 4096 / (30 * KIB as i64);
        let result = f.read(offset, 1);
        assert_eq!(result.unwrap_err(), ReadError::Corrupt { offset });
    }
}

#[test]
fn a_misdirected_block_is_never_served() {
    let mut f = fixture(&[30 * KIB; 40]);
    let mut bytes = f.log.on_disk();
    // The block of another granule, whole and valid there.
    bytes.copy_within(40 * 4096..41 * 4096, 8 * 4096);
    write(&mut f.io, SegmentFile::records(FILE), bytes);
    let error = f.read(0, 1).unwrap_err();
    assert_eq!(error, ReadError::Corrupt { offset: 0 });
}

#[test]
fn bytes_of_an_earlier_generation_are_never_served() {
    let mut f = fixture(&[30 * KIB; 40]);
    // The partition wrote the same bytes, but the file was reused since: its checksums differ.
    let crcs_before = f.log.read_of(0, 1).crcs;
    f.log.owner.generation += 1;
    let request = request(0, 1);
    let mut read = f.log.read_of(0, 1);
    assert_ne!(read.crcs, crcs_before);
    read.crcs = crcs_before;
    let mut env = Env {
        io: &mut f.io,
        table: &mut f.table,
        logs: &mut f.log,
        spare: &mut f.spare,
    };
    let plan = ReadPlan::Disk(read);
    f.reads.start(&mut env, HANDLE, request, plan, Ticket(0));
    let result = f.settle().remove(0).result;
    assert_eq!(result.unwrap_err(), ReadError::Corrupt { offset: 0 });
}

#[test]
fn a_read_that_knows_of_more_records_does_not_take_the_shorter_stretch() {
    let mut f = fixture(&[30 * KIB, 20 * KIB]);
    f.read(0, 200 * KIB as usize).unwrap();
    // The last block gained a batch and was written again.
    let grown = Log::new(&[30 * KIB, 20 * KIB, 300]);
    write(&mut f.io, SegmentFile::records(FILE), grown.on_disk());
    f.log = grown;
    let bytes = f.read(1, 200 * KIB as usize).unwrap();
    assert_eq!(bytes.len() as u64, 20 * KIB + 300);
    assert_eq!(bytes[20 * KIB as usize..], *f.batch(2));
}

#[test]
fn a_failing_disk_is_told_to_every_reader_and_tried_again_by_the_next() {
    let mut f = fixture(&[30 * KIB; 40]);
    for _ in 0..2 {
        f.world.script(ScriptedFault {
            target: FaultTarget::Read,
            path: None,
            skip: 0,
            fault: DiskFault::Error(libc::EIO),
        });
    }
    f.start(0, 1);
    f.start(1, 1);
    for done in f.settle() {
        let error = done.result.unwrap_err();
        assert_eq!(error, ReadError::Io(IoFailure::Os(libc::EIO)));
    }
    assert_eq!(f.read(0, 1).unwrap()[..10], f.batch(0)[..10]);
}

#[test]
fn a_batch_does_not_fail_with_the_bytes_around_it() {
    let mut f = fixture(&[30 * KIB; 40]);
    // Whole to the end of the first granule.
    let path = SegmentFile::records(FILE).path();
    assert!(f.world.truncate(&path, GRANULE_BYTES));
    // The second waits for the stretch that the first one asked for, and that fails.
    let many = f.start(0, 200 * KIB as usize);
    let one = f.start(0, 1);
    let mut done = f.settle();
    done.sort_by_key(|done| done.ticket);
    assert_eq!([done[0].ticket, done[1].ticket], [many, one]);
    for done in done {
        let bytes = concat(&done.result.unwrap().parts);
        assert_eq!(bytes[..30 * KIB as usize], *f.batch(0));
    }
}

#[test]
fn a_reader_does_not_wait_for_what_is_read_ahead_of_another() {
    let mut f = fixture(&[250 * KIB; 40]);
    f.reads.share_device(true);
    f.read(0, 1).unwrap();
    f.start(1, 1);
    while f.reads.next_done().is_none() {
        f.turn();
        assert!(f.world.step());
    }
    let before = f.reads.reads();
    f.start(39, 1);
    let result = loop {
        f.turn();
        match f.reads.next_done() {
            Some(done) => break done.result.unwrap(),
            None => assert!(f.world.step()),
        }
    };
    assert_eq!(concat(&result.parts)[..10], f.batch(39)[..10]);
    let reads = f.reads.reads() - before;
    // One was in flight, its own are three, and one begins before it knows of the last of them.
    assert!(reads <= 5, "{reads} reads");
    f.settle();
    assert!(f.reads.reads() - before > 6, "the rest was read ahead");
}

#[test]
fn a_read_whose_segment_went_meanwhile_is_planned_again() {
    let mut f = fixture(&[30 * KIB; 40]);
    f.world.script(ScriptedFault {
        target: FaultTarget::Read,
        path: None,
        skip: 0,
        fault: DiskFault::Error(libc::ENOENT),
    });
    f.start(0, 1);
    // Its file went with the segment; another one holds the records now.
    f.log.owner.generation += 1;
    let result = f.settle().remove(0).result;
    assert_eq!(concat(&result.unwrap().parts)[..10], f.batch(0)[..10]);
    assert_eq!(f.log.plans, 2);
}

#[test]
fn an_interrupted_read_is_repeated_once() {
    let mut f = fixture(&[30 * KIB; 40]);
    let fault = |skip| ScriptedFault {
        target: FaultTarget::Read,
        path: None,
        skip,
        fault: DiskFault::Error(libc::EINTR),
    };
    f.world.script(fault(0));
    assert!(f.read(0, 1).is_ok());
    // The batch alone is tried again once more.
    for _ in 0..4 {
        f.world.script(fault(0));
    }
    let error = f.read(20, 1).unwrap_err();
    assert_eq!(error, ReadError::Io(IoFailure::Os(libc::EINTR)));
}

#[test]
fn a_missing_file_is_an_error_of_its_reader() {
    let mut f = fixture(&[30 * KIB; 4]);
    let path = SegmentFile::records(FILE).path();
    f.io.call(Op::File(FileOp::Unlink { path }));
    assert_eq!(f.read(0, 1).unwrap_err(), ReadError::Corrupt { offset: 0 });
}

#[test]
fn the_index_is_loaded_first_when_the_partition_asks_for_it() {
    let mut f = fixture(&[30 * KIB; 40]);
    f.log.index_wanted = true;
    assert!(f.read(3, 1).is_ok());
    assert_eq!(f.log.indexes_loaded, 1);
}

#[test]
fn reads_without_memory_end_and_leave_nothing_behind() {
    // Four pieces fit; a batch of 3 MiB never does.
    let config = ColdReadConfig {
        depth_max: 8,
        cache_bytes_max: 1 << 20,
    };
    let mut f = fixture_with(&[KIB, 3 << 20, KIB], config, 2 << 20);
    let held = f.io.arena().alloc(1 << 20).unwrap();
    assert_eq!(f.read(1, 1).unwrap_err(), ReadError::NoMemory);
    assert_eq!(f.read(0, 1).unwrap()[..10], f.batch(0)[..10]);
    drop(held);
    f.reads.release_memory();
    assert_eq!(f.io.arena().used_bytes(), 0);
    assert_eq!(f.reads.cached_bytes(), 0);
}

#[test]
fn the_cache_stays_below_its_bound_and_gives_way_to_readers() {
    let config = ColdReadConfig {
        depth_max: 2,
        cache_bytes_max: 512 * KIB as usize,
    };
    let mut f = fixture_with(&[30 * KIB; 400], config, 2 << 20);
    for offset in (0..400).step_by(9) {
        f.read(offset, 1).unwrap();
        assert!(f.reads.cached_bytes() <= 512 * KIB as usize);
        assert!(f.io.arena().used_bytes() <= 512 * KIB as usize);
    }
}

#[test]
fn random_reads_of_many_readers_bring_the_right_bytes() {
    let config = ColdReadConfig {
        depth_max: 3,
        cache_bytes_max: 1 << 20,
    };
    let mut f = fixture_with(&[70 * KIB; 60], config, 4 << 20);
    let mut wanted = Vec::new();
    for round in 0..200_u64 {
        let offset = (round * 37 % 60) as i64;
        let ticket = f.start(offset, (round * 13 % 5 * 100 * KIB) as usize + 1);
        wanted.push((ticket, offset));
        if round % 3 == 0 {
            f.turn();
            f.world.step();
        }
    }
    let done = f.settle();
    assert_eq!(done.len(), 200);
    for ColdReadDone { ticket, result, .. } in done {
        let (_, offset) = wanted[ticket.0 as usize];
        match result {
            Ok(batches) => {
                let bytes = concat(&batches.parts);
                assert_eq!(bytes[..70 * KIB as usize], *f.batch(offset));
            }
            Err(error) => assert_eq!(error, ReadError::NoMemory),
        }
    }
}
