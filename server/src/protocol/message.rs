//! What all messages share: versions, headers around them, frames around both.
//!
//! A frame is a 32-bit size, a header and one message. The functions here write whole frames and
//! read what lies behind the size.

use super::api_key::ApiKey;
use super::error::{DecodeError, DecodeFault, EncodeError};
use super::header::{RequestHeader, ResponseHeader};
use super::messages::ApiVersionsResponse;
use super::primitives::{Version, Wire};
use super::reader::Reader;
use super::sink::Sink;

/// A request or a response.
pub trait Message<'a>: Wire<'a> + Default {
    /// Its name in the protocol.
    const NAME: &'static str;
    /// The API it belongs to.
    const API: ApiKey;

    /// Reads the message in `version`.
    ///
    /// # Errors
    /// When the codec does not know the version, or the bytes are not such a message.
    fn decode(reader: &mut Reader<'a>, version: i16) -> Result<Self, DecodeError> {
        let (min, max) = Self::API.versions();
        if version < min || version > max {
            return Err(reader.error(Self::NAME, DecodeFault::Version { version, min, max }));
        }
        Self::read(reader, Self::API.version(version), Self::NAME)
    }

    /// Writes the message in `version`. Fields the version does not have are left out.
    ///
    /// # Errors
    /// When the codec does not know the version, a value has no form in it, or the sink is full;
    /// the sink may then hold a part of the message.
    fn encode<S: Sink>(&self, sink: &mut S, version: i16) -> Result<(), EncodeError> {
        let (min, max) = Self::API.versions();
        if version < min || version > max {
            return Err(EncodeError::Version {
                message: Self::NAME,
                version,
                min,
                max,
            });
        }
        self.write(sink, Self::API.version(version), Self::NAME)
    }
}

/// A request, which knows its response.
pub trait Request<'a>: Message<'a> {
    /// The response of the same API.
    type Response<'r>: Message<'r>;
}

impl ApiKey {
    /// `number` with the form that messages of this API have in it.
    #[must_use]
    pub const fn version(self, number: i16) -> Version {
        Version {
            number,
            is_flexible: number >= self.flexible_from(),
        }
    }
}

/// Appends a request with header and size.
///
/// # Errors
/// As `Message::encode`.
pub fn encode_request<'a, M: Message<'a>, S: Sink>(
    sink: &mut S,
    version: i16,
    correlation_id: i32,
    client_id: Option<&str>,
    request: &M,
) -> Result<(), EncodeError> {
    let api_key = M::API;
    let header = RequestHeader {
        api_key,
        api_version: version,
        correlation_id,
        client_id,
    };
    let start = open_frame(sink)?;
    header.encode(sink)?;
    request.encode(sink, version)?;
    close_frame(sink, start, 0)
}

/// Appends a response with header and size.
///
/// # Errors
/// As `Message::encode`.
pub fn encode_response<'a, M: Message<'a>, S: Sink>(
    sink: &mut S,
    version: i16,
    correlation_id: i32,
    response: &M,
) -> Result<(), EncodeError> {
    let start = open_frame(sink)?;
    ResponseHeader { correlation_id }.encode(sink, M::API, version)?;
    response.encode(sink, version)?;
    close_frame(sink, start, 0)
}

/// Leaves room for a frame's size and returns where.
pub(super) fn open_frame<S: Sink>(sink: &mut S) -> Result<usize, EncodeError> {
    let start = sink.position();
    sink.put(&[0; 4])?;
    Ok(start)
}

/// Writes the size of the frame that was opened at `start` and has `elsewhere` bytes outside of
/// the sink.
pub(super) fn close_frame<S: Sink>(
    sink: &mut S,
    start: usize,
    elsewhere: usize,
) -> Result<(), EncodeError> {
    let size = sink
        .position()
        .saturating_sub(start)
        .saturating_sub(4)
        .saturating_add(elsewhere);
    let length = i32::try_from(size).map_err(|_| EncodeError::TooLong {
        field: "frame",
        length: size,
        bound: i32::MAX as usize,
    })?;
    sink.patch(start, length.to_be_bytes());
    Ok(())
}

/// Reads the request behind a header that was read from `reader`. Bytes after its end are ignored.
///
/// # Errors
/// As `Message::decode`.
pub fn decode_request<'a, M: Message<'a>>(
    mut reader: Reader<'a>,
    header: &RequestHeader<'a>,
) -> Result<M, DecodeError> {
    // KAFKA: brokers do not look behind the end of a request, so some client may leave bytes there.
    M::decode(&mut reader, header.api_version)
}

/// Reads a whole response frame (without its size): the correlation id and the message.
///
/// # Errors
/// As `Message::decode`, and when bytes follow the message.
pub fn decode_response<'a, M: Message<'a>>(
    frame: &'a [u8],
    version: i16,
) -> Result<(i32, M), DecodeError> {
    let mut reader = Reader::new(frame);
    let header = ResponseHeader::decode(&mut reader, M::API, version)?;
    let response = M::decode(&mut reader, version)?;
    reader.finish(M::NAME)?;
    Ok((header.correlation_id, response))
}

/// Reads the answer to an ApiVersions request that was sent in `version`. A broker that does not
/// know that version answers in version 0 with `UNSUPPORTED_VERSION` (35) and what it knows.
///
/// # Errors
/// As `decode_response`.
pub fn decode_api_versions(
    frame: &[u8],
    version: i16,
) -> Result<(i32, ApiVersionsResponse<'_>), DecodeError> {
    const UNSUPPORTED_VERSION: [u8; 2] = 35_i16.to_be_bytes();
    // KAFKA: the header has no tagged fields in any version, so the error code is always here.
    let error_code = frame.get(4..6);
    let version = if error_code == Some(&UNSUPPORTED_VERSION) {
        0
    } else {
        version
    };
    decode_response(frame, version)
}
