//! `OffsetDeleteResponse`: api key 47, versions 0.
//!
//! Written by `cargo xtask codegen` from `schemas/offset_delete.schema`; edit that.

use crate::protocol::{
    ApiKey, DecodeError, EncodeError, List, Message, Reader, Sink, Version, Wire,
};

/// The `OffsetDeleteResponse` message.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OffsetDeleteResponse<'a> {
    pub error_code: i16,
    pub throttle_time_ms: i32,
    pub topics: List<'a, OffsetDeleteResponseTopic<'a>>,
}

impl<'a> Wire<'a> for OffsetDeleteResponse<'a> {
    const SIZE_MIN: usize = 10;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            error_code: Wire::read(reader, v, "OffsetDeleteResponse.error_code")?,
            throttle_time_ms: Wire::read(reader, v, "OffsetDeleteResponse.throttle_time_ms")?,
            topics: Wire::read(reader, v, "OffsetDeleteResponse.topics")?,
        };
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.error_code.write(sink, v, "OffsetDeleteResponse.error_code")?;
        self.throttle_time_ms.write(sink, v, "OffsetDeleteResponse.throttle_time_ms")?;
        self.topics.write(sink, v, "OffsetDeleteResponse.topics")?;
        Ok(())
    }
}

/// `topics` in `OffsetDeleteResponse`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OffsetDeleteResponseTopic<'a> {
    pub name: &'a str,
    pub partitions: List<'a, OffsetDeleteResponsePartition>,
}

impl<'a> Wire<'a> for OffsetDeleteResponseTopic<'a> {
    const SIZE_MIN: usize = 6;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            name: Wire::read(reader, v, "OffsetDeleteResponseTopic.name")?,
            partitions: Wire::read(reader, v, "OffsetDeleteResponseTopic.partitions")?,
        };
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.name.write(sink, v, "OffsetDeleteResponseTopic.name")?;
        self.partitions.write(sink, v, "OffsetDeleteResponseTopic.partitions")?;
        Ok(())
    }
}

/// `topics.partitions` in `OffsetDeleteResponse`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OffsetDeleteResponsePartition {
    pub partition_index: i32,
    pub error_code: i16,
}

impl<'a> Wire<'a> for OffsetDeleteResponsePartition {
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
                "OffsetDeleteResponsePartition.partition_index",
            )?,
            error_code: Wire::read(reader, v, "OffsetDeleteResponsePartition.error_code")?,
        };
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.partition_index.write(sink, v, "OffsetDeleteResponsePartition.partition_index")?;
        self.error_code.write(sink, v, "OffsetDeleteResponsePartition.error_code")?;
        Ok(())
    }
}

impl<'a> Message<'a> for OffsetDeleteResponse<'a> {
    const NAME: &'static str = "OffsetDeleteResponse";
    const API: ApiKey = ApiKey::OffsetDelete;
}
