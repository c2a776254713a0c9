//! `DescribeGroupsResponse`: api key 15, versions 0-6, flexible from 5.
//!
//! Written by `cargo xtask codegen` from `schemas/describe_groups.schema`; edit that.

use std::borrow::Cow;

use crate::protocol::{
    ApiKey, DecodeError, EncodeError, List, Message, Reader, Sink, Version, Wire, put_no_tags,
};

/// The `DescribeGroupsResponse` message.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DescribeGroupsResponse<'a> {
    /// In versions 1-6.
    pub throttle_time_ms: i32,
    pub groups: List<'a, DescribedGroup<'a>>,
}

impl<'a> Wire<'a> for DescribeGroupsResponse<'a> {
    const SIZE_MIN: usize = 4;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            throttle_time_ms: if v.number >= 1 {
                Wire::read(reader, v, "DescribeGroupsResponse.throttle_time_ms")?
            } else {
                0
            },
            groups: Wire::read(reader, v, "DescribeGroupsResponse.groups")?,
        };
        reader.skip_tagged_fields(v, "DescribeGroupsResponse")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        if v.number >= 1 {
            self.throttle_time_ms.write(sink, v, "DescribeGroupsResponse.throttle_time_ms")?;
        }
        self.groups.write(sink, v, "DescribeGroupsResponse.groups")?;
        put_no_tags(sink, v)
    }
}

/// `groups` in `DescribeGroupsResponse`.
#[derive(Debug, Clone, PartialEq)]
pub struct DescribedGroup<'a> {
    pub error_code: i16,
    /// In version 6.
    pub error_message: Option<Cow<'a, str>>,
    pub group_id: &'a str,
    pub group_state: &'a str,
    pub protocol_type: &'a str,
    pub protocol_data: &'a str,
    pub members: List<'a, DescribedGroupMember<'a>>,
    /// In versions 3-6.
    pub authorized_operations: i32,
}

impl Default for DescribedGroup<'_> {
    fn default() -> Self {
        Self {
            error_code: 0,
            error_message: None,
            group_id: "",
            group_state: "",
            protocol_type: "",
            protocol_data: "",
            members: List::new(),
            authorized_operations: -2147483648,
        }
    }
}

impl<'a> Wire<'a> for DescribedGroup<'a> {
    const SIZE_MIN: usize = 12;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            error_code: Wire::read(reader, v, "DescribedGroup.error_code")?,
            error_message: if v.number >= 6 {
                Wire::read(reader, v, "DescribedGroup.error_message")?
            } else {
                None
            },
            group_id: Wire::read(reader, v, "DescribedGroup.group_id")?,
            group_state: Wire::read(reader, v, "DescribedGroup.group_state")?,
            protocol_type: Wire::read(reader, v, "DescribedGroup.protocol_type")?,
            protocol_data: Wire::read(reader, v, "DescribedGroup.protocol_data")?,
            members: Wire::read(reader, v, "DescribedGroup.members")?,
            authorized_operations: if v.number >= 3 {
                Wire::read(reader, v, "DescribedGroup.authorized_operations")?
            } else {
                -2147483648
            },
        };
        reader.skip_tagged_fields(v, "DescribedGroup")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.error_code.write(sink, v, "DescribedGroup.error_code")?;
        if v.number >= 6 {
            self.error_message.write(sink, v, "DescribedGroup.error_message")?;
        }
        self.group_id.write(sink, v, "DescribedGroup.group_id")?;
        self.group_state.write(sink, v, "DescribedGroup.group_state")?;
        self.protocol_type.write(sink, v, "DescribedGroup.protocol_type")?;
        self.protocol_data.write(sink, v, "DescribedGroup.protocol_data")?;
        self.members.write(sink, v, "DescribedGroup.members")?;
        if v.number >= 3 {
            self.authorized_operations.write(sink, v, "DescribedGroup.authorized_operations")?;
        }
        put_no_tags(sink, v)
    }
}

/// `groups.members` in `DescribeGroupsResponse`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DescribedGroupMember<'a> {
    pub member_id: &'a str,
    /// In versions 4-6.
    pub group_instance_id: Option<&'a str>,
    pub client_id: &'a str,
    pub client_host: &'a str,
    pub member_metadata: &'a [u8],
    pub member_assignment: &'a [u8],
}

impl<'a> Wire<'a> for DescribedGroupMember<'a> {
    const SIZE_MIN: usize = 7;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            member_id: Wire::read(reader, v, "DescribedGroupMember.member_id")?,
            group_instance_id: if v.number >= 4 {
                Wire::read(reader, v, "DescribedGroupMember.group_instance_id")?
            } else {
                None
            },
            client_id: Wire::read(reader, v, "DescribedGroupMember.client_id")?,
            client_host: Wire::read(reader, v, "DescribedGroupMember.client_host")?,
            member_metadata: Wire::read(reader, v, "DescribedGroupMember.member_metadata")?,
            member_assignment: Wire::read(reader, v, "DescribedGroupMember.member_assignment")?,
        };
        reader.skip_tagged_fields(v, "DescribedGroupMember")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.member_id.write(sink, v, "DescribedGroupMember.member_id")?;
        if v.number >= 4 {
            self.group_instance_id.write(sink, v, "DescribedGroupMember.group_instance_id")?;
        }
        self.client_id.write(sink, v, "DescribedGroupMember.client_id")?;
        self.client_host.write(sink, v, "DescribedGroupMember.client_host")?;
        self.member_metadata.write(sink, v, "DescribedGroupMember.member_metadata")?;
        self.member_assignment.write(sink, v, "DescribedGroupMember.member_assignment")?;
        put_no_tags(sink, v)
    }
}

impl<'a> Message<'a> for DescribeGroupsResponse<'a> {
    const NAME: &'static str = "DescribeGroupsResponse";
    const API: ApiKey = ApiKey::DescribeGroups;
}
