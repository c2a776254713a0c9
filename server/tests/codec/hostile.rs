//! Bytes that no honest peer sends: decoding never panics, never allocates, and blames a field.

use millrace_server::protocol::messages::*;
use millrace_server::protocol::produce::first_records;
use millrace_server::protocol::{
    ApiKey, DecodeError, DecodeFault, Message, Reader, RequestHeader, SizeSink,
};

use super::allocations::allocated_bytes;
use super::round_trip::encode;
use super::sampler::{Sample, Sampler};
use super::samples::for_each_message;

type Read<'a, M> = fn(&mut Reader<'a>, i16) -> Result<M, DecodeError>;

/// Decodes and walks over all that was decoded; neither may allocate. Returns whether it decoded.
fn decode<'a, M: Message<'a>>(read: Read<'a, M>, bytes: &'a [u8], version: i16) -> bool {
    let (is_decoded, allocated) = allocated_bytes(|| {
        let Ok(message) = read(&mut Reader::new(bytes), version) else {
            return false;
        };
        let mut size = SizeSink::default();
        // A string above 32767 bytes can be read in a flexible version but not written.
        let _ = message.encode(&mut size, version);
        true
    });
    assert_eq!(
        allocated,
        0,
        "{} {version} allocates to decode {bytes:02x?}",
        M::NAME
    );
    is_decoded
}

fn damage(bytes: &mut Vec<u8>, s: &mut Sampler) {
    match s.below(4) {
        0 => bytes.truncate(s.below(bytes.len() + 1)),
        1 => {
            for _ in 0..=s.below(4) {
                let place = s.below(bytes.len());
                if let Some(byte) = bytes.get_mut(place) {
                    *byte ^= 1 << s.below(8);
                }
            }
        }
        2 => {
            // A length or count that claims the most, wherever it may be.
            let place = s.below(bytes.len());
            let huge = [0x7f, 0xff, 0xff, 0xff];
            for (byte, value) in bytes.iter_mut().skip(place).zip(huge) {
                *byte = value;
            }
        }
        _ => {
            let place = s.below(bytes.len() + 1);
            let huge = [0xff, 0xff, 0xff, 0xff, 0x0f];
            bytes.splice(place..place, huge);
        }
    }
}

macro_rules! survive_damage {
    ($api:ident, $message:ident) => {{
        let api = ApiKey::$api;
        let (min, max) = api.versions();
        for version in min..=max {
            let (mut refused, mut honest_bytes) = (0, 0);
            for seed in 0..200 {
                let mut s = Sampler::new(seed);
                let sample = $message::sample(&mut s, api.version(version));
                let honest = encode(&sample, version);
                honest_bytes += honest.len();
                for _ in 0..10 {
                    let mut bytes = honest.clone();
                    damage(&mut bytes, &mut s);
                    let is_decoded = decode($message::decode, &bytes, version);
                    refused += usize::from(!is_decoded);
                }
            }
            // A message without fields has nothing to refuse.
            assert!(
                refused > 0 || honest_bytes == 0,
                "no damage to {} {version} was seen",
                stringify!($message)
            );
        }
    }};
}

#[test]
fn damaged_messages_never_panic_and_never_allocate() {
    for_each_message!(survive_damage);
}

macro_rules! survive_every_truncation {
    ($api:ident, $message:ident) => {{
        let api = ApiKey::$api;
        let (min, max) = api.versions();
        for version in min..=max {
            for seed in 0..6 {
                let mut s = Sampler::new(seed);
                let bytes = encode(&$message::sample(&mut s, api.version(version)), version);
                for length in 0..bytes.len() {
                    assert!(
                        !decode($message::decode, &bytes[..length], version),
                        "{} {version} decodes from {length} of {} bytes",
                        stringify!($message),
                        bytes.len()
                    );
                }
            }
        }
    }};
}

#[test]
fn no_message_decodes_from_a_part_of_its_bytes() {
    for_each_message!(survive_every_truncation);
}

macro_rules! survive_dense_arrays {
    ($api:ident, $message:ident) => {{
        let (min, max) = ApiKey::$api.versions();
        for version in min..=max {
            for byte in [0x00, 0x01, 0x02, 0x7f, 0x80, 0xff] {
                let mut bytes = vec![byte; 5000];
                decode($message::decode, &bytes, version);
                // Every place where the first count may be, claiming what just fits and more.
                for place in 0..24 {
                    for count in [1000_i32, 4900, i32::MAX] {
                        bytes.fill(byte);
                        bytes[place..place + 4].copy_from_slice(&count.to_be_bytes());
                        decode($message::decode, &bytes, version);
                    }
                    bytes.fill(byte);
                    bytes[place..place + 2].copy_from_slice(&[0xa0, 0x26]);
                    decode($message::decode, &bytes, version);
                }
            }
        }
    }};
}

#[test]
fn arrays_of_the_smallest_elements_never_allocate() {
    for_each_message!(survive_dense_arrays);
}

#[test]
fn random_frames_never_panic_nor_allocate_as_headers_or_produce_requests() {
    let mut found = 0;
    for seed in 0..20_000 {
        let mut s = Sampler::new(seed);
        let mut frame: Vec<u8> = (0..s.below(64)).map(|_| s.number() as u8).collect();
        // Half of them begin as Produce frames do.
        if let (true, Some(start)) = (seed % 2 == 0, frame.first_chunk_mut::<4>()) {
            *start = [0, 0, 0, 3 + s.below(9) as u8];
        }
        let claimed = s.below(200);
        let (result, allocated) = allocated_bytes(|| {
            let header = RequestHeader::decode(&mut Reader::new(&frame));
            (header.is_ok(), first_records(&frame, claimed).is_ok())
        });
        assert_eq!(allocated, 0, "seed {seed}");
        found += usize::from(result.0);
    }
    assert!(
        found > 0,
        "no random header was readable, the test shows nothing"
    );
}

#[test]
fn a_count_beyond_the_frame_is_refused_with_its_bound() {
    // Version 0: a count of names, each of which takes at least two bytes.
    let bytes = [0x7f, 0xff, 0xff, 0xff, 0, 1, b'a'];
    let error = MetadataRequest::decode(&mut Reader::new(&bytes), 0).unwrap_err();
    assert_eq!(error.field, "MetadataRequest.topics");
    assert_eq!(
        error.fault,
        DecodeFault::Count {
            count: 0x7fff_ffff,
            bound: 1
        }
    );
    let text = error.to_string();
    assert!(
        text.contains("MetadataRequest.topics") && text.contains("2147483647"),
        "{text}"
    );
}

fn fault_of<'a, M: Message<'a> + std::fmt::Debug>(bytes: &'a [u8], version: i16) -> DecodeFault {
    M::decode(&mut Reader::new(bytes), version)
        .unwrap_err()
        .fault
}

#[test]
fn each_fault_is_named() {
    let null_name = [0, 0, 0, 1, 0xff, 0xff];
    assert_eq!(
        fault_of::<MetadataRequest<'_>>(&null_name, 0),
        DecodeFault::Null { version: 0 }
    );
    let negative = [0xff, 0xff, 0xff, 0xfe];
    assert_eq!(
        fault_of::<MetadataRequest<'_>>(&negative, 1),
        DecodeFault::NegativeLength { value: -2 }
    );
    let not_utf8 = [0, 0, 0, 1, 0, 2, b'a', 0xff];
    assert_eq!(
        fault_of::<MetadataRequest<'_>>(&not_utf8, 1),
        DecodeFault::Utf8 { valid_up_to: 1 }
    );
    assert_eq!(
        fault_of::<MetadataRequest<'_>>(&[], 13),
        DecodeFault::Version {
            version: 13,
            min: 0,
            max: 12
        }
    );
    let wide_varint = [0xff, 0xff, 0xff, 0xff, 0x1f];
    assert_eq!(
        fault_of::<MetadataRequest<'_>>(&wide_varint, 9),
        DecodeFault::Varint { bits: 32 }
    );
    // No topics, three flags, then tags 5 and 5.
    let repeated_tag = [1, 0, 0, 0, 2, 5, 0, 5, 0];
    assert_eq!(
        fault_of::<MetadataRequest<'_>>(&repeated_tag, 9),
        DecodeFault::TagOrder {
            tag: 5,
            previous: 5
        }
    );
    let many_tags = [1, 0, 0, 0, 9, 5, 0];
    assert_eq!(
        fault_of::<MetadataRequest<'_>>(&many_tags, 9),
        DecodeFault::Count { count: 9, bound: 1 }
    );
    let long_tag = [1, 0, 0, 0, 1, 5, 9, 0];
    assert_eq!(
        fault_of::<MetadataRequest<'_>>(&long_tag, 9),
        DecodeFault::Truncated {
            needed: 9,
            remaining: 1
        }
    );
    let unknown_api = [0x7f, 0, 0, 1, 0, 0, 0, 0, 0xff, 0xff];
    let error = RequestHeader::decode(&mut Reader::new(&unknown_api)).unwrap_err();
    assert_eq!(error.fault, DecodeFault::ApiKey { key: 0x7f00 });
}

#[test]
fn unknown_tagged_fields_are_skipped() {
    let bytes = [1, 1, 0, 0, 2, 5, 3, 1, 2, 3, 9, 0];
    let mut reader = Reader::new(&bytes);
    let request = MetadataRequest::decode(&mut reader, 9).unwrap();
    assert!(request.allow_auto_topic_creation);
    assert_eq!(reader.remaining(), 0);
}

#[test]
fn a_tagged_field_longer_than_its_content_is_refused() {
    // ApiVersions response 3: error, no keys, throttle, tag 3 (a bool) with two bytes.
    let bytes = [0, 0, 1, 0, 0, 0, 0, 1, 3, 2, 1, 0];
    assert_eq!(
        fault_of::<ApiVersionsResponse<'_>>(&bytes, 3),
        DecodeFault::TagSize { tag: 3, unused: 1 }
    );
}
