//! A Fetch response without its records in memory.
//!
//! The writer puts everything but the records into its sink and says where in the sink each run of
//! records belongs; the connection sends both as one vector of slices. It does not allocate.

use super::api_key::ApiKey;
use super::error::EncodeError;
use super::header::ResponseHeader;
use super::message::{close_frame, open_frame};
use super::primitives::{Version, Wire, put_long_length, put_no_tags, put_null_length};
use super::produce::{known_version, none_left, one_less};
use super::sink::Sink;

/// What a Fetch response says of a partition, but for its records.
#[derive(Debug, Clone, Copy)]
pub struct FetchedPartition {
    /// The partition.
    pub index: i32,
    /// 0, or why there are no records.
    pub error_code: i16,
    /// The end of what may be read without regard to transactions.
    pub high_watermark: i64,
    /// The end of what may be read of finished transactions, or -1.
    pub last_stable_offset: i64,
    /// The first offset that may be read.
    pub log_start_offset: i64,
}

/// Writes a Fetch response partition by partition. Counts must be kept: `finish` checks them.
#[derive(Debug)]
pub struct FetchResponseWriter<'s, S> {
    sink: &'s mut S,
    v: Version,
    start: usize,
    records_bytes: usize,
    topics_left: usize,
    partitions_left: usize,
    is_in_topic: bool,
    is_in_partition: bool,
}

/// What stands before the topics of a Fetch response.
#[derive(Debug, Clone, Copy, Default)]
pub struct FetchStart {
    /// Milliseconds the client should wait before its next request.
    pub throttle_time_ms: i32,
    /// An error of the whole request; since version 7.
    pub error_code: i16,
    /// The fetch session, or 0; since version 7.
    pub session_id: i32,
    /// How many topics follow.
    pub topic_count: usize,
}

impl<'s, S: Sink> FetchResponseWriter<'s, S> {
    /// Begins a frame with size and header.
    ///
    /// # Errors
    /// When the codec does not know the version or the sink is full.
    pub fn begin(
        sink: &'s mut S,
        version: i16,
        correlation_id: i32,
        response: &FetchStart,
    ) -> Result<Self, EncodeError> {
        let v = known_version(ApiKey::Fetch, "FetchResponse", version)?;
        let start = open_frame(sink)?;
        ResponseHeader { correlation_id }.encode(sink, ApiKey::Fetch, version)?;
        response
            .throttle_time_ms
            .write(sink, v, "FetchResponse.throttle_time_ms")?;
        if v.number >= 7 {
            response
                .error_code
                .write(sink, v, "FetchResponse.error_code")?;
            response
                .session_id
                .write(sink, v, "FetchResponse.session_id")?;
        }
        put_long_length(sink, v, response.topic_count, TOPICS)?;
        Ok(Self {
            sink,
            v,
            start,
            records_bytes: 0,
            topics_left: response.topic_count,
            partitions_left: 0,
            is_in_topic: false,
            is_in_partition: false,
        })
    }

    /// Begins a topic.
    ///
    /// # Errors
    /// When the topic before lacks partitions, all topics are written, or the sink is full.
    pub fn topic(&mut self, name: &str, partition_count: usize) -> Result<(), EncodeError> {
        self.end_topic()?;
        self.topics_left = one_less(self.topics_left, TOPICS)?;
        name.write(self.sink, self.v, "FetchResponse.responses.topic")?;
        put_long_length(self.sink, self.v, partition_count, PARTITIONS)?;
        self.partitions_left = partition_count;
        self.is_in_topic = true;
        Ok(())
    }

    /// Writes a partition of the topic with `records_bytes` of records, which are not written but
    /// belong at the returned position of the sink.
    ///
    /// # Errors
    /// When all partitions of the topic are written, the records are too long, or the sink is
    /// full.
    pub fn partition(
        &mut self,
        partition: &FetchedPartition,
        records_bytes: usize,
    ) -> Result<usize, EncodeError> {
        self.end_partition()?;
        self.partitions_left = one_less(self.partitions_left, PARTITIONS)?;
        let Self { sink, v, .. } = self;
        partition.index.write(*sink, *v, PARTITIONS)?;
        partition.error_code.write(*sink, *v, PARTITIONS)?;
        partition.high_watermark.write(*sink, *v, PARTITIONS)?;
        partition.last_stable_offset.write(*sink, *v, PARTITIONS)?;
        if v.number >= 5 {
            partition.log_start_offset.write(*sink, *v, PARTITIONS)?;
        }
        // No aborted transactions.
        put_null_length(*sink, *v)?;
        if v.number >= 11 {
            // No other replica to read from.
            (-1_i32).write(*sink, *v, PARTITIONS)?;
        }
        put_long_length(*sink, *v, records_bytes, RECORDS)?;
        self.records_bytes = self.records_bytes.saturating_add(records_bytes);
        self.is_in_partition = true;
        Ok(self.sink.position())
    }

    /// Bytes of the frame so far, records and size included.
    #[must_use]
    pub fn frame_bytes(&self) -> usize {
        let written = self.sink.position().saturating_sub(self.start);
        written.saturating_add(self.records_bytes)
    }

    /// Ends the response and writes the frame's size, which counts the records.
    ///
    /// # Errors
    /// When topics or partitions are missing, the frame is too long, or the sink is full.
    pub fn finish(mut self) -> Result<(), EncodeError> {
        self.end_topic()?;
        none_left(self.topics_left, TOPICS)?;
        put_no_tags(self.sink, self.v)?;
        close_frame(self.sink, self.start, self.records_bytes)
    }

    // The tagged fields of a partition lie behind its records.
    fn end_partition(&mut self) -> Result<(), EncodeError> {
        if std::mem::take(&mut self.is_in_partition) {
            put_no_tags(self.sink, self.v)?;
        }
        Ok(())
    }

    fn end_topic(&mut self) -> Result<(), EncodeError> {
        none_left(self.partitions_left, PARTITIONS)?;
        self.end_partition()?;
        if std::mem::take(&mut self.is_in_topic) {
            put_no_tags(self.sink, self.v)?;
        }
        Ok(())
    }
}

const TOPICS: &str = "FetchResponse.responses";
const PARTITIONS: &str = "FetchResponse.responses.partitions";
const RECORDS: &str = "FetchResponse.responses.partitions.records";
