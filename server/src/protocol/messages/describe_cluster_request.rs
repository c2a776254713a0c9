//! `DescribeClusterRequest`: api key 60, versions 0-1, flexible from 0.
//!
//! Written by `cargo xtask codegen` from `schemas/describe_cluster.schema`; edit that.

use super::DescribeClusterResponse;
use crate::protocol::{
    ApiKey, DecodeError, EncodeError, Message, Reader, Request, Sink, Version, Wire, put_no_tags,
};

/// The `DescribeClusterRequest` message.
#[derive(Debug, Clone, PartialEq)]
pub struct DescribeClusterRequest {
    pub include_cluster_authorized_operations: bool,
    /// In version 1.
    pub endpoint_type: i8,
}

impl Default for DescribeClusterRequest {
    fn default() -> Self {
        Self { include_cluster_authorized_operations: false, endpoint_type: 1 }
    }
}

impl<'a> Wire<'a> for DescribeClusterRequest {
    const SIZE_MIN: usize = 2;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            include_cluster_authorized_operations: Wire::read(
                reader,
                v,
                "DescribeClusterRequest.include_cluster_authorized_operations",
            )?,
            endpoint_type: if v.number >= 1 {
                Wire::read(reader, v, "DescribeClusterRequest.endpoint_type")?
            } else {
                1
            },
        };
        reader.skip_tagged_fields(v, "DescribeClusterRequest")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.include_cluster_authorized_operations.write(
            sink,
            v,
            "DescribeClusterRequest.include_cluster_authorized_operations",
        )?;
        if v.number >= 1 {
            self.endpoint_type.write(sink, v, "DescribeClusterRequest.endpoint_type")?;
        }
        put_no_tags(sink, v)
    }
}

impl<'a> Message<'a> for DescribeClusterRequest {
    const NAME: &'static str = "DescribeClusterRequest";
    const API: ApiKey = ApiKey::DescribeCluster;
}

impl<'a> Request<'a> for DescribeClusterRequest {
    type Response<'r> = DescribeClusterResponse<'r>;
}
