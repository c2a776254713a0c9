//! `FetchResponse`: api key 1, versions 4-12, flexible from 12.
//!
//! Written by `cargo xtask codegen` from `schemas/fetch.schema`; edit that.

use crate::protocol::{
    ApiKey, DecodeError, EncodeError, List, Message, Reader, Sink, Version, Wire, put_no_tags,
    put_tagged, put_uvarint,
};

/// The `FetchResponse` message.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FetchResponse<'a> {
    pub throttle_time_ms: i32,
    /// In versions 7-12.
    pub error_code: i16,
    /// In versions 7-12.
    pub session_id: i32,
    pub responses: List<'a, FetchableTopicResponse<'a>>,
}

impl<'a> Wire<'a> for FetchResponse<'a> {
    const SIZE_MIN: usize = 8;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            throttle_time_ms: Wire::read(reader, v, "FetchResponse.throttle_time_ms")?,
            error_code: if v.number >= 7 {
                Wire::read(reader, v, "FetchResponse.error_code")?
            } else {
                0
            },
            session_id: if v.number >= 7 {
                Wire::read(reader, v, "FetchResponse.session_id")?
            } else {
                0
            },
            responses: Wire::read(reader, v, "FetchResponse.responses")?,
        };
        reader.skip_tagged_fields(v, "FetchResponse")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.throttle_time_ms.write(sink, v, "FetchResponse.throttle_time_ms")?;
        if v.number >= 7 {
            self.error_code.write(sink, v, "FetchResponse.error_code")?;
        }
        if v.number >= 7 {
            self.session_id.write(sink, v, "FetchResponse.session_id")?;
        }
        self.responses.write(sink, v, "FetchResponse.responses")?;
        put_no_tags(sink, v)
    }
}

/// `responses` in `FetchResponse`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FetchableTopicResponse<'a> {
    pub topic: &'a str,
    pub partitions: List<'a, PartitionData<'a>>,
}

impl<'a> Wire<'a> for FetchableTopicResponse<'a> {
    const SIZE_MIN: usize = 3;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            topic: Wire::read(reader, v, "FetchableTopicResponse.topic")?,
            partitions: Wire::read(reader, v, "FetchableTopicResponse.partitions")?,
        };
        reader.skip_tagged_fields(v, "FetchableTopicResponse")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.topic.write(sink, v, "FetchableTopicResponse.topic")?;
        self.partitions.write(sink, v, "FetchableTopicResponse.partitions")?;
        put_no_tags(sink, v)
    }
}

/// `responses.partitions` in `FetchResponse`.
#[derive(Debug, Clone, PartialEq)]
pub struct PartitionData<'a> {
    pub partition_index: i32,
    pub error_code: i16,
    pub high_watermark: i64,
    pub last_stable_offset: i64,
    /// In versions 5-12.
    pub log_start_offset: i64,
    /// In version 12, tagged field 0.
    pub diverging_epoch: EpochEndOffset,
    /// In version 12, tagged field 1.
    pub current_leader: LeaderIdAndEpoch,
    /// In version 12, tagged field 2.
    pub snapshot_id: SnapshotId,
    pub aborted_transactions: Option<List<'a, AbortedTransaction>>,
    /// In versions 11-12.
    pub preferred_read_replica: i32,
    pub records: Option<&'a [u8]>,
}

impl Default for PartitionData<'_> {
    fn default() -> Self {
        Self {
            partition_index: 0,
            error_code: 0,
            high_watermark: 0,
            last_stable_offset: -1,
            log_start_offset: -1,
            diverging_epoch: EpochEndOffset::default(),
            current_leader: LeaderIdAndEpoch::default(),
            snapshot_id: SnapshotId::default(),
            aborted_transactions: None,
            preferred_read_replica: -1,
            records: None,
        }
    }
}

impl<'a> Wire<'a> for PartitionData<'a> {
    const SIZE_MIN: usize = 30;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let mut value = Self {
            partition_index: Wire::read(reader, v, "PartitionData.partition_index")?,
            error_code: Wire::read(reader, v, "PartitionData.error_code")?,
            high_watermark: Wire::read(reader, v, "PartitionData.high_watermark")?,
            last_stable_offset: Wire::read(reader, v, "PartitionData.last_stable_offset")?,
            log_start_offset: if v.number >= 5 {
                Wire::read(reader, v, "PartitionData.log_start_offset")?
            } else {
                -1
            },
            diverging_epoch: EpochEndOffset::default(),
            current_leader: LeaderIdAndEpoch::default(),
            snapshot_id: SnapshotId::default(),
            aborted_transactions: Wire::read(reader, v, "PartitionData.aborted_transactions")?,
            preferred_read_replica: if v.number >= 11 {
                Wire::read(reader, v, "PartitionData.preferred_read_replica")?
            } else {
                -1
            },
            records: Wire::read(reader, v, "PartitionData.records")?,
        };
        if v.is_flexible {
            reader.tagged_fields("PartitionData", |tag, reader| {
                match tag {
                    0 => {
                        value.diverging_epoch =
                            Wire::read(reader, v, "PartitionData.diverging_epoch")?
                    }
                    1 => {
                        value.current_leader =
                            Wire::read(reader, v, "PartitionData.current_leader")?
                    }
                    2 => value.snapshot_id = Wire::read(reader, v, "PartitionData.snapshot_id")?,
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
        self.partition_index.write(sink, v, "PartitionData.partition_index")?;
        self.error_code.write(sink, v, "PartitionData.error_code")?;
        self.high_watermark.write(sink, v, "PartitionData.high_watermark")?;
        self.last_stable_offset.write(sink, v, "PartitionData.last_stable_offset")?;
        if v.number >= 5 {
            self.log_start_offset.write(sink, v, "PartitionData.log_start_offset")?;
        }
        self.aborted_transactions.write(sink, v, "PartitionData.aborted_transactions")?;
        if v.number >= 11 {
            self.preferred_read_replica.write(sink, v, "PartitionData.preferred_read_replica")?;
        }
        self.records.write(sink, v, "PartitionData.records")?;
        if v.is_flexible {
            let has_tag_0 = self.diverging_epoch != EpochEndOffset::default();
            let has_tag_1 = self.current_leader != LeaderIdAndEpoch::default();
            let has_tag_2 = self.snapshot_id != SnapshotId::default();
            put_uvarint(sink, u32::from(has_tag_0) + u32::from(has_tag_1) + u32::from(has_tag_2))?;
            if has_tag_0 {
                put_tagged(sink, v, 0, &self.diverging_epoch, "PartitionData.diverging_epoch")?;
            }
            if has_tag_1 {
                put_tagged(sink, v, 1, &self.current_leader, "PartitionData.current_leader")?;
            }
            if has_tag_2 {
                put_tagged(sink, v, 2, &self.snapshot_id, "PartitionData.snapshot_id")?;
            }
        }
        Ok(())
    }
}

/// `responses.partitions.diverging_epoch` in `FetchResponse`.
/// In version 12.
#[derive(Debug, Clone, PartialEq)]
pub struct EpochEndOffset {
    pub epoch: i32,
    pub end_offset: i64,
}

impl Default for EpochEndOffset {
    fn default() -> Self {
        Self { epoch: -1, end_offset: -1 }
    }
}

impl<'a> Wire<'a> for EpochEndOffset {
    const SIZE_MIN: usize = 13;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            epoch: Wire::read(reader, v, "EpochEndOffset.epoch")?,
            end_offset: Wire::read(reader, v, "EpochEndOffset.end_offset")?,
        };
        reader.skip_tagged_fields(v, "EpochEndOffset")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.epoch.write(sink, v, "EpochEndOffset.epoch")?;
        self.end_offset.write(sink, v, "EpochEndOffset.end_offset")?;
        put_no_tags(sink, v)
    }
}

/// `responses.partitions.current_leader` in `FetchResponse`.
/// In version 12.
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

/// `responses.partitions.snapshot_id` in `FetchResponse`.
/// In version 12.
#[derive(Debug, Clone, PartialEq)]
pub struct SnapshotId {
    pub end_offset: i64,
    pub epoch: i32,
}

impl Default for SnapshotId {
    fn default() -> Self {
        Self { end_offset: -1, epoch: -1 }
    }
}

impl<'a> Wire<'a> for SnapshotId {
    const SIZE_MIN: usize = 13;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            end_offset: Wire::read(reader, v, "SnapshotId.end_offset")?,
            epoch: Wire::read(reader, v, "SnapshotId.epoch")?,
        };
        reader.skip_tagged_fields(v, "SnapshotId")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.end_offset.write(sink, v, "SnapshotId.end_offset")?;
        self.epoch.write(sink, v, "SnapshotId.epoch")?;
        put_no_tags(sink, v)
    }
}

/// `responses.partitions.aborted_transactions` in `FetchResponse`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AbortedTransaction {
    pub producer_id: i64,
    pub first_offset: i64,
}

impl<'a> Wire<'a> for AbortedTransaction {
    const SIZE_MIN: usize = 16;

    fn read(
        reader: &mut Reader<'a>,
        v: Version,
        _field: &'static str,
    ) -> Result<Self, DecodeError> {
        let value = Self {
            producer_id: Wire::read(reader, v, "AbortedTransaction.producer_id")?,
            first_offset: Wire::read(reader, v, "AbortedTransaction.first_offset")?,
        };
        reader.skip_tagged_fields(v, "AbortedTransaction")?;
        Ok(value)
    }

    fn write<S: Sink>(
        &self,
        sink: &mut S,
        v: Version,
        _field: &'static str,
    ) -> Result<(), EncodeError> {
        self.producer_id.write(sink, v, "AbortedTransaction.producer_id")?;
        self.first_offset.write(sink, v, "AbortedTransaction.first_offset")?;
        put_no_tags(sink, v)
    }
}

impl<'a> Message<'a> for FetchResponse<'a> {
    const NAME: &'static str = "FetchResponse";
    const API: ApiKey = ApiKey::Fetch;
}
