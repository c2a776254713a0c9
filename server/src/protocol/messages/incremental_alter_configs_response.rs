//! `IncrementalAlterConfigsResponse`: api key 44, versions 0-1, flexible from 1.
//!
//! Written by `cargo xtask codegen` from `schemas/incremental_alter_configs.schema`; edit that.

use std::borrow::Cow;

use crate::protocol::{
    ApiKey, DecodeError, EncodeError, List, Message, Reader, Sink, Version, Wire, put_no_tags,
};

/// The `IncrementalAlterConfigsResponse` message.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct IncrementalAlterConfigsResponse<'a> {
    pub throttle_time_ms: i32,
    pub responses: List<'a, AlterConfigsResourceResponse<'a>>,
}

impl<'a> Wire<'a> for IncrementalAlterConfigsResponse<'a> {
    const SIZE_MIN: usize = 6;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            throttle_time_ms: Wire::read(
                reader,
                v,
                "IncrementalAlterConfigsResponse.throttle_time_ms",
            )?,
            responses: Wire::read(reader, v, "IncrementalAlterConfigsResponse.responses")?,
        };
        reader.skip_tagged_fields(v, "IncrementalAlterConfigsResponse")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.throttle_time_ms.write(sink, v, "IncrementalAlterConfigsResponse.throttle_time_ms")?;
        self.responses.write(sink, v, "IncrementalAlterConfigsResponse.responses")?;
        put_no_tags(sink, v)
    }
}

/// `responses` in `IncrementalAlterConfigsResponse`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AlterConfigsResourceResponse<'a> {
    pub error_code: i16,
    pub error_message: Option<Cow<'a, str>>,
    pub resource_type: i8,
    pub resource_name: &'a str,
}

impl<'a> Wire<'a> for AlterConfigsResourceResponse<'a> {
    const SIZE_MIN: usize = 6;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            error_code: Wire::read(reader, v, "AlterConfigsResourceResponse.error_code")?,
            error_message: Wire::read(reader, v, "AlterConfigsResourceResponse.error_message")?,
            resource_type: Wire::read(reader, v, "AlterConfigsResourceResponse.resource_type")?,
            resource_name: Wire::read(reader, v, "AlterConfigsResourceResponse.resource_name")?,
        };
        reader.skip_tagged_fields(v, "AlterConfigsResourceResponse")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.error_code.write(sink, v, "AlterConfigsResourceResponse.error_code")?;
        self.error_message.write(sink, v, "AlterConfigsResourceResponse.error_message")?;
        self.resource_type.write(sink, v, "AlterConfigsResourceResponse.resource_type")?;
        self.resource_name.write(sink, v, "AlterConfigsResourceResponse.resource_name")?;
        put_no_tags(sink, v)
    }
}

impl<'a> Message<'a> for IncrementalAlterConfigsResponse<'a> {
    const NAME: &'static str = "IncrementalAlterConfigsResponse";
    const API: ApiKey = ApiKey::IncrementalAlterConfigs;
}
