//! Rules for single records: keys, times, codecs, and the order of batches that are looked at off
//! the data core.

use crate::harness::{Client, TestBroker, batch, decode, now_ms, produce_request, texts, values};
use millrace_engine::record_batch::builder::BatchBuilder;
use millrace_engine::record_batch::{Compression, Header};
use millrace_server::protocol::ErrorCode;
use millrace_server::protocol::messages::ProduceResponse;

fn codecs(mut bytes: &[u8]) -> Vec<Compression> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let header = Header::parse(bytes).unwrap();
        found.push(header.compression().unwrap());
        bytes = &bytes[header.batch_bytes as usize..];
    }
    found
}

#[test]
fn a_compacted_topic_refuses_records_without_a_key_in_every_codec() {
    let broker = TestBroker::new(2);
    broker.create_with("t", 2, &[("cleanup.policy", "compact")]);
    let mut client = broker.client();
    for partition in 0..2 {
        let mut offset = 0;
        for codec in Compression::ALL {
            for bytes in [10, 100_000] {
                let value = "v".repeat(bytes);
                let mut builder = BatchBuilder::new(codec);
                builder.push(now_ms(), Some(b"k"), Some(value.as_bytes()), &[]);
                builder.push(now_ms(), None, Some(value.as_bytes()), &[]);
                let (error, _) = client.produce(("t", partition), &builder.build().unwrap());
                assert_eq!(error, ErrorCode::InvalidRecord.code(), "{codec:?} {bytes}");
                let good = batch(codec, now_ms(), &[&value]);
                let answer = client.produce(("t", partition), &good);
                assert_eq!(answer, (0, offset), "{codec:?} {bytes}");
                offset += 1;
            }
        }
    }
}

/// The error, and the indexes of the records that it is about.
fn refused(client: &mut Client, topic: &str, batch: &[u8]) -> (i16, Vec<i32>) {
    let frame = client.call(8, &produce_request(-1, topic, 0, Some(batch)));
    let response: ProduceResponse<'_> = decode(&frame, 8);
    let topic = response.responses.first().unwrap();
    let result = topic.partition_responses.first().unwrap();
    assert!(result.error_message.is_some());
    let records = result.record_errors.iter();
    (
        result.error_code,
        records.map(|record| record.batch_index).collect(),
    )
}

#[test]
fn the_records_that_a_batch_is_refused_for_are_named() {
    let broker = TestBroker::new(2);
    broker.create_with("t", 1, &[("cleanup.policy", "compact")]);
    broker.create_with("past", 1, &[("message.timestamp.before.max.ms", "60000")]);
    let mut client = broker.client();
    for codec in [Compression::None, Compression::Lz4] {
        let mut builder = BatchBuilder::new(codec);
        let mut late = BatchBuilder::new(codec);
        for index in 0..50_i64 {
            let key = (index % 10 != 3).then_some(b"k".as_slice());
            builder.push(now_ms(), key, Some(b"v"), &[]);
            let is_late = index == 7 || index == 8;
            let time = now_ms() - if is_late { 3_600_000 } else { 0 };
            late.push(time, Some(b"k"), Some(b"v"), &[]);
        }
        let keyless = refused(&mut client, "t", &builder.build().unwrap());
        let wanted = vec![3, 13, 23, 33, 43];
        assert_eq!(keyless, (ErrorCode::InvalidRecord.code(), wanted));
        let late = refused(&mut client, "past", &late.build().unwrap());
        assert_eq!(late, (ErrorCode::InvalidTimestamp.code(), vec![7, 8]));
    }
    let mut many = BatchBuilder::new(Compression::None);
    for _ in 0..1500 {
        many.push(now_ms(), None, Some(b"v"), &[]);
    }
    let (_, named) = refused(&mut client, "t", &many.build().unwrap());
    assert_eq!(named, (0..1000).collect::<Vec<_>>());
}

#[test]
fn a_payload_that_is_no_records_is_refused_where_records_matter() {
    let broker = TestBroker::new(1);
    broker.create_with("t", 1, &[("cleanup.policy", "compact")]);
    let mut client = broker.client();
    for codec in Compression::ALL {
        let mut bad = batch(codec, now_ms(), &["value"]);
        let middle = bad.len() - 4;
        bad[middle] ^= 0x5a;
        let crc = millrace_engine::record_batch::crc(&bad);
        bad[17..21].copy_from_slice(&crc.to_be_bytes());
        let (error, _) = client.produce(("t", 0), &bad);
        // What is damaged decides which of the two it is; some damage changes only a value.
        let wanted = [
            ErrorCode::CorruptMessage.code(),
            ErrorCode::InvalidRecord.code(),
            0,
        ];
        assert!(wanted.contains(&error), "{codec:?} {error}");
    }
    let zeros = "0".repeat(70 << 20);
    let bomb = batch_of(Compression::Zstd, &zeros);
    let (error, _) = client.produce(("t", 0), &bomb);
    assert_eq!(error, ErrorCode::MessageTooLarge.code());
}

/// One record whose batch may be larger opened than a builder makes uncompressed.
fn batch_of(codec: Compression, value: &str) -> Vec<u8> {
    let mut builder = BatchBuilder::new(codec);
    builder.push(now_ms(), Some(b"k"), Some(value.as_bytes()), &[]);
    builder.build().unwrap()
}

#[test]
fn batches_are_stored_with_the_topics_codec() {
    let broker = TestBroker::new(1);
    let all = ["uncompressed", "gzip", "snappy", "lz4", "zstd"];
    for (name, stored) in all.into_iter().zip(Compression::ALL) {
        broker.create_with(name, 1, &[("compression.type", name)]);
        let mut client = broker.client();
        let mut wanted = Vec::new();
        for (codec, offset) in Compression::ALL.into_iter().zip(0..) {
            let value = format!("{codec:?}").repeat(300);
            let sent = batch(codec, now_ms(), &[&value]);
            assert_eq!(
                client.produce((name, 0), &sent),
                (0, offset),
                "{name} {codec:?}"
            );
            wanted.push((offset, value));
        }
        let (_, _, bytes) = client.fetch((name, 0), 0);
        assert_eq!(values(&bytes), wanted);
        assert_eq!(codecs(&bytes), [stored; 5], "{name}");
    }
}

#[test]
fn the_size_bound_holds_for_what_is_stored_too() {
    let broker = TestBroker::new(1);
    let configs = [
        ("compression.type", "uncompressed"),
        ("max.message.bytes", "5000"),
    ];
    broker.create_with("t", 1, &configs);
    let mut client = broker.client();
    let small = batch_of(Compression::Gzip, &"x".repeat(4000));
    assert_eq!(client.produce(("t", 0), &small), (0, 0));
    let large = batch_of(Compression::Gzip, &"x".repeat(40_000));
    assert!(large.len() < 5000);
    let (error, _) = client.produce(("t", 0), &large);
    assert_eq!(error, ErrorCode::MessageTooLarge.code());
}

#[test]
fn every_records_time_is_bounded_where_the_past_is() {
    let broker = TestBroker::new(1);
    broker.create_with("t", 1, &[("message.timestamp.before.max.ms", "60000")]);
    let mut client = broker.client();
    for codec in [Compression::None, Compression::Zstd] {
        let mut builder = BatchBuilder::new(codec);
        for time in [now_ms(), now_ms() - 3_600_000, now_ms()] {
            builder.push(time, Some(b"k"), Some(b"v"), &[]);
        }
        let (error, _) = client.produce(("t", 0), &builder.build().unwrap());
        assert_eq!(error, ErrorCode::InvalidTimestamp.code(), "{codec:?}");
    }
    let good = batch(Compression::Zstd, now_ms(), &["v"]);
    assert_eq!(client.produce(("t", 0), &good), (0, 0));
}

fn offset_of(client: &mut Client) -> (i16, i64) {
    let frame = client.receive().unwrap();
    let response: ProduceResponse<'_> = decode(&frame, 9);
    let topic = response.responses.first().unwrap();
    let result = topic.partition_responses.first().unwrap();
    (result.error_code, result.base_offset)
}

#[test]
fn batches_keep_their_order_however_long_each_is_looked_at() {
    let broker = TestBroker::new(2);
    broker.create_with("t", 2, &[("compression.type", "zstd")]);
    for partition in 0..2 {
        let mut client = broker.client();
        let mut wanted = Vec::new();
        for round in 0..60_i64 {
            let codec = Compression::ALL[round as usize % 5];
            let bytes = [5, 200_000, 40][round as usize % 3];
            let value = format!("{round} ").repeat(bytes);
            let sent = batch(codec, now_ms(), &[&value]);
            client.send(9, &produce_request(-1, "t", partition, Some(&sent)));
            wanted.push((round, format!("{round} ")));
        }
        for round in 0..60 {
            assert_eq!(offset_of(&mut client), (0, round));
        }
        let mut found = Vec::new();
        while found.len() < wanted.len() {
            let next = i64::try_from(found.len()).unwrap();
            let (_, _, bytes) = client.fetch(("t", partition), next);
            for (offset, value) in values(&bytes) {
                let first = value.split_inclusive(' ').next().unwrap();
                found.push((offset, first.to_owned()));
            }
        }
        assert_eq!(texts(&found), texts(&wanted));
    }
}
