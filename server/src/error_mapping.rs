//! Engine errors as Kafka error codes. No arm catches the rest: a new engine error does not
//! compile until somebody decided what clients are told.

use crate::protocol::ErrorCode;
use millrace_engine::partition::{AppendError, ReadError};
use millrace_engine::record_batch::BatchError;
use millrace_engine::shard::ControlError;

/// What a producer is told.
#[must_use]
pub const fn append_error(error: AppendError) -> ErrorCode {
    match error {
        // Retriable, and the same batch may be sent again.
        AppendError::NoMemory { .. }
        | AppendError::DiskFull
        | AppendError::Stopped
        | AppendError::Fenced => ErrorCode::KafkaStorageError,
        AppendError::OutOfOrderSequence { .. } => ErrorCode::OutOfOrderSequenceNumber,
        AppendError::ProducerFenced { .. } => ErrorCode::InvalidProducerEpoch,
        AppendError::DuplicateSequence { .. } => ErrorCode::DuplicateSequenceNumber,
        AppendError::TooLarge { .. } => ErrorCode::MessageTooLarge,
        AppendError::UnknownPartition => ErrorCode::UnknownTopicOrPartition,
    }
}

/// What a group's member is told when the coordinator cannot append what it asked for.
#[must_use]
pub const fn group_append_error(error: AppendError) -> ErrorCode {
    match error {
        // Retriable: the client finds the coordinator again and repeats its request.
        AppendError::NoMemory { .. }
        | AppendError::DiskFull
        | AppendError::Stopped
        | AppendError::Fenced => ErrorCode::CoordinatorNotAvailable,
        AppendError::UnknownPartition => ErrorCode::NotCoordinator,
        // KAFKA: a batch of offsets above max.message.bytes; a group's state answers otherwise.
        AppendError::TooLarge { .. } => ErrorCode::InvalidCommitOffsetSize,
        // The coordinator is no idempotent producer.
        AppendError::OutOfOrderSequence { .. }
        | AppendError::ProducerFenced { .. }
        | AppendError::DuplicateSequence { .. } => ErrorCode::UnknownServerError,
    }
}

/// What a consumer is told.
#[must_use]
pub const fn read_error(error: ReadError) -> ErrorCode {
    match error {
        ReadError::OutOfRange { .. } => ErrorCode::OffsetOutOfRange,
        ReadError::Corrupt { .. } => ErrorCode::CorruptMessage,
        ReadError::Io(_) | ReadError::NoMemory => ErrorCode::KafkaStorageError,
        ReadError::UnknownPartition => ErrorCode::UnknownTopicOrPartition,
    }
}

/// What is said of a batch that fails its checks.
#[must_use]
pub const fn batch_error(error: BatchError) -> ErrorCode {
    match error {
        BatchError::BadMagic { .. }
        | BatchError::NotOneBatch { .. }
        | BatchError::BadCount { .. }
        | BatchError::BadSequence { .. }
        | BatchError::ControlBatch => ErrorCode::InvalidRecord,
        BatchError::BadLength { .. } | BatchError::CorruptCrc { .. } => ErrorCode::CorruptMessage,
        BatchError::UnknownCompression { .. } => ErrorCode::UnsupportedCompressionType,
    }
}

/// What the sender of an admin request is told.
#[must_use]
pub const fn control_error(error: ControlError) -> ErrorCode {
    match error {
        ControlError::Exists => ErrorCode::TopicAlreadyExists,
        ControlError::UnknownPartition => ErrorCode::UnknownTopicOrPartition,
        ControlError::TooManyPartitions(_) | ControlError::TooManyForMemory(_) => {
            ErrorCode::InvalidPartitions
        }
        ControlError::OutOfRange { .. } => ErrorCode::OffsetOutOfRange,
        ControlError::TooLarge(_) => ErrorCode::InvalidRequest,
        ControlError::DiskFull | ControlError::Stopped => ErrorCode::KafkaStorageError,
    }
}

/// One sentence for clients that show one.
#[must_use]
pub const fn explanation(error: ErrorCode) -> Option<&'static str> {
    match error {
        ErrorCode::InvalidRecord => Some(
            "the records are not exactly one batch of format version 2 that this topic may take",
        ),
        ErrorCode::CorruptMessage => Some("the batch does not match its checksum or length"),
        ErrorCode::MessageTooLarge => {
            Some("the batch is larger than the topic's max.message.bytes")
        }
        ErrorCode::KafkaStorageError => {
            Some("the shard does not take appends: its disk is full or failed, or memory is short")
        }
        ErrorCode::InvalidTxnState => Some("transactions are not supported yet"),
        ErrorCode::InvalidTimestamp => {
            Some("the batch's timestamp is outside of the topic's message.timestamp bounds")
        }
        _ => None,
    }
}
