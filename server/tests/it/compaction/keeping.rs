//! The newest value of every key stays, tombstones go, other topics are left alone.

use super::{Writer, broker, read_all};

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
    let mut writer = Writer::default();
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
            let is_dead_gone = found.iter().all(|record| record.key != "dead");
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
    let mut writer = Writer::default();
    for _ in 0..100 {
        writer.write(&mut client, "key", Some("value"));
    }
    assert_eq!(read_all(&mut client).len(), writer.written);
}
