//! `AlterConfigsRequest`: api key 33, versions 0-2, flexible from 2.
//!
//! Written by `cargo xtask codegen` from `schemas/alter_configs.schema`; edit that.

use super::AlterConfigsResponse;
use crate::protocol::{
    ApiKey, DecodeError, EncodeError, List, Message, Reader, Request, Sink, Version, Wire,
    put_no_tags,
};

/// The `AlterConfigsRequest` message.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AlterConfigsRequest<'a> {
    pub resources: List<'a, AlterConfigsResource<'a>>,
    pub validate_only: bool,
}

impl<'a> Wire<'a> for AlterConfigsRequest<'a> {
    const SIZE_MIN: usize = 3;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            resources: Wire::read(reader, v, "AlterConfigsRequest.resources")?,
            validate_only: Wire::read(reader, v, "AlterConfigsRequest.validate_only")?,
        };
        reader.skip_tagged_fields(v, "AlterConfigsRequest")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.resources.write(sink, v, "AlterConfigsRequest.resources")?;
        self.validate_only.write(sink, v, "AlterConfigsRequest.validate_only")?;
        put_no_tags(sink, v)
    }
}

/// `resources` in `AlterConfigsRequest`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AlterConfigsResource<'a> {
    pub resource_type: i8,
    pub resource_name: &'a str,
    pub configs: List<'a, AlterableConfig<'a>>,
}

impl<'a> Wire<'a> for AlterConfigsResource<'a> {
    const SIZE_MIN: usize = 4;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            resource_type: Wire::read(reader, v, "AlterConfigsResource.resource_type")?,
            resource_name: Wire::read(reader, v, "AlterConfigsResource.resource_name")?,
            configs: Wire::read(reader, v, "AlterConfigsResource.configs")?,
        };
        reader.skip_tagged_fields(v, "AlterConfigsResource")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.resource_type.write(sink, v, "AlterConfigsResource.resource_type")?;
        self.resource_name.write(sink, v, "AlterConfigsResource.resource_name")?;
        self.configs.write(sink, v, "AlterConfigsResource.configs")?;
        put_no_tags(sink, v)
    }
}

/// `resources.configs` in `AlterConfigsRequest`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AlterableConfig<'a> {
    pub name: &'a str,
    pub value: Option<&'a str>,
}

impl<'a> Wire<'a> for AlterableConfig<'a> {
    const SIZE_MIN: usize = 3;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            name: Wire::read(reader, v, "AlterableConfig.name")?,
            value: Wire::read(reader, v, "AlterableConfig.value")?,
        };
        reader.skip_tagged_fields(v, "AlterableConfig")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.name.write(sink, v, "AlterableConfig.name")?;
        self.value.write(sink, v, "AlterableConfig.value")?;
        put_no_tags(sink, v)
    }
}

impl<'a> Message<'a> for AlterConfigsRequest<'a> {
    const NAME: &'static str = "AlterConfigsRequest";
    const API: ApiKey = ApiKey::AlterConfigs;
}

impl<'a> Request<'a> for AlterConfigsRequest<'a> {
    type Response<'r> = AlterConfigsResponse<'r>;
}
