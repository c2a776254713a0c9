//! The few Kafka requests a benchmark needs, encoded once with the broker's own codec.

use anyhow::{Context, Result, bail, ensure};
use millrace_engine::record_batch::Compression;
use millrace_engine::record_batch::builder::BatchBuilder;
use millrace_server::protocol::messages::api_versions_request::ApiVersionsRequest;
use millrace_server::protocol::messages::create_topics_request::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use millrace_server::protocol::messages::fetch_request::{
    FetchPartition, FetchRequest, FetchTopic,
};
use millrace_server::protocol::messages::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use millrace_server::protocol::messages::produce_request::{
    PartitionProduceData, ProduceRequest, TopicProduceData,
};
use millrace_server::protocol::messages::produce_response::{
    PartitionProduceResponse, ProduceResponse, TopicProduceResponse,
};
use millrace_server::protocol::{Request, decode_response, encode_request, encode_response};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Produce version used by the load: the last one without tagged fields, so that the error code
/// lies at a fixed place of the response.
pub const PRODUCE_VERSION: i16 = 8;
/// Fetch version used by the load.
pub const FETCH_VERSION: i16 = 11;
const CREATE_TOPICS_VERSION: i16 = 4;
const LIST_OFFSETS_VERSION: i16 = 2;
const CLIENT_ID: &str = "millrace-bench";
/// Topics of the load all have names of this form.
pub const TOPIC: &str = "bench";

/// One blocking request on a connection of its own kind.
///
/// # Errors
/// When the broker is gone or answers what the codec cannot read.
pub fn call<'a, R: Request<'a>, T>(
    stream: &mut TcpStream,
    version: i16,
    request: &R,
    read: impl FnOnce(R::Response<'_>) -> Result<T>,
) -> Result<T> {
    stream.write_all(&frame(version, request)?)?;
    receive::<R, T>(stream, version, read)
}

/// A request as it is sent.
///
/// # Errors
/// When it cannot be encoded.
pub fn frame<'a, R: Request<'a>>(version: i16, request: &R) -> Result<Vec<u8>> {
    let mut frame = Vec::new();
    encode_request(&mut frame, version, 1, Some(CLIENT_ID), request)?;
    Ok(frame)
}

/// Waits for the answer to the oldest request of type `R` that is open on this connection.
///
/// # Errors
/// When the broker is gone or answers what the codec cannot read.
pub fn receive<'a, R: Request<'a>, T>(
    stream: &mut TcpStream,
    version: i16,
    read: impl FnOnce(R::Response<'_>) -> Result<T>,
) -> Result<T> {
    let mut size = [0; 4];
    stream
        .read_exact(&mut size)
        .context("the broker closed the connection")?;
    let size = usize::try_from(i32::from_be_bytes(size))?;
    ensure!(
        size <= 256 << 20,
        "an answer of {size} bytes is above 256 MiB"
    );
    let mut response = vec![0; size];
    stream.read_exact(&mut response)?;
    let (_, response) = decode_response::<R::Response<'_>>(&response, version)?;
    read(response)
}

/// Asks for the versions of the broker, to see that it answers.
///
/// # Errors
/// When it does not within 60 s.
pub fn ask_versions(stream: &mut TcpStream) -> Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    call(stream, 0, &ApiVersionsRequest::default(), |response| {
        ensure!(
            response.error_code == 0,
            "api versions: error {}",
            response.error_code
        );
        Ok(())
    })
}

/// Creates the load's topic.
///
/// # Errors
/// When the broker refuses.
pub fn create_topic(
    address: SocketAddr,
    name: &str,
    partitions: i32,
    configs: &[(&str, String)],
) -> Result<()> {
    let mut stream = TcpStream::connect(address)
        .with_context(|| format!("no broker answers at {address}; is it running?"))?;
    stream.set_read_timeout(Some(Duration::from_secs(120)))?;
    let configs: Vec<CreatableTopicConfig<'_>> = configs
        .iter()
        .map(|(name, value)| CreatableTopicConfig {
            name,
            value: Some(value.as_str()),
        })
        .collect();
    let topic = CreatableTopic {
        name,
        num_partitions: partitions,
        replication_factor: 1,
        configs: configs.into(),
        ..CreatableTopic::default()
    };
    let request = CreateTopicsRequest {
        topics: vec![topic].into(),
        timeout_ms: 120_000,
        validate_only: false,
    };
    call(&mut stream, CREATE_TOPICS_VERSION, &request, |response| {
        for topic in &response.topics {
            if topic.error_code != 0 {
                let message = topic.error_message.unwrap_or_default();
                bail!("topic {name}: error {}: {message}", topic.error_code);
            }
        }
        Ok(())
    })
}

/// A record batch of about `bytes` with one record of bytes that do not compress.
///
/// # Errors
/// When `bytes` is below the size of an empty batch.
pub fn batch(bytes: usize) -> Result<Vec<u8>> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut value = vec![0_u8; bytes.saturating_sub(80)];
    for byte in &mut value {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        *byte = state.to_be_bytes()[0];
    }
    let mut builder = BatchBuilder::new(Compression::None);
    builder.push(0, None, Some(&value), &[]);
    Ok(builder.build()?)
}

/// A produce request of one batch for one partition.
///
/// # Errors
/// When it cannot be encoded.
pub fn produce(topic: &str, partition: i32, batch: &[u8]) -> Result<Vec<u8>> {
    let partition = PartitionProduceData {
        index: partition,
        records: Some(batch),
    };
    let topic = TopicProduceData {
        name: topic,
        partition_data: vec![partition].into(),
    };
    let request = ProduceRequest {
        transactional_id: None,
        acks: -1,
        timeout_ms: 30_000,
        topic_data: vec![topic].into(),
    };
    frame(PRODUCE_VERSION, &request)
}

/// Where a produce response for `topic` has its error code, counted behind the frame's size.
#[must_use]
pub const fn produce_error_at(topic: &str) -> usize {
    // correlation id, topic count, name, partition count, partition index
    4 + 4 + 2 + topic.len() + 4 + 4
}

/// A whole produce response frame without errors, for the null sink.
///
/// # Errors
/// When it cannot be encoded.
pub fn produce_response(topic: &str) -> Result<Vec<u8>> {
    let partition = PartitionProduceResponse::default();
    let topic = TopicProduceResponse {
        name: topic,
        partition_responses: vec![partition].into(),
    };
    let response = ProduceResponse {
        responses: vec![topic].into(),
        ..ProduceResponse::default()
    };
    let mut frame = Vec::new();
    encode_response(&mut frame, PRODUCE_VERSION, 1, &response)?;
    Ok(frame)
}

/// Reads one partition front to back and forgets the bytes.
#[derive(Debug)]
pub struct Fetcher {
    stream: TcpStream,
    topic: String,
    partition: i32,
    max_bytes: i32,
    /// Offset of the next request.
    pub offset: i64,
    /// Offset at which it stops; behind it others may have written batches of other sizes.
    pub end: i64,
    batch_bytes: usize,
    buffer: Vec<u8>,
}

impl Fetcher {
    /// A reader of a partition that holds batches of one record and `batch_bytes` each.
    ///
    /// # Errors
    /// When nobody listens at `address`.
    pub fn open(
        address: SocketAddr,
        topic: &str,
        partition: i32,
        batch_bytes: usize,
        max_bytes: i32,
    ) -> Result<Self> {
        let stream = TcpStream::connect(address)
            .with_context(|| format!("no broker answers at {address}; is it running?"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(Self {
            stream,
            topic: topic.into(),
            partition,
            max_bytes,
            offset: 0,
            end: i64::MAX,
            batch_bytes,
            buffer: vec![0; 1 << 20],
        })
    }

    /// The partition's high watermark.
    ///
    /// # Errors
    /// When the broker is gone or answers an error.
    pub fn end_offset(&mut self) -> Result<i64> {
        let partition = ListOffsetsPartition {
            partition_index: self.partition,
            timestamp: -1,
            ..ListOffsetsPartition::default()
        };
        let topic = ListOffsetsTopic {
            name: &self.topic,
            partitions: vec![partition].into(),
        };
        let request = ListOffsetsRequest {
            replica_id: -1,
            topics: vec![topic].into(),
            ..ListOffsetsRequest::default()
        };
        call(
            &mut self.stream,
            LIST_OFFSETS_VERSION,
            &request,
            |response| {
                let topic = response.topics.first().context("no topic in the answer")?;
                let partition = topic
                    .partitions
                    .first()
                    .context("no partition in the answer")?;
                ensure!(
                    partition.error_code == 0,
                    "list offsets: error {}",
                    partition.error_code
                );
                Ok(partition.offset)
            },
        )
    }

    /// Sends one request.
    ///
    /// # Errors
    /// When the broker is gone.
    pub fn ask(&mut self, offset: i64) -> Result<()> {
        let partition = FetchPartition {
            partition: self.partition,
            fetch_offset: offset,
            partition_max_bytes: self.max_bytes,
            ..FetchPartition::default()
        };
        let topic = FetchTopic {
            topic: &self.topic,
            partitions: vec![partition].into(),
        };
        let request = FetchRequest {
            replica_id: -1,
            max_wait_ms: 500,
            min_bytes: 1,
            max_bytes: self.max_bytes,
            session_epoch: -1,
            topics: vec![topic].into(),
            ..FetchRequest::default()
        };
        self.stream.write_all(&frame(FETCH_VERSION, &request)?)?;
        Ok(())
    }

    /// Takes one answer: bytes of records in it. Only the front is looked at; the records are
    /// received and dropped, as a stream calibration does.
    ///
    /// # Errors
    /// When the broker is gone or answers an error.
    pub fn take(&mut self) -> Result<usize> {
        // size, correlation, throttle, error, session, topic count, name, partition count
        let front_bytes = 4 + 4 + 4 + 2 + 4 + 4 + 2 + self.topic.len() + 4;
        // index, error, high watermark, last stable, log start, aborted, replica, records length
        let head_bytes = front_bytes + 4 + 2 + 8 + 8 + 8 + 4 + 4 + 4;
        let mut head = vec![0; head_bytes];
        self.stream
            .read_exact(&mut head)
            .context("the broker closed the connection")?;
        let number = |at: usize| -> i64 {
            head.get(at..at + 4)
                .and_then(|bytes| bytes.first_chunk::<4>())
                .map_or(0, |bytes| i64::from(i32::from_be_bytes(*bytes)))
        };
        let frame = usize::try_from(number(0))? + 4;
        let error = number(front_bytes + 4) >> 16;
        ensure!(
            error == 0,
            "the broker answered a fetch at {} with error {error}",
            self.offset
        );
        let records = usize::try_from(number(head_bytes - 4).max(0))?;
        let mut rest = frame - head_bytes;
        while rest > 0 {
            let wanted = rest.min(self.buffer.len());
            let count = self.stream.read(&mut self.buffer[..wanted])?;
            ensure!(count > 0, "the broker closed the connection");
            rest -= count;
        }
        Ok(records)
    }

    /// Reads until `bytes` of records came, `self.end` is reached or nothing is left, and returns
    /// the bytes and the seconds taken.
    ///
    /// # Errors
    /// When the broker is gone or answers an error.
    pub fn drain(&mut self, bytes: u64) -> Result<(u64, f64)> {
        let begin = Instant::now();
        let mut total = 0;
        while total < bytes && self.offset < self.end {
            self.ask(self.offset)?;
            let records = self.take()?;
            if records == 0 {
                break;
            }
            let batches = i64::try_from(records / self.batch_bytes)?;
            let left = self.end - self.offset;
            ensure!(
                records % self.batch_bytes == 0 || batches >= left,
                "{records} bytes are not whole batches of {}",
                self.batch_bytes
            );
            self.offset += batches.min(left);
            total += records as u64;
        }
        Ok((total, begin.elapsed().as_secs_f64()))
    }
}
