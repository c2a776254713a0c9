//! Talks to the shards of an engine from any thread.
//!
//! A call sends a command to the shard that owns the partition and blocks until the answer is
//! there. Appends may be pipelined: `submit` returns at once and the result is waited for later,
//! so one thread can keep many appends in the same group commit.

use super::EngineError;
use super::reshard::by_remainder;
use super::service::{Command, Reply};
use crate::ids::{PartitionHandle, ShardId};
use crate::io::remote::{Remote, RemoteError};
use crate::partition::{Appended, LogOffsets, PartitionSpec, ReadBatches, ReadRequest};
use crate::record_batch;
use std::sync::mpsc::{Receiver, sync_channel};

/// Talks to an engine. Cheap to clone; calls fail with `Stopped` once the engine has ended.
#[derive(Clone, Debug)]
pub struct Handle {
    remote: Remote<Command>,
}

/// An append on its way.
#[derive(Debug)]
#[must_use = "the append is only known to be durable once `wait` has returned"]
pub struct PendingAppend(Receiver<Result<Appended, EngineError>>);

impl PendingAppend {
    /// Blocks until the append is acknowledged by its partition's durability class: with `Disk`,
    /// until it is on stable storage.
    ///
    /// # Errors
    /// Why it was refused, or that its outcome is not known.
    pub fn wait(self) -> Result<Appended, EngineError> {
        // The shard ended without a word: the append may have become durable.
        self.0.recv().unwrap_or(Err(EngineError::OutcomeUnknown))
    }
}

impl Handle {
    pub(super) const fn new(remote: Remote<Command>) -> Self {
        Self { remote }
    }

    /// How many shards the data directory has.
    #[must_use]
    pub fn shards(&self) -> usize {
        self.remote.shards()
    }

    /// Creates a partition; durable when it returns. The caller chooses a handle above 0 that was
    /// never used in this data directory.
    ///
    /// # Errors
    /// Refused, not durable for certain, or the engine has ended.
    pub fn create_partition(&self, spec: PartitionSpec) -> Result<(), EngineError> {
        let shard = self.shard_of(spec.handle);
        self.ask(shard, |reply| Command::Create(Box::new(spec), reply))
    }

    /// Deletes a partition with all its records; durable when it returns.
    ///
    /// # Errors
    /// Refused, not durable for certain, or the engine has ended.
    pub fn delete_partition(&self, handle: PartitionHandle) -> Result<(), EngineError> {
        self.ask(self.shard_of(handle), |reply| {
            Command::Delete(handle, reply)
        })
    }

    /// Appends one whole record batch (see [`record_batch::builder`]) and blocks until it is
    /// acknowledged.
    ///
    /// # Errors
    /// Bytes that are no valid batch, a refusal, or an outcome that is not known.
    pub fn append(
        &self,
        partition: PartitionHandle,
        batch: Vec<u8>,
    ) -> Result<Appended, EngineError> {
        self.submit(partition, batch)?.wait()
    }

    /// Sends an append and returns at once. Appends to a partition from one thread keep their
    /// order.
    ///
    /// # Errors
    /// Bytes that are no valid batch, or the engine has ended.
    pub fn submit(
        &self,
        partition: PartitionHandle,
        batch: Vec<u8>,
    ) -> Result<PendingAppend, EngineError> {
        record_batch::check(&batch)?;
        let (reply, receiver) = sync_channel(1);
        let command = Command::Append(partition, batch, reply);
        self.send(self.shard_of(partition), command)?;
        Ok(PendingAppend(receiver))
    }

    /// Appends all batches, sharing commits, and blocks until the last is acknowledged. The
    /// results are in the order of the batches; one refused batch does not stop those behind it.
    ///
    /// # Errors
    /// The first batch that is not valid (those before it were sent), or the engine has ended.
    pub fn append_many(
        &self,
        partition: PartitionHandle,
        batches: impl IntoIterator<Item = Vec<u8>>,
    ) -> Result<Vec<Result<Appended, EngineError>>, EngineError> {
        let pending: Result<Vec<_>, _> = batches
            .into_iter()
            .map(|batch| self.submit(partition, batch))
            .collect();
        Ok(pending?.into_iter().map(PendingAppend::wait).collect())
    }

    /// Reads whole batches; empty at the end of what may be read. The memory goes back to the
    /// shard when the batches are dropped.
    ///
    /// # Errors
    /// An offset outside the log, stored bytes that fail their check, a failing disk.
    pub fn read(
        &self,
        partition: PartitionHandle,
        request: ReadRequest,
    ) -> Result<ReadBatches, EngineError> {
        self.ask(self.shard_of(partition), |reply| {
            Command::Read(partition, request, reply)
        })
    }

    /// The offsets of a partition; `None` if there is no such partition.
    ///
    /// # Errors
    /// When the engine has ended.
    pub fn offsets(&self, partition: PartitionHandle) -> Result<Option<LogOffsets>, EngineError> {
        self.ask(self.shard_of(partition), |reply| {
            Command::Offsets(partition, reply)
        })
    }

    /// All partitions, ascending.
    ///
    /// # Errors
    /// When the engine has ended.
    pub fn partitions(&self) -> Result<Vec<PartitionHandle>, EngineError> {
        let mut all = Vec::new();
        for shard in 0..self.shards() {
            let shard = super::open::shard_id(shard);
            all.extend(self.ask(shard, Command::Partitions)?);
        }
        all.sort_unstable();
        Ok(all)
    }

    pub(super) fn stop_shard(&self, shard: ShardId) {
        // A shard that has ended needs no telling.
        drop(self.send(shard, Command::Stop));
    }

    fn shard_of(&self, partition: PartitionHandle) -> ShardId {
        by_remainder(partition, ShardId(0), self.shards())
    }

    fn ask<T>(
        &self,
        shard: ShardId,
        command: impl FnOnce(Reply<T>) -> Command,
    ) -> Result<T, EngineError> {
        let (reply, receiver) = sync_channel(1);
        self.send(shard, command(reply))?;
        receiver.recv().unwrap_or(Err(EngineError::Stopped))
    }

    fn send(&self, shard: ShardId, mut command: Command) -> Result<(), EngineError> {
        loop {
            match self.remote.send(shard, command) {
                Ok(()) => return Ok(()),
                Err(RemoteError::Ended(_)) => return Err(EngineError::Stopped),
                // The shard empties its inbox every turn.
                Err(RemoteError::Full(back)) => {
                    command = back;
                    std::thread::yield_now();
                }
            }
        }
    }
}
