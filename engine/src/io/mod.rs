//! The seam: everything a shard asks of the kernel or the world goes through [`Io`].
//!
//! Two implementations: the kernel's io_uring, and a simulated world driven by a seed. Nothing
//! above this folder calls `std::fs`, `std::net`, a clock, a random source or spawns a thread.
//!
//! Rules the layers above rely on:
//! - an operation **owns** its buffers until its one completion is handed out by [`Io::poll`];
//! - completions are seen only in `poll`, never inside `submit`;
//! - operations in flight may complete in any order; nothing orders two of them;
//! - a write that covers bytes may ruin only the blocks it covers;
//! - a durable write (`durable: true`) that completed whole survives a power cut;
//! - directory entries survive a power cut only after [`FileOp::SyncDir`].

pub mod allocations;
pub mod arena;
pub mod filesystem;
pub mod group;
mod housekeeper;
mod kernel;
pub mod mailbox;
pub mod op;
pub mod probe;
pub mod process_limits;
mod random;
pub mod remote;
pub mod simulated;
mod terminate;
#[cfg(test)]
pub(crate) mod test_dir;

use arena::Arena;
pub use op::{
    Class, Completion, Dir, FileHandle, FileOp, FilePath, FileReply, IoFailure, Op, Outcome,
    ReceiveInto, Received, SocketHandle, Token,
};

use crate::ids::ShardId;
use kernel::signal::Bell;

/// One shard's access to the world. Not `Send`: it lives and dies on its shard's thread.
#[derive(Debug)]
pub struct Io {
    backend: Backend,
}

#[derive(Debug)]
enum Backend {
    Kernel(Box<kernel::Ring>),
    Simulated(Box<simulated::ShardIo>),
}

/// What the shard is waiting for when it parks; decides whether spinning can pay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaiting {
    /// Only disk completions: never spin, the kernel's completion worker needs the core.
    Disk,
    /// Sockets, mailboxes or timers: a short adaptive spin may save a wake-up.
    Anything,
}

/// Counts since start, for hygiene gates, metrics and benchmarks. All monotonic.
#[derive(Clone, Copy, Debug, Default)]
pub struct IoCounters {
    /// Calls of `io_uring_enter`.
    pub enters: u64,
    /// Other system calls of the shard's thread: sockets taken and closed, files and memory made
    /// known to the ring, wake-ups of sleeping threads. Upper bound: a wake-up may need none.
    pub other_calls: u64,
    /// Operations submitted.
    pub submitted: u64,
    /// Disk writes completed, and their bytes.
    pub writes: u64,
    /// Bytes of completed disk writes.
    pub written_bytes: u64,
    /// Durable writes among them (each implies a device flush here).
    pub durable_writes: u64,
    /// Disk reads completed.
    pub reads: u64,
    /// Bytes of completed disk reads.
    pub read_bytes: u64,
    /// Receives completed.
    pub receives: u64,
    /// Bytes received.
    pub received_bytes: u64,
    /// Sends completed.
    pub sends: u64,
    /// Bytes sent.
    pub sent_bytes: u64,
    /// Doorbells rung at other shards.
    pub doorbells: u64,
    /// Times `io_uring_enter` took longer than 1 ms while it did not wait.
    pub slow_enters: u64,
    /// Heap allocations of the shard's thread, if the program counts them (see [`allocations`]).
    pub allocations: u64,
}

macro_rules! each {
    ($self:expr, $io:ident => $body:expr) => {
        match &$self.backend {
            Backend::Kernel($io) => $body,
            Backend::Simulated($io) => $body,
        }
    };
    (mut $self:expr, $io:ident => $body:expr) => {
        match &mut $self.backend {
            Backend::Kernel($io) => $body,
            Backend::Simulated($io) => $body,
        }
    };
}

impl Io {
    /// Which shard this is.
    #[must_use]
    pub fn shard(&self) -> ShardId {
        each!(self, io => io.shard())
    }

    /// Monotonic time. Never goes back; may advance inside a turn.
    #[must_use]
    pub fn now_ns(&self) -> u64 {
        each!(self, io => io.now_ns())
    }

    /// Wall clock in milliseconds since the epoch, as Kafka timestamps. May jump.
    #[must_use]
    pub fn wall_ms(&self) -> i64 {
        each!(self, io => io.wall_ms())
    }

    /// Random bits: from the operating system, or from the simulation's seed.
    pub fn random_u64(&mut self) -> u64 {
        each!(mut self, io => io.random_u64())
    }

    /// The shard's registered memory.
    pub fn arena(&mut self) -> &mut Arena {
        each!(mut self, io => io.arena())
    }

    /// Queues `op`; it reaches the kernel at the next `poll` or `park`. Its one completion
    /// carries `token`. Never fails: an operation that cannot be started completes with an error.
    pub fn submit(&mut self, token: Token, op: Op) {
        each!(mut self, io => io.submit(token, op));
    }

    /// Asks that receive, accept and send operations with this token end soon (with
    /// `IoFailure::Cancelled` unless they completed first). Disk operations are never cancelled.
    pub fn cancel(&mut self, token: Token) {
        each!(mut self, io => io.cancel(token));
    }

    /// Submits what is queued and appends finished operations to `done`, without waiting.
    pub fn poll(&mut self, done: &mut Vec<Completion>) {
        each!(mut self, io => io.poll(done));
    }

    /// Submits what is queued and sleeps until something happens: a completion, a doorbell, a
    /// waker, or `deadline_ns`. May return early for no reason. In simulation it returns at once
    /// (the world's scheduler decides when the shard runs next).
    pub fn park(&mut self, deadline_ns: Option<u64>, awaiting: Awaiting) {
        each!(mut self, io => io.park(deadline_ns, awaiting));
    }

    /// Start-up and shutdown only: runs one operation to its end, setting aside the completions
    /// of others for the next `poll`.
    pub fn call(&mut self, op: Op) -> Outcome {
        each!(mut self, io => io.call(op))
    }

    /// Start-up and shutdown only: submits what is queued, lets something happen, and appends
    /// what finished to `done` (possibly nothing). Unlike `park` it also makes a simulated world
    /// move on.
    ///
    /// # Errors
    /// `Stopped` when the simulated machine stopped: what is in flight never ends.
    pub fn wait(&mut self, done: &mut Vec<Completion>) -> Result<(), IoFailure> {
        match &mut self.backend {
            Backend::Kernel(io) => {
                io.park(None, Awaiting::Disk);
                io.poll(done);
                Ok(())
            }
            Backend::Simulated(io) => io.wait(done),
        }
    }

    /// Opens a listening TCP socket. Start-up only.
    ///
    /// # Errors
    /// What the operating system says: address in use, not available, no permission.
    pub fn listen(
        &mut self,
        address: std::net::SocketAddr,
    ) -> Result<(SocketHandle, std::net::SocketAddr), IoFailure> {
        each!(mut self, io => io.listen(address))
    }

    /// Takes a socket with no operation in flight off this shard, to be sent to another one.
    pub fn detach_socket(&mut self, socket: SocketHandle) -> op::DetachedSocket {
        each!(mut self, io => io.detach_socket(socket))
    }

    /// Takes over a socket that another shard detached.
    pub fn attach_socket(&mut self, socket: op::DetachedSocket) -> SocketHandle {
        each!(mut self, io => io.attach_socket(socket))
    }

    /// Closes a socket. Operations in flight complete with an error first; the handle is dead
    /// for the caller at once.
    pub fn close_socket(&mut self, socket: SocketHandle) {
        each!(mut self, io => io.close_socket(socket));
    }

    /// Closes a file with no operation in flight.
    pub fn close_file(&mut self, file: FileHandle) {
        each!(mut self, io => io.close_file(file));
    }

    /// Wakes `shard` if it sleeps. Called by mailboxes after they put something in.
    pub fn ring_doorbell(&mut self, shard: ShardId) {
        each!(mut self, io => io.ring_doorbell(shard));
    }

    /// Whether mail may have come since this was last asked. Clears the bell.
    fn take_mail_bell(&mut self) -> bool {
        match &mut self.backend {
            Backend::Kernel(ring) => ring.take_bell(Bell::Mailbox),
            Backend::Simulated(_) => true,
        }
    }

    /// Whether messages of other threads may have come since this was last asked.
    fn take_inbox_bell(&mut self) -> bool {
        match &mut self.backend {
            Backend::Kernel(ring) => ring.take_bell(Bell::Inbox),
            Backend::Simulated(_) => true,
        }
    }

    /// Keeps this shard from sleeping before it has looked at its inbox again.
    fn ring_inbox_bell(&mut self) {
        match &mut self.backend {
            Backend::Kernel(ring) => ring.ring_own_bell(Bell::Inbox),
            Backend::Simulated(_) => {}
        }
    }

    /// What this shard did so far.
    #[must_use]
    pub fn counters(&self) -> IoCounters {
        each!(self, io => io.counters())
    }
}
