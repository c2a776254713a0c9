//! Compaction as clients see it: the rig, with a broker that compacts all the time.

mod damage;
mod deleting;
mod keeping;
mod listing;

use crate::harness::{Client, TestBroker, now_ms};
use millrace_engine::record_batch::builder::BatchBuilder;
use millrace_engine::record_batch::records::Records;
use millrace_engine::record_batch::rewrite::open;
use millrace_engine::record_batch::{Compression, Header, crc};
use std::collections::BTreeMap;

/// Each takes a millisecond or more, compaction and retention some hundred.
const LOOKS_MAX: usize = 100_000;

/// A record as a reader finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Found {
    offset: i64,
    time: i64,
    key: String,
    value: Option<String>,
}

fn broker() -> TestBroker {
    TestBroker::with(1, |config| {
        for (key, value) in [
            ("log.cleaner.backoff.ms", "5"),
            ("log.cleaner.min.cleanable.ratio", "0.01"),
            ("log.retention.check.interval.ms", "100"),
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
    read_from(client, 0)
}

/// From an offset on, which need not have a record.
fn read_from(client: &mut Client, first: i64) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    let mut next = first;
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
                if record.offset >= first {
                    found.push(Found {
                        offset: record.offset,
                        time: record.timestamp,
                        key: text(record.key.unwrap()),
                        value: record.value.map(text),
                    });
                }
            }
        }
        if next >= high_watermark {
            assert!(found.is_sorted_by(|a, b| a.offset < b.offset));
            return found;
        }
    }
}

/// Looks until what compaction and retention make of the log by themselves is there.
fn settled<T>(mut look: impl FnMut() -> T, is_there: impl Fn(&T) -> bool) -> T {
    for _ in 0..LOOKS_MAX {
        let found = look();
        if is_there(&found) {
            return found;
        }
    }
    panic!("the log did not settle within {LOOKS_MAX} looks");
}

#[derive(Default)]
struct Writer {
    round: u64,
    newest: BTreeMap<String, Option<String>>,
    written: usize,
}

impl Writer {
    fn write(&mut self, client: &mut Client, key: &str, value: Option<&str>) {
        self.write_at(client, now_ms(), key, value);
    }

    /// With a time of the client's choice; gives the offset.
    fn write_at(&mut self, client: &mut Client, time: i64, key: &str, value: Option<&str>) -> i64 {
        self.round += 1;
        let codec = Compression::ALL[self.round as usize % 5];
        let mut builder = BatchBuilder::new(codec);
        let value = value.map(|value| format!("{value} {}", self.round));
        let bytes = value.as_deref().map(str::as_bytes);
        builder.push(time, Some(key.as_bytes()), bytes, &[]);
        let (error, offset) = client.produce(("t", 0), &builder.build().unwrap());
        assert_eq!(error, 0);
        self.newest.insert(key.to_owned(), value);
        self.written += 1;
        offset
    }

    /// The last record of every key is the one written last; a tombstone may be gone.
    fn check(&self, found: &[Found]) {
        let mut last = BTreeMap::new();
        for record in found {
            last.insert(record.key.clone(), record.value.clone());
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
