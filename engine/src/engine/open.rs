//! From a path to shards that can be opened: lock, root file, first start, interrupted starts,
//! refusals, re-sharding.
//!
//! [`prepare`] does this for the kernel, [`prepare_on`] on any `Io` (a simulated one, say). Every
//! step may be interrupted and is gone through again at the next start: what the root file lists
//! as being made or retired is removed first. INVARIANT: nothing is read before the lock is held.

use super::EngineError;
use super::config::{Cores, EngineConfig};
use super::reshard::{Placement, reshard};
use super::root_file::{self, FoundRoot, Root, failed, sync_dir};
use crate::ids::{JournalId, ShardId};
use crate::io::group::{KernelConfig, ShardGroup, ShardSeat, start_shards};
use crate::io::probe::DurableBy;
use crate::io::{Awaiting, Dir, FileOp, FilePath, FileReply, Io};
use crate::journal::check::JournalKey;
use crate::planted::{Bug, is};
use crate::shard::file_table::SegmentFile;
use crate::shard::preparation::call_file;
use crate::shard::{JournalSetup, OpenError, ShardConfig, ShardContent, create_journal};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

/// Arena of the shard that only looks after the data directory.
const DIRECTORY_ARENA_BYTES: usize = 4 << 20;

/// Everything the shards of a data directory are started with.
#[derive(Debug)]
pub struct Prepared {
    /// Configuration and journal of each shard, in shard order: arguments of `Shard::open`.
    pub shards: Vec<(ShardConfig, JournalSetup)>,
    /// How to start their threads.
    pub kernel: KernelConfig,
    /// Names the set of directories.
    pub set_id: [u8; 16],
    /// What a human should know, one sentence each.
    pub report: Vec<String>,
    /// Keep it as long as any shard runs.
    pub lock: DirectoryLock,
}

/// Holds the lock of a data directory; given back when dropped.
#[derive(Debug)]
pub struct DirectoryLock {
    keeper: Option<ShardGroup<(), ()>>,
}

impl DirectoryLock {
    /// What taking it has measured of the journal directory, for all who start shards there.
    fn durable_by(&self) -> Option<DurableBy> {
        self.keeper
            .as_ref()
            .map(|keeper| keeper.report().durable_by)
    }
}

impl Drop for DirectoryLock {
    fn drop(&mut self) {
        if let Some(keeper) = self.keeper.take() {
            // A keeper that has ended has given the lock back already.
            let told = keeper.remote().send(ShardId(0), ());
            let ended = keeper.join();
            log::debug!("data directory lock given back: {told:?} {ended:?}");
        }
    }
}

/// A data directory that is locked and in order.
#[derive(Debug)]
pub struct Directory {
    root: FoundRoot,
    /// What a human should know, one sentence each.
    pub report: Vec<String>,
}

impl Directory {
    /// What the root file says.
    #[must_use]
    pub const fn root(&self) -> &Root {
        &self.root.root
    }

    /// The journal of each shard.
    #[must_use]
    pub fn journals(&self) -> Vec<JournalSetup> {
        let root = self.root();
        let setup = |&id| journal_setup(root, id);
        root.journals.iter().map(setup).collect()
    }
}

/// Locks the data directory, makes it if it is new, re-shards it if `config` asks for another
/// number of shards, and says how to start its shards.
///
/// # Errors
/// Settings out of bounds; a directory in use, of another version, incomplete or damaged; a kernel
/// or disk that refuses.
pub fn prepare(config: &EngineConfig, placement: Arc<Placement>) -> Result<Prepared, EngineError> {
    config.check()?;
    let (lock, mut directory) = lock_directory(config)?;
    if let Some(count) = wanted_change(config, directory.root()) {
        config.check_memory(count.max(directory.root().journals.len()))?;
        let durable_by = lock.durable_by();
        directory = reshard_on_kernel(config, directory, (count, durable_by), placement)?;
    }
    let journals = directory.journals();
    let count = journals.len();
    config.check_memory(count)?;
    let cores = pin(config.cores.list(), count);
    if config.cores.list().len() < count {
        directory.report.push(format!(
            "{count} shards share {} cores, because the data directory has {count} shards",
            config.cores.list().len()
        ));
    }
    let configs = (0..count).map(|shard| config.shard_config(shard_id(shard), count));
    Ok(Prepared {
        shards: configs.zip(journals).collect(),
        kernel: KernelConfig {
            durable_by: lock.durable_by(),
            ..kernel_config(config, cores, config.arena_bytes(count))
        },
        set_id: directory.root().set_id,
        report: directory.report,
        lock,
    })
}

/// The same on one `Io`, which holds the lock for its process from then on; the caller starts the
/// shards.
///
/// # Errors
/// As [`prepare`].
pub fn prepare_on(
    io: &mut Io,
    config: &EngineConfig,
    placement: &Placement,
) -> Result<Directory, EngineError> {
    config.check()?;
    let mut directory = open_directory(io, config)?;
    if let Some(count) = wanted_change(config, directory.root()) {
        config.check_memory(count)?;
        let line = reshard(io, config, &mut directory.root, count, placement)?;
        directory.report.push(line);
    }
    Ok(directory)
}

/// The number of shards to change to, if the stored one is not wanted.
fn wanted_change(config: &EngineConfig, root: &Root) -> Option<usize> {
    match &config.cores {
        Cores::Listed(list) if list.len() != root.journals.len() => Some(list.len()),
        Cores::Allowed(list)
            if is(Bug::ShardCountFromProcessors) && list.len() != root.journals.len() =>
        {
            Some(list.len())
        }
        Cores::Listed(_) | Cores::Allowed(_) => None,
    }
}

/// The core of each shard: all allowed ones in turn.
pub(super) fn pin(cores: &[usize], shards: usize) -> Vec<usize> {
    cores.iter().copied().cycle().take(shards).collect()
}

pub(super) fn kernel_config(
    config: &EngineConfig,
    cores: Vec<usize>,
    arena_bytes: usize,
) -> KernelConfig {
    KernelConfig {
        cores,
        arena_bytes,
        data_dir: config.data_dir.clone(),
        journal_dir: config.journal_dir(),
        mailbox_capacity: config.mailbox_capacity,
        durable_by: None,
    }
}

/// Starts a shard that opens the directory and then does nothing but hold its lock.
fn lock_directory(config: &EngineConfig) -> Result<(DirectoryLock, Directory), EngineError> {
    let (sender, receiver) = sync_channel(1);
    let kernel = kernel_config(config, pin(config.cores.list(), 1), DIRECTORY_ARENA_BYTES);
    let settings = config.clone();
    let keeper = start_shards(&kernel, move |mut seat: ShardSeat<(), ()>| {
        let opened = open_directory(&mut seat.io, &settings);
        let is_locked = opened.is_ok();
        // The receiver waits for exactly one answer.
        drop(sender.send(opened));
        let mut released = Vec::new();
        while is_locked && released.is_empty() {
            seat.io.poll(&mut Vec::new());
            seat.inbox.receive(&mut seat.io, 1, &mut released);
            if released.is_empty() {
                seat.io.park(None, Awaiting::Disk);
            }
        }
    })?;
    let measured = keeper.report().lines.clone();
    let lock = DirectoryLock {
        keeper: Some(keeper),
    };
    let mut directory = receiver.recv().map_err(|_| EngineError::Stopped)??;
    directory.report.extend(measured);
    Ok((lock, directory))
}

fn reshard_on_kernel(
    config: &EngineConfig,
    directory: Directory,
    (count, durable_by): (usize, Option<DurableBy>),
    placement: Arc<Placement>,
) -> Result<Directory, EngineError> {
    let before = directory.root().journals.len();
    let arena_bytes = config.arena_bytes(before);
    let kernel = KernelConfig {
        durable_by,
        ..kernel_config(config, pin(config.cores.list(), 1), arena_bytes)
    };
    let settings = config.clone();
    let root = directory.root.clone();
    let group = start_shards(&kernel, move |mut seat: ShardSeat<(), ()>| {
        let mut root = root.clone();
        reshard(&mut seat.io, &settings, &mut root, count, &*placement).map(|line| (root, line))
    })?;
    let result = group.join().pop();
    let (root, line) = result.ok_or(EngineError::Stopped)??;
    let mut report = directory.report;
    report.push(line);
    Ok(Directory { root, report })
}

/// Locks and reads the directory, makes a new one, and finishes what an interrupted start left.
fn open_directory(io: &mut Io, config: &EngineConfig) -> Result<Directory, EngineError> {
    lock(io, config)?;
    let mut report = Vec::new();
    let mut root = match root_file::read(io)? {
        Some(mut found) => {
            found.repair(io)?;
            found
        }
        None => {
            let shards = config.cores.list().len();
            config.check_memory(shards)?;
            begin_directory(io, shards)?
        }
    };
    remove_retired(io, &mut root)?;
    if root.root.journals.is_empty() {
        make_first_journals(io, config, &mut root)?;
        report.push(format!(
            "made a new data directory with {} shards",
            root.root.journals.len()
        ));
    }
    root_file::check_set(io, &root.root.set_id)?;
    if is(Bug::MissingJournalIsEmpty) {
        make_missing_journals(io, config, &root.root)?;
    }
    check_journals(io, &root.root)?;
    Ok(Directory { root, report })
}

/// What nobody may do: a journal that is missing begins anew.
fn make_missing_journals(io: &mut Io, config: &EngineConfig, root: &Root) -> Result<(), OpenError> {
    let names = list(io, Dir::Journal)?;
    for (shard, &id) in root.journals.iter().enumerate() {
        if !names.iter().any(|name| journal_of_name(name) == Some(id)) {
            let config = config.shard_config(shard_id(shard), root.journals.len());
            let setup = journal_setup(root, id);
            create_journal(io, &config, &setup, &ShardContent::default())?;
        }
    }
    Ok(())
}

/// Locks and reads a directory that must be there, and finishes what an interrupted start left.
pub(super) fn open_existing(io: &mut Io, config: &EngineConfig) -> Result<Directory, OpenError> {
    lock(io, config)?;
    let found = root_file::read(io)?.filter(|found| !found.root.journals.is_empty());
    let Some(mut root) = found else {
        return Err(OpenError::Refused {
            object: format!("data directory {}", config.data_dir.display()),
            problem: "holds no data of Millrace".to_owned(),
            remedy: "give the --data-dir of a broker that is stopped".to_owned(),
        });
    };
    root.repair(io)?;
    remove_retired(io, &mut root)?;
    root_file::check_set(io, &root.root.set_id)?;
    check_journals(io, &root.root)?;
    let report = Vec::new();
    Ok(Directory { root, report })
}

fn lock(io: &mut Io, config: &EngineConfig) -> Result<(), OpenError> {
    let path = FilePath::new(Dir::Root, "lock");
    let object = || format!("data directory {}", config.data_dir.display());
    match call_file(io, FileOp::Lock { path }) {
        Ok(FileReply::Locked(true)) => Ok(()),
        Ok(FileReply::Locked(false)) if is(Bug::NoLock) => Ok(()),
        Ok(_) => Err(OpenError::Refused {
            object: object(),
            problem: "is in use by another process".to_owned(),
            remedy: "stop that one, or use another --data-dir".to_owned(),
        }),
        Err(failure) => Err(failed(&object(), failure)),
    }
}

/// No root file: the directories must be empty of ours, or something precious lost its root.
fn begin_directory(io: &mut Io, shards: usize) -> Result<FoundRoot, OpenError> {
    let foreign = list(io, Dir::Journal)?
        .into_iter()
        .find(|name| name == "set" || journal_of_name(name).is_some());
    let orphan = list(io, Dir::Segments)?
        .into_iter()
        .find(|name| SegmentFile::parse(name).is_some());
    if let Some(name) = foreign.or(orphan) {
        return Err(OpenError::Refused {
            object: "data directory".to_owned(),
            problem: format!("has no root file, and there is {name}"),
            remedy: "restore root.A and root.B, or use empty directories".to_owned(),
        });
    }
    let count = u16::try_from(shards).expect("the configuration bounds the shards");
    let mut random = || {
        let [a, b] = [io.random_u64(), io.random_u64()].map(u64::to_le_bytes);
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&a);
        bytes[8..].copy_from_slice(&b);
        bytes
    };
    let mut root = FoundRoot::new(Root {
        set_id: random(),
        key: JournalKey(random()),
        layout_epoch: 1,
        next_journal: count + 1,
        journals: Vec::new(),
        making: (1..=count).map(JournalId).collect(),
        retired: Vec::new(),
    });
    root.write(io)?;
    Ok(root)
}

fn make_first_journals(
    io: &mut Io,
    config: &EngineConfig,
    root: &mut FoundRoot,
) -> Result<(), OpenError> {
    let making = root.root.making.clone();
    remove_journal_files(io, &making)?;
    for (shard, &id) in making.iter().enumerate() {
        let config = config.shard_config(shard_id(shard), making.len());
        let setup = journal_setup(&root.root, id);
        create_journal(io, &config, &setup, &ShardContent::default())?;
    }
    root_file::write_set(io, &root.root.set_id)?;
    root.root.making.clear();
    root.root.journals = making;
    root.write(io)
}

/// Removes what a finished or interrupted change of shards left behind.
pub(super) fn remove_retired(io: &mut Io, root: &mut FoundRoot) -> Result<(), OpenError> {
    let is_first_start = root.root.journals.is_empty();
    let mut unwanted = root.root.retired.clone();
    if !is_first_start {
        unwanted.extend(&root.root.making);
    }
    if unwanted.is_empty() {
        return Ok(());
    }
    remove_journal_files(io, &unwanted)?;
    root.root.retired.clear();
    root.root.making.clear();
    root.write(io)
}

/// Removes every file of these journals: ring, checkpoints, ballast.
fn remove_journal_files(io: &mut Io, journals: &[JournalId]) -> Result<(), OpenError> {
    for dir in [Dir::Journal, Dir::Segments] {
        let mut is_changed = false;
        for name in list(io, dir)? {
            if journal_of_name(&name).is_some_and(|id| journals.contains(&id)) {
                let path = FilePath::new(dir, name.clone());
                call_file(io, FileOp::Unlink { path }).map_err(|failure| failed(&name, failure))?;
                is_changed = true;
            }
        }
        if is_changed {
            sync_dir(io, dir)?;
        }
    }
    Ok(())
}

fn check_journals(io: &mut Io, root: &Root) -> Result<(), OpenError> {
    let names = list(io, Dir::Journal)?;
    let is_there = |id| names.iter().any(|name| journal_of_name(name) == Some(id));
    match root.journals.iter().find(|&&id| !is_there(id)) {
        None => Ok(()),
        Some(missing) => Err(OpenError::Refused {
            object: format!("journal {:04x}", missing.0),
            problem: "is named by the root file and missing".to_owned(),
            remedy: "bring its files back; without them acknowledged records are lost".to_owned(),
        }),
    }
}

/// Names of a journal's files begin with its id: `0001.0000.jnl`, `0001.ckpt.A`, `0001.ballast`.
fn journal_of_name(name: &str) -> Option<JournalId> {
    let (id, rest) = name.split_once('.')?;
    let is_ours = rest.ends_with(".jnl") || rest.starts_with("ckpt.") || rest == "ballast";
    (id.len() == 4 && is_ours)
        .then(|| u16::from_str_radix(id, 16).ok())
        .flatten()
        .map(JournalId)
}

pub(super) fn journal_setup(root: &Root, id: JournalId) -> JournalSetup {
    JournalSetup {
        id,
        key: root.key,
        set_id: root.set_id,
    }
}

pub(super) fn shard_id(index: usize) -> ShardId {
    ShardId(u16::try_from(index).expect("the configuration bounds the shards"))
}

pub(super) fn list(io: &mut Io, dir: Dir) -> Result<Vec<String>, OpenError> {
    match call_file(io, FileOp::List { dir }) {
        Ok(FileReply::Listed(files)) => Ok(files.into_iter().map(|(name, _)| name).collect()),
        Ok(other) => unreachable!("a listing is answered by Listed, not {other:?}"),
        Err(failure) => Err(failed("directory", failure)),
    }
}
