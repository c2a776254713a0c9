//! `DescribeConfigsResponse`: api key 32, versions 1-4, flexible from 4.
//!
//! Written by `cargo xtask codegen` from `schemas/describe_configs.schema`; edit that.

use std::borrow::Cow;

use crate::protocol::{
    ApiKey, DecodeError, EncodeError, List, Message, Reader, Sink, Version, Wire, put_no_tags,
};

/// The `DescribeConfigsResponse` message.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DescribeConfigsResponse<'a> {
    pub throttle_time_ms: i32,
    pub results: List<'a, DescribeConfigsResult<'a>>,
}

impl<'a> Wire<'a> for DescribeConfigsResponse<'a> {
    const SIZE_MIN: usize = 6;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            throttle_time_ms: Wire::read(reader, v, "DescribeConfigsResponse.throttle_time_ms")?,
            results: Wire::read(reader, v, "DescribeConfigsResponse.results")?,
        };
        reader.skip_tagged_fields(v, "DescribeConfigsResponse")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.throttle_time_ms.write(sink, v, "DescribeConfigsResponse.throttle_time_ms")?;
        self.results.write(sink, v, "DescribeConfigsResponse.results")?;
        put_no_tags(sink, v)
    }
}

/// `results` in `DescribeConfigsResponse`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DescribeConfigsResult<'a> {
    pub error_code: i16,
    pub error_message: Option<Cow<'a, str>>,
    pub resource_type: i8,
    pub resource_name: &'a str,
    pub configs: List<'a, DescribeConfigsResourceResult<'a>>,
}

impl<'a> Wire<'a> for DescribeConfigsResult<'a> {
    const SIZE_MIN: usize = 7;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            error_code: Wire::read(reader, v, "DescribeConfigsResult.error_code")?,
            error_message: Wire::read(reader, v, "DescribeConfigsResult.error_message")?,
            resource_type: Wire::read(reader, v, "DescribeConfigsResult.resource_type")?,
            resource_name: Wire::read(reader, v, "DescribeConfigsResult.resource_name")?,
            configs: Wire::read(reader, v, "DescribeConfigsResult.configs")?,
        };
        reader.skip_tagged_fields(v, "DescribeConfigsResult")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.error_code.write(sink, v, "DescribeConfigsResult.error_code")?;
        self.error_message.write(sink, v, "DescribeConfigsResult.error_message")?;
        self.resource_type.write(sink, v, "DescribeConfigsResult.resource_type")?;
        self.resource_name.write(sink, v, "DescribeConfigsResult.resource_name")?;
        self.configs.write(sink, v, "DescribeConfigsResult.configs")?;
        put_no_tags(sink, v)
    }
}

/// `results.configs` in `DescribeConfigsResponse`.
#[derive(Debug, Clone, PartialEq)]
pub struct DescribeConfigsResourceResult<'a> {
    pub name: &'a str,
    pub value: Option<Cow<'a, str>>,
    pub read_only: bool,
    pub config_source: i8,
    pub is_sensitive: bool,
    pub synonyms: List<'a, DescribeConfigsSynonym<'a>>,
    /// In versions 3-4.
    pub config_type: i8,
    /// In versions 3-4.
    pub documentation: Option<&'a str>,
}

impl Default for DescribeConfigsResourceResult<'_> {
    fn default() -> Self {
        Self {
            name: "",
            value: None,
            read_only: false,
            config_source: -1,
            is_sensitive: false,
            synonyms: List::new(),
            config_type: 0,
            documentation: None,
        }
    }
}

impl<'a> Wire<'a> for DescribeConfigsResourceResult<'a> {
    const SIZE_MIN: usize = 9;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            name: Wire::read(reader, v, "DescribeConfigsResourceResult.name")?,
            value: Wire::read(reader, v, "DescribeConfigsResourceResult.value")?,
            read_only: Wire::read(reader, v, "DescribeConfigsResourceResult.read_only")?,
            config_source: Wire::read(reader, v, "DescribeConfigsResourceResult.config_source")?,
            is_sensitive: Wire::read(reader, v, "DescribeConfigsResourceResult.is_sensitive")?,
            synonyms: Wire::read(reader, v, "DescribeConfigsResourceResult.synonyms")?,
            config_type: if v.number >= 3 {
                Wire::read(reader, v, "DescribeConfigsResourceResult.config_type")?
            } else {
                0
            },
            documentation: if v.number >= 3 {
                Wire::read(reader, v, "DescribeConfigsResourceResult.documentation")?
            } else {
                None
            },
        };
        reader.skip_tagged_fields(v, "DescribeConfigsResourceResult")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.name.write(sink, v, "DescribeConfigsResourceResult.name")?;
        self.value.write(sink, v, "DescribeConfigsResourceResult.value")?;
        self.read_only.write(sink, v, "DescribeConfigsResourceResult.read_only")?;
        self.config_source.write(sink, v, "DescribeConfigsResourceResult.config_source")?;
        self.is_sensitive.write(sink, v, "DescribeConfigsResourceResult.is_sensitive")?;
        self.synonyms.write(sink, v, "DescribeConfigsResourceResult.synonyms")?;
        if v.number >= 3 {
            self.config_type.write(sink, v, "DescribeConfigsResourceResult.config_type")?;
        }
        if v.number >= 3 {
            self.documentation.write(sink, v, "DescribeConfigsResourceResult.documentation")?;
        }
        put_no_tags(sink, v)
    }
}

/// `results.configs.synonyms` in `DescribeConfigsResponse`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DescribeConfigsSynonym<'a> {
    pub name: &'a str,
    pub value: Option<Cow<'a, str>>,
    pub source: i8,
}

impl<'a> Wire<'a> for DescribeConfigsSynonym<'a> {
    const SIZE_MIN: usize = 4;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            name: Wire::read(reader, v, "DescribeConfigsSynonym.name")?,
            value: Wire::read(reader, v, "DescribeConfigsSynonym.value")?,
            source: Wire::read(reader, v, "DescribeConfigsSynonym.source")?,
        };
        reader.skip_tagged_fields(v, "DescribeConfigsSynonym")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.name.write(sink, v, "DescribeConfigsSynonym.name")?;
        self.value.write(sink, v, "DescribeConfigsSynonym.value")?;
        self.source.write(sink, v, "DescribeConfigsSynonym.source")?;
        put_no_tags(sink, v)
    }
}

impl<'a> Message<'a> for DescribeConfigsResponse<'a> {
    const NAME: &'static str = "DescribeConfigsResponse";
    const API: ApiKey = ApiKey::DescribeConfigs;
}
