//! A round: one data directory, one history, a number of cycles of one fault, and the verdict.

use crate::clients::{self, Orders, PARTITIONS, TOPIC};
use crate::content;
use crate::fault::{Fault, Group, Hog, SmallDisk, signal};
use crate::scribe::Scribe;
use anyhow::{Context, Result, anyhow, bail, ensure};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use xtask::broker::{Broker, Setup};
use xtask::history::{Kind, check};
use xtask::images::dice::Dice;

/// Nobody has been answered for so long: something hangs.
const PROGRESS_LIMIT: Duration = Duration::from_secs(60);
/// Records that must be acknowledged between two crashes.
const PROGRESS_MIN: u64 = 100;
/// Of so many cycles, one has a second recovery that is compared with the first.
const COMPARED: u64 = 6;
const LOOK_EVERY: Duration = Duration::from_millis(5);
const KILLED_LIMIT: Duration = Duration::from_secs(30);
/// Space that is left on a disk that is filled.
const LEFT_BYTES: u64 = 2 << 20;
/// Nothing acknowledged for so long: the disk is full.
const STANDSTILL: Duration = Duration::from_millis(1500);
/// Readers and producers number from here on.
const PRODUCERS: [(u32, bool); 3] = [(1, true), (2, true), (3, false)];
const READERS: [u32; 2] = [11, 12];
const COMMITTER: u32 = 21;
const LAST_READER: u32 = 31;

/// What a round is about.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) binary: PathBuf,
    pub(crate) folder: PathBuf,
    pub(crate) fault: Fault,
    pub(crate) cycles: u64,
    pub(crate) number: u64,
    pub(crate) setup: Setup,
}

/// What it found.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) cycles: u64,
    pub(crate) compared: u64,
    pub(crate) acked: u64,
    pub(crate) lost: u64,
    pub(crate) duplicates: u64,
    pub(crate) others: u64,
}

impl Tally {
    pub(crate) const fn add(&mut self, other: &Self) {
        self.cycles += other.cycles;
        self.compared += other.compared;
        self.acked += other.acked;
        self.lost += other.lost;
        self.duplicates += other.duplicates;
        self.others += other.others;
    }
}

struct Round<'a> {
    plan: &'a Plan,
    broker: Broker,
    disk: Option<SmallDisk>,
    scribe: Scribe,
    dice: Dice,
    tally: Tally,
}

/// Runs a round. An error comes with what was found by then.
pub(crate) fn run(plan: &Plan) -> Result<Tally, (anyhow::Error, Tally)> {
    let mut tally = Tally::default();
    match run_into(plan, &mut tally) {
        Ok(()) => Ok(tally),
        Err(error) => Err((error, tally)),
    }
}

fn run_into(plan: &Plan, tally: &mut Tally) -> Result<()> {
    std::fs::create_dir_all(&plan.folder)?;
    let disk = match plan.fault.wants_small_disk() {
        true => Some(SmallDisk::make(&plan.folder)?),
        false => None,
    };
    let data = disk
        .as_ref()
        .map_or(&*plan.folder, SmallDisk::place)
        .join("data");
    let mut round = Round {
        broker: Broker::start_on(&plan.binary, &plan.folder, &data, &plan.setup)?,
        plan,
        disk,
        scribe: Scribe::new(),
        dice: Dice::new(plan.number, plan.fault as u64),
        tally: Tally::default(),
    };
    let address = round.broker.address();
    create_topic(&address)?;
    let clients = Clients::start(&address, &round.scribe);
    let failed = round.cycles().err().or_else(|| clients.end().err());
    let judged = round.judge();
    *tally = round.tally;
    judged?;
    if let Some(failure) = failed {
        return Err(failure);
    }
    round.broker.stop()?;
    drop(round);
    std::fs::remove_dir_all(&plan.folder).context("remove a round's folder")
}

type Client = JoinHandle<Result<(), String>>;

/// The threads of a round's clients. After a failure nobody waits for them: without a broker some
/// never end.
struct Clients {
    address: String,
    scribe: Scribe,
    orders: Arc<Orders>,
    producers: Vec<Client>,
    others: Vec<Client>,
}

impl Clients {
    fn start(address: &str, scribe: &Scribe) -> Self {
        let mut clients = Self {
            address: address.to_owned(),
            scribe: scribe.clone(),
            orders: Arc::default(),
            producers: Vec::new(),
            others: Vec::new(),
        };
        for (number, is_idempotent) in PRODUCERS {
            let producer = clients.spawn(move |address, scribe, orders| {
                clients::produce(address, scribe, number, is_idempotent, orders)
            });
            clients.producers.push(producer);
        }
        for number in READERS {
            let reader = clients.spawn(move |address, scribe, orders| {
                clients::read(address, scribe, number, orders, false)
            });
            clients.others.push(reader);
        }
        let committer = clients.spawn(move |address, scribe, orders| {
            clients::commit(address, scribe, COMMITTER, orders)
        });
        clients.others.push(committer);
        clients
    }

    fn spawn<F>(&self, work: F) -> Client
    where
        F: FnOnce(&str, &Scribe, &Orders) -> Result<(), String> + Send + 'static,
    {
        let address = self.address.clone();
        let (scribe, orders) = (self.scribe.clone(), Arc::clone(&self.orders));
        std::thread::spawn(move || work(&address, &scribe, &orders))
    }

    /// Producers are answered, one more reader reads all there is, the others end.
    fn end(self) -> Result<()> {
        self.orders.is_drained.store(true, Ordering::Relaxed);
        self.producers.into_iter().try_for_each(joined)?;
        clients::read(&self.address, &self.scribe, LAST_READER, &self.orders, true)
            .map_err(|problem| anyhow!(problem))?;
        self.orders.is_over.store(true, Ordering::Relaxed);
        self.others.into_iter().try_for_each(joined)
    }
}

fn joined(thread: Client) -> Result<()> {
    let ended = thread.join().map_err(|_| anyhow!("a client panicked"))?;
    ended.map_err(|problem| anyhow!(problem))
}

fn create_topic(address: &str) -> Result<()> {
    let admin: AdminClient<DefaultClientContext> = clients::config(address).create()?;
    let topic = NewTopic::new(TOPIC, PARTITIONS, TopicReplication::Fixed(1));
    // Small segments, so that they roll.
    let topics = [topic.set("segment.bytes", "1048576")];
    let options = AdminOptions::new();
    let made = admin.create_topics(&topics, &options);
    for result in content::wait(made)?? {
        result.map_err(|(name, code)| anyhow!("create {name}: {code}"))?;
    }
    Ok(())
}

impl Round<'_> {
    fn cycles(&mut self) -> Result<()> {
        for cycle in 0..self.plan.cycles {
            let what = format!("{} cycle {cycle}", self.plan.fault.name());
            self.progress().with_context(|| format!("before {what}"))?;
            self.cycle().with_context(|| what.clone())?;
            if cycle % COMPARED == COMPARED - 1 {
                self.compare().with_context(|| what.clone())?;
            }
            if self.broker.process_id().is_err() {
                self.broker.start_again(&self.plan.setup).context(what)?;
            }
            self.tally.cycles += 1;
        }
        self.progress().context("after the last cycle")
    }

    /// Waits until something was acknowledged since, then for a moment by chance.
    fn progress(&mut self) -> Result<()> {
        let before = self.scribe.acked();
        let begin = Instant::now();
        while self.scribe.acked() < before + PROGRESS_MIN {
            ensure!(
                begin.elapsed() < PROGRESS_LIMIT,
                "{} records acknowledged in {PROGRESS_LIMIT:?}",
                self.scribe.acked() - before
            );
            std::thread::park_timeout(LOOK_EVERY);
        }
        self.pause(0..800);
        Ok(())
    }

    fn pause(&mut self, ms: std::ops::Range<u64>) {
        let until = Instant::now() + Duration::from_millis(self.dice.within(&ms));
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            std::thread::park_timeout(left);
        }
    }

    /// The broker comes to harm.
    fn cycle(&mut self) -> Result<()> {
        match self.plan.fault {
            Fault::Kill => self.broker.kill(),
            Fault::Stop => self.stop_and_go(),
            Fault::Oom => self.run_out_of_memory(),
            Fault::FullDisk => self.fill_disk(),
            Fault::SlowDisk => self.slow_disk(),
        }
    }

    fn stop_and_go(&mut self) -> Result<()> {
        let process = self.broker.process_id()?;
        signal("STOP", process)?;
        self.pause(100..1500);
        match self.dice.chance(1, 2) {
            true => signal("CONT", process),
            false => self.broker.kill(),
        }
    }

    fn run_out_of_memory(&mut self) -> Result<()> {
        let group = Group::make("memory")?;
        let process = self.broker.process_id()?;
        group.add(process)?;
        // Of the two in the group, the broker is the one to go.
        std::fs::write(format!("/proc/{process}/oom_score_adj"), "1000")?;
        let limit = group.number("memory.usage_in_bytes")? + (64 << 20);
        group.set("memory.limit_in_bytes", &limit.to_string())?;
        let hog = Hog::start(&group)?;
        let status = self.broker.wait_ended(KILLED_LIMIT);
        drop(hog);
        let status = status.context("the OOM killer left it alone")?;
        ensure!(!status.success(), "it ended with {status}");
        Ok(())
    }

    fn fill_disk(&mut self) -> Result<()> {
        let disk = self.disk.as_ref().context("no small disk")?;
        let filler = disk.fill(LEFT_BYTES)?;
        let begin = Instant::now();
        let mut newest = (self.scribe.acked(), Instant::now());
        // Until nothing more is taken.
        while newest.1.elapsed() < STANDSTILL {
            let acked = self.scribe.acked();
            if acked > newest.0 {
                newest = (acked, Instant::now());
            }
            ensure!(
                begin.elapsed() < PROGRESS_LIMIT,
                "a full disk takes more and more"
            );
            std::thread::park_timeout(LOOK_EVERY);
        }
        if self.dice.chance(1, 2) {
            // It goes on by itself when there is space again.
            drop(filler);
            return Ok(());
        }
        self.broker.kill()?;
        self.broker
            .start_again(&self.plan.setup)
            .context("on a full disk")?;
        content::read(&self.broker.address()).context("on a full disk")?;
        Ok(())
    }

    fn slow_disk(&mut self) -> Result<()> {
        let disk = self.disk.as_ref().context("no small disk")?;
        let group = Group::make("blkio")?;
        group.add(self.broker.process_id()?)?;
        let bytes_per_second = 100_000 + self.dice.below(900_000);
        let device = disk.device()?;
        let limit = |bytes: u64| {
            let line = format!("{device} {bytes}");
            group.set("blkio.throttle.write_bps_device", &line)
        };
        limit(bytes_per_second)?;
        self.pause(500..3000);
        signal("KILL", self.broker.process_id()?)?;
        // A process is gone when its writes are.
        limit(0)?;
        self.broker.wait_ended(KILLED_LIMIT).map(drop)
    }

    /// The content after one recovery, and after another that is begun where the first one was
    /// killed.
    fn compare(&mut self) -> Result<()> {
        if self.broker.process_id().is_ok() {
            self.broker.kill()?;
        }
        let first = self.broker.aside(&self.plan.setup, content::read)?;
        let second = self.broker.aside(&self.plan.setup, content::read)?;
        self.tally.compared += 1;
        if first != second {
            self.tally.others += 1;
            println!("a second recovery changed {first:?} to {second:?}");
        }
        Ok(())
    }

    fn judge(&mut self) -> Result<()> {
        let history = self.scribe.copy();
        self.tally.acked = self.scribe.acked();
        let violations = check(&history);
        for violation in violations.iter().take(10) {
            println!("{violation}");
        }
        for violation in &violations {
            match violation.kind {
                Kind::LostAckedWrite => self.tally.lost += 1,
                Kind::Duplicate => self.tally.duplicates += 1,
                _ => self.tally.others += 1,
            }
        }
        if self.tally.lost + self.tally.duplicates + self.tally.others > 0 {
            let file = self.plan.folder.with_extension("history");
            std::fs::write(&file, history.to_text())?;
            bail!(
                "judge it again: cargo xtask check-history {}",
                file.display()
            );
        }
        Ok(())
    }
}
