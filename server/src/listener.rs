//! Takes connections in: bounds them, and gives each to the shard that has the fewest.

use crate::broker::{BrokerShard, Phase};
use crate::mail::Mail;
use crate::net::Arrived;
use millrace_engine::ids::ShardId;
use millrace_engine::io::{IoFailure, SocketHandle};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// A listener and what it knows about the connections that came through it.
#[derive(Debug)]
pub struct Acceptor {
    socket: SocketHandle,
    address: SocketAddr,
    /// The shards that connections go to.
    shards: Vec<ShardId>,
    connections: Vec<usize>,
    per_ip: BTreeMap<IpAddr, usize>,
    connections_max: usize,
    per_ip_max: usize,
    retry_ns: Option<u64>,
}

/// Time after which a failed accept is tried again (no file descriptors, for example).
const RETRY_NS: u64 = 100_000_000;

impl Acceptor {
    /// An acceptor for `shards`.
    #[must_use]
    pub fn new(
        (socket, address): (SocketHandle, SocketAddr),
        shards: Vec<ShardId>,
        connections_max: usize,
        per_ip_max: usize,
    ) -> Self {
        Self {
            socket,
            address,
            connections: vec![0; shards.len()],
            shards,
            per_ip: BTreeMap::new(),
            connections_max,
            per_ip_max,
            retry_ns: None,
        }
    }

    /// The listening socket.
    #[must_use]
    pub const fn socket(&self) -> SocketHandle {
        self.socket
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) const fn retry_ns(&self) -> Option<u64> {
        self.retry_ns
    }

    /// The shard for a new connection; `None` when a bound is reached.
    fn admit(&mut self, peer: IpAddr) -> Option<ShardId> {
        let open: usize = self.connections.iter().sum();
        let from_there = self.per_ip.get(&peer).copied().unwrap_or(0);
        if open >= self.connections_max || from_there >= self.per_ip_max {
            return None;
        }
        let fewest = self
            .connections
            .iter()
            .enumerate()
            .min_by_key(|(_, open)| **open);
        let index = fewest.map(|(index, _)| index)?;
        self.connections[index] += 1;
        self.per_ip.insert(peer, from_there + 1);
        Some(self.shards[index])
    }

    /// A connection that went to `shard` is closed.
    pub(crate) fn closed(&mut self, shard: ShardId, peer: IpAddr) {
        if let Some(index) = self.shards.iter().position(|known| *known == shard) {
            self.connections[index] = self.connections[index].saturating_sub(1);
        }
        if let Some(open) = self.per_ip.get_mut(&peer) {
            *open -= 1;
            if *open == 0 {
                self.per_ip.remove(&peer);
            }
        }
    }
}

impl BrokerShard {
    /// Starts taking connections, if this shard has a listener.
    pub(crate) fn begin_accepting(&mut self) {
        if let Some(acceptor) = &self.acceptor {
            self.net.arm_accept(&mut self.io, acceptor.socket);
        }
    }

    pub(crate) fn connection_arrived(&mut self, arrived: Arrived) {
        match arrived {
            Arrived::Nothing => {}
            Arrived::Accepted(socket, peer) => {
                self.accepted(socket, peer.ip());
                if self.phase == Phase::Serving {
                    self.begin_accepting();
                }
            }
            Arrived::AcceptFailed(failure) => self.accept_failed(failure),
        }
    }

    fn accepted(&mut self, socket: SocketHandle, peer: IpAddr) {
        let admitted = self
            .acceptor
            .as_mut()
            .and_then(|acceptor| acceptor.admit(peer));
        match admitted {
            None => {
                log::warn!("connection from {peer} refused: too many connections");
                self.io.close_socket(socket);
            }
            Some(shard) if shard == self.me => {
                self.net.add(&mut self.io, socket, peer);
            }
            Some(shard) => {
                let socket = self.io.detach_socket(socket);
                self.send(shard, Mail::Socket(socket, peer));
            }
        }
    }

    fn accept_failed(&mut self, failure: IoFailure) {
        if self.phase != Phase::Serving {
            return;
        }
        log::warn!("accepting a connection failed: {failure}");
        let now_ns = self.io.now_ns();
        if let Some(acceptor) = &mut self.acceptor {
            acceptor.retry_ns = Some(now_ns.saturating_add(RETRY_NS));
        }
    }

    pub(crate) fn retry_accept(&mut self, now_ns: u64) {
        if let Some(acceptor) = &mut self.acceptor
            && acceptor.retry_ns.is_some_and(|at| at <= now_ns)
        {
            acceptor.retry_ns = None;
            self.begin_accepting();
        }
    }

    /// Tells the acceptor which connections are gone.
    pub(crate) fn tell_closed(&mut self) {
        let mut closed = self.net.drain_closed().peekable();
        if closed.peek().is_none() {
            return;
        }
        let me = self.me;
        if let Some(acceptor) = &mut self.acceptor {
            closed.for_each(|peer| acceptor.closed(me, peer));
        } else {
            let peers = closed.collect();
            self.send(ShardId(0), Mail::Closed(peers));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_go_to_the_shard_with_the_fewest_and_are_bounded() {
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        let shards = vec![ShardId(0), ShardId(1)];
        let mut acceptor = Acceptor::new((SocketHandle(0), address), shards, 4, 3);
        let one = IpAddr::from([10, 0, 0, 1]);
        let other = IpAddr::from([10, 0, 0, 2]);
        let given: Vec<_> = (0..3).map(|_| acceptor.admit(one)).collect();
        assert_eq!(
            given,
            [Some(ShardId(0)), Some(ShardId(1)), Some(ShardId(0))]
        );
        assert_eq!(acceptor.admit(one), None, "three from one address");
        assert_eq!(acceptor.admit(other), Some(ShardId(1)));
        assert_eq!(acceptor.admit(other), None, "four in all");
        acceptor.closed(ShardId(1), one);
        assert_eq!(acceptor.admit(other), Some(ShardId(1)));
    }
}
