//! FindCoordinator 0-4: which node leads the group's partition of the offsets topic, the same
//! answer on every shard. The first request for a group creates the topic. Version 4 asks for
//! several. There are no transactions yet, so their coordinator is refused for good.

use super::create_topics::ask_controller;
use crate::broker::BrokerShard;
use crate::config::BrokerSettings;
use crate::groups::offsets_topic::{OFFSETS_TOPIC, configs, partition_of};
use crate::net::FrameBytes;
use crate::protocol::ErrorCode;
use crate::protocol::messages::find_coordinator_response::Coordinator;
use crate::protocol::messages::{FindCoordinatorRequest, FindCoordinatorResponse};
use crate::request::{Refusal, Request, RequestHead, decode_again};
use crate::topics::catalog::{Catalog, Node};
use crate::topics::controller::{Job, JobReply, NewTopic};
use std::borrow::Cow;
use std::sync::Arc;

const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;
const BATCH_VERSION: i16 = 4;

/// Handles the request.
///
/// # Errors
/// Bytes that are no such request.
pub fn handle(broker: &mut BrokerShard, request: &Request<'_>) -> Result<(), Refusal> {
    let asked: FindCoordinatorRequest<'_> = request.decode()?;
    if asked.key_type == GROUP && broker.catalog.topic(OFFSETS_TOPIC).is_none() {
        let job = Job::Create {
            topics: vec![new_offsets_topic(&broker.shared.settings)],
            is_dry: false,
        };
        ask_controller(broker, request, job, respond_after_creation);
    } else {
        respond(broker, &request.head, &asked);
    }
    Ok(())
}

/// The offsets topic as it is created at its first use.
#[must_use]
pub fn new_offsets_topic(settings: &BrokerSettings) -> NewTopic {
    NewTopic {
        name: OFFSETS_TOPIC.to_owned(),
        partitions: settings.groups.offsets_topic_partitions,
        replication_factor: -1,
        configs: configs(&settings.groups),
        ..NewTopic::default()
    }
}

fn respond_after_creation(
    broker: &mut BrokerShard,
    head: &RequestHead,
    frame: &FrameBytes,
    reply: &JobReply,
) {
    for outcome in &reply.outcomes {
        if !outcome.error.is_none() && outcome.error != ErrorCode::TopicAlreadyExists {
            let why = outcome.message.as_deref().unwrap_or_default();
            log::error!(
                "{OFFSETS_TOPIC} cannot be created: {}: {why}",
                outcome.error
            );
        }
    }
    if let Ok(asked) = decode_again::<FindCoordinatorRequest<'_>>(frame) {
        respond(broker, head, &asked);
    }
}

fn respond(broker: &mut BrokerShard, head: &RequestHead, asked: &FindCoordinatorRequest<'_>) {
    let catalog = Arc::clone(&broker.catalog);
    if head.version >= BATCH_VERSION {
        let keys = asked.coordinator_keys.iter();
        let coordinators = keys.map(|key| answer(key, find(&catalog, asked.key_type, key)));
        let response = FindCoordinatorResponse {
            coordinators: coordinators.collect(),
            ..FindCoordinatorResponse::default()
        };
        return broker.reply(head, &response);
    }
    let found = answer(asked.key, find(&catalog, asked.key_type, asked.key));
    let response = FindCoordinatorResponse {
        error_code: found.error_code,
        error_message: found.error_message,
        node_id: found.node_id,
        host: found.host,
        port: found.port,
        ..FindCoordinatorResponse::default()
    };
    broker.reply(head, &response);
}

fn find<'c>(
    catalog: &'c Catalog,
    key_type: i8,
    key: &str,
) -> Result<&'c Node, (ErrorCode, &'static str)> {
    match key_type {
        GROUP => {}
        TRANSACTION => {
            let error = ErrorCode::TransactionalIdAuthorizationFailed;
            return Err((error, "transactions are not supported yet"));
        }
        _ => return Err((ErrorCode::InvalidRequest, "the key type is unknown")),
    }
    let unavailable = (
        ErrorCode::CoordinatorNotAvailable,
        "the offsets topic could not be created",
    );
    let topic = catalog.topic(OFFSETS_TOPIC).ok_or(unavailable)?;
    let count = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
    let place = topic.partition(partition_of(key, count));
    let place = place.ok_or(unavailable)?;
    catalog.node_of(place.shard).ok_or(unavailable)
}

fn answer<'a>(key: &'a str, found: Result<&'a Node, (ErrorCode, &'static str)>) -> Coordinator<'a> {
    match found {
        Ok(node) => Coordinator {
            key,
            node_id: node.id,
            host: &node.host,
            port: i32::from(node.port),
            error_code: ErrorCode::None.code(),
            error_message: None,
        },
        Err((error, why)) => Coordinator {
            key,
            node_id: -1,
            host: "",
            port: -1,
            error_code: error.code(),
            error_message: Some(Cow::Borrowed(why)),
        },
    }
}
