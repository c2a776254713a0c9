//! ListOffsets and Fetch over segments that were compacted: offsets are kept, holes are skipped.

use super::{Found, Writer, broker, read_all, read_from, settled};
use crate::harness::{Client, TestBroker, now_ms};
use crate::offsets::offset_at;

const KEYS: usize = 7;
const STEPS: i64 = 70;
const STEP_MS: i64 = 1_000;

/// Writes until most of what was written is compacted away. Times rise, but for one record far
/// ahead that stays and one farther ahead that gives way. Gives the time of the one that stays.
fn written(client: &mut Client, start: i64) -> i64 {
    let mut writer = Writer::default();
    let peak = now_ms() + 1_000_000;
    writer.write_at(client, start, "first", Some("gives way"));
    writer.write_at(client, peak, "peak", Some("stays"));
    writer.write_at(client, peak + 1, "first", Some("gives way, too"));
    for number in 1..=STEPS {
        let key = format!("key {}", number as usize % KEYS);
        let time = start + number * STEP_MS;
        writer.write_at(client, time, &key, Some("value"));
        writer.write_at(client, time, "first", Some("later"));
    }
    settled(
        || read_all(client),
        |found| {
            let has_gone = found.iter().all(|record| record.time <= peak);
            has_gone && found.len() * 3 < writer.written
        },
    );
    peak
}

/// What the log holds, and what `ask` found while it held that: compaction goes on meanwhile.
fn while_steady<T>(client: &mut Client, mut ask: impl FnMut(&mut Client) -> T) -> (Vec<Found>, T) {
    loop {
        let before = read_all(client);
        let answer = ask(client);
        if before == read_all(client) {
            return (before, answer);
        }
    }
}

fn check_listing(client: &mut Client, start: i64, peak: i64) {
    let (found, largest) = while_steady(client, |client| offset_at(client, 0, -3));
    let wanted = found.iter().find(|record| record.time == peak).unwrap();
    assert_eq!(largest, (0, peak, wanted.offset), "largest of what is left");
    let last = found.last().unwrap().offset;
    assert_eq!(offset_at(client, 0, -2), (0, -1, 0), "the start stays");
    assert_eq!(offset_at(client, 0, -1), (0, -1, last + 1));
    let times: Vec<i64> = (0..=STEPS).map(|step| start + step * STEP_MS).collect();
    let (found, answers) = while_steady(client, |client| {
        let at = |&time: &i64| [time, time + 1].map(|time| (time, offset_at(client, 0, time)));
        times.iter().flat_map(at).collect::<Vec<_>>()
    });
    for (time, answer) in answers {
        let first = found.iter().find(|record| record.time >= time);
        let wanted = first.map_or((0, -1, -1), |it| (0, it.time, it.offset));
        assert_eq!(answer, wanted, "at {} ms", time - start);
    }
    assert_eq!(offset_at(client, 0, peak + 1), (0, -1, -1), "it gave way");
}

fn check_holes(client: &mut Client) {
    let found = read_all(client);
    let last = found.last().unwrap().offset;
    assert!(found[0].offset > 0, "the first record gave way");
    let (left, read) = while_steady(client, |client| {
        let from = |first| (first, read_from(client, first));
        (0..=last).map(from).collect::<Vec<_>>()
    });
    for (first, read) in read {
        let wanted = left.iter().filter(|record| record.offset >= first);
        assert!(wanted.eq(&read), "from {first} on");
    }
}

#[test]
fn offsets_of_times_and_holes_are_right_over_compacted_segments() {
    let mut broker: TestBroker = broker();
    let configs = [("cleanup.policy", "compact"), ("segment.ms", "1")];
    broker.create_with("t", 1, &configs);
    let mut client = broker.client();
    let start = now_ms() - 36_000_000;
    let peak = written(&mut client, start);
    check_listing(&mut client, start, peak);
    check_holes(&mut client);
    broker.restart();
    let mut client = broker.client();
    check_listing(&mut client, start, peak);
    check_holes(&mut client);
}
