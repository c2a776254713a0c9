//! The produce cursor and the response writers agree with the messages they stand for.

use std::ops::Range;

use millrace_server::protocol::fetch::{FetchResponseWriter, FetchStart, FetchedPartition};
use millrace_server::protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use millrace_server::protocol::messages::produce_response::{
    BatchIndexAndErrorMessage, PartitionProduceResponse, TopicProduceResponse,
};
use millrace_server::protocol::messages::*;
use millrace_server::protocol::produce::{
    Piece, ProduceCursor, ProduceResponseWriter, ProducedPartition, Step, first_records,
};
use millrace_server::protocol::{
    ApiKey, DecodeFault, EncodeError, Message, Reader, RequestHeader, decode_request,
    encode_request, encode_response,
};

use super::allocations::allocated_bytes;
use super::sampler::{Sample, Sampler};

/// A Produce frame without its size.
fn produce_frame(seed: u64, version: i16) -> Vec<u8> {
    let v = ApiKey::Produce.version(version);
    let request = ProduceRequest::sample(&mut Sampler::new(seed), v);
    let mut frame = Vec::new();
    encode_request(&mut frame, version, 7, Some("client"), &request).unwrap();
    frame.split_off(4)
}

fn produce_frames() -> impl Iterator<Item = (i16, Vec<u8>)> {
    let (min, max) = ApiKey::Produce.versions();
    (min..=max).flat_map(|version| (0..40).map(move |seed| (version, produce_frame(seed, version))))
}

fn decode_whole(frame: &[u8]) -> ProduceRequest<'_> {
    let mut reader = Reader::new(frame);
    let header = RequestHeader::decode(&mut reader).unwrap();
    ProduceRequest::decode(&mut reader, header.api_version).unwrap()
}

/// All partitions of a request: topic, index, records.
fn partitions<'a>(request: &ProduceRequest<'a>) -> Vec<(String, i32, Option<&'a [u8]>)> {
    let mut found = Vec::new();
    for topic in &request.topic_data {
        for partition in &topic.partition_data {
            found.push((topic.name.to_owned(), partition.index, partition.records));
        }
    }
    found
}

/// Walks over a frame of which the records never arrive; each piece grows byte by byte.
fn walk_without_records(frame: &[u8]) -> Vec<(String, i32, Option<Range<usize>>)> {
    let begin = |length| ProduceCursor::begin(&frame[..length], frame.len()).unwrap();
    let (start, mut cursor) = (0..=frame.len()).find_map(begin).unwrap();
    assert_eq!(start.header.correlation_id, 7);
    let mut found = Vec::new();
    let mut topic = String::new();
    let mut length = 0;
    loop {
        let position = cursor.position();
        let piece = Piece {
            bytes: &frame[position..position + length],
            position,
        };
        match cursor.next(piece).unwrap() {
            Step::NeedMore => {
                length += 1;
                continue;
            }
            Step::Topic { name, .. } => name.clone_into(&mut topic),
            Step::Partition { index, records } => found.push((topic.clone(), index, records)),
            Step::End => return found,
        }
        length = 0;
    }
}

#[test]
fn the_cursor_finds_all_records_without_seeing_them() {
    for (version, frame) in produce_frames() {
        let request = decode_whole(&frame);
        let expected = partitions(&request);
        let found = walk_without_records(&frame);
        let found: Vec<_> = found
            .into_iter()
            .map(|(topic, index, records)| (topic, index, records.map(|range| &frame[range])))
            .collect();
        assert_eq!(found, expected, "version {version}");
    }
}

#[test]
fn the_first_records_are_found_in_the_shortest_prefix_that_tells() {
    let mut found_early = 0;
    for (version, frame) in produce_frames() {
        let expected = partitions(&decode_whole(&frame)).into_iter().next();
        let mut before = None;
        for length in 0..=frame.len() {
            let first = first_records(&frame[..length], frame.len()).unwrap();
            assert!(
                first.is_some() >= before.is_some(),
                "version {version}: lost at {length}"
            );
            if let (Some(first), None) = (&first, &before) {
                let records = first.records.clone();
                assert_eq!(records.as_ref().map_or(length, |range| range.start), length);
                found_early += usize::from(records.is_some_and(|range| range.end > length));
            }
            before = first;
        }
        let found = before.map(|first| {
            let records = first.records.map(|range| &frame[range]);
            (first.topic_name.to_owned(), first.partition_index, records)
        });
        assert_eq!(found, expected, "version {version}");
    }
    assert!(
        found_early > 50,
        "only {found_early} prefixes ended before the records"
    );
}

#[test]
fn records_beyond_the_frame_are_refused_at_once() {
    for version in [3, 9] {
        let first = (1..40)
            .map(|seed| produce_frame(seed, version))
            .find_map(|frame| {
                let records = first_records(&frame, frame.len()).unwrap()?.records?;
                (records.len() > 60).then_some((frame, records))
            });
        let (longer, records) = first.unwrap();
        let error = first_records(&longer[..records.start], records.end - 1).unwrap_err();
        assert_eq!(error.position, records.start, "{error}");
        assert!(
            matches!(error.fault, DecodeFault::Truncated { .. }),
            "{error}"
        );
    }
}

#[test]
fn bytes_behind_a_request_are_ignored() {
    for (version, mut frame) in produce_frames() {
        let expected = walk_without_records(&frame);
        frame.push(7);
        assert_eq!(walk_without_records(&frame), expected, "version {version}");
        let mut reader = Reader::new(&frame);
        let header = RequestHeader::decode(&mut reader).unwrap();
        let request: ProduceRequest<'_> = decode_request(reader, &header).unwrap();
        assert_eq!(partitions(&request).len(), expected.len());
    }
}

#[test]
fn walking_a_produce_request_allocates_nothing() {
    for (_, frame) in produce_frames() {
        let ((), allocated) = allocated_bytes(|| {
            let (_, mut cursor) = ProduceCursor::begin(&frame, frame.len()).unwrap().unwrap();
            let piece = Piece {
                bytes: &frame,
                position: 0,
            };
            while cursor.next(piece).unwrap() != Step::End {}
        });
        assert_eq!(allocated, 0);
    }
}

/// Topics with partitions, each with records.
type Shape = Vec<(&'static str, Vec<(i32, &'static [u8])>)>;

fn shapes() -> [Shape; 3] {
    let records: &[u8] = &[0xee; 200];
    [
        vec![],
        vec![("orders", vec![(4, records)])],
        vec![
            ("a", vec![(0, b""), (1, b"xyz")]),
            ("empty", vec![]),
            ("b", vec![(9, records)]),
        ],
    ]
}

#[test]
fn the_produce_writer_writes_what_the_message_does() {
    let (min, max) = ApiKey::Produce.versions();
    for version in min..=max {
        for shape in shapes() {
            let response = ProduceResponse {
                responses: shape.iter().map(produce_topic).collect(),
                throttle_time_ms: 12,
                ..ProduceResponse::default()
            };
            let mut expected = Vec::new();
            encode_response(&mut expected, version, 99, &response).unwrap();
            let written = write_produce(version, &shape);
            assert_eq!(written, expected, "version {version}");
        }
    }
}

fn write_produce(version: i16, shape: &Shape) -> Vec<u8> {
    let mut written = Vec::with_capacity(4096);
    let ((), allocated) = allocated_bytes(|| {
        let mut writer =
            ProduceResponseWriter::begin(&mut written, version, 99, shape.len()).unwrap();
        for (name, partitions) in shape {
            writer.topic(name, partitions.len()).unwrap();
            for (index, _) in partitions {
                writer.partition(&produced(*index)).unwrap();
            }
        }
        writer.finish(12).unwrap();
    });
    assert_eq!(allocated, 0);
    written
}

fn produced(index: i32) -> ProducedPartition<'static> {
    ProducedPartition {
        index,
        error_code: 87,
        base_offset: 1 << 40,
        log_append_time_ms: -1,
        log_start_offset: 3,
        refused_records: &[3, 70_000],
        error_message: Some("bad batch"),
    }
}

fn refused_record(batch_index: i32) -> BatchIndexAndErrorMessage<'static> {
    BatchIndexAndErrorMessage {
        batch_index,
        batch_index_error_message: None,
    }
}

fn produce_topic(
    (name, partitions): &(&'static str, Vec<(i32, &'static [u8])>),
) -> TopicProduceResponse<'static> {
    let partition = |(index, _): &(i32, &[u8])| PartitionProduceResponse {
        index: *index,
        error_code: 87,
        base_offset: 1 << 40,
        log_append_time_ms: -1,
        log_start_offset: 3,
        error_message: Some("bad batch".into()),
        record_errors: vec![refused_record(3), refused_record(70_000)].into(),
        ..PartitionProduceResponse::default()
    };
    TopicProduceResponse {
        name,
        partition_responses: partitions.iter().map(partition).collect(),
    }
}

#[test]
fn the_fetch_writer_writes_what_the_message_does_but_for_records() {
    let (min, max) = ApiKey::Fetch.versions();
    for version in min..=max {
        for shape in shapes() {
            let response = FetchResponse {
                throttle_time_ms: 1,
                error_code: if version >= 7 { 70 } else { 0 },
                session_id: if version >= 7 { 555 } else { 0 },
                responses: shape.iter().map(fetch_topic).collect(),
            };
            let mut expected = Vec::new();
            encode_response(&mut expected, version, 98, &response).unwrap();
            let (written, gaps) = write_fetch(version, &shape);
            let mut whole = Vec::new();
            let mut copied = 0;
            for (position, records) in gaps {
                whole.extend_from_slice(&written[copied..position]);
                whole.extend_from_slice(records);
                copied = position;
            }
            whole.extend_from_slice(&written[copied..]);
            assert_eq!(whole, expected, "version {version}");
        }
    }
}

type Gaps = Vec<(usize, &'static [u8])>;

fn write_fetch(version: i16, shape: &Shape) -> (Vec<u8>, Gaps) {
    let mut written = Vec::with_capacity(4096);
    let mut gaps = Vec::with_capacity(16);
    let start = FetchStart {
        throttle_time_ms: 1,
        error_code: 70,
        session_id: 555,
        topic_count: shape.len(),
    };
    let ((), allocated) = allocated_bytes(|| {
        let mut writer = FetchResponseWriter::begin(&mut written, version, 98, &start).unwrap();
        for (name, partitions) in shape {
            writer.topic(name, partitions.len()).unwrap();
            for (index, records) in partitions {
                let partition = FetchedPartition {
                    index: *index,
                    error_code: 0,
                    high_watermark: 1000,
                    last_stable_offset: 900,
                    log_start_offset: 10,
                };
                gaps.push((
                    writer.partition(&partition, records.len()).unwrap(),
                    *records,
                ));
            }
        }
        writer.finish().unwrap();
    });
    assert_eq!(allocated, 0);
    (written, gaps)
}

fn fetch_topic(
    (topic, partitions): &(&'static str, Vec<(i32, &'static [u8])>),
) -> FetchableTopicResponse<'static> {
    let partition = |(index, records): &(i32, &'static [u8])| PartitionData {
        partition_index: *index,
        high_watermark: 1000,
        last_stable_offset: 900,
        log_start_offset: 10,
        records: Some(records),
        ..PartitionData::default()
    };
    FetchableTopicResponse {
        topic,
        partitions: partitions.iter().map(partition).collect(),
    }
}

#[test]
fn writers_refuse_other_counts_than_announced() {
    let mut sink = Vec::new();
    let mut writer = ProduceResponseWriter::begin(&mut sink, 9, 1, 1).unwrap();
    writer.topic("t", 1).unwrap();
    assert!(matches!(
        writer.topic("u", 1),
        Err(EncodeError::Missing { left: 1, .. })
    ));
    writer.partition(&produced(0)).unwrap();
    assert!(matches!(
        writer.partition(&produced(1)),
        Err(EncodeError::TooMany { .. })
    ));
    assert!(matches!(
        writer.topic("u", 1),
        Err(EncodeError::TooMany { .. })
    ));
    writer.finish(0).unwrap();

    let start = FetchStart {
        topic_count: 2,
        ..FetchStart::default()
    };
    let mut writer = FetchResponseWriter::begin(&mut sink, 4, 1, &start).unwrap();
    writer.topic("t", 0).unwrap();
    assert!(matches!(
        writer.finish(),
        Err(EncodeError::Missing { left: 1, .. })
    ));
}
