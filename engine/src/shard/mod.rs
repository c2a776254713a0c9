//! One core of the engine: its partitions, its journal, its files, driven turn by turn.
//!
//! The owner of the thread (the broker, an embedder, a simulation) runs:
//! ```text
//! loop {
//!     io.poll(&mut done);                       // completions of the kernel
//!     for c in done { shard.complete(&mut io, c) or hand it to the network }
//!     ... append, read, create: they only change memory and queue operations ...
//!     shard.end_turn(&mut io);  shard.drain_events(&mut events);  io.park(deadline, awaiting);
//! }
//! ```

mod append;
mod broken_files;
mod buffers;
mod checkpoint;
mod cleaning;
pub mod cold_reads;
mod commit;
mod config;
mod control;
mod create;
mod error;
mod event;
pub mod file_table;
mod found_journal;
pub mod identity;
mod lists;
mod losses;
pub mod preparation;
mod producers;
mod query;
mod recovery;
mod replay;
mod resolve;
pub(crate) mod ring_files;
mod ring_reader;
#[cfg(test)]
mod tests;
pub mod token;
mod turn;
mod writes;

pub use broken_files::{BrokenFile, broken_files, remake_file};
pub use config::{CleanerConfig, JournalSetup, ShardConfig};
pub use create::{ShardContent, create_journal, export_journal, remove_journal};
pub use error::{ControlError, OpenError};
pub use event::{Event, IndexNotLoaded, LargestTimestamp, Read, ShardCounters, TimestampSearch};
pub use losses::{Loss, ShardLosses, accept_losses, find_losses};

use crate::ids::{PartitionHandle, Ticket};
use crate::io::Io;
use crate::journal::control::Control;
use crate::partition::{Acks, ClosedEntry, Now, ReleasedFile, SpareVecs};
use checkpoint::Checkpointing;
use cleaning::Cleaner;
use cold_reads::ColdReads;
use commit::Journal;
use file_table::FileTable;
use lists::{Lists, Partitions};
use preparation::Preparation;
use std::collections::{BTreeMap, VecDeque};
use writes::LogWrites;

/// How far a shard is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    /// Writes back what recovery found; nothing may be appended.
    Recovering,
    /// Takes everything.
    Running,
    /// Takes nothing more; ends with a clean checkpoint.
    Stopping,
    /// The clean checkpoint is durable.
    Stopped,
    /// A durable write failed: nothing is acknowledged any more, reads go on.
    Failed,
}

/// A control record of the shard that waits for a commit.
#[derive(Debug)]
struct WaitingControl {
    handle: PartitionHandle,
    control: Control,
    bytes: usize,
    ticket: Ticket,
}

/// A file that nobody names any more once the next checkpoint is durable.
#[derive(Clone, Copy, Debug)]
struct Release {
    file: ReleasedFile,
    /// Checkpoints up to this number may still name it.
    after_checkpoint: u64,
}

/// The owners of registry entries and their keys, in order.
type Registry = BTreeMap<PartitionHandle, BTreeMap<Box<[u8]>, Box<[u8]>>>;

/// The engine on one core.
#[derive(Debug)]
pub struct Shard {
    config: ShardConfig,
    life: Life,
    now: Now,
    partitions: Partitions,
    lists: Lists,
    registry: Registry,
    controls: VecDeque<WaitingControl>,
    journal: Journal,
    checkpointing: Checkpointing,
    table: FileTable,
    preparation: Preparation,
    cold: ColdReads,
    writes: LogWrites,
    releases: VecDeque<Release>,
    queries: query::Queries,
    cleaner: Cleaner,

    events: Vec<Event>,
    acks: Acks,
    entry: ClosedEntry,
    spare: SpareVecs,
    released: Vec<ReleasedFile>,

    unwritten_bytes: u64,
    unresolved_batches: usize,
    producers: usize,
    /// Memory counts as short until then, since somebody found no block.
    block_wanted_until_ns: u64,
    /// Partitions looked at in a row that had nothing to give up.
    evict_in_vain: u32,
    is_memory_short: bool,
    is_evicting: bool,
    /// Recovery found acknowledged commits missing.
    was_damaged: bool,
    idle_mark_ns: Option<u64>,
    evict_cursor: u32,
    committed_at_ns: u64,
    /// When files that nobody uses are closed.
    files_due_ns: u64,
    /// When partitions that found no memory for a write are looked at again.
    starved_due_ns: u64,
    retention_due_ns: u64,
    retention_cursor: Option<u32>,
    counters: ShardCounters,
}

impl Shard {
    /// Moves the events since the last call into `out`.
    pub fn drain_events(&mut self, out: &mut Vec<Event>) {
        out.append(&mut self.events);
    }

    /// Whether appends or control changes still wait for the disk.
    #[must_use]
    pub fn is_awaiting_disk(&self) -> bool {
        self.journal.is_awaiting() || self.writes.in_flight() > 0 || !self.controls.is_empty()
    }

    /// The clean stop is complete (or impossible after a failed write): nothing is in flight.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        match self.life {
            Life::Stopped => true,
            Life::Failed => {
                self.journal.in_flight == 0
                    && !self.journal.is_syncing()
                    && self.writes.in_flight() == 0
                    && !self.checkpointing.is_in_flight()
            }
            Life::Recovering | Life::Running | Life::Stopping => false,
        }
    }

    /// Begins a clean stop: no more appends; ends with a clean checkpoint.
    pub fn begin_stop(&mut self, io: &mut Io) {
        if self.life == Life::Running {
            self.life = Life::Stopping;
            for number in 0..self.partitions.slot_count() {
                self.lists.touch(&mut self.partitions, number);
            }
            self.end_turn(io);
        }
    }

    /// Free bytes on the segments' disk from which appends go on after it was full.
    #[must_use]
    pub const fn free_bytes_wanted(&self) -> u64 {
        preparation::ballast::free_bytes_wanted(self.config.ballast_bytes)
    }

    /// Counters for metrics, gates and benchmarks.
    #[must_use]
    pub fn counters(&self) -> ShardCounters {
        ShardCounters {
            commits: self.journal.commits,
            commit_bytes: self.journal.commit_bytes,
            copied_bytes: self.counters.copied_bytes + self.journal.copied_bytes,
            ring_wraps: self.journal.ring_wraps,
            tail_images: self.journal.tail_images,
            files_reused: self.preparation.files_reused(),
            cold_read_bytes: self.cold.read_bytes(),
            cleaned_bytes: self.cleaner.cleaned_bytes(),
            cleanings_now: u64::from(self.cleaner.is_running()),
            live_journal_bytes_now: self.journal.front.live_bytes(),
            unwritten_bytes_now: self.unwritten_bytes,
            ..self.counters
        }
    }

    /// Stops for ever: a durable write failed, so nothing may be acknowledged after it.
    fn fail_stop(&mut self, reason: String) {
        if self.life == Life::Failed {
            return;
        }
        log::error!("{}: stops taking appends: {reason}", self.config.shard);
        self.life = Life::Failed;
        for (_, slot) in self.partitions.iter_mut() {
            slot.partition.fail(&mut self.acks);
        }
        self.events
            .extend(self.acks.appends.drain(..).map(Event::AppendFailed));
        self.events
            .extend(self.acks.controls.drain(..).map(Event::ControlFailed));
        for waiting in self.controls.drain(..) {
            if waiting.ticket != Ticket::NONE {
                self.events.push(Event::ControlFailed(waiting.ticket));
            }
        }
        let tickets = self.journal.take_control_tickets();
        self.events.extend(tickets.map(Event::ControlFailed));
        self.events.push(Event::FailStopped(reason));
    }
}
