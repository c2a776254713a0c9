//! What a compacted log may lack: a record that a later one of its key follows, and a tombstone
//! that has been there long enough.
//!
//! A record that was acknowledged, or shown to a reader, before a poll went over its offset must be
//! in the answer, unless another of its key lies behind it or may lie there: one that was sent by
//! then and whose place nobody knows counts. So nothing is held against a broker that could be
//! right. What one poll went over in vain never comes back, nor does what was deleted by a
//! tombstone that is gone by then.

use super::logs::LogStory;
use super::{Key, Kind, Poll, Stays};
use std::collections::BTreeMap;

/// The records of one key.
#[derive(Debug, Default)]
struct SameKey {
    /// Where they lie, and when they were sent.
    placed: BTreeMap<i64, u64>,
    /// Those of which a copy may lie where nobody saw it: number, and when they were sent.
    elsewhere: Vec<(u64, u64)>,
}

impl SameKey {
    /// Whether one behind `offset` may have been there at `at_ns`.
    fn may_follow(&self, offset: i64, at_ns: u64) -> bool {
        let behind = self.placed.range(offset + 1..).map(|(_, sent_ns)| *sent_ns);
        let elsewhere = self.elsewhere.iter().map(|(_, sent_ns)| *sent_ns);
        behind.chain(elsewhere).any(|sent_ns| sent_ns <= at_ns)
    }
}

/// What is known of the record at an offset.
#[derive(Clone, Copy, Debug)]
struct Known {
    number: u64,
    key: Key,
    born_ns: u64,
    /// From then on it must be there.
    settled_ns: u64,
    /// The first poll that went over it and lacked it: when it ended, and its line.
    gone: Option<(u64, usize)>,
}

/// Tombstones that are gone, by key: where they lay, when the poll that lacked them ended, and its
/// line.
type Deleted = BTreeMap<u64, Vec<(i64, u64, usize)>>;

pub(super) fn check(story: &mut LogStory<'_>, stays: Stays) {
    let keys = by_key(story);
    let mut known = known(story);
    let mut deleted = Deleted::new();
    let mut polls = story.polls.clone();
    polls.sort_by_key(|(event, _)| event.at_ns);
    for (event, poll) in polls {
        let start = poll.position.max(poll.log_start);
        let start = start.max(story.trimmed(event.at_ns));
        for (&offset, record) in known.range_mut(start..poll.next.max(start)) {
            let text = match (is_in(poll, offset), record.gone) {
                (true, Some((gone_ns, line))) if poll.began_ns > gone_ns => Some((
                    Kind::Reappeared,
                    format!("line {}: where line {line} has none, there is", event.line),
                )),
                (true, _) => {
                    let place = (offset, record.key.key);
                    let by = deleted_by(place, (poll.began_ns, event.at_ns), &deleted, &keys);
                    by.map(|line| {
                        let tombstone =
                            format!("the tombstone behind it is gone since line {line}");
                        let text = format!("line {}: {tombstone}, and there is", event.line);
                        (Kind::Reappeared, text)
                    })
                }
                (false, _) if record.settled_ns < poll.began_ns => {
                    record.gone.get_or_insert((event.at_ns, event.line));
                    if record.key.is_tombstone {
                        let gone = (offset, event.at_ns, event.line);
                        deleted.entry(record.key.key).or_default().push(gone);
                    }
                    let reason = must_stay(record, offset, event.at_ns, stays, &keys);
                    reason.map(|reason| {
                        let text = format!("line {}: {reason}, and gone is", event.line);
                        (Kind::LostAckedWrite, text)
                    })
                }
                _ => None,
            };
            if let Some((kind, text)) = text {
                let Key { key, .. } = record.key;
                let number = record.number;
                story.add(
                    kind,
                    format!("{text} record {number} of key {key} at {offset}"),
                );
            }
        }
    }
    check_unplaced(story, stays, &keys);
}

/// The line that lacked a tombstone behind `offset`, if a poll that began later still has that
/// record and nothing of its key can follow the tombstone: a deleted record is back.
fn deleted_by(
    (offset, key): (i64, u64),
    (began_ns, ended_ns): (u64, u64),
    deleted: &Deleted,
    keys: &BTreeMap<u64, SameKey>,
) -> Option<usize> {
    let (gone, same) = (deleted.get(&key)?, keys.get(&key)?);
    let by = gone.iter().find(|(at, gone_ns, _)| {
        *at > offset && *gone_ns < began_ns && !same.may_follow(*at, ended_ns)
    });
    by.map(|(_, _, line)| *line)
}

/// Why a record may not be gone at `at_ns`, if it may not.
fn must_stay(
    record: &Known,
    offset: i64,
    at_ns: u64,
    stays: Stays,
    keys: &BTreeMap<u64, SameKey>,
) -> Option<&'static str> {
    let age_ns = at_ns.saturating_sub(record.born_ns);
    if age_ns < stays.records_ns {
        return Some("it is younger than what may be compacted");
    }
    let same = keys.get(&record.key.key)?;
    if same.may_follow(offset, at_ns) {
        return None;
    }
    match record.key.is_tombstone {
        false => Some("nothing follows it"),
        true if age_ns < stays.tombstones_ns => Some("tombstones stay for longer"),
        true => None,
    }
}

/// Whether an answer holds the record at `offset`.
fn is_in(poll: &Poll, offset: i64) -> bool {
    let behind = poll.records.partition_point(|run| run.offset <= offset);
    let run = behind.checked_sub(1).map(|nth| &poll.records[nth]);
    run.is_some_and(|run| offset < run.offset + i64::from(run.count))
}

fn by_key(story: &LogStory<'_>) -> BTreeMap<u64, SameKey> {
    let mut keys: BTreeMap<u64, SameKey> = BTreeMap::new();
    let mut places: BTreeMap<u64, u32> = BTreeMap::new();
    for (&offset, claim) in &story.claims {
        *places.entry(claim.number).or_default() += 1;
        let key = story.keys.get(&claim.number);
        if let (Some((_, key)), Some((_, batch))) = (key, story.batch(claim.number)) {
            let same = keys.entry(key.key).or_default();
            same.placed.insert(offset, batch.sent_ns);
        }
    }
    for (&first, batch) in &story.batches {
        let copies = match batch.sequence {
            Some(_) => 1,
            None => batch.sends - batch.refusals.min(batch.sends),
        };
        for number in first..first + u64::from(batch.count) {
            let found = places.get(&number).copied().unwrap_or(0);
            let key = story.keys.get(&number);
            if let Some((_, key)) = key.filter(|_| found < copies && batch.refusals < batch.sends) {
                let same = keys.entry(key.key).or_default();
                same.elsewhere.push((number, batch.sent_ns));
            }
        }
    }
    keys
}

fn known(story: &LogStory<'_>) -> BTreeMap<i64, Known> {
    let mut known = BTreeMap::new();
    for (&offset, claim) in &story.claims {
        let key = story.keys.get(&claim.number);
        let (Some(&(born_ns, key)), Some((first, batch))) = (key, story.batch(claim.number)) else {
            continue;
        };
        let nth = i64::try_from(claim.number - first).unwrap_or(0);
        let acked_ns = match batch.acked {
            Some((at_ns, Some(base), _)) if base + nth == offset => at_ns,
            _ => u64::MAX,
        };
        let record = Known {
            number: claim.number,
            key,
            born_ns,
            settled_ns: acked_ns,
            gone: None,
        };
        known.insert(offset, record);
    }
    for (event, poll) in &story.polls {
        for run in &poll.records {
            for (_, record) in known.range_mut(run.offset..run.offset + i64::from(run.count)) {
                record.settled_ns = record.settled_ns.min(event.at_ns);
            }
        }
    }
    known
}

/// Records whose acknowledgement named no offset, in a log that was read whole since: one of their
/// key that was not done before they were sent is there, or the key was deleted.
fn check_unplaced(story: &mut LogStory<'_>, stays: Stays, keys: &BTreeMap<u64, SameKey>) {
    let read = story.read_numbers();
    let mut lost = Vec::new();
    for (&first, batch) in &story.batches {
        let Some((at_ns, None, line)) = batch.acked else {
            continue;
        };
        for number in first..first + u64::from(batch.count) {
            let Some((_, key)) = story.keys.get(&number) else {
                continue;
            };
            let is_kept = stays.tombstones_ns == u64::MAX || !key.is_tombstone;
            if is_kept
                && !read.contains(&number)
                && !may_be_replaced(story, number, &keys[&key.key])
                && story.is_read_whole(at_ns)
            {
                lost.push((number, line));
            }
        }
    }
    for (number, line) in lost {
        let text = format!("record {number}, acknowledged in line {line}, is nowhere");
        story.add(Kind::LostAckedWrite, text);
    }
}

/// Whether a record of the same key may lie behind `number`, of which no offset is known: any that
/// was not acknowledged before `number` was sent.
fn may_be_replaced(story: &LogStory<'_>, number: u64, same: &SameKey) -> bool {
    let Some((first, batch)) = story.batch(number) else {
        return true;
    };
    let is_later = |other: u64| {
        let Some((_, others)) = story.batch(other).filter(|(at, _)| *at != first) else {
            return other > number;
        };
        let acked = others.acked;
        acked.is_none_or(|(at_ns, ..)| at_ns > batch.sent_ns)
    };
    let placed = same
        .placed
        .keys()
        .filter_map(|offset| story.claims.get(offset));
    let placed = placed.map(|claim| claim.number);
    let elsewhere = same.elsewhere.iter().map(|(other, _)| *other);
    let mut others = placed.chain(elsewhere).filter(|other| *other != number);
    others.any(is_later)
}
