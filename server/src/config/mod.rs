//! Settings of the broker and of topics, under Kafka's own names.
//!
//! Two tables ([`broker_keys::BROKER_KEYS`], [`topic_keys::TOPIC_KEYS`]) drive validation, the
//! answers of DescribeConfigs and the generated reference. Values are kept as text exactly as they
//! were accepted, plus one typed view that the rest of the broker reads.

pub mod broker_keys;
pub mod kafka_keys;
pub mod properties;
pub mod reference;
pub mod topic_keys;

mod broker_settings;
mod topic_settings;
mod value;

pub use broker_settings::{BrokerSettings, GroupSettings};
pub use topic_settings::{TimestampType, TopicOverrides, TopicSettings};
pub use value::{ConfigError, Kind, normalize};

/// Where a value comes from, in the codes of DescribeConfigs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i8)]
pub enum Source {
    /// Set on the topic.
    Topic = 1,
    /// Set in the configuration file or on the command line.
    StaticBroker = 4,
    /// Nobody set it.
    Default = 5,
}

/// A value as DescribeConfigs shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// The key.
    pub name: &'static str,
    /// The value; `None` where nothing is set and there is no default.
    pub value: Option<String>,
    /// Where it comes from.
    pub source: Source,
    /// Its type.
    pub kind: Kind,
    /// Cannot be changed while the broker runs.
    pub is_read_only: bool,
    /// All places that could give a value, the effective one first.
    pub synonyms: Vec<Synonym>,
    /// One or two sentences.
    pub documentation: &'static str,
}

/// One place that gives a value to a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Synonym {
    /// The key in that place.
    pub name: &'static str,
    /// Its value there.
    pub value: Option<String>,
    /// Which place.
    pub source: Source,
}
