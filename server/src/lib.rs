//! The Kafka-protocol broker over the Millrace engine.

pub mod protocol;
