//! Millrace's log engine: one shard per core, one io_uring per shard, one journal per shard.
//!
//! The engine knows Kafka's record batch bytes, but no Kafka request, error code or group.
//! Layers, each using only those to its right: `engine -> shard -> journal, partition ->
//! segment -> record_batch`, and `io` below all of them. See ARCHITECTURE.md for both paths.

mod crc_join;
pub mod engine;
pub mod ids;
pub mod inspect;
pub mod io;
pub mod journal;
pub mod limits;
pub mod partition;
pub mod planted;
pub mod record_batch;
pub mod segment;
pub mod shard;
