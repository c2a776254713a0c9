//! The life of a shard: append, acknowledge, read, stop, start, crash.

use super::harness::{Machine, batch, handle, small_config, spec};
use crate::io::arena::ArenaBuf;
use crate::io::simulated::WorldConfig;
use crate::limits::STARVED_RETRY_NS;
use crate::partition::{AppendError, Durability, ReadBound};
use crate::shard::{ControlError, ShardConfig};

#[test]
fn a_durable_append_is_acknowledged_after_its_commit_and_readable_then() {
    let mut machine = Machine::new(1);
    machine.create(5, Durability::Disk);
    let appended = machine.append(5, &batch(3, 500, 1)).unwrap();
    assert_eq!((appended.base_offset, appended.end_offset), (0, 3));
    assert!(!appended.is_acked);
    let offsets = machine.shard().offsets(handle(5)).unwrap();
    assert_eq!((offsets.high_watermark, offsets.log_end), (0, 3));
    machine.settle();
    let offsets = machine.shard().offsets(handle(5)).unwrap();
    assert_eq!((offsets.high_watermark, offsets.durable_end), (3, 3));
    machine.check_promises(&[5]);
    let nothing = machine.read(5, 3, ReadBound::HighWatermark).unwrap();
    assert_eq!(nothing.bytes, 0);
}

#[test]
fn acknowledged_records_survive_a_power_cut() {
    for seed in 0..20 {
        let mut machine = Machine::new(seed);
        machine.create(1, Durability::Disk);
        machine.create(2, Durability::Disk);
        for round in 0..40 {
            machine.append_when_possible(1, &batch(2, 300 + round * 37, seed + round as u64));
            if round % 3 == 0 {
                machine.append_when_possible(2, &batch(1, 9000, round as u64));
            }
            if round % 4 == 0 {
                machine.turn();
            }
        }
        for _ in 0..seed * 3 {
            machine.turn();
        }
        machine.power_cut();
        machine.open().unwrap();
        machine.check_promises(&[1, 2]);
        machine.forget_unacked();
        machine.append_when_possible(1, &batch(1, 100, 9));
        machine.settle();
        machine.check_promises(&[1, 2]);
    }
}

#[test]
fn the_ring_wraps_many_times_and_everything_stays() {
    let mut machine = Machine::new(3);
    machine.create(1, Durability::Disk);
    machine.create(2, Durability::Disk);
    for round in 0..600 {
        machine.append_when_possible(1, &batch(4, 5000, round));
        machine.append_when_possible(2, &batch(1, 700, round));
        machine.turn();
    }
    machine.settle();
    let counters = machine.shard().counters();
    assert!(counters.checkpoints > 3, "{counters:?}");
    assert!(counters.rolls >= 4, "{counters:?}");
    machine.check_promises(&[1, 2]);
    machine.power_cut();
    machine.open().unwrap();
    machine.check_promises(&[1, 2]);
}

#[test]
fn a_file_that_replay_sets_free_is_released_once() {
    let config = ShardConfig {
        checkpoint_interval_ms: 1_000_000,
        journal_bytes: 4 << 20,
        ..small_config()
    };
    let mut machine = Machine::with_config(8, config, WorldConfig::default());
    let mut large = spec(1, Durability::Disk);
    large.config.segment_bytes = 2 << 20;
    machine.create_as(large);
    machine.stop_cleanly();
    machine.open().unwrap();
    let mut round = 0;
    while machine.shard().counters().rolls < 2 {
        round += 1;
        machine.append_when_possible(1, &batch(1, 60_000, round));
        machine.turn();
    }
    machine.settle();
    let ticket = machine.ticket();
    let offset = machine.shard().offsets(handle(1)).unwrap().high_watermark;
    let shard = machine.shard.as_mut().unwrap();
    shard
        .advance_log_start(&mut machine.io, handle(1), offset, ticket)
        .unwrap();
    assert!(machine.turn_until(1000, |machine| machine.controls.contains(&ticket)));
    machine.world.kill();
    machine.restart();
    machine.config.checkpoint_interval_ms = 20;
    machine.open().unwrap();
    machine.sent.clear();
    while machine.shard().counters().rolls < 6 {
        round += 1;
        machine.append_when_possible(1, &batch(1, 60_000, round));
        machine.turn();
    }
    machine.settle();
    assert_eq!(machine.fail_stopped, None);
    machine.check_promises(&[1]);
}

#[test]
fn a_clean_stop_keeps_everything_and_raises_no_epoch() {
    let mut machine = Machine::new(4);
    machine.create(1, Durability::Disk);
    machine.append(1, &batch(2, 5000, 1)).unwrap();
    machine.settle();
    let before = machine.shard().offsets(handle(1)).unwrap();
    machine.stop_cleanly();
    machine.open().unwrap();
    assert_eq!(machine.shard().offsets(handle(1)).unwrap(), before);
    machine.check_promises(&[1]);
    machine.power_cut();
    machine.open().unwrap();
    let after = machine.shard().offsets(handle(1)).unwrap();
    assert_eq!(after.leader_epoch, before.leader_epoch + 1);
    machine.check_promises(&[1]);
}

#[test]
fn a_write_that_finds_no_memory_brings_the_shard_back_to_it() {
    let mut machine = Machine::new(6);
    machine.create(1, Durability::Disk);
    machine.append(1, &batch(1, 3000, 1)).unwrap();
    machine.settle();
    let is_prepared = |machine: &Machine| {
        let slot = machine.shard.as_ref().unwrap().partitions.get(handle(1));
        slot.unwrap()
            .partition
            .files()
            .any(|file| file.prepared > 0)
    };
    assert!(machine.turn_until(1000, is_prepared));
    let mut held = Vec::new();
    while let Some(buf) = machine.io.arena().alloc(4096) {
        held.push(buf);
    }
    // The checkpoint wants the last block, which is not full: for that it takes a copy.
    let is_starved = |machine: &Machine| {
        let shard = machine.shard.as_ref().unwrap();
        shard.lists.starved_len() > 0 && !shard.is_busy()
    };
    assert!(machine.turn_until(1000, is_starved));
    let soon_ns = machine.io.now_ns() + 10_000_000;
    let deadline_ns = machine.shard().next_deadline_ns().unwrap();
    assert!(deadline_ns <= soon_ns, "nothing else would wake the shard");
    assert_eq!(machine.shard().counters().write_back_bytes, 0);
    drop(held);
    let is_written = |machine: &Machine| {
        let shard = machine.shard.as_ref().unwrap();
        shard.counters().write_back_bytes > 0 && shard.checkpointing.is_idle()
    };
    assert!(machine.turn_until(1000, is_written));
    let is_fed = |machine: &Machine| machine.shard.as_ref().unwrap().lists.starved_len() == 0;
    assert!(machine.turn_until(1000, is_fed));
}

#[test]
fn memory_that_others_fill_makes_small_tails_go_to_disk() {
    let mut config = small_config();
    config.checkpoint_interval_ms = 3_600_000;
    let mut machine = Machine::with_config(8, config, WorldConfig::default());
    machine.create(1, Durability::Disk);
    machine.append(1, &batch(1, 9000, 1)).unwrap();
    machine.settle();
    assert_eq!(machine.shard().counters().write_back_bytes, 0);
    let mut held = Vec::new();
    while machine.io.arena().used_bytes() < machine.io.arena().capacity_bytes() / 100 * 93 {
        held.push(machine.io.arena().alloc(4096).unwrap());
    }
    let refused = machine.append(1, &batch(1, 9000, 2));
    assert!(matches!(refused, Err(AppendError::NoMemory { .. })));
    let is_written = |machine: &Machine| {
        let shard = machine.shard.as_ref().unwrap();
        shard.counters().write_back_bytes > 0
    };
    let before_ns = machine.io.now_ns();
    assert!(machine.turn_until(1000, is_written));
    let waited_ns = machine.io.now_ns() - before_ns;
    assert!(
        waited_ns < 1_000_000_000,
        "not for a checkpoint: {waited_ns}"
    );
}

#[test]
fn memory_in_pieces_too_small_for_a_batch_is_made_whole() {
    let mut machine = Machine::new(9);
    machine.create(1, Durability::Disk);
    for seed in 0..40 {
        machine.append_when_possible(1, &batch(1, 60_000, seed));
        machine.settle();
    }
    let all_written = |machine: &Machine| {
        let shard = machine.shard.as_ref().unwrap();
        shard.counters().unwritten_bytes_now == 0 && shard.checkpointing.is_idle()
    };
    assert!(machine.turn_until(10_000, all_written));
    let mut held = Vec::new();
    while let Some(buf) = machine.io.arena().alloc(64 << 10) {
        held.push(buf);
    }
    let mut nth = 0;
    held.retain(|_| {
        nth += 1;
        nth % 2 == 0
    });
    let arena = machine.io.arena();
    let used = arena.used_bytes() * 100 / arena.capacity_bytes();
    assert!(used < 75, "{used} % are used: nothing is short");
    let large = batch(1, 500_000, 99);
    let refused = machine.append(1, &large);
    assert!(matches!(refused, Err(AppendError::NoMemory { .. })));
    machine.turn();
    machine.append(1, &large).unwrap();
    machine.settle();
}

#[test]
fn memory_that_only_writing_sets_free_is_written_before_anybody_is_refused() {
    let mut config = small_config();
    config.checkpoint_interval_ms = 3_600_000;
    let mut machine = Machine::with_config(12, config, WorldConfig::default());
    machine.create(1, Durability::Disk);
    machine.settle();
    let before = machine.io.arena().used_bytes();
    machine.append(1, &batch(1, 9000, 1)).unwrap();
    machine.settle();
    let mut held: Vec<ArenaBuf> = Vec::new();
    // What connections may fill; they get no more until some of it comes back.
    while machine.io.arena().used_bytes() < machine.io.arena().capacity_bytes() / 100 * 77 {
        held.push(machine.io.arena().alloc(4096).unwrap());
    }
    let held_bytes: usize = held.iter().map(ArenaBuf::block_bytes).sum();
    let mut is_back = false;
    for _ in 0..200 {
        machine.turn();
        is_back |= machine.io.arena().used_bytes() <= before + held_bytes;
    }
    assert!(
        is_back,
        "all of the tail is given up, its unfilled block too"
    );
}

#[test]
fn free_memory_in_pieces_is_joined_for_who_wants_a_block() {
    let mut config = small_config();
    config.checkpoint_interval_ms = 3_600_000;
    let mut machine = Machine::with_config(13, config, WorldConfig::default());
    machine.create(1, Durability::Disk);
    machine.settle();
    let mut held = Vec::new();
    while let Some(buf) = machine.io.arena().alloc(128 << 10) {
        held.push(buf);
    }
    // Half of it is free again, one block of it is the tail's.
    let mut number = 0;
    held.retain(|_| {
        number += 1;
        number % 2 == 0
    });
    let mut pieces = Vec::new();
    machine.append(1, &batch(1, 9000, 1)).unwrap();
    machine.settle();
    while let Some(buf) = machine.io.arena().alloc(64 << 10) {
        pieces.push(buf);
    }
    let percent = machine.io.arena().capacity_bytes() / 100;
    drop(held);
    assert!(machine.io.arena().used_bytes() < 70 * percent);
    let before = machine.io.arena().used_bytes();
    machine.turn();
    let is_back = (0..200).any(|_| {
        machine.turn();
        machine.io.arena().used_bytes() < before
    });
    assert!(is_back, "the tail gives way although much is free");
}

#[test]
fn small_batches_do_not_fill_memory_while_they_wait_for_commits() {
    let mut config = small_config();
    config.checkpoint_interval_ms = 3_600_000;
    config.unresolved_batches_max = 100;
    let mut machine = Machine::with_config(10, config, WorldConfig::default());
    machine.create(1, Durability::Disk);
    let mut most = 0;
    for seed in 0..1_000 {
        machine.append_when_possible(1, &batch(1, 100, seed));
        let slot = machine.shard().partitions.get(handle(1)).unwrap();
        most = most.max(slot.partition.unresolved_batches());
    }
    assert!((50..=100).contains(&most), "{most}");
    machine.settle();
    machine.check_promises(&[1]);
}

#[test]
fn more_partitions_than_memory_is_enough_for_are_refused() {
    let mut config = small_config();
    config.partitions_in_memory_max = 2;
    let mut machine = Machine::with_config(11, config, WorldConfig::default());
    machine.create(1, Durability::Disk);
    machine.create(2, Durability::Disk);
    let ticket = machine.ticket();
    let shard = machine.shard.as_mut().unwrap();
    let refused = shard.create_partition(&mut machine.io, spec(3, Durability::Disk), ticket);
    assert_eq!(refused, Err(ControlError::TooManyForMemory(2)));
    machine.stop_cleanly();
    machine.config.partitions_in_memory_max = 1;
    let refused = machine.open().unwrap_err().to_string();
    assert!(refused.contains("2 partitions, the memory is enough for 1"));
    assert!(refused.contains("--memory"), "{refused}");
    machine.config.partitions_in_memory_max = 2;
    machine.open().unwrap();
}

#[test]
fn producers_are_bounded_over_all_partitions_also_by_a_replay() {
    let mut config = small_config();
    config.producers_max = 64;
    let mut machine = Machine::with_config(12, config, WorldConfig::default());
    for number in 1..=8 {
        machine.create(number, Durability::Disk);
    }
    let mut most = 0;
    for id in 0..1_000 {
        machine.append_when_possible(1 + id % 8, &produced(id as i64));
        most = most.max(remembered(&machine));
        if id % 10 == 0 {
            machine.turn();
        }
    }
    assert!((60..=64).contains(&most), "{most}");
    // The newest are the ones that stay.
    let again = machine.append(8, &produced(999)).unwrap();
    assert!(again.is_duplicate);
    assert!(!machine.append(1, &produced(0)).unwrap().is_duplicate);
    machine.settle();
    machine.power_cut();
    machine.open().unwrap();
    assert!((60..=64).contains(&remembered(&machine)));
    machine.check_promises(&[1, 2, 3, 4, 5, 6, 7, 8]);
}

/// The first batch of an idempotent producer.
fn produced(id: i64) -> Vec<u8> {
    let mut batch = batch(1, 100, 1);
    batch[43..51].copy_from_slice(&id.to_be_bytes());
    batch[51..57].fill(0);
    let crc = crate::record_batch::crc(&batch);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
    batch
}

fn remembered(machine: &Machine) -> usize {
    let partitions = &machine.shard.as_ref().unwrap().partitions;
    let slots = (1..=8).filter_map(|number| partitions.get(handle(number)));
    slots.map(|slot| slot.partition.producer_count()).sum()
}

#[test]
fn a_partition_that_a_replay_deletes_is_in_no_sum_of_the_shard() {
    let config = ShardConfig {
        checkpoint_interval_ms: 1_000_000,
        journal_bytes: 4 << 20,
        ..small_config()
    };
    let mut machine = Machine::with_config(14, config, WorldConfig::default());
    machine.create(1, Durability::Disk);
    machine.create(2, Durability::Disk);
    for round in 0..300 {
        machine.append_when_possible(1, &batch(1, 5000, round));
        machine.append_when_possible(2, &batch(1, 5000, round));
        machine.turn();
    }
    machine.settle();
    let ticket = machine.ticket();
    let shard = machine.shard.as_mut().unwrap();
    shard
        .delete_partition(&mut machine.io, handle(1), ticket)
        .unwrap();
    assert!(machine.turn_until(1000, |machine| machine.controls.contains(&ticket)));
    machine.power_cut();
    // So little memory that the replay has to write back what it has so far.
    let mut held = Vec::new();
    let most = machine.io.arena().capacity_bytes() - (2560 << 10);
    while machine.io.arena().used_bytes() < most {
        held.push(machine.io.arena().alloc(64 << 10).expect("it is free"));
    }
    machine.open().unwrap();
    let shard = machine.shard();
    assert!(shard.counters().write_back_bytes > 0, "no wait for memory");
    let slot = shard.partitions.get(handle(2)).unwrap();
    assert_eq!(shard.unwritten_bytes, slot.partition.unwritten_bytes());
    let unprepared = shard.preparation.unprepared_bytes();
    assert_eq!(unprepared, slot.partition.unprepared_bytes());
}

#[test]
fn a_start_writes_back_what_it_replays_when_memory_is_less_than_the_journal() {
    let config = ShardConfig {
        checkpoint_interval_ms: 1_000_000,
        journal_bytes: 4 << 20,
        ..small_config()
    };
    for free_kib in (2304..3072).step_by(64) {
        let mut machine = Machine::with_config(15, config.clone(), WorldConfig::default());
        machine.create(1, Durability::Disk);
        machine.create(2, Durability::Disk);
        for round in 0..330 {
            machine.append_when_possible(1, &batch(1, 5000, round));
            machine.append_when_possible(2, &batch(1, 5000, round));
            machine.turn();
        }
        machine.settle();
        machine.power_cut();
        machine.context = format!("{free_kib} KiB free");
        let mut held = Vec::new();
        let most = machine.io.arena().capacity_bytes() - (free_kib << 10);
        while machine.io.arena().used_bytes() < most {
            held.push(machine.io.arena().alloc(64 << 10).expect("it is free"));
        }
        if let Err(refused) = machine.open() {
            panic!("{free_kib} KiB free: {refused}");
        }
        drop(held);
        machine.check_promises(&[1, 2]);
    }
}

#[test]
fn a_last_block_that_found_no_memory_is_asked_for_again_although_nothing_else_happens() {
    let mut config = small_config();
    config.checkpoint_interval_ms = 3_600_000;
    let mut machine = Machine::with_config(16, config, WorldConfig::default());
    machine.create(1, Durability::Disk);
    machine.append_when_possible(1, &batch(1, 500, 1));
    machine.stop_cleanly();
    machine.open().unwrap();
    machine.append(1, &batch(1, 500, 2)).unwrap();
    let mut held = Vec::new();
    while let Some(buf) = machine.io.arena().alloc(4096) {
        held.push(buf);
    }
    machine.turn_until(50, |machine| machine.world.operations_in_flight() == 0);
    assert!(machine.shard().queries.is_busy());
    let deadline_ns = machine.shard().next_deadline_ns().unwrap();
    assert!(deadline_ns <= machine.io.now_ns() + STARVED_RETRY_NS);
    drop(held);
    machine.settle();
    machine.check_promises(&[1]);
}
