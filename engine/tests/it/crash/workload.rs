//! What clients do between two crashes.

use super::machine_off::checkpoint_path;
use super::oracle::{Asked, Log, Recent, Sent, compacted, config};
use super::run::{Halt, Node, Run};
use millrace_engine::ids::{PartitionHandle, TopicId};
use millrace_engine::io::simulated::{DiskFault, FaultTarget, ScriptedFault};
use millrace_engine::partition::{AppendError, Appended, BatchBytes, Durability, PartitionSpec};
use millrace_engine::record_batch::Compression;
use millrace_engine::record_batch::builder::{self, BatchBuilder};
use millrace_engine::shard::ControlError;
use std::rc::Rc;

/// Batches without an answer that an idempotent client has at most.
const UNANSWERED_MAX: usize = 5;

impl Run {
    /// Does about `actions` things, with turns and events in between.
    pub(super) fn work(&mut self, actions: u32) -> Result<(), Halt> {
        if self.random.chance(1, 2) {
            self.draw_faults();
        }
        self.is_flood = self.random.chance(1, 3);
        if self.is_flood {
            self.hold_up_a_checkpoint();
        }
        let idle_from = if self.random.chance(1, 3) {
            actions / 3
        } else {
            actions
        };
        for action in 0..actions {
            if action == idle_from {
                self.busy = self.pick_partition();
            }
            for _ in 0..1 + self.random.below(4) {
                self.act()?;
            }
            self.turn_all()?;
            for _ in 0..self.random.below(6) {
                self.world.step();
            }
            if self.nodes.iter().any(|node| node.is_stopped) {
                break;
            }
        }
        Ok(())
    }

    /// One life in sixteen has a disk that fails now and then.
    fn draw_faults(&mut self) {
        let rate = if self.random.chance(1, 16) { 2_000 } else { 0 };
        let interruptions = if self.random.chance(1, 8) { 10_000 } else { 0 };
        self.set_faults(rate, interruptions);
    }

    /// One of the next writes of a checkpoint copy takes so long that the ring may come round.
    fn hold_up_a_checkpoint(&mut self) {
        let journal = self.random.below(self.journals.len() as u64) as usize;
        let letter = if self.random.chance(1, 2) { 'A' } else { 'B' };
        self.world.script(ScriptedFault {
            target: FaultTarget::Write,
            path: Some(checkpoint_path(self.journals[journal].id, letter)),
            skip: self.random.below(3) as u32,
            fault: DiskFault::Stall(60_000_000),
        });
    }

    pub(super) fn heal_disk(&mut self) {
        self.set_faults(0, 0);
    }

    fn set_faults(&mut self, rate: u32, interruptions: u32) {
        let faults = self.world.counters().disk_faults;
        self.failed_writes_from = (rate > 0 && interruptions == 0).then_some(faults);
        self.world.configure(|config| {
            config.disk.write_error_per_million = rate;
            config.disk.short_write_per_million = rate;
            config.disk.interrupted_per_million = interruptions;
        });
    }

    fn act(&mut self) -> Result<(), Halt> {
        let Some(handle) = self.pick_partition() else {
            return self.create();
        };
        if self.is_flood && self.random.chance(3, 4) {
            return self.append_new(handle, 5_000..15_000);
        }
        match self.random.below(100) {
            0..=4 if self.oracle.logs.len() < 5 * self.nodes.len() => self.create(),
            5 => self.delete(handle),
            6..=9 => self.advance_log_start(handle),
            10..=12 => self.put_registry(),
            13..=17 => self.read_back(handle),
            18..=24 => self.send_again(handle),
            25..=34 => self.append_new(handle, 4_000..60_000),
            35..=37 => self.append_new(handle, 60_000..90_000),
            _ => self.append_new(handle, 10..3_000),
        }
    }

    fn pick_partition(&mut self) -> Option<PartitionHandle> {
        let mut open = self
            .oracle
            .logs
            .iter()
            .filter(|(_, log)| !log.is_delete_asked);
        let is_busy = |handle: PartitionHandle| open.clone().any(|(&other, _)| other == handle);
        if let Some(busy) = self.busy
            && is_busy(busy)
            && self.random.chance(31, 32)
        {
            return Some(busy);
        }
        let count = open.clone().count() as u64;
        let nth = self.random.below(count) as usize;
        open.nth(nth).map(|(&handle, _)| handle)
    }

    fn create(&mut self) -> Result<(), Halt> {
        let handle = PartitionHandle(self.next_handle);
        self.next_handle += 1;
        let durability = match self.random.below(10) {
            0 => Durability::Memory,
            1 | 2 => Durability::Written,
            _ => Durability::Disk,
        };
        let retention_bytes = if self.random.chance(1, 3) {
            150_000
        } else {
            -1
        };
        let mut topic_id = [0; 16];
        topic_id[..8].copy_from_slice(&handle.0.to_le_bytes());
        let spec = PartitionSpec {
            handle,
            topic_id: TopicId(topic_id),
            index: (handle.0 % 7) as i32,
            // By its number, so that no seed draws anything else for it.
            config: match handle.0 % 3 {
                1 => compacted(),
                _ => config(durability, retention_bytes),
            },
        };
        let index = self.random.below(self.nodes.len() as u64) as usize;
        let ticket = self.ticket(Asked::Create(handle));
        let node = &mut self.nodes[index];
        node.is_asked = true;
        match node
            .shard
            .create_partition(&mut node.io, spec.clone(), ticket)
        {
            Ok(()) => {
                self.home.insert(handle, index);
                self.oracle.logs.insert(handle, Log::new(spec));
                Ok(())
            }
            Err(error) => self.refused(ticket.0, error),
        }
    }

    fn delete(&mut self, handle: PartitionHandle) -> Result<(), Halt> {
        let ticket = self.ticket(Asked::Delete(handle));
        let node = self.node_of(handle);
        match node.shard.delete_partition(&mut node.io, handle, ticket) {
            Ok(()) => {
                if let Some(log) = self.oracle.logs.get_mut(&handle) {
                    log.is_delete_asked = true;
                }
                Ok(())
            }
            Err(error) => self.refused(ticket.0, error),
        }
    }

    fn refused(&mut self, ticket: u64, error: ControlError) -> Result<(), Halt> {
        self.oracle.asked.remove(&ticket);
        let is_expected = matches!(
            error,
            ControlError::DiskFull | ControlError::Stopped | ControlError::TooManyPartitions(_)
        );
        match is_expected || self.world.is_crashed() {
            true => Ok(()),
            false => Err(Halt::Wrong(format!("a change was refused: {error}"))),
        }
    }

    fn advance_log_start(&mut self, handle: PartitionHandle) -> Result<(), Halt> {
        let offsets = self.offsets_of(handle)?;
        let room = offsets.high_watermark - offsets.log_start;
        let offset = offsets.log_start + self.random.below(room as u64 + 1) as i64;
        let ticket = self.ticket(Asked::LogStart { handle, offset });
        if let Some(log) = self.oracle.logs.get_mut(&handle) {
            log.log_start_asked = log.log_start_asked.max(offset);
        }
        let node = self.node_of(handle);
        match node
            .shard
            .advance_log_start(&mut node.io, handle, offset, ticket)
        {
            Ok(()) => Ok(()),
            Err(error) => self.refused(ticket.0, error),
        }
    }

    fn put_registry(&mut self) -> Result<(), Halt> {
        let key = self.random.below(6) as u8;
        let length = self.random.below(300) as usize;
        let value = (!self.random.chance(1, 4)).then(|| vec![self.random.bits() as u8; length]);
        let values = self.oracle.registry.entry(key).or_default();
        if values.versions.is_empty() {
            values.versions.push(None);
        }
        values.versions.push(value.clone());
        let version = values.versions.len() - 1;
        let ticket = self.ticket(Asked::Registry { key, version });
        let index = usize::from(key) % self.nodes.len();
        let Node {
            shard, is_asked, ..
        } = &mut self.nodes[index];
        *is_asked = true;
        let put = shard.registry_put(PartitionHandle(0), &[key], value.as_deref(), ticket);
        match put {
            Ok(()) => Ok(()),
            Err(error) => {
                if let Some(values) = self.oracle.registry.get_mut(&key) {
                    values.versions.pop();
                }
                self.refused(ticket.0, error)
            }
        }
    }

    /// Reads a stretch and compares it with what was sent.
    fn read_back(&mut self, handle: PartitionHandle) -> Result<(), Halt> {
        let offsets = self.offsets_of(handle)?;
        let room = offsets.high_watermark - offsets.log_start;
        if room == 0 {
            return Ok(());
        }
        let from = offsets.log_start + self.random.below(room as u64) as i64;
        let found = match self.read_from(handle, from, offsets.high_watermark) {
            // Retention or an advanced log start may overtake the reader.
            Err(Halt::Wrong(_)) if self.is_behind_log_start(handle, from) => return Ok(()),
            Err(Halt::Refused(_)) => return Ok(()),
            found => found?,
        };
        let log = &self.oracle.logs[&handle];
        for (base_offset, bytes) in found {
            let sent = log
                .batches
                .iter()
                .find(|sent| sent.base_offset == base_offset);
            match sent {
                Some(sent) => log
                    .check_stored(sent, &bytes)
                    .map_err(|problem| format!("{handle:?} while running: {problem}"))?,
                None if base_offset < log.log_start => {}
                None => {
                    let problem = format!("{handle:?}: a batch at {base_offset} was never sent");
                    return Err(Halt::Wrong(problem));
                }
            }
        }
        Ok(())
    }

    fn is_behind_log_start(&mut self, handle: PartitionHandle, offset: i64) -> bool {
        let offsets = self.node_of(handle).shard.offsets(handle);
        offsets.is_none_or(|offsets| offset < offsets.log_start)
    }

    fn append_new(
        &mut self,
        handle: PartitionHandle,
        bytes: std::ops::Range<u64>,
    ) -> Result<(), Halt> {
        let producer_id = match self.random.chance(1, 2) {
            true => Some(self.random.below(3) as i64 + 500),
            false => None,
        };
        let records = 1 + self.random.below(4) as usize;
        let value_bytes = self.random.within(&bytes) as usize / records;
        let log = self.oracle.logs.get_mut(&handle);
        let producers = &mut log.ok_or_else(|| "picked from it".to_owned())?.producers;
        let mut producer = None;
        if let Some(id) = producer_id {
            let known = producers.entry(id).or_default();
            // A client first sends again what an earlier process left without an answer.
            if let Some(orphan) = known.recent.iter().find(|recent| recent.is_orphan) {
                let (base_offset, bytes) = (orphan.base_offset, Rc::clone(&orphan.bytes));
                return self.repeat(handle, base_offset, &bytes);
            }
            let unanswered = known.recent.iter().filter(|recent| !recent.is_answered);
            if unanswered.count() < UNANSWERED_MAX {
                producer = Some((id, known.next_sequence));
            }
        }
        let bytes = Rc::new(self.make_batch(producer, records, value_bytes));
        let Some((appended, epoch)) = self.append(handle, &bytes)? else {
            return Ok(());
        };
        if appended.is_duplicate {
            let problem = format!("{handle:?}: a new batch was taken for a duplicate");
            return Err(Halt::Wrong(problem));
        }
        let log = &self.oracle.logs[&handle];
        let end = log.log_end().max(log.durable_end);
        let floor = match log.batches.back() {
            Some(last) => last.end_offset,
            None => end,
        };
        let is_dense = log.durability() == Durability::Disk;
        let is_wrong = appended.base_offset < floor
            || (is_dense && appended.base_offset != end)
            || appended.end_offset != appended.base_offset + records as i64;
        if is_wrong {
            let problem = format!("{handle:?}: {appended:?} behind a log end of {end}");
            return Err(Halt::Wrong(problem));
        }
        self.sent(
            handle,
            Sent {
                base_offset: appended.base_offset,
                end_offset: appended.end_offset,
                leader_epoch: epoch,
                bytes: Rc::clone(&bytes),
            },
        );
        if let (Some((id, sequence)), Some(log)) = (producer, self.oracle.logs.get_mut(&handle)) {
            let producer = log.producers.entry(id).or_default();
            producer.next_sequence = sequence + records as i32;
            producer.recent.push_back(Recent {
                base_sequence: sequence,
                base_offset: appended.base_offset,
                end_offset: appended.end_offset,
                bytes,
                is_answered: appended.is_acked,
                is_orphan: false,
            });
        }
        Ok(())
    }

    /// A client that saw no answer sends its last batch again: it must not be there twice.
    fn send_again(&mut self, handle: PartitionHandle) -> Result<(), Halt> {
        let log = &self.oracle.logs[&handle];
        let mut recent = Vec::new();
        for producer in log.producers.values() {
            let unanswered = producer.recent.iter().filter(|recent| !recent.is_answered);
            recent.extend(unanswered.chain(producer.recent.back()).cloned());
        }
        if recent.is_empty() {
            return Ok(());
        }
        let nth = self.random.below(recent.len() as u64) as usize;
        let Recent {
            base_offset, bytes, ..
        } = recent.swap_remove(nth);
        self.repeat(handle, base_offset, &bytes)
    }

    /// Sends a batch that is there already.
    fn repeat(
        &mut self,
        handle: PartitionHandle,
        base_offset: i64,
        bytes: &[u8],
    ) -> Result<(), Halt> {
        log::debug!("{handle:?} gets the batch of {base_offset} again");
        let Some((appended, _)) = self.append(handle, bytes)? else {
            return Ok(());
        };
        self.coverage.duplicates += 1;
        let producers = self
            .oracle
            .logs
            .get_mut(&handle)
            .map(|log| &mut log.producers);
        let recent = producers
            .into_iter()
            .flatten()
            .flat_map(|(_, producer)| &mut producer.recent);
        for recent in recent.filter(|recent| recent.base_offset == base_offset) {
            recent.is_orphan = false;
        }
        match appended.is_duplicate && appended.base_offset == base_offset {
            true => Ok(()),
            false => {
                let problem = format!("sent again after {base_offset}, became {appended:?}");
                Err(Halt::Wrong(format!("{handle:?}: {problem}")))
            }
        }
    }

    /// Appends; `None` when the engine may refuse and did.
    fn append(
        &mut self,
        handle: PartitionHandle,
        bytes: &[u8],
    ) -> Result<Option<(Appended, i32)>, Halt> {
        let use_slab = bytes.len() > 4096 && self.random.chance(2, 3);
        let ticket = self.ticket(Asked::Append {
            handle,
            end_offset: 0,
        });
        let node = self.node_of(handle);
        let epoch = node
            .shard
            .offsets(handle)
            .map_or(-1, |offsets| offsets.leader_epoch);
        let remainder = node.shard.append_remainder(handle);
        let mut slab = match use_slab {
            true => node.io.arena().alloc(remainder + bytes.len()),
            false => None,
        };
        if let Some(slab) = &mut slab {
            slab.skip(remainder);
            slab.extend_from_slice(bytes);
        }
        let batch = match slab {
            Some(_) => BatchBytes::Slab(&mut slab),
            None => BatchBytes::Copy(bytes),
        };
        let appended = node.shard.append(&mut node.io, handle, batch, ticket);
        match appended {
            Ok(appended) => {
                log::debug!(
                    "{handle:?} {ticket:?} takes {} bytes: {appended:?}",
                    bytes.len()
                );
                let asked = Asked::Append {
                    handle,
                    end_offset: appended.end_offset,
                };
                self.oracle.asked.insert(ticket.0, asked);
                if appended.is_acked {
                    self.oracle.asked.remove(&ticket.0);
                    self.oracle.acked(asked);
                }
                Ok(Some((appended, epoch)))
            }
            Err(error) => {
                self.oracle.asked.remove(&ticket.0);
                let is_expected = matches!(
                    error,
                    AppendError::NoMemory { .. } | AppendError::DiskFull | AppendError::Stopped
                );
                match is_expected || self.world.is_crashed() {
                    true => Ok(None),
                    false => Err(Halt::Wrong(format!("{handle:?}: refused: {error}"))),
                }
            }
        }
    }

    /// Bytes that no other batch of the run has.
    fn make_batch(
        &mut self,
        producer: Option<(i64, i32)>,
        records: usize,
        value_bytes: usize,
    ) -> Vec<u8> {
        self.batches_made += 1;
        let mut builder = BatchBuilder::new(Compression::None);
        builder.set_producer(producer.map(|(id, base_sequence)| builder::Producer {
            id,
            epoch: 0,
            base_sequence,
        }));
        let mut value = vec![0; value_bytes];
        self.random.fill(&mut value);
        for record in 0..records as u64 {
            let key = (self.batches_made * 7 + record * 3) % 16;
            let key = key.to_le_bytes();
            let timestamp = 1_700_000_000_000 + self.batches_made as i64;
            builder.push(timestamp, Some(&key), Some(&value), &[]);
        }
        builder.build().unwrap()
    }
}
