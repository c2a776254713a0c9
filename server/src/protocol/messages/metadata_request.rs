//! `MetadataRequest`: api key 3, versions 0-12, flexible from 9.
//!
//! Written by `cargo xtask codegen` from `schemas/metadata.schema`; edit that.

use super::MetadataResponse;
use crate::protocol::{
    ApiKey, DecodeError, EncodeError, List, Message, Reader, Request, Sink, Uuid, Version, Wire,
    put_no_tags, write_present,
};

/// The `MetadataRequest` message.
#[derive(Debug, Clone, PartialEq)]
pub struct MetadataRequest<'a> {
    /// May be null in versions 1-12.
    pub topics: Option<List<'a, MetadataRequestTopic<'a>>>,
    /// In versions 4-12.
    pub allow_auto_topic_creation: bool,
    /// In versions 8-10.
    pub include_cluster_authorized_operations: bool,
    /// In versions 8-12.
    pub include_topic_authorized_operations: bool,
}

impl Default for MetadataRequest<'_> {
    fn default() -> Self {
        Self {
            topics: None,
            allow_auto_topic_creation: true,
            include_cluster_authorized_operations: false,
            include_topic_authorized_operations: false,
        }
    }
}

impl<'a> Wire<'a> for MetadataRequest<'a> {
    const SIZE_MIN: usize = 4;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            topics: if v.number >= 1 {
                Wire::read(reader, v, "MetadataRequest.topics")?
            } else {
                Some(Wire::read(reader, v, "MetadataRequest.topics")?)
            },
            allow_auto_topic_creation: if v.number >= 4 {
                Wire::read(reader, v, "MetadataRequest.allow_auto_topic_creation")?
            } else {
                true
            },
            include_cluster_authorized_operations: if (8..=10).contains(&v.number) {
                Wire::read(reader, v, "MetadataRequest.include_cluster_authorized_operations")?
            } else {
                false
            },
            include_topic_authorized_operations: if v.number >= 8 {
                Wire::read(reader, v, "MetadataRequest.include_topic_authorized_operations")?
            } else {
                false
            },
        };
        reader.skip_tagged_fields(v, "MetadataRequest")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        if v.number >= 1 {
            self.topics.write(sink, v, "MetadataRequest.topics")?;
        } else {
            write_present(self.topics.as_ref(), sink, v, "MetadataRequest.topics")?;
        }
        if v.number >= 4 {
            self.allow_auto_topic_creation.write(
                sink,
                v,
                "MetadataRequest.allow_auto_topic_creation",
            )?;
        }
        if (8..=10).contains(&v.number) {
            self.include_cluster_authorized_operations.write(
                sink,
                v,
                "MetadataRequest.include_cluster_authorized_operations",
            )?;
        }
        if v.number >= 8 {
            self.include_topic_authorized_operations.write(
                sink,
                v,
                "MetadataRequest.include_topic_authorized_operations",
            )?;
        }
        put_no_tags(sink, v)
    }
}

/// `topics` in `MetadataRequest`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MetadataRequestTopic<'a> {
    /// In versions 10-12.
    pub topic_id: Uuid,
    /// May be null in versions 10-12.
    pub name: Option<&'a str>,
}

impl<'a> Wire<'a> for MetadataRequestTopic<'a> {
    const SIZE_MIN: usize = 2;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            topic_id: if v.number >= 10 {
                Wire::read(reader, v, "MetadataRequestTopic.topic_id")?
            } else {
                Uuid::ZERO
            },
            name: if v.number >= 10 {
                Wire::read(reader, v, "MetadataRequestTopic.name")?
            } else {
                Some(Wire::read(reader, v, "MetadataRequestTopic.name")?)
            },
        };
        reader.skip_tagged_fields(v, "MetadataRequestTopic")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        if v.number >= 10 {
            self.topic_id.write(sink, v, "MetadataRequestTopic.topic_id")?;
        }
        if v.number >= 10 {
            self.name.write(sink, v, "MetadataRequestTopic.name")?;
        } else {
            write_present(self.name.as_ref(), sink, v, "MetadataRequestTopic.name")?;
        }
        put_no_tags(sink, v)
    }
}

impl<'a> Message<'a> for MetadataRequest<'a> {
    const NAME: &'static str = "MetadataRequest";
    const API: ApiKey = ApiKey::Metadata;
}

impl<'a> Request<'a> for MetadataRequest<'a> {
    type Response<'r> = MetadataResponse<'r>;
}
