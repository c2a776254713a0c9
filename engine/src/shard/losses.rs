//! What a shard has lost: all that its journal and segments should hold and do not, found by
//! reading everything the way readers do, and given up for good only when its owner says so.
//!
//! [`find_losses`] does what a start and readers do: it recovers, and fences what is damaged, not
//! what the device did not give. [`accept_losses`]
//! finds the same again and gives it up in the journal. Both end with a clean checkpoint; a crash
//! anywhere leaves each partition fenced or accepted, and they may be repeated.

use super::config::{JournalSetup, ShardConfig};
use super::error::OpenError;
use super::event::{Event, Read};
use super::{Life, Shard};
use crate::ids::{PartitionHandle, Ticket, TopicId};
use crate::io::Io;
use crate::partition::{ReadBatches, ReadBound, ReadError, ReadRequest};

/// Ticket of its reads.
const READ_TICKET: Ticket = Ticket(1 << 62);
/// Bytes of one read.
const READ_BYTES: usize = 256 << 10;
/// Tries of a read that the device fails, then it counts as damage.
const READ_TRIES_MAX: u32 = 3;
/// Turns without anything under way until a stop counts as hung.
const IDLE_TURNS_MAX: u32 = 1000;

/// Offsets of a partition that cannot be read and never will.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    /// The partition.
    pub handle: PartitionHandle,
    /// Its topic.
    pub topic_id: TopicId,
    /// Its index in the topic.
    pub index: i32,
    /// First offset.
    pub start_offset: i64,
    /// End offset, exclusive. May lie above the log's end where nothing says how much was lost.
    pub end_offset: i64,
}

impl Loss {
    const fn holds(&self, other: &Self) -> bool {
        self.handle.0 == other.handle.0
            && self.start_offset <= other.start_offset
            && other.end_offset <= self.end_offset
    }
}

/// What a journal's partitions have lost, and its registry.
#[derive(Clone, Debug, Default)]
pub struct ShardLosses {
    /// Ordered by handle and offset.
    pub losses: Vec<Loss>,
    /// Registry entries: owner, key, value.
    pub registry: Vec<(PartitionHandle, Vec<u8>, Vec<u8>)>,
}

/// Reads everything a journal is responsible for and says what of it is lost. What is damaged is
/// fenced then, and nothing is given up.
///
/// # Errors
/// As opening it.
pub fn find_losses(
    io: &mut Io,
    config: ShardConfig,
    setup: JournalSetup,
) -> Result<ShardLosses, OpenError> {
    let mut shard = Shard::recover(io, config, setup)?;
    let unreadable = shard.read_everything(io)?;
    let registry = shard.registry();
    let registry = registry.map(|(owner, key, value)| (owner, key.to_vec(), value.to_vec()));
    let found = ShardLosses {
        losses: shard.losses(&unreadable),
        registry: registry.collect(),
    };
    shard.stop_cleanly(io)?;
    shard.rest(io)?;
    Ok(found)
}

/// Gives up what is lost, if all of it is among `confirmed`, and leaves the journal as a clean stop
/// does.
///
/// # Errors
/// As opening it; `Refused` when more is lost than was confirmed.
pub fn accept_losses(
    io: &mut Io,
    config: ShardConfig,
    setup: JournalSetup,
    confirmed: &[Loss],
) -> Result<(), OpenError> {
    let mut shard = Shard::recover(io, config, setup)?;
    let unreadable = shard.read_everything(io)?;
    let found = shard.losses(&unreadable);
    let is_confirmed = |loss: &&Loss| confirmed.iter().any(|confirmed| confirmed.holds(loss));
    if let Some(more) = found.iter().find(|loss| !is_confirmed(loss)) {
        return Err(OpenError::Refused {
            object: format!("partition {}", more.handle.0),
            problem: format!(
                "offsets {} to {} are lost and were not confirmed",
                more.start_offset,
                more.end_offset - 1
            ),
            remedy: "run the command again: it names everything anew".to_owned(),
        });
    }
    for loss in &unreadable {
        if let Some(slot) = shard.partitions.get_mut(loss.handle) {
            let offsets = loss.start_offset..loss.end_offset;
            slot.partition.fence_unreadable(offsets);
        }
    }
    let mut handles: Vec<PartitionHandle> = found.iter().map(|loss| loss.handle).collect();
    handles.dedup();
    for (handle, number) in handles.iter().zip(1..) {
        let accepted = shard.accept_loss(*handle, Ticket(number));
        accepted.map_err(|error| OpenError::Refused {
            object: format!("partition {}", handle.0),
            problem: error.to_string(),
            remedy: "start it once and try again".to_owned(),
        })?;
    }
    shard.stop_cleanly(io)?;
    shard.rest(io)
}

impl Shard {
    /// Fenced ranges that were not given up, and those that could not be read.
    fn losses(&self, unreadable: &[Loss]) -> Vec<Loss> {
        let mut losses = unreadable.to_vec();
        for (_, slot) in self.partitions.iter() {
            let fences = slot.partition.fences().iter();
            losses.extend(fences.filter(|fence| !fence.is_lost).map(|fence| Loss {
                handle: slot.owner.handle,
                topic_id: slot.owner.topic_id,
                index: slot.owner.index,
                start_offset: fence.start_offset,
                end_offset: fence.end_offset,
            }));
        }
        losses.sort_unstable_by_key(|loss| (loss.handle, loss.start_offset));
        losses
    }

    /// Reads every partition from start to end. What is damaged is fenced, as readers do; what the
    /// device does not give is returned and stays as it is: another time it may come.
    fn read_everything(&mut self, io: &mut Io) -> Result<Vec<Loss>, OpenError> {
        let mut unreadable = Vec::new();
        for (handle, ..) in self.partitions() {
            let offsets = self.offsets(handle).unwrap_or_default();
            let mut next = offsets.log_start;
            while next < offsets.log_end {
                let Some(behind) = self.read_on(io, handle, next, &mut unreadable)? else {
                    break;
                };
                next = behind;
            }
        }
        Ok(unreadable)
    }

    /// The offset behind what begins at `offset`, read, fenced or unreadable; `None` at the log's
    /// end.
    fn read_on(
        &mut self,
        io: &mut Io,
        handle: PartitionHandle,
        offset: i64,
        unreadable: &mut Vec<Loss>,
    ) -> Result<Option<i64>, OpenError> {
        if let Some(end) = self.fence_end(handle, offset) {
            return Ok(Some(end));
        }
        let mut tries = 0;
        loop {
            tries += 1;
            match self.read_whole(io, handle, offset)? {
                Ok(batches) => {
                    let next = batches.next_offset;
                    return Ok((next > offset).then_some(next));
                }
                Err(ReadError::NoMemory) if tries < READ_TRIES_MAX => {
                    self.cold.release_memory();
                }
                Err(ReadError::NoMemory) => return Err(OpenError::no_memory("reading")),
                Err(ReadError::Io(_)) if tries < READ_TRIES_MAX => {}
                Err(ReadError::Corrupt { .. } | ReadError::Io(_)) => break,
                Err(ReadError::OutOfRange { .. } | ReadError::UnknownPartition) => {
                    return Ok(None);
                }
            }
        }
        if let Some(end) = self.fence_end(handle, offset) {
            return Ok(Some(end));
        }
        let Some(slot) = self.partitions.get(handle) else {
            return Ok(None);
        };
        let Some(offsets) = slot.partition.unreadable_from(offset) else {
            return Ok(None);
        };
        match unreadable.last_mut() {
            Some(last) if last.handle == handle && last.end_offset == offsets.start => {
                last.end_offset = offsets.end;
            }
            _ => unreadable.push(Loss {
                handle,
                topic_id: slot.owner.topic_id,
                index: slot.owner.index,
                start_offset: offsets.start,
                end_offset: offsets.end,
            }),
        }
        Ok(Some(offsets.end))
    }

    fn fence_end(&self, handle: PartitionHandle, offset: i64) -> Option<i64> {
        let fences = self.fences(handle).iter();
        let mut holding = fences.filter(|f| f.start_offset <= offset && offset < f.end_offset);
        holding.next().map(|fence| fence.end_offset)
    }

    /// One read to its end.
    fn read_whole(
        &mut self,
        io: &mut Io,
        handle: PartitionHandle,
        offset: i64,
    ) -> Result<Result<ReadBatches, ReadError>, OpenError> {
        let request = ReadRequest {
            offset,
            bytes_max: READ_BYTES,
            bound: ReadBound::LogEnd,
        };
        match self.read(io, handle, request, READ_TICKET) {
            Ok(Read::Ready(batches)) => return Ok(Ok(batches)),
            Ok(Read::Pending) => {}
            Err(error) => return Ok(Err(error)),
        }
        let mut done = Vec::new();
        loop {
            self.end_turn(io);
            for event in std::mem::take(&mut self.events) {
                match event {
                    Event::ReadDone(READ_TICKET, result) => return Ok(result),
                    Event::FailStopped(_) => {
                        self.events.push(event);
                        return Err(self.why_failed());
                    }
                    _ => {}
                }
            }
            self.wait(io, &mut done)?;
        }
    }

    fn wait(
        &mut self,
        io: &mut Io,
        done: &mut Vec<crate::io::Completion>,
    ) -> Result<(), OpenError> {
        io.wait(done).map_err(|failure| OpenError::Io {
            object: "the machine".to_owned(),
            failure,
        })?;
        for completion in done.drain(..) {
            self.complete(io, completion);
        }
        Ok(())
    }

    fn stop_cleanly(&mut self, io: &mut Io) -> Result<(), OpenError> {
        self.begin_stop(io);
        let mut done = Vec::new();
        let mut idle_turns = 0;
        while !self.is_stopped() {
            self.end_turn(io);
            if self.life == Life::Failed {
                return Err(self.why_failed());
            }
            if self.is_busy() || self.is_awaiting_disk() && self.journal.in_flight > 0 {
                idle_turns = 0;
                self.wait(io, &mut done)?;
            } else {
                idle_turns += 1;
                if idle_turns > IDLE_TURNS_MAX {
                    return Err(OpenError::Refused {
                        object: format!("journal {}", self.journal.setup.id.0),
                        problem: "what was given up did not become durable".to_owned(),
                        remedy: "free disk space and run the command again".to_owned(),
                    });
                }
            }
        }
        Ok(())
    }
}
