//! The offsets a group has committed.
//!
//! A commit is staged when it is appended and settled when it is durable. Readers see settled
//! offsets only; deletions and snapshots go by what was appended last, which is what a replay
//! of the log would end with.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

/// One committed offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedOffset {
    /// The next offset to read.
    pub offset: i64,
    /// Leader epoch of the last record read, -1 for none.
    pub leader_epoch: i32,
    /// What the client wrote beside it.
    pub metadata: Arc<str>,
    /// When it was committed.
    pub commit_ms: i64,
    /// When it is forgotten, if the client said so (OffsetCommit 2-4).
    pub expire_ms: Option<i64>,
}

#[derive(Clone, Debug, Default)]
struct Entry {
    durable: Option<CommittedOffset>,
    /// What appends on their way say, oldest first.
    pending: VecDeque<Option<CommittedOffset>>,
}

/// All committed offsets of a group.
#[derive(Clone, Debug, Default)]
pub struct CommittedOffsets {
    topics: BTreeMap<Arc<str>, BTreeMap<i32, Entry>>,
    bytes: usize,
}

/// What an entry costs beside its metadata, and a topic beside its name.
const ENTRY_BYTES: usize = 160;

fn cost(offset: Option<&CommittedOffset>) -> usize {
    offset.map_or(0, |offset| offset.metadata.len())
}

impl Entry {
    fn bytes(&self) -> usize {
        let pending = self
            .pending
            .iter()
            .map(|it| cost(it.as_ref()) + ENTRY_BYTES);
        ENTRY_BYTES + cost(self.durable.as_ref()) + pending.sum::<usize>()
    }

    fn latest(&self) -> Option<&CommittedOffset> {
        self.pending
            .back()
            .map_or(self.durable.as_ref(), Option::as_ref)
    }
}

impl CommittedOffsets {
    /// Memory it takes, about.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// What a commit would add at most. One that says no more than before adds nothing, so that
    /// groups that are there go on when memory is full.
    #[must_use]
    pub fn added_bytes(&self, topic: &str, partition: i32, metadata_bytes: usize) -> usize {
        let known = self.topics.get(topic);
        match known.and_then(|partitions| partitions.get(&partition)) {
            Some(entry) => (2 * metadata_bytes).saturating_sub(2 * cost(entry.latest())),
            None => 2 * ENTRY_BYTES + topic.len() + 2 * metadata_bytes,
        }
    }

    /// Whether nothing is committed and nothing on its way.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }

    /// Whether a topic's offsets would still be there after a replay.
    #[must_use]
    pub fn has_latest(&self) -> bool {
        let mut entries = self.topics.values().flat_map(BTreeMap::values);
        entries.any(|entry| entry.latest().is_some())
    }

    /// An append says this about a partition; `None` deletes.
    pub fn stage(&mut self, topic: &Arc<str>, partition: i32, value: Option<CommittedOffset>) {
        if !self.topics.contains_key(topic) {
            self.bytes += ENTRY_BYTES + topic.len();
        }
        let partitions = self.topics.entry(Arc::clone(topic)).or_default();
        let before = partitions.get(&partition).map_or(0, Entry::bytes);
        let entry = partitions.entry(partition).or_default();
        entry.pending.push_back(value);
        self.bytes = (self.bytes + entry.bytes()).saturating_sub(before);
    }

    /// The oldest append on its way is durable, or the newest was refused.
    pub fn settle(&mut self, topic: &Arc<str>, partition: i32, is_durable: bool) {
        let Some(partitions) = self.topics.get_mut(topic) else {
            return;
        };
        let Some(entry) = partitions.get_mut(&partition) else {
            return;
        };
        let before = entry.bytes();
        if !is_durable {
            entry.pending.pop_back();
        } else if let Some(value) = entry.pending.pop_front() {
            entry.durable = value;
        }
        if entry.pending.is_empty() && entry.durable.is_none() {
            partitions.remove(&partition);
            self.bytes = self.bytes.saturating_sub(before);
        } else {
            self.bytes = (self.bytes + entry.bytes()).saturating_sub(before);
        }
        if partitions.is_empty() {
            self.topics.remove(topic);
            self.bytes = self.bytes.saturating_sub(ENTRY_BYTES + topic.len());
        }
    }

    /// What a replay found.
    pub fn load(&mut self, topic: &str, partition: i32, value: Option<CommittedOffset>) {
        let topic = match self.topics.get_key_value(topic) {
            Some((known, _)) => Arc::clone(known),
            None => Arc::from(topic),
        };
        self.stage(&topic, partition, value);
        self.settle(&topic, partition, true);
    }

    /// The offset that readers see.
    #[must_use]
    pub fn durable(&self, topic: &str, partition: i32) -> Option<&CommittedOffset> {
        self.topics.get(topic)?.get(&partition)?.durable.as_ref()
    }

    /// All offsets that readers see, by topic and partition.
    pub fn all_durable(&self) -> impl Iterator<Item = (&Arc<str>, i32, &CommittedOffset)> {
        self.topics.iter().flat_map(|(topic, partitions)| {
            partitions.iter().filter_map(move |(partition, entry)| {
                Some((topic, *partition, entry.durable.as_ref()?))
            })
        })
    }

    /// What was appended last and is no deletion, from a place on.
    pub fn latest_from(
        &self,
        from: Option<&(Arc<str>, i32)>,
    ) -> impl Iterator<Item = (&Arc<str>, i32, &CommittedOffset)> {
        let first = from.map_or("", |(topic, _)| topic);
        let topics = self
            .topics
            .range::<str, _>((Bound::Included(first), Bound::Unbounded));
        topics.flat_map(move |(topic, partitions)| {
            let lowest = match from {
                Some((first, partition)) if first == topic => *partition,
                _ => i32::MIN,
            };
            partitions
                .range(lowest..)
                .filter_map(move |(partition, entry)| Some((topic, *partition, entry.latest()?)))
        })
    }

    /// Deletions of everything that is true of.
    pub fn deletions(
        &self,
        is_wanted: impl Fn(&str, &CommittedOffset) -> bool,
    ) -> Vec<super::effects::OffsetChange> {
        self.latest_from(None)
            .filter(|(topic, _, offset)| is_wanted(topic, offset))
            .map(|(topic, partition, _)| (Arc::clone(topic), partition, None))
            .collect()
    }

    /// Deletions of a group's partitions, those with a commit on its way included.
    #[must_use]
    pub fn deletion_of(&self, topic: &str, partition: i32) -> Option<super::effects::OffsetChange> {
        let (topic, partitions) = self.topics.get_key_value(topic)?;
        partitions.get(&partition)?.latest()?;
        Some((Arc::clone(topic), partition, None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offset(offset: i64) -> CommittedOffset {
        CommittedOffset {
            offset,
            leader_epoch: -1,
            metadata: Arc::from("m"),
            commit_ms: 0,
            expire_ms: None,
        }
    }

    #[test]
    fn a_commit_is_seen_when_it_is_durable_and_not_before() {
        let mut offsets = CommittedOffsets::default();
        let topic: Arc<str> = Arc::from("t");
        offsets.stage(&topic, 0, Some(offset(5)));
        offsets.stage(&topic, 0, Some(offset(7)));
        assert_eq!(offsets.durable("t", 0), None);
        assert!(offsets.has_latest());
        offsets.settle(&topic, 0, true);
        assert_eq!(offsets.durable("t", 0), Some(&offset(5)));
        let latest: Vec<_> = offsets
            .latest_from(None)
            .map(|(.., it)| it.offset)
            .collect();
        assert_eq!(latest, [7], "what a replay would end with");
        offsets.settle(&topic, 0, true);
        assert_eq!(offsets.durable("t", 0), Some(&offset(7)));
    }

    #[test]
    fn an_append_that_failed_leaves_what_was_there() {
        let mut offsets = CommittedOffsets::default();
        let topic: Arc<str> = Arc::from("t");
        offsets.load("t", 0, Some(offset(5)));
        offsets.stage(&topic, 0, Some(offset(7)));
        offsets.settle(&topic, 0, false);
        assert_eq!(offsets.durable("t", 0), Some(&offset(5)));
        let latest: Vec<_> = offsets
            .latest_from(None)
            .map(|(.., it)| it.offset)
            .collect();
        assert_eq!(latest, [5]);
    }

    #[test]
    fn a_deletion_takes_an_unsettled_commit_along_and_gives_the_memory_back() {
        let mut offsets = CommittedOffsets::default();
        let topic: Arc<str> = Arc::from("t");
        offsets.stage(&topic, 3, Some(offset(5)));
        let deletions = offsets.deletions(|_, _| true);
        assert_eq!(deletions, [(Arc::clone(&topic), 3, None)]);
        offsets.stage(&topic, 3, None);
        assert!(offsets.deletions(|_, _| true).is_empty());
        offsets.settle(&topic, 3, true);
        offsets.settle(&topic, 3, true);
        assert!(offsets.is_empty());
        assert_eq!(offsets.bytes(), 0);
    }

    #[test]
    fn walking_goes_on_at_a_place() {
        let mut offsets = CommittedOffsets::default();
        for (topic, partition) in [("a", 0), ("a", 1), ("b", 0), ("b", 2)] {
            offsets.load(topic, partition, Some(offset(1)));
        }
        let from = (Arc::from("a"), 1);
        let rest: Vec<_> = offsets
            .latest_from(Some(&from))
            .map(|(topic, partition, _)| (&**topic, partition))
            .collect();
        assert_eq!(rest, [("a", 1), ("b", 0), ("b", 2)]);
    }
}
