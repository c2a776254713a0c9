//! Opening a shard: from the newest checkpoint and the ring to a log that serves.
//!
//! ```text
//! 1 flush, then read both checkpoint copies     4 walk the chain, replay every commit that counts
//! 2 flush the ring                              5 cut a torn tail; fence what rot took
//! 3 collect every header as evidence            6 write back, new epoch, checkpoint to both copies
//! ```
//! Up to step 6 nothing on disk changes, so that a crash anywhere repeats it with the same result.
//! INVARIANT: nothing is appended or served before both copies are durable, and the new epoch
//! begins in a file that holds no commit of the epoch before.

use super::checkpoint::{Checkpointing, CopyFile};
use super::cleaning::Cleaner;
use super::cold_reads::{ColdReadConfig, ColdReads};
use super::commit::Journal;
use super::config::{JournalSetup, ShardConfig};
use super::control::apply_registry;
use super::error::OpenError;
use super::file_table::{Content, FileTable, SegmentFile};
use super::found_journal::{
    FileReader, FoundRing, collect_evidence, newest_copy, open_ring, read_copy,
};
use super::lists::{Lists, Partitions};
use super::preparation::{Preparation, PreparationConfig};
use super::replay::Replay;
use super::ring_files::{copy_path, make, must, ring_path};
use super::ring_reader::write_block;
use super::{Life, Shard};
use crate::ids::{FileId, JournalId};
use crate::io::{Dir, FileHandle, FileOp, FileReply, Io};
use crate::journal::checkpoint::{CheckpointContent, Copy, read_checkpoint};
use crate::journal::format::FoundHeader;
use crate::journal::ring::RingFront;
use crate::journal::scan::{Evidence, Step, Walk};
use crate::partition::Partition;
use crate::planted::{Bug, is};
use std::collections::BTreeSet;

/// A segment file's id is its journal's id and, in the lower bits, a number.
const FILE_NUMBER_BITS: u32 = 40;

/// Cold reads in flight at most. The kernel joins neighbours that are submitted together into one
/// request of up to 4 MiB, so that fewer would be one request at a time.
const COLD_READS_IN_FLIGHT_MAX: usize = 48;

impl Shard {
    /// Recovers the shard's journal and partitions: when it returns, every record that was ever
    /// acknowledged by the `Disk` class is readable, and appends may begin. A journal is made by
    /// [`create_journal`](super::create_journal), never by this.
    ///
    /// # Errors
    /// See [`OpenError`]; nothing was changed on disk that a later try would miss.
    pub fn open(io: &mut Io, config: ShardConfig, setup: JournalSetup) -> Result<Self, OpenError> {
        let mut shard = Self::recover(io, config, setup)?;
        // What replay set free is named by no checkpoint since the one that was just written.
        for (_, slot) in shard.partitions.iter_mut() {
            slot.partition.take_released(&mut shard.released);
        }
        for file in std::mem::take(&mut shard.released) {
            shard.preparation.release(io, &mut shard.table, file);
        }
        if !shard.was_damaged || is(Bug::OrphansRemovedAfterRot) {
            let mut named: Vec<FileId> = Vec::new();
            for (_, slot) in shard.partitions.iter() {
                named.extend(slot.partition.files().map(|file| file.file));
            }
            // What replay released goes its own way and is no orphan.
            named.extend(shard.released.iter().map(|file| file.file));
            shard.preparation.sweep_orphans(io, named);
        }
        Ok(shard)
    }

    /// Everything up to the recovery checkpoint.
    pub(super) fn recover(
        io: &mut Io,
        config: ShardConfig,
        setup: JournalSetup,
    ) -> Result<Self, OpenError> {
        let copies = [Copy::A, Copy::B].map(|copy| read_copy(io, setup.id, copy));
        let [a, b] = copies;
        let copies = [a?, b?];
        let read = copies
            .each_ref()
            .map(|copy| read_checkpoint(&copy.bytes, &setup.key, setup.id));
        let newest = newest_copy(&setup, &read)?;
        let content = newest.content().ok_or_else(|| OpenError::Refused {
            object: copy_path(setup.id, Copy::A).name,
            problem: "holds a checkpoint that this program cannot read".to_owned(),
            remedy: "use the version that wrote it".to_owned(),
        })?;
        let ring = open_ring(io, setup.id, newest.head.shape)?;
        let head = newest.head;
        let mut evidence = Evidence::new(
            setup.key,
            setup.id,
            head.shape,
            head.epoch,
            head.start_sequence,
        );
        let mut last_used = head.start.file;
        if !head.is_clean {
            last_used = collect_evidence(io, &ring, head.start.file, &mut evidence)?;
        }
        let resolved = evidence.resolved_at_least(head.mark);
        let fresh = if is(Bug::AppendBehindFoundTail) {
            head.start
        } else {
            head.shape.start_of_next(last_used)
        };
        let numbers = read
            .each_ref()
            .map(|copy| copy.as_ref().ok().map(|found| found.head.number));
        let epoch = if is(Bug::EpochNotRaised) {
            evidence.highest_epoch()
        } else {
            evidence.highest_epoch() + 1
        };
        let copy_file = |index: usize| CopyFile {
            file: copies[index].file,
            bytes: copies[index].bytes.len() as u64,
            number: numbers[index],
        };
        let listed = listed_segments(io)?;
        let plan = Plan {
            setup,
            front: RingFront::new(head.shape, fresh, fresh),
            files: ring.files.clone(),
            epoch,
            next_sequence: evidence.highest_sequence() + 1,
            copies: [copy_file(0), copy_file(1)],
            number: head.number,
            next_file: head.next_file.max(highest_number(&listed, setup.id) + 1),
        };
        let mut shard = plan.into_shard(io, config)?;
        let begun = shard.preparation.begin(io);
        begun.map_err(|failure| OpenError::Io {
            object: "segments folder".to_owned(),
            failure,
        })?;
        shard.restore(&setup, &content)?;
        let mut replay = Replay::new(setup.id);
        if !head.is_clean {
            let walk = Walk::new(&evidence, head.start, head.previous, resolved);
            let walk = walk.map_err(|broken| OpenError::Refused {
                object: ring_path(setup.id, head.start.file).name,
                problem: broken.to_string(),
                remedy: "keep the data directory and report it".to_owned(),
            })?;
            shard.walk(io, &ring, walk, &mut replay)?;
        }
        shard.was_damaged = replay.was_damaged();
        replay.finish(&mut shard);
        shard.make_missing_files(io, &listed)?;
        shard.finish_recovery(io, head.is_clean)?;
        Ok(shard)
    }

    fn restore(
        &mut self,
        setup: &JournalSetup,
        content: &CheckpointContent<'_>,
    ) -> Result<(), OpenError> {
        let (found, max) = (
            content.partitions.len(),
            self.config.partitions_in_memory_max,
        );
        if found > max.saturating_add(max / 4) {
            return Err(OpenError::Refused {
                object: copy_path(setup.id, Copy::A).name,
                problem: format!("it has {found} partitions, the memory is enough for {max}"),
                remedy: "start with a larger --memory".to_owned(),
            });
        }
        for (handle, state) in &content.partitions {
            let partition = Partition::restore(state).map_err(|error| OpenError::Refused {
                object: copy_path(setup.id, Copy::A).name,
                problem: format!("partition {}: {error}", handle.0),
                remedy: "use the version that wrote it".to_owned(),
            })?;
            self.partitions.insert(partition);
        }
        for (owner, key, value) in &content.registry {
            apply_registry(&mut self.registry, *owner, key, Some(value));
        }
        Ok(())
    }

    /// Follows the chain and replays what counts.
    fn walk(
        &mut self,
        io: &mut Io,
        ring: &FoundRing,
        mut walk: Walk<'_>,
        replay: &mut Replay,
    ) -> Result<(), OpenError> {
        let mut reader = FileReader::default();
        let mut step = walk.step();
        loop {
            step = match step {
                Step::Commit(header) => {
                    let bytes = reader.commit(io, ring, &header)?;
                    if let Ok(content) = header.content(bytes) {
                        walk.accept(&header);
                        replay.commit(self, io, header.id.sequence, &content)?;
                        walk.step()
                    } else {
                        judge_damage(&mut walk, replay, &header, bytes)
                    }
                }
                Step::Lost { from, to } => {
                    replay.lost(from, to);
                    walk.step()
                }
                Step::LostTail { from, last } => {
                    replay.lost(from, last + 1);
                    walk.step()
                }
                Step::End { cut, discarded } => {
                    self.counters.commits_cut += discarded as u64;
                    if discarded > 0 {
                        log::info!(
                            "journal {}: cut before commit {cut}, which was never acknowledged, \
                             with {discarded} behind it",
                            ring.journal.0
                        );
                    }
                    return Ok(());
                }
            };
        }
    }

    /// A segment whose file is gone costs its own records and nothing else.
    fn make_missing_files(
        &self,
        io: &mut Io,
        listed: &BTreeSet<SegmentFile>,
    ) -> Result<(), OpenError> {
        for (handle, slot) in self
            .partitions
            .iter()
            .map(|(_, slot)| (slot.owner.handle, slot))
        {
            let is_there = |file| listed.contains(&SegmentFile::records(file));
            for (identity, bytes) in slot.partition.missing_files(is_there) {
                let path = SegmentFile::records(identity.file).path();
                log::error!(
                    "partition {}: {} is missing and made anew",
                    handle.0,
                    path.name
                );
                let name = path.name.clone();
                let file = make(io, path, bytes)?;
                write_block(io, &name, (file, 0), &identity.encode())?;
                must(io, &name, FileOp::SyncData { file })?;
                io.close_file(file);
                let dir = Dir::Segments;
                must(io, "segments folder", FileOp::SyncDir { dir })?;
            }
        }
        Ok(())
    }

    /// Raises epochs, writes everything back and makes the recovery checkpoint durable.
    fn finish_recovery(&mut self, io: &mut Io, is_clean: bool) -> Result<(), OpenError> {
        let relaxed_reused = is(Bug::RelaxedOffsetsReused);
        let journal = self.journal.setup.id;
        for (_, slot) in self.partitions.iter_mut() {
            slot.partition.finish_recovery(is_clean || relaxed_reused);
            slot.partition.take_released(&mut self.released);
            for file in slot.partition.files() {
                if let Some(number) = number_in(journal, file.file) {
                    self.preparation.skip_number(number);
                }
            }
        }
        // A file that goes may never have been made: its number must not come back before, and it
        // is removed, whatever a checkpoint that needed none of it says of its space.
        for file in &mut self.released {
            file.prepared = 0;
            if let Some(number) = number_in(journal, file.file) {
                self.preparation.skip_number(number);
            }
        }
        for number in 0..self.partitions.slot_count() {
            self.recount(number);
            self.recount_producers(number);
            self.lists.touch(&mut self.partitions, number);
        }
        self.bound_producers();
        self.begin_checkpoint(false);
        self.run_until(io, |shard| shard.checkpointing.is_idle())?;
        // Nobody asked for what happened so far; that the disk is full concerns everybody.
        self.events
            .retain(|event| matches!(event, super::Event::DiskFull(_)));
        self.life = Life::Running;
        for number in 0..self.partitions.slot_count() {
            self.lists.touch(&mut self.partitions, number);
        }
        let interval_ns = self.config.retention_check_ms.saturating_mul(1_000_000);
        self.retention_due_ns = io.now_ns().saturating_add(interval_ns);
        Ok(())
    }

    /// Brings replayed bytes to the disk until memory is free again.
    pub(super) fn make_room(&mut self, io: &mut Io) -> Result<(), OpenError> {
        self.is_memory_short = true;
        for number in 0..self.partitions.slot_count() {
            self.recount(number);
            self.lists.touch(&mut self.partitions, number);
            self.want_write_back(number);
        }
        let before = self.counters.write_back_bytes;
        self.run_until(io, |shard| {
            shard.counters.write_back_bytes > before && shard.writes.in_flight() == 0
        })?;
        for (_, slot) in self.partitions.iter_mut() {
            slot.partition.evict(usize::MAX);
        }
        self.is_memory_short = false;
        Ok(())
    }

    /// Runs turns until `is_done`. Fails when nothing moves any more.
    fn run_until(&mut self, io: &mut Io, is_done: impl Fn(&Self) -> bool) -> Result<(), OpenError> {
        let mut done = Vec::new();
        let mut idle_turns = 0;
        loop {
            self.end_turn(io);
            if self.life == Life::Failed {
                return Err(self.why_failed());
            }
            if is_done(self) {
                return Ok(());
            }
            if self.is_busy() {
                idle_turns = 0;
                let waited = io.wait(&mut done);
                waited.map_err(|failure| OpenError::Io {
                    object: "the machine".to_owned(),
                    failure,
                })?;
            } else {
                idle_turns += 1;
                if idle_turns > 4 {
                    return Err(OpenError::Refused {
                        object: "segments folder".to_owned(),
                        problem: "what the journal holds cannot be written into segments"
                            .to_owned(),
                        remedy: "free disk space, or start with a larger --memory".to_owned(),
                    });
                }
            }
            for completion in done.drain(..) {
                self.complete(io, completion);
            }
        }
    }

    /// Whether an operation of it is under way.
    pub(super) fn is_busy(&self) -> bool {
        self.writes.in_flight() > 0
            || self.checkpointing.is_in_flight()
            || self.preparation.is_busy()
            || self.queries.is_busy()
    }

    pub(super) fn why_failed(&mut self) -> OpenError {
        let reason = self.events.drain(..).find_map(|event| match event {
            super::Event::FailStopped(reason) => Some(reason),
            _ => None,
        });
        OpenError::Refused {
            object: format!("journal {}", self.journal.setup.id.0),
            problem: reason.unwrap_or_else(|| "the shard stopped".to_owned()),
            remedy: "check the device (dmesg), then start again".to_owned(),
        }
    }

    /// The bytes of the newest checkpoint.
    pub(super) fn checkpoint_bytes(&self) -> &[u8] {
        self.checkpointing.bytes()
    }
}

/// What the new epoch begins with.
struct Plan {
    setup: JournalSetup,
    front: RingFront,
    files: Vec<FileHandle>,
    epoch: u64,
    next_sequence: u64,
    copies: [CopyFile; 2],
    number: u64,
    next_file: u64,
}

impl Plan {
    fn into_shard(self, io: &mut Io, config: ShardConfig) -> Result<Shard, OpenError> {
        let shape = self.front.shape();
        let arena = io.arena();
        let journal = Journal::new(
            arena,
            self.setup,
            self.front,
            self.files,
            self.epoch,
            self.next_sequence,
        )
        .ok_or_else(|| OpenError::no_memory("journal"))?;
        let start_sequence = self.next_sequence;
        let checkpointing =
            Checkpointing::new(arena, shape, self.copies, self.number, start_sequence)
                .ok_or_else(|| OpenError::no_memory("checkpoint"))?;
        let preparation = PreparationConfig {
            ballast_bytes: config.ballast_bytes,
            spare_bytes_max: config.prepared_bytes_max,
            spare_file_bytes_min: config.spare_file_bytes_min,
            ..PreparationConfig::of_shard(self.setup.id, 1)
        };
        let cold = ColdReadConfig {
            depth_max: (config.disk_depth_max / 4).clamp(1, COLD_READS_IN_FLIGHT_MAX),
            cache_bytes_max: arena.capacity_bytes() / 16,
        };
        Ok(Shard {
            life: Life::Recovering,
            now: Default::default(),
            partitions: Partitions::default(),
            lists: Lists::default(),
            registry: Default::default(),
            controls: Default::default(),
            journal,
            checkpointing,
            table: FileTable::new(config.open_files_max.max(1)),
            preparation: Preparation::new(preparation, self.next_file),
            cold: ColdReads::new(cold),
            writes: Default::default(),
            releases: Default::default(),
            queries: Default::default(),
            cleaner: Cleaner::new(config.cleaner),
            events: Vec::new(),
            acks: Default::default(),
            entry: Default::default(),
            spare: Default::default(),
            released: Vec::new(),
            unwritten_bytes: 0,
            unresolved_batches: 0,
            producers: 0,
            evict_in_vain: 0,
            block_wanted_until_ns: 0,
            is_memory_short: false,
            is_evicting: false,
            was_damaged: false,
            idle_mark_ns: None,
            evict_cursor: 0,
            committed_at_ns: 0,
            files_due_ns: 0,
            starved_due_ns: 0,
            retention_due_ns: 0,
            retention_cursor: None,
            counters: Default::default(),
            config,
        })
    }
}

/// What a commit with a whole header and damaged content means.
fn judge_damage(
    walk: &mut Walk<'_>,
    replay: &mut Replay,
    header: &FoundHeader,
    bytes: &[u8],
) -> Step {
    let step = walk.content_is_damaged(header);
    match header.names(bytes) {
        Some(names) if matches!(step, Step::Lost { .. }) => {
            replay.lost_with_names(header.id.sequence, &names);
            walk.step()
        }
        _ => step,
    }
}

/// The files of segments that are there.
fn listed_segments(io: &mut Io) -> Result<BTreeSet<SegmentFile>, OpenError> {
    let dir = Dir::Segments;
    let names = match must(io, "segments folder", FileOp::List { dir })? {
        FileReply::Listed(names) => names,
        _ => Vec::new(),
    };
    let parsed = names
        .iter()
        .filter_map(|(name, _)| SegmentFile::parse(name));
    Ok(parsed.collect())
}

/// Highest number of a segment file that this journal ever made.
fn highest_number(listed: &BTreeSet<SegmentFile>, journal: JournalId) -> u64 {
    let numbers = listed
        .iter()
        .filter(|file| file.content == Content::Records)
        .filter_map(|file| number_in(journal, file.id));
    numbers.max().unwrap_or(0)
}

/// The number of a segment file within the journal that made it, if that is `journal`.
const fn number_in(journal: JournalId, file: FileId) -> Option<u64> {
    if file.0 >> FILE_NUMBER_BITS == journal.0 as u64 {
        Some(file.0 & ((1 << FILE_NUMBER_BITS) - 1))
    } else {
        None
    }
}
