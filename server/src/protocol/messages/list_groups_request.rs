//! `ListGroupsRequest`: api key 16, versions 0-5, flexible from 3.
//!
//! Written by `cargo xtask codegen` from `schemas/list_groups.schema`; edit that.

use super::ListGroupsResponse;
use crate::protocol::{
    ApiKey, DecodeError, EncodeError, List, Message, Reader, Request, Sink, Version, Wire,
    put_no_tags,
};

/// The `ListGroupsRequest` message.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ListGroupsRequest<'a> {
    /// In versions 4-5.
    pub states_filter: List<'a, &'a str>,
    /// In version 5.
    pub types_filter: List<'a, &'a str>,
}

impl<'a> Wire<'a> for ListGroupsRequest<'a> {
    const SIZE_MIN: usize = 0;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            states_filter: if v.number >= 4 {
                Wire::read(reader, v, "ListGroupsRequest.states_filter")?
            } else {
                List::new()
            },
            types_filter: if v.number >= 5 {
                Wire::read(reader, v, "ListGroupsRequest.types_filter")?
            } else {
                List::new()
            },
        };
        reader.skip_tagged_fields(v, "ListGroupsRequest")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        if v.number >= 4 {
            self.states_filter.write(sink, v, "ListGroupsRequest.states_filter")?;
        }
        if v.number >= 5 {
            self.types_filter.write(sink, v, "ListGroupsRequest.types_filter")?;
        }
        put_no_tags(sink, v)
    }
}

impl<'a> Message<'a> for ListGroupsRequest<'a> {
    const NAME: &'static str = "ListGroupsRequest";
    const API: ApiKey = ApiKey::ListGroups;
}

impl<'a> Request<'a> for ListGroupsRequest<'a> {
    type Response<'r> = ListGroupsResponse<'r>;
}
