//! A simulated machine with one shard on it, and an account of what was acknowledged.

use crate::ids::{JournalId, PartitionHandle, Ticket, TopicId};
use crate::io::simulated::{World, WorldConfig};
use crate::io::{Awaiting, FileOp, FilePath, FileReply, Io, Op, Outcome};
use crate::journal::check::JournalKey;
use crate::partition::{
    AppendError, Appended, BatchBytes, Durability, PartitionConfig, PartitionSpec, ReadBatches,
    ReadBound, ReadError, ReadRequest,
};
use crate::record_batch;
use crate::shard::file_table::SegmentFile;
use crate::shard::{
    ControlError, Event, JournalSetup, OpenError, Read, Shard, ShardConfig, ShardContent,
    create_journal,
};
use std::collections::BTreeMap;

pub(super) const SETUP: JournalSetup = JournalSetup {
    id: JournalId(1),
    key: JournalKey([0x5a; 16]),
    set_id: [7; 16],
};

/// A small ring, so that it wraps soon.
pub(super) fn small_config() -> ShardConfig {
    ShardConfig {
        journal_bytes: 1 << 20,
        journal_files: 4,
        placed_bytes_min: 16 << 10,
        checkpoint_interval_ms: 50,
        ballast_bytes: 4 << 20,
        prepared_bytes_max: 8 << 20,
        open_files_max: 64,
        ..ShardConfig::default()
    }
}

pub(super) fn partition_config(durability: Durability) -> PartitionConfig {
    PartitionConfig {
        durability,
        segment_bytes: 1 << 20,
        segment_ms: i64::MAX,
        retention_bytes: -1,
        retention_ms: -1,
        flush_messages: u64::MAX,
        flush_ms: 100,
        batch_bytes_max: 1 << 20,
        producer_expiration_ms: i64::MAX,
        is_log_append_time: false,
        compaction: None,
    }
}

pub(super) const fn handle(number: u64) -> PartitionHandle {
    PartitionHandle(number)
}

pub(super) fn spec(number: u64, durability: Durability) -> PartitionSpec {
    PartitionSpec {
        handle: handle(number),
        topic_id: TopicId([number as u8; 16]),
        index: 0,
        config: partition_config(durability),
    }
}

/// A batch of `records` records and about `bytes` bytes, whose content is told by `seed`.
pub(super) fn batch(records: i32, bytes: usize, seed: u64) -> Vec<u8> {
    let bytes = bytes.max(70);
    let mut batch = vec![0; bytes];
    batch[8..12].copy_from_slice(&((bytes - 12) as i32).to_be_bytes());
    batch[16] = 2;
    batch[23..27].copy_from_slice(&(records - 1).to_be_bytes());
    batch[27..35].copy_from_slice(&1_700_000_000_000_i64.to_be_bytes());
    batch[35..43].copy_from_slice(&1_700_000_000_000_i64.to_be_bytes());
    batch[43..51].copy_from_slice(&(-1_i64).to_be_bytes());
    batch[51..53].copy_from_slice(&(-1_i16).to_be_bytes());
    batch[53..57].copy_from_slice(&(-1_i32).to_be_bytes());
    batch[57..61].copy_from_slice(&records.to_be_bytes());
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    for byte in &mut batch[61..] {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        *byte = (state >> 56) as u8;
    }
    let crc = record_batch::crc(&batch);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
    record_batch::check(&batch).expect("the harness makes whole batches");
    batch
}

/// What one append was and what became of it.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) handle: PartitionHandle,
    pub(super) base_offset: i64,
    pub(super) bytes: Vec<u8>,
    pub(super) is_acked: bool,
}

/// One machine, one shard, and what was promised to its callers.
pub(super) struct Machine {
    pub(super) world: World,
    pub(super) io: Io,
    pub(super) shard: Option<Shard>,
    pub(super) config: ShardConfig,
    pub(super) sent: BTreeMap<u64, Sent>,
    pub(super) controls: Vec<Ticket>,
    pub(super) failed: Vec<Ticket>,
    pub(super) reads: BTreeMap<u64, Result<ReadBatches, ReadError>>,
    pub(super) fail_stopped: Option<String>,
    /// Which run this is, for the messages of assertions.
    pub(super) context: String,
    next_ticket: u64,
    done: Vec<crate::io::Completion>,
    events: Vec<Event>,
}

impl Machine {
    pub(super) fn new(seed: u64) -> Self {
        Self::with_config(seed, small_config(), WorldConfig::default())
    }

    pub(super) fn with_config(seed: u64, config: ShardConfig, world: WorldConfig) -> Self {
        let (world, mut ios) = World::new(seed, 1, world);
        let io = ios.remove(0);
        let mut machine = Self {
            world,
            io,
            shard: None,
            config,
            sent: BTreeMap::new(),
            controls: Vec::new(),
            failed: Vec::new(),
            reads: BTreeMap::new(),
            fail_stopped: None,
            context: String::new(),
            next_ticket: 1,
            done: Vec::new(),
            events: Vec::new(),
        };
        let content = ShardContent::default();
        create_journal(&mut machine.io, &machine.config, &SETUP, &content).unwrap();
        machine.open().unwrap();
        machine
    }

    pub(super) fn open(&mut self) -> Result<(), OpenError> {
        let shard = Shard::open(&mut self.io, self.config.clone(), SETUP)?;
        self.shard = Some(shard);
        Ok(())
    }

    pub(super) fn shard(&mut self) -> &mut Shard {
        self.shard.as_mut().expect("the shard is open")
    }

    pub(super) fn ticket(&mut self) -> Ticket {
        self.next_ticket += 1;
        Ticket(self.next_ticket)
    }

    /// One turn of the loop; the world moves on by one event.
    pub(super) fn turn(&mut self) {
        self.io.poll(&mut self.done);
        let Some(shard) = self.shard.as_mut() else {
            return;
        };
        for completion in self.done.drain(..) {
            shard.complete(&mut self.io, completion);
        }
        shard.end_turn(&mut self.io);
        shard.drain_events(&mut self.events);
        self.io.park(shard.next_deadline_ns(), Awaiting::Anything);
        for event in self.events.drain(..) {
            match event {
                Event::AppendAcked(ticket) => {
                    let sent = self.sent.get_mut(&ticket.0).expect("a ticket of ours");
                    assert!(!sent.is_acked, "{ticket:?} was acknowledged twice");
                    sent.is_acked = true;
                }
                Event::AppendFailed(ticket) | Event::ControlFailed(ticket) => {
                    self.failed.push(ticket);
                }
                Event::ReadDone(ticket, result) => {
                    self.reads.insert(ticket.0, result);
                }
                Event::ControlDone(ticket) => self.controls.push(ticket),
                Event::FailStopped(reason) => self.fail_stopped = Some(reason),
                Event::Advanced(_) | Event::IndexLoaded(_) | Event::DiskFull(_) => {}
            }
        }
        self.world.step();
    }

    /// Turns until `is_done`, at most `turns`.
    pub(super) fn turn_until(&mut self, turns: usize, is_done: impl Fn(&Self) -> bool) -> bool {
        for _ in 0..turns {
            if is_done(self) {
                return true;
            }
            self.turn();
        }
        is_done(self)
    }

    pub(super) fn create(&mut self, number: u64, durability: Durability) {
        self.create_as(spec(number, durability));
    }

    pub(super) fn create_as(&mut self, spec: PartitionSpec) {
        let ticket = self.ticket();
        let shard = self.shard.as_mut().unwrap();
        shard.create_partition(&mut self.io, spec, ticket).unwrap();
        assert!(self.turn_until(1000, |machine| machine.controls.contains(&ticket)));
    }

    pub(super) fn append(&mut self, number: u64, bytes: &[u8]) -> Result<Appended, AppendError> {
        let ticket = self.ticket();
        let shard = self.shard.as_mut().unwrap();
        let appended = shard.append(
            &mut self.io,
            handle(number),
            BatchBytes::Copy(bytes),
            ticket,
        )?;
        let mut bytes = bytes.to_vec();
        let epoch = shard.offsets(handle(number)).unwrap().leader_epoch;
        record_batch::patch(&mut bytes, appended.base_offset, epoch);
        self.sent.insert(
            ticket.0,
            Sent {
                handle: handle(number),
                base_offset: appended.base_offset,
                bytes,
                is_acked: appended.is_acked,
            },
        );
        Ok(appended)
    }

    /// Appends, turning until there is room.
    pub(super) fn append_when_possible(&mut self, number: u64, bytes: &[u8]) -> Appended {
        for _ in 0..200_000 {
            match self.append(number, bytes) {
                Ok(appended) => return appended,
                Err(AppendError::NoMemory { .. }) => self.turn(),
                Err(error) => panic!("append: {error}"),
            }
        }
        panic!("no room for an append for ever");
    }

    pub(super) fn all_acked(&self) -> bool {
        self.sent.values().all(|sent| sent.is_acked)
    }

    pub(super) fn settle(&mut self) {
        assert!(
            self.turn_until(200_000, Self::all_acked),
            "not everything was acknowledged: {:?}",
            self.fail_stopped
        );
    }

    /// Takes the machine down and up again, without opening the shard.
    pub(super) fn restart(&mut self) {
        self.shard = None;
        self.done.clear();
        self.io = self.world.restart(1).remove(0);
    }

    pub(super) fn power_cut(&mut self) {
        self.world.power_cut();
        self.restart();
    }

    pub(super) fn stop_cleanly(&mut self) {
        let shard = self.shard.as_mut().unwrap();
        shard.begin_stop(&mut self.io);
        assert!(self.turn_until(100_000, |machine| {
            machine.shard.as_ref().unwrap().is_stopped()
        }));
        self.world.kill();
        self.restart();
    }

    pub(super) fn read(
        &mut self,
        number: u64,
        offset: i64,
        bound: ReadBound,
    ) -> Result<ReadBatches, ReadError> {
        let ticket = self.ticket();
        let request = ReadRequest {
            offset,
            bytes_max: 256 << 10,
            bound,
        };
        let shard = self.shard.as_mut().unwrap();
        match shard.read(&mut self.io, handle(number), request, ticket)? {
            Read::Ready(batches) => Ok(batches),
            Read::Pending => {
                assert!(self.turn_until(10_000, |m| m.reads.contains_key(&ticket.0)));
                self.reads.remove(&ticket.0).unwrap()
            }
        }
    }

    /// The whole log of a partition, batch by batch: base offset -> bytes.
    pub(super) fn log(&mut self, number: u64) -> BTreeMap<i64, Vec<u8>> {
        let offsets = self.shard().offsets(handle(number)).expect("it exists");
        let mut next = offsets.log_start;
        let mut log = BTreeMap::new();
        while next < offsets.high_watermark {
            let found = match self.read(number, next, ReadBound::HighWatermark) {
                Ok(found) => found,
                Err(error) => panic!(
                    "{}: partition {number}: {error}: {}",
                    self.context.clone(),
                    self.compare_with_disk(number)
                ),
            };
            let mut bytes: Vec<u8> = Vec::new();
            for part in &found.parts {
                bytes.extend_from_slice(part);
            }
            if bytes.is_empty() {
                break;
            }
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let header = record_batch::Header::parse(rest).unwrap();
                let (one, behind) = rest.split_at(header.batch_bytes as usize);
                assert_eq!(record_batch::crc(one), header.crc);
                log.insert(header.base_offset, one.to_vec());
                rest = behind;
            }
            assert!(found.next_offset > next, "a read makes progress");
            next = found.next_offset;
        }
        log
    }

    /// Damages a block beyond doubt.
    pub(super) fn rot(&self, path: &FilePath, block: u64) -> bool {
        (0..301).all(|_| self.world.rot(path, block))
    }

    /// Where the segment files differ from what was sent.
    fn compare_with_disk(&mut self, number: u64) -> String {
        let slot = self.shard().partitions.get(handle(number)).unwrap();
        let files: Vec<_> = slot.partition.files().collect();
        let mut text = format!("{:?}", slot.partition.offsets());
        for file in files {
            let path = SegmentFile::records(file.file).path();
            let read = FileOp::ReadAll {
                path,
                bytes_max: 1 << 30,
            };
            let Outcome::File(Ok(FileReply::Content(bytes))) = self.file_op(read) else {
                text += &format!("\n{file:?} is not readable");
                continue;
            };
            text += &format!("\n{file:?} holds {} bytes", bytes.len());
            let mut at = 4096;
            while let Ok(header) = record_batch::Header::parse(&bytes[at.min(bytes.len())..]) {
                let sent = self.sent.values().find(|sent| {
                    sent.handle == handle(number) && sent.base_offset == header.base_offset
                });
                let differs = sent.and_then(|sent| {
                    let mut pairs = sent.bytes.iter().zip(&bytes[at..]);
                    pairs.position(|(sent, found)| sent != found)
                });
                if let Some(differs) = differs {
                    let offset = header.base_offset;
                    text += &format!("\n  batch {offset} at {at} differs at {}", at + differs);
                }
                at += header.batch_bytes as usize;
            }
            text += &format!("\n  no batch at {at}");
        }
        text
    }

    /// Every acknowledged batch is in the log as it was sent.
    pub(super) fn check_promises(&mut self, numbers: &[u64]) {
        for number in numbers {
            let log = self.log(*number);
            let of_partition = self
                .sent
                .values()
                .filter(|sent| sent.handle == handle(*number) && sent.is_acked);
            for sent in of_partition {
                let found = log.get(&sent.base_offset);
                assert!(
                    found == Some(&sent.bytes),
                    "partition {number}: the batch at {} was acknowledged and is {}",
                    sent.base_offset,
                    if found.is_some() { "different" } else { "gone" }
                );
            }
        }
    }

    /// Batches that were not acknowledged before a crash may be there or not; they are forgotten.
    pub(super) fn forget_unacked(&mut self) {
        self.sent.retain(|_, sent| sent.is_acked);
    }

    pub(super) fn registry_put(
        &mut self,
        key: &[u8],
        value: Option<&[u8]>,
    ) -> Result<Ticket, ControlError> {
        let ticket = self.ticket();
        self.shard()
            .registry_put(PartitionHandle(0), key, value, ticket)?;
        Ok(ticket)
    }

    pub(super) fn file_op(&mut self, op: FileOp) -> Outcome {
        self.io.call(Op::File(op))
    }
}
