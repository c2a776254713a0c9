//! `LeaveGroupRequest`: api key 13, versions 0-5, flexible from 4.
//!
//! Written by `cargo xtask codegen` from `schemas/leave_group.schema`; edit that.

use super::LeaveGroupResponse;
use crate::protocol::{
    ApiKey, DecodeError, EncodeError, List, Message, Reader, Request, Sink, Version, Wire,
    put_no_tags,
};

/// The `LeaveGroupRequest` message.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LeaveGroupRequest<'a> {
    pub group_id: &'a str,
    /// In versions 0-2.
    pub member_id: &'a str,
    /// In versions 3-5.
    pub members: List<'a, MemberIdentity<'a>>,
}

impl<'a> Wire<'a> for LeaveGroupRequest<'a> {
    const SIZE_MIN: usize = 3;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            group_id: Wire::read(reader, v, "LeaveGroupRequest.group_id")?,
            member_id: if v.number <= 2 {
                Wire::read(reader, v, "LeaveGroupRequest.member_id")?
            } else {
                ""
            },
            members: if v.number >= 3 {
                Wire::read(reader, v, "LeaveGroupRequest.members")?
            } else {
                List::new()
            },
        };
        reader.skip_tagged_fields(v, "LeaveGroupRequest")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.group_id.write(sink, v, "LeaveGroupRequest.group_id")?;
        if v.number <= 2 {
            self.member_id.write(sink, v, "LeaveGroupRequest.member_id")?;
        }
        if v.number >= 3 {
            self.members.write(sink, v, "LeaveGroupRequest.members")?;
        }
        put_no_tags(sink, v)
    }
}

/// `members` in `LeaveGroupRequest`.
/// In versions 3-5.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MemberIdentity<'a> {
    pub member_id: &'a str,
    pub group_instance_id: Option<&'a str>,
    /// In version 5.
    pub reason: Option<&'a str>,
}

impl<'a> Wire<'a> for MemberIdentity<'a> {
    const SIZE_MIN: usize = 3;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            member_id: Wire::read(reader, v, "MemberIdentity.member_id")?,
            group_instance_id: Wire::read(reader, v, "MemberIdentity.group_instance_id")?,
            reason: if v.number >= 5 {
                Wire::read(reader, v, "MemberIdentity.reason")?
            } else {
                None
            },
        };
        reader.skip_tagged_fields(v, "MemberIdentity")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.member_id.write(sink, v, "MemberIdentity.member_id")?;
        self.group_instance_id.write(sink, v, "MemberIdentity.group_instance_id")?;
        if v.number >= 5 {
            self.reason.write(sink, v, "MemberIdentity.reason")?;
        }
        put_no_tags(sink, v)
    }
}

impl<'a> Message<'a> for LeaveGroupRequest<'a> {
    const NAME: &'static str = "LeaveGroupRequest";
    const API: ApiKey = ApiKey::LeaveGroup;
}

impl<'a> Request<'a> for LeaveGroupRequest<'a> {
    type Response<'r> = LeaveGroupResponse<'r>;
}
