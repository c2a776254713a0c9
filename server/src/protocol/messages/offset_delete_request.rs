//! `OffsetDeleteRequest`: api key 47, versions 0.
//!
//! Written by `cargo xtask codegen` from `schemas/offset_delete.schema`; edit that.

use super::OffsetDeleteResponse;
use crate::protocol::{
    ApiKey, DecodeError, EncodeError, List, Message, Reader, Request, Sink, Version, Wire,
};

/// The `OffsetDeleteRequest` message.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OffsetDeleteRequest<'a> {
    pub group_id: &'a str,
    pub topics: List<'a, OffsetDeleteRequestTopic<'a>>,
}

impl<'a> Wire<'a> for OffsetDeleteRequest<'a> {
    const SIZE_MIN: usize = 6;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            group_id: Wire::read(reader, v, "OffsetDeleteRequest.group_id")?,
            topics: Wire::read(reader, v, "OffsetDeleteRequest.topics")?,
        };
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.group_id.write(sink, v, "OffsetDeleteRequest.group_id")?;
        self.topics.write(sink, v, "OffsetDeleteRequest.topics")?;
        Ok(())
    }
}

/// `topics` in `OffsetDeleteRequest`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OffsetDeleteRequestTopic<'a> {
    pub name: &'a str,
    pub partitions: List<'a, OffsetDeleteRequestPartition>,
}

impl<'a> Wire<'a> for OffsetDeleteRequestTopic<'a> {
    const SIZE_MIN: usize = 6;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            name: Wire::read(reader, v, "OffsetDeleteRequestTopic.name")?,
            partitions: Wire::read(reader, v, "OffsetDeleteRequestTopic.partitions")?,
        };
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.name.write(sink, v, "OffsetDeleteRequestTopic.name")?;
        self.partitions.write(sink, v, "OffsetDeleteRequestTopic.partitions")?;
        Ok(())
    }
}

/// `topics.partitions` in `OffsetDeleteRequest`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OffsetDeleteRequestPartition {
    pub partition_index: i32,
}

impl<'a> Wire<'a> for OffsetDeleteRequestPartition {
    const SIZE_MIN: usize = 4;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            partition_index: Wire::read(reader, v, "OffsetDeleteRequestPartition.partition_index")?,
        };
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.partition_index.write(sink, v, "OffsetDeleteRequestPartition.partition_index")?;
        Ok(())
    }
}

impl<'a> Message<'a> for OffsetDeleteRequest<'a> {
    const NAME: &'static str = "OffsetDeleteRequest";
    const API: ApiKey = ApiKey::OffsetDelete;
}

impl<'a> Request<'a> for OffsetDeleteRequest<'a> {
    type Response<'r> = OffsetDeleteResponse<'r>;
}
