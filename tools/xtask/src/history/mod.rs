//! What clients of a broker did and saw, and whether a broker that keeps its promises can have
//! answered so.
//!
//! [`History`] is the record of a run, from a simulation or from real clients; `text` is its form
//! in a file; [`check`] finds what must not be. The checks know no broker: `logs` judges what was
//! sent against what was read, `compacted` what may be missing by its key, `readers` each reader by
//! itself, `groups` committed offsets.

mod compacted;
mod groups;
mod logs;
mod readers;
#[cfg(test)]
mod tests;
mod text;

use std::collections::BTreeMap;
use std::fmt;

/// Names a log of a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogId(u32);

/// Names a consumer group of a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GroupId(u32);

/// What a log promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogClass {
    /// An acknowledged record stays, and offsets have no gap.
    Durable,
    /// A crash may take acknowledged records away, and leave a gap.
    Relaxed,
    /// A record may give way to a later one of its key, and a tombstone of its key to time.
    Compacted(Stays),
}

/// How long records of a compacted log stay whatever follows, since their keys were said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stays {
    /// Any record.
    pub records_ns: u64,
    /// A tombstone that nothing follows.
    pub tombstones_ns: u64,
}

/// What compaction knows of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// Its key.
    pub key: u64,
    /// It has no value.
    pub is_tombstone: bool,
}

/// A log and what it promises.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// Its name, without white space.
    pub name: String,
    /// What it promises.
    pub class: LogClass,
}

/// The idempotent producer of a batch, and the sequence of its first record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sequence {
    /// Producer id.
    pub producer: i64,
    /// Its epoch.
    pub epoch: i16,
    /// Sequence of the first record.
    pub base: i32,
}

/// Records at consecutive offsets with consecutive numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Offset of the first.
    pub offset: i64,
    /// Number of the first; `None`: bytes that no client would send.
    pub number: Option<u64>,
    /// How many.
    pub count: u32,
}

/// One answer to a reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Poll {
    /// Which log.
    pub log: LogId,
    /// When it was asked for.
    pub began_ns: u64,
    /// The offset asked for.
    pub position: i64,
    /// Where the reader goes on.
    pub next: i64,
    /// The log's start, as answered.
    pub log_start: i64,
    /// The log's high watermark, as answered.
    pub end: i64,
    /// The records of `position..next`.
    pub records: Vec<Run>,
}

/// Something that a client did or saw. Each record has a number of its own; a batch is a range of
/// numbers. An operation (`op`) that is neither acknowledged nor refused may have happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A batch is sent; sending it once more is another operation.
    Send {
        /// The operation.
        op: u64,
        /// To which log.
        log: LogId,
        /// By which idempotent producer, if so.
        sequence: Option<Sequence>,
        /// Number of the first record.
        first: u64,
        /// How many records.
        count: u32,
    },
    /// Keys of a batch that goes to a compacted log, record by record; said before it is sent.
    Keys {
        /// To which log.
        log: LogId,
        /// Number of the first record.
        first: u64,
        /// Its key, and those of the records that follow.
        keys: Vec<Key>,
    },
    /// A batch is acknowledged; with its offset, unless the answer named none.
    Acked {
        /// The operation.
        op: u64,
        /// Offset of the first record.
        base_offset: Option<i64>,
    },
    /// A batch or a group's offset is refused: it is not there and never will be.
    Refused {
        /// The operation.
        op: u64,
    },
    /// A reader begins at this offset.
    Seek {
        /// Which log.
        log: LogId,
        /// Where.
        offset: i64,
    },
    /// A reader is answered.
    Poll(Poll),
    /// From here on nothing below this offset has to be there.
    Trim {
        /// Which log.
        log: LogId,
        /// End of what may go.
        offset: i64,
    },
    /// A group's offset is sent.
    Commit {
        /// The operation.
        op: u64,
        /// Which group.
        group: GroupId,
        /// Of which log.
        log: LogId,
        /// The offset.
        offset: i64,
    },
    /// It is acknowledged.
    Committed {
        /// The operation.
        op: u64,
    },
    /// A group's offset is answered.
    Fetched {
        /// Which group.
        group: GroupId,
        /// Of which log.
        log: LogId,
        /// When it was asked for.
        began_ns: u64,
        /// The offset, if there is one.
        offset: Option<i64>,
    },
}

/// An event with its time and its line in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When it ended, on a clock that all clients share.
    pub at_ns: u64,
    /// Who did or saw it.
    pub client: u32,
    /// What it was.
    pub what: What,
    /// Line of the file, counted from 1.
    line: usize,
}

/// The record of a run, in the order of time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    logs: Vec<Log>,
    groups: Vec<String>,
    log_ids: BTreeMap<String, LogId>,
    group_ids: BTreeMap<String, GroupId>,
    events: Vec<Event>,
}

/// What must not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// An acknowledged record is not there.
    LostAckedWrite,
    /// A record is there more often than it can be.
    Duplicate,
    /// Two different records were seen at one offset, or one was acknowledged at another.
    InconsistentOffset,
    /// Records of one producer lie in another order than they were sent in.
    Reorder,
    /// An offset below the high watermark has no record.
    Gap,
    /// A record was read again that was compacted away.
    Reappeared,
    /// A record was read that nobody sent there.
    NeverSent,
    /// A record was read that had been refused.
    ReadOfRefused,
    /// A reader was answered behind, before or twice at its position.
    NonMonotonicPoll,
    /// A high watermark moved back.
    EndMovedBack,
    /// A group's offset is an older one than was acknowledged.
    GroupOffsetBack,
}

/// Something that must not be, and where it shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// What it is.
    pub kind: Kind,
    /// Where, and between which values.
    pub text: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.text)
    }
}

impl History {
    /// The log of this name; made with `class` if it is new.
    pub fn log(&mut self, name: &str, class: LogClass) -> LogId {
        if let Some(&id) = self.log_ids.get(name) {
            return id;
        }
        let id = LogId(u32::try_from(self.logs.len()).unwrap_or(u32::MAX));
        self.logs.push(Log {
            name: name.to_owned(),
            class,
        });
        self.log_ids.insert(name.to_owned(), id);
        id
    }

    /// The group of this name.
    pub fn group(&mut self, name: &str) -> GroupId {
        if let Some(&id) = self.group_ids.get(name) {
            return id;
        }
        let id = GroupId(u32::try_from(self.groups.len()).unwrap_or(u32::MAX));
        self.groups.push(name.to_owned());
        self.group_ids.insert(name.to_owned(), id);
        id
    }

    /// Adds what happened last.
    pub fn push(&mut self, at_ns: u64, client: u32, what: What) {
        let line = self.logs.len() + self.events.len() + 2;
        self.events.push(Event {
            at_ns,
            client,
            what,
            line,
        });
    }

    /// All events, in order.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    fn of(&self, log: LogId) -> &Log {
        &self.logs[log.0 as usize]
    }

    fn group_name(&self, group: GroupId) -> &str {
        &self.groups[group.0 as usize]
    }
}

/// Everything in `history` that a broker which keeps its promises cannot have answered.
#[must_use]
pub fn check(history: &History) -> Vec<Violation> {
    let mut violations = Vec::new();
    logs::check(history, &mut violations);
    readers::check(history, &mut violations);
    groups::check(history, &mut violations);
    violations
}

fn violation(kind: Kind, text: String) -> Violation {
    Violation { kind, text }
}
