//! The far end of a connection, in the hands of a test.

use super::{End, Owner, Piece, Sending};
use crate::io::IoFailure;
use crate::io::simulated::World;
use crate::io::simulated::world::Event;
use std::collections::VecDeque;
use std::net::SocketAddr;

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

    /// The clients, by [`Client::id`], at which bytes, an end or a reset arrived since this was
    /// last asked.
    #[must_use]
    pub fn take_news(&self) -> Vec<u32> {
        let news = &mut self.inner.borrow_mut().network.news;
        std::mem::take(news).into_iter().collect()
    }
}

impl Client {
    /// What the world calls it; no other one of the same world has this number.
    #[must_use]
    pub const fn id(&self) -> u32 {
        self.end
    }

    /// Sends bytes; they travel as the world is stepped.
    pub fn send(&self, bytes: &[u8]) {
        let mut inner = self.world.inner.borrow_mut();
        if let Some(end) = inner.network.ends.get_mut(&self.end) {
            end.sends.push_back(Sending {
                token: None,
                parts: VecDeque::new(),
                emptied: Vec::new(),
                bytes: bytes.to_vec().into(),
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
        super::take_onto(&mut end.received, bytes, out);
        if bytes > 0 {
            // There is room in the window again.
            inner.look_soon(self.end ^ 1);
        }
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

    /// The cable is cut the other way: nothing that the server sends from now on arrives.
    pub fn go_deaf(&self) {
        let mut inner = self.world.inner.borrow_mut();
        if let Some(end) = inner.network.ends.get_mut(&self.end) {
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
