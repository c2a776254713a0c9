//! `IncrementalAlterConfigsRequest`: api key 44, versions 0-1, flexible from 1.
//!
//! Written by `cargo xtask codegen` from `schemas/incremental_alter_configs.schema`; edit that.

use super::IncrementalAlterConfigsResponse;
use crate::protocol::{
    ApiKey, DecodeError, EncodeError, List, Message, Reader, Request, Sink, Version, Wire,
    put_no_tags,
};

/// The `IncrementalAlterConfigsRequest` message.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct IncrementalAlterConfigsRequest<'a> {
    pub resources: List<'a, AlterConfigsResource<'a>>,
    pub validate_only: bool,
}

impl<'a> Wire<'a> for IncrementalAlterConfigsRequest<'a> {
    const SIZE_MIN: usize = 3;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            resources: Wire::read(reader, v, "IncrementalAlterConfigsRequest.resources")?,
            validate_only: Wire::read(reader, v, "IncrementalAlterConfigsRequest.validate_only")?,
        };
        reader.skip_tagged_fields(v, "IncrementalAlterConfigsRequest")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.resources.write(sink, v, "IncrementalAlterConfigsRequest.resources")?;
        self.validate_only.write(sink, v, "IncrementalAlterConfigsRequest.validate_only")?;
        put_no_tags(sink, v)
    }
}

/// `resources` in `IncrementalAlterConfigsRequest`.
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

/// `resources.configs` in `IncrementalAlterConfigsRequest`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AlterableConfig<'a> {
    pub name: &'a str,
    pub config_operation: i8,
    pub value: Option<&'a str>,
}

impl<'a> Wire<'a> for AlterableConfig<'a> {
    const SIZE_MIN: usize = 4;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            name: Wire::read(reader, v, "AlterableConfig.name")?,
            config_operation: Wire::read(reader, v, "AlterableConfig.config_operation")?,
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
        self.config_operation.write(sink, v, "AlterableConfig.config_operation")?;
        self.value.write(sink, v, "AlterableConfig.value")?;
        put_no_tags(sink, v)
    }
}

impl<'a> Message<'a> for IncrementalAlterConfigsRequest<'a> {
    const NAME: &'static str = "IncrementalAlterConfigsRequest";
    const API: ApiKey = ApiKey::IncrementalAlterConfigs;
}

impl<'a> Request<'a> for IncrementalAlterConfigsRequest<'a> {
    type Response<'r> = IncrementalAlterConfigsResponse<'r>;
}
