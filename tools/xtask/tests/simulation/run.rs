//! One seed: a machine that lives, is stopped or dies many times under its clients' hands, heals,
//! and must then have kept every promise.

use super::actor::{Actor, NEVER};
use super::cast;
use super::coverage::{Coverage, Faults};
use super::limits::Limits;
use super::machine::Machine;
use super::reader::Reader;
use super::rot;
use super::scene::Scene;
use super::weather::Weather;
use millrace_engine::io::simulated::{Crash, Random, World, WorldConfig};
use std::net::SocketAddr;
use xtask::history::{Kind, check};

pub(super) const ADDRESS: SocketAddr = SocketAddr::new(
    std::net::IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 1)),
    9092,
);
pub(super) const SECOND_NS: u64 = 1_000_000_000;
/// After healing, everything that was begun is finished within this time.
const PROGRESS_NS: u64 = 120 * SECOND_NS;
/// Steps of the world in one life at most: beyond it something goes round for nothing.
const STEPS_MAX: u64 = 3_000_000;

/// Why a run ends early.
#[derive(Debug)]
pub(super) enum Halt {
    /// The machine stopped, as it was asked to.
    Crashed,
    /// Something that must not be.
    Wrong(String),
}

/// A run and what it went through.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) scene: Scene,
    pub(super) limits: Limits,
    pub(super) machine: Option<Machine>,
    pub(super) actors: Vec<Box<dyn Actor>>,
    pub(crate) coverage: Coverage,
    start_ns: u64,
    /// Number of the newest client.
    pub(super) next_actor: u32,
    steps_left: u64,
    /// What rotted while the machine was off.
    pub(super) rotten: Faults,
    /// Faults of the disk before this life.
    faults_before: u64,
}

impl Run {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random::stream(seed, 11);
        let limits = Limits::draw(&mut random);
        let mut config = WorldConfig {
            arena_bytes: limits.arena_bytes,
            ..WorldConfig::default()
        };
        if random.chance(1, 2) {
            config.disk.flush_all_per_million = 0;
        }
        let (world, ios) = World::new(seed, 1, config);
        drop(ios);
        world.kill();
        let start_ns = world.now_ns();
        let mut scene = Scene::new(world, random, ADDRESS);
        scene.is_clock_steady = scene.random.chance(1, 3);
        let actors = cast::cast(&mut scene);
        Self {
            next_actor: actors.len() as u32,
            scene,
            limits,
            machine: None,
            actors,
            coverage: Coverage::default(),
            start_ns,
            steps_left: 0,
            rotten: Faults::default(),
            faults_before: 0,
        }
    }

    /// Lives all lives, then judges.
    pub(crate) fn live(&mut self, lives: u32) -> Result<(), String> {
        for _ in 0..lives {
            self.life()?;
        }
        self.last_life()?;
        self.judge(|_| true)?;
        match self.scene.random.below(4) {
            0 => self.rot_and_read(),
            1 | 2 => self.be_lied_to_and_read(),
            _ => Ok(()),
        }
    }

    /// A number that two runs of one seed share.
    pub(crate) fn hash(&self) -> u64 {
        let history = crate::sum(self.scene.history.to_text().as_bytes());
        self.scene.world.event_hash() ^ history
    }

    pub(crate) fn sim_ns(&self) -> u64 {
        self.scene.world.now_ns() - self.start_ns
    }

    /// Whether what the clients saw is free of what `is_wrong` here.
    pub(super) fn judge(&mut self, is_wrong: impl Fn(Kind) -> bool) -> Result<(), String> {
        let counters = self.scene.world.counters();
        self.coverage.faults = Faults::of(&counters);
        self.coverage.faults.add(&self.rotten);
        self.coverage.work.damage_told = self.scene.damage_told;
        self.coverage.work.doorbells_merged = counters.doorbells_merged;
        self.coverage.work.polled_records = self.scene.polled_records;
        self.coverage.work.compacted_away = self.scene.compacted_away;
        self.coverage.work.compacted_logs_read = self.scene.compacted_logs_read;
        self.coverage.work.sessions_begun = self.scene.sessions_begun;
        self.coverage.work.sessions_gone_on = self.scene.sessions_gone_on;
        self.coverage.work.sessions_lost = self.scene.sessions_lost;
        self.coverage.work.sessions_stale = self.scene.sessions_stale;
        self.coverage.work.sessions_left_out = self.scene.sessions_left_out;
        self.coverage.work.metadata_told = self.scene.metadata_told;
        self.coverage.work.awaited_deletions = self.scene.awaited_deletions;
        self.coverage.work.trims = self.scene.trims_done;
        self.coverage.work.topics_deleted = self.scene.topics_deleted;
        self.coverage.work.probes = self.scene.probes_done;
        self.coverage.work.offset_commits = self.scene.commits_done;
        self.coverage.work.offsets_fetched = self.scene.offsets_fetched;
        self.coverage.work.members_left = self.scene.members_left;
        let mut violations = check(&self.scene.history);
        violations.retain(|violation| is_wrong(violation.kind));
        match violations.first() {
            None => Ok(()),
            Some(first) => Err(format!("{} violations, first {first}", violations.len())),
        }
    }

    fn life(&mut self) -> Result<(), String> {
        self.begin_life();
        let ended = match self.start_and_work() {
            Ok(()) if self.scene.random.chance(1, 3) => self.stop(),
            Ok(()) => self.crash_at_work(),
            ended => ended,
        };
        self.end_life();
        match ended {
            Ok(()) | Err(Halt::Crashed) => Ok(()),
            Err(Halt::Wrong(problem)) => Err(problem),
        }
    }

    pub(super) fn begin_life(&mut self) {
        self.coverage.work.lives += 1;
        self.steps_left = STEPS_MAX;
        self.faults_before = self.disk_faults();
    }

    fn start_and_work(&mut self) -> Result<(), Halt> {
        let weather = Weather::draw(&mut self.scene);
        let is_fair_start = self.scene.random.chance(1, 2);
        let begin = if is_fair_start {
            Weather::default()
        } else {
            weather
        };
        begin.apply(&mut self.scene);
        if self.limits.maybe_reshard(&mut self.scene.random) && self.coverage.work.lives > 1 {
            self.coverage.work.reshards += 1;
        }
        self.start(weather.crash)?;
        weather.apply(&mut self.scene);
        let until_ns = self.scene.now_ns() + weather.seconds * SECOND_NS;
        self.work("time to pass", until_ns, |_| false).map(|_| ())
    }

    /// The time of this life is over: the machine stops in the middle of what it does.
    fn crash_at_work(&mut self) -> Result<(), Halt> {
        for actor in &mut self.actors {
            actor.begin_life();
        }
        let kinds = [Crash::PowerCut, Crash::PowerCut, Crash::Kill];
        let kind = kinds[self.scene.random.below(3) as usize];
        let operations = 1 + self.scene.random.below(200);
        self.scene.world.crash_after(operations, kind);
        let until_ns = self.scene.now_ns() + SECOND_NS;
        self.work("a crash", until_ns, |_| false).map(|_| ())
    }

    pub(super) fn start(&mut self, crash: Option<(u64, Crash)>) -> Result<(), Halt> {
        let world = self.scene.world.clone();
        world.crash_never();
        if let Some((operations, crash)) = crash {
            world.crash_after(operations, crash);
        }
        self.scene.begin_nodes(self.limits.nodes());
        match Machine::start(&world, &self.limits, ADDRESS) {
            Ok(machine) => {
                self.coverage.work.lives_of_nodes += u64::from(self.limits.nodes() > 1);
                self.machine = Some(machine);
                for actor in &mut self.actors {
                    actor.begin_life();
                    world.wake_at(actor.wake_ns());
                }
                Ok(())
            }
            Err(_) if world.is_crashed() => {
                self.coverage.work.crashes_in_start += 1;
                Err(Halt::Crashed)
            }
            Err(_) if self.is_disk_faulty() => Err(Halt::Crashed),
            Err(error) => Err(Halt::Wrong(format!(
                "the broker does not start: {}",
                error.0
            ))),
        }
    }

    fn disk_faults(&self) -> u64 {
        let counters = self.scene.world.counters();
        counters.disk_faults + counters.disk_full
    }

    /// Whether an operation of the disk failed in this life.
    fn is_disk_faulty(&self) -> bool {
        self.disk_faults() > self.faults_before
    }

    /// Lets machine and clients work until `is_done` or a time; whether it was done.
    pub(super) fn work(
        &mut self,
        what: &str,
        until_ns: u64,
        is_done: impl Fn(&Self) -> bool,
    ) -> Result<bool, Halt> {
        let world = self.scene.world.clone();
        world.wake_at(until_ns);
        loop {
            if let Some(machine) = &mut self.machine {
                machine.turn();
            }
            if world.is_crashed() {
                return Err(Halt::Crashed);
            }
            self.act();
            if let Some(problem) = self.scene.problems.first() {
                let machine = self.machine.as_mut().map(Machine::describe);
                return Err(Halt::Wrong(problem.clone() + &machine.unwrap_or_default()));
            }
            if is_done(self) {
                return Ok(true);
            }
            if world.now_ns() >= until_ns {
                return Ok(false);
            }
            self.steps_left = self.steps_left.saturating_sub(1);
            if self.steps_left == 0 {
                let text = format!("{STEPS_MAX} steps, waiting for {what}");
                return Err(Halt::Wrong(text));
            }
            let is_busy = self.machine.as_ref().is_some_and(Machine::is_busy);
            if !world.step() && !is_busy && !world.is_crashed() {
                let text = format!("waits for {what}, and nothing is going to happen");
                return Err(Halt::Wrong(text));
            }
        }
    }

    /// Clients that have news or something due act.
    fn act(&mut self) {
        let news = self.scene.world.take_news();
        let now_ns = self.scene.now_ns();
        for actor in &mut self.actors {
            let has_news = news.iter().any(|&id| actor.link().is(id));
            let before_ns = actor.wake_ns();
            if has_news || before_ns <= now_ns {
                actor.act(&mut self.scene);
                let wake_ns = actor.wake_ns();
                if wake_ns != NEVER && wake_ns != before_ns {
                    self.scene.world.wake_at(wake_ns);
                }
            }
        }
    }

    pub(super) fn stop(&mut self) -> Result<(), Halt> {
        let until_ns = self.scene.now_ns() + PROGRESS_NS;
        if let Some(machine) = &mut self.machine {
            machine.stop();
        }
        let is_stopped = |run: &Self| run.machine.as_ref().is_none_or(Machine::is_stopped);
        match self.work("a clean stop", until_ns, is_stopped)? {
            true => {
                self.coverage.work.clean_stops += 1;
                Ok(())
            }
            false if self.is_disk_faulty() => Ok(()),
            false => Err(Halt::Wrong("a clean stop takes too long".to_owned())),
        }
    }

    pub(super) fn end_life(&mut self) {
        let machine = self.machine.take();
        if let Some(machine) = &machine {
            self.coverage.add_machine(machine);
        }
        let world = &self.scene.world;
        if !world.is_crashed() {
            match self.scene.random.chance(1, 2) {
                true => world.power_cut(),
                false => world.kill(),
            }
        }
        world.stay_off(self.scene.random.below(3 * SECOND_NS));
        let journals = machine.map(|machine| machine.journals).unwrap_or_default();
        let random = &mut self.scene.random;
        if !self.scene.is_rotten && rot::spoil_checkpoint(&self.scene.world, random, &journals) {
            self.rotten.checkpoints_rotten += 1;
        }
    }

    /// Everything heals: what was begun is finished, all is read, and the broker stops cleanly.
    fn last_life(&mut self) -> Result<(), String> {
        self.begin_life();
        self.scene.is_closing = true;
        let ended = self.finish();
        self.end_life();
        match ended {
            Ok(()) => Ok(()),
            Err(Halt::Crashed) => Err("the healed machine crashed".to_owned()),
            Err(Halt::Wrong(problem)) => Err(problem),
        }
    }

    fn finish(&mut self) -> Result<(), Halt> {
        Weather::default().apply(&mut self.scene);
        self.start(None)?;
        let until_ns = self.scene.now_ns() + PROGRESS_NS;
        let all_done = |run: &Self| run.actors.iter().all(|actor| actor.is_done());
        if !self.work("the clients to finish", until_ns, all_done)? {
            return Err(self.unfinished());
        }
        self.read_everything()?;
        self.stop()
    }

    /// Every partition is read from its start to its end.
    pub(super) fn read_everything(&mut self) -> Result<(), Halt> {
        for partition in self.scene.partitions.clone() {
            self.next_actor += 1;
            let reader = Reader::new(self.next_actor, partition, 256 << 10, true);
            self.actors.push(Box::new(reader));
        }
        let until_ns = self.scene.now_ns() + PROGRESS_NS;
        let all_done = |run: &Self| run.actors.iter().all(|actor| actor.is_done());
        match self.work("everything to be read", until_ns, all_done)? {
            true => Ok(()),
            false => Err(self.unfinished()),
        }
    }

    fn unfinished(&mut self) -> Halt {
        let open = self.actors.iter().find(|actor| !actor.is_done());
        let mut text = format!("{open:?}");
        text.truncate(600);
        let machine = self.machine.as_mut().map(Machine::describe);
        text += &machine.unwrap_or_default();
        Halt::Wrong(format!("no progress after healing: {text}"))
    }
}
