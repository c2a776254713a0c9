//! Makes the shards of one process: threads, pinning, rings, mailboxes, the housekeeper.

use super::Io;
use super::mailbox::Mailbox;
use std::path::PathBuf;

/// What the kernel implementation needs to know.
#[derive(Clone, Debug)]
pub struct KernelConfig {
    /// One entry per shard: the core its thread is pinned to. The same core may appear twice.
    pub cores: Vec<usize>,
    /// Arena bytes of each shard.
    pub arena_bytes: usize,
    /// `Dir::Root`; `Dir::Segments` is `segments` below it.
    pub data_dir: PathBuf,
    /// `Dir::Journal`.
    pub journal_dir: PathBuf,
    /// Capacity of each mailbox.
    pub mailbox_capacity: usize,
}

/// Runs `body` once per shard, each on its own pinned thread with its own ring, and returns their
/// results in shard order once all have ended. `body` gets the shard's `Io` and its mailbox.
///
/// # Errors
/// When a ring or the housekeeper cannot be made: says which of seccomp, sysctl, memlock or kernel
/// version it is, and the fix.
pub fn run_shards<M, R, F>(config: &KernelConfig, body: F) -> Result<Vec<R>, SetupError>
where
    M: Send + 'static,
    R: Send + 'static,
    F: Fn(Io, Mailbox<M>) -> R + Send + Sync + 'static,
{
    drop(body);
    todo!("{config:?}")
}

/// Why the shards could not be started.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct SetupError(pub String);
