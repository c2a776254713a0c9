//! Bytes in, bytes out: all connections of one shard. Knows no API and no partition.
//!
//! INVARIANT: a connection has at most one receive and one send in flight. A completion whose
//! generation is not its connection's belongs to a closed one and is dropped with its buffers.

mod connection;
mod frame;
mod on_the_way;
mod receive;
mod response_queue;

pub use connection::{ConnectionKey, LargeFramePlanner, LargePlan};
pub use frame::{FRAME_BYTES_MIN, Frame, FrameBytes, FrameError, SIZE_BYTES};
pub use receive::NextFrame;
pub use response_queue::{Response, ResponseQueue, SlotId};

use crate::counters::NetCounters;
use connection::Connection;
use millrace_engine::io::arena::{ArenaBuf, ArenaSlice};
use millrace_engine::io::{Class, Completion, Io, IoFailure, Op, Outcome, SocketHandle, Token};
use on_the_way::OnTheWay;
use std::net::{IpAddr, SocketAddr};

/// Bounds of the network side of a shard.
#[derive(Clone, Copy, Debug)]
pub struct NetLimits {
    /// `socket.request.max.bytes`
    pub request_bytes_max: usize,
    /// Requests in flight per connection.
    pub requests_max: usize,
    /// Response bytes of one connection that may wait for its socket before it is not read.
    pub outgoing_bytes_max: usize,
    /// Memory for frames that are received into memory of their own.
    pub large_bytes_max: usize,
    /// A connection without requests for this long is closed.
    pub idle_ns_max: Option<u64>,
}

/// Bytes of one send, about: bounds how long a response's memory stays busy.
const SEND_BYTES: usize = 1 << 20;
/// Blocks that response heads of all connections are written into.
const HEAD_BLOCK_BYTES: usize = 16 << 10;
/// Largest piece of a head put into a block of its own.
const HEAD_BYTES_MAX: usize = 1 << 20;
/// Share of the arena up to which connections get blocks to receive into. Above the engine's
/// eviction (75), so that its cache never starves them; below where it takes appends again (80),
/// so that they never starve it.
const RECEIVE_PERCENT_MAX: usize = 78;
/// How long a block may be lent to a receive of a silent connection.
const LENT_NS_MAX: u64 = 5_000_000_000;
/// How long a large frame may take between two pieces.
const STALLED_NS_MAX: u64 = 60_000_000_000;
/// How long an unfinished frame may hold memory that other connections wait for: this, and the
/// time that a large one takes at 1 MB/s, since it counts as silent until all of it is here.
const HOARDED_NS_MAX: u64 = 3_000_000_000;
const HOARDED_NS_PER_BYTE: u64 = 1000;

const ACCEPT: u64 = 0;
const RECEIVE: u64 = 1;
const SEND: u64 = 2;

/// What a completion means to the broker.
#[derive(Debug)]
pub enum Arrived {
    /// Nothing to do for it.
    Nothing,
    /// A listener has a new socket.
    Accepted(SocketHandle, SocketAddr),
    /// A listener failed; it is armed again by the caller.
    AcceptFailed(IoFailure),
}

#[derive(Debug)]
struct Entry {
    generation: u32,
    connection: Option<Connection>,
}

/// All connections of one shard.
#[derive(Debug)]
pub struct Net {
    limits: NetLimits,
    entries: Vec<Entry>,
    free: Vec<u32>,
    open: usize,
    /// Connections that may have a frame to handle.
    ready: Vec<ConnectionKey>,
    /// Connections that may have something to send.
    flush: Vec<ConnectionKey>,
    /// Connections that wait for memory.
    starved: Vec<ConnectionKey>,
    closed: Vec<IpAddr>,
    large_bytes: usize,
    on_the_way: OnTheWay,
    head_block: Option<ArenaBuf>,
    parts_pool: Vec<Vec<ArenaSlice>>,
    counters: NetCounters,
}

impl Net {
    /// No connections yet.
    #[must_use]
    pub fn new(limits: NetLimits) -> Self {
        Self {
            limits,
            entries: Vec::new(),
            free: Vec::new(),
            open: 0,
            ready: Vec::new(),
            flush: Vec::new(),
            starved: Vec::new(),
            closed: Vec::new(),
            large_bytes: 0,
            on_the_way: OnTheWay::default(),
            head_block: None,
            parts_pool: Vec::new(),
            counters: NetCounters {
                copied_in_bytes: 0,
                copied_out_bytes: 0,
            },
        }
    }

    /// Waits for one connection of `listener`.
    pub fn arm_accept(&self, io: &mut Io, listener: SocketHandle) {
        io.submit(token(ACCEPT, 0, 0), Op::Accept { listener });
    }

    /// What was copied so far.
    #[must_use]
    pub const fn counters(&self) -> NetCounters {
        self.counters
    }

    /// Counts received bytes that were copied before they came to a handler, or by one.
    pub const fn note_copied_in(&mut self, bytes: usize) {
        self.counters.copied_in_bytes += bytes as u64;
    }

    /// Counts record bytes that a handler copied into a response.
    pub const fn note_copied_out(&mut self, bytes: usize) {
        self.counters.copied_out_bytes += bytes as u64;
    }

    /// Open connections.
    #[must_use]
    pub const fn open_connections(&self) -> usize {
        self.open
    }

    /// Takes over a socket.
    pub fn add(&mut self, io: &mut Io, socket: SocketHandle, peer: IpAddr) -> ConnectionKey {
        let index = self.free.pop().unwrap_or_else(|| {
            self.entries.push(Entry {
                generation: 0,
                connection: None,
            });
            u32::try_from(self.entries.len() - 1).unwrap_or(u32::MAX)
        });
        let entry = &mut self.entries[index as usize];
        entry.connection = Some(Connection::new(socket, peer, io.now_ns()));
        let key = ConnectionKey {
            index,
            generation: entry.generation,
        };
        self.open += 1;
        self.arm_receive(io, key);
        key
    }

    /// Closes a connection; what it still owed is dropped.
    pub fn close(&mut self, io: &mut Io, key: ConnectionKey) {
        let Some(entry) = self.entries.get_mut(key.index as usize) else {
            return;
        };
        if entry.generation != key.generation {
            return;
        }
        let Some(connection) = entry.connection.take() else {
            return;
        };
        entry.generation = entry.generation.wrapping_add(1);
        self.free.push(key.index);
        self.open -= 1;
        self.large_bytes -= receive::large_bytes(&connection);
        if let Some((log, bytes)) = connection.batch_on_the_way() {
            self.on_the_way.end(log, bytes);
        }
        self.closed.push(connection.peer);
        io.close_socket(connection.socket);
    }

    /// Addresses of connections that were closed since the last call.
    pub fn drain_closed(&mut self) -> std::vec::Drain<'_, IpAddr> {
        self.closed.drain(..)
    }

    fn get(&mut self, key: ConnectionKey) -> Option<&mut Connection> {
        let entry = self.entries.get_mut(key.index as usize)?;
        (entry.generation == key.generation).then_some(entry.connection.as_mut()?)
    }

    /// Takes a completion of `Class::Net`.
    pub fn complete(&mut self, io: &mut Io, completion: Completion) -> Arrived {
        let (kind, key) = from_token(completion.token);
        match completion.outcome {
            Outcome::Accept(Ok((socket, peer))) => Arrived::Accepted(socket, peer),
            Outcome::Accept(Err(failure)) => Arrived::AcceptFailed(failure),
            Outcome::Receive(result) => {
                debug_assert_eq!(kind, RECEIVE);
                self.receive_done(io, key, result);
                Arrived::Nothing
            }
            Outcome::Send(parts, result) => {
                self.send_done(io, key, parts, result);
                Arrived::Nothing
            }
            Outcome::Read(..) | Outcome::Write(..) | Outcome::File(_) | Outcome::Work(_) => {
                Arrived::Nothing
            }
        }
    }

    fn send_done(
        &mut self,
        io: &mut Io,
        key: ConnectionKey,
        mut parts: Vec<ArenaSlice>,
        result: Result<(), IoFailure>,
    ) {
        parts.clear();
        self.parts_pool.push(parts);
        let now_ns = io.now_ns();
        let Some(connection) = self.get(key) else {
            return;
        };
        connection.is_sending = false;
        if result.is_err() {
            self.close(io, key);
            return;
        }
        connection.last_active_ns = now_ns;
        self.want_flush(key);
        self.want_ready(key);
    }

    fn want_flush(&mut self, key: ConnectionKey) {
        if let Some(connection) = self.get(key)
            && !connection.is_flush_queued
        {
            connection.is_flush_queued = true;
            self.flush.push(key);
        }
    }

    fn want_ready(&mut self, key: ConnectionKey) {
        if let Some(connection) = self.get(key)
            && !connection.is_queued
        {
            connection.is_queued = true;
            self.ready.push(key);
        }
    }

    fn starve(&mut self, key: ConnectionKey) {
        if let Some(connection) = self.get(key)
            && !connection.is_starved
        {
            connection.is_starved = true;
            self.starved.push(key);
        }
    }

    /// Puts connections that wait for memory back in line, to try again.
    pub fn retry_starved(&mut self, io: &mut Io) {
        let mut starved = std::mem::take(&mut self.starved);
        // From the other end every time: who came first must not keep out who came last.
        starved.reverse();
        for key in starved {
            let Some(connection) = self.get(key) else {
                continue;
            };
            connection.is_starved = false;
            self.want_ready(key);
            self.want_flush(key);
            self.arm_receive(io, key);
        }
    }

    /// Whether some connection waits for memory.
    #[must_use]
    pub fn is_starved(&self) -> bool {
        !self.starved.is_empty()
    }

    /// Moves the connections that may have a frame into `out`.
    pub fn drain_ready(&mut self, out: &mut Vec<ConnectionKey>) {
        let mut ready = std::mem::take(&mut self.ready);
        for key in ready.drain(..) {
            if let Some(connection) = self.get(key) {
                connection.is_queued = false;
                out.push(key);
            }
        }
        self.ready = ready;
    }

    /// Whether some connection may have a frame to handle.
    #[must_use]
    pub fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Lets a connection be looked at again in the next turn.
    pub fn look_again(&mut self, key: ConnectionKey) {
        self.want_ready(key);
    }

    /// The address that a connection comes from.
    #[must_use]
    pub fn peer(&mut self, key: ConnectionKey) -> Option<IpAddr> {
        self.get(key).map(|connection| connection.peer)
    }

    /// Opens the response slot of a request. `None` when the connection is gone.
    pub fn open_slot(&mut self, key: ConnectionKey) -> Option<SlotId> {
        Some(self.get(key)?.responses.open())
    }

    /// Fills a response slot; it leaves when its turn has come.
    pub fn respond(&mut self, key: ConnectionKey, slot: SlotId, response: Response) {
        if let Some(connection) = self.get(key) {
            let emptied = connection.responses.fill(slot, response);
            self.parts_pool.extend(emptied);
            self.want_flush(key);
            self.want_ready(key);
        }
    }

    /// An empty vector for the parts of a response.
    pub fn vector(&mut self) -> Vec<ArenaSlice> {
        self.parts_pool.pop().unwrap_or_default()
    }

    /// Memory for receiving: refused while the arena is so full that appends, which must get on
    /// for memory to come back, would find none.
    fn block(io: &mut Io, bytes: usize) -> Option<ArenaBuf> {
        let arena = io.arena();
        let used = arena.used_bytes() + bytes;
        let room = arena.capacity_bytes() / 100 * RECEIVE_PERCENT_MAX;
        if used <= room {
            arena.alloc(bytes)
        } else {
            None
        }
    }

    /// Puts encoded bytes into arena memory; `Err` gives them back when there is none.
    ///
    /// # Errors
    /// The bytes are too many for one block, or the arena is full.
    pub fn to_slice(&mut self, io: &mut Io, bytes: &[u8]) -> Option<ArenaSlice> {
        if bytes.len() > HEAD_BLOCK_BYTES / 2 {
            if bytes.len() > HEAD_BYTES_MAX {
                return None;
            }
            let mut block = io.arena().alloc(bytes.len())?;
            block.extend_from_slice(bytes);
            return Some(block.freeze());
        }
        let has_room = self
            .head_block
            .as_ref()
            .is_some_and(|block| block.spare() >= bytes.len());
        if !has_room {
            self.head_block = Some(io.arena().alloc(HEAD_BLOCK_BYTES)?);
        }
        let block = self.head_block.as_mut()?;
        block.extend_from_slice(bytes);
        Some(block.split_frozen())
    }

    /// Starts the sends that can start. Once per turn.
    pub fn flush(&mut self, io: &mut Io) {
        let mut keys = std::mem::take(&mut self.flush);
        for key in keys.drain(..) {
            let mut parts = self.parts_pool.pop().unwrap_or_default();
            let Some(connection) = self.get(key) else {
                self.parts_pool.push(parts);
                continue;
            };
            connection.is_flush_queued = false;
            let mut is_fed = true;
            if !connection.is_sending {
                is_fed = connection
                    .responses
                    .take(io.arena(), SEND_BYTES, &mut parts);
                connection.is_sending = !parts.is_empty();
            }
            if parts.is_empty() {
                self.parts_pool.push(parts);
            } else {
                let socket = connection.socket;
                io.submit(
                    token(SEND, key.index, key.generation),
                    Op::Send { socket, parts },
                );
            }
            if !is_fed {
                self.starve(key);
            }
        }
        if self.flush.is_empty() {
            self.flush = keys;
        }
    }

    /// Looks for connections that were silent too long and for blocks lent to silent ones.
    pub fn sweep(&mut self, io: &mut Io) {
        let now_ns = io.now_ns();
        let is_memory_wanted = self.is_starved();
        for index in 0..self.entries.len() {
            let entry = &self.entries[index];
            let Some(connection) = &entry.connection else {
                continue;
            };
            let key = ConnectionKey {
                index: u32::try_from(index).unwrap_or(u32::MAX),
                generation: entry.generation,
            };
            let silent_ns = now_ns.saturating_sub(connection.last_active_ns);
            let is_idle = connection.is_settled()
                && self.limits.idle_ns_max.is_some_and(|max| silent_ns > max);
            let is_stalled =
                connection.large.is_some() && connection.is_receiving && silent_ns > STALLED_NS_MAX;
            let is_hoarding = is_memory_wanted
                && connection.is_receiving
                && (connection.large.is_some() || connection.pending.is_some())
                && silent_ns > hoarded_ns_max(connection);
            if is_idle || is_stalled || is_hoarding {
                self.close(io, key);
            } else if connection.is_block_lent && silent_ns > LENT_NS_MAX {
                io.cancel(token(RECEIVE, key.index, key.generation));
            }
        }
    }

    /// Closes everything.
    pub fn close_all(&mut self, io: &mut Io) {
        for index in 0..self.entries.len() {
            let key = ConnectionKey {
                index: u32::try_from(index).unwrap_or(u32::MAX),
                generation: self.entries[index].generation,
            };
            self.close(io, key);
        }
    }
}

fn token(kind: u64, index: u32, generation: u32) -> Token {
    Token {
        class: Class::Net,
        key: kind << 56 | u64::from(index & 0x00ff_ffff) << 32 | u64::from(generation),
    }
}

fn from_token(token: Token) -> (u64, ConnectionKey) {
    let index = (token.key >> 32) as u32 & 0x00ff_ffff;
    let generation = token.key as u32;
    (token.key >> 56, ConnectionKey { index, generation })
}

fn hoarded_ns_max(connection: &Connection) -> u64 {
    let bytes = receive::large_bytes(connection) as u64;
    HOARDED_NS_MAX.saturating_add(bytes.saturating_mul(HOARDED_NS_PER_BYTE))
}
