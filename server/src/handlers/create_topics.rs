//! CreateTopics 0-7. One node keeps one replica: a replication factor other than 1 (or -1) is
//! refused. A manual assignment pins a partition to the shard that is the named node, where shards
//! are nodes. Version 1 can check only; 5 answers with the settings; 7 with the topic id.

use crate::broker::{AdminRequest, BrokerShard, Finish};
use crate::config::Described;
use crate::mail::Mail;
use crate::net::FrameBytes;
use crate::protocol::messages::create_topics_response::{
    CreatableTopicConfigs, CreatableTopicResult,
};
use crate::protocol::messages::{CreateTopicsRequest, CreateTopicsResponse};
use crate::protocol::{List, Uuid};
use crate::request::{Refusal, Request, RequestHead, decode_again};
use crate::topics::controller::{Job, JobReply, NewTopic};
use crate::topics::planning::Outcome;
use millrace_engine::ids::ShardId;
use std::borrow::Cow;

/// Handles the request.
///
/// # Errors
/// Bytes that are no such request.
pub fn handle(broker: &mut BrokerShard, request: &Request<'_>) -> Result<(), Refusal> {
    let asked: CreateTopicsRequest<'_> = request.decode()?;
    let topics = asked.topics.iter().map(|topic| NewTopic {
        name: topic.name.to_owned(),
        partitions: topic.num_partitions,
        replication_factor: topic.replication_factor,
        assignments: topic
            .assignments
            .iter()
            .map(|assignment| (assignment.partition_index, assignment.broker_ids.to_vec()))
            .collect(),
        configs: topic
            .configs
            .iter()
            .map(|config| (config.name.to_owned(), config.value.map(str::to_owned)))
            .collect(),
    });
    let job = Job::Create {
        topics: topics.collect(),
        is_dry: asked.validate_only,
    };
    ask_controller(broker, request, job, finish);
    Ok(())
}

/// Sends a job to the controller; `finish` answers the request when it is done.
pub fn ask_controller(broker: &mut BrokerShard, request: &Request<'_>, job: Job, finish: Finish) {
    let waiting = AdminRequest {
        head: request.head,
        frame: request.frame.clone(),
        finish,
    };
    match broker.admin.insert(waiting) {
        Ok(key) => broker.send(ShardId(0), Mail::Job(key.to_bits(), Box::new(job))),
        Err(_) => broker.close(request.head.connection),
    }
}

fn finish(broker: &mut BrokerShard, head: &RequestHead, frame: &FrameBytes, reply: &JobReply) {
    let Ok(asked) = decode_again::<CreateTopicsRequest<'_>>(frame) else {
        return;
    };
    let settings = broker.shared.settings.clone();
    let describe = |outcome: &Outcome| {
        let topic = outcome.topic.as_ref();
        topic.map_or_else(Vec::new, |topic| topic.overrides.describe(&settings))
    };
    let described: Vec<Vec<Described>> = reply.outcomes.iter().map(describe).collect();
    let topics = asked.topics.iter().zip(&reply.outcomes).zip(&described);
    let response = CreateTopicsResponse {
        topics: topics
            .map(|((topic, outcome), described)| result(topic.name, outcome, described))
            .collect(),
        ..CreateTopicsResponse::default()
    };
    broker.reply(head, &response);
}

fn result<'a>(
    name: &'a str,
    outcome: &'a Outcome,
    described: &'a [Described],
) -> CreatableTopicResult<'a> {
    let Some(topic) = outcome.topic.as_ref().filter(|_| outcome.error.is_none()) else {
        return CreatableTopicResult {
            name,
            error_code: outcome.error.code(),
            error_message: outcome.message.as_deref().map(Cow::Borrowed),
            configs: Some(List::new()),
            ..CreatableTopicResult::default()
        };
    };
    let configs = described.iter().map(|entry| CreatableTopicConfigs {
        name: entry.name,
        value: entry.value.as_deref().map(Cow::Borrowed),
        read_only: entry.is_read_only,
        config_source: entry.source as i8,
        is_sensitive: false,
    });
    CreatableTopicResult {
        name,
        topic_id: Uuid(topic.id.0),
        num_partitions: i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX),
        replication_factor: 1,
        configs: Some(configs.collect()),
        ..CreatableTopicResult::default()
    }
}
