//! The seam in memory, driven by a seed: a disk that loses, tears and reorders what was not
//! flushed, a clock, mailboxes, and a machine that can be killed or cut off at any operation.
//!
//! [`World`] is the machine and belongs to a test harness; `ShardIo` is one shard's access to it,
//! behind [`crate::io::Io`]. Files: `world` (events, crash, restart), `operations` (disk
//! operations and their faults), `disk` (content), `crash` (what a power cut leaves), `mail` and
//! `mailbox`, `network` (sockets), `config` (settings and counters), `random`.

mod config;
mod crash;
mod damage;
mod disk;
mod mail;
pub(super) mod mailbox;
mod network;
mod operations;
mod random;
#[cfg(test)]
mod tests;
mod world;

pub use config::{
    Crash, DiskConfig, DiskFault, FaultTarget, NetworkConfig, ScriptedFault, WorldConfig,
    WorldCounters,
};
pub use network::Client;
pub use random::Random;
pub use world::World;

use super::arena::Arena;
use super::op::{
    Completion, DetachedSocket, FileHandle, IoFailure, Op, Outcome, Received, SocketHandle, Token,
};
use super::{Awaiting, Backend, Class, Io, IoCounters};
use crate::ids::ShardId;
use mail::Mailroom;
use std::net::SocketAddr;
use world::Ready;

/// One shard's access to a [`World`].
#[derive(Debug)]
pub(super) struct ShardIo {
    world: World,
    shard: usize,
    life: u64,
    /// `None` only while this is dropped.
    arena: Option<Arena>,
    /// Completions of operations that were submitted after the machine stopped.
    stopped: Vec<Completion>,
}

impl Io {
    pub(in crate::io) fn simulated(shard: ShardIo) -> Self {
        Self {
            backend: Backend::Simulated(Box::new(shard)),
        }
    }
}

impl ShardIo {
    fn new(world: World, shard: usize, life: u64, arena: Arena) -> Self {
        Self {
            world,
            shard,
            life,
            arena: Some(arena),
            stopped: Vec::new(),
        }
    }

    /// Whether this belongs to a process that is no more.
    fn is_dead(&self) -> bool {
        let inner = self.world.inner.borrow();
        inner.is_stopped() || inner.life != self.life
    }

    pub(super) const fn shard(&self) -> ShardId {
        ShardId(self.shard as u16)
    }

    pub(super) fn now_ns(&self) -> u64 {
        self.world.inner.borrow().look_at_clock()
    }

    pub(super) fn wall_ms(&self) -> i64 {
        self.world.inner.borrow().wall_ms()
    }

    pub(super) fn random_u64(&self) -> u64 {
        if self.is_dead() {
            return 0;
        }
        self.world.inner.borrow_mut().shards[self.shard]
            .random
            .bits()
    }

    pub(super) fn arena(&mut self) -> &mut Arena {
        self.arena
            .as_mut()
            .expect("the arena lives as long as this")
    }

    pub(super) fn submit(&mut self, token: Token, op: Op) {
        if self.is_dead() {
            let outcome = operations::stopped(op);
            self.stopped.push(Completion { token, outcome });
            return;
        }
        let mut inner = self.world.inner.borrow_mut();
        inner.shards[self.shard].counters.submitted += 1;
        match op {
            Op::Accept { .. } | Op::Receive { .. } | Op::Send { .. } => {
                inner.submit_network(self.shard, token, op);
            }
            op => _ = inner.submit_disk(self.shard, token, op, false),
        }
    }

    pub(super) fn cancel(&self, token: Token) {
        if !self.is_dead() {
            self.world.inner.borrow_mut().cancel(self.shard, token);
        }
    }

    pub(super) fn poll(&mut self, done: &mut Vec<Completion>) {
        done.append(&mut self.stopped);
        if self.is_dead() {
            return;
        }
        let world = self.world.clone();
        let mut inner = world.inner.borrow_mut();
        while let Some(ready) = inner.shards[self.shard].ready.pop_front() {
            match ready {
                Ready::Done(completion) => done.push(completion),
                Ready::Slot { token, socket } => {
                    let result = match self.arena().alloc(network::SLOT_BYTES) {
                        Some(mut slot) => inner
                            .fill_slot(self.shard, socket, &mut slot)
                            .map(|()| Received::Slot(slot)),
                        None => Err(IoFailure::NoSlot),
                    };
                    let outcome = Outcome::Receive(result);
                    done.push(Completion { token, outcome });
                }
            }
        }
    }

    pub(super) fn park(&self, deadline_ns: Option<u64>, _awaiting: Awaiting) {
        if !self.is_dead() {
            let mut inner = self.world.inner.borrow_mut();
            inner.set_deadline(self.shard, deadline_ns);
        }
    }

    pub(super) fn wait(&mut self, done: &mut Vec<Completion>) -> Result<(), IoFailure> {
        self.poll(done);
        if self.is_dead() {
            return Err(IoFailure::Stopped);
        }
        if done.is_empty() {
            let mut inner = self.world.inner.borrow_mut();
            let happened = inner.step();
            assert!(
                happened || inner.is_stopped(),
                "a wait for what is never going to happen"
            );
            drop(inner);
            self.poll(done);
        }
        Ok(())
    }

    pub(super) fn call(&mut self, op: Op) -> Outcome {
        if self.is_dead() {
            return operations::stopped(op);
        }
        let token = Token {
            class: Class::Log,
            key: u64::MAX,
        };
        let on_stop = operations::stop_outcome(&op);
        let mut inner = self.world.inner.borrow_mut();
        inner.shards[self.shard].counters.submitted += 1;
        let id = inner.submit_disk(self.shard, token, op, true);
        while id.is_some() && !inner.is_stopped() {
            if let Some((called, outcome)) = inner.called.take() {
                assert_eq!(Some(called), id, "one call at a time");
                return outcome;
            }
            let happened = inner.step();
            assert!(
                happened || inner.is_stopped(),
                "a called operation never ended"
            );
        }
        drop(inner);
        on_stop.outcome(self.arena())
    }

    pub(super) fn listen(
        &self,
        address: SocketAddr,
    ) -> Result<(SocketHandle, SocketAddr), IoFailure> {
        if self.is_dead() {
            return Err(IoFailure::Stopped);
        }
        self.world.inner.borrow_mut().listen(self.shard, address)
    }

    pub(super) fn detach_socket(&self, socket: SocketHandle) -> DetachedSocket {
        let id = match self.is_dead() {
            true => u64::MAX,
            false => self
                .world
                .inner
                .borrow_mut()
                .detach_socket(self.shard, socket),
        };
        DetachedSocket::Simulated(id)
    }

    pub(super) fn attach_socket(&self, socket: DetachedSocket) -> SocketHandle {
        match socket {
            DetachedSocket::Simulated(id) if !self.is_dead() => {
                self.world.inner.borrow_mut().attach_socket(self.shard, id)
            }
            _ => SocketHandle(u32::MAX),
        }
    }

    pub(super) fn close_socket(&self, socket: SocketHandle) {
        if !self.is_dead() {
            self.world
                .inner
                .borrow_mut()
                .close_socket(self.shard, socket);
        }
    }

    pub(super) fn close_file(&self, file: FileHandle) {
        if !self.is_dead() {
            self.world.inner.borrow_mut().close_file(self.shard, file);
        }
    }

    pub(super) fn ring_doorbell(&self, shard: ShardId) {
        if !self.is_dead() {
            let mut inner = self.world.inner.borrow_mut();
            inner.shards[self.shard].counters.doorbells += 1;
            inner.ring_doorbell(shard.index());
        }
    }

    pub(super) fn counters(&self) -> IoCounters {
        if self.is_dead() {
            return IoCounters::default();
        }
        self.world.inner.borrow().shards[self.shard].counters
    }
}

impl Drop for ShardIo {
    fn drop(&mut self) {
        self.stopped.clear();
        let Some(arena) = self.arena.take() else {
            return;
        };
        // A world that is dropped first, or that is borrowed while a panic unwinds, needs none.
        if arena.used_bytes() == 0
            && let Ok(mut inner) = self.world.inner.try_borrow_mut()
        {
            inner.spare_arenas.push(arena);
        }
    }
}
