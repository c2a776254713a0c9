//! The broker: Kafka's protocol over the Millrace engine, one run per shard.

pub mod broker;
pub mod changes;
pub mod config;
pub mod counters;
pub mod error_mapping;
pub mod groups;
pub mod handlers;
mod listen_plan;
pub mod listener;
pub mod mail;
pub mod net;
pub mod protocol;
pub mod request;
pub mod run;
pub mod run_error;
pub mod serve_config;
pub mod slab;
mod start_lines;
pub mod ticket;
pub mod topics;

pub use run::{Running, run, start};
pub use run_error::RunError;
pub use serve_config::{Advertise, ServeConfig};
pub use start_lines::RelaxedTopic;
