//! ListOffsets, OffsetForLeaderEpoch, DeleteRecords.

use crate::harness::{Client, TestBroker, batch, decode, now_ms, plain, values};
use millrace_engine::record_batch::Compression;
use millrace_server::protocol::ErrorCode;
use millrace_server::protocol::messages::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsTopic,
};
use millrace_server::protocol::messages::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsTopic,
};
use millrace_server::protocol::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use millrace_server::protocol::messages::{
    DeleteRecordsRequest, DeleteRecordsResponse, ListOffsetsRequest, ListOffsetsResponse,
    OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse,
};

/// Error code, timestamp and offset for a time.
pub(crate) fn offset_at(client: &mut Client, partition: i32, timestamp: i64) -> (i16, i64, i64) {
    let asked = ListOffsetsRequest {
        replica_id: -1,
        topics: [ListOffsetsTopic {
            name: "t",
            partitions: [ListOffsetsPartition {
                partition_index: partition,
                timestamp,
                ..ListOffsetsPartition::default()
            }]
            .into(),
        }]
        .into(),
        ..ListOffsetsRequest::default()
    };
    let bytes = client.call(7, &asked);
    let response: ListOffsetsResponse<'_> = decode(&bytes, 7);
    let found = response.topics.first().unwrap().partitions.first().unwrap();
    assert_eq!(found.partition_index, partition);
    (found.error_code, found.timestamp, found.offset)
}

#[test]
fn times_lead_to_the_exact_record_in_plain_and_compressed_batches() {
    let broker = TestBroker::new(2);
    broker.create("t", 5);
    let start = now_ms() - 1_000_000;
    for (codec, partition) in Compression::ALL.into_iter().zip(0..) {
        let mut client = broker.client();
        assert_eq!(
            offset_at(&mut client, partition, start),
            (0, -1, -1),
            "empty"
        );
        assert_eq!(offset_at(&mut client, partition, -3), (0, -1, -1), "empty");
        for step in 0..10 {
            let sent = batch(codec, start + step * 100, &["a", "b", "c"]);
            assert_eq!(client.produce(("t", partition), &sent).0, 0);
        }
        let mut at = |time| offset_at(&mut client, partition, time);
        assert_eq!(at(-2), (0, -1, 0), "{codec:?} earliest");
        assert_eq!(at(-1), (0, -1, 30), "{codec:?} latest");
        assert_eq!(at(-3), (0, start + 902, 29), "{codec:?} largest");
        assert_eq!(at(0), (0, start, 0));
        assert_eq!(
            at(start + 1),
            (0, start + 1, 1),
            "{codec:?} inside the first batch"
        );
        assert_eq!(
            at(start + 3),
            (0, start + 100, 3),
            "{codec:?} between batches"
        );
        assert_eq!(at(start + 502), (0, start + 502, 17), "{codec:?}");
        assert_eq!(
            at(start + 903),
            (0, -1, -1),
            "{codec:?} behind the last record"
        );
        assert_eq!(at(-9).0, ErrorCode::UnsupportedVersion.code());
    }
    let mut client = broker.client();
    let unknown = ErrorCode::UnknownTopicOrPartition.code();
    assert_eq!(offset_at(&mut client, 9, -1), (unknown, -1, -1));
}

/// Deletes below `offset`; returns error code and low watermark.
fn delete(client: &mut Client, offset: i64) -> (i16, i64) {
    let asked = DeleteRecordsRequest {
        topics: [DeleteRecordsTopic {
            name: "t",
            partitions: [DeleteRecordsPartition {
                partition_index: 0,
                offset,
            }]
            .into(),
        }]
        .into(),
        timeout_ms: 1000,
    };
    let bytes = client.call(2, &asked);
    let response: DeleteRecordsResponse<'_> = decode(&bytes, 2);
    let answer = response.topics.first().unwrap().partitions.first().unwrap();
    (answer.error_code, answer.low_watermark)
}

#[test]
fn deleted_records_are_gone_also_after_a_restart() {
    let mut broker = TestBroker::new(1);
    broker.create("t", 1);
    let mut client = broker.client();
    for value in ["a", "b", "c", "d"] {
        client.produce(("t", 0), &plain(&[value]));
    }
    assert_eq!(delete(&mut client, 2), (0, 2));
    let out_of_range = ErrorCode::OffsetOutOfRange.code();
    assert_eq!(delete(&mut client, 5).0, out_of_range);
    assert_eq!(client.fetch(("t", 0), 1).0, out_of_range);
    assert_eq!(offset_at(&mut client, 0, -2), (0, -1, 2));
    broker.restart();
    let mut client = broker.client();
    assert_eq!(client.fetch(("t", 0), 1).0, out_of_range);
    let (_, _, bytes) = client.fetch(("t", 0), 2);
    assert_eq!(values(&bytes).len(), 2);
    assert_eq!(
        delete(&mut client, -1),
        (0, 4),
        "-1 deletes up to the high watermark"
    );
    assert_eq!(client.produce(("t", 0), &plain(&["e"])), (0, 4));
}

#[test]
fn times_are_looked_for_behind_what_was_deleted_only() {
    let mut broker = TestBroker::new(1);
    broker.create("t", 1);
    let start = now_ms() - 1_000_000;
    let mut client = broker.client();
    let times = [start, start + 100, start + 200, start + 300];
    for (codec, time) in [Compression::Gzip, Compression::Zstd]
        .iter()
        .cycle()
        .zip(times)
    {
        let sent = batch(*codec, time, &["a", "b"]);
        assert_eq!(client.produce(("t", 0), &sent).0, 0);
    }
    assert_eq!(offset_at(&mut client, 0, -3), (0, start + 301, 7));
    assert_eq!(delete(&mut client, 3), (0, 3));
    for _ in 0..2 {
        let mut at = |time| offset_at(&mut client, 0, time);
        assert_eq!(at(-2), (0, -1, 3));
        assert_eq!(at(0), (0, start + 101, 3), "inside the batch it begins in");
        assert_eq!(at(start + 150), (0, start + 200, 4));
        assert_eq!(at(-3), (0, start + 301, 7), "the largest");
        assert_eq!(at(start + 302), (0, -1, -1));
        broker.restart();
        client = broker.client();
    }
    assert_eq!(delete(&mut client, -1), (0, 8));
    assert_eq!(
        offset_at(&mut client, 0, -3),
        (0, -1, -1),
        "nothing is left"
    );
    assert_eq!(offset_at(&mut client, 0, 0), (0, -1, -1));
}

#[test]
fn the_largest_time_is_that_of_a_record_that_is_still_there() {
    // Each batch has records of these times and the next two milliseconds.
    let times = [900, 500, 100, 700, 700, 300, 600, 200];
    for (codec, value_bytes) in [
        (Compression::None, 10),
        (Compression::None, 9_000),
        (Compression::Zstd, 10),
        (Compression::None, 40_000),
    ] {
        let mut broker = TestBroker::new(1);
        broker.create("t", 1);
        let start = now_ms() - 1_000_000;
        let mut client = broker.client();
        let value = "v".repeat(value_bytes);
        for time in times {
            let sent = batch(codec, start + time, &[&value, &value, &value]);
            assert_eq!(client.produce(("t", 0), &sent).0, 0);
        }
        for deleted in 1..24 {
            assert_eq!(delete(&mut client, deleted), (0, deleted));
            let records = (0..24).map(|n| (times[n as usize / 3] + n % 3, -n));
            let largest = records.filter(|&(_, n)| -n >= deleted).max().unwrap();
            let found = offset_at(&mut client, 0, -3);
            let context = format!("{codec:?}, {value_bytes} bytes, from {deleted} on");
            assert_eq!(found, (0, start + largest.0, -largest.1), "{context}");
            if deleted % 7 == 0 {
                broker.restart();
                client = broker.client();
                assert_eq!(offset_at(&mut client, 0, -3), found, "again: {context}");
            }
        }
    }
}

#[test]
fn the_end_of_a_leader_epoch_is_told() {
    let broker = TestBroker::new(2);
    broker.create("t", 2);
    for partition in 0..2 {
        let mut client = broker.client();
        client.produce(("t", partition), &plain(&["a", "b"]));
        let (_, _, bytes) = client.fetch(("t", partition), 0);
        let epoch = millrace_engine::record_batch::Header::parse(&bytes)
            .unwrap()
            .partition_leader_epoch;
        let mut ask = |leader_epoch| {
            let asked = OffsetForLeaderEpochRequest {
                topics: [OffsetForLeaderTopic {
                    topic: "t",
                    partitions: [OffsetForLeaderPartition {
                        partition,
                        leader_epoch,
                        ..OffsetForLeaderPartition::default()
                    }]
                    .into(),
                }]
                .into(),
                ..OffsetForLeaderEpochRequest::default()
            };
            let bytes = client.call(4, &asked);
            let response: OffsetForLeaderEpochResponse<'_> = decode(&bytes, 4);
            let answer = response.topics.first().unwrap().partitions.first().unwrap();
            (answer.error_code, answer.leader_epoch, answer.end_offset)
        };
        assert_eq!(ask(epoch), (0, epoch, 2));
        assert_eq!(ask(epoch + 1).0, 0);
    }
}
