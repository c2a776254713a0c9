//! `HeartbeatResponse`: api key 12, versions 0-4, flexible from 4.
//!
//! Written by `cargo xtask codegen` from `schemas/heartbeat.schema`; edit that.

use crate::protocol::{
    ApiKey, DecodeError, EncodeError, Message, Reader, Sink, Version, Wire, put_no_tags,
};

/// The `HeartbeatResponse` message.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct HeartbeatResponse {
    /// In versions 1-4.
    pub throttle_time_ms: i32,
    pub error_code: i16,
}

impl<'a> Wire<'a> for HeartbeatResponse {
    const SIZE_MIN: usize = 2;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            throttle_time_ms: if v.number >= 1 {
                Wire::read(reader, v, "HeartbeatResponse.throttle_time_ms")?
            } else {
                0
            },
            error_code: Wire::read(reader, v, "HeartbeatResponse.error_code")?,
        };
        reader.skip_tagged_fields(v, "HeartbeatResponse")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        if v.number >= 1 {
            self.throttle_time_ms.write(sink, v, "HeartbeatResponse.throttle_time_ms")?;
        }
        self.error_code.write(sink, v, "HeartbeatResponse.error_code")?;
        put_no_tags(sink, v)
    }
}

impl<'a> Message<'a> for HeartbeatResponse {
    const NAME: &'static str = "HeartbeatResponse";
    const API: ApiKey = ApiKey::Heartbeat;
}
