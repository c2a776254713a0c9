//! `OffsetForLeaderEpochRequest`: api key 23, versions 0-4, flexible from 4.
//!
//! Written by `cargo xtask codegen` from `schemas/offset_for_leader_epoch.schema`; edit that.

use super::OffsetForLeaderEpochResponse;
use crate::protocol::{
    ApiKey, DecodeError, EncodeError, List, Message, Reader, Request, Sink, Version, Wire,
    put_no_tags,
};

/// The `OffsetForLeaderEpochRequest` message.
#[derive(Debug, Clone, PartialEq)]
pub struct OffsetForLeaderEpochRequest<'a> {
    /// In versions 3-4.
    pub replica_id: i32,
    pub topics: List<'a, OffsetForLeaderTopic<'a>>,
}

impl Default for OffsetForLeaderEpochRequest<'_> {
    fn default() -> Self {
        Self { replica_id: -2, topics: List::new() }
    }
}

impl<'a> Wire<'a> for OffsetForLeaderEpochRequest<'a> {
    const SIZE_MIN: usize = 4;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            replica_id: if v.number >= 3 {
                Wire::read(reader, v, "OffsetForLeaderEpochRequest.replica_id")?
            } else {
                -2
            },
            topics: Wire::read(reader, v, "OffsetForLeaderEpochRequest.topics")?,
        };
        reader.skip_tagged_fields(v, "OffsetForLeaderEpochRequest")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        if v.number >= 3 {
            self.replica_id.write(sink, v, "OffsetForLeaderEpochRequest.replica_id")?;
        }
        self.topics.write(sink, v, "OffsetForLeaderEpochRequest.topics")?;
        put_no_tags(sink, v)
    }
}

/// `topics` in `OffsetForLeaderEpochRequest`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OffsetForLeaderTopic<'a> {
    pub topic: &'a str,
    pub partitions: List<'a, OffsetForLeaderPartition>,
}

impl<'a> Wire<'a> for OffsetForLeaderTopic<'a> {
    const SIZE_MIN: usize = 3;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            topic: Wire::read(reader, v, "OffsetForLeaderTopic.topic")?,
            partitions: Wire::read(reader, v, "OffsetForLeaderTopic.partitions")?,
        };
        reader.skip_tagged_fields(v, "OffsetForLeaderTopic")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.topic.write(sink, v, "OffsetForLeaderTopic.topic")?;
        self.partitions.write(sink, v, "OffsetForLeaderTopic.partitions")?;
        put_no_tags(sink, v)
    }
}

/// `topics.partitions` in `OffsetForLeaderEpochRequest`.
#[derive(Debug, Clone, PartialEq)]
pub struct OffsetForLeaderPartition {
    pub partition: i32,
    /// In versions 2-4.
    pub current_leader_epoch: i32,
    pub leader_epoch: i32,
}

impl Default for OffsetForLeaderPartition {
    fn default() -> Self {
        Self { partition: 0, current_leader_epoch: -1, leader_epoch: 0 }
    }
}

impl<'a> Wire<'a> for OffsetForLeaderPartition {
    const SIZE_MIN: usize = 8;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            partition: Wire::read(reader, v, "OffsetForLeaderPartition.partition")?,
            current_leader_epoch: if v.number >= 2 {
                Wire::read(reader, v, "OffsetForLeaderPartition.current_leader_epoch")?
            } else {
                -1
            },
            leader_epoch: Wire::read(reader, v, "OffsetForLeaderPartition.leader_epoch")?,
        };
        reader.skip_tagged_fields(v, "OffsetForLeaderPartition")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.partition.write(sink, v, "OffsetForLeaderPartition.partition")?;
        if v.number >= 2 {
            self.current_leader_epoch.write(
                sink,
                v,
                "OffsetForLeaderPartition.current_leader_epoch",
            )?;
        }
        self.leader_epoch.write(sink, v, "OffsetForLeaderPartition.leader_epoch")?;
        put_no_tags(sink, v)
    }
}

impl<'a> Message<'a> for OffsetForLeaderEpochRequest<'a> {
    const NAME: &'static str = "OffsetForLeaderEpochRequest";
    const API: ApiKey = ApiKey::OffsetForLeaderEpoch;
}

impl<'a> Request<'a> for OffsetForLeaderEpochRequest<'a> {
    type Response<'r> = OffsetForLeaderEpochResponse<'r>;
}
