//! Large requests, floods of groups, and a log that stays short.

use super::*;

#[test]
fn ten_thousand_partitions_in_one_request_and_oversized_metadata() {
    const THERE: usize = 1_000;
    let broker = TestBroker::with(2, |config| {
        quick(config);
        config.memory_bytes = 2 << 30;
    });
    broker.create("t", THERE as i32);
    let mut client = broker.client();
    coordinator(&mut client, "g");
    let long = "m".repeat(4097);
    let fits = "m".repeat(4096);
    let offsets = [("t", 0, 1, &*long), ("t", 1, 2, &*fits), ("t", 2, 3, "")];
    let too_large = ErrorCode::OffsetMetadataTooLarge.code();
    assert_eq!(
        commit(&mut client, "g", ("", -1), &offsets),
        [too_large, 0, 0]
    );
    let many: Vec<_> = (0..10_000).map(|index| ("t", index, 7, "")).collect();
    let codes = commit(&mut client, "g", ("", -1), &many);
    let unknown = ErrorCode::UnknownTopicOrPartition.code();
    let (there, others) = codes.split_at(THERE);
    assert!(there.iter().all(|code| *code == 0));
    assert!(others.len() == 9_000 && others.iter().all(|code| *code == unknown));
    let all = all_committed(&mut client, &["g"]);
    assert_eq!(all[0].1.len(), THERE);
    // Above max.message.bytes of the offsets topic, as Kafka.
    let large: Vec<_> = (0..300).map(|index| ("t", index, 8, &*fits)).collect();
    let codes = commit(&mut client, "g", ("", -1), &large);
    let refused = ErrorCode::InvalidCommitOffsetSize.code();
    assert!(codes.iter().all(|code| *code == refused), "{:?}", codes[0]);
    assert_eq!(committed(&mut client, "g", 0), (0, 7), "nothing of it");
}

#[test]
fn a_flood_of_groups_is_bounded_by_memory_and_what_was_there_stays() {
    let broker = TestBroker::with(1, |config| {
        quick(config);
        config.memory_bytes = 64 << 20;
    });
    broker.create("t", 1);
    let mut client = broker.client();
    coordinator(&mut client, "g");
    assert_eq!(commit(&mut client, "g", ("", -1), &[("t", 0, 5, "")]), [0]);
    let note = "n".repeat(4000);
    let mut refused = 0;
    for number in 0..1000 {
        let name = format!("{number:0>200}");
        let codes = commit(&mut client, &name, ("", -1), &[("t", 0, 5, &note)]);
        refused += usize::from(codes[0] == ErrorCode::CoordinatorNotAvailable.code());
    }
    assert!((1..1000).contains(&refused), "{refused} were refused");
    assert_eq!(committed(&mut client, "g", 0), (0, 5));
    let known = commit(&mut client, "g", ("", -1), &[("t", 0, 6, "")]);
    assert_eq!(known, [0], "a group that is there goes on");
    assert_eq!(delete(&mut client, &[&format!("{:0>200}", 0)]), [0]);
    let again = commit(&mut client, "after", ("", -1), &[("t", 0, 6, "")]);
    assert_eq!(again, [0], "memory that comes back is used again");
}

#[test]
fn the_log_of_a_partition_stays_short_however_many_commits_there_are() {
    let mut broker = TestBroker::with(1, |config| {
        quick(config);
        let set = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        config.settings.extend([
            set("offsets.topic.num.partitions", "1"),
            set("millrace.group.snapshot.bytes", "20000"),
        ]);
    });
    broker.create("t", 4);
    let mut client = broker.client();
    coordinator(&mut client, "g");
    for offset in 0..3000 {
        let offsets = [("t", (offset % 4) as i32, offset, "")];
        assert_eq!(commit(&mut client, "g", ("", -1), &offsets), [0]);
        if offset == 1500 {
            restart(&mut broker);
            client = broker.client();
        }
    }
    let (first, end) = log_bounds(&mut client);
    assert!(end >= 3000 && end - first < 1000, "{first}..{end}");
    restart(&mut broker);
    let mut client = broker.client();
    assert_eq!(log_bounds(&mut client), (first, end));
    let expected: Vec<_> = (0..4)
        .map(|index| {
            (
                "t".to_owned(),
                index,
                2996 + i64::from(index),
                String::new(),
            )
        })
        .collect();
    assert_eq!(all_committed(&mut client, &["g"]), [(0, expected)]);
}

/// Log start and end of the only partition of the offsets topic.
fn log_bounds(client: &mut Client) -> (i64, i64) {
    use millrace_server::protocol::messages::list_offsets_request::{
        ListOffsetsPartition, ListOffsetsTopic,
    };
    use millrace_server::protocol::messages::{ListOffsetsRequest, ListOffsetsResponse};
    let mut at = |timestamp| {
        let request = ListOffsetsRequest {
            replica_id: -1,
            topics: [ListOffsetsTopic {
                name: OFFSETS_TOPIC,
                partitions: [ListOffsetsPartition {
                    partition_index: 0,
                    timestamp,
                    ..ListOffsetsPartition::default()
                }]
                .into(),
            }]
            .into(),
            ..ListOffsetsRequest::default()
        };
        let frame = client.call(1, &request);
        let response: ListOffsetsResponse<'_> = decode(&frame, 1);
        let topic = response.topics.first().unwrap();
        topic.partitions.first().unwrap().offset
    };
    (at(-2), at(-1))
}
