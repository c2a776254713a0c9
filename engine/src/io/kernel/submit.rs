//! Operations on their way to the kernel: takes a slot, builds the submission, queues it.
#![expect(
    unsafe_code,
    reason = "submissions point to memory that the slot owns until the last completion"
)]

use super::super::arena::{ArenaBuf, ArenaSlice};
use super::super::housekeeper::Task;
use super::super::op::{FileHandle, FileOp, IoFailure, Op, Outcome, ReceiveInto, Token};
use super::super::probe::DurableBy;
use super::receive_slots;
use super::slots::{Kind, Name, Work};
use super::{File, Ring};
use io_uring::opcode;
use io_uring::squeue::{Entry, Flags};
use io_uring::types::{CancelBuilder, Fd, FsyncFlags};
use std::os::fd::AsRawFd;
use std::sync::Arc;

/// Most ranges the kernel takes in one message.
const RANGES_MAX: usize = 1024;
/// `IORING_RECVSEND_POLL_FIRST`: do not try before the socket says that it is ready.
const POLL_FIRST: u16 = 1;

/// What became of an operation when it was submitted.
pub(super) enum Started {
    InFlight(Name),
    /// It could not be started; this is its outcome.
    Ended(Outcome),
}

/// A descriptor as submissions name it.
#[derive(Clone, Copy)]
struct Target {
    number: i32,
    flags: Flags,
}

impl Target {
    fn of_file(handle: FileHandle, file: &File) -> Self {
        if file.is_registered {
            Self {
                number: super::Files::place(handle.0) as i32,
                flags: Flags::FIXED_FILE,
            }
        } else {
            Self {
                number: file.fd.as_raw_fd(),
                flags: Flags::empty(),
            }
        }
    }
}

const GONE: IoFailure = IoFailure::Os(libc::EBADF);

impl Ring {
    pub(super) fn start(&mut self, token: Token, op: Op) -> Started {
        self.counters.submitted += 1;
        match op {
            Op::Read {
                file,
                position,
                buf,
            } => self.start_read(token, file, position, buf),
            Op::Write {
                file,
                position,
                parts,
                durable,
            } => self.start_write(token, file, position, parts, durable),
            Op::Accept { listener } => self.start_on_socket(token, Work::Accept { listener }),
            Op::Receive { socket, into } => {
                let work = match into {
                    ReceiveInto::Slot => Work::ReceiveSlot { socket },
                    ReceiveInto::Buffer { buf, fill } => Work::ReceiveBuffer {
                        socket,
                        buf,
                        received: 0,
                        fill,
                    },
                };
                self.start_on_socket(token, work)
            }
            Op::Send { socket, parts } => {
                let work = Work::Send {
                    socket,
                    parts,
                    part: 0,
                    place: 0,
                    bytes: 0,
                };
                self.start_on_socket(token, work)
            }
            Op::File(op) => self.start_file_op(token, op),
            Op::Work(work) => {
                let name = self.slots.take(token, Work::Computation);
                self.send_job(name.encode(), Task::Work(work));
                Started::InFlight(name)
            }
        }
    }

    fn start_read(
        &mut self,
        token: Token,
        handle: FileHandle,
        position: u64,
        mut buf: ArenaBuf,
    ) -> Started {
        let Some(file) = self.files.get(handle.0) else {
            return Started::Ended(Outcome::Read(buf, Err(GONE)));
        };
        let target = Target::of_file(handle, file);
        let address = buf.spare_mut().as_mut_ptr();
        let wanted = buf.spare() as u32;
        debug_assert!((address.addr() | wanted as usize | position as usize).is_multiple_of(512));
        let slab = self
            .slabs
            .of(self.queue.submitter(), &self.arena, address.addr());
        let entry = match slab {
            Some(slab) => opcode::ReadFixed::new(Fd(target.number), address, wanted, slab)
                .offset(position)
                .build(),
            None => opcode::Read::new(Fd(target.number), address, wanted)
                .offset(position)
                .build(),
        };
        let name = self.slots.take(token, Work::Read { buf, wanted });
        self.queue.note_disk();
        self.push(name, entry.flags(target.flags));
        Started::InFlight(name)
    }

    fn start_write(
        &mut self,
        token: Token,
        handle: FileHandle,
        position: u64,
        mut parts: Vec<ArenaSlice>,
        is_durable: bool,
    ) -> Started {
        let wanted: usize = parts.iter().map(|part| part.len()).sum();
        let ended = match self.files.get(handle.0) {
            None => Some(Err(GONE)),
            Some(_) if wanted == 0 => Some(Ok(())),
            Some(_) => None,
        };
        let (Some(file), None) = (self.files.get(handle.0), ended) else {
            parts.clear();
            return Started::Ended(Outcome::Write(parts, ended.unwrap_or(Ok(()))));
        };
        let target = Target::of_file(handle, file);
        let has_flush = is_durable && self.durable_by == DurableBy::Fdatasync;
        let work = Work::Write {
            parts,
            wanted: wanted as u32,
            is_durable,
            left: 1 + u8::from(has_flush),
            failure: None,
        };
        let name = self.slots.take(token, work);
        let rw_flags = if is_durable && !has_flush {
            libc::RWF_DSYNC
        } else {
            0
        };
        let entry = self.write_entry(name, target.number, position, rw_flags);
        self.queue.note_disk();
        if has_flush {
            let flush = opcode::Fsync::new(Fd(target.number))
                .flags(FsyncFlags::DATASYNC)
                .build()
                .flags(target.flags)
                .user_data(name.with_kind(Kind::Flush).encode());
            let entry = entry
                .flags(target.flags | Flags::IO_LINK)
                .user_data(name.encode());
            // SAFETY: the slot owns the memory until its last completion.
            unsafe { self.queue.push_linked([entry, flush]) };
        } else {
            self.push(name, entry.flags(target.flags));
        }
        Started::InFlight(name)
    }

    /// One range goes from its registered slab; several go as a vector, registered if they all
    /// lie in one slab.
    fn write_entry(&mut self, name: Name, file: i32, position: u64, rw_flags: i32) -> Entry {
        let slot = self.slots.get(name).expect("taken by the caller");
        let Work::Write { parts, .. } = &slot.work else {
            unreachable!("the caller made a write");
        };
        let submitter = self.queue.submitter();
        let mut slabs = parts
            .iter()
            .map(|part| self.slabs.of(submitter, &self.arena, part.address()));
        let first = slabs.next().flatten();
        let slab = first.filter(|_| slabs.all(|slab| slab == first));
        if let [part] = &parts[..] {
            let (address, bytes) = (part.as_ptr(), part.len() as u32);
            return match slab {
                Some(slab) => opcode::WriteFixed::new(Fd(file), address, bytes, slab)
                    .offset(position)
                    .rw_flags(rw_flags)
                    .build(),
                None => opcode::Write::new(Fd(file), address, bytes)
                    .offset(position)
                    .rw_flags(rw_flags)
                    .build(),
            };
        }
        slot.ranges.clear();
        slot.ranges.extend(parts.iter().map(|part| range(part)));
        let (ranges, count) = (slot.ranges.as_ptr(), slot.ranges.len() as u32);
        match slab.filter(|_| self.has_vectored_fixed) {
            Some(slab) => opcode::WritevFixed::new(Fd(file), ranges, count, slab)
                .offset(position)
                .rw_flags(rw_flags)
                .build(),
            None => opcode::Writev::new(Fd(file), ranges, count)
                .offset(position)
                .rw_flags(rw_flags)
                .build(),
        }
    }

    fn start_on_socket(&mut self, token: Token, work: Work) -> Started {
        let handle = work.socket().expect("the caller made a socket operation");
        let socket = self.sockets.get_mut(handle.0);
        let Some(socket) = socket.filter(|socket| !socket.is_closing) else {
            return Started::Ended(super::complete::failed(work, GONE));
        };
        if let Work::Send { parts, .. } = &work
            && parts.iter().all(|part| part.is_empty())
        {
            return Started::Ended(super::complete::sent(work));
        }
        socket.in_flight += 1;
        let name = self.slots.take(token, work);
        self.submit_socket(name);
        Started::InFlight(name)
    }

    /// Submits a socket operation, or what is left of it.
    pub(super) fn submit_socket(&mut self, name: Name) {
        let Some(slot) = self.slots.get(name) else {
            return;
        };
        let handle = slot.work.socket();
        let socket = handle.and_then(|handle| self.sockets.get_mut(handle.0));
        let socket = socket.expect("a socket lives while operations are in flight");
        let fd = Fd(socket.fd.as_raw_fd());
        let poll_first = if socket.has_more { 0 } else { POLL_FIRST };
        let entry = match &mut slot.work {
            Work::Accept { .. } => {
                slot.address_bytes = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
                let address = (&raw mut slot.address).cast();
                opcode::Accept::new(fd, address, &raw mut slot.address_bytes)
                    .flags(libc::SOCK_CLOEXEC)
                    .build()
            }
            Work::ReceiveSlot { .. } => opcode::Recv::new(fd, std::ptr::null_mut(), 0)
                .buf_group(receive_slots::GROUP)
                .ioprio(poll_first)
                .build()
                .flags(Flags::BUFFER_SELECT),
            Work::ReceiveBuffer { buf, fill, .. } => {
                let room = buf.spare_mut();
                let flags = if *fill { libc::MSG_WAITALL } else { 0 };
                opcode::Recv::new(fd, room.as_mut_ptr(), room.len() as u32)
                    .flags(flags)
                    .ioprio(poll_first)
                    .build()
            }
            Work::Send {
                parts, part, place, ..
            } => send_entry(
                fd,
                &parts[*part..],
                *place,
                &mut slot.ranges,
                &mut slot.message,
            ),
            _ => unreachable!("only socket operations have a socket"),
        };
        self.push(name, entry);
    }

    fn start_file_op(&mut self, token: Token, op: FileOp) -> Started {
        let fd = match &op {
            FileOp::ZeroFill { file, .. } | FileOp::SyncData { file } => {
                let Some(file) = self.files.get(file.0) else {
                    return Started::Ended(Outcome::File(Err(GONE)));
                };
                Some(Arc::clone(&file.fd))
            }
            _ => None,
        };
        let name = self.slots.take(token, Work::File);
        self.send_job(name.encode(), Task::File(op, fd));
        Started::InFlight(name)
    }

    /// Cancels what `is_wanted` names; the operations still complete, usually as cancelled.
    pub(super) fn cancel_where(&mut self, is_wanted: impl Fn(&Work, Token) -> bool) {
        let is_wanted = |slot: &super::slots::Slot| {
            slot.work.socket().is_some() && is_wanted(&slot.work, slot.token)
        };
        for name in self.slots.cancel_where(is_wanted) {
            let entry = opcode::AsyncCancel::new(name.encode()).build();
            self.push(Name::of(Kind::Cancel, 0), entry);
        }
    }

    /// Asks the kernel to end whatever can be ended.
    pub(super) fn cancel_all(&mut self) {
        let entry = opcode::AsyncCancel2::new(CancelBuilder::any()).build();
        self.push(Name::of(Kind::Cancel, 0), entry);
    }

    /// Waits for the eventfd that other threads write to.
    pub(super) fn arm_event(&mut self) {
        self.is_event_armed = true;
        let count = (&raw mut *self.event_count).cast::<u8>();
        let bytes = size_of::<u64>() as u32;
        let entry = opcode::Read::new(Fd(self.signal().event()), count, bytes).build();
        self.push(Name::of(Kind::Event, 0), entry);
    }

    /// Wakes a sleeping peer; only a failure comes back.
    pub(super) fn push_doorbell(&mut self, ring: i32, peer: u32) {
        let doorbell = Name::of(Kind::Doorbell, 0).encode();
        let entry = opcode::MsgRingData::new(Fd(ring), 0, doorbell, None)
            .build()
            .flags(Flags::SKIP_SUCCESS);
        self.push(Name::of(Kind::DoorbellFailed, peer), entry);
    }

    fn push(&mut self, name: Name, entry: Entry) {
        // SAFETY: what the entry points to is owned by its slot or by the ring, and stays until
        // the completion with this name.
        unsafe { self.queue.push(entry.user_data(name.encode())) };
    }
}

fn range(bytes: &[u8]) -> libc::iovec {
    libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    }
}

/// Sends `parts` from `place` in the first one on.
fn send_entry(
    fd: Fd,
    parts: &[ArenaSlice],
    place: usize,
    ranges: &mut Vec<libc::iovec>,
    message: &mut libc::msghdr,
) -> Entry {
    let flags = libc::MSG_WAITALL | libc::MSG_NOSIGNAL;
    if let [part] = parts {
        let rest = &part[place..];
        return opcode::Send::new(fd, rest.as_ptr(), rest.len() as u32)
            .flags(flags)
            .build();
    }
    ranges.clear();
    ranges.push(range(&parts[0][place..]));
    let rest = parts[1..].iter().take(RANGES_MAX - 1);
    ranges.extend(rest.map(|part| range(part)));
    message.msg_iov = ranges.as_mut_ptr();
    message.msg_iovlen = ranges.len() as _;
    opcode::SendMsg::new(fd, message)
        .flags(flags as u32)
        .build()
}
