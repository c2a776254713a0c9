//! `FetchRequest`: api key 1, versions 4-12, flexible from 12.
//!
//! Written by `cargo xtask codegen` from `schemas/fetch.schema`; edit that.

use super::FetchResponse;
use crate::protocol::{
    ApiKey, DecodeError, EncodeError, List, Message, Reader, Request, Sink, Version, Wire,
    put_no_tags, put_tagged, put_uvarint,
};

/// The `FetchRequest` message.
#[derive(Debug, Clone, PartialEq)]
pub struct FetchRequest<'a> {
    /// In version 12, tagged field 0.
    pub cluster_id: Option<&'a str>,
    pub replica_id: i32,
    pub max_wait_ms: i32,
    pub min_bytes: i32,
    pub max_bytes: i32,
    pub isolation_level: i8,
    /// In versions 7-12.
    pub session_id: i32,
    /// In versions 7-12.
    pub session_epoch: i32,
    pub topics: List<'a, FetchTopic<'a>>,
    /// In versions 7-12.
    pub forgotten_topics_data: List<'a, ForgottenTopic<'a>>,
    /// In versions 11-12.
    pub rack_id: &'a str,
}

impl Default for FetchRequest<'_> {
    fn default() -> Self {
        Self {
            cluster_id: None,
            replica_id: -1,
            max_wait_ms: 0,
            min_bytes: 0,
            max_bytes: 0x7fffffff,
            isolation_level: 0,
            session_id: 0,
            session_epoch: -1,
            topics: List::new(),
            forgotten_topics_data: List::new(),
            rack_id: "",
        }
    }
}

impl<'a> Wire<'a> for FetchRequest<'a> {
    const SIZE_MIN: usize = 21;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let mut value = Self {
            cluster_id: None,
            replica_id: Wire::read(reader, v, "FetchRequest.replica_id")?,
            max_wait_ms: Wire::read(reader, v, "FetchRequest.max_wait_ms")?,
            min_bytes: Wire::read(reader, v, "FetchRequest.min_bytes")?,
            max_bytes: Wire::read(reader, v, "FetchRequest.max_bytes")?,
            isolation_level: Wire::read(reader, v, "FetchRequest.isolation_level")?,
            session_id: if v.number >= 7 {
                Wire::read(reader, v, "FetchRequest.session_id")?
            } else {
                0
            },
            session_epoch: if v.number >= 7 {
                Wire::read(reader, v, "FetchRequest.session_epoch")?
            } else {
                -1
            },
            topics: Wire::read(reader, v, "FetchRequest.topics")?,
            forgotten_topics_data: if v.number >= 7 {
                Wire::read(reader, v, "FetchRequest.forgotten_topics_data")?
            } else {
                List::new()
            },
            rack_id: if v.number >= 11 {
                Wire::read(reader, v, "FetchRequest.rack_id")?
            } else {
                ""
            },
        };
        if v.is_flexible {
            reader.tagged_fields("FetchRequest", |tag, reader| {
                match tag {
                    0 => value.cluster_id = Wire::read(reader, v, "FetchRequest.cluster_id")?,
                    _ => return Ok(false),
                }
                Ok(true)
            })?;
        }
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.replica_id.write(sink, v, "FetchRequest.replica_id")?;
        self.max_wait_ms.write(sink, v, "FetchRequest.max_wait_ms")?;
        self.min_bytes.write(sink, v, "FetchRequest.min_bytes")?;
        self.max_bytes.write(sink, v, "FetchRequest.max_bytes")?;
        self.isolation_level.write(sink, v, "FetchRequest.isolation_level")?;
        if v.number >= 7 {
            self.session_id.write(sink, v, "FetchRequest.session_id")?;
        }
        if v.number >= 7 {
            self.session_epoch.write(sink, v, "FetchRequest.session_epoch")?;
        }
        self.topics.write(sink, v, "FetchRequest.topics")?;
        if v.number >= 7 {
            self.forgotten_topics_data.write(sink, v, "FetchRequest.forgotten_topics_data")?;
        }
        if v.number >= 11 {
            self.rack_id.write(sink, v, "FetchRequest.rack_id")?;
        }
        if v.is_flexible {
            let has_tag_0 = self.cluster_id.is_some();
            put_uvarint(sink, u32::from(has_tag_0))?;
            if has_tag_0 {
                put_tagged(sink, v, 0, &self.cluster_id, "FetchRequest.cluster_id")?;
            }
        }
        Ok(())
    }
}

/// `topics` in `FetchRequest`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FetchTopic<'a> {
    pub topic: &'a str,
    pub partitions: List<'a, FetchPartition>,
}

impl<'a> Wire<'a> for FetchTopic<'a> {
    const SIZE_MIN: usize = 3;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            topic: Wire::read(reader, v, "FetchTopic.topic")?,
            partitions: Wire::read(reader, v, "FetchTopic.partitions")?,
        };
        reader.skip_tagged_fields(v, "FetchTopic")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.topic.write(sink, v, "FetchTopic.topic")?;
        self.partitions.write(sink, v, "FetchTopic.partitions")?;
        put_no_tags(sink, v)
    }
}

/// `forgotten_topics_data` in `FetchRequest`.
/// In versions 7-12.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ForgottenTopic<'a> {
    pub topic: &'a str,
    pub partitions: List<'a, i32>,
}

impl<'a> Wire<'a> for ForgottenTopic<'a> {
    const SIZE_MIN: usize = 3;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            topic: Wire::read(reader, v, "ForgottenTopic.topic")?,
            partitions: Wire::read(reader, v, "ForgottenTopic.partitions")?,
        };
        reader.skip_tagged_fields(v, "ForgottenTopic")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.topic.write(sink, v, "ForgottenTopic.topic")?;
        self.partitions.write(sink, v, "ForgottenTopic.partitions")?;
        put_no_tags(sink, v)
    }
}

/// `topics.partitions` in `FetchRequest`.
#[derive(Debug, Clone, PartialEq)]
pub struct FetchPartition {
    pub partition: i32,
    /// In versions 9-12.
    pub current_leader_epoch: i32,
    pub fetch_offset: i64,
    /// In version 12.
    pub last_fetched_epoch: i32,
    /// In versions 5-12.
    pub log_start_offset: i64,
    pub partition_max_bytes: i32,
}

impl Default for FetchPartition {
    fn default() -> Self {
        Self {
            partition: 0,
            current_leader_epoch: -1,
            fetch_offset: 0,
            last_fetched_epoch: -1,
            log_start_offset: -1,
            partition_max_bytes: 0,
        }
    }
}

impl<'a> Wire<'a> for FetchPartition {
    const SIZE_MIN: usize = 16;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            partition: Wire::read(reader, v, "FetchPartition.partition")?,
            current_leader_epoch: if v.number >= 9 {
                Wire::read(reader, v, "FetchPartition.current_leader_epoch")?
            } else {
                -1
            },
            fetch_offset: Wire::read(reader, v, "FetchPartition.fetch_offset")?,
            last_fetched_epoch: if v.number >= 12 {
                Wire::read(reader, v, "FetchPartition.last_fetched_epoch")?
            } else {
                -1
            },
            log_start_offset: if v.number >= 5 {
                Wire::read(reader, v, "FetchPartition.log_start_offset")?
            } else {
                -1
            },
            partition_max_bytes: Wire::read(reader, v, "FetchPartition.partition_max_bytes")?,
        };
        reader.skip_tagged_fields(v, "FetchPartition")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.partition.write(sink, v, "FetchPartition.partition")?;
        if v.number >= 9 {
            self.current_leader_epoch.write(sink, v, "FetchPartition.current_leader_epoch")?;
        }
        self.fetch_offset.write(sink, v, "FetchPartition.fetch_offset")?;
        if v.number >= 12 {
            self.last_fetched_epoch.write(sink, v, "FetchPartition.last_fetched_epoch")?;
        }
        if v.number >= 5 {
            self.log_start_offset.write(sink, v, "FetchPartition.log_start_offset")?;
        }
        self.partition_max_bytes.write(sink, v, "FetchPartition.partition_max_bytes")?;
        put_no_tags(sink, v)
    }
}

impl<'a> Message<'a> for FetchRequest<'a> {
    const NAME: &'static str = "FetchRequest";
    const API: ApiKey = ApiKey::Fetch;
}

impl<'a> Request<'a> for FetchRequest<'a> {
    type Response<'r> = FetchResponse<'r>;
}
