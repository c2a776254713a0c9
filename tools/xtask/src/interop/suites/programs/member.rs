//! A member of a group: a running program whose lines say what it was assigned and what it read.

use super::super::super::process::Process;
use anyhow::{Context, Result, bail};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const LOOK_INTERVAL: Duration = Duration::from_millis(50);
/// Longer than a session and a rebalance together.
const CHANGE_LIMIT: Duration = Duration::from_secs(60);
const LEAVE_LIMIT: Duration = Duration::from_secs(40);

/// A running member; killed when dropped.
#[derive(Debug)]
pub(super) struct Member {
    process: Process,
    /// Its end tells the member to leave.
    stdin: ChildStdin,
    printed: PathBuf,
}

/// Values by partition and offset.
type Records = BTreeMap<(u64, u64), u64>;

impl Member {
    /// Starts one that prints to `<log>.out`.
    pub(super) fn start(command: &mut Command, log: &Path) -> Result<Self> {
        let mut process = Process::start(command, log, Stdio::piped())?;
        let stdin = process.take_stdin()?;
        let printed = log.with_extension("out");
        Ok(Self {
            process,
            stdin,
            printed,
        })
    }

    /// What it has read.
    pub(super) fn records(&self) -> Result<Records> {
        records(&self.text()?)
    }

    /// Partitions it has, as it printed last.
    fn assigned(&self) -> Result<Option<u64>> {
        Ok(assigned(&self.text()?))
    }

    /// Whole lines only: the last one may be half written.
    fn text(&self) -> Result<String> {
        let text = std::fs::read_to_string(&self.printed).context("what a member printed")?;
        let end = text.rfind('\n').map_or(0, |at| at + 1);
        Ok(text[..end].to_owned())
    }

    /// Waits until it has so many partitions.
    pub(super) fn wait_assigned(&self, count: u64) -> Result<()> {
        wait(&format!("a member has {count} partitions"), &[self], || {
            Ok(self.assigned()? == Some(count))
        })
    }

    /// Waits until two members have each some of `count` partitions and all of them together.
    pub(super) fn wait_shared(first: &Self, second: &Self, count: u64) -> Result<()> {
        wait("two members share the partitions", &[first, second], || {
            let each = (
                first.assigned()?.unwrap_or(0),
                second.assigned()?.unwrap_or(0),
            );
            Ok(each.0 > 0 && each.1 > 0 && each.0 + each.1 == count)
        })
    }

    /// Waits until it has read the values of a range.
    pub(super) fn wait_records(&self, values: Range<u64>) -> Result<()> {
        Self::wait_together(&[self], values)
    }

    /// Waits until members have read the values of a range between them.
    pub(super) fn wait_together(members: &[&Self], values: Range<u64>) -> Result<()> {
        wait(&format!("records {values:?} were read"), members, || {
            let mut read = BTreeSet::new();
            for member in members {
                read.extend(member.records()?.into_values());
            }
            Ok(values.clone().all(|value| read.contains(&value)))
        })
    }

    /// Lets it commit, leave and end.
    pub(super) fn leave(self) -> Result<()> {
        let Self { process, stdin, .. } = self;
        drop(stdin);
        process.finish(LEAVE_LIMIT).map(drop)
    }

    /// Ends it without a word to the group.
    pub(super) fn kill(mut self) {
        self.process.kill();
    }
}

fn wait(what: &str, members: &[&Member], mut is_so: impl FnMut() -> Result<bool>) -> Result<()> {
    let start = Instant::now();
    while start.elapsed() < CHANGE_LIMIT {
        if is_so()? {
            return Ok(());
        }
        thread::sleep(LOOK_INTERVAL);
    }
    let errors: Vec<String> = members.iter().map(|it| it.process.last_errors()).collect();
    bail!(
        "not within {CHANGE_LIMIT:?}: {what}; members said: {}",
        errors.join("; ")
    )
}

fn records(text: &str) -> Result<Records> {
    let mut records = Records::new();
    for line in text.lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        let ["record", partition, offset, value] = fields[..] else {
            continue;
        };
        let number = value.strip_prefix('v').context("a value is v<number>")?;
        records.insert((partition.parse()?, offset.parse()?), number.parse()?);
    }
    Ok(records)
}

fn assigned(text: &str) -> Option<u64> {
    let lines = text.lines().rev();
    lines
        .filter_map(|line| line.strip_prefix("assigned ")?.parse().ok())
        .next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_member_are_read() {
        let text = "assigned 3\nrecord 0 1 v7\nnoise\nassigned 2\nrecord 1 0 v4\n";
        assert_eq!(assigned(text), Some(2));
        assert_eq!(records(text).unwrap(), [((0, 1), 7), ((1, 0), 4)].into());
        assert_eq!(assigned(""), None);
        assert!(records("record 0 1 x7\n").is_err());
    }
}
