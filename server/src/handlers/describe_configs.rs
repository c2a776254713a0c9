//! DescribeConfigs 1-4: settings of topics and of the node that is asked, with their sources.
//! Loggers and other resources have none.

use super::alter_configs::{BROKER, TOPIC};
use crate::broker::BrokerShard;
use crate::config::Described;
use crate::protocol::messages::describe_configs_request::DescribeConfigsResource;
use crate::protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use crate::protocol::messages::{DescribeConfigsRequest, DescribeConfigsResponse};
use crate::protocol::{ErrorCode, List};
use crate::request::{Refusal, Request};
use std::borrow::Cow;

type Answer = Result<Vec<Described>, (ErrorCode, String)>;

/// Handles the request.
///
/// # Errors
/// Bytes that are no such request.
pub fn handle(broker: &mut BrokerShard, request: &Request<'_>) -> Result<(), Refusal> {
    let asked: DescribeConfigsRequest<'_> = request.decode()?;
    let answers: Vec<Answer> = asked
        .resources
        .iter()
        .map(|resource| describe(broker, &resource))
        .collect();
    let results = asked
        .resources
        .iter()
        .zip(&answers)
        .map(|(resource, answer)| {
            let mut result = DescribeConfigsResult {
                resource_type: resource.resource_type,
                resource_name: resource.resource_name,
                ..DescribeConfigsResult::default()
            };
            match answer {
                Ok(described) => {
                    let wanted = described
                        .iter()
                        .filter(|entry| is_wanted(&resource, entry.name));
                    result.configs = wanted.map(|entry| entry_of(entry, &asked)).collect();
                }
                Err((error, message)) => {
                    result.error_code = error.code();
                    result.error_message = Some(Cow::Borrowed(message.as_str()));
                }
            }
            result
        });
    let response = DescribeConfigsResponse {
        results: results.collect(),
        ..DescribeConfigsResponse::default()
    };
    broker.reply(&request.head, &response);
    Ok(())
}

fn describe(broker: &BrokerShard, resource: &DescribeConfigsResource<'_>) -> Answer {
    let name = resource.resource_name;
    match resource.resource_type {
        TOPIC => match broker.catalog.topic(name) {
            Some(topic) => Ok(topic.overrides.describe(&broker.shared.settings)),
            None => Err((
                ErrorCode::UnknownTopicOrPartition,
                format!("there is no topic {name}"),
            )),
        },
        BROKER => {
            let own = broker.catalog.node_of(broker.me).map_or(-1, |node| node.id);
            // KAFKA: an empty name asks for cluster-wide defaults, of which there are none.
            if name.is_empty() {
                Ok(Vec::new())
            } else if name.parse() == Ok(own) {
                Ok(broker.shared.settings.describe())
            } else {
                let message = format!("this is node {own}, not {name:?}; ask that node");
                Err((ErrorCode::InvalidRequest, message))
            }
        }
        other => Err((
            ErrorCode::InvalidRequest,
            format!("resources of type {other} have no settings here"),
        )),
    }
}

fn is_wanted(resource: &DescribeConfigsResource<'_>, name: &str) -> bool {
    let keys = resource.configuration_keys.as_ref();
    keys.is_none_or(|keys| keys.iter().any(|key| key == name))
}

fn entry_of<'a>(
    entry: &'a Described,
    asked: &DescribeConfigsRequest<'_>,
) -> DescribeConfigsResourceResult<'a> {
    let synonyms = entry.synonyms.iter().map(|synonym| DescribeConfigsSynonym {
        name: synonym.name,
        value: synonym.value.as_deref().map(Cow::Borrowed),
        source: synonym.source as i8,
    });
    DescribeConfigsResourceResult {
        name: entry.name,
        value: entry.value.as_deref().map(Cow::Borrowed),
        read_only: entry.is_read_only,
        config_source: entry.source as i8,
        is_sensitive: false,
        synonyms: if asked.include_synonyms {
            synonyms.collect()
        } else {
            List::new()
        },
        config_type: entry.kind.code(),
        documentation: asked.include_documentation.then_some(entry.documentation),
    }
}
