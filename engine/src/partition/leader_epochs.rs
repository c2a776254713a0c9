//! Which leader epoch begins at which offset (KIP-101, KIP-320).
//!
//! INVARIANT: epochs and start offsets both rise strictly.

use super::wire::{Reader, Writer};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Epoch {
    epoch: i32,
    start_offset: i64,
}

/// The epochs that have records, and the present one.
#[derive(Debug, Default)]
pub(super) struct LeaderEpochs {
    list: Vec<Epoch>,
}

impl LeaderEpochs {
    /// Epoch 0 from offset 0 on.
    pub(super) fn new() -> Self {
        Self {
            list: vec![Epoch {
                epoch: 0,
                start_offset: 0,
            }],
        }
    }

    pub(super) fn current(&self) -> i32 {
        self.list.last().map_or(0, |last| last.epoch)
    }

    /// Records from `start_offset` on have `epoch`. Epochs without a record are forgotten.
    pub(super) fn begin(&mut self, epoch: i32, start_offset: i64) {
        if epoch <= self.current() {
            return;
        }
        self.list.retain(|old| old.start_offset < start_offset);
        self.list.push(Epoch {
            epoch,
            start_offset,
        });
    }

    /// The largest epoch at or below `epoch`, and where it ends.
    pub(super) fn end_of(&self, epoch: i32, log_end: i64) -> Option<(i32, i64)> {
        if epoch < 0 || epoch > self.current() {
            return None;
        }
        let behind = self.list.partition_point(|known| known.epoch <= epoch);
        let end = self.list.get(behind).map_or(log_end, |e| e.start_offset);
        // KAFKA: below the first known epoch, that epoch itself ends where the first one begins.
        let found = behind.checked_sub(1).map_or(epoch, |i| self.list[i].epoch);
        Some((found, end))
    }

    /// Forgets epochs that end at or below the log start; the one it lies in begins there.
    pub(super) fn forget_below(&mut self, log_start: i64) {
        let behind = self.list.partition_point(|e| e.start_offset <= log_start);
        if behind > 1 {
            self.list.drain(..behind - 1);
        }
        if behind > 0
            && let Some(first) = self.list.first_mut()
        {
            first.start_offset = log_start;
        }
    }

    /// Writes the epochs up to `epoch_max`.
    pub(super) fn encode(&self, epoch_max: i32, out: &mut Writer<'_>) {
        let count = self.list.partition_point(|e| e.epoch <= epoch_max);
        out.u32(count as u32);
        for known in &self.list[..count] {
            out.i32(known.epoch);
            out.i64(known.start_offset);
        }
    }

    pub(super) fn decode(from: &mut Reader<'_>) -> Option<Self> {
        let count = from.count(12)?;
        let mut list: Vec<Epoch> = Vec::with_capacity(count);
        for _ in 0..count {
            let next = Epoch {
                epoch: from.i32()?,
                start_offset: from.i64()?,
            };
            let rises = list
                .last()
                .is_none_or(|e| e.epoch < next.epoch && e.start_offset < next.start_offset);
            if !rises {
                return None;
            }
            list.push(next);
        }
        Some(Self { list })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_ends_where_the_next_known_one_begins() {
        let mut epochs = LeaderEpochs::new();
        epochs.begin(2, 100);
        epochs.begin(5, 200);
        assert_eq!(epochs.end_of(0, 300), Some((0, 100)));
        assert_eq!(epochs.end_of(1, 300), Some((0, 100)));
        assert_eq!(epochs.end_of(4, 300), Some((2, 200)));
        assert_eq!(epochs.end_of(5, 300), Some((5, 300)));
        assert_eq!(epochs.end_of(6, 300), None);
        assert_eq!(epochs.end_of(-1, 300), None);
    }

    #[test]
    fn an_epoch_without_records_leaves_no_trace() {
        let mut epochs = LeaderEpochs::new();
        epochs.begin(1, 10);
        epochs.begin(2, 10);
        assert_eq!(epochs.end_of(1, 50), Some((0, 10)));
        epochs.begin(2, 20);
        assert_eq!(epochs.current(), 2);
        assert_eq!(epochs.end_of(2, 50), Some((2, 50)));
    }

    #[test]
    fn epochs_below_the_log_start_are_forgotten() {
        let mut epochs = LeaderEpochs::new();
        epochs.begin(1, 10);
        epochs.begin(2, 20);
        epochs.forget_below(15);
        assert_eq!(epochs.end_of(0, 50), Some((0, 15)));
        assert_eq!(epochs.end_of(1, 50), Some((1, 20)));
    }
}
