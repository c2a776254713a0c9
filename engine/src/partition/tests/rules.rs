//! Single rules, each in the smallest setting that shows it, and planted bugs that the random
//! lives must notice.

use super::super::*;
use super::random::first_failing_seed;
use super::rig::{Rig, config};
use crate::planted::{Bug, plant};

/// A rig with `count` batches of about `bytes`, all written, nothing in memory.
fn written_rig(count: usize, bytes: usize) -> Rig {
    let mut rig = Rig::new(1, config(Durability::Disk));
    for _ in 0..count {
        rig.append(bytes, 0, false);
        rig.settle();
    }
    rig.full_checkpoint();
    rig.partition.evict(usize::MAX);
    rig
}

fn request(offset: i64) -> ReadRequest {
    ReadRequest {
        offset,
        bytes_max: 1 << 20,
        bound: ReadBound::HighWatermark,
    }
}

#[test]
fn each_planted_bug_is_noticed_by_some_random_life() {
    let bugs = [
        (Bug::PlacedEndRoundedUp, Durability::Disk),
        (Bug::WriteBackRewritesPlaced, Durability::Disk),
        (Bug::TailImageOmitted, Durability::Disk),
        (Bug::HighWatermarkAtAppend, Durability::Disk),
        (Bug::AckBeforePlaced, Durability::Disk),
        (Bug::PlacedWithoutProducers, Durability::Disk),
        (Bug::RelaxedOffsetsReused, Durability::Memory),
    ];
    for (bug, durability) in bugs {
        let _planted = plant(bug);
        let noticed = first_failing_seed(durability, 0..60);
        assert!(noticed.is_some(), "nobody noticed {bug:?}");
    }
}

#[test]
fn an_unchanged_tail_is_not_flushed_again() {
    let mut rig = written_rig(3, 1000);
    let mut state = Vec::new();
    rig.partition.begin_checkpoint(&mut state);
    assert!(rig.partition.is_checkpoint_flushed());
    assert!(!rig.plan_write_back(WriteBackNeed::Any));
    rig.partition.end_checkpoint();
    assert!(!rig.partition.is_changed());
}

#[test]
fn an_append_after_the_tail_left_memory_brings_its_block_back_as_an_image() {
    let mut rig = written_rig(3, 1000);
    rig.append(500, 0, false);
    assert!(rig.partition.tail_block_wanted().is_some());
    assert_eq!(rig.partition.close_deadline_ns(), None);
    rig.settle();
    assert_eq!(rig.counts.images, 1);
    rig.full_checkpoint();
    rig.partition.evict(usize::MAX);
    rig.read_all();
}

#[test]
fn placed_bytes_at_the_log_end_are_read_from_disk_after_recovery() {
    let mut rig = written_rig(1, 3000);
    // Ends where a block ends, one block behind a granule: nothing of its last granule is inline.
    let start = 4096 + 3000;
    rig.append(65_536 + 2 * 4096 - start, 0, false);
    rig.settle();
    assert_eq!(rig.counts.placed, 1);
    rig.crash();
    rig.read_all();
}

#[test]
fn a_damaged_tail_block_fences_appends_until_the_loss_is_accepted() {
    let mut rig = written_rig(3, 1000);
    rig.append(500, 0, false);
    let read = rig.partition.tail_block_wanted().unwrap();
    let mut block = rig.arena.alloc(4096).unwrap();
    block.extend_zeroed(4096);
    let loaded = rig.partition.tail_block_loaded(&read, block.freeze());
    assert!(matches!(loaded, Err(ReadError::Corrupt { .. })));
    let mut failed = Acks::default();
    rig.partition.fail(&mut failed);
    assert_eq!(failed.appends.len(), 1);
    let log_end = rig.partition.offsets().log_end;
    let bytes = super::rig::batch(&mut rig.random, 100, (-1, -1), 1);
    assert_eq!(rig.append_batch(&bytes, false), Err(AppendError::Fenced));
    rig.partition.accept_loss(Ticket::NONE);
    let appended = rig.append_batch(&bytes, false).unwrap();
    assert_eq!(appended.base_offset, log_end, "failed offsets stay used");
    while rig.close(100_000) {
        rig.resolve();
    }
    assert_eq!(rig.partition.offsets().durable_end, log_end + 1);
}

#[test]
fn damage_on_disk_is_never_served_and_its_neighbours_are() {
    let mut rig = written_rig(40, 10_000);
    let file = *rig.seg.keys().next().unwrap();
    // A byte in the third granule; record bytes, so that no header looks wrong.
    rig.seg.get_mut(&file).unwrap()[2 * 65_536 + 30_000] ^= 1;
    let ends: Vec<i64> = rig.batches.keys().copied().collect();
    let mut corrupt = 0;
    for &offset in &ends {
        match rig.read_request(&request(offset)) {
            Ok(found) => assert!(found.bytes > 0),
            Err(ReadError::Corrupt { .. }) => corrupt += 1,
            Err(other) => panic!("{other}"),
        }
    }
    // Batches of 10,000 bytes: those that touch the granule, and no more.
    assert!((6..=8).contains(&corrupt), "{corrupt} batches of 40");
    let fence = rig.partition.fences()[0];
    rig.partition.accept_loss(Ticket::NONE);
    let after = rig.read_request(&request(fence.start_offset)).unwrap();
    let first = &after.parts[0];
    let base = i64::from_be_bytes(first[..8].try_into().unwrap());
    assert_eq!(base, fence.end_offset);
}

#[test]
fn a_flipped_base_offset_is_never_served() {
    let mut rig = written_rig(20, 10_000);
    let file = *rig.seg.keys().next().unwrap();
    // Kafka's own checksum does not cover this byte.
    rig.seg.get_mut(&file).unwrap()[4096 + 7] ^= 1;
    let found = rig.read_request(&request(0));
    assert!(matches!(found, Err(ReadError::Corrupt { .. })));
}

#[test]
fn blocks_of_another_generation_are_never_served() {
    let serve_stale = || {
        let mut rig = written_rig(20, 10_000);
        let file = rig.partition.segments[0].file;
        // The same bytes, the same place, but what the checksums say belongs to another life.
        rig.partition.segments[0].generation = 1;
        rig.seg.insert(file, rig.seg[&file].clone());
        rig.read_request(&request(0)).is_ok()
    };
    assert!(!serve_stale());
    let _planted = plant(Bug::GranuleWithoutIdentity);
    assert!(
        serve_stale(),
        "the planted bug shows what the rule prevents"
    );
}

#[test]
fn retention_by_size_drops_whole_sealed_segments_once_resolved() {
    let mut config = config(Durability::Disk);
    config.segment_bytes = 100_000;
    config.retention_bytes = 250_000;
    let mut rig = Rig::new(2, config);
    for _ in 0..60 {
        rig.append(9_000, 0, false);
    }
    rig.settle();
    let before = rig.partition.log_bytes();
    let log_start = rig.partition.apply_retention(1_000).unwrap();
    rig.partition
        .advance_log_start(log_start, Ticket::NONE)
        .unwrap();
    assert_eq!(
        rig.partition.offsets().log_start,
        0,
        "not before it is resolved"
    );
    assert!(rig.partition.apply_retention(1_000).is_none(), "asked once");
    rig.settle();
    assert_eq!(rig.partition.offsets().log_start, log_start);
    let after = rig.partition.log_bytes();
    assert!((250_000..350_000).contains(&after), "{before} to {after}");
    let below = rig.read_request(&request(log_start - 1));
    assert!(matches!(below, Err(ReadError::OutOfRange { .. })));
    rig.read_all();
    rig.crash();
    assert_eq!(rig.partition.offsets().log_start, log_start);
    rig.read_all();
}

#[test]
fn a_late_index_write_says_nothing_of_the_next_segment_in_the_same_file() {
    let mut config = config(Durability::Disk);
    config.segment_bytes = 100_000;
    let mut rig = Rig::new(6, config);
    while rig.counts.rolls < 2 {
        rig.append(9_000, 0, false);
    }
    rig.settle();
    rig.full_checkpoint();
    let first = rig.partition.segments[0].file;
    let write = rig
        .partition
        .plan_index_write(&mut rig.arena, &mut rig.spare)
        .unwrap();
    assert_eq!(write.file, first);
    let behind = rig.partition.segments[1].base_offset;
    rig.partition
        .advance_log_start(behind, Ticket::NONE)
        .unwrap();
    rig.settle();
    assert!(rig.partition.files().all(|file| file.file != first));
    while rig.partition.segments.back().unwrap().file != first {
        if rig.partition.roll_needed(9_000, 1_000) {
            let segment = NewSegment {
                file: first,
                generation: 1,
                file_bytes: rig.partition.segment_file_bytes(9_000),
                prepared: 0,
            };
            rig.partition.roll(segment, 1_000);
        } else {
            rig.append(9_000, 0, false);
        }
    }
    rig.partition.write_done(write.id);
    let reused = rig.partition.segments.back().unwrap();
    assert_eq!(reused.index_blocks_written, 0, "another segment's index");
}

#[test]
fn retention_by_time_empties_the_log_active_segment_included() {
    let mut config = config(Durability::Disk);
    config.retention_ms = 1_000;
    let mut rig = Rig::new(3, config);
    for _ in 0..10 {
        rig.append(9_000, 0, false);
    }
    rig.settle();
    let log_end = rig.partition.offsets().log_end;
    assert_eq!(rig.partition.apply_retention(500_000), None);
    let log_start = rig.partition.apply_retention(5_000_000).unwrap();
    assert_eq!(log_start, log_end);
    rig.partition
        .advance_log_start(log_start, Ticket::NONE)
        .unwrap();
    rig.settle();
    assert_eq!(rig.partition.files().count(), 0);
    assert_eq!(rig.partition.memory_bytes(), 0);
    rig.append(500, 0, false);
    rig.settle();
    rig.full_checkpoint();
    rig.partition.evict(usize::MAX);
    rig.read(log_end, 1000, ReadBound::HighWatermark);
}

#[test]
fn no_entry_mixes_leader_epochs() {
    let mut rig = Rig::new(4, config(Durability::Disk));
    rig.append(100, 0, false);
    rig.partition.raise_epoch(7);
    let appended = rig.append(100, 0, false);
    assert_eq!(rig.partition.offsets().leader_epoch, 7);
    rig.close(100_000);
    rig.resolve();
    let entries = rig
        .journal
        .iter()
        .filter(|(_, item)| matches!(item, super::rig::Item::Entry(_)));
    assert_eq!(entries.count(), 2);
    assert_eq!(
        rig.partition.end_of_epoch(0),
        Some((0, appended.base_offset))
    );
    assert_eq!(
        rig.partition.end_of_epoch(7),
        Some((7, appended.end_offset))
    );
    assert_eq!(rig.partition.end_of_epoch(8), None);
}

#[test]
fn a_timestamp_search_never_begins_behind_the_wanted_batch() {
    let mut rig = written_rig(60, 9_000);
    rig.append(9_000, 0, false);
    let batches: Vec<(i64, i64)> = rig
        .batches
        .iter()
        .map(|(base, (_, bytes))| {
            let timestamp = i64::from_be_bytes(bytes[35..43].try_into().unwrap());
            (*base, timestamp)
        })
        .collect();
    let largest = batches.iter().max_by_key(|b| (b.1, -b.0)).unwrap();
    let found = rig.partition.largest_timestamp().unwrap();
    assert_eq!(found.rest, Some((largest.1, largest.0)));
    assert_eq!(found.look_until, 0);
    for wanted in (0..1_000_000)
        .step_by(9_973)
        .chain([largest.1, largest.1 + 1])
    {
        let first = batches.iter().find(|b| b.1 >= wanted);
        match (rig.partition.search_timestamp(wanted).unwrap(), first) {
            (TimestampSearch::NotFound, None) => {}
            (TimestampSearch::StartAt(offset), Some(first)) => assert!(offset <= first.0),
            other => panic!("{wanted}: {other:?}"),
        }
    }
}

#[test]
fn a_null_partition_hands_out_offsets_and_keeps_nothing() {
    let mut rig = Rig::new(5, config(Durability::Null));
    let bytes = super::rig::batch(&mut rig.random, 5_000, (-1, -1), 3);
    for i in 0..10 {
        let appended = rig.append_batch(&bytes, false).unwrap();
        assert_eq!(appended.base_offset, i * 3);
        assert!(appended.is_acked);
    }
    assert_eq!(rig.partition.memory_bytes(), 0);
    assert_eq!(rig.partition.files().count(), 0);
    assert_eq!(rig.partition.close_deadline_ns(), None);
    let found = rig.read_request(&request(0)).unwrap();
    assert_eq!(found.bytes, 0);
}

#[test]
fn an_idle_partition_is_small() {
    let rig = written_rig(3, 1000);
    let index_bytes: usize = rig
        .partition
        .segments
        .iter()
        .filter_map(|segment| segment.index.as_ref())
        .map(|index| index.heap_bytes())
        .sum();
    let segments = rig.partition.segments.capacity() * size_of::<Segment>();
    let held = size_of::<Partition>() + segments + index_bytes;
    assert!(held <= 4096, "{held} bytes");
    assert_eq!(rig.partition.memory_bytes(), 0);
}

#[test]
fn state_bytes_that_are_cut_or_flipped_are_refused_or_harmless() {
    let mut rig = written_rig(30, 9_000);
    let mut state = Vec::new();
    rig.partition.begin_checkpoint(&mut state);
    for cut in 0..state.len() {
        assert!(Partition::restore(&state[..cut]).is_err(), "cut at {cut}");
    }
    for at in 0..state.len() {
        let mut flipped = state.clone();
        flipped[at] ^= 0x80;
        // Must not panic or ask for much; what it says is the checkpoint's check to refuse.
        let _ = Partition::restore(&flipped).is_ok();
    }
}
