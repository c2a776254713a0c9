//! Runs a suite: a fresh broker per setup, ids side by side, a line per id, a table, a verdict.

use super::super::Args;
use super::super::broker::Setup;
use super::node::{Node, Peer};
use super::results::{Outcome, Row, Table, read_list, write_list};
use anyhow::{Context as _, Result, bail};
use std::collections::BTreeSet;
use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// What one id may use.
#[derive(Clone, Debug)]
pub(super) struct Context {
    /// The broker's address.
    pub(super) address: String,
    /// A folder for logs; names begin with the id.
    pub(super) logs: PathBuf,
}

/// A suite that is installed.
pub(super) trait Suite: Sync {
    /// All of its ids.
    fn ids(&self) -> Result<Vec<String>>;
    /// Settings of the broker, with Kafka's names.
    fn settings(&self) -> &'static [(&'static str, &'static str)];
    /// Ids that may run at the same time.
    fn jobs(&self) -> usize;
    /// Cores and ways to advertise: an id passes when it passes on each. Kafka has but one.
    fn setups(&self) -> Vec<(&'static str, &'static str)> {
        vec![("0,1", "single")]
    }
    /// Runs one id to its end, within a time limit of the suite.
    fn run(&self, id: &str, context: &Context) -> Result<Outcome>;
}

/// Which ids, where, and where results go.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    /// The suite's name.
    pub(super) name: &'static str,
    /// The command line.
    pub(super) args: &'a Args,
    /// The broker to test.
    pub(super) binary: &'a Path,
    /// `target/interop`.
    pub(super) folder: &'a Path,
}

impl Plan<'_> {
    fn table_path(&self) -> PathBuf {
        let peer = self.args.peer.name();
        self.folder.join(format!("{}-{peer}.tsv", self.name))
    }

    /// Kept in the repository.
    fn list_path(&self, kind: &str) -> PathBuf {
        let lists = crate::workspace_root().join("tools/xtask/interop");
        lists.join(kind).join(format!("{}.txt", self.name))
    }

    /// Runs what was asked for and compares.
    pub(super) fn run(&self, suite: &dyn Suite) -> Result<()> {
        let all: Vec<String> = suite.ids()?;
        let mut table = match self.args.is_continued || !self.args.ids.is_empty() {
            true => Table::load(&self.table_path())?,
            false => Table::default(),
        };
        table.0.retain(|id, _| all.contains(id));
        let chosen = self.chosen(&all, &table)?;
        let deadline = self
            .args
            .seconds
            .map(|seconds| Instant::now() + Duration::from_secs(seconds));
        let fresh = self.run_setups(suite, &chosen, deadline)?;
        table.0.extend(fresh.0);
        table.save(&self.table_path())?;
        self.conclude(&all, &table)
    }

    fn chosen(&self, all: &[String], table: &Table) -> Result<Vec<String>> {
        if let Some(unknown) = self.args.ids.iter().find(|id| !all.contains(id)) {
            bail!(
                "{}: no id `{unknown}`; ids are {}",
                self.name,
                all.join(" ")
            );
        }
        let is_asked = |id: &&String| self.args.ids.is_empty() || self.args.ids.contains(id);
        let is_due = |id: &&String| !self.args.is_continued || !table.0.contains_key(*id);
        Ok(all
            .iter()
            .filter(is_asked)
            .filter(is_due)
            .cloned()
            .collect())
    }

    /// One run of the chosen ids per setup; an id that a deadline cut off in one has no row.
    fn run_setups(
        &self,
        suite: &dyn Suite,
        chosen: &[String],
        deadline: Option<Instant>,
    ) -> Result<Table> {
        let mut merged: Option<Table> = None;
        for setup in self.setups(suite) {
            let table = self.run_setup(suite, chosen, &setup, deadline)?;
            merged = Some(match merged {
                None => table,
                Some(before) => worst(before, &table),
            });
        }
        merged.context("no setup to run on")
    }

    fn setups(&self, suite: &dyn Suite) -> Vec<Setup> {
        let mut pairs = suite.setups();
        if self.args.peer == Peer::Kafka {
            pairs.truncate(1);
        }
        let wants = |wanted: Option<usize>, cores: &str| {
            wanted.is_none_or(|shards| shards == cores.split(',').count())
        };
        let mut setups = Vec::new();
        for (cores, advertise) in pairs {
            let is_advertised = self
                .args
                .advertise
                .as_deref()
                .is_none_or(|it| it == advertise);
            if wants(self.args.shards, cores) && is_advertised {
                let settings = suite.settings();
                setups.push(Setup {
                    cores,
                    advertise,
                    settings,
                });
            }
        }
        setups
    }

    fn run_setup(
        &self,
        suite: &dyn Suite,
        chosen: &[String],
        setup: &Setup,
        deadline: Option<Instant>,
    ) -> Result<Table> {
        let peer = self.args.peer;
        let shards = setup.cores.split(',').count();
        let place = match peer {
            Peer::Kafka => "kafka".to_owned(),
            Peer::Millrace => format!("{shards}-{}", setup.advertise),
        };
        let logs = self.folder.join("suites").join(self.name).join(&place);
        if logs.exists() && self.args.ids.is_empty() && !self.args.is_continued {
            fs::remove_dir_all(&logs)?;
        }
        fs::create_dir_all(&logs)?;
        let data = logs.join("broker");
        if data.exists() {
            fs::remove_dir_all(&data)?;
        }
        fs::create_dir_all(&data)?;
        let node = Node::start(peer, self.binary, &data, setup)?;
        let context = Context {
            address: node.address(),
            logs,
        };
        let table = self.run_ids(suite, chosen, &context, &place, deadline);
        node.stop()
            .with_context(|| format!("{}, {place}", self.name))?;
        if !self.args.keep {
            fs::remove_dir_all(data.join("data"))?;
        }
        table
    }

    fn run_ids(
        &self,
        suite: &dyn Suite,
        chosen: &[String],
        context: &Context,
        place: &str,
        deadline: Option<Instant>,
    ) -> Result<Table> {
        let queue: Mutex<VecDeque<&String>> = Mutex::new(chosen.iter().collect());
        let results = Mutex::new(Table::default());
        let next = || lock(&queue).pop_front();
        let is_late = || deadline.is_some_and(|deadline| Instant::now() >= deadline);
        let work = || -> Result<()> {
            while !is_late() {
                let Some(id) = next() else { break };
                let start = Instant::now();
                let outcome = suite.run(id, context).with_context(|| id.clone())?;
                let seconds = start.elapsed().as_secs();
                println!(
                    "{} {place} {id}\t{}\t{seconds} s",
                    self.name,
                    outcome.line()
                );
                lock(&results)
                    .0
                    .insert(id.clone(), Row { outcome, seconds });
            }
            Ok(())
        };
        let jobs = self.args.jobs.unwrap_or(suite.jobs()).max(1);
        thread::scope(|scope| {
            let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(work)).collect();
            for worker in workers {
                match worker.join() {
                    Ok(done) => done?,
                    Err(_) => bail!("a worker panicked"),
                }
            }
            Ok(())
        })?;
        Ok(results.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    /// Compares with the committed lists and prints the closing line.
    fn conclude(&self, all: &[String], table: &Table) -> Result<()> {
        let passed = table.passed();
        let is_whole = all.iter().all(|id| table.0.contains_key(id));
        let kind = match self.args.peer {
            Peer::Millrace => "expected",
            Peer::Kafka => "kafka",
        };
        if self.args.is_written {
            if !is_whole {
                bail!("{}: only a whole run is written; use --continue", self.name);
            }
            write_list(&self.list_path(kind), &passed)?;
        }
        let missing = table.missing(&read_list(&self.list_path(kind))?, is_whole);
        for line in &missing {
            println!("{} must pass and does not: {line}", self.name);
        }
        if !is_whole {
            let run = table.0.len();
            println!("{}: {run} of {} ids have run", self.name, all.len());
        } else if self.args.peer == Peer::Kafka {
            println!("{}: Kafka {} of {}", self.name, passed.len(), all.len());
        } else {
            let theirs = read_list(&self.list_path("kafka"))?;
            println!("{}", closing_line(self.name, &passed, &theirs, all.len()));
        }
        if !missing.is_empty() {
            bail!("{}: {} ids stopped passing", self.name, missing.len());
        }
        Ok(())
    }
}

/// `SUITE: ours P of K that Kafka passes, N in all`.
fn closing_line(
    name: &str,
    ours: &BTreeSet<String>,
    theirs: &BTreeSet<String>,
    all: usize,
) -> String {
    let both = ours.intersection(theirs).count();
    format!(
        "{name}: ours {both} of {} that Kafka passes, {all} in all",
        theirs.len()
    )
}

/// The worse outcome of each id that has a row in both.
fn worst(before: Table, after: &Table) -> Table {
    let mut merged = Table::default();
    for (id, row) in before.0 {
        if let Some(other) = after.0.get(&id) {
            let outcome = row.outcome.worse(other.outcome.clone());
            let seconds = row.seconds + other.seconds;
            merged.0.insert(id, Row { outcome, seconds });
        }
    }
    merged
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(rows: &[(&str, Outcome)]) -> Table {
        let row = |outcome: &Outcome| Row {
            outcome: outcome.clone(),
            seconds: 2,
        };
        Table(
            rows.iter()
                .map(|(id, outcome)| ((*id).to_owned(), row(outcome)))
                .collect(),
        )
    }

    #[test]
    fn an_id_passes_only_when_every_setup_ran_it_and_passed_it() {
        let failed = Outcome::Failed("x".into());
        let first = table(&[
            ("a", Outcome::Passed),
            ("b", Outcome::Passed),
            ("c", Outcome::Passed),
        ]);
        let second = table(&[("a", Outcome::Passed), ("b", failed)]);
        let both = worst(first, &second);
        assert_eq!(both.passed(), ["a".to_owned()].into());
        assert_eq!(both.0.len(), 2);
        assert_eq!(both.0["a"].seconds, 4);
    }

    #[test]
    fn the_closing_line_counts_what_both_pass() {
        let list = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect();
        let line = closing_line("s", &list(&["a", "b", "x"]), &list(&["a", "b", "c"]), 9);
        assert_eq!(line, "s: ours 2 of 3 that Kafka passes, 9 in all");
    }
}
