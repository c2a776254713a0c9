//! Random values of every message in every version.
//!
//! Written by `cargo xtask codegen` from `server/src/protocol/schemas`.

use super::sampler::{Sample, Sampler};
use millrace_server::protocol::messages;
use millrace_server::protocol::{List, Uuid, Version};

/// Calls `$visit!(api, message)` for every message.
macro_rules! for_each_message {
    ($visit:ident) => {
        $visit!(Produce, ProduceRequest);
        $visit!(Produce, ProduceResponse);
        $visit!(Fetch, FetchRequest);
        $visit!(Fetch, FetchResponse);
        $visit!(ListOffsets, ListOffsetsRequest);
        $visit!(ListOffsets, ListOffsetsResponse);
        $visit!(Metadata, MetadataRequest);
        $visit!(Metadata, MetadataResponse);
        $visit!(OffsetCommit, OffsetCommitRequest);
        $visit!(OffsetCommit, OffsetCommitResponse);
        $visit!(OffsetFetch, OffsetFetchRequest);
        $visit!(OffsetFetch, OffsetFetchResponse);
        $visit!(FindCoordinator, FindCoordinatorRequest);
        $visit!(FindCoordinator, FindCoordinatorResponse);
        $visit!(JoinGroup, JoinGroupRequest);
        $visit!(JoinGroup, JoinGroupResponse);
        $visit!(Heartbeat, HeartbeatRequest);
        $visit!(Heartbeat, HeartbeatResponse);
        $visit!(LeaveGroup, LeaveGroupRequest);
        $visit!(LeaveGroup, LeaveGroupResponse);
        $visit!(SyncGroup, SyncGroupRequest);
        $visit!(SyncGroup, SyncGroupResponse);
        $visit!(DescribeGroups, DescribeGroupsRequest);
        $visit!(DescribeGroups, DescribeGroupsResponse);
        $visit!(ListGroups, ListGroupsRequest);
        $visit!(ListGroups, ListGroupsResponse);
        $visit!(ApiVersions, ApiVersionsRequest);
        $visit!(ApiVersions, ApiVersionsResponse);
        $visit!(CreateTopics, CreateTopicsRequest);
        $visit!(CreateTopics, CreateTopicsResponse);
        $visit!(DeleteTopics, DeleteTopicsRequest);
        $visit!(DeleteTopics, DeleteTopicsResponse);
        $visit!(DeleteRecords, DeleteRecordsRequest);
        $visit!(DeleteRecords, DeleteRecordsResponse);
        $visit!(InitProducerId, InitProducerIdRequest);
        $visit!(InitProducerId, InitProducerIdResponse);
        $visit!(OffsetForLeaderEpoch, OffsetForLeaderEpochRequest);
        $visit!(OffsetForLeaderEpoch, OffsetForLeaderEpochResponse);
        $visit!(DescribeConfigs, DescribeConfigsRequest);
        $visit!(DescribeConfigs, DescribeConfigsResponse);
        $visit!(AlterConfigs, AlterConfigsRequest);
        $visit!(AlterConfigs, AlterConfigsResponse);
        $visit!(CreatePartitions, CreatePartitionsRequest);
        $visit!(CreatePartitions, CreatePartitionsResponse);
        $visit!(DeleteGroups, DeleteGroupsRequest);
        $visit!(DeleteGroups, DeleteGroupsResponse);
        $visit!(IncrementalAlterConfigs, IncrementalAlterConfigsRequest);
        $visit!(IncrementalAlterConfigs, IncrementalAlterConfigsResponse);
        $visit!(OffsetDelete, OffsetDeleteRequest);
        $visit!(OffsetDelete, OffsetDeleteResponse);
        $visit!(DescribeCluster, DescribeClusterRequest);
        $visit!(DescribeCluster, DescribeClusterResponse);
    };
}
pub(crate) use for_each_message;

impl Sample for messages::produce_request::ProduceRequest<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            transactional_id: s.value(v),
            acks: s.value(v),
            timeout_ms: s.value(v),
            topic_data: s.value(v),
        }
    }
}

impl Sample for messages::produce_request::TopicProduceData<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            name: s.value(v),
            partition_data: s.value(v),
        }
    }
}

impl Sample for messages::produce_request::PartitionProduceData<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            index: s.value(v),
            records: s.value(v),
        }
    }
}

impl Sample for messages::produce_response::ProduceResponse<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            responses: s.value(v),
            throttle_time_ms: s.value(v),
            node_endpoints: if (10..=11).contains(&v.number) {
                s.value(v)
            } else {
                List::new()
            },
        }
    }
}

impl Sample for messages::produce_response::TopicProduceResponse<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            name: s.value(v),
            partition_responses: s.value(v),
        }
    }
}

impl Sample for messages::produce_response::PartitionProduceResponse<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            index: s.value(v),
            error_code: s.value(v),
            base_offset: s.value(v),
            log_append_time_ms: s.value(v),
            log_start_offset: if (5..=11).contains(&v.number) {
                s.value(v)
            } else {
                -1
            },
            record_errors: if (8..=11).contains(&v.number) {
                s.value(v)
            } else {
                List::new()
            },
            error_message: if (8..=11).contains(&v.number) {
                s.value(v)
            } else {
                None
            },
            current_leader: if (10..=11).contains(&v.number) {
                s.value(v)
            } else {
                Default::default()
            },
        }
    }
}

impl Sample for messages::produce_response::BatchIndexAndErrorMessage<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            batch_index: s.value(v),
            batch_index_error_message: s.value(v),
        }
    }
}

impl Sample for messages::produce_response::LeaderIdAndEpoch {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            leader_id: s.value(v),
            leader_epoch: s.value(v),
        }
    }
}

impl Sample for messages::produce_response::NodeEndpoint<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            node_id: s.value(v),
            host: s.value(v),
            port: s.value(v),
            rack: s.value(v),
        }
    }
}

impl Sample for messages::fetch_request::FetchRequest<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            cluster_id: if (12..=12).contains(&v.number) {
                s.value(v)
            } else {
                None
            },
            replica_id: s.value(v),
            max_wait_ms: s.value(v),
            min_bytes: s.value(v),
            max_bytes: s.value(v),
            isolation_level: s.value(v),
            session_id: if (7..=12).contains(&v.number) {
                s.value(v)
            } else {
                0
            },
            session_epoch: if (7..=12).contains(&v.number) {
                s.value(v)
            } else {
                -1
            },
            topics: s.value(v),
            forgotten_topics_data: if (7..=12).contains(&v.number) {
                s.value(v)
            } else {
                List::new()
            },
            rack_id: if (11..=12).contains(&v.number) {
                s.value(v)
            } else {
                ""
            },
        }
    }
}

impl Sample for messages::fetch_request::FetchTopic<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            topic: s.value(v),
            partitions: s.value(v),
        }
    }
}

impl Sample for messages::fetch_request::FetchPartition {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            partition: s.value(v),
            current_leader_epoch: if (9..=12).contains(&v.number) {
                s.value(v)
            } else {
                -1
            },
            fetch_offset: s.value(v),
            last_fetched_epoch: if (12..=12).contains(&v.number) {
                s.value(v)
            } else {
                -1
            },
            log_start_offset: if (5..=12).contains(&v.number) {
                s.value(v)
            } else {
                -1
            },
            partition_max_bytes: s.value(v),
        }
    }
}

impl Sample for messages::fetch_request::ForgottenTopic<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            topic: s.value(v),
            partitions: s.value(v),
        }
    }
}

impl Sample for messages::fetch_response::FetchResponse<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            throttle_time_ms: s.value(v),
            error_code: if (7..=12).contains(&v.number) {
                s.value(v)
            } else {
                0
            },
            session_id: if (7..=12).contains(&v.number) {
                s.value(v)
            } else {
                0
            },
            responses: s.value(v),
        }
    }
}

impl Sample for messages::fetch_response::FetchableTopicResponse<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            topic: s.value(v),
            partitions: s.value(v),
        }
    }
}

impl Sample for messages::fetch_response::PartitionData<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            partition_index: s.value(v),
            error_code: s.value(v),
            high_watermark: s.value(v),
            last_stable_offset: s.value(v),
            log_start_offset: if (5..=12).contains(&v.number) {
                s.value(v)
            } else {
                -1
            },
            diverging_epoch: if (12..=12).contains(&v.number) {
                s.value(v)
            } else {
                Default::default()
            },
            current_leader: if (12..=12).contains(&v.number) {
                s.value(v)
            } else {
                Default::default()
            },
            snapshot_id: if (12..=12).contains(&v.number) {
                s.value(v)
            } else {
                Default::default()
            },
            aborted_transactions: s.value(v),
            preferred_read_replica: if (11..=12).contains(&v.number) {
                s.value(v)
            } else {
                -1
            },
            records: s.value(v),
        }
    }
}

impl Sample for messages::fetch_response::EpochEndOffset {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            epoch: s.value(v),
            end_offset: s.value(v),
        }
    }
}

impl Sample for messages::fetch_response::LeaderIdAndEpoch {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            leader_id: s.value(v),
            leader_epoch: s.value(v),
        }
    }
}

impl Sample for messages::fetch_response::SnapshotId {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            end_offset: s.value(v),
            epoch: s.value(v),
        }
    }
}

impl Sample for messages::fetch_response::AbortedTransaction {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            producer_id: s.value(v),
            first_offset: s.value(v),
        }
    }
}

impl Sample for messages::list_offsets_request::ListOffsetsRequest<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            replica_id: s.value(v),
            isolation_level: if (2..=7).contains(&v.number) {
                s.value(v)
            } else {
                0
            },
            topics: s.value(v),
        }
    }
}

impl Sample for messages::list_offsets_request::ListOffsetsTopic<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            name: s.value(v),
            partitions: s.value(v),
        }
    }
}

impl Sample for messages::list_offsets_request::ListOffsetsPartition {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            partition_index: s.value(v),
            current_leader_epoch: if (4..=7).contains(&v.number) {
                s.value(v)
            } else {
                -1
            },
            timestamp: s.value(v),
        }
    }
}

impl Sample for messages::list_offsets_response::ListOffsetsResponse<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            throttle_time_ms: if (2..=7).contains(&v.number) {
                s.value(v)
            } else {
                0
            },
            topics: s.value(v),
        }
    }
}

impl Sample for messages::list_offsets_response::ListOffsetsTopicResponse<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            name: s.value(v),
            partitions: s.value(v),
        }
    }
}

impl Sample for messages::list_offsets_response::ListOffsetsPartitionResponse {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            partition_index: s.value(v),
            error_code: s.value(v),
            timestamp: s.value(v),
            offset: s.value(v),
            leader_epoch: if (4..=7).contains(&v.number) {
                s.value(v)
            } else {
                -1
            },
        }
    }
}

impl Sample for messages::metadata_request::MetadataRequest<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            topics: if (1..=12).contains(&v.number) {
                s.value(v)
            } else {
                Some(s.value(v))
            },
            allow_auto_topic_creation: if (4..=12).contains(&v.number) {
                s.value(v)
            } else {
                true
            },
            include_cluster_authorized_operations: if (8..=10).contains(&v.number) {
                s.value(v)
            } else {
                false
            },
            include_topic_authorized_operations: if (8..=12).contains(&v.number) {
                s.value(v)
            } else {
                false
            },
        }
    }
}

impl Sample for messages::metadata_request::MetadataRequestTopic<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            topic_id: if (10..=12).contains(&v.number) {
                s.value(v)
            } else {
                Uuid::ZERO
            },
            name: if (10..=12).contains(&v.number) {
                s.value(v)
            } else {
                Some(s.value(v))
            },
        }
    }
}

impl Sample for messages::metadata_response::MetadataResponse<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            throttle_time_ms: if (3..=12).contains(&v.number) {
                s.value(v)
            } else {
                0
            },
            brokers: s.value(v),
            cluster_id: if (2..=12).contains(&v.number) {
                s.value(v)
            } else {
                None
            },
            controller_id: if (1..=12).contains(&v.number) {
                s.value(v)
            } else {
                -1
            },
            topics: s.value(v),
            cluster_authorized_operations: if (8..=10).contains(&v.number) {
                s.value(v)
            } else {
                -2147483648
            },
        }
    }
}

impl Sample for messages::metadata_response::MetadataResponseBroker<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            node_id: s.value(v),
            host: s.value(v),
            port: s.value(v),
            rack: if (1..=12).contains(&v.number) {
                s.value(v)
            } else {
                None
            },
        }
    }
}

impl Sample for messages::metadata_response::MetadataResponseTopic<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            error_code: s.value(v),
            name: if (12..=12).contains(&v.number) {
                s.value(v)
            } else {
                Some(s.value(v))
            },
            topic_id: if (10..=12).contains(&v.number) {
                s.value(v)
            } else {
                Uuid::ZERO
            },
            is_internal: if (1..=12).contains(&v.number) {
                s.value(v)
            } else {
                false
            },
            partitions: s.value(v),
            topic_authorized_operations: if (8..=12).contains(&v.number) {
                s.value(v)
            } else {
                -2147483648
            },
        }
    }
}

impl Sample for messages::metadata_response::MetadataResponsePartition<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            error_code: s.value(v),
            partition_index: s.value(v),
            leader_id: s.value(v),
            leader_epoch: if (7..=12).contains(&v.number) {
                s.value(v)
            } else {
                -1
            },
            replica_nodes: s.value(v),
            isr_nodes: s.value(v),
            offline_replicas: if (5..=12).contains(&v.number) {
                s.value(v)
            } else {
                List::new()
            },
        }
    }
}

impl Sample for messages::offset_commit_request::OffsetCommitRequest<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            group_id: s.value(v),
            generation_id_or_member_epoch: s.value(v),
            member_id: s.value(v),
            group_instance_id: if (7..=8).contains(&v.number) {
                s.value(v)
            } else {
                None
            },
            retention_time_ms: if (2..=4).contains(&v.number) {
                s.value(v)
            } else {
                -1
            },
            topics: s.value(v),
        }
    }
}

impl Sample for messages::offset_commit_request::OffsetCommitRequestTopic<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            name: s.value(v),
            partitions: s.value(v),
        }
    }
}

impl Sample for messages::offset_commit_request::OffsetCommitRequestPartition<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            partition_index: s.value(v),
            committed_offset: s.value(v),
            committed_leader_epoch: if (6..=8).contains(&v.number) {
                s.value(v)
            } else {
                -1
            },
            committed_metadata: s.value(v),
        }
    }
}

impl Sample for messages::offset_commit_response::OffsetCommitResponse<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            throttle_time_ms: if (3..=8).contains(&v.number) {
                s.value(v)
            } else {
                0
            },
            topics: s.value(v),
        }
    }
}

impl Sample for messages::offset_commit_response::OffsetCommitResponseTopic<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            name: s.value(v),
            partitions: s.value(v),
        }
    }
}

impl Sample for messages::offset_commit_response::OffsetCommitResponsePartition {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            partition_index: s.value(v),
            error_code: s.value(v),
        }
    }
}

impl Sample for messages::offset_fetch_request::OffsetFetchRequest<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            group_id: if (1..=7).contains(&v.number) {
                s.value(v)
            } else {
                ""
            },
            topics: if (1..=7).contains(&v.number) {
                if (2..=7).contains(&v.number) {
                    s.value(v)
                } else {
                    Some(s.value(v))
                }
            } else {
                None
            },
            groups: if (8..=8).contains(&v.number) {
                s.value(v)
            } else {
                List::new()
            },
            require_stable: if (7..=8).contains(&v.number) {
                s.value(v)
            } else {
                false
            },
        }
    }
}

impl Sample for messages::offset_fetch_request::OffsetFetchRequestTopic<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            name: s.value(v),
            partition_indexes: s.value(v),
        }
    }
}

impl Sample for messages::offset_fetch_request::OffsetFetchRequestGroup<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            group_id: s.value(v),
            topics: s.value(v),
        }
    }
}

impl Sample for messages::offset_fetch_request::OffsetFetchRequestTopics<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            name: s.value(v),
            partition_indexes: s.value(v),
        }
    }
}

impl Sample for messages::offset_fetch_response::OffsetFetchResponse<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            throttle_time_ms: if (3..=8).contains(&v.number) {
                s.value(v)
            } else {
                0
            },
            topics: if (1..=7).contains(&v.number) {
                s.value(v)
            } else {
                List::new()
            },
            error_code: if (2..=7).contains(&v.number) {
                s.value(v)
            } else {
                0
            },
            groups: if (8..=8).contains(&v.number) {
                s.value(v)
            } else {
                List::new()
            },
        }
    }
}

impl Sample for messages::offset_fetch_response::OffsetFetchResponseTopic<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            name: s.value(v),
            partitions: s.value(v),
        }
    }
}

impl Sample for messages::offset_fetch_response::OffsetFetchResponsePartition<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            partition_index: s.value(v),
            committed_offset: s.value(v),
            committed_leader_epoch: if (5..=7).contains(&v.number) {
                s.value(v)
            } else {
                -1
            },
            metadata: s.value(v),
            error_code: s.value(v),
        }
    }
}

impl Sample for messages::offset_fetch_response::OffsetFetchResponseGroup<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            group_id: s.value(v),
            topics: s.value(v),
            error_code: s.value(v),
        }
    }
}

impl Sample for messages::offset_fetch_response::OffsetFetchResponseTopics<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            name: s.value(v),
            partitions: s.value(v),
        }
    }
}

impl Sample for messages::offset_fetch_response::OffsetFetchResponsePartitions<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            partition_index: s.value(v),
            committed_offset: s.value(v),
            committed_leader_epoch: s.value(v),
            metadata: s.value(v),
            error_code: s.value(v),
        }
    }
}

impl Sample for messages::find_coordinator_request::FindCoordinatorRequest<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            key: if (0..=3).contains(&v.number) {
                s.value(v)
            } else {
                ""
            },
            key_type: if (1..=4).contains(&v.number) {
                s.value(v)
            } else {
                0
            },
            coordinator_keys: if (4..=4).contains(&v.number) {
                s.value(v)
            } else {
                List::new()
            },
        }
    }
}

impl Sample for messages::find_coordinator_response::FindCoordinatorResponse<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            throttle_time_ms: if (1..=4).contains(&v.number) {
                s.value(v)
            } else {
                0
            },
            error_code: if (0..=3).contains(&v.number) {
                s.value(v)
            } else {
                0
            },
            error_message: if (1..=3).contains(&v.number) {
                s.value(v)
            } else {
                None
            },
            node_id: if (0..=3).contains(&v.number) {
                s.value(v)
            } else {
                0
            },
            host: if (0..=3).contains(&v.number) {
                s.value(v)
            } else {
                ""
            },
            port: if (0..=3).contains(&v.number) {
                s.value(v)
            } else {
                0
            },
            coordinators: if (4..=4).contains(&v.number) {
                s.value(v)
            } else {
                List::new()
            },
        }
    }
}

impl Sample for messages::find_coordinator_response::Coordinator<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            key: s.value(v),
            node_id: s.value(v),
            host: s.value(v),
            port: s.value(v),
            error_code: s.value(v),
            error_message: s.value(v),
        }
    }
}

impl Sample for messages::join_group_request::JoinGroupRequest<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            group_id: s.value(v),
            session_timeout_ms: s.value(v),
            rebalance_timeout_ms: if (1..=9).contains(&v.number) {
                s.value(v)
            } else {
                -1
            },
            member_id: s.value(v),
            group_instance_id: if (5..=9).contains(&v.number) {
                s.value(v)
            } else {
                None
            },
            protocol_type: s.value(v),
            protocols: s.value(v),
            reason: if (8..=9).contains(&v.number) {
                s.value(v)
            } else {
                None
            },
        }
    }
}

impl Sample for messages::join_group_request::JoinGroupRequestProtocol<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            name: s.value(v),
            metadata: s.value(v),
        }
    }
}

impl Sample for messages::join_group_response::JoinGroupResponse<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            throttle_time_ms: if (2..=9).contains(&v.number) {
                s.value(v)
            } else {
                0
            },
            error_code: s.value(v),
            generation_id: s.value(v),
            protocol_type: if (7..=9).contains(&v.number) {
                s.value(v)
            } else {
                None
            },
            protocol_name: if (7..=9).contains(&v.number) {
                s.value(v)
            } else {
                Some(s.value(v))
            },
            leader: s.value(v),
            skip_assignment: if (9..=9).contains(&v.number) {
                s.value(v)
            } else {
                false
            },
            member_id: s.value(v),
            members: s.value(v),
        }
    }
}

impl Sample for messages::join_group_response::JoinGroupResponseMember<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            member_id: s.value(v),
            group_instance_id: if (5..=9).contains(&v.number) {
                s.value(v)
            } else {
                None
            },
            metadata: s.value(v),
        }
    }
}

impl Sample for messages::heartbeat_request::HeartbeatRequest<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            group_id: s.value(v),
            generation_id: s.value(v),
            member_id: s.value(v),
            group_instance_id: if (3..=4).contains(&v.number) {
                s.value(v)
            } else {
                None
            },
        }
    }
}

impl Sample for messages::heartbeat_response::HeartbeatResponse {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            throttle_time_ms: if (1..=4).contains(&v.number) {
                s.value(v)
            } else {
                0
            },
            error_code: s.value(v),
        }
    }
}

impl Sample for messages::leave_group_request::LeaveGroupRequest<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            group_id: s.value(v),
            member_id: if (0..=2).contains(&v.number) {
                s.value(v)
            } else {
                ""
            },
            members: if (3..=5).contains(&v.number) {
                s.value(v)
            } else {
                List::new()
            },
        }
    }
}

impl Sample for messages::leave_group_request::MemberIdentity<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            member_id: s.value(v),
            group_instance_id: s.value(v),
            reason: if (5..=5).contains(&v.number) {
                s.value(v)
            } else {
                None
            },
        }
    }
}

impl Sample for messages::leave_group_response::LeaveGroupResponse<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            throttle_time_ms: if (1..=5).contains(&v.number) {
                s.value(v)
            } else {
                0
            },
            error_code: s.value(v),
            members: if (3..=5).contains(&v.number) {
                s.value(v)
            } else {
                List::new()
            },
        }
    }
}

impl Sample for messages::leave_group_response::MemberResponse<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            member_id: s.value(v),
            group_instance_id: s.value(v),
            error_code: s.value(v),
        }
    }
}

impl Sample for messages::sync_group_request::SyncGroupRequest<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            group_id: s.value(v),
            generation_id: s.value(v),
            member_id: s.value(v),
            group_instance_id: if (3..=5).contains(&v.number) {
                s.value(v)
            } else {
                None
            },
            protocol_type: if (5..=5).contains(&v.number) {
                s.value(v)
            } else {
                None
            },
            protocol_name: if (5..=5).contains(&v.number) {
                s.value(v)
            } else {
                None
            },
            assignments: s.value(v),
        }
    }
}

impl Sample for messages::sync_group_request::SyncGroupRequestAssignment<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            member_id: s.value(v),
            assignment: s.value(v),
        }
    }
}

impl Sample for messages::sync_group_response::SyncGroupResponse<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            throttle_time_ms: if (1..=5).contains(&v.number) {
                s.value(v)
            } else {
                0
            },
            error_code: s.value(v),
            protocol_type: if (5..=5).contains(&v.number) {
                s.value(v)
            } else {
                None
            },
            protocol_name: if (5..=5).contains(&v.number) {
                s.value(v)
            } else {
                None
            },
            assignment: s.value(v),
        }
    }
}

impl Sample for messages::describe_groups_request::DescribeGroupsRequest<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            groups: s.value(v),
            include_authorized_operations: if (3..=6).contains(&v.number) {
                s.value(v)
            } else {
                false
            },
        }
    }
}

impl Sample for messages::describe_groups_response::DescribeGroupsResponse<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            throttle_time_ms: if (1..=6).contains(&v.number) {
                s.value(v)
            } else {
                0
            },
            groups: s.value(v),
        }
    }
}

impl Sample for messages::describe_groups_response::DescribedGroup<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            error_code: s.value(v),
            error_message: if (6..=6).contains(&v.number) {
                s.value(v)
            } else {
                None
            },
            group_id: s.value(v),
            group_state: s.value(v),
            protocol_type: s.value(v),
            protocol_data: s.value(v),
            members: s.value(v),
            authorized_operations: if (3..=6).contains(&v.number) {
                s.value(v)
            } else {
                -2147483648
            },
        }
    }
}

impl Sample for messages::describe_groups_response::DescribedGroupMember<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            member_id: s.value(v),
            group_instance_id: if (4..=6).contains(&v.number) {
                s.value(v)
            } else {
                None
            },
            client_id: s.value(v),
            client_host: s.value(v),
            member_metadata: s.value(v),
            member_assignment: s.value(v),
        }
    }
}

impl Sample for messages::list_groups_request::ListGroupsRequest<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            states_filter: if (4..=5).contains(&v.number) {
                s.value(v)
            } else {
                List::new()
            },
            types_filter: if (5..=5).contains(&v.number) {
                s.value(v)
            } else {
                List::new()
            },
        }
    }
}

impl Sample for messages::list_groups_response::ListGroupsResponse<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            throttle_time_ms: if (1..=5).contains(&v.number) {
                s.value(v)
            } else {
                0
            },
            error_code: s.value(v),
            groups: s.value(v),
        }
    }
}

impl Sample for messages::list_groups_response::ListedGroup<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            group_id: s.value(v),
            protocol_type: s.value(v),
            group_state: if (4..=5).contains(&v.number) {
                s.value(v)
            } else {
                ""
            },
            group_type: if (5..=5).contains(&v.number) {
                s.value(v)
            } else {
                ""
            },
        }
    }
}

impl Sample for messages::api_versions_request::ApiVersionsRequest<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            client_software_name: if (3..=4).contains(&v.number) {
                s.value(v)
            } else {
                ""
            },
            client_software_version: if (3..=4).contains(&v.number) {
                s.value(v)
            } else {
                ""
            },
        }
    }
}

impl Sample for messages::api_versions_response::ApiVersionsResponse<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            error_code: s.value(v),
            api_keys: s.value(v),
            throttle_time_ms: if (1..=4).contains(&v.number) {
                s.value(v)
            } else {
                0
            },
            supported_features: if (3..=4).contains(&v.number) {
                s.value(v)
            } else {
                List::new()
            },
            finalized_features_epoch: if (3..=4).contains(&v.number) {
                s.value(v)
            } else {
                -1
            },
            finalized_features: if (3..=4).contains(&v.number) {
                s.value(v)
            } else {
                List::new()
            },
            zk_migration_ready: if (3..=4).contains(&v.number) {
                s.value(v)
            } else {
                false
            },
        }
    }
}

impl Sample for messages::api_versions_response::ApiVersion {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            api_key: s.value(v),
            min_version: s.value(v),
            max_version: s.value(v),
        }
    }
}

impl Sample for messages::api_versions_response::SupportedFeatureKey<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            name: s.value(v),
            min_version: s.value(v),
            max_version: s.value(v),
        }
    }
}

impl Sample for messages::api_versions_response::FinalizedFeatureKey<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            name: s.value(v),
            max_version_level: s.value(v),
            min_version_level: s.value(v),
        }
    }
}

impl Sample for messages::create_topics_request::CreateTopicsRequest<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            topics: s.value(v),
            timeout_ms: s.value(v),
            validate_only: if (1..=7).contains(&v.number) {
                s.value(v)
            } else {
                false
            },
        }
    }
}

impl Sample for messages::create_topics_request::CreatableTopic<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            name: s.value(v),
            num_partitions: s.value(v),
            replication_factor: s.value(v),
            assignments: s.value(v),
            configs: s.value(v),
        }
    }
}

impl Sample for messages::create_topics_request::CreatableReplicaAssignment<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            partition_index: s.value(v),
            broker_ids: s.value(v),
        }
    }
}

impl Sample for messages::create_topics_request::CreatableTopicConfig<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            name: s.value(v),
            value: s.value(v),
        }
    }
}

impl Sample for messages::create_topics_response::CreateTopicsResponse<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            throttle_time_ms: if (2..=7).contains(&v.number) {
                s.value(v)
            } else {
                0
            },
            topics: s.value(v),
        }
    }
}

impl Sample for messages::create_topics_response::CreatableTopicResult<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            name: s.value(v),
            topic_id: if (7..=7).contains(&v.number) {
                s.value(v)
            } else {
                Uuid::ZERO
            },
            error_code: s.value(v),
            error_message: if (1..=7).contains(&v.number) {
                s.value(v)
            } else {
                None
            },
            topic_config_error_code: if (5..=7).contains(&v.number) {
                s.value(v)
            } else {
                0
            },
            num_partitions: if (5..=7).contains(&v.number) {
                s.value(v)
            } else {
                -1
            },
            replication_factor: if (5..=7).contains(&v.number) {
                s.value(v)
            } else {
                -1
            },
            configs: if (5..=7).contains(&v.number) {
                s.value(v)
            } else {
                None
            },
        }
    }
}

impl Sample for messages::create_topics_response::CreatableTopicConfigs<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            name: s.value(v),
            value: s.value(v),
            read_only: s.value(v),
            config_source: s.value(v),
            is_sensitive: s.value(v),
        }
    }
}

impl Sample for messages::delete_topics_request::DeleteTopicsRequest<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            topics: if (6..=6).contains(&v.number) {
                s.value(v)
            } else {
                List::new()
            },
            topic_names: if (1..=5).contains(&v.number) {
                s.value(v)
            } else {
                List::new()
            },
            timeout_ms: s.value(v),
        }
    }
}

impl Sample for messages::delete_topics_request::DeleteTopicState<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            name: s.value(v),
            topic_id: s.value(v),
        }
    }
}

impl Sample for messages::delete_topics_response::DeleteTopicsResponse<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            throttle_time_ms: s.value(v),
            responses: s.value(v),
        }
    }
}

impl Sample for messages::delete_topics_response::DeletableTopicResult<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            name: if (6..=6).contains(&v.number) {
                s.value(v)
            } else {
                Some(s.value(v))
            },
            topic_id: if (6..=6).contains(&v.number) {
                s.value(v)
            } else {
                Uuid::ZERO
            },
            error_code: s.value(v),
            error_message: if (5..=6).contains(&v.number) {
                s.value(v)
            } else {
                None
            },
        }
    }
}

impl Sample for messages::delete_records_request::DeleteRecordsRequest<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            topics: s.value(v),
            timeout_ms: s.value(v),
        }
    }
}

impl Sample for messages::delete_records_request::DeleteRecordsTopic<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            name: s.value(v),
            partitions: s.value(v),
        }
    }
}

impl Sample for messages::delete_records_request::DeleteRecordsPartition {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            partition_index: s.value(v),
            offset: s.value(v),
        }
    }
}

impl Sample for messages::delete_records_response::DeleteRecordsResponse<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            throttle_time_ms: s.value(v),
            topics: s.value(v),
        }
    }
}

impl Sample for messages::delete_records_response::DeleteRecordsTopicResult<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            name: s.value(v),
            partitions: s.value(v),
        }
    }
}

impl Sample for messages::delete_records_response::DeleteRecordsPartitionResult {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            partition_index: s.value(v),
            low_watermark: s.value(v),
            error_code: s.value(v),
        }
    }
}

impl Sample for messages::init_producer_id_request::InitProducerIdRequest<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            transactional_id: s.value(v),
            transaction_timeout_ms: s.value(v),
            producer_id: if (3..=4).contains(&v.number) {
                s.value(v)
            } else {
                -1
            },
            producer_epoch: if (3..=4).contains(&v.number) {
                s.value(v)
            } else {
                -1
            },
        }
    }
}

impl Sample for messages::init_producer_id_response::InitProducerIdResponse {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            throttle_time_ms: s.value(v),
            error_code: s.value(v),
            producer_id: s.value(v),
            producer_epoch: s.value(v),
        }
    }
}

impl Sample for messages::offset_for_leader_epoch_request::OffsetForLeaderEpochRequest<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            replica_id: if (3..=4).contains(&v.number) {
                s.value(v)
            } else {
                -2
            },
            topics: s.value(v),
        }
    }
}

impl Sample for messages::offset_for_leader_epoch_request::OffsetForLeaderTopic<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            topic: s.value(v),
            partitions: s.value(v),
        }
    }
}

impl Sample for messages::offset_for_leader_epoch_request::OffsetForLeaderPartition {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            partition: s.value(v),
            current_leader_epoch: if (2..=4).contains(&v.number) {
                s.value(v)
            } else {
                -1
            },
            leader_epoch: s.value(v),
        }
    }
}

impl Sample for messages::offset_for_leader_epoch_response::OffsetForLeaderEpochResponse<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            throttle_time_ms: if (2..=4).contains(&v.number) {
                s.value(v)
            } else {
                0
            },
            topics: s.value(v),
        }
    }
}

impl Sample for messages::offset_for_leader_epoch_response::OffsetForLeaderTopicResult<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            topic: s.value(v),
            partitions: s.value(v),
        }
    }
}

impl Sample for messages::offset_for_leader_epoch_response::EpochEndOffset {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            error_code: s.value(v),
            partition: s.value(v),
            leader_epoch: if (1..=4).contains(&v.number) {
                s.value(v)
            } else {
                -1
            },
            end_offset: s.value(v),
        }
    }
}

impl Sample for messages::describe_configs_request::DescribeConfigsRequest<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            resources: s.value(v),
            include_synonyms: s.value(v),
            include_documentation: if (3..=4).contains(&v.number) {
                s.value(v)
            } else {
                false
            },
        }
    }
}

impl Sample for messages::describe_configs_request::DescribeConfigsResource<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            resource_type: s.value(v),
            resource_name: s.value(v),
            configuration_keys: s.value(v),
        }
    }
}

impl Sample for messages::describe_configs_response::DescribeConfigsResponse<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            throttle_time_ms: s.value(v),
            results: s.value(v),
        }
    }
}

impl Sample for messages::describe_configs_response::DescribeConfigsResult<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            error_code: s.value(v),
            error_message: s.value(v),
            resource_type: s.value(v),
            resource_name: s.value(v),
            configs: s.value(v),
        }
    }
}

impl Sample for messages::describe_configs_response::DescribeConfigsResourceResult<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            name: s.value(v),
            value: s.value(v),
            read_only: s.value(v),
            config_source: s.value(v),
            is_sensitive: s.value(v),
            synonyms: s.value(v),
            config_type: if (3..=4).contains(&v.number) {
                s.value(v)
            } else {
                0
            },
            documentation: if (3..=4).contains(&v.number) {
                s.value(v)
            } else {
                None
            },
        }
    }
}

impl Sample for messages::describe_configs_response::DescribeConfigsSynonym<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            name: s.value(v),
            value: s.value(v),
            source: s.value(v),
        }
    }
}

impl Sample for messages::alter_configs_request::AlterConfigsRequest<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            resources: s.value(v),
            validate_only: s.value(v),
        }
    }
}

impl Sample for messages::alter_configs_request::AlterConfigsResource<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            resource_type: s.value(v),
            resource_name: s.value(v),
            configs: s.value(v),
        }
    }
}

impl Sample for messages::alter_configs_request::AlterableConfig<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            name: s.value(v),
            value: s.value(v),
        }
    }
}

impl Sample for messages::alter_configs_response::AlterConfigsResponse<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            throttle_time_ms: s.value(v),
            responses: s.value(v),
        }
    }
}

impl Sample for messages::alter_configs_response::AlterConfigsResourceResponse<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            error_code: s.value(v),
            error_message: s.value(v),
            resource_type: s.value(v),
            resource_name: s.value(v),
        }
    }
}

impl Sample for messages::create_partitions_request::CreatePartitionsRequest<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            topics: s.value(v),
            timeout_ms: s.value(v),
            validate_only: s.value(v),
        }
    }
}

impl Sample for messages::create_partitions_request::CreatePartitionsTopic<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            name: s.value(v),
            count: s.value(v),
            assignments: s.value(v),
        }
    }
}

impl Sample for messages::create_partitions_request::CreatePartitionsAssignment<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            broker_ids: s.value(v),
        }
    }
}

impl Sample for messages::create_partitions_response::CreatePartitionsResponse<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            throttle_time_ms: s.value(v),
            results: s.value(v),
        }
    }
}

impl Sample for messages::create_partitions_response::CreatePartitionsTopicResult<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            name: s.value(v),
            error_code: s.value(v),
            error_message: s.value(v),
        }
    }
}

impl Sample for messages::delete_groups_request::DeleteGroupsRequest<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            groups_names: s.value(v),
        }
    }
}

impl Sample for messages::delete_groups_response::DeleteGroupsResponse<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            throttle_time_ms: s.value(v),
            results: s.value(v),
        }
    }
}

impl Sample for messages::delete_groups_response::DeletableGroupResult<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            group_id: s.value(v),
            error_code: s.value(v),
        }
    }
}

impl Sample
    for messages::incremental_alter_configs_request::IncrementalAlterConfigsRequest<'static>
{
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            resources: s.value(v),
            validate_only: s.value(v),
        }
    }
}

impl Sample for messages::incremental_alter_configs_request::AlterConfigsResource<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            resource_type: s.value(v),
            resource_name: s.value(v),
            configs: s.value(v),
        }
    }
}

impl Sample for messages::incremental_alter_configs_request::AlterableConfig<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            name: s.value(v),
            config_operation: s.value(v),
            value: s.value(v),
        }
    }
}

impl Sample
    for messages::incremental_alter_configs_response::IncrementalAlterConfigsResponse<'static>
{
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            throttle_time_ms: s.value(v),
            responses: s.value(v),
        }
    }
}

impl Sample
    for messages::incremental_alter_configs_response::AlterConfigsResourceResponse<'static>
{
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            error_code: s.value(v),
            error_message: s.value(v),
            resource_type: s.value(v),
            resource_name: s.value(v),
        }
    }
}

impl Sample for messages::offset_delete_request::OffsetDeleteRequest<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            group_id: s.value(v),
            topics: s.value(v),
        }
    }
}

impl Sample for messages::offset_delete_request::OffsetDeleteRequestTopic<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            name: s.value(v),
            partitions: s.value(v),
        }
    }
}

impl Sample for messages::offset_delete_request::OffsetDeleteRequestPartition {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            partition_index: s.value(v),
        }
    }
}

impl Sample for messages::offset_delete_response::OffsetDeleteResponse<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            error_code: s.value(v),
            throttle_time_ms: s.value(v),
            topics: s.value(v),
        }
    }
}

impl Sample for messages::offset_delete_response::OffsetDeleteResponseTopic<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            name: s.value(v),
            partitions: s.value(v),
        }
    }
}

impl Sample for messages::offset_delete_response::OffsetDeleteResponsePartition {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            partition_index: s.value(v),
            error_code: s.value(v),
        }
    }
}

impl Sample for messages::describe_cluster_request::DescribeClusterRequest {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            include_cluster_authorized_operations: s.value(v),
            endpoint_type: if (1..=1).contains(&v.number) {
                s.value(v)
            } else {
                1
            },
        }
    }
}

impl Sample for messages::describe_cluster_response::DescribeClusterResponse<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            throttle_time_ms: s.value(v),
            error_code: s.value(v),
            error_message: s.value(v),
            endpoint_type: if (1..=1).contains(&v.number) {
                s.value(v)
            } else {
                1
            },
            cluster_id: s.value(v),
            controller_id: s.value(v),
            brokers: s.value(v),
            cluster_authorized_operations: s.value(v),
        }
    }
}

impl Sample for messages::describe_cluster_response::DescribeClusterBroker<'static> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Self {
            broker_id: s.value(v),
            host: s.value(v),
            port: s.value(v),
            rack: s.value(v),
        }
    }
}
