//! `DescribeClusterResponse`: api key 60, versions 0-1, flexible from 0.
//!
//! Written by `cargo xtask codegen` from `schemas/describe_cluster.schema`; edit that.

use std::borrow::Cow;

use crate::protocol::{
    ApiKey, DecodeError, EncodeError, List, Message, Reader, Sink, Version, Wire, put_no_tags,
};

/// The `DescribeClusterResponse` message.
#[derive(Debug, Clone, PartialEq)]
pub struct DescribeClusterResponse<'a> {
    pub throttle_time_ms: i32,
    pub error_code: i16,
    pub error_message: Option<Cow<'a, str>>,
    /// In version 1.
    pub endpoint_type: i8,
    pub cluster_id: &'a str,
    pub controller_id: i32,
    pub brokers: List<'a, DescribeClusterBroker<'a>>,
    pub cluster_authorized_operations: i32,
}

impl Default for DescribeClusterResponse<'_> {
    fn default() -> Self {
        Self {
            throttle_time_ms: 0,
            error_code: 0,
            error_message: None,
            endpoint_type: 1,
            cluster_id: "",
            controller_id: -1,
            brokers: List::new(),
            cluster_authorized_operations: -2147483648,
        }
    }
}

impl<'a> Wire<'a> for DescribeClusterResponse<'a> {
    const SIZE_MIN: usize = 18;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            throttle_time_ms: Wire::read(reader, v, "DescribeClusterResponse.throttle_time_ms")?,
            error_code: Wire::read(reader, v, "DescribeClusterResponse.error_code")?,
            error_message: Wire::read(reader, v, "DescribeClusterResponse.error_message")?,
            endpoint_type: if v.number >= 1 {
                Wire::read(reader, v, "DescribeClusterResponse.endpoint_type")?
            } else {
                1
            },
            cluster_id: Wire::read(reader, v, "DescribeClusterResponse.cluster_id")?,
            controller_id: Wire::read(reader, v, "DescribeClusterResponse.controller_id")?,
            brokers: Wire::read(reader, v, "DescribeClusterResponse.brokers")?,
            cluster_authorized_operations: Wire::read(
                reader,
                v,
                "DescribeClusterResponse.cluster_authorized_operations",
            )?,
        };
        reader.skip_tagged_fields(v, "DescribeClusterResponse")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.throttle_time_ms.write(sink, v, "DescribeClusterResponse.throttle_time_ms")?;
        self.error_code.write(sink, v, "DescribeClusterResponse.error_code")?;
        self.error_message.write(sink, v, "DescribeClusterResponse.error_message")?;
        if v.number >= 1 {
            self.endpoint_type.write(sink, v, "DescribeClusterResponse.endpoint_type")?;
        }
        self.cluster_id.write(sink, v, "DescribeClusterResponse.cluster_id")?;
        self.controller_id.write(sink, v, "DescribeClusterResponse.controller_id")?;
        self.brokers.write(sink, v, "DescribeClusterResponse.brokers")?;
        self.cluster_authorized_operations.write(
            sink,
            v,
            "DescribeClusterResponse.cluster_authorized_operations",
        )?;
        put_no_tags(sink, v)
    }
}

/// `brokers` in `DescribeClusterResponse`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DescribeClusterBroker<'a> {
    pub broker_id: i32,
    pub host: &'a str,
    pub port: i32,
    pub rack: Option<&'a str>,
}

impl<'a> Wire<'a> for DescribeClusterBroker<'a> {
    const SIZE_MIN: usize = 11;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            broker_id: Wire::read(reader, v, "DescribeClusterBroker.broker_id")?,
            host: Wire::read(reader, v, "DescribeClusterBroker.host")?,
            port: Wire::read(reader, v, "DescribeClusterBroker.port")?,
            rack: Wire::read(reader, v, "DescribeClusterBroker.rack")?,
        };
        reader.skip_tagged_fields(v, "DescribeClusterBroker")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.broker_id.write(sink, v, "DescribeClusterBroker.broker_id")?;
        self.host.write(sink, v, "DescribeClusterBroker.host")?;
        self.port.write(sink, v, "DescribeClusterBroker.port")?;
        self.rack.write(sink, v, "DescribeClusterBroker.rack")?;
        put_no_tags(sink, v)
    }
}

impl<'a> Message<'a> for DescribeClusterResponse<'a> {
    const NAME: &'static str = "DescribeClusterResponse";
    const API: ApiKey = ApiKey::DescribeCluster;
}
