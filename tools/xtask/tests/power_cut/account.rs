//! The account of a recording, kept outside of the disk: what was sent, what was acknowledged, and
//! how far the disk's recording was by then. It says what an image must hold.

use crate::shape;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// One partition as it was found.
pub(crate) type Found = Vec<Stored>;
/// All of them.
pub(crate) type Content = BTreeMap<u64, (i64, Found)>;

/// A batch as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) base_offset: i64,
    pub(crate) end_offset: i64,
    /// See [`shape::sum`].
    pub(crate) sum: u64,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It may be there.
    Unknown,
    /// It is not there.
    Refused,
    /// It is there in every image that has so many events.
    Acked { events: u64, base_offset: i64 },
}

/// A batch that was sent. Its number is its place in the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    /// Records of the producer before it.
    pub(crate) sequence: i32,
    pub(crate) records: i32,
    pub(crate) bytes: u64,
    pub(crate) sum: u64,
    pub(crate) outcome: Outcome,
}

/// A partition's account. All times are counts of events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Log {
    pub(crate) created: Option<u64>,
    pub(crate) delete_asked: Option<u64>,
    pub(crate) deleted: Option<u64>,
    pub(crate) sent: Vec<Sent>,
}

/// The account of all partitions, by handle.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) logs: BTreeMap<u64, Log>,
}

/// What a comparison found.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Verdict {
    /// Acknowledged batches that had to be there.
    pub(crate) checked: u64,
    pub(crate) lost: u64,
    /// Anything else.
    pub(crate) others: u64,
}

impl Account {
    /// Compares what was found on an image of the first `events` events.
    pub(crate) fn check(&self, events: u64, content: &Content, say: &mut String) -> Verdict {
        let mut verdict = Verdict::default();
        for (handle, log) in &self.logs {
            let is_created = log.created.is_some_and(|created| created <= events);
            let is_deleted = log.deleted.is_some_and(|deleted| deleted <= events);
            let may_be_gone = log.delete_asked.is_some_and(|asked| asked <= events);
            match content.get(handle) {
                Some(_) if is_deleted => {
                    verdict.others += 1;
                    let _ = writeln!(say, "partition {handle} is back after its deletion");
                }
                Some((log_start, found)) => {
                    let mut check = Check {
                        handle: *handle,
                        log,
                        events,
                        say,
                        verdict: &mut verdict,
                    };
                    check.partition(*log_start, found);
                }
                None if is_created && !may_be_gone => {
                    let acked = log.sent.iter().filter(|sent| sent.is_acked(events));
                    verdict.lost += acked.count() as u64;
                    verdict.others += 1;
                    let _ = writeln!(say, "partition {handle} is gone");
                }
                None => {}
            }
        }
        for handle in content
            .keys()
            .filter(|handle| !self.logs.contains_key(handle))
        {
            verdict.others += 1;
            let _ = writeln!(say, "partition {handle} was never created");
        }
        verdict
    }

    /// Counts of events at which something was acknowledged.
    pub(crate) fn times(&self) -> Vec<u64> {
        let mut times = Vec::new();
        for log in self.logs.values() {
            times.extend(log.created.into_iter().chain(log.deleted));
            times.extend(log.sent.iter().filter_map(|sent| match sent.outcome {
                Outcome::Acked { events, .. } => Some(events),
                Outcome::Unknown | Outcome::Refused => None,
            }));
        }
        times.sort_unstable();
        times
    }
}

impl Sent {
    pub(crate) const fn is_acked(&self, by: u64) -> bool {
        matches!(self.outcome, Outcome::Acked { events, .. } if events <= by)
    }
}

struct Check<'a> {
    handle: u64,
    log: &'a Log,
    events: u64,
    say: &'a mut String,
    verdict: &'a mut Verdict,
}

impl Check<'_> {
    fn wrong(&mut self, problem: &str) {
        self.verdict.others += 1;
        let _ = writeln!(self.say, "partition {}: {problem}", self.handle);
    }

    fn lost(&mut self, number: usize, base_offset: i64) {
        self.verdict.lost += 1;
        let _ = writeln!(
            self.say,
            "partition {}: batch {number} was acknowledged at offset {base_offset} and is lost",
            self.handle
        );
    }

    /// Walks what was sent and what was found side by side: both are in order.
    fn partition(&mut self, log_start: i64, found: &[Stored]) {
        let log = self.log;
        self.check_log_start(log_start);
        // What lies below the log start was given up; a batch may reach across it.
        let begin = found.first().map_or(log_start, |first| first.base_offset);
        if begin > log_start {
            self.wrong(&format!(
                "nothing from the log start {log_start} to {begin}"
            ));
        }
        let mut expected = begin;
        let mut numbers = log.sent.iter().enumerate();
        for stored in found {
            if stored.base_offset != expected {
                let text = format!("offset {} follows on {expected}", stored.base_offset);
                self.wrong(&text);
            }
            expected = stored.end_offset;
            let skipped = numbers.clone();
            let Some((at, (_, sent))) = numbers
                .by_ref()
                .enumerate()
                .find(|(_, (_, sent))| sent.sum == stored.sum)
            else {
                let text = format!("what lies at {} was not sent then", stored.base_offset);
                self.wrong(&text);
                numbers = skipped;
                continue;
            };
            self.check_skipped(skipped.take(at), begin);
            self.check_place(sent, stored);
        }
        self.check_skipped(numbers, begin);
    }

    fn check_place(&mut self, sent: &Sent, stored: &Stored) {
        self.verdict.checked += u64::from(sent.is_acked(self.events));
        if stored.end_offset - stored.base_offset != i64::from(sent.records) {
            self.wrong(&format!(
                "another number of records at {}",
                stored.base_offset
            ));
        }
        match sent.outcome {
            Outcome::Acked { base_offset, .. } if base_offset != stored.base_offset => {
                let text = format!(
                    "acknowledged at {base_offset}, is at {}",
                    stored.base_offset
                );
                self.wrong(&text);
            }
            Outcome::Refused => {
                self.wrong(&format!("what was refused is at {}", stored.base_offset));
            }
            Outcome::Acked { .. } | Outcome::Unknown => {}
        }
    }

    /// Batches of which nothing was found.
    fn check_skipped<'a>(&mut self, skipped: impl Iterator<Item = (usize, &'a Sent)>, begin: i64) {
        for (number, sent) in skipped {
            if let Outcome::Acked { base_offset, .. } = sent.outcome
                && sent.is_acked(self.events)
                && base_offset + i64::from(sent.records) > begin
            {
                self.verdict.checked += 1;
                self.lost(number, base_offset);
            }
        }
    }

    /// Retention leaves at least its bytes, counted with everything that was ever sent.
    fn check_log_start(&mut self, log_start: i64) {
        let retention = shape::retention_bytes(self.handle);
        let mut offset = 0;
        let mut left = 0;
        for sent in self
            .log
            .sent
            .iter()
            .filter(|sent| sent.outcome != Outcome::Refused)
        {
            offset += i64::from(sent.records);
            if offset > log_start {
                left += sent.bytes;
            }
        }
        if log_start > 0 && (retention < 0 || left < retention as u64) {
            let text = format!("the log start {log_start} leaves {left} bytes of {retention}");
            self.wrong(&text);
        }
    }
}
