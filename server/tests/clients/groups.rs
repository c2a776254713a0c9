//! Consumer groups as librdkafka lives them: members share partitions, and take over from one
//! that goes without a word.

use crate::{PATIENCE, TestBroker, block_on, produce, record};
use millrace_server::Advertise;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const PARTITIONS: usize = 6;
const RECORDS: usize = 600;
const GROUP: &str = "g";

/// What the members of a group have read: value by place.
type Seen = BTreeMap<(i32, i64), Vec<u8>>;

/// A static member: it never says that it leaves, so that its end is like a kill.
fn member(broker: &TestBroker, strategy: &str, instance_id: &str) -> BaseConsumer {
    let mut config = broker.config();
    config
        .set("group.id", GROUP)
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("group.instance.id", instance_id)
        .set("session.timeout.ms", "1000")
        .set("heartbeat.interval.ms", "200")
        .set("partition.assignment.strategy", strategy);
    let member: BaseConsumer = config.create().unwrap();
    member.subscribe(&["t"]).unwrap();
    member
}

/// Reads one record, if there is one soon, and commits it.
fn step(member: &BaseConsumer, seen: &mut Seen) {
    let Some(Ok(message)) = member.poll(Duration::from_millis(20)) else {
        return;
    };
    let place = (message.partition(), message.offset());
    let value = message.payload().unwrap().to_vec();
    let before = seen.insert(place, value.clone());
    assert!(before.is_none_or(|before| before == value), "{place:?}");
    // Refused in a rebalance: then the next owner reads the record again.
    drop(member.commit_message(&message, CommitMode::Sync));
}

fn assigned(member: &BaseConsumer) -> usize {
    member.assignment().unwrap().count()
}

#[test]
fn members_of_a_group_share_its_partitions_and_take_over_from_one_that_dies() {
    for (shards, advertise, strategy) in [
        (2, Advertise::Single, "range"),
        (4, Advertise::PerCore, "cooperative-sticky"),
    ] {
        let mut broker = TestBroker::with(shards, advertise, |config| {
            for (key, value) in [
                ("group.initial.rebalance.delay.ms", "0"),
                ("group.min.session.timeout.ms", "1000"),
            ] {
                config.settings.push((key.to_owned(), value.to_owned()));
            }
        });
        broker.create("t", i32::try_from(PARTITIONS).unwrap());
        produce(&broker.config(), "t", PARTITIONS, RECORDS);
        let mut seen = Seen::new();
        let end = Instant::now() + 3 * PATIENCE;
        let first = member(&broker, strategy, "first");
        let second = member(&broker, strategy, "second");
        while assigned(&first) != PARTITIONS / 2 || assigned(&second) != PARTITIONS / 2 {
            assert!(Instant::now() < end, "the members share the partitions");
            step(&first, &mut seen);
            step(&second, &mut seen);
        }
        // Without a word: the second learns of it when the first one's session ends.
        drop(first);
        while seen.len() < RECORDS {
            assert!(Instant::now() < end, "{} of {RECORDS} records", seen.len());
            step(&second, &mut seen);
        }
        assert_eq!(assigned(&second), PARTITIONS);
        check(&seen);
        drop(second);
        broker.restart();
        check_committed(&broker);
    }
}

/// Every record is there as it was sent.
fn check(seen: &Seen) {
    for ((partition, offset), value) in seen {
        let offset = usize::try_from(*offset).unwrap();
        let number = offset * PARTITIONS + usize::try_from(*partition).unwrap();
        assert_eq!(*value, record(number).1.into_bytes());
    }
}

/// The group has committed the end of each partition.
fn check_committed(broker: &TestBroker) {
    let admin = member(broker, "range", "admin");
    let mut asked = TopicPartitionList::new();
    for index in 0..PARTITIONS {
        asked.add_partition("t", i32::try_from(index).unwrap());
    }
    let committed = admin.committed_offsets(asked, PATIENCE).unwrap();
    for element in committed.elements() {
        let end = i64::try_from(RECORDS / PARTITIONS).unwrap();
        assert_eq!(element.offset(), Offset::Offset(end));
    }
    let listed = admin.fetch_group_list(Some(GROUP), PATIENCE).unwrap();
    assert_eq!(listed.groups().len(), 1);
    let options = rdkafka::admin::AdminOptions::new();
    let admin: rdkafka::admin::AdminClient<_> = broker.config().create().unwrap();
    let deleted = block_on(admin.delete_groups(&["never seen"], &options)).unwrap();
    let expected = rdkafka::error::RDKafkaErrorCode::GroupIdNotFound;
    assert_eq!(deleted, [Err(("never seen".to_owned(), expected))]);
}
