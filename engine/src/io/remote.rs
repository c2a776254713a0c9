//! Messages into a shard from threads that are no shard: the embedding API, the housekeeper,
//! signal handling. Bounded; a sleeping shard is woken through its eventfd.

use super::Io;
use super::kernel::signal::{Bell, Signal};
use crate::ids::ShardId;
use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

/// Sends to every shard of a group, from any thread. Cheap to clone.
pub struct Remote<T> {
    shards: Arc<[Door<T>]>,
}

/// Where one shard takes messages, and how it is woken.
struct Door<T> {
    sender: SyncSender<T>,
    /// `None`: simulated.
    signal: Option<Arc<Signal>>,
}

/// Why a shard did not take a message; gives it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RemoteError<T> {
    /// The inbox is full: try again later.
    #[error("the shard's inbox is full")]
    Full(T),
    /// The shard has ended, or dropped its inbox.
    #[error("the shard has ended")]
    Ended(T),
}

impl<T: Send + 'static> Remote<T> {
    /// One remote for `signals.len()` shards and their inboxes, in shard order. A shard without a
    /// signal (a simulated one) is not woken.
    pub(super) fn new(
        signals: impl IntoIterator<Item = Option<Arc<Signal>>>,
        capacity: usize,
    ) -> (Self, Vec<RemoteInbox<T>>) {
        let mut shards = Vec::new();
        let mut inboxes = Vec::new();
        for signal in signals {
            let (sender, receiver) = sync_channel(capacity);
            inboxes.push(RemoteInbox {
                receiver,
                is_kernel: signal.is_some(),
            });
            shards.push(Door { sender, signal });
        }
        let shards = shards.into();
        (Self { shards }, inboxes)
    }

    /// A remote and inboxes for `shards` simulated shards: nobody is woken, the world decides
    /// when a shard runs.
    #[must_use]
    pub fn simulated(shards: usize, capacity: usize) -> (Self, Vec<RemoteInbox<T>>) {
        Self::new(std::iter::repeat_with(|| None).take(shards), capacity)
    }

    /// Puts `message` into the inbox of `to` and wakes it if it sleeps. Never blocks.
    ///
    /// # Errors
    /// Gives the message back when the inbox is full or the shard has ended.
    pub fn send(&self, to: ShardId, message: T) -> Result<(), RemoteError<T>> {
        let door = &self.shards[to.index()];
        let sent = door.sender.try_send(message);
        sent.map_err(|error| match error {
            TrySendError::Full(message) => RemoteError::Full(message),
            TrySendError::Disconnected(message) => RemoteError::Ended(message),
        })?;
        if let Some(signal) = &door.signal {
            signal.ring_from_outside(Bell::Inbox);
        }
        Ok(())
    }

    /// How many shards the group has.
    #[must_use]
    pub fn shards(&self) -> usize {
        self.shards.len()
    }
}

impl<T> Clone for Remote<T> {
    fn clone(&self) -> Self {
        Self {
            shards: Arc::clone(&self.shards),
        }
    }
}

impl<T> fmt::Debug for Remote<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Remote to {} shards", self.shards.len())
    }
}

/// A shard's end of the messages from [`Remote`]s.
pub struct RemoteInbox<T> {
    receiver: Receiver<T>,
    is_kernel: bool,
}

impl<T> RemoteInbox<T> {
    /// Takes up to `limit` messages into `out`, in the order they arrived. Call it every turn: a
    /// shard whose inbox was not emptied does not sleep at its next `park`.
    pub fn receive(&mut self, io: &mut Io, limit: usize, out: &mut Vec<T>) {
        if self.is_kernel && !io.take_inbox_bell() {
            return;
        }
        let before = out.len();
        out.extend(self.receiver.try_iter().take(limit));
        if out.len() - before == limit {
            // There may be more behind the limit: look again next turn.
            io.ring_inbox_bell();
        }
    }
}

impl<T> fmt::Debug for RemoteInbox<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteInbox").finish_non_exhaustive()
    }
}
