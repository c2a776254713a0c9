//! How a sleeping shard learns that there is something for it: one word per shard with a bit
//! [`PARKED`] and one bit per source of work.
//!
//! A sender first puts its work where the shard will look, then sets the source's bit; if the
//! shard is parked, that sender, and only that one, wakes it. A shard clears a bit before it looks
//! at the source, and goes to sleep only from a word of zero. So no wake-up is lost, and a busy
//! shard costs its senders one load.

use rustix::event::{EventfdFlags, eventfd};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering, fence};

const PARKED: u32 = 1;

/// A source of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(in crate::io) enum Bell {
    /// Messages of other shards.
    Mailbox = 2,
    /// Messages of other threads.
    Inbox = 4,
    /// Answers of the housekeeper.
    Housekeeper = 8,
}

/// One shard's word, and the ways to wake it.
#[derive(Debug)]
pub(in crate::io) struct Signal {
    word: AtomicU32,
    event: OwnedFd,
    /// A duplicate, so that a ring's number cannot come to mean another file while a peer may
    /// still ring it.
    ring: OnceLock<OwnedFd>,
}

impl Signal {
    pub(in crate::io) fn new() -> std::io::Result<Self> {
        Ok(Self {
            word: AtomicU32::new(0),
            event: eventfd(0, EventfdFlags::CLOEXEC)?,
            ring: OnceLock::new(),
        })
    }

    /// Says that there is work. `true`: the shard sleeps and the caller must wake it.
    #[must_use]
    pub(in crate::io) fn ring(&self, bell: Bell) -> bool {
        // Orders the work put down before against the load: either the shard sees the work, or
        // this sees the shard's cleared bit.
        fence(Ordering::SeqCst);
        if self.word.load(Ordering::Relaxed) & bell as u32 != 0 {
            return false;
        }
        let before = self.word.fetch_or(bell as u32, Ordering::SeqCst);
        before & PARKED != 0 && before & !PARKED == 0
    }

    /// As [`Self::ring`], and wakes the shard through its eventfd.
    pub(in crate::io) fn ring_from_outside(&self, bell: Bell) {
        if self.ring(bell) {
            self.wake();
        }
    }

    pub(in crate::io) fn wake(&self) {
        let woken = rustix::io::write(&self.event, &1u64.to_ne_bytes());
        debug_assert_eq!(woken, Ok(8));
    }

    /// Clears a bit; whether it was set. What was put down before it was set is seen after this.
    pub(in crate::io) fn take(&self, bell: Bell) -> bool {
        if !self.has(bell) {
            return false;
        }
        self.word.fetch_and(!(bell as u32), Ordering::SeqCst);
        fence(Ordering::SeqCst);
        true
    }

    pub(in crate::io) fn has(&self, bell: Bell) -> bool {
        self.word.load(Ordering::Acquire) & bell as u32 != 0
    }

    /// Whether any source has work.
    pub(in crate::io) fn is_ringing(&self) -> bool {
        self.word.load(Ordering::Acquire) & !PARKED != 0
    }

    /// The shard is about to sleep. `false`: there is work, do not.
    #[must_use]
    pub(in crate::io) fn park(&self) -> bool {
        self.word
            .compare_exchange(0, PARKED, Ordering::SeqCst, Ordering::Relaxed)
            .is_ok()
    }

    pub(in crate::io) fn unpark(&self) {
        self.word.fetch_and(!PARKED, Ordering::SeqCst);
    }

    pub(in crate::io) fn event(&self) -> RawFd {
        self.event.as_raw_fd()
    }

    /// Remembers the ring that peers may wake this shard with.
    pub(in crate::io) fn set_ring(&self, ring: impl AsFd) -> std::io::Result<()> {
        let ring = rustix::io::fcntl_dupfd_cloexec(ring, 0)?;
        self.ring
            .set(ring)
            .map_err(|_| std::io::Error::other("the ring is known already"))
    }

    pub(in crate::io) fn ring_fd(&self) -> Option<RawFd> {
        self.ring.get().map(AsRawFd::as_raw_fd)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_sender_wakes_a_parked_shard() {
        let signal = Signal::new().unwrap();
        assert!(signal.park());
        assert!(signal.ring(Bell::Mailbox));
        assert!(!signal.ring(Bell::Mailbox));
        assert!(!signal.ring(Bell::Inbox));
        signal.unpark();
        assert!(!signal.park(), "there is work");
        assert!(signal.take(Bell::Mailbox));
        assert!(!signal.take(Bell::Mailbox));
        assert!(!signal.park(), "the inbox still has work");
        assert!(signal.take(Bell::Inbox));
        assert!(signal.park());
    }

    #[test]
    fn no_wake_up_is_lost_between_two_threads() {
        use std::sync::atomic::AtomicU64;
        const ROUNDS: u64 = 100_000;
        let signal = Signal::new().unwrap();
        let sent = AtomicU64::new(0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for round in 1..=ROUNDS {
                    sent.store(round, Ordering::Relaxed);
                    signal.ring_from_outside(Bell::Inbox);
                }
            });
            let mut seen = 0;
            while seen < ROUNDS {
                if signal.take(Bell::Inbox) {
                    seen = sent.load(Ordering::Relaxed);
                } else if signal.park() {
                    // Blocks for ever if the wake-up was lost.
                    let mut count = [0; 8];
                    rustix::io::read(&signal.event, &mut count).unwrap();
                    signal.unpark();
                }
            }
        });
    }
}
