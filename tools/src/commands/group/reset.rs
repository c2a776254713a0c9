//! `millrace group reset-offsets`: shows where the committed offsets of a group would go, and with
//! `--execute` commits that. The group must have no members, who would commit over it.

use super::targets::{Move, ToArgs, TopicPartitions, moves};
use crate::client::{ClientArgs, Cluster, Coordinator, OUTSIDER, Offsets, Topic, check};
use crate::commands::table::{Align, Table};
use anyhow::{Result, bail};
use serde_json::json;
use std::collections::BTreeMap;
use std::io::Write;

/// Options of `group reset-offsets`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Id of the group; one that does not exist is made by --execute
    group: String,
    /// TOPIC, or TOPIC:0,2,5-7 for some partitions; may be repeated
    #[arg(
        short,
        long = "topic",
        value_name = "TOPIC[:LIST]",
        required_unless_present = "all_topics"
    )]
    topics: Vec<TopicPartitions>,
    /// Every topic of which the group has committed offsets
    #[arg(long, conflicts_with = "topics")]
    all_topics: bool,
    #[command(flatten)]
    to: ToArgs,
    /// Does it; without this, it is only shown
    #[arg(long)]
    execute: bool,
    /// One JSON object per partition
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    client: ClientArgs,
}

type Moves = BTreeMap<(String, i32), Move>;

/// Shows the moves; commits them if told to.
pub(super) fn run(args: &Args) -> Result<()> {
    let target = args.to.target()?;
    let mut cluster = Cluster::open(&args.client)?;
    let mut coordinator = Coordinator::new(&args.group);
    let members = coordinator.describe(&mut cluster)?.members.len();
    if args.execute && members > 0 {
        bail!(
            "group {} has {members} members; stop them first, they would commit over it",
            args.group
        );
    }
    let committed = coordinator.committed(&mut cluster)?;
    let mut all = Moves::new();
    for wanted in wanted(args, &committed)? {
        let mut topic = cluster.topic(&wanted.topic, false)?;
        keep(&mut topic, &wanted)?;
        for (partition, planned) in moves(&mut cluster, &topic, target, &committed)? {
            all.insert((topic.name.clone(), partition), planned);
        }
    }
    if args.execute {
        let offsets: Offsets = all
            .iter()
            .map(|(place, moved)| (place.clone(), moved.to))
            .collect();
        let (code, place) = coordinator.commit(&mut cluster, OUTSIDER, &offsets)?;
        check(code, &format!("group {}, {place}", args.group), None)?;
    }
    print(args, &all)
}

fn wanted(args: &Args, committed: &Offsets) -> Result<Vec<TopicPartitions>> {
    if !args.all_topics {
        return Ok(args.topics.clone());
    }
    let mut topics: Vec<TopicPartitions> = Vec::new();
    for (topic, partition) in committed.keys() {
        match topics.last_mut() {
            Some(last) if last.topic == *topic => {
                last.partitions.get_or_insert_default().push(*partition);
            }
            _ => topics.push(TopicPartitions {
                topic: topic.clone(),
                partitions: Some(vec![*partition]),
            }),
        }
    }
    if topics.is_empty() {
        bail!(
            "group {} has committed nothing; name topics with --topic",
            args.group
        );
    }
    Ok(topics)
}

fn keep(topic: &mut Topic, wanted: &TopicPartitions) -> Result<()> {
    let Some(partitions) = &wanted.partitions else {
        return Ok(());
    };
    crate::commands::consume::keep_partitions(topic, partitions)
}

fn print(args: &Args, moves: &Moves) -> Result<()> {
    let mut out = std::io::stdout().lock();
    let mut table = Table::new(&[
        ("TOPIC", Align::Left),
        ("PARTITION", Align::Right),
        ("COMMITTED", Align::Right),
        ("NEW", Align::Right),
        ("", Align::Left),
    ]);
    for ((topic, partition), moved) in moves {
        if args.json {
            let line = json!({
                "group": args.group, "topic": topic, "partition": partition,
                "committed": moved.from, "new": moved.to, "is_executed": args.execute,
            });
            writeln!(out, "{line}")?;
            continue;
        }
        let note = moved
            .asked
            .map(|asked| format!("{asked} is outside of the log"));
        table.row(vec![
            topic.clone(),
            partition.to_string(),
            moved.from.map_or("-".to_owned(), |from| from.to_string()),
            moved.to.to_string(),
            note.unwrap_or_default(),
        ]);
    }
    if !args.json {
        table.print(&mut out, "")?;
    }
    if !args.execute {
        eprintln!("nothing was changed; add --execute to do it");
    }
    Ok(())
}
