//! `ApiVersionsRequest`: api key 18, versions 0-4, flexible from 3.
//!
//! Written by `cargo xtask codegen` from `schemas/api_versions.schema`; edit that.

use super::ApiVersionsResponse;
use crate::protocol::{
    ApiKey, DecodeError, EncodeError, Message, Reader, Request, Sink, Version, Wire, put_no_tags,
};

/// The `ApiVersionsRequest` message.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ApiVersionsRequest<'a> {
    /// In versions 3-4.
    pub client_software_name: &'a str,
    /// In versions 3-4.
    pub client_software_version: &'a str,
}

impl<'a> Wire<'a> for ApiVersionsRequest<'a> {
    const SIZE_MIN: usize = 0;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            client_software_name: if v.number >= 3 {
                Wire::read(reader, v, "ApiVersionsRequest.client_software_name")?
            } else {
                ""
            },
            client_software_version: if v.number >= 3 {
                Wire::read(reader, v, "ApiVersionsRequest.client_software_version")?
            } else {
                ""
            },
        };
        reader.skip_tagged_fields(v, "ApiVersionsRequest")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        if v.number >= 3 {
            self.client_software_name.write(sink, v, "ApiVersionsRequest.client_software_name")?;
        }
        if v.number >= 3 {
            self.client_software_version.write(
                sink,
                v,
                "ApiVersionsRequest.client_software_version",
            )?;
        }
        put_no_tags(sink, v)
    }
}

impl<'a> Message<'a> for ApiVersionsRequest<'a> {
    const NAME: &'static str = "ApiVersionsRequest";
    const API: ApiKey = ApiKey::ApiVersions;
}

impl<'a> Request<'a> for ApiVersionsRequest<'a> {
    type Response<'r> = ApiVersionsResponse<'r>;
}
