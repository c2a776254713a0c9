//! What the engine promised: an account of everything sent and answered, kept outside of it.
//!
//! After a crash the account says what must be there, what may be there, and what must not; once
//! a recovery was seen, what it showed must stay.

use super::compacted::{check_kept, check_newest};
use millrace_engine::ids::{PartitionHandle, TopicId};
use millrace_engine::io::simulated::Crash;
use millrace_engine::partition::{
    CompactionConfig, Durability, LogOffsets, PartitionConfig, PartitionSpec,
};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

/// How the last process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Crashed(Crash),
    /// A clean stop was completed; nothing at all may be missing.
    Stopped,
    /// The same, and then starts that crashed before they could be looked at.
    StoppedThenCrashed,
}

impl Ending {
    /// What the next check has to do with when a start after `self` crashed unseen.
    pub(super) const fn then_crashed(self, crash: Crash) -> Self {
        match (self, crash) {
            (Self::Stopped | Self::StoppedThenCrashed, _) => Self::StoppedThenCrashed,
            (Self::Crashed(Crash::Kill), crash) => Self::Crashed(crash),
            (Self::Crashed(Crash::PowerCut), _) => self,
        }
    }
}

/// One batch as it was sent.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) base_offset: i64,
    pub(super) end_offset: i64,
    pub(super) leader_epoch: i32,
    pub(super) bytes: Rc<Vec<u8>>,
}

/// A producer as its client sees it.
#[derive(Clone, Debug, Default)]
pub(super) struct Producer {
    pub(super) next_sequence: i32,
    /// Its batches, oldest first.
    pub(super) recent: VecDeque<Recent>,
}

/// A batch that a client may have to send again.
#[derive(Clone, Debug)]
pub(super) struct Recent {
    pub(super) base_sequence: i32,
    pub(super) base_offset: i64,
    pub(super) end_offset: i64,
    pub(super) bytes: Rc<Vec<u8>>,
    pub(super) is_answered: bool,
    /// It was sent to an earlier process that did not answer, and not again since.
    pub(super) is_orphan: bool,
}

/// One partition's account.
#[derive(Clone, Debug)]
pub(super) struct Log {
    pub(super) spec: PartitionSpec,
    pub(super) is_created: bool,
    pub(super) is_delete_asked: bool,
    pub(super) is_deleted: bool,
    /// Batches in order, those below the log start removed.
    pub(super) batches: VecDeque<Sent>,
    /// A log start that holds for ever.
    pub(super) log_start: i64,
    /// The highest one asked for.
    pub(super) log_start_asked: i64,
    /// End of what a finished recovery, or the durable end, showed.
    pub(super) durable_end: i64,
    /// End of what was acknowledged or readable.
    pub(super) exposed_end: i64,
    pub(super) producers: BTreeMap<i64, Producer>,
}

/// What an event answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Append {
        handle: PartitionHandle,
        end_offset: i64,
    },
    Create(PartitionHandle),
    Delete(PartitionHandle),
    LogStart {
        handle: PartitionHandle,
        offset: i64,
    },
    Registry {
        key: u8,
        version: usize,
    },
    Read,
}

/// The values that a registry key had: the last one known durable, then those asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Values {
    pub(super) versions: Vec<Option<Vec<u8>>>,
    pub(super) durable: usize,
}

/// The whole account of one shard.
#[derive(Debug, Default)]
pub(super) struct Oracle {
    pub(super) logs: BTreeMap<PartitionHandle, Log>,
    pub(super) registry: BTreeMap<u8, Values>,
    pub(super) asked: BTreeMap<u64, Asked>,
    pub(super) acked_batches: u64,
}

impl Log {
    pub(super) fn new(spec: PartitionSpec) -> Self {
        Self {
            spec,
            is_created: false,
            is_delete_asked: false,
            is_deleted: false,
            batches: VecDeque::new(),
            log_start: 0,
            log_start_asked: 0,
            durable_end: 0,
            exposed_end: 0,
            producers: BTreeMap::new(),
        }
    }

    pub(super) fn durability(&self) -> Durability {
        self.spec.config.durability
    }

    pub(super) fn has_retention(&self) -> bool {
        self.spec.config.retention_bytes >= 0 || self.spec.config.retention_ms >= 0
    }

    pub(super) fn log_end(&self) -> i64 {
        self.batches
            .back()
            .map_or(self.log_start, |batch| batch.end_offset)
    }

    /// Takes note of offsets that the running shard shows.
    pub(super) fn observe(&mut self, offsets: &LogOffsets) {
        let handle = self.spec.handle;
        let LogOffsets {
            log_start,
            last_stable,
            high_watermark,
            durable_end,
            log_end,
            ..
        } = *offsets;
        assert!(log_start <= last_stable, "{handle:?}: {offsets:?}");
        assert!(last_stable <= high_watermark, "{handle:?}: {offsets:?}");
        assert!(high_watermark <= log_end, "{handle:?}: {offsets:?}");
        assert!(durable_end <= log_end, "{handle:?}: {offsets:?}");
        self.exposed_end = self.exposed_end.max(high_watermark);
        self.durable_end = self.durable_end.max(durable_end);
        self.moved_log_start(log_start);
    }

    pub(super) fn moved_log_start(&mut self, log_start: i64) {
        self.log_start = self.log_start.max(log_start);
        self.log_start_asked = self.log_start_asked.max(self.log_start);
        while self
            .batches
            .front()
            .is_some_and(|batch| batch.end_offset <= self.log_start)
        {
            self.batches.pop_front();
        }
    }

    /// The end below which everything must have survived.
    fn kept_end(&self, ending: Ending) -> i64 {
        let is_exposed_kept = match (self.durability(), ending) {
            (_, Ending::Stopped | Ending::StoppedThenCrashed) => return self.log_end(),
            (Durability::Disk, _) => true,
            (Durability::Written, Ending::Crashed(crash)) => crash == Crash::Kill,
            (Durability::Memory | Durability::Null, _) => false,
        };
        match is_exposed_kept {
            true => self.exposed_end.max(self.durable_end),
            false => self.durable_end,
        }
    }

    /// Compares a recovered log with the account, then takes it as the truth. `found` are its
    /// batches from the log start on.
    pub(super) fn check_recovered(
        &mut self,
        ending: Ending,
        offsets: &LogOffsets,
        found: &[(i64, Vec<u8>)],
    ) -> Result<(), String> {
        let kept_end = self.kept_end(ending);
        self.check_log_start(offsets)?;
        self.moved_log_start(offsets.log_start);
        let survivors = self.check_batches(found)?;
        let lost_from = self.batches.get(survivors).map(|batch| batch.base_offset);
        if let Some(lost) = lost_from.filter(|&lost| lost < kept_end) {
            return Err(format!(
                "offset {lost} is lost, all below {kept_end} was promised"
            ));
        }
        self.batches.truncate(survivors);
        let end = self.log_end().max(offsets.log_start);
        let is_dense = self.durability() == Durability::Disk || ending == Ending::Stopped;
        if offsets.log_end != end && (is_dense || offsets.log_end < end) {
            return Err(format!(
                "log end {} behind batches up to {end}",
                offsets.log_end
            ));
        }
        if offsets.log_end < self.exposed_end {
            return Err(format!(
                "log end {} would give out again offsets that were seen up to {}",
                offsets.log_end, self.exposed_end
            ));
        }
        if offsets.high_watermark != offsets.log_end {
            return Err(format!("not everything recovered is readable: {offsets:?}"));
        }
        self.forget_lost_sequences();
        self.is_created = true;
        self.exposed_end = offsets.log_end;
        self.durable_end = self.log_end();
        Ok(())
    }

    fn check_log_start(&self, offsets: &LogOffsets) -> Result<(), String> {
        let most = match self.has_retention() {
            true => self.log_end().max(self.exposed_end),
            false => self.log_start_asked,
        };
        match (self.log_start..=most).contains(&offsets.log_start) {
            true => Ok(()),
            false => Err(format!(
                "log start {} is not in [{}, {most}]",
                offsets.log_start, self.log_start
            )),
        }
    }

    /// How many batches of the account are there; they must be a prefix.
    fn check_batches(&self, found: &[(i64, Vec<u8>)]) -> Result<usize, String> {
        if self.is_compacted() {
            return self.check_compacted(found);
        }
        for (index, (base_offset, bytes)) in found.iter().enumerate() {
            let Some(sent) = self.batches.get(index) else {
                return Err(format!("a batch at {base_offset} was never sent"));
            };
            if sent.base_offset != *base_offset {
                let wanted = sent.base_offset;
                return Err(format!("batch at {base_offset} where {wanted} was sent"));
            }
            check_bytes(sent, bytes)?;
        }
        Ok(found.len())
    }

    /// The same of a compacted log: batches may be missing, and records in them, but for the last
    /// batch and the newest record of every key.
    fn check_compacted(&self, found: &[(i64, Vec<u8>)]) -> Result<usize, String> {
        let mut survivors = 0;
        for (base_offset, bytes) in found {
            let behind = self.batches.range(survivors..);
            let nth = behind.clone().position(|it| it.base_offset == *base_offset);
            let nth = nth.ok_or_else(|| format!("a batch at {base_offset} was never sent"))?;
            check_kept(&self.batches[survivors + nth], bytes)?;
            survivors += nth + 1;
        }
        check_newest(self.batches.range(..survivors), found, self.log_start)?;
        Ok(survivors)
    }

    pub(super) const fn is_compacted(&self) -> bool {
        self.spec.config.compaction.is_some()
    }

    /// Whether stored bytes are what may have become of a batch.
    pub(super) fn check_stored(&self, sent: &Sent, bytes: &[u8]) -> Result<(), String> {
        match self.is_compacted() {
            true => check_kept(sent, bytes),
            false => check_bytes(sent, bytes),
        }
    }

    fn answered(&mut self, end_offset: i64) {
        let recent = self
            .producers
            .values_mut()
            .flat_map(|producer| &mut producer.recent);
        for recent in recent.filter(|recent| recent.end_offset == end_offset) {
            recent.is_answered = true;
        }
    }

    /// Sequences above the last surviving one of each producer were lost with their batches.
    fn forget_lost_sequences(&mut self) {
        let end = self.log_end();
        for producer in self.producers.values_mut() {
            while let Some(recent) = producer.recent.back()
                && recent.base_offset >= end
            {
                producer.next_sequence = recent.base_sequence;
                producer.recent.pop_back();
            }
            for recent in &mut producer.recent {
                recent.is_orphan = !recent.is_answered;
            }
        }
    }
}

/// Whether stored bytes are what was sent, but for the two fields that the log gives.
fn check_bytes(sent: &Sent, bytes: &[u8]) -> Result<(), String> {
    let mut wanted = sent.bytes.as_ref().clone();
    millrace_engine::record_batch::patch(&mut wanted, sent.base_offset, sent.leader_epoch);
    match wanted == bytes {
        true => Ok(()),
        false => Err(format!(
            "the batch at {} was changed: {} bytes sent, {} read, first difference at {:?}",
            sent.base_offset,
            wanted.len(),
            bytes.len(),
            wanted.iter().zip(bytes).position(|(a, b)| a != b),
        )),
    }
}

impl Oracle {
    /// Takes note of a promise.
    pub(super) fn acked(&mut self, asked: Asked) {
        match asked {
            Asked::Append { handle, end_offset } => {
                self.acked_batches += 1;
                if let Some(log) = self.logs.get_mut(&handle) {
                    log.exposed_end = log.exposed_end.max(end_offset);
                    log.answered(end_offset);
                }
            }
            Asked::Create(handle) => {
                if let Some(log) = self.logs.get_mut(&handle) {
                    log.is_created = true;
                }
            }
            Asked::Delete(handle) => {
                if let Some(log) = self.logs.get_mut(&handle) {
                    log.is_deleted = true;
                }
            }
            Asked::LogStart { handle, offset } => {
                if let Some(log) = self.logs.get_mut(&handle) {
                    log.moved_log_start(offset);
                }
            }
            Asked::Registry { key, version } => {
                let values = self.registry.entry(key).or_default();
                values.durable = values.durable.max(version);
            }
            Asked::Read => {}
        }
    }

    /// Compares the set of partitions after a recovery with the account.
    pub(super) fn check_partitions(
        &mut self,
        ending: Ending,
        found: &[(PartitionHandle, TopicId, i32)],
    ) -> Result<(), String> {
        for (handle, topic_id, index) in found {
            let Some(log) = self.logs.get(handle) else {
                return Err(format!(
                    "{handle:?} was never created, or its deletion was seen"
                ));
            };
            if log.is_deleted {
                return Err(format!(
                    "{handle:?} is back after its deletion was acknowledged"
                ));
            }
            if log.spec.topic_id != *topic_id || log.spec.index != *index {
                return Err(format!("{handle:?} has another name"));
            }
        }
        let is_there = |handle: &PartitionHandle| found.iter().any(|found| found.0 == *handle);
        for (handle, log) in &self.logs {
            let must_be = log.is_created || !matches!(ending, Ending::Crashed(_));
            if must_be && !log.is_delete_asked && !is_there(handle) {
                return Err(format!("{handle:?} is gone"));
            }
        }
        self.logs.retain(|handle, _| is_there(handle));
        for log in self.logs.values_mut() {
            log.is_delete_asked = false;
        }
        Ok(())
    }

    /// Compares the registry after a recovery with the account.
    pub(super) fn check_registry(&mut self, found: &BTreeMap<u8, Vec<u8>>) -> Result<(), String> {
        for key in found.keys() {
            if !self.registry.contains_key(key) {
                return Err(format!("registry key {key} was never put"));
            }
        }
        for (key, values) in &mut self.registry {
            let value = found.get(key).cloned();
            let allowed = &values.versions[values.durable..];
            if !allowed.contains(&value) {
                return Err(format!(
                    "registry key {key} has {value:?}, not one of {allowed:?}"
                ));
            }
            values.versions = vec![value];
            values.durable = 0;
        }
        Ok(())
    }
}

/// Settings of a test partition.
pub(super) fn config(durability: Durability, retention_bytes: i64) -> PartitionConfig {
    PartitionConfig {
        durability,
        segment_bytes: 96 << 10,
        segment_ms: i64::MAX,
        retention_bytes,
        retention_ms: -1,
        flush_messages: u64::MAX,
        flush_ms: 5,
        batch_bytes_max: 1 << 20,
        producer_expiration_ms: i64::MAX,
        is_log_append_time: false,
        compaction: None,
    }
}

/// The same of a compacted one.
pub(super) fn compacted() -> PartitionConfig {
    PartitionConfig {
        compaction: Some(CompactionConfig {
            dirty_ratio_ppm: 100_000,
            lag_ms_min: 0,
            lag_ms_max: i64::MAX,
            delete_retention_ms: i64::MAX / 2,
        }),
        ..config(Durability::Disk, -1)
    }
}
