//! `CreatePartitionsResponse`: api key 37, versions 0-3, flexible from 2.
//!
//! Written by `cargo xtask codegen` from `schemas/create_partitions.schema`; edit that.

use std::borrow::Cow;

use crate::protocol::{
    ApiKey, DecodeError, EncodeError, List, Message, Reader, Sink, Version, Wire, put_no_tags,
};

/// The `CreatePartitionsResponse` message.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CreatePartitionsResponse<'a> {
    pub throttle_time_ms: i32,
    pub results: List<'a, CreatePartitionsTopicResult<'a>>,
}

impl<'a> Wire<'a> for CreatePartitionsResponse<'a> {
    const SIZE_MIN: usize = 6;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            throttle_time_ms: Wire::read(reader, v, "CreatePartitionsResponse.throttle_time_ms")?,
            results: Wire::read(reader, v, "CreatePartitionsResponse.results")?,
        };
        reader.skip_tagged_fields(v, "CreatePartitionsResponse")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.throttle_time_ms.write(sink, v, "CreatePartitionsResponse.throttle_time_ms")?;
        self.results.write(sink, v, "CreatePartitionsResponse.results")?;
        put_no_tags(sink, v)
    }
}

/// `results` in `CreatePartitionsResponse`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CreatePartitionsTopicResult<'a> {
    pub name: &'a str,
    pub error_code: i16,
    pub error_message: Option<Cow<'a, str>>,
}

impl<'a> Wire<'a> for CreatePartitionsTopicResult<'a> {
    const SIZE_MIN: usize = 5;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            name: Wire::read(reader, v, "CreatePartitionsTopicResult.name")?,
            error_code: Wire::read(reader, v, "CreatePartitionsTopicResult.error_code")?,
            error_message: Wire::read(reader, v, "CreatePartitionsTopicResult.error_message")?,
        };
        reader.skip_tagged_fields(v, "CreatePartitionsTopicResult")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.name.write(sink, v, "CreatePartitionsTopicResult.name")?;
        self.error_code.write(sink, v, "CreatePartitionsTopicResult.error_code")?;
        self.error_message.write(sink, v, "CreatePartitionsTopicResult.error_message")?;
        put_no_tags(sink, v)
    }
}

impl<'a> Message<'a> for CreatePartitionsResponse<'a> {
    const NAME: &'static str = "CreatePartitionsResponse";
    const API: ApiKey = ApiKey::CreatePartitions;
}
