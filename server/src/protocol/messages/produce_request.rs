//! `ProduceRequest`: api key 0, versions 3-11, flexible from 9.
//!
//! Written by `cargo xtask codegen` from `schemas/produce.schema`; edit that.

use super::ProduceResponse;
use crate::protocol::{
    ApiKey, DecodeError, EncodeError, List, Message, Reader, Request, Sink, Version, Wire,
    put_no_tags,
};

/// The `ProduceRequest` message.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ProduceRequest<'a> {
    pub transactional_id: Option<&'a str>,
    pub acks: i16,
    pub timeout_ms: i32,
    pub topic_data: List<'a, TopicProduceData<'a>>,
}

impl<'a> Wire<'a> for ProduceRequest<'a> {
    const SIZE_MIN: usize = 9;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            transactional_id: Wire::read(reader, v, "ProduceRequest.transactional_id")?,
            acks: Wire::read(reader, v, "ProduceRequest.acks")?,
            timeout_ms: Wire::read(reader, v, "ProduceRequest.timeout_ms")?,
            topic_data: Wire::read(reader, v, "ProduceRequest.topic_data")?,
        };
        reader.skip_tagged_fields(v, "ProduceRequest")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.transactional_id.write(sink, v, "ProduceRequest.transactional_id")?;
        self.acks.write(sink, v, "ProduceRequest.acks")?;
        self.timeout_ms.write(sink, v, "ProduceRequest.timeout_ms")?;
        self.topic_data.write(sink, v, "ProduceRequest.topic_data")?;
        put_no_tags(sink, v)
    }
}

/// `topic_data` in `ProduceRequest`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TopicProduceData<'a> {
    pub name: &'a str,
    pub partition_data: List<'a, PartitionProduceData<'a>>,
}

impl<'a> Wire<'a> for TopicProduceData<'a> {
    const SIZE_MIN: usize = 3;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            name: Wire::read(reader, v, "TopicProduceData.name")?,
            partition_data: Wire::read(reader, v, "TopicProduceData.partition_data")?,
        };
        reader.skip_tagged_fields(v, "TopicProduceData")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.name.write(sink, v, "TopicProduceData.name")?;
        self.partition_data.write(sink, v, "TopicProduceData.partition_data")?;
        put_no_tags(sink, v)
    }
}

/// `topic_data.partition_data` in `ProduceRequest`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PartitionProduceData<'a> {
    pub index: i32,
    pub records: Option<&'a [u8]>,
}

impl<'a> Wire<'a> for PartitionProduceData<'a> {
    const SIZE_MIN: usize = 6;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            index: Wire::read(reader, v, "PartitionProduceData.index")?,
            records: Wire::read(reader, v, "PartitionProduceData.records")?,
        };
        reader.skip_tagged_fields(v, "PartitionProduceData")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.index.write(sink, v, "PartitionProduceData.index")?;
        self.records.write(sink, v, "PartitionProduceData.records")?;
        put_no_tags(sink, v)
    }
}

impl<'a> Message<'a> for ProduceRequest<'a> {
    const NAME: &'static str = "ProduceRequest";
    const API: ApiKey = ApiKey::Produce;
}

impl<'a> Request<'a> for ProduceRequest<'a> {
    type Response<'r> = ProduceResponse<'r>;
}
