//! The writing end of the journal: one commit at a time is built and written durably, up to
//! `COMMITS_IN_FLIGHT_MAX` are on their way, and they resolve strictly in order.
//!
//! Step 3 of the append path (after placing, before the acknowledgement). INVARIANTS: the newest
//! commit is at most the window away from the last resolved one, as a distance; `mark` is the
//! last resolved sequence when the commit was closed; a failed write is tried again at most once
//! and only when it was interrupted, everything else stops the shard.

use super::buffers::BufferPool;
use super::config::JournalSetup;
use crate::ids::{PartitionHandle, Ticket};
use crate::io::arena::{Arena, ArenaSlice};
use crate::io::{Class, FileHandle, FileOp, Io, IoFailure, Op, Token};
use crate::journal::check::Check;
use crate::journal::control::{Control, encode_partition_control};
use crate::journal::format::{
    COMMIT_HEADER_BYTES, CommitId, ECHO_BYTES, Entry, Kind, TABLE_ENTRY_BYTES, TableBuilder,
    encode_echo, round_up_to_block, seal_commit,
};
use crate::journal::ring::{Place, RingFront, Use};
use crate::limits::COMMITS_IN_FLIGHT_MAX;
use crate::partition::{ClosedEntry, Control as PartitionControl};
use crate::planted::{Bug, is};

/// Operations of `Class::Journal`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum JournalOp {
    /// The write of the commit in this place of the window.
    Commit(u64),
    /// fdatasync of the journal file behind commits of the class `Written`.
    Sync,
    /// A piece of a checkpoint.
    CheckpointPiece(u64),
    /// Growth, sync or folder sync for a checkpoint.
    CheckpointFile,
}

impl JournalOp {
    pub(super) const fn token(self) -> Token {
        let key = match self {
            Self::Commit(index) => index << 8,
            Self::Sync => 1,
            Self::CheckpointPiece(index) => (index << 8) | 2,
            Self::CheckpointFile => 3,
        };
        Token {
            class: Class::Journal,
            key,
        }
    }

    pub(super) const fn parse(key: u64) -> Self {
        match key & 0xff {
            0 => Self::Commit(key >> 8),
            1 => Self::Sync,
            2 => Self::CheckpointPiece(key >> 8),
            _ => Self::CheckpointFile,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Vacant,
    Writing,
    /// Written, to be flushed with others.
    Written,
    Syncing,
    Done,
}

/// One commit of the window. Its vectors are reused.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    sequence: u64,
    state: State,
    place: Option<Place>,
    bytes: Option<ArenaSlice>,
    is_durable: bool,
    was_retried: bool,
    /// Carries `bytes` to the ring and comes back empty.
    parts: Vec<ArenaSlice>,
    /// Slots of the partitions in it.
    pub(super) slots: Vec<(u32, PartitionHandle)>,
    /// Those of them with control records.
    pub(super) controlled: Vec<(u32, PartitionHandle)>,
    /// The shard's own control records in it.
    pub(super) controls: Vec<Ticket>,
    /// Partitions whose deletion it holds.
    pub(super) deleted: Vec<PartitionHandle>,
}

/// A part of the payload, in table order.
#[derive(Debug)]
enum Part {
    Slice(ArenaSlice),
    Body(std::ops::Range<usize>),
}

/// How a commit's write ended.
#[derive(Debug)]
pub(super) enum WriteEnd {
    /// Resolve what can be resolved.
    Done,
    /// The shard must stop.
    Failed(String),
}

/// The journal while it is written.
#[derive(Debug)]
pub(super) struct Journal {
    pub(super) setup: JournalSetup,
    pub(super) front: RingFront,
    pub(super) files: Vec<FileHandle>,
    pub(super) epoch: u64,
    pub(super) next_sequence: u64,
    /// Everything up to here is on stable storage, with all it refers to.
    pub(super) resolved: u64,
    /// Everything up to here was written, perhaps not flushed.
    pub(super) written: u64,
    /// Up to here the partitions were told what is written.
    told_written: u64,
    /// Check of the last commit's header.
    pub(super) previous: Check,
    /// The mark in the last header closed.
    pub(super) last_mark: u64,
    /// The last commit that holds anything: what a mark must cover.
    last_content: u64,
    window: [InFlight; COMMITS_IN_FLIGHT_MAX as usize],
    pub(super) in_flight: usize,
    buffers: BufferPool,
    is_syncing: bool,
    /// When the journal fell idle with an unwitnessed end.
    idle_since_ns: Option<u64>,

    table: TableBuilder,
    parts: Vec<Part>,
    bodies: Vec<u8>,
    echo: Vec<(PartitionHandle, i64)>,
    next_echo: Vec<(PartitionHandle, i64)>,
    is_only_written_class: bool,
    pub(super) commits: u64,
    pub(super) commit_bytes: u64,
    pub(super) ring_wraps: u64,
    pub(super) tail_images: u64,
    pub(super) copied_bytes: u64,
}

impl Journal {
    /// A journal that goes on at `front.next()` with `next_sequence`. `None` when the arena cannot
    /// hold its buffers.
    pub(super) fn new(
        arena: &mut Arena,
        setup: JournalSetup,
        front: RingFront,
        files: Vec<FileHandle>,
        epoch: u64,
        next_sequence: u64,
    ) -> Option<Self> {
        let bytes = front.shape().commit_bytes_max() as usize;
        let buffers = BufferPool::new(arena, COMMITS_IN_FLIGHT_MAX as usize, bytes)?;
        Some(Self {
            setup,
            front,
            files,
            epoch,
            next_sequence,
            resolved: next_sequence - 1,
            written: next_sequence - 1,
            told_written: next_sequence - 1,
            previous: setup.key.seed(setup.id.0, epoch),
            last_mark: next_sequence - 1,
            last_content: next_sequence - 1,
            window: Default::default(),
            in_flight: 0,
            buffers,
            is_syncing: false,
            idle_since_ns: None,
            table: TableBuilder::default(),
            parts: Vec::new(),
            bodies: Vec::new(),
            echo: Vec::new(),
            next_echo: Vec::new(),
            is_only_written_class: true,
            commits: 0,
            commit_bytes: 0,
            ring_wraps: 0,
            tail_images: 0,
            copied_bytes: 0,
        })
    }

    /// Whether the window lets another commit be closed.
    pub(super) fn has_window(&mut self) -> bool {
        self.next_sequence - 1 - self.resolved < COMMITS_IN_FLIGHT_MAX
            && self.slot(self.next_sequence).state == State::Vacant
            && self.buffers.has_free()
    }

    /// Whether anything was closed and has not resolved.
    pub(super) const fn is_awaiting(&self) -> bool {
        self.next_sequence - 1 > self.resolved
    }

    /// Bytes of the largest commit.
    pub(super) const fn commit_bytes_max(&self) -> usize {
        self.front.shape().commit_bytes_max() as usize
    }

    /// Largest run of bytes that any commit can take inline, whatever else must be in it.
    pub(super) const fn inline_bytes_max(&self) -> usize {
        self.commit_bytes_max() / 4 * 3
    }

    fn slot(&mut self, sequence: u64) -> &mut InFlight {
        &mut self.window[(sequence % COMMITS_IN_FLIGHT_MAX) as usize]
    }

    /// Begins to close commit `next_sequence`.
    pub(super) fn begin(&mut self) {
        self.table.clear();
        self.parts.clear();
        self.bodies.clear();
        self.next_echo.clear();
        self.is_only_written_class = true;
    }

    /// Payload bytes that an entry may still bring.
    pub(super) fn room(&self) -> usize {
        let used = self.table.commit_bytes(self.echo.len()) + TABLE_ENTRY_BYTES;
        self.commit_bytes_max().saturating_sub(used)
    }

    /// Whether nothing was put into the commit being closed.
    pub(super) const fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Adds records of a partition.
    pub(super) fn push_entry(&mut self, slot: u32, closed: &mut ClosedEntry, is_written: bool) {
        let bytes = |parts: &[ArenaSlice]| parts.iter().map(|part| part.len()).sum::<usize>();
        let entry = Entry {
            kind: Kind::Append,
            handle: closed.handle,
            placement_epoch: 0,
            leader_epoch: closed.leader_epoch,
            previous_sequence: closed.previous_sequence,
            base_offset: closed.base_offset,
            end_offset: closed.end_offset,
            ceiling: closed.ceiling,
            file: closed.file,
            generation: closed.generation,
            position: closed.position,
            length: closed.length,
            placed_start: closed.placed.start,
            placed_end: closed.placed.end,
            image_bytes: bytes(&closed.image) as u32,
            inline_bytes: bytes(&closed.inline) as u32,
            descriptor_count: 0,
            crc_count: 0,
        };
        self.tail_images += u64::from(entry.image_bytes > 0);
        self.table
            .push(entry, &closed.descriptors, &closed.placed_crcs);
        let slices = closed.image.drain(..).chain(closed.inline.drain(..));
        self.parts.extend(slices.map(Part::Slice));
        self.next_echo.push((closed.handle, closed.end_offset));
        self.is_only_written_class &= is_written;
        let handle = closed.handle;
        let sequence = self.next_sequence;
        self.slot(sequence).slots.push((slot, handle));
    }

    /// Adds a control record of a partition.
    pub(super) fn push_partition_control(
        &mut self,
        slot: u32,
        handle: PartitionHandle,
        control: &PartitionControl,
    ) {
        let start = self.bodies.len();
        let entry = encode_partition_control(handle, control, &mut self.bodies);
        self.push_control_entry(entry, start);
        let sequence = self.next_sequence;
        let commit = self.slot(sequence);
        commit.slots.push((slot, handle));
        commit.controlled.push((slot, handle));
    }

    /// Adds a control record of the shard; `ticket` is told when it resolved.
    pub(super) fn push_control(
        &mut self,
        handle: PartitionHandle,
        control: &Control,
        ticket: Ticket,
    ) {
        let start = self.bodies.len();
        let entry = control.encode(handle, &mut self.bodies);
        self.push_control_entry(entry, start);
        let sequence = self.next_sequence;
        let commit = self.slot(sequence);
        if ticket != Ticket::NONE {
            commit.controls.push(ticket);
        }
        if matches!(control, Control::Delete) {
            commit.deleted.push(handle);
        }
    }

    fn push_control_entry(&mut self, entry: Entry, start: usize) {
        self.table.push(entry, &[], &[]);
        self.parts.push(Part::Body(start..self.bodies.len()));
        self.is_only_written_class = false;
    }

    /// Closes and submits the commit. Returns its sequence.
    pub(super) fn submit(&mut self, io: &mut Io) -> u64 {
        let sequence = self.next_sequence;
        let place = self.front.next();
        let mark = self.mark();
        let mut buf = self
            .buffers
            .take()
            .expect("has_window saw a free buffer this turn");
        let length = round_up_to_block(self.table.commit_bytes(self.echo.len()));
        assert!(length <= buf.spare(), "a commit keeps its bound");
        buf.extend_zeroed(COMMIT_HEADER_BYTES);
        buf.extend_from_slice(self.table.table());
        for (handle, end_offset) in &self.echo {
            buf.extend_from_slice(&encode_echo(*handle, *end_offset));
        }
        for part in self.parts.drain(..) {
            match part {
                Part::Slice(slice) => {
                    self.copied_bytes += slice.len() as u64;
                    buf.extend_from_slice(&slice);
                }
                Part::Body(range) => buf.extend_from_slice(&self.bodies[range]),
            }
        }
        buf.extend_zeroed(length - buf.len());
        let id = CommitId {
            journal: self.setup.id,
            epoch: self.epoch,
            sequence,
            previous: self.previous,
            place,
            mark,
        };
        let echo_count = self.echo.len();
        self.previous = seal_commit(
            buf.as_mut_slice(),
            &self.setup.key,
            &id,
            &self.table,
            echo_count,
        );
        std::mem::swap(&mut self.echo, &mut self.next_echo);
        self.last_mark = mark;
        if !self.table.is_empty() {
            self.last_content = sequence;
        }
        self.front.advance(length as u64);
        self.next_sequence += 1;
        self.commits += 1;
        self.ring_wraps += u64::from(place.file == 0 && place.position == 0);
        self.commit_bytes += length as u64;
        let is_durable = !self.is_only_written_class || self.table.is_empty();
        let commit = self.slot(sequence);
        commit.sequence = sequence;
        commit.state = State::Writing;
        commit.place = Some(place);
        commit.bytes = Some(buf.freeze());
        commit.is_durable = is_durable;
        commit.was_retried = false;
        self.in_flight += 1;
        self.write(io, sequence);
        sequence
    }

    fn mark(&self) -> u64 {
        if is(Bug::MarkIsLastSubmitted) {
            self.next_sequence - 1
        } else if is(Bug::MarkIsJournalPrefix) {
            self.written
        } else {
            self.resolved
        }
    }

    fn write(&mut self, io: &mut Io, sequence: u64) {
        let index = sequence % COMMITS_IN_FLIGHT_MAX;
        let commit = &mut self.window[index as usize];
        let (Some(bytes), Some(place)) = (&commit.bytes, commit.place) else {
            return;
        };
        let mut parts = std::mem::take(&mut commit.parts);
        parts.push(bytes.clone());
        let op = Op::Write {
            file: self.files[place.file as usize],
            position: place.position,
            parts,
            durable: commit.is_durable,
        };
        io.submit(JournalOp::Commit(index).token(), op);
    }

    /// Takes the completion of a commit's write.
    pub(super) fn write_ended(
        &mut self,
        io: &mut Io,
        index: u64,
        mut parts: Vec<ArenaSlice>,
        result: Result<(), IoFailure>,
    ) -> WriteEnd {
        let commit = &mut self.window[index as usize];
        let sequence = commit.sequence;
        parts.clear();
        commit.parts = parts;
        let counts_short = is(Bug::ShortWriteContinued);
        let is_short = |failure: &IoFailure| matches!(failure, IoFailure::Short { .. });
        if let Err(failure) = result
            && !(counts_short && is_short(&failure))
        {
            let may_retry = failure.is_interrupted() || is(Bug::FailedWriteRetried);
            if may_retry && !commit.was_retried {
                commit.was_retried = true;
                self.write(io, sequence);
                return WriteEnd::Done;
            }
            self.in_flight -= 1;
            return WriteEnd::Failed(format!(
                "journal commit {sequence} was not written: {failure}"
            ));
        }
        self.in_flight -= 1;
        if let Some(bytes) = commit.bytes.take() {
            self.buffers.give(bytes);
        }
        commit.state = if commit.is_durable {
            State::Done
        } else {
            State::Written
        };
        while self.written + 1 < self.next_sequence && self.is_written(self.written + 1) {
            self.written += 1;
        }
        self.start_sync(io);
        WriteEnd::Done
    }

    fn is_written(&mut self, sequence: u64) -> bool {
        let commit = self.slot(sequence);
        commit.sequence == sequence
            && matches!(commit.state, State::Written | State::Syncing | State::Done)
    }

    /// Flushes the file of the oldest commit that was written without a flush.
    fn start_sync(&mut self, io: &mut Io) {
        if self.is_syncing {
            return;
        }
        let oldest = self
            .window
            .iter()
            .filter(|commit| commit.state == State::Written)
            .min_by_key(|commit| commit.sequence)
            .and_then(|commit| commit.place);
        let Some(place) = oldest else {
            return;
        };
        for commit in &mut self.window {
            if commit.state == State::Written
                && commit.place.is_some_and(|other| other.file == place.file)
            {
                commit.state = State::Syncing;
            }
        }
        self.is_syncing = true;
        let file = self.files[place.file as usize];
        io.submit(JournalOp::Sync.token(), Op::File(FileOp::SyncData { file }));
    }

    /// Takes the completion of a flush.
    pub(super) fn sync_ended(&mut self, io: &mut Io, result: Result<(), IoFailure>) -> WriteEnd {
        self.is_syncing = false;
        if let Err(failure) = result {
            return WriteEnd::Failed(format!("the journal was not flushed: {failure}"));
        }
        for commit in &mut self.window {
            if commit.state == State::Syncing {
                commit.state = State::Done;
            }
        }
        self.start_sync(io);
        WriteEnd::Done
    }

    /// An operation of a shard that stopped has ended; nothing follows from it.
    pub(super) fn abandon(&mut self, op: JournalOp) {
        match op {
            JournalOp::Commit(_) => self.in_flight -= 1,
            JournalOp::Sync => self.is_syncing = false,
            JournalOp::CheckpointPiece(_) | JournalOp::CheckpointFile => {}
        }
    }

    /// Whether a flush is under way.
    pub(super) const fn is_syncing(&self) -> bool {
        self.is_syncing
    }

    /// The next commit that resolves, taken out of the window; give it back with `recycle`.
    pub(super) fn resolve_next(&mut self) -> Option<(u64, InFlight)> {
        let sequence = self.resolved + 1;
        let commit = self.slot(sequence);
        if commit.state != State::Done || commit.sequence != sequence {
            return None;
        }
        self.resolved = sequence;
        Some((sequence, std::mem::take(self.slot(sequence))))
    }

    /// Sequences that were written, are not resolved, and were not asked for before.
    pub(super) fn newly_written(&mut self) -> std::ops::RangeInclusive<u64> {
        let from = self.told_written.max(self.resolved) + 1;
        self.told_written = self.written;
        from..=self.written
    }

    /// A commit of the window.
    pub(super) const fn of(&self, sequence: u64) -> &InFlight {
        &self.window[(sequence % COMMITS_IN_FLIGHT_MAX) as usize]
    }

    /// The tickets of all control records that will never resolve.
    pub(super) fn take_control_tickets(&mut self) -> impl Iterator<Item = Ticket> {
        let window = self.window.iter_mut();
        window.flat_map(|commit| commit.controls.drain(..))
    }

    /// A commit of the window by its place there.
    pub(super) fn at(&self, index: u64) -> (u64, &InFlight) {
        let commit = &self.window[index as usize];
        (commit.sequence, commit)
    }

    /// Gives the vectors of a resolved commit back to its place in the window.
    pub(super) fn recycle(&mut self, sequence: u64, mut commit: InFlight) {
        commit.slots.clear();
        commit.controlled.clear();
        commit.controls.clear();
        commit.deleted.clear();
        commit.state = State::Vacant;
        commit.place = None;
        *self.slot(sequence) = commit;
    }

    /// Whether the end of what is resolved has no witness in the ring yet.
    pub(super) const fn lacks_mark(&self, live_from: u64) -> bool {
        self.last_mark < self.last_content && self.last_content >= live_from
    }

    /// When an idle mark is due: nothing is in flight and the last header's mark is behind.
    pub(super) fn idle_mark_due_ns(
        &mut self,
        now_ns: u64,
        live_from: u64,
        idle_ns: u64,
    ) -> Option<u64> {
        if self.is_awaiting() || !self.lacks_mark(live_from) || is(Bug::NoIdleMark) {
            self.idle_since_ns = None;
            return None;
        }
        let since_ns = *self.idle_since_ns.get_or_insert(now_ns);
        Some(since_ns + idle_ns)
    }

    /// Whether the ring has room for `use_`.
    pub(super) fn has_room(&self, use_: Use) -> bool {
        if is(Bug::RingUsedWhole) {
            return true;
        }
        self.front.has_room(use_)
    }

    /// Largest control record that fits a commit.
    pub(super) const fn control_bytes_max(&self) -> usize {
        self.commit_bytes_max() / 2
    }

    /// Whether a control record of `bytes` fits the commit being closed.
    pub(super) fn fits_control(&self, bytes: usize) -> bool {
        self.room() >= bytes
    }
}

const _: () = assert!(ECHO_BYTES < TABLE_ENTRY_BYTES);
