//! Who takes part in a run, drawn from its seed: topics, producers, readers, and
//! sometimes a group, one who deletes records, or one who deletes its topic.

use super::actor::Actor;
use super::admin::{Admin, NewTopic};
use super::guide::Guide;
use super::member::Member;
use super::producer::{Producer, Style};
use super::reader::Reader;
use super::renewer::Renewer;
use super::scene::{Partition, Scene};
use super::session_reader::SessionReader;
use super::trimmer::Trimmer;
use millrace_engine::io::simulated::Random;
use millrace_engine::record_batch::Compression;
use xtask::history::{LogClass, Stays};

/// Longer than wall clocks jump in all.
const YEAR_MS: u64 = 365 * 86_400_000;
/// The broker's time is one of whole milliseconds, and some of a turn.
const CLOCK_NS: u64 = 2_000_000;

/// Everybody of a run.
pub(crate) fn cast(scene: &mut Scene) -> Vec<Box<dyn Actor>> {
    let topics = topics(scene);
    for (topic, class) in &topics {
        scene.add_topic(&topic.name, topic.partitions, *class);
    }
    let topics = topics.into_iter().map(|(topic, _)| topic).collect();
    let mut actors: Vec<Box<dyn Actor>> = vec![Box::new(Admin::new(1, topics))];
    actors.push(Box::new(Guide::new(2)));
    actors.extend(writers_and_readers(scene, 3));
    if scene.random.chance(1, 2) {
        let orders = |partition: &&Partition| partition.topic == "orders";
        let partitions: Vec<Partition> = scene.partitions.iter().filter(orders).cloned().collect();
        for _ in 0..1 + scene.random.below(3) {
            let id = actors.len() as u32 + 1;
            let member = Member::new(id, scene, "shop", partitions.clone());
            actors.push(Box::new(member));
        }
    }
    if scene.random.chance(1, 2) {
        for _ in 0..1 + scene.random.below(2) {
            let id = actors.len() as u32 + 1;
            let fetch_bytes = [1000, 20_000, 200_000][scene.random.below(3) as usize];
            let bytes_max = [fetch_bytes, 4 << 20][scene.random.below(2) as usize];
            let partitions = scene.partitions.clone();
            let reader = SessionReader::new(id, partitions, fetch_bytes, bytes_max);
            actors.push(Box::new(reader));
        }
    }
    if scene.random.chance(1, 2) {
        let nth = scene.random.below(scene.partitions.len() as u64) as usize;
        let partition = scene.partitions[nth].clone();
        let id = actors.len() as u32 + 1;
        let pause_ns_max = [500_000_000, 10_000_000_000][scene.random.below(2) as usize];
        actors.push(Box::new(Trimmer::new(id, partition, pause_ns_max)));
    }
    if scene.random.chance(1, 2) {
        let id = actors.len() as u32 + 1;
        let topic = topic(&mut scene.random, "offers", 1, "disk");
        actors.push(Box::new(Renewer::new(id, scene, topic)));
    }
    actors
}

/// Producers and a reader for each partition; their numbers count from `first_id`.
pub(crate) fn writers_and_readers(scene: &mut Scene, first_id: u32) -> Vec<Box<dyn Actor>> {
    let mut actors: Vec<Box<dyn Actor>> = Vec::new();
    for partition in scene.partitions.clone() {
        let random = &mut scene.random;
        for _ in 0..1 + random.below(2) {
            let id = first_id + actors.len() as u32;
            let style = style(random, &partition);
            actors.push(Box::new(Producer::new(id, partition.clone(), style)));
        }
        let id = first_id + actors.len() as u32;
        let fetch_bytes = [1000, 20_000, 200_000][random.below(3) as usize];
        let reader = Reader::new(id, partition, fetch_bytes, false);
        actors.push(Box::new(reader));
    }
    actors
}

fn topic(random: &mut Random, name: &str, partitions: u64, durability: &str) -> NewTopic {
    let segment_ms = [500, 5000, 3_600_000][random.below(3) as usize];
    NewTopic {
        name: name.to_owned(),
        partitions: partitions as i32,
        configs: vec![
            ("segment.bytes", (1 << 20).to_string()),
            ("segment.ms", segment_ms.to_string()),
            ("retention.ms", "-1".to_owned()),
            ("millrace.durability", durability.to_owned()),
        ],
    }
}

fn topics(scene: &mut Scene) -> Vec<(NewTopic, LogClass)> {
    let is_clock_steady = scene.is_clock_steady;
    let random = &mut scene.random;
    let partitions = 1 + random.below(3);
    let orders = topic(random, "orders", partitions, "disk");
    let mut topics = vec![(orders, LogClass::Durable)];
    if random.chance(1, 3) {
        let class = ["written", "memory"][random.below(2) as usize];
        let clicks = topic(random, "clicks", 1, class);
        topics.push((clicks, LogClass::Relaxed));
    }
    if random.chance(1, 3) {
        topics.push(compacted(random, is_clock_steady));
    }
    topics
}

/// A compacted topic, and what its log promises.
fn compacted(random: &mut Random, is_clock_steady: bool) -> (NewTopic, LogClass) {
    let mut topic = topic(random, "prices", 1, "disk");
    let mut set = |name, value: u64| topic.configs.push((name, value.to_string()));
    let pick = |random: &mut Random, of: [u64; 3]| of[random.below(3) as usize];
    let lag_ms = pick(random, [0, 0, 3000]);
    let is_overdue_soon = random.chance(1, 2);
    let tombstones_ms = pick(random, [0, 4000, YEAR_MS]);
    set("min.compaction.lag.ms", lag_ms);
    set("delete.retention.ms", tombstones_ms);
    if is_overdue_soon {
        set("max.compaction.lag.ms", lag_ms + 1000);
    }
    let ratio = ["0", "0.3", "0.6"][random.below(3) as usize];
    let configs = [
        ("min.cleanable.dirty.ratio", ratio),
        ("cleanup.policy", "compact"),
    ];
    let configs = configs.map(|(name, value)| (name, value.to_owned()));
    topic.configs.extend(configs);
    // Where the wall clock jumps, nothing is known of what goes by it.
    let known_ns = |ms: u64| match is_clock_steady {
        true => (ms * 1_000_000).saturating_sub(CLOCK_NS),
        false => 0,
    };
    let stays = Stays {
        records_ns: known_ns(lag_ms),
        tombstones_ns: match tombstones_ms {
            YEAR_MS => u64::MAX,
            ms => known_ns(ms),
        },
    };
    (topic, LogClass::Compacted(stays))
}

fn style(random: &mut Random, partition: &Partition) -> Style {
    let is_large = random.chance(1, 4);
    let codecs = [Compression::None, Compression::None, Compression::Lz4];
    Style {
        // A crash may take a relaxed log's producers with their records.
        // Of a batch that may be there twice, or not at all, the checker can say little by keys.
        is_idempotent: partition.is_durable
            && (random.chance(2, 3) || (partition.is_keyed && random.chance(2, 3))),
        is_retrying: random.chance(1, 2),
        in_flight_max: 1 + random.below(5) as usize,
        records_max: [1, 8, 40][random.below(3) as usize],
        value_bytes_max: if is_large { 12_000 } else { 300 },
        compression: codecs[random.below(3) as usize],
        think_ns_max: [300_000_000, 20_000_000, 1_000_000, 0][random.below(4) as usize],
        batches: 20 + random.below(if is_large { 60 } else { 150 }) as u32,
    }
}
