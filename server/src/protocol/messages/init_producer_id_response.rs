//! `InitProducerIdResponse`: api key 22, versions 0-4, flexible from 2.
//!
//! Written by `cargo xtask codegen` from `schemas/init_producer_id.schema`; edit that.

use crate::protocol::{
    ApiKey, DecodeError, EncodeError, Message, Reader, Sink, Version, Wire, put_no_tags,
};

/// The `InitProducerIdResponse` message.
#[derive(Debug, Clone, PartialEq)]
pub struct InitProducerIdResponse {
    pub throttle_time_ms: i32,
    pub error_code: i16,
    pub producer_id: i64,
    pub producer_epoch: i16,
}

impl Default for InitProducerIdResponse {
    fn default() -> Self {
        Self { throttle_time_ms: 0, error_code: 0, producer_id: -1, producer_epoch: 0 }
    }
}

impl<'a> Wire<'a> for InitProducerIdResponse {
    const SIZE_MIN: usize = 16;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            throttle_time_ms: Wire::read(reader, v, "InitProducerIdResponse.throttle_time_ms")?,
            error_code: Wire::read(reader, v, "InitProducerIdResponse.error_code")?,
            producer_id: Wire::read(reader, v, "InitProducerIdResponse.producer_id")?,
            producer_epoch: Wire::read(reader, v, "InitProducerIdResponse.producer_epoch")?,
        };
        reader.skip_tagged_fields(v, "InitProducerIdResponse")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.throttle_time_ms.write(sink, v, "InitProducerIdResponse.throttle_time_ms")?;
        self.error_code.write(sink, v, "InitProducerIdResponse.error_code")?;
        self.producer_id.write(sink, v, "InitProducerIdResponse.producer_id")?;
        self.producer_epoch.write(sink, v, "InitProducerIdResponse.producer_epoch")?;
        put_no_tags(sink, v)
    }
}

impl<'a> Message<'a> for InitProducerIdResponse {
    const NAME: &'static str = "InitProducerIdResponse";
    const API: ApiKey = ApiKey::InitProducerId;
}
