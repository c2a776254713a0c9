//! The broker: Kafka's protocol over the Millrace engine, one run per shard.

pub mod config;
pub mod net;
pub mod topics;
