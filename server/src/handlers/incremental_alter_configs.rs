//! IncrementalAlterConfigs 0-1: sets, unsets, appends to and subtracts from a topic's settings.

use super::alter_configs::{TOPIC, said};
use super::create_topics::ask_controller;
use crate::broker::BrokerShard;
use crate::net::FrameBytes;
use crate::protocol::messages::incremental_alter_configs_response as message;
use crate::protocol::messages::{IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse};
use crate::request::{Refusal, Request, RequestHead, decode_again};
use crate::topics::controller::{ConfigChange, Job, JobReply};

/// Handles the request.
///
/// # Errors
/// Bytes that are no such request.
pub fn handle(broker: &mut BrokerShard, request: &Request<'_>) -> Result<(), Refusal> {
    let asked: IncrementalAlterConfigsRequest<'_> = request.decode()?;
    let resources = asked
        .resources
        .iter()
        .filter(|resource| resource.resource_type == TOPIC);
    let topics = resources.map(|resource| {
        let changes = resource.configs.iter().map(|config| {
            let name = config.name.to_owned();
            let value = config.value.unwrap_or_default().to_owned();
            match config.config_operation {
                0 => ConfigChange::Set(name, config.value.map(str::to_owned)),
                1 => ConfigChange::Unset(name),
                2 => ConfigChange::Append(name, value),
                3 => ConfigChange::Subtract(name, value),
                // No key has this name: the whole resource is refused with it.
                other => ConfigChange::Unset(format!("{name} with operation {other}")),
            }
        });
        (resource.resource_name.to_owned(), changes.collect())
    });
    let job = Job::Configure {
        topics: topics.collect(),
        is_dry: asked.validate_only,
    };
    ask_controller(broker, request, job, finish);
    Ok(())
}

fn finish(broker: &mut BrokerShard, head: &RequestHead, frame: &FrameBytes, reply: &JobReply) {
    let Ok(asked) = decode_again::<IncrementalAlterConfigsRequest<'_>>(frame) else {
        return;
    };
    let mut outcomes = reply.outcomes.iter();
    let responses = asked.resources.iter().map(|resource| {
        let (error_code, error_message) = said(resource.resource_type, &mut outcomes);
        message::AlterConfigsResourceResponse {
            error_code,
            error_message,
            resource_type: resource.resource_type,
            resource_name: resource.resource_name,
        }
    });
    let response = IncrementalAlterConfigsResponse {
        responses: responses.collect(),
        ..IncrementalAlterConfigsResponse::default()
    };
    broker.reply(head, &response);
}
