//! Frames written by hand from the protocol's description, byte for byte.

use millrace_server::protocol::messages::api_versions_response::ApiVersion;
use millrace_server::protocol::messages::create_topics_request::CreatableTopic;
use millrace_server::protocol::messages::create_topics_response::CreatableTopicResult;
use millrace_server::protocol::messages::fetch_response::{
    EpochEndOffset, FetchableTopicResponse, PartitionData,
};
use millrace_server::protocol::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use millrace_server::protocol::messages::offset_for_leader_epoch_response::{
    EpochEndOffset as LeaderEpochEnd, OffsetForLeaderTopicResult,
};
use millrace_server::protocol::messages::produce_request::{
    PartitionProduceData, TopicProduceData,
};
use millrace_server::protocol::messages::*;
use millrace_server::protocol::{
    EncodeError, ErrorCode, List, Message, Reader, Request, RequestHeader, SliceSink,
    decode_api_versions, decode_request, decode_response, encode_request, encode_response,
    put_uvarint, put_varint, put_varlong,
};

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex
        .bytes()
        .filter(|digit| !digit.is_ascii_whitespace())
        .collect();
    let text = |pair: &[u8]| String::from_utf8(pair.to_vec()).unwrap();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(&text(pair), 16).unwrap())
        .collect()
}

/// Checks both directions of a request frame.
#[track_caller]
fn check_request<'a, M>(frame: &'a [u8], version: i16, id: i32, client: Option<&str>, request: &M)
where
    M: Request<'a> + PartialEq + std::fmt::Debug,
{
    let mut written = Vec::new();
    encode_request(&mut written, version, id, client, request).unwrap();
    assert_eq!(format!("{written:02x?}"), format!("{frame:02x?}"));
    let mut reader = Reader::new(&frame[4..]);
    let header = RequestHeader::decode(&mut reader).unwrap();
    assert_eq!((header.api_key, header.api_version), (M::API, version));
    assert_eq!((header.correlation_id, header.client_id), (id, client));
    assert_eq!(&decode_request::<M>(reader, &header).unwrap(), request);
}

/// Checks both directions of a response frame.
#[track_caller]
fn check_response<'a, M>(frame: &'a [u8], version: i16, id: i32, response: &M)
where
    M: Message<'a> + PartialEq + std::fmt::Debug,
{
    let mut written = Vec::new();
    encode_response(&mut written, version, id, response).unwrap();
    assert_eq!(format!("{written:02x?}"), format!("{frame:02x?}"));
    let decoded: (i32, M) = decode_response(&frame[4..], version).unwrap();
    assert_eq!((decoded.0, &decoded.1), (id, response));
}

#[test]
fn api_versions_request_0_has_a_plain_header_and_no_body() {
    let frame = bytes("0000000e 0012 0000 00000001 0004 6b636174");
    check_request(&frame, 0, 1, Some("kcat"), &ApiVersionsRequest::default());
}

#[test]
fn api_versions_request_3_has_tagged_fields_but_a_plain_client_id() {
    let frame =
        bytes("0000001c 0012 0003 00000007 0003 72646b 00 0b 6c696272646b61666b61 02 32 00");
    let request = ApiVersionsRequest {
        client_software_name: "librdkafka",
        client_software_version: "2",
    };
    check_request(&frame, 3, 7, Some("rdk"), &request);
}

#[test]
fn api_versions_response_3_has_a_header_without_tagged_fields() {
    let frame = bytes(
        "0000001d 00000007 0000 02 0000 0000 000b 00 00000000 \
         01 01 08 0000000000000005",
    );
    let key = ApiVersion {
        api_key: 0,
        min_version: 0,
        max_version: 11,
    };
    let response = ApiVersionsResponse {
        api_keys: [key].into(),
        finalized_features_epoch: 5,
        ..ApiVersionsResponse::default()
    };
    check_response(&frame, 3, 7, &response);
}

#[test]
fn an_unknown_api_versions_version_is_answered_in_version_0() {
    let frame = bytes("00000010 00000009 0023 00000001 0012 0000 0004");
    let key = ApiVersion {
        api_key: 18,
        min_version: 0,
        max_version: 4,
    };
    let response = ApiVersionsResponse {
        error_code: ErrorCode::UnsupportedVersion.code(),
        api_keys: [key].into(),
        ..ApiVersionsResponse::default()
    };
    check_response(&frame, 0, 9, &response);
    assert_eq!(decode_api_versions(&frame[4..], 4).unwrap(), (9, response));
}

#[test]
fn metadata_requests_say_all_topics_in_three_ways() {
    let request = MetadataRequest::default();
    assert_eq!(request.topics, None);
    let empty = MetadataRequest {
        topics: Some(List::new()),
        ..MetadataRequest::default()
    };
    check_request(
        &bytes("0000000e 0003 0000 00000001 ffff 00000000"),
        0,
        1,
        None,
        &empty,
    );
    check_request(
        &bytes("0000000e 0003 0001 00000001 ffff ffffffff"),
        1,
        1,
        None,
        &request,
    );
    let flexible = bytes("00000010 0003 0009 00000001 ffff 00 00 01 00 00 00");
    check_request(&flexible, 9, 1, None, &request);
}

#[test]
fn null_is_refused_where_a_version_does_not_allow_it() {
    let error = MetadataRequest::default()
        .encode(&mut Vec::new(), 0)
        .unwrap_err();
    assert_eq!(
        error,
        EncodeError::Null {
            field: "MetadataRequest.topics",
            version: 0
        }
    );
}

fn produce_request() -> ProduceRequest<'static> {
    let partition = PartitionProduceData {
        index: 2,
        records: Some(&[1, 2, 3]),
    };
    let topic = TopicProduceData {
        name: "t",
        partition_data: [partition].into(),
    };
    ProduceRequest {
        transactional_id: None,
        acks: -1,
        timeout_ms: 30_000,
        topic_data: [topic].into(),
    }
}

#[test]
fn produce_request_3_is_written_with_fixed_lengths() {
    let frame = bytes(
        "00000029 0000 0003 00000005 0001 63 ffff ffff 00007530 \
         00000001 0001 74 00000001 00000002 00000003 010203",
    );
    check_request(&frame, 3, 5, Some("c"), &produce_request());
}

#[test]
fn produce_request_9_is_written_with_compact_lengths() {
    let frame = bytes(
        "00000022 0000 0009 00000005 0001 63 00 00 ffff 00007530 \
         02 02 74 02 00000002 04 010203 00 00 00",
    );
    check_request(&frame, 9, 5, Some("c"), &produce_request());
}

#[test]
fn fetch_response_12_carries_a_diverging_epoch_as_tagged_field_0() {
    let frame = bytes(
        "0000004b 00000001 00 00000000 0000 00000000 02 02 74 02 \
         00000000 0000 0000000000000064 0000000000000063 0000000000000001 00 ffffffff 03 aabb \
         01 00 0d 00000005 000000000000002a 00 00 00",
    );
    let partition = PartitionData {
        high_watermark: 100,
        last_stable_offset: 99,
        log_start_offset: 1,
        diverging_epoch: EpochEndOffset {
            epoch: 5,
            end_offset: 42,
        },
        records: Some(&[0xaa, 0xbb]),
        ..PartitionData::default()
    };
    let topic = FetchableTopicResponse {
        topic: "t",
        partitions: [partition].into(),
    };
    let response = FetchResponse {
        responses: [topic].into(),
        ..FetchResponse::default()
    };
    check_response(&frame, 12, 1, &response);
}

#[test]
fn create_topics_0_and_1_lack_what_later_versions_have() {
    let topic = CreatableTopic {
        name: "t",
        num_partitions: 3,
        replication_factor: 1,
        ..CreatableTopic::default()
    };
    let mut request = CreateTopicsRequest {
        topics: [topic].into(),
        timeout_ms: 30_000,
        validate_only: false,
    };
    let frame = bytes(
        "00000023 0013 0000 00000001 ffff \
         00000001 0001 74 00000003 0001 00000000 00000000 00007530",
    );
    check_request(&frame, 0, 1, None, &request);
    request.validate_only = true;
    let frame = bytes(
        "00000024 0013 0001 00000001 ffff \
         00000001 0001 74 00000003 0001 00000000 00000000 00007530 01",
    );
    check_request(&frame, 1, 1, None, &request);

    let result = CreatableTopicResult {
        name: "t",
        error_code: ErrorCode::TopicAlreadyExists.code(),
        ..CreatableTopicResult::default()
    };
    let mut response = CreateTopicsResponse {
        topics: [result.clone()].into(),
        ..CreateTopicsResponse::default()
    };
    check_response(
        &bytes("0000000d 00000001 00000001 0001 74 0024"),
        0,
        1,
        &response,
    );
    let error_message = Some("no".into());
    response.topics = [CreatableTopicResult {
        error_message,
        ..result
    }]
    .into();
    let frame = bytes("00000011 00000001 00000001 0001 74 0024 0002 6e6f");
    check_response(&frame, 1, 1, &response);
}

#[test]
fn offset_for_leader_epoch_0_has_neither_current_epoch_nor_throttle_time() {
    let partition = OffsetForLeaderPartition {
        partition: 2,
        leader_epoch: 9,
        ..OffsetForLeaderPartition::default()
    };
    let topic = OffsetForLeaderTopic {
        topic: "t",
        partitions: [partition].into(),
    };
    let request = OffsetForLeaderEpochRequest {
        replica_id: -2,
        topics: [topic].into(),
    };
    let frame =
        bytes("0000001d 0017 0000 00000001 ffff 00000001 0001 74 00000001 00000002 00000009");
    check_request(&frame, 0, 1, None, &request);

    let mut partition = LeaderEpochEnd {
        partition: 2,
        end_offset: 42,
        ..LeaderEpochEnd::default()
    };
    let response = |partition| {
        let topic = OffsetForLeaderTopicResult {
            topic: "t",
            partitions: [partition].into(),
        };
        OffsetForLeaderEpochResponse {
            throttle_time_ms: 0,
            topics: [topic].into(),
        }
    };
    let frame = bytes("0000001d 00000001 00000001 0001 74 00000001 0000 00000002 000000000000002a");
    check_response(&frame, 0, 1, &response(partition.clone()));
    partition.leader_epoch = 9;
    let frame = bytes(
        "00000021 00000001 00000001 0001 74 00000001 0000 00000002 00000009 000000000000002a",
    );
    check_response(&frame, 1, 1, &response(partition));
}

#[test]
fn the_header_of_an_unknown_api_versions_version_can_be_read() {
    let frame = bytes("0012 0063 00000007 0003 72646b 00 0b");
    let mut reader = Reader::new(&frame);
    let header = RequestHeader::decode(&mut reader).unwrap();
    assert_eq!((header.api_version, header.correlation_id), (99, 7));
    assert_eq!(reader.remaining(), 1);
}

#[test]
fn varints_have_the_published_forms() {
    let cases: [(u32, &str); 6] = [
        (0, "00"),
        (127, "7f"),
        (128, "8001"),
        (300, "ac02"),
        (16_383, "ff7f"),
        (u32::MAX, "ffffffff0f"),
    ];
    for (value, hex) in cases {
        let mut written = Vec::new();
        put_uvarint(&mut written, value).unwrap();
        assert_eq!(written, bytes(hex));
        assert_eq!(Reader::new(&written).uvarint("value"), Ok(value));
    }
    let cases = [(0, "00"), (-1, "01"), (1, "02"), (-64, "7f"), (64, "8001")];
    for (value, hex) in cases {
        let mut written = Vec::new();
        put_varint(&mut written, value).unwrap();
        assert_eq!(written, bytes(hex));
        assert_eq!(Reader::new(&written).varint("value"), Ok(value));
        let mut written = Vec::new();
        put_varlong(&mut written, i64::from(value)).unwrap();
        assert_eq!(written, bytes(hex));
    }
    for value in [i64::MIN, i64::MAX, -1] {
        let mut written = Vec::new();
        put_varlong(&mut written, value).unwrap();
        assert_eq!(Reader::new(&written).varlong("value"), Ok(value));
    }
    for value in [i32::MIN, i32::MAX] {
        let mut written = Vec::new();
        put_varint(&mut written, value).unwrap();
        assert_eq!(Reader::new(&written).varint("value"), Ok(value));
    }
    assert!(
        Reader::new(&bytes("ffffffffffffffffff02"))
            .varlong("value")
            .is_err()
    );
}

#[test]
fn a_fixed_sink_takes_what_fits_and_says_what_does_not() {
    let mut expected = Vec::new();
    encode_request(&mut expected, 9, 5, Some("c"), &produce_request()).unwrap();
    for room in 0..expected.len() {
        let mut buffer = vec![0; room];
        let mut sink = SliceSink::new(&mut buffer);
        let error = encode_request(&mut sink, 9, 5, Some("c"), &produce_request()).unwrap_err();
        assert!(matches!(error, EncodeError::Full { .. }), "{error}");
    }
    let mut buffer = vec![0; expected.len()];
    let mut sink = SliceSink::new(&mut buffer);
    encode_request(&mut sink, 9, 5, Some("c"), &produce_request()).unwrap();
    assert_eq!(sink.written(), expected);
}

#[test]
fn a_string_that_no_length_can_say_is_refused() {
    let long = "x".repeat(32_768);
    let request = ApiVersionsRequest {
        client_software_name: &long,
        client_software_version: "",
    };
    let error = request.encode(&mut Vec::new(), 3).unwrap_err();
    let field = "ApiVersionsRequest.client_software_name";
    assert_eq!(
        error,
        EncodeError::TooLong {
            field,
            length: 32_768,
            bound: 32_767
        }
    );
}
