//! Segment and index files of a shard, opened when they are wanted and closed when others need
//! the descriptor or nobody used them for a while.
//!
//! Every user counts: [`FileTable::want`] takes a use (at once or when the file is open),
//! [`FileTable::give_back`] ends it. INVARIANT: a file is closed, and a retired file reported as
//! drained, only with no use, nobody waiting and no open or creation of it under way.
//! INVARIANT: open and opening files together stay at or below the bound; a want beyond it waits
//! for a use to end. No step allocates once the table has grown to its working size.

use super::token::LogKind;
use crate::ids::FileId;
use crate::io::{Dir, FileHandle, FileOp, FilePath, FileReply, Io, IoFailure, Op, Outcome};
use crate::planted::{Bug, is};
use rustc_hash::FxHashMap;
use std::collections::VecDeque;

/// Which of a segment's two files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Content {
    /// Identity block and records.
    Records,
    /// Index blocks.
    Index,
}

/// A file of `Dir::Segments`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SegmentFile {
    /// The segment file's id.
    pub id: FileId,
    /// Which of its two files.
    pub content: Content,
}

impl SegmentFile {
    /// The records file of a segment.
    #[must_use]
    pub const fn records(id: FileId) -> Self {
        Self {
            id,
            content: Content::Records,
        }
    }

    /// The index file of a segment.
    #[must_use]
    pub const fn index(id: FileId) -> Self {
        Self {
            id,
            content: Content::Index,
        }
    }

    /// Its name for ever.
    #[must_use]
    pub fn path(self) -> FilePath {
        let suffix = match self.content {
            Content::Records => "seg",
            Content::Index => "idx",
        };
        FilePath::new(Dir::Segments, format!("{:016x}.{suffix}", self.id.0))
    }

    /// The file a name in `Dir::Segments` stands for.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let (id, suffix) = name.split_once('.')?;
        let content = match suffix {
            "seg" => Content::Records,
            "idx" => Content::Index,
            _ => return None,
        };
        let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if id.len() != 16 || !id.bytes().all(is_hex) {
            return None;
        }
        let id = u64::from_str_radix(id, 16).ok()?;
        Some(Self {
            id: FileId(id),
            content,
        })
    }
}

/// Answer of [`FileTable::want`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// Open, and a use is taken.
    Ready(FileHandle),
    /// [`FileEvent::Opened`] will bring it, with a use taken.
    Opening,
}

/// What the table tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileEvent {
    /// A wanted file is open (one use is taken for this waiter) or cannot be opened (none is).
    Opened {
        /// The key given to `want`.
        waiter: u64,
        /// Which file.
        file: SegmentFile,
        /// The handle and the file's size when it was opened.
        result: Result<(FileHandle, u64), IoFailure>,
    },
    /// A retired file is closed and nothing uses it any more.
    Drained(SegmentFile),
}

/// No slot.
const NONE: u32 = u32::MAX;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Waits in `queue` for room below the bound.
    Queued,
    /// The housekeeper is opening it.
    Opening,
    /// It was not there: the housekeeper is making it.
    Making,
    /// Open with this handle.
    Open(FileHandle),
}

#[derive(Debug)]
struct Entry {
    file: SegmentFile,
    state: State,
    uses: u32,
    /// Known size: when it was opened, or as it was prepared since.
    bytes: u64,
    is_retired: bool,
    /// Period of its last use.
    used_in: u64,
    /// Somebody wants it even if it is not there yet.
    is_made_if_missing: bool,
    waiters: Vec<u64>,
    /// Neighbours in the list of idle open files, oldest first.
    older: u32,
    newer: u32,
}

/// The open files of a shard.
#[derive(Debug)]
pub struct FileTable {
    open_max: usize,
    open: usize,
    entries: Vec<Entry>,
    vacant: Vec<u32>,
    by_file: FxHashMap<SegmentFile, u32>,
    queue: VecDeque<u32>,
    events: VecDeque<FileEvent>,
    oldest_idle: u32,
    newest_idle: u32,
    /// Number of the period under way; see [`FileTable::close_unused`].
    period: u64,
    has_made: bool,
}

impl FileTable {
    /// A table that keeps at most `open_max` files open.
    #[must_use]
    pub fn new(open_max: usize) -> Self {
        assert!(open_max > 0, "a shard needs at least one open file");
        Self {
            open_max,
            open: 0,
            entries: Vec::new(),
            vacant: Vec::new(),
            by_file: FxHashMap::default(),
            queue: VecDeque::new(),
            events: VecDeque::new(),
            oldest_idle: NONE,
            newest_idle: NONE,
            period: 0,
            has_made: false,
        }
    }

    /// Whether `want_made` made a file since the last call: the folder is to be synced before
    /// anything relies on its name.
    pub const fn take_made(&mut self) -> bool {
        std::mem::replace(&mut self.has_made, false)
    }

    /// Files open or being opened.
    #[must_use]
    pub const fn open_files(&self) -> usize {
        self.open
    }

    /// Notes the size of an open file that has grown.
    pub fn set_bytes(&mut self, file: SegmentFile, bytes: u64) {
        if let Some(&slot) = self.by_file.get(&file) {
            self.entries[slot as usize].bytes = bytes;
        }
    }

    /// Known size of an open file; 0 for one that is not open, or was just made.
    #[must_use]
    pub fn bytes(&self, file: SegmentFile) -> u64 {
        let slot = self.by_file.get(&file);
        slot.map_or(0, |&slot| self.entries[slot as usize].bytes)
    }

    /// Asks for `file`. `waiter` (a key of [`LogKind`]) comes back in `Opened` if it is not open.
    pub fn want(&mut self, io: &mut Io, file: SegmentFile, waiter: u64) -> Want {
        let slot = match self.by_file.get(&file) {
            Some(&slot) => slot,
            None => self.insert(file, State::Queued),
        };
        let entry = &mut self.entries[slot as usize];
        if let State::Open(handle) = entry.state {
            entry.uses += 1;
            if entry.uses == 1 {
                self.unlink_idle(slot);
            }
            return Want::Ready(handle);
        }
        entry.waiters.push(waiter);
        if entry.state == State::Queued && entry.waiters.len() == 1 {
            self.queue.push_back(slot);
            self.open_queued(io);
        }
        Want::Opening
    }

    /// As `want`; a file that is not there is made, empty.
    pub fn want_made(&mut self, io: &mut Io, file: SegmentFile, waiter: u64) -> Want {
        let wanted = self.want(io, file, waiter);
        if wanted == Want::Opening {
            let slot = self.by_file[&file];
            self.entries[slot as usize].is_made_if_missing = true;
        }
        wanted
    }

    /// Ends one use.
    pub fn give_back(&mut self, io: &mut Io, file: SegmentFile) {
        let slot = self.by_file[&file];
        let entry = &mut self.entries[slot as usize];
        assert!(entry.uses > 0, "{file:?} was given back twice");
        entry.uses -= 1;
        if entry.uses == 0 {
            self.link_newest_idle(slot);
            if self.entries[slot as usize].is_retired {
                self.close_idle(io, slot);
            } else if self.open > self.open_max {
                self.close_idle(io, self.oldest_idle);
            }
            self.open_queued(io);
        }
    }

    /// Takes over a file that was just created, with one use held by the caller.
    pub fn adopt(&mut self, io: &mut Io, file: SegmentFile, handle: FileHandle) {
        assert!(
            !self.by_file.contains_key(&file),
            "{file:?} was made but is in the table"
        );
        let slot = self.insert(file, State::Open(handle));
        self.entries[slot as usize].uses = 1;
        self.open += 1;
        if self.open > self.open_max && self.oldest_idle != NONE {
            self.close_idle(io, self.oldest_idle);
        }
    }

    /// Whether a file may be created without passing the bound; closes an idle one for it.
    pub fn has_room(&mut self, io: &mut Io) -> bool {
        // A created file may have passed the bound while every other one was in use.
        while self.open >= self.open_max && self.oldest_idle != NONE {
            self.close_idle(io, self.oldest_idle);
        }
        self.open < self.open_max
    }

    /// Nobody may want `file` any more: reports it as drained once its last use has ended.
    pub fn retire(&mut self, io: &mut Io, file: SegmentFile) {
        let Some(&slot) = self.by_file.get(&file) else {
            self.events.push_back(FileEvent::Drained(file));
            return;
        };
        // One count of uses stands for writes and readers.
        if is(Bug::ReuseWithWriteInFlight) || is(Bug::RecycleUnderReader) {
            self.events.push_back(FileEvent::Drained(file));
            return;
        }
        let entry = &mut self.entries[slot as usize];
        entry.is_retired = true;
        if matches!(entry.state, State::Open(_)) && entry.uses == 0 {
            self.close_idle(io, slot);
            self.open_queued(io);
        }
    }

    /// Takes the completion of an open or of a creation.
    pub fn complete(&mut self, io: &mut Io, slot: u64, outcome: Outcome) {
        let slot = u32::try_from(slot).expect("the table made this slot");
        let Outcome::File(reply) = outcome else {
            unreachable!("an open is answered by a file reply");
        };
        let result = match reply {
            Ok(FileReply::Opened { file, bytes }) => Ok((file, bytes)),
            Ok(other) => unreachable!("an open is answered by Opened, not {other:?}"),
            Err(failure) => Err(failure),
        };
        let entry = &mut self.entries[slot as usize];
        let file = entry.file;
        if let Err(failure) = result
            && failure.is_not_found()
            && entry.is_made_if_missing
        {
            // Its users go on waiting here: a file in the making must not count as drained.
            entry.state = State::Making;
            let path = file.path();
            let token = LogKind::OpenFile.token(u64::from(slot));
            io.submit(token, Op::File(FileOp::Create { path }));
            return;
        }
        let mut waiters = std::mem::take(&mut entry.waiters);
        if let Ok((handle, bytes)) = result {
            self.has_made |= entry.state == State::Making;
            entry.bytes = bytes;
            entry.state = State::Open(handle);
            entry.uses = u32::try_from(waiters.len()).expect("fewer waiters than operations");
        }
        for waiter in waiters.drain(..) {
            self.events.push_back(FileEvent::Opened {
                waiter,
                file,
                result,
            });
        }
        entry.waiters = waiters;
        if result.is_err() {
            let was_retired = entry.is_retired;
            self.open -= 1;
            self.remove(slot);
            if was_retired {
                self.events.push_back(FileEvent::Drained(file));
            }
        }
        self.open_queued(io);
    }

    /// What happened since the last call, oldest first.
    pub fn next_event(&mut self) -> Option<FileEvent> {
        self.events.pop_front()
    }

    /// Whether some file is open and not in use.
    #[must_use]
    pub const fn has_idle(&self) -> bool {
        self.oldest_idle != NONE
    }

    /// Closes idle files that were last used before the period under way, at most `count`. Returns
    /// whether that were all of them; then a new period begins. So a file nobody uses stays open
    /// for one period at least and two at most.
    pub fn close_unused(&mut self, io: &mut Io, count: usize) -> bool {
        for _ in 0..count {
            let slot = self.oldest_idle;
            if slot == NONE || self.entries[slot as usize].used_in >= self.period {
                self.period += 1;
                return true;
            }
            self.close_idle(io, slot);
        }
        false
    }

    /// Closes every file that is not in use (clean stop).
    pub fn close_all_idle(&mut self, io: &mut Io) {
        while self.oldest_idle != NONE {
            self.close_idle(io, self.oldest_idle);
        }
    }

    fn insert(&mut self, file: SegmentFile, state: State) -> u32 {
        let slot = if let Some(slot) = self.vacant.pop() {
            let entry = &mut self.entries[slot as usize];
            entry.file = file;
            entry.state = state;
            slot
        } else {
            self.entries.push(Entry {
                file,
                state,
                uses: 0,
                bytes: 0,
                is_retired: false,
                used_in: 0,
                is_made_if_missing: false,
                waiters: Vec::new(),
                older: NONE,
                newer: NONE,
            });
            u32::try_from(self.entries.len() - 1).expect("fewer files than 2^32")
        };
        self.by_file.insert(file, slot);
        slot
    }

    /// Forgets a file that is neither open nor wanted.
    fn remove(&mut self, slot: u32) {
        let entry = &mut self.entries[slot as usize];
        entry.uses = 0;
        entry.bytes = 0;
        entry.is_retired = false;
        entry.is_made_if_missing = false;
        debug_assert!(entry.waiters.is_empty(), "a waiter would be forgotten");
        self.by_file.remove(&entry.file);
        self.vacant.push(slot);
    }

    /// Starts opening queued files while the bound leaves room, closing idle ones for it.
    fn open_queued(&mut self, io: &mut Io) {
        while !self.queue.is_empty() && self.has_room(io) {
            let slot = self.queue.pop_front().expect("checked above");
            let entry = &mut self.entries[slot as usize];
            entry.state = State::Opening;
            self.open += 1;
            let path = entry.file.path();
            io.submit(
                LogKind::OpenFile.token(u64::from(slot)),
                Op::File(FileOp::Open { path }),
            );
        }
    }

    fn close_idle(&mut self, io: &mut Io, slot: u32) {
        self.unlink_idle(slot);
        let entry = &mut self.entries[slot as usize];
        let State::Open(handle) = entry.state else {
            unreachable!("only open files are idle");
        };
        io.close_file(handle);
        self.open -= 1;
        if entry.is_retired {
            self.events.push_back(FileEvent::Drained(entry.file));
        }
        self.remove(slot);
    }

    fn link_newest_idle(&mut self, slot: u32) {
        let older = self.newest_idle;
        let entry = &mut self.entries[slot as usize];
        entry.older = older;
        entry.newer = NONE;
        entry.used_in = self.period;
        match older {
            NONE => self.oldest_idle = slot,
            older => self.entries[older as usize].newer = slot,
        }
        self.newest_idle = slot;
    }

    fn unlink_idle(&mut self, slot: u32) {
        let Entry { older, newer, .. } = self.entries[slot as usize];
        match older {
            NONE => self.oldest_idle = newer,
            older => self.entries[older as usize].newer = newer,
        }
        match newer {
            NONE => self.newest_idle = older,
            newer => self.entries[newer as usize].older = older,
        }
    }
}

#[cfg(test)]
mod tests;
