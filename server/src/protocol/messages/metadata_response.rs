//! `MetadataResponse`: api key 3, versions 0-12, flexible from 9.
//!
//! Written by `cargo xtask codegen` from `schemas/metadata.schema`; edit that.

use crate::protocol::{
    ApiKey, DecodeError, EncodeError, List, Message, Reader, Sink, Uuid, Version, Wire,
    put_no_tags, write_present,
};

/// The `MetadataResponse` message.
#[derive(Debug, Clone, PartialEq)]
pub struct MetadataResponse<'a> {
    /// In versions 3-12.
    pub throttle_time_ms: i32,
    pub brokers: List<'a, MetadataResponseBroker<'a>>,
    /// In versions 2-12.
    pub cluster_id: Option<&'a str>,
    /// In versions 1-12.
    pub controller_id: i32,
    pub topics: List<'a, MetadataResponseTopic<'a>>,
    /// In versions 8-10.
    pub cluster_authorized_operations: i32,
}

impl Default for MetadataResponse<'_> {
    fn default() -> Self {
        Self {
            throttle_time_ms: 0,
            brokers: List::new(),
            cluster_id: None,
            controller_id: -1,
            topics: List::new(),
            cluster_authorized_operations: -2147483648,
        }
    }
}

impl<'a> Wire<'a> for MetadataResponse<'a> {
    const SIZE_MIN: usize = 8;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            throttle_time_ms: if v.number >= 3 {
                Wire::read(reader, v, "MetadataResponse.throttle_time_ms")?
            } else {
                0
            },
            brokers: Wire::read(reader, v, "MetadataResponse.brokers")?,
            cluster_id: if v.number >= 2 {
                Wire::read(reader, v, "MetadataResponse.cluster_id")?
            } else {
                None
            },
            controller_id: if v.number >= 1 {
                Wire::read(reader, v, "MetadataResponse.controller_id")?
            } else {
                -1
            },
            topics: Wire::read(reader, v, "MetadataResponse.topics")?,
            cluster_authorized_operations: if (8..=10).contains(&v.number) {
                Wire::read(reader, v, "MetadataResponse.cluster_authorized_operations")?
            } else {
                -2147483648
            },
        };
        reader.skip_tagged_fields(v, "MetadataResponse")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        if v.number >= 3 {
            self.throttle_time_ms.write(sink, v, "MetadataResponse.throttle_time_ms")?;
        }
        self.brokers.write(sink, v, "MetadataResponse.brokers")?;
        if v.number >= 2 {
            self.cluster_id.write(sink, v, "MetadataResponse.cluster_id")?;
        }
        if v.number >= 1 {
            self.controller_id.write(sink, v, "MetadataResponse.controller_id")?;
        }
        self.topics.write(sink, v, "MetadataResponse.topics")?;
        if (8..=10).contains(&v.number) {
            self.cluster_authorized_operations.write(
                sink,
                v,
                "MetadataResponse.cluster_authorized_operations",
            )?;
        }
        put_no_tags(sink, v)
    }
}

/// `brokers` in `MetadataResponse`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MetadataResponseBroker<'a> {
    pub node_id: i32,
    pub host: &'a str,
    pub port: i32,
    /// In versions 1-12.
    pub rack: Option<&'a str>,
}

impl<'a> Wire<'a> for MetadataResponseBroker<'a> {
    const SIZE_MIN: usize = 10;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            node_id: Wire::read(reader, v, "MetadataResponseBroker.node_id")?,
            host: Wire::read(reader, v, "MetadataResponseBroker.host")?,
            port: Wire::read(reader, v, "MetadataResponseBroker.port")?,
            rack: if v.number >= 1 {
                Wire::read(reader, v, "MetadataResponseBroker.rack")?
            } else {
                None
            },
        };
        reader.skip_tagged_fields(v, "MetadataResponseBroker")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.node_id.write(sink, v, "MetadataResponseBroker.node_id")?;
        self.host.write(sink, v, "MetadataResponseBroker.host")?;
        self.port.write(sink, v, "MetadataResponseBroker.port")?;
        if v.number >= 1 {
            self.rack.write(sink, v, "MetadataResponseBroker.rack")?;
        }
        put_no_tags(sink, v)
    }
}

/// `topics` in `MetadataResponse`.
#[derive(Debug, Clone, PartialEq)]
pub struct MetadataResponseTopic<'a> {
    pub error_code: i16,
    /// May be null in version 12.
    pub name: Option<&'a str>,
    /// In versions 10-12.
    pub topic_id: Uuid,
    /// In versions 1-12.
    pub is_internal: bool,
    pub partitions: List<'a, MetadataResponsePartition<'a>>,
    /// In versions 8-12.
    pub topic_authorized_operations: i32,
}

impl Default for MetadataResponseTopic<'_> {
    fn default() -> Self {
        Self {
            error_code: 0,
            name: None,
            topic_id: Uuid::ZERO,
            is_internal: false,
            partitions: List::new(),
            topic_authorized_operations: -2147483648,
        }
    }
}

impl<'a> Wire<'a> for MetadataResponseTopic<'a> {
    const SIZE_MIN: usize = 8;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            error_code: Wire::read(reader, v, "MetadataResponseTopic.error_code")?,
            name: if v.number >= 12 {
                Wire::read(reader, v, "MetadataResponseTopic.name")?
            } else {
                Some(Wire::read(reader, v, "MetadataResponseTopic.name")?)
            },
            topic_id: if v.number >= 10 {
                Wire::read(reader, v, "MetadataResponseTopic.topic_id")?
            } else {
                Uuid::ZERO
            },
            is_internal: if v.number >= 1 {
                Wire::read(reader, v, "MetadataResponseTopic.is_internal")?
            } else {
                false
            },
            partitions: Wire::read(reader, v, "MetadataResponseTopic.partitions")?,
            topic_authorized_operations: if v.number >= 8 {
                Wire::read(reader, v, "MetadataResponseTopic.topic_authorized_operations")?
            } else {
                -2147483648
            },
        };
        reader.skip_tagged_fields(v, "MetadataResponseTopic")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.error_code.write(sink, v, "MetadataResponseTopic.error_code")?;
        if v.number >= 12 {
            self.name.write(sink, v, "MetadataResponseTopic.name")?;
        } else {
            write_present(self.name.as_ref(), sink, v, "MetadataResponseTopic.name")?;
        }
        if v.number >= 10 {
            self.topic_id.write(sink, v, "MetadataResponseTopic.topic_id")?;
        }
        if v.number >= 1 {
            self.is_internal.write(sink, v, "MetadataResponseTopic.is_internal")?;
        }
        self.partitions.write(sink, v, "MetadataResponseTopic.partitions")?;
        if v.number >= 8 {
            self.topic_authorized_operations.write(
                sink,
                v,
                "MetadataResponseTopic.topic_authorized_operations",
            )?;
        }
        put_no_tags(sink, v)
    }
}

/// `topics.partitions` in `MetadataResponse`.
#[derive(Debug, Clone, PartialEq)]
pub struct MetadataResponsePartition<'a> {
    pub error_code: i16,
    pub partition_index: i32,
    pub leader_id: i32,
    /// In versions 7-12.
    pub leader_epoch: i32,
    pub replica_nodes: List<'a, i32>,
    pub isr_nodes: List<'a, i32>,
    /// In versions 5-12.
    pub offline_replicas: List<'a, i32>,
}

impl Default for MetadataResponsePartition<'_> {
    fn default() -> Self {
        Self {
            error_code: 0,
            partition_index: 0,
            leader_id: 0,
            leader_epoch: -1,
            replica_nodes: List::new(),
            isr_nodes: List::new(),
            offline_replicas: List::new(),
        }
    }
}

impl<'a> Wire<'a> for MetadataResponsePartition<'a> {
    const SIZE_MIN: usize = 18;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            error_code: Wire::read(reader, v, "MetadataResponsePartition.error_code")?,
            partition_index: Wire::read(reader, v, "MetadataResponsePartition.partition_index")?,
            leader_id: Wire::read(reader, v, "MetadataResponsePartition.leader_id")?,
            leader_epoch: if v.number >= 7 {
                Wire::read(reader, v, "MetadataResponsePartition.leader_epoch")?
            } else {
                -1
            },
            replica_nodes: Wire::read(reader, v, "MetadataResponsePartition.replica_nodes")?,
            isr_nodes: Wire::read(reader, v, "MetadataResponsePartition.isr_nodes")?,
            offline_replicas: if v.number >= 5 {
                Wire::read(reader, v, "MetadataResponsePartition.offline_replicas")?
            } else {
                List::new()
            },
        };
        reader.skip_tagged_fields(v, "MetadataResponsePartition")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.error_code.write(sink, v, "MetadataResponsePartition.error_code")?;
        self.partition_index.write(sink, v, "MetadataResponsePartition.partition_index")?;
        self.leader_id.write(sink, v, "MetadataResponsePartition.leader_id")?;
        if v.number >= 7 {
            self.leader_epoch.write(sink, v, "MetadataResponsePartition.leader_epoch")?;
        }
        self.replica_nodes.write(sink, v, "MetadataResponsePartition.replica_nodes")?;
        self.isr_nodes.write(sink, v, "MetadataResponsePartition.isr_nodes")?;
        if v.number >= 5 {
            self.offline_replicas.write(sink, v, "MetadataResponsePartition.offline_replicas")?;
        }
        put_no_tags(sink, v)
    }
}

impl<'a> Message<'a> for MetadataResponse<'a> {
    const NAME: &'static str = "MetadataResponse";
    const API: ApiKey = ApiKey::Metadata;
}
