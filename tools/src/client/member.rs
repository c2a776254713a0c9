//! One member of a classic consumer group: joins, hears of rebalances, commits, leaves.
//!
//! It offers the `range` assignor, and when the coordinator makes it leader it cuts the ranges for
//! everybody. Rebalances are eager: a member that hears of one gives everything up and joins again.
//! KAFKA: KIP-394 (a first answer may only give the member its id).

use super::consumer_protocol::{
    Assignment, assign_ranges, decode_assignment, decode_subscription, encode_assignment,
    encode_subscription,
};
use super::coordinator::Committer;
use super::{Cluster, Coordinator, Offsets, check};
use anyhow::{Context, Result};
use millrace_server::protocol::ErrorCode;
use millrace_server::protocol::messages::HeartbeatRequest;
use millrace_server::protocol::messages::join_group_request::{
    JoinGroupRequest, JoinGroupRequestProtocol,
};
use millrace_server::protocol::messages::leave_group_request::{LeaveGroupRequest, MemberIdentity};
use millrace_server::protocol::messages::sync_group_request::{
    SyncGroupRequest, SyncGroupRequestAssignment,
};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Without a heartbeat for this long, the coordinator gives the member up.
const SESSION_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the coordinator waits for all members to join again.
const REBALANCE_TIMEOUT: Duration = Duration::from_secs(60);
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(3);
const ASSIGNOR: &str = "range";
const PROTOCOL_TYPE: &str = "consumer";

/// Whether the member still has what it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a member that must join again may not go on reading"]
pub(crate) enum Standing {
    Member,
    MustJoin,
}

/// A member.
#[derive(Debug)]
pub(crate) struct Member {
    coordinator: Coordinator,
    topic: String,
    member_id: String,
    generation_id: i32,
    heartbeat_due: Instant,
}

/// What joining came to.
struct Joined {
    member_id: String,
    generation_id: i32,
    is_leader: bool,
    /// Id and subscription of every member; the leader is told.
    subscriptions: Vec<(String, Vec<u8>)>,
}

impl Member {
    /// Somebody who wants to read `topic` for `group` and has not joined.
    pub(crate) fn new(group: &str, topic: &str) -> Self {
        Self {
            coordinator: Coordinator::new(group),
            topic: topic.to_owned(),
            member_id: String::new(),
            generation_id: -1,
            heartbeat_due: Instant::now(),
        }
    }

    /// The way to its coordinator.
    pub(crate) const fn coordinator(&mut self) -> &mut Coordinator {
        &mut self.coordinator
    }

    /// Joins, or joins again, and gives the partitions of the topic that are this member's now.
    /// Waits until the other members have joined, too.
    pub(crate) fn join(&mut self, cluster: &mut Cluster) -> Result<Vec<i32>> {
        loop {
            let (code, joined) = self.send_join(cluster)?;
            if code == ErrorCode::MemberIdRequired.code() {
                self.member_id = joined.member_id;
                continue;
            }
            if self.is_to_join_again(code) {
                continue;
            }
            check(
                code,
                &format!("joining group {}", self.coordinator.group()),
                None,
            )?;
            self.member_id.clone_from(&joined.member_id);
            self.generation_id = joined.generation_id;
            let assignments = match joined.is_leader {
                true => self.assign(cluster, &joined.subscriptions)?,
                false => Vec::new(),
            };
            let (code, assignment) = self.sync(cluster, &assignments)?;
            if self.is_to_join_again(code) {
                continue;
            }
            let object = format!("assignment in group {}", self.coordinator.group());
            check(code, &object, None)?;
            self.heartbeat_due = Instant::now() + HEARTBEAT_INTERVAL;
            let mut mine = decode_assignment(&assignment).context(object)?;
            return Ok(mine.remove(&self.topic).unwrap_or_default());
        }
    }

    fn send_join(&mut self, cluster: &mut Cluster) -> Result<(i16, Joined)> {
        let subscription = encode_subscription(&[&self.topic])?;
        let member_id = &self.member_id;
        self.coordinator.ask(cluster, |connection, group| {
            let request = JoinGroupRequest {
                group_id: group,
                session_timeout_ms: i32::try_from(SESSION_TIMEOUT.as_millis())?,
                rebalance_timeout_ms: i32::try_from(REBALANCE_TIMEOUT.as_millis())?,
                member_id,
                group_instance_id: None,
                protocol_type: PROTOCOL_TYPE,
                protocols: [JoinGroupRequestProtocol {
                    name: ASSIGNOR,
                    metadata: &subscription,
                }]
                .into(),
                reason: None,
            };
            let response = connection.call_patiently(&request, REBALANCE_TIMEOUT)?;
            let members = response.members.iter();
            let subscriptions = members
                .map(|member| (member.member_id.to_owned(), member.metadata.to_vec()))
                .collect();
            let joined = Joined {
                member_id: response.member_id.to_owned(),
                generation_id: response.generation_id,
                is_leader: response.leader == response.member_id && !response.skip_assignment,
                subscriptions,
            };
            Ok((response.error_code, joined))
        })
    }

    /// As leader: everybody's assignment.
    fn assign(
        &self,
        cluster: &mut Cluster,
        subscriptions: &[(String, Vec<u8>)],
    ) -> Result<Vec<(String, Vec<u8>)>> {
        let mut members = BTreeMap::new();
        let mut partition_counts = BTreeMap::new();
        for (member_id, bytes) in subscriptions {
            let topics = decode_subscription(bytes)
                .with_context(|| format!("subscription of member {member_id}"))?;
            for topic in &topics {
                if partition_counts.contains_key(topic) {
                    continue;
                }
                if let Some(found) = cluster.find_topic(topic)? {
                    let count = i32::try_from(found.leaders.len())?;
                    partition_counts.insert(topic.clone(), count);
                }
            }
            members.insert(member_id.clone(), topics);
        }
        let assigned = assign_ranges(&members, &partition_counts).into_iter();
        let encode =
            |(member_id, mine): (String, Assignment)| Ok((member_id, encode_assignment(&mine)?));
        assigned.map(encode).collect()
    }

    fn sync(
        &mut self,
        cluster: &mut Cluster,
        assignments: &[(String, Vec<u8>)],
    ) -> Result<(i16, Vec<u8>)> {
        let (member_id, generation_id) = (&self.member_id, self.generation_id);
        self.coordinator.ask(cluster, |connection, group| {
            let assignments: Vec<SyncGroupRequestAssignment<'_>> = assignments
                .iter()
                .map(|(member_id, assignment)| SyncGroupRequestAssignment {
                    member_id,
                    assignment,
                })
                .collect();
            let request = SyncGroupRequest {
                group_id: group,
                generation_id,
                member_id,
                group_instance_id: None,
                protocol_type: Some(PROTOCOL_TYPE),
                protocol_name: Some(ASSIGNOR),
                assignments: assignments.into(),
            };
            let response = connection.call_patiently(&request, REBALANCE_TIMEOUT)?;
            Ok((response.error_code, response.assignment.to_vec()))
        })
    }

    /// Says that this member lives, if it is time to.
    pub(crate) fn heartbeat(&mut self, cluster: &mut Cluster) -> Result<Standing> {
        if Instant::now() < self.heartbeat_due {
            return Ok(Standing::Member);
        }
        self.heartbeat_due = Instant::now() + HEARTBEAT_INTERVAL;
        let (member_id, generation_id) = (&self.member_id, self.generation_id);
        let (code, ()) = self.coordinator.ask(cluster, |connection, group| {
            let request = HeartbeatRequest {
                group_id: group,
                generation_id,
                member_id,
                group_instance_id: None,
            };
            Ok((connection.call(&request)?.error_code, ()))
        })?;
        self.standing(code, "heartbeat")
    }

    /// Commits offsets of this member's partitions; durable when this returns `Member`.
    pub(crate) fn commit(&mut self, cluster: &mut Cluster, offsets: &Offsets) -> Result<Standing> {
        let committer = Committer {
            member_id: &self.member_id,
            generation_id: self.generation_id,
        };
        let (code, place) = self.coordinator.commit(cluster, committer, offsets)?;
        self.standing(code, &format!("commit of {place}"))
    }

    /// Leaves, so that the others need not wait for the session to end.
    pub(crate) fn leave(&mut self, cluster: &mut Cluster) -> Result<()> {
        if self.member_id.is_empty() {
            return Ok(());
        }
        let member_id = &self.member_id;
        let (code, ()) = self.coordinator.ask(cluster, |connection, group| {
            let request = LeaveGroupRequest {
                group_id: group,
                member_id,
                members: [MemberIdentity {
                    member_id,
                    group_instance_id: None,
                    reason: None,
                }]
                .into(),
            };
            let response = connection.call(&request)?;
            Ok((response.error_code, ()))
        })?;
        self.member_id.clear();
        check(
            code,
            &format!("leaving group {}", self.coordinator.group()),
            None,
        )
    }

    fn standing(&mut self, code: i16, what: &str) -> Result<Standing> {
        if self.is_to_join_again(code) {
            return Ok(Standing::MustJoin);
        }
        let object = format!("{what} in group {}", self.coordinator.group());
        check(code, &object, None)?;
        Ok(Standing::Member)
    }

    /// Whether this answer means joining again; as somebody new, if the member is not known.
    fn is_to_join_again(&mut self, code: i16) -> bool {
        if code == ErrorCode::UnknownMemberId.code() {
            self.member_id.clear();
        }
        [
            ErrorCode::UnknownMemberId,
            ErrorCode::IllegalGeneration,
            ErrorCode::RebalanceInProgress,
        ]
        .iter()
        .any(|known| known.code() == code)
    }
}
