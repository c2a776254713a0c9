//! A member of a group.

use super::effects::{Asker, Join};
use std::sync::Arc;

/// A member.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) member_id: Arc<str>,
    pub(super) instance_id: Option<Arc<str>>,
    pub(super) client_id: Arc<str>,
    pub(super) client_host: Arc<str>,
    pub(super) session_timeout_ms: i32,
    pub(super) rebalance_timeout_ms: i32,
    pub(super) protocols: Vec<(Arc<str>, Arc<[u8]>)>,
    pub(super) assignment: Arc<[u8]>,
    /// Its JoinGroup request that waits.
    pub(super) awaiting_join: Option<Asker>,
    /// Its SyncGroup request that waits.
    pub(super) awaiting_sync: Option<Asker>,
    /// It has not been answered its first join.
    pub(super) is_new: bool,
    /// When its session ends.
    pub(super) deadline_ns: u64,
}

/// What a member costs beside its strings.
const FIXED_BYTES: usize = 400;

impl Member {
    /// A member that joins for the first time.
    pub(super) fn new(member_id: Arc<str>, join: &Join<'_>) -> Self {
        Self {
            member_id,
            instance_id: join.instance_id.map(Arc::from),
            client_id: Arc::from(join.client_id),
            client_host: Arc::from(join.client_host),
            session_timeout_ms: join.session_timeout_ms,
            rebalance_timeout_ms: join.rebalance_timeout_ms,
            protocols: owned(join.protocols),
            assignment: Arc::from([].as_slice()),
            awaiting_join: None,
            awaiting_sync: None,
            is_new: true,
            deadline_ns: u64::MAX,
        }
    }

    /// Takes over what it says when it joins again.
    pub(super) fn update(&mut self, join: &Join<'_>) {
        self.session_timeout_ms = join.session_timeout_ms;
        self.rebalance_timeout_ms = join.rebalance_timeout_ms;
        self.protocols = owned(join.protocols);
    }

    /// Whether it says the same as before.
    pub(super) fn matches(&self, protocols: &[(&str, &[u8])]) -> bool {
        self.protocols.len() == protocols.len()
            && self
                .protocols
                .iter()
                .zip(protocols)
                .all(|((name, metadata), other)| **name == *other.0 && **metadata == *other.1)
    }

    /// Its metadata for a protocol; empty when it does not know it.
    pub(super) fn metadata(&self, protocol: &str) -> Arc<[u8]> {
        let mut known = self.protocols.iter();
        known
            .find(|(name, _)| **name == *protocol)
            .map_or_else(|| Arc::from([].as_slice()), |(_, bytes)| Arc::clone(bytes))
    }

    /// The first of its protocols that everyone knows.
    pub(super) fn vote(&self, is_candidate: impl Fn(&str) -> bool) -> Option<&Arc<str>> {
        let mut names = self.protocols.iter().map(|(name, _)| name);
        names.find(|name| is_candidate(name))
    }

    /// Whether one of its requests waits, so that no heartbeat can be asked of it.
    pub(super) const fn is_awaiting(&self) -> bool {
        self.awaiting_join.is_some() || self.awaiting_sync.is_some()
    }

    /// Memory it takes, about.
    pub(super) fn bytes(&self) -> usize {
        let protocols = self.protocols.iter();
        let protocols: usize = protocols
            .map(|(name, metadata)| name.len() + metadata.len() + 64)
            .sum();
        FIXED_BYTES
            + 3 * self.member_id.len()
            + 2 * self.instance_id.as_ref().map_or(0, |id| id.len())
            + self.client_id.len()
            + self.client_host.len()
            + protocols
            + self.assignment.len()
    }
}

fn owned(protocols: &[(&str, &[u8])]) -> Vec<(Arc<str>, Arc<[u8]>)> {
    protocols
        .iter()
        .map(|(name, metadata)| (Arc::from(*name), Arc::from(*metadata)))
        .collect()
}

/// What a join would add to a group's memory at most.
pub(super) fn join_bytes(join: &Join<'_>) -> usize {
    let protocols = join.protocols.iter();
    let protocols: usize = protocols
        .map(|(name, metadata)| 2 * (name.len() + metadata.len()) + 64)
        .sum();
    let names = join.client_id.len() + join.instance_id.map_or(0, str::len) + 40;
    FIXED_BYTES + 4 * names + join.client_host.len() + protocols
}
