//! One seed: a machine that lives, works and dies many times, and its account.

use super::coverage::{Coverage, add_counters};
use super::oracle::{Asked, Ending, Oracle, Sent};
use super::turns::TURNS_MAX;
use millrace_engine::ids::{JournalId, PartitionHandle, ShardId, Ticket};
use millrace_engine::io::simulated::{Crash, Random, World, WorldConfig};
use millrace_engine::io::{Completion, Io};
use millrace_engine::journal::check::JournalKey;
use millrace_engine::partition::{LogOffsets, ReadBatches, ReadError};
use millrace_engine::shard::{
    CleanerConfig, Event, JournalSetup, OpenError, Shard, ShardConfig, ShardContent,
    create_journal, export_journal, remove_journal,
};
use std::collections::BTreeMap;

pub(super) const KEY: JournalKey = JournalKey(*b"a test's journal");

/// Why a life is over.
#[derive(Debug)]
pub(super) enum Halt {
    /// The machine stopped, as it was asked to.
    Crashed,
    /// The engine broke a promise.
    Wrong(String),
    /// A full memory or a failing disk refused a read, as it may.
    Refused(String),
}

impl From<String> for Halt {
    fn from(problem: String) -> Self {
        Self::Wrong(problem)
    }
}

/// One shard of the running process.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) io: Io,
    pub(super) shard: Shard,
    /// It said that it acknowledges nothing any more.
    pub(super) is_stopped: bool,
    /// The checkpoints in its two copies then.
    pub(super) copies_at_stop: Option<[Option<u64>; 2]>,
    /// A client asked something of it: its next turn comes by itself.
    pub(super) is_asked: bool,
}

/// A machine and the account of it.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) random: Random,
    pub(super) world: World,
    /// The journals that count: what a root file would say.
    pub(super) journals: Vec<JournalSetup>,
    next_journal: u16,
    pub(super) nodes: Vec<Node>,
    pub(super) home: BTreeMap<PartitionHandle, usize>,
    pub(super) oracle: Oracle,
    pub(super) coverage: Coverage,
    pub(super) next_ticket: u64,
    pub(super) next_handle: u64,
    pub(super) batches_made: u64,
    /// Clients fill the journal as fast as they can.
    pub(super) is_flood: bool,
    /// The others have little to do beside this one.
    pub(super) busy: Option<PartitionHandle>,
    /// Faults of the disk when it began to fail as it does now, if each is a failed write.
    pub(super) failed_writes_from: Option<u64>,
    ending: Ending,
    pub(super) turns_left: u64,
    /// What the turns are for.
    pub(super) doing: String,
    /// Faults that the disk showed before this life.
    pub(super) faults_before: u64,
    /// Recovery was compared with the account; what the shards show from here on counts.
    pub(super) is_checked: bool,
    pub(super) reads: BTreeMap<u64, Result<ReadBatches, ReadError>>,
    pub(super) done: Vec<Completion>,
    pub(super) events: Vec<Event>,
}

impl Run {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = Random::stream(seed, 77);
        let mut config = WorldConfig {
            arena_bytes: 4 << 20,
            ..WorldConfig::default()
        };
        // On half of the disks no write is flushed by accident.
        if random.chance(1, 2) {
            config.disk.flush_all_per_million = 0;
        }
        if random.chance(1, 4) {
            config.disk.stall_per_million = 20_000;
        }
        let (world, ios) = World::new(seed, 1, config);
        drop(ios);
        world.kill();
        Self {
            random,
            world,
            journals: Vec::new(),
            next_journal: 0,
            nodes: Vec::new(),
            home: BTreeMap::new(),
            oracle: Oracle::default(),
            coverage: Coverage::default(),
            next_ticket: 0,
            next_handle: 1,
            batches_made: 0,
            is_flood: false,
            busy: None,
            failed_writes_from: None,
            ending: Ending::Crashed(Crash::Kill),
            turns_left: 0,
            doing: String::new(),
            faults_before: 0,
            is_checked: false,
            reads: BTreeMap::new(),
            done: Vec::new(),
            events: Vec::new(),
        }
    }

    /// Lives `lives` lives, then one without a crash in which everything must go on.
    pub(super) fn live(&mut self, lives: u32) -> Result<(), String> {
        for _ in 0..lives {
            self.life(true)?;
        }
        self.life(false)?;
        let counters = self.world.counters();
        self.coverage.crashes = counters.kills + counters.power_cuts;
        self.coverage.power_cuts = counters.power_cuts;
        self.coverage.blocks_torn = counters.blocks_torn;
        self.coverage.blocks_garbage = counters.blocks_garbage;
        self.coverage.acked_batches = self.oracle.acked_batches;
        Ok(())
    }

    /// From start to crash or clean stop. The last life of a run ends with a clean stop.
    fn life(&mut self, may_crash: bool) -> Result<(), String> {
        self.coverage.lives += 1;
        log::debug!("life {} after {:?}", self.coverage.lives, self.ending);
        let crash = match self.random.chance(2, 3) {
            true => Crash::PowerCut,
            false => Crash::Kill,
        };
        if self.random.chance(3, 4) || !may_crash {
            self.heal_disk();
        }
        self.faults_before = self.world.counters().disk_faults;
        self.is_checked = false;
        self.busy = None;
        self.turns_left = TURNS_MAX;
        let shards = self.shards_wanted();
        let mut ios = self.world.restart(shards.max(self.journals.len()));
        self.world.crash_never();
        if may_crash {
            let reach = [40, 300, 1500][self.random.below(3) as usize];
            self.world.crash_after(1 + self.random.below(reach), crash);
        }
        let opened = match self.journals.len() == shards {
            true => Ok(()),
            false => self.reshard(&mut ios, shards),
        };
        let ended = match opened.and_then(|()| self.open(ios)) {
            Ok(()) => self.work_and_stop(may_crash),
            Err(Halt::Crashed) => {
                self.coverage.crashes_in_recovery += 1;
                Err(Halt::Crashed)
            }
            Err(wrong) => Err(wrong),
        };
        let ending = match ended {
            Ok(ending) => ending,
            Err(Halt::Crashed) if self.is_checked => Ending::Crashed(crash),
            Err(Halt::Crashed) => self.ending.then_crashed(crash),
            // A disk that fails may refuse to be looked at, too.
            Err(Halt::Refused(_)) if self.is_faulty() => self.ending.then_crashed(Crash::Kill),
            Err(Halt::Wrong(problem) | Halt::Refused(problem)) => return Err(problem),
        };
        self.end_life(ending);
        Ok(())
    }

    fn work_and_stop(&mut self, may_crash: bool) -> Result<Ending, Halt> {
        self.check_recovery()?;
        // Recovered, looked at, and gone again: the next recovery must show the same.
        if may_crash && self.random.chance(1, 8) {
            return self.crash_now();
        }
        self.work(if may_crash { 200 } else { 60 })?;
        self.settle()?;
        if may_crash && self.random.chance(1, 2) {
            return self.crash_now();
        }
        self.stop_cleanly()
    }

    pub(super) fn crash_now(&self) -> Result<Ending, Halt> {
        self.world.kill();
        Ok(Ending::Crashed(Crash::Kill))
    }

    fn end_life(&mut self, ending: Ending) {
        for node in &self.nodes {
            add_counters(&mut self.coverage.shard, &node.shard.counters());
        }
        self.reads.clear();
        self.done.clear();
        self.events.clear();
        self.nodes.clear();
        self.oracle.asked.clear();
        if !self.world.is_crashed() {
            self.world.kill();
        }
        self.rot_a_checkpoint();
        self.forge_a_commit();
        self.ending = ending;
    }

    fn shards_wanted(&mut self) -> usize {
        let is_stay = !self.journals.is_empty() && !self.random.chance(1, 10);
        match is_stay {
            true => self.journals.len(),
            false => [1, 1, 2, 3][self.random.below(4) as usize],
        }
    }

    /// Moves everything into as many new journals, and makes the first ones. Only when it is done
    /// do they count; a crash on the way leaves the ones before.
    fn reshard(&mut self, ios: &mut [Io], shards: usize) -> Result<(), Halt> {
        let mut contents = vec![ShardContent::default(); shards];
        for (index, setup) in self.journals.clone().into_iter().enumerate() {
            let exported = export_journal(&mut ios[0], shard_config(index), setup);
            let exported = exported.map_err(|error| self.open_failed(index, &error))?;
            for partition in exported.partitions {
                contents[partition.0.0 as usize % shards]
                    .partitions
                    .push(partition);
            }
            for entry in exported.registry {
                contents[usize::from(entry.1[0]) % shards]
                    .registry
                    .push(entry);
            }
        }
        let mut journals = Vec::new();
        for (index, content) in contents.iter_mut().enumerate() {
            content
                .partitions
                .sort_unstable_by_key(|(handle, _)| *handle);
            content.registry.sort_unstable();
            let setup = setup(self.next_journal + index as u16);
            let made = create_journal(&mut ios[0], &shard_config(index), &setup, content);
            made.map_err(|error| self.open_failed(index, &error))?;
            journals.push(setup);
        }
        self.next_journal += shards as u16;
        self.coverage.reshards += u64::from(!self.journals.is_empty());
        for setup in std::mem::replace(&mut self.journals, journals) {
            let removed = remove_journal(&mut ios[0], &setup, 4);
            removed.map_err(|error| self.open_failed(0, &error))?;
        }
        Ok(())
    }

    /// Whether the disk failed in this life.
    pub(super) fn is_faulty(&self) -> bool {
        self.world.counters().disk_faults > self.faults_before
    }

    fn open_failed(&self, index: usize, error: &OpenError) -> Halt {
        // A start on a disk that fails may be refused, and is tried again on a better day.
        match self.world.is_crashed() || self.is_faulty() {
            true => Halt::Crashed,
            false => Halt::Wrong(format!("shard {index} does not open: {error}")),
        }
    }

    fn open(&mut self, ios: Vec<Io>) -> Result<(), Halt> {
        let journals = self.journals.clone();
        for (index, (mut io, setup)) in ios.into_iter().zip(journals).enumerate() {
            let shard = Shard::open(&mut io, shard_config(index), setup);
            let shard = shard.map_err(|error| self.open_failed(index, &error))?;
            self.nodes.push(Node {
                io,
                shard,
                is_stopped: false,
                copies_at_stop: None,
                is_asked: true,
            });
        }
        Ok(())
    }

    fn check_recovery(&mut self) -> Result<(), Halt> {
        self.is_checked = false;
        self.home.clear();
        let mut partitions = Vec::new();
        let mut registry = BTreeMap::new();
        for (index, node) in self.nodes.iter().enumerate() {
            for found in node.shard.partitions() {
                if self.home.insert(found.0, index).is_some() {
                    return Err(Halt::Wrong(format!("{:?} lives on two shards", found.0)));
                }
                partitions.push(found);
            }
            for (_, key, value) in node.shard.registry() {
                registry.insert(key[0], value.to_vec());
            }
        }
        let ending = self.ending;
        self.oracle.check_partitions(ending, &partitions)?;
        self.oracle.check_registry(&registry)?;
        for (handle, ..) in partitions {
            let config = self.oracle.logs[&handle].spec.config.clone();
            let configured = self
                .node_of(handle)
                .shard
                .configure_partition(handle, config);
            configured.map_err(|error| format!("{handle:?}: {error}"))?;
            let fences = self.node_of(handle).shard.fences(handle);
            if !fences.is_empty() {
                let problem = format!("{handle:?}: {fences:?} on a disk that lost nothing");
                return Err(Halt::Wrong(problem));
            }
            let (offsets, found) = self.read_whole(handle)?;
            let log = self.oracle.logs.get_mut(&handle);
            log.ok_or("checked above".to_owned())?
                .check_recovered(ending, &offsets, &found)
                .map_err(|problem| format!("{handle:?} after {ending:?}: {problem}"))?;
        }
        self.is_checked = true;
        Ok(())
    }

    pub(super) fn offsets_of(&mut self, handle: PartitionHandle) -> Result<LogOffsets, Halt> {
        let offsets = self.node_of(handle).shard.offsets(handle);
        offsets.ok_or_else(|| Halt::Wrong(format!("{handle:?} has no offsets")))
    }

    pub(super) fn node_of(&mut self, handle: PartitionHandle) -> &mut Node {
        let index = self.home[&handle];
        let node = &mut self.nodes[index];
        node.is_asked = true;
        node
    }

    pub(super) fn ticket(&mut self, asked: Asked) -> Ticket {
        self.next_ticket += 1;
        self.oracle.asked.insert(self.next_ticket, asked);
        Ticket(self.next_ticket)
    }

    /// Notes a batch that the engine took.
    pub(super) fn sent(&mut self, handle: PartitionHandle, sent: Sent) {
        if let Some(log) = self.oracle.logs.get_mut(&handle) {
            log.batches.push_back(sent);
        }
    }
}

const fn setup(journal: u16) -> JournalSetup {
    JournalSetup {
        id: JournalId(journal),
        key: KEY,
        set_id: [7; 16],
    }
}

/// A shard so small that everything that is rare in life happens often.
fn shard_config(index: usize) -> ShardConfig {
    ShardConfig {
        shard: ShardId(index as u16),
        journal_bytes: 512 << 10,
        journal_free_divisor: 1,
        journal_files: 4,
        placed_bytes_min: 16 << 10,
        idle_mark_ms: 2,
        checkpoint_interval_ms: 50,
        open_files_max: 8,
        partitions_max: 16,
        partitions_in_memory_max: 16,
        unresolved_batches_max: 128,
        producers_max: 64,
        disk_depth_max: 8,
        retention_check_ms: 20,
        ballast_bytes: 1 << 20,
        prepared_bytes_max: 8 << 20,
        cleaner: CleanerConfig {
            backoff_ms: 10,
            ..CleanerConfig::default()
        },
        spare_file_bytes_min: 16 << 10,
    }
}
