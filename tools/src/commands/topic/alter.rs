//! `millrace topic alter`: configs and the number of partitions.

use super::{TOPIC_RESOURCE, timeout_ms};
use crate::client::{ClientArgs, Cluster, check};
use crate::commands::parse_pair;
use anyhow::{Result, bail};
use millrace_server::protocol::messages::create_partitions_request::{
    CreatePartitionsRequest, CreatePartitionsTopic,
};
use millrace_server::protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};

// KAFKA: operations of KIP-339.
const SET: i8 = 0;
const DELETE: i8 = 1;

/// Options of `topic alter`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Names
    #[arg(required = true, value_name = "TOPIC")]
    names: Vec<String>,
    /// Sets a config, such as retention.ms=86400000; may be repeated
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = parse_pair)]
    set: Vec<(String, String)>,
    /// Puts a config back to its default; may be repeated
    #[arg(short, long, value_name = "KEY")]
    delete: Vec<String>,
    /// Adds partitions until there are this many; keys may go to other partitions from then on
    #[arg(short, long, value_name = "COUNT")]
    partitions: Option<i32>,
    /// Only checks whether the broker would do it
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    client: ClientArgs,
}

/// Changes configs, then partitions.
pub(super) fn run(args: &Args) -> Result<()> {
    if args.set.is_empty() && args.delete.is_empty() && args.partitions.is_none() {
        bail!("nothing to change; give --set, --delete or --partitions");
    }
    let mut cluster = Cluster::open(&args.client)?;
    if !args.set.is_empty() || !args.delete.is_empty() {
        change_configs(&mut cluster, args)?;
    }
    if let Some(count) = args.partitions {
        add_partitions(&mut cluster, args, count)?;
    }
    Ok(())
}

fn change_configs(cluster: &mut Cluster, args: &Args) -> Result<()> {
    let sets = args.set.iter().map(|(name, value)| AlterableConfig {
        name,
        config_operation: SET,
        value: Some(value),
    });
    let deletes = args.delete.iter().map(|name| AlterableConfig {
        name,
        config_operation: DELETE,
        value: None,
    });
    let configs: Vec<AlterableConfig<'_>> = sets.chain(deletes).collect();
    let resources: Vec<AlterConfigsResource<'_>> = args
        .names
        .iter()
        .map(|name| AlterConfigsResource {
            resource_type: TOPIC_RESOURCE,
            resource_name: name,
            configs: configs.as_slice().into(),
        })
        .collect();
    let request = IncrementalAlterConfigsRequest {
        resources: resources.into(),
        validate_only: args.dry_run,
    };
    let response = cluster.controller()?.call(&request)?;
    for result in &response.responses {
        let object = format!("configs of topic {}", result.resource_name);
        check(result.error_code, &object, result.error_message.as_deref())?;
        println!(
            "{} configs of topic {}",
            done("changed", args),
            result.resource_name
        );
    }
    Ok(())
}

fn add_partitions(cluster: &mut Cluster, args: &Args, count: i32) -> Result<()> {
    let topics: Vec<CreatePartitionsTopic<'_>> = args
        .names
        .iter()
        .map(|name| CreatePartitionsTopic {
            name,
            count,
            assignments: None,
        })
        .collect();
    let request = CreatePartitionsRequest {
        topics: topics.into(),
        timeout_ms: timeout_ms(cluster),
        validate_only: args.dry_run,
    };
    let response = cluster.controller()?.call(&request)?;
    for result in &response.results {
        let object = format!("topic {}", result.name);
        check(result.error_code, &object, result.error_message.as_deref())?;
        println!(
            "{} topic {} to {count} partitions",
            done("grew", args),
            result.name
        );
    }
    Ok(())
}

const fn done<'a>(verb: &'a str, args: &Args) -> &'a str {
    if args.dry_run { "would change" } else { verb }
}
