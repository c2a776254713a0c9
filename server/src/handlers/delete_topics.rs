//! DeleteTopics 1-6: by name, since version 6 also by id.

use super::create_topics::ask_controller;
use crate::broker::BrokerShard;
use crate::net::FrameBytes;
use crate::protocol::Uuid;
use crate::protocol::messages::delete_topics_response::DeletableTopicResult;
use crate::protocol::messages::{DeleteTopicsRequest, DeleteTopicsResponse};
use crate::request::decode_again;
use crate::request::{Refusal, Request, RequestHead};
use crate::topics::controller::{Job, JobReply, TopicRef};
use millrace_engine::ids::TopicId;
use std::borrow::Cow;

/// Handles the request.
///
/// # Errors
/// Bytes that are no such request.
pub fn handle(broker: &mut BrokerShard, request: &Request<'_>) -> Result<(), Refusal> {
    let asked: DeleteTopicsRequest<'_> = request.decode()?;
    let job = Job::Delete(wanted(&asked));
    ask_controller(broker, request, job, finish);
    Ok(())
}

fn wanted(asked: &DeleteTopicsRequest<'_>) -> Vec<TopicRef> {
    let by_name = asked
        .topic_names
        .iter()
        .map(|name| TopicRef::Name(name.to_owned()));
    let by_either = asked.topics.iter().map(|topic| match topic.name {
        Some(name) => TopicRef::Name(name.to_owned()),
        None => TopicRef::Id(TopicId(topic.topic_id.0)),
    });
    by_name.chain(by_either).collect()
}

fn finish(broker: &mut BrokerShard, head: &RequestHead, frame: &FrameBytes, reply: &JobReply) {
    let Ok(asked) = decode_again::<DeleteTopicsRequest<'_>>(frame) else {
        return;
    };
    let wanted = wanted(&asked);
    let responses = wanted.iter().zip(&reply.outcomes).map(|(wanted, outcome)| {
        let topic = outcome.topic.as_ref();
        let (name, id) = match wanted {
            TopicRef::Name(name) => (Some(name.as_str()), topic.map(|topic| topic.id.0)),
            TopicRef::Id(id) => (topic.map(|topic| &*topic.name), Some(id.0)),
        };
        DeletableTopicResult {
            name,
            topic_id: id.map_or(Uuid::ZERO, Uuid),
            error_code: outcome.error.code(),
            error_message: outcome.message.as_deref().map(Cow::Borrowed),
        }
    });
    let response = DeleteTopicsResponse {
        responses: responses.collect(),
        ..DeleteTopicsResponse::default()
    };
    broker.reply(head, &response);
}
