//! The requests of a group's member and what their answers say, without anybody's state.

use super::link::Link;
use super::scene::{Partition, Scene};
use millrace_server::protocol::messages::join_group_request::JoinGroupRequestProtocol;
use millrace_server::protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use millrace_server::protocol::messages::offset_fetch_request::OffsetFetchRequestTopic;
use millrace_server::protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use millrace_server::protocol::messages::{
    FindCoordinatorRequest, FindCoordinatorResponse, HeartbeatRequest, HeartbeatResponse,
    JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, OffsetCommitRequest,
    OffsetCommitResponse, OffsetFetchRequest, OffsetFetchResponse, SyncGroupRequest,
    SyncGroupResponse,
};
use millrace_server::protocol::{ErrorCode, decode_response};
use std::net::SocketAddr;

const FIND_VERSION: i16 = 3;
const JOIN_VERSION: i16 = 5;
const SYNC_VERSION: i16 = 3;
const HEARTBEAT_VERSION: i16 = 3;
const COMMIT_VERSION: i16 = 7;
const FETCH_VERSION: i16 = 5;
const LEAVE_VERSION: i16 = 1;
const SESSION_TIMEOUT_MS: i32 = 8_000;
const REBALANCE_TIMEOUT_MS: i32 = 4_000;

/// Who asks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Membership {
    pub(crate) group: String,
    pub(crate) member: String,
    pub(crate) generation: i32,
}

/// An answer: what it says, or the error it is.
pub(crate) type Said<T> = Result<T, Option<ErrorCode>>;

/// An answer that is none, as the error that nobody may give.
const NONSENSE: Option<ErrorCode> = None;

fn said(code: i16) -> Said<()> {
    match ErrorCode::from_code(code) {
        Some(ErrorCode::None) => Ok(()),
        code => Err(code),
    }
}

pub(crate) fn ask_coordinator(link: &mut Link, me: &Membership) {
    let request = FindCoordinatorRequest {
        key: &me.group,
        ..FindCoordinatorRequest::default()
    };
    link.send(FIND_VERSION, &request);
}

/// Where the group's coordinator listens.
pub(crate) fn coordinator(frame: &[u8]) -> Said<SocketAddr> {
    let decoded = decode_response::<FindCoordinatorResponse<'_>>(frame, FIND_VERSION);
    let (_, answer) = decoded.map_err(|_| NONSENSE)?;
    said(answer.error_code)?;
    let ip = answer.host.parse().map_err(|_| NONSENSE)?;
    let port = u16::try_from(answer.port).map_err(|_| NONSENSE)?;
    Ok(SocketAddr::new(ip, port))
}

/// Version 0 of a subscription to one topic, as the consumer protocol has it.
fn subscription(topic: &str) -> Vec<u8> {
    let mut bytes = vec![0, 0, 0, 0, 0, 1];
    bytes.extend_from_slice(&(topic.len() as u16).to_be_bytes());
    bytes.extend_from_slice(topic.as_bytes());
    bytes.extend_from_slice(&(-1_i32).to_be_bytes());
    bytes
}

pub(crate) fn ask_join(link: &mut Link, me: &Membership, topic: &str) {
    let metadata = subscription(topic);
    let request = JoinGroupRequest {
        group_id: &me.group,
        session_timeout_ms: SESSION_TIMEOUT_MS,
        rebalance_timeout_ms: REBALANCE_TIMEOUT_MS,
        member_id: &me.member,
        protocol_type: "consumer",
        protocols: [JoinGroupRequestProtocol {
            name: "simulated",
            metadata: &metadata,
        }]
        .into(),
        ..JoinGroupRequest::default()
    };
    link.send(JOIN_VERSION, &request);
}

/// What joining brought: who one is, and the members if one leads them.
#[derive(Debug)]
pub(crate) struct Joined {
    pub(crate) member: String,
    pub(crate) generation: i32,
    pub(crate) led: Vec<String>,
}

/// The second part is the id to join with, where one is wanted first.
pub(crate) fn joined(frame: &[u8]) -> Result<Joined, (Option<ErrorCode>, String)> {
    let decoded = decode_response::<JoinGroupResponse<'_>>(frame, JOIN_VERSION);
    let (_, answer) = decoded.map_err(|_| (NONSENSE, String::new()))?;
    said(answer.error_code).map_err(|code| (code, answer.member_id.to_owned()))?;
    let is_leader = answer.leader == answer.member_id;
    let members = answer
        .members
        .iter()
        .map(|member| member.member_id.to_owned());
    Ok(Joined {
        member: answer.member_id.to_owned(),
        generation: answer.generation_id,
        led: if is_leader {
            members.collect()
        } else {
            Vec::new()
        },
    })
}

/// The leader deals the partitions out in turn.
pub(crate) fn ask_sync(link: &mut Link, me: &Membership, led: &[String], partitions: usize) {
    let share = |nth: usize| -> Vec<u8> {
        let mine = (0..partitions).filter(|index| index % led.len() == nth);
        mine.map(|index| index as u8).collect()
    };
    let shares: Vec<Vec<u8>> = (0..led.len()).map(share).collect();
    let assignments = led
        .iter()
        .zip(&shares)
        .map(|(member, share)| SyncGroupRequestAssignment {
            member_id: member,
            assignment: share,
        });
    let request = SyncGroupRequest {
        group_id: &me.group,
        generation_id: me.generation,
        member_id: &me.member,
        assignments: assignments.collect(),
        ..SyncGroupRequest::default()
    };
    link.send(SYNC_VERSION, &request);
}

/// Indexes of the partitions that one was given.
pub(crate) fn synced(frame: &[u8]) -> Said<Vec<usize>> {
    let decoded = decode_response::<SyncGroupResponse<'_>>(frame, SYNC_VERSION);
    let (_, answer) = decoded.map_err(|_| NONSENSE)?;
    said(answer.error_code)?;
    Ok(answer
        .assignment
        .iter()
        .map(|&index| usize::from(index))
        .collect())
}

pub(crate) fn ask_heartbeat(link: &mut Link, me: &Membership) {
    let request = HeartbeatRequest {
        group_id: &me.group,
        generation_id: me.generation,
        member_id: &me.member,
        ..HeartbeatRequest::default()
    };
    link.send(HEARTBEAT_VERSION, &request);
}

pub(crate) fn heartbeat(frame: &[u8]) -> Said<()> {
    let decoded = decode_response::<HeartbeatResponse>(frame, HEARTBEAT_VERSION);
    said(decoded.map_err(|_| NONSENSE)?.1.error_code)
}

pub(crate) fn ask_leave(link: &mut Link, me: &Membership) {
    let request = LeaveGroupRequest {
        group_id: &me.group,
        member_id: &me.member,
        ..LeaveGroupRequest::default()
    };
    link.send(LEAVE_VERSION, &request);
}

pub(crate) fn ask_commit(link: &mut Link, me: &Membership, partition: &Partition, offset: i64) {
    let request = OffsetCommitRequest {
        group_id: &me.group,
        generation_id_or_member_epoch: me.generation,
        member_id: &me.member,
        topics: [OffsetCommitRequestTopic {
            name: &partition.topic,
            partitions: [OffsetCommitRequestPartition {
                partition_index: partition.index,
                committed_offset: offset,
                committed_leader_epoch: -1,
                committed_metadata: Some(""),
            }]
            .into(),
        }]
        .into(),
        ..OffsetCommitRequest::default()
    };
    link.send(COMMIT_VERSION, &request);
}

pub(crate) fn committed(frame: &[u8]) -> Said<()> {
    let decoded = decode_response::<OffsetCommitResponse<'_>>(frame, COMMIT_VERSION);
    let (_, answer) = decoded.map_err(|_| NONSENSE)?;
    let topic = answer.topics.first();
    let part = topic.and_then(|topic| topic.partitions.first());
    said(part.ok_or(NONSENSE)?.error_code)
}

pub(crate) fn ask_offset(link: &mut Link, me: &Membership, partition: &Partition) {
    let topic = OffsetFetchRequestTopic {
        name: &partition.topic,
        partition_indexes: [partition.index].into(),
    };
    let request = OffsetFetchRequest {
        group_id: &me.group,
        topics: Some([topic].into()),
        ..OffsetFetchRequest::default()
    };
    link.send(FETCH_VERSION, &request);
}

/// A committed offset, if there is one.
pub(crate) fn offset(frame: &[u8]) -> Said<Option<i64>> {
    let decoded = decode_response::<OffsetFetchResponse<'_>>(frame, FETCH_VERSION);
    let (_, answer) = decoded.map_err(|_| NONSENSE)?;
    said(answer.error_code)?;
    let topic = answer.topics.first();
    let part = topic
        .and_then(|topic| topic.partitions.first())
        .ok_or(NONSENSE)?;
    said(part.error_code)?;
    Ok((part.committed_offset >= 0).then_some(part.committed_offset))
}

/// What a member does about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remedy {
    /// Join with the same id.
    Rejoin,
    /// Join as somebody new.
    Anew,
    /// Ask who coordinates, later.
    Find,
    /// The same again, later.
    Later,
}

/// The remedy for an error that may come; any other is a problem.
pub(crate) fn remedy(scene: &mut Scene, id: u32, asked: &str, code: Option<ErrorCode>) -> Remedy {
    match code {
        Some(ErrorCode::UnknownMemberId) => Remedy::Anew,
        Some(ErrorCode::IllegalGeneration | ErrorCode::RebalanceInProgress) => Remedy::Rejoin,
        Some(ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable) => Remedy::Find,
        Some(code) if scene.may_answer(code) => Remedy::Later,
        code => {
            scene.problem(id, format!("{asked}: {code:?}"));
            Remedy::Later
        }
    }
}
