//! What the partitions of a recording are like, and the batches that go to them. All of it follows
//! from the seed, so that a batch can be made again when it has to be sent again.

use crate::machine::Machine;
use millrace_engine::engine::{Cores, EngineConfig};
use millrace_engine::ids::{PartitionHandle, TopicId};
use millrace_engine::partition::{Durability, PartitionConfig, PartitionSpec};
use millrace_engine::record_batch::Compression;
use millrace_engine::record_batch::builder::{BatchBuilder, Producer};
use std::ops::Range;
use xtask::images::dice::Dice;

/// Partitions at the start.
pub(crate) const PARTITIONS: u64 = 8;

/// Sizes of batches, in bytes, and how often of 100.
type Sizes = &'static [(u64, Range<u64>)];

/// One kind of partition.
#[derive(Debug)]
struct Shape {
    segment_bytes: u64,
    retention_bytes: i64,
    is_idempotent: bool,
    sizes: Sizes,
}

const SHAPES: [Shape; 4] = [
    // Small batches that share commits and blocks.
    Shape {
        segment_bytes: 192 << 10,
        retention_bytes: -1,
        is_idempotent: true,
        sizes: &[(100, 60..2_000)],
    },
    // In the commit and placed, by turns; files large enough to be recycled.
    Shape {
        segment_bytes: 1 << 20,
        retention_bytes: 1500 << 10,
        is_idempotent: true,
        sizes: &[(60, 200..9_000), (35, 15_000..90_000), (5, 90_000..200_000)],
    },
    // Mostly placed.
    Shape {
        segment_bytes: 1 << 20,
        retention_bytes: 1200 << 10,
        is_idempotent: false,
        sizes: &[(30, 100..5_000), (70, 40_000..300_000)],
    },
    // Segments that hardly hold a few batches.
    Shape {
        segment_bytes: 64 << 10,
        retention_bytes: 300 << 10,
        is_idempotent: true,
        sizes: &[(90, 500..8_000), (10, 8_000..30_000)],
    },
];

const fn shape(handle: u64) -> &'static Shape {
    // Shards go by the remainder of the handle: each of two gets every shape.
    &SHAPES[(handle / 2 % 4) as usize]
}

/// Retention of a partition, -1 for none.
pub(crate) const fn retention_bytes(handle: u64) -> i64 {
    shape(handle).retention_bytes
}

/// What a partition is created with.
pub(crate) fn partition(handle: u64) -> PartitionSpec {
    let mut topic_id = [0x5a; 16];
    topic_id[..8].copy_from_slice(&handle.to_le_bytes());
    let shape = shape(handle);
    PartitionSpec {
        handle: PartitionHandle(handle),
        topic_id: TopicId(topic_id),
        index: 0,
        config: PartitionConfig {
            durability: Durability::Disk,
            segment_bytes: shape.segment_bytes,
            segment_ms: i64::MAX,
            retention_bytes: shape.retention_bytes,
            retention_ms: -1,
            flush_messages: u64::MAX,
            flush_ms: 1000,
            batch_bytes_max: 1 << 20,
            producer_expiration_ms: i64::MAX,
            is_log_append_time: false,
            compaction: None,
        },
    }
}

/// How many disks a seed has: journals may have one of their own.
pub(crate) const fn disks(seed: u64) -> usize {
    1 + Dice::new(seed, 12).below(2) as usize
}

/// The engine of a recording: little of everything, so that all comes round within seconds.
pub(crate) fn engine(machine: &Machine, seed: u64) -> EngineConfig {
    let data = machine.mount_point(0).join("data");
    let journal = machine.mount_point(1).join("journal");
    let mut dice = Dice::new(seed, 11);
    EngineConfig {
        journal_dir: (disks(seed) > 1).then_some(journal),
        cores: Cores::Listed(vec![0; 1 + dice.below(2) as usize]),
        memory_bytes: 32 << 20,
        journal_bytes: Some((1 << 20) << dice.below(2)),
        open_files_max: 24,
        // Nothing is placed where it is above every batch: then only write-back fills segments.
        placed_bytes_min: [12 << 10, 12 << 10, 1 << 20][dice.below(3) as usize],
        idle_mark_ms: 2,
        checkpoint_interval_ms: 50 << dice.below(4),
        retention_check_ms: 60,
        ballast_bytes: 1 << 20,
        ..EngineConfig::new(data)
    }
}

/// The engine of a recovery: what was found must stay for a second look.
pub(crate) fn recovering_engine(machine: &Machine, seed: u64) -> EngineConfig {
    EngineConfig {
        retention_check_ms: 86_400_000,
        ..engine(machine, seed)
    }
}

/// Makes batch `number` of a partition, whose producer has sent `sequence` records before. Its
/// bytes, and how many records it has.
pub(crate) fn batch(seed: u64, handle: u64, number: u64, sequence: i32) -> (Vec<u8>, i32) {
    let shape = shape(handle);
    let mut dice = Dice::new(seed ^ (handle << 40), number);
    let mut drawn = dice.below(100);
    let mut bytes = 60..2_000;
    for (share, sizes) in shape.sizes {
        if drawn < *share {
            bytes = sizes.clone();
            break;
        }
        drawn -= share;
    }
    let records = 1 + dice.below(4);
    let length = dice.within(&bytes) / records;
    let compression = match dice.below(8) {
        0 => Compression::Lz4,
        _ => Compression::None,
    };
    let mut builder = BatchBuilder::new(compression);
    builder.set_producer(shape.is_idempotent.then_some(Producer {
        id: handle as i64 + 1000,
        epoch: 0,
        base_sequence: sequence,
    }));
    let mut value = vec![0; length as usize];
    for record in 0..records {
        dice.fill(&mut value);
        builder.push((number + record) as i64, None, Some(&value), &[]);
    }
    let built = builder.build();
    (built.expect("bounded above"), records as i32)
}

/// Whether sending a batch again must not add it again.
pub(crate) const fn is_idempotent(handle: u64) -> bool {
    shape(handle).is_idempotent
}

/// A sum over what the engine leaves as it is: everything but base offset and leader epoch.
pub(crate) fn sum(batch: &[u8]) -> u64 {
    let mut sum = batch.len() as u64;
    let kept = [batch.get(8..12), batch.get(16..)];
    for chunk in kept.into_iter().flatten().flat_map(|part| part.chunks(8)) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        sum = (sum ^ u64::from_le_bytes(word))
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(31);
    }
    sum
}
