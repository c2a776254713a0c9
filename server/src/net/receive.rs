//! The receiving half of a connection: where the next bytes go, and cutting frames from them.

use super::connection::{Complete, Connection, ConnectionKey, Large, LargeFramePlanner, LargePlan};
use super::frame::{Frame, FrameBytes, FrameError, SIZE_BYTES, frame_size};
use super::{Net, RECEIVE, token};
use millrace_engine::io::arena::{ARENA_BLOCK_MAX, ArenaBuf};
use millrace_engine::io::{Io, IoFailure, Op, ReceiveInto, Received};

/// First block of a connection whose requests do not fit a slot.
const BLOCK_BYTES_MIN: usize = 16 << 10;
/// Block of a connection that fills its blocks.
const BLOCK_BYTES_MAX: usize = 64 << 10;
/// A block with less room is not received into.
const SPARE_MIN: usize = 4 << 10;
/// A receive of this or less needs no block.
const SLOT_BYTES: usize = 2 << 10;
/// A frame with this much outstanding gets memory of its own.
const OUTSTANDING_LARGE: usize = 8 << 10;
/// Received bytes of a frame from which it must be possible to tell what it is.
const PREFIX_BYTES_MAX: usize = 2 << 10;
/// Pieces in which frames above the largest block are received.
const HEAP_PIECE_BYTES: usize = 256 << 10;
/// Behind a batch: the tagged fields of partition, topic and request.
const SUFFIX_BYTES_MAX: usize = 1 << 10;
const BLOCK: usize = 4096;

/// The next step of a connection.
#[derive(Debug)]
pub enum NextFrame {
    /// A whole frame.
    Frame(Frame),
    /// Nothing before more bytes come, responses leave or memory is free.
    Wait,
    /// The connection must be closed.
    Close(FrameError),
}

pub(super) fn large_bytes(connection: &Connection) -> usize {
    match &connection.large {
        None => 0,
        Some(Large::Split { batch_bytes, .. }) => *batch_bytes,
        Some(Large::Block { bytes }) => *bytes,
        Some(Large::Heap { total, .. }) => *total,
    }
}

impl Net {
    /// Cuts the next frame of a connection, or arms what it needs to get one.
    pub fn next_frame(
        &mut self,
        io: &mut Io,
        key: ConnectionKey,
        planner: &dyn LargeFramePlanner,
    ) -> NextFrame {
        let limits = self.limits;
        let Some(connection) = self.get(key) else {
            return NextFrame::Wait;
        };
        let is_busy = connection.responses.waiting() >= limits.requests_max
            || connection.responses.outgoing_bytes() >= limits.outgoing_bytes_max;
        if is_busy {
            // A response that leaves looks at the connection again.
            return NextFrame::Wait;
        }
        if let Some(complete) = connection.complete.take() {
            if let Some((log, bytes)) = complete.batch {
                self.on_the_way.end(log, bytes);
            }
            return NextFrame::Frame(complete.frame);
        }
        if connection.is_receiving {
            return NextFrame::Wait;
        }
        let size = match frame_size(connection.pending_bytes(), limits.request_bytes_max) {
            Ok(size) => size,
            Err(error) => return NextFrame::Close(error),
        };
        if let Some(size) = size {
            let total = SIZE_BYTES + size;
            let here = connection.pending_bytes().len();
            if here >= total
                && let Some(frame) = connection.cut(total)
            {
                connection.prefix_bytes = 0;
                let bytes = FrameBytes::Arena(frame.into_part(SIZE_BYTES..total));
                return NextFrame::Frame(Frame::Whole(bytes));
            }
            if total - here >= OUTSTANDING_LARGE && !connection.is_at_end {
                let received = &connection.pending_bytes()[SIZE_BYTES..];
                match planner.plan(received, size) {
                    LargePlan::NeedMore if received.len() < PREFIX_BYTES_MAX => {}
                    plan => {
                        self.begin_large(io, key, size, plan);
                        return NextFrame::Wait;
                    }
                }
            }
        }
        if connection.is_at_end {
            // What is left is no whole frame. Everything asked is answered before closing.
            if connection.is_settled() {
                self.close(io, key);
            }
            return NextFrame::Wait;
        }
        self.arm_receive(io, key);
        NextFrame::Wait
    }

    /// Gives a large frame its memory and receives the rest of it, or waits for memory.
    fn begin_large(&mut self, io: &mut Io, key: ConnectionKey, size: usize, plan: LargePlan) {
        // One alone is always let in, however small the bound.
        let room = match self.large_bytes {
            0 => usize::MAX,
            used => self.limits.large_bytes_max.saturating_sub(used),
        };
        let before = match plan {
            LargePlan::Split { log, .. } => self.on_the_way.bytes(log),
            LargePlan::NeedMore | LargePlan::Whole => 0,
        };
        let Some(connection) = self.get(key) else {
            return;
        };
        connection.prefix_bytes = 0;
        let received = connection.pending_bytes().len().saturating_sub(SIZE_BYTES);
        let begun = match plan {
            LargePlan::Split {
                prefix_bytes,
                batch_bytes,
                remainder,
                log,
            } if is_splittable(received, size, prefix_bytes, batch_bytes) => {
                let split = Split {
                    prefix_bytes,
                    batch_bytes,
                    remainder: (remainder + before) % BLOCK,
                    log,
                };
                begin_split(io, connection, room, size, split)
            }
            _ if size <= ARENA_BLOCK_MAX => begin_block(io, connection, room, size),
            _ => begin_heap(io, connection, room, size),
        };
        let Some(into) = begun else {
            self.starve(key);
            return;
        };
        let (socket, large) = (connection.socket, large_bytes(connection));
        let batch = connection.batch_on_the_way();
        connection.is_receiving = true;
        connection.spare = None;
        let kept = connection.prefix_bytes;
        self.note_copied_in(received.saturating_sub(kept));
        self.large_bytes += large;
        if let Some((log, bytes)) = batch {
            self.on_the_way.begin(log, bytes);
        }
        submit_receive(
            io,
            key,
            socket,
            ReceiveInto::Buffer {
                buf: into,
                fill: true,
            },
        );
    }

    /// Arms the receive of a connection that has none, unless it waits for something else.
    pub(super) fn arm_receive(&mut self, io: &mut Io, key: ConnectionKey) {
        let request_bytes_max = self.limits.request_bytes_max;
        let Some(connection) = self.get(key) else {
            return;
        };
        let is_waiting = connection.is_receiving
            || connection.is_at_end
            || connection.large.is_some()
            || connection.complete.is_some();
        if is_waiting {
            return;
        }
        let here = connection.pending_bytes().len();
        let size = frame_size(connection.pending_bytes(), request_bytes_max)
            .ok()
            .flatten();
        let needed = size.map_or(0, |size| (SIZE_BYTES + size).saturating_sub(here));
        if size.is_some() && needed == 0 {
            // A whole frame is here: it is handled before more is read.
            return;
        }
        let socket = connection.socket;
        if here == 0 && connection.prefix_bytes > 0 {
            let wanted = SIZE_BYTES + connection.prefix_bytes;
            let Some(mut buf) = Self::block(io, wanted) else {
                self.starve(key);
                return;
            };
            buf.limit_spare(wanted);
            connection.is_receiving = true;
            connection.is_block_lent = true;
            submit_receive(io, key, socket, ReceiveInto::Buffer { buf, fill: false });
            return;
        }
        if here == 0 && connection.block_bytes == 0 {
            connection.spare = None;
            connection.is_receiving = true;
            submit_receive(io, key, socket, ReceiveInto::Slot);
            return;
        }
        // Of a large frame only so much that it can be told what it is; it may fit no block.
        let is_large = needed >= OUTSTANDING_LARGE;
        let needed = if is_large {
            SLOT_BYTES
        } else {
            needed.max(SPARE_MIN)
        };
        let spare = connection
            .spare
            .take()
            .filter(|spare| spare.spare() >= needed);
        let mut moved = 0;
        let buf = match spare {
            Some(spare) => spare,
            None => {
                let bytes = if is_large {
                    here + needed
                } else {
                    (here + needed)
                        .max(connection.block_bytes)
                        .max(BLOCK_BYTES_MIN)
                };
                let block = Self::block(io, bytes);
                let Some(mut block) = block.or_else(|| Self::block(io, here + needed)) else {
                    self.starve(key);
                    return;
                };
                if let Some(pending) = connection.pending.take() {
                    moved = pending.len();
                    block.extend_from_slice(&pending);
                }
                block
            }
        };
        connection.is_receiving = true;
        connection.is_block_lent = here == 0;
        self.note_copied_in(moved);
        submit_receive(io, key, socket, ReceiveInto::Buffer { buf, fill: false });
    }

    pub(super) fn receive_done(
        &mut self,
        io: &mut Io,
        key: ConnectionKey,
        result: Result<Received, IoFailure>,
    ) {
        let now_ns = io.now_ns();
        let Some(connection) = self.get(key) else {
            return;
        };
        connection.is_receiving = false;
        let was_lent = std::mem::take(&mut connection.is_block_lent);
        let is_large = connection.large.is_some();
        match result {
            Err(IoFailure::NoSlot) => self.starve(key),
            Err(IoFailure::Cancelled) if was_lent => {
                connection.block_bytes = 0;
                connection.prefix_bytes = 0;
                connection.spare = None;
                self.arm_receive(io, key);
            }
            Err(_) => self.close(io, key),
            Ok(_) if is_large => {
                connection.last_active_ns = now_ns;
                self.large_received(io, key, result);
            }
            Ok(Received::Slot(buf)) => {
                connection.last_active_ns = now_ns;
                let bytes = buf.len();
                if buf.spare() == 0 {
                    connection.block_bytes = BLOCK_BYTES_MIN;
                }
                connection.received(buf.freeze());
                self.progressed(key, bytes);
            }
            Ok(Received::Buffer(mut buf, added)) => {
                connection.last_active_ns = now_ns;
                let room = buf.spare() + added as usize;
                let is_alone = connection.pending.is_none() && buf.len() == added as usize;
                connection.received(buf.split_frozen());
                // A receive that was to end with a frame's prefix says nothing about blocks.
                let is_filled = added as usize == room && connection.prefix_bytes == 0;
                if is_filled {
                    let doubled = connection.block_bytes.max(BLOCK_BYTES_MIN) * 2;
                    connection.block_bytes = doubled.min(BLOCK_BYTES_MAX);
                } else if is_alone && added as usize <= SLOT_BYTES {
                    connection.block_bytes = 0;
                }
                connection.spare = (buf.spare() >= SPARE_MIN).then_some(buf);
                self.progressed(key, added as usize);
            }
        }
    }

    fn progressed(&mut self, key: ConnectionKey, bytes: usize) {
        if bytes > 0 {
            self.want_ready(key);
            return;
        }
        // The end of the stream: answer what was asked, then close.
        if let Some(connection) = self.get(key) {
            connection.is_at_end = true;
            self.want_ready(key);
        }
    }

    fn large_received(
        &mut self,
        io: &mut Io,
        key: ConnectionKey,
        result: Result<Received, IoFailure>,
    ) {
        let Ok(Received::Buffer(mut buf, added)) = result else {
            self.close(io, key);
            return;
        };
        let Some(connection) = self.get(key) else {
            return;
        };
        if added == 0 || buf.spare() > 0 {
            // The stream ended inside the frame.
            self.close(io, key);
            return;
        }
        let released = large_bytes(connection);
        let batch = connection.batch_on_the_way();
        let frame = match connection.large.take() {
            None => return,
            Some(Large::Block { .. }) => Frame::Whole(FrameBytes::Arena(buf.freeze())),
            Some(Large::Split {
                prefix,
                batch_bytes,
                ..
            }) => Frame::Split {
                prefix,
                batch: buf.split_to(batch_bytes),
                suffix: buf.freeze(),
            },
            Some(Large::Heap {
                mut gathered,
                total,
            }) => {
                gathered.extend_from_slice(&buf);
                let copied = buf.len();
                let left = total - gathered.len();
                if left > 0 {
                    connection.large = Some(Large::Heap { gathered, total });
                    connection.is_receiving = true;
                    let socket = connection.socket;
                    buf.advance(buf.len());
                    // It was let in: it may finish even when memory is short.
                    let buf = match io.arena().alloc(left.min(HEAP_PIECE_BYTES)) {
                        Some(mut block) => {
                            block.limit_spare(left.min(HEAP_PIECE_BYTES));
                            block
                        }
                        None => {
                            self.close(io, key);
                            return;
                        }
                    };
                    self.note_copied_in(copied);
                    submit_receive(io, key, socket, ReceiveInto::Buffer { buf, fill: true });
                    return;
                }
                Frame::Whole(super::connection::heap_frame(gathered))
            }
        };
        connection.complete = Some(Complete { frame, batch });
        self.large_bytes -= released;
        self.want_ready(key);
    }
}

fn is_splittable(received: usize, size: usize, prefix_bytes: usize, batch_bytes: usize) -> bool {
    let suffix = size.checked_sub(prefix_bytes + batch_bytes);
    received >= prefix_bytes
        && received < prefix_bytes + batch_bytes
        && suffix.is_some_and(|bytes| bytes <= SUFFIX_BYTES_MAX)
        && BLOCK + size - prefix_bytes <= ARENA_BLOCK_MAX
}

/// A frame to be received in two pieces.
struct Split {
    prefix_bytes: usize,
    batch_bytes: usize,
    /// Of the batch's address modulo a block.
    remainder: usize,
    log: u64,
}

fn begin_split(
    io: &mut Io,
    connection: &mut Connection,
    room: usize,
    size: usize,
    split: Split,
) -> Option<ArenaBuf> {
    let Split {
        prefix_bytes,
        batch_bytes,
        remainder,
        log,
    } = split;
    let outstanding = size - prefix_bytes;
    if room < outstanding {
        return None;
    }
    let mut buf = Net::block(io, remainder + outstanding)?;
    buf.skip((BLOCK + remainder - buf.address() % BLOCK) % BLOCK);
    let here = connection.cut(connection.pending_bytes().len())?;
    buf.extend_from_slice(&here[SIZE_BYTES + prefix_bytes..]);
    buf.limit_spare(outstanding - buf.len());
    connection.large = Some(Large::Split {
        prefix: here.into_part(SIZE_BYTES..SIZE_BYTES + prefix_bytes),
        batch_bytes,
        log,
    });
    connection.prefix_bytes = prefix_bytes;
    Some(buf)
}

fn begin_block(
    io: &mut Io,
    connection: &mut Connection,
    room: usize,
    size: usize,
) -> Option<ArenaBuf> {
    let bytes = size.next_power_of_two();
    if room < bytes {
        return None;
    }
    let mut buf = Net::block(io, size)?;
    let here = connection.cut(connection.pending_bytes().len())?;
    buf.extend_from_slice(&here[SIZE_BYTES..]);
    buf.limit_spare(size - buf.len());
    connection.large = Some(Large::Block { bytes });
    Some(buf)
}

fn begin_heap(
    io: &mut Io,
    connection: &mut Connection,
    room: usize,
    size: usize,
) -> Option<ArenaBuf> {
    if room < size {
        return None;
    }
    let here = connection.pending_bytes().len() - SIZE_BYTES;
    let piece = (size - here).min(HEAP_PIECE_BYTES);
    let mut buf = Net::block(io, piece)?;
    buf.limit_spare(piece);
    let here = connection.cut(connection.pending_bytes().len())?;
    let mut gathered = Vec::with_capacity(here.len());
    gathered.extend_from_slice(&here[SIZE_BYTES..]);
    connection.large = Some(Large::Heap {
        gathered,
        total: size,
    });
    Some(buf)
}

fn submit_receive(
    io: &mut Io,
    key: ConnectionKey,
    socket: millrace_engine::io::SocketHandle,
    into: ReceiveInto,
) {
    let token = token(RECEIVE, key.index, key.generation);
    io.submit(token, Op::Receive { socket, into });
}
