//! Tests of the engine through its public interface, in one binary.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod conformance;
mod crash;
mod example;
