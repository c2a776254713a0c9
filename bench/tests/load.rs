//! The load client against the null sink and the echo: what is asked is answered and counted.

#![expect(clippy::unwrap_used, reason = "a test ends where something is missing")]

use millrace_bench::connection::{Connection, RequestRing};
use millrace_bench::null_sink::NullSink;
use millrace_bench::requests::{self, TOPIC};
use millrace_bench::scenarios::load::{Load, Pace};
use std::time::Duration;

fn ring(batch_bytes: usize) -> RequestRing {
    let batch = requests::batch(batch_bytes).unwrap();
    let frame = requests::produce(TOPIC, 0, &batch).unwrap();
    RequestRing::new(&[frame], requests::produce_error_at(TOPIC), 1 << 20).unwrap()
}

fn run(pace: Pace) -> millrace_bench::scenarios::load::LoadResult {
    let sink = NullSink::start(0, requests::produce_response(TOPIC).unwrap()).unwrap();
    let mut connections: Vec<Connection> = (0..3)
        .map(|start| Connection::open(sink.address, ring(1024), start).unwrap())
        .collect();
    Load {
        connections: &mut connections,
        pace,
        warm_up: Duration::from_millis(50),
        measure: Duration::from_millis(200),
    }
    .run(|| {})
    .unwrap()
}

#[test]
fn a_window_keeps_requests_in_flight_and_counts_each_answer() {
    let result = run(Pace::Window(16));
    assert!(result.requests > 0);
    assert!(!result.latency.is_empty());
    assert!(result.latency.len() <= result.requests + 3 * 16);
}

#[test]
fn a_schedule_offers_what_was_asked_for() {
    let result = run(Pace::Rate(1_000.0));
    assert!(result.offered >= 100, "{} of about 200", result.offered);
    assert!(result.requests > 0);
}

#[test]
fn an_error_code_in_an_answer_ends_the_load() {
    let mut response = requests::produce_response(TOPIC).unwrap();
    let at = 4 + requests::produce_error_at(TOPIC);
    response[at + 1] = 3;
    let sink = NullSink::start(0, response).unwrap();
    let mut connections = [Connection::open(sink.address, ring(1024), 0).unwrap()];
    let load = Load {
        connections: &mut connections,
        pace: Pace::Window(1),
        warm_up: Duration::ZERO,
        measure: Duration::from_millis(100),
    };
    let error = load.run(|| {}).unwrap_err();
    assert!(error.to_string().contains("error code 3"), "{error}");
}
