//! Live clients from outside: librdkafka, through the `rdkafka` crate.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use millrace_server::{Advertise, Running, ServeConfig, start};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use rdkafka::{ClientContext, Offset, TopicPartitionList};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

mod groups;

struct TestBroker {
    running: Option<Running>,
    config: ServeConfig,
    directory: PathBuf,
    bootstrap: String,
}

static DIRECTORIES: AtomicU32 = AtomicU32::new(0);
const PATIENCE: Duration = Duration::from_secs(30);

impl TestBroker {
    fn new(shards: usize, advertise: Advertise) -> Self {
        Self::with(shards, advertise, |_| {})
    }

    fn with(shards: usize, advertise: Advertise, change: impl FnOnce(&mut ServeConfig)) -> Self {
        let number = DIRECTORIES.fetch_add(1, Ordering::Relaxed);
        let name = format!("clients-{}-{number}", std::process::id());
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let mut config = ServeConfig {
            data_dir: directory.clone(),
            listen: "127.0.0.1:0".to_owned(),
            advertise,
            cores: Some(vec![0; shards]),
            memory_bytes: shards as u64 * (96 << 20),
            settings: vec![("millrace.journal.bytes".to_owned(), "16777216".to_owned())],
            ..ServeConfig::default()
        };
        change(&mut config);
        let running = start(&config).unwrap();
        let bootstrap = running.addresses()[0].to_string();
        Self {
            running: Some(running),
            config,
            directory,
            bootstrap,
        }
    }

    /// A clean stop and a start on the same data, on other ports.
    fn restart(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop();
            running.join().unwrap();
        }
        let running = start(&self.config).unwrap();
        self.bootstrap = running.addresses()[0].to_string();
        self.running = Some(running);
    }

    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap);
        config.set("broker.address.family", "v4");
        config
    }

    fn create(&self, topic: &str, partitions: i32) {
        let admin: AdminClient<DefaultClientContext> = self.config().create().unwrap();
        let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
        let created = admin.create_topics([&new], &AdminOptions::new());
        assert_eq!(block_on(created).unwrap(), [Ok(topic.to_owned())]);
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

/// Waits for a future; the admin client's are driven by a thread of its own.
fn block_on<F: Future>(future: F) -> F::Output {
    use std::task::{Context, Poll, Wake, Waker};
    struct Unpark(std::thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

/// Notes where each record went.
#[derive(Clone, Default)]
struct Deliveries(Arc<Mutex<Vec<Delivery>>>);

/// Partition and offset.
type Delivery = Result<(i32, i64), KafkaError>;

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();
    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let result = match result {
            Ok(message) => Ok((message.partition(), message.offset())),
            Err((error, _)) => Err(error.clone()),
        };
        self.0.lock().unwrap().push(result);
    }
}

/// Key, value and header of record `number`.
fn record(number: usize) -> (String, String, String) {
    let value = format!("value {number} {}", "v".repeat(number % 3000));
    (format!("key {number}"), value, format!("header {number}"))
}

/// Produces `count` records round robin; returns the partition and offset of each.
fn produce(config: &ClientConfig, topic: &str, partitions: usize, count: usize) {
    let deliveries = Deliveries::default();
    let producer: BaseProducer<Deliveries> =
        config.create_with_context(deliveries.clone()).unwrap();
    for number in 0..count {
        let (key, value, header) = record(number);
        let headers = OwnedHeaders::new().insert(Header {
            key: "h",
            value: Some(&header),
        });
        let mut next = BaseRecord::to(topic)
            .key(&key)
            .payload(&value)
            .headers(headers)
            .partition(i32::try_from(number % partitions).unwrap());
        while let Err((_, back)) = producer.send(next) {
            next = back;
            producer.poll(Duration::from_millis(10));
        }
    }
    producer.flush(PATIENCE).unwrap();
    let deliveries = deliveries.0.lock().unwrap();
    assert_eq!(deliveries.len(), count);
    for delivery in deliveries.iter() {
        assert!(delivery.is_ok(), "{delivery:?}");
    }
}

/// Consumes everything and compares it with what `produce` sent.
fn consume_and_compare(broker: &TestBroker, topic: &str, partitions: usize, count: usize) {
    let mut config = broker.config();
    config
        .set("group.id", "unused")
        .set("enable.auto.commit", "false")
        .set("check.crcs", "true");
    let consumer: BaseConsumer = config.create().unwrap();
    let mut wanted = TopicPartitionList::new();
    for partition in 0..partitions {
        let index = i32::try_from(partition).unwrap();
        wanted
            .add_partition_offset(topic, index, Offset::Beginning)
            .unwrap();
    }
    consumer.assign(&wanted).unwrap();
    let mut next = vec![0; partitions];
    for _ in 0..count {
        let message = consumer.poll(PATIENCE).expect("a record in time").unwrap();
        let partition = usize::try_from(message.partition()).unwrap();
        assert_eq!(
            message.offset(),
            i64::try_from(next[partition]).unwrap(),
            "no gap"
        );
        let (key, value, header) = record(next[partition] * partitions + partition);
        assert_eq!(message.key(), Some(key.as_bytes()));
        assert_eq!(message.payload(), Some(value.as_bytes()));
        let headers = message.headers().unwrap();
        assert_eq!(headers.get(0).value, Some(header.as_bytes()));
        next[partition] += 1;
    }
}

#[test]
fn librdkafka_gets_back_what_it_sent_with_every_codec_it_has_here() {
    let broker = TestBroker::new(2, Advertise::Single);
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let mut config = broker.config();
        config.set("compression.type", codec).set("linger.ms", "5");
        // A codec that this build of the library does not have is refused by itself.
        if config.create::<BaseProducer>().is_err() {
            continue;
        }
        broker.create(codec, 3);
        produce(&config, codec, 3, 3000);
        consume_and_compare(&broker, codec, 3, 3000);
    }
}

#[test]
fn an_idempotent_librdkafka_producer_works_in_both_modes_of_advertising() {
    for (shards, advertise) in [(1, Advertise::Single), (4, Advertise::PerCore)] {
        let broker = TestBroker::new(shards, advertise);
        broker.create("t", 4);
        let mut config = broker.config();
        config
            .set("enable.idempotence", "true")
            .set("linger.ms", "1");
        produce(&config, "t", 4, 4000);
        consume_and_compare(&broker, "t", 4, 4000);
    }
}

#[test]
fn librdkafka_finds_topics_settings_watermarks_and_times() {
    let broker = TestBroker::new(2, Advertise::Single);
    broker.create("t", 2);
    produce(&broker.config(), "t", 2, 10);
    let consumer: BaseConsumer = broker.config().create().unwrap();
    let metadata = consumer.fetch_metadata(Some("t"), PATIENCE).unwrap();
    assert_eq!(metadata.topics()[0].partitions().len(), 2);
    assert_eq!(consumer.fetch_watermarks("t", 1, PATIENCE).unwrap(), (0, 5));
    let mut times = TopicPartitionList::new();
    times
        .add_partition_offset("t", 0, Offset::Offset(0))
        .unwrap();
    let found = consumer.offsets_for_times(times, PATIENCE).unwrap();
    let offset = found.find_partition("t", 0).unwrap().offset();
    assert_eq!(offset, Offset::Offset(0));

    let admin: AdminClient<DefaultClientContext> = broker.config().create().unwrap();
    let resource = ResourceSpecifier::Topic("t");
    let described = block_on(admin.describe_configs([&resource], &AdminOptions::new())).unwrap();
    let described = described.into_iter().next().unwrap().unwrap();
    let retention = described.get("retention.ms").unwrap();
    assert_eq!(retention.value.as_deref(), Some("604800000"));
    let deleted = block_on(admin.delete_topics(&["t"], &AdminOptions::new())).unwrap();
    assert_eq!(deleted, [Ok("t".to_owned())]);
}
