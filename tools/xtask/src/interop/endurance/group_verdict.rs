//! Did a group deliver every record, skip none, and never move a committed offset back? Pure.
//!
//! Two events are only ordered where one ended before the other began, by the clock all processes
//! share. A commit that was asked for and not answered (its member was killed) may count or not.

use super::events::{self, Event, Logged, Offsets, Sample, Timed};
use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeMap;
use std::path::Path;

/// What a group's members and its sampler saw.
#[derive(Debug)]
pub(super) struct GroupStory {
    /// Its name.
    pub(super) name: &'static str,
    members: Vec<Vec<Timed>>,
    samples: Vec<Sample>,
}

/// Times and offsets, in order of times; offsets are the largest up to there.
type Highest = Vec<(u64, i64)>;

/// A commit that a member asked for.
struct Commit {
    asked: u64,
    offsets: Offsets,
    /// When it was answered, and what of it the broker said is done.
    answered: Option<(u64, Offsets)>,
}

/// All commits, per partition.
struct Commits {
    /// By the time they were asked for.
    asked: Vec<Highest>,
    /// Those that were answered, by the time of the answer.
    answered: Vec<Highest>,
}

impl GroupStory {
    /// Reads what `joins` members and the sampler printed.
    pub(super) fn read(folder: &Path, name: &'static str, joins: usize) -> Result<Self> {
        let members = (0..joins).map(|number| events::member(folder, name, number));
        Ok(Self {
            name,
            members: members.collect::<Result<_>>()?,
            samples: events::samples(folder, name)?,
        })
    }

    /// Checks every promise against the whole log; what was found, with counts.
    pub(super) fn judge(&self, log: &Logged) -> Result<String> {
        let (delivered, again) = self.deliveries(log)?;
        let asked: Vec<Commit> = self
            .members
            .iter()
            .map(|events| commits_of(events))
            .collect::<Result<Vec<_>>>()?
            .into_iter()
            .flatten()
            .collect();
        check_nothing_skipped(&asked, &delivered)?;
        let commits = Commits::new(&asked, log.len());
        check_never_back(&asked, &commits)?;
        for (number, events) in self.members.iter().enumerate() {
            check_positions(events, &commits).with_context(|| format!("member {number}"))?;
        }
        self.check_samples(&commits, log)?;
        let answered = asked.iter().filter(|it| it.answered.is_some()).count();
        let records: usize = log.iter().map(Vec::len).sum();
        Ok(format!(
            "{records} records delivered, {again} of them again, {answered} commits and {} samples \
             never moved back",
            self.samples.len()
        ))
    }

    /// When each record was first delivered; and how many came more than once.
    fn deliveries(&self, log: &Logged) -> Result<(Vec<Vec<u64>>, usize)> {
        let mut first: Vec<Vec<Option<u64>>> =
            log.iter().map(|values| vec![None; values.len()]).collect();
        let mut again = 0;
        for (time, event) in self.members.iter().flatten() {
            let Event::Record {
                partition,
                offset,
                value,
            } = event
            else {
                continue;
            };
            let logged = log.get(*partition).and_then(|it| it.get(*offset));
            ensure!(
                logged == Some(value),
                "partition {partition} offset {offset}: {value} was delivered, {logged:?} is there"
            );
            let place = &mut first[*partition][*offset];
            again += usize::from(place.is_some());
            *place = Some(place.map_or(*time, |before| before.min(*time)));
        }
        let mut delivered = Vec::new();
        for (partition, times) in first.into_iter().enumerate() {
            let lost = times.iter().position(Option::is_none);
            if let Some(offset) = lost {
                let count = times.iter().filter(|time| time.is_none()).count();
                bail!("partition {partition} offset {offset} was never delivered, {count} of it");
            }
            delivered.push(times.into_iter().flatten().collect());
        }
        Ok((delivered, again))
    }

    /// What was read is never less than what was answered before, nor more than was asked for.
    fn check_samples(&self, commits: &Commits, log: &Logged) -> Result<()> {
        let mut last = vec![-1; log.len()];
        for sample in &self.samples {
            for &(partition, offset) in &sample.offsets {
                let last = last.get_mut(partition).context("no such partition")?;
                ensure!(
                    offset >= *last,
                    "partition {partition}: {offset} was committed where {last} had been"
                );
                *last = offset;
                let least = before(&commits.answered[partition], sample.asked);
                let most = before(&commits.asked[partition], sample.answered);
                ensure!(
                    (least..=most).contains(&offset),
                    "partition {partition}: {offset} was read, {least} to {most} was committed"
                );
            }
        }
        let ends: Vec<i64> = log.iter().map(|it| it.len() as i64).collect();
        ensure!(last == ends, "at last {last:?} was committed of {ends:?}");
        Ok(())
    }
}

/// The commits of one member, which asks for one at a time.
fn commits_of(events: &[Timed]) -> Result<Vec<Commit>> {
    let mut commits: Vec<Commit> = Vec::new();
    for (time, event) in events {
        match event {
            Event::Committing(offsets) => commits.push(Commit {
                asked: *time,
                answered: None,
                offsets: offsets.clone(),
            }),
            Event::Committed(offsets) => {
                let commit = commits.last_mut().context("an answer without a commit")?;
                let is_asked = offsets.iter().all(|it| commit.offsets.contains(it));
                ensure!(
                    is_asked,
                    "{offsets:?} were committed, not what was asked for"
                );
                commit.answered = Some((*time, offsets.clone()));
            }
            _ => {}
        }
    }
    Ok(commits)
}

impl Commits {
    fn new(commits: &[Commit], partitions: usize) -> Self {
        let mut asked = vec![Highest::new(); partitions];
        let mut answered = vec![Highest::new(); partitions];
        for commit in commits {
            for &(partition, offset) in &commit.offsets {
                asked[partition].push((commit.asked, offset));
            }
            if let Some((time, done)) = &commit.answered {
                for &(partition, offset) in done {
                    answered[partition].push((*time, offset));
                }
            }
        }
        for times in asked.iter_mut().chain(&mut answered) {
            times.sort_unstable();
            let mut highest = -1;
            for (_, offset) in times {
                highest = highest.max(*offset);
                *offset = highest;
            }
        }
        Self { asked, answered }
    }
}

/// The largest offset up to a time, or -1.
fn before(highest: &Highest, time: u64) -> i64 {
    let count = highest.partition_point(|&(at, _)| at < time);
    count.checked_sub(1).map_or(-1, |last| highest[last].1)
}

/// Whoever asks to commit an offset, the group has been given everything below it by then.
fn check_nothing_skipped(commits: &[Commit], delivered: &[Vec<u64>]) -> Result<()> {
    // By offset: when everything up to there had been delivered.
    let complete: Vec<Vec<u64>> = delivered
        .iter()
        .map(|times| {
            let latest = |highest: &mut u64, &time: &u64| {
                *highest = time.max(*highest);
                Some(*highest)
            };
            times.iter().scan(0, latest).collect()
        })
        .collect();
    for commit in commits {
        for &(partition, offset) in &commit.offsets {
            let last = usize::try_from(offset - 1).context("a commit below offset 1")?;
            let times = complete.get(partition).context("no such partition")?;
            let time = times
                .get(last)
                .with_context(|| format!("partition {partition}: no offset {last} to commit"))?;
            ensure!(
                *time <= commit.asked,
                "partition {partition}: {offset} was committed with a record below it skipped"
            );
        }
    }
    Ok(())
}

/// A commit that succeeded is not below one that was answered before it was asked for.
fn check_never_back(commits: &[Commit], all: &Commits) -> Result<()> {
    for commit in commits {
        let done = commit.answered.iter().flat_map(|(_, done)| done);
        for &(partition, offset) in done {
            let highest = before(&all.answered[partition], commit.asked);
            ensure!(
                offset >= highest,
                "partition {partition}: {offset} was committed after {highest}"
            );
        }
    }
    Ok(())
}

/// Where a member is in a partition.
struct Position {
    /// The last time its assignment changed.
    since: u64,
    next: Option<usize>,
}

impl Position {
    /// A record follows the one before, or repeats some after a rebalance: librdkafka gives one
    /// again when an incremental assignment meets a poll. What is committed is never gone behind.
    fn take(&mut self, offset: usize, time: u64, commits: (&Highest, &Highest)) -> Result<()> {
        let (asked, answered) = commits;
        if self.next != Some(offset) {
            let least = before(answered, self.since).max(0);
            let most = match self.next {
                Some(next) => i64::try_from(next)?,
                None => before(asked, time).max(0),
            };
            let found = i64::try_from(offset)?;
            ensure!(
                (least..=most).contains(&found),
                "{offset} came where {least} to {most} was due"
            );
        }
        self.next = Some(offset + 1);
        Ok(())
    }
}

/// A member begins a partition at what is committed, and goes on without a gap.
fn check_positions(events: &[Timed], commits: &Commits) -> Result<()> {
    let mut positions: BTreeMap<usize, Position> = BTreeMap::new();
    for &(time, ref event) in events {
        match event {
            Event::Assigned(partitions) => {
                for position in positions.values_mut() {
                    position.since = time;
                }
                let fresh = |&partition: &usize| {
                    let (since, next) = (time, None);
                    (partition, Position { since, next })
                };
                positions.extend(partitions.iter().map(fresh));
            }
            Event::Revoked(partitions) => {
                for partition in partitions {
                    positions.remove(partition);
                }
            }
            &Event::Record {
                partition, offset, ..
            } => {
                let what = || format!("partition {partition} offset {offset}");
                let position = positions
                    .get_mut(&partition)
                    .with_context(|| format!("{} came to one who has it not", what()))?;
                let commits = (&commits.asked[partition], &commits.answered[partition]);
                position.take(offset, time, commits).with_context(what)?;
            }
            Event::Committing(_) | Event::Committed(_) | Event::Left => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One partition of three records.
    fn log() -> Logged {
        vec![["a", "b", "c"].map(str::to_owned).to_vec()]
    }

    fn record(time: u64, offset: usize) -> Timed {
        let value = log()[0][offset].clone();
        let event = Event::Record {
            partition: 0,
            offset,
            value,
        };
        (time, event)
    }

    fn assigned(time: u64) -> Timed {
        (time, Event::Assigned(vec![0]))
    }

    fn committing(time: u64, offset: i64) -> Timed {
        (time, Event::Committing(vec![(0, offset)]))
    }

    fn committed(time: u64, offset: i64) -> Timed {
        (time, Event::Committed(vec![(0, offset)]))
    }

    fn sample(asked: u64, offset: i64) -> Sample {
        Sample {
            asked,
            answered: asked + 1,
            offsets: vec![(0, offset)],
        }
    }

    fn judge(members: Vec<Vec<Timed>>, samples: Vec<Sample>) -> Result<String> {
        let story = GroupStory {
            name: "g",
            members,
            samples,
        };
        story.judge(&log())
    }

    /// Reads two, commits them, reads the third and is killed within a commit.
    fn first() -> Vec<Timed> {
        let read = vec![assigned(1), record(2, 0), record(3, 1)];
        let kept = vec![committing(4, 2), committed(6, 2)];
        [read, kept, vec![record(7, 2), committing(8, 3)]].concat()
    }

    fn second(begin: usize) -> Vec<Timed> {
        let records = (begin..3).map(|offset| record(21 + offset as u64, offset));
        let read: Vec<Timed> = [assigned(20)].into_iter().chain(records).collect();
        let kept = vec![committing(25, 3), committed(26, 3)];
        [read, kept, vec![(27, Event::Left)]].concat()
    }

    #[test]
    fn a_takeover_that_reads_one_record_again_is_right() {
        let samples = vec![sample(0, -1), sample(5, 2), sample(30, 3)];
        let said = judge(vec![first(), second(2)], samples).unwrap();
        assert!(
            said.contains("3 records delivered, 1 of them again, 2 commits"),
            "{said}"
        );
    }

    #[test]
    fn what_was_refused_of_a_commit_was_only_asked_for() {
        let asked = (5, Event::Committing(vec![(1, 7), (0, 3)]));
        let found = commits_of(&[asked, committed(6, 3)]).unwrap();
        assert_eq!(found[0].answered, Some((6, vec![(0, 3)])));
        let all = Commits::new(&found, 2);
        assert_eq!(before(&all.answered[1], 100), -1);
        assert_eq!(before(&all.asked[1], 100), 7);
        assert_eq!(before(&all.answered[0], 100), 3);
        assert!(commits_of(&[committing(5, 2), committed(6, 3)]).is_err());
    }

    #[test]
    fn a_record_given_again_by_a_change_of_the_assignment_is_right() {
        let again = vec![(9, Event::Assigned(Vec::new())), record(10, 2)];
        let members = vec![[first(), again].concat(), second(2)];
        let said = judge(members, vec![sample(30, 3)]).unwrap();
        assert!(said.contains("2 of them again"), "{said}");
    }

    #[test]
    fn each_fault_is_named() {
        let fault = |members, samples| format!("{:#}", judge(members, samples).unwrap_err());
        let last = || vec![sample(30, 3)];
        assert!(fault(vec![first(), second(1)], last()).contains("1 came where 2 to 3 was due"));
        let back = vec![sample(9, 3), sample(15, 2), sample(30, 3)];
        assert!(fault(vec![first(), second(2)], back).contains("2 was committed where 3 had been"));
        let behind = vec![sample(7, 1), sample(30, 3)];
        assert!(fault(vec![first(), second(2)], behind).contains("1 was read, 2 to 2"));
        assert!(
            fault(vec![first(), second(2)], vec![sample(30, 2)]).contains("2 was read, 3 to 3")
        );
        assert!(fault(vec![first(), second(2)], Vec::new()).contains("at last [-1]"));
        let early = vec![assigned(1), record(2, 0), record(3, 1)];
        assert!(fault(vec![early.clone()], last()).contains("offset 2 was never delivered"));
        let skips = vec![assigned(1), record(2, 0), record(3, 2)];
        let late = vec![assigned(4), record(5, 0), record(6, 1), committing(7, 2)];
        assert!(fault(vec![skips, late], last()).contains("2 came where 0 to 1 was due"));
        let skips = [early, vec![committing(4, 3), committed(5, 3)]].concat();
        assert!(fault(vec![skips, second(2)], last()).contains("a record below it skipped"));
        let back = [second(2), vec![committing(40, 2), committed(41, 2)]].concat();
        assert!(fault(vec![first(), back], last()).contains("2 was committed after 3"));
        let behind = [
            first(),
            vec![(9, Event::Assigned(Vec::new())), record(10, 1)],
        ]
        .concat();
        assert!(fault(vec![behind, second(2)], last()).contains("1 came where 2 to 3 was due"));
        let stray = vec![record(40, 2)];
        assert!(fault(vec![first(), second(2), stray], last()).contains("one who has it not"));
        let mut other = record(7, 2);
        if let Event::Record { value, .. } = &mut other.1 {
            value.push('!');
        }
        assert!(fault(vec![vec![other]], last()).contains("c! was delivered"));
    }
}
