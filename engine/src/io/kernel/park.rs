//! When and how a shard sleeps.
//!
//! It publishes that it sleeps, and only then sleeps, so that nobody's wake-up is lost (see
//! `signal`). Before that it may spin for a moment, as long as spinning keeps paying.

use super::super::Awaiting;
use super::Ring;
use std::time::{Duration, Instant};

/// Longest spin.
const SPIN_MAX: Duration = Duration::from_micros(50);
/// Looks between two readings of the clock.
const LOOKS: u32 = 32;
/// A spin that found nothing takes back this many naps that a spin would have saved.
const MISS_COST: i8 = 4;

/// Whether spinning pays: naps shorter than a spin argue for it, vain spins against.
#[derive(Debug, Default)]
pub(super) struct Spin {
    is_allowed: bool,
    score: i8,
}

impl Spin {
    pub(super) const fn new(is_allowed: bool) -> Self {
        Self {
            is_allowed,
            score: 0,
        }
    }

    const fn pays(&self) -> bool {
        self.is_allowed && self.score > 0
    }

    const fn spun(&mut self, hit: bool) {
        if !hit {
            self.score = self.score.saturating_sub(MISS_COST);
        }
    }

    fn napped(&mut self, time: Duration) {
        let step = if time < SPIN_MAX { 1 } else { -1 };
        self.score = (self.score + step).clamp(-MISS_COST, MISS_COST);
    }
}

impl Ring {
    /// See [`crate::io::Io::park`].
    pub(in crate::io) fn park(&mut self, deadline_ns: Option<u64>, awaiting: Awaiting) {
        if self.has_something() || deadline_ns.is_some_and(|deadline| deadline <= self.now_ns()) {
            return;
        }
        if awaiting == Awaiting::Anything && self.spin.pays() {
            self.queue.submit();
            let hit = self.spin(deadline_ns);
            self.spin.spun(hit);
            if hit {
                return;
            }
        }
        self.sleep(deadline_ns);
    }

    fn has_something(&mut self) -> bool {
        !self.ready.is_empty() || self.signal().is_ringing() || self.queue.has_completions()
    }

    fn spin(&mut self, deadline_ns: Option<u64>) -> bool {
        let start = Instant::now();
        while start.elapsed() < SPIN_MAX {
            for _ in 0..LOOKS {
                if self.has_something() {
                    return true;
                }
                std::hint::spin_loop();
            }
            if deadline_ns.is_some_and(|deadline| deadline <= self.now_ns()) {
                return true;
            }
        }
        false
    }

    /// Submits, and blocks until something happens or the deadline.
    pub(super) fn sleep(&mut self, deadline_ns: Option<u64>) {
        if self.queue.has_disk() {
            // Entered apart, so that a full device queue shows as a slow enter and not as sleep.
            self.queue.submit();
            if self.has_something() {
                return;
            }
        }
        if !self.signal().park() {
            return;
        }
        let start = self.now_ns();
        let timeout = deadline_ns.map(|end| Duration::from_nanos(end.saturating_sub(start)));
        self.queue.wait(timeout);
        self.signal().unpark();
        let slept = self.now_ns() - start;
        self.spin.napped(Duration::from_nanos(slept));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spinning_starts_when_naps_are_short_and_stops_after_a_vain_spin() {
        let mut spin = Spin::new(true);
        assert!(!spin.pays());
        spin.napped(Duration::from_micros(10));
        assert!(spin.pays());
        spin.spun(true);
        assert!(spin.pays());
        spin.spun(false);
        assert!(!spin.pays());
        spin.napped(Duration::from_millis(1));
        for _ in 0..2 * MISS_COST {
            spin.napped(Duration::from_micros(10));
        }
        assert!(spin.pays());
        assert!(
            !Spin {
                is_allowed: false,
                ..spin
            }
            .pays()
        );
    }
}
