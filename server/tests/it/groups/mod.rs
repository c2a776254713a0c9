//! Consumer groups over the wire: members and requests that the tests share.

mod bounds;
mod life;
mod offsets;

use crate::harness::{Client, TestBroker, decode, fetched, plain};
use millrace_server::ServeConfig;
use millrace_server::protocol::messages::join_group_request::JoinGroupRequestProtocol;
use millrace_server::protocol::messages::leave_group_request::MemberIdentity;
use millrace_server::protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use millrace_server::protocol::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use millrace_server::protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic,
};
use millrace_server::protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use millrace_server::protocol::messages::{
    DeleteGroupsRequest, DeleteGroupsResponse, DeleteTopicsRequest, DescribeGroupsRequest,
    DescribeGroupsResponse, FindCoordinatorRequest, FindCoordinatorResponse, HeartbeatRequest,
    HeartbeatResponse, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, LeaveGroupResponse,
    ListGroupsRequest, ListGroupsResponse, MetadataRequest, MetadataResponse, OffsetCommitRequest,
    OffsetCommitResponse, OffsetDeleteRequest, OffsetDeleteResponse, OffsetFetchRequest,
    OffsetFetchResponse, SyncGroupRequest, SyncGroupResponse,
};
use millrace_server::protocol::{ErrorCode, List};
use std::net::SocketAddr;

const OFFSETS_TOPIC: &str = "__consumer_offsets";

/// Settings for groups that do not wait for more members.
fn quick(config: &mut ServeConfig) {
    let set = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    config.settings.extend([
        set("group.initial.rebalance.delay.ms", "0"),
        set("offsets.topic.num.partitions", "8"),
    ]);
}

/// A topic's subscription as the consumer protocol writes it.
fn subscription(topic: &str) -> Vec<u8> {
    let mut bytes = vec![0, 0, 0, 0, 0, 1, 0, u8::try_from(topic.len()).unwrap()];
    bytes.extend_from_slice(topic.as_bytes());
    bytes.extend_from_slice(&(-1_i32).to_be_bytes());
    bytes
}

/// A member on a connection of its own.
struct Member {
    client: Client,
    group: String,
    member_id: String,
    generation: i32,
}

impl Member {
    fn new(address: SocketAddr, group: &str) -> Self {
        Self {
            client: Client::connect(address),
            group: group.to_owned(),
            member_id: String::new(),
            generation: -1,
        }
    }

    fn send_join(&mut self) {
        let metadata = subscription("t");
        let request = JoinGroupRequest {
            group_id: &self.group,
            session_timeout_ms: 30_000,
            rebalance_timeout_ms: 60_000,
            member_id: &self.member_id,
            protocol_type: "consumer",
            protocols: [JoinGroupRequestProtocol {
                name: "range",
                metadata: &metadata,
            }]
            .into(),
            ..JoinGroupRequest::default()
        };
        self.client.send(7, &request);
    }

    /// Takes the answer to a join; error, whether it leads, and how many members it was told of.
    fn joined(&mut self) -> (i16, bool, Vec<String>) {
        let frame = self.client.receive().unwrap();
        let response: JoinGroupResponse<'_> = decode(&frame, 7);
        self.member_id = response.member_id.to_owned();
        self.generation = response.generation_id;
        let members = response.members.iter();
        let members = members.map(|member| member.member_id.to_owned()).collect();
        let is_leader = response.leader == response.member_id;
        (response.error_code, is_leader, members)
    }

    /// Joins through the id that KIP-394 asks for; does not wait for the second answer.
    fn begin(&mut self) {
        self.send_join();
        let (error, ..) = self.joined();
        assert_eq!(error, ErrorCode::MemberIdRequired.code());
        self.send_join();
    }

    fn send_sync(&mut self, assignments: &[(String, &str)]) {
        let request = SyncGroupRequest {
            group_id: &self.group,
            generation_id: self.generation,
            member_id: &self.member_id,
            protocol_type: Some("consumer"),
            protocol_name: Some("range"),
            assignments: assignments
                .iter()
                .map(|(member_id, text)| SyncGroupRequestAssignment {
                    member_id,
                    assignment: text.as_bytes(),
                })
                .collect(),
            ..SyncGroupRequest::default()
        };
        self.client.send(5, &request);
    }

    fn synced(&mut self) -> (i16, String) {
        let frame = self.client.receive().unwrap();
        let response: SyncGroupResponse<'_> = decode(&frame, 5);
        let assignment = String::from_utf8(response.assignment.to_vec()).unwrap();
        (response.error_code, assignment)
    }

    fn heartbeat(&mut self) -> i16 {
        let request = HeartbeatRequest {
            group_id: &self.group,
            generation_id: self.generation,
            member_id: &self.member_id,
            ..HeartbeatRequest::default()
        };
        let frame = self.client.call(4, &request);
        decode::<HeartbeatResponse>(&frame, 4).error_code
    }

    fn commit(&mut self, partition: i32, offset: i64) -> i16 {
        let member = (&*self.member_id, self.generation);
        commit(
            &mut self.client,
            &self.group,
            member,
            &[("t", partition, offset, "")],
        )[0]
    }

    fn leave(&mut self) -> i16 {
        let request = LeaveGroupRequest {
            group_id: &self.group,
            members: [MemberIdentity {
                member_id: &self.member_id,
                ..MemberIdentity::default()
            }]
            .into(),
            ..LeaveGroupRequest::default()
        };
        let frame = self.client.call(4, &request);
        let response: LeaveGroupResponse<'_> = decode(&frame, 4);
        assert_eq!(response.error_code, 0);
        response.members.first().unwrap().error_code
    }
}

/// Commits and returns the error of each partition.
fn commit(
    client: &mut Client,
    group_id: &str,
    (member_id, generation): (&str, i32),
    offsets: &[(&str, i32, i64, &str)],
) -> Vec<i16> {
    let topics = offsets.chunk_by(|a, b| a.0 == b.0);
    let request = OffsetCommitRequest {
        group_id,
        generation_id_or_member_epoch: generation,
        member_id,
        topics: topics
            .map(|of_topic| OffsetCommitRequestTopic {
                name: of_topic[0].0,
                partitions: of_topic
                    .iter()
                    .map(
                        |(_, index, offset, metadata)| OffsetCommitRequestPartition {
                            partition_index: *index,
                            committed_offset: *offset,
                            committed_leader_epoch: 3,
                            committed_metadata: Some(metadata),
                        },
                    )
                    .collect(),
            })
            .collect(),
        ..OffsetCommitRequest::default()
    };
    let frame = client.call(8, &request);
    let response: OffsetCommitResponse<'_> = decode(&frame, 8);
    let topics = response.topics.iter();
    topics
        .flat_map(|topic| topic.partitions.to_vec())
        .map(|partition| partition.error_code)
        .collect()
}

/// The error, and topic, partition, offset and metadata of what is committed.
type Committed = (i16, Vec<(String, i32, i64, String)>);

/// Everything that groups have committed.
fn all_committed(client: &mut Client, groups: &[&str]) -> Vec<Committed> {
    let request = OffsetFetchRequest {
        groups: groups
            .iter()
            .map(|group_id| OffsetFetchRequestGroup {
                group_id,
                topics: None,
            })
            .collect(),
        ..OffsetFetchRequest::default()
    };
    let frame = client.call(8, &request);
    let response: OffsetFetchResponse<'_> = decode(&frame, 8);
    let groups = response.groups.iter();
    groups
        .map(|group| {
            let mut offsets = Vec::new();
            for topic in &group.topics {
                for it in &topic.partitions {
                    let metadata = it.metadata.unwrap().to_owned();
                    let name = topic.name.to_owned();
                    offsets.push((name, it.partition_index, it.committed_offset, metadata));
                }
            }
            (group.error_code, offsets)
        })
        .collect()
}

/// The one offset that `OffsetFetch` of an old version finds.
fn committed(client: &mut Client, group_id: &str, partition: i32) -> (i16, i64) {
    let request = OffsetFetchRequest {
        group_id,
        topics: Some(
            [OffsetFetchRequestTopic {
                name: "t",
                partition_indexes: [partition].into(),
            }]
            .into(),
        ),
        ..OffsetFetchRequest::default()
    };
    let frame = client.call(5, &request);
    let response: OffsetFetchResponse<'_> = decode(&frame, 5);
    let topic = response.topics.first();
    let partition = topic.and_then(|topic| topic.partitions.first());
    let offset = partition.map_or(-1, |partition| partition.committed_offset);
    (response.error_code, offset)
}

/// The port of the group's coordinator.
fn coordinator(client: &mut Client, group_id: &str) -> i32 {
    let request = FindCoordinatorRequest {
        coordinator_keys: [group_id].into(),
        ..FindCoordinatorRequest::default()
    };
    let frame = client.call(4, &request);
    let response: FindCoordinatorResponse<'_> = decode(&frame, 4);
    let found = response.coordinators.first().unwrap();
    assert_eq!((found.error_code, found.key), (0, group_id));
    found.port
}

fn address_of(broker: &TestBroker, group_id: &str) -> SocketAddr {
    let port = coordinator(&mut broker.client(), group_id);
    let mut addresses = broker.addresses().iter();
    let found = addresses.find(|address| i32::from(address.port()) == port);
    *found.expect("the coordinator's port is one of the broker's")
}

/// State, protocol and assignments by member.
fn describe(client: &mut Client, group_id: &str) -> (i16, String, String, Vec<(String, String)>) {
    let request = DescribeGroupsRequest {
        groups: [group_id].into(),
        ..DescribeGroupsRequest::default()
    };
    let frame = client.call(5, &request);
    let response: DescribeGroupsResponse<'_> = decode(&frame, 5);
    let group = response.groups.first().unwrap();
    let members = group.members.iter();
    let members = members
        .map(|member| {
            assert_eq!(
                (member.client_id, member.client_host),
                ("test", "/127.0.0.1")
            );
            let assignment = String::from_utf8(member.member_assignment.to_vec()).unwrap();
            (member.member_id.to_owned(), assignment)
        })
        .collect();
    let state = group.group_state.to_owned();
    (
        group.error_code,
        state,
        group.protocol_data.to_owned(),
        members,
    )
}

fn list(client: &mut Client, states: &[&str]) -> Vec<(String, String)> {
    let request = ListGroupsRequest {
        states_filter: List::from(states),
        ..ListGroupsRequest::default()
    };
    let frame = client.call(5, &request);
    let response: ListGroupsResponse<'_> = decode(&frame, 5);
    assert_eq!(response.error_code, 0);
    let groups = response.groups.iter();
    let mut groups: Vec<_> = groups
        .map(|group| {
            assert_eq!(group.group_type, "classic");
            (group.group_id.to_owned(), group.group_state.to_owned())
        })
        .collect();
    groups.sort();
    groups
}

fn delete(client: &mut Client, groups: &[&str]) -> Vec<i16> {
    let request = DeleteGroupsRequest {
        groups_names: List::from(groups),
    };
    let frame = client.call(2, &request);
    let response: DeleteGroupsResponse<'_> = decode(&frame, 2);
    let results = response.results.iter();
    results.map(|result| result.error_code).collect()
}

/// Brings a group of two to its first stable generation; the leader is the first.
fn stable_pair(address: SocketAddr, group_id: &str) -> (Member, Member) {
    let mut first = Member::new(address, group_id);
    first.begin();
    assert_eq!(first.joined().0, 0);
    first.send_sync(&[(first.member_id.clone(), "all")]);
    assert_eq!(first.synced(), (0, "all".to_owned()));
    let mut second = Member::new(address, group_id);
    second.begin();
    // The second's request is on its way on another connection.
    while first.heartbeat() == 0 {}
    assert_eq!(first.heartbeat(), ErrorCode::RebalanceInProgress.code());
    first.send_join();
    let (error, is_leader, members) = first.joined();
    assert_eq!((error, is_leader, members.len()), (0, true, 2));
    let (error, is_leader, members) = second.joined();
    assert_eq!((error, is_leader, members.len()), (0, false, 0));
    assert_eq!((first.generation, second.generation), (2, 2));
    second.send_sync(&[]);
    first.send_sync(&[
        (first.member_id.clone(), "one"),
        (second.member_id.clone(), "two"),
    ]);
    assert_eq!(first.synced(), (0, "one".to_owned()));
    assert_eq!(second.synced(), (0, "two".to_owned()));
    (first, second)
}

/// Restarts the broker and asks until every shard has loaded its groups.
fn restart(broker: &mut TestBroker) {
    broker.restart();
    for address in broker.addresses() {
        let mut client = Client::connect(*address);
        loop {
            let frame = client.call(0, &ListGroupsRequest::default());
            let response: ListGroupsResponse<'_> = decode(&frame, 0);
            match response.error_code {
                0 => break,
                error => assert_eq!(error, ErrorCode::CoordinatorLoadInProgress.code()),
            }
        }
    }
}

fn brokers() -> Vec<TestBroker> {
    let mut brokers: Vec<_> = [1, 2, 4]
        .map(|shards| TestBroker::with(shards, quick))
        .into();
    brokers.extend([2, 4].map(|shards| {
        TestBroker::with(shards, |config| {
            quick(config);
            config.advertise = millrace_server::Advertise::PerCore;
        })
    }));
    brokers
}
