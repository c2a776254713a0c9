//! One pipelined connection of the load client: sends pre-encoded requests of equal length from
//! a ring of bytes and counts the answers, without a copy and with two system calls per round.

use anyhow::{Context, Result, bail, ensure};
use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Instant;

/// Requests of one length, one behind the other, to be sent round and round.
#[derive(Clone, Debug)]
pub struct RequestRing {
    /// All requests, concatenated.
    pub bytes: Arc<[u8]>,
    /// Length of each.
    pub request_bytes: usize,
    /// Where in a response frame (behind its size field) the error code lies.
    pub error_at: usize,
}

impl RequestRing {
    /// Repeats `requests` (all of one length) until the ring holds at least `bytes_min`, so that
    /// one send can carry many.
    ///
    /// # Errors
    /// When the requests differ in length.
    pub fn new(requests: &[Vec<u8>], error_at: usize, bytes_min: usize) -> Result<Self> {
        let request_bytes = requests.first().context("no request to send")?.len();
        ensure!(
            requests
                .iter()
                .all(|request| request.len() == request_bytes),
            "requests of one ring must have one length"
        );
        let mut bytes = Vec::new();
        while bytes.len() < bytes_min.max(1) {
            for request in requests {
                bytes.extend_from_slice(request);
            }
        }
        Ok(Self {
            bytes: bytes.into(),
            request_bytes,
            error_at,
        })
    }
}

/// A connection with requests in flight.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    ring: RequestRing,
    position: usize,
    sent_bytes: u64,
    due: VecDeque<Instant>,
    answered: u64,
    input: Vec<u8>,
    filled: usize,
    skip: usize,
}

impl Connection {
    /// Connects and goes non-blocking.
    ///
    /// # Errors
    /// When nobody listens at `address`.
    pub fn open(address: SocketAddr, ring: RequestRing, start: usize) -> Result<Self> {
        let stream = TcpStream::connect(address)
            .with_context(|| format!("no broker answers at {address}; is it running?"))?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let requests = ring.bytes.len() / ring.request_bytes;
        let position = (start % requests) * ring.request_bytes;
        Ok(Self {
            stream,
            ring,
            position,
            sent_bytes: 0,
            due: VecDeque::new(),
            answered: 0,
            input: vec![0; 256 * 1024],
            filled: 0,
            skip: 0,
        })
    }

    /// Requests begun and not yet answered.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.begun() - self.answered
    }

    /// The socket, to wait for it.
    #[must_use]
    pub const fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Sends the rest of a request that is partly sent.
    ///
    /// # Errors
    /// When the connection broke.
    pub fn flush_begun(&mut self) -> Result<()> {
        self.write_up_to(self.begun() * self.ring.request_bytes as u64)?;
        Ok(())
    }

    /// Requests answered.
    #[must_use]
    pub const fn answered(&self) -> u64 {
        self.answered
    }

    fn begun(&self) -> u64 {
        self.sent_bytes.div_ceil(self.ring.request_bytes as u64)
    }

    /// Sends until `window` requests are in flight or the socket is full. Without a schedule a
    /// request is due when it is sent.
    ///
    /// # Errors
    /// When the connection broke.
    pub fn fill_window(&mut self, window: u64, now: Instant) -> Result<bool> {
        let goal = self.answered + window;
        self.send_up_to(goal, now)
    }

    /// Adds one request that was due at `due` and sends what the socket takes.
    ///
    /// # Errors
    /// When the connection broke.
    pub fn send_due(&mut self, dues: &[Instant]) -> Result<()> {
        self.due.extend(dues);
        self.flush_due()?;
        Ok(())
    }

    /// Sends what is due and was not taken by the socket before.
    ///
    /// # Errors
    /// When the connection broke.
    pub fn flush_due(&mut self) -> Result<bool> {
        let goal = self.answered + self.due.len() as u64;
        self.write_up_to(goal * self.ring.request_bytes as u64)
    }

    fn send_up_to(&mut self, goal: u64, now: Instant) -> Result<bool> {
        let moved = self.write_up_to(goal * self.ring.request_bytes as u64)?;
        while self.answered + (self.due.len() as u64) < self.begun() {
            self.due.push_back(now);
        }
        Ok(moved)
    }

    fn write_up_to(&mut self, goal: u64) -> Result<bool> {
        let mut moved = false;
        while self.sent_bytes < goal {
            let wanted = usize::try_from(goal - self.sent_bytes)?;
            let end = self.ring.bytes.len().min(self.position + wanted);
            match self.stream.write(&self.ring.bytes[self.position..end]) {
                Ok(0) => bail!("the broker closed the connection while we sent"),
                Ok(count) => {
                    moved = true;
                    self.sent_bytes += count as u64;
                    self.position += count;
                    if self.position == self.ring.bytes.len() {
                        self.position = 0;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error).context("sending to the broker"),
            }
        }
        Ok(moved)
    }

    /// Takes answers; calls `answered` with the time each request had been due.
    ///
    /// # Errors
    /// When the connection broke or the broker refused a request.
    pub fn take_answers(&mut self, mut answered: impl FnMut(Instant)) -> Result<bool> {
        let count = match self.stream.read(&mut self.input[self.filled..]) {
            Ok(0) => bail!("the broker closed the connection"),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error).context("receiving from the broker"),
        };
        self.filled += count;
        let mut at = 0;
        loop {
            let rest = &self.input[at..self.filled];
            if self.skip > 0 {
                let skipped = self.skip.min(rest.len());
                self.skip -= skipped;
                at += skipped;
                if self.skip > 0 {
                    break;
                }
                continue;
            }
            let Some(size) = rest.first_chunk::<4>() else {
                break;
            };
            let frame_bytes = usize::try_from(i32::from_be_bytes(*size))? + 4;
            let needed = self.ring.error_at + 6;
            ensure!(
                frame_bytes >= needed,
                "an answer of {frame_bytes} bytes is too short"
            );
            if rest.len() < needed {
                break;
            }
            let code = i16::from_be_bytes([rest[needed - 2], rest[needed - 1]]);
            ensure!(code == 0, "the broker answered with error code {code}");
            self.answered += 1;
            if let Some(due) = self.due.pop_front() {
                answered(due);
            }
            self.skip = frame_bytes;
        }
        self.input.copy_within(at..self.filled, 0);
        self.filled -= at;
        Ok(true)
    }
}
