//! The broker's settings: what was set, and the typed view.

use super::broker_keys::{BROKER_KEYS, broker_key};
use super::kafka_keys::{instead, is_kafka_broker_key};
use super::value::{ConfigError, normalize};
use super::{Described, Source, Synonym};
use millrace_engine::shard::CleanerConfig;
use std::collections::BTreeMap;

/// Settings of the whole broker; fixed while it runs.
#[derive(Clone, Debug)]
pub struct BrokerSettings {
    explicit: BTreeMap<&'static str, String>,
    /// `auto.create.topics.enable`
    pub auto_create_topics: bool,
    /// `delete.topic.enable`
    pub delete_topics: bool,
    /// `num.partitions`
    pub num_partitions: i32,
    /// `socket.request.max.bytes`
    pub request_bytes_max: usize,
    /// `max.connections`
    pub connections_max: usize,
    /// `max.connections.per.ip`
    pub connections_per_ip_max: usize,
    /// `connections.max.idle.ms`, -1 for never.
    pub connection_idle_ms_max: i64,
    /// `max.incremental.fetch.session.cache.slots`
    pub fetch_sessions_max: usize,
    /// `fetch.max.bytes`
    pub fetch_bytes_max: usize,
    /// `queued.max.requests`
    pub hops_waiting_max: usize,
    /// `millrace.connection.requests.max`
    pub connection_requests_max: usize,
    /// `producer.id.expiration.ms`
    pub producer_expiration_ms: i64,
    /// `log.retention.check.interval.ms`
    pub retention_check_ms: u64,
    /// `millrace.checkpoint.interval.ms`
    pub checkpoint_interval_ms: u64,
    /// `millrace.journal.bytes`; `None`: from the memory.
    pub journal_bytes: Option<u64>,
    /// `millrace.partitions.max`
    pub partitions_max: usize,
    /// `millrace.producers.max`
    pub producers_max: usize,
    /// Everything about consumer groups.
    pub groups: GroupSettings,
    /// `log.cleaner.*`
    pub cleaner: CleanerConfig,
}

/// Settings of consumer groups.
#[derive(Clone, Copy, Debug)]
pub struct GroupSettings {
    /// `group.max.size`
    pub group_size_max: usize,
    /// `group.initial.rebalance.delay.ms`
    pub initial_rebalance_delay_ms: i32,
    /// `group.min.session.timeout.ms`
    pub session_timeout_ms_min: i32,
    /// `group.max.session.timeout.ms`
    pub session_timeout_ms_max: i32,
    /// `offset.metadata.max.bytes`
    pub offset_metadata_bytes_max: usize,
    /// `offsets.retention.minutes`, in milliseconds.
    pub offsets_retention_ms: i64,
    /// `offsets.retention.check.interval.ms`
    pub retention_check_ms: i32,
    /// `offsets.topic.num.partitions`
    pub offsets_topic_partitions: i32,
    /// `offsets.topic.segment.bytes`
    pub offsets_topic_segment_bytes: i32,
    /// `millrace.group.snapshot.bytes`
    pub snapshot_bytes_min: usize,
}

impl GroupSettings {
    fn new(read: &Reader<'_>) -> Self {
        Self {
            group_size_max: read.size("group.max.size"),
            initial_rebalance_delay_ms: read.int("group.initial.rebalance.delay.ms"),
            session_timeout_ms_min: read.int("group.min.session.timeout.ms"),
            session_timeout_ms_max: read.int("group.max.session.timeout.ms"),
            offset_metadata_bytes_max: read.size("offset.metadata.max.bytes"),
            offsets_retention_ms: read.number("offsets.retention.minutes") * 60_000,
            retention_check_ms: read.int("offsets.retention.check.interval.ms"),
            offsets_topic_partitions: read.int("offsets.topic.num.partitions"),
            offsets_topic_segment_bytes: read.int("offsets.topic.segment.bytes"),
            snapshot_bytes_min: read.size("millrace.group.snapshot.bytes"),
        }
    }
}

impl Default for BrokerSettings {
    fn default() -> Self {
        Self::from_explicit(BTreeMap::new())
    }
}

impl BrokerSettings {
    /// Checks assignments in order (a later one wins). The second part are warnings: Kafka's
    /// settings that mean nothing here.
    ///
    /// # Errors
    /// The first key that nobody knows or value that is not allowed.
    pub fn from_assignments(
        assignments: &[(String, String)],
    ) -> Result<(Self, Vec<String>), ConfigError> {
        let mut explicit = BTreeMap::new();
        let mut ignored: Vec<&str> = Vec::new();
        for (key, value) in assignments {
            if let Some(known) = broker_key(key) {
                explicit.insert(known.name, normalize(known.name, known.kind, value)?);
            } else if is_kafka_broker_key(key) {
                if !ignored.contains(&key.as_str()) {
                    ignored.push(key);
                }
            } else {
                return Err(ConfigError::Unknown {
                    scope: "broker",
                    key: key.chars().take(100).collect(),
                    value: value.chars().take(100).collect(),
                });
            }
        }
        let warnings = ignored
            .iter()
            .map(|key| {
                let instead = instead(key).map_or(String::new(), |what| format!("; {what}"));
                format!("config {key} is one of Kafka's and has no meaning here; ignored{instead}")
            })
            .collect();
        Ok((Self::from_explicit(explicit), warnings))
    }

    fn from_explicit(explicit: BTreeMap<&'static str, String>) -> Self {
        let read = Reader {
            explicit: &explicit,
        };
        Self {
            auto_create_topics: read.flag("auto.create.topics.enable"),
            delete_topics: read.flag("delete.topic.enable"),
            num_partitions: i32::try_from(read.number("num.partitions")).unwrap_or(1),
            request_bytes_max: read.size("socket.request.max.bytes"),
            connections_max: read.size("max.connections"),
            connections_per_ip_max: read.size("max.connections.per.ip"),
            connection_idle_ms_max: read.number("connections.max.idle.ms"),
            fetch_sessions_max: read.size("max.incremental.fetch.session.cache.slots"),
            fetch_bytes_max: read.size("fetch.max.bytes"),
            hops_waiting_max: read.size("queued.max.requests"),
            connection_requests_max: read.size("millrace.connection.requests.max"),
            producer_expiration_ms: read.number("producer.id.expiration.ms"),
            retention_check_ms: read.unsigned("log.retention.check.interval.ms"),
            checkpoint_interval_ms: read.unsigned("millrace.checkpoint.interval.ms"),
            journal_bytes: explicit
                .contains_key("millrace.journal.bytes")
                .then(|| read.unsigned("millrace.journal.bytes")),
            partitions_max: read.size("millrace.partitions.max"),
            producers_max: read.size("millrace.producers.max"),
            groups: GroupSettings::new(&read),
            cleaner: CleanerConfig {
                is_enabled: read.flag("log.cleaner.enable"),
                bytes_per_second_max: read.rate("log.cleaner.io.max.bytes.per.second"),
                key_map_bytes_max: read.size("log.cleaner.dedupe.buffer.size"),
                backoff_ms: read.unsigned("log.cleaner.backoff.ms"),
            },
            explicit,
        }
    }

    /// The value that somebody set, if so.
    #[must_use]
    pub fn explicit(&self, name: &str) -> Option<&str> {
        self.explicit.get(name).map(String::as_str)
    }

    /// All settings as DescribeConfigs shows them, by name.
    #[must_use]
    pub fn describe(&self) -> Vec<Described> {
        BROKER_KEYS
            .iter()
            .map(|key| {
                let set = self.explicit(key.name).map(str::to_owned);
                let default = key.default.map(str::to_owned);
                let mut synonyms = Vec::new();
                if set.is_some() {
                    synonyms.push(Synonym {
                        name: key.name,
                        value: set.clone(),
                        source: Source::StaticBroker,
                    });
                }
                if default.is_some() {
                    synonyms.push(Synonym {
                        name: key.name,
                        value: default.clone(),
                        source: Source::Default,
                    });
                }
                Described {
                    name: key.name,
                    source: if set.is_some() {
                        Source::StaticBroker
                    } else {
                        Source::Default
                    },
                    value: set.or(default),
                    kind: key.kind,
                    is_read_only: true,
                    synonyms,
                    documentation: key.documentation,
                }
            })
            .collect()
    }
}

struct Reader<'a> {
    explicit: &'a BTreeMap<&'static str, String>,
}

impl Reader<'_> {
    fn text(&self, name: &'static str) -> &str {
        self.explicit
            .get(name)
            .map(String::as_str)
            .or_else(|| broker_key(name).and_then(|key| key.default))
            .unwrap_or_default()
    }

    fn flag(&self, name: &'static str) -> bool {
        self.text(name) == "true"
    }

    fn number(&self, name: &'static str) -> i64 {
        // Values were checked when they were accepted; the table's defaults are checked by a test.
        self.text(name).parse().unwrap_or_default()
    }

    fn int(&self, name: &'static str) -> i32 {
        i32::try_from(self.number(name)).unwrap_or_default()
    }

    fn unsigned(&self, name: &'static str) -> u64 {
        u64::try_from(self.number(name)).unwrap_or_default()
    }

    /// A floating-point number as a whole one; what is too large stays the largest.
    fn rate(&self, name: &'static str) -> u64 {
        self.text(name).parse::<f64>().unwrap_or_default() as u64
    }

    fn size(&self, name: &'static str) -> usize {
        usize::try_from(self.number(name)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(key: &str, value: &str) -> (String, String) {
        (key.to_owned(), value.to_owned())
    }

    #[test]
    fn a_kafka_key_without_meaning_warns_once_and_an_unknown_one_is_refused() {
        let assignments = [
            pair("num.io.threads", "8"),
            pair("num.io.threads", "9"),
            pair("num.partitions", "3"),
        ];
        let (settings, warnings) = BrokerSettings::from_assignments(&assignments).unwrap();
        assert_eq!(settings.num_partitions, 3);
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].contains("num.io.threads") && warnings[0].contains("--cores"));

        let error = BrokerSettings::from_assignments(&[pair("num.partition", "3")]).unwrap_err();
        assert!(error.to_string().contains("num.partition"));
        let error = BrokerSettings::from_assignments(&[pair("num.partitions", "0")]).unwrap_err();
        assert!(error.to_string().contains("from 1 to 10000"), "{error}");
    }

    #[test]
    fn defaults_are_finite_where_clients_could_grow_them() {
        let settings = BrokerSettings::default();
        assert_eq!(settings.request_bytes_max, 100 << 20);
        assert_eq!(settings.connections_max, 10_000);
        assert_eq!(settings.fetch_sessions_max, 1000);
        assert_eq!(settings.connection_idle_ms_max, 600_000);
        assert_eq!(settings.cleaner, CleanerConfig::default());
    }

    #[test]
    fn describing_says_where_each_value_comes_from() {
        let assignments = [pair("num.partitions", "3")];
        let (settings, _) = BrokerSettings::from_assignments(&assignments).unwrap();
        let described = settings.describe();
        let partitions = described
            .iter()
            .find(|entry| entry.name == "num.partitions");
        let partitions = partitions.unwrap();
        assert_eq!(partitions.source, Source::StaticBroker);
        assert_eq!(partitions.value.as_deref(), Some("3"));
        assert_eq!(partitions.synonyms.len(), 2);
        assert!(
            described
                .iter()
                .any(|entry| entry.source == Source::Default)
        );
    }
}
