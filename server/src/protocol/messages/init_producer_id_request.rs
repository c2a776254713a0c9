//! `InitProducerIdRequest`: api key 22, versions 0-4, flexible from 2.
//!
//! Written by `cargo xtask codegen` from `schemas/init_producer_id.schema`; edit that.

use super::InitProducerIdResponse;
use crate::protocol::{
    ApiKey, DecodeError, EncodeError, Message, Reader, Request, Sink, Version, Wire, put_no_tags,
};

/// The `InitProducerIdRequest` message.
#[derive(Debug, Clone, PartialEq)]
pub struct InitProducerIdRequest<'a> {
    pub transactional_id: Option<&'a str>,
    pub transaction_timeout_ms: i32,
    /// In versions 3-4.
    pub producer_id: i64,
    /// In versions 3-4.
    pub producer_epoch: i16,
}

impl Default for InitProducerIdRequest<'_> {
    fn default() -> Self {
        Self {
            transactional_id: None,
            transaction_timeout_ms: 0,
            producer_id: -1,
            producer_epoch: -1,
        }
    }
}

impl<'a> Wire<'a> for InitProducerIdRequest<'a> {
    const SIZE_MIN: usize = 6;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            transactional_id: Wire::read(reader, v, "InitProducerIdRequest.transactional_id")?,
            transaction_timeout_ms: Wire::read(
                reader,
                v,
                "InitProducerIdRequest.transaction_timeout_ms",
            )?,
            producer_id: if v.number >= 3 {
                Wire::read(reader, v, "InitProducerIdRequest.producer_id")?
            } else {
                -1
            },
            producer_epoch: if v.number >= 3 {
                Wire::read(reader, v, "InitProducerIdRequest.producer_epoch")?
            } else {
                -1
            },
        };
        reader.skip_tagged_fields(v, "InitProducerIdRequest")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.transactional_id.write(sink, v, "InitProducerIdRequest.transactional_id")?;
        self.transaction_timeout_ms.write(
            sink,
            v,
            "InitProducerIdRequest.transaction_timeout_ms",
        )?;
        if v.number >= 3 {
            self.producer_id.write(sink, v, "InitProducerIdRequest.producer_id")?;
        }
        if v.number >= 3 {
            self.producer_epoch.write(sink, v, "InitProducerIdRequest.producer_epoch")?;
        }
        put_no_tags(sink, v)
    }
}

impl<'a> Message<'a> for InitProducerIdRequest<'a> {
    const NAME: &'static str = "InitProducerIdRequest";
    const API: ApiKey = ApiKey::InitProducerId;
}

impl<'a> Request<'a> for InitProducerIdRequest<'a> {
    type Response<'r> = InitProducerIdResponse;
}
