//! `SyncGroupRequest`: api key 14, versions 0-5, flexible from 4.
//!
//! Written by `cargo xtask codegen` from `schemas/sync_group.schema`; edit that.

use super::SyncGroupResponse;
use crate::protocol::{
    ApiKey, DecodeError, EncodeError, List, Message, Reader, Request, Sink, Version, Wire,
    put_no_tags,
};

/// The `SyncGroupRequest` message.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SyncGroupRequest<'a> {
    pub group_id: &'a str,
    pub generation_id: i32,
    pub member_id: &'a str,
    /// In versions 3-5.
    pub group_instance_id: Option<&'a str>,
    /// In version 5.
    pub protocol_type: Option<&'a str>,
    /// In version 5.
    pub protocol_name: Option<&'a str>,
    pub assignments: List<'a, SyncGroupRequestAssignment<'a>>,
}

impl<'a> Wire<'a> for SyncGroupRequest<'a> {
    const SIZE_MIN: usize = 9;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            group_id: Wire::read(reader, v, "SyncGroupRequest.group_id")?,
            generation_id: Wire::read(reader, v, "SyncGroupRequest.generation_id")?,
            member_id: Wire::read(reader, v, "SyncGroupRequest.member_id")?,
            group_instance_id: if v.number >= 3 {
                Wire::read(reader, v, "SyncGroupRequest.group_instance_id")?
            } else {
                None
            },
            protocol_type: if v.number >= 5 {
                Wire::read(reader, v, "SyncGroupRequest.protocol_type")?
            } else {
                None
            },
            protocol_name: if v.number >= 5 {
                Wire::read(reader, v, "SyncGroupRequest.protocol_name")?
            } else {
                None
            },
            assignments: Wire::read(reader, v, "SyncGroupRequest.assignments")?,
        };
        reader.skip_tagged_fields(v, "SyncGroupRequest")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.group_id.write(sink, v, "SyncGroupRequest.group_id")?;
        self.generation_id.write(sink, v, "SyncGroupRequest.generation_id")?;
        self.member_id.write(sink, v, "SyncGroupRequest.member_id")?;
        if v.number >= 3 {
            self.group_instance_id.write(sink, v, "SyncGroupRequest.group_instance_id")?;
        }
        if v.number >= 5 {
            self.protocol_type.write(sink, v, "SyncGroupRequest.protocol_type")?;
        }
        if v.number >= 5 {
            self.protocol_name.write(sink, v, "SyncGroupRequest.protocol_name")?;
        }
        self.assignments.write(sink, v, "SyncGroupRequest.assignments")?;
        put_no_tags(sink, v)
    }
}

/// `assignments` in `SyncGroupRequest`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SyncGroupRequestAssignment<'a> {
    pub member_id: &'a str,
    pub assignment: &'a [u8],
}

impl<'a> Wire<'a> for SyncGroupRequestAssignment<'a> {
    const SIZE_MIN: usize = 3;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            member_id: Wire::read(reader, v, "SyncGroupRequestAssignment.member_id")?,
            assignment: Wire::read(reader, v, "SyncGroupRequestAssignment.assignment")?,
        };
        reader.skip_tagged_fields(v, "SyncGroupRequestAssignment")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.member_id.write(sink, v, "SyncGroupRequestAssignment.member_id")?;
        self.assignment.write(sink, v, "SyncGroupRequestAssignment.assignment")?;
        put_no_tags(sink, v)
    }
}

impl<'a> Message<'a> for SyncGroupRequest<'a> {
    const NAME: &'static str = "SyncGroupRequest";
    const API: ApiKey = ApiKey::SyncGroup;
}

impl<'a> Request<'a> for SyncGroupRequest<'a> {
    type Response<'r> = SyncGroupResponse<'r>;
}
