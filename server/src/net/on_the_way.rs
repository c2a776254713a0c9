//! Batches that are being received into memory of their own, summed by the log they are for.
//!
//! A batch's address must be congruent to the place it will have in its log. That place lies
//! behind everything that was begun before it, so whoever begins one asks here how much that is.
//! A wrong guess (another one was faster, a connection broke) costs a copy, nothing else.

use rustc_hash::FxHashMap;

/// Bytes on their way to each log.
#[derive(Debug, Default)]
pub(super) struct OnTheWay(FxHashMap<u64, usize>);

impl OnTheWay {
    /// Bytes begun and not ended for `log`.
    pub(super) fn bytes(&self, log: u64) -> usize {
        self.0.get(&log).copied().unwrap_or(0)
    }

    /// A batch is begun.
    pub(super) fn begin(&mut self, log: u64, bytes: usize) {
        *self.0.entry(log).or_default() += bytes;
    }

    /// A batch arrived, or never will.
    pub(super) fn end(&mut self, log: u64, bytes: usize) {
        if let Some(sum) = self.0.get_mut(&log) {
            *sum = sum.saturating_sub(bytes);
            if *sum == 0 {
                self.0.remove(&log);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::OnTheWay;

    #[test]
    fn what_is_on_its_way_to_one_log_counts_for_it_alone_and_until_it_ends() {
        let mut way = OnTheWay::default();
        way.begin(1, 100);
        way.begin(1, 20);
        way.begin(2, 7);
        assert_eq!((way.bytes(1), way.bytes(2), way.bytes(3)), (120, 7, 0));
        way.end(1, 100);
        assert_eq!(way.bytes(1), 20);
        way.end(1, 20);
        way.end(2, 7);
        assert!(way.0.is_empty());
    }
}
