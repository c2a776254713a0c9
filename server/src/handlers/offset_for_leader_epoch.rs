//! OffsetForLeaderEpoch 2-4: where a leader epoch ended, so that a client can tell whether records
//! it has seen are still there.

use super::question::{Answer, Question};
use crate::broker::BrokerShard;
use crate::net::FrameBytes;
use crate::protocol::messages::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderTopicResult,
};
use crate::protocol::messages::{OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse};
use crate::protocol::{ErrorCode, List};
use crate::request::{Refusal, Request, RequestHead, decode_again};

/// Handles the request.
///
/// # Errors
/// Bytes that are no such request.
pub fn handle(broker: &mut BrokerShard, request: &Request<'_>) -> Result<(), Refusal> {
    let asked: OffsetForLeaderEpochRequest<'_> = request.decode()?;
    let mut places = Vec::new();
    for topic in &asked.topics {
        for partition in &topic.partitions {
            let question = Question::EndOfEpoch {
                leader_epoch: partition.current_leader_epoch,
                epoch: partition.leader_epoch,
            };
            let place = broker.find(topic.topic, partition.partition);
            places.push(place.map(|(place, _)| (place.shard, place.handle, question)));
        }
    }
    broker.ask(request, &places, finish);
    Ok(())
}

fn finish(broker: &mut BrokerShard, head: &RequestHead, frame: &FrameBytes, answers: &[Answer]) {
    let Ok(asked) = decode_again::<OffsetForLeaderEpochRequest<'_>>(frame) else {
        return;
    };
    let mut answers = answers.iter();
    let topics = asked.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            let answer = answers.next().copied();
            let answer = answer.unwrap_or(Answer::error(ErrorCode::UnknownServerError));
            EpochEndOffset {
                error_code: answer.error.code(),
                partition: partition.partition,
                leader_epoch: answer.leader_epoch,
                end_offset: answer.offset,
            }
        });
        OffsetForLeaderTopicResult {
            topic: topic.topic,
            partitions: partitions.collect::<List<'_, _>>(),
        }
    });
    let response = OffsetForLeaderEpochResponse {
        topics: topics.collect(),
        ..OffsetForLeaderEpochResponse::default()
    };
    broker.reply(head, &response);
}
