//! One seed: a machine that lives, works and dies many times, and its account.

use super::oracle::{Asked, Ending, Oracle, Sent};
use millrace_engine::ids::{JournalId, PartitionHandle, ShardId, Ticket};
use millrace_engine::io::simulated::{Crash, Random, World, WorldConfig};
use millrace_engine::io::{Awaiting, Completion, Dir, FilePath, Io};
use millrace_engine::journal::check::JournalKey;
use millrace_engine::journal::checkpoint::read_checkpoint;
use millrace_engine::partition::{LogOffsets, ReadBatches, ReadBound, ReadError, ReadRequest};
use millrace_engine::record_batch::Header;
use millrace_engine::shard::{
    Event, JournalSetup, OpenError, Read, Shard, ShardConfig, ShardContent, ShardCounters,
    create_journal, export_journal, remove_journal,
};
use std::collections::BTreeMap;

/// Offsets of a log and its batches by base offset.
type Stored = (LogOffsets, Vec<(i64, Vec<u8>)>);

const KEY: JournalKey = JournalKey(*b"a test's journal");

/// Why a life is over.
#[derive(Debug)]
pub(super) enum Halt {
    /// The machine stopped, as it was asked to.
    Crashed,
    /// The engine broke a promise.
    Wrong(String),
}

impl From<String> for Halt {
    fn from(problem: String) -> Self {
        Self::Wrong(problem)
    }
}

/// What a run went through.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Coverage {
    pub(super) lives: u64,
    pub(super) crashes: u64,
    pub(super) power_cuts: u64,
    pub(super) crashes_in_recovery: u64,
    pub(super) clean_stops: u64,
    pub(super) blocks_torn: u64,
    pub(super) blocks_garbage: u64,
    pub(super) acked_batches: u64,
    pub(super) duplicates: u64,
    pub(super) fail_stops: u64,
    pub(super) checkpoints_rotten: u64,
    pub(super) reshards: u64,
    pub(super) shard: ShardCounters,
}

impl Coverage {
    pub(super) fn add(&mut self, more: &Self) {
        self.lives += more.lives;
        self.crashes += more.crashes;
        self.power_cuts += more.power_cuts;
        self.crashes_in_recovery += more.crashes_in_recovery;
        self.clean_stops += more.clean_stops;
        self.blocks_torn += more.blocks_torn;
        self.blocks_garbage += more.blocks_garbage;
        self.acked_batches += more.acked_batches;
        self.duplicates += more.duplicates;
        self.fail_stops += more.fail_stops;
        self.checkpoints_rotten += more.checkpoints_rotten;
        self.reshards += more.reshards;
        add_counters(&mut self.shard, &more.shard);
    }

    /// A run that missed one of these shows nothing by passing.
    pub(super) fn assert_that_it_proves_something(&self) {
        let marks = [
            ("power cuts", self.power_cuts),
            ("crashes inside recovery", self.crashes_in_recovery),
            ("clean stops", self.clean_stops),
            ("blocks torn by sector", self.blocks_torn),
            ("blocks turned to noise", self.blocks_garbage),
            ("acknowledged batches", self.acked_batches),
            ("duplicates recognised", self.duplicates),
            ("fail-stops", self.fail_stops),
            ("changes of the number of shards", self.reshards),
            ("checkpoint copies that rotted", self.checkpoints_rotten),
            ("commits", self.shard.commits),
            ("placed bytes", self.shard.placed_bytes),
            ("bytes written back", self.shard.write_back_bytes),
            ("checkpoints", self.shard.checkpoints),
            ("rolls", self.shard.rolls),
            ("cold reads", self.shard.cold_read_bytes),
        ];
        for (name, count) in marks {
            assert!(count > 0, "no {name}: the run proves nothing; {self:#?}");
        }
    }
}

/// One shard of the running process.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) io: Io,
    pub(super) shard: Shard,
    /// It said that it acknowledges nothing any more.
    pub(super) is_stopped: bool,
}

/// A machine and the account of it.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) random: Random,
    pub(super) world: World,
    /// The journals that count: what a root file would say.
    journals: Vec<JournalSetup>,
    next_journal: u16,
    pub(super) nodes: Vec<Node>,
    pub(super) home: BTreeMap<PartitionHandle, usize>,
    pub(super) oracle: Oracle,
    pub(super) coverage: Coverage,
    pub(super) next_ticket: u64,
    pub(super) next_handle: u64,
    pub(super) batches_made: u64,
    ending: Ending,
    /// Faults that the disk showed before this life.
    faults_before: u64,
    /// Recovery was compared with the account; what the shards show from here on counts.
    is_checked: bool,
    reads: BTreeMap<u64, Result<ReadBatches, ReadError>>,
    done: Vec<Completion>,
    events: Vec<Event>,
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
            ending: Ending::Crashed(Crash::Kill),
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
            Err(Halt::Wrong(problem)) => return Err(problem),
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

    fn crash_now(&self) -> Result<Ending, Halt> {
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

    fn open_failed(&self, index: usize, error: &OpenError) -> Halt {
        // A start on a disk that fails may be refused, and is tried again on a better day.
        let is_faulty = self.world.counters().disk_faults > self.faults_before;
        match self.world.is_crashed() || is_faulty {
            true => Halt::Crashed,
            false => Halt::Wrong(format!("shard {index} does not open: {error}")),
        }
    }

    /// A sector of one checkpoint copy may die while the machine is off; the other must do.
    fn rot_a_checkpoint(&mut self) {
        if !self.random.chance(1, 3) {
            return;
        }
        let nth = self.random.below(self.journals.len() as u64) as usize;
        let Some(setup) = self.journals.get(nth).copied() else {
            return;
        };
        let path = |letter| {
            let name = format!("{:04x}.ckpt.{letter}", setup.id.0);
            FilePath::new(Dir::Journal, name)
        };
        let world = self.world.clone();
        let is_good = |path: &FilePath| {
            let content = world.content(path);
            content.is_some_and(|content| read_checkpoint(&content, &KEY, setup.id).is_ok())
        };
        let mut copies = [path('A'), path('B')];
        if !copies.iter().all(is_good) {
            return;
        }
        copies.rotate_left(self.random.below(2) as usize);
        while is_good(&copies[0]) {
            // Most of a small copy lies in its first blocks.
            self.world.rot(&copies[0], self.random.below(3));
        }
        self.coverage.checkpoints_rotten += 1;
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
            let (offsets, found) = self.read_whole(handle)?;
            let log = self.oracle.logs.get_mut(&handle);
            log.ok_or("checked above".to_owned())?
                .check_recovered(ending, &offsets, &found)
                .map_err(|problem| format!("{handle:?} after {ending:?}: {problem}"))?;
        }
        self.is_checked = true;
        Ok(())
    }

    /// The offsets of a log and all its batches. Retention may cut it meanwhile: once more then.
    fn read_whole(&mut self, handle: PartitionHandle) -> Result<Stored, Halt> {
        loop {
            let offsets = self.offsets_of(handle)?;
            let found = self.read_from(handle, offsets.log_start, offsets.high_watermark);
            if self.offsets_of(handle)?.log_start == offsets.log_start {
                return Ok((offsets, found?));
            }
        }
    }

    pub(super) fn offsets_of(&mut self, handle: PartitionHandle) -> Result<LogOffsets, Halt> {
        let offsets = self.node_of(handle).shard.offsets(handle);
        offsets.ok_or_else(|| Halt::Wrong(format!("{handle:?} has no offsets")))
    }

    pub(super) fn node_of(&mut self, handle: PartitionHandle) -> &mut Node {
        let index = self.home[&handle];
        &mut self.nodes[index]
    }

    pub(super) fn ticket(&mut self, asked: Asked) -> Ticket {
        self.next_ticket += 1;
        self.oracle.asked.insert(self.next_ticket, asked);
        Ticket(self.next_ticket)
    }

    /// Reads whole batches of `[from, to)`.
    pub(super) fn read_from(
        &mut self,
        handle: PartitionHandle,
        from: i64,
        to: i64,
    ) -> Result<Vec<(i64, Vec<u8>)>, Halt> {
        let mut found = Vec::new();
        let mut offset = from;
        while offset < to {
            let bytes_max = 1 + self.random.below(200_000) as usize;
            let read = self.read(handle, offset, bytes_max)?;
            if read.next_offset <= offset || read.parts.is_empty() {
                // A gap at the end of a relaxed log holds no batches.
                break;
            }
            offset = read.next_offset;
            let mut bytes = Vec::with_capacity(read.bytes);
            for part in &read.parts {
                bytes.extend_from_slice(part);
            }
            split_batches(handle, &bytes, &mut found)?;
        }
        Ok(found)
    }

    fn read(
        &mut self,
        handle: PartitionHandle,
        offset: i64,
        bytes_max: usize,
    ) -> Result<ReadBatches, Halt> {
        let request = ReadRequest {
            offset,
            bytes_max,
            bound: ReadBound::HighWatermark,
        };
        let ticket = self.ticket(Asked::Read);
        let node = self.node_of(handle);
        let problem = |error: ReadError| Halt::Wrong(format!("{handle:?} at {offset}: {error}"));
        match node.shard.read(&mut node.io, handle, request, ticket) {
            Ok(Read::Ready(batches)) => {
                self.oracle.asked.remove(&ticket.0);
                return Ok(batches);
            }
            Ok(Read::Pending) => {}
            Err(_) if self.world.is_crashed() => return Err(Halt::Crashed),
            Err(error) => return Err(problem(error)),
        }
        for _ in 0..100_000 {
            self.turn_all()?;
            if let Some(result) = self.reads.remove(&ticket.0) {
                return result.map_err(problem);
            }
            self.world.step();
        }
        Err(Halt::Wrong(format!(
            "{handle:?}: a read at {offset} never ended"
        )))
    }

    /// One turn of every shard.
    pub(super) fn turn_all(&mut self) -> Result<(), Halt> {
        for index in 0..self.nodes.len() {
            if self.world.is_crashed() {
                return Err(Halt::Crashed);
            }
            self.turn(index)?;
        }
        match self.world.is_crashed() {
            true => Err(Halt::Crashed),
            false => Ok(()),
        }
    }

    fn turn(&mut self, index: usize) -> Result<(), Halt> {
        let node = &mut self.nodes[index];
        node.io.poll(&mut self.done);
        for completion in self.done.drain(..) {
            node.shard.complete(&mut node.io, completion);
        }
        node.shard.end_turn(&mut node.io);
        node.shard.drain_events(&mut self.events);
        let deadline = node.shard.next_deadline_ns();
        node.io.park(deadline, Awaiting::Anything);
        if self.world.is_crashed() {
            // What a turn says after the machine stopped reached nobody.
            self.events.clear();
            return Err(Halt::Crashed);
        }
        for event in std::mem::take(&mut self.events) {
            self.take_event(index, event)?;
        }
        if self.is_checked {
            self.observe(index);
        }
        Ok(())
    }

    fn take_event(&mut self, index: usize, event: Event) -> Result<(), Halt> {
        let node = &mut self.nodes[index];
        match event {
            Event::AppendAcked(ticket) | Event::ControlDone(ticket) => {
                if node.is_stopped {
                    return Err(Halt::Wrong(format!("{ticket:?} acked after the fail-stop")));
                }
                let asked = self.oracle.asked.remove(&ticket.0);
                let asked = asked.ok_or_else(|| format!("{ticket:?} was answered before"))?;
                log::debug!("{ticket:?} is answered: {asked:?}");
                self.oracle.acked(asked);
            }
            Event::AppendFailed(ticket) | Event::ControlFailed(ticket) => {
                self.oracle.asked.remove(&ticket.0);
            }
            Event::ReadDone(ticket, result) => {
                self.oracle.asked.remove(&ticket.0);
                self.reads.insert(ticket.0, result);
            }
            Event::FailStopped(reason) => {
                if self.world.counters().disk_faults == self.faults_before {
                    return Err(Halt::Wrong(format!(
                        "fail-stop on an honest disk: {reason}"
                    )));
                }
                self.coverage.fail_stops += u64::from(!node.is_stopped);
                node.is_stopped = true;
            }
            Event::Advanced(_) | Event::DiskFull(_) | Event::IndexLoaded(_) => {}
        }
        Ok(())
    }

    fn observe(&mut self, index: usize) {
        for (handle, log) in &mut self.oracle.logs {
            if self.home.get(handle) == Some(&index)
                && let Some(offsets) = self.nodes[index].shard.offsets(*handle)
            {
                log.observe(&offsets);
            }
        }
    }

    /// Turns and steps until nothing waits for an answer.
    fn settle(&mut self) -> Result<(), Halt> {
        for _ in 0..200_000 {
            self.turn_all()?;
            let is_stopped = self.nodes.iter().all(|node| node.is_stopped);
            if self.oracle.asked.is_empty() || is_stopped {
                return Ok(());
            }
            self.world.step();
        }
        let waiting: Vec<_> = self.oracle.asked.values().take(5).collect();
        Err(Halt::Wrong(format!("never answered: {waiting:?}")))
    }

    fn stop_cleanly(&mut self) -> Result<Ending, Halt> {
        for node in &mut self.nodes {
            node.shard.begin_stop(&mut node.io);
        }
        for _ in 0..200_000 {
            self.turn_all()?;
            if self.nodes.iter().all(|node| node.shard.is_stopped()) {
                if self.nodes.iter().any(|node| node.is_stopped) {
                    return self.crash_now();
                }
                self.coverage.clean_stops += 1;
                return Ok(Ending::Stopped);
            }
            self.world.step();
        }
        Err(Halt::Wrong("a clean stop never ended".to_owned()))
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

/// Cuts bytes into the batches they are.
fn split_batches(
    handle: PartitionHandle,
    bytes: &[u8],
    found: &mut Vec<(i64, Vec<u8>)>,
) -> Result<(), String> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let header = Header::parse(rest).map_err(|error| format!("{handle:?}: {error}"))?;
        let batch_bytes = header.batch_bytes as usize;
        let Some((batch, behind)) = rest.split_at_checked(batch_bytes) else {
            return Err(format!(
                "{handle:?}: the batch at {} is cut",
                header.base_offset
            ));
        };
        found.push((header.base_offset, batch.to_vec()));
        rest = behind;
    }
    Ok(())
}

fn add_counters(sum: &mut ShardCounters, more: &ShardCounters) {
    sum.batches += more.batches;
    sum.commits += more.commits;
    sum.placed_bytes += more.placed_bytes;
    sum.write_back_bytes += more.write_back_bytes;
    sum.checkpoints += more.checkpoints;
    sum.rolls += more.rolls;
    sum.cold_read_bytes += more.cold_read_bytes;
}

/// A shard so small that everything that is rare in life happens often.
fn shard_config(index: usize) -> ShardConfig {
    ShardConfig {
        shard: ShardId(index as u16),
        journal_bytes: 512 << 10,
        journal_files: 4,
        placed_bytes_min: 16 << 10,
        idle_mark_ms: 2,
        checkpoint_interval_ms: 50,
        open_files_max: 8,
        partitions_max: 16,
        producers_max: 64,
        disk_depth_max: 8,
        retention_check_ms: 20,
        ballast_bytes: 1 << 20,
        prepared_bytes_max: 8 << 20,
    }
}
