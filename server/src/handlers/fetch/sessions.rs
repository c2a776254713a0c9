//! Incremental fetch sessions (KIP-227): the broker remembers which partitions a consumer wants
//! and what it was told, so that requests and answers carry only what changed.
//!
//! A session belongs to the shard that made it, and its id says which. Sessions and their memory
//! are bounded; a client without one sends whole requests, which always works.

use super::{FetchRequest, Told, Wanted};
use crate::broker::BrokerShard;
use crate::protocol::ErrorCode;
use crate::protocol::messages::FetchRequest as Asked;
use std::collections::BTreeMap;

/// How a fetch uses sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionUse {
    /// Not at all.
    None,
    /// It began this one, and is answered in full.
    New(i32),
    /// It goes on with this one.
    Incremental(i32),
}

/// What a session wants, by topic and partition.
type Topics = BTreeMap<String, BTreeMap<i32, Wanted>>;

#[derive(Debug)]
struct Session {
    /// The epoch that the next request must carry.
    epoch: i32,
    topics: Topics,
    partitions: usize,
    /// What it takes of the memory for sessions.
    bytes: usize,
    created_ns: u64,
    last_used_ns: u64,
}

/// The sessions of one shard.
#[derive(Debug)]
pub struct FetchSessions {
    sessions: BTreeMap<i32, Session>,
    sessions_max: usize,
    bytes: usize,
    bytes_max: usize,
    shard: i32,
    shards: i32,
    next: i32,
}

/// A session unused for this long makes room for another; so does one that is as old and smaller
/// than the other.
const STALE_NS: u64 = 120_000_000_000;
/// About what a partition, and a topic beside its name, take in a session.
const PARTITION_BYTES: usize = 96;
const TOPIC_BYTES: usize = 160;
const EPOCH_NONE: i32 = -1;
const EPOCH_NEW: i32 = 0;
const VERSION_MIN: i16 = 7;

impl FetchSessions {
    /// No sessions yet, at most `sessions_max` in `bytes_max` of memory.
    #[must_use]
    pub const fn new(sessions_max: usize, bytes_max: usize, shard: i32, shards: i32) -> Self {
        Self {
            sessions: BTreeMap::new(),
            sessions_max,
            bytes: 0,
            bytes_max,
            shard,
            shards,
            next: 0,
        }
    }

    fn remove(&mut self, id: i32) {
        if let Some(session) = self.sessions.remove(&id) {
            self.bytes -= session.bytes;
        }
    }

    /// An id for a new session of so many partitions, if there is room.
    fn id(&mut self, now_ns: u64, partitions: usize) -> Option<i32> {
        if self.sessions_max == 0 {
            return None;
        }
        if self.sessions.len() >= self.sessions_max {
            let id = self.evictable(now_ns, partitions)?;
            self.remove(id);
        }
        let per_shard = i32::MAX / self.shards - 1;
        loop {
            self.next = (self.next + 1) % per_shard;
            let id = self.next * self.shards + self.shard + 1;
            if !self.sessions.contains_key(&id) {
                return Some(id);
            }
        }
    }

    /// KIP-227: what makes room for a session of so many partitions. The one unused for longest,
    /// if it is stale; else the smallest of those that had their time, if it is smaller.
    fn evictable(&self, now_ns: u64, partitions: usize) -> Option<i32> {
        let is_over = |since_ns| now_ns.saturating_sub(since_ns) >= STALE_NS;
        let oldest = self
            .sessions
            .iter()
            .min_by_key(|(_, session)| session.last_used_ns);
        let (id, session) = oldest?;
        if is_over(session.last_used_ns) {
            return Some(*id);
        }
        let old = self
            .sessions
            .iter()
            .filter(|(_, session)| is_over(session.created_ns));
        let (id, smallest) = old.min_by_key(|(_, session)| session.partitions)?;
        (smallest.partitions < partitions).then_some(*id)
    }

    fn begin(&mut self, now_ns: u64, topics: Topics) -> Option<i32> {
        let bytes = topics
            .iter()
            .map(|(name, partitions)| topic_bytes(name) + partitions.len() * PARTITION_BYTES)
            .sum();
        if self.bytes + bytes > self.bytes_max {
            return None;
        }
        let partitions = topics.values().map(BTreeMap::len).sum();
        let id = self.id(now_ns, partitions)?;
        let session = Session {
            epoch: 1,
            topics,
            partitions,
            bytes,
            created_ns: now_ns,
            last_used_ns: now_ns,
        };
        self.bytes += session.bytes;
        self.sessions.insert(id, session);
        Some(id)
    }

    fn go_on(&mut self, asked: &Asked<'_>, now_ns: u64) -> Result<&Session, ErrorCode> {
        let id = asked.session_id;
        let session = self.sessions.get_mut(&id);
        let session = session.ok_or(ErrorCode::FetchSessionIdNotFound)?;
        if session.epoch != asked.session_epoch {
            return Err(ErrorCode::InvalidFetchSessionEpoch);
        }
        session.epoch = session.epoch.checked_add(1).unwrap_or(1);
        session.last_used_ns = now_ns;
        let others = self.bytes - session.bytes;
        for topic in &asked.topics {
            session.want(topic.topic, topic.partitions.iter().map(|it| wanted(&it)));
            if others + session.bytes > self.bytes_max {
                break;
            }
        }
        for topic in &asked.forgotten_topics_data {
            session.forget(topic.topic, topic.partitions.iter());
        }
        self.bytes = others + session.bytes;
        if self.bytes > self.bytes_max {
            // The client begins again, without a session if it must.
            self.remove(id);
        }
        self.sessions
            .get(&id)
            .ok_or(ErrorCode::FetchSessionIdNotFound)
    }
}

impl Session {
    fn want(&mut self, topic: &str, partitions: impl Iterator<Item = Wanted>) {
        if !self.topics.contains_key(topic) {
            self.bytes += topic_bytes(topic);
            self.topics.insert(topic.to_owned(), BTreeMap::new());
        }
        let Some(known) = self.topics.get_mut(topic) else {
            return;
        };
        for partition in partitions {
            let told = known.get(&partition.index).and_then(|known| known.told);
            let wanted = Wanted { told, ..partition };
            if known.insert(wanted.index, wanted).is_none() {
                self.partitions += 1;
                self.bytes += PARTITION_BYTES;
            }
        }
    }

    fn forget(&mut self, topic: &str, partitions: impl Iterator<Item = i32>) {
        let Some(known) = self.topics.get_mut(topic) else {
            return;
        };
        for index in partitions {
            if known.remove(&index).is_some() {
                self.partitions -= 1;
                self.bytes -= PARTITION_BYTES;
            }
        }
        if known.is_empty() {
            self.topics.remove(topic);
            self.bytes -= topic_bytes(topic);
        }
    }
}

const fn topic_bytes(name: &str) -> usize {
    TOPIC_BYTES + name.len()
}

fn wanted(partition: &crate::protocol::messages::fetch_request::FetchPartition) -> Wanted {
    Wanted {
        index: partition.partition,
        offset: partition.fetch_offset,
        bytes_max: partition.partition_max_bytes,
        leader_epoch: partition.current_leader_epoch,
        told: None,
    }
}

impl BrokerShard {
    /// Fills the fetch with the partitions that are wanted: those of the request, or of its
    /// session.
    pub(super) fn open_session(
        &mut self,
        asked: &Asked<'_>,
        fetch: &mut FetchRequest,
    ) -> Result<SessionUse, ErrorCode> {
        let now_ns = self.io.now_ns();
        let has_sessions = fetch.head.version >= VERSION_MIN;
        if has_sessions && !matches!(asked.session_epoch, EPOCH_NONE | EPOCH_NEW) {
            let session = self.sessions.go_on(asked, now_ns)?;
            for (name, partitions) in &session.topics {
                fetch.topic(name);
                for wanted in partitions.values() {
                    fetch.partition(*wanted);
                }
            }
            return Ok(SessionUse::Incremental(asked.session_id));
        }
        for topic in &asked.topics {
            fetch.topic(topic.topic);
            for partition in &topic.partitions {
                fetch.partition(wanted(&partition));
            }
        }
        if !has_sessions {
            return Ok(SessionUse::None);
        }
        self.sessions.remove(asked.session_id);
        if asked.session_epoch == EPOCH_NONE {
            return Ok(SessionUse::None);
        }
        let mut topics = Topics::new();
        for (name, range) in fetch.topics() {
            let wanted = fetch.places[range].iter().map(|place| place.wanted);
            let topic = topics.entry(name.to_owned()).or_default();
            topic.extend(wanted.map(|wanted| (wanted.index, wanted)));
        }
        let id = self.sessions.begin(now_ns, topics);
        Ok(id.map_or(SessionUse::None, SessionUse::New))
    }

    /// Remembers what an answer says; returns the session id it carries.
    pub(super) fn session_answers(&mut self, fetch: &FetchRequest) -> i32 {
        let (SessionUse::New(id) | SessionUse::Incremental(id)) = fetch.session else {
            return 0;
        };
        let Some(session) = self.sessions.sessions.get_mut(&id) else {
            return id;
        };
        for (name, range) in fetch.topics() {
            let Some(known) = session.topics.get_mut(name) else {
                continue;
            };
            for place in &fetch.places[range] {
                if let Some(wanted) = known.get_mut(&place.wanted.index)
                    && place.is_shown(fetch.session)
                {
                    // An error is told again until it is gone.
                    let told: Told = place.told();
                    wanted.told = place.error.is_none().then_some(told);
                }
            }
        }
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::messages::fetch_request::{FetchPartition, FetchTopic, ForgottenTopic};

    const SECOND_NS: u64 = 1_000_000_000;

    fn topics(name: &str, partitions: i32) -> Topics {
        let wanted = |index| {
            let partition = FetchPartition {
                partition: index,
                ..FetchPartition::default()
            };
            (index, wanted(&partition))
        };
        [(name.to_owned(), (0..partitions).map(wanted).collect())].into()
    }

    #[test]
    fn a_stale_session_makes_room_and_a_larger_one_outs_a_smaller_that_had_its_time() {
        let mut sessions = FetchSessions::new(2, 1 << 20, 0, 1);
        let small = sessions.begin(0, topics("a", 1)).unwrap();
        let large = sessions.begin(0, topics("a", 5)).unwrap();
        assert_eq!(sessions.begin(119 * SECOND_NS, topics("b", 9)), None);
        for id in [small, large] {
            let asked = Asked {
                session_id: id,
                session_epoch: 1,
                ..Asked::default()
            };
            sessions.go_on(&asked, 119 * SECOND_NS).unwrap();
        }
        let now_ns = 120 * SECOND_NS;
        assert_eq!(sessions.begin(now_ns, topics("b", 1)), None, "not larger");
        let larger = sessions.begin(now_ns, topics("b", 2)).unwrap();
        assert!(!sessions.sessions.contains_key(&small));
        assert!(sessions.sessions.contains_key(&large));
        assert_eq!(sessions.begin(now_ns, topics("b", 5)), None, "not larger");
        // Both are unused for two minutes: the one used last stays.
        let next = sessions.begin(239 * SECOND_NS, topics("c", 1)).unwrap();
        assert!(!sessions.sessions.contains_key(&large));
        assert!(sessions.sessions.contains_key(&larger) && sessions.sessions.contains_key(&next));
    }

    fn asked<'a>(session_id: i32, (epoch, topic): (i32, &'a str), forgotten: &[i32]) -> Asked<'a> {
        Asked {
            session_id,
            session_epoch: epoch,
            topics: [FetchTopic {
                topic,
                partitions: [FetchPartition::default()].into(),
            }]
            .into(),
            forgotten_topics_data: [ForgottenTopic {
                topic,
                partitions: forgotten.to_vec().into(),
            }]
            .into(),
            ..Asked::default()
        }
    }

    #[test]
    fn the_memory_of_sessions_is_bounded_however_they_grow() {
        let mut sessions = FetchSessions::new(1000, 1 << 20, 0, 1);
        assert_eq!(sessions.begin(0, topics("t", 20_000)), None);
        let id = sessions.begin(0, topics("t", 1)).unwrap();
        let before = sessions.bytes;
        let name = "x".repeat(30_000);
        sessions.go_on(&asked(id, (1, &name), &[0]), 0).unwrap();
        assert_eq!(sessions.bytes, before, "what is forgotten is given back");
        let mut refused = 0;
        for epoch in 2..200 {
            let name = format!("{epoch}{name}");
            if sessions.go_on(&asked(id, (epoch, &name), &[]), 0).is_err() {
                refused += 1;
            }
            assert!(sessions.bytes <= 1 << 20, "{}", sessions.bytes);
        }
        assert!(refused > 0);
        assert_eq!((sessions.bytes, sessions.sessions.len()), (0, 0));
    }
}
