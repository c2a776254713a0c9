//! Simulated TCP: listeners, streams that cut, delay, reset or go silent (`streams`), and the
//! [`Client`] by which a test stands at the other end.
//!
//! A connection is two ends with consecutive numbers. What an end sends travels as pieces that
//! never overtake each other; a window bounds what is sent and not yet received. An operation of
//! a shard makes progress only in events, so its completion is never seen inside `submit`.

mod client;
mod streams;
#[cfg(test)]
mod tests;

pub use client::Client;

use super::random::Random;
use super::world::{Event, Inner, Ready};
use crate::io::arena::ArenaSlice;
use crate::io::{Completion, IoFailure, Op, Outcome, ReceiveInto, SocketHandle, Token};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;

/// Size of the slot that a receive without a buffer gets.
pub(super) const SLOT_BYTES: usize = 2048;

#[derive(Debug)]
pub(super) struct Network {
    random: Random,
    next: u32,
    next_port: u16,
    listeners: BTreeMap<u32, Listener>,
    ends: BTreeMap<u32, End>,
    /// Ends of clients at which something happened that they have not looked at.
    news: BTreeSet<u32>,
    /// Nothing arrives anywhere before this time.
    split_until_ns: u64,
    /// The split held something back.
    is_split_felt: bool,
}

#[derive(Debug)]
struct Listener {
    shard: usize,
    address: SocketAddr,
    backlog: VecDeque<u32>,
    accepts: VecDeque<Token>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Shard(usize),
    /// On its way from shard to shard, or not yet accepted.
    Nobody,
    Client,
}

/// What travels.
#[derive(Debug)]
enum Piece {
    Bytes(Vec<u8>),
    End,
    Reset,
}

#[derive(Debug)]
struct Sending {
    token: Option<Token>,
    parts: VecDeque<ArenaSlice>,
    emptied: Vec<ArenaSlice>,
    bytes: VecDeque<u8>,
}

#[derive(Debug)]
struct End {
    owner: Owner,
    peer_address: SocketAddr,
    /// Pieces on their way to this end, in order.
    incoming: VecDeque<Piece>,
    last_arrival_ns: u64,
    /// Bytes of data pieces on their way to this end.
    incoming_bytes: usize,
    received: VecDeque<u8>,
    is_ended: bool,
    is_reset: bool,
    /// Its owner, a client, closes it once everything is sent.
    is_closing: bool,
    /// This end was closed by its owner.
    is_closed: bool,
    /// Nothing arrives here any more.
    is_deaf: bool,
    receive: Option<(Token, ReceiveInto, u32)>,
    sends: VecDeque<Sending>,
}

impl End {
    const fn new(owner: Owner, peer_address: SocketAddr) -> Self {
        Self {
            owner,
            peer_address,
            incoming: VecDeque::new(),
            last_arrival_ns: 0,
            incoming_bytes: 0,
            received: VecDeque::new(),
            is_ended: false,
            is_reset: false,
            is_closing: false,
            is_closed: false,
            is_deaf: false,
            receive: None,
            sends: VecDeque::new(),
        }
    }
}

impl Network {
    pub(super) const fn new(random: Random) -> Self {
        Self {
            random,
            next: 0,
            next_port: 40_000,
            listeners: BTreeMap::new(),
            ends: BTreeMap::new(),
            news: BTreeSet::new(),
            split_until_ns: 0,
            is_split_felt: false,
        }
    }

    /// The machine stops: its sockets are gone, and who was connected will notice.
    pub(super) fn machine_stopped(&mut self) {
        self.listeners.clear();
        self.split_until_ns = 0;
        self.ends.retain(|_, end| end.owner == Owner::Client);
        for (&id, end) in &mut self.ends {
            end.incoming.clear();
            end.sends.clear();
            end.is_reset = true;
            self.news.insert(id);
        }
    }

    fn waiting_receiver(&self, peer: u32) -> usize {
        self.ends
            .get(&peer)
            .map_or(0, |end| end.received.len() + end.incoming_bytes)
    }
}

/// Takes up to `most` bytes off the front.
fn take(from: &mut VecDeque<u8>, most: usize) -> Vec<u8> {
    let mut taken = Vec::new();
    take_onto(from, most, &mut taken);
    taken
}

/// Moves up to `most` bytes, in two copies at most: an iterator over single bytes was half of a
/// simulation's time.
fn take_onto(from: &mut VecDeque<u8>, most: usize, onto: &mut Vec<u8>) {
    let count = most.min(from.len());
    let (front, back) = from.as_slices();
    let split = count.min(front.len());
    onto.extend_from_slice(&front[..split]);
    onto.extend_from_slice(&back[..count - split]);
    from.drain(..count);
}

impl Sending {
    fn is_done(&self) -> bool {
        self.parts.is_empty() && self.bytes.is_empty()
    }

    /// Copies up to `most` bytes out of what is to be sent.
    fn piece(&mut self, most: usize) -> Vec<u8> {
        let mut piece = take(&mut self.bytes, most);
        while piece.len() < most
            && let Some(part) = self.parts.pop_front()
        {
            let end = part.len().min(most - piece.len());
            piece.extend_from_slice(&part[..end]);
            if end < part.len() {
                self.parts.push_front(part.slice(end..part.len()));
            }
        }
        piece
    }
}

impl Inner {
    fn new_socket(&mut self) -> u32 {
        // Ends come in pairs of an even and an odd number.
        self.network.next += 2;
        self.network.next
    }

    pub(super) fn listen(
        &mut self,
        shard: usize,
        address: SocketAddr,
    ) -> Result<(SocketHandle, SocketAddr), IoFailure> {
        let mut address = address;
        let in_use = |network: &Network, address: SocketAddr| {
            network
                .listeners
                .values()
                .any(|listener| listener.address == address)
        };
        while address.port() == 0 || (in_use(&self.network, address) && address.port() >= 40_000) {
            address.set_port(self.network.next_port);
            self.network.next_port += 1;
        }
        if in_use(&self.network, address) {
            return Err(IoFailure::Os(libc::EADDRINUSE));
        }
        let id = self.new_socket();
        let listener = Listener {
            shard,
            address,
            backlog: VecDeque::new(),
            accepts: VecDeque::new(),
        };
        self.network.listeners.insert(id, listener);
        Ok((SocketHandle(id), address))
    }

    /// Puts a socket operation under way.
    pub(super) fn submit_network(&mut self, shard: usize, token: Token, op: Op) {
        let id = match &op {
            Op::Accept { listener } => listener.0,
            Op::Receive { socket, .. } | Op::Send { socket, .. } => socket.0,
            _ => unreachable!("disk operations go to the disk"),
        };
        self.mix(&[5, u64::from(id), token.key]);
        let refused = |inner: &mut Self, op| {
            let outcome = super::operations::failed(op, IoFailure::Os(libc::EBADF));
            inner.push_ready(shard, Ready::Done(Completion { token, outcome }));
        };
        if let Op::Accept { .. } = op {
            match self.network.listeners.get_mut(&id) {
                Some(listener) if listener.shard == shard => listener.accepts.push_back(token),
                _ => return refused(self, op),
            }
        } else {
            let Some(end) = self.network.ends.get_mut(&id) else {
                return refused(self, op);
            };
            if end.owner != Owner::Shard(shard) || end.is_closed {
                return refused(self, op);
            }
            match op {
                Op::Receive { into, .. } => {
                    assert!(end.receive.is_none(), "one receive at a time per socket");
                    end.receive = Some((token, into, 0));
                }
                Op::Send { mut parts, .. } => end.sends.push_back(Sending {
                    token: Some(token),
                    parts: parts.drain(..).collect(),
                    emptied: parts,
                    bytes: VecDeque::new(),
                }),
                _ => {}
            }
        }
        self.look_soon(id);
    }

    fn look_soon(&mut self, id: u32) {
        let time = self.now() + self.network.random.below(5_000);
        self.schedule(time, Event::Socket(id));
    }

    /// Lets a listener or an end make what progress it can.
    pub(super) fn look_at_socket(&mut self, id: u32) {
        if self.network.listeners.contains_key(&id) {
            self.accept(id);
        } else {
            self.send_pieces(id);
            self.receive(id);
        }
    }

    fn finish(&mut self, shard: usize, token: Token, outcome: Outcome) {
        self.mix(&[6, token.key]);
        self.push_ready(shard, Ready::Done(Completion { token, outcome }));
    }

    fn accept(&mut self, id: u32) {
        while let Some(listener) = self.network.listeners.get_mut(&id) {
            if listener.backlog.is_empty() || listener.accepts.is_empty() {
                return;
            }
            let shard = listener.shard;
            let (Some(socket), Some(token)) =
                (listener.backlog.pop_front(), listener.accepts.pop_front())
            else {
                return;
            };
            if let Some(end) = self.network.ends.get_mut(&socket) {
                end.owner = Owner::Shard(shard);
                let accepted = (SocketHandle(socket), end.peer_address);
                self.finish(shard, token, Outcome::Accept(Ok(accepted)));
            }
        }
    }

    pub(super) fn cancel(&mut self, shard: usize, token: Token) {
        let mut cancelled = Vec::new();
        for listener in self.network.listeners.values_mut() {
            if listener.shard == shard {
                let before = listener.accepts.len();
                listener.accepts.retain(|&waiting| waiting != token);
                let gone = before - listener.accepts.len();
                cancelled.extend((0..gone).map(|_| Outcome::Accept(Err(IoFailure::Cancelled))));
            }
        }
        for end in self.network.ends.values_mut() {
            if end.owner != Owner::Shard(shard) {
                continue;
            }
            if end
                .receive
                .as_ref()
                .is_some_and(|(waiting, ..)| *waiting == token)
            {
                end.receive = None;
                cancelled.push(Outcome::Receive(Err(IoFailure::Cancelled)));
            }
            while let Some(index) = end
                .sends
                .iter()
                .position(|sending| sending.token == Some(token))
            {
                let sending = end.sends.remove(index);
                let emptied = sending.map(|sending| sending.emptied).unwrap_or_default();
                cancelled.push(Outcome::Send(emptied, Err(IoFailure::Cancelled)));
            }
        }
        for outcome in cancelled {
            self.finish(shard, token, outcome);
        }
    }

    pub(super) fn close_socket(&mut self, shard: usize, socket: SocketHandle) {
        let Some(listener) = self.network.listeners.remove(&socket.0) else {
            return self.close_end(socket.0);
        };
        for token in listener.accepts {
            self.finish(shard, token, Outcome::Accept(Err(IoFailure::Cancelled)));
        }
        for waiting in listener.backlog {
            self.close_end(waiting);
        }
    }

    pub(super) fn detach_socket(&mut self, shard: usize, socket: SocketHandle) -> u64 {
        if let Some(end) = self.network.ends.get_mut(&socket.0) {
            assert_eq!(end.owner, Owner::Shard(shard), "a socket of another shard");
            let is_quiet = end.receive.is_none() && end.sends.is_empty();
            assert!(is_quiet, "a socket detached with an operation in flight");
            end.owner = Owner::Nobody;
        }
        u64::from(socket.0)
    }

    pub(super) fn attach_socket(&mut self, shard: usize, socket: u64) -> SocketHandle {
        let id = u32::try_from(socket).unwrap_or(u32::MAX);
        if let Some(end) = self.network.ends.get_mut(&id) {
            end.owner = Owner::Shard(shard);
        }
        SocketHandle(id)
    }
}
