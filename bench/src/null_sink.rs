//! The null sink: answers every produce frame at once without looking into it. It bounds what the
//! load client itself can do; a figure counts only if the client reaches twice of it here.

use anyhow::Result;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// A running sink.
#[derive(Debug)]
pub struct NullSink {
    /// Where it listens.
    pub address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl NullSink {
    /// Starts a sink on `core` that answers each frame with `response` (a whole frame).
    ///
    /// # Errors
    /// When no port can be had.
    pub fn start(core: usize, response: Vec<u8>) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("null-sink".into())
            .spawn(move || {
                if crate::machine::pin_to(core).is_ok() {
                    serve(&listener, &response, &stopped);
                }
            })?;
        Ok(Self {
            address,
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for NullSink {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// A connection to a sink.
#[derive(Debug)]
pub(crate) struct Peer {
    stream: TcpStream,
    header: Vec<u8>,
    skip: usize,
    owed: usize,
    sent: usize,
}

fn serve(listener: &TcpListener, response: &[u8], stop: &AtomicBool) {
    let answers: Vec<u8> = response.repeat(4096);
    let mut input = vec![0; 1 << 20];
    let mut peers: Vec<Peer> = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        if let Ok((stream, _)) = listener.accept()
            && let Ok(peer) = Peer::new(stream)
        {
            peers.push(peer);
        }
        peers.retain_mut(|peer| peer.turn(&mut input, &answers, response.len()));
    }
}

impl Peer {
    /// For a connection that was just accepted.
    pub(crate) fn new(stream: TcpStream) -> std::io::Result<Self> {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            header: Vec::new(),
            skip: 0,
            owed: 0,
            sent: 0,
        })
    }

    /// To wait for it.
    pub(crate) const fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Reads once, counts frames, answers; `false` when the peer is gone.
    pub(crate) fn turn(&mut self, input: &mut [u8], answers: &[u8], response_bytes: usize) -> bool {
        match self.stream.read(input) {
            Ok(0) => return false,
            Ok(count) => self.count_frames(&input[..count], response_bytes),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return false,
        }
        while self.owed > 0 {
            let from = self.sent % response_bytes;
            let bytes = self.owed.min(answers.len() - from);
            match self.stream.write(&answers[from..from + bytes]) {
                Ok(count) => {
                    self.owed -= count;
                    self.sent += count;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => return false,
            }
        }
        true
    }

    fn count_frames(&mut self, mut bytes: &[u8], response_bytes: usize) {
        while !bytes.is_empty() {
            if self.skip > 0 {
                let skipped = self.skip.min(bytes.len());
                self.skip -= skipped;
                bytes = &bytes[skipped..];
                if self.skip == 0 {
                    self.owed += response_bytes;
                }
                continue;
            }
            let wanted = (4 - self.header.len()).min(bytes.len());
            self.header.extend_from_slice(&bytes[..wanted]);
            bytes = &bytes[wanted..];
            if let Some(size) = self.header.first_chunk::<4>() {
                self.skip = usize::try_from(i32::from_be_bytes(*size)).unwrap_or(0);
                self.header.clear();
            }
        }
    }
}
