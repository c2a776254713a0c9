//! The bound of the idempotent producers that a shard remembers, over all its partitions: the
//! longest silent ones are forgotten. A forgotten producer is as unknown as one that expired
//! (`producer.id.expiration.ms`): what it sends next is taken, a batch it sends again, too.

use super::Shard;
use crate::ids::PartitionHandle;

/// One look at all producers makes room for this part of the bound.
const ROOM_DIVISOR: usize = 16;

impl Shard {
    /// Carries a partition's number of producers over into the shard's sum.
    pub(super) fn recount_producers(&mut self, number: u32) {
        if let Some(slot) = self.partitions.at_mut(number) {
            let count = slot.partition.producer_count();
            self.producers = self.producers - slot.producers + count;
            slot.producers = count;
        }
    }

    /// After a partition may have got new ones.
    pub(super) fn bound_producers_of(&mut self, handle: PartitionHandle) {
        if let Some(number) = self.partitions.number(handle) {
            self.recount_producers(number);
            self.bound_producers();
        }
    }

    /// Forgets the longest silent producers once there are more than the bound.
    pub(super) fn bound_producers(&mut self) {
        let max = self.config.producers_max;
        if self.producers <= max {
            return;
        }
        let keep = max - max / ROOM_DIVISOR;
        let mut times = Vec::with_capacity(self.producers);
        for number in 0..self.partitions.slot_count() {
            if let Some(slot) = self.partitions.at(number) {
                times.extend(slot.partition.producers_last_ms());
            }
        }
        let Some(surplus) = times.len().checked_sub(keep).filter(|&surplus| surplus > 0) else {
            return;
        };
        let (before, &mut since_ms, _) = times.select_nth_unstable(surplus - 1);
        // `before` holds some that are as old as the last one to go.
        let older = before.iter().filter(|&&ms| ms < since_ms).count();
        let mut more = surplus - older;
        for number in 0..self.partitions.slot_count() {
            if let Some(slot) = self.partitions.at_mut(number) {
                slot.partition.forget_producers(since_ms, &mut more);
            }
            self.recount_producers(number);
        }
    }
}
