//! A partition with a disk, a journal and a model, each as simple as can be. The disk performs
//! writes in any order; a crash keeps a prefix of the journal and tears what was in flight.

mod reading;
mod recovery;

use super::super::*;
use crate::ids::{PartitionHandle, TopicId};
use crate::io::arena::{Arena, ArenaSlice};
use crate::record_batch::Header;
use crate::segment::file_format::SegmentIdentity;
use std::collections::BTreeMap;

const BLOCK: u64 = BLOCK_BYTES;

#[derive(Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xD1B5_4A32_D192_ED03)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        (self.next() >> 11) % bound
    }

    pub(super) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// What one commit held of the partition.
#[derive(Debug, Clone)]
pub(super) enum Item {
    Entry(Box<OwnedEntry>),
    Control(Vec<u8>),
}

#[derive(Debug, Clone)]
pub(super) struct OwnedEntry {
    pub(super) base_offset: i64,
    pub(super) end_offset: i64,
    leader_epoch: i32,
    file: FileId,
    generation: u32,
    pub(super) position: u64,
    length: u64,
    pub(super) placed: Range<u64>,
    placed_crcs: Vec<u32>,
    descriptors: Vec<BatchDescriptor>,
    pub(super) image: Vec<u8>,
    inline: Vec<u8>,
    ceiling: Option<i64>,
}

pub(super) fn bytes_of(parts: &[ArenaSlice]) -> Vec<u8> {
    parts.iter().flat_map(|part| part.to_vec()).collect()
}

#[derive(Debug, Default, Clone)]
pub(super) struct Counts {
    pub(super) placed: u64,
    pub(super) images: u64,
    pub(super) rolls: u64,
    pub(super) torn: u64,
    pub(super) disk_reads: u64,
    pub(super) index_reads: u64,
    pub(super) tail_blocks: u64,
    pub(super) duplicates: u64,
    pub(super) checkpoints: u64,
    pub(super) dropped: u64,
    pub(super) slabs: u64,
    pub(super) splits: u64,
}

pub(super) struct Rig {
    pub(super) arena: Arena,
    pub(super) partition: Partition,
    pub(super) random: Random,
    pub(super) seg: BTreeMap<FileId, Vec<u8>>,
    pub(super) idx: BTreeMap<FileId, Vec<u8>>,
    prepared: BTreeMap<FileId, u64>,
    pub(super) in_flight: Vec<SegmentWrite>,
    pub(super) journal: Vec<(u64, Item)>,
    checkpoint: Option<Vec<u8>>,
    checkpoint_sequence: u64,
    checkpoint_begun: Option<(u64, Vec<u8>)>,
    pub(super) sequence: u64,
    pub(super) resolved: u64,
    written: u64,
    pub(super) batches: BTreeMap<i64, (i64, Vec<u8>)>,
    next_sequence: [i32; 3],
    /// Per producer, first sequence and base offset of each batch.
    sent: [Vec<(i32, i64)>; 3],
    tickets: BTreeMap<u64, i64>,
    next_ticket: u64,
    pub(super) acked_end: i64,
    exposed_end: i64,
    now: Now,
    next_file: u64,
    pub(super) spare: SpareVecs,
    entry: ClosedEntry,
    pub(super) counts: Counts,
}

pub(super) fn config(durability: Durability) -> PartitionConfig {
    PartitionConfig {
        durability,
        segment_bytes: 1 << 20,
        segment_ms: i64::MAX,
        retention_bytes: -1,
        retention_ms: -1,
        flush_messages: u64::MAX,
        flush_ms: 1000,
        batch_bytes_max: 1 << 20,
        producer_expiration_ms: i64::MAX,
        is_log_append_time: false,
        compaction: None,
    }
}

pub(super) fn batch(
    random: &mut Random,
    bytes: usize,
    producer: (i64, i32),
    records: i32,
) -> Vec<u8> {
    let mut batch: Vec<u8> = (0..bytes.max(61)).map(|_| random.next() as u8).collect();
    let length = batch.len() as i32 - 12;
    batch[8..12].copy_from_slice(&length.to_be_bytes());
    batch[16] = 2;
    batch[21..23].copy_from_slice(&0i16.to_be_bytes());
    batch[23..27].copy_from_slice(&(records - 1).to_be_bytes());
    let timestamp = random.below(1_000_000) as i64;
    batch[27..35].copy_from_slice(&timestamp.to_be_bytes());
    batch[35..43].copy_from_slice(&timestamp.to_be_bytes());
    batch[43..51].copy_from_slice(&producer.0.to_be_bytes());
    batch[51..53].copy_from_slice(&0i16.to_be_bytes());
    batch[53..57].copy_from_slice(&producer.1.to_be_bytes());
    batch[57..61].copy_from_slice(&records.to_be_bytes());
    let crc = crate::record_batch::crc(&batch);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
    crate::record_batch::check(&batch).unwrap();
    batch
}

impl Rig {
    pub(super) fn new(seed: u64, config: PartitionConfig) -> Self {
        let spec = PartitionSpec {
            handle: PartitionHandle(5),
            topic_id: TopicId([3; 16]),
            index: 1,
            config,
        };
        let mut arena = Arena::new(64 << 20).unwrap();
        arena.set_poison_on_free(true);
        Self {
            arena,
            partition: Partition::new(spec),
            random: Random::new(seed),
            seg: BTreeMap::new(),
            idx: BTreeMap::new(),
            prepared: BTreeMap::new(),
            in_flight: Vec::new(),
            journal: Vec::new(),
            checkpoint: None,
            checkpoint_sequence: 0,
            checkpoint_begun: None,
            sequence: 0,
            resolved: 0,
            written: 0,
            batches: BTreeMap::new(),
            next_sequence: [0; 3],
            sent: Default::default(),
            tickets: BTreeMap::new(),
            next_ticket: 1,
            acked_end: 0,
            exposed_end: 0,
            now: Now {
                ns: 0,
                wall_ms: 1_000,
            },
            next_file: 1,
            spare: SpareVecs::default(),
            entry: ClosedEntry::default(),
            counts: Counts::default(),
        }
    }

    /// Appends a batch of a producer (0: none) and checks its offsets.
    pub(super) fn append(&mut self, bytes: usize, producer: usize, as_slab: bool) -> Appended {
        let records = 1 + self.random.below(5) as i32;
        let sent = match producer {
            0 => (-1, -1),
            p => (p as i64, self.next_sequence[p - 1]),
        };
        let batch = batch(&mut self.random, bytes, sent, records);
        let appended = self.append_batch(&batch, as_slab).unwrap();
        assert!(!appended.is_duplicate);
        if producer > 0 {
            self.sent[producer - 1].push((sent.1, appended.base_offset));
            self.next_sequence[producer - 1] += records;
        }
        let mut stored = batch;
        let epoch = self.partition.offsets().leader_epoch;
        crate::record_batch::patch(&mut stored, appended.base_offset, epoch);
        self.batches
            .insert(appended.base_offset, (appended.end_offset, stored));
        appended
    }

    pub(super) fn append_batch(
        &mut self,
        batch: &[u8],
        as_slab: bool,
    ) -> Result<Appended, AppendError> {
        self.now.ns += self.random.below(30_000_000);
        if self.partition.roll_needed(batch.len(), self.now.wall_ms) {
            self.roll(batch.len());
        }
        let header = Header::parse(batch).unwrap();
        let mut context = AppendContext {
            arena: &mut self.arena,
            now: self.now,
            copied_bytes: 0,
            realigned_bytes: 0,
        };
        let mut slab;
        let bytes = if as_slab {
            self.counts.slabs += 1;
            let mut buf = context.arena.alloc(batch.len() + 4096).unwrap();
            let stray = if self.random.one_in(8) { 64 } else { 0 };
            buf.skip((self.partition.append_remainder() + stray) % 4096);
            buf.extend_from_slice(batch);
            slab = Some(buf);
            BatchBytes::Slab(&mut slab)
        } else {
            BatchBytes::Copy(batch)
        };
        let ticket = Ticket(self.next_ticket);
        let log_end = self.partition.offsets().log_end;
        let appended = self
            .partition
            .append(&mut context, &header, bytes, ticket)?;
        if !appended.is_duplicate {
            assert_eq!(appended.base_offset, log_end);
        }
        self.next_ticket += 1;
        if appended.is_acked {
            self.ack(appended.end_offset);
        } else {
            self.tickets.insert(ticket.0, appended.end_offset);
        }
        self.watch_offsets();
        Ok(appended)
    }

    /// Sends a producer's last batch again: it must be found, or be new if a crash took it.
    pub(super) fn append_duplicate(&mut self, producer: usize) {
        let Some(&(_, base_offset)) = self.sent[producer - 1].last() else {
            return;
        };
        let Some((end_offset, bytes)) = self.batches.get(&base_offset).cloned() else {
            return;
        };
        let appended = self.append_batch(&bytes, false).unwrap();
        assert!(appended.is_duplicate, "the batch is in the log");
        assert_eq!(
            (appended.base_offset, appended.end_offset),
            (base_offset, end_offset)
        );
        self.counts.duplicates += 1;
    }

    fn ack(&mut self, end_offset: i64) {
        self.acked_end = self.acked_end.max(end_offset);
        assert!(end_offset <= self.partition.offsets().high_watermark);
    }

    fn watch_offsets(&mut self) {
        let offsets = self.partition.offsets();
        assert!(offsets.log_start <= offsets.high_watermark);
        assert!(offsets.high_watermark <= offsets.log_end);
        assert!(
            offsets.high_watermark >= self.exposed_end,
            "never goes back"
        );
        self.exposed_end = offsets.high_watermark;
        if self.partition.spec().config.durability == Durability::Disk {
            assert!(offsets.high_watermark <= offsets.durable_end);
        }
    }

    pub(super) fn roll(&mut self, batch_bytes: usize) {
        let file = FileId(self.next_file);
        self.next_file += 1;
        let segment = NewSegment {
            file,
            generation: 0,
            file_bytes: self.partition.segment_file_bytes(batch_bytes),
            prepared: 0,
        };
        // Arbitrary older bytes, as of a recycled file.
        self.seg.insert(file, vec![0xEE; 4 << 20]);
        self.partition.roll(segment, self.now.wall_ms);
        self.counts.rolls += 1;
    }

    pub(super) fn prepare_all(&mut self) {
        while let Some(wanted) = self.partition.space_wanted(self.now) {
            assert!(wanted.to > wanted.from && wanted.to.is_multiple_of(BLOCK));
            self.prepared.insert(wanted.file, wanted.to);
            let segment = self
                .partition
                .segment_of_file(wanted.file, wanted.generation);
            let segment = &self.partition.segments[segment.unwrap()];
            let identity = self.partition.identity(segment).encode();
            let content = self.seg.get_mut(&wanted.file).unwrap();
            content[..identity.len()].copy_from_slice(&identity);
            self.partition.set_prepared(wanted.file, wanted.to);
        }
        assert_eq!(self.partition.unprepared_bytes(), 0);
    }

    pub(super) fn plan_placed(&mut self, bytes_min: u64) {
        let rule = PlacingRule {
            bytes_min,
            bytes_min_busy: bytes_min,
            bytes_max: 1 << 20,
            inline_bytes_max: 300_000,
        };
        while let Some(write) = self
            .partition
            .plan_placed(&mut self.arena, &rule, &mut self.spare)
        {
            self.counts.placed += 1;
            self.take_write(write);
        }
    }

    pub(super) fn plan_write_back(&mut self, need: WriteBackNeed) -> bool {
        let write = self
            .partition
            .plan_write_back(&mut self.arena, need, &mut self.spare);
        let any = write.is_some();
        write.into_iter().for_each(|write| self.take_write(write));
        any
    }

    pub(super) fn plan_index_write(&mut self) -> bool {
        let write = self
            .partition
            .plan_index_write(&mut self.arena, &mut self.spare);
        let any = write.is_some();
        write.into_iter().for_each(|write| self.take_write(write));
        any
    }

    /// Checks a planned write by the rules that hold for all.
    fn take_write(&mut self, write: SegmentWrite) {
        let bytes: usize = write.parts.iter().map(|part| part.len()).sum();
        assert_eq!(bytes as u64, write.bytes);
        assert!(write.bytes > 0 && write.bytes <= crate::limits::WRITE_BYTES_MAX);
        assert!(write.position.is_multiple_of(BLOCK) && write.bytes.is_multiple_of(BLOCK));
        for part in &write.parts {
            assert!(part.address().is_multiple_of(4096) && part.len().is_multiple_of(4096));
        }
        let end = write.position + write.bytes;
        if write.target == WriteTarget::Records {
            assert!(end <= self.prepared[&write.file], "only prepared space");
            assert!(write.position >= BLOCK, "an identity is written once");
        }
        for other in &self.in_flight {
            let same = (other.file, other.target) == (write.file, write.target);
            let apart = other.position >= end || other.position + other.bytes <= write.position;
            assert!(!same || apart, "two writes in flight overlap");
        }
        self.in_flight.push(write);
    }

    pub(super) fn perform(&mut self, number: usize) {
        let write = self.in_flight.swap_remove(number);
        self.put(&write, |_, new, _| new.to_vec());
        self.partition.write_done(write.id);
        self.spare.give(write.parts);
    }

    fn put(
        &mut self,
        write: &SegmentWrite,
        mut block: impl FnMut(&mut Random, &[u8], &[u8]) -> Vec<u8>,
    ) {
        let files = match write.target {
            WriteTarget::Records => &mut self.seg,
            WriteTarget::Index => &mut self.idx,
        };
        let file = files.entry(write.file).or_default();
        let end = (write.position + write.bytes) as usize;
        if file.len() < end {
            file.resize(end, 0);
        }
        let bytes = bytes_of(&write.parts);
        for (number, new) in bytes.chunks(4096).enumerate() {
            let at = write.position as usize + number * 4096;
            let old = &mut file[at..at + 4096];
            let result = block(&mut self.random, new, old);
            old.copy_from_slice(&result);
        }
    }

    pub(super) fn perform_all(&mut self) {
        while !self.in_flight.is_empty() {
            let number = self.random.below(self.in_flight.len() as u64) as usize;
            self.perform(number);
        }
    }

    /// Closes one commit; returns whether it holds anything.
    pub(super) fn close(&mut self, bytes_max: usize) -> bool {
        if let Some(read) = self.partition.tail_block_wanted() {
            let mut buf = self.arena.alloc(4096).unwrap();
            let range = read.range.start as usize..read.range.end as usize;
            buf.extend_from_slice(&self.seg[&read.file][range]);
            self.partition
                .tail_block_loaded(&read, buf.freeze())
                .unwrap();
            self.counts.tail_blocks += 1;
        }
        let sequence = self.sequence + 1;
        let mut any = false;
        let mut budget = bytes_max;
        while let Some(closed) = self.partition.close_next(sequence, budget, &mut self.entry) {
            any = true;
            let item = match closed {
                Closed::Control(control) => {
                    let mut bytes = Vec::new();
                    control.encode(&mut bytes);
                    assert!(bytes.len() <= 64);
                    assert_eq!(Control::decode(&bytes).unwrap(), control);
                    Item::Control(bytes)
                }
                Closed::Entry => {
                    let entry = &self.entry;
                    let image = bytes_of(&entry.image);
                    let inline = bytes_of(&entry.inline);
                    assert!(image.len() + inline.len() <= budget);
                    budget -= image.len() + inline.len();
                    self.counts.images += u64::from(!image.is_empty());
                    Item::Entry(Box::new(OwnedEntry {
                        base_offset: entry.base_offset,
                        end_offset: entry.end_offset,
                        leader_epoch: entry.leader_epoch,
                        file: entry.file,
                        generation: entry.generation,
                        position: entry.position,
                        length: entry.length,
                        placed: entry.placed.clone(),
                        placed_crcs: entry.placed_crcs.clone(),
                        descriptors: entry.descriptors.clone(),
                        image,
                        inline,
                        ceiling: entry.ceiling,
                    }))
                }
            };
            self.journal.push((sequence, item));
        }
        self.sequence += u64::from(any);
        any
    }

    pub(super) fn write_journal(&mut self) {
        if self.written < self.sequence {
            self.written += 1;
            let mut acks = Acks::default();
            self.partition.written(self.written, &mut acks);
            self.take_acks(acks);
        }
    }

    pub(super) fn resolve(&mut self) {
        if self.resolved < self.sequence {
            self.resolved += 1;
            self.written = self.written.max(self.resolved);
            let mut acks = Acks::default();
            self.partition.resolve(self.resolved, &mut acks);
            self.take_acks(acks);
            let mut released = Vec::new();
            self.partition.take_released(&mut released);
            self.counts.dropped += released.len() as u64;
        }
    }

    fn take_acks(&mut self, acks: Acks) {
        for ticket in acks.appends {
            let end_offset = self.tickets.remove(&ticket.0).expect("acked once");
            self.ack(end_offset);
        }
        self.watch_offsets();
    }

    pub(super) fn begin_checkpoint(&mut self) {
        if self.checkpoint_begun.is_none() {
            let mut state = Vec::new();
            self.partition.begin_checkpoint(&mut state);
            self.checkpoint_begun = Some((self.sequence, state));
        }
    }

    pub(super) fn try_end_checkpoint(&mut self) -> bool {
        let is_ready = self.partition.is_checkpoint_flushed()
            && self
                .checkpoint_begun
                .as_ref()
                .is_some_and(|(s, _)| *s <= self.resolved);
        if is_ready && let Some((sequence, state)) = self.checkpoint_begun.take() {
            self.checkpoint = Some(state);
            self.checkpoint_sequence = sequence;
            self.journal.retain(|(s, _)| *s > sequence);
            self.partition.end_checkpoint();
            self.counts.checkpoints += 1;
        }
        is_ready
    }

    /// Closes, resolves and writes everything.
    pub(super) fn settle(&mut self) {
        loop {
            self.prepare_all();
            self.plan_placed(64 * 1024);
            self.perform_all();
            let closed = self.close(600_000);
            while self.resolved < self.sequence {
                self.resolve();
            }
            if !closed && !self.partition.is_awaiting_commit() {
                break;
            }
        }
        assert!(self.tickets.is_empty(), "all acknowledged");
    }

    /// Ends a checkpoint that was begun, then does a whole one.
    pub(super) fn full_checkpoint(&mut self) {
        if self.checkpoint_begun.is_some() {
            self.finish_checkpoint();
        }
        self.begin_checkpoint();
        self.finish_checkpoint();
    }

    fn finish_checkpoint(&mut self) {
        while self.resolved < self.sequence {
            self.resolve();
        }
        for _ in 0..10_000 {
            self.prepare_all();
            self.perform_all();
            if self.try_end_checkpoint() {
                return;
            }
            self.plan_write_back(WriteBackNeed::Any);
            self.plan_placed(u64::MAX);
            if self.partition.tail_block_wanted().is_some() {
                self.close(600_000);
            }
        }
        panic!("the checkpoint cannot be flushed");
    }
}

fn slice_of(arena: &mut Arena, bytes: &[u8]) -> ArenaSlice {
    let mut buf = arena.alloc(bytes.len()).unwrap();
    buf.extend_from_slice(bytes);
    buf.freeze()
}
