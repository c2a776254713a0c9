//! `ListOffsetsResponse`: api key 2, versions 1-7, flexible from 6.
//!
//! Written by `cargo xtask codegen` from `schemas/list_offsets.schema`; edit that.

use crate::protocol::{
    ApiKey, DecodeError, EncodeError, List, Message, Reader, Sink, Version, Wire, put_no_tags,
};

/// The `ListOffsetsResponse` message.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ListOffsetsResponse<'a> {
    /// In versions 2-7.
    pub throttle_time_ms: i32,
    pub topics: List<'a, ListOffsetsTopicResponse<'a>>,
}

impl<'a> Wire<'a> for ListOffsetsResponse<'a> {
    const SIZE_MIN: usize = 4;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            throttle_time_ms: if v.number >= 2 {
                Wire::read(reader, v, "ListOffsetsResponse.throttle_time_ms")?
            } else {
                0
            },
            topics: Wire::read(reader, v, "ListOffsetsResponse.topics")?,
        };
        reader.skip_tagged_fields(v, "ListOffsetsResponse")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        if v.number >= 2 {
            self.throttle_time_ms.write(sink, v, "ListOffsetsResponse.throttle_time_ms")?;
        }
        self.topics.write(sink, v, "ListOffsetsResponse.topics")?;
        put_no_tags(sink, v)
    }
}

/// `topics` in `ListOffsetsResponse`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ListOffsetsTopicResponse<'a> {
    pub name: &'a str,
    pub partitions: List<'a, ListOffsetsPartitionResponse>,
}

impl<'a> Wire<'a> for ListOffsetsTopicResponse<'a> {
    const SIZE_MIN: usize = 3;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            name: Wire::read(reader, v, "ListOffsetsTopicResponse.name")?,
            partitions: Wire::read(reader, v, "ListOffsetsTopicResponse.partitions")?,
        };
        reader.skip_tagged_fields(v, "ListOffsetsTopicResponse")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.name.write(sink, v, "ListOffsetsTopicResponse.name")?;
        self.partitions.write(sink, v, "ListOffsetsTopicResponse.partitions")?;
        put_no_tags(sink, v)
    }
}

/// `topics.partitions` in `ListOffsetsResponse`.
#[derive(Debug, Clone, PartialEq)]
pub struct ListOffsetsPartitionResponse {
    pub partition_index: i32,
    pub error_code: i16,
    pub timestamp: i64,
    pub offset: i64,
    /// In versions 4-7.
    pub leader_epoch: i32,
}

impl Default for ListOffsetsPartitionResponse {
    fn default() -> Self {
        Self { partition_index: 0, error_code: 0, timestamp: -1, offset: -1, leader_epoch: -1 }
    }
}

impl<'a> Wire<'a> for ListOffsetsPartitionResponse {
    const SIZE_MIN: usize = 22;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            partition_index: Wire::read(reader, v, "ListOffsetsPartitionResponse.partition_index")?,
            error_code: Wire::read(reader, v, "ListOffsetsPartitionResponse.error_code")?,
            timestamp: Wire::read(reader, v, "ListOffsetsPartitionResponse.timestamp")?,
            offset: Wire::read(reader, v, "ListOffsetsPartitionResponse.offset")?,
            leader_epoch: if v.number >= 4 {
                Wire::read(reader, v, "ListOffsetsPartitionResponse.leader_epoch")?
            } else {
                -1
            },
        };
        reader.skip_tagged_fields(v, "ListOffsetsPartitionResponse")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.partition_index.write(sink, v, "ListOffsetsPartitionResponse.partition_index")?;
        self.error_code.write(sink, v, "ListOffsetsPartitionResponse.error_code")?;
        self.timestamp.write(sink, v, "ListOffsetsPartitionResponse.timestamp")?;
        self.offset.write(sink, v, "ListOffsetsPartitionResponse.offset")?;
        if v.number >= 4 {
            self.leader_epoch.write(sink, v, "ListOffsetsPartitionResponse.leader_epoch")?;
        }
        put_no_tags(sink, v)
    }
}

impl<'a> Message<'a> for ListOffsetsResponse<'a> {
    const NAME: &'static str = "ListOffsetsResponse";
    const API: ApiKey = ApiKey::ListOffsets;
}
