//! `OffsetFetchRequest`: api key 9, versions 1-8, flexible from 6.
//!
//! Written by `cargo xtask codegen` from `schemas/offset_fetch.schema`; edit that.

use super::OffsetFetchResponse;
use crate::protocol::{
    ApiKey, DecodeError, EncodeError, List, Message, Reader, Request, Sink, Version, Wire,
    put_no_tags, write_present,
};

/// The `OffsetFetchRequest` message.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OffsetFetchRequest<'a> {
    /// In versions 1-7.
    pub group_id: &'a str,
    /// In versions 1-7, may be null in versions 2-7.
    pub topics: Option<List<'a, OffsetFetchRequestTopic<'a>>>,
    /// In version 8.
    pub groups: List<'a, OffsetFetchRequestGroup<'a>>,
    /// In versions 7-8.
    pub require_stable: bool,
}

impl<'a> Wire<'a> for OffsetFetchRequest<'a> {
    const SIZE_MIN: usize = 3;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            group_id: if v.number <= 7 {
                Wire::read(reader, v, "OffsetFetchRequest.group_id")?
            } else {
                ""
            },
            topics: if v.number <= 7 {
                if v.number >= 2 {
                    Wire::read(reader, v, "OffsetFetchRequest.topics")?
                } else {
                    Some(Wire::read(reader, v, "OffsetFetchRequest.topics")?)
                }
            } else {
                None
            },
            groups: if v.number >= 8 {
                Wire::read(reader, v, "OffsetFetchRequest.groups")?
            } else {
                List::new()
            },
            require_stable: if v.number >= 7 {
                Wire::read(reader, v, "OffsetFetchRequest.require_stable")?
            } else {
                false
            },
        };
        reader.skip_tagged_fields(v, "OffsetFetchRequest")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        if v.number <= 7 {
            self.group_id.write(sink, v, "OffsetFetchRequest.group_id")?;
        }
        if v.number <= 7 {
            if v.number >= 2 {
                self.topics.write(sink, v, "OffsetFetchRequest.topics")?;
            } else {
                write_present(self.topics.as_ref(), sink, v, "OffsetFetchRequest.topics")?;
            }
        }
        if v.number >= 8 {
            self.groups.write(sink, v, "OffsetFetchRequest.groups")?;
        }
        if v.number >= 7 {
            self.require_stable.write(sink, v, "OffsetFetchRequest.require_stable")?;
        }
        put_no_tags(sink, v)
    }
}

/// `topics` in `OffsetFetchRequest`.
/// In versions 1-7.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OffsetFetchRequestTopic<'a> {
    pub name: &'a str,
    pub partition_indexes: List<'a, i32>,
}

impl<'a> Wire<'a> for OffsetFetchRequestTopic<'a> {
    const SIZE_MIN: usize = 3;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            name: Wire::read(reader, v, "OffsetFetchRequestTopic.name")?,
            partition_indexes: Wire::read(reader, v, "OffsetFetchRequestTopic.partition_indexes")?,
        };
        reader.skip_tagged_fields(v, "OffsetFetchRequestTopic")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.name.write(sink, v, "OffsetFetchRequestTopic.name")?;
        self.partition_indexes.write(sink, v, "OffsetFetchRequestTopic.partition_indexes")?;
        put_no_tags(sink, v)
    }
}

/// `groups` in `OffsetFetchRequest`.
/// In version 8.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OffsetFetchRequestGroup<'a> {
    pub group_id: &'a str,
    pub topics: Option<List<'a, OffsetFetchRequestTopics<'a>>>,
}

impl<'a> Wire<'a> for OffsetFetchRequestGroup<'a> {
    const SIZE_MIN: usize = 3;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            group_id: Wire::read(reader, v, "OffsetFetchRequestGroup.group_id")?,
            topics: Wire::read(reader, v, "OffsetFetchRequestGroup.topics")?,
        };
        reader.skip_tagged_fields(v, "OffsetFetchRequestGroup")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.group_id.write(sink, v, "OffsetFetchRequestGroup.group_id")?;
        self.topics.write(sink, v, "OffsetFetchRequestGroup.topics")?;
        put_no_tags(sink, v)
    }
}

/// `groups.topics` in `OffsetFetchRequest`.
/// In version 8.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OffsetFetchRequestTopics<'a> {
    pub name: &'a str,
    pub partition_indexes: List<'a, i32>,
}

impl<'a> Wire<'a> for OffsetFetchRequestTopics<'a> {
    const SIZE_MIN: usize = 3;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            name: Wire::read(reader, v, "OffsetFetchRequestTopics.name")?,
            partition_indexes: Wire::read(reader, v, "OffsetFetchRequestTopics.partition_indexes")?,
        };
        reader.skip_tagged_fields(v, "OffsetFetchRequestTopics")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.name.write(sink, v, "OffsetFetchRequestTopics.name")?;
        self.partition_indexes.write(sink, v, "OffsetFetchRequestTopics.partition_indexes")?;
        put_no_tags(sink, v)
    }
}

impl<'a> Message<'a> for OffsetFetchRequest<'a> {
    const NAME: &'static str = "OffsetFetchRequest";
    const API: ApiKey = ApiKey::OffsetFetch;
}

impl<'a> Request<'a> for OffsetFetchRequest<'a> {
    type Response<'r> = OffsetFetchResponse<'r>;
}
