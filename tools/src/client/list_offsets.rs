//! Offsets by time: where logs begin and end, and where the records of a time begin.

use super::{Cluster, Topic, check};
use anyhow::Result;
use millrace_server::protocol::messages::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use std::collections::BTreeMap;

/// A place in every log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum At {
    /// The log start.
    Earliest,
    /// The high watermark.
    Latest,
    /// The first record with this timestamp or a later one, in milliseconds since 1970.
    Timestamp(i64),
}

/// That place in each partition of a topic, by index. A partition whose records are all older than
/// a timestamp is not in the answer.
pub(crate) fn list_offsets(
    cluster: &mut Cluster,
    topic: &Topic,
    at: At,
) -> Result<BTreeMap<i32, i64>> {
    // KAFKA: -1 and -2 in the place of a timestamp.
    let timestamp = match at {
        At::Earliest => -2,
        At::Latest => -1,
        At::Timestamp(timestamp) => timestamp,
    };
    let mut by_leader: BTreeMap<i32, Vec<ListOffsetsPartition>> = BTreeMap::new();
    for (&partition_index, &(leader, _)) in &topic.leaders {
        let partitions = by_leader.entry(leader).or_default();
        partitions.push(ListOffsetsPartition {
            partition_index,
            current_leader_epoch: -1,
            timestamp,
        });
    }
    let mut offsets = BTreeMap::new();
    for (leader, partitions) in by_leader {
        let request = ListOffsetsRequest {
            replica_id: -1,
            isolation_level: 0,
            topics: [ListOffsetsTopic {
                name: &topic.name,
                partitions: partitions.into(),
            }]
            .into(),
        };
        let response = cluster.node(leader)?.call(&request)?;
        let answered = response.topics.iter();
        for partition in answered.flat_map(|topic| topic.partitions.to_vec()) {
            let index = partition.partition_index;
            let object = format!("topic {} partition {index}", topic.name);
            check(partition.error_code, &object, None)?;
            if partition.offset >= 0 {
                offsets.insert(index, partition.offset);
            }
        }
    }
    Ok(offsets)
}
