//! Pieces: aligned stretches of files in memory, or on their way there, that readers share.
//!
//! Bytes of a segment file below the end of its records do not change within a generation, so a
//! piece serves every reader whose wanted bytes lie below the end that was known when the piece
//! was asked for (`covered_to`); a reader that knows of more makes a new piece. Pieces that nobody
//! holds stay as a cache, oldest first out. Nothing here is checked: the readers do that.

use super::super::file_table::{Content, FileTable, SegmentFile, Want};
use super::super::token::LogKind;
use super::ColdReadConfig;
use crate::ids::{FileId, PartitionHandle};
use crate::io::arena::{ArenaBuf, ArenaSlice};
use crate::io::{FileHandle, Io, IoFailure, Op, Outcome};
use crate::limits::GRANULE_BYTES;
use crate::partition::ReadError;
use crate::segment::granules::granule_end;
use rustc_hash::FxHashMap;
use std::collections::VecDeque;
use std::ops::Range;

/// Pieces begin at multiples of this.
pub(super) const PIECE_BYTES: u64 = 256 * 1024;

/// The checksums of a piece's granules, as far as they are known.
pub(super) type PieceSums = [Option<u32>; (PIECE_BYTES / GRANULE_BYTES) as usize];

/// Empty lists kept at most.
const LISTS_MAX: usize = 256;

/// A stretch of a file that a reader wants.
#[derive(Clone, Debug)]
pub(super) struct Stretch {
    pub(super) handle: PartitionHandle,
    pub(super) file: SegmentFile,
    pub(super) generation: u32,
    /// Block-aligned.
    pub(super) range: Range<u64>,
    /// End of what counts in it.
    pub(super) data_end: u64,
    /// Not to be read together with what is around it.
    pub(super) is_alone: bool,
}

/// What happened to a piece that a reader waits for.
#[derive(Debug)]
pub(super) enum Progress {
    Loaded(u32),
    Failed(u32, ReadError),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    file: SegmentFile,
    generation: u32,
    number: u64,
}

#[derive(Debug)]
enum State {
    Queued,
    Opening(ArenaBuf),
    Reading,
    Loaded(ArenaSlice),
    /// Failed; its readers are being told.
    Failed,
}

#[derive(Debug)]
struct Piece {
    key: Key,
    range: Range<u64>,
    covered_to: u64,
    /// Whose log.
    owner: PartitionHandle,
    sums: PieceSums,
    state: State,
    /// Readers that hold it.
    pins: u32,
    waiters: Vec<u32>,
    handle: Option<FileHandle>,
    was_interrupted: bool,
    /// In the cache list. INVARIANT: only loaded pieces without a pin.
    is_cached: bool,
    /// Wanted before anybody asked.
    is_ahead: bool,
}

impl Piece {
    /// Where its granules begin that hold records, and their places among its sums. The first one
    /// may begin before it: it is left out.
    fn granules(&self) -> impl Iterator<Item = (u64, usize)> + use<> {
        let first = self.key.number * PIECE_BYTES;
        let (start, end) = (self.range.start, self.covered_to);
        (0..PieceSums::default().len())
            .map(move |place| (first + place as u64 * GRANULE_BYTES, place))
            .filter(move |&(position, _)| position >= start && position < end)
    }
}

#[derive(Debug)]
pub(super) struct Pieces {
    config: ColdReadConfig,
    /// Reads in flight at most as things are, at most `depth_max`.
    pub(super) depth: usize,
    pieces: Vec<Option<Piece>>,
    vacant: Vec<u32>,
    newest: FxHashMap<Key, u32>,
    queue: VecDeque<u32>,
    /// Loaded pieces without a pin, oldest first.
    cache: VecDeque<u32>,
    pub(super) cached_bytes: usize,
    in_flight: usize,
    progress: VecDeque<Progress>,
    /// Empty lists for readers and waiters to come.
    lists: Vec<Vec<u32>>,
    pub(super) read_bytes: u64,
    pub(super) reads: u64,
}

impl Pieces {
    pub(super) fn new(config: ColdReadConfig) -> Self {
        Self {
            config,
            depth: config.depth_max,
            pieces: Vec::new(),
            vacant: Vec::new(),
            newest: FxHashMap::default(),
            queue: VecDeque::new(),
            cache: VecDeque::new(),
            cached_bytes: 0,
            in_flight: 0,
            progress: VecDeque::new(),
            lists: Vec::new(),
            read_bytes: 0,
            reads: 0,
        }
    }

    pub(super) fn is_busy(&self) -> bool {
        self.in_flight > 0 || !self.queue.is_empty() || !self.progress.is_empty()
    }

    pub(super) fn next_progress(&mut self) -> Option<Progress> {
        self.progress.pop_front()
    }

    /// How much of `bytes` can be read ahead without pushing out much. Nothing while as much waits
    /// as may be in flight; readers go before what is read ahead (see `next_queued`).
    pub(super) fn room_ahead(&self, bytes: u64) -> u64 {
        if self.queue.len() < self.depth {
            bytes.min(self.config.cache_bytes_max as u64 / 2)
        } else {
            0
        }
    }

    /// Takes all pieces of `stretch` for `reader` into `held`; returns how many are not there yet.
    pub(super) fn pin(&mut self, stretch: &Stretch, reader: u32, held: &mut Vec<u32>) -> u32 {
        let mut missing = 0;
        for number in numbers(&stretch.range) {
            let slot = self.find_or_queue(stretch, number);
            self.leave_cache(slot);
            let piece = self.piece(slot);
            piece.pins += 1;
            piece.is_ahead = false;
            if !matches!(piece.state, State::Loaded(_)) {
                piece.waiters.push(reader);
                missing += 1;
            }
            held.push(slot);
        }
        missing
    }

    /// An empty list.
    pub(super) fn take_list(&mut self) -> Vec<u32> {
        self.lists.pop().unwrap_or_default()
    }

    /// Takes a list back.
    pub(super) fn give_list(&mut self, mut list: Vec<u32>) {
        list.clear();
        if self.lists.len() < LISTS_MAX && list.capacity() > 0 {
            self.lists.push(list);
        }
    }

    /// Loads `stretch` for nobody yet.
    pub(super) fn want_ahead(&mut self, stretch: &Stretch) {
        for number in numbers(&stretch.range) {
            let slot = self.find_or_queue(stretch, number);
            let piece = self.piece(slot);
            piece.is_ahead = piece.pins == 0;
        }
    }

    /// Gives up a reader's pieces, whether they came or not.
    pub(super) fn unpin(&mut self, held: &[u32], reader: u32) {
        for &slot in held {
            let piece = self.piece(slot);
            piece.pins -= 1;
            piece.waiters.retain(|&waiter| waiter != reader);
            if piece.pins == 0 {
                self.settle(slot);
            }
        }
        self.progress.retain(|progress| match progress {
            Progress::Loaded(waiter) | Progress::Failed(waiter, _) => *waiter != reader,
        });
        self.shrink_cache(self.config.cache_bytes_max);
    }

    /// The bytes of `stretch` out of its pieces, all of them loaded.
    pub(super) fn gather(&self, stretch: &Stretch, held: &[u32], parts: &mut Vec<ArenaSlice>) {
        for &slot in held {
            let piece = self.pieces[slot as usize].as_ref();
            let piece = piece.expect("a held piece lives");
            let State::Loaded(slice) = &piece.state else {
                unreachable!("all pieces of the reader are loaded");
            };
            let from = stretch.range.start.max(piece.range.start) - piece.range.start;
            let to = stretch.range.end.min(piece_end(piece.key.number)) - piece.range.start;
            parts.push(slice.slice(from as usize..to as usize));
        }
    }

    /// The checksums of the granules of `stretch`, those that were not computed as `None`.
    pub(super) fn gather_sums(&self, stretch: &Stretch, held: &[u32], sums: &mut Vec<Option<u32>>) {
        sums.clear();
        for &slot in held {
            let piece = self.pieces[slot as usize].as_ref();
            let piece = piece.expect("a held piece lives");
            for (position, place) in piece.granules() {
                let end = granule_end(position);
                if position < stretch.range.start || position >= stretch.data_end {
                    continue;
                }
                let is_same = end.min(stretch.data_end) == end.min(piece.covered_to);
                sums.push(piece.sums[place].filter(|_| is_same));
            }
        }
    }

    /// Sums the granules of a piece whose bytes have just come: `sum` gets the log, the file and
    /// its generation, the granule's position in the file, and where its records lie in the bytes
    /// that were read.
    pub(super) fn sum(
        &self,
        slot: u64,
        sum: impl Fn(PartitionHandle, (FileId, u32), u64, Range<usize>) -> Option<u32>,
    ) -> PieceSums {
        let piece = self.pieces[piece_slot(slot) as usize].as_ref();
        let piece = piece.expect("a piece that is read lives");
        let mut sums = PieceSums::default();
        if piece.key.file.content != Content::Records {
            return sums;
        }
        let file = (piece.key.file.id, piece.key.generation);
        for (position, place) in piece.granules() {
            let end = granule_end(position).min(piece.covered_to);
            let from = (position - piece.range.start) as usize;
            let to = (end - piece.range.start) as usize;
            sums[place] = sum(piece.owner, file, position, from..to);
        }
        sums
    }

    fn piece(&mut self, slot: u32) -> &mut Piece {
        let piece = self.pieces[slot as usize].as_mut();
        piece.expect("slots of live pieces are used")
    }

    fn find_or_queue(&mut self, stretch: &Stretch, number: u64) -> u32 {
        let key = Key {
            file: stretch.file,
            generation: stretch.generation,
            number,
        };
        let start = stretch.range.start.max(number * PIECE_BYTES);
        let end = stretch.range.end.min(piece_end(number));
        let covered_to = stretch.data_end.min(end);
        if let Some(&slot) = self.newest.get(&key) {
            let piece = self.piece(slot);
            let is_exact = piece.range == (start..end);
            let is_wider = piece.range.start <= start && piece.range.end >= end;
            let may_be_wider = !stretch.is_alone || matches!(piece.state, State::Loaded(_));
            if (is_exact || is_wider && may_be_wider) && piece.covered_to >= covered_to {
                return slot;
            }
        }
        let piece = Piece {
            key,
            range: start..end,
            covered_to,
            owner: stretch.handle,
            sums: PieceSums::default(),
            state: State::Queued,
            pins: 0,
            waiters: self.take_list(),
            handle: None,
            was_interrupted: false,
            is_cached: false,
            is_ahead: false,
        };
        let slot = self.vacant.pop().unwrap_or_else(|| {
            self.pieces.push(None);
            u32::try_from(self.pieces.len() - 1).expect("fewer pieces than 2^32")
        });
        self.pieces[slot as usize] = Some(piece);
        if let Some(older) = self.newest.insert(key, slot) {
            self.settle_if_idle(older);
        }
        self.queue.push_back(slot);
        slot
    }

    /// Starts queued reads while depth and memory allow, those that a reader waits for first.
    pub(super) fn start_queued(&mut self, io: &mut Io, table: &mut FileTable) {
        while self.in_flight < self.depth {
            let Some((place, slot)) = self.next_queued() else {
                return;
            };
            let range = self.piece(slot).range.clone();
            let bytes = (range.end - range.start) as usize;
            let Some(buf) = self.allocate(io, bytes) else {
                if self.in_flight > 0 {
                    // Memory comes back with a read that is under way.
                    return;
                }
                self.queue.remove(place);
                self.fail(slot, ReadError::NoMemory);
                continue;
            };
            self.queue.remove(place);
            self.in_flight += 1;
            let piece = self.piece(slot);
            piece.state = State::Opening(buf);
            let file = piece.key.file;
            let waiter = LogKind::ColdRead.key(u64::from(slot));
            if let Want::Ready(handle) = table.want(io, file, waiter) {
                self.opened(io, u64::from(slot), Ok(handle));
            }
        }
    }

    /// The piece to be read next and its place in the queue.
    fn next_queued(&self) -> Option<(usize, u32)> {
        let is_wanted = |&slot: &u32| {
            let piece = self.pieces[slot as usize].as_ref();
            piece.is_some_and(|piece| piece.pins > 0)
        };
        let place = self.queue.iter().position(is_wanted).unwrap_or(0);
        Some((place, *self.queue.get(place)?))
    }

    /// Memory for a piece, taken from the cache if there is no other.
    fn allocate(&mut self, io: &mut Io, bytes: usize) -> Option<ArenaBuf> {
        loop {
            if let Some(mut buf) = io.arena().alloc(bytes) {
                let beyond = buf.spare() - bytes;
                buf.skip(beyond);
                return Some(buf);
            }
            let keep = self.cached_bytes.checked_sub(1)?;
            self.shrink_cache(keep);
        }
    }

    /// The file of a piece is open, or cannot be opened.
    pub(super) fn opened(&mut self, io: &mut Io, slot: u64, result: Result<FileHandle, IoFailure>) {
        let slot = piece_slot(slot);
        let piece = self.piece(slot);
        match result {
            Ok(handle) => {
                let state = std::mem::replace(&mut piece.state, State::Reading);
                let State::Opening(buf) = state else {
                    unreachable!("a piece opens its file once");
                };
                piece.handle = Some(handle);
                let position = piece.range.start;
                submit(io, slot, handle, position, buf);
            }
            Err(failure) => {
                self.in_flight -= 1;
                self.fail(slot, ReadError::Io(failure));
            }
        }
    }

    pub(super) fn complete(
        &mut self,
        io: &mut Io,
        table: &mut FileTable,
        slot: u64,
        outcome: Outcome,
        sums: PieceSums,
    ) {
        let slot = piece_slot(slot);
        let Outcome::Read(buf, result) = outcome else {
            unreachable!("a read is answered by a read");
        };
        let piece = self.piece(slot);
        let bytes = piece.range.end - piece.range.start;
        let handle = piece.handle.expect("opened before it was read");
        if let Err(failure) = result {
            if failure.is_interrupted() && !piece.was_interrupted {
                piece.was_interrupted = true;
                let mut buf = buf;
                buf.truncate(0);
                return submit(io, slot, handle, piece.range.start, buf);
            }
            let file = piece.key.file;
            self.in_flight -= 1;
            table.give_back(io, file);
            return self.fail(slot, ReadError::Io(failure));
        }
        debug_assert_eq!(buf.len() as u64, bytes, "a read is whole or an error");
        piece.state = State::Loaded(buf.freeze());
        piece.sums = sums;
        let file = piece.key.file;
        let is_idle = piece.pins == 0;
        let mut waiters = std::mem::take(&mut piece.waiters);
        let loaded = waiters.drain(..).map(Progress::Loaded);
        self.progress.extend(loaded);
        self.give_list(waiters);
        self.in_flight -= 1;
        self.reads += 1;
        self.read_bytes += bytes;
        table.give_back(io, file);
        if is_idle {
            self.settle(slot);
            self.shrink_cache(self.config.cache_bytes_max);
        }
    }

    fn fail(&mut self, slot: u32, error: ReadError) {
        let piece = self.piece(slot);
        piece.state = State::Failed;
        let (key, is_idle) = (piece.key, piece.pins == 0);
        let mut waiters = std::mem::take(&mut piece.waiters);
        let failed = waiters
            .drain(..)
            .map(|waiter| Progress::Failed(waiter, error));
        self.progress.extend(failed);
        self.give_list(waiters);
        if self.newest.get(&key) == Some(&slot) {
            self.newest.remove(&key);
        }
        if is_idle {
            self.remove(slot);
        }
    }

    fn settle_if_idle(&mut self, slot: u32) {
        if self.pieces[slot as usize]
            .as_ref()
            .is_some_and(|piece| piece.pins == 0)
        {
            self.settle(slot);
        }
    }

    /// A piece nobody holds: into the cache if it is of use, else away. One that is being read is
    /// settled when it came.
    fn settle(&mut self, slot: u32) {
        let key = self.piece(slot).key;
        let is_newest = self.newest.get(&key) == Some(&slot);
        let piece = self.piece(slot);
        match &piece.state {
            State::Loaded(slice) if is_newest && piece.key.file.content == Content::Records => {
                let bytes = slice.block_bytes();
                if !std::mem::replace(&mut piece.is_cached, true) {
                    self.cached_bytes += bytes;
                    self.cache.push_back(slot);
                }
            }
            State::Loaded(_) | State::Failed => self.remove(slot),
            State::Queued if !piece.is_ahead => {
                self.queue.retain(|&queued| queued != slot);
                self.remove(slot);
            }
            State::Queued | State::Opening(_) | State::Reading => {}
        }
    }

    fn leave_cache(&mut self, slot: u32) {
        let piece = self.piece(slot);
        if let State::Loaded(slice) = &piece.state
            && piece.is_cached
        {
            let bytes = slice.block_bytes();
            piece.is_cached = false;
            self.cached_bytes -= bytes;
            self.cache.retain(|&cached| cached != slot);
        }
    }

    fn remove(&mut self, slot: u32) {
        self.leave_cache(slot);
        let key = self.piece(slot).key;
        if self.newest.get(&key) == Some(&slot) {
            self.newest.remove(&key);
        }
        if let Some(piece) = self.pieces[slot as usize].take() {
            self.give_list(piece.waiters);
        }
        self.vacant.push(slot);
    }

    /// Gives back cached pieces, oldest first, until at most `keep` bytes are cached.
    pub(super) fn shrink_cache(&mut self, keep: usize) -> usize {
        let before = self.cached_bytes;
        while self.cached_bytes > keep {
            let oldest = self.cache.front().copied();
            self.remove(oldest.expect("cached bytes belong to a piece in the list"));
        }
        before - self.cached_bytes
    }

    /// Nothing of `file` is found any more by readers that come later.
    pub(super) fn forget_file(&mut self, file: FileId) {
        for slot in 0..self.pieces.len() {
            let Some(piece) = &self.pieces[slot] else {
                continue;
            };
            if piece.key.file.id != file {
                continue;
            }
            let slot = u32::try_from(slot).expect("fewer pieces than 2^32");
            if self.newest.get(&piece.key) == Some(&slot) {
                self.newest.remove(&piece.key);
            }
            self.settle_if_idle(slot);
        }
    }
}

fn submit(io: &mut Io, slot: u32, file: FileHandle, position: u64, buf: ArenaBuf) {
    let token = LogKind::ColdRead.token(u64::from(slot));
    io.submit(
        token,
        Op::Read {
            file,
            position,
            buf,
        },
    );
}

fn numbers(range: &Range<u64>) -> Range<u64> {
    range.start / PIECE_BYTES..range.end.div_ceil(PIECE_BYTES)
}

const fn piece_end(number: u64) -> u64 {
    (number + 1) * PIECE_BYTES
}

fn piece_slot(slot: u64) -> u32 {
    u32::try_from(slot).expect("the pieces made this slot")
}
