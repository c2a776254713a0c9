//! Bounded single-producer single-consumer queues between every pair of shards. Messages from
//! threads that are no shard come through [`super::remote`].
//!
//! Order is kept per pair. A full queue refuses: the sender parks whatever caused the message.
//! A message is noticed by a sleeping shard at once: `send` rings its doorbell, which reaches the
//! kernel at the sender's next `poll` or `park`.

use super::Io;
use super::simulated::mailbox::SimMailbox;
use crate::ids::ShardId;
use std::fmt;

/// One shard's end of all its mailboxes.
pub struct Mailbox<M> {
    inner: Inner<M>,
}

enum Inner<M> {
    Kernel(Pairs<M>),
    Simulated(SimMailbox<M>),
}

/// One shard's ends of its queues with every shard, itself included. `Send`, unlike a mailbox:
/// the shard's own thread makes it one.
pub(super) struct Pairs<M> {
    to: Vec<rtrb::Producer<M>>,
    from: Vec<rtrb::Consumer<M>>,
    /// The sender that `receive` starts with.
    first: usize,
}

impl<M: Send + 'static> Mailbox<M> {
    pub(super) const fn kernel(pairs: Pairs<M>) -> Self {
        Self {
            inner: Inner::Kernel(pairs),
        }
    }

    /// A shard's mailbox in a simulated world.
    pub(super) const fn simulated(mailbox: SimMailbox<M>) -> Self {
        Self {
            inner: Inner::Simulated(mailbox),
        }
    }

    /// Puts `message` into the queue to `to` (which may be this shard itself) and rings its
    /// doorbell if it sleeps.
    ///
    /// # Errors
    /// Gives the message back when the queue is full.
    pub fn send(&mut self, io: &mut Io, to: ShardId, message: M) -> Result<(), M> {
        match &mut self.inner {
            Inner::Kernel(pairs) => {
                let pushed = pairs.to[to.index()].push(message);
                pushed.map_err(|rtrb::PushError::Full(message)| message)?;
                io.ring_doorbell(to);
                Ok(())
            }
            Inner::Simulated(mailbox) => mailbox.send(io, to, message),
        }
    }

    /// Takes up to `limit` messages, rotating over the senders, into `out`. A shard whose mailbox
    /// was not emptied does not sleep at its next `park`.
    pub fn receive(&mut self, io: &mut Io, limit: usize, out: &mut Vec<(ShardId, M)>) {
        match &mut self.inner {
            Inner::Kernel(pairs) => {
                if io.take_mail_bell() && !pairs.receive(limit, out) {
                    io.ring_doorbell(io.shard());
                }
            }
            Inner::Simulated(mailbox) => mailbox.receive(io, limit, out),
        }
    }
}

impl<M> Pairs<M> {
    /// The ends of all shards of a group, in shard order.
    pub(super) fn connected(shards: usize, capacity: usize) -> Vec<Self> {
        let mut to: Vec<Vec<_>> = (0..shards).map(|_| Vec::with_capacity(shards)).collect();
        let mut from: Vec<Vec<_>> = (0..shards).map(|_| Vec::with_capacity(shards)).collect();
        for to in &mut to {
            for from in &mut from {
                let (producer, consumer) = rtrb::RingBuffer::new(capacity);
                to.push(producer);
                from.push(consumer);
            }
        }
        let pairs = to.into_iter().zip(from);
        pairs
            .map(|(to, from)| Self { to, from, first: 0 })
            .collect()
    }

    /// Whether everything was taken.
    fn receive(&mut self, limit: usize, out: &mut Vec<(ShardId, M)>) -> bool {
        let senders = self.from.len();
        let mut room = limit;
        for step in 0..senders {
            let sender = (self.first + step) % senders;
            let queue = &mut self.from[sender];
            let taken = queue.slots().min(room);
            if let Ok(messages) = queue.read_chunk(taken) {
                let sender = ShardId(sender as u16);
                out.extend(messages.into_iter().map(|message| (sender, message)));
            }
            room -= taken;
            if room == 0 {
                // The next call starts behind the sender that used up the room.
                self.first = (sender + 1) % senders;
                return self.from.iter().all(rtrb::Consumer::is_empty);
            }
        }
        true
    }
}

impl<M> fmt::Debug for Mailbox<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox").finish_non_exhaustive()
    }
}
