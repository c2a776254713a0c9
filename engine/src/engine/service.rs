//! The loop of a shard whose only clients are [`Handle`](super::Handle)s.
//!
//! One turn: completions, commands, the shard's own work, events to whoever waits, sleep. An
//! append that finds no memory waits here, with those behind it, until some came back.

use super::EngineError;
use crate::ids::{PartitionHandle, Ticket};
use crate::io::group::ShardSeat;
use crate::io::{Awaiting, Class, Io};
use crate::partition::{
    AppendError, Appended, BatchBytes, LogOffsets, PartitionSpec, ReadBatches, ReadRequest,
};
use crate::shard::{Event, JournalSetup, OpenError, Read, Shard, ShardConfig};
use rustc_hash::FxHashMap;
use std::collections::VecDeque;
use std::sync::mpsc::SyncSender;

/// Commands taken in one turn at most.
const COMMANDS_PER_TURN: usize = 256;

/// Where an answer goes. The channel has room for it, so sending never blocks.
pub(super) type Reply<T> = SyncSender<Result<T, EngineError>>;

/// What a handle asks of a shard.
#[derive(Debug)]
pub(super) enum Command {
    Create(Box<PartitionSpec>, Reply<()>),
    Delete(PartitionHandle, Reply<()>),
    Append(PartitionHandle, Vec<u8>, Reply<Appended>),
    Read(PartitionHandle, ReadRequest, Reply<ReadBatches>),
    Offsets(PartitionHandle, Reply<Option<LogOffsets>>),
    Partitions(Reply<Vec<PartitionHandle>>),
    Stop,
}

/// Who waits for an event of the shard.
#[derive(Debug)]
enum Waiter {
    Append(Appended, Reply<Appended>),
    Control(Reply<()>),
    Read(Reply<ReadBatches>),
}

#[derive(Debug)]
struct Service {
    shard: Shard,
    next_ticket: u64,
    waiters: FxHashMap<Ticket, Waiter>,
    /// Appends that found no memory, in order.
    delayed: VecDeque<(PartitionHandle, Vec<u8>, Reply<Appended>)>,
    is_stopping: bool,
}

/// Opens the shard, says through `opened` whether that went well, and serves until told to stop.
pub(super) fn run_service(
    seat: ShardSeat<(), Command>,
    config: ShardConfig,
    journal: JournalSetup,
    opened: &SyncSender<bool>,
) -> Result<(), OpenError> {
    let ShardSeat {
        mut io, mut inbox, ..
    } = seat;
    let shard = Shard::open(&mut io, config, journal);
    if opened.send(shard.is_ok()).is_err() {
        log::debug!("the engine gave up before all its shards were open");
    }
    let mut service = Service {
        shard: shard?,
        next_ticket: 0,
        waiters: FxHashMap::default(),
        delayed: VecDeque::new(),
        is_stopping: false,
    };
    let (mut done, mut commands, mut events) = (Vec::new(), Vec::new(), Vec::new());
    loop {
        io.poll(&mut done);
        for completion in done.drain(..) {
            if matches!(completion.token.class, Class::Journal | Class::Log) {
                service.shard.complete(&mut io, completion);
            }
        }
        service.append_delayed(&mut io);
        inbox.receive(&mut io, COMMANDS_PER_TURN, &mut commands);
        for command in commands.drain(..) {
            service.command(&mut io, command);
        }
        service.shard.end_turn(&mut io);
        service.shard.drain_events(&mut events);
        for event in events.drain(..) {
            service.event(event);
        }
        if service.is_stopping && service.shard.is_stopped() {
            return Ok(());
        }
        let awaiting = if service.shard.is_awaiting_disk() {
            Awaiting::Disk
        } else {
            Awaiting::Anything
        };
        io.park(service.shard.next_deadline_ns(), awaiting);
    }
}

/// Whoever asked may have gone: an answer that nobody takes is dropped.
fn answer<T>(reply: &Reply<T>, result: Result<T, EngineError>) {
    drop(reply.try_send(result));
}

impl Service {
    fn ticket(&mut self) -> Ticket {
        self.next_ticket += 1;
        Ticket(self.next_ticket)
    }

    fn command(&mut self, io: &mut Io, command: Command) {
        match command {
            Command::Append(handle, batch, reply) => {
                if self.delayed.is_empty() {
                    self.append(io, handle, batch, reply);
                } else {
                    self.delayed.push_back((handle, batch, reply));
                }
            }
            Command::Create(spec, reply) => {
                let ticket = self.ticket();
                let result = self.shard.create_partition(io, *spec, ticket);
                self.await_control(ticket, result.map_err(EngineError::from), reply);
            }
            Command::Delete(handle, reply) => {
                let ticket = self.ticket();
                let result = self.shard.delete_partition(io, handle, ticket);
                self.await_control(ticket, result.map_err(EngineError::from), reply);
            }
            Command::Read(handle, request, reply) => {
                let ticket = self.ticket();
                match self.shard.read(io, handle, request, ticket) {
                    Ok(Read::Ready(batches)) => answer(&reply, Ok(batches)),
                    Ok(Read::Pending) => {
                        self.waiters.insert(ticket, Waiter::Read(reply));
                    }
                    Err(error) => answer(&reply, Err(error.into())),
                }
            }
            Command::Offsets(handle, reply) => answer(&reply, Ok(self.shard.offsets(handle))),
            Command::Partitions(reply) => {
                let all = self.shard.partitions().into_iter();
                answer(&reply, Ok(all.map(|(handle, ..)| handle).collect()));
            }
            Command::Stop => {
                self.is_stopping = true;
                for (_, _, reply) in self.delayed.drain(..) {
                    answer(&reply, Err(EngineError::Stopped));
                }
                self.shard.begin_stop(io);
            }
        }
    }

    fn await_control(&mut self, ticket: Ticket, result: Result<(), EngineError>, reply: Reply<()>) {
        match result {
            Ok(()) => {
                self.waiters.insert(ticket, Waiter::Control(reply));
            }
            Err(error) => answer(&reply, Err(error)),
        }
    }

    fn append_delayed(&mut self, io: &mut Io) {
        let mut left = self.delayed.len();
        while left > 0 {
            let Some((handle, batch, reply)) = self.delayed.pop_front() else {
                return;
            };
            let before = self.delayed.len();
            self.append(io, handle, batch, reply);
            if self.delayed.len() > before {
                // Still no memory: it goes back to the front.
                self.delayed.rotate_right(1);
                return;
            }
            left -= 1;
        }
    }

    fn append(
        &mut self,
        io: &mut Io,
        handle: PartitionHandle,
        batch: Vec<u8>,
        reply: Reply<Appended>,
    ) {
        let ticket = self.ticket();
        match self
            .shard
            .append(io, handle, BatchBytes::Copy(&batch), ticket)
        {
            Ok(appended) if appended.is_acked => answer(&reply, Ok(appended)),
            Ok(appended) => {
                self.waiters.insert(ticket, Waiter::Append(appended, reply));
            }
            Err(AppendError::NoMemory { .. }) => self.delayed.push_back((handle, batch, reply)),
            Err(error) => answer(&reply, Err(error.into())),
        }
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::AppendAcked(ticket) => {
                if let Some(Waiter::Append(appended, reply)) = self.waiters.remove(&ticket) {
                    answer(&reply, Ok(appended));
                }
            }
            Event::ControlDone(ticket) => {
                if let Some(Waiter::Control(reply)) = self.waiters.remove(&ticket) {
                    answer(&reply, Ok(()));
                }
            }
            Event::ReadDone(ticket, result) => {
                if let Some(Waiter::Read(reply)) = self.waiters.remove(&ticket) {
                    answer(&reply, result.map_err(EngineError::from));
                }
            }
            Event::AppendFailed(ticket) | Event::ControlFailed(ticket) => {
                match self.waiters.remove(&ticket) {
                    Some(Waiter::Append(_, reply)) => {
                        answer(&reply, Err(EngineError::OutcomeUnknown));
                    }
                    Some(Waiter::Control(reply)) => {
                        answer(&reply, Err(EngineError::OutcomeUnknown));
                    }
                    Some(Waiter::Read(_)) | None => {}
                }
            }
            Event::FailStopped(why) => log::error!("a shard takes no more appends: {why}"),
            Event::DiskFull(true) => log::warn!("the disk is full: appends are refused"),
            Event::DiskFull(false) => log::info!("the disk has space again: appends go on"),
            Event::Advanced(_) | Event::IndexLoaded(_) => {}
        }
    }
}
