//! The command line as its users see it: the binary, against a broker in this process and against
//! things that are no broker.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod errors;
mod groups;
mod harness;
mod topics;
