//! `OffsetCommitRequest`: api key 8, versions 2-8, flexible from 8.
//!
//! Written by `cargo xtask codegen` from `schemas/offset_commit.schema`; edit that.

use super::OffsetCommitResponse;
use crate::protocol::{
    ApiKey, DecodeError, EncodeError, List, Message, Reader, Request, Sink, Version, Wire,
    put_no_tags,
};

/// The `OffsetCommitRequest` message.
#[derive(Debug, Clone, PartialEq)]
pub struct OffsetCommitRequest<'a> {
    pub group_id: &'a str,
    pub generation_id_or_member_epoch: i32,
    pub member_id: &'a str,
    /// In versions 7-8.
    pub group_instance_id: Option<&'a str>,
    /// In versions 2-4.
    pub retention_time_ms: i64,
    pub topics: List<'a, OffsetCommitRequestTopic<'a>>,
}

impl Default for OffsetCommitRequest<'_> {
    fn default() -> Self {
        Self {
            group_id: "",
            generation_id_or_member_epoch: -1,
            member_id: "",
            group_instance_id: None,
            retention_time_ms: -1,
            topics: List::new(),
        }
    }
}

impl<'a> Wire<'a> for OffsetCommitRequest<'a> {
    const SIZE_MIN: usize = 9;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            group_id: Wire::read(reader, v, "OffsetCommitRequest.group_id")?,
            generation_id_or_member_epoch: Wire::read(
                reader,
                v,
                "OffsetCommitRequest.generation_id_or_member_epoch",
            )?,
            member_id: Wire::read(reader, v, "OffsetCommitRequest.member_id")?,
            group_instance_id: if v.number >= 7 {
                Wire::read(reader, v, "OffsetCommitRequest.group_instance_id")?
            } else {
                None
            },
            retention_time_ms: if v.number <= 4 {
                Wire::read(reader, v, "OffsetCommitRequest.retention_time_ms")?
            } else {
                -1
            },
            topics: Wire::read(reader, v, "OffsetCommitRequest.topics")?,
        };
        reader.skip_tagged_fields(v, "OffsetCommitRequest")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.group_id.write(sink, v, "OffsetCommitRequest.group_id")?;
        self.generation_id_or_member_epoch.write(
            sink,
            v,
            "OffsetCommitRequest.generation_id_or_member_epoch",
        )?;
        self.member_id.write(sink, v, "OffsetCommitRequest.member_id")?;
        if v.number >= 7 {
            self.group_instance_id.write(sink, v, "OffsetCommitRequest.group_instance_id")?;
        }
        if v.number <= 4 {
            self.retention_time_ms.write(sink, v, "OffsetCommitRequest.retention_time_ms")?;
        }
        self.topics.write(sink, v, "OffsetCommitRequest.topics")?;
        put_no_tags(sink, v)
    }
}

/// `topics` in `OffsetCommitRequest`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OffsetCommitRequestTopic<'a> {
    pub name: &'a str,
    pub partitions: List<'a, OffsetCommitRequestPartition<'a>>,
}

impl<'a> Wire<'a> for OffsetCommitRequestTopic<'a> {
    const SIZE_MIN: usize = 3;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            name: Wire::read(reader, v, "OffsetCommitRequestTopic.name")?,
            partitions: Wire::read(reader, v, "OffsetCommitRequestTopic.partitions")?,
        };
        reader.skip_tagged_fields(v, "OffsetCommitRequestTopic")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.name.write(sink, v, "OffsetCommitRequestTopic.name")?;
        self.partitions.write(sink, v, "OffsetCommitRequestTopic.partitions")?;
        put_no_tags(sink, v)
    }
}

/// `topics.partitions` in `OffsetCommitRequest`.
#[derive(Debug, Clone, PartialEq)]
pub struct OffsetCommitRequestPartition<'a> {
    pub partition_index: i32,
    pub committed_offset: i64,
    /// In versions 6-8.
    pub committed_leader_epoch: i32,
    pub committed_metadata: Option<&'a str>,
}

impl Default for OffsetCommitRequestPartition<'_> {
    fn default() -> Self {
        Self {
            partition_index: 0,
            committed_offset: 0,
            committed_leader_epoch: -1,
            committed_metadata: None,
        }
    }
}

impl<'a> Wire<'a> for OffsetCommitRequestPartition<'a> {
    const SIZE_MIN: usize = 14;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            partition_index: Wire::read(reader, v, "OffsetCommitRequestPartition.partition_index")?,
            committed_offset: Wire::read(
                reader,
                v,
                "OffsetCommitRequestPartition.committed_offset",
            )?,
            committed_leader_epoch: if v.number >= 6 {
                Wire::read(reader, v, "OffsetCommitRequestPartition.committed_leader_epoch")?
            } else {
                -1
            },
            committed_metadata: Wire::read(
                reader,
                v,
                "OffsetCommitRequestPartition.committed_metadata",
            )?,
        };
        reader.skip_tagged_fields(v, "OffsetCommitRequestPartition")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.partition_index.write(sink, v, "OffsetCommitRequestPartition.partition_index")?;
        self.committed_offset.write(sink, v, "OffsetCommitRequestPartition.committed_offset")?;
        if v.number >= 6 {
            self.committed_leader_epoch.write(
                sink,
                v,
                "OffsetCommitRequestPartition.committed_leader_epoch",
            )?;
        }
        self.committed_metadata.write(
            sink,
            v,
            "OffsetCommitRequestPartition.committed_metadata",
        )?;
        put_no_tags(sink, v)
    }
}

impl<'a> Message<'a> for OffsetCommitRequest<'a> {
    const NAME: &'static str = "OffsetCommitRequest";
    const API: ApiKey = ApiKey::OffsetCommit;
}

impl<'a> Request<'a> for OffsetCommitRequest<'a> {
    type Response<'r> = OffsetCommitResponse<'r>;
}
