//! A group whose members join, leave and are killed all the time, by chance from a seed.

use super::super::process::Process;
use super::tasks::{Client, Task, Tasks};
use anyhow::{Context, Result, bail, ensure};
use std::fmt;
use std::ops::Range;
use std::thread;
use std::time::{Duration, Instant};

const MEMBERS: usize = 5;
/// Milliseconds between two changes of a group. Some are shorter than a rebalance, some longer.
const PAUSE_MS: Range<u64> = 200..3_000;
/// Of a hundred members that go, those that are killed.
const KILLED_PERCENT: u64 = 45;
/// Longer than a rebalance that waits for members that were killed, and a broker that comes back.
const LEAVE_LIMIT: Duration = Duration::from_secs(60);
const LOOK_INTERVAL: Duration = Duration::from_millis(200);
/// A member joins, leaves or is killed at least this often, or the run has shown nothing.
const SECONDS_PER_CHANGE: u64 = 6;

/// Numbers by chance, the same ones for a seed.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    /// From a seed.
    pub(super) fn new(seed: u64) -> Self {
        Self((seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    fn within(&mut self, range: Range<u64>) -> u64 {
        range.start + self.below(range.end - range.start)
    }
}

/// What happened to a group's members.
#[derive(Clone, Debug)]
pub(super) struct Changes {
    /// The group.
    pub(super) group: &'static str,
    /// Members that were started; they are numbered from 0.
    pub(super) joins: usize,
    leaves: usize,
    kills: usize,
}

impl Changes {
    /// Fails when too little happened to mean anything.
    pub(super) fn check_busy(&self, length: Duration) -> Result<()> {
        let least = usize::try_from(length.as_secs() / SECONDS_PER_CHANGE)?;
        let went = self.leaves.min(self.kills);
        ensure!(
            self.joins >= least && went >= least / 4,
            "{self}: too few changes in {length:?}"
        );
        Ok(())
    }
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            group,
            joins,
            leaves,
            kills,
        } = self;
        write!(f, "{group}: {joins} joins, {leaves} leaves, {kills} kills")
    }
}

/// A group and its processes.
#[derive(Debug)]
pub(super) struct Group<'a> {
    tasks: &'a Tasks,
    strategy: &'static str,
    clients: [Client; MEMBERS],
    random: Random,
    members: [Option<Task>; MEMBERS],
    /// Asked to leave, with the time of it.
    leaving: Vec<(Process, Instant)>,
    sampler: Task,
    next_change: Instant,
    changes: Changes,
}

impl<'a> Group<'a> {
    /// Members that give everything up in a rebalance: librdkafka and kafka-python together.
    pub(super) fn eager(tasks: &'a Tasks, random: Random) -> Result<Self> {
        let mut clients = [Client::Confluent; MEMBERS];
        clients[MEMBERS - 1] = Client::KafkaPython;
        Self::new(tasks, random, "eager", "range", clients)
    }

    /// Members that keep what stays theirs (KIP-429).
    pub(super) fn cooperative(tasks: &'a Tasks, random: Random) -> Result<Self> {
        let clients = [Client::Confluent; MEMBERS];
        Self::new(tasks, random, "cooperative", "cooperative-sticky", clients)
    }

    fn new(
        tasks: &'a Tasks,
        random: Random,
        group: &'static str,
        strategy: &'static str,
        clients: [Client; MEMBERS],
    ) -> Result<Self> {
        let mut made = Self {
            tasks,
            strategy,
            clients,
            random,
            members: [const { None }; MEMBERS],
            leaving: Vec::new(),
            sampler: tasks.sampler(group)?,
            next_change: Instant::now(),
            changes: Changes {
                group,
                joins: 0,
                leaves: 0,
                kills: 0,
            },
        };
        made.fill()?;
        Ok(made)
    }

    /// Does what is due, and looks whether everyone is well.
    pub(super) fn step(&mut self) -> Result<()> {
        self.check_well()?;
        if Instant::now() < self.next_change {
            return Ok(());
        }
        let pause = self.random.within(PAUSE_MS);
        self.next_change = Instant::now() + Duration::from_millis(pause);
        let slot = usize::try_from(self.random.below(MEMBERS as u64))?;
        let Some(member) = self.members[slot].take() else {
            return self.join(slot);
        };
        if self.random.below(100) < KILLED_PERCENT {
            member.kill();
            self.changes.kills += 1;
        } else {
            self.leaving.push((member.ask_to_end(), Instant::now()));
            self.changes.leaves += 1;
        }
        // Soon someone joins in another's place, so that the group stays close to five.
        match self.members.iter().position(Option::is_none) {
            Some(other) if other != slot => self.join(other),
            _ => Ok(()),
        }
    }

    fn join(&mut self, slot: usize) -> Result<()> {
        let number = self.changes.joins;
        let group = self.changes.group;
        let member = self
            .tasks
            .member(group, number, self.clients[slot], self.strategy)?;
        self.members[slot] = Some(member);
        self.changes.joins += 1;
        Ok(())
    }

    /// Starts who is missing.
    pub(super) fn fill(&mut self) -> Result<()> {
        for slot in 0..MEMBERS {
            if self.members[slot].is_none() {
                self.join(slot)?;
            }
        }
        Ok(())
    }

    fn check_well(&mut self) -> Result<()> {
        let group = self.changes.group;
        for member in self.members.iter_mut().flatten() {
            member
                .check_running()
                .with_context(|| format!("a member of {group}"))?;
        }
        self.sampler
            .check_running()
            .with_context(|| format!("the sampler of {group}"))?;
        let mut index = 0;
        while let Some((process, since)) = self.leaving.get_mut(index) {
            let Some(status) = process.try_wait()? else {
                if since.elapsed() > LEAVE_LIMIT {
                    bail!("a member of {group} did not leave within {LEAVE_LIMIT:?}");
                }
                index += 1;
                continue;
            };
            if !status.success() {
                let errors = process.last_errors();
                bail!("a member of {group} that was leaving ended with {status}: {errors}");
            }
            self.leaving.swap_remove(index);
        }
        Ok(())
    }

    /// Waits until the group has committed all of the log.
    pub(super) fn wait_committed(&mut self, ends: &[i64], limit: Duration) -> Result<()> {
        let group = self.changes.group;
        let begin = Instant::now();
        loop {
            self.check_well()?;
            let found = self.tasks.last_sample(group)?;
            if found == ends {
                return Ok(());
            }
            if begin.elapsed() > limit {
                bail!("{group} has not read all in {limit:?}: it is at {found:?} of {ends:?}");
            }
            thread::sleep(LOOK_INTERVAL);
        }
    }

    /// One line on what has happened.
    pub(super) fn so_far(&self) -> String {
        self.changes.to_string()
    }

    /// Lets everyone leave.
    pub(super) fn finish(mut self) -> Result<Changes> {
        for member in self.members.iter_mut().filter_map(Option::take) {
            self.leaving.push((member.ask_to_end(), Instant::now()));
        }
        while !self.leaving.is_empty() {
            self.check_well()?;
            thread::sleep(LOOK_INTERVAL);
        }
        self.sampler.end(LEAVE_LIMIT)?;
        Ok(self.changes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_numbers_within_their_range() {
        let numbers = |seed| {
            let mut random = Random::new(seed);
            (0..50).map(|_| random.within(3..9)).collect::<Vec<_>>()
        };
        assert_eq!(numbers(1), numbers(1));
        assert_ne!(numbers(1), numbers(2));
        assert!(numbers(1).iter().all(|number| (3..9).contains(number)));
    }

    #[test]
    fn a_run_without_changes_has_shown_nothing() {
        let mut changes = Changes {
            group: "g",
            joins: 50,
            leaves: 20,
            kills: 20,
        };
        changes.check_busy(Duration::from_secs(300)).unwrap();
        changes.kills = 0;
        assert!(changes.check_busy(Duration::from_secs(300)).is_err());
    }
}
