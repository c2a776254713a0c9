//! `millrace topic`: create, list, describe, alter, delete.

mod alter;
mod describe;

use super::parse_pair;
use crate::client::{ClientArgs, Cluster, check};
use anyhow::{Context, Result, bail};
use millrace_server::protocol::messages::create_topics_request::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use millrace_server::protocol::messages::delete_topics_request::{
    DeleteTopicState, DeleteTopicsRequest,
};
use millrace_server::protocol::{ApiKey, ErrorCode, Uuid};
use serde_json::json;
use std::io::Write;

/// A topic's configs, in DescribeConfigs.
const TOPIC_RESOURCE: i8 = 2;

/// The commands.
#[derive(clap::Subcommand, Debug)]
pub(crate) enum Command {
    /// Creates topics
    Create(Create),
    /// Prints the names of topics
    List(List),
    /// Prints partitions, leaders, offsets and configs of topics
    Describe(describe::Args),
    /// Sets configs of topics, puts them back, adds partitions
    Alter(alter::Args),
    /// Deletes topics with all their records
    Delete(Delete),
}

/// Options of `topic create`.
#[derive(clap::Args, Debug)]
pub(crate) struct Create {
    /// Names
    #[arg(required = true, value_name = "TOPIC")]
    names: Vec<String>,
    /// Partitions; -1 takes the broker's num.partitions
    #[arg(short, long, default_value_t = 1, allow_negative_numbers = true)]
    partitions: i32,
    /// Copies; -1 takes the broker's default
    #[arg(long, default_value_t = -1, allow_negative_numbers = true)]
    replication_factor: i16,
    /// A config of the topic, such as retention.ms=86400000; may be repeated
    #[arg(short, long = "config", value_name = "KEY=VALUE", value_parser = parse_pair)]
    configs: Vec<(String, String)>,
    /// A topic that exists is no error
    #[arg(long)]
    if_not_exists: bool,
    #[command(flatten)]
    client: ClientArgs,
}

/// Options of `topic list`.
#[derive(clap::Args, Debug)]
pub(crate) struct List {
    /// Also the brokers' own topics
    #[arg(long)]
    internal: bool,
    /// One JSON object per topic: name, number of partitions, whether it is internal
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    client: ClientArgs,
}

/// Options of `topic delete`.
#[derive(clap::Args, Debug)]
pub(crate) struct Delete {
    /// Names
    #[arg(required = true, value_name = "TOPIC")]
    names: Vec<String>,
    /// A topic that does not exist is no error
    #[arg(long)]
    if_exists: bool,
    #[command(flatten)]
    client: ClientArgs,
}

/// Runs one of them.
pub(crate) fn run(command: &Command) -> Result<()> {
    match command {
        Command::Create(args) => create(args),
        Command::List(args) => list(args),
        Command::Describe(args) => describe::run(args),
        Command::Alter(args) => alter::run(args),
        Command::Delete(args) => delete(args),
    }
}

fn create(args: &Create) -> Result<()> {
    let mut cluster = Cluster::open(&args.client)?;
    let configs: Vec<CreatableTopicConfig<'_>> = args
        .configs
        .iter()
        .map(|(name, value)| CreatableTopicConfig {
            name,
            value: Some(value),
        })
        .collect();
    let timeout_ms = timeout_ms(&cluster);
    let controller = cluster.controller()?;
    // Before version 4 the broker's default could not be asked for.
    let takes_default = controller.version(ApiKey::CreateTopics)? >= 4;
    let replication_factor = match args.replication_factor {
        -1 if !takes_default => 1,
        factor => factor,
    };
    let topics: Vec<CreatableTopic<'_>> = args
        .names
        .iter()
        .map(|name| CreatableTopic {
            name,
            num_partitions: args.partitions,
            replication_factor,
            assignments: Vec::new().into(),
            configs: configs.as_slice().into(),
        })
        .collect();
    let request = CreateTopicsRequest {
        topics: topics.into(),
        timeout_ms,
        validate_only: false,
    };
    let response = controller.call(&request)?;
    for result in &response.topics {
        let exists = ErrorCode::TopicAlreadyExists.code();
        if args.if_not_exists && result.error_code == exists {
            println!("topic {} exists", result.name);
            continue;
        }
        let object = format!("topic {}", result.name);
        check(result.error_code, &object, result.error_message.as_deref())?;
        println!("created topic {}", result.name);
    }
    Ok(())
}

fn list(args: &List) -> Result<()> {
    let mut cluster = Cluster::open(&args.client)?;
    let mut out = std::io::stdout().lock();
    for topic in cluster.topics()? {
        if topic.is_internal && !args.internal {
            continue;
        }
        if args.json {
            let partitions = topic.leaders.len();
            let line = json!({
                "topic": topic.name, "partitions": partitions, "is_internal": topic.is_internal,
            });
            writeln!(out, "{line}")?;
        } else {
            writeln!(out, "{}", topic.name)?;
        }
    }
    Ok(())
}

fn delete(args: &Delete) -> Result<()> {
    let mut cluster = Cluster::open(&args.client)?;
    let timeout_ms = timeout_ms(&cluster);
    // Version 6 names topics in another field than the versions before.
    let names: Vec<&str> = args.names.iter().map(String::as_str).collect();
    let states: Vec<DeleteTopicState<'_>> = names
        .iter()
        .map(|name| DeleteTopicState {
            name: Some(name),
            topic_id: Uuid::ZERO,
        })
        .collect();
    let request = DeleteTopicsRequest {
        topics: states.into(),
        topic_names: names.into(),
        timeout_ms,
    };
    let response = cluster.controller()?.call(&request)?;
    let mut missing = 0;
    for result in &response.responses {
        let name = result
            .name
            .context("the broker answered for a topic without a name")?;
        let is_unknown = result.error_code == ErrorCode::UnknownTopicOrPartition.code();
        if args.if_exists && is_unknown {
            missing += 1;
            continue;
        }
        check(
            result.error_code,
            &format!("topic {name}"),
            result.error_message.as_deref(),
        )?;
        println!("deleted topic {name}");
    }
    if response.responses.len() != args.names.len() {
        bail!(
            "the broker answered for {} topics",
            response.responses.len()
        );
    }
    if missing > 0 {
        println!("{missing} topics did not exist");
    }
    Ok(())
}

fn timeout_ms(cluster: &Cluster) -> i32 {
    i32::try_from(cluster.timeout().as_millis()).unwrap_or(i32::MAX)
}
