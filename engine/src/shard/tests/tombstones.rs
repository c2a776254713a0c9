//! Tombstones: when they go, and that nothing comes back when they do.

use super::cleaning::{NUMBER, Source, compacted, config, machine, records_in, settle};
use super::harness::Machine;
use crate::io::simulated::WorldConfig;
use crate::record_batch::builder::BatchBuilder;
use crate::record_batch::records::payload;
use crate::record_batch::{Compression, check, crc};

const DEAD: u64 = 7;

/// Segments roll and are compacted, several times; records have `bytes`.
fn write_on(machine: &mut Machine, source: &mut Source, bytes: usize) {
    for _ in 0..6 {
        for _ in 0..150 {
            let records = [(100 + source.random() % 10, Some(vec![1; bytes]))];
            let batch = source.batch(&records, machine.io.wall_ms());
            machine.append_when_possible(NUMBER, &batch);
            machine.turn();
        }
        settle(machine);
    }
}

/// Offsets of records of a key, and whether they are tombstones.
fn records_of(machine: &mut Machine, key: u64) -> Vec<(i64, bool)> {
    let found = records_in(machine.log(NUMBER).values());
    let of_key = found.into_iter().filter(|(_, record)| record.0 == key);
    of_key
        .map(|(at, record)| (at, record.1.is_none()))
        .collect()
}

#[test]
fn tombstones_go_when_their_horizon_has_passed() {
    for (delete_retention_ms, are_kept) in [(0, false), (i64::MAX / 2, true)] {
        let mut machine = machine(4, delete_retention_ms);
        let mut source = Source::new(4);
        let dead = [(DEAD, None), (8, None)];
        let batch = source.batch(&dead, machine.io.wall_ms());
        machine.append_when_possible(NUMBER, &batch);
        write_on(&mut machine, &mut source, 700);
        let is_there = !records_of(&mut machine, DEAD).is_empty();
        assert_eq!(is_there, are_kept, "{delete_retention_ms}");
    }
}

/// Text-like bytes, which a good encoder makes smaller than a fast one does.
fn text(source: &mut Source) -> Vec<u8> {
    let word = |source: &mut Source| {
        let number = source.random() % 300;
        format!("{:x} ", (number * number * 7919) % 65_521)
    };
    (0..60).map(|_| word(source)).collect::<String>().into()
}

/// A batch whose zstd is better than what compaction would make of it: larger without its first
/// record.
fn well_compressed(source: &mut Source, time: i64) -> Vec<u8> {
    let mut builder = BatchBuilder::new(Compression::None);
    let mut without = BatchBuilder::new(Compression::Zstd);
    builder.push(time, Some(&DEAD.to_le_bytes()), Some(b"back"), &[]);
    for key in 1000..1100_u64 {
        let value = text(source);
        builder.push(time, Some(&key.to_le_bytes()), Some(&value), &[]);
        without.push(time, Some(&key.to_le_bytes()), Some(&value), &[]);
    }
    let plain = builder.build().unwrap();
    let mut batch = plain[..plain.len() - payload(&plain).len()].to_vec();
    batch.extend(zstd::encode_all(payload(&plain), 19).unwrap());
    let length = batch.len() as u32 - 12;
    batch[8..12].copy_from_slice(&length.to_be_bytes());
    batch[22] |= Compression::Zstd.bits() as u8;
    let sum = crc(&batch);
    batch[17..21].copy_from_slice(&sum.to_be_bytes());
    check(&batch).unwrap();
    let made = without.build().unwrap().len();
    assert!(made > batch.len(), "{made}, {}: nothing grows", batch.len());
    batch
}

#[test]
fn a_deleted_record_does_not_come_back_from_a_batch_that_would_grow() {
    let mut machine = machine(11, 0);
    let mut source = Source::new(11);
    let batch = well_compressed(&mut source, machine.io.wall_ms());
    machine.append_when_possible(NUMBER, &batch);
    let dead = source.batch(&[(DEAD, None)], machine.io.wall_ms());
    let at = machine.append_when_possible(NUMBER, &dead).base_offset;
    write_on(&mut machine, &mut source, 700);
    let found = records_of(&mut machine, DEAD);
    assert_eq!(found, [(0, false), (at, true)]);
    // Once more written and deleted, nothing stands in the way.
    let value = vec![2; 50];
    let alive = source.batch(&[(DEAD, Some(value))], machine.io.wall_ms());
    let at = machine.append_when_possible(NUMBER, &alive).base_offset;
    write_on(&mut machine, &mut source, 700);
    let found = records_of(&mut machine, DEAD);
    assert_eq!(found.last(), Some(&(at, false)));
}

#[test]
fn a_deleted_record_does_not_come_back_from_a_group_that_would_grow() {
    let mut later = config();
    later.cleaner.is_enabled = false;
    let mut machine = Machine::with_config(12, later, WorldConfig::default());
    let mut spec = compacted(0);
    spec.config.segment_bytes = 512 << 10;
    machine.create_as(spec);
    let mut source = Source::new(12);
    // A delete horizon far from their timestamps makes these batches larger.
    let old = machine.io.wall_ms() - 20 * 86_400_000;
    let first = source.batch(&[(DEAD, Some(vec![3; 20]))], old);
    machine.append_when_possible(NUMBER, &first);
    let mut key = 10_000_u64;
    for _ in 0..300 {
        let mut builder = BatchBuilder::new(Compression::None);
        for _ in 0..100 {
            key += 1;
            builder.push(old, Some(&key.to_le_bytes()), None, &[]);
        }
        machine.append_when_possible(NUMBER, &builder.build().unwrap());
    }
    write_on(&mut machine, &mut source, 4000);
    let dead = source.batch(&[(DEAD, None)], machine.io.wall_ms());
    let at = machine.append_when_possible(NUMBER, &dead).base_offset;
    write_on(&mut machine, &mut source, 4000);
    machine.stop_cleanly();
    // All of it is compacted in one run.
    machine.config.cleaner.is_enabled = true;
    machine.open().unwrap();
    settle(&mut machine);
    write_on(&mut machine, &mut source, 4000);
    let found = records_of(&mut machine, DEAD);
    assert_eq!(found, [(0, false), (at, true)]);
}
