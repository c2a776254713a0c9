//! Compaction as clients see it: the newest value of every key stays, tombstones go.

use crate::harness::{Client, TestBroker, now_ms};
use millrace_engine::record_batch::builder::BatchBuilder;
use millrace_engine::record_batch::records::Records;
use millrace_engine::record_batch::rewrite::open;
use millrace_engine::record_batch::{Compression, Header, crc};
use std::collections::BTreeMap;

/// A record: offset, key, value.
type Found = (i64, String, Option<String>);

fn broker() -> TestBroker {
    TestBroker::with(1, |config| {
        for (key, value) in [
            ("log.cleaner.backoff.ms", "5"),
            ("log.cleaner.min.cleanable.ratio", "0.01"),
            ("millrace.checkpoint.interval.ms", "100"),
        ] {
            config.settings.push((key.to_owned(), value.to_owned()));
        }
    })
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Reads the log as a consumer does: whole batches, from offset to offset.
fn read_all(client: &mut Client) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    let mut next = 0;
    loop {
        let (error, high_watermark, bytes) = client.fetch(("t", 0), next);
        assert_eq!(error, 0, "at {next}");
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let header = Header::parse(rest).unwrap();
            let (batch, behind) = rest.split_at(header.batch_bytes as usize);
            rest = behind;
            assert_eq!(crc(batch), header.crc);
            assert!(header.end_offset() > next, "offsets rise");
            next = header.end_offset();
            let opened = open(&header, batch, 1 << 20).unwrap();
            for record in Records::new(&header, &opened) {
                let record = record.unwrap();
                let value = record.value.map(text);
                found.push((record.offset, text(record.key.unwrap()), value));
            }
        }
        if next >= high_watermark {
            assert!(found.is_sorted_by(|a, b| a.0 < b.0));
            return found;
        }
    }
}

struct Writer {
    round: u64,
    newest: BTreeMap<String, Option<String>>,
    written: usize,
}

impl Writer {
    fn write(&mut self, client: &mut Client, key: &str, value: Option<&str>) {
        self.round += 1;
        let codec = Compression::ALL[self.round as usize % 5];
        let mut builder = BatchBuilder::new(codec);
        let value = value.map(|value| format!("{value} {}", self.round));
        let bytes = value.as_deref().map(str::as_bytes);
        builder.push(now_ms(), Some(key.as_bytes()), bytes, &[]);
        let (error, _) = client.produce(("t", 0), &builder.build().unwrap());
        assert_eq!(error, 0);
        self.newest.insert(key.to_owned(), value);
        self.written += 1;
    }

    /// The last record of every key is the one written last; a tombstone may be gone.
    fn check(&self, found: &[Found]) {
        let mut last = BTreeMap::new();
        for (_, key, value) in found {
            last.insert(key.clone(), value.clone());
        }
        for (key, value) in &self.newest {
            let is_gone = value.is_none() && !last.contains_key(key);
            assert!(
                is_gone || last.get(key) == Some(value),
                "{key}: {:?}",
                last.get(key)
            );
        }
    }
}

#[test]
fn the_newest_value_of_every_key_stays_and_tombstones_go() {
    let mut broker = broker();
    let configs = [
        ("cleanup.policy", "compact"),
        ("segment.ms", "1"),
        ("delete.retention.ms", "1"),
    ];
    broker.create_with("t", 1, &configs);
    let mut client = broker.client();
    let mut writer = Writer {
        round: 0,
        newest: BTreeMap::new(),
        written: 0,
    };
    writer.write(&mut client, "dead", Some("alive"));
    writer.write(&mut client, "dead", None);
    for restarts in 0..2 {
        // Compaction works beside the writer; it has to win some time.
        loop {
            for key in 0..10 {
                writer.write(&mut client, &format!("key {key}"), Some("value"));
            }
            let found = read_all(&mut client);
            writer.check(&found);
            let is_dead_gone = found.iter().all(|(_, key, _)| key != "dead");
            if is_dead_gone && found.len() * 3 < writer.written {
                break;
            }
            assert!(writer.written < 20_000, "{} records are left", found.len());
        }
        if restarts == 0 {
            let before = read_all(&mut client);
            broker.restart();
            client = broker.client();
            let after = read_all(&mut client);
            writer.check(&after);
            // A record that was compacted away does not come back.
            assert!(after.iter().all(|record| before.contains(record)));
        }
    }
}

#[test]
fn a_topic_that_is_not_compacted_keeps_everything() {
    let broker = broker();
    broker.create_with("t", 1, &[("segment.ms", "1")]);
    let mut client = broker.client();
    let mut writer = Writer {
        round: 0,
        newest: BTreeMap::new(),
        written: 0,
    };
    for _ in 0..100 {
        writer.write(&mut client, "key", Some("value"));
    }
    assert_eq!(read_all(&mut client).len(), writer.written);
}
