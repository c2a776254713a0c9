//! `millrace group`: list, describe, reset-offsets, delete. For the consumer groups of any Kafka
//! broker.

mod describe;
mod list;
mod reset;
mod targets;

use crate::client::{ClientArgs, Cluster, Coordinator, check};
use anyhow::{Result, bail};
use millrace_server::protocol::ErrorCode;
use millrace_server::protocol::messages::DeleteGroupsRequest;

/// The commands.
#[derive(clap::Subcommand, Debug)]
pub(crate) enum Command {
    /// Prints groups with state and coordinator
    List(list::Args),
    /// Prints members, what each has, and how far each partition is behind
    Describe(describe::Args),
    /// Moves the committed offsets of a group without members; shows the plan unless --execute
    ResetOffsets(reset::Args),
    /// Deletes groups without members, with their offsets
    Delete(Delete),
}

/// Options of `group delete`.
#[derive(clap::Args, Debug)]
pub(crate) struct Delete {
    /// Ids of groups
    #[arg(required = true, value_name = "GROUP")]
    groups: Vec<String>,
    /// A group that does not exist is no error
    #[arg(long)]
    if_exists: bool,
    #[command(flatten)]
    client: ClientArgs,
}

/// Runs one of them.
pub(crate) fn run(command: &Command) -> Result<()> {
    match command {
        Command::List(args) => list::run(args),
        Command::Describe(args) => describe::run(args),
        Command::ResetOffsets(args) => reset::run(args),
        Command::Delete(args) => delete(args),
    }
}

fn delete(args: &Delete) -> Result<()> {
    let mut cluster = Cluster::open(&args.client)?;
    for group in &args.groups {
        let (code, ()) = Coordinator::new(group).ask(&mut cluster, |connection, group| {
            let request = DeleteGroupsRequest {
                groups_names: [group].into(),
            };
            let response = connection.call(&request)?;
            match response.results.first() {
                Some(result) => Ok((result.error_code, ())),
                None => bail!("the coordinator did not answer for group {group}"),
            }
        })?;
        if args.if_exists && code == ErrorCode::GroupIdNotFound.code() {
            println!("group {group} does not exist");
            continue;
        }
        check(code, &format!("group {group}"), None)?;
        println!("deleted group {group}");
    }
    Ok(())
}
