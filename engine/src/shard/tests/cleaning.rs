//! Compaction on a simulated machine: the newest record of every key survives it and every crash.

use super::harness::{Machine, handle, small_config, spec};
use crate::io::FileOp;
use crate::io::simulated::{Crash, WorldConfig};
use crate::partition::{
    AppendError, CompactionConfig, Durability, PartitionSpec, ReadBound, ReadError,
};
use crate::planted::{Bug, plant};
use crate::record_batch::builder::{BatchBuilder, Producer};
use crate::record_batch::records::Records;
use crate::record_batch::rewrite::open;
use crate::record_batch::{Compression, Header};
use crate::shard::file_table::SegmentFile;
use crate::shard::{CleanerConfig, ShardConfig};
use std::collections::BTreeMap;

pub(super) const NUMBER: u64 = 1;

pub(super) fn config() -> ShardConfig {
    ShardConfig {
        checkpoint_interval_ms: 20,
        cleaner: CleanerConfig {
            backoff_ms: 1,
            bytes_per_second_max: u64::MAX,
            ..CleanerConfig::default()
        },
        ..small_config()
    }
}

pub(super) fn compacted(delete_retention_ms: i64) -> PartitionSpec {
    let mut spec = spec(NUMBER, Durability::Disk);
    spec.config.segment_bytes = 64 << 10;
    spec.config.compaction = Some(CompactionConfig {
        dirty_ratio_ppm: 300_000,
        lag_ms_min: 0,
        lag_ms_max: i64::MAX,
        delete_retention_ms,
    });
    spec
}

pub(super) fn machine(seed: u64, delete_retention_ms: i64) -> Machine {
    let mut machine = Machine::with_config(seed, config(), WorldConfig::default());
    machine.create_as(compacted(delete_retention_ms));
    machine
}

/// A record: key and value; no value is a tombstone.
pub(super) type KeyValue = (u64, Option<Vec<u8>>);

#[derive(Default)]
pub(super) struct Source {
    state: u64,
    next_sequence: i32,
}

impl Source {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            state: seed.wrapping_mul(77) | 1,
            next_sequence: 0,
        }
    }

    pub(super) fn random(&mut self) -> u64 {
        self.state = self
            .state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.state >> 33
    }

    fn records(&mut self, keys: u64) -> Vec<KeyValue> {
        let count = 1 + self.random() % 6;
        let record = |source: &mut Self| {
            let key = source.random() % keys;
            let bytes = 50 + source.random() as usize % 900;
            let fill = source.random() as u8;
            let value = (!source.random().is_multiple_of(8)).then(|| vec![fill; bytes]);
            (key, value)
        };
        (0..count).map(|_| record(self)).collect()
    }

    pub(super) fn batch(&mut self, records: &[KeyValue], time: i64) -> Vec<u8> {
        let codec = Compression::ALL[self.random() as usize % 5];
        let mut builder = BatchBuilder::new(codec);
        if self.random().is_multiple_of(4) {
            builder.set_producer(Some(Producer {
                id: 5,
                epoch: 0,
                base_sequence: self.next_sequence,
            }));
            self.next_sequence += records.len() as i32;
        }
        for (key, value) in records {
            builder.push(time, Some(&key.to_le_bytes()), value.as_deref(), &[]);
        }
        builder.build().unwrap()
    }
}

/// All records in whole batches, by offset.
pub(super) fn records_in<'a>(
    batches: impl Iterator<Item = &'a Vec<u8>>,
) -> BTreeMap<i64, KeyValue> {
    let mut all = BTreeMap::new();
    for batch in batches {
        let header = Header::parse(batch).unwrap();
        let opened = open(&header, batch, 1 << 20).unwrap();
        for record in Records::new(&header, &opened) {
            let record = record.unwrap();
            let key = u64::from_le_bytes(record.key.unwrap().try_into().unwrap());
            all.insert(record.offset, (key, record.value.map(<[u8]>::to_vec)));
        }
    }
    all
}

/// What is in the log is what was sent there, and of every key the newest acknowledged record is
/// there, or a later one is.
fn check(machine: &mut Machine) -> BTreeMap<i64, KeyValue> {
    let log = machine.log(NUMBER);
    let found = records_in(log.values());
    let sent = records_in(machine.sent.values().map(|sent| &sent.bytes));
    let acked = machine.sent.values().filter(|sent| sent.is_acked);
    let acked = records_in(acked.map(|sent| &sent.bytes));
    let log_start = machine.shard().offsets(handle(NUMBER)).unwrap().log_start;
    for (offset, record) in &found {
        assert_eq!(sent.get(offset), Some(record), "{}", machine.context);
    }
    let mut newest = BTreeMap::new();
    for (offset, (key, _)) in &found {
        newest.insert(*key, *offset);
    }
    for (offset, (key, _)) in acked.range(log_start..) {
        let newest = newest.get(key);
        assert!(
            newest.is_some_and(|newest| newest >= offset),
            "{}: key {key} at {offset} is gone, its newest is {newest:?}",
            machine.context
        );
    }
    found
}

fn append_some(machine: &mut Machine, source: &mut Source, keys: u64) -> bool {
    let records = source.records(keys);
    let batch = source.batch(&records, machine.io.wall_ms());
    match machine.append(NUMBER, &batch) {
        Ok(_) | Err(AppendError::NoMemory { .. } | AppendError::OutOfOrderSequence { .. }) => true,
        Err(AppendError::Stopped) => false,
        Err(error) => panic!("append: {error}"),
    }
}

fn work(machine: &mut Machine, source: &mut Source, rounds: usize) {
    for _ in 0..rounds {
        if machine.world.is_crashed() || !append_some(machine, source, 40) {
            return;
        }
        for _ in 0..source.random() % 6 {
            machine.turn();
        }
    }
}

fn swaps(machine: &mut Machine) -> u64 {
    machine.shard().counters().swaps
}

/// Turns until compaction has nothing more to do.
pub(super) fn settle(machine: &mut Machine) {
    machine.settle();
    for _ in 0..20 {
        let before = swaps(machine);
        for _ in 0..3000 {
            machine.turn();
        }
        if swaps(machine) == before {
            return;
        }
    }
    panic!("compaction never ends");
}

#[test]
fn older_records_of_a_key_go_and_the_newest_stays() {
    let mut machine = machine(1, i64::MAX);
    let mut source = Source::new(1);
    work(&mut machine, &mut source, 1500);
    settle(&mut machine);
    let found = check(&mut machine);
    let sent = records_in(machine.sent.values().map(|sent| &sent.bytes)).len();
    assert!(swaps(&mut machine) > 3, "{}", swaps(&mut machine));
    assert!(found.len() * 4 < sent, "{} of {sent}", found.len());
    machine.stop_cleanly();
    machine.open().unwrap();
    assert_eq!(check(&mut machine), found);
    machine.power_cut();
    machine.open().unwrap();
    assert_eq!(check(&mut machine), found);
}

#[test]
fn every_offset_of_a_gap_leads_to_the_next_record() {
    let mut machine = machine(2, i64::MAX);
    let mut source = Source::new(2);
    work(&mut machine, &mut source, 1000);
    settle(&mut machine);
    let log = machine.log(NUMBER);
    let end = machine
        .shard()
        .offsets(handle(NUMBER))
        .unwrap()
        .high_watermark;
    for offset in 0..end {
        let read = machine.read(NUMBER, offset, ReadBound::HighWatermark);
        let parts = read.unwrap().parts;
        let first = parts.iter().flat_map(|part| part.iter().copied());
        let header = Header::parse(&first.take(61).collect::<Vec<u8>>()).unwrap();
        let wanted = log.values().find(|batch| {
            let header = Header::parse(batch).unwrap();
            header.end_offset() > offset
        });
        let wanted = Header::parse(wanted.unwrap()).unwrap();
        assert_eq!(header.base_offset, wanted.base_offset, "at {offset}");
    }
}

/// After a crash: what was not acknowledged and is there stays; the rest is gone.
fn forget_lost(machine: &mut Machine) {
    let found = records_in(machine.log(NUMBER).values());
    machine.sent.retain(|_, sent| {
        let records = records_in(std::iter::once(&sent.bytes));
        let is_there = |(offset, record)| found.get(offset) == Some(record);
        sent.is_acked |= records.iter().any(is_there);
        sent.is_acked
    });
}

fn crash_and_check(seed: u64, crash: Crash) -> u64 {
    let mut machine = machine(seed, i64::MAX);
    let mut source = Source::new(seed);
    let mut swaps_seen = 0;
    work(&mut machine, &mut source, 400);
    for round in 0..6 {
        machine.context = format!("seed {seed} round {round}");
        let operations = 20 + (seed * 7919 + round * 104_729) % 700;
        machine.world.crash_after(operations, crash);
        work(&mut machine, &mut source, 400);
        swaps_seen += swaps(&mut machine);
        if !machine.world.is_crashed() {
            machine.world.power_cut();
        }
        machine.restart();
        machine.world.crash_never();
        machine.open().unwrap();
        check(&mut machine);
        forget_lost(&mut machine);
    }
    settle(&mut machine);
    check(&mut machine);
    swaps_seen
}

#[test]
fn the_newest_record_of_every_key_survives_power_cuts() {
    let swaps: u64 = (0..25)
        .map(|seed| crash_and_check(seed, Crash::PowerCut))
        .sum();
    assert!(swaps > 100, "{swaps}: this run proves nothing");
}

#[test]
fn the_newest_record_of_every_key_survives_kills() {
    let swaps: u64 = (50..60)
        .map(|seed| crash_and_check(seed, Crash::Kill))
        .sum();
    assert!(swaps > 40, "{swaps}: this run proves nothing");
}

#[test]
fn a_crash_at_any_step_of_a_run_loses_nothing() {
    let mut swaps_seen = 0;
    for operations in 0..160 {
        let mut machine = machine(9, i64::MAX);
        machine.context = format!("a crash after {operations} operations");
        let mut source = Source::new(9);
        while !machine.shard().cleaner.is_in_flight() {
            assert!(append_some(&mut machine, &mut source, 40));
            machine.turn();
        }
        let before = swaps(&mut machine);
        machine.world.crash_after(operations, Crash::PowerCut);
        machine.turn_until(1000, |machine| machine.world.is_crashed());
        swaps_seen += swaps(&mut machine) - before;
        machine.power_cut();
        machine.world.crash_never();
        machine.open().unwrap();
        check(&mut machine);
        forget_lost(&mut machine);
        settle(&mut machine);
        check(&mut machine);
    }
    assert!(swaps_seen > 20, "{swaps_seen}: this run proves nothing");
}

#[test]
fn a_swap_before_its_files_are_durable_is_caught() {
    let is_caught = (0..25).any(|seed| {
        std::panic::catch_unwind(|| {
            let _guard = plant(Bug::SwapBeforeDurable);
            crash_and_check(seed, Crash::PowerCut);
        })
        .is_err()
    });
    assert!(is_caught);
}

#[test]
fn a_log_start_that_moves_voids_the_run() {
    let mut machine = machine(5, i64::MAX);
    let mut source = Source::new(5);
    let mut voided = 0;
    for round in 0..60 {
        work(&mut machine, &mut source, 40);
        let is_running = |machine: &Machine| {
            let shard = machine.shard.as_ref().unwrap();
            shard.cleaner.is_in_flight()
        };
        if machine.turn_until(200, is_running) {
            for _ in 0..round % 9 {
                machine.turn();
            }
            let ticket = machine.ticket();
            let offsets = machine.shard().offsets(handle(NUMBER)).unwrap();
            let offset = offsets.log_start + (offsets.high_watermark - offsets.log_start) / 3;
            let shard = machine.shard.as_mut().unwrap();
            shard
                .advance_log_start(&mut machine.io, handle(NUMBER), offset, ticket)
                .unwrap();
            assert!(machine.turn_until(5000, |machine| machine.controls.contains(&ticket)));
            voided += 1;
        }
        machine.context = format!("round {round}");
        check(&mut machine);
    }
    assert!(voided > 10, "{voided}: this run proves nothing");
    settle(&mut machine);
    check(&mut machine);
    machine.power_cut();
    machine.open().unwrap();
    check(&mut machine);
}

#[test]
fn damage_stops_compaction_of_its_partition_and_the_rest_is_served() {
    let mut config = config();
    config.cleaner.is_enabled = false;
    let mut machine = Machine::with_config(6, config, WorldConfig::default());
    machine.create_as(compacted(i64::MAX));
    let mut source = Source::new(6);
    work(&mut machine, &mut source, 2500);
    machine.settle();
    machine.stop_cleanly();
    machine.config.cleaner.is_enabled = true;
    machine.open().unwrap();
    let slot = machine.shard().partitions.get(handle(NUMBER)).unwrap();
    let files: Vec<_> = slot.partition.files().collect();
    assert!(files.len() > 4);
    assert!(machine.rot(&SegmentFile::records(files[1].file).path(), 3));
    for _ in 0..6000 {
        machine.turn();
    }
    let shard = machine.shard();
    assert_eq!(shard.counters().swaps, 0);
    let fence = shard.fences(handle(NUMBER))[0];
    assert!(!fence.stops_appends && fence.start_offset > 0);
    for offset in [0, fence.end_offset] {
        assert!(
            machine
                .read(NUMBER, offset, ReadBound::HighWatermark)
                .is_ok()
        );
    }
    assert!(append_some(&mut machine, &mut source, 40));
    machine.settle();
    // Once the loss is accepted compaction goes on with what is left.
    let ticket = machine.ticket();
    machine.shard().accept_loss(handle(NUMBER), ticket).unwrap();
    assert!(machine.turn_until(5000, |machine| machine.controls.contains(&ticket)));
    settle(&mut machine);
    assert!(swaps(&mut machine) > 0);
}

#[test]
fn a_gap_before_damage_is_answered_with_the_damage() {
    let mut machine = machine(8, i64::MAX);
    let mut source = Source::new(8);
    work(&mut machine, &mut source, 1000);
    settle(&mut machine);
    let mut end = 0;
    let mut gap = None;
    for batch in machine.log(NUMBER).values() {
        let header = Header::parse(batch).unwrap();
        if header.base_offset > end && gap.is_none() {
            gap = Some((end, header.base_offset..header.end_offset()));
        }
        end = header.end_offset();
    }
    let (offset, damaged) = gap.unwrap();
    let start = damaged.start;
    let shard = machine.shard();
    let slot = shard.partitions.live_mut(handle(NUMBER)).unwrap();
    slot.partition.fence_unreadable(damaged);
    let read = machine.read(NUMBER, offset, ReadBound::HighWatermark);
    assert_eq!(read.unwrap_err(), ReadError::Corrupt { offset: start });
}

#[test]
fn replaced_files_are_used_again() {
    let mut machine = machine(7, i64::MAX);
    let mut source = Source::new(7);
    work(&mut machine, &mut source, 3000);
    settle(&mut machine);
    let swaps = swaps(&mut machine);
    let dir = crate::io::Dir::Segments;
    let crate::io::Outcome::File(Ok(crate::io::FileReply::Listed(names))) =
        machine.file_op(FileOp::List { dir })
    else {
        panic!("the folder can be listed");
    };
    let slot = machine.shard().partitions.get(handle(NUMBER)).unwrap();
    let named = slot.partition.files().count();
    assert!(swaps > 10, "{swaps}");
    // Each segment has two files; the ballast, a reserved file and spares come on top.
    assert!(names.len() < 2 * named + 20, "{} of {named}", names.len());
}

#[test]
fn keys_that_do_not_fit_the_map_take_several_runs() {
    let mut config = config();
    config.cleaner.key_map_bytes_max = 0;
    let mut machine = Machine::with_config(8, config, WorldConfig::default());
    machine.create_as(compacted(i64::MAX));
    let mut source = Source::new(8);
    for _ in 0..1500 {
        append_some(&mut machine, &mut source, 2000);
        machine.turn();
    }
    settle(&mut machine);
    let found = check(&mut machine);
    let mut keys: Vec<u64> = found.values().map(|(key, _)| *key).collect();
    let records = keys.len();
    keys.sort_unstable();
    keys.dedup();
    assert!(keys.len() > 1000, "more keys than the map holds");
    assert!(records < keys.len() * 2, "{records} of {} keys", keys.len());
}
