//! `LeaveGroupResponse`: api key 13, versions 0-5, flexible from 4.
//!
//! Written by `cargo xtask codegen` from `schemas/leave_group.schema`; edit that.

use crate::protocol::{
    ApiKey, DecodeError, EncodeError, List, Message, Reader, Sink, Version, Wire, put_no_tags,
};

/// The `LeaveGroupResponse` message.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LeaveGroupResponse<'a> {
    /// In versions 1-5.
    pub throttle_time_ms: i32,
    pub error_code: i16,
    /// In versions 3-5.
    pub members: List<'a, MemberResponse<'a>>,
}

impl<'a> Wire<'a> for LeaveGroupResponse<'a> {
    const SIZE_MIN: usize = 2;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            throttle_time_ms: if v.number >= 1 {
                Wire::read(reader, v, "LeaveGroupResponse.throttle_time_ms")?
            } else {
                0
            },
            error_code: Wire::read(reader, v, "LeaveGroupResponse.error_code")?,
            members: if v.number >= 3 {
                Wire::read(reader, v, "LeaveGroupResponse.members")?
            } else {
                List::new()
            },
        };
        reader.skip_tagged_fields(v, "LeaveGroupResponse")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        if v.number >= 1 {
            self.throttle_time_ms.write(sink, v, "LeaveGroupResponse.throttle_time_ms")?;
        }
        self.error_code.write(sink, v, "LeaveGroupResponse.error_code")?;
        if v.number >= 3 {
            self.members.write(sink, v, "LeaveGroupResponse.members")?;
        }
        put_no_tags(sink, v)
    }
}

/// `members` in `LeaveGroupResponse`.
/// In versions 3-5.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MemberResponse<'a> {
    pub member_id: &'a str,
    pub group_instance_id: Option<&'a str>,
    pub error_code: i16,
}

impl<'a> Wire<'a> for MemberResponse<'a> {
    const SIZE_MIN: usize = 5;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            member_id: Wire::read(reader, v, "MemberResponse.member_id")?,
            group_instance_id: Wire::read(reader, v, "MemberResponse.group_instance_id")?,
            error_code: Wire::read(reader, v, "MemberResponse.error_code")?,
        };
        reader.skip_tagged_fields(v, "MemberResponse")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.member_id.write(sink, v, "MemberResponse.member_id")?;
        self.group_instance_id.write(sink, v, "MemberResponse.group_instance_id")?;
        self.error_code.write(sink, v, "MemberResponse.error_code")?;
        put_no_tags(sink, v)
    }
}

impl<'a> Message<'a> for LeaveGroupResponse<'a> {
    const NAME: &'static str = "LeaveGroupResponse";
    const API: ApiKey = ApiKey::LeaveGroup;
}
