//! The broker as its clients see it: real ring, real sockets on 127.0.0.1, the codec as client.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod bad_input;
mod compaction;
mod fetching;
mod groups;
mod harness;
mod offsets;
mod producing;
mod record_rules;
mod restarting;
mod sharding;
mod topics;
