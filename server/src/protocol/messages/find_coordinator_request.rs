//! `FindCoordinatorRequest`: api key 10, versions 0-4, flexible from 3.
//!
//! Written by `cargo xtask codegen` from `schemas/find_coordinator.schema`; edit that.

use super::FindCoordinatorResponse;
use crate::protocol::{
    ApiKey, DecodeError, EncodeError, List, Message, Reader, Request, Sink, Version, Wire,
    put_no_tags,
};

/// The `FindCoordinatorRequest` message.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FindCoordinatorRequest<'a> {
    /// In versions 0-3.
    pub key: &'a str,
    /// In versions 1-4.
    pub key_type: i8,
    /// In version 4.
    pub coordinator_keys: List<'a, &'a str>,
}

impl<'a> Wire<'a> for FindCoordinatorRequest<'a> {
    const SIZE_MIN: usize = 2;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            key: if v.number <= 3 {
                Wire::read(reader, v, "FindCoordinatorRequest.key")?
            } else {
                ""
            },
            key_type: if v.number >= 1 {
                Wire::read(reader, v, "FindCoordinatorRequest.key_type")?
            } else {
                0
            },
            coordinator_keys: if v.number >= 4 {
                Wire::read(reader, v, "FindCoordinatorRequest.coordinator_keys")?
            } else {
                List::new()
            },
        };
        reader.skip_tagged_fields(v, "FindCoordinatorRequest")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        if v.number <= 3 {
            self.key.write(sink, v, "FindCoordinatorRequest.key")?;
        }
        if v.number >= 1 {
            self.key_type.write(sink, v, "FindCoordinatorRequest.key_type")?;
        }
        if v.number >= 4 {
            self.coordinator_keys.write(sink, v, "FindCoordinatorRequest.coordinator_keys")?;
        }
        put_no_tags(sink, v)
    }
}

impl<'a> Message<'a> for FindCoordinatorRequest<'a> {
    const NAME: &'static str = "FindCoordinatorRequest";
    const API: ApiKey = ApiKey::FindCoordinator;
}

impl<'a> Request<'a> for FindCoordinatorRequest<'a> {
    type Response<'r> = FindCoordinatorResponse<'r>;
}
