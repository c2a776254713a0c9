//! What was sent and acknowledged against what was read, log by log.
//!
//! Every answer and acknowledgement that names an offset claims what lies there, and no two may
//! differ. What was acknowledged before a poll began binds that poll.

use super::{
    Event, History, Key, Kind, LogClass, LogId, Poll, Run, Sequence, Violation, What, compacted,
    violation,
};
use std::collections::{BTreeMap, BTreeSet};

/// All that was sent under one first number.
#[derive(Clone, Debug, Default)]
pub(super) struct Batch {
    pub(super) count: u32,
    pub(super) sequence: Option<Sequence>,
    pub(super) sends: u32,
    pub(super) refusals: u32,
    /// When it was sent first.
    pub(super) sent_ns: u64,
    /// When it was acknowledged first, where, and the line that says so.
    pub(super) acked: Option<(u64, Option<i64>, usize)>,
}

/// What is said to lie at an offset.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim {
    pub(super) number: u64,
    pub(super) line: usize,
    is_read: bool,
}

/// One log's part of a history.
#[derive(Debug)]
pub(super) struct LogStory<'a> {
    name: &'a str,
    class: LogClass,
    /// By number of their first record.
    pub(super) batches: BTreeMap<u64, Batch>,
    /// Keys of a compacted log's records, by number, and when they were said.
    pub(super) keys: BTreeMap<u64, (u64, Key)>,
    pub(super) polls: Vec<(&'a Event, &'a Poll)>,
    trims: Vec<(u64, i64)>,
    pub(super) claims: BTreeMap<i64, Claim>,
    violations: Vec<Violation>,
}

pub(super) fn check(history: &History, violations: &mut Vec<Violation>) {
    for mut story in stories(history) {
        story.claim_acked();
        story.claim_read();
        story.check_ends();
        story.check_holes();
        if let LogClass::Compacted(stays) = story.class {
            compacted::check(&mut story, stays);
        }
        story.check_copies();
        story.check_order();
        story.check_unplaced();
        violations.append(&mut story.violations);
    }
}

fn stories(history: &History) -> Vec<LogStory<'_>> {
    let mut stories: Vec<LogStory<'_>> = history
        .logs
        .iter()
        .map(|log| LogStory {
            name: &log.name,
            class: log.class,
            batches: BTreeMap::new(),
            keys: BTreeMap::new(),
            polls: Vec::new(),
            trims: Vec::new(),
            claims: BTreeMap::new(),
            violations: Vec::new(),
        })
        .collect();
    let mut ops: BTreeMap<u64, (LogId, u64)> = BTreeMap::new();
    for event in history.events() {
        match &event.what {
            What::Send {
                op,
                log,
                sequence,
                first,
                count,
            } => {
                ops.insert(*op, (*log, *first));
                let batch = stories[log.0 as usize].batches.entry(*first).or_default();
                batch.count = *count;
                batch.sequence = *sequence;
                if batch.sends == 0 {
                    batch.sent_ns = event.at_ns;
                }
                batch.sends += 1;
            }
            What::Keys { log, first, keys } => {
                let keys = keys.iter().map(|key| (event.at_ns, *key));
                let numbered = (*first..).zip(keys);
                stories[log.0 as usize].keys.extend(numbered);
            }
            What::Acked { op, base_offset } => {
                if let Some(batch) = batch_of(&mut stories, &ops, *op) {
                    let acked = (event.at_ns, *base_offset, event.line);
                    // The first one binds from the earliest on; a later one may say where.
                    match &mut batch.acked {
                        Some((_, known @ None, _)) => *known = *base_offset,
                        Some(_) => {}
                        none @ None => *none = Some(acked),
                    }
                }
            }
            What::Refused { op } => {
                if let Some(batch) = batch_of(&mut stories, &ops, *op) {
                    batch.refusals += 1;
                }
            }
            What::Poll(poll) => stories[poll.log.0 as usize].polls.push((event, poll)),
            What::Trim { log, offset } => {
                stories[log.0 as usize].trims.push((event.at_ns, *offset));
            }
            _ => {}
        }
    }
    stories
}

fn batch_of<'a>(
    stories: &'a mut [LogStory<'_>],
    ops: &BTreeMap<u64, (LogId, u64)>,
    op: u64,
) -> Option<&'a mut Batch> {
    let (log, first) = ops.get(&op)?;
    stories[log.0 as usize].batches.get_mut(first)
}

impl LogStory<'_> {
    pub(super) fn add(&mut self, kind: Kind, text: String) {
        let text = format!("{}: {text}", self.name);
        self.violations.push(violation(kind, text));
    }

    /// The batch that a record of this number was sent in, and its first number.
    pub(super) fn batch(&self, number: u64) -> Option<(u64, &Batch)> {
        let (&first, batch) = self.batches.range(..=number).next_back()?;
        (number - first < u64::from(batch.count)).then_some((first, batch))
    }

    fn claim(&mut self, offset: i64, claim: Claim) {
        let before = *self.claims.entry(offset).or_insert(claim);
        if before.number == claim.number {
            if claim.is_read && !before.is_read {
                self.claims.insert(offset, claim);
            }
            return;
        }
        let text = format!(
            "offset {offset} is record {} (line {}) and record {} (line {})",
            before.number, before.line, claim.number, claim.line
        );
        self.add(Kind::InconsistentOffset, text);
    }

    fn claim_acked(&mut self) {
        let mut acked = Vec::new();
        for (&first, batch) in &self.batches {
            if let Some((_, Some(base), line)) = batch.acked {
                acked.push((first, base, batch.count, line));
            }
        }
        for (first, base, count, line) in acked {
            for nth in 0..count {
                let claim = Claim {
                    number: first + u64::from(nth),
                    line,
                    is_read: false,
                };
                self.claim(base + i64::from(nth), claim);
            }
        }
    }

    fn claim_read(&mut self) {
        let polls = self.polls.clone();
        for (event, poll) in polls {
            for run in &poll.records {
                self.claim_run(event.line, *run);
            }
        }
    }

    fn claim_run(&mut self, line: usize, run: Run) {
        let Some(first) = run.number else {
            let text = format!(
                "line {line}: what lies at {} was made by nobody",
                run.offset
            );
            return self.add(Kind::NeverSent, text);
        };
        for nth in 0..run.count {
            let number = first + u64::from(nth);
            let offset = run.offset + i64::from(nth);
            match self.batch(number) {
                None => {
                    let text = format!("line {line}: record {number} at {offset}");
                    self.add(Kind::NeverSent, text);
                }
                Some((_, batch)) if batch.refusals == batch.sends => {
                    let text = format!("line {line}: record {number} at {offset}");
                    self.add(Kind::ReadOfRefused, text);
                }
                Some(_) => {}
            }
            let claim = Claim {
                number,
                line,
                is_read: true,
            };
            self.claim(offset, claim);
        }
    }

    /// A poll shows an end at or above what was acknowledged, or shown, before it began.
    fn check_ends(&mut self) {
        // What an end must reach from a time on, and why.
        let mut floors: Vec<(u64, i64, usize, Kind)> = Vec::new();
        for batch in self.batches.values() {
            if let Some((at_ns, Some(base), line)) = batch.acked
                && self.class != LogClass::Relaxed
            {
                let end = base + i64::from(batch.count);
                floors.push((at_ns, end, line, Kind::LostAckedWrite));
            }
        }
        for (event, poll) in &self.polls {
            floors.push((event.at_ns, poll.end, event.line, Kind::EndMovedBack));
        }
        floors.sort_unstable();
        let mut polls = self.polls.clone();
        polls.sort_by_key(|(_, poll)| poll.began_ns);
        let mut floors = floors.into_iter().peekable();
        let mut highest: Option<(i64, usize, Kind)> = None;
        for (event, poll) in polls {
            while let Some((_, end, line, kind)) = floors.next_if(|(at, ..)| *at < poll.began_ns) {
                if highest.is_none_or(|(highest, ..)| end > highest) {
                    highest = Some((end, line, kind));
                }
            }
            if let Some((end, line, kind)) = highest
                && poll.end < end
            {
                let text = format!(
                    "line {}: the log ends at {}, after line {line} it ended at {end} or above",
                    event.line, poll.end
                );
                self.add(kind, text);
            }
        }
    }

    /// The end of what may be gone, at a time.
    pub(super) fn trimmed(&self, at_ns: u64) -> i64 {
        let asked = self.trims.iter().filter(|(since, _)| *since <= at_ns);
        asked.map(|(_, offset)| *offset).max().unwrap_or(0)
    }

    /// Offsets that an answer went over without a record.
    fn check_holes(&mut self) {
        let polls = self.polls.clone();
        for (event, poll) in polls {
            let trimmed = self.trimmed(event.at_ns);
            if poll.log_start > trimmed && self.class != LogClass::Relaxed {
                let text = format!(
                    "line {}: the log starts at {}, and only {trimmed} was asked for",
                    event.line, poll.log_start
                );
                self.add(Kind::LostAckedWrite, text);
            }
            let mut position = poll.position.max(poll.log_start).max(trimmed);
            let end = Run {
                offset: poll.next,
                number: None,
                count: 0,
            };
            for run in poll.records.iter().chain([&end]) {
                if run.offset > position {
                    self.hole(event, poll, position..run.offset);
                }
                position = position.max(run.offset + i64::from(run.count));
            }
        }
    }

    fn hole(&mut self, event: &Event, poll: &Poll, hole: std::ops::Range<i64>) {
        if self.class != LogClass::Durable {
            return;
        }
        let mut lost = None;
        for (offset, claim) in self.claims.range(hole.clone()) {
            let acked = self.batch(claim.number).and_then(|(_, batch)| batch.acked);
            if acked.is_some_and(|(at_ns, ..)| at_ns < poll.began_ns) {
                lost = Some((*offset, *claim));
                break;
            }
        }
        match lost {
            Some((offset, claim)) => {
                let text = format!(
                    "line {}: no record at {offset}, where record {} was acknowledged (line {})",
                    event.line, claim.number, claim.line
                );
                self.add(Kind::LostAckedWrite, text);
            }
            None => {
                let text = format!("line {}: no record in {hole:?}", event.line);
                self.add(Kind::Gap, text);
            }
        }
    }

    /// How often each record was read, against how often it was sent.
    fn check_copies(&mut self) {
        let mut places: BTreeMap<u64, Vec<i64>> = BTreeMap::new();
        for (offset, claim) in &self.claims {
            if claim.is_read {
                places.entry(claim.number).or_default().push(*offset);
            }
        }
        for (number, offsets) in places {
            let Some((_, batch)) = self.batch(number) else {
                continue;
            };
            let most = match batch.sequence {
                Some(_) => 1,
                None => batch.sends.max(1) as usize,
            };
            if offsets.len() > most {
                let text = format!(
                    "record {number} lies at {offsets:?} and was sent {} times{}",
                    batch.sends,
                    if most == 1 && batch.sequence.is_some() {
                        " by an idempotent producer"
                    } else {
                        ""
                    }
                );
                self.add(Kind::Duplicate, text);
            }
        }
    }

    /// Records of an idempotent producer lie in the order of their sequences.
    fn check_order(&mut self) {
        let mut newest: BTreeMap<(i64, i16), (u64, i64, i32)> = BTreeMap::new();
        let claims: Vec<_> = self.claims.iter().map(|(o, c)| (*o, *c)).collect();
        for (offset, claim) in claims {
            let Some((first, batch)) = self.batch(claim.number) else {
                continue;
            };
            let Some(sequence) = batch.sequence else {
                continue;
            };
            let nth = i32::try_from(claim.number - first).unwrap_or(0);
            let sequence_of_record = sequence.base.wrapping_add(nth);
            let key = (sequence.producer, sequence.epoch);
            let before = newest.insert(key, (claim.number, offset, sequence_of_record));
            if let Some((number, at, last)) = before
                && sequence_of_record.wrapping_sub(last) < 0
            {
                let text = format!(
                    "record {} (sequence {sequence_of_record}) at {offset} lies behind record \
                     {number} (sequence {last}) at {at}",
                    claim.number
                );
                self.add(Kind::Reorder, text);
            }
        }
    }

    /// Records whose acknowledgement named no offset: somewhere in a log that was read whole.
    fn check_unplaced(&mut self) {
        if self.class != LogClass::Durable {
            return;
        }
        let read = self.read_numbers();
        let mut lost = Vec::new();
        for (&first, batch) in &self.batches {
            let Some((at_ns, None, line)) = batch.acked else {
                continue;
            };
            if !self.is_read_whole(at_ns) {
                continue;
            }
            let numbers = first..first + u64::from(batch.count);
            lost.extend(
                numbers
                    .filter(|number| !read.contains(number))
                    .map(|number| (number, line)),
            );
        }
        for (number, line) in lost {
            let text = format!("record {number}, acknowledged in line {line}, is nowhere");
            self.add(Kind::LostAckedWrite, text);
        }
    }

    /// Numbers of the records that anybody read.
    pub(super) fn read_numbers(&self) -> BTreeSet<u64> {
        let read = self.claims.values().filter(|claim| claim.is_read);
        read.map(|claim| claim.number).collect()
    }

    /// Whether polls that began after `at_ns` went over the whole log, of which nothing was cut.
    pub(super) fn is_read_whole(&self, at_ns: u64) -> bool {
        let after: Vec<&Poll> = self
            .polls
            .iter()
            .filter(|(_, poll)| poll.began_ns > at_ns)
            .map(|(_, poll)| *poll)
            .collect();
        let Some(end) = after.iter().map(|poll| poll.end).max() else {
            return false;
        };
        let mut covered: Vec<(i64, i64)> = after
            .iter()
            .map(|poll| (poll.position, poll.next))
            .collect();
        covered.sort_unstable();
        let mut position = 0;
        for (from, to) in covered {
            if from <= position {
                position = position.max(to);
            }
        }
        position >= end && self.trims.is_empty()
    }
}
