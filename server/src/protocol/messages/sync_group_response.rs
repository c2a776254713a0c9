//! `SyncGroupResponse`: api key 14, versions 0-5, flexible from 4.
//!
//! Written by `cargo xtask codegen` from `schemas/sync_group.schema`; edit that.

use crate::protocol::{
    ApiKey, DecodeError, EncodeError, Message, Reader, Sink, Version, Wire, put_no_tags,
};

/// The `SyncGroupResponse` message.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SyncGroupResponse<'a> {
    /// In versions 1-5.
    pub throttle_time_ms: i32,
    pub error_code: i16,
    /// In version 5.
    pub protocol_type: Option<&'a str>,
    /// In version 5.
    pub protocol_name: Option<&'a str>,
    pub assignment: &'a [u8],
}

impl<'a> Wire<'a> for SyncGroupResponse<'a> {
    const SIZE_MIN: usize = 6;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            throttle_time_ms: if v.number >= 1 {
                Wire::read(reader, v, "SyncGroupResponse.throttle_time_ms")?
            } else {
                0
            },
            error_code: Wire::read(reader, v, "SyncGroupResponse.error_code")?,
            protocol_type: if v.number >= 5 {
                Wire::read(reader, v, "SyncGroupResponse.protocol_type")?
            } else {
                None
            },
            protocol_name: if v.number >= 5 {
                Wire::read(reader, v, "SyncGroupResponse.protocol_name")?
            } else {
                None
            },
            assignment: Wire::read(reader, v, "SyncGroupResponse.assignment")?,
        };
        reader.skip_tagged_fields(v, "SyncGroupResponse")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        if v.number >= 1 {
            self.throttle_time_ms.write(sink, v, "SyncGroupResponse.throttle_time_ms")?;
        }
        self.error_code.write(sink, v, "SyncGroupResponse.error_code")?;
        if v.number >= 5 {
            self.protocol_type.write(sink, v, "SyncGroupResponse.protocol_type")?;
        }
        if v.number >= 5 {
            self.protocol_name.write(sink, v, "SyncGroupResponse.protocol_name")?;
        }
        self.assignment.write(sink, v, "SyncGroupResponse.assignment")?;
        put_no_tags(sink, v)
    }
}

impl<'a> Message<'a> for SyncGroupResponse<'a> {
    const NAME: &'static str = "SyncGroupResponse";
    const API: ApiKey = ApiKey::SyncGroup;
}
