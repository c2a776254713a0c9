//! The rules of the journal, each with the crash or the damage that it is for.

use super::harness::{Machine, SETUP, batch, handle, small_config};
use crate::io::simulated::{Crash, DiskFault, FaultTarget, ScriptedFault, WorldConfig};
use crate::io::{Dir, FileOp};
use crate::journal::checkpoint::Copy;
use crate::journal::ring::Use;
use crate::limits::BLOCK_BYTES;
use crate::partition::{AppendError, Durability, ReadBound, ReadError};
use crate::planted::{Bug, plant};
use crate::shard::file_table::SegmentFile;
use crate::shard::ring_files::{copy_path, ring_path};
use crate::shard::{OpenError, ShardConfig};

/// Appends to three partitions until the machine stops.
fn work_until_crash(machine: &mut Machine, seed: u64) {
    let mut state = seed;
    for round in 0..3000_u64 {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(seed | 1);
        let number = 1 + (state >> 60) % 3;
        let bytes = match (state >> 33) % 10 {
            0 => 40_000,
            1 => 18_000,
            2..=4 => 5000,
            _ => 300,
        };
        if machine.world.is_crashed() {
            return;
        }
        match machine.append(
            number,
            &batch(2, bytes + (state >> 50) as usize % 999, round),
        ) {
            Ok(_) | Err(AppendError::NoMemory { .. }) => {}
            Err(AppendError::Stopped) => return,
            Err(error) => panic!("append: {error}"),
        }
        for _ in 0..(state >> 40) % 4 {
            machine.turn();
        }
    }
}

fn crash_and_check(seed: u64, crash: Crash, rounds: u64) {
    let mut machine = Machine::new(seed);
    for number in 1..4 {
        machine.create(number, Durability::Disk);
    }
    for round in 0..rounds {
        machine.context = format!("seed {seed} round {round}");
        let operations = 20 + (seed * 7919 + round * 104_729) % 400;
        machine.world.crash_after(operations, crash);
        work_until_crash(&mut machine, seed ^ (round << 8));
        if !machine.world.is_crashed() {
            machine.world.power_cut();
        }
        machine.restart();
        // A crash inside recovery, now and then.
        if (seed + round).is_multiple_of(3) {
            machine.world.crash_after((seed + round) % 40, crash);
            if machine.open().is_err() || machine.world.is_crashed() {
                machine.restart();
                machine.world.crash_never();
                machine.open().unwrap();
            }
            machine.world.crash_never();
        } else {
            machine.world.crash_never();
            machine.open().unwrap();
        }
        machine.forget_unacked();
        machine.check_promises(&[1, 2, 3]);
        // What is readable after recovery is a promise too: whoever read it must find it again.
        machine.sent.clear();
        for number in 1..4 {
            for (base_offset, bytes) in machine.log(number) {
                let ticket = machine.ticket();
                let sent = super::harness::Sent {
                    handle: handle(number),
                    base_offset,
                    bytes,
                    is_acked: true,
                };
                machine.sent.insert(ticket.0, sent);
            }
        }
    }
}

#[test]
fn nothing_acknowledged_or_shown_is_lost_in_power_cuts() {
    for seed in 0..60 {
        crash_and_check(seed, Crash::PowerCut, 6);
    }
}

#[test]
fn nothing_acknowledged_or_shown_is_lost_when_the_process_dies() {
    for seed in 100..120 {
        crash_and_check(seed, Crash::Kill, 6);
    }
}

fn is_caught(bug: Bug, seeds: std::ops::Range<u64>) -> bool {
    seeds.into_iter().any(|seed| {
        std::panic::catch_unwind(|| {
            let _guard = plant(bug);
            crash_and_check(seed, Crash::PowerCut, 6);
        })
        .is_err()
    })
}

#[test]
fn broken_journal_rules_are_caught() {
    for bug in [
        Bug::AckOnOwnCompletion,
        Bug::AckBeforePlaced,
        Bug::ResumeBehindHole,
        Bug::WriteBackNotDurable,
    ] {
        assert!(is_caught(bug, 0..200), "{bug:?}");
    }
}

/// Crashes while the second checkpoint copy is being written and rots the first one.
fn lose_the_first_copy(seed: u64) {
    // With more files than the fewest, the ring could reach what the older copy needs.
    let config = ShardConfig {
        journal_bytes: 2 << 20,
        journal_files: 8,
        ..small_config()
    };
    let mut machine = Machine::with_config(seed, config, WorldConfig::default());
    machine.create(1, Durability::Disk);
    for round in 0..60 {
        machine.append_when_possible(1, &batch(1, 3000, round));
        machine.turn();
    }
    let is_second = |machine: &Machine| machine.shard.as_ref().unwrap().checkpointing.is_second();
    let mut first = None;
    let mut is_stalled = false;
    for round in 0..100_000 {
        let writing = machine.shard().checkpointing.writing();
        if let Some(copy) = writing.filter(|_| is_stalled && is_second(&machine)) {
            first = Some(copy.other());
            break;
        }
        if let Some(copy) = writing.filter(|_| !is_stalled && !is_second(&machine)) {
            // The copy that comes next takes its time.
            is_stalled = true;
            machine.world.script(ScriptedFault {
                target: FaultTarget::Write,
                path: Some(copy_path(SETUP.id, copy.other())),
                skip: 0,
                fault: DiskFault::Stall(10_000_000_000),
            });
        }
        if writing.is_none() {
            _ = machine.append(1, &batch(1, 3000, round));
        }
        machine.turn();
    }
    let first = first.expect("a checkpoint came to its second copy");
    for round in 0..1000 {
        assert!(is_second(&machine), "the second copy is stalled");
        let has_room = machine.shard().journal.has_room(Use::Appends);
        let is_refused = machine.append(1, &batch(1, 3000, round)).is_err();
        if !machine.shard().is_awaiting_disk() && (is_refused || !has_room) {
            break;
        }
        machine.turn();
    }
    // The write in flight happens or not: a torn one beside a rotten copy would be two failures.
    machine.world.kill();
    machine.restart();
    assert!(machine.rot(&copy_path(SETUP.id, first), 0));
    machine.open().unwrap();
    machine.forget_unacked();
    machine.check_promises(&[1]);
}

#[test]
fn the_journal_of_the_older_copy_lives_until_both_copies_are_durable() {
    for seed in 0..8 {
        lose_the_first_copy(seed);
    }
    let caught = std::panic::catch_unwind(|| {
        let _bug = plant(Bug::RecycleAfterFirstCopy);
        for seed in 0..8 {
            lose_the_first_copy(seed);
        }
    });
    assert!(caught.is_err());
}

/// Two acknowledged commits of one partition each, and the place of the second.
fn two_commits(machine: &mut Machine) -> (u32, u64) {
    machine.create(1, Durability::Disk);
    machine.append_when_possible(1, &batch(1, 300, 1));
    machine.settle();
    let commits = machine.shard().counters().commits;
    machine.turn_until(100, |machine| {
        machine.shard.as_ref().unwrap().counters().commits > commits
    });
    machine.turn_until(100, |machine| {
        !machine.shard.as_ref().unwrap().journal.is_awaiting()
    });
    let place = machine.shard().journal.front.next();
    machine.append_when_possible(1, &batch(1, 300, 2));
    machine.settle();
    (place.file, place.position / BLOCK_BYTES)
}

fn calm_config() -> ShardConfig {
    ShardConfig {
        checkpoint_interval_ms: 1 << 40,
        retention_check_ms: 1 << 30,
        ..small_config()
    }
}

#[test]
fn rot_of_the_last_acknowledged_commit_is_told_because_the_idle_shard_left_a_mark() {
    let run = || {
        let mut machine = Machine::with_config(1, calm_config(), WorldConfig::default());
        let (file, block) = two_commits(&mut machine);
        let commits = machine.shard().counters().commits;
        let marked = machine.turn_until(50, |machine| {
            machine.shard.as_ref().unwrap().counters().commits > commits
        });
        machine.turn_until(50, |machine| {
            !machine.shard.as_ref().unwrap().journal.is_awaiting()
        });
        machine.power_cut();
        assert!(machine.rot(&ring_path(SETUP.id, file), block));
        machine.open().unwrap();
        (machine, marked)
    };
    let (mut machine, marked) = run();
    assert!(marked);
    let fences = machine.shard().fences(handle(1)).to_vec();
    assert_eq!(fences.len(), 1, "{fences:?}");
    assert_eq!(fences[0].start_offset, 1);
    let refused = machine.append(1, &batch(1, 300, 3)).unwrap_err();
    assert_eq!(refused, AppendError::Fenced);
    let ticket = machine.ticket();
    machine.shard().accept_loss(handle(1), ticket).unwrap();
    assert!(machine.turn_until(10_000, |machine| machine.controls.contains(&ticket)));
    let appended = machine.append_when_possible(1, &batch(1, 300, 3));
    assert!(
        appended.base_offset >= 2,
        "a lost offset is never given out again"
    );

    let _bug = plant(Bug::NoIdleMark);
    let (mut machine, marked) = run();
    assert!(!marked);
    assert!(
        machine.shard().fences(handle(1)).is_empty(),
        "cut in silence"
    );
}

#[test]
fn rot_inside_the_journal_is_fenced_and_the_log_goes_on_behind_it() {
    let mut machine = Machine::with_config(2, calm_config(), WorldConfig::default());
    let (file, block) = two_commits(&mut machine);
    for seed in 3..9 {
        machine.append_when_possible(1, &batch(1, 300, seed));
        machine.settle();
    }
    machine.power_cut();
    assert!(machine.rot(&ring_path(SETUP.id, file), block));
    machine.open().unwrap();
    let offsets = machine.shard().offsets(handle(1)).unwrap();
    assert_eq!(offsets.log_end, 8);
    let fences = machine.shard().fences(handle(1)).to_vec();
    assert_eq!(fences.len(), 1, "{fences:?} at {file} {block}");
    let first = machine.read(1, 0, ReadBound::HighWatermark).unwrap();
    assert_eq!(first.next_offset, 1);
    let lost = machine.read(1, 1, ReadBound::HighWatermark).unwrap_err();
    assert_eq!(lost, ReadError::Corrupt { offset: 1 });
    let behind = machine.read(1, 2, ReadBound::HighWatermark).unwrap();
    assert_eq!(behind.next_offset, 8);
    let appended = machine.append_when_possible(1, &batch(1, 300, 9));
    assert_eq!(appended.base_offset, 8);
    machine.settle();
    machine.power_cut();
    machine.open().unwrap();
    assert!(machine.read(1, 1, ReadBound::HighWatermark).is_err());
    let behind = machine.read(1, 2, ReadBound::HighWatermark).unwrap();
    assert_eq!(behind.next_offset, 9);
}

#[test]
fn one_rotten_checkpoint_copy_is_survived_and_two_are_refused() {
    let mut machine = Machine::new(3);
    machine.create(1, Durability::Disk);
    for round in 0..100 {
        machine.append_when_possible(1, &batch(1, 6000, round));
        machine.turn();
    }
    machine.settle();
    machine.power_cut();
    for copy in [Copy::A, Copy::B] {
        assert!(machine.rot(&copy_path(SETUP.id, copy), 0));
        machine.open().unwrap();
        machine.check_promises(&[1]);
        machine.power_cut();
    }
    assert!(machine.rot(&copy_path(SETUP.id, Copy::A), 0));
    assert!(machine.rot(&copy_path(SETUP.id, Copy::B), 0));
    assert!(matches!(machine.open(), Err(OpenError::Refused { .. })));
}

/// The commit that rots is the one with the image of the block.
#[test]
fn rot_of_the_first_commit_behind_a_checkpoint_costs_no_record_before_it() {
    let mut machine = Machine::with_config(8, calm_config(), WorldConfig::default());
    machine.create(1, Durability::Disk);
    machine.append_when_possible(1, &batch(1, 300, 1));
    machine.settle();
    machine.stop_cleanly();
    machine.open().unwrap();
    let place = machine.shard().journal.front.next();
    for seed in 2..6 {
        machine.append_when_possible(1, &batch(1, 300, seed));
        machine.settle();
    }
    machine.turn_until(100, |_| false);
    machine.power_cut();
    let block = place.position / BLOCK_BYTES;
    assert!(machine.rot(&ring_path(SETUP.id, place.file), block));
    machine.open().unwrap();
    machine.stop_cleanly();
    machine.open().unwrap();
    let first = machine.read(1, 0, ReadBound::HighWatermark).unwrap();
    assert_eq!(first.next_offset, 1);
    let lost = machine.read(1, 1, ReadBound::HighWatermark).unwrap_err();
    assert_eq!(lost, ReadError::Corrupt { offset: 1 });
    let behind = machine.read(1, 2, ReadBound::HighWatermark).unwrap();
    assert_eq!(behind.next_offset, 5);
}

#[test]
fn an_append_behind_a_rotten_last_block_fails_and_the_other_partitions_go_on() {
    let mut machine = Machine::with_config(9, calm_config(), WorldConfig::default());
    for number in [1, 2] {
        machine.create(number, Durability::Disk);
        machine.append_when_possible(number, &batch(1, 300, number));
    }
    machine.settle();
    machine.stop_cleanly();
    machine.open().unwrap();
    let slot = machine.shard().partitions.get(handle(1)).unwrap();
    let file = slot.partition.files().next().unwrap().file;
    let path = SegmentFile::records(file).path();
    assert!(machine.rot(&path, 1));
    machine.append_when_possible(1, &batch(1, 300, 3));
    assert!(machine.turn_until(1000, |machine| machine.failed.len() == 1));
    let refused = machine.append(1, &batch(1, 300, 4)).unwrap_err();
    assert_eq!(refused, AppendError::Fenced);
    machine.forget_unacked();
    machine.append_when_possible(2, &batch(1, 300, 5));
    machine.settle();
    assert_eq!(machine.fail_stopped, None);
    machine.stop_cleanly();
    machine.open().unwrap();
    machine.check_promises(&[2]);
}

/// Lets the next start fail to read one block of the ring, `tries` times.
fn make_unreadable(machine: &Machine, (file, block): (u32, u64), tries: usize) {
    // The first read is of the whole file, and then block by block.
    let skips = [0, block as u32].into_iter().chain([0; 15]);
    for skip in skips.take(1 + tries) {
        machine.world.script(ScriptedFault {
            target: FaultTarget::Read,
            path: Some(ring_path(SETUP.id, file)),
            skip,
            fault: DiskFault::Error(libc::EIO),
        });
    }
}

#[test]
fn a_journal_block_that_cannot_be_read_refuses_the_start_and_costs_nothing() {
    let mut machine = Machine::with_config(7, calm_config(), WorldConfig::default());
    let place = two_commits(&mut machine);
    for seed in 3..9 {
        machine.append_when_possible(1, &batch(1, 300, seed));
        machine.settle();
    }
    machine.power_cut();
    make_unreadable(&machine, place, 3);
    let error = machine.open().unwrap_err().to_string();
    let name = ring_path(SETUP.id, place.0).name;
    let position = place.1 * BLOCK_BYTES;
    for word in [&name, &format!("block at {position}"), "accept-loss"] {
        assert!(error.contains(word), "{error} names {word}");
    }
    // Less often than it is tried: nobody notices.
    make_unreadable(&machine, place, 2);
    machine.open().unwrap();
    assert!(machine.shard().fences(handle(1)).is_empty());
    machine.check_promises(&[1]);
}

#[test]
fn a_missing_journal_file_is_refused() {
    let mut machine = Machine::new(4);
    machine.stop_cleanly();
    let path = ring_path(SETUP.id, 2);
    machine.file_op(FileOp::Unlink { path });
    machine.file_op(FileOp::SyncDir { dir: Dir::Journal });
    match machine.open() {
        Err(OpenError::Refused { problem, .. }) => assert_eq!(problem, "is missing"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_failed_journal_write_stops_the_shard_for_good_and_reads_go_on() {
    let mut machine = Machine::new(5);
    machine.create(1, Durability::Disk);
    machine.append_when_possible(1, &batch(1, 300, 1));
    machine.settle();
    for index in 0..4 {
        machine.world.script(ScriptedFault {
            target: FaultTarget::Write,
            path: Some(ring_path(SETUP.id, index)),
            skip: 0,
            fault: DiskFault::Error(libc::EIO),
        });
    }
    machine.append_when_possible(1, &batch(1, 300, 2));
    assert!(machine.turn_until(1000, |machine| machine.fail_stopped.is_some()));
    assert_eq!(machine.failed.len(), 1);
    assert_eq!(
        machine.append(1, &batch(1, 300, 3)),
        Err(AppendError::Stopped)
    );
    let first = machine.read(1, 0, ReadBound::HighWatermark).unwrap();
    assert_eq!(first.next_offset, 1);
    for _ in 0..200 {
        machine.turn();
    }
    assert!(!machine.all_acked());
    assert!(machine.shard().is_stopped());
    machine.forget_unacked();
    machine.power_cut();
    machine.open().unwrap();
    machine.check_promises(&[1]);
}

#[test]
fn an_interrupted_journal_write_is_submitted_once_more() {
    let mut machine = Machine::new(6);
    machine.create(1, Durability::Disk);
    for index in 0..4 {
        machine.world.script(ScriptedFault {
            target: FaultTarget::Write,
            path: Some(ring_path(SETUP.id, index)),
            skip: 0,
            fault: DiskFault::Error(libc::EINTR),
        });
    }
    machine.append_when_possible(1, &batch(1, 300, 1));
    machine.settle();
    assert_eq!(machine.fail_stopped, None);
    machine.power_cut();
    machine.open().unwrap();
    machine.check_promises(&[1]);
}

#[test]
fn offsets_a_relaxed_partition_lost_are_not_given_out_again() {
    for seed in 0..10 {
        let mut machine = Machine::new(seed);
        machine.create(1, Durability::Memory);
        let mut exposed = 0;
        for round in 0..(20 + seed * 5) {
            let appended = machine.append_when_possible(1, &batch(3, 900, round));
            exposed = appended.end_offset;
            machine.turn();
        }
        let offsets = machine.shard().offsets(handle(1)).unwrap();
        assert_eq!(offsets.high_watermark, exposed);
        machine.power_cut();
        machine.open().unwrap();
        let offsets = machine.shard().offsets(handle(1)).unwrap();
        if offsets.log_end > 0 {
            assert!(offsets.log_end >= exposed, "{offsets:?}, exposed {exposed}");
        }
    }
}

#[test]
fn written_appends_survive_the_death_of_the_process() {
    let mut machine = Machine::new(7);
    machine.create(1, Durability::Written);
    for round in 0..50 {
        machine.append_when_possible(1, &batch(1, 700, round));
        machine.turn();
    }
    machine.settle();
    machine.world.kill();
    machine.restart();
    machine.open().unwrap();
    machine.check_promises(&[1]);
}

#[test]
fn a_deleted_partition_is_gone_and_its_files_are_used_again() {
    let mut machine = Machine::new(8);
    for number in 1..12 {
        machine.create(number, Durability::Disk);
        for round in 0..60 {
            machine.append_when_possible(number, &batch(1, 4000, round));
            machine.turn();
        }
        machine.settle();
        machine.check_promises(&[number]);
        machine.sent.clear();
        let ticket = machine.ticket();
        let Machine { shard, io, .. } = &mut machine;
        let shard = shard.as_mut().unwrap();
        shard.delete_partition(io, handle(number), ticket).unwrap();
        assert!(shard.offsets(handle(number)).is_none());
        assert!(machine.turn_until(10_000, |machine| machine.controls.contains(&ticket)));
    }
    machine.power_cut();
    machine.open().unwrap();
    assert!(machine.shard().partitions().is_empty());
}

#[test]
fn the_registry_survives_commits_checkpoints_and_crashes() {
    let mut machine = Machine::new(9);
    machine.registry_put(b"a", Some(b"1")).unwrap();
    machine.registry_put(b"b", Some(b"2")).unwrap();
    let last = machine.registry_put(b"a", None).unwrap();
    assert!(machine.turn_until(10_000, |machine| machine.controls.contains(&last)));
    for _ in 0..3 {
        machine.power_cut();
        machine.open().unwrap();
        let entries: Vec<_> = machine
            .shard()
            .registry()
            .map(|(_, key, value)| (key.to_vec(), value.to_vec()))
            .collect();
        assert_eq!(entries, [(b"b".to_vec(), b"2".to_vec())]);
    }
}
