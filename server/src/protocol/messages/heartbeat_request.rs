//! `HeartbeatRequest`: api key 12, versions 0-4, flexible from 4.
//!
//! Written by `cargo xtask codegen` from `schemas/heartbeat.schema`; edit that.

use super::HeartbeatResponse;
use crate::protocol::{
    ApiKey, DecodeError, EncodeError, Message, Reader, Request, Sink, Version, Wire, put_no_tags,
};

/// The `HeartbeatRequest` message.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct HeartbeatRequest<'a> {
    pub group_id: &'a str,
    pub generation_id: i32,
    pub member_id: &'a str,
    /// In versions 3-4.
    pub group_instance_id: Option<&'a str>,
}

impl<'a> Wire<'a> for HeartbeatRequest<'a> {
    const SIZE_MIN: usize = 8;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            group_id: Wire::read(reader, v, "HeartbeatRequest.group_id")?,
            generation_id: Wire::read(reader, v, "HeartbeatRequest.generation_id")?,
            member_id: Wire::read(reader, v, "HeartbeatRequest.member_id")?,
            group_instance_id: if v.number >= 3 {
                Wire::read(reader, v, "HeartbeatRequest.group_instance_id")?
            } else {
                None
            },
        };
        reader.skip_tagged_fields(v, "HeartbeatRequest")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.group_id.write(sink, v, "HeartbeatRequest.group_id")?;
        self.generation_id.write(sink, v, "HeartbeatRequest.generation_id")?;
        self.member_id.write(sink, v, "HeartbeatRequest.member_id")?;
        if v.number >= 3 {
            self.group_instance_id.write(sink, v, "HeartbeatRequest.group_instance_id")?;
        }
        put_no_tags(sink, v)
    }
}

impl<'a> Message<'a> for HeartbeatRequest<'a> {
    const NAME: &'static str = "HeartbeatRequest";
    const API: ApiKey = ApiKey::Heartbeat;
}

impl<'a> Request<'a> for HeartbeatRequest<'a> {
    type Response<'r> = HeartbeatResponse;
}
