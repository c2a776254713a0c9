//! The dispatch table: every API the broker serves, its versions and its handler. The only list
//! of APIs; ApiVersions answers from it.

pub mod alter_configs;
pub mod api_versions;
pub mod create_partitions;
pub mod create_topics;
pub mod delete_groups;
pub mod delete_records;
pub mod delete_topics;
pub mod describe_cluster;
pub mod describe_configs;
pub mod describe_groups;
pub mod fetch;
pub mod find_coordinator;
pub mod group_loading;
pub mod group_questions;
pub mod group_requests;
pub mod heartbeat;
pub mod incremental_alter_configs;
pub mod init_producer_id;
pub mod join_group;
pub mod leave_group;
pub mod list_groups;
pub mod list_offsets;
pub mod metadata;
pub mod offset_commit;
pub mod offset_delete;
pub mod offset_fetch;
pub mod offset_for_leader_epoch;
pub mod produce;
pub mod question;
pub mod sync_group;
pub(crate) mod validation;

use crate::broker::BrokerShard;
use crate::protocol::ApiKey;
use crate::request::{Refusal, Request};

/// An API that is served.
#[derive(Debug)]
pub struct Api {
    /// Its key.
    pub key: ApiKey,
    /// First version that is handled.
    pub min: i16,
    /// First version that ApiVersions lists.
    pub listed_min: i16,
    /// Last version.
    pub max: i16,
    /// What handles it.
    pub handler: fn(&mut BrokerShard, &Request<'_>) -> Result<(), Refusal>,
}

macro_rules! api {
    ($key:ident, $min:tt..=$max:tt, $handler:path) => {
        api!($key, $min..=$max, $min, $handler)
    };
    ($key:ident, $min:tt..=$max:tt, $listed_min:tt, $handler:path) => {
        Api {
            key: ApiKey::$key,
            min: $min,
            listed_min: $listed_min,
            max: $max,
            handler: $handler,
        }
    };
}

/// All APIs, by key.
pub static APIS: &[Api] = &[
    // KAFKA: Produce is listed from version 0, or some clients misread the whole list.
    api!(Produce, 3..=11, 0, produce::handle),
    api!(Fetch, 4..=12, fetch::handle),
    api!(ListOffsets, 1..=7, list_offsets::handle),
    api!(Metadata, 0..=12, metadata::handle),
    api!(OffsetCommit, 2..=8, offset_commit::handle),
    api!(OffsetFetch, 1..=8, offset_fetch::handle),
    api!(FindCoordinator, 0..=4, find_coordinator::handle),
    api!(JoinGroup, 0..=9, join_group::handle),
    api!(Heartbeat, 0..=4, heartbeat::handle),
    api!(LeaveGroup, 0..=5, leave_group::handle),
    api!(SyncGroup, 0..=5, sync_group::handle),
    api!(DescribeGroups, 0..=6, describe_groups::handle),
    api!(ListGroups, 0..=5, list_groups::handle),
    api!(ApiVersions, 0..=4, api_versions::handle),
    api!(CreateTopics, 0..=7, create_topics::handle),
    api!(DeleteTopics, 1..=6, delete_topics::handle),
    api!(DeleteRecords, 0..=2, delete_records::handle),
    api!(InitProducerId, 0..=4, init_producer_id::handle),
    api!(OffsetForLeaderEpoch, 2..=4, offset_for_leader_epoch::handle),
    api!(DescribeConfigs, 1..=4, describe_configs::handle),
    api!(AlterConfigs, 0..=2, alter_configs::handle),
    api!(CreatePartitions, 0..=3, create_partitions::handle),
    api!(DeleteGroups, 0..=2, delete_groups::handle),
    api!(
        IncrementalAlterConfigs,
        0..=1,
        incremental_alter_configs::handle
    ),
    api!(OffsetDelete, 0..=0, offset_delete::handle),
    api!(DescribeCluster, 0..=1, describe_cluster::handle),
];

/// The API with this key, if it is served in this version.
#[must_use]
pub fn api(key: ApiKey, version: i16) -> Option<&'static Api> {
    let index = APIS.binary_search_by_key(&key, |api| api.key).ok()?;
    let api = &APIS[index];
    (version >= api.min && version <= api.max).then_some(api)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_the_codec_knows_every_version() {
        assert!(APIS.is_sorted_by(|a, b| a.key < b.key));
        for api in APIS {
            let (min, max) = api.key.versions();
            assert!(min <= api.min && api.max <= max, "{:?}", api.key);
        }
        assert!(api(ApiKey::Produce, 2).is_none());
        assert!(api(ApiKey::Metadata, 0).is_some());
    }
}
