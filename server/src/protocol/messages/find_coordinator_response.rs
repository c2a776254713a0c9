//! `FindCoordinatorResponse`: api key 10, versions 0-4, flexible from 3.
//!
//! Written by `cargo xtask codegen` from `schemas/find_coordinator.schema`; edit that.

use std::borrow::Cow;

use crate::protocol::{
    ApiKey, DecodeError, EncodeError, List, Message, Reader, Sink, Version, Wire, put_no_tags,
};

/// The `FindCoordinatorResponse` message.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FindCoordinatorResponse<'a> {
    /// In versions 1-4.
    pub throttle_time_ms: i32,
    /// In versions 0-3.
    pub error_code: i16,
    /// In versions 1-3.
    pub error_message: Option<Cow<'a, str>>,
    /// In versions 0-3.
    pub node_id: i32,
    /// In versions 0-3.
    pub host: &'a str,
    /// In versions 0-3.
    pub port: i32,
    /// In version 4.
    pub coordinators: List<'a, Coordinator<'a>>,
}

impl<'a> Wire<'a> for FindCoordinatorResponse<'a> {
    const SIZE_MIN: usize = 6;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            throttle_time_ms: if v.number >= 1 {
                Wire::read(reader, v, "FindCoordinatorResponse.throttle_time_ms")?
            } else {
                0
            },
            error_code: if v.number <= 3 {
                Wire::read(reader, v, "FindCoordinatorResponse.error_code")?
            } else {
                0
            },
            error_message: if (1..=3).contains(&v.number) {
                Wire::read(reader, v, "FindCoordinatorResponse.error_message")?
            } else {
                None
            },
            node_id: if v.number <= 3 {
                Wire::read(reader, v, "FindCoordinatorResponse.node_id")?
            } else {
                0
            },
            host: if v.number <= 3 {
                Wire::read(reader, v, "FindCoordinatorResponse.host")?
            } else {
                ""
            },
            port: if v.number <= 3 {
                Wire::read(reader, v, "FindCoordinatorResponse.port")?
            } else {
                0
            },
            coordinators: if v.number >= 4 {
                Wire::read(reader, v, "FindCoordinatorResponse.coordinators")?
            } else {
                List::new()
            },
        };
        reader.skip_tagged_fields(v, "FindCoordinatorResponse")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        if v.number >= 1 {
            self.throttle_time_ms.write(sink, v, "FindCoordinatorResponse.throttle_time_ms")?;
        }
        if v.number <= 3 {
            self.error_code.write(sink, v, "FindCoordinatorResponse.error_code")?;
        }
        if (1..=3).contains(&v.number) {
            self.error_message.write(sink, v, "FindCoordinatorResponse.error_message")?;
        }
        if v.number <= 3 {
            self.node_id.write(sink, v, "FindCoordinatorResponse.node_id")?;
        }
        if v.number <= 3 {
            self.host.write(sink, v, "FindCoordinatorResponse.host")?;
        }
        if v.number <= 3 {
            self.port.write(sink, v, "FindCoordinatorResponse.port")?;
        }
        if v.number >= 4 {
            self.coordinators.write(sink, v, "FindCoordinatorResponse.coordinators")?;
        }
        put_no_tags(sink, v)
    }
}

/// `coordinators` in `FindCoordinatorResponse`.
/// In version 4.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Coordinator<'a> {
    pub key: &'a str,
    pub node_id: i32,
    pub host: &'a str,
    pub port: i32,
    pub error_code: i16,
    pub error_message: Option<Cow<'a, str>>,
}

impl<'a> Wire<'a> for Coordinator<'a> {
    const SIZE_MIN: usize = 14;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            key: Wire::read(reader, v, "Coordinator.key")?,
            node_id: Wire::read(reader, v, "Coordinator.node_id")?,
            host: Wire::read(reader, v, "Coordinator.host")?,
            port: Wire::read(reader, v, "Coordinator.port")?,
            error_code: Wire::read(reader, v, "Coordinator.error_code")?,
            error_message: Wire::read(reader, v, "Coordinator.error_message")?,
        };
        reader.skip_tagged_fields(v, "Coordinator")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.key.write(sink, v, "Coordinator.key")?;
        self.node_id.write(sink, v, "Coordinator.node_id")?;
        self.host.write(sink, v, "Coordinator.host")?;
        self.port.write(sink, v, "Coordinator.port")?;
        self.error_code.write(sink, v, "Coordinator.error_code")?;
        self.error_message.write(sink, v, "Coordinator.error_message")?;
        put_no_tags(sink, v)
    }
}

impl<'a> Message<'a> for FindCoordinatorResponse<'a> {
    const NAME: &'static str = "FindCoordinatorResponse";
    const API: ApiKey = ApiKey::FindCoordinator;
}
