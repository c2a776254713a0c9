//! Produce: what is appended, what is refused, and how.

use crate::harness::{
    TestBroker, batch, correlation_id, decode, now_ms, plain, produce_request, texts, values,
};
use millrace_engine::record_batch::Compression;
use millrace_engine::record_batch::builder::{BatchBuilder, Producer};
use millrace_server::protocol::ErrorCode;
use millrace_server::protocol::messages::produce_request::{
    PartitionProduceData, TopicProduceData,
};
use millrace_server::protocol::messages::{
    InitProducerIdRequest, InitProducerIdResponse, ProduceRequest, ProduceResponse,
};

#[test]
fn records_come_back_as_they_were_sent_with_every_codec_and_version() {
    let broker = TestBroker::new(1);
    broker.create("t", 1);
    let mut client = broker.client();
    let mut expected = Vec::new();
    let mut next = 0;
    for version in 7..=11 {
        for codec in Compression::ALL {
            let first = format!("{version} {codec:?} first");
            let second = format!("{version} {codec:?} second");
            let sent = batch(codec, now_ms(), &[&first, &second]);
            let answer = client.produce_with(version, -1, ("t", 0), Some(&sent));
            assert_eq!(answer, (0, next), "version {version} {codec:?}");
            expected.push((next, first));
            expected.push((next + 1, second));
            next += 2;
        }
    }
    for version in 3..=6 {
        let sent = plain(&["old"]);
        let answer = client.produce_with(version, 1, ("t", 0), Some(&sent));
        assert_eq!(answer, (0, next), "version {version}");
        expected.push((next, "old".to_owned()));
        next += 1;
    }
    let (error, high_watermark, bytes) = client.fetch(("t", 0), 0);
    assert_eq!((error, high_watermark), (0, next));
    assert_eq!(values(&bytes), expected);
}

#[test]
fn batches_of_every_size_come_back_as_they_were_sent() {
    // From those that fit a slot to those received straight into the log's memory, and one that
    // fits no block of it.
    let broker = TestBroker::with(1, |config| {
        config
            .settings
            .push(("message.max.bytes".to_owned(), "8000000".to_owned()));
    });
    broker.create("t", 1);
    let mut client = broker.client();
    let mut sent = Vec::new();
    let sizes = [
        1, 1500, 2100, 8000, 20_000, 66_000, 262_144, 1_000_000, 1_900_000, 3_000_000,
    ];
    for (size, offset) in sizes.iter().chain(sizes.iter().rev()).zip(0..) {
        let value = "x".repeat(*size);
        assert_eq!(
            client.produce(("t", 0), &plain(&[&value])),
            (0, offset),
            "{size} bytes"
        );
        sent.push(value);
    }
    for (value, offset) in sent.iter().zip(0..) {
        let (error, _, bytes) = client.fetch(("t", 0), offset);
        assert_eq!(error, 0);
        let got = values(&bytes);
        assert_eq!(got[0].0, offset);
        assert!(got[0].1 == *value, "record {offset} differs");
    }
}

#[test]
fn wrong_batches_are_refused_with_the_right_error() {
    let broker = TestBroker::new(1);
    broker.create_with("t", 1, &[("max.message.bytes", "1000")]);
    let mut client = broker.client();
    let good = plain(&["a"]);

    let mut bad_crc = good.clone();
    *bad_crc.last_mut().unwrap() ^= 1;
    let mut magic_1 = good.clone();
    magic_1[16] = 1;
    let mut magic_0 = good.clone();
    magic_0[16] = 0;
    let two = [good.as_slice(), good.as_slice()].concat();
    let large = plain(&[&"x".repeat(2000)]);
    let cut = &good[..good.len() - 1];
    let old = batch(Compression::None, now_ms() + 10 * 3_600_000, &["a"]);

    let cases: [(&str, Option<&[u8]>, ErrorCode); 9] = [
        ("crc", Some(&bad_crc), ErrorCode::CorruptMessage),
        ("magic 1", Some(&magic_1), ErrorCode::InvalidRecord),
        ("magic 0", Some(&magic_0), ErrorCode::InvalidRecord),
        ("several batches", Some(&two), ErrorCode::InvalidRecord),
        ("empty", Some(&[]), ErrorCode::InvalidRecord),
        ("null", None, ErrorCode::InvalidRecord),
        ("large", Some(&large), ErrorCode::MessageTooLarge),
        ("cut", Some(cut), ErrorCode::CorruptMessage),
        ("from the future", Some(&old), ErrorCode::InvalidTimestamp),
    ];
    for (name, bytes, error) in cases {
        let (code, offset) = client.produce_with(9, -1, ("t", 0), bytes);
        assert_eq!((code, offset), (error.code(), -1), "{name}");
    }
    let zstd = batch(Compression::Zstd, now_ms(), &["a"]);
    let (code, _) = client.produce_with(6, -1, ("t", 0), Some(&zstd));
    assert_eq!(code, ErrorCode::UnsupportedCompressionType.code());
    let (code, _) = client.produce_with(9, 2, ("t", 0), Some(&good));
    assert_eq!(code, ErrorCode::InvalidRequiredAcks.code());
    for place in [("t", 1), ("t", -1), ("nowhere", 0)] {
        let (code, _) = client.produce(place, &good);
        assert_eq!(code, ErrorCode::UnknownTopicOrPartition.code());
    }
    // Nothing of all that was appended.
    assert_eq!(client.produce(("t", 0), &good), (0, 0));
}

#[test]
fn one_wrong_partition_does_not_hurt_the_others_of_its_request() {
    let broker = TestBroker::new(2);
    broker.create("t", 3);
    let good = plain(&["a"]);
    let mut bad = good.clone();
    *bad.last_mut().unwrap() ^= 1;
    let data = |index, records| PartitionProduceData {
        index,
        records: Some(records),
    };
    let request = ProduceRequest {
        acks: -1,
        timeout_ms: 1000,
        topic_data: [TopicProduceData {
            name: "t",
            partition_data: [data(2, &good[..]), data(0, &bad[..]), data(1, &good[..])].into(),
        }]
        .into(),
        ..ProduceRequest::default()
    };
    let frame = broker.client().call(9, &request);
    let response: ProduceResponse<'_> = decode(&frame, 9);
    let results: Vec<_> = response
        .responses
        .first()
        .unwrap()
        .partition_responses
        .to_vec();
    let results: Vec<_> = results
        .iter()
        .map(|result| (result.index, result.error_code, result.base_offset))
        .collect();
    let corrupt = ErrorCode::CorruptMessage.code();
    assert_eq!(results, [(2, 0, 0), (0, corrupt, -1), (1, 0, 0)]);
}

#[test]
fn acks_0_is_silent_and_an_error_closes_the_connection() {
    let broker = TestBroker::new(2);
    broker.create("t", 2);
    for partition in 0..2 {
        let mut client = broker.client();
        let good = plain(&["a"]);
        client.send(9, &produce_request(0, "t", partition, Some(&good)));
        // The next answer is that of the next request.
        let (error, offset) = client.produce(("t", partition), &good);
        assert_eq!((error, offset), (0, 1), "partition {partition}");

        let mut bad = good.clone();
        *bad.last_mut().unwrap() ^= 1;
        client.send(9, &produce_request(0, "t", partition, Some(&bad)));
        assert!(client.is_closed());
    }
}

#[test]
fn an_idempotent_producer_is_checked_by_its_sequence() {
    let broker = TestBroker::new(1);
    broker.create("t", 1);
    let mut client = broker.client();
    let id = |client: &mut crate::harness::Client| {
        let request = InitProducerIdRequest {
            transaction_timeout_ms: 1000,
            ..InitProducerIdRequest::default()
        };
        let frame = client.call(4, &request);
        let response: InitProducerIdResponse = decode(&frame, 4);
        assert_eq!((response.error_code, response.producer_epoch), (0, 0));
        response.producer_id
    };
    let producer = id(&mut client);
    assert_ne!(producer, id(&mut client), "ids are given once");
    let with_sequence = |base_sequence| {
        let mut builder = BatchBuilder::new(Compression::None);
        builder.set_producer(Some(Producer {
            id: producer,
            epoch: 0,
            base_sequence,
        }));
        builder.push(now_ms(), None, Some(b"v"), &[]);
        builder.push(now_ms(), None, Some(b"w"), &[]);
        builder.build().unwrap()
    };
    assert_eq!(client.produce(("t", 0), &with_sequence(0)), (0, 0));
    assert_eq!(client.produce(("t", 0), &with_sequence(2)), (0, 2));
    assert_eq!(
        client.produce(("t", 0), &with_sequence(0)),
        (0, 0),
        "a duplicate"
    );
    let (error, _) = client.produce(("t", 0), &with_sequence(6));
    assert_eq!(error, ErrorCode::OutOfOrderSequenceNumber.code());
    assert_eq!(client.produce(("t", 0), &with_sequence(4)), (0, 4));
}

#[test]
fn transactions_are_refused() {
    let broker = TestBroker::new(1);
    broker.create("t", 1);
    let mut client = broker.client();
    let request = InitProducerIdRequest {
        transactional_id: Some("x"),
        transaction_timeout_ms: 1000,
        ..InitProducerIdRequest::default()
    };
    let frame = client.call(4, &request);
    let response: InitProducerIdResponse = decode(&frame, 4);
    assert_ne!(response.error_code, 0);
    let good = plain(&["a"]);
    let mut request = produce_request(-1, "t", 0, Some(&good));
    request.transactional_id = Some("x");
    let frame = client.call(9, &request);
    let response: ProduceResponse<'_> = decode(&frame, 9);
    let result = response
        .responses
        .first()
        .unwrap()
        .partition_responses
        .first()
        .unwrap();
    assert_eq!(result.error_code, ErrorCode::InvalidTxnState.code());
}

#[test]
fn pipelined_requests_are_answered_in_order_whoever_owns_their_partitions() {
    let broker = TestBroker::new(2);
    broker.create("t", 4);
    let mut client = broker.client();
    let mut ids = Vec::new();
    for round in 0..200 {
        let records = plain(&[&format!("{round}")]);
        ids.push(client.send(9, &produce_request(-1, "t", round % 4, Some(&records))));
    }
    for id in ids {
        let frame = client.receive().unwrap();
        assert_eq!(correlation_id(&frame), id);
        let response: ProduceResponse<'_> = decode(&frame, 9);
        let result = response
            .responses
            .first()
            .unwrap()
            .partition_responses
            .first()
            .unwrap();
        assert_eq!(
            (result.error_code, result.base_offset),
            (0, i64::from((id - 1) / 4))
        );
    }
    for partition in 0..4 {
        let (_, _, bytes) = client.fetch(("t", partition), 0);
        let expected: Vec<_> = (0..50)
            .map(|round| (i64::from(round), format!("{}", round * 4 + partition)))
            .collect();
        assert_eq!(values(&bytes), expected);
    }
}

#[test]
fn log_append_time_replaces_the_producers_time() {
    let broker = TestBroker::new(1);
    broker.create_with("t", 1, &[("message.timestamp.type", "LogAppendTime")]);
    let mut client = broker.client();
    let before = now_ms();
    for size in [5, 100_000] {
        let value = "x".repeat(size);
        let (error, _) = client.produce(("t", 0), &batch(Compression::None, 7, &[&value]));
        assert_eq!(error, 0);
    }
    let (_, _, bytes) = client.fetch(("t", 0), 0);
    let header = millrace_engine::record_batch::check(&bytes[..bytes.len() - 100_000 - 100])
        .or_else(|_| millrace_engine::record_batch::Header::parse(&bytes))
        .unwrap();
    assert!((before..=now_ms()).contains(&header.max_timestamp));
    assert_eq!(values(&bytes).len(), 2, "both crcs are right");
}

#[test]
fn a_compacted_topic_refuses_records_without_a_key() {
    let broker = TestBroker::new(1);
    broker.create_with("t", 1, &[("cleanup.policy", "compact")]);
    let mut client = broker.client();
    let mut builder = BatchBuilder::new(Compression::None);
    builder.push(now_ms(), None, Some(b"v"), &[]);
    let (error, _) = client.produce(("t", 0), &builder.build().unwrap());
    assert_eq!(error, ErrorCode::InvalidRecord.code());
    assert_eq!(client.produce(("t", 0), &plain(&["keyed"])), (0, 0));
    let (_, _, bytes) = client.fetch(("t", 0), 0);
    assert_eq!(texts(&values(&bytes)), [(0, "keyed")]);
}
