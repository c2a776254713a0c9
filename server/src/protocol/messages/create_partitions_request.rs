//! `CreatePartitionsRequest`: api key 37, versions 0-3, flexible from 2.
//!
//! Written by `cargo xtask codegen` from `schemas/create_partitions.schema`; edit that.

use super::CreatePartitionsResponse;
use crate::protocol::{
    ApiKey, DecodeError, EncodeError, List, Message, Reader, Request, Sink, Version, Wire,
    put_no_tags,
};

/// The `CreatePartitionsRequest` message.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CreatePartitionsRequest<'a> {
    pub topics: List<'a, CreatePartitionsTopic<'a>>,
    pub timeout_ms: i32,
    pub validate_only: bool,
}

impl<'a> Wire<'a> for CreatePartitionsRequest<'a> {
    const SIZE_MIN: usize = 7;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            topics: Wire::read(reader, v, "CreatePartitionsRequest.topics")?,
            timeout_ms: Wire::read(reader, v, "CreatePartitionsRequest.timeout_ms")?,
            validate_only: Wire::read(reader, v, "CreatePartitionsRequest.validate_only")?,
        };
        reader.skip_tagged_fields(v, "CreatePartitionsRequest")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.topics.write(sink, v, "CreatePartitionsRequest.topics")?;
        self.timeout_ms.write(sink, v, "CreatePartitionsRequest.timeout_ms")?;
        self.validate_only.write(sink, v, "CreatePartitionsRequest.validate_only")?;
        put_no_tags(sink, v)
    }
}

/// `topics` in `CreatePartitionsRequest`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CreatePartitionsTopic<'a> {
    pub name: &'a str,
    pub count: i32,
    pub assignments: Option<List<'a, CreatePartitionsAssignment<'a>>>,
}

impl<'a> Wire<'a> for CreatePartitionsTopic<'a> {
    const SIZE_MIN: usize = 7;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            name: Wire::read(reader, v, "CreatePartitionsTopic.name")?,
            count: Wire::read(reader, v, "CreatePartitionsTopic.count")?,
            assignments: Wire::read(reader, v, "CreatePartitionsTopic.assignments")?,
        };
        reader.skip_tagged_fields(v, "CreatePartitionsTopic")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.name.write(sink, v, "CreatePartitionsTopic.name")?;
        self.count.write(sink, v, "CreatePartitionsTopic.count")?;
        self.assignments.write(sink, v, "CreatePartitionsTopic.assignments")?;
        put_no_tags(sink, v)
    }
}

/// `topics.assignments` in `CreatePartitionsRequest`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CreatePartitionsAssignment<'a> {
    pub broker_ids: List<'a, i32>,
}

impl<'a> Wire<'a> for CreatePartitionsAssignment<'a> {
    const SIZE_MIN: usize = 2;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value =
            Self { broker_ids: Wire::read(reader, v, "CreatePartitionsAssignment.broker_ids")? };
        reader.skip_tagged_fields(v, "CreatePartitionsAssignment")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.broker_ids.write(sink, v, "CreatePartitionsAssignment.broker_ids")?;
        put_no_tags(sink, v)
    }
}

impl<'a> Message<'a> for CreatePartitionsRequest<'a> {
    const NAME: &'static str = "CreatePartitionsRequest";
    const API: ApiKey = ApiKey::CreatePartitions;
}

impl<'a> Request<'a> for CreatePartitionsRequest<'a> {
    type Response<'r> = CreatePartitionsResponse<'r>;
}
