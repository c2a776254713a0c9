//! Mailboxes of a simulated world: bounded queues per pair of shards, whose contents become
//! visible when the world says so.

use super::World;
use crate::ids::ShardId;
use crate::io::Io;
use crate::io::mailbox::Mailbox;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

/// One shard's end of all its mailboxes in a [`World`].
#[derive(Debug)]
pub(in crate::io) struct SimMailbox<M> {
    world: World,
    life: u64,
    shard: usize,
    shards: usize,
    capacity: usize,
    next_sender: usize,
    /// Contents per pair, sent and not yet taken.
    queues: Rc<RefCell<Vec<VecDeque<M>>>>,
}

impl World {
    /// The mailboxes of all shards of the running process. Those of earlier lives are dead.
    /// `capacity` holds per pair.
    #[must_use]
    pub fn mailboxes<M: Send + 'static>(&self, capacity: usize) -> Vec<Mailbox<M>> {
        let inner = self.inner.borrow();
        let shards = inner.shards.len();
        let contents = (0..shards * shards).map(|_| VecDeque::new()).collect();
        let queues = Rc::new(RefCell::new(contents));
        let mailbox = |shard| SimMailbox {
            world: self.clone(),
            life: inner.life,
            shard,
            shards,
            capacity,
            next_sender: 0,
            queues: Rc::clone(&queues),
        };
        (0..shards).map(mailbox).map(Mailbox::simulated).collect()
    }
}

impl<M> SimMailbox<M> {
    fn is_dead(&self) -> bool {
        let inner = self.world.inner.borrow();
        inner.is_stopped() || inner.life != self.life
    }

    /// See [`Mailbox::send`]. A machine that stopped refuses as if the queue were full.
    pub(in crate::io) fn send(&self, io: &mut Io, to: ShardId, content: M) -> Result<(), M> {
        let pair = self.shard * self.shards + to.index();
        if self.is_dead() || self.queues.borrow()[pair].len() >= self.capacity {
            return Err(content);
        }
        self.queues.borrow_mut()[pair].push_back(content);
        self.world
            .inner
            .borrow_mut()
            .send_mail(self.shard, to.index());
        io.ring_doorbell(to);
        Ok(())
    }

    /// See [`Mailbox::receive`]: one of each sender in turn, of what is visible by now.
    pub(in crate::io) fn receive(
        &mut self,
        _io: &mut Io,
        limit: usize,
        out: &mut Vec<(ShardId, M)>,
    ) {
        if self.is_dead() {
            return;
        }
        let mut inner = self.world.inner.borrow_mut();
        let mut queues = self.queues.borrow_mut();
        let mut idle = 0;
        let end = out.len() + limit;
        while out.len() < end && idle < self.shards {
            let from = self.next_sender;
            self.next_sender = (from + 1) % self.shards;
            idle += 1;
            if inner.mail.take(from, self.shard) {
                let queue = &mut queues[from * self.shards + self.shard];
                let content = queue.pop_front().expect("visible mail lies in its queue");
                out.push((ShardId(from as u16), content));
                idle = 0;
            }
        }
        if inner.mail.is_waiting(self.shard) {
            inner.wake(self.shard);
        }
    }
}
