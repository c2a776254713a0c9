//! `DescribeConfigsRequest`: api key 32, versions 1-4, flexible from 4.
//!
//! Written by `cargo xtask codegen` from `schemas/describe_configs.schema`; edit that.

use super::DescribeConfigsResponse;
use crate::protocol::{
    ApiKey, DecodeError, EncodeError, List, Message, Reader, Request, Sink, Version, Wire,
    put_no_tags,
};

/// The `DescribeConfigsRequest` message.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DescribeConfigsRequest<'a> {
    pub resources: List<'a, DescribeConfigsResource<'a>>,
    pub include_synonyms: bool,
    /// In versions 3-4.
    pub include_documentation: bool,
}

impl<'a> Wire<'a> for DescribeConfigsRequest<'a> {
    const SIZE_MIN: usize = 4;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            resources: Wire::read(reader, v, "DescribeConfigsRequest.resources")?,
            include_synonyms: Wire::read(reader, v, "DescribeConfigsRequest.include_synonyms")?,
            include_documentation: if v.number >= 3 {
                Wire::read(reader, v, "DescribeConfigsRequest.include_documentation")?
            } else {
                false
            },
        };
        reader.skip_tagged_fields(v, "DescribeConfigsRequest")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.resources.write(sink, v, "DescribeConfigsRequest.resources")?;
        self.include_synonyms.write(sink, v, "DescribeConfigsRequest.include_synonyms")?;
        if v.number >= 3 {
            self.include_documentation.write(
                sink,
                v,
                "DescribeConfigsRequest.include_documentation",
            )?;
        }
        put_no_tags(sink, v)
    }
}

/// `resources` in `DescribeConfigsRequest`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DescribeConfigsResource<'a> {
    pub resource_type: i8,
    pub resource_name: &'a str,
    pub configuration_keys: Option<List<'a, &'a str>>,
}

impl<'a> Wire<'a> for DescribeConfigsResource<'a> {
    const SIZE_MIN: usize = 4;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            resource_type: Wire::read(reader, v, "DescribeConfigsResource.resource_type")?,
            resource_name: Wire::read(reader, v, "DescribeConfigsResource.resource_name")?,
            configuration_keys: Wire::read(
                reader,
                v,
                "DescribeConfigsResource.configuration_keys",
            )?,
        };
        reader.skip_tagged_fields(v, "DescribeConfigsResource")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.resource_type.write(sink, v, "DescribeConfigsResource.resource_type")?;
        self.resource_name.write(sink, v, "DescribeConfigsResource.resource_name")?;
        self.configuration_keys.write(sink, v, "DescribeConfigsResource.configuration_keys")?;
        put_no_tags(sink, v)
    }
}

impl<'a> Message<'a> for DescribeConfigsRequest<'a> {
    const NAME: &'static str = "DescribeConfigsRequest";
    const API: ApiKey = ApiKey::DescribeConfigs;
}

impl<'a> Request<'a> for DescribeConfigsRequest<'a> {
    type Response<'r> = DescribeConfigsResponse<'r>;
}
