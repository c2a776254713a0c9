//! What all clients of a run share: the machine, the record of what happened, chance and limits.

use millrace_engine::io::simulated::{Random, World};
use millrace_server::protocol::ErrorCode;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use xtask::history::{History, LogClass, LogId, What};

/// The wall clock at the beginning of a run.
pub(crate) const WALL_START_MS: i64 = 1_700_000_000_000;

/// A topic partition of the run.
#[derive(Clone, Debug)]
pub(crate) struct Partition {
    pub(crate) topic: String,
    pub(crate) index: i32,
    pub(crate) log: LogId,
    pub(crate) is_durable: bool,
    /// It is compacted: its records have keys that mean something.
    pub(crate) is_keyed: bool,
}

/// What the clients share.
#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) world: World,
    pub(crate) history: History,
    pub(crate) random: Random,
    /// Where the broker listens.
    pub(crate) address: SocketAddr,
    pub(crate) partitions: Vec<Partition>,
    /// Nodes of the broker: they listen at consecutive ports.
    pub(crate) node_count: u16,
    /// Where a partition's leader listens, as metadata of this life said last.
    pub(crate) leaders: BTreeMap<(String, i32), SocketAddr>,
    pub(crate) metadata_told: u64,
    /// What a client saw that no broker may show.
    pub(crate) problems: Vec<String>,
    /// Nothing goes wrong any more: whoever waits too long found something.
    pub(crate) is_calm: bool,
    /// No operation of the disk fails but by a crash.
    pub(crate) is_disk_good: bool,
    /// Bits of files turned over, or the disk lies.
    pub(crate) is_rotten: bool,
    /// Answers, and refused starts, that told of damage.
    pub(crate) damage_told: u64,
    /// The wall clock never jumps: clients know the broker's time.
    pub(crate) is_clock_steady: bool,
    /// No new work: what was begun is finished.
    pub(crate) is_closing: bool,
    /// When the last topic was acknowledged.
    pub(crate) topics_known_ns: Option<u64>,
    /// Records that readers got.
    pub(crate) polled_records: u64,
    /// Offsets that readers of compacted logs went over without a record, and those that were read
    /// from start to end.
    pub(crate) compacted_away: u64,
    pub(crate) compacted_logs_read: u64,
    /// Fetch sessions that were begun, gone on with, found gone, or of another epoch, and
    /// partitions that their answers left out.
    pub(crate) sessions_begun: u64,
    pub(crate) sessions_gone_on: u64,
    pub(crate) sessions_lost: u64,
    pub(crate) sessions_stale: u64,
    pub(crate) sessions_left_out: u64,
    /// Deletions of records that were acknowledged.
    pub(crate) trims_done: u64,
    /// Topics that were deleted, and requests for one that found it gone.
    pub(crate) topics_deleted: u64,
    pub(crate) probes_done: u64,
    /// Long polls that a deletion ended.
    pub(crate) awaited_deletions: u64,
    /// Committed offsets that were acknowledged, and that were answered.
    pub(crate) commits_done: u64,
    pub(crate) offsets_fetched: u64,
    /// Members that left their group.
    pub(crate) members_left: u64,
    /// The end of what was acknowledged, by log.
    acked_ends: BTreeMap<LogId, i64>,
    /// The end of what may have been deleted, and the highest end seen, by log.
    ends: BTreeMap<LogId, (i64, i64)>,
    next_op: u64,
    next_number: u64,
}

impl Scene {
    pub(crate) fn new(world: World, random: Random, address: SocketAddr) -> Self {
        Self {
            world,
            history: History::default(),
            random,
            address,
            partitions: Vec::new(),
            node_count: 1,
            leaders: BTreeMap::new(),
            metadata_told: 0,
            problems: Vec::new(),
            is_calm: false,
            is_disk_good: true,
            is_rotten: false,
            damage_told: 0,
            is_clock_steady: false,
            is_closing: false,
            topics_known_ns: None,
            polled_records: 0,
            compacted_away: 0,
            compacted_logs_read: 0,
            sessions_begun: 0,
            sessions_gone_on: 0,
            sessions_lost: 0,
            sessions_stale: 0,
            sessions_left_out: 0,
            trims_done: 0,
            topics_deleted: 0,
            probes_done: 0,
            awaited_deletions: 0,
            commits_done: 0,
            offsets_fetched: 0,
            members_left: 0,
            acked_ends: BTreeMap::new(),
            ends: BTreeMap::new(),
            next_op: 0,
            next_number: 1,
        }
    }

    /// A broker of so many nodes starts.
    pub(crate) fn begin_nodes(&mut self, count: usize) {
        self.node_count = count as u16;
        self.leaders.clear();
    }

    /// Ids of the nodes and where they listen.
    pub(crate) fn nodes(&self) -> Vec<(i32, SocketAddr)> {
        let place = |nth: u16| SocketAddr::new(self.address.ip(), self.address.port() + nth);
        let nodes = (0..self.node_count).map(|nth| (i32::from(nth), place(nth)));
        nodes.collect()
    }

    /// Where any node listens.
    pub(crate) fn some_node(&mut self) -> SocketAddr {
        let nth = self.random.below(u64::from(self.node_count)) as usize;
        self.nodes()[nth].1
    }

    /// Where to ask for a partition.
    pub(crate) fn leader(&self, partition: &Partition) -> SocketAddr {
        let key = (partition.topic.clone(), partition.index);
        self.leaders.get(&key).copied().unwrap_or(self.address)
    }

    pub(crate) fn add_topic(&mut self, topic: &str, partitions: i32, class: LogClass) {
        for index in 0..partitions {
            let log = self.history.log(&format!("{topic}/{index}"), class);
            self.partitions.push(Partition {
                topic: topic.to_owned(),
                index,
                log,
                is_durable: class != LogClass::Relaxed,
                is_keyed: matches!(class, LogClass::Compacted(_)),
            });
        }
    }

    /// Whether a request that was sent at `sent_ns` must find every topic.
    pub(crate) fn knows_topics(&self, sent_ns: u64) -> bool {
        self.topics_known_ns.is_some_and(|since| sent_ns > since)
    }

    pub(crate) fn now_ns(&self) -> u64 {
        self.world.now_ns()
    }

    /// The time that clients give their records, where they know the broker's.
    pub(crate) fn time_ms(&self) -> Option<i64> {
        let now_ms = WALL_START_MS + (self.now_ns() / 1_000_000) as i64;
        self.is_clock_steady.then_some(now_ms)
    }

    pub(crate) fn op(&mut self) -> u64 {
        self.next_op += 1;
        self.next_op
    }

    /// Numbers for `count` records.
    pub(crate) fn numbers(&mut self, count: u32) -> u64 {
        let first = self.next_number;
        self.next_number += u64::from(count);
        first
    }

    /// Whether a client may be answered so: tried again, it goes well some day.
    pub(crate) fn may_answer(&self, code: ErrorCode) -> bool {
        match code {
            ErrorCode::KafkaStorageError | ErrorCode::UnknownServerError => !self.is_disk_good,
            ErrorCode::CorruptMessage => self.is_rotten,
            code => code.is_retriable(),
        }
    }

    /// Records below this offset may be gone.
    pub(crate) fn trimmed(&self, log: LogId) -> i64 {
        self.ends.get(&log).map_or(0, |(trimmed, _)| *trimmed)
    }

    /// The highest end of a log that a reader saw.
    pub(crate) fn known_end(&self, log: LogId) -> i64 {
        self.ends.get(&log).map_or(0, |(_, end)| *end)
    }

    /// A batch was acknowledged that ends here.
    pub(crate) fn saw_acked(&mut self, log: LogId, end: i64) {
        let known = self.acked_ends.entry(log).or_default();
        *known = end.max(*known);
    }

    /// Whether an empty answer at `offset` below the end of a log is none to wait for: a gap, until
    /// the next append. A crash leaves one in a relaxed log; in any log, a batch that was refused
    /// since it would have shared a block with damage.
    pub(crate) fn may_be_gap(&self, partition: &Partition, offset: i64) -> bool {
        let acked_end = self.acked_ends.get(&partition.log).copied();
        !partition.is_durable || (self.is_rotten && acked_end.is_none_or(|end| offset >= end))
    }

    pub(crate) fn saw_end(&mut self, log: LogId, end: i64) {
        let ends = self.ends.entry(log).or_default();
        ends.1 = ends.1.max(end);
    }

    /// Somebody is about to delete what lies below `offset`.
    pub(crate) fn trim(&mut self, client: u32, log: LogId, offset: i64) {
        self.note(client, What::Trim { log, offset });
        let ends = self.ends.entry(log).or_default();
        ends.0 = ends.0.max(offset);
    }

    pub(crate) fn note(&mut self, client: u32, what: What) {
        let now_ns = self.now_ns();
        self.history.push(now_ns, client, what);
    }

    pub(crate) fn problem(&mut self, client: u32, text: impl std::fmt::Display) {
        let now_ns = self.now_ns();
        self.problems
            .push(format!("at {now_ns} client {client}: {text}"));
    }
}
