//! `millrace log`: a data directory whose broker does not run. `inspect` prints what is there and
//! `verify` what is wrong; both read only. `accept-loss` gives up what cannot be read any more.

mod accept_loss;
mod folders;

use anyhow::{Result, anyhow, bail};
use folders::Folders;
use millrace_engine::ids::{PartitionHandle, TopicId};
use millrace_engine::inspect::{Scope, check};
use millrace_server::topics::record::{TopicRecord, topic_of_key};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The commands.
#[derive(clap::Subcommand, Debug)]
pub(crate) enum Command {
    /// Prints root file, checkpoints, commits, segments and batches
    Inspect(Args),
    /// Checks all of them; names each damaged place and the records it costs
    Verify(Args),
    /// Gives up what cannot be read any more, after saying what that is
    AcceptLoss(accept_loss::Args),
}

/// Where to look.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    folders: FolderArgs,
    /// Leave out journals
    #[arg(long)]
    no_journals: bool,
    /// Leave out segments
    #[arg(long)]
    no_segments: bool,
    /// Only the segment files whose name begins with this
    #[arg(long, value_name = "NAME")]
    segment: Option<String>,
}

/// The folders of a data directory.
#[derive(clap::Args, Debug)]
pub(crate) struct FolderArgs {
    /// The data directory
    #[arg(long, value_name = "DIR", default_value = "millrace-data")]
    data_dir: PathBuf,
    /// The journal directory, if it is not `journal` in the data directory
    #[arg(long, value_name = "DIR")]
    journal_dir: Option<PathBuf>,
}

/// Runs one of them.
pub(crate) fn run(command: &Command) -> Result<()> {
    match command {
        Command::Inspect(args) => look(args, true),
        Command::Verify(args) => look(args, false),
        Command::AcceptLoss(args) => accept_loss::run(args),
    }
}

fn look(args: &Args, is_shown: bool) -> Result<()> {
    let folders = Folders::new(&args.folders);
    let mut print = |line: String| println!("{line}");
    let scope = Scope {
        journals: !args.no_journals,
        segments: !args.no_segments,
        segment_prefix: args.segment.as_deref(),
    };
    let show: Option<&mut dyn FnMut(String)> = match is_shown {
        true => Some(&mut print),
        false => None,
    };
    let report = check(&folders, scope, show).map_err(|problem| {
        let folder = args.folders.data_dir.display();
        anyhow!("{folder}: {problem}; give the broker's --data-dir, or restore it from a backup")
    })?;
    let names = Names::read(&report.registry);
    for problem in &report.problems {
        match &problem.records {
            Some(records) => println!(
                "PROBLEM {} at position {}: {}; {} loses offsets {} to {}",
                problem.file,
                problem.position,
                problem.text,
                names.partition(records.topic_id, records.index, records.handle),
                records.start_offset,
                records.end_offset - 1
            ),
            None => println!("PROBLEM {problem}"),
        }
    }
    let count = report.problems.len();
    eprintln!(
        "{} commits, {} granules, {} batches looked at, {count} problems",
        report.commits, report.granules, report.batches
    );
    if count > 0 {
        bail!(
            "the data directory has {count} problems; a start serves all but what is named; \
             'millrace log accept-loss' gives that up"
        );
    }
    Ok(())
}

/// Names of topics, from the registry.
struct Names(BTreeMap<TopicId, String>);

impl Names {
    fn read(registry: &[(PartitionHandle, Vec<u8>, Vec<u8>)]) -> Self {
        let topic = |(_, key, value): &(PartitionHandle, Vec<u8>, Vec<u8>)| {
            let id = topic_of_key(key)?;
            Some((id, TopicRecord::decode(id, value)?.name))
        };
        Self(registry.iter().filter_map(topic).collect())
    }

    /// `orders-3`, or what is known of a partition of an unknown topic.
    fn partition(&self, topic: TopicId, index: i32, handle: PartitionHandle) -> String {
        match self.0.get(&topic) {
            Some(name) => format!("{name}-{index}"),
            None => {
                let id: String = topic.0.iter().map(|byte| format!("{byte:02x}")).collect();
                format!("partition {index} of topic {id} (handle {})", handle.0)
            }
        }
    }
}
