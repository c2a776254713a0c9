//! Images of a disk as a power cut may leave them.
//!
//! A [`Recording`] is what a disk was before, and every write and flush since then, in order. From
//! it [`Recording::image`] makes the disk after a cut at any point: what was flushed is there; of
//! each write that no flush covers any part may be there, in any order ([`cut`]).
//! Several disks may lie one behind the other: a flush names the stretch that it is for.

pub mod blocks;
pub mod cut;
pub mod dice;
pub mod file;

use blocks::Blocks;
use std::sync::Arc;

/// What a disk was asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Write these bytes.
    Write {
        /// Position of the first, in bytes.
        position: u64,
        /// The bytes.
        bytes: Arc<[u8]>,
    },
    /// A flush ended.
    Flush {
        /// First position that it is for.
        first: u64,
        /// The position behind the last.
        behind: u64,
        /// Events before it began: writes among them are durable.
        covers: usize,
    },
}

/// A disk and what it was asked to do since.
#[derive(Clone, Debug)]
pub struct Recording {
    before: Blocks,
    events: Vec<Event>,
    /// The disk with all events before this number, for the next image.
    near: Blocks,
    near_events: usize,
}

impl Recording {
    /// Begins with a disk on which everything is durable.
    #[must_use]
    pub fn new(before: Blocks) -> Self {
        Self {
            near: before.clone(),
            before,
            events: Vec::new(),
            near_events: 0,
        }
    }

    /// Adds an event.
    pub fn add(&mut self, event: Event) {
        self.events.push(event);
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.events.len()
    }

    /// All of them, in order.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// The disk before the first.
    #[must_use]
    pub const fn before(&self) -> &Blocks {
        &self.before
    }

    /// The disk with the first `events` of them, all durable. Cheap when asked in ascending order.
    fn durable(&mut self, events: usize) -> Blocks {
        if events < self.near_events {
            self.near = self.before.clone();
            self.near_events = 0;
        }
        for event in &self.events[self.near_events..events] {
            if let Event::Write { position, bytes } = event {
                self.near.write(*position, bytes);
            }
        }
        self.near_events = events;
        self.near.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn write(position: u64, byte: u8, length: usize) -> Event {
        Event::Write {
            position,
            bytes: vec![byte; length].into(),
        }
    }

    /// A flush of the first 64 KiB that covers so many events.
    pub(super) const fn flush(covers: usize) -> Event {
        Event::Flush {
            first: 0,
            behind: 65_536,
            covers,
        }
    }

    #[test]
    fn the_durable_disk_holds_the_events_before_and_none_behind() {
        let mut recording = Recording::new(Blocks::new(4 * 4096));
        recording.add(write(0, 1, 4096));
        recording.add(flush(1));
        recording.add(write(512, 2, 512));
        for (events, at_512) in [(3, 2), (1, 1), (2, 1), (3, 2), (0, 0)] {
            let mut byte = [9];
            recording.durable(events).read(512, &mut byte);
            assert_eq!(byte, [at_512], "after {events} events");
        }
        assert_eq!(recording.count(), 3);
    }
}
