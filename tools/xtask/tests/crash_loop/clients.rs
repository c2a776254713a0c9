//! Real clients, librdkafka's, that work through every crash: producers that try again until they
//! are answered, readers, and a group that commits. All of it goes into the history.

use crate::scribe::{Scribe, number_of, value};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};
use rdkafka::{ClientContext, Offset, TopicPartitionList};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use xtask::history::{LogId, Poll, Run, Sequence, What};

/// The topic all of them use.
pub(crate) const TOPIC: &str = "crash-loop";
/// Its partitions.
pub(crate) const PARTITIONS: i32 = 6;
/// Records of a producer without an answer at most.
const UNANSWERED_MAX: usize = 200;
const PAUSE: Duration = Duration::from_millis(2);
/// Records that a producer sends between two pauses: crashes count, not throughput.
const RECORDS_PER_PAUSE: u64 = 4;
const POLL_WAIT: Duration = Duration::from_millis(50);
const ASK_LIMIT: Duration = Duration::from_secs(2);
/// Idempotent producers are answered within this time.
const FLUSH_LIMIT: Duration = Duration::from_secs(60);
/// What is there is read within this time.
const READ_LIMIT: Duration = Duration::from_secs(90);
/// Records that a reader takes before it asks where the log ends.
const RECORDS_PER_POLL: usize = 300;

/// What clients are told: go on, read to the end, end.
#[derive(Debug, Default)]
pub(crate) struct Orders {
    /// Producers send no more.
    pub(crate) is_drained: AtomicBool,
    /// Readers end.
    pub(crate) is_over: AtomicBool,
}

/// Settings that all clients share: they come back fast after a crash.
pub(crate) fn config(address: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    for (key, value) in [
        ("bootstrap.servers", address),
        ("broker.address.family", "v4"),
        ("reconnect.backoff.ms", "20"),
        ("reconnect.backoff.max.ms", "100"),
        ("socket.timeout.ms", "10000"),
        ("log_level", "2"),
    ] {
        config.set(key, value);
    }
    config
}

/// What librdkafka tells a producer.
#[derive(Debug)]
struct Deliveries {
    scribe: Scribe,
    client: u32,
    unanswered: AtomicUsize,
}

impl ClientContext for Deliveries {
    fn error(&self, _: KafkaError, _: &str) {}
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Box<u64>;

    fn delivery(&self, result: &DeliveryResult<'_>, op: Self::DeliveryOpaque) {
        // A record that was given up may be there: it stays without an answer.
        if let Ok(message) = result {
            let acked = What::Acked {
                op: *op,
                base_offset: Some(message.offset()),
            };
            self.scribe.add(self.client, acked);
        }
        self.unanswered.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Sends until told to stop, then waits for the answers. Idempotent producers try again for as long
/// as it takes; the others never, and leave without an answer what they got none for.
pub(crate) fn produce(
    address: &str,
    scribe: &Scribe,
    client: u32,
    is_idempotent: bool,
    orders: &Orders,
) -> Result<(), String> {
    let mut config = config(address);
    config.set("linger.ms", "1").set("acks", "all");
    if is_idempotent {
        config.set("enable.idempotence", "true");
        config.set("message.timeout.ms", "300000");
        config.set("retry.backoff.ms", "20");
        config.set("retry.backoff.max.ms", "100");
    } else {
        config.set("message.send.max.retries", "0");
    }
    let context = Deliveries {
        scribe: scribe.clone(),
        client,
        unanswered: AtomicUsize::new(0),
    };
    let producer: ThreadedProducer<Deliveries> = config
        .create_with_context(context)
        .map_err(|error| error.to_string())?;
    let mut sent = vec![0; PARTITIONS as usize];
    let mut rounds = 0;
    while !orders.is_drained.load(Ordering::Relaxed) {
        let unanswered = &producer.context().unanswered;
        rounds += 1;
        if rounds % RECORDS_PER_PAUSE == 0 || unanswered.load(Ordering::Relaxed) >= UNANSWERED_MAX {
            std::thread::park_timeout(PAUSE);
            continue;
        }
        let (op, first) = (scribe.number(), scribe.number());
        let partition = (first % PARTITIONS as u64) as i32;
        let base = &mut sent[partition as usize];
        scribe.add(
            client,
            What::Send {
                op,
                log: scribe.log(TOPIC, partition),
                sequence: is_idempotent.then_some(Sequence {
                    producer: i64::from(client),
                    epoch: 0,
                    base: *base,
                }),
                first,
                count: 1,
            },
        );
        *base += 1;
        unanswered.fetch_add(1, Ordering::Relaxed);
        let value = value(first);
        let mut record = BaseRecord::<(), [u8], _>::with_opaque_to(TOPIC, Box::new(op))
            .partition(partition)
            .payload(&value);
        // Its queue has room for more than the bound above, except when it is taken by surprise.
        while let Err((error, back)) = producer.send(record) {
            if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
                return Err(format!("producer {client}: {error}"));
            }
            record = back;
            std::thread::park_timeout(PAUSE);
        }
    }
    producer
        .flush(FLUSH_LIMIT)
        .map_err(|error| format!("producer {client} is not answered: {error}"))
}

/// One partition of a reader: what it took since it last asked for the log's bounds.
#[derive(Debug)]
struct Reading {
    log: LogId,
    partition: i32,
    position: i64,
    next: i64,
    records: Vec<Run>,
}

/// Reads every partition from its start until told to end, or, with `to_end`, until it has read
/// what is there.
pub(crate) fn read(
    address: &str,
    scribe: &Scribe,
    client: u32,
    orders: &Orders,
    to_end: bool,
) -> Result<(), String> {
    let mut config = config(address);
    config
        .set("group.id", "nobody")
        .set("enable.auto.commit", "false");
    config.set("fetch.wait.max.ms", "50");
    let consumer: BaseConsumer = config.create().map_err(|error| error.to_string())?;
    // On the reader's own connection every question would wait behind a fetch that waits for news.
    let asker: BaseConsumer = config.create().map_err(|error| error.to_string())?;
    let mut list = TopicPartitionList::new();
    let mut readings = Vec::new();
    for partition in 0..PARTITIONS {
        list.add_partition_offset(TOPIC, partition, Offset::Offset(0))
            .map_err(|error| error.to_string())?;
        let log = scribe.log(TOPIC, partition);
        scribe.add(client, What::Seek { log, offset: 0 });
        readings.push(Reading {
            log,
            partition,
            position: 0,
            next: 0,
            records: Vec::new(),
        });
    }
    consumer.assign(&list).map_err(|error| error.to_string())?;
    let begin = Instant::now();
    while !orders.is_over.load(Ordering::Relaxed) {
        let mut taken = 0;
        while taken < RECORDS_PER_POLL
            && let Some(message) = consumer.poll(POLL_WAIT)
        {
            // Errors are of the crash; what follows is what counts.
            let Ok(message) = message else { break };
            take(&mut readings[message.partition() as usize], &message);
            taken += 1;
        }
        let mut is_at_end = true;
        for reading in &mut readings {
            is_at_end &= tell(&asker, scribe, client, reading) == Some(true);
        }
        if to_end && is_at_end {
            return Ok(());
        }
        if to_end && begin.elapsed() > READ_LIMIT {
            return Err(format!("reader {client} does not come to the end"));
        }
    }
    Ok(())
}

fn take(reading: &mut Reading, message: &impl Message) {
    let offset = message.offset();
    let number = message.payload().and_then(number_of);
    reading.records.push(Run {
        offset,
        number,
        count: 1,
    });
    reading.next = offset + 1;
}

/// Writes down what was read, with the bounds that the broker says now. Whether that was all;
/// `None` when it does not answer.
fn tell(asker: &BaseConsumer, scribe: &Scribe, client: u32, reading: &mut Reading) -> Option<bool> {
    let began_ns = scribe.now();
    let bounds = asker.fetch_watermarks(TOPIC, reading.partition, ASK_LIMIT);
    let (log_start, end) = bounds.ok()?;
    let Reading {
        log,
        position,
        next,
        ..
    } = *reading;
    let poll = Poll {
        log,
        began_ns,
        position,
        next,
        log_start,
        end,
        records: std::mem::take(&mut reading.records),
    };
    scribe.add(client, What::Poll(poll));
    reading.position = next;
    Some(next >= end)
}

/// Commits ever later offsets of a group, and asks for them, until told to end.
pub(crate) fn commit(
    address: &str,
    scribe: &Scribe,
    client: u32,
    orders: &Orders,
) -> Result<(), String> {
    const GROUP: &str = "crash-loop-group";
    let mut config = config(address);
    config
        .set("group.id", GROUP)
        .set("enable.auto.commit", "false");
    let consumer: BaseConsumer = config.create().map_err(|error| error.to_string())?;
    let group = scribe.group(GROUP);
    let mut offset = 0;
    while !orders.is_over.load(Ordering::Relaxed) {
        offset += 1;
        let partition = (offset % i64::from(PARTITIONS)) as i32;
        let log = scribe.log(TOPIC, partition);
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(TOPIC, partition, Offset::Offset(offset))
            .map_err(|error| error.to_string())?;
        let op = scribe.number();
        let commit = What::Commit {
            op,
            group,
            log,
            offset,
        };
        scribe.add(client, commit);
        // Whatever else it says: the offset may be there.
        if consumer.commit(&list, CommitMode::Sync).is_ok() {
            scribe.add(client, What::Committed { op });
        }
        let began_ns = scribe.now();
        let mut asked = TopicPartitionList::new();
        asked.add_partition(TOPIC, partition);
        if let Ok(found) = consumer.committed_offsets(asked, ASK_LIMIT) {
            let found = found.elements();
            let Some(answer) = found.first().filter(|answer| answer.error().is_ok()) else {
                continue;
            };
            let offset = match answer.offset() {
                Offset::Offset(offset) => Some(offset),
                _ => None,
            };
            let fetched = What::Fetched {
                group,
                log,
                began_ns,
                offset,
            };
            scribe.add(client, fetched);
        }
    }
    Ok(())
}
