//! Reading as a member of a consumer group: what was printed is committed once a second, before
//! every rebalance and at the end, so a record comes again only after a crash.

use super::reader::Reader;
use super::{Args, keep_partitions, start};
use crate::client::{At, Cluster, Member, Offsets, Standing, list_offsets};
use anyhow::{Context, Result};
use millrace_engine::io::group::on_terminate;
use std::collections::BTreeMap;
use std::io::{BufWriter, Stdout, Write, stdout};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const COMMIT_INTERVAL: Duration = Duration::from_secs(1);
/// Between heartbeats' turns while nothing is assigned.
const IDLE_INTERVAL: Duration = Duration::from_millis(100);

struct Session<'a> {
    args: &'a Args,
    member: Member,
    reader: Reader,
    out: BufWriter<Stdout>,
    committed: Offsets,
    commit_due: Instant,
    /// Records that may still be printed.
    left: u64,
    is_stopped: Arc<AtomicBool>,
}

/// Prints until the end that was asked for, or until ctrl-C; leaves the group either way.
pub(super) fn run(args: &Args, group: &str, cluster: Cluster) -> Result<()> {
    let is_stopped = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&is_stopped);
    on_terminate(move |times| {
        if times > 1 {
            // KAFKA: the group waits for the session's end, as after a crash.
            std::process::exit(130);
        }
        told.store(true, Ordering::Relaxed);
    })
    .context("ctrl-C cannot be caught")?;
    let mut session = Session {
        args,
        member: Member::new(group, &args.topic),
        reader: Reader::new(cluster),
        out: BufWriter::new(stdout()),
        committed: Offsets::new(),
        commit_due: Instant::now() + COMMIT_INTERVAL,
        left: args.count.unwrap_or(u64::MAX),
        is_stopped,
    };
    let read = session.read();
    let left = session.member.leave(session.reader.cluster());
    read.and(left)
}

impl Session<'_> {
    fn read(&mut self) -> Result<()> {
        loop {
            self.join()?;
            if self.read_assigned()? == Standing::Member {
                return Ok(());
            }
        }
    }

    /// Joins and goes to where the group is.
    fn join(&mut self) -> Result<()> {
        let partitions = self.member.join(self.reader.cluster())?;
        let cluster = self.reader.cluster();
        let mut topic = cluster.topic(&self.args.topic, false)?;
        keep_partitions(&mut topic, &partitions)?;
        let listed: Vec<String> = partitions.iter().map(ToString::to_string).collect();
        let listed = if listed.is_empty() {
            "none".to_owned()
        } else {
            listed.join(",")
        };
        eprintln!("assigned partitions of {}: {listed}", topic.name);
        let coordinator = self.member.coordinator();
        let committed = coordinator.committed_of(cluster, &topic.name, &partitions)?;
        let earliest = list_offsets(cluster, &topic, At::Earliest)?;
        let ends = start::ends(cluster, &topic)?;
        let mut starts = start::offsets(cluster, &topic, self.args.from)?;
        for ((_, partition), &offset) in &committed {
            let first = earliest.get(partition).copied().unwrap_or(0);
            let end = ends.get(partition).copied().unwrap_or(i64::MAX);
            if (first..=end).contains(&offset) {
                starts.insert(*partition, offset);
            } else {
                eprintln!(
                    "partition {partition}: the committed offset {offset} is outside of \
                     [{first}, {end}]; going to --from"
                );
            }
        }
        self.committed = committed;
        let ends = if self.args.follow {
            BTreeMap::new()
        } else {
            ends
        };
        self.reader.assign(topic, starts, ends);
        Ok(())
    }

    /// `Member`: the end that was asked for; what was printed is committed.
    fn read_assigned(&mut self) -> Result<Standing> {
        loop {
            let is_over = self.left == 0
                || self.is_stopped.load(Ordering::Relaxed)
                || (!self.args.follow && self.reader.is_done());
            if is_over {
                return self.commit();
            }
            if self.reader.has_work() {
                let (left, out, args) = (&mut self.left, &mut self.out, self.args);
                self.reader.poll(|record| {
                    *left -= 1;
                    args.format.write(out, &args.topic, record)?;
                    Ok(*left > 0)
                })?;
                self.out.flush()?;
            } else {
                thread::sleep(IDLE_INTERVAL);
            }
            if Instant::now() >= self.commit_due && self.commit()? == Standing::MustJoin {
                return Ok(Standing::MustJoin);
            }
            if self.member.heartbeat(self.reader.cluster())? == Standing::MustJoin {
                // Best before others take over; refused, the records since the last one come again.
                let _ = self.commit()?;
                return Ok(Standing::MustJoin);
            }
        }
    }

    /// Commits what was printed since the last time.
    fn commit(&mut self) -> Result<Standing> {
        self.commit_due = Instant::now() + COMMIT_INTERVAL;
        let topic = &self.args.topic;
        let printed = self.reader.positions().iter();
        let changed: Offsets = printed
            .map(|(&partition, &position)| ((topic.clone(), partition), position))
            .filter(|(place, position)| self.committed.get(place) != Some(position))
            .collect();
        if changed.is_empty() {
            return Ok(Standing::Member);
        }
        let standing = self.member.commit(self.reader.cluster(), &changed)?;
        if standing == Standing::Member {
            self.committed.extend(changed);
        }
        Ok(standing)
    }
}
