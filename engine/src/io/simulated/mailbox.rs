//! Mailboxes of a simulated world: a queue per receiving shard, delivered at once, in order.

use crate::ids::ShardId;
use crate::io::Io;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

type Queue<M> = Rc<RefCell<VecDeque<(ShardId, M)>>>;

/// One simulated shard's end of its mailboxes.
pub struct SimMailbox<M> {
    shard: ShardId,
    queues: Vec<Queue<M>>,
    capacity: usize,
}

impl<M> SimMailbox<M> {
    /// The mailboxes of `shards` shards, in shard order. `capacity` holds per sender.
    #[must_use]
    pub fn connected(shards: usize, capacity: usize) -> Vec<Self> {
        let queues: Vec<Queue<M>> = (0..shards).map(|_| Queue::default()).collect();
        (0..shards)
            .map(|shard| Self {
                shard: ShardId(shard as u16),
                queues: queues.clone(),
                capacity,
            })
            .collect()
    }

    /// See [`crate::io::mailbox::Mailbox::send`].
    pub(in crate::io) fn send(&mut self, _io: &mut Io, to: ShardId, message: M) -> Result<(), M> {
        let mut queue = self.queues[to.index()].borrow_mut();
        let waiting = queue.iter().filter(|(from, _)| *from == self.shard).count();
        if waiting >= self.capacity {
            return Err(message);
        }
        queue.push_back((self.shard, message));
        Ok(())
    }

    /// See [`crate::io::mailbox::Mailbox::receive`].
    pub(in crate::io) fn receive(
        &mut self,
        _io: &mut Io,
        limit: usize,
        out: &mut Vec<(ShardId, M)>,
    ) {
        let mut queue = self.queues[self.shard.index()].borrow_mut();
        let taken = queue.len().min(limit);
        out.extend(queue.drain(..taken));
    }
}
