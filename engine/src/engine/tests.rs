//! Opening, refusing and re-sharding a data directory, on the simulated disk.

use super::config::{Cores, EngineConfig};
use super::open::{Directory, prepare_on, shard_id};
use super::reshard::by_remainder;
use super::{Engine, EngineError, root_file};
use crate::ids::{PartitionHandle, Ticket, TopicId};
use crate::io::simulated::{Crash, World, WorldConfig};
use crate::io::{Dir, FileOp, FilePath, FileReply, Io, Op, Outcome};
use crate::partition::{
    AppendError, BatchBytes, Durability, PartitionConfig, PartitionSpec, ReadBound, ReadRequest,
};
use crate::record_batch::builder::BatchBuilder;
use crate::record_batch::{Compression, records::Records};
use crate::shard::preparation::call_file;
use crate::shard::{Event, Read, Shard};
use std::collections::{BTreeMap, BTreeSet};

const PARTITIONS: u64 = 5;

fn config(cores: Cores) -> EngineConfig {
    EngineConfig {
        cores,
        memory_bytes: 64 << 20,
        journal_bytes: Some(4 << 20),
        ballast_bytes: 1 << 20,
        ..EngineConfig::new("simulated")
    }
}

fn listed(count: usize) -> EngineConfig {
    config(Cores::Listed(vec![0; count]))
}

fn allowed(count: usize) -> EngineConfig {
    config(Cores::Allowed((0..count).collect()))
}

fn machine(seed: u64) -> World {
    let settings = WorldConfig {
        arena_bytes: 16 << 20,
        ..WorldConfig::default()
    };
    World::new(seed, 1, settings).0
}

/// Prepares the directory in a process of its own.
fn prepared(world: &World, config: &EngineConfig) -> Result<Directory, EngineError> {
    let mut io = world.restart(1).remove(0);
    prepare_on(&mut io, config, &by_remainder)
}

fn refusal(world: &World, config: &EngineConfig) -> String {
    prepared(world, config).unwrap_err().to_string()
}

fn with_io<T>(world: &World, work: impl FnOnce(&mut Io) -> T) -> T {
    work(&mut world.restart(1)[0])
}

fn remove(world: &World, dir: Dir, name: &str) {
    let path = FilePath::new(dir, name);
    with_io(world, |io| call_file(io, FileOp::Unlink { path }).unwrap());
}

fn names(world: &World, dir: Dir) -> Vec<String> {
    with_io(world, |io| super::open::list(io, dir).unwrap())
}

#[test]
fn a_new_directory_takes_the_allowed_cores_and_keeps_their_number_for_ever() {
    let world = machine(1);
    assert_eq!(prepared(&world, &allowed(2)).unwrap().journals().len(), 2);
    for cores in [1, 2, 4] {
        let directory = prepared(&world, &allowed(cores)).unwrap();
        assert_eq!(directory.journals().len(), 2);
        assert_eq!(directory.root().layout_epoch, 1);
    }
    world.power_cut();
    assert_eq!(prepared(&world, &allowed(4)).unwrap().journals().len(), 2);
}

#[test]
fn a_directory_in_use_is_refused_before_anything_is_read() {
    let world = machine(1);
    let mut io = world.restart(1).remove(0);
    world.lock_elsewhere(&FilePath::new(Dir::Root, "lock"));
    let error = prepare_on(&mut io, &allowed(1), &by_remainder).unwrap_err();
    assert!(error.to_string().contains("in use by another process"));
    drop(io);
    assert!(names(&world, Dir::Journal).is_empty());
}

#[test]
fn a_missing_journal_is_refused_and_named() {
    let world = machine(1);
    prepared(&world, &allowed(2)).unwrap();
    for name in names(&world, Dir::Journal) {
        if name.starts_with("0002.") {
            remove(&world, Dir::Journal, &name);
        }
    }
    let error = refusal(&world, &allowed(2));
    assert!(error.contains("journal 0002"), "{error}");
    assert!(error.contains("missing"), "{error}");
}

#[test]
fn a_journal_directory_that_is_not_mounted_or_of_another_set_is_refused() {
    let world = machine(1);
    prepared(&world, &allowed(1)).unwrap();
    let path = || FilePath::new(Dir::Journal, "set");
    let bytes_max = 4096;
    let read = |io: &mut Io| {
        let path = path();
        match call_file(io, FileOp::ReadAll { path, bytes_max }) {
            Ok(FileReply::Content(content)) => content,
            other => panic!("{other:?}"),
        }
    };
    let ours = with_io(&world, read);
    let other = machine(2);
    prepared(&other, &allowed(1)).unwrap();
    let theirs = with_io(&other, read);
    assert_ne!(ours, theirs);
    let write = |io: &mut Io, content: Vec<u8>| {
        let path = path();
        call_file(io, FileOp::WriteAll { path, content }).unwrap();
    };
    with_io(&world, |io| write(io, theirs));
    let error = refusal(&world, &allowed(1));
    assert!(error.contains("another data directory"), "{error}");
    remove(&world, Dir::Journal, "set");
    let error = refusal(&world, &allowed(1));
    assert!(error.contains("--journal-dir"), "{error}");
    with_io(&world, |io| write(io, ours));
    prepared(&world, &allowed(1)).unwrap();
}

#[test]
fn journals_without_a_root_file_are_never_made_anew() {
    let world = machine(1);
    prepared(&world, &allowed(1)).unwrap();
    remove(&world, Dir::Root, "root.A");
    prepared(&world, &allowed(1)).unwrap();
    remove(&world, Dir::Root, "root.A");
    remove(&world, Dir::Root, "root.B");
    let before = names(&world, Dir::Journal);
    let error = refusal(&world, &allowed(1));
    assert!(error.contains("has no root file"), "{error}");
    assert_eq!(names(&world, Dir::Journal), before);
}

#[test]
fn a_first_start_interrupted_anywhere_is_finished_by_the_next() {
    for operations in 1..200_u64 {
        let world = machine(operations);
        let crash = if operations % 2 == 0 {
            Crash::PowerCut
        } else {
            Crash::Kill
        };
        let mut io = world.restart(1).remove(0);
        world.crash_after(operations, crash);
        let first = prepare_on(&mut io, &allowed(2), &by_remainder);
        drop(io);
        world.crash_never();
        if first.is_ok() {
            assert!(operations > 10, "a first start has more steps than that");
            return;
        }
        let directory = prepared(&world, &allowed(2)).unwrap();
        assert_eq!(directory.journals().len(), 2, "crash after {operations}");
        Machine::start(&world, &allowed(2)).unwrap();
    }
    panic!("a first start takes more than 200 operations");
}

/// Shards that run in a world.
struct Machine {
    world: World,
    shards: Vec<(Io, Shard)>,
    next_ticket: u64,
    /// Events that came while an append waited for room.
    events: Vec<Event>,
}

impl Machine {
    fn start(world: &World, config: &EngineConfig) -> Result<Self, EngineError> {
        let directory = prepared(world, config)?;
        let journals = directory.journals();
        let count = journals.len();
        let mut shards = Vec::new();
        for (shard, mut io) in world.restart(count).into_iter().enumerate() {
            let config = config.shard_config(shard_id(shard), count);
            let shard = Shard::open(&mut io, config, journals[shard])?;
            shards.push((io, shard));
        }
        Ok(Self {
            world: world.clone(),
            shards,
            next_ticket: 0,
            events: Vec::new(),
        })
    }

    fn shard_of(&self, partition: u64) -> usize {
        by_remainder(PartitionHandle(partition), shard_id(0), self.shards.len()).index()
    }

    /// Runs until nothing is awaited any more and returns what happened.
    fn settle(&mut self) -> Vec<Event> {
        let mut events = std::mem::take(&mut self.events);
        for _ in 0..100_000 {
            let mut is_waiting = false;
            for (io, shard) in &mut self.shards {
                let mut done = Vec::new();
                io.poll(&mut done);
                for completion in done {
                    shard.complete(io, completion);
                }
                shard.end_turn(io);
                shard.drain_events(&mut events);
                is_waiting |= shard.is_awaiting_disk();
            }
            if !is_waiting || !self.world.step() {
                break;
            }
        }
        events
    }

    fn ticket(&mut self) -> Ticket {
        self.next_ticket += 1;
        Ticket(self.next_ticket)
    }

    fn create(&mut self, partition: u64) {
        let (ticket, shard) = (self.ticket(), self.shard_of(partition));
        let (io, shard) = &mut self.shards[shard];
        shard.create_partition(io, spec(partition), ticket).unwrap();
    }

    fn append(&mut self, partition: u64, value: &str) -> Ticket {
        let (ticket, number) = (self.ticket(), self.shard_of(partition));
        let batch = batch(value);
        let handle = PartitionHandle(partition);
        for _ in 0..10_000 {
            let (io, shard) = &mut self.shards[number];
            match shard.append(io, handle, BatchBytes::Copy(&batch), ticket) {
                Ok(_) => return ticket,
                Err(AppendError::NoMemory { .. }) => {
                    let events = self.settle();
                    self.events.extend(events);
                    self.world.step();
                }
                Err(error) => panic!("append to {partition}: {error}"),
            }
        }
        panic!(
            "no room for an append: {:?}",
            self.shards[number].1.counters()
        );
    }

    /// All values of a partition, in order; their offsets have no gap.
    fn values(&mut self, partition: u64) -> Vec<String> {
        let shard = self.shard_of(partition);
        let mut values = Vec::new();
        loop {
            let request = ReadRequest {
                offset: values.len() as i64,
                bytes_max: 1 << 20,
                bound: ReadBound::HighWatermark,
            };
            let ticket = self.ticket();
            let (io, owner) = &mut self.shards[shard];
            let handle = PartitionHandle(partition);
            let batches = match owner.read(io, handle, request, ticket).unwrap() {
                Read::Ready(batches) => batches,
                Read::Pending => self.read_done(ticket),
            };
            if batches.bytes == 0 {
                return values;
            }
            let parts = batches.parts.iter().flat_map(|part| part.iter().copied());
            let bytes: Vec<u8> = parts.collect();
            let mut at = 0;
            while at < bytes.len() {
                let header = crate::record_batch::Header::parse(&bytes[at..]).unwrap();
                let length = header.batch_bytes as usize;
                assert_eq!(header.base_offset, values.len() as i64);
                values.extend(values_of(&bytes[at..at + length]));
                at += length;
            }
        }
    }

    fn read_done(&mut self, ticket: Ticket) -> crate::partition::ReadBatches {
        for _ in 0..10_000 {
            for event in self.settle() {
                if let Event::ReadDone(done, result) = event
                    && done == ticket
                {
                    return result.unwrap();
                }
            }
            self.world.step();
        }
        panic!("the read never ended");
    }

    fn stop(mut self) {
        for (io, shard) in &mut self.shards {
            shard.begin_stop(io);
        }
        for _ in 0..100_000 {
            self.settle();
            if self.shards.iter().all(|(_, shard)| shard.is_stopped()) {
                return;
            }
            self.world.step();
        }
        panic!("the shards never stopped");
    }
}

fn spec(partition: u64) -> PartitionSpec {
    PartitionSpec {
        handle: PartitionHandle(partition),
        topic_id: TopicId([partition as u8; 16]),
        index: partition as i32,
        config: PartitionConfig {
            durability: Durability::Disk,
            segment_bytes: 1 << 20,
            segment_ms: i64::MAX,
            retention_bytes: -1,
            retention_ms: -1,
            flush_messages: u64::MAX,
            flush_ms: 1000,
            batch_bytes_max: 1 << 20,
            producer_expiration_ms: 86_400_000,
            is_log_append_time: false,
            compaction: None,
        },
    }
}

fn batch(value: &str) -> Vec<u8> {
    let mut builder = BatchBuilder::new(Compression::None);
    builder.push(1, None, Some(value.as_bytes()), &[]);
    builder.build().unwrap()
}

fn values_of(batch: &[u8]) -> Vec<String> {
    let header = crate::record_batch::check(batch).unwrap();
    let payload = crate::record_batch::records::payload(batch);
    let text = |value: Option<&[u8]>| String::from_utf8(value.unwrap().to_vec()).unwrap();
    Records::new(&header, payload)
        .map(|record| text(record.unwrap().value))
        .collect()
}

/// Appends that were acknowledged, by partition.
type Acked = BTreeMap<u64, Vec<String>>;

/// Appends `count` values to each partition and waits for their acknowledgements.
fn append_all(machine: &mut Machine, acked: &mut Acked, count: usize, length: usize) {
    let mut waiting = BTreeMap::new();
    for _ in 0..count {
        for partition in 1..=PARTITIONS {
            let values = acked.entry(partition).or_default();
            let value = format!("{partition}:{}:{}", values.len(), "x".repeat(length));
            let ticket = machine.append(partition, &value);
            values.push(value);
            waiting.insert(ticket, ());
        }
    }
    for _ in 0..10_000 {
        for event in machine.settle() {
            if let Event::AppendAcked(ticket) = event {
                waiting.remove(&ticket);
            }
        }
        if waiting.is_empty() {
            return;
        }
        machine.world.step();
    }
    panic!("{} appends were never acknowledged", waiting.len());
}

fn assert_all_there(machine: &mut Machine, acked: &Acked) {
    for (&partition, values) in acked {
        let found = machine.values(partition);
        assert_eq!(found.len(), values.len(), "partition {partition}");
        assert!(found == *values, "partition {partition} has other values");
    }
}

#[test]
fn partitions_move_from_one_to_two_to_four_shards_and_back() {
    let world = machine(9);
    let mut acked = Acked::new();
    let mut machine = Machine::start(&world, &listed(1)).unwrap();
    for partition in 1..=PARTITIONS {
        machine.create(partition);
    }
    append_all(&mut machine, &mut acked, 20, 300);
    for (round, count) in [2, 4, 1, 3].into_iter().enumerate() {
        if round % 2 == 0 {
            machine.stop();
        } else {
            drop(machine);
            world.power_cut();
        }
        machine = Machine::start(&world, &listed(count)).unwrap();
        assert_eq!(machine.shards.len(), count);
        assert_all_there(&mut machine, &acked);
        append_all(&mut machine, &mut acked, 10, 900);
        assert_all_there(&mut machine, &acked);
    }
    let files = names(&world, Dir::Journal);
    let prefix = |name: &String| name.split('.').next().map(str::to_owned);
    let journals: BTreeSet<_> = files.iter().filter_map(prefix).collect();
    // Of the 1 + 2 + 4 + 1 + 3 journals only the last three are left, beside the file `set`.
    assert_eq!(journals.len(), 3 + 1, "{files:?}");
}

#[test]
fn a_change_of_shards_interrupted_anywhere_loses_nothing() {
    let mut changes = 0;
    let mut operations = 1;
    for seed in 0..400 {
        let world = machine(seed);
        let mut acked = Acked::new();
        let mut machine = Machine::start(&world, &listed(1)).unwrap();
        for partition in 1..=PARTITIONS {
            machine.create(partition);
        }
        append_all(&mut machine, &mut acked, 4, 300);
        drop(machine);
        world.power_cut();

        let crash = if seed % 3 == 0 {
            Crash::Kill
        } else {
            Crash::PowerCut
        };
        let mut io = world.restart(1).remove(0);
        world.crash_after(operations, crash);
        let changed = prepare_on(&mut io, &listed(2), &by_remainder);
        drop(io);
        world.crash_never();
        // Whoever comes next with whatever count finds everything.
        let next = match seed % 4 {
            0 => allowed(3),
            1 => listed(1),
            2 => listed(2),
            _ => listed(4),
        };
        let mut machine = Machine::start(&world, &next).unwrap();
        assert_all_there(&mut machine, &acked);
        append_all(&mut machine, &mut acked, 1, 5000);
        assert_all_there(&mut machine, &acked);
        if changed.is_ok() {
            changes += 1;
            if changes == 2 {
                assert!(operations > 50, "{operations} operations are not much");
                return;
            }
            operations = 1;
        }
        // Every point near the ends, and a sample of those between.
        operations += 1 + operations / 40;
    }
    panic!("a change of shards takes more operations than were tried");
}

#[test]
fn another_format_version_is_refused_with_its_number() {
    let world = machine(3);
    prepared(&world, &allowed(1)).unwrap();
    with_io(&world, |io| {
        for name in ["root.A", "root.B"] {
            let path = FilePath::new(Dir::Root, name);
            let bytes_max = 4096;
            let reply = call_file(
                io,
                FileOp::ReadAll {
                    path: path.clone(),
                    bytes_max,
                },
            );
            let Ok(FileReply::Content(mut content)) = reply else {
                panic!("{reply:?}");
            };
            content[8..12].copy_from_slice(&(root_file::FORMAT_VERSION + 1).to_le_bytes());
            let body = content.len() - 4;
            let crc = crc32c::crc32c(&content[..body]).to_le_bytes();
            content[body..].copy_from_slice(&crc);
            call_file(io, FileOp::WriteAll { path, content }).unwrap();
        }
    });
    let error = refusal(&world, &allowed(1));
    assert!(error.contains("format version 2"), "{error}");
}

#[test]
fn a_failing_disk_is_an_error_and_not_an_empty_directory() {
    let world = machine(4);
    prepared(&world, &allowed(1)).unwrap();
    let mut io = world.restart(1).remove(0);
    world.script(crate::io::simulated::ScriptedFault {
        target: crate::io::simulated::FaultTarget::File,
        path: Some(FilePath::new(Dir::Root, "root.A")),
        skip: 0,
        fault: crate::io::simulated::DiskFault::Error(libc::EIO),
    });
    let error = prepare_on(&mut io, &allowed(1), &by_remainder).unwrap_err();
    assert!(matches!(error, EngineError::Open(_)), "{error}");
    let outcome = io.call(Op::File(FileOp::List { dir: Dir::Journal }));
    assert!(matches!(outcome, Outcome::File(Ok(FileReply::Listed(names))) if names.len() > 2));
}

#[test]
fn an_engine_on_the_kernel_locks_keeps_and_moves_its_records() {
    let dir = crate::io::test_dir::TestDir::new("engine");
    let settings = |cores| EngineConfig {
        data_dir: dir.path().to_path_buf(),
        ..config(cores)
    };
    let core = crate::io::group::allowed_cores()[0];
    let engine = Engine::open(&settings(Cores::Allowed(vec![core]))).unwrap();
    let second = Engine::open(&settings(Cores::Allowed(vec![core])));
    let refused = second.unwrap_err().to_string();
    assert!(refused.contains("in use by another process"), "{refused}");

    let log = engine.handle();
    let handle = PartitionHandle(7);
    log.create_partition(spec(7)).unwrap();
    let again = log.create_partition(spec(7)).unwrap_err();
    assert!(matches!(again, EngineError::Control(_)), "{again}");
    let values: Vec<_> = (0..50).map(|n| format!("value {n}")).collect();
    let batches = values.iter().map(|value| batch(value));
    for (n, appended) in log
        .append_many(handle, batches)
        .unwrap()
        .into_iter()
        .enumerate()
    {
        assert_eq!(appended.unwrap().base_offset, n as i64);
    }
    assert!(matches!(
        log.append(handle, vec![1, 2, 3]),
        Err(EngineError::Batch(_))
    ));
    let unknown = log.append(PartitionHandle(8), batch("x")).unwrap_err();
    assert!(matches!(
        unknown,
        EngineError::Append(AppendError::UnknownPartition)
    ));
    engine.shutdown().unwrap();
    assert!(matches!(log.offsets(handle), Err(EngineError::Stopped)));

    let engine = Engine::open(&settings(Cores::Listed(vec![core; 3]))).unwrap();
    let log = engine.handle();
    assert_eq!(log.shards(), 3);
    assert_eq!(log.partitions().unwrap(), [handle]);
    assert_eq!(log.offsets(handle).unwrap().unwrap().high_watermark, 50);
    let mut found = Vec::new();
    while found.len() < 50 {
        let request = ReadRequest {
            offset: found.len() as i64,
            bytes_max: 1 << 20,
            bound: ReadBound::HighWatermark,
        };
        let batches = log.read(handle, request).unwrap();
        let parts = batches.parts.iter().flat_map(|part| part.iter().copied());
        let bytes: Vec<u8> = parts.collect();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let header = crate::record_batch::Header::parse(rest).unwrap();
            let (batch, behind) = rest.split_at(header.batch_bytes as usize);
            found.extend(values_of(batch));
            rest = behind;
        }
    }
    assert_eq!(found, values);
}
