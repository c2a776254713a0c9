//! The headers in front of requests and responses.
//!
//! The request header says in which version the message behind it is written, and so whether the
//! header itself ends with tagged fields. The response header does not: its reader has to know.

use super::api_key::ApiKey;
use super::error::{DecodeError, DecodeFault, EncodeError};
use super::primitives::{Version, Wire, put_no_tags};
use super::reader::Reader;
use super::sink::Sink;

// The client id has a 16-bit length even in headers with tagged fields.
const PLAIN: Version = Version {
    number: 1,
    is_flexible: false,
};

/// The header of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestHeader<'a> {
    /// The API asked.
    pub api_key: ApiKey,
    /// The version of the message, which may be one this codec does not know.
    pub api_version: i16,
    /// Repeated in the response.
    pub correlation_id: i32,
    /// What the client calls itself.
    pub client_id: Option<&'a str>,
}

impl<'a> RequestHeader<'a> {
    /// Reads the header; the message follows in `reader`.
    ///
    /// # Errors
    /// When it is cut off or names an API this codec does not know.
    pub fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let key = i16::read(reader, PLAIN, "RequestHeader.api_key")?;
        let api_key = ApiKey::from_key(key)
            .ok_or_else(|| reader.error("RequestHeader.api_key", DecodeFault::ApiKey { key }))?;
        let header = Self {
            api_key,
            api_version: Wire::read(reader, PLAIN, "RequestHeader.api_version")?,
            correlation_id: Wire::read(reader, PLAIN, "RequestHeader.correlation_id")?,
            client_id: Wire::read(reader, PLAIN, "RequestHeader.client_id")?,
        };
        reader.skip_tagged_fields(header.version(), "RequestHeader")?;
        Ok(header)
    }

    /// Writes the header.
    ///
    /// # Errors
    /// When the client id is too long or the sink is full.
    pub fn encode<S: Sink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        self.api_key
            .key()
            .write(sink, PLAIN, "RequestHeader.api_key")?;
        self.api_version
            .write(sink, PLAIN, "RequestHeader.api_version")?;
        self.correlation_id
            .write(sink, PLAIN, "RequestHeader.correlation_id")?;
        self.client_id
            .write(sink, PLAIN, "RequestHeader.client_id")?;
        put_no_tags(sink, self.version())
    }

    /// The version of the message with its form.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.api_key.version(self.api_version)
    }
}

/// The header of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResponseHeader {
    /// The request's.
    pub correlation_id: i32,
}

impl ResponseHeader {
    /// Reads the header of the response to a request of this API and version.
    ///
    /// # Errors
    /// When it is cut off.
    pub fn decode(
        reader: &mut Reader<'_>,
        api: ApiKey,
        api_version: i16,
    ) -> Result<Self, DecodeError> {
        let correlation_id = Wire::read(reader, PLAIN, "ResponseHeader.correlation_id")?;
        reader.skip_tagged_fields(Self::version(api, api_version), "ResponseHeader")?;
        Ok(Self { correlation_id })
    }

    /// Writes the header of the response to a request of this API and version.
    ///
    /// # Errors
    /// When the sink is full.
    pub fn encode<S: Sink>(
        &self,
        sink: &mut S,
        api: ApiKey,
        api_version: i16,
    ) -> Result<(), EncodeError> {
        self.correlation_id
            .write(sink, PLAIN, "ResponseHeader.correlation_id")?;
        put_no_tags(sink, Self::version(api, api_version))
    }

    // KAFKA: a client must understand the answer before it knows the broker's versions, so the
    // header of an ApiVersions response never has tagged fields.
    const fn version(api: ApiKey, api_version: i16) -> Version {
        match api {
            ApiKey::ApiVersions => PLAIN,
            _ => api.version(api_version),
        }
    }
}
