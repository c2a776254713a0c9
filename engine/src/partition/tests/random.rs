//! Random life of a partition by seed: appends of all kinds, writes that complete out of order,
//! checkpoints, evictions, reads, rolls, deletions, and power cuts anywhere.

use super::super::*;
use super::rig::{Counts, Rig, config};

fn step(rig: &mut Rig, with_log_start: bool) {
    match rig.random.below(32) {
        0..=7 => {
            let bytes = match rig.random.below(12) {
                0..=6 => 61 + rig.random.below(700),
                7..=9 => 61 + rig.random.below(20_000),
                10 => 61 + rig.random.below(120_000),
                _ => 61 + rig.random.below(400_000),
            };
            let producer = rig.random.below(4) as usize;
            let as_slab = bytes > 8192 && !rig.random.one_in(3);
            rig.append(bytes as usize, producer, as_slab);
        }
        8 => {
            let producer = 1 + rig.random.below(3) as usize;
            rig.append_duplicate(producer);
        }
        9..=10 => {
            let bytes_min = 4096 << rig.random.below(6);
            rig.plan_placed(bytes_min);
        }
        11..=14 => {
            if rig.sequence - rig.resolved < 4 {
                let bytes_max = 4096 + (16 << rig.random.below(16)) as usize;
                rig.close(bytes_max);
            }
        }
        15..=17 => rig.resolve(),
        18 => rig.write_journal(),
        19..=20 => {
            rig.plan_write_back(WriteBackNeed::Full);
        }
        21 => {
            rig.plan_write_back(WriteBackNeed::Any);
        }
        22..=24 => {
            if !rig.in_flight.is_empty() {
                let number = rig.random.below(rig.in_flight.len() as u64) as usize;
                rig.perform(number);
            }
        }
        25 => rig.prepare_all(),
        26 => rig.begin_checkpoint(),
        27 => {
            rig.try_end_checkpoint();
        }
        28 => {
            let bytes = if rig.random.one_in(2) {
                usize::MAX
            } else {
                1 + rig.random.below(300_000) as usize
            };
            if rig.random.one_in(2) {
                rig.partition.evict_blocks(bytes);
            } else {
                rig.partition.evict(bytes);
            }
            rig.plan_index_write();
        }
        29 => {
            if rig.random.one_in(3) {
                rig.partition.evict_indexes();
            }
            if with_log_start && rig.random.one_in(6) {
                let hw = rig.partition.offsets().high_watermark;
                let offset = rig.random.below(hw.cast_unsigned() + 1).cast_signed();
                rig.partition
                    .advance_log_start(offset, Ticket::NONE)
                    .unwrap();
            }
        }
        _ => {
            let offsets = rig.partition.offsets();
            let span = (offsets.log_end - offsets.log_start).cast_unsigned() + 1;
            let offset = offsets.log_start + rig.random.below(span).cast_signed();
            let bound = if rig.random.one_in(2) {
                ReadBound::LogEnd
            } else {
                ReadBound::HighWatermark
            };
            let bytes_max = 1 + rig.random.below(300_000) as usize;
            rig.read(offset, bytes_max, bound);
        }
    }
}

fn run(seed: u64, durability: Durability, counts: &mut Counts) {
    let mut rig = Rig::new(seed, config(durability));
    let steps = 100 + rig.random.below(500);
    let crash_one_in = 40 + rig.random.below(400);
    let with_log_start = rig.random.one_in(2);
    for _ in 0..steps {
        step(&mut rig, with_log_start);
        if rig.random.one_in(crash_one_in) {
            rig.crash();
            rig.read_all();
        }
    }
    rig.settle();
    rig.read_all();
    rig.full_checkpoint();
    while rig.plan_index_write() {
        rig.perform_all();
    }
    rig.partition.evict(usize::MAX);
    rig.partition.evict_indexes();
    assert_eq!(
        rig.partition.memory_bytes(),
        0,
        "an idle partition holds no arena memory"
    );
    rig.read_all();
    rig.check_identities();
    add(counts, &rig.counts);
}

fn add(to: &mut Counts, from: &Counts) {
    to.placed += from.placed;
    to.images += from.images;
    to.rolls += from.rolls;
    to.torn += from.torn;
    to.disk_reads += from.disk_reads;
    to.index_reads += from.index_reads;
    to.tail_blocks += from.tail_blocks;
    to.duplicates += from.duplicates;
    to.checkpoints += from.checkpoints;
    to.dropped += from.dropped;
    to.slabs += from.slabs;
    to.splits += from.splits;
}

fn survives(seed: u64, durability: Durability, counts: &mut Counts) -> bool {
    let life = std::panic::AssertUnwindSafe(|| run(seed, durability, counts));
    std::panic::catch_unwind(life).is_ok()
}

/// The first seed whose life ends in a broken promise.
pub(super) fn first_failing_seed(durability: Durability, mut seeds: Range<u64>) -> Option<u64> {
    let mut counts = Counts::default();
    seeds.find(|&seed| !survives(seed, durability, &mut counts))
}

fn run_seeds(durability: Durability, seeds: Range<u64>) {
    let mut counts = Counts::default();
    for seed in seeds {
        let survived = survives(seed, durability, &mut counts);
        assert!(survived, "seed {seed} of {durability:?}");
    }
    // A run that did not come by these places proves nothing about them.
    let seen = [
        counts.placed,
        counts.images,
        counts.rolls,
        counts.torn,
        counts.disk_reads,
        counts.index_reads,
        counts.tail_blocks,
        counts.duplicates,
        counts.checkpoints,
        counts.dropped,
        counts.slabs,
        counts.splits,
    ];
    assert!(seen.iter().all(|&count| count > 0), "{counts:?}");
}

#[test]
fn a_durable_partition_keeps_its_promises_over_random_lives() {
    run_seeds(Durability::Disk, 0..60);
}

#[test]
fn a_written_partition_never_reuses_an_exposed_offset() {
    run_seeds(Durability::Written, 0..40);
}

#[test]
fn a_memory_partition_never_reuses_an_exposed_offset() {
    run_seeds(Durability::Memory, 0..40);
}
