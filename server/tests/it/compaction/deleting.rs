//! `cleanup.policy=compact,delete`: old segments go, and of what is left each key's newest stays.

use super::{Found, Writer, broker, read_from, settled};
use crate::harness::{Client, now_ms};
use crate::offsets::offset_at;
use millrace_server::protocol::ErrorCode;

const HOUR_MS: i64 = 3_600_000;
const STEP_MS: i64 = 2;
const OLD_KEYS: usize = 20;
const NEW_KEYS: usize = 5;

fn log_start(client: &mut Client) -> i64 {
    let (error, _, offset) = offset_at(client, 0, -2);
    assert_eq!(error, 0);
    offset
}

/// Reads what is left. Retention may move the start meanwhile, so it is asked for until it holds.
fn left(client: &mut Client) -> (i64, Vec<Found>) {
    loop {
        let start = log_start(client);
        let (error, ..) = client.fetch(("t", 0), start);
        if error == 0 && log_start(client) == start {
            return (start, read_from(client, start));
        }
    }
}

/// Of what lies behind the old records nothing is missing, and most of it is compacted away.
fn check(writer: &Writer, found: &[Found], start: i64, old_end: i64) {
    assert_eq!(start, old_end, "old segments are gone, and no others");
    assert!(found.iter().all(|record| record.offset >= start));
    writer.check(found);
    assert!(found.iter().all(|record| record.key.starts_with("new")));
}

#[test]
fn retention_deletes_old_segments_and_compaction_keeps_the_newest_in_the_others() {
    let mut broker = broker();
    let configs = [
        ("cleanup.policy", "compact,delete"),
        ("segment.ms", "1"),
        ("retention.ms", "1800000"),
    ];
    broker.create_with("t", 1, &configs);
    let mut client = broker.client();
    let mut old = Writer::default();
    let mut old_end = 0;
    for number in 0..50 {
        // Far enough apart that each is alone in its segment.
        let time = now_ms() - 10 * HOUR_MS + number * STEP_MS;
        let key = format!("old {}", number as usize % OLD_KEYS);
        old_end = old.write_at(&mut client, time, &key, Some("value")) + 1;
    }
    // Compaction would put old and new records into one segment, which is as young as its youngest.
    let is_gone = |start: &i64| *start == old_end;
    settled(|| log_start(&mut client), is_gone);
    let mut new = Writer::default();
    // From here on within the retention.
    let begin = now_ms();
    let mut time = begin - HOUR_MS / 3;
    for number in 0..100 {
        let key = format!("new {}", number % NEW_KEYS);
        time += STEP_MS;
        new.write_at(&mut client, time, &key, Some("value"));
    }
    let (start, found) = settled(
        || left(&mut client),
        |(start, found)| {
            assert!(*start <= old_end, "records within the retention are gone");
            *start == old_end && found.len() * 3 < new.written
        },
    );
    check(&new, &found, start, old_end);
    let out_of_range = ErrorCode::OffsetOutOfRange.code();
    assert_eq!(client.fetch(("t", 0), old_end - 1).0, out_of_range);
    let first = read_from(&mut client, old_end)[0].clone();
    let (error, time, _) = offset_at(&mut client, 0, begin - 9 * HOUR_MS);
    assert_eq!(error, 0);
    assert!(
        time >= first.time,
        "a time before all leads to what is left"
    );
    broker.restart();
    client = broker.client();
    let (start, found) = left(&mut client);
    check(&new, &found, start, old_end);
}

#[test]
fn retention_by_size_bounds_a_compacted_topic_whose_keys_are_all_new() {
    let broker = broker();
    let configs = [
        ("cleanup.policy", "compact,delete"),
        ("segment.bytes", "1048576"),
        ("retention.bytes", "4194304"),
    ];
    broker.create_with("t", 1, &configs);
    let mut client = broker.client();
    let mut writer = Writer::default();
    let value = "x".repeat(60_000);
    loop {
        for _ in 0..50 {
            let key = format!("key {}", writer.written);
            writer.write(&mut client, &key, Some(&value));
        }
        let start = log_start(&mut client);
        if start > 100 {
            break;
        }
        assert!(writer.written < 20_000, "nothing is deleted");
    }
    // Whatever is left is a whole end of the log: no key is newer than another.
    let (start, found) = left(&mut client);
    let offsets: Vec<i64> = found.iter().map(|record| record.offset).collect();
    assert_eq!(offsets, (start..writer.written as i64).collect::<Vec<_>>());
}
