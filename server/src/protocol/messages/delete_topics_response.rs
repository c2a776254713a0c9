//! `DeleteTopicsResponse`: api key 20, versions 1-6, flexible from 4.
//!
//! Written by `cargo xtask codegen` from `schemas/delete_topics.schema`; edit that.

use std::borrow::Cow;

use crate::protocol::{
    ApiKey, DecodeError, EncodeError, List, Message, Reader, Sink, Uuid, Version, Wire,
    put_no_tags, write_present,
};

/// The `DeleteTopicsResponse` message.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DeleteTopicsResponse<'a> {
    pub throttle_time_ms: i32,
    pub responses: List<'a, DeletableTopicResult<'a>>,
}

impl<'a> Wire<'a> for DeleteTopicsResponse<'a> {
    const SIZE_MIN: usize = 6;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            throttle_time_ms: Wire::read(reader, v, "DeleteTopicsResponse.throttle_time_ms")?,
            responses: Wire::read(reader, v, "DeleteTopicsResponse.responses")?,
        };
        reader.skip_tagged_fields(v, "DeleteTopicsResponse")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.throttle_time_ms.write(sink, v, "DeleteTopicsResponse.throttle_time_ms")?;
        self.responses.write(sink, v, "DeleteTopicsResponse.responses")?;
        put_no_tags(sink, v)
    }
}

/// `responses` in `DeleteTopicsResponse`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DeletableTopicResult<'a> {
    /// May be null in version 6.
    pub name: Option<&'a str>,
    /// In version 6.
    pub topic_id: Uuid,
    pub error_code: i16,
    /// In versions 5-6.
    pub error_message: Option<Cow<'a, str>>,
}

impl<'a> Wire<'a> for DeletableTopicResult<'a> {
    const SIZE_MIN: usize = 4;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            name: if v.number >= 6 {
                Wire::read(reader, v, "DeletableTopicResult.name")?
            } else {
                Some(Wire::read(reader, v, "DeletableTopicResult.name")?)
            },
            topic_id: if v.number >= 6 {
                Wire::read(reader, v, "DeletableTopicResult.topic_id")?
            } else {
                Uuid::ZERO
            },
            error_code: Wire::read(reader, v, "DeletableTopicResult.error_code")?,
            error_message: if v.number >= 5 {
                Wire::read(reader, v, "DeletableTopicResult.error_message")?
            } else {
                None
            },
        };
        reader.skip_tagged_fields(v, "DeletableTopicResult")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        if v.number >= 6 {
            self.name.write(sink, v, "DeletableTopicResult.name")?;
        } else {
            write_present(self.name.as_ref(), sink, v, "DeletableTopicResult.name")?;
        }
        if v.number >= 6 {
            self.topic_id.write(sink, v, "DeletableTopicResult.topic_id")?;
        }
        self.error_code.write(sink, v, "DeletableTopicResult.error_code")?;
        if v.number >= 5 {
            self.error_message.write(sink, v, "DeletableTopicResult.error_message")?;
        }
        put_no_tags(sink, v)
    }
}

impl<'a> Message<'a> for DeleteTopicsResponse<'a> {
    const NAME: &'static str = "DeleteTopicsResponse";
    const API: ApiKey = ApiKey::DeleteTopics;
}
