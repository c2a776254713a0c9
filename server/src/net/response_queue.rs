//! Responses leave a connection in the order of its requests, whatever order they are ready in.
//!
//! A slot is opened when a request arrives and filled when its response is there; the ready front
//! moves to the outgoing parts, of which one vectored send at a time takes a bounded share. Heads
//! that found no arena memory wait on the heap and are moved over when a send takes them.

use millrace_engine::io::arena::{Arena, ArenaSlice};
use std::collections::VecDeque;

/// A response's bytes, size field included.
#[derive(Debug, Default)]
pub enum Response {
    /// None is sent (Produce with acks=0).
    #[default]
    Nothing,
    /// In one piece.
    One(ArenaSlice),
    /// In several, by reference.
    Parts(Vec<ArenaSlice>),
    /// In one piece, for which the arena had no room.
    Heap(Vec<u8>),
}

#[derive(Debug)]
enum Outgoing {
    Slice(ArenaSlice),
    // The bytes from the second field on are still to be sent.
    Heap(Vec<u8>, usize),
}

/// The place of a response in its connection's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotId(u64);

/// Responses of one connection.
#[derive(Debug, Default)]
pub struct ResponseQueue {
    slots: VecDeque<Option<Response>>,
    first: u64,
    outgoing: VecDeque<Outgoing>,
    outgoing_bytes: usize,
}

/// Parts of one send at most; the kernel takes 1024.
const SEND_PARTS_MAX: usize = 512;
/// Bytes moved from the heap into one arena block.
const HEAP_PIECE_BYTES: usize = 64 << 10;

impl ResponseQueue {
    /// Opens the slot of a request.
    pub fn open(&mut self) -> SlotId {
        self.slots.push_back(None);
        SlotId(self.first + self.slots.len() as u64 - 1)
    }

    /// Fills a slot. Filling one twice, or one that is gone, changes nothing. Gives back a vector
    /// whose parts were taken over.
    pub fn fill(&mut self, slot: SlotId, response: Response) -> Option<Vec<ArenaSlice>> {
        let index = slot
            .0
            .checked_sub(self.first)
            .and_then(|index| usize::try_from(index).ok());
        let place = index.and_then(|index| self.slots.get_mut(index))?;
        if place.is_none() {
            *place = Some(response);
        }
        let mut emptied = None;
        while matches!(self.slots.front(), Some(Some(_))) {
            self.first += 1;
            match self.slots.pop_front().flatten() {
                Some(Response::One(part)) => self.push(part),
                Some(Response::Parts(mut parts)) => {
                    for part in parts.drain(..) {
                        self.push(part);
                    }
                    emptied = Some(parts);
                }
                Some(Response::Heap(bytes)) => {
                    self.outgoing_bytes += bytes.len();
                    self.outgoing.push_back(Outgoing::Heap(bytes, 0));
                }
                Some(Response::Nothing) | None => {}
            }
        }
        emptied
    }

    fn push(&mut self, part: ArenaSlice) {
        self.outgoing_bytes += part.len();
        if let Some(Outgoing::Slice(last)) = self.outgoing.back_mut()
            && let Some(joined) = last.joined(&part)
        {
            *last = joined;
            return;
        }
        if !part.is_empty() {
            self.outgoing.push_back(Outgoing::Slice(part));
        }
    }

    /// Requests without a response yet.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.slots.len()
    }

    /// Bytes ready and not yet taken by a send.
    #[must_use]
    pub const fn outgoing_bytes(&self) -> usize {
        self.outgoing_bytes
    }

    /// Takes parts for one send, about `bytes_max` (at least one part). False when the arena had
    /// no room for bytes from the heap; what was taken before them is in `parts`.
    pub fn take(
        &mut self,
        arena: &mut Arena,
        bytes_max: usize,
        parts: &mut Vec<ArenaSlice>,
    ) -> bool {
        let mut taken = 0;
        while parts.len() < SEND_PARTS_MAX && taken < bytes_max {
            match self.outgoing.pop_front() {
                None => break,
                Some(Outgoing::Slice(part)) => {
                    taken += part.len();
                    parts.push(part);
                }
                Some(Outgoing::Heap(bytes, from)) => {
                    let piece = bytes.len().min(from + HEAP_PIECE_BYTES);
                    let Some(mut block) = arena.alloc(piece - from) else {
                        self.outgoing.push_front(Outgoing::Heap(bytes, from));
                        self.outgoing_bytes -= taken;
                        return false;
                    };
                    block.extend_from_slice(&bytes[from..piece]);
                    taken += piece - from;
                    parts.push(block.freeze());
                    if piece < bytes.len() {
                        self.outgoing.push_front(Outgoing::Heap(bytes, piece));
                    }
                }
            }
        }
        self.outgoing_bytes -= taken;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millrace_engine::io::arena::Arena;

    fn slice(arena: &mut Arena, text: &str) -> ArenaSlice {
        let mut buf = arena.alloc(2048).unwrap();
        buf.extend_from_slice(text.as_bytes());
        buf.freeze()
    }

    fn sent(queue: &mut ResponseQueue, arena: &mut Arena) -> String {
        let mut parts = Vec::new();
        assert!(queue.take(arena, usize::MAX, &mut parts));
        parts
            .iter()
            .map(|part| String::from_utf8_lossy(part).into_owned())
            .collect()
    }

    #[test]
    fn responses_leave_in_the_order_of_their_requests() {
        let mut arena = Arena::new(8 << 20).unwrap();
        let mut queue = ResponseQueue::default();
        let slots: Vec<_> = (0..4).map(|_| queue.open()).collect();
        queue.fill(slots[2], Response::One(slice(&mut arena, "c")));
        queue.fill(slots[1], Response::Nothing);
        assert_eq!(sent(&mut queue, &mut arena), "");
        let parts = vec![slice(&mut arena, "a"), slice(&mut arena, "A")];
        queue.fill(slots[0], Response::Parts(parts));
        assert_eq!(sent(&mut queue, &mut arena), "aAc");
        assert_eq!(queue.waiting(), 1);
        queue.fill(slots[0], Response::One(slice(&mut arena, "twice")));
        queue.fill(slots[3], Response::One(slice(&mut arena, "d")));
        assert_eq!(sent(&mut queue, &mut arena), "d");
        assert_eq!((queue.waiting(), queue.outgoing_bytes()), (0, 0));
    }

    #[test]
    fn neighbours_in_memory_leave_as_one_part_and_a_send_is_bounded() {
        let mut arena = Arena::new(8 << 20).unwrap();
        let mut block = arena.alloc(2048).unwrap();
        let mut queue = ResponseQueue::default();
        for text in ["ab", "cd"] {
            let slot = queue.open();
            block.extend_from_slice(text.as_bytes());
            queue.fill(slot, Response::One(block.split_frozen()));
        }
        let apart = slice(&mut arena, "ef");
        let slot = queue.open();
        queue.fill(slot, Response::One(apart));
        let mut parts = Vec::new();
        assert!(queue.take(&mut arena, 1, &mut parts));
        assert_eq!(parts.len(), 1);
        assert_eq!(&*parts[0], b"abcd");
        assert_eq!(queue.outgoing_bytes(), 2);
    }

    #[test]
    fn a_response_on_the_heap_is_moved_over_piece_by_piece() {
        let mut arena = Arena::new(8 << 20).unwrap();
        let mut queue = ResponseQueue::default();
        let slot = queue.open();
        let bytes: Vec<u8> = (0..200_000_u32).map(|number| number as u8).collect();
        queue.fill(slot, Response::Heap(bytes.clone()));
        let mut received = Vec::new();
        while queue.outgoing_bytes() > 0 {
            let mut parts = Vec::new();
            assert!(queue.take(&mut arena, 100, &mut parts));
            assert_eq!(parts.len(), 1);
            received.extend_from_slice(&parts[0]);
        }
        assert_eq!(received, bytes);
    }
}
