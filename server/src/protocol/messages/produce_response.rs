//! `ProduceResponse`: api key 0, versions 3-11, flexible from 9.
//!
//! Written by `cargo xtask codegen` from `schemas/produce.schema`; edit that.

use std::borrow::Cow;

use crate::protocol::{
    ApiKey, DecodeError, EncodeError, List, Message, Reader, Sink, Version, Wire, put_no_tags,
    put_tagged, put_uvarint,
};

/// The `ProduceResponse` message.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ProduceResponse<'a> {
    pub responses: List<'a, TopicProduceResponse<'a>>,
    pub throttle_time_ms: i32,
    /// In versions 10-11, tagged field 0.
    pub node_endpoints: List<'a, NodeEndpoint<'a>>,
}

impl<'a> Wire<'a> for ProduceResponse<'a> {
    const SIZE_MIN: usize = 6;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let mut value = Self {
            responses: Wire::read(reader, v, "ProduceResponse.responses")?,
            throttle_time_ms: Wire::read(reader, v, "ProduceResponse.throttle_time_ms")?,
            node_endpoints: List::new(),
        };
        if v.is_flexible {
            reader.tagged_fields("ProduceResponse", |tag, reader| {
                match tag {
                    0 if v.number >= 10 => {
                        value.node_endpoints =
                            Wire::read(reader, v, "ProduceResponse.node_endpoints")?
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
        self.responses.write(sink, v, "ProduceResponse.responses")?;
        self.throttle_time_ms.write(sink, v, "ProduceResponse.throttle_time_ms")?;
        if v.is_flexible {
            let has_tag_0 = v.number >= 10 && !self.node_endpoints.is_empty();
            put_uvarint(sink, u32::from(has_tag_0))?;
            if has_tag_0 {
                put_tagged(sink, v, 0, &self.node_endpoints, "ProduceResponse.node_endpoints")?;
            }
        }
        Ok(())
    }
}

/// `responses` in `ProduceResponse`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TopicProduceResponse<'a> {
    pub name: &'a str,
    pub partition_responses: List<'a, PartitionProduceResponse<'a>>,
}

impl<'a> Wire<'a> for TopicProduceResponse<'a> {
    const SIZE_MIN: usize = 3;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            name: Wire::read(reader, v, "TopicProduceResponse.name")?,
            partition_responses: Wire::read(reader, v, "TopicProduceResponse.partition_responses")?,
        };
        reader.skip_tagged_fields(v, "TopicProduceResponse")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.name.write(sink, v, "TopicProduceResponse.name")?;
        self.partition_responses.write(sink, v, "TopicProduceResponse.partition_responses")?;
        put_no_tags(sink, v)
    }
}

/// `node_endpoints` in `ProduceResponse`.
/// In versions 10-11.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NodeEndpoint<'a> {
    pub node_id: i32,
    pub host: &'a str,
    pub port: i32,
    pub rack: Option<&'a str>,
}

impl<'a> Wire<'a> for NodeEndpoint<'a> {
    const SIZE_MIN: usize = 11;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            node_id: Wire::read(reader, v, "NodeEndpoint.node_id")?,
            host: Wire::read(reader, v, "NodeEndpoint.host")?,
            port: Wire::read(reader, v, "NodeEndpoint.port")?,
            rack: Wire::read(reader, v, "NodeEndpoint.rack")?,
        };
        reader.skip_tagged_fields(v, "NodeEndpoint")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.node_id.write(sink, v, "NodeEndpoint.node_id")?;
        self.host.write(sink, v, "NodeEndpoint.host")?;
        self.port.write(sink, v, "NodeEndpoint.port")?;
        self.rack.write(sink, v, "NodeEndpoint.rack")?;
        put_no_tags(sink, v)
    }
}

/// `responses.partition_responses` in `ProduceResponse`.
#[derive(Debug, Clone, PartialEq)]
pub struct PartitionProduceResponse<'a> {
    pub index: i32,
    pub error_code: i16,
    pub base_offset: i64,
    pub log_append_time_ms: i64,
    /// In versions 5-11.
    pub log_start_offset: i64,
    /// In versions 8-11.
    pub record_errors: List<'a, BatchIndexAndErrorMessage<'a>>,
    /// In versions 8-11.
    pub error_message: Option<Cow<'a, str>>,
    /// In versions 10-11, tagged field 0.
    pub current_leader: LeaderIdAndEpoch,
}

impl Default for PartitionProduceResponse<'_> {
    fn default() -> Self {
        Self {
            index: 0,
            error_code: 0,
            base_offset: 0,
            log_append_time_ms: -1,
            log_start_offset: -1,
            record_errors: List::new(),
            error_message: None,
            current_leader: LeaderIdAndEpoch::default(),
        }
    }
}

impl<'a> Wire<'a> for PartitionProduceResponse<'a> {
    const SIZE_MIN: usize = 22;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let mut value = Self {
            index: Wire::read(reader, v, "PartitionProduceResponse.index")?,
            error_code: Wire::read(reader, v, "PartitionProduceResponse.error_code")?,
            base_offset: Wire::read(reader, v, "PartitionProduceResponse.base_offset")?,
            log_append_time_ms: Wire::read(
                reader,
                v,
                "PartitionProduceResponse.log_append_time_ms",
            )?,
            log_start_offset: if v.number >= 5 {
                Wire::read(reader, v, "PartitionProduceResponse.log_start_offset")?
            } else {
                -1
            },
            record_errors: if v.number >= 8 {
                Wire::read(reader, v, "PartitionProduceResponse.record_errors")?
            } else {
                List::new()
            },
            error_message: if v.number >= 8 {
                Wire::read(reader, v, "PartitionProduceResponse.error_message")?
            } else {
                None
            },
            current_leader: LeaderIdAndEpoch::default(),
        };
        if v.is_flexible {
            reader.tagged_fields("PartitionProduceResponse", |tag, reader| {
                match tag {
                    0 if v.number >= 10 => {
                        value.current_leader =
                            Wire::read(reader, v, "PartitionProduceResponse.current_leader")?
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
        self.index.write(sink, v, "PartitionProduceResponse.index")?;
        self.error_code.write(sink, v, "PartitionProduceResponse.error_code")?;
        self.base_offset.write(sink, v, "PartitionProduceResponse.base_offset")?;
        self.log_append_time_ms.write(sink, v, "PartitionProduceResponse.log_append_time_ms")?;
        if v.number >= 5 {
            self.log_start_offset.write(sink, v, "PartitionProduceResponse.log_start_offset")?;
        }
        if v.number >= 8 {
            self.record_errors.write(sink, v, "PartitionProduceResponse.record_errors")?;
        }
        if v.number >= 8 {
            self.error_message.write(sink, v, "PartitionProduceResponse.error_message")?;
        }
        if v.is_flexible {
            let has_tag_0 = v.number >= 10 && self.current_leader != LeaderIdAndEpoch::default();
            put_uvarint(sink, u32::from(has_tag_0))?;
            if has_tag_0 {
                put_tagged(
                    sink,
                    v,
                    0,
                    &self.current_leader,
                    "PartitionProduceResponse.current_leader",
                )?;
            }
        }
        Ok(())
    }
}

/// `responses.partition_responses.record_errors` in `ProduceResponse`.
/// In versions 8-11.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BatchIndexAndErrorMessage<'a> {
    pub batch_index: i32,
    pub batch_index_error_message: Option<&'a str>,
}

impl<'a> Wire<'a> for BatchIndexAndErrorMessage<'a> {
    const SIZE_MIN: usize = 6;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            batch_index: Wire::read(reader, v, "BatchIndexAndErrorMessage.batch_index")?,
            batch_index_error_message: Wire::read(
                reader,
                v,
                "BatchIndexAndErrorMessage.batch_index_error_message",
            )?,
        };
        reader.skip_tagged_fields(v, "BatchIndexAndErrorMessage")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.batch_index.write(sink, v, "BatchIndexAndErrorMessage.batch_index")?;
        self.batch_index_error_message.write(
            sink,
            v,
            "BatchIndexAndErrorMessage.batch_index_error_message",
        )?;
        put_no_tags(sink, v)
    }
}

/// `responses.partition_responses.current_leader` in `ProduceResponse`.
/// In versions 10-11.
#[derive(Debug, Clone, PartialEq)]
pub struct LeaderIdAndEpoch {
    pub leader_id: i32,
    pub leader_epoch: i32,
}

impl Default for LeaderIdAndEpoch {
    fn default() -> Self {
        Self { leader_id: -1, leader_epoch: -1 }
    }
}

impl<'a> Wire<'a> for LeaderIdAndEpoch {
    const SIZE_MIN: usize = 9;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            leader_id: Wire::read(reader, v, "LeaderIdAndEpoch.leader_id")?,
            leader_epoch: Wire::read(reader, v, "LeaderIdAndEpoch.leader_epoch")?,
        };
        reader.skip_tagged_fields(v, "LeaderIdAndEpoch")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.leader_id.write(sink, v, "LeaderIdAndEpoch.leader_id")?;
        self.leader_epoch.write(sink, v, "LeaderIdAndEpoch.leader_epoch")?;
        put_no_tags(sink, v)
    }
}

impl<'a> Message<'a> for ProduceResponse<'a> {
    const NAME: &'static str = "ProduceResponse";
    const API: ApiKey = ApiKey::Produce;
}
