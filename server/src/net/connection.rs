//! One connection: what it receives into, what of it is not parsed yet, and what it owes.
//!
//! Idle: no memory but a receive that takes a slot when data comes. Busy: a block that frames are
//! cut from. A frame of which much is outstanding gets memory of its own, a Produce batch at the
//! alignment at which its partition will append it. Backpressure is a receive that is not armed.

use super::frame::{Frame, FrameBytes};
use super::response_queue::ResponseQueue;
use millrace_engine::io::SocketHandle;
use millrace_engine::io::arena::{ArenaBuf, ArenaSlice};
use std::net::IpAddr;

/// A connection of this shard, for as long as it is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionKey {
    pub(super) index: u32,
    pub(super) generation: u32,
}

/// A frame that is received into memory of its own.
#[derive(Debug)]
pub(super) enum Large {
    /// A batch between two shared pieces; the receive owns the batch's buffer.
    Split {
        prefix: ArenaSlice,
        batch_bytes: usize,
        log: u64,
    },
    /// The whole frame in one block of so many bytes; the receive owns it.
    Block { bytes: usize },
    /// Larger than any block: pieces are received into blocks and gathered here.
    Heap { gathered: Vec<u8>, total: usize },
}

/// A frame that was received into memory of its own.
#[derive(Debug)]
pub(super) struct Complete {
    pub(super) frame: Frame,
    /// The log and bytes of its batch, counted as on its way until the frame is handled.
    pub(super) batch: Option<(u64, usize)>,
}

/// State of one connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) socket: SocketHandle,
    pub(super) peer: IpAddr,
    pub(super) responses: ResponseQueue,
    /// Received and not parsed; frames are cut from its front.
    pub(super) pending: Option<ArenaSlice>,
    /// Spare room directly behind `pending` (or anywhere, when there is none).
    pub(super) spare: Option<ArenaBuf>,
    pub(super) large: Option<Large>,
    /// A frame that came complete and waits to be handled.
    pub(super) complete: Option<Complete>,
    /// Bytes of the wanted block, doubled while receives fill it; 0: slots suffice.
    pub(super) block_bytes: usize,
    /// What came before the batch of the last frame that was split; 0: it was not. The next
    /// receive ends there, so that no byte of the next batch has to be moved.
    pub(super) prefix_bytes: usize,
    pub(super) last_active_ns: u64,
    pub(super) is_receiving: bool,
    /// The receive in flight owns a block although nothing may ever come.
    pub(super) is_block_lent: bool,
    pub(super) is_sending: bool,
    pub(super) is_queued: bool,
    pub(super) is_flush_queued: bool,
    pub(super) is_starved: bool,
    /// The peer sent all it will; what it asked is still answered.
    pub(super) is_at_end: bool,
}

impl Connection {
    pub(super) fn new(socket: SocketHandle, peer: IpAddr, now_ns: u64) -> Self {
        Self {
            socket,
            peer,
            responses: ResponseQueue::default(),
            pending: None,
            spare: None,
            large: None,
            complete: None,
            block_bytes: 0,
            prefix_bytes: 0,
            last_active_ns: now_ns,
            is_receiving: false,
            is_block_lent: false,
            is_sending: false,
            is_queued: false,
            is_flush_queued: false,
            is_starved: false,
            is_at_end: false,
        }
    }

    /// Bytes received and not parsed.
    pub(super) fn pending_bytes(&self) -> &[u8] {
        self.pending.as_deref().unwrap_or_default()
    }

    /// Adds received bytes behind the pending ones.
    pub(super) fn received(&mut self, bytes: ArenaSlice) {
        if bytes.is_empty() {
            return;
        }
        self.pending = Some(match self.pending.take() {
            None => bytes,
            // A receive is armed only into room directly behind what is pending.
            Some(front) => match front.joined(&bytes) {
                Some(joined) => joined,
                None => unreachable!("received bytes lie behind the pending ones"),
            },
        });
    }

    /// Cuts `bytes` from the front of what is pending.
    pub(super) fn cut(&mut self, bytes: usize) -> Option<ArenaSlice> {
        let pending = self.pending.take()?;
        let front = pending.slice(0..bytes);
        if bytes < pending.len() {
            let end = pending.len();
            self.pending = Some(pending.into_part(bytes..end));
        }
        Some(front)
    }

    /// The batch that is on its way to a log or waits to be handled: its log and bytes.
    pub(super) fn batch_on_the_way(&self) -> Option<(u64, usize)> {
        match (&self.large, &self.complete) {
            (
                Some(Large::Split {
                    batch_bytes, log, ..
                }),
                _,
            ) => Some((*log, *batch_bytes)),
            (_, Some(complete)) => complete.batch,
            _ => None,
        }
    }

    /// Whether nothing is owed to the peer.
    pub(super) fn is_settled(&self) -> bool {
        self.responses.waiting() == 0 && self.responses.outgoing_bytes() == 0 && !self.is_sending
    }
}

/// What to do with a frame of which much is outstanding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LargePlan {
    /// Not enough of it is here to tell.
    NeedMore,
    /// Receive it whole.
    Whole,
    /// It is a Produce request with one batch for a partition of this shard.
    Split {
        /// Bytes of the frame (without its size field) before the batch.
        prefix_bytes: usize,
        /// Bytes of the batch.
        batch_bytes: usize,
        /// Remainder modulo 4096 that the batch's address should have if no other batch on its
        /// way to the same log comes before it.
        remainder: usize,
        /// Which log it is for.
        log: u64,
    },
}

/// Decides about large frames; knows the protocol and the partitions, which `net` does not.
pub trait LargeFramePlanner {
    /// `received` is the start of a frame of `frame_bytes` (both without the size field).
    fn plan(&self, received: &[u8], frame_bytes: usize) -> LargePlan;
}

pub(super) fn heap_frame(gathered: Vec<u8>) -> FrameBytes {
    FrameBytes::Heap(gathered.into())
}
