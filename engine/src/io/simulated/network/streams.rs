//! Streams: bytes cut into pieces, pieces on their way, and what an end makes of those that came.

use super::{Owner, Piece, SLOT_BYTES, Sending, take};
use crate::io::simulated::world::{Event, Inner, Ready};
use crate::io::{IoFailure, Outcome, ReceiveInto, Received};

impl Inner {
    /// Moves what arrived into a waiting receive, and ends it if it has enough.
    pub(super) fn receive(&mut self, id: u32) {
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
    pub(in crate::io::simulated) fn fill_slot(
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
    pub(super) fn send_pieces(&mut self, id: u32) {
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
        self.maybe_split();
        self.deliver_later(peer, Piece::Bytes(bytes));
    }

    /// Splits the network, if it is not split and chance wants it.
    fn maybe_split(&mut self) {
        let now = self.now();
        let config = &self.config.network;
        let network = &mut self.network;
        if now >= network.split_until_ns && network.random.per_million(config.split_per_million) {
            network.split_until_ns = now + network.random.below(config.split_ns_max);
            network.is_split_felt = false;
        }
    }

    pub(super) fn deliver_later(&mut self, to: u32, piece: Piece) {
        let config = &self.config.network;
        let mut delay = self.network.random.within(&config.delay_ns);
        let is_late = self.network.random.per_million(config.late_per_million);
        if is_late {
            delay += self
                .network
                .random
                .within(&(config.late_ns_max / 100..config.late_ns_max));
        }
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
        self.counters.late_pieces += u64::from(is_late);
        let time = end.last_arrival_ns.max(now + delay);
        end.last_arrival_ns = time;
        end.incoming.push_back(piece);
        self.schedule(time, Event::Arrival(to));
    }

    /// The next piece reaches an end.
    pub(in crate::io::simulated) fn arrive(&mut self, to: u32) {
        let split_until_ns = self.network.split_until_ns;
        if self.now() < split_until_ns {
            let is_first = !std::mem::replace(&mut self.network.is_split_felt, true);
            self.counters.splits += u64::from(is_first);
            return self.schedule(split_until_ns, Event::Arrival(to));
        }
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
        if end.owner == Owner::Client {
            self.network.news.insert(to);
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

    /// A client closes: its kernel sends what it was given first.
    pub(super) fn close_when_sent(&mut self, id: u32) {
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
}
