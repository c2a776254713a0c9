//! The engine of a data directory on a simulated machine: its shards, driven turn by turn, and the
//! calls that a case makes of them.

use super::batches::patched;
use millrace_engine::engine::open::prepare_on;
use millrace_engine::engine::reshard::by_remainder;
use millrace_engine::engine::{Cores, EngineConfig};
use millrace_engine::ids::{PartitionHandle, ShardId, Ticket, TopicId};
use millrace_engine::io::simulated::World;
use millrace_engine::io::{Dir, Io};
use millrace_engine::partition::{
    AppendError, BatchBytes, Durability, LogOffsets, PartitionConfig, PartitionSpec, ReadBatches,
    ReadBound, ReadError, ReadRequest,
};
use millrace_engine::shard::{Event, Read, Shard, ShardConfig};
use std::collections::BTreeSet;

/// Turns until something that was asked for counts as hung.
const TURNS_MAX: usize = 100_000;

pub(crate) const ARENA_BYTES: usize = 16 << 20;

/// The settings of a directory with so many shards.
pub(crate) fn config(shards: usize) -> EngineConfig {
    EngineConfig {
        cores: Cores::Listed(vec![0; shards]),
        memory_bytes: (shards * ARENA_BYTES * 2) as u64,
        journal_bytes: Some(1 << 20),
        ballast_bytes: 1 << 20,
        checkpoint_interval_ms: 400,
        retention_check_ms: 86_400_000,
        open_files_max: 64,
        partitions_max: 64,
        producers_max: 64,
        idle_mark_ms: 2,
        placed_bytes_min: 16 << 10,
        ..EngineConfig::new("/simulated")
    }
}

pub(crate) fn shard_config(config: &EngineConfig, index: usize, shards: usize) -> ShardConfig {
    ShardConfig {
        disk_depth_max: 8,
        prepared_bytes_max: 4 << 20,
        spare_file_bytes_min: 16 << 10,
        ..config.shard_config(ShardId(index as u16), shards)
    }
}

pub(crate) fn spec(number: u64) -> PartitionSpec {
    PartitionSpec {
        handle: PartitionHandle(number),
        topic_id: TopicId([number as u8; 16]),
        index: 0,
        config: PartitionConfig {
            durability: Durability::Disk,
            segment_bytes: 256 << 10,
            segment_ms: i64::MAX,
            retention_bytes: -1,
            retention_ms: -1,
            flush_messages: u64::MAX,
            flush_ms: 100,
            batch_bytes_max: 128 << 10,
            producer_expiration_ms: i64::MAX,
            is_log_append_time: false,
            compaction: None,
        },
    }
}

/// A batch that was handed in.
pub(crate) struct Pending {
    ticket: Ticket,
    base_offset: i64,
    bytes: Vec<u8>,
}

pub(crate) struct Node {
    world: World,
    shards: Vec<(Io, Shard)>,
    next_ticket: u64,
    acked: BTreeSet<u64>,
    done: BTreeSet<u64>,
    failed: BTreeSet<u64>,
    reads: Vec<(u64, Result<ReadBatches, ReadError>)>,
    pub(crate) stopped: Option<String>,
}

impl Node {
    /// Starts on the disk as it is. The error says why the start is refused.
    pub(crate) fn start(world: &World, shards: usize) -> Result<Self, String> {
        let config = config(shards);
        let mut found = config.clone();
        if !world.names(Dir::Root).is_empty() {
            // A directory keeps its number of shards, whatever the machine has by now.
            found.cores = Cores::Allowed(vec![0; shards + 1]);
        }
        let mut ios = world.restart(shards);
        let directory = prepare_on(&mut ios[0], &found, &by_remainder);
        let journals = directory.map_err(|error| error.to_string())?.journals();
        assert_eq!(journals.len(), shards, "nobody asked for another number");
        let mut opened = Vec::new();
        for (index, mut io) in ios.into_iter().enumerate() {
            let config = shard_config(&config, index, shards);
            let shard = Shard::open(&mut io, config, journals[index]);
            opened.push((io, shard.map_err(|error| error.to_string())?));
        }
        Ok(Self {
            world: world.clone(),
            shards: opened,
            next_ticket: 1,
            acked: BTreeSet::new(),
            done: BTreeSet::new(),
            failed: BTreeSet::new(),
            reads: Vec::new(),
            stopped: None,
        })
    }

    fn ticket(&mut self) -> Ticket {
        self.next_ticket += 1;
        Ticket(self.next_ticket)
    }

    fn shard_of(&self, number: u64) -> usize {
        (number % self.shards.len() as u64) as usize
    }

    pub(crate) fn turn(&mut self) {
        let mut events = Vec::new();
        for (io, shard) in &mut self.shards {
            let mut done = Vec::new();
            io.poll(&mut done);
            for completion in done {
                shard.complete(io, completion);
            }
            shard.end_turn(io);
            shard.drain_events(&mut events);
            io.park(
                shard.next_deadline_ns(),
                millrace_engine::io::Awaiting::Anything,
            );
        }
        for event in events {
            match event {
                Event::AppendAcked(ticket) => _ = self.acked.insert(ticket.0),
                Event::ControlDone(ticket) => _ = self.done.insert(ticket.0),
                Event::AppendFailed(ticket) | Event::ControlFailed(ticket) => {
                    self.failed.insert(ticket.0);
                }
                Event::ReadDone(ticket, result) => self.reads.push((ticket.0, result)),
                Event::FailStopped(reason) => self.stopped = Some(reason),
                Event::Advanced(_) | Event::IndexLoaded(_) | Event::DiskFull(_) => {}
            }
        }
        self.world.step();
    }

    fn until<T>(&mut self, mut found: impl FnMut(&mut Self) -> Option<T>) -> Result<T, String> {
        for _ in 0..TURNS_MAX {
            if let Some(found) = found(self) {
                return Ok(found);
            }
            if let Some(reason) = &self.stopped {
                return Err(format!("a shard stopped: {reason}"));
            }
            self.turn();
        }
        Err("nothing comes of what was asked".to_owned())
    }

    pub(crate) fn create(&mut self, number: u64) -> Result<(), String> {
        let (ticket, index) = (self.ticket(), self.shard_of(number));
        let (io, shard) = &mut self.shards[index];
        let asked = shard.create_partition(io, spec(number), ticket);
        asked.map_err(|error| error.to_string())?;
        self.until(|node| node.done.remove(&ticket.0).then_some(()))
    }

    /// Hands a batch in, turning until there is room.
    pub(crate) fn submit(&mut self, number: u64, bytes: &[u8]) -> Result<Pending, String> {
        let (ticket, index) = (self.ticket(), self.shard_of(number));
        let handle = PartitionHandle(number);
        let appended = self.until(|node| {
            let (io, shard) = &mut node.shards[index];
            match shard.append(io, handle, BatchBytes::Copy(bytes), ticket) {
                Err(AppendError::NoMemory { .. }) => None,
                result => Some(result),
            }
        })?;
        let appended = appended.map_err(|error| error.to_string())?;
        let epoch = self.offsets(number).ok_or("it is gone")?.leader_epoch;
        let bytes = patched(bytes, appended.base_offset, epoch);
        Ok(Pending {
            ticket,
            base_offset: appended.base_offset,
            bytes,
        })
    }

    /// The base offset and the bytes as they are stored, once they are acknowledged.
    pub(crate) fn wait(&mut self, pending: Pending) -> Result<(i64, Vec<u8>), String> {
        let ticket = pending.ticket.0;
        let is_acked = self.until(|node| match node.acked.remove(&ticket) {
            true => Some(true),
            false => node.failed.remove(&ticket).then_some(false),
        })?;
        match is_acked {
            true => Ok((pending.base_offset, pending.bytes)),
            false => Err("the append failed".to_owned()),
        }
    }

    pub(crate) fn advance_log_start(&mut self, number: u64, offset: i64) -> Result<(), String> {
        let (ticket, index) = (self.ticket(), self.shard_of(number));
        let (io, shard) = &mut self.shards[index];
        let asked = shard.advance_log_start(io, PartitionHandle(number), offset, ticket);
        asked.map_err(|error| error.to_string())?;
        self.until(|node| node.done.remove(&ticket.0).then_some(()))
    }

    pub(crate) fn offsets(&self, number: u64) -> Option<LogOffsets> {
        let (_, shard) = &self.shards[self.shard_of(number)];
        shard.offsets(PartitionHandle(number))
    }

    /// One read: the bytes, and the offset behind them.
    pub(crate) fn read(
        &mut self,
        number: u64,
        offset: i64,
    ) -> Result<Result<(Vec<u8>, i64), ReadError>, String> {
        let (ticket, index) = (self.ticket(), self.shard_of(number));
        let request = ReadRequest {
            offset,
            bytes_max: 64 << 10,
            bound: ReadBound::HighWatermark,
        };
        let (io, shard) = &mut self.shards[index];
        let found = match shard.read(io, PartitionHandle(number), request, ticket) {
            Ok(Read::Ready(batches)) => Ok(batches),
            Err(error) => Err(error),
            Ok(Read::Pending) => self.until(|node| {
                let place = node.reads.iter().position(|(read, _)| *read == ticket.0)?;
                Some(node.reads.remove(place).1)
            })?,
        };
        Ok(found.map(|batches| {
            let mut bytes = Vec::new();
            for part in &batches.parts {
                bytes.extend_from_slice(part);
            }
            (bytes, batches.next_offset)
        }))
    }

    pub(crate) fn stop(&mut self) -> Result<(), String> {
        for (io, shard) in &mut self.shards {
            shard.begin_stop(io);
        }
        self.until(|node| {
            let mut shards = node.shards.iter();
            shards.all(|(_, shard)| shard.is_stopped()).then_some(())
        })
    }
}
