//! AlterConfigs 0-2: replaces all settings of a topic. Broker settings are fixed while it runs.

use super::create_topics::ask_controller;
use crate::broker::BrokerShard;
use crate::net::FrameBytes;
use crate::protocol::ErrorCode;
use crate::protocol::messages::alter_configs_response::AlterConfigsResourceResponse;
use crate::protocol::messages::{AlterConfigsRequest, AlterConfigsResponse};
use crate::request::{Refusal, Request, RequestHead, decode_again};
use crate::topics::controller::{ConfigChange, Job, JobReply};
use crate::topics::planning::Outcome;
use std::borrow::Cow;

/// Resource type of topics.
pub const TOPIC: i8 = 2;
/// Resource type of brokers.
pub const BROKER: i8 = 4;

/// Handles the request.
///
/// # Errors
/// Bytes that are no such request.
pub fn handle(broker: &mut BrokerShard, request: &Request<'_>) -> Result<(), Refusal> {
    let asked: AlterConfigsRequest<'_> = request.decode()?;
    let resources = asked
        .resources
        .iter()
        .filter(|resource| resource.resource_type == TOPIC);
    let topics = resources.map(|resource| {
        let set = resource.configs.iter().map(|config| {
            ConfigChange::Set(config.name.to_owned(), config.value.map(str::to_owned))
        });
        let changes = std::iter::once(ConfigChange::Clear).chain(set).collect();
        (resource.resource_name.to_owned(), changes)
    });
    let job = Job::Configure {
        topics: topics.collect(),
        is_dry: asked.validate_only,
    };
    ask_controller(broker, request, job, finish);
    Ok(())
}

fn finish(broker: &mut BrokerShard, head: &RequestHead, frame: &FrameBytes, reply: &JobReply) {
    let Ok(asked) = decode_again::<AlterConfigsRequest<'_>>(frame) else {
        return;
    };
    let mut outcomes = reply.outcomes.iter();
    let responses = asked.resources.iter().map(|resource| {
        let (error_code, error_message) = said(resource.resource_type, &mut outcomes);
        AlterConfigsResourceResponse {
            error_code,
            error_message,
            resource_type: resource.resource_type,
            resource_name: resource.resource_name,
        }
    });
    let response = AlterConfigsResponse {
        responses: responses.collect(),
        ..AlterConfigsResponse::default()
    };
    broker.reply(head, &response);
}

/// What is said of one resource; topics take the next outcome.
pub fn said<'a>(
    resource_type: i8,
    outcomes: &mut impl Iterator<Item = &'a Outcome>,
) -> (i16, Option<Cow<'a, str>>) {
    if resource_type == TOPIC {
        return outcomes
            .next()
            .map_or((ErrorCode::UnknownServerError.code(), None), |outcome| {
                (
                    outcome.error.code(),
                    outcome.message.as_deref().map(Cow::Borrowed),
                )
            });
    }
    let message = if resource_type == BROKER {
        "broker settings are fixed while it runs; change them in its configuration and restart"
    } else {
        "only topics have settings that can be changed"
    };
    (
        ErrorCode::InvalidRequest.code(),
        Some(Cow::Borrowed(message)),
    )
}
