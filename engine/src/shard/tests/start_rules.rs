//! What a start relies on and what it leaves alone, each with the crash that the rule is for.

use super::harness::{Machine, SETUP, batch, handle, small_config};
use crate::io::Dir;
use crate::io::simulated::{Crash, DiskFault, FaultTarget, ScriptedFault, WorldConfig};
use crate::journal::checkpoint::Copy;
use crate::limits::BLOCK_BYTES;
use crate::partition::Durability;
use crate::shard::ShardConfig;
use crate::shard::file_table::SegmentFile;
use crate::shard::ring_files::{copy_path, ring_path};

/// No checkpoint but that of a start.
fn calm_config() -> ShardConfig {
    ShardConfig {
        checkpoint_interval_ms: 1 << 40,
        retention_check_ms: 1 << 30,
        ..small_config()
    }
}

/// A start that the power cut meets at its `operations`th operation, and one that it does not.
/// Whether the first came to its end before.
fn start_twice(machine: &mut Machine, operations: u64) -> bool {
    machine.world.crash_after(operations, Crash::PowerCut);
    let is_open = machine.open().is_ok() && !machine.world.is_crashed();
    machine.world.crash_never();
    if !machine.world.is_crashed() {
        machine.world.power_cut();
    }
    machine.restart();
    machine.open().unwrap();
    is_open
}

#[test]
fn a_start_leaves_the_one_whole_checkpoint_alone_until_there_is_another() {
    for seed in 0..6 {
        let mut machine = Machine::new(seed);
        machine.create(1, Durability::Disk);
        machine.append_when_possible(1, &batch(1, 3000, seed));
        machine.settle();
        for operations in 1.. {
            machine.power_cut();
            let lost = [Copy::A, Copy::B][operations as usize % 2];
            assert!(machine.rot(&copy_path(SETUP.id, lost), 0));
            let is_open = start_twice(&mut machine, operations);
            machine.check_promises(&[1]);
            if is_open {
                break;
            }
        }
    }
}

/// A machine that died while its newest checkpoint was in the drive's cache alone.
fn killed_over_a_checkpoint(seed: u64) -> Option<Machine> {
    let mut machine = Machine::new(seed);
    machine.create(1, Durability::Disk);
    let mut copy = None;
    for round in 0..2000 {
        _ = machine.append(1, &batch(1, 3000, round));
        machine.turn();
        copy = machine.shard().checkpointing.writing();
        if copy.is_some() && !machine.shard().checkpointing.is_second() {
            break;
        }
    }
    let path = copy_path(SETUP.id, copy.expect("a checkpoint is under way"));
    machine.world.kill();
    machine.restart();
    (!machine.world.is_flushed(&path)).then_some(machine)
}

#[test]
fn a_start_flushes_the_checkpoint_it_found_before_it_overwrites_the_other() {
    let mut starts = 0;
    for seed in 0..80 {
        let Some(mut machine) = killed_over_a_checkpoint(seed) else {
            continue;
        };
        let before = machine.world.counters().disk_events;
        machine.open().unwrap();
        let operations = machine.world.counters().disk_events - before;
        // Its last ones write the two copies.
        for last in 1..8 {
            let Some(mut machine) = killed_over_a_checkpoint(seed) else {
                continue;
            };
            start_twice(&mut machine, operations - last);
            machine.check_promises(&[1]);
            starts += 1;
        }
    }
    assert!(starts > 100, "{starts} starts show nothing");
}

#[test]
fn a_start_goes_on_in_a_file_without_commits_of_the_epoch_it_ends() {
    let mut machine = Machine::with_config(5, calm_config(), WorldConfig::default());
    machine.create(1, Durability::Disk);
    for round in 0..3 {
        machine.append_when_possible(1, &batch(1, 300, round));
        machine.settle();
    }
    let path = ring_path(SETUP.id, machine.shard().journal.front.next().file);
    machine.power_cut();
    let found = machine.world.content(&path);
    machine.open().unwrap();
    for round in 3..6 {
        machine.append_when_possible(1, &batch(1, 300, round));
        machine.settle();
    }
    assert!(
        found == machine.world.content(&path),
        "{} is as it was",
        path.name
    );
}

#[test]
fn files_that_nothing_names_stay_when_the_journal_was_damaged() {
    let mut machine = Machine::with_config(6, calm_config(), WorldConfig::default());
    machine.create(1, Durability::Disk);
    machine.append_when_possible(1, &batch(1, 300, 1));
    machine.settle();
    machine.turn_until(50, |_| false);
    let from = machine.shard().journal.front.next();
    machine.create(2, Durability::Disk);
    machine.append_when_possible(2, &batch(1, 300, 2));
    machine.settle();
    let to = machine.shard().journal.front.next();
    let slot = machine.shard().partitions.get(handle(2)).unwrap();
    let file = slot.partition.files().next().unwrap().file;
    // The mark is behind what rots.
    machine.turn_until(50, |_| false);
    machine.power_cut();
    assert_eq!(from.file, to.file);
    for block in from.position / BLOCK_BYTES..to.position / BLOCK_BYTES {
        assert!(machine.rot(&ring_path(SETUP.id, from.file), block));
    }
    machine.open().unwrap();
    assert!(
        machine.shard().offsets(handle(2)).is_none(),
        "its name is lost"
    );
    machine.turn_until(1000, |_| false);
    let path = SegmentFile::records(file).path();
    assert!(machine.world.names(Dir::Segments).contains(&path.name));
}

/// A mark that counts what is written and not flushed calls a power cut rot.
#[test]
fn a_power_cut_over_written_batches_fences_nothing() {
    let mut cuts = 0;
    for seed in 0..40 {
        let mut machine = Machine::with_config(seed, calm_config(), WorldConfig::default());
        machine.create(1, Durability::Written);
        machine.create(2, Durability::Disk);
        machine.turn_until(50, |_| false);
        for index in 0..4 {
            machine.world.script(ScriptedFault {
                target: FaultTarget::SyncData,
                path: Some(ring_path(SETUP.id, index)),
                skip: 0,
                fault: DiskFault::Stall(1 << 40),
            });
        }
        let next = machine.shard().journal.next_sequence;
        // Of two that are lost, nobody knows what the first one held.
        for nth in 0..2 {
            machine.append(1, &batch(1, 300, nth)).unwrap();
            assert!(machine.turn_until(100, |machine| {
                let journal = &machine.shard.as_ref().unwrap().journal;
                let in_flight = machine.world.operations_in_flight() as u64;
                journal.next_sequence > next + nth && in_flight <= nth
            }));
        }
        machine.append(2, &batch(1, 300, 2)).unwrap();
        machine.turn();
        // All but the flush of the first one comes to its end.
        while machine.world.operations_in_flight() > 1 {
            machine.world.step();
        }
        let journal = &machine.shard().journal;
        cuts += u64::from(journal.written == next + 1 && journal.next_sequence == next + 3);
        machine.power_cut();
        machine.open().unwrap();
        for number in [1, 2] {
            let fences = machine.shard().fences(handle(number));
            assert!(fences.is_empty(), "seed {seed}: {fences:?}");
        }
    }
    assert!(cuts > 10, "{cuts} cuts show nothing");
}
