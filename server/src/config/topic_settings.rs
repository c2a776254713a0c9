//! A topic's own settings, and what they come to together with the broker's.

use super::topic_keys::{TOPIC_KEYS, TopicKey, topic_key};
use super::value::{ConfigError, normalize};
use super::{BrokerSettings, Described, Source, Synonym};
use millrace_engine::partition::{CompactionConfig, Durability, PartitionConfig};
use millrace_engine::record_batch::Compression;
use std::collections::BTreeMap;

/// What was set on one topic: canonical text by key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicOverrides {
    values: BTreeMap<&'static str, String>,
}

impl TopicOverrides {
    /// Sets one value; `None` or an unset removes it.
    ///
    /// # Errors
    /// Unknown keys and values that are not allowed; nothing was changed.
    pub fn set(&mut self, key: &str, value: Option<&str>) -> Result<(), ConfigError> {
        let known = known(key, value)?;
        match value {
            Some(value) => {
                let canonical = normalize(known.name, known.kind, value)?;
                self.values.insert(known.name, canonical);
            }
            None => {
                self.values.remove(known.name);
            }
        }
        Ok(())
    }

    /// Adds words to (or with `is_removal` takes them from) a list value.
    ///
    /// # Errors
    /// Unknown keys, keys that are no list, words that are not allowed.
    pub fn change_list(
        &mut self,
        key: &str,
        value: &str,
        is_removal: bool,
        broker: &BrokerSettings,
    ) -> Result<(), ConfigError> {
        let known = known(key, Some(value))?;
        let canonical = normalize(known.name, known.kind, value)?;
        if !matches!(known.kind, super::Kind::List(_)) {
            return Err(ConfigError::Invalid {
                key: known.name,
                value: canonical,
                allowed: "a list config for append and subtract".to_owned(),
            });
        }
        let current = effective(known, self, broker).0;
        let mut words: Vec<&str> = current.split(',').filter(|word| !word.is_empty()).collect();
        for word in canonical.split(',').filter(|word| !word.is_empty()) {
            words.retain(|present| *present != word);
            if !is_removal {
                words.push(word);
            }
        }
        let joined = words.join(",");
        self.values.insert(known.name, joined);
        Ok(())
    }

    /// Keys and values, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.values
            .iter()
            .map(|(key, value)| (*key, value.as_str()))
    }

    /// All topic configs as DescribeConfigs shows them, by name.
    #[must_use]
    pub fn describe(&self, broker: &BrokerSettings) -> Vec<Described> {
        TOPIC_KEYS
            .iter()
            .map(|key| {
                let synonyms = synonyms(key, self, broker);
                Described {
                    name: key.name,
                    value: synonyms.first().and_then(|first| first.value.clone()),
                    source: synonyms
                        .first()
                        .map_or(Source::Default, |first| first.source),
                    kind: key.kind,
                    is_read_only: false,
                    synonyms,
                    documentation: key.documentation,
                }
            })
            .collect()
    }
}

fn known(key: &str, value: Option<&str>) -> Result<&'static TopicKey, ConfigError> {
    topic_key(key).ok_or_else(|| ConfigError::Unknown {
        scope: "topic",
        key: key.chars().take(100).collect(),
        value: value.unwrap_or_default().chars().take(100).collect(),
    })
}

fn scaled(value: &str, factor: i64) -> String {
    match (factor, value.parse::<i64>()) {
        (1, _) | (_, Err(_)) => value.to_owned(),
        (_, Ok(number)) if number < 0 => "-1".to_owned(),
        (_, Ok(number)) => number.saturating_mul(factor).to_string(),
    }
}

fn synonyms(key: &TopicKey, overrides: &TopicOverrides, broker: &BrokerSettings) -> Vec<Synonym> {
    let mut found = Vec::new();
    if let Some((name, value)) = overrides.values.get_key_value(key.name) {
        found.push(Synonym {
            name,
            value: Some(value.clone()),
            source: Source::Topic,
        });
    }
    for (name, factor) in key.broker {
        if let Some(value) = broker.explicit(name) {
            found.push(Synonym {
                name,
                value: Some(scaled(value, *factor)),
                source: Source::StaticBroker,
            });
        }
    }
    found.push(Synonym {
        name: key.broker.first().map_or(key.name, |(name, _)| *name),
        value: Some(key.default.to_owned()),
        source: Source::Default,
    });
    found
}

fn effective(
    key: &TopicKey,
    overrides: &TopicOverrides,
    broker: &BrokerSettings,
) -> (String, Source) {
    let first = synonyms(key, overrides, broker).into_iter().next();
    first.map_or((String::new(), Source::Default), |first| {
        (first.value.unwrap_or_default(), first.source)
    })
}

/// Whose time a record carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestampType {
    /// Its producer's.
    Create,
    /// The time of its append.
    LogAppend,
}

/// The effective settings of a topic, typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicSettings {
    /// `cleanup.policy` contains `compact`: records need a key.
    pub is_compacted: bool,
    /// `message.timestamp.type`
    pub timestamp_type: TimestampType,
    /// `message.timestamp.before.max.ms`
    pub timestamp_before_ms_max: i64,
    /// `message.timestamp.after.max.ms`
    pub timestamp_after_ms_max: i64,
    /// `max.message.bytes`
    pub batch_bytes_max: u32,
    /// `compression.type`: the codec batches are stored with; `None`: their producer's.
    pub compression: Option<Compression>,
    /// What the engine needs to know.
    pub partition: PartitionConfig,
}

/// Longest time the engine lets `memory` class data wait for its commit.
const FLUSH_MS_MAX: u64 = 1000;

impl TopicSettings {
    /// What `overrides` come to on a broker with these settings.
    #[must_use]
    pub fn new(overrides: &TopicOverrides, broker: &BrokerSettings) -> Self {
        let text = |name: &str| {
            topic_key(name).map_or_else(String::new, |key| effective(key, overrides, broker).0)
        };
        let number = |name: &str| text(name).parse::<i64>().unwrap_or_default();
        let unsigned = |name: &str| u64::try_from(number(name)).unwrap_or_default();
        let batch_bytes_max = u32::try_from(number("max.message.bytes")).unwrap_or_default();
        let cleanup = text("cleanup.policy");
        let is_compacted = cleanup.split(',').any(|word| word == "compact");
        let is_log_append_time = text("message.timestamp.type") == "LogAppendTime";
        let dirty_ratio = text("min.cleanable.dirty.ratio");
        let compaction = is_compacted.then(|| CompactionConfig {
            dirty_ratio_ppm: (dirty_ratio.parse::<f64>().unwrap_or(0.5) * 1e6) as u32,
            lag_ms_min: number("min.compaction.lag.ms"),
            lag_ms_max: number("max.compaction.lag.ms"),
            delete_retention_ms: number("delete.retention.ms"),
        });
        // KAFKA: what waits for compaction must not stay in the active segment.
        let roll_ms_max = compaction.map_or(i64::MAX, |compaction| compaction.lag_ms_max);
        Self {
            is_compacted,
            timestamp_type: if is_log_append_time {
                TimestampType::LogAppend
            } else {
                TimestampType::Create
            },
            compression: stored_with(&text("compression.type")),
            timestamp_before_ms_max: number("message.timestamp.before.max.ms"),
            timestamp_after_ms_max: number("message.timestamp.after.max.ms"),
            batch_bytes_max,
            partition: PartitionConfig {
                durability: match text("millrace.durability").as_str() {
                    "written" => Durability::Written,
                    "memory" => Durability::Memory,
                    "null" => Durability::Null,
                    _ => Durability::Disk,
                },
                segment_bytes: unsigned("segment.bytes"),
                segment_ms: number("segment.ms").min(roll_ms_max),
                retention_bytes: if text("cleanup.policy").contains("delete") {
                    number("retention.bytes")
                } else {
                    -1
                },
                retention_ms: if text("cleanup.policy").contains("delete") {
                    number("retention.ms")
                } else {
                    -1
                },
                flush_messages: unsigned("flush.messages"),
                flush_ms: unsigned("flush.ms").min(FLUSH_MS_MAX),
                batch_bytes_max,
                producer_expiration_ms: broker.producer_expiration_ms,
                is_log_append_time,
                compaction,
            },
        }
    }
}

fn stored_with(compression_type: &str) -> Option<Compression> {
    let name = match compression_type {
        "uncompressed" => "none",
        name => name,
    };
    let mut all = Compression::ALL.into_iter();
    all.find(|codec| codec.name() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broker(pairs: &[(&str, &str)]) -> BrokerSettings {
        let pairs: Vec<_> = pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        BrokerSettings::from_assignments(&pairs).unwrap().0
    }

    #[test]
    fn the_strongest_broker_key_gives_a_topic_its_default() {
        let none = TopicOverrides::default();
        let settings = TopicSettings::new(&none, &broker(&[("log.retention.hours", "2")]));
        assert_eq!(settings.partition.retention_ms, 7_200_000);
        let both = broker(&[("log.retention.hours", "2"), ("log.retention.ms", "5")]);
        assert_eq!(TopicSettings::new(&none, &both).partition.retention_ms, 5);
        let forever = broker(&[("log.retention.minutes", "-1")]);
        assert_eq!(
            TopicSettings::new(&none, &forever).partition.retention_ms,
            -1
        );
    }

    #[test]
    fn a_topic_override_wins_and_is_described_with_its_synonyms() {
        let mut overrides = TopicOverrides::default();
        overrides.set("retention.ms", Some("9")).unwrap();
        let broker = broker(&[("log.retention.hours", "2")]);
        let described = overrides.describe(&broker);
        let entry = described
            .iter()
            .find(|entry| entry.name == "retention.ms")
            .unwrap();
        assert_eq!(entry.source, Source::Topic);
        assert_eq!(entry.value.as_deref(), Some("9"));
        let sources: Vec<_> = entry
            .synonyms
            .iter()
            .map(|synonym| synonym.source)
            .collect();
        assert_eq!(
            sources,
            [Source::Topic, Source::StaticBroker, Source::Default]
        );
        assert_eq!(described.len(), TOPIC_KEYS.len());
        overrides.set("retention.ms", None).unwrap();
        assert_eq!(overrides, TopicOverrides::default());
    }

    #[test]
    fn lists_can_be_appended_to_and_subtracted_from() {
        let broker = broker(&[]);
        let mut overrides = TopicOverrides::default();
        overrides
            .change_list("cleanup.policy", "compact", false, &broker)
            .unwrap();
        assert_eq!(overrides.values["cleanup.policy"], "delete,compact");
        assert!(TopicSettings::new(&overrides, &broker).is_compacted);
        overrides
            .change_list("cleanup.policy", "delete", true, &broker)
            .unwrap();
        assert_eq!(overrides.values["cleanup.policy"], "compact");
        assert!(
            overrides
                .change_list("retention.ms", "1", false, &broker)
                .is_err()
        );
    }

    #[test]
    fn every_value_is_checked() {
        let mut overrides = TopicOverrides::default();
        for (key, value) in [
            ("segment.bytes", "100"),
            ("millrace.durability", "maybe"),
            ("no.such.key", "1"),
            ("max.message.bytes", "-1"),
        ] {
            let error = overrides.set(key, Some(value)).unwrap_err().to_string();
            assert!(error.contains(key) && error.contains(value), "{error}");
        }
        assert_eq!(overrides, TopicOverrides::default());
    }

    #[test]
    fn a_compacted_topic_gets_its_compaction_settings_and_rolls_in_time() {
        let broker = broker(&[("log.cleaner.min.cleanable.ratio", "0.25")]);
        let mut overrides = TopicOverrides::default();
        assert_eq!(
            TopicSettings::new(&overrides, &broker).partition.compaction,
            None
        );
        for (key, value) in [
            ("cleanup.policy", "compact,delete"),
            ("max.compaction.lag.ms", "5000"),
            ("compression.type", "uncompressed"),
        ] {
            overrides.set(key, Some(value)).unwrap();
        }
        let settings = TopicSettings::new(&overrides, &broker);
        let compaction = settings.partition.compaction.unwrap();
        assert_eq!(compaction.dirty_ratio_ppm, 250_000);
        assert_eq!((compaction.lag_ms_min, compaction.lag_ms_max), (0, 5000));
        assert_eq!(compaction.delete_retention_ms, 86_400_000);
        assert_eq!(settings.partition.segment_ms, 5000);
        assert_eq!(settings.partition.retention_ms, 604_800_000);
        assert_eq!(settings.compression, Some(Compression::None));
        overrides.set("compression.type", Some("zstd")).unwrap();
        overrides.set("cleanup.policy", Some("compact")).unwrap();
        let settings = TopicSettings::new(&overrides, &broker);
        assert_eq!(settings.compression, Some(Compression::Zstd));
        assert_eq!(settings.partition.retention_ms, -1);
        overrides.set("compression.type", Some("producer")).unwrap();
        let settings = TopicSettings::new(&overrides, &broker);
        assert_eq!(settings.compression, None);
    }

    #[test]
    fn the_relaxed_flush_time_is_at_most_a_second() {
        let settings = TopicSettings::new(&TopicOverrides::default(), &broker(&[]));
        assert_eq!(settings.partition.flush_ms, 1000);
        assert_eq!(settings.partition.durability, Durability::Disk);
    }
}
