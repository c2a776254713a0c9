//! CreatePartitions 0-3: more partitions for a topic that exists.

use super::create_topics::ask_controller;
use crate::broker::BrokerShard;
use crate::net::FrameBytes;
use crate::protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use crate::protocol::messages::{CreatePartitionsRequest, CreatePartitionsResponse};
use crate::request::{Refusal, Request, RequestHead, decode_again};
use crate::topics::controller::{Growth, Job, JobReply};
use std::borrow::Cow;

/// Handles the request.
///
/// # Errors
/// Bytes that are no such request.
pub fn handle(broker: &mut BrokerShard, request: &Request<'_>) -> Result<(), Refusal> {
    let asked: CreatePartitionsRequest<'_> = request.decode()?;
    let topics = asked.topics.iter().map(|topic| Growth {
        name: topic.name.to_owned(),
        count: topic.count,
        assignments: topic.assignments.as_ref().map(|assignments| {
            let node_ids = assignments
                .iter()
                .map(|assigned| assigned.broker_ids.to_vec());
            node_ids.collect()
        }),
    });
    let job = Job::Grow {
        topics: topics.collect(),
        is_dry: asked.validate_only,
    };
    ask_controller(broker, request, job, finish);
    Ok(())
}

fn finish(broker: &mut BrokerShard, head: &RequestHead, frame: &FrameBytes, reply: &JobReply) {
    let Ok(asked) = decode_again::<CreatePartitionsRequest<'_>>(frame) else {
        return;
    };
    let results = asked
        .topics
        .iter()
        .zip(&reply.outcomes)
        .map(|(topic, outcome)| CreatePartitionsTopicResult {
            name: topic.name,
            error_code: outcome.error.code(),
            error_message: outcome.message.as_deref().map(Cow::Borrowed),
        });
    let response = CreatePartitionsResponse {
        results: results.collect(),
        ..CreatePartitionsResponse::default()
    };
    broker.reply(head, &response);
}
