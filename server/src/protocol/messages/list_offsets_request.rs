//! `ListOffsetsRequest`: api key 2, versions 1-7, flexible from 6.
//!
//! Written by `cargo xtask codegen` from `schemas/list_offsets.schema`; edit that.

use super::ListOffsetsResponse;
use crate::protocol::{
    ApiKey, DecodeError, EncodeError, List, Message, Reader, Request, Sink, Version, Wire,
    put_no_tags,
};

/// The `ListOffsetsRequest` message.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ListOffsetsRequest<'a> {
    pub replica_id: i32,
    /// In versions 2-7.
    pub isolation_level: i8,
    pub topics: List<'a, ListOffsetsTopic<'a>>,
}

impl<'a> Wire<'a> for ListOffsetsRequest<'a> {
    const SIZE_MIN: usize = 7;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            replica_id: Wire::read(reader, v, "ListOffsetsRequest.replica_id")?,
            isolation_level: if v.number >= 2 {
                Wire::read(reader, v, "ListOffsetsRequest.isolation_level")?
            } else {
                0
            },
            topics: Wire::read(reader, v, "ListOffsetsRequest.topics")?,
        };
        reader.skip_tagged_fields(v, "ListOffsetsRequest")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.replica_id.write(sink, v, "ListOffsetsRequest.replica_id")?;
        if v.number >= 2 {
            self.isolation_level.write(sink, v, "ListOffsetsRequest.isolation_level")?;
        }
        self.topics.write(sink, v, "ListOffsetsRequest.topics")?;
        put_no_tags(sink, v)
    }
}

/// `topics` in `ListOffsetsRequest`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ListOffsetsTopic<'a> {
    pub name: &'a str,
    pub partitions: List<'a, ListOffsetsPartition>,
}

impl<'a> Wire<'a> for ListOffsetsTopic<'a> {
    const SIZE_MIN: usize = 3;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            name: Wire::read(reader, v, "ListOffsetsTopic.name")?,
            partitions: Wire::read(reader, v, "ListOffsetsTopic.partitions")?,
        };
        reader.skip_tagged_fields(v, "ListOffsetsTopic")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.name.write(sink, v, "ListOffsetsTopic.name")?;
        self.partitions.write(sink, v, "ListOffsetsTopic.partitions")?;
        put_no_tags(sink, v)
    }
}

/// `topics.partitions` in `ListOffsetsRequest`.
#[derive(Debug, Clone, PartialEq)]
pub struct ListOffsetsPartition {
    pub partition_index: i32,
    /// In versions 4-7.
    pub current_leader_epoch: i32,
    pub timestamp: i64,
}

impl Default for ListOffsetsPartition {
    fn default() -> Self {
        Self { partition_index: 0, current_leader_epoch: -1, timestamp: 0 }
    }
}

impl<'a> Wire<'a> for ListOffsetsPartition {
    const SIZE_MIN: usize = 12;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            partition_index: Wire::read(reader, v, "ListOffsetsPartition.partition_index")?,
            current_leader_epoch: if v.number >= 4 {
                Wire::read(reader, v, "ListOffsetsPartition.current_leader_epoch")?
            } else {
                -1
            },
            timestamp: Wire::read(reader, v, "ListOffsetsPartition.timestamp")?,
        };
        reader.skip_tagged_fields(v, "ListOffsetsPartition")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.partition_index.write(sink, v, "ListOffsetsPartition.partition_index")?;
        if v.number >= 4 {
            self.current_leader_epoch.write(
                sink,
                v,
                "ListOffsetsPartition.current_leader_epoch",
            )?;
        }
        self.timestamp.write(sink, v, "ListOffsetsPartition.timestamp")?;
        put_no_tags(sink, v)
    }
}

impl<'a> Message<'a> for ListOffsetsRequest<'a> {
    const NAME: &'static str = "ListOffsetsRequest";
    const API: ApiKey = ApiKey::ListOffsets;
}

impl<'a> Request<'a> for ListOffsetsRequest<'a> {
    type Response<'r> = ListOffsetsResponse<'r>;
}
