//! What a broker holds, as a reader sees it.

use crate::clients::{PARTITIONS, TOPIC, config};
use anyhow::{Context as _, Result, anyhow, ensure};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(60);
const ASK_LIMIT: Duration = Duration::from_secs(10);

/// A partition: log start, high watermark, and a sum over all offsets and values between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Content {
    log_start: i64,
    end: i64,
    sum: u64,
}

/// Every partition of the topic.
pub(crate) fn read(address: &str) -> Result<Vec<Content>> {
    let mut config = config(address);
    config
        .set("group.id", "nobody")
        .set("enable.auto.commit", "false");
    let consumer: BaseConsumer = config.create()?;
    let mut list = TopicPartitionList::new();
    let mut contents = Vec::new();
    for partition in 0..PARTITIONS {
        let bounds = consumer.fetch_watermarks(TOPIC, partition, ASK_LIMIT);
        let (log_start, end) = bounds.with_context(|| format!("bounds of {partition}"))?;
        list.add_partition_offset(TOPIC, partition, Offset::Offset(log_start))?;
        contents.push(Content {
            log_start,
            end,
            sum: 0,
        });
    }
    consumer.assign(&list)?;
    let begin = Instant::now();
    let mut next: Vec<i64> = contents.iter().map(|content| content.log_start).collect();
    while next
        .iter()
        .zip(&contents)
        .any(|(next, content)| *next < content.end)
    {
        ensure!(
            begin.elapsed() < LIMIT,
            "readers stand at {next:?} of {contents:?}"
        );
        let Some(message) = consumer.poll(Duration::from_millis(100)) else {
            continue;
        };
        let message = message?;
        let partition = usize::try_from(message.partition())?;
        let next = &mut next[partition];
        ensure!(
            message.offset() == *next,
            "partition {partition}: {next} is followed by {}",
            message.offset()
        );
        *next += 1;
        let sum = &mut contents[partition].sum;
        for chunk in message.payload().unwrap_or_default().chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            *sum = (*sum ^ u64::from_le_bytes(word))
                .wrapping_mul(0x9e37_79b9_7f4a_7c15)
                .rotate_left(31);
        }
    }
    Ok(contents)
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for what the admin client promises.
pub(crate) fn wait<T>(future: impl Future<Output = T>) -> Result<T> {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    let begin = Instant::now();
    while begin.elapsed() < LIMIT {
        if let Poll::Ready(result) = future.as_mut().poll(&mut context) {
            return Ok(result);
        }
        std::thread::park_timeout(Duration::from_millis(100));
    }
    Err(anyhow!("no answer in {LIMIT:?}"))
}
