//! The way to a group's coordinator, and the requests that go there whoever asks.
//!
//! A coordinator may move, or still be reading its group; every request is then asked again, of
//! whoever coordinates by then, until the timeout.

use super::{Cluster, Connection, check};
use anyhow::{Context, Result, bail};
use millrace_server::protocol::messages::describe_groups_request::DescribeGroupsRequest;
use millrace_server::protocol::messages::find_coordinator_request::FindCoordinatorRequest;
use millrace_server::protocol::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use millrace_server::protocol::messages::offset_fetch_request::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use millrace_server::protocol::messages::{OffsetCommitResponse, OffsetFetchResponse};
use millrace_server::protocol::{ApiKey, ErrorCode};
use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

const RETRY_INTERVAL: Duration = Duration::from_millis(100);

/// Committed offsets, or offsets to commit, by topic and partition.
pub(crate) type Offsets = BTreeMap<(String, i32), i64>;

/// Who asks for a commit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Committer<'a> {
    pub(crate) member_id: &'a str,
    pub(crate) generation_id: i32,
}

/// Somebody outside of the group; it must be empty.
pub(crate) const OUTSIDER: Committer<'static> = Committer {
    member_id: "",
    generation_id: -1,
};

/// A group as its coordinator describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GroupDescription {
    pub(crate) error_code: i16,
    pub(crate) state: String,
    pub(crate) protocol_type: String,
    /// The assignor that its members agreed on.
    pub(crate) protocol: String,
    pub(crate) members: Vec<MemberDescription>,
}

/// One of its members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MemberDescription {
    pub(crate) member_id: String,
    pub(crate) instance_id: Option<String>,
    pub(crate) client_id: String,
    pub(crate) host: String,
    /// As the leader wrote it.
    pub(crate) assignment: Vec<u8>,
}

/// The coordinator of one group.
#[derive(Debug)]
pub(crate) struct Coordinator {
    group: String,
    node: Option<i32>,
}

impl Coordinator {
    /// Of this group; looked for when it is needed.
    pub(crate) fn new(group: &str) -> Self {
        Self {
            group: group.to_owned(),
            node: None,
        }
    }

    /// The group.
    pub(crate) fn group(&self) -> &str {
        &self.group
    }

    /// The node that coordinates, as far as known.
    pub(crate) const fn node(&self) -> Option<i32> {
        self.node
    }

    /// Asks the coordinator until its answer is no "ask again" or "ask elsewhere". `ask` gives the
    /// answer's error code and what of it is wanted.
    pub(crate) fn ask<T>(
        &mut self,
        cluster: &mut Cluster,
        mut ask: impl FnMut(&mut Connection, &str) -> Result<(i16, T)>,
    ) -> Result<(i16, T)> {
        // Counted from the first answer that is no use: a join may take long and be right.
        let mut failing_since = None;
        loop {
            let answer = match self.find(cluster) {
                Ok(found) => {
                    let object = format!("coordinator of group {}", self.group);
                    let is_late = failing_since.is_some_and(|since| is_late(cluster, since));
                    if !is_elsewhere(found.code) || is_late {
                        check(found.code, &object, found.message.as_deref())?;
                    }
                    let coordinator = cluster.node(found.node).with_context(|| object);
                    coordinator.and_then(|connection| ask(connection, &self.group))
                }
                Err(error) => Err(error),
            };
            if matches!(&answer, Ok((code, _)) if !is_elsewhere(*code)) {
                return answer;
            }
            let since = *failing_since.get_or_insert_with(Instant::now);
            if is_late(cluster, since) {
                return answer;
            }
            // A broker that restarts closes connections; what is asked here may be repeated.
            self.node = None;
            cluster.forget_all();
            thread::sleep(RETRY_INTERVAL);
        }
    }

    /// Asks any broker, unless it is known.
    fn find(&mut self, cluster: &mut Cluster) -> Result<Found> {
        if let Some(node) = self.node {
            let (code, message) = (0, None);
            return Ok(Found {
                code,
                message,
                node,
            });
        }
        let request = FindCoordinatorRequest {
            key: &self.group,
            key_type: 0,
            coordinator_keys: [self.group.as_str()].into(),
        };
        let response = cluster.controller()?.call(&request)?;
        // Since version 4 several groups may be asked for.
        let (found, address) = match response.coordinators.first() {
            Some(found) => (
                Found {
                    code: found.error_code,
                    message: found.error_message.as_deref().map(str::to_owned),
                    node: found.node_id,
                },
                format!("{}:{}", found.host, found.port),
            ),
            None => (
                Found {
                    code: response.error_code,
                    message: response.error_message.as_deref().map(str::to_owned),
                    node: response.node_id,
                },
                format!("{}:{}", response.host, response.port),
            ),
        };
        if found.code == 0 {
            self.node = Some(found.node);
            cluster.learn(found.node, address);
        }
        Ok(found)
    }

    /// What the coordinator says of the group.
    pub(crate) fn describe(&mut self, cluster: &mut Cluster) -> Result<GroupDescription> {
        let (_, described) = self.ask(cluster, |connection, group| {
            let request = DescribeGroupsRequest {
                groups: [group].into(),
                include_authorized_operations: false,
            };
            let response = connection.call(&request)?;
            let Some(found) = response.groups.first() else {
                bail!("the coordinator did not answer for group {group}");
            };
            let members = found.members.iter().map(|member| MemberDescription {
                member_id: member.member_id.to_owned(),
                instance_id: member.group_instance_id.map(str::to_owned),
                client_id: member.client_id.to_owned(),
                host: member.client_host.to_owned(),
                assignment: member.member_assignment.to_vec(),
            });
            Ok((
                found.error_code,
                GroupDescription {
                    error_code: found.error_code,
                    state: found.group_state.to_owned(),
                    protocol_type: found.protocol_type.to_owned(),
                    protocol: found.protocol_data.to_owned(),
                    members: members.collect(),
                },
            ))
        })?;
        Ok(described)
    }

    /// Every offset that the group has committed.
    pub(crate) fn committed(&mut self, cluster: &mut Cluster) -> Result<Offsets> {
        self.fetch_offsets(cluster, None)
    }

    /// What the group has committed of these partitions of one topic.
    pub(crate) fn committed_of(
        &mut self,
        cluster: &mut Cluster,
        topic: &str,
        partitions: &[i32],
    ) -> Result<Offsets> {
        self.fetch_offsets(cluster, Some((topic, partitions)))
    }

    fn fetch_offsets(
        &mut self,
        cluster: &mut Cluster,
        wanted: Option<(&str, &[i32])>,
    ) -> Result<Offsets> {
        let (code, offsets) = self.ask(cluster, |connection, group| {
            let topics = wanted.map(|(name, indexes)| OffsetFetchRequestTopic {
                name,
                partition_indexes: indexes.into(),
            });
            let grouped = wanted.map(|(name, indexes)| OffsetFetchRequestTopics {
                name,
                partition_indexes: indexes.into(),
            });
            if connection.version(ApiKey::OffsetFetch)? < 2 && wanted.is_none() {
                bail!("the broker cannot list a group's offsets; use a newer broker");
            }
            let request = OffsetFetchRequest {
                group_id: group,
                topics: topics.map(|topic| [topic].into()),
                groups: [OffsetFetchRequestGroup {
                    group_id: group,
                    topics: grouped.map(|topic| [topic].into()),
                }]
                .into(),
                require_stable: false,
            };
            read_offsets(&connection.call(&request)?)
        })?;
        check(code, &format!("offsets of group {}", self.group), None)?;
        Ok(offsets)
    }

    /// Commits offsets. Gives the error code of the first partition that was refused, with the
    /// partition, or 0.
    pub(crate) fn commit(
        &mut self,
        cluster: &mut Cluster,
        committer: Committer<'_>,
        offsets: &Offsets,
    ) -> Result<(i16, String)> {
        self.ask(cluster, |connection, group| {
            let request = OffsetCommitRequest {
                group_id: group,
                generation_id_or_member_epoch: committer.generation_id,
                member_id: committer.member_id,
                group_instance_id: None,
                retention_time_ms: -1,
                topics: by_topic(offsets).into(),
            };
            Ok(first_refusal(&connection.call(&request)?))
        })
    }
}

fn by_topic(offsets: &Offsets) -> Vec<OffsetCommitRequestTopic<'_>> {
    let mut topics: BTreeMap<&str, Vec<OffsetCommitRequestPartition<'_>>> = BTreeMap::new();
    for ((topic, partition), &offset) in offsets {
        let partitions = topics.entry(topic).or_default();
        partitions.push(OffsetCommitRequestPartition {
            partition_index: *partition,
            committed_offset: offset,
            committed_leader_epoch: -1,
            committed_metadata: Some(""),
        });
    }
    let topics = topics.into_iter();
    topics
        .map(|(name, partitions)| OffsetCommitRequestTopic {
            name,
            partitions: partitions.into(),
        })
        .collect()
}

fn first_refusal(response: &OffsetCommitResponse<'_>) -> (i16, String) {
    for topic in &response.topics {
        let refused = topic.partitions.iter().find(|part| part.error_code != 0);
        if let Some(part) = refused {
            let place = format!("topic {} partition {}", topic.name, part.partition_index);
            return (part.error_code, place);
        }
    }
    (0, String::new())
}

/// What asking for a coordinator came to.
struct Found {
    code: i16,
    message: Option<String>,
    node: i32,
}

fn is_late(cluster: &Cluster, since: Instant) -> bool {
    since.elapsed() > cluster.timeout()
}

/// Whether to ask again, perhaps somebody else.
pub(super) fn is_elsewhere(code: i16) -> bool {
    [
        ErrorCode::CoordinatorLoadInProgress,
        ErrorCode::CoordinatorNotAvailable,
        ErrorCode::NotCoordinator,
    ]
    .iter()
    .any(|known| known.code() == code)
}

fn read_offsets(response: &OffsetFetchResponse<'_>) -> Result<(i16, Offsets)> {
    let mut offsets = Offsets::new();
    let mut keep = |topic: &str, partition: i32, code: i16, offset: i64| {
        check(code, &format!("topic {topic} partition {partition}"), None)?;
        if offset >= 0 {
            offsets.insert((topic.to_owned(), partition), offset);
        }
        Ok::<_, anyhow::Error>(())
    };
    if let Some(group) = response.groups.first() {
        for topic in &group.topics {
            for part in &topic.partitions {
                keep(
                    topic.name,
                    part.partition_index,
                    part.error_code,
                    part.committed_offset,
                )?;
            }
        }
        return Ok((group.error_code, offsets));
    }
    for topic in &response.topics {
        for part in &topic.partitions {
            keep(
                topic.name,
                part.partition_index,
                part.error_code,
                part.committed_offset,
            )?;
        }
    }
    Ok((response.error_code, offsets))
}
