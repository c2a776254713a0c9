//! Mailboxes of the simulated world: what was sent becomes visible later, in order per pair; a
//! doorbell rings after that, and one ring may stand for several.

use super::World;
use super::world::{Event, Inner};
use crate::ids::ShardId;
use crate::io::Io;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

/// One shard's end of all its mailboxes in a [`World`].
#[derive(Debug)]
pub struct SimulatedMailbox<M> {
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
    #[must_use]
    pub fn mailboxes<M>(&self, capacity: usize) -> Vec<SimulatedMailbox<M>> {
        let inner = self.inner.borrow();
        let shards = inner.shards.len();
        let contents = (0..shards * shards).map(|_| VecDeque::new()).collect();
        let queues = Rc::new(RefCell::new(contents));
        let mailbox = |shard| SimulatedMailbox {
            world: self.clone(),
            life: inner.life,
            shard,
            shards,
            capacity,
            next_sender: 0,
            queues: Rc::clone(&queues),
        };
        (0..shards).map(mailbox).collect()
    }
}

impl<M> SimulatedMailbox<M> {
    fn is_dead(&self) -> bool {
        let inner = self.world.inner.borrow();
        inner.is_stopped() || inner.life != self.life
    }

    /// Puts something into the queue to `to` and rings its doorbell.
    ///
    /// # Errors
    /// Gives it back when the queue is full, or the machine stopped.
    pub fn send(&mut self, io: &mut Io, to: ShardId, content: M) -> Result<(), M> {
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

    /// Takes up to `limit` of what is visible, rotating over the senders, into `out`.
    pub fn receive(&mut self, limit: usize, out: &mut Vec<(ShardId, M)>) {
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
    }
}

/// What of the mail between shards is visible, by count. The contents lie with the mailboxes.
#[derive(Debug, Default)]
pub(super) struct Mailroom {
    shards: usize,
    /// Visible and not yet taken, per pair.
    visible: Vec<u64>,
    /// When the last one of each pair becomes visible.
    last_ns: Vec<u64>,
    /// When the doorbell of a shard rings next.
    doorbell_ns: Vec<Option<u64>>,
}

impl Mailroom {
    pub(super) fn new(shards: usize) -> Self {
        Self {
            shards,
            visible: vec![0; shards * shards],
            last_ns: vec![0; shards * shards],
            doorbell_ns: vec![None; shards],
        }
    }

    const fn pair(&self, from: usize, to: usize) -> usize {
        from * self.shards + to
    }

    pub(super) fn deliver(&mut self, from: usize, to: usize) {
        let pair = self.pair(from, to);
        self.visible[pair] += 1;
    }

    /// Takes one visible piece of mail, if there is one.
    pub(super) fn take(&mut self, from: usize, to: usize) -> bool {
        let pair = self.pair(from, to);
        let is_there = self.visible[pair] > 0;
        self.visible[pair] -= u64::from(is_there);
        is_there
    }

    pub(super) fn rung(&mut self, shard: usize) {
        self.doorbell_ns[shard] = None;
    }
}

impl Inner {
    /// Something was put into the queue from `from` to `to`.
    pub(super) fn send_mail(&mut self, from: usize, to: usize) {
        let delay = self
            .mail_random
            .within(&self.config.mailbox_delay_ns.clone());
        let pair = self.mail.pair(from, to);
        let time = self.mail.last_ns[pair].max(self.now() + delay);
        self.mail.last_ns[pair] = time;
        self.mix(&[4, from as u64, to as u64]);
        self.schedule(time, Event::Mail { from, to });
    }

    /// Rings a shard's doorbell once everything sent to it so far is visible.
    pub(super) fn ring_doorbell(&mut self, to: usize) {
        let pairs = (0..self.mail.shards).map(|from| self.mail.pair(from, to));
        let visible_ns = pairs.map(|pair| self.mail.last_ns[pair]).max().unwrap_or(0);
        if self.mail.doorbell_ns[to].is_some_and(|rings_ns| rings_ns >= visible_ns) {
            self.counters.doorbells_merged += 1;
            return;
        }
        let delay = self
            .mail_random
            .within(&self.config.mailbox_delay_ns.clone());
        let time = visible_ns.max(self.now()) + delay;
        self.mail.doorbell_ns[to] = Some(time);
        self.schedule(time, Event::Doorbell(to));
    }
}
