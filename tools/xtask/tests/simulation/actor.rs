//! What every client of the simulation can do.

use super::link::Link;
use super::scene::Scene;

/// Nothing is to be done before something arrives.
pub(crate) const NEVER: u64 = u64::MAX;
/// How long a client waits for an answer before it gives its connection up.
pub(crate) const REQUEST_TIMEOUT_NS: u64 = 12_000_000_000;
/// How long a client waits before it tries again.
pub(crate) const BACKOFF_NS: u64 = 100_000_000;

/// A client.
pub(crate) trait Actor: std::fmt::Debug {
    /// Its connection.
    fn link(&mut self) -> &mut Link;

    /// Looks at what arrived and does what is due.
    fn act(&mut self, scene: &mut Scene);

    /// The broker starts again: there may be new work.
    fn begin_life(&mut self) {}

    /// When it wants to act even if nothing arrives.
    fn wake_ns(&self) -> u64;

    /// Whether it has finished what it wants to do.
    fn is_done(&self) -> bool;
}
