//! `OffsetForLeaderEpochResponse`: api key 23, versions 0-4, flexible from 4.
//!
//! Written by `cargo xtask codegen` from `schemas/offset_for_leader_epoch.schema`; edit that.

use crate::protocol::{
    ApiKey, DecodeError, EncodeError, List, Message, Reader, Sink, Version, Wire, put_no_tags,
};

/// The `OffsetForLeaderEpochResponse` message.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OffsetForLeaderEpochResponse<'a> {
    /// In versions 2-4.
    pub throttle_time_ms: i32,
    pub topics: List<'a, OffsetForLeaderTopicResult<'a>>,
}

impl<'a> Wire<'a> for OffsetForLeaderEpochResponse<'a> {
    const SIZE_MIN: usize = 4;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            throttle_time_ms: if v.number >= 2 {
                Wire::read(reader, v, "OffsetForLeaderEpochResponse.throttle_time_ms")?
            } else {
                0
            },
            topics: Wire::read(reader, v, "OffsetForLeaderEpochResponse.topics")?,
        };
        reader.skip_tagged_fields(v, "OffsetForLeaderEpochResponse")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        if v.number >= 2 {
            self.throttle_time_ms.write(
                sink,
                v,
                "OffsetForLeaderEpochResponse.throttle_time_ms",
            )?;
        }
        self.topics.write(sink, v, "OffsetForLeaderEpochResponse.topics")?;
        put_no_tags(sink, v)
    }
}

/// `topics` in `OffsetForLeaderEpochResponse`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OffsetForLeaderTopicResult<'a> {
    pub topic: &'a str,
    pub partitions: List<'a, EpochEndOffset>,
}

impl<'a> Wire<'a> for OffsetForLeaderTopicResult<'a> {
    const SIZE_MIN: usize = 3;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            topic: Wire::read(reader, v, "OffsetForLeaderTopicResult.topic")?,
            partitions: Wire::read(reader, v, "OffsetForLeaderTopicResult.partitions")?,
        };
        reader.skip_tagged_fields(v, "OffsetForLeaderTopicResult")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.topic.write(sink, v, "OffsetForLeaderTopicResult.topic")?;
        self.partitions.write(sink, v, "OffsetForLeaderTopicResult.partitions")?;
        put_no_tags(sink, v)
    }
}

/// `topics.partitions` in `OffsetForLeaderEpochResponse`.
#[derive(Debug, Clone, PartialEq)]
pub struct EpochEndOffset {
    pub error_code: i16,
    pub partition: i32,
    /// In versions 1-4.
    pub leader_epoch: i32,
    pub end_offset: i64,
}

impl Default for EpochEndOffset {
    fn default() -> Self {
        Self { error_code: 0, partition: 0, leader_epoch: -1, end_offset: -1 }
    }
}

impl<'a> Wire<'a> for EpochEndOffset {
    const SIZE_MIN: usize = 14;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            error_code: Wire::read(reader, v, "EpochEndOffset.error_code")?,
            partition: Wire::read(reader, v, "EpochEndOffset.partition")?,
            leader_epoch: if v.number >= 1 {
                Wire::read(reader, v, "EpochEndOffset.leader_epoch")?
            } else {
                -1
            },
            end_offset: Wire::read(reader, v, "EpochEndOffset.end_offset")?,
        };
        reader.skip_tagged_fields(v, "EpochEndOffset")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.error_code.write(sink, v, "EpochEndOffset.error_code")?;
        self.partition.write(sink, v, "EpochEndOffset.partition")?;
        if v.number >= 1 {
            self.leader_epoch.write(sink, v, "EpochEndOffset.leader_epoch")?;
        }
        self.end_offset.write(sink, v, "EpochEndOffset.end_offset")?;
        put_no_tags(sink, v)
    }
}

impl<'a> Message<'a> for OffsetForLeaderEpochResponse<'a> {
    const NAME: &'static str = "OffsetForLeaderEpochResponse";
    const API: ApiKey = ApiKey::OffsetForLeaderEpoch;
}
