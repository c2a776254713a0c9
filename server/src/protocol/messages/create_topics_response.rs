//! `CreateTopicsResponse`: api key 19, versions 0-7, flexible from 5.
//!
//! Written by `cargo xtask codegen` from `schemas/create_topics.schema`; edit that.

use std::borrow::Cow;

use crate::protocol::{
    ApiKey, DecodeError, EncodeError, List, Message, Reader, Sink, Uuid, Version, Wire,
    put_no_tags, put_tagged, put_uvarint,
};

/// The `CreateTopicsResponse` message.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CreateTopicsResponse<'a> {
    /// In versions 2-7.
    pub throttle_time_ms: i32,
    pub topics: List<'a, CreatableTopicResult<'a>>,
}

impl<'a> Wire<'a> for CreateTopicsResponse<'a> {
    const SIZE_MIN: usize = 4;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            throttle_time_ms: if v.number >= 2 {
                Wire::read(reader, v, "CreateTopicsResponse.throttle_time_ms")?
            } else {
                0
            },
            topics: Wire::read(reader, v, "CreateTopicsResponse.topics")?,
        };
        reader.skip_tagged_fields(v, "CreateTopicsResponse")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        if v.number >= 2 {
            self.throttle_time_ms.write(sink, v, "CreateTopicsResponse.throttle_time_ms")?;
        }
        self.topics.write(sink, v, "CreateTopicsResponse.topics")?;
        put_no_tags(sink, v)
    }
}

/// `topics` in `CreateTopicsResponse`.
#[derive(Debug, Clone, PartialEq)]
pub struct CreatableTopicResult<'a> {
    pub name: &'a str,
    /// In version 7.
    pub topic_id: Uuid,
    pub error_code: i16,
    /// In versions 1-7.
    pub error_message: Option<Cow<'a, str>>,
    /// In versions 5-7, tagged field 0.
    pub topic_config_error_code: i16,
    /// In versions 5-7.
    pub num_partitions: i32,
    /// In versions 5-7.
    pub replication_factor: i16,
    /// In versions 5-7.
    pub configs: Option<List<'a, CreatableTopicConfigs<'a>>>,
}

impl Default for CreatableTopicResult<'_> {
    fn default() -> Self {
        Self {
            name: "",
            topic_id: Uuid::ZERO,
            error_code: 0,
            error_message: None,
            topic_config_error_code: 0,
            num_partitions: -1,
            replication_factor: -1,
            configs: None,
        }
    }
}

impl<'a> Wire<'a> for CreatableTopicResult<'a> {
    const SIZE_MIN: usize = 4;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let mut value = Self {
            name: Wire::read(reader, v, "CreatableTopicResult.name")?,
            topic_id: if v.number >= 7 {
                Wire::read(reader, v, "CreatableTopicResult.topic_id")?
            } else {
                Uuid::ZERO
            },
            error_code: Wire::read(reader, v, "CreatableTopicResult.error_code")?,
            error_message: if v.number >= 1 {
                Wire::read(reader, v, "CreatableTopicResult.error_message")?
            } else {
                None
            },
            topic_config_error_code: 0,
            num_partitions: if v.number >= 5 {
                Wire::read(reader, v, "CreatableTopicResult.num_partitions")?
            } else {
                -1
            },
            replication_factor: if v.number >= 5 {
                Wire::read(reader, v, "CreatableTopicResult.replication_factor")?
            } else {
                -1
            },
            configs: if v.number >= 5 {
                Wire::read(reader, v, "CreatableTopicResult.configs")?
            } else {
                None
            },
        };
        if v.is_flexible {
            reader.tagged_fields("CreatableTopicResult", |tag, reader| {
                match tag {
                    0 => {
                        value.topic_config_error_code =
                            Wire::read(reader, v, "CreatableTopicResult.topic_config_error_code")?
                    }
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
        self.name.write(sink, v, "CreatableTopicResult.name")?;
        if v.number >= 7 {
            self.topic_id.write(sink, v, "CreatableTopicResult.topic_id")?;
        }
        self.error_code.write(sink, v, "CreatableTopicResult.error_code")?;
        if v.number >= 1 {
            self.error_message.write(sink, v, "CreatableTopicResult.error_message")?;
        }
        if v.number >= 5 {
            self.num_partitions.write(sink, v, "CreatableTopicResult.num_partitions")?;
        }
        if v.number >= 5 {
            self.replication_factor.write(sink, v, "CreatableTopicResult.replication_factor")?;
        }
        if v.number >= 5 {
            self.configs.write(sink, v, "CreatableTopicResult.configs")?;
        }
        if v.is_flexible {
            let has_tag_0 = self.topic_config_error_code != 0;
            put_uvarint(sink, u32::from(has_tag_0))?;
            if has_tag_0 {
                put_tagged(
                    sink,
                    v,
                    0,
                    &self.topic_config_error_code,
                    "CreatableTopicResult.topic_config_error_code",
                )?;
            }
        }
        Ok(())
    }
}

/// `topics.configs` in `CreateTopicsResponse`.
/// In versions 5-7.
#[derive(Debug, Clone, PartialEq)]
pub struct CreatableTopicConfigs<'a> {
    pub name: &'a str,
    pub value: Option<Cow<'a, str>>,
    pub read_only: bool,
    pub config_source: i8,
    pub is_sensitive: bool,
}

impl Default for CreatableTopicConfigs<'_> {
    fn default() -> Self {
        Self { name: "", value: None, read_only: false, config_source: -1, is_sensitive: false }
    }
}

impl<'a> Wire<'a> for CreatableTopicConfigs<'a> {
    const SIZE_MIN: usize = 6;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            name: Wire::read(reader, v, "CreatableTopicConfigs.name")?,
            value: Wire::read(reader, v, "CreatableTopicConfigs.value")?,
            read_only: Wire::read(reader, v, "CreatableTopicConfigs.read_only")?,
            config_source: Wire::read(reader, v, "CreatableTopicConfigs.config_source")?,
            is_sensitive: Wire::read(reader, v, "CreatableTopicConfigs.is_sensitive")?,
        };
        reader.skip_tagged_fields(v, "CreatableTopicConfigs")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.name.write(sink, v, "CreatableTopicConfigs.name")?;
        self.value.write(sink, v, "CreatableTopicConfigs.value")?;
        self.read_only.write(sink, v, "CreatableTopicConfigs.read_only")?;
        self.config_source.write(sink, v, "CreatableTopicConfigs.config_source")?;
        self.is_sensitive.write(sink, v, "CreatableTopicConfigs.is_sensitive")?;
        put_no_tags(sink, v)
    }
}

impl<'a> Message<'a> for CreateTopicsResponse<'a> {
    const NAME: &'static str = "CreateTopicsResponse";
    const API: ApiKey = ApiKey::CreateTopics;
}
