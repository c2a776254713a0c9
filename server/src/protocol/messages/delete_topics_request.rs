//! `DeleteTopicsRequest`: api key 20, versions 1-6, flexible from 4.
//!
//! Written by `cargo xtask codegen` from `schemas/delete_topics.schema`; edit that.

use super::DeleteTopicsResponse;
use crate::protocol::{
    ApiKey, DecodeError, EncodeError, List, Message, Reader, Request, Sink, Uuid, Version, Wire,
    put_no_tags,
};

/// The `DeleteTopicsRequest` message.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DeleteTopicsRequest<'a> {
    /// In version 6.
    pub topics: List<'a, DeleteTopicState<'a>>,
    /// In versions 1-5.
    pub topic_names: List<'a, &'a str>,
    pub timeout_ms: i32,
}

impl<'a> Wire<'a> for DeleteTopicsRequest<'a> {
    const SIZE_MIN: usize = 6;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            topics: if v.number >= 6 {
                Wire::read(reader, v, "DeleteTopicsRequest.topics")?
            } else {
                List::new()
            },
            topic_names: if v.number <= 5 {
                Wire::read(reader, v, "DeleteTopicsRequest.topic_names")?
            } else {
                List::new()
            },
            timeout_ms: Wire::read(reader, v, "DeleteTopicsRequest.timeout_ms")?,
        };
        reader.skip_tagged_fields(v, "DeleteTopicsRequest")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        if v.number >= 6 {
            self.topics.write(sink, v, "DeleteTopicsRequest.topics")?;
        }
        if v.number <= 5 {
            self.topic_names.write(sink, v, "DeleteTopicsRequest.topic_names")?;
        }
        self.timeout_ms.write(sink, v, "DeleteTopicsRequest.timeout_ms")?;
        put_no_tags(sink, v)
    }
}

/// `topics` in `DeleteTopicsRequest`.
/// In version 6.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DeleteTopicState<'a> {
    pub name: Option<&'a str>,
    pub topic_id: Uuid,
}

impl<'a> Wire<'a> for DeleteTopicState<'a> {
    const SIZE_MIN: usize = 18;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            name: Wire::read(reader, v, "DeleteTopicState.name")?,
            topic_id: Wire::read(reader, v, "DeleteTopicState.topic_id")?,
        };
        reader.skip_tagged_fields(v, "DeleteTopicState")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.name.write(sink, v, "DeleteTopicState.name")?;
        self.topic_id.write(sink, v, "DeleteTopicState.topic_id")?;
        put_no_tags(sink, v)
    }
}

impl<'a> Message<'a> for DeleteTopicsRequest<'a> {
    const NAME: &'static str = "DeleteTopicsRequest";
    const API: ApiKey = ApiKey::DeleteTopics;
}

impl<'a> Request<'a> for DeleteTopicsRequest<'a> {
    type Response<'r> = DeleteTopicsResponse<'r>;
}
