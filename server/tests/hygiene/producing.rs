//! Produce: small batches that go inline, pipelined; large ones that are placed.

use crate::harness::{TestBroker, plain, produce_request};
use crate::measure::{Count, Done, alone, assert_at_most, rounds};
use millrace_server::protocol::encode_request;
use std::io::{Read, Write};
use std::net::TcpStream;

/// A client that sends many requests before it reads an answer, and allocates nothing.
struct Pipeline {
    stream: TcpStream,
    burst: Vec<u8>,
    answers: Vec<u8>,
}

impl Pipeline {
    /// `depth` copies of one Produce request with one batch for one partition.
    fn new(broker: &TestBroker, place: (&str, i32), batch: &[u8], depth: usize) -> Self {
        let request = produce_request(-1, place.0, place.1, Some(batch));
        let mut frame = Vec::new();
        encode_request(&mut frame, 9, 1, Some("hygiene"), &request).unwrap();
        let mut stream = TcpStream::connect(broker.addresses()[0]).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.write_all(&frame).unwrap();
        let mut size = [0; 4];
        stream.read_exact(&mut size).unwrap();
        let mut answer = vec![0; u32::from_be_bytes(size) as usize];
        stream.read_exact(&mut answer).unwrap();
        Self {
            stream,
            burst: frame.repeat(depth),
            answers: vec![0; (4 + answer.len()) * depth],
        }
    }
}

/// How a round looks.
struct Load {
    shards: usize,
    value_bytes: usize,
    connections: i32,
    depth: usize,
    bursts: usize,
}

impl Load {
    fn rounds(&self) -> Vec<Done> {
        let broker = TestBroker::new(self.shards);
        broker.create("t", self.connections);
        let batch = plain(&[&"x".repeat(self.value_bytes)]);
        let mut pipelines: Vec<_> = (0..self.connections)
            .map(|index| Pipeline::new(&broker, ("t", index), &batch, self.depth))
            .collect();
        let rounds = rounds(&broker, || {
            for _ in 0..self.bursts {
                for pipeline in &mut pipelines {
                    pipeline.stream.write_all(&pipeline.burst).unwrap();
                }
                for pipeline in &mut pipelines {
                    pipeline.stream.read_exact(&mut pipeline.answers).unwrap();
                }
            }
        });
        let batches = self.connections as usize * self.depth * self.bursts;
        assert!(rounds.iter().all(|done| done.batches == batches as u64));
        rounds
    }
}

/// Bytes copied per byte received.
const COPIES: (Count, Count) = (|done| done.copied_in_bytes, |done| done.received_bytes);

/// Runs of kernel workers per batch. Commits are never handed to one; a write into a segment may be
/// while its file grows.
const WORKERS: (Count, Count) = (|done| done.worker_runs, |done| done.batches);

const SMALL: Load = Load {
    shards: 1,
    value_bytes: 900,
    connections: 8,
    depth: 32,
    bursts: 25,
};

#[test]
fn a_small_batch_costs_no_allocation_two_copies_and_a_fifth_of_a_system_call() {
    let _alone = alone();
    let rounds = SMALL.rounds();
    // What is left belongs to stretches of files that are made meanwhile.
    assert_at_most(
        0.002,
        &rounds,
        (|done| done.allocations, |done| done.batches),
    );
    assert_at_most(
        0.2,
        &rounds,
        (|done| done.system_calls, |done| done.batches),
    );
    assert_at_most(2.0, &rounds, COPIES);
    assert_at_most(0.001, &rounds, WORKERS);
    assert!(rounds.iter().all(|done| done.placed_bytes == 0));
}

#[test]
fn a_hop_costs_no_allocation_and_at_most_one_copy_more() {
    let _alone = alone();
    let rounds = Load { shards: 2, ..SMALL }.rounds();
    assert_at_most(
        0.002,
        &rounds,
        (|done| done.allocations, |done| done.batches),
    );
    assert_at_most(3.0, &rounds, COPIES);
}

#[test]
fn a_placed_batch_costs_no_allocation_no_worker_and_hardly_a_copy() {
    let _alone = alone();
    let load = Load {
        shards: 1,
        value_bytes: 64 << 10,
        connections: 4,
        depth: 4,
        bursts: 20,
    };
    let rounds = load.rounds();
    assert!(rounds.iter().all(|done| done.placed_bytes > 0));
    // What is left belongs to stretches of files that are made meanwhile.
    assert_at_most(
        0.05,
        &rounds,
        (|done| done.allocations, |done| done.batches),
    );
    // A batch shares its first and its last block with its neighbours: those are copied.
    assert_at_most(0.12, &rounds, COPIES);
    assert_at_most(0.02, &rounds, WORKERS);
}
