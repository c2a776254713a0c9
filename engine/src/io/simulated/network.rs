//! Simulated TCP: listeners, streams that cut, delay, reset or go silent, and the [`Client`] by
//! which a test stands at the other end.
//!
//! A connection is two ends with consecutive numbers. What an end sends travels as pieces that
//! never overtake each other; a window bounds what is sent and not yet received. An operation of
//! a shard makes progress only in events, so its completion is never seen inside `submit`.

use super::World;
use super::random::Random;
use super::world::{Event, Inner, Ready};
use crate::io::arena::ArenaSlice;
use crate::io::{Completion, IoFailure, Op, Outcome, ReceiveInto, Received, SocketHandle, Token};
use std::collections::{BTreeMap, VecDeque};
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
        }
    }

    /// The machine stops: its sockets are gone, and who was connected will notice.
    pub(super) fn machine_stopped(&mut self) {
        self.listeners.clear();
        self.ends.retain(|_, end| end.owner == Owner::Client);
        for end in self.ends.values_mut() {
            end.incoming.clear();
            end.sends.clear();
            end.is_reset = true;
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
    from.drain(..most.min(from.len())).collect()
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

    /// Moves what arrived into a waiting receive, and ends it if it has enough.
    fn receive(&mut self, id: u32) {
        let Some(end) = self.network.ends.get_mut(&id) else {
            return;
        };
        let Owner::Shard(shard) = end.owner else {
            return;
        };
        let Some((token, into, added)) = end.receive.take() else {
            return;
        };
        if end.is_reset {
            let outcome = Outcome::Receive(Err(IoFailure::Os(libc::ECONNRESET)));
            return self.finish(shard, token, outcome);
        }
        let is_ended = end.is_ended;
        match into {
            ReceiveInto::Slot if end.received.is_empty() && !is_ended => {
                end.receive = Some((token, into, 0));
            }
            ReceiveInto::Slot => {
                self.mix(&[7, token.key]);
                self.push_ready(shard, Ready::Slot { token, socket: id });
            }
            ReceiveInto::Buffer { mut buf, fill } => {
                let bytes = take(&mut end.received, buf.spare());
                buf.extend_from_slice(&bytes);
                let added = added + bytes.len() as u32;
                let is_done = is_ended || buf.spare() == 0 || (!fill && added > 0);
                if is_done {
                    self.count_received(shard, added);
                    let outcome = Outcome::Receive(Ok(Received::Buffer(buf, added)));
                    self.finish(shard, token, outcome);
                } else {
                    end.receive = Some((token, ReceiveInto::Buffer { buf, fill }, added));
                }
                self.look_soon(id ^ 1);
            }
        }
    }

    fn count_received(&mut self, shard: usize, bytes: u32) {
        let counters = &mut self.shards[shard].counters;
        counters.receives += 1;
        counters.received_bytes += u64::from(bytes);
    }

    /// Fills the slot of a finished receive; fails if the socket was closed or reset meanwhile.
    pub(super) fn fill_slot(
        &mut self,
        shard: usize,
        socket: u32,
        slot: &mut crate::io::arena::ArenaBuf,
    ) -> Result<(), IoFailure> {
        let end = self
            .network
            .ends
            .get_mut(&socket)
            .filter(|end| !end.is_closed);
        let end = end.ok_or(IoFailure::Cancelled)?;
        if end.is_reset {
            return Err(IoFailure::Os(libc::ECONNRESET));
        }
        let bytes = take(&mut end.received, SLOT_BYTES.min(slot.spare()));
        slot.extend_from_slice(&bytes);
        self.count_received(shard, bytes.len() as u32);
        self.look_soon(socket ^ 1);
        Ok(())
    }

    /// Cuts what an end has to send into pieces, as far as the window allows.
    fn send_pieces(&mut self, id: u32) {
        let peer = id ^ 1;
        while let Some(end) = self.network.ends.get_mut(&id) {
            let owner = end.owner;
            let is_reset = end.is_reset;
            let is_closing = end.is_closing;
            let Some(sending) = end.sends.front_mut() else {
                if is_closing {
                    self.close_end(id);
                }
                return;
            };
            if sending.is_done() || is_reset {
                let done = end.sends.pop_front();
                self.finish_send(owner, done, is_reset);
                continue;
            }
            let network = &mut self.network;
            let window = self.config.network.window_bytes;
            let room = window.saturating_sub(network.waiting_receiver(peer)) as u64;
            let most = room.min(self.config.network.piece_bytes_max);
            if most == 0 {
                return;
            }
            let most = if network.random.chance(1, 8) {
                most.min(40)
            } else {
                most
            };
            let length = 1 + network.random.below(most);
            self.send_piece(id, length as usize);
        }
    }

    fn finish_send(&mut self, owner: Owner, done: Option<Sending>, is_reset: bool) {
        if let (Owner::Shard(shard), Some(mut done)) = (owner, done)
            && let Some(token) = done.token
        {
            let reset = Err(IoFailure::Os(libc::EPIPE));
            let result = if is_reset { reset } else { Ok(()) };
            done.emptied.clear();
            self.shards[shard].counters.sends += 1;
            self.finish(shard, token, Outcome::Send(done.emptied, result));
        }
    }

    fn send_piece(&mut self, id: u32, most: usize) {
        let Some(end) = self.network.ends.get_mut(&id) else {
            return;
        };
        let owner = end.owner;
        let Some(sending) = end.sends.front_mut() else {
            return;
        };
        let bytes = sending.piece(most);
        if let Owner::Shard(shard) = owner {
            self.shards[shard].counters.sent_bytes += bytes.len() as u64;
        }
        let peer = id ^ 1;
        if self
            .network
            .random
            .per_million(self.config.network.reset_per_million)
        {
            self.counters.resets += 1;
            self.deliver_later(id, Piece::Reset);
            self.deliver_later(peer, Piece::Reset);
            return;
        }
        if self
            .network
            .random
            .per_million(self.config.network.silent_per_million)
            && let Some(other) = self.network.ends.get_mut(&peer)
        {
            self.counters.silences += u64::from(!other.is_deaf);
            other.is_deaf = true;
        }
        self.deliver_later(peer, Piece::Bytes(bytes));
    }

    fn deliver_later(&mut self, to: u32, piece: Piece) {
        let delay = self
            .network
            .random
            .within(&self.config.network.delay_ns.clone());
        let now = self.now();
        let Some(end) = self.network.ends.get_mut(&to) else {
            return;
        };
        if let Piece::Bytes(bytes) = &piece {
            end.incoming_bytes += bytes.len();
        }
        if end.is_deaf {
            return;
        }
        let time = end.last_arrival_ns.max(now + delay);
        end.last_arrival_ns = time;
        end.incoming.push_back(piece);
        self.schedule(time, Event::Arrival(to));
    }

    /// The next piece reaches an end.
    pub(super) fn arrive(&mut self, to: u32) {
        let Some(end) = self.network.ends.get_mut(&to) else {
            return;
        };
        match end.incoming.pop_front() {
            Some(Piece::Bytes(bytes)) => {
                end.incoming_bytes -= bytes.len();
                if end.is_closed {
                    self.deliver_later(to ^ 1, Piece::Reset);
                    return;
                }
                end.received.extend(bytes);
            }
            Some(Piece::End) => end.is_ended = true,
            Some(Piece::Reset) => {
                end.is_reset = true;
                end.received.clear();
            }
            None => return,
        }
        self.look_at_socket(to);
        self.forget_closed(to);
    }

    /// Drops a connection once both ends are closed.
    fn forget_closed(&mut self, id: u32) {
        let is_closed = |id: u32| self.network.ends.get(&id).is_none_or(|end| end.is_closed);
        if is_closed(id) && is_closed(id ^ 1) {
            let is_quiet = |id: u32| {
                self.network
                    .ends
                    .get(&id)
                    .is_none_or(|end| end.incoming.is_empty())
            };
            if is_quiet(id) && is_quiet(id ^ 1) {
                self.network.ends.remove(&id);
                self.network.ends.remove(&(id ^ 1));
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

    /// A client closes: its kernel sends what it was given first.
    fn close_when_sent(&mut self, id: u32) {
        if let Some(end) = self.network.ends.get_mut(&id) {
            if end.sends.is_empty() || end.is_reset {
                self.close_end(id);
            } else {
                end.is_closing = true;
            }
        }
    }

    /// The owner closes its end: what it handed over still arrives, what waits is cancelled, and
    /// unread bytes make it a reset.
    pub(super) fn close_end(&mut self, id: u32) {
        let Some(end) = self.network.ends.get_mut(&id) else {
            return;
        };
        if end.is_closed {
            return;
        }
        end.is_closed = true;
        let owner = end.owner;
        let receive = end.receive.take();
        let sends = std::mem::take(&mut end.sends);
        let is_rude = !end.received.is_empty();
        end.received.clear();
        if let Owner::Shard(shard) = owner {
            let cancelled = Err(IoFailure::Cancelled);
            if let Some((token, ..)) = receive {
                self.finish(shard, token, Outcome::Receive(cancelled));
            }
            for sending in sends {
                if let Some(token) = sending.token {
                    let outcome = Outcome::Send(sending.emptied, Err(IoFailure::Cancelled));
                    self.finish(shard, token, outcome);
                }
            }
        }
        self.deliver_later(id ^ 1, if is_rude { Piece::Reset } else { Piece::End });
        self.forget_closed(id);
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

/// The far end of a connection, in the hands of a test.
#[derive(Debug)]
pub struct Client {
    world: World,
    end: u32,
}

impl World {
    /// Connects to a listener.
    ///
    /// # Errors
    /// Connection refused when nobody listens there.
    pub fn connect(&self, address: SocketAddr) -> Result<Client, IoFailure> {
        let mut inner = self.inner.borrow_mut();
        let mut listeners = inner.network.listeners.iter();
        let found = listeners.find(|(_, listener)| listener.address == address);
        let listener = found
            .map(|(&id, _)| id)
            .ok_or(IoFailure::Os(libc::ECONNREFUSED))?;
        let server_end = inner.new_socket();
        let client_end = server_end ^ 1;
        let port = 10_000 + (server_end / 2 % 20_000) as u16;
        let client_address = SocketAddr::new([127, 0, 0, 1].into(), port);
        let ends = &mut inner.network.ends;
        ends.insert(server_end, End::new(Owner::Nobody, client_address));
        ends.insert(client_end, End::new(Owner::Client, address));
        if let Some(listener) = inner.network.listeners.get_mut(&listener) {
            listener.backlog.push_back(server_end);
        }
        let delay = inner.config.network.delay_ns.clone();
        let delay = inner.network.random.within(&delay);
        let time = inner.now() + delay;
        inner.schedule(time, Event::Socket(listener));
        drop(inner);
        Ok(Client {
            world: self.clone(),
            end: client_end,
        })
    }
}

impl Client {
    /// Sends bytes; they travel as the world is stepped.
    pub fn send(&self, bytes: &[u8]) {
        let mut inner = self.world.inner.borrow_mut();
        if let Some(end) = inner.network.ends.get_mut(&self.end) {
            end.sends.push_back(Sending {
                token: None,
                parts: VecDeque::new(),
                emptied: Vec::new(),
                bytes: bytes.iter().copied().collect(),
            });
            inner.look_soon(self.end);
        }
    }

    /// Takes what has arrived, appending it to `out`; how many bytes that was.
    pub fn receive(&self, out: &mut Vec<u8>) -> usize {
        let mut inner = self.world.inner.borrow_mut();
        let Some(end) = inner.network.ends.get_mut(&self.end) else {
            return 0;
        };
        let bytes = end.received.len();
        out.extend(end.received.drain(..));
        inner.look_soon(self.end ^ 1);
        bytes
    }

    /// The server closed, and everything it sent was received.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        let inner = self.world.inner.borrow();
        let end = inner.network.ends.get(&self.end);
        end.is_none_or(|end| end.is_ended && end.received.is_empty())
    }

    /// The connection was reset.
    #[must_use]
    pub fn is_reset(&self) -> bool {
        let inner = self.world.inner.borrow();
        inner
            .network
            .ends
            .get(&self.end)
            .is_none_or(|end| end.is_reset)
    }

    /// Closes in order: the server sees the end of the stream behind everything sent.
    pub fn close(&self) {
        self.world.inner.borrow_mut().close_when_sent(self.end);
    }

    /// Breaks the connection.
    pub fn reset(&self) {
        let mut inner = self.world.inner.borrow_mut();
        inner.deliver_later(self.end ^ 1, Piece::Reset);
        if let Some(end) = inner.network.ends.get_mut(&self.end) {
            end.is_reset = true;
            end.sends.clear();
        }
    }

    /// The cable is cut: nothing reaches the server any more, and it is not told.
    pub fn go_silent(&self) {
        let mut inner = self.world.inner.borrow_mut();
        if let Some(end) = inner.network.ends.get_mut(&(self.end ^ 1)) {
            end.is_deaf = true;
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // Not while a panic unwinds out of the world.
        if let Ok(mut inner) = self.world.inner.try_borrow_mut() {
            inner.close_when_sent(self.end);
        }
    }
}
