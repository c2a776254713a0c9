//! Metadata 0-12: nodes, topics, who leads which partition.
//!
//! Version 1 tells null (all topics) from empty (none); 4 asks whether missing topics are created;
//! 10 asks by topic id. A missing topic is created by the controller before the answer, which then
//! shows it. Offline replicas, racks and authorized operations are always empty.

use super::create_topics::ask_controller;
use super::find_coordinator::new_offsets_topic;
use crate::broker::BrokerShard;
use crate::config::BrokerSettings;
use crate::groups::offsets_topic::is_internal;
use crate::net::FrameBytes;
use crate::protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use crate::protocol::messages::{MetadataRequest, MetadataResponse};
use crate::protocol::{ErrorCode, List, Uuid};
use crate::request::{Refusal, Request, RequestHead, decode_again};
use crate::topics::catalog::{Catalog, Topic};
use crate::topics::controller::{Job, JobReply, NewTopic};
use crate::topics::name::illegal_because;
use millrace_engine::ids::TopicId;
use std::sync::Arc;

/// Topics that one request may create.
const CREATED_MAX: usize = 1000;

/// Handles the request.
///
/// # Errors
/// Bytes that are no such request.
pub fn handle(broker: &mut BrokerShard, request: &Request<'_>) -> Result<(), Refusal> {
    let asked: MetadataRequest<'_> = request.decode()?;
    let missing = if asked.allow_auto_topic_creation && broker.shared.settings.auto_create_topics {
        missing_topics(&asked, &broker.catalog, &broker.shared.settings)
    } else {
        Vec::new()
    };
    if missing.is_empty() {
        respond(broker, &request.head, &asked, None);
        return Ok(());
    }
    let job = Job::Create {
        topics: missing,
        is_dry: false,
    };
    ask_controller(broker, request, job, respond_after_creation);
    Ok(())
}

fn missing_topics(
    asked: &MetadataRequest<'_>,
    catalog: &Catalog,
    settings: &BrokerSettings,
) -> Vec<NewTopic> {
    let mut missing: Vec<NewTopic> = Vec::new();
    for name in asked.topics.iter().flatten().filter_map(|topic| topic.name) {
        let is_new = catalog.topic(name).is_none()
            && illegal_because(name).is_none()
            && missing.len() < CREATED_MAX
            && !missing.iter().any(|topic| topic.name == name);
        if is_new && is_internal(name) {
            missing.push(new_offsets_topic(settings));
        } else if is_new {
            missing.push(NewTopic {
                name: name.to_owned(),
                partitions: -1,
                replication_factor: -1,
                ..NewTopic::default()
            });
        }
    }
    missing
}

fn respond_after_creation(
    broker: &mut BrokerShard,
    head: &RequestHead,
    frame: &FrameBytes,
    reply: &JobReply,
) {
    let Ok(asked) = decode_again::<MetadataRequest<'_>>(frame) else {
        return;
    };
    // What could not be created is said where the topic is missing.
    let mut errors = reply.outcomes.iter().map(|outcome| outcome.error);
    let failure = errors.find(|error| !error.is_none() && *error != ErrorCode::TopicAlreadyExists);
    respond(broker, head, &asked, failure);
}

fn respond(
    broker: &mut BrokerShard,
    head: &RequestHead,
    asked: &MetadataRequest<'_>,
    failure: Option<ErrorCode>,
) {
    let catalog = Arc::clone(&broker.catalog);
    // KAFKA: version 0 cannot say null, its empty list means all.
    let is_all = match &asked.topics {
        None => true,
        Some(topics) => topics.is_empty() && head.version == 0,
    };
    let topics: Vec<MetadataResponseTopic<'_>> = if is_all {
        catalog
            .topics()
            .map(|topic| known(topic, &catalog))
            .collect()
    } else {
        let wanted = asked.topics.iter().flatten();
        wanted
            .map(|topic| match topic.name {
                Some(name) => by_name(name, &catalog, failure),
                None => by_id(topic.topic_id, &catalog),
            })
            .collect()
    };
    let response = MetadataResponse {
        brokers: catalog
            .nodes
            .iter()
            .map(|node| MetadataResponseBroker {
                node_id: node.id,
                host: &node.host,
                port: i32::from(node.port),
                rack: None,
            })
            .collect(),
        cluster_id: Some(&catalog.cluster_id),
        controller_id: catalog.controller_id(),
        topics: topics.into(),
        ..MetadataResponse::default()
    };
    broker.reply(head, &response);
}

fn by_name<'a>(
    name: &'a str,
    catalog: &'a Catalog,
    failure: Option<ErrorCode>,
) -> MetadataResponseTopic<'a> {
    if let Some(topic) = catalog.topic(name) {
        return known(topic, catalog);
    }
    let error = if illegal_because(name).is_some() {
        ErrorCode::InvalidTopicException
    } else {
        failure.unwrap_or(ErrorCode::UnknownTopicOrPartition)
    };
    MetadataResponseTopic {
        error_code: error.code(),
        name: Some(name),
        ..MetadataResponseTopic::default()
    }
}

fn by_id(id: Uuid, catalog: &Catalog) -> MetadataResponseTopic<'_> {
    match catalog.topic_by_id(TopicId(id.0)) {
        Some(topic) => known(topic, catalog),
        None => MetadataResponseTopic {
            error_code: ErrorCode::UnknownTopicId.code(),
            topic_id: id,
            // KAFKA: the name may be null only since version 12.
            name: Some(""),
            ..MetadataResponseTopic::default()
        },
    }
}

fn known<'a>(topic: &'a Topic, catalog: &'a Catalog) -> MetadataResponseTopic<'a> {
    let partitions = topic
        .partitions
        .iter()
        .zip(0_i32..)
        .map(|(place, partition_index)| {
            let leader_id = catalog.node_of(place.shard).map_or(-1, |node| node.id);
            MetadataResponsePartition {
                partition_index,
                leader_id,
                // KAFKA: librdkafka fetches with epoch 0 when told none, and would be fenced.
                leader_epoch: place.leader_epoch,
                replica_nodes: List::from([leader_id]),
                isr_nodes: List::from([leader_id]),
                ..MetadataResponsePartition::default()
            }
        });
    MetadataResponseTopic {
        name: Some(&topic.name),
        is_internal: is_internal(&topic.name),
        topic_id: Uuid(topic.id.0),
        partitions: partitions.collect(),
        ..MetadataResponseTopic::default()
    }
}
