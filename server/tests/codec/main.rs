//! The codec from outside: every message in every version, hostile bytes, an oracle, hot paths.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod allocations;
mod golden;
mod hostile;
mod hot_paths;
mod oracle;
mod round_trip;
mod sampler;
#[rustfmt::skip]
mod samples;
