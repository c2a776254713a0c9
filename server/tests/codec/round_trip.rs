//! What is encoded decodes to the same value, in every version of every message.

use millrace_server::protocol::messages::*;
use millrace_server::protocol::{ApiKey, Message, Reader, Sink, SizeSink, SliceSink};

use super::sampler::{Sample, Sampler};
use super::samples::for_each_message;

/// Encodes `message` to all sinks and returns the bytes.
pub(crate) fn encode<'a, M: Message<'a>>(message: &M, version: i16) -> Vec<u8> {
    let mut bytes = Vec::new();
    message.encode(&mut bytes, version).unwrap();
    let mut size = SizeSink::default();
    message.encode(&mut size, version).unwrap();
    assert_eq!(size.position(), bytes.len());
    let mut buffer = vec![0; bytes.len()];
    let mut slice = SliceSink::new(&mut buffer);
    message.encode(&mut slice, version).unwrap();
    assert_eq!(slice.written(), bytes);
    bytes
}

macro_rules! round_trip {
    ($api:ident, $message:ident) => {{
        let api = ApiKey::$api;
        let (min, max) = api.versions();
        for version in min..=max {
            for seed in 0..50 {
                let sample = $message::sample(&mut Sampler::new(seed), api.version(version));
                let bytes = encode(&sample, version);
                let mut reader = Reader::new(&bytes);
                let name = stringify!($message);
                let decoded = $message::decode(&mut reader, version)
                    .unwrap_or_else(|error| panic!("{name} {version} seed {seed}: {error}"));
                assert_eq!(reader.remaining(), 0, "{name} {version} seed {seed}");
                assert_eq!(decoded, sample, "{name} {version} seed {seed}");
                assert_eq!(
                    encode(&decoded, version),
                    bytes,
                    "{name} {version} seed {seed}"
                );
            }
        }
    }};
}

#[test]
fn every_message_survives_encoding_and_decoding_in_every_version() {
    for_each_message!(round_trip);
}
