//! Sends batches to their leaders, one request per node and round, until each is acknowledged.
//!
//! INVARIANT: a batch keeps its bytes, and so its producer, epoch and sequence, however often it
//! is sent; the broker tells a repetition by them.

use crate::client::{Cluster, Topic, check, is_retriable};
use anyhow::{Context, Result, bail};
use millrace_engine::record_batch::builder::{BatchBuilder, Producer};
use millrace_server::protocol::messages::InitProducerIdRequest;
use millrace_server::protocol::messages::produce_request::{
    PartitionProduceData, ProduceRequest, TopicProduceData,
};
use millrace_server::protocol::{ApiKey, ErrorCode};
use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

const RETRY_INTERVAL: Duration = Duration::from_millis(100);
/// Rounds of a batch may last this many times the timeout of one answer.
const ROUNDS_TIMEOUT_FACTOR: u32 = 12;
/// Batches of one request stay below what a broker takes by default.
const REQUEST_BYTES_MAX: usize = 32 << 20;

/// A producer for one topic.
#[derive(Debug)]
pub(super) struct Sender {
    cluster: Cluster,
    topic: Topic,
    acks: i16,
    producer: Option<(i64, i16)>,
    next_sequences: BTreeMap<i32, i32>,
    record_count: u64,
}

impl Sender {
    /// Finds the topic, and becomes an idempotent producer where acks and broker allow it.
    pub(super) fn new(mut cluster: Cluster, name: &str, acks: i16) -> Result<Self> {
        let topic = cluster.topic(name, true)?;
        let is_idempotent = acks == -1
            && cluster
                .controller()?
                .version(ApiKey::InitProducerId)
                .is_ok();
        let producer = if is_idempotent {
            Some(init_producer(&mut cluster)?)
        } else {
            None
        };
        Ok(Self {
            cluster,
            topic,
            acks,
            producer,
            next_sequences: BTreeMap::new(),
            record_count: 0,
        })
    }

    /// Partitions of the topic.
    pub(super) fn partition_count(&self) -> i32 {
        i32::try_from(self.topic.leaders.len()).unwrap_or(i32::MAX)
    }

    /// Records sent, and acknowledged unless acks is 0.
    pub(super) const fn record_count(&self) -> u64 {
        self.record_count
    }

    /// Makes a batch of each builder that holds records and sends them; they are acknowledged
    /// when this returns. The builders are empty then.
    pub(super) fn send(&mut self, builders: &mut BTreeMap<i32, BatchBuilder>) -> Result<()> {
        let mut batches = BTreeMap::new();
        for (&partition, builder) in builders.iter_mut() {
            let count = builder.record_count();
            if count == 0 {
                continue;
            }
            let sequence = self.next_sequences.entry(partition).or_insert(0);
            builder.set_producer(self.producer.map(|(id, epoch)| Producer {
                id,
                epoch,
                base_sequence: *sequence,
            }));
            // KAFKA: sequences run from 0 to the largest number and begin again at 0.
            let following = (i64::from(*sequence) + i64::from(count)) % (1 << 31);
            *sequence = i32::try_from(following)?;
            batches.insert(partition, builder.build()?);
            self.record_count += u64::try_from(count)?;
        }
        self.send_until_acknowledged(batches)
    }

    fn send_until_acknowledged(&mut self, mut batches: BTreeMap<i32, Vec<u8>>) -> Result<()> {
        let start = Instant::now();
        let limit = self.cluster.timeout() * ROUNDS_TIMEOUT_FACTOR;
        while !batches.is_empty() {
            let outcome = self.send_round(&mut batches);
            if batches.is_empty() {
                return outcome.map(drop);
            }
            let may_repeat = self.producer.is_some() || outcome.is_ok();
            match outcome {
                Err(error) if !may_repeat || start.elapsed() > limit => return Err(error),
                Ok(code) if start.elapsed() > limit => {
                    check(code, &format!("topic {}", self.topic.name), None)?;
                }
                _ => {}
            }
            thread::sleep(RETRY_INTERVAL);
            // A broker that restarts is not reachable for a moment; the next round tries again.
            if let Ok(topic) = self.cluster.topic(&self.topic.name, false) {
                self.topic = topic;
            }
        }
        Ok(())
    }

    /// Sends every batch once and takes out those that were acknowledged. Gives the last error
    /// code that allows another try, or 0.
    fn send_round(&mut self, batches: &mut BTreeMap<i32, Vec<u8>>) -> Result<i16> {
        let mut by_leader: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
        for &partition in batches.keys() {
            let leader = self.topic.leaders.get(&partition);
            let (leader, _) = leader.with_context(|| format!("partition {partition} is gone"))?;
            by_leader.entry(*leader).or_default().push(partition);
        }
        let mut last_code = 0;
        for (leader, partitions) in by_leader {
            let mut rest = partitions.as_slice();
            while !rest.is_empty() {
                let taken = request_prefix(rest, batches);
                let (now, later) = rest.split_at(taken);
                rest = later;
                let answer = self.send_request(leader, now, batches);
                match answer {
                    Ok(code) => last_code = if code == 0 { last_code } else { code },
                    Err(error) => {
                        self.cluster.forget(leader);
                        return Err(error);
                    }
                }
            }
        }
        Ok(last_code)
    }

    fn send_request(
        &mut self,
        leader: i32,
        partitions: &[i32],
        batches: &mut BTreeMap<i32, Vec<u8>>,
    ) -> Result<i16> {
        let timeout_ms = i32::try_from(self.cluster.timeout().as_millis()).unwrap_or(i32::MAX);
        let data: Vec<PartitionProduceData<'_>> = partitions
            .iter()
            .map(|&index| PartitionProduceData {
                index,
                records: batches.get(&index).map(Vec::as_slice),
            })
            .collect();
        let request = ProduceRequest {
            transactional_id: None,
            acks: self.acks,
            timeout_ms,
            topic_data: [TopicProduceData {
                name: &self.topic.name,
                partition_data: data.into(),
            }]
            .into(),
        };
        let connection = self.cluster.node(leader)?;
        if self.acks == 0 {
            connection.send_unanswered(&request)?;
            batches.retain(|partition, _| !partitions.contains(partition));
            return Ok(0);
        }
        let response = connection.call(&request)?;
        let mut answered = Vec::new();
        for topic in &response.responses {
            for part in &topic.partition_responses {
                let message = part.error_message.as_deref().map(str::to_owned);
                answered.push((part.index, part.error_code, message));
            }
        }
        if answered.len() != partitions.len() {
            bail!(
                "the broker answered for {} of {} batches",
                answered.len(),
                partitions.len()
            );
        }
        self.take_answers(answered, batches)
    }

    fn take_answers(
        &self,
        answered: Vec<(i32, i16, Option<String>)>,
        batches: &mut BTreeMap<i32, Vec<u8>>,
    ) -> Result<i16> {
        let mut last_code = 0;
        for (partition, code, message) in answered {
            let is_there = code == 0 || code == ErrorCode::DuplicateSequenceNumber.code();
            if is_there {
                batches.remove(&partition);
            } else if is_retriable(code) {
                last_code = code;
            } else {
                let object = format!("topic {} partition {partition}", self.topic.name);
                // Not to be tried again, with whatever else is in this round.
                batches.clear();
                check(code, &object, message.as_deref())?;
            }
        }
        Ok(last_code)
    }
}

/// How many of these partitions' batches fit one request; at least one.
fn request_prefix(partitions: &[i32], batches: &BTreeMap<i32, Vec<u8>>) -> usize {
    let mut bytes = 0;
    let fits = partitions.iter().take_while(|partition| {
        bytes += batches.get(partition).map_or(0, Vec::len);
        bytes <= REQUEST_BYTES_MAX
    });
    fits.count().max(1)
}

fn init_producer(cluster: &mut Cluster) -> Result<(i64, i16)> {
    let start = Instant::now();
    let limit = cluster.timeout();
    loop {
        let request = InitProducerIdRequest {
            transactional_id: None,
            transaction_timeout_ms: i32::MAX,
            ..InitProducerIdRequest::default()
        };
        let response = cluster.controller()?.call(&request)?;
        let (code, id, epoch) = (
            response.error_code,
            response.producer_id,
            response.producer_epoch,
        );
        if code == 0 {
            return Ok((id, epoch));
        }
        if !is_retriable(code) || start.elapsed() > limit {
            check(code, "asking for a producer id", None)?;
        }
        thread::sleep(RETRY_INTERVAL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_cut_by_size_and_always_take_one() {
        let batches: BTreeMap<i32, Vec<u8>> = [
            (0, vec![0; 100]),
            (1, vec![0; REQUEST_BYTES_MAX]),
            (2, vec![0; 5]),
        ]
        .into();
        assert_eq!(request_prefix(&[0, 2], &batches), 2);
        assert_eq!(request_prefix(&[0, 1, 2], &batches), 1);
        assert_eq!(request_prefix(&[1, 2], &batches), 1);
    }
}
