//! Makes the shards of one process: threads, pinning, rings, mailboxes, the housekeeper.
//!
//! [`start_shards`] returns once every shard's ring is up (or says why not); the shards run until
//! their bodies return. A body gets a [`ShardSeat`]: its `Io`, its mailbox, and the inbox of the
//! messages that any thread may send with [`ShardGroup::remote`]. A panic on a shard's thread
//! aborts the process: a shard that is gone would leave acknowledged work undone unseen.

mod startup;
#[cfg(test)]
mod tests;

pub use super::kernel::features::{RingFeature, ring_features};
pub use super::terminate::on_terminate;

use super::Io;
use super::mailbox::Mailbox;
use super::op::{DetachedSocket, IoFailure};
use super::probe::DurableBy;
use super::remote::{Remote, RemoteInbox};
use rustix::thread::CpuSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a taken address is tried again, and how often.
const LISTEN_PATIENCE: Duration = Duration::from_secs(10);
const LISTEN_RETRY: Duration = Duration::from_millis(20);

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
    /// Capacity of each mailbox and of each remote inbox.
    pub mailbox_capacity: usize,
    /// How durable writes are made; `None`: as is cheapest, measured for a moment at the start.
    pub durable_by: Option<DurableBy>,
}

/// What a shard's body starts with.
#[derive(Debug)]
pub struct ShardSeat<M, T> {
    /// Its access to the kernel.
    pub io: Io,
    /// Messages between shards.
    pub mailbox: Mailbox<M>,
    /// Messages from other threads.
    pub inbox: RemoteInbox<T>,
    /// What was found and chosen at start.
    pub report: Arc<SetupReport>,
}

/// What a human should know about how the shards run on this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SetupReport {
    /// How durable writes are made.
    pub durable_by: DurableBy,
    /// One sentence each: what was measured and chosen.
    pub lines: Vec<String>,
    /// One sentence each: what could not be had or should not be so, and what it costs.
    pub warnings: Vec<String>,
}

/// Why the shards could not be started.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct SetupError(pub String);

/// Shards that run.
#[derive(Debug)]
pub struct ShardGroup<R, T> {
    remote: Remote<T>,
    report: Arc<SetupReport>,
    /// `None` from those that ended before their body ran.
    threads: Vec<JoinHandle<Option<R>>>,
    housekeeper: JoinHandle<()>,
}

impl<R, T: Send + 'static> ShardGroup<R, T> {
    /// Sends to the shards from any thread.
    #[must_use]
    pub fn remote(&self) -> Remote<T> {
        self.remote.clone()
    }

    /// What was found and chosen at start.
    #[must_use]
    pub fn report(&self) -> &SetupReport {
        &self.report
    }

    /// Waits until every body has returned; their results in shard order. Bodies end by their own
    /// decision, usually because of a message sent with [`Self::remote`].
    #[must_use]
    pub fn join(self) -> Vec<R> {
        let ended = self.threads.into_iter().filter_map(joined).collect();
        // It ends after the last shard. Waiting for it means that locks are given back.
        joined(self.housekeeper);
        ended
    }
}

/// The result of a thread; one that panicked has ended the process already.
fn joined<R>(thread: JoinHandle<R>) -> R {
    thread.join().unwrap_or_else(|_| std::process::abort())
}

/// Starts one shard per core of `config`, each on its own pinned thread with its own ring, and
/// runs `body` there. Makes the directories if they are absent.
///
/// # Errors
/// When a directory, a ring or the housekeeper cannot be made: says which of seccomp, sysctl,
/// memlock, kernel version or file system it is, and the fix.
pub fn start_shards<M, T, R, F>(
    config: &KernelConfig,
    body: F,
) -> Result<ShardGroup<R, T>, SetupError>
where
    M: Send + 'static,
    T: Send + 'static,
    R: Send + 'static,
    F: Fn(ShardSeat<M, T>) -> R + Send + Sync + 'static,
{
    startup::start(config, body)
}

/// [`start_shards`] without messages from outside, then [`ShardGroup::join`].
///
/// # Errors
/// As [`start_shards`].
pub fn run_shards<M, R, F>(config: &KernelConfig, body: F) -> Result<Vec<R>, SetupError>
where
    M: Send + 'static,
    R: Send + 'static,
    F: Fn(Io, Mailbox<M>) -> R + Send + Sync + 'static,
{
    let group = start_shards(
        config,
        move |seat: ShardSeat<M, std::convert::Infallible>| body(seat.io, seat.mailbox),
    )?;
    Ok(group.join())
}

/// Listens for TCP connections before any shard runs; a shard takes the socket over with
/// `Io::attach_socket`. Says where, for port 0 is chosen by the kernel. Waits up to 10 s for an
/// address that is taken, and logs that it does.
///
/// # Errors
/// What the operating system says: address in use, not available, no permission.
pub fn listen(address: SocketAddr) -> Result<(DetachedSocket, SocketAddr), IoFailure> {
    let begin = Instant::now();
    let mut is_told = false;
    loop {
        match super::kernel::socket::listen(address) {
            // The kernel takes a ring apart after its process has ended, and with the ring the
            // sockets it listened on: a broker that is started right after a kill is early.
            Err(failure) if failure.is_address_in_use() && begin.elapsed() < LISTEN_PATIENCE => {
                if !std::mem::replace(&mut is_told, true) {
                    log::warn!("{address} is taken; waiting up to {LISTEN_PATIENCE:?} for it");
                }
                std::thread::sleep(LISTEN_RETRY);
            }
            listened => {
                let (socket, bound) = listened?;
                return Ok((DetachedSocket::Kernel(socket), bound));
            }
        }
    }
}

/// Cores this process may run on, ascending.
#[must_use]
pub fn allowed_cores() -> Vec<usize> {
    match rustix::thread::sched_getaffinity(None) {
        Ok(set) => (0..CpuSet::MAX_CPU)
            .filter(|&core| set.is_set(core))
            .collect(),
        // Only with more cores than a set can name.
        Err(_) => (0..std::thread::available_parallelism().map_or(1, usize::from)).collect(),
    }
}

/// Release of the running kernel.
#[must_use]
pub fn kernel_release() -> String {
    rustix::system::uname()
        .release()
        .to_string_lossy()
        .into_owned()
}
