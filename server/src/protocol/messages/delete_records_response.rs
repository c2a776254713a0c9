//! `DeleteRecordsResponse`: api key 21, versions 0-2, flexible from 2.
//!
//! Written by `cargo xtask codegen` from `schemas/delete_records.schema`; edit that.

use crate::protocol::{
    ApiKey, DecodeError, EncodeError, List, Message, Reader, Sink, Version, Wire, put_no_tags,
};

/// The `DeleteRecordsResponse` message.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DeleteRecordsResponse<'a> {
    pub throttle_time_ms: i32,
    pub topics: List<'a, DeleteRecordsTopicResult<'a>>,
}

impl<'a> Wire<'a> for DeleteRecordsResponse<'a> {
    const SIZE_MIN: usize = 6;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            throttle_time_ms: Wire::read(reader, v, "DeleteRecordsResponse.throttle_time_ms")?,
            topics: Wire::read(reader, v, "DeleteRecordsResponse.topics")?,
        };
        reader.skip_tagged_fields(v, "DeleteRecordsResponse")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.throttle_time_ms.write(sink, v, "DeleteRecordsResponse.throttle_time_ms")?;
        self.topics.write(sink, v, "DeleteRecordsResponse.topics")?;
        put_no_tags(sink, v)
    }
}

/// `topics` in `DeleteRecordsResponse`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DeleteRecordsTopicResult<'a> {
    pub name: &'a str,
    pub partitions: List<'a, DeleteRecordsPartitionResult>,
}

impl<'a> Wire<'a> for DeleteRecordsTopicResult<'a> {
    const SIZE_MIN: usize = 3;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            name: Wire::read(reader, v, "DeleteRecordsTopicResult.name")?,
            partitions: Wire::read(reader, v, "DeleteRecordsTopicResult.partitions")?,
        };
        reader.skip_tagged_fields(v, "DeleteRecordsTopicResult")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.name.write(sink, v, "DeleteRecordsTopicResult.name")?;
        self.partitions.write(sink, v, "DeleteRecordsTopicResult.partitions")?;
        put_no_tags(sink, v)
    }
}

/// `topics.partitions` in `DeleteRecordsResponse`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DeleteRecordsPartitionResult {
    pub partition_index: i32,
    pub low_watermark: i64,
    pub error_code: i16,
}

impl<'a> Wire<'a> for DeleteRecordsPartitionResult {
    const SIZE_MIN: usize = 14;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            partition_index: Wire::read(reader, v, "DeleteRecordsPartitionResult.partition_index")?,
            low_watermark: Wire::read(reader, v, "DeleteRecordsPartitionResult.low_watermark")?,
            error_code: Wire::read(reader, v, "DeleteRecordsPartitionResult.error_code")?,
        };
        reader.skip_tagged_fields(v, "DeleteRecordsPartitionResult")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.partition_index.write(sink, v, "DeleteRecordsPartitionResult.partition_index")?;
        self.low_watermark.write(sink, v, "DeleteRecordsPartitionResult.low_watermark")?;
        self.error_code.write(sink, v, "DeleteRecordsPartitionResult.error_code")?;
        put_no_tags(sink, v)
    }
}

impl<'a> Message<'a> for DeleteRecordsResponse<'a> {
    const NAME: &'static str = "DeleteRecordsResponse";
    const API: ApiKey = ApiKey::DeleteRecords;
}
