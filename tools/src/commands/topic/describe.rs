//! `millrace topic describe`: partitions, leaders, offsets and configs, as text or JSON.

use super::TOPIC_RESOURCE;
use crate::client::{At, ClientArgs, Cluster, Topic, check, list_offsets};
use crate::commands::table::{Align, Table};
use anyhow::Result;
use millrace_server::protocol::Uuid;
use millrace_server::protocol::messages::describe_configs_request::{
    DescribeConfigsRequest, DescribeConfigsResource,
};
use serde_json::{Value, json};
use std::io::Write;

/// Values a user gave, in DescribeConfigs.
const TOPIC_SOURCE: i8 = 1;

/// Options of `topic describe`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Names; all topics when none is given
    #[arg(value_name = "TOPIC")]
    names: Vec<String>,
    /// All configs, not only those that were set
    #[arg(long)]
    all_configs: bool,
    /// One JSON object per topic
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    client: ClientArgs,
}

/// A partition as it is shown.
struct Partition {
    index: i32,
    leader: i32,
    address: String,
    leader_epoch: i32,
    log_start: Option<i64>,
    high_watermark: Option<i64>,
}

/// Describes the topics named, or all.
pub(super) fn run(args: &Args) -> Result<()> {
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
        let partitions = partitions(&mut cluster, topic)?;
        let configs = configs(&mut cluster, topic, args.all_configs)?;
        if args.json {
            writeln!(out, "{}", to_json(topic, &partitions, &configs))?;
        } else {
            print(&mut out, topic, &partitions, &configs)?;
        }
    }
    Ok(())
}

fn partitions(cluster: &mut Cluster, topic: &Topic) -> Result<Vec<Partition>> {
    let starts = list_offsets(cluster, topic, At::Earliest)?;
    let ends = list_offsets(cluster, topic, At::Latest)?;
    let described = topic
        .leaders
        .iter()
        .map(|(&index, &(leader, leader_epoch))| Partition {
            index,
            leader,
            address: cluster
                .nodes()
                .get(&leader)
                .cloned()
                .unwrap_or_else(|| "unknown".to_owned()),
            leader_epoch,
            log_start: starts.get(&index).copied(),
            high_watermark: ends.get(&index).copied(),
        });
    Ok(described.collect())
}

fn configs(
    cluster: &mut Cluster,
    topic: &Topic,
    is_all: bool,
) -> Result<Vec<(String, Option<String>)>> {
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
    let mut configs = Vec::new();
    for result in &response.results {
        let object = format!("configs of topic {}", topic.name);
        check(result.error_code, &object, result.error_message.as_deref())?;
        for config in &result.configs {
            if is_all || config.config_source == TOPIC_SOURCE {
                let value = config.value.as_deref().map(str::to_owned);
                configs.push((config.name.to_owned(), value));
            }
        }
    }
    Ok(configs)
}

fn hex(id: Uuid) -> String {
    id.0.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn print(
    out: &mut impl Write,
    topic: &Topic,
    partitions: &[Partition],
    configs: &[(String, Option<String>)],
) -> Result<()> {
    let count = partitions.len();
    let plural = if count == 1 { "" } else { "s" };
    writeln!(out, "topic {}, {count} partition{plural}", topic.name)?;
    if topic.id != Uuid::ZERO {
        writeln!(out, "  id {}", hex(topic.id))?;
    }
    for (name, value) in configs {
        let value = value.as_deref().unwrap_or("(not shown)");
        writeln!(out, "  config {name}={value}")?;
    }
    let mut table = Table::new(&[
        ("PARTITION", Align::Right),
        ("LEADER", Align::Right),
        ("ADDRESS", Align::Left),
        ("EPOCH", Align::Right),
        ("LOG START", Align::Right),
        ("HIGH WATERMARK", Align::Right),
    ]);
    let offset = |offset: Option<i64>| offset.map_or("-".to_owned(), |offset| offset.to_string());
    for partition in partitions {
        table.row(vec![
            partition.index.to_string(),
            partition.leader.to_string(),
            partition.address.clone(),
            partition.leader_epoch.to_string(),
            offset(partition.log_start),
            offset(partition.high_watermark),
        ]);
    }
    table.print(out, "  ")?;
    Ok(())
}

fn to_json(topic: &Topic, partitions: &[Partition], configs: &[(String, Option<String>)]) -> Value {
    let partitions: Vec<Value> = partitions
        .iter()
        .map(|partition| {
            json!({
                "partition": partition.index,
                "leader": partition.leader,
                "address": partition.address,
                "leader_epoch": partition.leader_epoch,
                "log_start": partition.log_start,
                "high_watermark": partition.high_watermark,
            })
        })
        .collect();
    let configs: serde_json::Map<String, Value> = configs
        .iter()
        .map(|(name, value)| (name.clone(), json!(value)))
        .collect();
    json!({
        "topic": topic.name,
        "id": (topic.id != Uuid::ZERO).then(|| hex(topic.id)),
        "partitions": partitions,
        "configs": configs,
    })
}
