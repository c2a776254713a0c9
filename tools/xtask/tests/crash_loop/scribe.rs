//! Writes the history of a round, as all clients see it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use xtask::history::{GroupId, History, LogClass, LogId, What};
use xtask::images::dice::Dice;

/// The one that all clients of a round tell what they do. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Scribe(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    began: Instant,
    history: Mutex<History>,
    /// Operations and records so far.
    numbers: AtomicU64,
    acked: AtomicU64,
}

impl Scribe {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Shared {
            began: Instant::now(),
            history: Mutex::new(History::default()),
            numbers: AtomicU64::new(1),
            acked: AtomicU64::new(0),
        }))
    }

    fn history(&self) -> MutexGuard<'_, History> {
        self.0
            .history
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Nanoseconds since the round began.
    pub(crate) fn now(&self) -> u64 {
        self.0.began.elapsed().as_nanos() as u64
    }

    /// A number that nobody has.
    pub(crate) fn number(&self) -> u64 {
        self.0.numbers.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn log(&self, topic: &str, partition: i32) -> LogId {
        let name = format!("{topic}-{partition}");
        self.history().log(&name, LogClass::Durable)
    }

    pub(crate) fn group(&self, name: &str) -> GroupId {
        self.history().group(name)
    }

    pub(crate) fn add(&self, client: u32, what: What) {
        let mut history = self.history();
        if matches!(what, What::Acked { .. }) {
            self.0.acked.fetch_add(1, Ordering::Relaxed);
        }
        // Under the lock, so that lines are in the order of time.
        let now = self.now();
        history.push(now, client, what);
    }

    /// Records acknowledged so far.
    pub(crate) fn acked(&self) -> u64 {
        self.0.acked.load(Ordering::Relaxed)
    }

    pub(crate) fn copy(&self) -> History {
        self.history().clone()
    }
}

/// The value of record `number`, which says its number and nothing that another one says.
pub(crate) fn value(number: u64) -> Vec<u8> {
    let mut dice = Dice::new(number, 41);
    let length = match dice.below(40) {
        0 => dice.within(&(20_000..90_000)),
        1..=4 => dice.within(&(1_000..9_000)),
        _ => dice.within(&(16..400)),
    };
    let mut value = vec![0; length as usize];
    dice.fill(&mut value);
    value[..8].copy_from_slice(&number.to_le_bytes());
    value
}

/// The number of the record that has this value, if it is one of ours.
pub(crate) fn number_of(found: &[u8]) -> Option<u64> {
    let number = u64::from_le_bytes(*found.first_chunk()?);
    (value(number) == found).then_some(number)
}
