//! What the engine is made to do while the disk records: threads that append, read, create and
//! delete, and write down what they were told.

use crate::account::{Log, Outcome, Sent};
use crate::machine::Clock;
use crate::{reading, shape};
use millrace_engine::engine::{EngineError, Handle, PendingAppend};
use millrace_engine::ids::PartitionHandle;
use millrace_engine::partition::{AppendError, Appended};
use std::collections::{BTreeMap, VecDeque};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;
use xtask::images::dice::Dice;

/// Batches of a partition without an answer at most, as of Kafka's clients.
const UNANSWERED_MAX: usize = 5;
/// Partitions of one client at most.
const PARTITIONS_MAX: usize = 6;

/// One client.
#[derive(Debug)]
pub(crate) struct Client {
    engine: Handle,
    clock: Clock,
    seed: u64,
    dice: Dice,
    open: BTreeMap<u64, Open>,
    /// The logs that are not worked on any more.
    closed: BTreeMap<u64, Log>,
    next_handle: u64,
    handle_step: u64,
}

/// A partition that is worked on.
#[derive(Debug, Default)]
struct Open {
    log: Log,
    pending: VecDeque<Pending>,
    next_sequence: i32,
}

#[derive(Debug)]
struct Pending {
    number: usize,
    append: PendingAppend,
    /// When a reader was shown it.
    seen: Option<u64>,
}

/// Why a client ends: what must not be, or that its shard takes no more.
#[derive(Debug)]
enum End {
    Stopped,
    Wrong(String),
}

impl From<String> for End {
    fn from(problem: String) -> Self {
        Self::Wrong(problem)
    }
}

impl Client {
    /// Client `index` of `clients`, which uses the handles of that remainder.
    pub(crate) fn new(engine: Handle, clock: Clock, seed: u64, index: u64, clients: u64) -> Self {
        Self {
            engine,
            clock,
            seed,
            dice: Dice::new(seed, 100 + index),
            open: BTreeMap::new(),
            closed: BTreeMap::new(),
            next_handle: if index == 0 { clients } else { index },
            handle_step: clients,
        }
    }

    /// Works until `stop` says so or the engine takes no more. Its logs, and what must not be.
    pub(crate) fn work(
        mut self,
        partitions: u64,
        stop: &Receiver<()>,
    ) -> (BTreeMap<u64, Log>, Option<String>) {
        let mut end = (0..partitions).try_for_each(|_| self.create());
        while end.is_ok() {
            match stop.recv_timeout(Duration::ZERO) {
                Err(RecvTimeoutError::Timeout) => end = self.act(stop),
                Ok(()) | Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        let handles: Vec<u64> = self.open.keys().copied().collect();
        let mut problem = None;
        if let Err(End::Wrong(text)) = end {
            problem = Some(text);
        }
        for handle in handles {
            if let Err(End::Wrong(text)) = self.settle(handle, 0) {
                problem.get_or_insert(text);
            }
        }
        let open = self.open.into_iter();
        self.closed
            .extend(open.map(|(handle, open)| (handle, open.log)));
        (self.closed, problem)
    }

    fn act(&mut self, stop: &Receiver<()>) -> Result<(), End> {
        let nth = self.dice.below(self.open.len() as u64) as usize;
        let Some(handle) = self.open.keys().copied().nth(nth) else {
            return self.create();
        };
        match self.dice.below(100) {
            0 if self.open.len() < PARTITIONS_MAX => self.create(),
            1 if self.open.len() > PARTITIONS_MAX / 2 => self.delete(handle),
            2..=5 => self.send_again(handle),
            6..=10 => self.read(handle),
            11..=14 => self.settle(handle, 0),
            15 => {
                let all: Vec<u64> = self.open.keys().copied().collect();
                all.into_iter().try_for_each(|one| self.settle(one, 0))?;
                // Long enough for a shard to fall idle.
                let pause = Duration::from_millis(self.dice.within(&(4..30)));
                match stop.recv_timeout(pause) {
                    Ok(()) => Err(End::Stopped),
                    Err(_) => Ok(()),
                }
            }
            _ => self.send(handle),
        }
    }

    fn create(&mut self) -> Result<(), End> {
        let handle = self.next_handle;
        self.next_handle += self.handle_step;
        let created = self.engine.create_partition(shape::partition(handle));
        let mut open = Open::default();
        match created {
            Ok(()) => open.log.created = Some(self.clock.events()?),
            Err(error) => {
                self.closed.insert(handle, open.log);
                return self.refused(&error);
            }
        }
        self.open.insert(handle, open);
        Ok(())
    }

    fn delete(&mut self, handle: u64) -> Result<(), End> {
        self.settle(handle, 0)?;
        let Some(Open { mut log, .. }) = self.open.remove(&handle) else {
            return Ok(());
        };
        log.delete_asked = Some(self.clock.events()?);
        let deleted = self.engine.delete_partition(PartitionHandle(handle));
        if deleted.is_ok() {
            log.deleted = Some(self.clock.events()?);
        }
        self.closed.insert(handle, log);
        deleted.or_else(|error| self.refused(&error))
    }

    fn send(&mut self, handle: u64) -> Result<(), End> {
        self.settle(handle, UNANSWERED_MAX - 1)?;
        let Some(open) = self.open.get_mut(&handle) else {
            return Ok(());
        };
        let number = open.log.sent.len();
        let sequence = open.next_sequence;
        let (bytes, records) = shape::batch(self.seed, handle, number as u64, sequence);
        open.next_sequence += records;
        open.log.sent.push(Sent {
            sequence,
            records,
            bytes: bytes.len() as u64,
            sum: shape::sum(&bytes),
            outcome: Outcome::Unknown,
        });
        match self.engine.submit(PartitionHandle(handle), bytes) {
            Ok(append) => {
                open.pending.push_back(Pending {
                    number,
                    append,
                    seen: None,
                });
                Ok(())
            }
            Err(error) => self.refused(&error),
        }
    }

    /// Waits until at most `left` batches have no answer.
    fn settle(&mut self, handle: u64, left: usize) -> Result<(), End> {
        let Some(open) = self.open.get_mut(&handle) else {
            return Ok(());
        };
        while open.pending.len() > left {
            let Some(pending) = open.pending.pop_front() else {
                break;
            };
            let result = pending.append.wait();
            let now = self.clock.events()?;
            let sent = &mut open.log.sent[pending.number];
            match result {
                Ok(appended) if appended.is_duplicate => {
                    let text = format!("partition {handle}: a new batch is taken for a duplicate");
                    return Err(End::Wrong(text));
                }
                Ok(Appended { base_offset, .. }) => {
                    sent.outcome = Outcome::Acked {
                        events: pending.seen.unwrap_or(now).min(now),
                        base_offset,
                    };
                }
                Err(error) => {
                    let is_refused = matches!(error, EngineError::Append(_));
                    if is_refused {
                        sent.outcome = Outcome::Refused;
                        // Those behind it do not follow any more, and are refused too.
                        open.next_sequence = open.next_sequence.min(sent.sequence);
                    }
                    self.refused(&error)?;
                    return self.settle(handle, 0);
                }
            }
        }
        Ok(())
    }

    /// What the engine may answer on a failing or full disk. Goes on where more can be asked.
    fn refused(&self, error: &EngineError) -> Result<(), End> {
        match error {
            EngineError::Append(AppendError::DiskFull | AppendError::OutOfOrderSequence { .. }) => {
                Ok(())
            }
            EngineError::Append(AppendError::Stopped)
            | EngineError::Control(_)
            | EngineError::OutcomeUnknown
            | EngineError::Stopped => Err(End::Stopped),
            other => Err(End::Wrong(format!("the engine answered: {other}"))),
        }
    }

    /// A client that saw no answer would send its last batch again: it must not be there twice.
    fn send_again(&mut self, handle: u64) -> Result<(), End> {
        self.settle(handle, 0)?;
        let Some(open) = self.open.get(&handle) else {
            return Ok(());
        };
        let Some((number, sent)) = open.log.sent.iter().enumerate().next_back() else {
            return Ok(());
        };
        let Outcome::Acked { base_offset, .. } = sent.outcome else {
            return Ok(());
        };
        if !shape::is_idempotent(handle) {
            return Ok(());
        }
        let (bytes, _) = shape::batch(self.seed, handle, number as u64, sent.sequence);
        match self.engine.append(PartitionHandle(handle), bytes) {
            Ok(again) if again.is_duplicate && again.base_offset == base_offset => Ok(()),
            Ok(again) => Err(End::Wrong(format!(
                "partition {handle}: sent again after offset {base_offset}, became {again:?}"
            ))),
            Err(error) => self.refused(&error),
        }
    }

    /// Looks at the end of a log: what a reader is shown must stay.
    fn read(&mut self, handle: u64) -> Result<(), End> {
        let Some(open) = self.open.get_mut(&handle) else {
            return Ok(());
        };
        let acked = open
            .log
            .sent
            .iter()
            .rev()
            .find_map(|sent| match sent.outcome {
                Outcome::Acked { base_offset, .. } => Some(base_offset + i64::from(sent.records)),
                Outcome::Unknown | Outcome::Refused => None,
            });
        let from = acked.unwrap_or(0);
        let Ok(found) = reading::read(&self.engine, handle, from) else {
            // A failing disk, or retention was faster.
            return Ok(());
        };
        let now = self.clock.events()?;
        for stored in found {
            for pending in &mut open.pending {
                let sent = &open.log.sent[pending.number];
                if sent.sum == stored.sum && pending.seen.is_none() {
                    pending.seen = Some(now);
                }
            }
        }
        Ok(())
    }
}
