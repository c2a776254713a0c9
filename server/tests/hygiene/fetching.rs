//! Fetch: from memory, and from disk after a restart.

use crate::harness::{TestBroker, fetch_request, plain};
use crate::measure::{Done, alone, assert_none, rounds, worker_runs};
use millrace_server::protocol::encode_request;
use std::io::{Read, Write};
use std::net::TcpStream;

const BATCHES: usize = 512;
const BATCHES_PER_FETCH: usize = 16;

/// Reads a log from its start to its end again and again, and allocates nothing.
struct Reader {
    stream: TcpStream,
    frames: Vec<Vec<u8>>,
    answer: Vec<u8>,
}

impl Reader {
    fn new(broker: &TestBroker) -> Self {
        let stream = TcpStream::connect(broker.addresses()[0]).unwrap();
        stream.set_nodelay(true).unwrap();
        let offsets = (0..BATCHES as i64).step_by(BATCHES_PER_FETCH);
        let frames = offsets.map(|offset| {
            let mut request = fetch_request(("t", 0), offset, 0);
            request.max_bytes = 1 << 20;
            let mut frame = Vec::new();
            encode_request(&mut frame, 11, 1, Some("hygiene"), &request).unwrap();
            frame
        });
        Self {
            stream,
            frames: frames.collect(),
            answer: vec![0; 4 << 20],
        }
    }

    fn read_log(&mut self) {
        for frame in &self.frames {
            self.stream.write_all(frame).unwrap();
            let mut size = [0; 4];
            self.stream.read_exact(&mut size).unwrap();
            let size = u32::from_be_bytes(size) as usize;
            self.stream.read_exact(&mut self.answer[..size]).unwrap();
        }
    }
}

fn filled(shards: usize) -> TestBroker {
    let broker = TestBroker::new(shards);
    broker.create("t", 1);
    let batch = plain(&[&"x".repeat(64 << 10)]);
    let mut client = broker.client();
    for _ in 0..BATCHES {
        assert_eq!(client.produce(("t", 0), &batch).0, 0);
    }
    broker
}

fn read(broker: &TestBroker) -> Vec<Done> {
    let mut reader = Reader::new(broker);
    let rounds = rounds(broker, || reader.read_log());
    let is_read = |done: &Done| done.sent_bytes as usize > BATCHES / 2 * (64 << 10);
    assert!(rounds.iter().all(is_read));
    assert!(
        worker_runs("housekeeper") > 0,
        "files are made by kernel workers; not to see them means to see none"
    );
    rounds
}

#[test]
fn a_fetch_from_memory_costs_no_allocation_no_worker_and_no_copy() {
    let _alone = alone();
    let rounds = read(&filled(1));
    assert!(rounds.iter().all(|done| done.read_bytes == 0));
    assert_none(&rounds, |done| done.allocations);
    assert_none(&rounds, |done| done.worker_runs);
    assert_none(&rounds, |done| done.copied_out_bytes);
}

#[test]
fn a_fetch_from_disk_costs_no_allocation_no_worker_and_no_copy() {
    let _alone = alone();
    let mut broker = filled(1);
    broker.restart();
    let rounds = read(&broker);
    assert!(rounds.iter().all(|done| done.read_bytes > 0));
    assert_none(&rounds, |done| done.allocations);
    assert_none(&rounds, |done| done.worker_runs);
    assert_none(&rounds, |done| done.copied_out_bytes);
}

#[test]
fn a_fetch_that_hops_costs_no_copy() {
    let _alone = alone();
    let broker = filled(2);
    // On both shards: for one of them the partition is the other's.
    let mut readers = [Reader::new(&broker), Reader::new(&broker)];
    let rounds = rounds(&broker, || readers.iter_mut().for_each(Reader::read_log));
    assert_none(&rounds, |done| done.copied_out_bytes);
}
