//! Incremental fetch sessions (KIP-227): the broker remembers which partitions a consumer wants
//! and what it was told, so that requests and answers carry only what changed.
//!
//! A session belongs to the shard that made it, and its id says which. Sessions and their
//! partitions are bounded; a client without one sends whole requests, which always works.

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

#[derive(Debug)]
struct Session {
    /// The epoch that the next request must carry.
    epoch: i32,
    topics: BTreeMap<String, BTreeMap<i32, Wanted>>,
    partitions: usize,
    last_used_ns: u64,
}

/// The sessions of one shard.
#[derive(Debug)]
pub struct FetchSessions {
    sessions: BTreeMap<i32, Session>,
    sessions_max: usize,
    partitions: usize,
    shard: i32,
    shards: i32,
    next: i32,
}

/// A session unused for this long makes room for another.
const STALE_NS: u64 = 120_000_000_000;
/// Partitions in all sessions of a shard.
const PARTITIONS_MAX: usize = 1_000_000;
const EPOCH_NONE: i32 = -1;
const EPOCH_NEW: i32 = 0;
const VERSION_MIN: i16 = 7;

impl FetchSessions {
    /// No sessions yet, at most `sessions_max`.
    #[must_use]
    pub const fn new(sessions_max: usize, shard: i32, shards: i32) -> Self {
        Self {
            sessions: BTreeMap::new(),
            sessions_max,
            partitions: 0,
            shard,
            shards,
            next: 0,
        }
    }

    fn remove(&mut self, id: i32) {
        if let Some(session) = self.sessions.remove(&id) {
            self.partitions -= session.partitions;
        }
    }

    /// An id for a new session, if there is room.
    fn id(&mut self, now_ns: u64, partitions: usize) -> Option<i32> {
        if self.partitions + partitions > PARTITIONS_MAX || self.sessions_max == 0 {
            return None;
        }
        if self.sessions.len() >= self.sessions_max {
            let oldest = self
                .sessions
                .iter()
                .min_by_key(|(_, session)| session.last_used_ns);
            let (id, session) = oldest?;
            if now_ns.saturating_sub(session.last_used_ns) < STALE_NS {
                return None;
            }
            let id = *id;
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

    fn begin(&mut self, now_ns: u64, fetch: &FetchRequest) -> Option<i32> {
        let partitions = fetch.places.len();
        let id = self.id(now_ns, partitions)?;
        let mut topics: BTreeMap<String, BTreeMap<i32, Wanted>> = BTreeMap::new();
        for (name, range) in fetch.topics() {
            let wanted = fetch.places[range].iter().map(|place| place.wanted);
            let topic = topics.entry(name.to_owned()).or_default();
            topic.extend(wanted.map(|wanted| (wanted.index, wanted)));
        }
        let session = Session {
            epoch: 1,
            partitions: topics.values().map(BTreeMap::len).sum(),
            topics,
            last_used_ns: now_ns,
        };
        self.partitions += session.partitions;
        self.sessions.insert(id, session);
        Some(id)
    }

    fn go_on(&mut self, asked: &Asked<'_>, now_ns: u64) -> Result<&Session, ErrorCode> {
        let session = self
            .sessions
            .get_mut(&asked.session_id)
            .ok_or(ErrorCode::FetchSessionIdNotFound)?;
        if session.epoch != asked.session_epoch {
            return Err(ErrorCode::InvalidFetchSessionEpoch);
        }
        session.epoch = session.epoch.checked_add(1).unwrap_or(1);
        session.last_used_ns = now_ns;
        let before = session.partitions;
        for topic in &asked.topics {
            let known = session.topics.entry(topic.topic.to_owned()).or_default();
            for partition in &topic.partitions {
                let told = known
                    .get(&partition.partition)
                    .and_then(|wanted| wanted.told);
                let wanted = Wanted {
                    told,
                    ..wanted(&partition)
                };
                if known.insert(wanted.index, wanted).is_none() {
                    session.partitions += 1;
                }
            }
        }
        for topic in &asked.forgotten_topics_data {
            let Some(known) = session.topics.get_mut(topic.topic) else {
                continue;
            };
            for index in &topic.partitions {
                if known.remove(&index).is_some() {
                    session.partitions -= 1;
                }
            }
            if known.is_empty() {
                session.topics.remove(topic.topic);
            }
        }
        self.partitions = self.partitions + session.partitions - before;
        Ok(session)
    }
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
        let id = self.sessions.begin(now_ns, fetch);
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
