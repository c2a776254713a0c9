//! DeleteRecords 0-2: moves a partition's log start, durably, before it answers.

use super::question::{Answer, Question};
use crate::broker::BrokerShard;
use crate::groups::offsets_topic::is_internal;
use crate::net::FrameBytes;
use crate::protocol::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsTopicResult,
};
use crate::protocol::messages::{DeleteRecordsRequest, DeleteRecordsResponse};
use crate::protocol::{ErrorCode, List};
use crate::request::{Refusal, Request, RequestHead, decode_again};

/// Handles the request.
///
/// # Errors
/// Bytes that are no such request.
pub fn handle(broker: &mut BrokerShard, request: &Request<'_>) -> Result<(), Refusal> {
    let asked: DeleteRecordsRequest<'_> = request.decode()?;
    let mut places = Vec::new();
    for topic in &asked.topics {
        for partition in &topic.partitions {
            let question = Question::Delete {
                offset: partition.offset,
            };
            // KAFKA: what a coordinator keeps is not a client's to delete.
            let place = if is_internal(topic.name) {
                Err(ErrorCode::InvalidTopicException)
            } else {
                broker.find(topic.name, partition.partition_index)
            };
            places.push(place.map(|(place, _)| (place.shard, place.handle, question)));
        }
    }
    broker.ask(request, &places, finish);
    Ok(())
}

fn finish(broker: &mut BrokerShard, head: &RequestHead, frame: &FrameBytes, answers: &[Answer]) {
    let Ok(asked) = decode_again::<DeleteRecordsRequest<'_>>(frame) else {
        return;
    };
    let mut answers = answers.iter();
    let topics = asked.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            let answer = answers.next().copied();
            let answer = answer.unwrap_or(Answer::error(ErrorCode::UnknownServerError));
            DeleteRecordsPartitionResult {
                partition_index: partition.partition_index,
                low_watermark: answer.offset,
                error_code: answer.error.code(),
            }
        });
        DeleteRecordsTopicResult {
            name: topic.name,
            partitions: partitions.collect::<List<'_, _>>(),
        }
    });
    let response = DeleteRecordsResponse {
        topics: topics.collect(),
        ..DeleteRecordsResponse::default()
    };
    broker.reply(head, &response);
}
