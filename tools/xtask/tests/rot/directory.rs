//! A data directory with a past, and what must be in it.

use super::batches::batch;
use super::damage::{Snapshot, snapshot};
use super::node::{ARENA_BYTES, Node};
use millrace_engine::io::simulated::{Random, World, WorldConfig};
use std::collections::BTreeMap;

/// How much is idle before the end, so that marks are on the disk.
const IDLE_NS: u64 = 30_000_000;

/// A partition's log as it was acknowledged.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    /// By base offset: end offset and bytes.
    pub(crate) batches: BTreeMap<i64, (i64, Vec<u8>)>,
    pub(crate) log_start: i64,
}

impl Log {
    pub(crate) fn end(&self) -> i64 {
        self.batches
            .values()
            .map(|(end, _)| *end)
            .max()
            .unwrap_or(0)
    }

    pub(crate) fn add(&mut self, base_offset: i64, bytes: Vec<u8>) {
        let records = i64::from(i32::from_be_bytes([
            bytes[57], bytes[58], bytes[59], bytes[60],
        ]));
        self.batches
            .insert(base_offset, (base_offset + records, bytes));
    }
}

/// A directory at rest.
pub(crate) struct Directory {
    pub(crate) world: World,
    pub(crate) shards: usize,
    pub(crate) logs: BTreeMap<u64, Log>,
    /// The files at some earlier time.
    pub(crate) before: Snapshot,
    /// The files before what was done last.
    pub(crate) last: Snapshot,
}

/// Makes one.
pub(crate) fn make(seed: u64, random: &mut Random) -> Result<Directory, String> {
    let settings = WorldConfig {
        arena_bytes: ARENA_BYTES,
        ..WorldConfig::default()
    };
    let shards = 1 + usize::from(random.chance(1, 3));
    let (world, ios) = World::new(seed, 1, settings);
    drop(ios);
    let mut logs = BTreeMap::new();
    let mut node = Node::start(&world, shards)?;
    for number in 1..=2 + random.below(3) {
        node.create(number)?;
        logs.insert(number, Log::default());
    }
    let (mut before, mut last) = (Snapshot::new(), Snapshot::new());
    let bursts = 4 + random.below(20);
    let snapshot_at = random.below(bursts);
    for burst in 0..bursts {
        if burst == snapshot_at {
            before = snapshot(&world);
        }
        if burst + 1 == bursts {
            last = snapshot(&world);
        }
        work(&mut node, random, &mut logs)?;
        if random.chance(1, 8) {
            rest(&world, node, random)?;
            node = Node::start(&world, shards)?;
        }
    }
    rest(&world, node, random)?;
    Ok(Directory {
        world,
        shards,
        logs,
        before,
        last,
    })
}

/// Appends side by side, and now and then a log start that moves.
fn work(node: &mut Node, random: &mut Random, logs: &mut BTreeMap<u64, Log>) -> Result<(), String> {
    let count = logs.len() as u64;
    let mut sent = Vec::new();
    for _ in 0..1 + random.below(8) {
        let number = 1 + random.below(count);
        let sizes = [100, 1000, 5000, 20_000, 90_000];
        let size = sizes[random.below(5) as usize];
        let bytes = 70 + random.below(size) as usize;
        let batch = batch(random, bytes);
        sent.push((number, node.submit(number, &batch)?));
        if random.chance(1, 2) {
            node.turn();
        }
    }
    for (number, pending) in sent {
        let (base_offset, bytes) = node.wait(pending)?;
        let log = logs.entry(number).or_default();
        log.add(base_offset, bytes);
    }
    if random.chance(1, 10) {
        let number = 1 + random.below(count);
        let log = logs.entry(number).or_default();
        let offset = random.below(log.end() as u64 + 1) as i64;
        if offset > log.log_start {
            node.advance_log_start(number, offset)?;
            log.log_start = offset;
        }
    }
    Ok(())
}

/// Ends a process: everything was acknowledged, and what must be durable is.
fn rest(world: &World, mut node: Node, random: &mut Random) -> Result<(), String> {
    let until_ns = world.now_ns() + IDLE_NS;
    while world.now_ns() < until_ns {
        node.turn();
    }
    match random.below(3) {
        0 => {
            node.stop()?;
            world.kill();
        }
        1 => world.kill(),
        _ => world.power_cut(),
    }
    Ok(())
}
