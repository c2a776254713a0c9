//! The operations in flight. A slot **owns** everything the kernel may touch for its operation,
//! until the last completion: buffers, lists of ranges, message headers, addresses. Slots and what
//! they allocated are used again, so a warm shard allocates nothing per operation.
//!
//! The kernel names an operation by `kind: 8 | generation: 24 | slot: 32`.

use super::super::arena::{ArenaBuf, ArenaSlice};
use super::super::op::{IoFailure, SocketHandle, Token};

const GENERATION_MASK: u32 = (1 << 24) - 1;

/// What a completion is about: the first byte of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// The operation of a slot.
    Operation = 1,
    /// The flush that is linked to the write of a slot.
    Flush = 2,
    /// The read of this shard's eventfd.
    Event = 3,
    /// A doorbell from a peer.
    Doorbell = 4,
    /// A doorbell to a peer that failed; the slot is the peer.
    DoorbellFailed = 5,
    /// The end of a cancellation itself.
    Cancel = 6,
}

/// A completion's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) kind: Kind,
    pub(super) generation: u32,
    pub(super) slot: u32,
}

impl Name {
    pub(super) const fn of(kind: Kind, slot: u32) -> Self {
        Self {
            kind,
            generation: 0,
            slot,
        }
    }

    pub(super) const fn encode(self) -> u64 {
        (self.kind as u64) << 56 | (self.generation as u64) << 32 | self.slot as u64
    }

    pub(super) const fn decode(bits: u64) -> Option<Self> {
        let kind = match (bits >> 56) as u8 {
            1 => Kind::Operation,
            2 => Kind::Flush,
            3 => Kind::Event,
            4 => Kind::Doorbell,
            5 => Kind::DoorbellFailed,
            6 => Kind::Cancel,
            _ => return None,
        };
        Some(Self {
            kind,
            generation: (bits >> 32) as u32 & GENERATION_MASK,
            slot: bits as u32,
        })
    }

    /// The same slot's name for another kind of completion.
    pub(super) const fn with_kind(self, kind: Kind) -> Self {
        Self { kind, ..self }
    }
}

/// What a slot's operation is, and what it owns.
pub(super) enum Work {
    Free,
    Read {
        buf: ArenaBuf,
        wanted: u32,
    },
    Write {
        parts: Vec<ArenaSlice>,
        wanted: u32,
        is_durable: bool,
        /// Completions still to come: 2 with a linked flush.
        left: u8,
        failure: Option<IoFailure>,
    },
    Accept {
        listener: SocketHandle,
    },
    ReceiveSlot {
        socket: SocketHandle,
    },
    ReceiveBuffer {
        socket: SocketHandle,
        buf: ArenaBuf,
        received: u32,
        fill: bool,
    },
    Send {
        socket: SocketHandle,
        parts: Vec<ArenaSlice>,
        /// Where the rest begins: a part, and a place in it.
        part: usize,
        place: usize,
        bytes: u64,
    },
    File,
    Computation,
}

impl Work {
    pub(super) const fn socket(&self) -> Option<SocketHandle> {
        match self {
            Self::Accept { listener: socket }
            | Self::ReceiveSlot { socket }
            | Self::ReceiveBuffer { socket, .. }
            | Self::Send { socket, .. } => Some(*socket),
            _ => None,
        }
    }

    /// Whether the kernel (not the housekeeper) works on it.
    pub(super) const fn is_in_kernel(&self) -> bool {
        !matches!(self, Self::Free | Self::File | Self::Computation)
    }
}

/// One operation.
pub(super) struct Slot {
    generation: u32,
    pub(super) token: Token,
    pub(super) work: Work,
    pub(super) is_cancelled: bool,
    pub(super) ranges: Vec<libc::iovec>,
    pub(super) message: libc::msghdr,
    pub(super) address: libc::sockaddr_storage,
    pub(super) address_bytes: libc::socklen_t,
}

/// All operations of a ring.
pub(super) struct Slots {
    // Boxed so that the kernel's pointers into a slot survive growth of the vector.
    #[expect(clippy::vec_box, reason = "slots must not move")]
    slots: Vec<Box<Slot>>,
    free: Vec<u32>,
}

impl Slots {
    pub(super) const fn new() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
        }
    }

    /// A slot for `work`.
    pub(super) fn take(&mut self, token: Token, work: Work) -> Name {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Box::new(Slot::new(token)));
            self.slots.len() as u32 - 1
        });
        let slot = &mut self.slots[index as usize];
        slot.token = token;
        slot.work = work;
        slot.is_cancelled = false;
        slot.name(index)
    }

    /// The slot of a name; `None` if the operation has ended.
    pub(super) fn get(&mut self, name: Name) -> Option<&mut Slot> {
        let slot = self.slots.get_mut(name.slot as usize)?;
        (slot.generation == name.generation).then_some(slot)
    }

    /// Ends an operation: what it owned, for the outcome.
    pub(super) fn release(&mut self, name: Name) -> Option<(Token, Work)> {
        let slot = self.get(name)?;
        slot.generation = (slot.generation + 1) & GENERATION_MASK;
        let work = std::mem::replace(&mut slot.work, Work::Free);
        let token = slot.token;
        self.free.push(name.slot);
        Some((token, work))
    }

    /// Names of operations in flight for which `is_wanted` holds, marked as cancelled.
    pub(super) fn cancel_where(&mut self, is_wanted: impl Fn(&Slot) -> bool) -> Vec<Name> {
        let mut names = Vec::new();
        for (index, slot) in self.slots.iter_mut().enumerate() {
            if !slot.is_cancelled && is_wanted(slot) {
                slot.is_cancelled = true;
                names.push(slot.name(index as u32));
            }
        }
        names
    }

    /// Operations in flight.
    pub(super) fn in_flight(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Operations whose memory the kernel may touch.
    pub(super) fn in_kernel(&self) -> usize {
        let slots = self.slots.iter();
        slots.filter(|slot| slot.work.is_in_kernel()).count()
    }
}

impl Slot {
    fn new(token: Token) -> Self {
        Self {
            generation: 0,
            token,
            work: Work::Free,
            is_cancelled: false,
            ranges: Vec::new(),
            message: super::socket::empty_message(),
            address: super::socket::empty_address(),
            address_bytes: 0,
        }
    }

    const fn name(&self, index: u32) -> Name {
        Name {
            kind: Kind::Operation,
            generation: self.generation,
            slot: index,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::Class;

    const TOKEN: Token = Token {
        class: Class::Net,
        key: 1,
    };

    #[test]
    fn names_survive_the_kernel_and_foreign_bits_are_refused() {
        let name = Name {
            kind: Kind::Flush,
            generation: GENERATION_MASK,
            slot: 77,
        };
        assert_eq!(Name::decode(name.encode()), Some(name));
        assert_eq!(Name::decode(u64::MAX), None);
        assert_eq!(Name::decode(0), None);
    }

    #[test]
    fn an_ended_operation_has_no_slot_and_its_place_is_used_again() {
        let mut slots = Slots::new();
        let first = slots.take(TOKEN, Work::File);
        assert!(slots.release(first).is_some());
        let second = slots.take(TOKEN, Work::Computation);
        assert_eq!(first.slot, second.slot);
        assert!(slots.get(first).is_none());
        assert!(slots.release(first).is_none());
        assert_eq!((slots.in_flight(), slots.in_kernel()), (1, 0));
    }
}
