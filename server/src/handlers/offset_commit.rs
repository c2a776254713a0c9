//! OffsetCommit 2-8: answered when the offsets are on stable storage. Versions 2-4 may say how
//! long the offsets are kept, 6 adds the leader epoch, 7 static members.

use super::group_requests::{Destination, GroupWait, own_codes};
use crate::broker::BrokerShard;
use crate::groups::Commit;
use crate::groups::effects::MemberRef;
use crate::net::FrameBytes;
use crate::protocol::ErrorCode;
use crate::protocol::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use crate::protocol::messages::{OffsetCommitRequest, OffsetCommitResponse};
use crate::request::{Refusal, Request, RequestHead, decode_again};

/// Handles the request.
///
/// # Errors
/// Bytes that are no such request.
pub fn handle(broker: &mut BrokerShard, request: &Request<'_>) -> Result<(), Refusal> {
    let asked: OffsetCommitRequest<'_> = request.decode()?;
    match broker.go_to_any_coordinator(request, asked.group_id) {
        Ok(Destination::Here) => {}
        Ok(Destination::Sent) => return Ok(()),
        Err(error) => {
            respond(broker, &request.head, request.frame, &[], error);
            return Ok(());
        }
    }
    let metadata_bytes_max = broker.shared.settings.groups.offset_metadata_bytes_max;
    let mut codes = Vec::new();
    let mut commits = Vec::new();
    for topic in &asked.topics {
        for partition in &topic.partitions {
            let metadata = partition.committed_metadata.unwrap_or_default();
            if let Err(error) = broker.find(topic.name, partition.partition_index) {
                codes.push(error);
                continue;
            }
            if metadata.len() > metadata_bytes_max {
                codes.push(ErrorCode::OffsetMetadataTooLarge);
                continue;
            }
            codes.push(ErrorCode::None);
            commits.push(Commit {
                topic: topic.name,
                partition: partition.partition_index,
                offset: partition.committed_offset,
                leader_epoch: partition.committed_leader_epoch,
                metadata,
            });
        }
    }
    let member = MemberRef {
        member_id: asked.member_id,
        instance_id: asked.group_instance_id,
        generation: asked.generation_id_or_member_epoch,
    };
    let now = broker.group_now();
    let retention_ms = Some(asked.retention_time_ms).filter(|ms| *ms >= 0);
    let expire_ms = retention_ms.map(|ms| now.wall_ms.saturating_add(ms));
    let asker = broker.wait_for_group(GroupWait::Change {
        head: request.head,
        frame: request.frame.clone(),
        codes,
        finish: respond,
    })?;
    let coordinator = &mut broker.groups.coordinator;
    let begun = coordinator.commit((asker, asked.group_id), member, &commits, expire_ms, now);
    if let Err(error) = begun
        && let Some(GroupWait::Change { codes, .. }) = broker.group_wait_over(asker)
    {
        respond(broker, &request.head, request.frame, &codes, error);
    }
    broker.carry_out_groups();
    Ok(())
}

/// `codes` say what was wrong with single partitions; the others got `error`.
fn respond(
    broker: &mut BrokerShard,
    head: &RequestHead,
    frame: &FrameBytes,
    codes: &[ErrorCode],
    error: ErrorCode,
) {
    let Ok(asked) = decode_again::<OffsetCommitRequest<'_>>(frame) else {
        return;
    };
    let mut next_code = own_codes(codes, error);
    let topics = asked.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            let (partition_index, error_code) = (partition.partition_index, next_code());
            OffsetCommitResponsePartition {
                partition_index,
                error_code,
            }
        });
        OffsetCommitResponseTopic {
            name: topic.name,
            partitions: partitions.collect(),
        }
    });
    let response = OffsetCommitResponse {
        topics: topics.collect(),
        ..OffsetCommitResponse::default()
    };
    broker.reply(head, &response);
}
