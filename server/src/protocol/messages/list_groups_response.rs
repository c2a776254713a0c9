//! `ListGroupsResponse`: api key 16, versions 0-5, flexible from 3.
//!
//! Written by `cargo xtask codegen` from `schemas/list_groups.schema`; edit that.

use crate::protocol::{
    ApiKey, DecodeError, EncodeError, List, Message, Reader, Sink, Version, Wire, put_no_tags,
};

/// The `ListGroupsResponse` message.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ListGroupsResponse<'a> {
    /// In versions 1-5.
    pub throttle_time_ms: i32,
    pub error_code: i16,
    pub groups: List<'a, ListedGroup<'a>>,
}

impl<'a> Wire<'a> for ListGroupsResponse<'a> {
    const SIZE_MIN: usize = 6;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            throttle_time_ms: if v.number >= 1 {
                Wire::read(reader, v, "ListGroupsResponse.throttle_time_ms")?
            } else {
                0
            },
            error_code: Wire::read(reader, v, "ListGroupsResponse.error_code")?,
            groups: Wire::read(reader, v, "ListGroupsResponse.groups")?,
        };
        reader.skip_tagged_fields(v, "ListGroupsResponse")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        if v.number >= 1 {
            self.throttle_time_ms.write(sink, v, "ListGroupsResponse.throttle_time_ms")?;
        }
        self.error_code.write(sink, v, "ListGroupsResponse.error_code")?;
        self.groups.write(sink, v, "ListGroupsResponse.groups")?;
        put_no_tags(sink, v)
    }
}

/// `groups` in `ListGroupsResponse`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ListedGroup<'a> {
    pub group_id: &'a str,
    pub protocol_type: &'a str,
    /// In versions 4-5.
    pub group_state: &'a str,
    /// In version 5.
    pub group_type: &'a str,
}

impl<'a> Wire<'a> for ListedGroup<'a> {
    const SIZE_MIN: usize = 3;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            group_id: Wire::read(reader, v, "ListedGroup.group_id")?,
            protocol_type: Wire::read(reader, v, "ListedGroup.protocol_type")?,
            group_state: if v.number >= 4 {
                Wire::read(reader, v, "ListedGroup.group_state")?
            } else {
                ""
            },
            group_type: if v.number >= 5 {
                Wire::read(reader, v, "ListedGroup.group_type")?
            } else {
                ""
            },
        };
        reader.skip_tagged_fields(v, "ListedGroup")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.group_id.write(sink, v, "ListedGroup.group_id")?;
        self.protocol_type.write(sink, v, "ListedGroup.protocol_type")?;
        if v.number >= 4 {
            self.group_state.write(sink, v, "ListedGroup.group_state")?;
        }
        if v.number >= 5 {
            self.group_type.write(sink, v, "ListedGroup.group_type")?;
        }
        put_no_tags(sink, v)
    }
}

impl<'a> Message<'a> for ListGroupsResponse<'a> {
    const NAME: &'static str = "ListGroupsResponse";
    const API: ApiKey = ApiKey::ListGroups;
}
