//! The simulated world: clock, event queue, crash and restart.
//!
//! One world holds all shards of a run, on one thread. A harness runs the shards' turns and calls
//! [`World::step`] to let the next thing happen. Everything follows from the seed: equal seeds
//! and equal code give equal runs, which [`World::event_hash`] shows.

use super::config::{Crash, ScriptedFault, WorldConfig, WorldCounters};
use super::disk::Disk;
use super::network::Network;
use super::operations::{InFlight, OpenFile};
use super::random::Random;
use super::{Mailroom, ShardIo};
use crate::ids::ShardId;
use crate::io::arena::Arena;
use crate::io::{Completion, Dir, FilePath, Io, IoCounters, Outcome, Token};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

/// A simulated machine. Clones are the same world.
#[derive(Clone, Debug)]
pub struct World {
    pub(super) inner: Rc<RefCell<Inner>>,
}

/// Something that happens at its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// A disk operation ends.
    Disk(u64),
    /// The device reads a write's source.
    Sample(u64),
    /// A parked shard's deadline.
    Deadline { shard: usize, generation: u64 },
    /// What was sent by mailbox becomes visible.
    Mail { from: usize, to: usize },
    /// A doorbell rings.
    Doorbell(usize),
    /// A socket operation may make progress.
    Socket(u32),
    /// A piece of a stream reaches an end.
    Arrival(u32),
    /// Somebody outside of the machine wanted to be woken.
    Outside,
}

/// What waits for a shard's next poll.
#[derive(Debug)]
pub(super) enum Ready {
    Done(Completion),
    /// A receive that gets its memory when it is seen.
    Slot {
        token: Token,
        socket: u32,
    },
}

/// A shard as its world sees it.
#[derive(Debug)]
pub(super) struct ShardState {
    pub(super) ready: VecDeque<Ready>,
    pub(super) files: BTreeMap<u32, OpenFile>,
    pub(super) next_file: u32,
    pub(super) random: Random,
    pub(super) counters: IoCounters,
    pub(super) is_runnable: bool,
    pub(super) deadline_generation: u64,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) config: WorldConfig,
    seed: u64,
    clock_ns: Cell<u64>,
    wall_jumped_ms: i64,
    events: BTreeMap<(u64, u64), Event>,
    sequence: u64,
    pub(super) disk_random: Random,
    pub(super) crash_random: Random,
    pub(super) mail_random: Random,
    clock_random: RefCell<Random>,
    pub(super) disk: Disk,
    pub(super) operations: BTreeMap<u64, InFlight>,
    pub(super) called: Option<(u64, Outcome)>,
    next_operation: u64,
    pub(super) shards: Vec<ShardState>,
    pub(super) mail: Mailroom,
    pub(super) network: Network,
    /// Raised by each crash; an `Io` of an earlier life is dead.
    pub(super) life: u64,
    is_crashed: bool,
    crash_at: Option<(u64, Crash)>,
    pub(super) faults: Vec<ScriptedFault>,
    pub(super) locks: BTreeSet<FilePath>,
    pub(super) counters: WorldCounters,
    hash: u64,
    pub(super) spare_arenas: Vec<Arena>,
}

impl World {
    /// A new machine with an empty disk, and the `Io` of each of its shards.
    ///
    /// # Panics
    /// When the operating system has no address space for the arenas.
    #[must_use]
    pub fn new(seed: u64, shards: usize, config: WorldConfig) -> (Self, Vec<Io>) {
        let disk = Disk::new(config.disk.space_bytes);
        let inner = Inner {
            config,
            seed,
            clock_ns: Cell::new(1_000_000_000),
            wall_jumped_ms: 0,
            events: BTreeMap::new(),
            sequence: 0,
            disk_random: Random::stream(seed, 1),
            crash_random: Random::stream(seed, 2),
            mail_random: Random::stream(seed, 3),
            clock_random: RefCell::new(Random::stream(seed, 4)),
            disk,
            operations: BTreeMap::new(),
            called: None,
            next_operation: 0,
            shards: Vec::new(),
            mail: Mailroom::default(),
            network: Network::new(Random::stream(seed, 5)),
            life: 0,
            is_crashed: false,
            crash_at: None,
            faults: Vec::new(),
            locks: BTreeSet::new(),
            counters: WorldCounters::default(),
            hash: seed,
            spare_arenas: Vec::new(),
        };
        let world = Self {
            inner: Rc::new(RefCell::new(inner)),
        };
        let ios = world.restart(shards);
        (world, ios)
    }

    /// Lets the next event happen: a completion becomes visible to its shard's next poll, a
    /// mailbox or a timer fires. False when nothing is going to happen, or the world crashed.
    pub fn step(&self) -> bool {
        self.inner.borrow_mut().step()
    }

    /// Whether `shard` was woken since the last call (or never ran): a completion, a doorbell or
    /// a deadline. A harness that runs only such shards finds lost wake-ups.
    #[must_use]
    pub fn take_runnable(&self, shard: ShardId) -> bool {
        let mut inner = self.inner.borrow_mut();
        std::mem::take(&mut inner.shards[shard.index()].is_runnable)
    }

    /// The power fails now.
    pub fn power_cut(&self) {
        self.inner.borrow_mut().crash(Crash::PowerCut);
    }

    /// The process dies now.
    pub fn kill(&self) {
        self.inner.borrow_mut().crash(Crash::Kill);
    }

    /// Lets the world crash by itself at the `operations`-th disk operation event (a submission
    /// or a completion) from now, counted from 1.
    pub fn crash_after(&self, operations: u64, crash: Crash) {
        let mut inner = self.inner.borrow_mut();
        let at = inner.counters.disk_events + operations.max(1);
        inner.crash_at = Some((at, crash));
    }

    /// Takes back `crash_after`.
    pub fn crash_never(&self) {
        self.inner.borrow_mut().crash_at = None;
    }

    /// Whether the machine stopped; every operation fails with `Stopped` until `restart`.
    #[must_use]
    pub fn is_crashed(&self) -> bool {
        self.inner.borrow().is_crashed
    }

    /// Starts a process with `shards` shards on the disk as it is. A process that still runs is
    /// killed first. The `Io`s of earlier lives are dead; dropped before, their arenas are reused.
    ///
    /// # Panics
    /// When the operating system has no address space for the arenas.
    #[must_use]
    pub fn restart(&self, shards: usize) -> Vec<Io> {
        let mut inner = self.inner.borrow_mut();
        if !inner.is_crashed && !inner.shards.is_empty() {
            inner.crash(Crash::Kill);
        }
        inner.is_crashed = false;
        inner.life += 1;
        inner.mail = Mailroom::new(shards);
        let (seed, life) = (inner.seed, inner.life);
        let shard_state = |shard: usize| ShardState {
            ready: VecDeque::new(),
            files: BTreeMap::new(),
            next_file: 0,
            random: Random::stream(seed, (life << 16) + shard as u64 + 100),
            counters: IoCounters::default(),
            is_runnable: true,
            deadline_generation: 0,
        };
        inner.shards = (0..shards).map(shard_state).collect();
        let arenas: Vec<Arena> = (0..shards).map(|_| inner.take_arena()).collect();
        drop(inner);
        let io = |(shard, arena)| Io::simulated(ShardIo::new(self.clone(), shard, life, arena));
        arenas.into_iter().enumerate().map(io).collect()
    }

    /// Wants a fault at one place. Several may wait; each happens once.
    pub fn script(&self, fault: ScriptedFault) {
        self.inner.borrow_mut().faults.push(fault);
    }

    /// Changes settings from now on; the rates of faults, say, once a disk is to heal.
    pub fn configure(&self, change: impl FnOnce(&mut WorldConfig)) {
        let mut inner = self.inner.borrow_mut();
        change(&mut inner.config);
        inner.disk.space_bytes = inner.config.disk.space_bytes;
    }

    /// Turns one bit of a block of a file: the medium rots. False when there is no such block.
    pub fn rot(&self, path: &FilePath, block: u64) -> bool {
        let mut inner = self.inner.borrow_mut();
        let inner = &mut *inner;
        let Some(id) = inner.disk.find(path) else {
            return false;
        };
        if block >= inner.disk.node(id).bytes / super::disk::BLOCK as u64 {
            return false;
        }
        inner
            .disk
            .flip_bit(id, block as usize, &mut inner.crash_random);
        true
    }

    /// A file's bytes as a read would see them; `None` when there is no such file.
    #[must_use]
    pub fn content(&self, path: &FilePath) -> Option<Vec<u8>> {
        let mut inner = self.inner.borrow_mut();
        let id = inner.disk.find(path)?;
        let node = inner.disk.node(id);
        let mut content = Vec::with_capacity(node.bytes as usize);
        node.read(0, node.bytes, false, &mut |bytes| {
            content.extend_from_slice(bytes)
        });
        Some(content)
    }

    /// Bytes of the disk that files take.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        self.inner.borrow().disk.used_bytes()
    }

    /// Whether a power cut would leave a file's bytes as they are; false when there is none.
    #[must_use]
    pub fn is_flushed(&self, path: &FilePath) -> bool {
        let mut inner = self.inner.borrow_mut();
        let Some(id) = inner.disk.find(path) else {
            return false;
        };
        let node = inner.disk.node(id);
        node.dirty.is_empty() && node.durable_bytes == node.bytes
    }

    /// Names of a folder's files as a listing would show them.
    #[must_use]
    pub fn names(&self, dir: Dir) -> Vec<String> {
        let mut inner = self.inner.borrow_mut();
        inner
            .disk
            .list(dir)
            .into_iter()
            .map(|(name, _)| name)
            .collect()
    }

    /// Holds a lock as another process would.
    pub fn lock_elsewhere(&self, path: &FilePath) {
        self.inner.borrow_mut().locks.insert(path.clone());
    }

    /// Moves the wall clock.
    pub fn jump_wall(&self, ms: i64) {
        self.inner.borrow_mut().wall_jumped_ms += ms;
    }

    /// Lets [`Self::step`] stop at `time_ns` even if nothing happens on the machine then: the
    /// time of somebody outside of it. A crash forgets it.
    pub fn wake_at(&self, time_ns: u64) {
        let mut inner = self.inner.borrow_mut();
        let time = time_ns.max(inner.now());
        inner.schedule(time, Event::Outside);
    }

    /// Lets time pass while the machine is off.
    ///
    /// # Panics
    /// When it is on.
    pub fn stay_off(&self, ns: u64) {
        let inner = self.inner.borrow();
        assert!(inner.is_stopped(), "only a machine that is off stays off");
        inner.clock_ns.set(inner.now() + ns);
    }

    /// Folds what somebody outside of the machine saw or did into the hash of the run.
    pub fn fold(&self, facts: &[u64]) {
        self.inner.borrow_mut().mix(facts);
    }

    /// Monotonic time now, without letting it advance.
    #[must_use]
    pub fn now_ns(&self) -> u64 {
        self.inner.borrow().now()
    }

    /// Operations of the disk under way.
    #[must_use]
    pub fn operations_in_flight(&self) -> usize {
        self.inner.borrow().operations.len()
    }

    /// A hash over everything that happened: equal for equal runs.
    #[must_use]
    pub fn event_hash(&self) -> u64 {
        self.inner.borrow().hash
    }

    /// What happened so far.
    #[must_use]
    pub fn counters(&self) -> WorldCounters {
        self.inner.borrow().counters
    }
}

impl Inner {
    pub(super) const fn is_stopped(&self) -> bool {
        self.is_crashed
    }

    pub(super) const fn now(&self) -> u64 {
        self.clock_ns.get()
    }

    /// Time as a shard sees it: it passes while the shard works.
    pub(super) fn look_at_clock(&self) -> u64 {
        let passed = self.clock_random.borrow_mut().below(300);
        self.clock_ns.set(self.clock_ns.get() + passed);
        self.clock_ns.get()
    }

    pub(super) fn wall_ms(&self) -> i64 {
        let since_start = (self.look_at_clock() / 1_000_000) as i64;
        self.config.wall_start_ms + self.wall_jumped_ms + since_start
    }

    /// Folds facts into the hash of the run.
    pub(super) fn mix(&mut self, facts: &[u64]) {
        for &fact in facts {
            self.hash = (self.hash ^ fact)
                .wrapping_mul(0x9e37_79b9_7f4a_7c15)
                .rotate_left(23);
        }
    }

    pub(super) fn next_operation(&mut self) -> u64 {
        self.next_operation += 1;
        self.next_operation
    }

    pub(super) fn schedule(&mut self, time: u64, event: Event) {
        self.sequence += 1;
        self.events.insert((time, self.sequence), event);
    }

    pub(super) fn push_ready(&mut self, shard: usize, ready: Ready) {
        let shard = &mut self.shards[shard];
        shard.ready.push_back(ready);
        shard.is_runnable = true;
    }

    pub(super) fn wake(&mut self, shard: usize) {
        self.shards[shard].is_runnable = true;
    }

    pub(super) fn set_deadline(&mut self, shard: usize, deadline_ns: Option<u64>) {
        let state = &mut self.shards[shard];
        state.deadline_generation += 1;
        let generation = state.deadline_generation;
        if let Some(deadline_ns) = deadline_ns {
            let time = deadline_ns.max(self.now());
            self.schedule(time, Event::Deadline { shard, generation });
        }
    }

    pub(super) fn step(&mut self) -> bool {
        loop {
            if self.is_crashed {
                return false;
            }
            let Some(((time, _), event)) = self.events.pop_first() else {
                return false;
            };
            if let Event::Deadline { shard, generation } = event
                && self.shards[shard].deadline_generation != generation
            {
                continue;
            }
            self.clock_ns.set(time.max(self.clock_ns.get()));
            self.fire(event);
            return true;
        }
    }

    fn fire(&mut self, event: Event) {
        self.counters.events += 1;
        self.mix(&[self.now()]);
        let jump = self.config.wall_jump_per_million;
        if self.mail_random.per_million(jump) {
            self.wall_jumped_ms += self.mail_random.below(7_200_000) as i64 - 3_600_000;
            self.counters.wall_jumps += 1;
        }
        match event {
            Event::Disk(id) => self.complete_disk(id),
            Event::Sample(id) => self.sample(id),
            Event::Deadline { shard, .. } => self.wake(shard),
            Event::Mail { from, to } => self.mail.deliver(from, to),
            Event::Doorbell(shard) => {
                self.mail.rung(shard);
                self.wake(shard);
            }
            Event::Socket(id) => self.look_at_socket(id),
            Event::Arrival(to) => self.arrive(to),
            Event::Outside => {}
        }
    }

    /// Counts a place where the world may be asked to crash, and crashes there if it was.
    pub(super) fn count_disk_event(&mut self) {
        if self.is_crashed {
            return;
        }
        self.counters.disk_events += 1;
        if let Some((at, crash)) = self.crash_at
            && self.counters.disk_events >= at
        {
            self.crash_at = None;
            self.crash(crash);
        }
    }

    pub(super) fn crash(&mut self, crash: Crash) {
        if self.is_crashed {
            return;
        }
        self.is_crashed = true;
        log::trace!("{} {crash:?}", self.now());
        self.mix(&[3, crash as u64]);
        self.cut_operations(crash);
        match crash {
            Crash::Kill => {
                self.counters.kills += 1;
                self.disk.close_all();
            }
            Crash::PowerCut => {
                self.counters.power_cuts += 1;
                self.disk
                    .cut_power(&mut self.crash_random, &mut self.counters);
            }
        }
        self.events.clear();
        self.network.machine_stopped();
        self.called = None;
        self.locks.clear();
        for shard in &mut self.shards {
            shard.ready.clear();
            shard.files.clear();
        }
    }

    fn take_arena(&mut self) -> Arena {
        let bytes = self.config.arena_bytes;
        let spare = self
            .spare_arenas
            .iter()
            .position(|arena| arena.capacity_bytes() >= bytes);
        if let Some(index) = spare {
            return self.spare_arenas.swap_remove(index);
        }
        let mut arena = Arena::new(bytes).expect("address space for a small arena");
        arena.set_poison_on_free(true);
        arena
    }
}
