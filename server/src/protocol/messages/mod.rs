//! The messages, a module each.
//!
//! Written by `cargo xtask codegen` from `server/src/protocol/schemas`.
//! Fields carry the protocol's names. A nullable field is an `Option`; one that a version
//! does not have is left out when written, and has its default when read.

#![expect(
    missing_docs,
    reason = "the names are the protocol's, which documents them"
)]

#[rustfmt::skip]
pub mod produce_request;
#[rustfmt::skip]
pub mod produce_response;
#[rustfmt::skip]
pub mod fetch_request;
#[rustfmt::skip]
pub mod fetch_response;
#[rustfmt::skip]
pub mod list_offsets_request;
#[rustfmt::skip]
pub mod list_offsets_response;
#[rustfmt::skip]
pub mod metadata_request;
#[rustfmt::skip]
pub mod metadata_response;
#[rustfmt::skip]
pub mod offset_commit_request;
#[rustfmt::skip]
pub mod offset_commit_response;
#[rustfmt::skip]
pub mod offset_fetch_request;
#[rustfmt::skip]
pub mod offset_fetch_response;
#[rustfmt::skip]
pub mod find_coordinator_request;
#[rustfmt::skip]
pub mod find_coordinator_response;
#[rustfmt::skip]
pub mod join_group_request;
#[rustfmt::skip]
pub mod join_group_response;
#[rustfmt::skip]
pub mod heartbeat_request;
#[rustfmt::skip]
pub mod heartbeat_response;
#[rustfmt::skip]
pub mod leave_group_request;
#[rustfmt::skip]
pub mod leave_group_response;
#[rustfmt::skip]
pub mod sync_group_request;
#[rustfmt::skip]
pub mod sync_group_response;
#[rustfmt::skip]
pub mod describe_groups_request;
#[rustfmt::skip]
pub mod describe_groups_response;
#[rustfmt::skip]
pub mod list_groups_request;
#[rustfmt::skip]
pub mod list_groups_response;
#[rustfmt::skip]
pub mod api_versions_request;
#[rustfmt::skip]
pub mod api_versions_response;
#[rustfmt::skip]
pub mod create_topics_request;
#[rustfmt::skip]
pub mod create_topics_response;
#[rustfmt::skip]
pub mod delete_topics_request;
#[rustfmt::skip]
pub mod delete_topics_response;
#[rustfmt::skip]
pub mod delete_records_request;
#[rustfmt::skip]
pub mod delete_records_response;
#[rustfmt::skip]
pub mod init_producer_id_request;
#[rustfmt::skip]
pub mod init_producer_id_response;
#[rustfmt::skip]
pub mod offset_for_leader_epoch_request;
#[rustfmt::skip]
pub mod offset_for_leader_epoch_response;
#[rustfmt::skip]
pub mod describe_configs_request;
#[rustfmt::skip]
pub mod describe_configs_response;
#[rustfmt::skip]
pub mod alter_configs_request;
#[rustfmt::skip]
pub mod alter_configs_response;
#[rustfmt::skip]
pub mod create_partitions_request;
#[rustfmt::skip]
pub mod create_partitions_response;
#[rustfmt::skip]
pub mod delete_groups_request;
#[rustfmt::skip]
pub mod delete_groups_response;
#[rustfmt::skip]
pub mod incremental_alter_configs_request;
#[rustfmt::skip]
pub mod incremental_alter_configs_response;
#[rustfmt::skip]
pub mod offset_delete_request;
#[rustfmt::skip]
pub mod offset_delete_response;
#[rustfmt::skip]
pub mod describe_cluster_request;
#[rustfmt::skip]
pub mod describe_cluster_response;

pub use alter_configs_request::AlterConfigsRequest;
pub use alter_configs_response::AlterConfigsResponse;
pub use api_versions_request::ApiVersionsRequest;
pub use api_versions_response::ApiVersionsResponse;
pub use create_partitions_request::CreatePartitionsRequest;
pub use create_partitions_response::CreatePartitionsResponse;
pub use create_topics_request::CreateTopicsRequest;
pub use create_topics_response::CreateTopicsResponse;
pub use delete_groups_request::DeleteGroupsRequest;
pub use delete_groups_response::DeleteGroupsResponse;
pub use delete_records_request::DeleteRecordsRequest;
pub use delete_records_response::DeleteRecordsResponse;
pub use delete_topics_request::DeleteTopicsRequest;
pub use delete_topics_response::DeleteTopicsResponse;
pub use describe_cluster_request::DescribeClusterRequest;
pub use describe_cluster_response::DescribeClusterResponse;
pub use describe_configs_request::DescribeConfigsRequest;
pub use describe_configs_response::DescribeConfigsResponse;
pub use describe_groups_request::DescribeGroupsRequest;
pub use describe_groups_response::DescribeGroupsResponse;
pub use fetch_request::FetchRequest;
pub use fetch_response::FetchResponse;
pub use find_coordinator_request::FindCoordinatorRequest;
pub use find_coordinator_response::FindCoordinatorResponse;
pub use heartbeat_request::HeartbeatRequest;
pub use heartbeat_response::HeartbeatResponse;
pub use incremental_alter_configs_request::IncrementalAlterConfigsRequest;
pub use incremental_alter_configs_response::IncrementalAlterConfigsResponse;
pub use init_producer_id_request::InitProducerIdRequest;
pub use init_producer_id_response::InitProducerIdResponse;
pub use join_group_request::JoinGroupRequest;
pub use join_group_response::JoinGroupResponse;
pub use leave_group_request::LeaveGroupRequest;
pub use leave_group_response::LeaveGroupResponse;
pub use list_groups_request::ListGroupsRequest;
pub use list_groups_response::ListGroupsResponse;
pub use list_offsets_request::ListOffsetsRequest;
pub use list_offsets_response::ListOffsetsResponse;
pub use metadata_request::MetadataRequest;
pub use metadata_response::MetadataResponse;
pub use offset_commit_request::OffsetCommitRequest;
pub use offset_commit_response::OffsetCommitResponse;
pub use offset_delete_request::OffsetDeleteRequest;
pub use offset_delete_response::OffsetDeleteResponse;
pub use offset_fetch_request::OffsetFetchRequest;
pub use offset_fetch_response::OffsetFetchResponse;
pub use offset_for_leader_epoch_request::OffsetForLeaderEpochRequest;
pub use offset_for_leader_epoch_response::OffsetForLeaderEpochResponse;
pub use produce_request::ProduceRequest;
pub use produce_response::ProduceResponse;
pub use sync_group_request::SyncGroupRequest;
pub use sync_group_response::SyncGroupResponse;
