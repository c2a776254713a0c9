//! `DeleteGroupsRequest`: api key 42, versions 0-2, flexible from 2.
//!
//! Written by `cargo xtask codegen` from `schemas/delete_groups.schema`; edit that.

use super::DeleteGroupsResponse;
use crate::protocol::{
    ApiKey, DecodeError, EncodeError, List, Message, Reader, Request, Sink, Version, Wire,
    put_no_tags,
};

/// The `DeleteGroupsRequest` message.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DeleteGroupsRequest<'a> {
    pub groups_names: List<'a, &'a str>,
}

impl<'a> Wire<'a> for DeleteGroupsRequest<'a> {
    const SIZE_MIN: usize = 2;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value =
            Self { groups_names: Wire::read(reader, v, "DeleteGroupsRequest.groups_names")? };
        reader.skip_tagged_fields(v, "DeleteGroupsRequest")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.groups_names.write(sink, v, "DeleteGroupsRequest.groups_names")?;
        put_no_tags(sink, v)
    }
}

impl<'a> Message<'a> for DeleteGroupsRequest<'a> {
    const NAME: &'static str = "DeleteGroupsRequest";
    const API: ApiKey = ApiKey::DeleteGroups;
}

impl<'a> Request<'a> for DeleteGroupsRequest<'a> {
    type Response<'r> = DeleteGroupsResponse<'r>;
}
