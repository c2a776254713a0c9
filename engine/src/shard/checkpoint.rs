//! Checkpoints while the shard runs: snapshot, write-back up to it, both copies, then free.
//!
//! ```text
//! begin    S = last closed sequence; states as of S; a tail image is due for every partition
//! flush    resolved >= S, and every partition is in its segments up to its end as of S
//! write    the older copy, durable; then the other copy, durable
//! end      journal files below S and released segment files are free
//! ```
//! INVARIANT: nothing is freed before both copies are durable; nothing on disk changes at the end.
//! Any failure but a full disk stops the shard.

use super::buffers::BufferPool;
use super::commit::JournalOp;
use super::{Life, Release, Shard};
use crate::io::arena::{Arena, ArenaSlice};
use crate::io::{Dir, FileHandle, FileOp, Io, IoFailure, Op, Outcome};
use crate::journal::check::Check;
use crate::journal::checkpoint::{CheckpointBuilder, CheckpointHead, Copy};
use crate::journal::ring::{Place, RingShape};
use crate::planted::{Bug, is};

/// Share of the ring at which a checkpoint begins.
const DUE_PERCENT: u64 = 50;
/// Placed bytes after which one begins.
const DUE_PLACED_BYTES: u64 = 1 << 30;
/// Writes of one copy in flight.
const PIECES_IN_FLIGHT_MAX: usize = 2;
/// Checkpoint files grow in steps of this.
const GROWTH_BYTES: u64 = 256 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Idle,
    /// Waits for commits to resolve and for write-back.
    Flushing,
    /// The folder of the index files is being synced.
    SyncingIndexes,
    /// This copy's file must be longer.
    Growing(Copy),
    /// Its new end is being synced.
    SyncingGrowth(Copy),
    /// A full disk stopped the growth; goes on when space returned.
    Full(Copy),
    /// Its bytes are being written.
    Writing(Copy),
    /// Both copies are durable.
    Durable,
}

/// A copy's file.
#[derive(Clone, Copy, Debug)]
pub(super) struct CopyFile {
    pub(super) file: FileHandle,
    pub(super) bytes: u64,
    /// Number of the checkpoint in it, if it is whole.
    pub(super) number: Option<u64>,
}

#[derive(Debug)]
struct Piece {
    position: u64,
    bytes: ArenaSlice,
    was_retried: bool,
}

/// What an operation's end means for the shard.
#[derive(Debug)]
pub(super) enum CheckpointEnd {
    GoesOn,
    DiskFull,
    Failed(String),
}

/// The checkpoints of a shard.
#[derive(Debug)]
pub(super) struct Checkpointing {
    copies: [CopyFile; 2],
    builder: CheckpointBuilder,
    buffers: BufferPool,
    pieces: [Option<Piece>; PIECES_IN_FLIGHT_MAX],
    phase: Phase,
    is_second: bool,
    written: usize,
    /// Number of the newest one begun.
    number: u64,
    /// Last sequence in the one under way.
    sequence: u64,
    start: Place,
    previous: Check,
    is_clean: bool,
    /// First sequence that is not in the newest durable one.
    start_sequence: u64,
    placed_bytes_then: u64,
    done_at_ns: u64,
    file_op_in_flight: bool,
}

const fn index(copy: Copy) -> usize {
    match copy {
        Copy::A => 0,
        Copy::B => 1,
    }
}

impl Checkpointing {
    /// Goes on behind the checkpoints found in `copies`. `None` when the arena cannot hold its
    /// buffers.
    pub(super) fn new(
        arena: &mut Arena,
        shape: RingShape,
        copies: [CopyFile; 2],
        number: u64,
        start_sequence: u64,
    ) -> Option<Self> {
        let bytes = shape.commit_bytes_max() as usize;
        Some(Self {
            copies,
            builder: CheckpointBuilder::default(),
            buffers: BufferPool::new(arena, PIECES_IN_FLIGHT_MAX, bytes)?,
            pieces: Default::default(),
            phase: Phase::Idle,
            is_second: false,
            written: 0,
            number,
            sequence: 0,
            start: Place {
                file: 0,
                position: 0,
            },
            previous: [0; 16],
            is_clean: false,
            start_sequence,
            placed_bytes_then: 0,
            done_at_ns: 0,
            file_op_in_flight: false,
        })
    }

    /// First sequence that is not in the newest durable checkpoint.
    pub(super) const fn start_sequence(&self) -> u64 {
        self.start_sequence
    }

    /// Number of the newest checkpoint begun: it and older ones may name what is released now.
    pub(super) const fn newest_begun(&self) -> u64 {
        self.number
    }

    /// Whether write-back is what it waits for.
    pub(super) fn is_flushing(&self) -> bool {
        self.phase == Phase::Flushing
    }

    /// Whether no checkpoint is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.phase == Phase::Idle
    }

    /// Whether the first copy is durable and the second is not.
    #[cfg(test)]
    pub(super) const fn is_second(&self) -> bool {
        self.is_second
    }

    /// Which copy is being written.
    #[cfg(test)]
    pub(super) const fn writing(&self) -> Option<Copy> {
        match self.phase {
            Phase::Writing(copy) => Some(copy),
            _ => None,
        }
    }

    /// Whether one of its operations is in flight.
    pub(super) fn is_in_flight(&self) -> bool {
        self.file_op_in_flight || self.pieces.iter().any(Option::is_some)
    }

    /// Closes the copies' files. Nothing is in flight.
    pub(super) fn close(&self, io: &mut Io) {
        for copy in &self.copies {
            io.close_file(copy.file);
        }
    }

    /// The bytes of the newest checkpoint, as its file holds them.
    pub(super) fn bytes(&self) -> &[u8] {
        self.builder.bytes()
    }

    /// Space returned after a full disk.
    pub(super) fn space_returned(&mut self) {
        if let Phase::Full(copy) = self.phase {
            self.phase = Phase::Growing(copy);
        }
    }

    fn file_op(&mut self, io: &mut Io, op: FileOp) {
        self.file_op_in_flight = true;
        io.submit(JournalOp::CheckpointFile.token(), Op::File(op));
    }

    fn first_copy(&self) -> Copy {
        let older = Copy::older(self.copies[0].number, self.copies[1].number);
        if is(Bug::NewestCopyFirst) {
            older.other()
        } else {
            older
        }
    }

    /// Begins to write `copy`: grows its file first where needed.
    fn write_copy(&mut self, io: &mut Io, copy: Copy) {
        let file = self.copies[index(copy)];
        let wanted = self.builder.bytes().len() as u64;
        if file.bytes < wanted {
            self.phase = Phase::Growing(copy);
            let to = (wanted + wanted / 4).next_multiple_of(GROWTH_BYTES);
            let (file, from) = (file.file, file.bytes);
            self.file_op(io, FileOp::ZeroFill { file, from, to });
            return;
        }
        self.phase = Phase::Writing(copy);
        self.copies[index(copy)].number = None;
        self.written = 0;
        self.write_pieces(io, copy);
    }

    fn write_pieces(&mut self, io: &mut Io, copy: Copy) {
        for slot in 0..self.pieces.len() {
            let bytes = self.builder.bytes();
            if self.pieces[slot].is_some() || self.written >= bytes.len() {
                continue;
            }
            let Some(mut buf) = self.buffers.take() else {
                return;
            };
            let end = bytes.len().min(self.written + self.buffers.buffer_bytes());
            buf.extend_from_slice(&bytes[self.written..end]);
            self.pieces[slot] = Some(Piece {
                position: self.written as u64,
                bytes: buf.freeze(),
                was_retried: false,
            });
            self.written = end;
            self.submit_piece(io, copy, slot);
        }
    }

    fn submit_piece(&self, io: &mut Io, copy: Copy, slot: usize) {
        let Some(piece) = &self.pieces[slot] else {
            return;
        };
        let op = Op::Write {
            file: self.copies[index(copy)].file,
            position: piece.position,
            parts: vec![piece.bytes.clone()],
            durable: true,
        };
        io.submit(JournalOp::CheckpointPiece(slot as u64).token(), op);
    }

    /// An operation of a shard that stopped has ended; nothing follows from it.
    pub(super) fn abandon(&mut self, op: JournalOp) {
        match op {
            JournalOp::CheckpointPiece(slot) => self.pieces[slot as usize] = None,
            JournalOp::CheckpointFile => self.file_op_in_flight = false,
            JournalOp::Commit(_) | JournalOp::Sync => {}
        }
    }

    /// Takes the completion of one of its operations.
    pub(super) fn op_ended(
        &mut self,
        io: &mut Io,
        op: JournalOp,
        outcome: Outcome,
    ) -> CheckpointEnd {
        match (op, outcome) {
            (JournalOp::CheckpointPiece(slot), Outcome::Write(parts, result)) => {
                drop(parts);
                self.piece_ended(io, slot as usize, result)
            }
            (JournalOp::CheckpointFile, Outcome::File(reply)) => {
                self.file_op_in_flight = false;
                self.file_op_ended(io, reply.map(drop))
            }
            (op, outcome) => {
                debug_assert!(false, "{op:?} was answered by {outcome:?}");
                CheckpointEnd::GoesOn
            }
        }
    }

    fn piece_ended(
        &mut self,
        io: &mut Io,
        slot: usize,
        result: Result<(), IoFailure>,
    ) -> CheckpointEnd {
        let Phase::Writing(copy) = self.phase else {
            return CheckpointEnd::GoesOn;
        };
        let Some(piece) = &mut self.pieces[slot] else {
            return CheckpointEnd::GoesOn;
        };
        if let Err(failure) = result {
            if failure.is_interrupted() && !piece.was_retried {
                piece.was_retried = true;
                self.submit_piece(io, copy, slot);
                return CheckpointEnd::GoesOn;
            }
            self.pieces[slot] = None;
            let number = self.number;
            return CheckpointEnd::Failed(format!(
                "checkpoint {number} was not written: {failure}"
            ));
        }
        if let Some(piece) = self.pieces[slot].take() {
            self.buffers.give(piece.bytes);
        }
        self.write_pieces(io, copy);
        if self.pieces.iter().all(Option::is_none) {
            self.copies[index(copy)].number = Some(self.number);
            if self.is_second || is(Bug::OneCheckpointCopy) {
                self.phase = Phase::Durable;
            } else {
                self.is_second = true;
                self.write_copy(io, copy.other());
            }
        }
        CheckpointEnd::GoesOn
    }

    fn file_op_ended(&mut self, io: &mut Io, result: Result<(), IoFailure>) -> CheckpointEnd {
        if let Err(failure) = result {
            if let Phase::Growing(copy) = self.phase
                && failure.is_full()
            {
                self.phase = Phase::Full(copy);
                return CheckpointEnd::DiskFull;
            }
            let number = self.number;
            return CheckpointEnd::Failed(format!(
                "checkpoint {number} was not written: {failure}"
            ));
        }
        match self.phase {
            Phase::SyncingIndexes => {
                let copy = self.first_copy();
                self.write_copy(io, copy);
            }
            Phase::Growing(copy) => {
                let wanted = self.builder.bytes().len() as u64;
                let grown = &mut self.copies[index(copy)];
                grown.bytes = (wanted + wanted / 4).next_multiple_of(GROWTH_BYTES);
                self.phase = Phase::SyncingGrowth(copy);
                let file = self.copies[index(copy)].file;
                self.file_op(io, FileOp::SyncData { file });
            }
            Phase::SyncingGrowth(copy) => self.write_copy(io, copy),
            Phase::Idle | Phase::Flushing | Phase::Full(_) | Phase::Writing(_) | Phase::Durable => {
            }
        }
        CheckpointEnd::GoesOn
    }
}

impl Shard {
    /// When a checkpoint is due by time alone.
    pub(super) fn checkpoint_due_ns(&self) -> Option<u64> {
        // Released files wait for the next one even when nothing else happens: a full disk would
        // wait for them for ever.
        let is_wanted = self.journal.next_sequence > self.checkpointing.start_sequence
            || !self.releases.is_empty();
        (self.checkpointing.is_idle() && is_wanted).then(|| {
            let interval_ns = self.config.checkpoint_interval_ms.saturating_mul(1_000_000);
            self.checkpointing.done_at_ns.saturating_add(interval_ns)
        })
    }

    fn is_checkpoint_due(&self) -> bool {
        let placed = self.counters.placed_bytes - self.checkpointing.placed_bytes_then;
        // Unfilled blocks are written by checkpoints alone, and hold memory until then.
        let is_memory_wanted =
            self.is_eviction_dry() && self.unwritten_bytes > 0 && self.lists.aging_len() == 0;
        is_memory_wanted
            || self.journal_percent() >= DUE_PERCENT
            || placed >= DUE_PLACED_BYTES
            || self
                .checkpoint_due_ns()
                .is_some_and(|due_ns| due_ns <= self.now.ns)
    }

    /// Takes the checkpoint's next step, unless it waits for the disk. Returns whether it took one.
    pub(super) fn checkpoint_turn(&mut self, io: &mut Io) -> bool {
        let before = self.checkpointing.phase;
        match before {
            Phase::Idle => match self.life {
                Life::Stopping if self.is_drained() => self.begin_checkpoint(true),
                // A full ring may hold up what a stop has still to commit.
                Life::Running | Life::Stopping if self.is_checkpoint_due() => {
                    self.begin_checkpoint(false);
                }
                _ => {}
            },
            Phase::Flushing => self.write_when_flushed(io),
            Phase::Growing(copy) if !self.checkpointing.file_op_in_flight => {
                self.checkpointing.write_copy(io, copy);
            }
            Phase::Durable => self.end_checkpoint(io),
            _ => {}
        }
        if self.checkpointing.is_second && is(Bug::RecycleAfterFirstCopy) {
            self.journal.front.free_before(self.checkpointing.start);
        }
        self.checkpointing.phase != before
    }

    /// Whether nothing waits for a commit: a clean checkpoint may be taken.
    fn is_drained(&self) -> bool {
        !self.journal.is_awaiting()
            && self.controls.is_empty()
            && !self.lists.has_pending()
            && self.lists.touched_len() == 0
            && self.writes.in_flight() == 0
            && !self.cleaner.is_in_flight()
            && self
                .partitions
                .iter()
                .all(|(_, slot)| !slot.partition.is_awaiting_commit())
    }

    /// Takes the snapshot. Everything closed so far is in it.
    pub(super) fn begin_checkpoint(&mut self, is_clean: bool) {
        let checkpointing = &mut self.checkpointing;
        checkpointing.number += 1;
        checkpointing.sequence = if is(Bug::CheckpointCutsAtResolved) {
            self.journal.resolved
        } else {
            self.journal.next_sequence - 1
        };
        checkpointing.start = self.journal.front.next();
        checkpointing.previous = self.journal.previous;
        checkpointing.is_clean = is_clean;
        checkpointing.is_second = false;
        checkpointing.phase = Phase::Flushing;
        checkpointing.placed_bytes_then = self.counters.placed_bytes;
        checkpointing.builder.clear();
        for (_, slot) in self.partitions.iter_mut() {
            if slot.is_delete_closed {
                continue;
            }
            checkpointing.builder.partition(slot.owner.handle, |out| {
                slot.partition.begin_checkpoint(out)
            });
        }
        for (owner, entries) in &self.registry {
            for (key, value) in entries {
                checkpointing.builder.registry(*owner, key, value);
            }
        }
        for number in 0..self.partitions.slot_count() {
            self.want_write_back(number);
        }
    }

    fn write_when_flushed(&mut self, io: &mut Io) {
        let is_resolved = self.journal.resolved >= self.checkpointing.sequence
            || is(Bug::CheckpointUnresolvedEnds);
        if !is_resolved || self.lists.checkpointing_len() > 0 {
            return;
        }
        let head = CheckpointHead {
            set_id: self.journal.setup.set_id,
            journal: self.journal.setup.id,
            number: self.checkpointing.number,
            epoch: self.journal.epoch,
            start_sequence: self.checkpointing.sequence + 1,
            start: self.checkpointing.start,
            previous: self.checkpointing.previous,
            mark: self.checkpointing.sequence,
            shape: self.journal.front.shape(),
            next_file: self.preparation.next_number(),
            is_clean: self.checkpointing.is_clean,
        };
        let key = self.journal.setup.key;
        self.checkpointing.builder.seal(&key, &head);
        if self.table.take_made() {
            self.checkpointing.phase = Phase::SyncingIndexes;
            self.checkpointing
                .file_op(io, FileOp::SyncDir { dir: Dir::Segments });
        } else {
            let copy = self.checkpointing.first_copy();
            self.checkpointing.write_copy(io, copy);
        }
    }

    /// Both copies are durable: frees what only older checkpoints needed.
    fn end_checkpoint(&mut self, io: &mut Io) {
        self.checkpointing.phase = Phase::Idle;
        self.checkpointing.is_second = false;
        self.checkpointing.start_sequence = self.checkpointing.sequence + 1;
        self.checkpointing.done_at_ns = self.now.ns;
        self.journal.front.free_before(self.checkpointing.start);
        self.counters.checkpoints += 1;
        for (_, slot) in self.partitions.iter_mut() {
            slot.partition.end_checkpoint();
        }
        let number = self.checkpointing.number;
        for _ in 0..self.releases.len() {
            let Some(release) = self.releases.pop_front() else {
                break;
            };
            if release.after_checkpoint < number {
                self.release(io, release);
            } else {
                self.releases.push_back(release);
            }
        }
        if self.checkpointing.is_clean {
            self.life = Life::Stopped;
            self.table.close_all_idle(io);
        }
    }

    pub(super) fn release(&mut self, io: &mut Io, release: Release) {
        let file = release.file.file;
        self.cold.forget_file(file);
        let (table, spare) = (&mut self.table, &mut self.spare);
        for done in self.writes.forget_stalled(io, table, spare, file) {
            self.write_done(done);
        }
        self.preparation.release(io, &mut self.table, release.file);
    }
}
