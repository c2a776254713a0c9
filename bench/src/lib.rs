//! Load, calibration and measurement for Millrace and any Kafka broker.
//!
//! Every scenario prints its figure beside the calibrations of the same run, so that a ratio can
//! be formed on a shared machine. The client is open-loop where it measures latency: a request's
//! time begins when it was due, not when it was sent.

pub mod broker_process;
pub mod calibrate;
pub mod cli;
pub mod connection;
pub mod machine;
pub mod null_sink;
pub mod report;
pub mod requests;
pub mod scenarios;
pub mod sleeping_sink;

pub use cli::{BenchArgs, run};
