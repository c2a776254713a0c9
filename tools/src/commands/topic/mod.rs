//! `millrace topic`: create, list, describe, delete.

use super::parse_pair;
use crate::client::{ClientArgs, Cluster, Topic, check};
use anyhow::{Context, Result, bail};
use millrace_server::protocol::messages::create_topics_request::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use millrace_server::protocol::messages::delete_topics_request::{
    DeleteTopicState, DeleteTopicsRequest,
};
use millrace_server::protocol::messages::describe_configs_request::{
    DescribeConfigsRequest, DescribeConfigsResource,
};
use millrace_server::protocol::messages::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use millrace_server::protocol::{ApiKey, ErrorCode, Uuid};
use std::collections::BTreeMap;
use std::io::Write;

/// A topic's configs, in DescribeConfigs.
const TOPIC_RESOURCE: i8 = 2;
/// Values a user gave, in DescribeConfigs.
const TOPIC_SOURCE: i8 = 1;
const LATEST: i64 = -1;
const EARLIEST: i64 = -2;

/// The commands.
#[derive(clap::Subcommand, Debug)]
pub(crate) enum Command {
    /// Creates topics
    Create(Create),
    /// Prints the names of topics
    List(List),
    /// Prints partitions, leaders, offsets and configs of topics
    Describe(Describe),
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
    #[command(flatten)]
    client: ClientArgs,
}

/// Options of `topic describe`.
#[derive(clap::Args, Debug)]
pub(crate) struct Describe {
    /// Names; all topics when none is given
    #[arg(value_name = "TOPIC")]
    names: Vec<String>,
    /// All configs, not only those that were set
    #[arg(long)]
    all_configs: bool,
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
        Command::Describe(args) => describe(args),
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
        if args.internal || !topic.is_internal {
            writeln!(out, "{}", topic.name)?;
        }
    }
    Ok(())
}

fn describe(args: &Describe) -> Result<()> {
    let mut cluster = Cluster::open(&args.client)?;
    let topics = if args.names.is_empty() {
        cluster.topics()?
    } else {
        let names = args.names.iter();
        names
            .map(|name| cluster.topic(name, false))
            .collect::<Result<_>>()?
    };
    let mut out = std::io::stdout().lock();
    for topic in &topics {
        writeln!(
            out,
            "topic {}, {} partitions",
            topic.name,
            topic.leaders.len()
        )?;
        if topic.id != Uuid::ZERO {
            let hex: String = topic
                .id
                .0
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            writeln!(out, "  id {hex}")?;
        }
        let starts = list_offsets(&mut cluster, topic, EARLIEST)?;
        let ends = list_offsets(&mut cluster, topic, LATEST)?;
        for (index, (leader, epoch)) in &topic.leaders {
            let start = starts.get(index).copied().unwrap_or(-1);
            let end = ends.get(index).copied().unwrap_or(-1);
            let address = cluster
                .nodes()
                .get(leader)
                .map_or("unknown", String::as_str);
            writeln!(
                out,
                "  partition {index}: leader {leader} ({address}), epoch {epoch}, \
                 log start {start}, high watermark {end}"
            )?;
        }
        describe_configs(&mut cluster, topic, args.all_configs, &mut out)?;
    }
    Ok(())
}

fn describe_configs(
    cluster: &mut Cluster,
    topic: &Topic,
    is_all: bool,
    out: &mut impl Write,
) -> Result<()> {
    let request = DescribeConfigsRequest {
        resources: [DescribeConfigsResource {
            resource_type: TOPIC_RESOURCE,
            resource_name: &topic.name,
            configuration_keys: None,
        }]
        .into(),
        ..DescribeConfigsRequest::default()
    };
    let response = cluster.controller()?.call(&request)?;
    for result in &response.results {
        let object = format!("configs of topic {}", topic.name);
        check(result.error_code, &object, result.error_message.as_deref())?;
        for config in &result.configs {
            if is_all || config.config_source == TOPIC_SOURCE {
                let value = config.value.as_deref().unwrap_or("(not shown)");
                writeln!(out, "  config {}={value}", config.name)?;
            }
        }
    }
    Ok(())
}

/// Offsets of all partitions of a topic by timestamp, earliest (-2) or latest (-1).
pub(super) fn list_offsets(
    cluster: &mut Cluster,
    topic: &Topic,
    timestamp: i64,
) -> Result<BTreeMap<i32, i64>> {
    let mut by_leader: BTreeMap<i32, Vec<ListOffsetsPartition>> = BTreeMap::new();
    for (&partition_index, &(leader, _)) in &topic.leaders {
        by_leader
            .entry(leader)
            .or_default()
            .push(ListOffsetsPartition {
                partition_index,
                current_leader_epoch: -1,
                timestamp,
            });
    }
    let mut offsets = BTreeMap::new();
    for (leader, partitions) in by_leader {
        let request = ListOffsetsRequest {
            replica_id: -1,
            isolation_level: 0,
            topics: [ListOffsetsTopic {
                name: &topic.name,
                partitions: partitions.into(),
            }]
            .into(),
        };
        let response = cluster.node(leader)?.call(&request)?;
        for partition in response
            .topics
            .iter()
            .flat_map(|topic| topic.partitions.to_vec())
        {
            let object = format!(
                "topic {} partition {}",
                topic.name, partition.partition_index
            );
            check(partition.error_code, &object, None)?;
            offsets.insert(partition.partition_index, partition.offset);
        }
    }
    Ok(offsets)
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
