//! `DeleteGroupsResponse`: api key 42, versions 0-2, flexible from 2.
//!
//! Written by `cargo xtask codegen` from `schemas/delete_groups.schema`; edit that.

use crate::protocol::{
    ApiKey, DecodeError, EncodeError, List, Message, Reader, Sink, Version, Wire, put_no_tags,
};

/// The `DeleteGroupsResponse` message.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DeleteGroupsResponse<'a> {
    pub throttle_time_ms: i32,
    pub results: List<'a, DeletableGroupResult<'a>>,
}

impl<'a> Wire<'a> for DeleteGroupsResponse<'a> {
    const SIZE_MIN: usize = 6;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            throttle_time_ms: Wire::read(reader, v, "DeleteGroupsResponse.throttle_time_ms")?,
            results: Wire::read(reader, v, "DeleteGroupsResponse.results")?,
        };
        reader.skip_tagged_fields(v, "DeleteGroupsResponse")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.throttle_time_ms.write(sink, v, "DeleteGroupsResponse.throttle_time_ms")?;
        self.results.write(sink, v, "DeleteGroupsResponse.results")?;
        put_no_tags(sink, v)
    }
}

/// `results` in `DeleteGroupsResponse`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DeletableGroupResult<'a> {
    pub group_id: &'a str,
    pub error_code: i16,
}

impl<'a> Wire<'a> for DeletableGroupResult<'a> {
    const SIZE_MIN: usize = 4;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            group_id: Wire::read(reader, v, "DeletableGroupResult.group_id")?,
            error_code: Wire::read(reader, v, "DeletableGroupResult.error_code")?,
        };
        reader.skip_tagged_fields(v, "DeletableGroupResult")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.group_id.write(sink, v, "DeletableGroupResult.group_id")?;
        self.error_code.write(sink, v, "DeletableGroupResult.error_code")?;
        put_no_tags(sink, v)
    }
}

impl<'a> Message<'a> for DeleteGroupsResponse<'a> {
    const NAME: &'static str = "DeleteGroupsResponse";
    const API: ApiKey = ApiKey::DeleteGroups;
}
