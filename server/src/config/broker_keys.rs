//! Every broker setting that means something here.

use super::topic_keys::{CLEANUP, COMPRESSION, MAX_BATCH, SEGMENT_BYTES, TIMESTAMP};
use super::value::Kind;

/// A broker setting.
#[derive(Debug)]
pub struct BrokerKey {
    /// Its name.
    pub name: &'static str,
    /// Type and range.
    pub kind: Kind,
    /// What holds when nobody set it; `None`: not set.
    pub default: Option<&'static str>,
    /// One or two sentences.
    pub documentation: &'static str,
}

const INT: Kind = Kind::Int {
    min: 1,
    max: i32::MAX,
};
const ANY: Kind = Kind::Long {
    min: 0,
    max: i64::MAX,
};
const POSITIVE: Kind = Kind::Long {
    min: 1,
    max: i64::MAX,
};
const FROM_MINUS_ONE: Kind = Kind::Long {
    min: -1,
    max: i64::MAX,
};
const FROM_MINUS_TWO: Kind = Kind::Long {
    min: -2,
    max: i64::MAX,
};
const INT_FROM_MINUS_ONE: Kind = Kind::Int {
    min: -1,
    max: i32::MAX,
};

const fn key(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    documentation: &'static str,
) -> BrokerKey {
    BrokerKey {
        name,
        kind,
        default: Some(default),
        documentation,
    }
}

const fn unset(name: &'static str, kind: Kind, documentation: &'static str) -> BrokerKey {
    BrokerKey {
        name,
        kind,
        default: None,
        documentation,
    }
}

/// All broker settings, by name.
pub static BROKER_KEYS: &[BrokerKey] = &[
    unset(
        "advertised.listeners",
        Kind::Text,
        "What clients are told to connect to, as --advertised.",
    ),
    key(
        "auto.create.topics.enable",
        Kind::Bool,
        "true",
        "Whether a Metadata request creates the topics it names and does not find.",
    ),
    unset(
        "broker.id",
        Kind::Int {
            min: 0,
            max: 1_000_000,
        },
        "As node.id.",
    ),
    key(
        "compression.gzip.level",
        Kind::Int { min: -1, max: 9 },
        "-1",
        "Default of the topic config.",
    ),
    key(
        "compression.lz4.level",
        Kind::Int { min: 1, max: 17 },
        "9",
        "Default of the topic config.",
    ),
    key(
        "compression.type",
        COMPRESSION,
        "producer",
        "Default of the topic config.",
    ),
    key(
        "compression.zstd.level",
        Kind::Int {
            min: -131_072,
            max: 22,
        },
        "3",
        "Default of the topic config.",
    ),
    key(
        "connections.max.idle.ms",
        Kind::Long {
            min: -1,
            max: i64::MAX,
        },
        "600000",
        "A connection without requests for this long is closed; -1 for never.",
    ),
    key(
        "default.replication.factor",
        Kind::Int { min: 1, max: 1 },
        "1",
        "Replicas of automatically created topics; one node has one.",
    ),
    key(
        "delete.topic.enable",
        Kind::Bool,
        "true",
        "Whether topics may be deleted.",
    ),
    key(
        "fetch.max.bytes",
        Kind::Int {
            min: 1024,
            max: i32::MAX,
        },
        "57671680",
        "Most record bytes in one fetch response, the first batch apart.",
    ),
    key(
        "group.initial.rebalance.delay.ms",
        Kind::Int {
            min: 0,
            max: 600_000,
        },
        "3000",
        "How long the first rebalance of an empty group waits for more members; again while they \
         come, up to their rebalance timeout.",
    ),
    key(
        "group.max.session.timeout.ms",
        INT,
        "1800000",
        "Longest session timeout that a member may ask for.",
    ),
    key(
        "group.max.size",
        INT,
        "2147483647",
        "Members of one group at most.",
    ),
    key(
        "group.min.session.timeout.ms",
        INT,
        "6000",
        "Shortest session timeout that a member may ask for.",
    ),
    unset("listeners", Kind::Text, "Where to listen, as --listen."),
    key(
        "log.cleaner.backoff.ms",
        ANY,
        "15000",
        "Time between looks for something to compact when there was nothing.",
    ),
    key(
        "log.cleaner.dedupe.buffer.size",
        ANY,
        "134217728",
        "Memory for keys while topics are compacted, of all shards, within its part of --memory; \
         what does not fit waits for the next run.",
    ),
    key(
        "log.cleaner.delete.retention.ms",
        ANY,
        "86400000",
        "Default of delete.retention.ms.",
    ),
    key(
        "log.cleaner.enable",
        Kind::Bool,
        "true",
        "Whether compacted topics are compacted.",
    ),
    key(
        "log.cleaner.io.max.bytes.per.second",
        Kind::Double {
            min: 1.0,
            max: f64::MAX,
        },
        "67108864",
        "Bytes that compaction reads and writes at most, of all shards. Kafka's default is no \
         bound.",
    ),
    key(
        "log.cleaner.max.compaction.lag.ms",
        POSITIVE,
        "9223372036854775807",
        "Default of max.compaction.lag.ms.",
    ),
    key(
        "log.cleaner.min.cleanable.ratio",
        Kind::Double { min: 0.0, max: 1.0 },
        "0.5",
        "Default of min.cleanable.dirty.ratio.",
    ),
    key(
        "log.cleaner.min.compaction.lag.ms",
        ANY,
        "0",
        "Default of min.compaction.lag.ms.",
    ),
    key(
        "log.cleanup.policy",
        CLEANUP,
        "delete",
        "Default of cleanup.policy.",
    ),
    key(
        "log.flush.interval.messages",
        POSITIVE,
        "9223372036854775807",
        "Default of flush.messages.",
    ),
    unset("log.flush.interval.ms", ANY, "Default of flush.ms."),
    key(
        "log.index.interval.bytes",
        Kind::Int {
            min: 0,
            max: i32::MAX,
        },
        "4096",
        "Default of index.interval.bytes.",
    ),
    key(
        "log.index.size.max.bytes",
        Kind::Int {
            min: 4,
            max: i32::MAX,
        },
        "10485760",
        "Default of segment.index.bytes.",
    ),
    key(
        "log.local.retention.bytes",
        FROM_MINUS_TWO,
        "-2",
        "Default of local.retention.bytes.",
    ),
    key(
        "log.local.retention.ms",
        FROM_MINUS_TWO,
        "-2",
        "Default of local.retention.ms.",
    ),
    key(
        "log.message.timestamp.after.max.ms",
        ANY,
        "3600000",
        "Default of message.timestamp.after.max.ms.",
    ),
    key(
        "log.message.timestamp.before.max.ms",
        ANY,
        "9223372036854775807",
        "Default of message.timestamp.before.max.ms.",
    ),
    key(
        "log.message.timestamp.type",
        TIMESTAMP,
        "CreateTime",
        "Default of message.timestamp.type.",
    ),
    key(
        "log.preallocate",
        Kind::Bool,
        "false",
        "Default of preallocate.",
    ),
    key(
        "log.retention.bytes",
        FROM_MINUS_ONE,
        "-1",
        "Default of retention.bytes.",
    ),
    key(
        "log.retention.check.interval.ms",
        Kind::Long {
            min: 100,
            max: i64::MAX,
        },
        "300000",
        "How often old segments are looked for.",
    ),
    key(
        "log.retention.hours",
        INT_FROM_MINUS_ONE,
        "168",
        "Default of retention.ms, in hours.",
    ),
    unset(
        "log.retention.minutes",
        INT_FROM_MINUS_ONE,
        "Default of retention.ms, in minutes.",
    ),
    unset(
        "log.retention.ms",
        FROM_MINUS_ONE,
        "Default of retention.ms.",
    ),
    key(
        "log.roll.hours",
        INT,
        "168",
        "Default of segment.ms, in hours.",
    ),
    key(
        "log.roll.jitter.hours",
        Kind::Int {
            min: 0,
            max: i32::MAX,
        },
        "0",
        "Default of segment.jitter.ms, in hours.",
    ),
    unset("log.roll.jitter.ms", ANY, "Default of segment.jitter.ms."),
    unset("log.roll.ms", POSITIVE, "Default of segment.ms."),
    key(
        "log.segment.bytes",
        SEGMENT_BYTES,
        "1073741824",
        "Default of segment.bytes.",
    ),
    key(
        "log.segment.delete.delay.ms",
        ANY,
        "60000",
        "Default of file.delete.delay.ms.",
    ),
    key(
        "max.connections",
        INT,
        "10000",
        "Connections at most, over all shards; `--memory` may have room for fewer (the start says \
         how many).",
    ),
    key(
        "max.connections.per.ip",
        INT,
        "5000",
        "Connections at most from one address.",
    ),
    key(
        "max.incremental.fetch.session.cache.slots",
        Kind::Int {
            min: 0,
            max: 1_000_000,
        },
        "1000",
        "Incremental fetch sessions at most, over all shards.",
    ),
    key(
        "message.max.bytes",
        MAX_BATCH,
        "1048588",
        "Default of max.message.bytes.",
    ),
    key(
        "millrace.checkpoint.interval.ms",
        Kind::Long {
            min: 100,
            max: 3_600_000,
        },
        "10000",
        "Longest time between checkpoints while there is something to write.",
    ),
    key(
        "millrace.connection.requests.max",
        Kind::Int {
            min: 1,
            max: 10_000,
        },
        "256",
        "Requests of one connection in flight at most; more wait in the socket.",
    ),
    key(
        "millrace.durability",
        Kind::Choice(&["disk", "written", "memory", "null"]),
        "disk",
        "Default of the topic config.",
    ),
    key(
        "millrace.group.snapshot.bytes",
        Kind::Int {
            min: 1024,
            max: 1 << 30,
        },
        "1048576",
        "A partition of __consumer_offsets is rewritten and trimmed when it has grown by this much \
         since the last time, and by twice what it came to then.",
    ),
    unset(
        "millrace.journal.bytes",
        Kind::Long {
            min: 1 << 20,
            max: 64 << 30,
        },
        "Bytes of each shard's journal when it is made; not set: twice its memory, at most its \
         share of 1 GiB (but 256 MiB), and together at most an eighth of the free disk.",
    ),
    key(
        "millrace.partitions.max",
        Kind::Int {
            min: 1,
            max: 1_000_000,
        },
        "100000",
        "Partitions at most on one shard.",
    ),
    key(
        "millrace.producers.max",
        Kind::Int {
            min: 1,
            max: 10_000_000,
        },
        "100000",
        "Idempotent producers remembered at most on one shard; of more, the longest silent are \
         forgotten. `--memory` may have room for fewer.",
    ),
    key(
        "min.insync.replicas",
        INT,
        "1",
        "Default of the topic config.",
    ),
    unset(
        "node.id",
        Kind::Int {
            min: 0,
            max: 1_000_000,
        },
        "Id of the first node, as --node-id; with --advertise per-core each shard adds its number.",
    ),
    key(
        "num.partitions",
        Kind::Int {
            min: 1,
            max: 10_000,
        },
        "1",
        "Partitions of a topic whose creator did not say.",
    ),
    key(
        "offset.metadata.max.bytes",
        Kind::Int {
            min: 0,
            max: 32_767,
        },
        "4096",
        "Longest metadata beside a committed offset.",
    ),
    key(
        "offsets.retention.check.interval.ms",
        INT,
        "600000",
        "How often expired committed offsets are looked for.",
    ),
    key(
        "offsets.retention.minutes",
        INT,
        "10080",
        "How long committed offsets are kept after their group became empty (KIP-211).",
    ),
    key(
        "offsets.topic.num.partitions",
        Kind::Int {
            min: 1,
            max: 10_000,
        },
        "50",
        "Partitions of __consumer_offsets when it is created, at the first use of a group.",
    ),
    key(
        "offsets.topic.segment.bytes",
        SEGMENT_BYTES,
        "104857600",
        "Largest segment of __consumer_offsets.",
    ),
    key(
        "producer.id.expiration.ms",
        Kind::Int {
            min: 1,
            max: i32::MAX,
        },
        "86400000",
        "A producer id without appends for this long is forgotten.",
    ),
    key(
        "queued.max.requests",
        INT,
        "500",
        "Requests of one shard that may wait for other shards before it stops reading sockets.",
    ),
    key(
        "socket.request.max.bytes",
        Kind::Int {
            min: 1024,
            max: 1 << 30,
        },
        "104857600",
        "Largest request.",
    ),
    key(
        "unclean.leader.election.enable",
        Kind::Bool,
        "false",
        "Default of the topic config.",
    ),
];

/// The broker setting called `name`.
#[must_use]
pub fn broker_key(name: &str) -> Option<&'static BrokerKey> {
    BROKER_KEYS
        .binary_search_by(|key| key.name.cmp(name))
        .ok()
        .map(|index| &BROKER_KEYS[index])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_its_defaults_are_valid() {
        assert!(BROKER_KEYS.is_sorted_by(|a, b| a.name < b.name));
        for key in BROKER_KEYS {
            if let Some(default) = key.default {
                let checked = crate::config::normalize(key.name, key.kind, default);
                assert!(checked.is_ok(), "{} {default}", key.name);
            }
        }
    }
}
