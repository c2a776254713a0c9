//! OffsetDelete 0: forgets committed offsets of topics that the group's members do not read
//! (KIP-496).

use super::group_requests::{Destination, GroupWait, own_codes};
use crate::broker::BrokerShard;
use crate::net::FrameBytes;
use crate::protocol::ErrorCode;
use crate::protocol::messages::offset_delete_response::{
    OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use crate::protocol::messages::{OffsetDeleteRequest, OffsetDeleteResponse};
use crate::request::{Refusal, Request, RequestHead, decode_again};

/// Handles the request.
///
/// # Errors
/// Bytes that are no such request.
pub fn handle(broker: &mut BrokerShard, request: &Request<'_>) -> Result<(), Refusal> {
    let asked: OffsetDeleteRequest<'_> = request.decode()?;
    match broker.go_to_coordinator(request, asked.group_id) {
        Ok(Destination::Here) => {}
        Ok(Destination::Sent) => return Ok(()),
        Err(error) => {
            refuse(broker, &request.head, error);
            return Ok(());
        }
    }
    let mut partitions = Vec::new();
    let mut known = Vec::new();
    for topic in &asked.topics {
        for partition in &topic.partitions {
            let found = broker.find(topic.name, partition.partition_index);
            if found.is_ok() {
                partitions.push((topic.name, partition.partition_index));
            }
            known.push(found.map(|_| ()));
        }
    }
    let asker = broker.wait_for_group(GroupWait::Change {
        head: request.head,
        frame: request.frame.clone(),
        codes: Vec::new(),
        finish: respond,
    })?;
    let now = broker.group_now();
    let coordinator = &mut broker.groups.coordinator;
    match coordinator.delete_offsets((asker, asked.group_id), &partitions, now) {
        Err(error) => {
            broker.group_wait_over(asker);
            refuse(broker, &request.head, error);
        }
        Ok(codes) => {
            let mut codes = codes.into_iter();
            let own = known.into_iter().map(|known| {
                let code = || codes.next().unwrap_or(ErrorCode::None);
                known.err().unwrap_or_else(code)
            });
            broker.learn_codes(asker, own.collect());
        }
    }
    broker.carry_out_groups();
    Ok(())
}

fn refuse(broker: &mut BrokerShard, head: &RequestHead, error: ErrorCode) {
    let response = OffsetDeleteResponse {
        error_code: error.code(),
        ..OffsetDeleteResponse::default()
    };
    broker.reply(head, &response);
}

fn respond(
    broker: &mut BrokerShard,
    head: &RequestHead,
    frame: &FrameBytes,
    codes: &[ErrorCode],
    error: ErrorCode,
) {
    let Ok(asked) = decode_again::<OffsetDeleteRequest<'_>>(frame) else {
        return;
    };
    let mut next_code = own_codes(codes, error);
    let topics = asked.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            let (partition_index, error_code) = (partition.partition_index, next_code());
            OffsetDeleteResponsePartition {
                partition_index,
                error_code,
            }
        });
        OffsetDeleteResponseTopic {
            name: topic.name,
            partitions: partitions.collect(),
        }
    });
    let response = OffsetDeleteResponse {
        topics: topics.collect(),
        ..OffsetDeleteResponse::default()
    };
    broker.reply(head, &response);
}
