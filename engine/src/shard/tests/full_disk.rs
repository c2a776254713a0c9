//! A full disk: appends are refused, reads go on, and freed space brings everything back.

use super::harness::{Machine, batch, handle, small_config, spec};
use crate::io::simulated::WorldConfig;
use crate::partition::{AppendError, Durability};
use crate::shard::Event;

const MIB: u64 = 1 << 20;

/// A shard whose disk is filled by partition 1 beside a few records of partition 2.
fn filled(seed: u64) -> Machine {
    let mut world = WorldConfig::default();
    world.disk.space_bytes = (14 + seed % 5 * 7) * MIB + seed * 4096;
    let mut machine = Machine::with_config(seed, small_config(), world);
    machine.context = format!("seed {seed}");
    let mut large = spec(1, Durability::Disk);
    large.config.segment_bytes = [MIB, 3 * MIB, 16 * MIB, 1 << 30][seed as usize % 4];
    machine.create_as(large);
    machine.create(2, Durability::Disk);
    machine.append_when_possible(2, &batch(3, 500, seed));
    let bytes = [3000, 20_000, 60_000, 200_000][seed as usize / 4 % 4];
    for round in 0..100_000 {
        match machine.append(1, &batch(1, bytes, round)) {
            Ok(_) if seed.is_multiple_of(2) => machine.turn(),
            Ok(_) => {}
            Err(AppendError::NoMemory { .. }) => machine.turn(),
            Err(AppendError::DiskFull) => break,
            Err(error) => panic!("seed {seed}: {error}"),
        }
        assert!(round < 99_999, "the disk is never full");
    }
    // Whatever was taken is acknowledged: the ballast's space is for it.
    machine.settle();
    machine.check_promises(&[1, 2]);
    machine
}

/// Appends are taken again, without a restart.
fn is_back(machine: &mut Machine) {
    for _ in 0..200_000 {
        match machine.append(2, &batch(1, 5000, 7)) {
            Ok(_) => {
                machine.settle();
                machine.check_promises(&[2]);
                assert_eq!(machine.fail_stopped, None, "{}", machine.context);
                return;
            }
            Err(AppendError::DiskFull | AppendError::NoMemory { .. }) => machine.turn(),
            Err(error) => panic!("{}: {error}", machine.context),
        }
    }
    panic!("{}: appends are refused for ever", machine.context);
}

#[test]
fn a_deleted_partition_gives_a_full_disk_its_space_back() {
    for seed in 0..60 {
        let mut machine = filled(seed);
        let ticket = machine.ticket();
        let shard = machine.shard.as_mut().unwrap();
        shard
            .delete_partition(&mut machine.io, handle(1), ticket)
            .unwrap();
        is_back(&mut machine);
    }
}

#[test]
fn deleted_records_give_a_full_disk_their_space_back() {
    for seed in 0..60 {
        let mut machine = filled(seed);
        let ticket = machine.ticket();
        let offset = machine.shard().offsets(handle(1)).unwrap().high_watermark;
        let shard = machine.shard.as_mut().unwrap();
        shard
            .advance_log_start(&mut machine.io, handle(1), offset, ticket)
            .unwrap();
        is_back(&mut machine);
    }
}

#[test]
fn space_that_others_freed_is_found() {
    for seed in 0..60 {
        let mut machine = filled(seed);
        machine
            .world
            .configure(|config| config.disk.space_bytes += 64 * MIB);
        is_back(&mut machine);
        machine.check_promises(&[1, 2]);
    }
}

#[test]
fn a_start_on_a_full_disk_says_so() {
    let mut world = WorldConfig::default();
    // The journal has its place; the ballast does not fit.
    world.disk.space_bytes = 3 * MIB;
    let mut machine = Machine::with_config(1, small_config(), world);
    let mut events = Vec::new();
    machine.shard().drain_events(&mut events);
    assert!(matches!(events[..], [Event::DiskFull(true)]), "{events:?}");
}
