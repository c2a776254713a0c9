//! `OffsetCommitResponse`: api key 8, versions 2-8, flexible from 8.
//!
//! Written by `cargo xtask codegen` from `schemas/offset_commit.schema`; edit that.

use crate::protocol::{
    ApiKey, DecodeError, EncodeError, List, Message, Reader, Sink, Version, Wire, put_no_tags,
};

/// The `OffsetCommitResponse` message.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OffsetCommitResponse<'a> {
    /// In versions 3-8.
    pub throttle_time_ms: i32,
    pub topics: List<'a, OffsetCommitResponseTopic<'a>>,
}

impl<'a> Wire<'a> for OffsetCommitResponse<'a> {
    const SIZE_MIN: usize = 4;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            throttle_time_ms: if v.number >= 3 {
                Wire::read(reader, v, "OffsetCommitResponse.throttle_time_ms")?
            } else {
                0
            },
            topics: Wire::read(reader, v, "OffsetCommitResponse.topics")?,
        };
        reader.skip_tagged_fields(v, "OffsetCommitResponse")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        if v.number >= 3 {
            self.throttle_time_ms.write(sink, v, "OffsetCommitResponse.throttle_time_ms")?;
        }
        self.topics.write(sink, v, "OffsetCommitResponse.topics")?;
        put_no_tags(sink, v)
    }
}

/// `topics` in `OffsetCommitResponse`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OffsetCommitResponseTopic<'a> {
    pub name: &'a str,
    pub partitions: List<'a, OffsetCommitResponsePartition>,
}

impl<'a> Wire<'a> for OffsetCommitResponseTopic<'a> {
    const SIZE_MIN: usize = 3;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            name: Wire::read(reader, v, "OffsetCommitResponseTopic.name")?,
            partitions: Wire::read(reader, v, "OffsetCommitResponseTopic.partitions")?,
        };
        reader.skip_tagged_fields(v, "OffsetCommitResponseTopic")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.name.write(sink, v, "OffsetCommitResponseTopic.name")?;
        self.partitions.write(sink, v, "OffsetCommitResponseTopic.partitions")?;
        put_no_tags(sink, v)
    }
}

/// `topics.partitions` in `OffsetCommitResponse`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OffsetCommitResponsePartition {
    pub partition_index: i32,
    pub error_code: i16,
}

impl<'a> Wire<'a> for OffsetCommitResponsePartition {
    const SIZE_MIN: usize = 6;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            partition_index: Wire::read(
                reader,
                v,
                "OffsetCommitResponsePartition.partition_index",
            )?,
            error_code: Wire::read(reader, v, "OffsetCommitResponsePartition.error_code")?,
        };
        reader.skip_tagged_fields(v, "OffsetCommitResponsePartition")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.partition_index.write(sink, v, "OffsetCommitResponsePartition.partition_index")?;
        self.error_code.write(sink, v, "OffsetCommitResponsePartition.error_code")?;
        put_no_tags(sink, v)
    }
}

impl<'a> Message<'a> for OffsetCommitResponse<'a> {
    const NAME: &'static str = "OffsetCommitResponse";
    const API: ApiKey = ApiKey::OffsetCommit;
}
