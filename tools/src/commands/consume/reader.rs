//! Fetches from all leaders at once and walks what comes.
//!
//! One Fetch per leader is in flight; its answer may end with a part of a batch, which is asked
//! for again. A batch may begin before the offset asked for; what lies before it is not shown.

use super::format::Consumed;
use crate::client::{Cluster, Topic, check, is_retriable};
use anyhow::{Context, Result, bail};
use millrace_engine::record_batch::compression::decompress;
use millrace_engine::record_batch::records::{Record, Records, payload};
use millrace_engine::record_batch::{Compression, Header, crc};
use millrace_server::protocol::messages::fetch_request::{
    FetchPartition, FetchRequest, FetchTopic,
};
use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

const WAIT_MS_MAX: i32 = 500;
const FETCH_BYTES_MAX: i32 = 16 << 20;
const PARTITION_BYTES_MAX: i32 = 4 << 20;
/// A batch may open to this much, and not more.
const OPENED_BYTES_MAX: usize = 256 << 20;
const RETRY_INTERVAL: Duration = Duration::from_millis(100);

/// A reader of some partitions of a topic.
#[derive(Debug)]
pub(super) struct Reader {
    cluster: Cluster,
    topic: Topic,
    /// The next offset of each partition.
    positions: BTreeMap<i32, i64>,
    /// Where partitions end, exclusive; one that is not named goes on for ever.
    ends: BTreeMap<i32, i64>,
    failing_since: Option<Instant>,
}

/// What a fetch brought for one partition.
struct Fetched {
    partition: i32,
    code: i16,
    high_watermark: i64,
    log_start: i64,
    records: Vec<u8>,
}

impl Reader {
    /// A reader of nothing.
    pub(super) fn new(cluster: Cluster) -> Self {
        Self {
            cluster,
            topic: Topic::default(),
            positions: BTreeMap::new(),
            ends: BTreeMap::new(),
            failing_since: None,
        }
    }

    /// Reads these partitions from here on: from `starts` to `ends`.
    pub(super) fn assign(
        &mut self,
        topic: Topic,
        starts: BTreeMap<i32, i64>,
        ends: BTreeMap<i32, i64>,
    ) {
        self.topic = topic;
        self.positions = starts;
        self.ends = ends;
    }

    /// The brokers it reads from.
    pub(super) const fn cluster(&mut self) -> &mut Cluster {
        &mut self.cluster
    }

    /// For each partition, one behind the last record that was shown.
    pub(super) const fn positions(&self) -> &BTreeMap<i32, i64> {
        &self.positions
    }

    /// Whether every partition reached its end.
    pub(super) fn is_done(&self) -> bool {
        !self.has_work()
    }

    /// Whether a partition has not reached its end.
    pub(super) fn has_work(&self) -> bool {
        self.unfinished().next().is_some()
    }

    fn unfinished(&self) -> impl Iterator<Item = (i32, i64)> {
        let ends = &self.ends;
        let is_before = move |&(partition, position): &(i32, i64)| {
            ends.get(&partition).is_none_or(|end| position < *end)
        };
        let positions = self.positions.iter();
        positions
            .map(|(&partition, &position)| (partition, position))
            .filter(is_before)
    }

    /// Fetches once from every leader and shows each record, until `show` says that it is enough.
    pub(super) fn poll(
        &mut self,
        mut show: impl FnMut(Consumed<'_>) -> Result<bool>,
    ) -> Result<()> {
        let fetched = match self.fetch() {
            Ok(fetched) => fetched,
            Err(error) => return self.wait_after(error),
        };
        for part in fetched {
            if part.code != 0 {
                self.failed(&part)?;
                continue;
            }
            self.failing_since = None;
            if !self.walk(&part, &mut show)? {
                return Ok(());
            }
        }
        Ok(())
    }

    fn fetch(&mut self) -> Result<Vec<Fetched>> {
        let mut by_leader: BTreeMap<i32, Vec<FetchPartition>> = BTreeMap::new();
        for (partition, fetch_offset) in self.unfinished() {
            let leader = self.topic.leaders.get(&partition);
            let (leader, _) = leader.with_context(|| format!("partition {partition} is gone"))?;
            by_leader.entry(*leader).or_default().push(FetchPartition {
                partition,
                current_leader_epoch: -1,
                fetch_offset,
                last_fetched_epoch: -1,
                log_start_offset: -1,
                partition_max_bytes: PARTITION_BYTES_MAX,
            });
        }
        let mut pending = Vec::new();
        for (leader, partitions) in by_leader {
            let request = request(&self.topic.name, partitions);
            let sent = self
                .cluster
                .node(leader)
                .and_then(|node| node.send(&request));
            pending.push((leader, sent));
        }
        let mut fetched = Vec::new();
        let mut first_error = None;
        for (leader, sent) in pending {
            match sent.and_then(|sent| self.receive(leader, sent, &mut fetched)) {
                Ok(()) => {}
                Err(error) => {
                    self.cluster.forget(leader);
                    first_error = first_error.or(Some(error));
                }
            }
        }
        first_error.map_or(Ok(fetched), Err)
    }

    fn receive(
        &mut self,
        leader: i32,
        sent: crate::client::Pending,
        fetched: &mut Vec<Fetched>,
    ) -> Result<()> {
        let response = self
            .cluster
            .node(leader)?
            .receive::<FetchRequest<'_>>(sent)?;
        check(response.error_code, "fetch", None)?;
        for topic in &response.responses {
            for part in &topic.partitions {
                fetched.push(Fetched {
                    partition: part.partition_index,
                    code: part.error_code,
                    high_watermark: part.high_watermark,
                    log_start: part.log_start_offset,
                    records: part.records.unwrap_or_default().to_vec(),
                });
            }
        }
        Ok(())
    }

    fn failed(&mut self, part: &Fetched) -> Result<()> {
        let object = format!("topic {} partition {}", self.topic.name, part.partition);
        let position = self.positions.get(&part.partition).copied().unwrap_or(-1);
        if part.code == 1 {
            bail!(
                "{object}: offset {position} is outside [{}, {}]; choose another --from",
                part.log_start,
                part.high_watermark
            );
        }
        let error = check(part.code, &format!("{object} at offset {position}"), None);
        match error {
            Err(error) if is_retriable(part.code) => self.wait_after(error),
            other => other,
        }
    }

    /// Waits and learns the leaders anew; gives the error up after the timeout.
    fn wait_after(&mut self, error: anyhow::Error) -> Result<()> {
        let since = *self.failing_since.get_or_insert_with(Instant::now);
        if since.elapsed() > self.cluster.timeout() {
            return Err(error);
        }
        thread::sleep(RETRY_INTERVAL);
        if let Ok(topic) = self.cluster.topic(&self.topic.name, false) {
            self.topic.leaders = topic.leaders;
        }
        Ok(())
    }

    /// Shows the records of whole batches; `false` when `show` had enough.
    fn walk(
        &mut self,
        part: &Fetched,
        show: &mut impl FnMut(Consumed<'_>) -> Result<bool>,
    ) -> Result<bool> {
        let partition = part.partition;
        let mut rest = part.records.as_slice();
        let mut opened = Vec::new();
        while let Some(batch) = first_batch(rest) {
            let header = Header::parse(batch)?;
            rest = &rest[batch.len()..];
            let start = self.positions.get(&partition).copied().unwrap_or(i64::MAX);
            let end = self.ends.get(&partition).copied().unwrap_or(i64::MAX);
            if header.end_offset() <= start {
                continue;
            }
            let mut reached = start;
            let shown = show_batch(&header, batch, &mut opened, |record| {
                if !(start..end).contains(&record.offset) {
                    return Ok(true);
                }
                reached = record.offset + 1;
                show(Consumed { partition, record })
            });
            let place = || {
                format!(
                    "partition {partition} batch at offset {}",
                    header.base_offset
                )
            };
            let wants_more = shown.with_context(place)?;
            let next = if wants_more {
                header.end_offset().min(end)
            } else {
                reached
            };
            self.positions.insert(partition, next);
            if !wants_more {
                return Ok(false);
            }
        }
        if rest.len() == part.records.len() && !rest.is_empty() {
            // KAFKA: the first batch comes whole, whatever the limits are.
            bail!(
                "partition {partition}: the broker sent {} bytes of a batch only",
                rest.len()
            );
        }
        Ok(true)
    }
}

/// Shows a batch's records, if its bytes are right and they are a client's; `false` when `show`
/// had enough.
fn show_batch(
    header: &Header,
    batch: &[u8],
    opened: &mut Vec<u8>,
    mut show: impl FnMut(Record<'_>) -> Result<bool>,
) -> Result<bool> {
    if crc(batch) != header.crc {
        bail!("its crc does not match; the bytes changed on disk or on the way");
    }
    if header.is_control() {
        return Ok(true);
    }
    for record in Records::new(header, open(header, batch, opened)?) {
        if !show(record?)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The first batch, if all of it is there.
fn first_batch(bytes: &[u8]) -> Option<&[u8]> {
    let header = Header::parse(bytes).ok()?;
    bytes.get(..header.batch_bytes as usize)
}

fn open<'a>(header: &Header, batch: &'a [u8], opened: &'a mut Vec<u8>) -> Result<&'a [u8]> {
    match header.compression() {
        Some(Compression::None) => Ok(payload(batch)),
        Some(codec) => {
            opened.clear();
            decompress(codec, payload(batch), OPENED_BYTES_MAX, opened)?;
            Ok(opened)
        }
        None => bail!("its compression is unknown; use a newer tool"),
    }
}

fn request(topic: &str, partitions: Vec<FetchPartition>) -> FetchRequest<'_> {
    FetchRequest {
        replica_id: -1,
        max_wait_ms: WAIT_MS_MAX,
        min_bytes: 1,
        max_bytes: FETCH_BYTES_MAX,
        isolation_level: 0,
        session_id: 0,
        session_epoch: -1,
        topics: [FetchTopic {
            topic,
            partitions: partitions.into(),
        }]
        .into(),
        ..FetchRequest::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millrace_engine::record_batch::builder::BatchBuilder;

    #[test]
    fn a_part_of_a_batch_is_left_for_the_next_fetch() {
        let mut builder = BatchBuilder::default();
        builder.push(0, None, Some(b"one"), &[]);
        let batch = builder.build().unwrap();
        for end in 0..batch.len() {
            assert_eq!(first_batch(&batch[..end]), None, "{end}");
        }
        let more = [batch.as_slice(), &batch[..30]].concat();
        assert_eq!(first_batch(&more), Some(batch.as_slice()));
    }
}
