//! The engine of a whole data directory, for programs that embed it.
//!
//! [`Engine::open`] locks the directory, recovers it and runs its shards on threads of their own;
//! a [`Handle`] talks to them from any thread. The broker does not use these two: it takes
//! [`open::prepare`] and runs [`Shard`](crate::shard::Shard) in its own loop, beside its sockets.
//! A directory holds `root.A`, `root.B`, `lock`, `segments/`, and `journal/` (or elsewhere).

pub mod accept_loss;
pub mod config;
mod handle;
pub mod memory;
pub mod open;
pub mod reshard;
pub mod root_file;
mod service;
#[cfg(test)]
mod tests;

pub use config::{ConfigError, Cores, EngineConfig};
pub use handle::{Handle, PendingAppend};
pub use memory::MemoryPlan;

use crate::ids::ShardId;
use crate::io::group::{SetupError, ShardGroup, ShardSeat, start_shards};
use crate::partition::{AppendError, ReadError};
use crate::planted;
use crate::record_batch::BatchError;
use crate::shard::{ControlError, OpenError};
use open::{DirectoryLock, Prepared, prepare};
use service::{Command, run_service};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

/// Why an engine did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A setting is out of bounds.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The data directory cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The kernel does not give what the shards need.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The bytes are no valid record batch.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// The append was refused; nothing was added.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The read was refused.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The control operation was refused; nothing was changed.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// The shard stopped before it could say whether this became durable. It may or may not be
    /// there after the next start; appending it again from an idempotent producer is safe.
    #[error("the shard stopped: it is not known whether this became durable")]
    OutcomeUnknown,
    /// The engine was shut down.
    #[error("the engine was shut down")]
    Stopped,
}

/// An open data directory. Dropping it shuts it down.
#[derive(Debug)]
pub struct Engine {
    handle: Handle,
    group: Option<ShardGroup<Result<(), OpenError>, Command>>,
    report: Vec<String>,
    /// Given back after the shards have ended.
    _lock: DirectoryLock,
}

impl Engine {
    /// Opens a data directory, or makes it. When it returns, every record that was ever
    /// acknowledged with durability `Disk` is readable.
    ///
    /// # Errors
    /// Settings out of bounds, a directory that is in use, of another version, incomplete or
    /// damaged, a kernel or disk that refuses. Each says what to do.
    pub fn open(config: &EngineConfig) -> Result<Self, EngineError> {
        let Prepared {
            shards,
            kernel,
            report,
            lock,
            ..
        } = prepare(config, Arc::new(reshard::by_remainder))?;
        let count = shards.len();
        let (sender, receiver) = sync_channel(count);
        let bug = planted::current();
        let group = start_shards(&kernel, move |seat: ShardSeat<(), Command>| {
            let (config, journal) = shards[seat.io.shard().index()].clone();
            planted::during(bug, || run_service(seat, config, journal, &sender))
        })?;
        let handle = Handle::new(group.remote());
        let mut engine = Self {
            handle,
            report,
            group: Some(group),
            _lock: lock,
        };
        for _ in 0..count {
            // A shard that failed to open says why when its thread has ended.
            if !receiver.recv().unwrap_or(false) {
                engine.stop()?;
                return Err(EngineError::Stopped);
            }
        }
        if let Some(group) = &engine.group {
            let found = group.report();
            engine
                .report
                .extend(found.lines.iter().chain(&found.warnings).cloned());
        }
        Ok(engine)
    }

    /// What talks to the engine; cheap to clone, usable from any thread.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// What was found and chosen at start, one sentence each.
    #[must_use]
    pub fn report(&self) -> &[String] {
        &self.report
    }

    /// Takes no more appends, brings everything to rest and ends the shards.
    ///
    /// # Errors
    /// When a shard had failed to open.
    pub fn shutdown(mut self) -> Result<(), EngineError> {
        self.stop()
    }

    fn stop(&mut self) -> Result<(), EngineError> {
        let Some(group) = self.group.take() else {
            return Ok(());
        };
        for shard in 0..self.handle.shards() {
            self.handle.stop_shard(ShardId(shard as u16));
        }
        for result in group.join() {
            result?;
        }
        Ok(())
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // An error here was met and reported by `open`, or belongs to nobody any more.
        drop(self.stop());
    }
}
