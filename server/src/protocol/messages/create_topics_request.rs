//! `CreateTopicsRequest`: api key 19, versions 0-7, flexible from 5.
//!
//! Written by `cargo xtask codegen` from `schemas/create_topics.schema`; edit that.

use super::CreateTopicsResponse;
use crate::protocol::{
    ApiKey, DecodeError, EncodeError, List, Message, Reader, Request, Sink, Version, Wire,
    put_no_tags,
};

/// The `CreateTopicsRequest` message.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateTopicsRequest<'a> {
    pub topics: List<'a, CreatableTopic<'a>>,
    pub timeout_ms: i32,
    /// In versions 1-7.
    pub validate_only: bool,
}

impl Default for CreateTopicsRequest<'_> {
    fn default() -> Self {
        Self { topics: List::new(), timeout_ms: 60000, validate_only: false }
    }
}

impl<'a> Wire<'a> for CreateTopicsRequest<'a> {
    const SIZE_MIN: usize = 7;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            topics: Wire::read(reader, v, "CreateTopicsRequest.topics")?,
            timeout_ms: Wire::read(reader, v, "CreateTopicsRequest.timeout_ms")?,
            validate_only: if v.number >= 1 {
                Wire::read(reader, v, "CreateTopicsRequest.validate_only")?
            } else {
                false
            },
        };
        reader.skip_tagged_fields(v, "CreateTopicsRequest")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.topics.write(sink, v, "CreateTopicsRequest.topics")?;
        self.timeout_ms.write(sink, v, "CreateTopicsRequest.timeout_ms")?;
        if v.number >= 1 {
            self.validate_only.write(sink, v, "CreateTopicsRequest.validate_only")?;
        }
        put_no_tags(sink, v)
    }
}

/// `topics` in `CreateTopicsRequest`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CreatableTopic<'a> {
    pub name: &'a str,
    pub num_partitions: i32,
    pub replication_factor: i16,
    pub assignments: List<'a, CreatableReplicaAssignment<'a>>,
    pub configs: List<'a, CreatableTopicConfig<'a>>,
}

impl<'a> Wire<'a> for CreatableTopic<'a> {
    const SIZE_MIN: usize = 10;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            name: Wire::read(reader, v, "CreatableTopic.name")?,
            num_partitions: Wire::read(reader, v, "CreatableTopic.num_partitions")?,
            replication_factor: Wire::read(reader, v, "CreatableTopic.replication_factor")?,
            assignments: Wire::read(reader, v, "CreatableTopic.assignments")?,
            configs: Wire::read(reader, v, "CreatableTopic.configs")?,
        };
        reader.skip_tagged_fields(v, "CreatableTopic")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.name.write(sink, v, "CreatableTopic.name")?;
        self.num_partitions.write(sink, v, "CreatableTopic.num_partitions")?;
        self.replication_factor.write(sink, v, "CreatableTopic.replication_factor")?;
        self.assignments.write(sink, v, "CreatableTopic.assignments")?;
        self.configs.write(sink, v, "CreatableTopic.configs")?;
        put_no_tags(sink, v)
    }
}

/// `topics.assignments` in `CreateTopicsRequest`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CreatableReplicaAssignment<'a> {
    pub partition_index: i32,
    pub broker_ids: List<'a, i32>,
}

impl<'a> Wire<'a> for CreatableReplicaAssignment<'a> {
    const SIZE_MIN: usize = 6;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            partition_index: Wire::read(reader, v, "CreatableReplicaAssignment.partition_index")?,
            broker_ids: Wire::read(reader, v, "CreatableReplicaAssignment.broker_ids")?,
        };
        reader.skip_tagged_fields(v, "CreatableReplicaAssignment")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.partition_index.write(sink, v, "CreatableReplicaAssignment.partition_index")?;
        self.broker_ids.write(sink, v, "CreatableReplicaAssignment.broker_ids")?;
        put_no_tags(sink, v)
    }
}

/// `topics.configs` in `CreateTopicsRequest`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CreatableTopicConfig<'a> {
    pub name: &'a str,
    pub value: Option<&'a str>,
}

impl<'a> Wire<'a> for CreatableTopicConfig<'a> {
    const SIZE_MIN: usize = 3;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            name: Wire::read(reader, v, "CreatableTopicConfig.name")?,
            value: Wire::read(reader, v, "CreatableTopicConfig.value")?,
        };
        reader.skip_tagged_fields(v, "CreatableTopicConfig")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.name.write(sink, v, "CreatableTopicConfig.name")?;
        self.value.write(sink, v, "CreatableTopicConfig.value")?;
        put_no_tags(sink, v)
    }
}

impl<'a> Message<'a> for CreateTopicsRequest<'a> {
    const NAME: &'static str = "CreateTopicsRequest";
    const API: ApiKey = ApiKey::CreateTopics;
}

impl<'a> Request<'a> for CreateTopicsRequest<'a> {
    type Response<'r> = CreateTopicsResponse<'r>;
}
