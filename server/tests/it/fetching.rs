//! Fetch: what comes, when, and how much.

use crate::harness::{
    Client, TestBroker, decode, fetch_request, fetched, plain, produce_request, texts, values,
};
use millrace_server::protocol::ErrorCode;
use millrace_server::protocol::messages::fetch_request::{
    FetchPartition, FetchTopic, ForgottenTopic,
};
use millrace_server::protocol::messages::{FetchRequest, FetchResponse};
use std::time::Instant;

#[test]
fn every_version_gets_the_same_records() {
    let broker = TestBroker::new(1);
    broker.create("t", 1);
    let mut client = broker.client();
    client.produce(("t", 0), &plain(&["a", "b"]));
    for version in 4..=12 {
        let frame = client.call(version, &fetch_request(("t", 0), 0, 0));
        let (error, high_watermark, bytes) = fetched(&frame, version);
        assert_eq!((error, high_watermark), (0, 2), "version {version}");
        assert_eq!(
            texts(&values(&bytes)),
            [(0, "a"), (1, "b")],
            "version {version}"
        );
    }
}

#[test]
fn an_offset_inside_a_batch_gets_the_whole_batch() {
    let broker = TestBroker::new(1);
    broker.create("t", 1);
    let mut client = broker.client();
    client.produce(("t", 0), &plain(&["a", "b", "c"]));
    client.produce(("t", 0), &plain(&["d"]));
    let (_, _, bytes) = client.fetch(("t", 0), 1);
    assert_eq!(
        texts(&values(&bytes)),
        [(0, "a"), (1, "b"), (2, "c"), (3, "d")]
    );
    let (_, _, bytes) = client.fetch(("t", 0), 3);
    assert_eq!(texts(&values(&bytes)), [(3, "d")]);
}

#[test]
fn an_offset_outside_of_the_log_is_refused_and_its_end_is_empty() {
    let broker = TestBroker::new(1);
    broker.create("t", 1);
    let mut client = broker.client();
    client.produce(("t", 0), &plain(&["a"]));
    for offset in [-1, 2, i64::MAX] {
        let (error, _, bytes) = client.fetch(("t", 0), offset);
        assert_eq!(error, ErrorCode::OffsetOutOfRange.code(), "{offset}");
        assert!(bytes.is_empty());
    }
    let (error, high_watermark, bytes) = client.fetch(("t", 0), 1);
    assert_eq!((error, high_watermark, bytes.len()), (0, 1, 0));
    let (error, ..) = client.fetch(("t", 1), 0);
    assert_eq!(error, ErrorCode::UnknownTopicOrPartition.code());
}

#[test]
fn the_first_batch_comes_above_all_limits_and_only_the_first() {
    let broker = TestBroker::new(2);
    broker.create("t", 2);
    let mut client = broker.client();
    let value = "x".repeat(5000);
    for partition in [0, 0, 1] {
        client.produce(("t", partition), &plain(&[&value]));
    }
    let records = records_of_two(&mut client, 1, 1);
    assert_eq!(records.map(|bytes| values(&bytes).len()), [1, 0]);
}

/// The records of `t`'s first two partitions in one fetch with these limits.
fn records_of_two(
    client: &mut Client,
    bytes_max: usize,
    partition_bytes_max: usize,
) -> [Vec<u8>; 2] {
    let partition = |partition| FetchPartition {
        partition,
        partition_max_bytes: i32::try_from(partition_bytes_max).unwrap(),
        ..FetchPartition::default()
    };
    let request = FetchRequest {
        max_bytes: i32::try_from(bytes_max).unwrap(),
        topics: [FetchTopic {
            topic: "t",
            partitions: [partition(0), partition(1)].into(),
        }]
        .into(),
        ..fetch_request(("t", 0), 0, 0)
    };
    let frame = client.call(11, &request);
    let response: FetchResponse<'_> = decode(&frame, 11);
    let found = response.responses.first().unwrap().partitions.to_vec();
    [0, 1].map(|place: usize| found[place].records.unwrap_or_default().to_vec())
}

#[test]
fn the_limits_hold_for_whatever_comes_behind_the_first_batch() {
    let broker = TestBroker::new(1);
    broker.create("t", 2);
    let mut client = broker.client();
    let one = plain(&[&"x".repeat(1000)]);
    for partition in [0, 1] {
        for _ in 0..5 {
            client.produce(("t", partition), &one);
        }
    }
    let mut counts = |bytes_max: usize, partition_bytes_max: usize| {
        // A fetch may end within a batch; whole ones count.
        records_of_two(&mut client, bytes_max, partition_bytes_max).map(|it| it.len() / one.len())
    };
    let bytes = one.len();
    assert_eq!(counts(100 * bytes, 2 * bytes), [2, 2], "of a partition");
    assert_eq!(counts(100 * bytes, 100 * bytes), [5, 5]);
    assert_eq!(counts(3 * bytes, 100 * bytes), [3, 0], "of the response");
    assert_eq!(counts(3 * bytes, 2 * bytes), [2, 1]);
}

#[test]
fn a_waiting_fetch_is_answered_when_records_come() {
    for shards in [1, 2] {
        let broker = TestBroker::new(shards);
        broker.create("t", 2);
        for partition in 0..2 {
            let mut consumer = broker.client();
            let mut producer = broker.client();
            consumer.send(11, &fetch_request(("t", partition), 0, 60_000));
            // An answer on the same shard shows that the fetch was looked at before.
            consumer.send(11, &fetch_request(("t", partition), 7, 60_000));
            producer.produce(("t", partition), &plain(&["a"]));
            let frame = consumer.receive().unwrap();
            let (error, high_watermark, bytes) = fetched(&frame, 11);
            assert_eq!((error, high_watermark), (0, 1));
            assert_eq!(texts(&values(&bytes)), [(0, "a")]);
            let (error, ..) = fetched(&consumer.receive().unwrap(), 11);
            assert_eq!(error, ErrorCode::OffsetOutOfRange.code());
        }
    }
}

#[test]
fn a_waiting_fetch_waits_for_min_bytes() {
    let broker = TestBroker::new(2);
    broker.create("t", 2);
    let mut consumer = broker.client();
    let mut producer = broker.client();
    let one = plain(&["a"]);
    let partition = |partition| FetchPartition {
        partition,
        partition_max_bytes: 1 << 20,
        ..FetchPartition::default()
    };
    let request = FetchRequest {
        min_bytes: i32::try_from(2 * one.len()).unwrap(),
        topics: [FetchTopic {
            topic: "t",
            partitions: [partition(0), partition(1)].into(),
        }]
        .into(),
        ..fetch_request(("t", 0), 0, 60_000)
    };
    consumer.send(11, &request);
    producer.produce(("t", 0), &one);
    producer.produce(("t", 1), &one);
    let frame = consumer.receive().unwrap();
    let response: FetchResponse<'_> = decode(&frame, 11);
    let partitions = response.responses.first().unwrap().partitions.to_vec();
    for partition in partitions {
        assert_eq!(values(partition.records.unwrap_or_default()).len(), 1);
    }
}

#[test]
fn a_waiting_fetch_is_answered_at_its_deadline() {
    let broker = TestBroker::new(2);
    broker.create("t", 2);
    for partition in 0..2 {
        let mut client = broker.client();
        let began = Instant::now();
        let frame = client.call(11, &fetch_request(("t", partition), 0, 200));
        let (error, high_watermark, bytes) = fetched(&frame, 11);
        assert_eq!((error, high_watermark, bytes.len()), (0, 0, 0));
        assert!(began.elapsed().as_millis() >= 190, "not before its time");
    }
}

#[test]
fn a_stale_or_future_leader_epoch_is_refused() {
    let broker = TestBroker::new(1);
    broker.create("t", 1);
    let mut client = broker.client();
    client.produce(("t", 0), &plain(&["a"]));
    let (_, _, bytes) = client.fetch(("t", 0), 0);
    let header = millrace_engine::record_batch::Header::parse(&bytes).unwrap();
    let current = header.partition_leader_epoch;
    let with_epoch = |client: &mut Client, epoch| {
        let request = FetchRequest {
            topics: [FetchTopic {
                topic: "t",
                partitions: [FetchPartition {
                    partition: 0,
                    current_leader_epoch: epoch,
                    partition_max_bytes: 1000,
                    ..FetchPartition::default()
                }]
                .into(),
            }]
            .into(),
            ..fetch_request(("t", 0), 0, 0)
        };
        let frame = client.call(11, &request);
        fetched(&frame, 11).0
    };
    assert_eq!(with_epoch(&mut client, current), 0);
    assert_eq!(
        with_epoch(&mut client, current + 1),
        ErrorCode::UnknownLeaderEpoch.code()
    );
    if current > 0 {
        assert_eq!(
            with_epoch(&mut client, current - 1),
            ErrorCode::FencedLeaderEpoch.code()
        );
    }
}

/// Names of the partitions in an answer.
fn shown(frame: &[u8]) -> Vec<(String, i32)> {
    let response: FetchResponse<'_> = decode(frame, 11);
    assert_eq!(response.error_code, 0);
    let mut shown = Vec::new();
    for topic in &response.responses {
        for partition in &topic.partitions {
            shown.push((topic.topic.to_owned(), partition.partition_index));
        }
    }
    shown
}

#[test]
fn a_session_is_told_only_what_changed() {
    let broker = TestBroker::new(2);
    broker.create("a", 2);
    broker.create("b", 1);
    let mut consumer = broker.client();
    let mut producer = broker.client();
    let partition = |partition, fetch_offset| FetchPartition {
        partition,
        fetch_offset,
        partition_max_bytes: 1 << 20,
        ..FetchPartition::default()
    };
    let first = FetchRequest {
        session_epoch: 0,
        topics: [
            FetchTopic {
                topic: "a",
                partitions: [partition(0, 0), partition(1, 0)].into(),
            },
            FetchTopic {
                topic: "b",
                partitions: [partition(0, 0)].into(),
            },
        ]
        .into(),
        ..fetch_request(("a", 0), 0, 0)
    };
    let frame = consumer.call(11, &first);
    let response: FetchResponse<'_> = decode(&frame, 11);
    let session_id = response.session_id;
    assert_ne!(session_id, 0);
    assert_eq!(shown(&frame).len(), 3, "the first answer is whole");

    let next = |epoch| FetchRequest {
        session_id,
        session_epoch: epoch,
        max_wait_ms: 0,
        min_bytes: 1,
        max_bytes: 1 << 20,
        ..FetchRequest::default()
    };
    assert_eq!(shown(&consumer.call(11, &next(1))), []);
    producer.produce(("a", 1), &plain(&["x"]));
    assert_eq!(shown(&consumer.call(11, &next(2))), [("a".to_owned(), 1)]);

    // The consumer goes on behind what it got, and drops a partition.
    let moved = FetchRequest {
        topics: [FetchTopic {
            topic: "a",
            partitions: [partition(1, 1)].into(),
        }]
        .into(),
        forgotten_topics_data: [ForgottenTopic {
            topic: "b",
            partitions: [0].into(),
        }]
        .into(),
        ..next(3)
    };
    assert_eq!(shown(&consumer.call(11, &moved)), []);
    producer.produce(("b", 0), &plain(&["x"]));
    producer.produce(("a", 0), &plain(&["x"]));
    assert_eq!(shown(&consumer.call(11, &next(4))), [("a".to_owned(), 0)]);

    let wrong_epoch = consumer.call(11, &next(9));
    let response: FetchResponse<'_> = decode(&wrong_epoch, 11);
    assert_eq!(
        response.error_code,
        ErrorCode::InvalidFetchSessionEpoch.code()
    );
    let unknown = FetchRequest {
        session_id: session_id + 1000,
        ..next(1)
    };
    let frame = consumer.call(11, &unknown);
    let response: FetchResponse<'_> = decode(&frame, 11);
    assert_eq!(
        response.error_code,
        ErrorCode::FetchSessionIdNotFound.code()
    );
}

#[test]
fn session_slots_are_bounded() {
    let broker = TestBroker::with(1, |config| {
        let key = "max.incremental.fetch.session.cache.slots";
        config.settings.push((key.to_owned(), "2".to_owned()));
    });
    broker.create("t", 1);
    let mut client = broker.client();
    let ids: Vec<i32> = (0..4)
        .map(|_| {
            let request = FetchRequest {
                session_epoch: 0,
                ..fetch_request(("t", 0), 0, 0)
            };
            let frame = client.call(11, &request);
            let response: FetchResponse<'_> = decode(&frame, 11);
            response.session_id
        })
        .collect();
    assert!(ids[0] != 0 && ids[1] != 0 && ids[0] != ids[1]);
    assert_eq!(ids[2..], [0, 0], "answered in full, without a session");
}

#[test]
fn a_closed_connection_leaves_its_waiting_fetch_behind_without_harm() {
    let broker = TestBroker::new(2);
    broker.create("t", 2);
    for partition in 0..2 {
        let mut gone = broker.client();
        gone.send(11, &fetch_request(("t", partition), 0, 60_000));
        drop(gone);
        let mut client = broker.client();
        let records = plain(&["a"]);
        client.send(9, &produce_request(-1, "t", partition, Some(&records)));
        client.receive().unwrap();
        assert_eq!(client.fetch(("t", partition), 0).1, 1);
    }
}
