//! Consumer groups of one shard, without I/O: requests and time go in, answers and records to
//! append come out as [`effects::Effect`]s.
//!
//! [`coordinator::Coordinator`] finds the group and its partition of `__consumer_offsets`;
//! [`group::Group`] is Kafka's classic group protocol (KIP-62, 345, 394, 814), one phase a file;
//! `record_format` is the durable form, `loading` reads it back, `snapshot` keeps it short.

mod appending;
mod clock;
pub mod committed_offsets;
pub mod coordinator;
mod deleting;
pub mod describing;
pub mod effects;
mod expiring;
pub mod group;
mod joining;
mod leaving;
mod loading;
mod member;
mod member_requests;
mod offset_requests;
pub mod offsets_topic;
mod record_format;
mod snapshot;
mod subscription;
mod syncing;
#[cfg(test)]
mod tests;

pub use coordinator::Coordinator;
pub use offset_requests::Commit;
