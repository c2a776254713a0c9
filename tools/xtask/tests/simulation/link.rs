//! One client's connection: frames out, frames in, and when it broke.

use millrace_engine::io::simulated::{Client, World};
use millrace_server::protocol::{Message, encode_request};
use std::net::SocketAddr;

/// A response and what it answers.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The request's number on this link.
    pub(crate) correlation_id: i32,
    /// Everything behind the frame's size.
    pub(crate) frame: Vec<u8>,
}

/// A connection, or the lack of one.
pub(crate) struct Link {
    client: Option<Client>,
    received: Vec<u8>,
    correlation_id: i32,
    /// Connections made so far.
    pub(crate) connects: u64,
}

impl std::fmt::Debug for Link {
    // The client holds the whole world.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let client = self.client.as_ref().map(Client::id);
        write!(f, "Link {client:?} after {} requests", self.correlation_id)
    }
}

impl Link {
    pub(crate) const fn new() -> Self {
        Self {
            client: None,
            received: Vec::new(),
            correlation_id: 0,
            connects: 0,
        }
    }

    pub(crate) const fn is_up(&self) -> bool {
        self.client.is_some()
    }

    /// Whether the world calls this link's connection `id`.
    pub(crate) fn is(&self, id: u32) -> bool {
        self.client.as_ref().is_some_and(|client| client.id() == id)
    }

    /// Connects; false when nobody listens.
    pub(crate) fn connect(&mut self, world: &World, address: SocketAddr) -> bool {
        self.drop_connection();
        self.client = world.connect(address).ok();
        self.connects += u64::from(self.client.is_some());
        self.client.is_some()
    }

    pub(crate) fn drop_connection(&mut self) {
        self.client = None;
        self.received.clear();
    }

    /// Sends a request; its number.
    pub(crate) fn send<'a, M: Message<'a>>(&mut self, version: i16, request: &M) -> i32 {
        self.correlation_id += 1;
        let mut frame = Vec::new();
        let id = self.correlation_id;
        encode_request(&mut frame, version, id, Some("simulated"), request)
            .expect("a request of the simulation has a form");
        if let Some(client) = &self.client {
            client.send(&frame);
        }
        id
    }

    /// The whole frames that have arrived; drops a connection that broke.
    pub(crate) fn answers(&mut self, world: &World) -> Vec<Answer> {
        let Some(client) = &self.client else {
            return Vec::new();
        };
        client.receive(&mut self.received);
        let is_over = client.is_reset() || client.is_ended();
        let mut answers = Vec::new();
        while let Some((size, rest)) = self.received.split_first_chunk() {
            let size = u32::from_be_bytes(*size) as usize;
            if rest.len() < size {
                break;
            }
            let frame = rest[..size].to_vec();
            self.received.drain(..4 + size);
            let correlation_id = frame
                .first_chunk()
                .map_or(-1, |bytes| i32::from_be_bytes(*bytes));
            world.fold(&[8, correlation_id as u64, size as u64, crate::sum(&frame)]);
            answers.push(Answer {
                correlation_id,
                frame,
            });
        }
        if is_over {
            self.drop_connection();
        }
        answers
    }
}
