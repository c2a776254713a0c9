//! What a running shard, a stopped one and a full one may write, each in the smallest setting.

use super::harness::{Machine, SETUP, batch, handle, small_config};
use crate::io::FilePath;
use crate::io::simulated::{DiskFault, FaultTarget, ScriptedFault, WorldConfig};
use crate::journal::checkpoint::Copy;
use crate::journal::ring::Use;
use crate::partition::{AppendError, Durability};
use crate::shard::ShardConfig;
use crate::shard::file_table::SegmentFile;
use crate::shard::ring_files::{copy_path, ring_path};

/// The next write to this file ends so.
fn script(machine: &Machine, path: FilePath, fault: DiskFault) {
    machine.world.script(ScriptedFault {
        target: FaultTarget::Write,
        path: Some(path),
        skip: 0,
        fault,
    });
}

fn checkpoints(machine: &Machine) -> u64 {
    machine.shard.as_ref().unwrap().counters().checkpoints
}

/// Appends to partition 2 until so many checkpoints more were made.
fn work_through_checkpoints(machine: &mut Machine, count: u64) {
    let until = checkpoints(machine) + count;
    for round in 0..10_000 {
        machine.append_when_possible(2, &batch(1, 3000, round));
        machine.turn();
        if checkpoints(machine) >= until || machine.fail_stopped.is_some() {
            return;
        }
    }
    panic!("no checkpoint is made");
}

/// Torn, the write would take bytes along that no journal holds any more.
#[test]
fn checkpoints_do_not_write_the_last_block_of_an_idle_partition_again() {
    let mut machine = Machine::new(1);
    machine.create(1, Durability::Disk);
    machine.create(2, Durability::Disk);
    machine.append_when_possible(1, &batch(1, 300, 1));
    machine.settle();
    work_through_checkpoints(&mut machine, 2);
    let slot = machine.shard().partitions.get(handle(1)).unwrap();
    let file = slot.partition.files().next().unwrap().file;
    let path = SegmentFile::records(file).path();
    script(&machine, path, DiskFault::Error(libc::EIO));
    work_through_checkpoints(&mut machine, 3);
    assert_eq!(machine.fail_stopped, None, "nothing is written there");
}

#[test]
fn a_commit_written_short_is_not_acknowledged_and_stops_the_shard() {
    let mut machine = Machine::new(2);
    machine.create(1, Durability::Disk);
    for index in 0..4 {
        let path = ring_path(SETUP.id, index);
        script(&machine, path, DiskFault::ShortWrite(0));
    }
    machine.append(1, &batch(1, 300, 1)).unwrap();
    assert!(machine.turn_until(1000, |machine| machine.fail_stopped.is_some()));
    assert!(!machine.all_acked());
}

/// The copy whose write failed may be torn: the other one is all that is left.
#[test]
fn a_checkpoint_that_fails_leaves_the_other_copy_as_it_was() {
    let mut machine = Machine::new(3);
    // A copy takes several writes.
    for key in 0..8_u8 {
        let put = machine.registry_put(&[key], Some(&[key; 30_000])).unwrap();
        assert!(machine.turn_until(10_000, |machine| machine.controls.contains(&put)));
    }
    machine.create(1, Durability::Disk);
    let mut writing = None;
    for round in 0..10_000 {
        _ = machine.append(1, &batch(1, 3000, round));
        machine.turn();
        writing = machine.shard().checkpointing.writing();
        if writing.is_some() && !machine.shard().checkpointing.is_second() {
            break;
        }
    }
    let copy = writing.expect("a checkpoint is being written");
    let path = copy_path(SETUP.id, copy);
    script(&machine, path, DiskFault::Error(libc::EIO));
    assert!(machine.turn_until(1000, |machine| machine.fail_stopped.is_some()));
    let other = copy_path(SETUP.id, copy.other());
    let content = machine.world.content(&other);
    machine.turn_until(1000, |_| false);
    assert!(content == machine.world.content(&other), "{}", other.name);
    machine.power_cut();
    machine.open().unwrap();
}

#[test]
fn a_full_ring_leaves_a_start_the_file_that_it_needs() {
    for seed in 0..4 {
        let mut machine = Machine::new(seed);
        machine.create(1, Durability::Disk);
        // No checkpoint makes room again.
        for copy in [Copy::A, Copy::B] {
            let path = copy_path(SETUP.id, copy);
            script(&machine, path, DiskFault::Stall(1 << 50));
        }
        for round in 0..6000 {
            let has_room = machine.shard().journal.has_room(Use::Appends);
            if !machine.shard().is_awaiting_disk() && !has_room {
                break;
            }
            _ = machine.append(1, &batch(1, 9000, round));
            machine.turn();
        }
        machine.power_cut();
        machine.open().unwrap();
        machine.forget_unacked();
        machine.check_promises(&[1]);
        machine.append_when_possible(1, &batch(1, 300, seed));
        machine.settle();
    }
}

/// By size alone their turn would never come, and nobody could append.
#[test]
fn small_remainders_of_many_partitions_are_written_when_memory_is_short() {
    let config = ShardConfig {
        journal_bytes: 64 << 20,
        checkpoint_interval_ms: 1 << 40,
        ..small_config()
    };
    let mut machine = Machine::with_config(4, config, WorldConfig::default());
    let partitions = 200;
    for number in 1..=partitions {
        machine.create(number, Durability::Disk);
    }
    for round in 0..4000 {
        let number = 1 + round % partitions;
        let mut turns = 0;
        while let Err(error) = machine.append(number, &batch(1, 3000, round)) {
            assert!(matches!(error, AppendError::NoMemory { .. }), "{error}");
            machine.turn();
            turns += 1;
            assert!(turns < 20_000, "round {round}: no room for an append");
        }
    }
    machine.settle();
    machine.check_promises(&(1..=partitions).collect::<Vec<u64>>());
}
