//! What the engine's tickets mean to the broker: who waits for the event.

use crate::slab::SlabKey;
use millrace_engine::ids::Ticket;

/// Whose ticket it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Waiting {
    /// A partition of a Produce request of this shard.
    Produce = 1,
    /// An append for another shard.
    Hop = 2,
    /// A read of a fetch.
    Fetch = 3,
    /// A question about a partition.
    Question = 4,
    /// A change of partitions that the controller asked for.
    Change = 5,
    /// The controller's own registry change.
    Controller = 6,
    /// An append of the groups' coordinator.
    Group = 7,
    /// A read of a log that the groups' coordinator loads.
    GroupLoad = 8,
}

/// Items of one request at most.
pub const ITEMS_MAX: usize = 1 << 24;

/// A ticket for item `item` of the request at `key`.
#[must_use]
pub fn ticket(waiting: Waiting, key: SlabKey, item: usize) -> Ticket {
    debug_assert!(item < ITEMS_MAX);
    Ticket((waiting as u64) << 60 | key.to_bits() << 24 | item as u64)
}

/// What [`ticket`] was made of.
#[must_use]
pub const fn read_ticket(ticket: Ticket) -> Option<(Waiting, SlabKey, usize)> {
    let waiting = match ticket.0 >> 60 {
        1 => Waiting::Produce,
        2 => Waiting::Hop,
        3 => Waiting::Fetch,
        4 => Waiting::Question,
        5 => Waiting::Change,
        6 => Waiting::Controller,
        7 => Waiting::Group,
        8 => Waiting::GroupLoad,
        _ => return None,
    };
    let key = SlabKey::from_bits(ticket.0 >> 24 & ((1 << 36) - 1));
    Some((waiting, key, ticket.0 as usize & (ITEMS_MAX - 1)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slab::Slab;

    #[test]
    fn a_ticket_leads_back_to_what_it_was_made_of() {
        let mut slab = Slab::default();
        for _ in 0..3 {
            let old = slab.insert(()).unwrap();
            slab.remove(old);
        }
        let key = slab.insert(()).unwrap();
        let made = ticket(Waiting::Change, key, 77);
        assert_eq!(read_ticket(made), Some((Waiting::Change, key, 77)));
        assert_eq!(read_ticket(Ticket::NONE), None);
    }
}
