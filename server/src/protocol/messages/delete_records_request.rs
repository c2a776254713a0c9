//! `DeleteRecordsRequest`: api key 21, versions 0-2, flexible from 2.
//!
//! Written by `cargo xtask codegen` from `schemas/delete_records.schema`; edit that.

use super::DeleteRecordsResponse;
use crate::protocol::{
    ApiKey, DecodeError, EncodeError, List, Message, Reader, Request, Sink, Version, Wire,
    put_no_tags,
};

/// The `DeleteRecordsRequest` message.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DeleteRecordsRequest<'a> {
    pub topics: List<'a, DeleteRecordsTopic<'a>>,
    pub timeout_ms: i32,
}

impl<'a> Wire<'a> for DeleteRecordsRequest<'a> {
    const SIZE_MIN: usize = 6;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            topics: Wire::read(reader, v, "DeleteRecordsRequest.topics")?,
            timeout_ms: Wire::read(reader, v, "DeleteRecordsRequest.timeout_ms")?,
        };
        reader.skip_tagged_fields(v, "DeleteRecordsRequest")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.topics.write(sink, v, "DeleteRecordsRequest.topics")?;
        self.timeout_ms.write(sink, v, "DeleteRecordsRequest.timeout_ms")?;
        put_no_tags(sink, v)
    }
}

/// `topics` in `DeleteRecordsRequest`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DeleteRecordsTopic<'a> {
    pub name: &'a str,
    pub partitions: List<'a, DeleteRecordsPartition>,
}

impl<'a> Wire<'a> for DeleteRecordsTopic<'a> {
    const SIZE_MIN: usize = 3;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            name: Wire::read(reader, v, "DeleteRecordsTopic.name")?,
            partitions: Wire::read(reader, v, "DeleteRecordsTopic.partitions")?,
        };
        reader.skip_tagged_fields(v, "DeleteRecordsTopic")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.name.write(sink, v, "DeleteRecordsTopic.name")?;
        self.partitions.write(sink, v, "DeleteRecordsTopic.partitions")?;
        put_no_tags(sink, v)
    }
}

/// `topics.partitions` in `DeleteRecordsRequest`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DeleteRecordsPartition {
    pub partition_index: i32,
    pub offset: i64,
}

impl<'a> Wire<'a> for DeleteRecordsPartition {
    const SIZE_MIN: usize = 12;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            partition_index: Wire::read(reader, v, "DeleteRecordsPartition.partition_index")?,
            offset: Wire::read(reader, v, "DeleteRecordsPartition.offset")?,
        };
        reader.skip_tagged_fields(v, "DeleteRecordsPartition")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.partition_index.write(sink, v, "DeleteRecordsPartition.partition_index")?;
        self.offset.write(sink, v, "DeleteRecordsPartition.offset")?;
        put_no_tags(sink, v)
    }
}

impl<'a> Message<'a> for DeleteRecordsRequest<'a> {
    const NAME: &'static str = "DeleteRecordsRequest";
    const API: ApiKey = ApiKey::DeleteRecords;
}

impl<'a> Request<'a> for DeleteRecordsRequest<'a> {
    type Response<'r> = DeleteRecordsResponse<'r>;
}
