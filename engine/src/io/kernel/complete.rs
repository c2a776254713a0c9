//! Operations on their way back: what the kernel says becomes an outcome, and the slot is free.

use super::super::housekeeper::{Answer, Reply};
use super::super::op::{
    Completion, FileHandle, FileReply, IoFailure, Op, Outcome, Received, SocketHandle, Token,
};
use super::slots::{Kind, Name, Slot, Work};
use super::socket::{internet_address, set_no_delay};
use super::submit::Started;
use super::{File, Ring, Socket};
use io_uring::cqueue;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::sync::Arc;

/// Whether the operation goes on or has its result.
enum Step {
    Again,
    Waiting,
    Ended,
}

/// What one completion says.
#[derive(Clone, Copy)]
struct Said {
    result: i32,
    flags: u32,
}

impl Said {
    const fn failure(self) -> Option<IoFailure> {
        match -self.result {
            error if error <= 0 => None,
            libc::ECANCELED => Some(IoFailure::Cancelled),
            libc::ENOBUFS => Some(IoFailure::NoSlot),
            error => Some(IoFailure::Os(error)),
        }
    }

    const fn bytes(self) -> usize {
        if self.result < 0 {
            0
        } else {
            self.result as usize
        }
    }
}

impl Ring {
    /// Takes every completion there is.
    pub(super) fn drain(&mut self) {
        while let Some(entry) = self.queue.next() {
            let Some(name) = Name::decode(entry.user_data()) else {
                log::error!("a completion with the unknown name {:x}", entry.user_data());
                continue;
            };
            let said = Said {
                result: entry.result(),
                flags: entry.flags(),
            };
            match name.kind {
                Kind::Operation | Kind::Flush => self.operation_said(name, said),
                Kind::Event => {
                    self.is_event_armed = false;
                    if !self.is_ending {
                        self.arm_event();
                    }
                }
                Kind::DoorbellFailed => self.doorbell_failed(name.slot, said),
                Kind::Doorbell | Kind::Cancel => {}
            }
        }
    }

    /// Takes every answer of the housekeeper there is.
    pub(super) fn drain_replies(&mut self) {
        while let Ok(reply) = self.replies.try_recv() {
            let Some(name) = Name::decode(reply.id) else {
                continue;
            };
            let outcome = self.reply_outcome(reply);
            if let Some((token, _)) = self.slots.release(name) {
                self.deliver(name, token, outcome);
            }
        }
    }

    fn operation_said(&mut self, name: Name, said: Said) {
        let operation = name.with_kind(Kind::Operation);
        let Some(slot) = self.slots.get(operation) else {
            log::error!("a completion for an operation that has ended");
            return;
        };
        let step = match slot.work {
            Work::Write { .. } => write_said(slot, name.kind, said),
            _ => socket_said(slot, said),
        };
        match step {
            Step::Again => self.submit_socket(operation),
            Step::Waiting => {}
            Step::Ended => self.end(operation, said),
        }
    }

    fn end(&mut self, name: Name, said: Said) {
        let accepted = self.slots.get(name).and_then(|slot| accepted(slot, said));
        let Some((token, work)) = self.slots.release(name) else {
            return;
        };
        let socket = work.socket();
        let outcome = match work {
            Work::Read { mut buf, wanted } => {
                buf.extend_written(said.bytes());
                self.counters.reads += 1;
                self.counters.read_bytes += said.bytes() as u64;
                Outcome::Read(buf, whole(said, wanted))
            }
            Work::Write { .. } => self.wrote(work),
            Work::Accept { .. } => Outcome::Accept(self.accepted(accepted, said)),
            Work::ReceiveSlot { socket } => self.received_slot(socket, said),
            Work::ReceiveBuffer { .. } => self.received_buffer(work, said),
            Work::Send { bytes, .. } => {
                self.counters.sends += 1;
                self.counters.sent_bytes += bytes;
                match said.failure() {
                    Some(failure) => failed(work, failure),
                    None => sent(work),
                }
            }
            Work::Free | Work::File | Work::Computation => return,
        };
        if let Some(socket) = socket {
            self.operation_left(socket);
        }
        self.deliver(name, token, outcome);
    }

    fn deliver(&mut self, name: Name, token: Token, outcome: Outcome) {
        if self.awaited == Some(name) {
            self.awaited_outcome = Some(outcome);
        } else {
            self.ready.push(Completion { token, outcome });
        }
    }

    fn wrote(&mut self, work: Work) -> Outcome {
        let Work::Write {
            mut parts,
            wanted,
            is_durable,
            failure,
            ..
        } = work
        else {
            unreachable!("the caller matched a write");
        };
        parts.clear();
        if failure.is_none() {
            self.counters.writes += 1;
            self.counters.written_bytes += u64::from(wanted);
            self.counters.durable_writes += u64::from(is_durable);
        }
        Outcome::Write(parts, failure.map_or(Ok(()), Err))
    }

    fn accepted(
        &mut self,
        accepted: Option<(OwnedFd, SocketAddr)>,
        said: Said,
    ) -> Result<(SocketHandle, SocketAddr), IoFailure> {
        let failure = said.failure().unwrap_or(IoFailure::Cancelled);
        let (fd, address) = accepted.ok_or(failure)?;
        self.counters.other_calls += 1;
        set_no_delay(fd.as_fd());
        Ok((self.add_socket(fd), address))
    }

    fn received_slot(&mut self, socket: SocketHandle, said: Said) -> Outcome {
        let block = cqueue::buffer_select(said.flags)
            .map(|slot| self.receive_slots.take(slot, said.bytes(), &mut self.arena));
        if let Some(failure) = said.failure() {
            return Outcome::Receive(Err(failure));
        }
        self.count_received(socket, said);
        let block = block.unwrap_or_else(|| self.receive_slots.empty());
        Outcome::Receive(Ok(Received::Slot(block)))
    }

    fn received_buffer(&mut self, work: Work, said: Said) -> Outcome {
        let Work::ReceiveBuffer {
            socket,
            buf,
            received,
            ..
        } = work
        else {
            unreachable!("the caller matched a receive");
        };
        if let Some(failure) = said.failure() {
            return Outcome::Receive(Err(failure));
        }
        self.count_received(socket, said);
        self.counters.received_bytes += u64::from(received) - said.bytes() as u64;
        Outcome::Receive(Ok(Received::Buffer(buf, received)))
    }

    fn count_received(&mut self, socket: SocketHandle, said: Said) {
        self.counters.receives += 1;
        self.counters.received_bytes += said.bytes() as u64;
        if let Some(socket) = self.sockets.get_mut(socket.0) {
            socket.has_more = cqueue::sock_nonempty(said.flags);
        }
    }

    /// An operation of this socket ended; a closed socket goes with its last one.
    fn operation_left(&mut self, handle: SocketHandle) {
        if let Some(socket) = self.sockets.get_mut(handle.0) {
            socket.in_flight -= 1;
            if socket.is_closing && socket.in_flight == 0 {
                self.drop_socket(handle);
            }
        }
    }

    pub(super) fn add_socket(&mut self, fd: OwnedFd) -> SocketHandle {
        SocketHandle(self.sockets.insert(Socket {
            fd,
            in_flight: 0,
            has_more: false,
            is_closing: false,
        }))
    }

    fn reply_outcome(&mut self, reply: Reply) -> Outcome {
        match reply.answer {
            Answer::File(result) => Outcome::File(result),
            Answer::Work(result) => Outcome::Work(result),
            Answer::Opened(fd, bytes) => {
                let place = self.files.next_place();
                let is_registered = place < self.registered_files
                    && self.register_file(place, std::os::fd::AsRawFd::as_raw_fd(&fd));
                let file = FileHandle(self.files.insert(File {
                    fd: Arc::new(fd),
                    is_registered,
                }));
                Outcome::File(Ok(FileReply::Opened { file, bytes }))
            }
        }
    }

    fn doorbell_failed(&mut self, peer: u32, said: Said) {
        log::debug!("a doorbell failed with {}; using the eventfd", said.result);
        if let Some(signal) = self.signals.get(peer as usize) {
            self.counters.other_calls += 1;
            signal.wake();
        }
    }

    /// Runs one operation to its end; see [`crate::io::Io::call`].
    pub(in crate::io) fn call(&mut self, op: Op) -> Outcome {
        let token = Token {
            class: super::super::Class::Journal,
            key: u64::MAX,
        };
        let name = match self.start(token, op) {
            Started::Ended(outcome) => return outcome,
            Started::InFlight(name) => name,
        };
        self.awaited = Some(name);
        loop {
            self.turn();
            if let Some(outcome) = self.awaited_outcome.take() {
                self.awaited = None;
                return outcome;
            }
            self.sleep(None);
        }
    }
}

/// The result of a disk operation. Nobody cancels those, so ECANCELED stays a plain number.
const fn whole(said: Said, wanted: u32) -> Result<(), IoFailure> {
    match said.failure() {
        Some(IoFailure::Cancelled) => Err(IoFailure::Os(libc::ECANCELED)),
        Some(failure) => Err(failure),
        None if said.result as u32 == wanted => Ok(()),
        None => Err(IoFailure::Short {
            done: said.result as u32,
            wanted,
        }),
    }
}

/// One of a write's completions: its own, or that of the linked flush.
fn write_said(slot: &mut Slot, kind: Kind, said: Said) -> Step {
    let Work::Write {
        wanted,
        left,
        failure,
        ..
    } = &mut slot.work
    else {
        return Step::Ended;
    };
    let result = match kind {
        Kind::Flush => said.failure().map_or(Ok(()), Err),
        _ => whole(said, *wanted),
    };
    // A failed write cancels its flush, which comes second: the first reason is the one to tell.
    if let Err(reason) = result {
        failure.get_or_insert(reason);
    }
    *left -= 1;
    if *left == 0 {
        Step::Ended
    } else {
        Step::Waiting
    }
}

/// Whether a socket operation has to go on: interrupted, or not whole yet.
fn socket_said(slot: &mut Slot, said: Said) -> Step {
    let is_cancelled = slot.is_cancelled;
    let go_on = move |is_wanted: bool| match (is_wanted, is_cancelled) {
        (true, false) => Step::Again,
        _ => Step::Ended,
    };
    let is_interrupted = matches!(-said.result, libc::EINTR | libc::EAGAIN);
    match &mut slot.work {
        Work::Accept { .. } | Work::ReceiveSlot { .. } => go_on(is_interrupted),
        Work::ReceiveBuffer {
            buf,
            received,
            fill,
            ..
        } => {
            buf.extend_written(said.bytes());
            *received += said.bytes() as u32;
            let is_short = *fill && said.result > 0 && buf.spare() > 0;
            go_on(is_interrupted || is_short)
        }
        Work::Send {
            parts,
            part,
            place,
            bytes,
            ..
        } => {
            *bytes += said.bytes() as u64;
            *place += said.bytes();
            while let Some(front) = parts.get(*part)
                && *place >= front.len()
            {
                *place -= front.len();
                *part += 1;
            }
            let is_short = said.result >= 0 && *part < parts.len();
            go_on(is_interrupted || is_short)
        }
        _ => Step::Ended,
    }
}

/// The accepted connection, which is a leak if nobody takes it.
#[expect(unsafe_code, reason = "the kernel hands out a descriptor number")]
fn accepted(slot: &Slot, said: Said) -> Option<(OwnedFd, SocketAddr)> {
    if !matches!(slot.work, Work::Accept { .. }) || said.result < 0 {
        return None;
    }
    // SAFETY: a successful accept made this descriptor for us alone.
    let fd = unsafe { OwnedFd::from_raw_fd(said.result) };
    let address = internet_address(&slot.address, slot.address_bytes);
    let unknown = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    Some((fd, address.unwrap_or(unknown)))
}

/// The outcome of a socket operation that failed.
pub(super) fn failed(work: Work, failure: IoFailure) -> Outcome {
    match work {
        Work::Accept { .. } => Outcome::Accept(Err(failure)),
        Work::Send { mut parts, .. } => {
            parts.clear();
            Outcome::Send(parts, Err(failure))
        }
        _ => Outcome::Receive(Err(failure)),
    }
}

/// The outcome of a send that is whole.
pub(super) fn sent(work: Work) -> Outcome {
    let Work::Send {
        mut parts, part, ..
    } = work
    else {
        unreachable!("the caller made a send");
    };
    let is_whole = parts[part..].iter().all(|rest| rest.is_empty());
    parts.clear();
    Outcome::Send(
        parts,
        if is_whole {
            Ok(())
        } else {
            Err(IoFailure::Cancelled)
        },
    )
}
