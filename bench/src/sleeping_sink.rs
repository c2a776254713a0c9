//! The sleeping sink: answers every frame at once without looking into it, and sleeps in between.
//! What it costs is what the kernel takes for the same sockets, wake-ups and sends.

use crate::null_sink::Peer;
use anyhow::{Result, anyhow};
use rustix::event::{Timespec, epoll};
use rustix::time::{ClockId, clock_gettime};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Whether to stop is asked at least this often.
const LOOK_NS: i64 = 100_000_000;
const LISTENER: u64 = u64::MAX;

/// A running sink.
#[derive(Debug)]
pub struct SleepingSink {
    /// Where it listens.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<Result<()>>>,
}

#[derive(Debug, Default)]
struct Shared {
    is_stopped: AtomicBool,
    cpu_ns: AtomicU64,
}

impl SleepingSink {
    /// Starts a sink on `core` that answers each frame with `response` (a whole frame).
    ///
    /// # Errors
    /// When no port can be had.
    pub fn start(core: usize, response: Vec<u8>) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let its = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("sleeping-sink".into())
            .spawn(move || {
                crate::machine::pin_to(core)?;
                serve(&listener, &response, &its)
            })?;
        Ok(Self {
            address,
            shared,
            thread: Some(thread),
        })
    }

    /// CPU time it has taken so far.
    #[must_use]
    pub fn cpu(&self) -> Duration {
        Duration::from_nanos(self.shared.cpu_ns.load(Ordering::Relaxed))
    }

    /// Ends it.
    ///
    /// # Errors
    /// When it had ended before.
    pub fn stop(mut self) -> Result<()> {
        self.shared.is_stopped.store(true, Ordering::Relaxed);
        let thread = self.thread.take();
        thread.map_or(Ok(()), |thread| {
            thread.join().map_err(|_| anyhow!("the sink panicked"))?
        })
    }
}

fn serve(listener: &TcpListener, response: &[u8], shared: &Shared) -> Result<()> {
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let readable = epoll::EventFlags::IN;
    epoll::add(
        &poll,
        listener,
        epoll::EventData::new_u64(LISTENER),
        readable,
    )?;
    let answers = response.repeat(16);
    let mut input = vec![0; 1 << 16];
    let mut peers: Vec<Peer> = Vec::new();
    let timeout = Timespec {
        tv_sec: 0,
        tv_nsec: LOOK_NS,
    };
    let mut events = Vec::with_capacity(1024);
    while !shared.is_stopped.load(Ordering::Relaxed) {
        events.clear();
        epoll::wait(
            &poll,
            rustix::buffer::spare_capacity(&mut events),
            Some(&timeout),
        )?;
        for event in &events {
            if event.data.u64() == LISTENER {
                let (stream, _) = listener.accept()?;
                let peer = Peer::new(stream)?;
                let number = epoll::EventData::new_u64(peers.len() as u64);
                epoll::add(&poll, peer.stream(), number, readable)?;
                peers.push(peer);
            } else if let Some(peer) = peers.get_mut(usize::try_from(event.data.u64())?)
                && !peer.turn(&mut input, &answers, response.len())
            {
                epoll::delete(&poll, peer.stream())?;
            }
        }
        let cpu = clock_gettime(ClockId::ThreadCPUTime);
        let nanoseconds = cpu.tv_sec * 1_000_000_000 + cpu.tv_nsec;
        shared
            .cpu_ns
            .store(u64::try_from(nanoseconds)?, Ordering::Relaxed);
    }
    Ok(())
}
