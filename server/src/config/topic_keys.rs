//! Every topic config: Kafka's, and `millrace.durability`.

use super::value::Kind;

/// A topic config.
#[derive(Debug)]
pub struct TopicKey {
    /// Its name.
    pub name: &'static str,
    /// Type and range.
    pub kind: Kind,
    /// What holds when nobody set anything.
    pub default: &'static str,
    /// Broker keys that give the default, the strongest first, with the factor to this key's unit.
    pub broker: &'static [(&'static str, i64)],
    /// One or two sentences.
    pub documentation: &'static str,
}

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
const REPLICAS: Kind = Kind::Text;
/// Values of `compression.type`.
pub const COMPRESSION: Kind =
    Kind::Choice(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]);
/// Values of `cleanup.policy`.
pub const CLEANUP: Kind = Kind::List(&["compact", "delete"]);
/// Values of `message.timestamp.type`.
pub const TIMESTAMP: Kind = Kind::Choice(&["CreateTime", "LogAppendTime"]);
/// Range of `segment.bytes`.
pub const SEGMENT_BYTES: Kind = Kind::Int {
    min: 1 << 20,
    max: i32::MAX,
};
/// Range of `max.message.bytes`.
pub const MAX_BATCH: Kind = Kind::Int {
    min: 0,
    max: 64 << 20,
};

macro_rules! topic_key {
    (
        $name:literal, $kind:expr, $default:literal,
        [$($broker:literal * $factor:literal),*], $doc:literal
    ) => {
        TopicKey {
            name: $name,
            kind: $kind,
            default: $default,
            broker: &[$(($broker, $factor)),*],
            documentation: $doc,
        }
    };
}

/// All topic configs, by name.
pub static TOPIC_KEYS: &[TopicKey] = &[
    topic_key!(
        "cleanup.policy",
        CLEANUP,
        "delete",
        ["log.cleanup.policy" * 1],
        "What happens to data that is no longer kept: delete, compact, or both. A compacted topic \
         keeps the newest record of every key, and refuses records without a key."
    ),
    topic_key!(
        "compression.gzip.level",
        Kind::Int { min: -1, max: 9 },
        "-1",
        ["compression.gzip.level" * 1],
        "Accepted; a batch that is encoded here gets the codec's own default."
    ),
    topic_key!(
        "compression.lz4.level",
        Kind::Int { min: 1, max: 17 },
        "9",
        ["compression.lz4.level" * 1],
        "Accepted; a batch that is encoded here gets the codec's own default."
    ),
    topic_key!(
        "compression.type",
        COMPRESSION,
        "producer",
        ["compression.type" * 1],
        "The codec batches are stored with: that of their producer, or this one, with which they \
         are compressed anew."
    ),
    topic_key!(
        "compression.zstd.level",
        Kind::Int {
            min: -131_072,
            max: 22
        },
        "3",
        ["compression.zstd.level" * 1],
        "Accepted; a batch that is encoded here gets the codec's own default."
    ),
    topic_key!(
        "delete.retention.ms",
        ANY,
        "86400000",
        ["log.cleaner.delete.retention.ms" * 1],
        "How long tombstones of a compacted topic are kept."
    ),
    topic_key!(
        "file.delete.delay.ms",
        ANY,
        "60000",
        ["log.segment.delete.delay.ms" * 1],
        "Accepted; files are removed, or written again, as soon as no reader needs them."
    ),
    topic_key!(
        "flush.messages",
        POSITIVE,
        "9223372036854775807",
        ["log.flush.interval.messages" * 1],
        "Latest moment of a flush, in records. Makes millrace.durability=memory stricter."
    ),
    topic_key!(
        "flush.ms",
        ANY,
        "9223372036854775807",
        ["log.flush.interval.ms" * 1],
        "Latest moment of a flush, in milliseconds. Makes millrace.durability=memory stricter, \
         which never waits longer than one second."
    ),
    topic_key!(
        "follower.replication.throttled.replicas",
        REPLICAS,
        "",
        [],
        "Accepted; there are no followers on one node."
    ),
    topic_key!(
        "index.interval.bytes",
        Kind::Int {
            min: 0,
            max: i32::MAX
        },
        "4096",
        ["log.index.interval.bytes" * 1],
        "Accepted; the index has one entry for each 64 KiB."
    ),
    topic_key!(
        "leader.replication.throttled.replicas",
        REPLICAS,
        "",
        [],
        "Accepted; there are no followers on one node."
    ),
    topic_key!(
        "local.retention.bytes",
        FROM_MINUS_TWO,
        "-2",
        ["log.local.retention.bytes" * 1],
        "Accepted; there is no tiered storage."
    ),
    topic_key!(
        "local.retention.ms",
        FROM_MINUS_TWO,
        "-2",
        ["log.local.retention.ms" * 1],
        "Accepted; there is no tiered storage."
    ),
    topic_key!(
        "max.compaction.lag.ms",
        POSITIVE,
        "9223372036854775807",
        ["log.cleaner.max.compaction.lag.ms" * 1],
        "Longest time a record stays out of compaction."
    ),
    topic_key!(
        "max.message.bytes",
        MAX_BATCH,
        "1048588",
        ["message.max.bytes" * 1],
        "Largest record batch."
    ),
    topic_key!(
        "message.timestamp.after.max.ms",
        ANY,
        "3600000",
        ["log.message.timestamp.after.max.ms" * 1],
        "How far a record's timestamp may lie in the future."
    ),
    topic_key!(
        "message.timestamp.before.max.ms",
        ANY,
        "9223372036854775807",
        ["log.message.timestamp.before.max.ms" * 1],
        "How far a record's timestamp may lie in the past."
    ),
    topic_key!(
        "message.timestamp.type",
        TIMESTAMP,
        "CreateTime",
        ["log.message.timestamp.type" * 1],
        "Whether records keep their producer's timestamp or get the time of their append."
    ),
    topic_key!(
        "millrace.durability",
        Kind::Choice(&["disk", "written", "memory", "null"]),
        "disk",
        ["millrace.durability" * 1],
        "When an append is acknowledged: on stable storage, after the write, from memory; null \
         stores nothing."
    ),
    topic_key!(
        "min.cleanable.dirty.ratio",
        Kind::Double { min: 0.0, max: 1.0 },
        "0.5",
        ["log.cleaner.min.cleanable.ratio" * 1],
        "Share of a compacted log that must be dirty before it is compacted."
    ),
    topic_key!(
        "min.compaction.lag.ms",
        ANY,
        "0",
        ["log.cleaner.min.compaction.lag.ms" * 1],
        "Shortest time a record stays out of compaction."
    ),
    topic_key!(
        "min.insync.replicas",
        Kind::Int {
            min: 1,
            max: i32::MAX
        },
        "1",
        ["min.insync.replicas" * 1],
        "Accepted; on one node the only replica is always in sync."
    ),
    topic_key!(
        "preallocate",
        Kind::Bool,
        "false",
        ["log.preallocate" * 1],
        "Accepted; file space is always prepared ahead of appends."
    ),
    topic_key!(
        "remote.log.copy.disable",
        Kind::Bool,
        "false",
        [],
        "Accepted; there is no tiered storage."
    ),
    topic_key!(
        "remote.log.delete.on.disable",
        Kind::Bool,
        "false",
        [],
        "Accepted; there is no tiered storage."
    ),
    topic_key!(
        "remote.storage.enable",
        Kind::Bool,
        "false",
        [],
        "Accepted; there is no tiered storage."
    ),
    topic_key!(
        "retention.bytes",
        FROM_MINUS_ONE,
        "-1",
        ["log.retention.bytes" * 1],
        "Bytes of a partition that are kept at least, -1 for no bound."
    ),
    topic_key!(
        "retention.ms",
        FROM_MINUS_ONE,
        "604800000",
        [
            "log.retention.ms" * 1,
            "log.retention.minutes" * 60000,
            "log.retention.hours" * 3600000
        ],
        "How long records are kept at least, -1 for ever."
    ),
    topic_key!(
        "segment.bytes",
        SEGMENT_BYTES,
        "1073741824",
        ["log.segment.bytes" * 1],
        "Largest segment."
    ),
    topic_key!(
        "segment.index.bytes",
        Kind::Int {
            min: 4,
            max: i32::MAX
        },
        "10485760",
        ["log.index.size.max.bytes" * 1],
        "Accepted; the index grows with its segment."
    ),
    topic_key!(
        "segment.jitter.ms",
        ANY,
        "0",
        ["log.roll.jitter.ms" * 1, "log.roll.jitter.hours" * 3600000],
        "Accepted; rolling costs nothing that would need spreading."
    ),
    topic_key!(
        "segment.ms",
        POSITIVE,
        "604800000",
        ["log.roll.ms" * 1, "log.roll.hours" * 3600000],
        "Age at which a segment is closed at the next append."
    ),
    topic_key!(
        "unclean.leader.election.enable",
        Kind::Bool,
        "false",
        ["unclean.leader.election.enable" * 1],
        "Accepted; there is one replica."
    ),
];

/// The topic config called `name`.
#[must_use]
pub fn topic_key(name: &str) -> Option<&'static TopicKey> {
    TOPIC_KEYS
        .binary_search_by(|key| key.name.cmp(name))
        .ok()
        .map(|index| &TOPIC_KEYS[index])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::broker_keys::broker_key;

    #[test]
    fn the_table_is_sorted_valid_and_points_at_known_broker_keys() {
        assert!(TOPIC_KEYS.is_sorted_by(|a, b| a.name < b.name));
        for key in TOPIC_KEYS {
            assert!(
                crate::config::normalize(key.name, key.kind, key.default).is_ok(),
                "{} {}",
                key.name,
                key.default
            );
            for (broker, _) in key.broker {
                assert!(broker_key(broker).is_some(), "{broker}");
            }
            assert_eq!(topic_key(key.name).map(|found| found.name), Some(key.name));
        }
    }
}
