//! ListOffsets 1-7: the earliest and latest offset, the first record at or after a time, and since
//! version 7 the record with the largest timestamp. Always the exact record, as Kafka; version 2
//! adds the isolation level, 4 the leader epoch.

use super::question::{Answer, Question};
use crate::broker::BrokerShard;
use crate::net::FrameBytes;
use crate::protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use crate::protocol::messages::{ListOffsetsRequest, ListOffsetsResponse};
use crate::protocol::{ErrorCode, List};
use crate::request::{Refusal, Request, RequestHead, decode_again};

const READ_COMMITTED: i8 = 1;

/// Handles the request.
///
/// # Errors
/// Bytes that are no such request.
pub fn handle(broker: &mut BrokerShard, request: &Request<'_>) -> Result<(), Refusal> {
    let asked: ListOffsetsRequest<'_> = request.decode()?;
    let mut places = Vec::new();
    for topic in &asked.topics {
        for partition in &topic.partitions {
            let question = Question::Offset {
                timestamp: partition.timestamp,
                leader_epoch: partition.current_leader_epoch,
                is_committed: asked.isolation_level == READ_COMMITTED,
            };
            let place = broker.find(topic.name, partition.partition_index);
            places.push(place.map(|(place, _)| (place.shard, place.handle, question)));
        }
    }
    broker.ask(request, &places, finish);
    Ok(())
}

fn finish(broker: &mut BrokerShard, head: &RequestHead, frame: &FrameBytes, answers: &[Answer]) {
    let Ok(asked) = decode_again::<ListOffsetsRequest<'_>>(frame) else {
        return;
    };
    let mut answers = answers.iter();
    let topics = asked.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            let answer = answers.next().copied();
            let answer = answer.unwrap_or(Answer::error(ErrorCode::UnknownServerError));
            ListOffsetsPartitionResponse {
                partition_index: partition.partition_index,
                error_code: answer.error.code(),
                timestamp: answer.timestamp,
                offset: answer.offset,
                leader_epoch: answer.leader_epoch,
            }
        });
        ListOffsetsTopicResponse {
            name: topic.name,
            partitions: partitions.collect::<List<'_, _>>(),
        }
    });
    let response = ListOffsetsResponse {
        topics: topics.collect(),
        ..ListOffsetsResponse::default()
    };
    broker.reply(head, &response);
}
