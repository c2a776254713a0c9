//! `cargo xtask interop group-endurance`: two groups of five real consumers over 64 partitions,
//! under constant joins, leaves and kills beside idempotent producers, while the broker is killed.
//!
//! Everything the processes did is in what they printed (`events.rs`), stamped by one clock;
//! `verdict.rs` decides from that and the whole log whether the groups kept every promise.

mod churn;
mod events;
mod group_verdict;
mod tasks;
mod verdict;

use super::broker::{Broker, Setup};
use super::{Args, process};
use anyhow::{Context, Result, bail, ensure};
use churn::{Group, Random};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};
use tasks::{Tasks, Workload};
use verdict::Story;

const PARTITIONS: u32 = 64;
const PRODUCERS: [&str; 2] = ["first", "second"];
/// Records a second of each producer.
const RATE: u32 = 400;
const DEFAULT_SECONDS: u64 = 300;
const BROKER_KILLS: u32 = 2;
const LOOK_INTERVAL: Duration = Duration::from_millis(50);
const PROGRESS_INTERVAL: Duration = Duration::from_secs(30);
const FLUSH_LIMIT: Duration = Duration::from_secs(150);
/// To read what is left once the producers are done.
const DRAIN_LIMIT: Duration = Duration::from_secs(90);
const READ_LIMIT: Duration = Duration::from_secs(180);
const CREATE_LIMIT: Duration = Duration::from_secs(20);
/// Short sessions, so that members that were killed are missed soon.
const SETTINGS: &[(&str, &str)] = &[
    ("group.min.session.timeout.ms", "1000"),
    ("group.initial.rebalance.delay.ms", "0"),
];

/// Runs it and gives the verdict as its last line.
///
/// # Errors
/// When a promise was broken, and when a process ended that should not have.
pub(super) fn run(args: &Args, binary: &Path, folder: &Path) -> Result<()> {
    let setup = Setup {
        cores: match args.shards {
            Some(1) => "0",
            Some(2) => "0,1",
            None | Some(4) => "0,0,1,1",
            Some(other) => bail!("--shards {other}: it is run with 1, 2 or 4"),
        },
        advertise: match args.advertise.as_deref() {
            None | Some("single") => "single",
            Some("per-core") => "per-core",
            Some(other) => bail!("--advertise {other}: single or per-core"),
        },
        settings: SETTINGS,
    };
    let folder = folder.join("group-endurance");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let length = Duration::from_secs(args.seconds.unwrap_or(DEFAULT_SECONDS));
    let said = endure(binary, &folder, &setup, length).with_context(|| {
        let logs = folder.display();
        format!("GROUP ENDURANCE: failed; logs and data are in {logs}")
    })?;
    if !args.keep {
        fs::remove_dir_all(&folder)?;
    }
    println!("GROUP ENDURANCE: passed in {} s: {said}", length.as_secs());
    Ok(())
}

/// The run and its judgement; what was counted.
fn endure(binary: &Path, folder: &Path, setup: &Setup, length: Duration) -> Result<String> {
    let mut broker = Broker::start(binary, folder, setup)?;
    let workload = Workload {
        address: broker.address(),
        topic: "endurance".to_owned(),
        partitions: PARTITIONS,
    };
    create(binary, folder, &workload)?;
    let tasks = Tasks::install(workload, folder)?;
    let producers = PRODUCERS
        .iter()
        .map(|name| tasks.producer(name, RATE))
        .collect::<Result<Vec<_>>>()?;
    let mut groups = [
        Group::eager(&tasks, Random::new(1))?,
        Group::cooperative(&tasks, Random::new(2))?,
    ];
    churn_for(length, &mut broker, setup, &mut groups)?;
    for producer in producers {
        producer.end(FLUSH_LIMIT)?;
    }
    for group in &mut groups {
        group.fill()?;
    }
    let ends = tasks.log_ends()?;
    for group in &mut groups {
        group.wait_committed(&ends, DRAIN_LIMIT)?;
    }
    let mut counts = Vec::new();
    for group in groups {
        counts.push(group.finish()?);
    }
    // What is compared is what a killed broker leaves on disk.
    broker.kill()?;
    broker.start_again(setup)?;
    let log = tasks.read(READ_LIMIT)?;
    broker.stop()?;
    let story = Story::read(folder, &PRODUCERS, &counts, log)?;
    let found = story.judge()?;
    for count in &counts {
        count.check_busy(length)?;
    }
    let changes: Vec<String> = counts.iter().map(ToString::to_string).collect();
    Ok(format!(
        "{found}; {}; {BROKER_KILLS} kills of the broker",
        changes.join("; ")
    ))
}

/// Members come and go; the broker is killed at even distances.
fn churn_for(
    length: Duration,
    broker: &mut Broker,
    setup: &Setup,
    groups: &mut [Group<'_>],
) -> Result<()> {
    let begin = Instant::now();
    let mut kills = 0;
    let mut next_progress = PROGRESS_INTERVAL;
    while begin.elapsed() < length {
        for group in groups.iter_mut() {
            group.step()?;
        }
        if kills < BROKER_KILLS && begin.elapsed() > length * (kills + 1) / (BROKER_KILLS + 1) {
            broker.kill()?;
            broker.start_again(setup)?;
            kills += 1;
        }
        if begin.elapsed() > next_progress {
            let changes: Vec<String> = groups.iter().map(|group| group.so_far()).collect();
            println!("{} s: {}", begin.elapsed().as_secs(), changes.join("; "));
            next_progress += PROGRESS_INTERVAL;
        }
        thread::sleep(LOOK_INTERVAL);
    }
    ensure!(
        kills == BROKER_KILLS,
        "{length:?} were too short for {BROKER_KILLS} kills of the broker"
    );
    Ok(())
}

fn create(binary: &Path, folder: &Path, workload: &Workload) -> Result<()> {
    let mut command = Command::new(binary);
    let partitions = workload.partitions.to_string();
    command.args(["topic", "create", &workload.topic]);
    command.args(["--partitions", &partitions, "--bootstrap"]);
    command.arg(&workload.address);
    process::run(&mut command, &folder.join("create"), CREATE_LIMIT).map(drop)
}
