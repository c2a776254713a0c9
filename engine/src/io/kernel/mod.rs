//! The seam over the Linux kernel: one io_uring per shard, used by its thread alone.
//!
//! `submit` builds submissions, `complete` turns completions into outcomes, `park` sleeps,
//! `queue` holds the rings shared with the kernel, `slots` the operations in flight with all they
//! own, `receive_slots` and `slabs` the memory the kernel knows, `signal` wakes sleeping shards,
//! `setup` makes a ring or says why that is impossible.
//!
//! INVARIANT: memory given to the kernel is freed only after the last completion that names it, or
//! never. Files are registered (no reference count per operation); sockets are plain descriptors,
//! so that they can move between shards.

mod complete;
mod descriptors;
pub(super) mod features;
mod park;
mod queue;
mod receive_slots;
pub(super) mod setup;
pub(super) mod signal;
mod slabs;
mod slots;
pub(super) mod socket;
mod submit;
#[cfg(test)]
mod tests;

use super::arena::Arena;
use super::housekeeper::{HousekeeperHandle, Job, Reply, Task};
use super::op::{Completion, DetachedSocket, FileHandle, IoFailure, Op, SocketHandle, Token};
use super::probe::DurableBy;
use super::{IoCounters, allocations, random};
use crate::ids::ShardId;
use descriptors::Table;
use park::Spin;
use queue::Queue;
use receive_slots::ReceiveSlots;
use signal::{Bell, Signal};
use slabs::Slabs;
use slots::{Name, Slots};
use std::fmt;
use std::net::SocketAddr;
use std::os::fd::{OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use submit::Started;

type Files = Table<File>;

/// How long a ring that is dropped waits for the kernel to let go of its memory.
const DRAIN_NS: u64 = 10_000_000_000;

/// An open file. Operations of the housekeeper share the descriptor.
struct File {
    fd: Arc<OwnedFd>,
    is_registered: bool,
}

struct Socket {
    fd: OwnedFd,
    in_flight: u32,
    /// The last receive left bytes behind: try the next one at once.
    has_more: bool,
    /// Closed by the shard; goes with its last operation.
    is_closing: bool,
}

/// One shard's ring.
pub(super) struct Ring {
    // Dropped in this order: the kernel lets go of all memory with `queue`, so that comes before
    // what it may touch.
    queue: Queue,
    slots: Slots,
    receive_slots: ReceiveSlots,
    event_count: Box<u64>,
    slabs: Slabs,
    arena: Arena,

    shard: ShardId,
    files: Files,
    sockets: Table<Socket>,
    /// Places of the registered table of files.
    registered_files: u32,
    has_vectored_fixed: bool,
    durable_by: DurableBy,
    /// Of all shards, this one included.
    signals: Vec<Arc<Signal>>,
    housekeeper: HousekeeperHandle,
    replies: Receiver<Reply>,
    ready: Vec<Completion>,
    awaited: Option<Name>,
    awaited_outcome: Option<super::Outcome>,
    spin: Spin,
    random: random::SystemRandom,
    counters: IoCounters,
    is_event_armed: bool,
    is_ending: bool,
}

impl Ring {
    pub(super) const fn shard(&self) -> ShardId {
        self.shard
    }

    #[expect(
        clippy::unused_self,
        reason = "the simulated shard has a clock of its own"
    )]
    pub(super) fn now_ns(&self) -> u64 {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
    }

    #[expect(
        clippy::unused_self,
        reason = "the simulated shard has a clock of its own"
    )]
    pub(super) fn wall_ms(&self) -> i64 {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
        now.tv_sec * 1000 + now.tv_nsec / 1_000_000
    }

    pub(super) fn random_u64(&mut self) -> u64 {
        self.random.next_u64()
    }

    pub(super) const fn arena(&mut self) -> &mut Arena {
        &mut self.arena
    }

    pub(super) fn submit(&mut self, token: Token, op: Op) {
        if let Started::Ended(outcome) = self.start(token, op) {
            self.ready.push(Completion { token, outcome });
        }
    }

    pub(super) fn cancel(&mut self, token: Token) {
        self.cancel_where(|_, other| other == token);
    }

    pub(super) fn poll(&mut self, done: &mut Vec<Completion>) {
        self.turn();
        done.append(&mut self.ready);
    }

    /// Submits what is queued and takes in what has ended.
    fn turn(&mut self) {
        self.receive_slots.refill(&mut self.arena);
        self.queue.submit();
        self.drain();
        if self.signal().take(Bell::Housekeeper) {
            self.drain_replies();
        }
    }

    pub(super) fn listen(
        &mut self,
        address: SocketAddr,
    ) -> Result<(SocketHandle, SocketAddr), IoFailure> {
        let (fd, address) = socket::listen(address)?;
        Ok((self.add_socket(fd), address))
    }

    pub(super) fn detach_socket(&mut self, socket: SocketHandle) -> DetachedSocket {
        let in_flight = self.sockets.get(socket.0).map(|socket| socket.in_flight);
        assert_eq!(in_flight, Some(0), "{socket:?} is in use or gone");
        let socket = self.sockets.remove(socket.0);
        DetachedSocket::Kernel(socket.expect("looked up above").fd)
    }

    pub(super) fn attach_socket(&mut self, socket: DetachedSocket) -> SocketHandle {
        match socket {
            DetachedSocket::Kernel(fd) => self.add_socket(fd),
            DetachedSocket::Simulated(_) => panic!("a simulated socket came to a real shard"),
        }
    }

    pub(super) fn close_socket(&mut self, handle: SocketHandle) {
        let Some(socket) = self.sockets.get_mut(handle.0) else {
            return;
        };
        if socket.in_flight == 0 {
            self.drop_socket(handle);
        } else {
            socket.is_closing = true;
            self.cancel_where(|work, _| work.socket() == Some(handle));
        }
    }

    /// The housekeeper closes: the last close of a removed file frees its space, which blocks.
    pub(super) fn close_file(&mut self, file: FileHandle) {
        if let Some(entry) = self.files.remove(file.0) {
            if entry.is_registered {
                self.register_file(Files::place(file.0), -1);
            }
            self.send_job(0, Task::Close(entry.fd));
        }
    }

    fn drop_socket(&mut self, handle: SocketHandle) {
        self.counters.other_calls += 1;
        self.sockets.remove(handle.0);
    }

    fn send_job(&mut self, id: u64, task: Task) {
        self.counters.other_calls += 1;
        self.housekeeper.send(Job {
            shard: self.shard,
            id,
            task,
        });
    }

    /// Puts a descriptor (-1: none) at a place of the registered table.
    fn register_file(&mut self, place: u32, fd: RawFd) -> bool {
        self.counters.other_calls += 1;
        let update = self.queue.submitter().register_files_update(place, &[fd]);
        update.is_ok()
    }

    pub(super) fn ring_doorbell(&mut self, shard: ShardId) {
        let signal = &self.signals[shard.index()];
        if !signal.ring(Bell::Mailbox) {
            return;
        }
        self.counters.doorbells += 1;
        match signal.ring_fd() {
            Some(ring) => self.push_doorbell(ring, u32::from(shard.0)),
            None => {
                self.counters.other_calls += 1;
                signal.wake();
            }
        }
    }

    pub(super) fn take_bell(&self, bell: Bell) -> bool {
        self.signal().take(bell)
    }

    pub(super) fn ring_own_bell(&self, bell: Bell) {
        let sleeps = self.signal().ring(bell);
        debug_assert!(!sleeps, "this shard is awake");
    }

    fn signal(&self) -> &Signal {
        &self.signals[self.shard.index()]
    }

    pub(super) fn counters(&self) -> IoCounters {
        let (enters, slow_enters) = self.queue.enters();
        IoCounters {
            enters,
            slow_enters,
            allocations: allocations::of_this_thread(),
            other_calls: self.counters.other_calls + self.slabs.calls(),
            ..self.counters
        }
    }

    /// Operations in flight, for tests.
    #[cfg(test)]
    pub(super) fn in_flight(&self) -> usize {
        self.slots.in_flight()
    }
}

impl Drop for Ring {
    /// Ends what can be ended and waits for the rest, because freed memory must not be written to.
    fn drop(&mut self) {
        self.is_ending = true;
        self.cancel_where(|_, _| true);
        self.cancel_all();
        let deadline = self.now_ns() + DRAIN_NS;
        loop {
            self.turn();
            if self.slots.in_kernel() == 0 && !self.is_event_armed {
                break;
            }
            let now = self.now_ns();
            if now > deadline {
                // The kernel still owns memory: better a dead process than a corrupt one.
                log::error!(
                    "{} disk or socket operations never ended",
                    self.slots.in_kernel()
                );
                std::process::abort();
            }
            self.queue.wait(Some(std::time::Duration::from_millis(100)));
        }
        // Peers may still hold the ring's descriptor: let go of what it keeps alive.
        let submitter = self.queue.submitter();
        let ended = [
            submitter.unregister_buffers(),
            submitter.unregister_files(),
            submitter.unregister_buf_ring(receive_slots::GROUP),
        ];
        log::trace!("ring of {} ended: {ended:?}", self.shard);
    }
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring")
            .field("shard", &self.shard)
            .field("in_flight", &self.slots.in_flight())
            .finish_non_exhaustive()
    }
}
