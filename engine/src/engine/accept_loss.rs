//! Gives up, of a data directory at rest, what cannot be read any more: the only way that data is
//! ever given up. `millrace log accept-loss` runs it.
//!
//! ```text
//! 1 lock; files of journals that are missing, too short or unreadable: asked, made whole
//! 2 per journal: recover, read everything, fence what is damaged; that and what the device does
//!   not give is asked
//! 3 per journal: recover, find it again, give it up in the journal, stop cleanly
//! ```
//! Without a yes nothing is given up: step 2 does no more than a start and readers do. A crash
//! leaves each partition fenced or accepted, and the command may be repeated.

use super::EngineError;
use super::config::EngineConfig;
use super::open::{Directory, journal_setup, kernel_config, open_existing, pin, shard_id};
use crate::ids::{PartitionHandle, ShardId};
use crate::io::group::{ShardSeat, start_shards};
use crate::io::{Awaiting, Io};
use crate::shard::{
    BrokenFile, JournalSetup, Loss, ShardConfig, accept_losses, broken_files, find_losses,
    remake_file,
};
use std::sync::mpsc::sync_channel;

/// What is lost, for its owner to accept.
#[derive(Clone, Debug)]
pub enum Question {
    /// These files of the journals are missing, too short or cannot be read somewhere. Once they
    /// are whole again, what they held can be told from the others, and is asked next.
    Files(Vec<BrokenFile>),
    /// These records cannot be read.
    Records {
        /// Offset ranges, ordered by partition within a journal.
        losses: Vec<Loss>,
        /// Registry entries of all journals: owner, key, value.
        registry: Vec<(PartitionHandle, Vec<u8>, Vec<u8>)>,
    },
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcceptedLoss {
    /// Everything can be read.
    NothingLost,
    /// It was not accepted; nothing was given up.
    Declined,
    /// So many offset ranges were given up.
    Accepted(usize),
}

/// Finds what is lost, asks, and gives it up if every answer is yes.
///
/// # Errors
/// No data directory there, in use, or damaged so that nothing says what it held; a disk that
/// cannot be written.
pub fn accept_loss(
    config: &EngineConfig,
    mut ask: impl FnMut(&Question) -> bool,
) -> Result<AcceptedLoss, EngineError> {
    config.check()?;
    let (sender, receiver) = sync_channel(1);
    let kernel = kernel_config(config, pin(config.cores.list(), 1), config.arena_bytes(1));
    let settings = config.clone();
    let worker = start_shards(&kernel, move |mut seat: ShardSeat<(), bool>| {
        let inbox = &mut seat.inbox;
        let mut question = |io: &mut Io, question: Question| {
            // Without its owner nobody says yes.
            if sender.send(question).is_err() {
                return false;
            }
            let mut answers = Vec::new();
            while answers.is_empty() {
                io.poll(&mut Vec::new());
                inbox.receive(io, 1, &mut answers);
                if answers.is_empty() {
                    io.park(None, Awaiting::Disk);
                }
            }
            answers.contains(&true)
        };
        accept_loss_on(&mut seat.io, &settings, &mut question)
    })?;
    while let Ok(question) = receiver.recv() {
        let answer = ask(&question);
        if worker.remote().send(ShardId(0), answer).is_err() {
            break;
        }
    }
    worker.join().pop().ok_or(EngineError::Stopped)?
}

/// The same on one `Io`, which holds the lock for its process from then on.
///
/// # Errors
/// As [`accept_loss`].
pub fn accept_loss_on(
    io: &mut Io,
    config: &EngineConfig,
    ask: &mut dyn FnMut(&mut Io, Question) -> bool,
) -> Result<AcceptedLoss, EngineError> {
    config.check()?;
    let directory = open_existing(io, config)?;
    let journals = journals(config, &directory);
    let mut broken = Vec::new();
    for (_, setup) in &journals {
        let of_journal = broken_files(io, setup)?;
        broken.extend(of_journal.into_iter().map(|file| (*setup, file)));
    }
    if !broken.is_empty() {
        let files = broken.iter().map(|(_, file)| file.clone());
        if !ask(io, Question::Files(files.collect())) {
            return Ok(AcceptedLoss::Declined);
        }
        for (setup, file) in &broken {
            remake_file(io, setup, file)?;
        }
    }
    let mut found = Vec::new();
    let mut registry = Vec::new();
    for (config, setup) in &journals {
        let of_journal = find_losses(io, config.clone(), *setup)?;
        found.push(of_journal.losses);
        registry.extend(of_journal.registry);
    }
    let losses: Vec<Loss> = found.iter().flatten().copied().collect();
    if losses.is_empty() {
        return Ok(AcceptedLoss::NothingLost);
    }
    let count = losses.len();
    if !ask(io, Question::Records { losses, registry }) {
        return Ok(AcceptedLoss::Declined);
    }
    for ((config, setup), losses) in journals.into_iter().zip(&found) {
        if !losses.is_empty() {
            accept_losses(io, config, setup, losses)?;
        }
    }
    Ok(AcceptedLoss::Accepted(count))
}

fn journals(config: &EngineConfig, directory: &Directory) -> Vec<(ShardConfig, JournalSetup)> {
    let ids = &directory.root().journals;
    let shard = |shard: usize| config.shard_config(shard_id(shard), 1);
    let setups = ids.iter().map(|&id| journal_setup(directory.root(), id));
    setups
        .enumerate()
        .map(|(index, setup)| (shard(index), setup))
        .collect()
}
