//! A compacted topic with a damaged batch: nothing else of it is lost, others are compacted.

use super::{broker, read_from, settled};
use crate::harness::{Client, batch, now_ms, values};
use millrace_engine::record_batch::Compression;
use millrace_server::protocol::ErrorCode;
use std::fs;
use std::path::Path;

const RECORDS: i64 = 30;
const DAMAGED: i64 = 11;

fn write(client: &mut Client, topic: &str) {
    for number in 0..RECORDS {
        // All have the same key.
        let sent = batch(Compression::None, now_ms(), &[&value(topic, number)]);
        assert_eq!(client.produce((topic, 0), &sent), (0, number));
    }
}

/// Several granules long, so that one in the middle holds nothing of another record.
fn value(topic: &str, number: i64) -> String {
    format!("{topic} record {number:04} of many {}", "x".repeat(200_000))
}

/// Flips a bit in the middle of a record's value on the disk.
fn damage(data_dir: &Path, value: &str) {
    for file in fs::read_dir(data_dir.join("segments")).unwrap() {
        let path = file.unwrap().path();
        let mut bytes = fs::read(&path).unwrap();
        let mut windows = bytes.windows(value.len());
        if let Some(at) = windows.position(|window| window == value.as_bytes()) {
            bytes[at + value.len() / 2] ^= 1;
            fs::write(&path, bytes).unwrap();
            return;
        }
    }
    panic!("`{value}` is in no segment");
}

#[test]
fn a_damaged_batch_stops_compaction_of_its_topic_alone_and_costs_nothing_else() {
    let mut broker = broker();
    broker.change(|config| {
        let enable = ("log.cleaner.enable".to_owned(), "false".to_owned());
        config.settings.push(enable);
    });
    broker.restart();
    let configs = [("cleanup.policy", "compact"), ("segment.ms", "1")];
    for topic in ["t", "u"] {
        broker.create_with(topic, 1, &configs);
        write(&mut broker.client(), topic);
    }
    broker.change(|config| {
        config.settings.pop();
    });
    broker.restart_after(|data_dir| damage(data_dir, &value("t", DAMAGED)));
    let mut client = broker.client();
    settled(
        || client.fetch(("u", 0), 0),
        |(error, _, bytes)| {
            assert_eq!(*error, 0);
            values(bytes)[0].0 > RECORDS / 2
        },
    );
    let corrupt = ErrorCode::CorruptMessage.code();
    assert_eq!(client.fetch(("t", 0), DAMAGED).0, corrupt);
    for offset in (0..RECORDS).filter(|offset| *offset != DAMAGED) {
        let (error, end, bytes) = client.fetch(("t", 0), offset);
        assert_eq!((error, end), (0, RECORDS), "at {offset}");
        let found = values(&bytes);
        assert_eq!(found[0].0, offset, "nothing is compacted away");
        assert!(found[0].1 == value("t", offset), "at {offset}");
    }
    let more = batch(Compression::None, now_ms(), &["more"]);
    assert_eq!(client.produce(("t", 0), &more), (0, RECORDS));
    let last = read_from(&mut client, RECORDS);
    assert_eq!(last[0].value.as_deref(), Some("more"));
}
