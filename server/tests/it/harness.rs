//! A broker in this process and a client that speaks frames.

use millrace_engine::record_batch::Compression;
use millrace_engine::record_batch::builder::BatchBuilder;
use millrace_server::protocol::messages::create_topics_request::CreatableTopic;
use millrace_server::protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use millrace_server::protocol::messages::produce_request::{
    PartitionProduceData, TopicProduceData,
};
use millrace_server::protocol::messages::{
    CreateTopicsRequest, CreateTopicsResponse, FetchRequest, FetchResponse, ProduceRequest,
    ProduceResponse,
};
use millrace_server::protocol::{Message, decode_response, encode_request};
use millrace_server::{Advertise, RelaxedTopic, Running, ServeConfig, start};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// A broker with a data directory of its own, gone when dropped.
pub(crate) struct TestBroker {
    running: Option<Running>,
    config: ServeConfig,
    directory: PathBuf,
}

static DIRECTORIES: AtomicU32 = AtomicU32::new(0);

pub(crate) fn directory() -> PathBuf {
    let number = DIRECTORIES.fetch_add(1, Ordering::Relaxed);
    let name = format!("broker-{}-{number}", std::process::id());
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

impl TestBroker {
    pub(crate) fn new(shards: usize) -> Self {
        Self::with(shards, |_| {})
    }

    pub(crate) fn with(shards: usize, change: impl FnOnce(&mut ServeConfig)) -> Self {
        let directory = directory();
        let mut config = ServeConfig {
            data_dir: directory.clone(),
            listen: "127.0.0.1:0".to_owned(),
            node_id: 1,
            cores: Some(vec![0; shards]),
            memory_bytes: shards as u64 * (128 << 20),
            settings: vec![("millrace.journal.bytes".to_owned(), "16777216".to_owned())],
            ..ServeConfig::default()
        };
        change(&mut config);
        let running = start(&config).unwrap();
        Self {
            running: Some(running),
            config,
            directory,
        }
    }

    pub(crate) fn per_core(shards: usize) -> Self {
        Self::with(shards, |config| config.advertise = Advertise::PerCore)
    }

    pub(crate) fn addresses(&self) -> &[SocketAddr] {
        self.running().addresses()
    }

    pub(crate) fn relaxed_topics(&self) -> &[RelaxedTopic] {
        self.running().relaxed_topics()
    }

    pub(crate) fn running(&self) -> &Running {
        self.running.as_ref().unwrap()
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(self.addresses()[0])
    }

    /// Changes what the next start is told.
    pub(crate) fn change(&mut self, change: impl FnOnce(&mut ServeConfig)) {
        change(&mut self.config);
    }

    pub(crate) fn config(&self) -> &ServeConfig {
        &self.config
    }

    fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop();
            running.join().unwrap();
        }
    }

    pub(crate) fn restart(&mut self) {
        self.restart_after(|_| {});
    }

    /// Does something to the data directory while nobody uses it.
    pub(crate) fn restart_after(&mut self, work: impl FnOnce(&Path)) {
        self.stop();
        work(&self.directory);
        self.running = Some(start(&self.config).unwrap());
    }

    pub(crate) fn create(&self, topic: &str, partitions: i32) {
        self.create_with(topic, partitions, &[]);
    }

    pub(crate) fn create_with(&self, topic: &str, partitions: i32, configs: &[(&str, &str)]) {
        use millrace_server::protocol::messages::create_topics_request::CreatableTopicConfig;
        let request = CreateTopicsRequest {
            topics: [CreatableTopic {
                name: topic,
                num_partitions: partitions,
                replication_factor: 1,
                configs: configs
                    .iter()
                    .map(|(name, value)| CreatableTopicConfig {
                        name,
                        value: Some(value),
                    })
                    .collect(),
                ..CreatableTopic::default()
            }]
            .into(),
            ..CreateTopicsRequest::default()
        };
        let frame = self.client().call(5, &request);
        let response: CreateTopicsResponse<'_> = decode(&frame, 5);
        let result = response.topics.first().unwrap();
        assert_eq!(result.error_code, 0, "{:?}", result.error_message);
    }
}

impl Drop for TestBroker {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop();
            let ended = running.join();
            if !std::thread::panicking() {
                ended.unwrap();
            }
        }
        drop(std::fs::remove_dir_all(&self.directory));
    }
}

/// A connection that sends requests and reads frames.
pub(crate) struct Client {
    stream: TcpStream,
    correlation_id: i32,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        Self {
            stream,
            correlation_id: 0,
        }
    }

    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    pub(crate) fn send<'a, M: Message<'a>>(&mut self, version: i16, request: &M) -> i32 {
        self.correlation_id += 1;
        let mut frame = Vec::new();
        let id = self.correlation_id;
        encode_request(&mut frame, version, id, Some("test"), request).unwrap();
        self.send_bytes(&frame);
        id
    }

    /// The next frame without its size; `None` when the broker closed the connection.
    pub(crate) fn receive(&mut self) -> Option<Vec<u8>> {
        let mut size = [0; 4];
        match self.stream.read_exact(&mut size) {
            Ok(()) => {}
            Err(error) => {
                let kind = error.kind();
                let is_closed = matches!(
                    kind,
                    std::io::ErrorKind::UnexpectedEof | std::io::ErrorKind::ConnectionReset
                );
                assert!(is_closed, "{error}");
                return None;
            }
        }
        let mut frame = vec![0; i32::from_be_bytes(size) as usize];
        self.stream.read_exact(&mut frame).unwrap();
        Some(frame)
    }

    pub(crate) fn call<'a, M: Message<'a>>(&mut self, version: i16, request: &M) -> Vec<u8> {
        let id = self.send(version, request);
        let frame = self.receive().expect("an answer");
        assert_eq!(correlation_id(&frame), id);
        frame
    }

    /// Whether the broker has closed the connection (waits for it).
    pub(crate) fn is_closed(&mut self) -> bool {
        self.receive().is_none()
    }

    /// Produces one batch; returns error code and base offset.
    pub(crate) fn produce(&mut self, place: (&str, i32), batch: &[u8]) -> (i16, i64) {
        self.produce_with(9, -1, place, Some(batch))
    }

    pub(crate) fn produce_with(
        &mut self,
        version: i16,
        acks: i16,
        (topic, partition): (&str, i32),
        batch: Option<&[u8]>,
    ) -> (i16, i64) {
        let frame = self.call(version, &produce_request(acks, topic, partition, batch));
        let response: ProduceResponse<'_> = decode(&frame, version);
        let result = response
            .responses
            .first()
            .unwrap()
            .partition_responses
            .first()
            .unwrap();
        assert_eq!(result.index, partition);
        (result.error_code, result.base_offset)
    }

    /// Fetches one partition; returns error code, high watermark and record bytes.
    pub(crate) fn fetch(&mut self, place: (&str, i32), offset: i64) -> (i16, i64, Vec<u8>) {
        let frame = self.call(11, &fetch_request(place, offset, 0));
        fetched(&frame, 11)
    }
}

pub(crate) fn fetched(frame: &[u8], version: i16) -> (i16, i64, Vec<u8>) {
    let response: FetchResponse<'_> = decode(frame, version);
    assert_eq!(response.error_code, 0);
    let partition = response
        .responses
        .first()
        .unwrap()
        .partitions
        .first()
        .unwrap();
    let records = partition.records.unwrap_or_default().to_vec();
    (partition.error_code, partition.high_watermark, records)
}

pub(crate) fn correlation_id(frame: &[u8]) -> i32 {
    i32::from_be_bytes(frame[..4].try_into().unwrap())
}

pub(crate) fn decode<'a, M: Message<'a>>(frame: &'a [u8], version: i16) -> M {
    decode_response(frame, version).unwrap().1
}

pub(crate) fn produce_request<'a>(
    acks: i16,
    topic: &'a str,
    index: i32,
    records: Option<&'a [u8]>,
) -> ProduceRequest<'a> {
    ProduceRequest {
        acks,
        timeout_ms: 10_000,
        topic_data: [TopicProduceData {
            name: topic,
            partition_data: [PartitionProduceData { index, records }].into(),
        }]
        .into(),
        ..ProduceRequest::default()
    }
}

pub(crate) fn fetch_request<'a>(
    (topic, partition): (&'a str, i32),
    fetch_offset: i64,
    max_wait_ms: i32,
) -> FetchRequest<'a> {
    FetchRequest {
        max_wait_ms,
        min_bytes: 1,
        max_bytes: 50 << 20,
        topics: [FetchTopic {
            topic,
            partitions: [FetchPartition {
                partition,
                fetch_offset,
                partition_max_bytes: 10 << 20,
                ..FetchPartition::default()
            }]
            .into(),
        }]
        .into(),
        ..FetchRequest::default()
    }
}

/// A batch of one record for each value, with timestamps that rise by one from `time`.
pub(crate) fn batch(compression: Compression, time: i64, values: &[&str]) -> Vec<u8> {
    let mut builder = BatchBuilder::new(compression);
    for (value, at) in values.iter().zip(time..) {
        builder.push(at, Some(b"key"), Some(value.as_bytes()), &[]);
    }
    builder.build().unwrap()
}

pub(crate) fn plain(values: &[&str]) -> Vec<u8> {
    batch(Compression::None, now_ms(), values)
}

pub(crate) fn now_ms() -> i64 {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

/// The values of all records in uncompressed batches, with their offsets.
pub(crate) fn values(mut bytes: &[u8]) -> Vec<(i64, String)> {
    use millrace_engine::record_batch::records::{Records, payload};
    use millrace_engine::record_batch::{check, compression};
    let mut values = Vec::new();
    while !bytes.is_empty() {
        let header = millrace_engine::record_batch::Header::parse(bytes).unwrap();
        let (batch, rest) = bytes.split_at(header.batch_bytes as usize);
        check(batch).unwrap();
        let mut opened = Vec::new();
        let codec = header.compression().unwrap();
        compression::decompress(codec, payload(batch), 1 << 30, &mut opened).unwrap();
        for record in Records::new(&header, &opened) {
            let record = record.unwrap();
            let value = String::from_utf8(record.value.unwrap().to_vec()).unwrap();
            values.push((record.offset, value));
        }
        bytes = rest;
    }
    values
}

pub(crate) fn texts(values: &[(i64, String)]) -> Vec<(i64, &str)> {
    values
        .iter()
        .map(|(offset, value)| (*offset, value.as_str()))
        .collect()
}
