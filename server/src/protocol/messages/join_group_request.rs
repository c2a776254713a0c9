//! `JoinGroupRequest`: api key 11, versions 0-9, flexible from 6.
//!
//! Written by `cargo xtask codegen` from `schemas/join_group.schema`; edit that.

use super::JoinGroupResponse;
use crate::protocol::{
    ApiKey, DecodeError, EncodeError, List, Message, Reader, Request, Sink, Version, Wire,
    put_no_tags,
};

/// The `JoinGroupRequest` message.
#[derive(Debug, Clone, PartialEq)]
pub struct JoinGroupRequest<'a> {
    pub group_id: &'a str,
    pub session_timeout_ms: i32,
    /// In versions 1-9.
    pub rebalance_timeout_ms: i32,
    pub member_id: &'a str,
    /// In versions 5-9.
    pub group_instance_id: Option<&'a str>,
    pub protocol_type: &'a str,
    pub protocols: List<'a, JoinGroupRequestProtocol<'a>>,
    /// In versions 8-9.
    pub reason: Option<&'a str>,
}

impl Default for JoinGroupRequest<'_> {
    fn default() -> Self {
        Self {
            group_id: "",
            session_timeout_ms: 0,
            rebalance_timeout_ms: -1,
            member_id: "",
            group_instance_id: None,
            protocol_type: "",
            protocols: List::new(),
            reason: None,
        }
    }
}

impl<'a> Wire<'a> for JoinGroupRequest<'a> {
    const SIZE_MIN: usize = 14;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            group_id: Wire::read(reader, v, "JoinGroupRequest.group_id")?,
            session_timeout_ms: Wire::read(reader, v, "JoinGroupRequest.session_timeout_ms")?,
            rebalance_timeout_ms: if v.number >= 1 {
                Wire::read(reader, v, "JoinGroupRequest.rebalance_timeout_ms")?
            } else {
                -1
            },
            member_id: Wire::read(reader, v, "JoinGroupRequest.member_id")?,
            group_instance_id: if v.number >= 5 {
                Wire::read(reader, v, "JoinGroupRequest.group_instance_id")?
            } else {
                None
            },
            protocol_type: Wire::read(reader, v, "JoinGroupRequest.protocol_type")?,
            protocols: Wire::read(reader, v, "JoinGroupRequest.protocols")?,
            reason: if v.number >= 8 {
                Wire::read(reader, v, "JoinGroupRequest.reason")?
            } else {
                None
            },
        };
        reader.skip_tagged_fields(v, "JoinGroupRequest")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.group_id.write(sink, v, "JoinGroupRequest.group_id")?;
        self.session_timeout_ms.write(sink, v, "JoinGroupRequest.session_timeout_ms")?;
        if v.number >= 1 {
            self.rebalance_timeout_ms.write(sink, v, "JoinGroupRequest.rebalance_timeout_ms")?;
        }
        self.member_id.write(sink, v, "JoinGroupRequest.member_id")?;
        if v.number >= 5 {
            self.group_instance_id.write(sink, v, "JoinGroupRequest.group_instance_id")?;
        }
        self.protocol_type.write(sink, v, "JoinGroupRequest.protocol_type")?;
        self.protocols.write(sink, v, "JoinGroupRequest.protocols")?;
        if v.number >= 8 {
            self.reason.write(sink, v, "JoinGroupRequest.reason")?;
        }
        put_no_tags(sink, v)
    }
}

/// `protocols` in `JoinGroupRequest`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct JoinGroupRequestProtocol<'a> {
    pub name: &'a str,
    pub metadata: &'a [u8],
}

impl<'a> Wire<'a> for JoinGroupRequestProtocol<'a> {
    const SIZE_MIN: usize = 3;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            name: Wire::read(reader, v, "JoinGroupRequestProtocol.name")?,
            metadata: Wire::read(reader, v, "JoinGroupRequestProtocol.metadata")?,
        };
        reader.skip_tagged_fields(v, "JoinGroupRequestProtocol")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.name.write(sink, v, "JoinGroupRequestProtocol.name")?;
        self.metadata.write(sink, v, "JoinGroupRequestProtocol.metadata")?;
        put_no_tags(sink, v)
    }
}

impl<'a> Message<'a> for JoinGroupRequest<'a> {
    const NAME: &'static str = "JoinGroupRequest";
    const API: ApiKey = ApiKey::JoinGroup;
}

impl<'a> Request<'a> for JoinGroupRequest<'a> {
    type Response<'r> = JoinGroupResponse<'r>;
}
