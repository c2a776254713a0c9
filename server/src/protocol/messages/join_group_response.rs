//! `JoinGroupResponse`: api key 11, versions 0-9, flexible from 6.
//!
//! Written by `cargo xtask codegen` from `schemas/join_group.schema`; edit that.

use crate::protocol::{
    ApiKey, DecodeError, EncodeError, List, Message, Reader, Sink, Version, Wire, put_no_tags,
    write_present,
};

/// The `JoinGroupResponse` message.
#[derive(Debug, Clone, PartialEq)]
pub struct JoinGroupResponse<'a> {
    /// In versions 2-9.
    pub throttle_time_ms: i32,
    pub error_code: i16,
    pub generation_id: i32,
    /// In versions 7-9.
    pub protocol_type: Option<&'a str>,
    /// May be null in versions 7-9.
    pub protocol_name: Option<&'a str>,
    pub leader: &'a str,
    /// In version 9.
    pub skip_assignment: bool,
    pub member_id: &'a str,
    pub members: List<'a, JoinGroupResponseMember<'a>>,
}

impl Default for JoinGroupResponse<'_> {
    fn default() -> Self {
        Self {
            throttle_time_ms: 0,
            error_code: 0,
            generation_id: -1,
            protocol_type: None,
            protocol_name: None,
            leader: "",
            skip_assignment: false,
            member_id: "",
            members: List::new(),
        }
    }
}

impl<'a> Wire<'a> for JoinGroupResponse<'a> {
    const SIZE_MIN: usize = 15;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            throttle_time_ms: if v.number >= 2 {
                Wire::read(reader, v, "JoinGroupResponse.throttle_time_ms")?
            } else {
                0
            },
            error_code: Wire::read(reader, v, "JoinGroupResponse.error_code")?,
            generation_id: Wire::read(reader, v, "JoinGroupResponse.generation_id")?,
            protocol_type: if v.number >= 7 {
                Wire::read(reader, v, "JoinGroupResponse.protocol_type")?
            } else {
                None
            },
            protocol_name: if v.number >= 7 {
                Wire::read(reader, v, "JoinGroupResponse.protocol_name")?
            } else {
                Some(Wire::read(reader, v, "JoinGroupResponse.protocol_name")?)
            },
            leader: Wire::read(reader, v, "JoinGroupResponse.leader")?,
            skip_assignment: if v.number >= 9 {
                Wire::read(reader, v, "JoinGroupResponse.skip_assignment")?
            } else {
                false
            },
            member_id: Wire::read(reader, v, "JoinGroupResponse.member_id")?,
            members: Wire::read(reader, v, "JoinGroupResponse.members")?,
        };
        reader.skip_tagged_fields(v, "JoinGroupResponse")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        if v.number >= 2 {
            self.throttle_time_ms.write(sink, v, "JoinGroupResponse.throttle_time_ms")?;
        }
        self.error_code.write(sink, v, "JoinGroupResponse.error_code")?;
        self.generation_id.write(sink, v, "JoinGroupResponse.generation_id")?;
        if v.number >= 7 {
            self.protocol_type.write(sink, v, "JoinGroupResponse.protocol_type")?;
        }
        if v.number >= 7 {
            self.protocol_name.write(sink, v, "JoinGroupResponse.protocol_name")?;
        } else {
            write_present(self.protocol_name.as_ref(), sink, v, "JoinGroupResponse.protocol_name")?;
        }
        self.leader.write(sink, v, "JoinGroupResponse.leader")?;
        if v.number >= 9 {
            self.skip_assignment.write(sink, v, "JoinGroupResponse.skip_assignment")?;
        }
        self.member_id.write(sink, v, "JoinGroupResponse.member_id")?;
        self.members.write(sink, v, "JoinGroupResponse.members")?;
        put_no_tags(sink, v)
    }
}

/// `members` in `JoinGroupResponse`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct JoinGroupResponseMember<'a> {
    pub member_id: &'a str,
    /// In versions 5-9.
    pub group_instance_id: Option<&'a str>,
    pub metadata: &'a [u8],
}

impl<'a> Wire<'a> for JoinGroupResponseMember<'a> {
    const SIZE_MIN: usize = 4;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            member_id: Wire::read(reader, v, "JoinGroupResponseMember.member_id")?,
            group_instance_id: if v.number >= 5 {
                Wire::read(reader, v, "JoinGroupResponseMember.group_instance_id")?
            } else {
                None
            },
            metadata: Wire::read(reader, v, "JoinGroupResponseMember.metadata")?,
        };
        reader.skip_tagged_fields(v, "JoinGroupResponseMember")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.member_id.write(sink, v, "JoinGroupResponseMember.member_id")?;
        if v.number >= 5 {
            self.group_instance_id.write(sink, v, "JoinGroupResponseMember.group_instance_id")?;
        }
        self.metadata.write(sink, v, "JoinGroupResponseMember.metadata")?;
        put_no_tags(sink, v)
    }
}

impl<'a> Message<'a> for JoinGroupResponse<'a> {
    const NAME: &'static str = "JoinGroupResponse";
    const API: ApiKey = ApiKey::JoinGroup;
}
