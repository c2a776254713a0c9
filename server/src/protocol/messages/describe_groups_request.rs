//! `DescribeGroupsRequest`: api key 15, versions 0-6, flexible from 5.
//!
//! Written by `cargo xtask codegen` from `schemas/describe_groups.schema`; edit that.

use super::DescribeGroupsResponse;
use crate::protocol::{
    ApiKey, DecodeError, EncodeError, List, Message, Reader, Request, Sink, Version, Wire,
    put_no_tags,
};

/// The `DescribeGroupsRequest` message.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DescribeGroupsRequest<'a> {
    pub groups: List<'a, &'a str>,
    /// In versions 3-6.
    pub include_authorized_operations: bool,
}

impl<'a> Wire<'a> for DescribeGroupsRequest<'a> {
    const SIZE_MIN: usize = 3;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            groups: Wire::read(reader, v, "DescribeGroupsRequest.groups")?,
            include_authorized_operations: if v.number >= 3 {
                Wire::read(reader, v, "DescribeGroupsRequest.include_authorized_operations")?
            } else {
                false
            },
        };
        reader.skip_tagged_fields(v, "DescribeGroupsRequest")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.groups.write(sink, v, "DescribeGroupsRequest.groups")?;
        if v.number >= 3 {
            self.include_authorized_operations.write(
                sink,
                v,
                "DescribeGroupsRequest.include_authorized_operations",
            )?;
        }
        put_no_tags(sink, v)
    }
}

impl<'a> Message<'a> for DescribeGroupsRequest<'a> {
    const NAME: &'static str = "DescribeGroupsRequest";
    const API: ApiKey = ApiKey::DescribeGroups;
}

impl<'a> Request<'a> for DescribeGroupsRequest<'a> {
    type Response<'r> = DescribeGroupsResponse<'r>;
}
