//! Incremental fetch sessions (KIP-227): the broker remembers which partitions a consumer wants
//! and what it was told, so that requests and answers carry only what changed.
//!
//! A session belongs to the shard that made it, and its id says which; ids begin anywhere, so that
//! one of an earlier process is none of this. Sessions and their memory are bounded; a client
//! without one sends whole requests, which always works.

use super::{FetchRequest, Place, Told, Wanted};
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
    /// The next answer begins with this one, counted in the order of names.
    first: usize,
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
    /// No sessions yet, at most `sessions_max` in `bytes_max` of memory, on this shard of so many.
    /// KAFKA: ids are random. A client that goes on with a session of a process that is gone must
    /// not meet another client's, whose positions it would take for its own.
    #[must_use]
    pub const fn new(
        (sessions_max, bytes_max): (usize, usize),
        (shard, shards): (i32, i32),
        random: u64,
    ) -> Self {
        Self {
            sessions: BTreeMap::new(),
            sessions_max,
            bytes: 0,
            bytes_max,
            shard,
            shards,
            next: (random % (i32::MAX / shards - 1) as u64) as i32,
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
            first: 0,
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

    /// What is wanted, by topic, the first of this time first.
    fn in_turn(&self) -> impl Iterator<Item = (&str, &Wanted)> {
        let all = || {
            let topics = self.topics.iter();
            topics.flat_map(|(name, known)| known.values().map(move |it| (name.as_str(), it)))
        };
        let first = self.first % self.partitions.max(1);
        all().skip(first).chain(all().take(first))
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
            let mut last = None;
            for (name, wanted) in session.in_turn() {
                if last.replace(name) != Some(name) {
                    fetch.topic(name);
                }
                fetch.partition(*wanted);
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
        // KAFKA: who had records comes last the next time, so that nobody is passed over for ever
        // where the bytes of an answer do not suffice for all.
        let had_records = |place: &Place| place.batches.bytes > 0;
        if let Some(nth) = fetch.places.iter().position(had_records) {
            session.first = (session.first + nth + 1) % session.partitions.max(1);
        }
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
        let mut sessions = FetchSessions::new((2, 1 << 20), (0, 1), 0);
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
        let mut sessions = FetchSessions::new((1000, 1 << 20), (0, 1), 0);
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

    #[test]
    fn a_session_of_another_process_is_none_of_this_one() {
        for random in [0, 1, 77, u64::MAX] {
            let mut before = FetchSessions::new((9, 1 << 20), (1, 3), random);
            let mut after = FetchSessions::new((9, 1 << 20), (1, 3), random ^ (1 << 20));
            let asked = Asked {
                session_id: before.begin(0, topics("a", 1)).unwrap(),
                session_epoch: 1,
                ..Asked::default()
            };
            after.begin(0, topics("b", 1)).unwrap();
            let error = after.go_on(&asked, 1).unwrap_err();
            assert_eq!(error, ErrorCode::FetchSessionIdNotFound);
            assert_eq!(asked.session_id % 3, 2, "it names its shard");
        }
    }

    #[test]
    fn the_partition_that_comes_first_moves_on() {
        let mut wanted = topics("a", 2);
        wanted.extend(topics("b", 1));
        let mut sessions = FetchSessions::new((1, 1 << 20), (0, 1), 0);
        let id = sessions.begin(0, wanted).unwrap();
        let mut order = |first| {
            let session = sessions.sessions.get_mut(&id).unwrap();
            session.first = first;
            let named = session
                .in_turn()
                .map(|(name, it)| format!("{name}{}", it.index));
            named.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(order(0), "a0 a1 b0");
        assert_eq!(order(1), "a1 b0 a0");
        assert_eq!(order(2), "b0 a0 a1");
        assert_eq!(order(3), "a0 a1 b0");
    }
}
