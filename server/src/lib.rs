//! The broker: Kafka's protocol over the Millrace engine, one run per shard.

pub mod broker;
pub mod changes;
pub mod config;
pub mod counters;
pub mod error_mapping;
pub mod groups;
pub mod handlers;
pub mod listener;
pub mod mail;
pub mod net;
pub mod protocol;
pub mod request;
pub mod run;
pub mod slab;
mod start_lines;
pub mod ticket;
pub mod topics;

pub use run::{Advertise, RunError, Running, ServeConfig, run, start};
pub use start_lines::RelaxedTopic;
