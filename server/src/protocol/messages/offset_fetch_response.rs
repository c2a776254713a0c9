//! `OffsetFetchResponse`: api key 9, versions 1-8, flexible from 6.
//!
//! Written by `cargo xtask codegen` from `schemas/offset_fetch.schema`; edit that.

use crate::protocol::{
    ApiKey, DecodeError, EncodeError, List, Message, Reader, Sink, Version, Wire, put_no_tags,
};

/// The `OffsetFetchResponse` message.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OffsetFetchResponse<'a> {
    /// In versions 3-8.
    pub throttle_time_ms: i32,
    /// In versions 1-7.
    pub topics: List<'a, OffsetFetchResponseTopic<'a>>,
    /// In versions 2-7.
    pub error_code: i16,
    /// In version 8.
    pub groups: List<'a, OffsetFetchResponseGroup<'a>>,
}

impl<'a> Wire<'a> for OffsetFetchResponse<'a> {
    const SIZE_MIN: usize = 4;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            throttle_time_ms: if v.number >= 3 {
                Wire::read(reader, v, "OffsetFetchResponse.throttle_time_ms")?
            } else {
                0
            },
            topics: if v.number <= 7 {
                Wire::read(reader, v, "OffsetFetchResponse.topics")?
            } else {
                List::new()
            },
            error_code: if (2..=7).contains(&v.number) {
                Wire::read(reader, v, "OffsetFetchResponse.error_code")?
            } else {
                0
            },
            groups: if v.number >= 8 {
                Wire::read(reader, v, "OffsetFetchResponse.groups")?
            } else {
                List::new()
            },
        };
        reader.skip_tagged_fields(v, "OffsetFetchResponse")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        if v.number >= 3 {
            self.throttle_time_ms.write(sink, v, "OffsetFetchResponse.throttle_time_ms")?;
        }
        if v.number <= 7 {
            self.topics.write(sink, v, "OffsetFetchResponse.topics")?;
        }
        if (2..=7).contains(&v.number) {
            self.error_code.write(sink, v, "OffsetFetchResponse.error_code")?;
        }
        if v.number >= 8 {
            self.groups.write(sink, v, "OffsetFetchResponse.groups")?;
        }
        put_no_tags(sink, v)
    }
}

/// `topics` in `OffsetFetchResponse`.
/// In versions 1-7.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OffsetFetchResponseTopic<'a> {
    pub name: &'a str,
    pub partitions: List<'a, OffsetFetchResponsePartition<'a>>,
}

impl<'a> Wire<'a> for OffsetFetchResponseTopic<'a> {
    const SIZE_MIN: usize = 3;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            name: Wire::read(reader, v, "OffsetFetchResponseTopic.name")?,
            partitions: Wire::read(reader, v, "OffsetFetchResponseTopic.partitions")?,
        };
        reader.skip_tagged_fields(v, "OffsetFetchResponseTopic")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.name.write(sink, v, "OffsetFetchResponseTopic.name")?;
        self.partitions.write(sink, v, "OffsetFetchResponseTopic.partitions")?;
        put_no_tags(sink, v)
    }
}

/// `groups` in `OffsetFetchResponse`.
/// In version 8.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OffsetFetchResponseGroup<'a> {
    pub group_id: &'a str,
    pub topics: List<'a, OffsetFetchResponseTopics<'a>>,
    pub error_code: i16,
}

impl<'a> Wire<'a> for OffsetFetchResponseGroup<'a> {
    const SIZE_MIN: usize = 5;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            group_id: Wire::read(reader, v, "OffsetFetchResponseGroup.group_id")?,
            topics: Wire::read(reader, v, "OffsetFetchResponseGroup.topics")?,
            error_code: Wire::read(reader, v, "OffsetFetchResponseGroup.error_code")?,
        };
        reader.skip_tagged_fields(v, "OffsetFetchResponseGroup")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.group_id.write(sink, v, "OffsetFetchResponseGroup.group_id")?;
        self.topics.write(sink, v, "OffsetFetchResponseGroup.topics")?;
        self.error_code.write(sink, v, "OffsetFetchResponseGroup.error_code")?;
        put_no_tags(sink, v)
    }
}

/// `topics.partitions` in `OffsetFetchResponse`.
/// In versions 1-7.
#[derive(Debug, Clone, PartialEq)]
pub struct OffsetFetchResponsePartition<'a> {
    pub partition_index: i32,
    pub committed_offset: i64,
    /// In versions 5-7.
    pub committed_leader_epoch: i32,
    pub metadata: Option<&'a str>,
    pub error_code: i16,
}

impl Default for OffsetFetchResponsePartition<'_> {
    fn default() -> Self {
        Self {
            partition_index: 0,
            committed_offset: 0,
            committed_leader_epoch: -1,
            metadata: None,
            error_code: 0,
        }
    }
}

impl<'a> Wire<'a> for OffsetFetchResponsePartition<'a> {
    const SIZE_MIN: usize = 16;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            partition_index: Wire::read(reader, v, "OffsetFetchResponsePartition.partition_index")?,
            committed_offset: Wire::read(
                reader,
                v,
                "OffsetFetchResponsePartition.committed_offset",
            )?,
            committed_leader_epoch: if v.number >= 5 {
                Wire::read(reader, v, "OffsetFetchResponsePartition.committed_leader_epoch")?
            } else {
                -1
            },
            metadata: Wire::read(reader, v, "OffsetFetchResponsePartition.metadata")?,
            error_code: Wire::read(reader, v, "OffsetFetchResponsePartition.error_code")?,
        };
        reader.skip_tagged_fields(v, "OffsetFetchResponsePartition")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.partition_index.write(sink, v, "OffsetFetchResponsePartition.partition_index")?;
        self.committed_offset.write(sink, v, "OffsetFetchResponsePartition.committed_offset")?;
        if v.number >= 5 {
            self.committed_leader_epoch.write(
                sink,
                v,
                "OffsetFetchResponsePartition.committed_leader_epoch",
            )?;
        }
        self.metadata.write(sink, v, "OffsetFetchResponsePartition.metadata")?;
        self.error_code.write(sink, v, "OffsetFetchResponsePartition.error_code")?;
        put_no_tags(sink, v)
    }
}

/// `groups.topics` in `OffsetFetchResponse`.
/// In version 8.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OffsetFetchResponseTopics<'a> {
    pub name: &'a str,
    pub partitions: List<'a, OffsetFetchResponsePartitions<'a>>,
}

impl<'a> Wire<'a> for OffsetFetchResponseTopics<'a> {
    const SIZE_MIN: usize = 3;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            name: Wire::read(reader, v, "OffsetFetchResponseTopics.name")?,
            partitions: Wire::read(reader, v, "OffsetFetchResponseTopics.partitions")?,
        };
        reader.skip_tagged_fields(v, "OffsetFetchResponseTopics")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.name.write(sink, v, "OffsetFetchResponseTopics.name")?;
        self.partitions.write(sink, v, "OffsetFetchResponseTopics.partitions")?;
        put_no_tags(sink, v)
    }
}

/// `groups.topics.partitions` in `OffsetFetchResponse`.
/// In version 8.
#[derive(Debug, Clone, PartialEq)]
pub struct OffsetFetchResponsePartitions<'a> {
    pub partition_index: i32,
    pub committed_offset: i64,
    pub committed_leader_epoch: i32,
    pub metadata: Option<&'a str>,
    pub error_code: i16,
}

impl Default for OffsetFetchResponsePartitions<'_> {
    fn default() -> Self {
        Self {
            partition_index: 0,
            committed_offset: 0,
            committed_leader_epoch: -1,
            metadata: None,
            error_code: 0,
        }
    }
}

impl<'a> Wire<'a> for OffsetFetchResponsePartitions<'a> {
    const SIZE_MIN: usize = 20;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            partition_index: Wire::read(
                reader,
                v,
                "OffsetFetchResponsePartitions.partition_index",
            )?,
            committed_offset: Wire::read(
                reader,
                v,
                "OffsetFetchResponsePartitions.committed_offset",
            )?,
            committed_leader_epoch: Wire::read(
                reader,
                v,
                "OffsetFetchResponsePartitions.committed_leader_epoch",
            )?,
            metadata: Wire::read(reader, v, "OffsetFetchResponsePartitions.metadata")?,
            error_code: Wire::read(reader, v, "OffsetFetchResponsePartitions.error_code")?,
        };
        reader.skip_tagged_fields(v, "OffsetFetchResponsePartitions")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.partition_index.write(sink, v, "OffsetFetchResponsePartitions.partition_index")?;
        self.committed_offset.write(sink, v, "OffsetFetchResponsePartitions.committed_offset")?;
        self.committed_leader_epoch.write(
            sink,
            v,
            "OffsetFetchResponsePartitions.committed_leader_epoch",
        )?;
        self.metadata.write(sink, v, "OffsetFetchResponsePartitions.metadata")?;
        self.error_code.write(sink, v, "OffsetFetchResponsePartitions.error_code")?;
        put_no_tags(sink, v)
    }
}

impl<'a> Message<'a> for OffsetFetchResponse<'a> {
    const NAME: &'static str = "OffsetFetchResponse";
    const API: ApiKey = ApiKey::OffsetFetch;
}
