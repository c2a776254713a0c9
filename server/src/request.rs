//! One request on its way through the broker.

use crate::net::{ConnectionKey, FrameBytes, SlotId};
use crate::protocol::{ApiKey, DecodeError, Message, Reader, RequestHeader, decode_request};
use millrace_engine::ids::ShardId;
use std::net::IpAddr;

/// Where a response goes, and how it is written.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead {
    /// The shard whose connection it came from.
    pub shard: ShardId,
    /// The client's address.
    pub peer: IpAddr,
    /// The connection it came from.
    pub connection: ConnectionKey,
    /// Its place among the connection's responses.
    pub slot: SlotId,
    /// Repeated in the response.
    pub correlation_id: i32,
    /// The API asked.
    pub api: ApiKey,
    /// The version asked.
    pub version: i16,
}

/// A request that is being handled.
#[derive(Debug)]
pub struct Request<'a> {
    /// Where its response goes.
    pub head: RequestHead,
    /// Its header.
    pub header: RequestHeader<'a>,
    /// Stands behind the header.
    pub reader: Reader<'a>,
    /// All its bytes.
    pub frame: &'a FrameBytes,
}

impl<'a> Request<'a> {
    /// Its message.
    ///
    /// # Errors
    /// When the bytes are not such a message.
    pub fn decode<M: Message<'a>>(&self) -> Result<M, DecodeError> {
        decode_request(self.reader.clone(), &self.header)
    }
}

/// Decodes the message of a frame whose request waited for something.
///
/// # Errors
/// Never for a frame that was decoded before.
pub fn decode_again<'a, M: Message<'a>>(frame: &'a FrameBytes) -> Result<M, DecodeError> {
    let mut reader = Reader::new(frame);
    let header = RequestHeader::decode(&mut reader)?;
    decode_request(reader, &header)
}

/// Why a request gets no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Its bytes are wrong, or it asks what cannot be answered: the connection is closed.
    Close,
}

impl From<DecodeError> for Refusal {
    fn from(error: DecodeError) -> Self {
        log::debug!("request refused: {error}");
        Self::Close
    }
}
