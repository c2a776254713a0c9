//! `millrace group list`: every node is asked for the groups it coordinates.

use crate::client::{ClientArgs, Cluster, check};
use crate::commands::table::{Align, Table};
use anyhow::Result;
use millrace_server::protocol::messages::ListGroupsRequest;
use serde_json::json;
use std::collections::BTreeMap;
use std::io::Write;

/// Options of `group list`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// One JSON object per group
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    client: ClientArgs,
}

struct Listed {
    state: String,
    protocol_type: String,
    group_type: String,
    coordinator: i32,
}

/// Prints the groups by id.
pub(super) fn run(args: &Args) -> Result<()> {
    let mut cluster = Cluster::open(&args.client)?;
    let mut out = std::io::stdout().lock();
    let mut table = Table::new(&[
        ("GROUP", Align::Left),
        ("STATE", Align::Left),
        ("TYPE", Align::Left),
        ("PROTOCOL", Align::Left),
        ("COORDINATOR", Align::Right),
    ]);
    for (group, listed) in groups(&mut cluster)? {
        if args.json {
            let line = json!({
                "group": group,
                "state": listed.state,
                "type": listed.group_type,
                "protocol_type": listed.protocol_type,
                "coordinator": listed.coordinator,
            });
            writeln!(out, "{line}")?;
            continue;
        }
        // A simple consumer's group, which only commits, has no protocol.
        let or_dash = |text: String| {
            if text.is_empty() {
                "-".to_owned()
            } else {
                text
            }
        };
        table.row(vec![
            group,
            or_dash(listed.state),
            or_dash(listed.group_type),
            or_dash(listed.protocol_type),
            listed.coordinator.to_string(),
        ]);
    }
    if !args.json {
        table.print(&mut out, "")?;
    }
    Ok(())
}

fn groups(cluster: &mut Cluster) -> Result<BTreeMap<String, Listed>> {
    let nodes: Vec<i32> = cluster.nodes().keys().copied().collect();
    let mut groups = BTreeMap::new();
    for node in nodes {
        let request = ListGroupsRequest::default();
        let response = cluster.node(node)?.call(&request)?;
        check(response.error_code, &format!("groups of node {node}"), None)?;
        for group in &response.groups {
            let listed = Listed {
                state: group.group_state.to_owned(),
                protocol_type: group.protocol_type.to_owned(),
                group_type: group.group_type.to_owned(),
                coordinator: node,
            };
            groups.insert(group.group_id.to_owned(), listed);
        }
    }
    Ok(groups)
}
