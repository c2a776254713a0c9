//! An independent codec reads what ours writes and writes the same bytes.
//!
//! It trusts lengths, so it is given honest bytes only.

use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::messages as theirs;
use kafka_protocol::protocol::{Decodable, Encodable, Message as TheirMessage};
use millrace_server::protocol::messages::*;
use millrace_server::protocol::{ApiKey, RequestHeader, ResponseHeader};

use super::round_trip::encode;
use super::sampler::{Sample, Sampler};
use super::samples::for_each_message;

macro_rules! agree {
    ($api:ident, $message:ident) => {{
        let api = ApiKey::$api;
        let (min, max) = api.versions();
        let known = <theirs::$message as TheirMessage>::VERSIONS;
        let name = stringify!($message);
        for version in min.max(known.min)..=max.min(known.max) {
            for seed in 0..30 {
                let sample = $message::sample(&mut Sampler::new(seed), api.version(version));
                let ours = encode(&sample, version);
                let mut frame = Bytes::from(ours.clone());
                let decoded = theirs::$message::decode(&mut frame, version)
                    .unwrap_or_else(|error| panic!("{name} {version} seed {seed}: {error}"));
                assert_eq!(
                    frame.remaining(),
                    0,
                    "{name} {version} seed {seed}: {decoded:?}"
                );
                let mut written = BytesMut::new();
                decoded.encode(&mut written, version).unwrap();
                assert_eq!(
                    &written[..],
                    &ours[..],
                    "{name} {version} seed {seed}: {decoded:?}"
                );
            }
        }
        assert!(
            min.max(known.min) < max || min == max,
            "{name}: nothing was compared"
        );
    }};
}

#[test]
fn another_codec_reads_and_rewrites_every_message_identically() {
    for_each_message!(agree);
}

#[test]
fn another_codec_uses_the_same_headers() {
    for api in ApiKey::ALL {
        let their_api = theirs::ApiKey::try_from(api.key()).unwrap();
        let (min, max) = api.versions();
        for api_version in min..=max {
            let header = RequestHeader {
                api_key: api,
                api_version,
                correlation_id: 77,
                client_id: Some("client"),
            };
            let mut ours = Vec::new();
            header.encode(&mut ours).unwrap();
            let version = their_api.request_header_version(api_version);
            let mut frame = Bytes::from(ours);
            let decoded = theirs::RequestHeader::decode(&mut frame, version).unwrap();
            assert_eq!(frame.remaining(), 0, "{api:?} {api_version}");
            assert_eq!(decoded.correlation_id, 77);
            assert_eq!(decoded.client_id.unwrap().as_str(), "client");

            let mut ours = Vec::new();
            ResponseHeader { correlation_id: 78 }
                .encode(&mut ours, api, api_version)
                .unwrap();
            let version = their_api.response_header_version(api_version);
            let mut frame = Bytes::from(ours);
            let decoded = theirs::ResponseHeader::decode(&mut frame, version).unwrap();
            assert_eq!(frame.remaining(), 0, "{api:?} {api_version}");
            assert_eq!(decoded.correlation_id, 78);
        }
    }
}
