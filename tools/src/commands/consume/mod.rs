//! `millrace consume`: records are printed.
//!
//! Every partition starts where `--from` says and ends at the high watermark it had at the start,
//! unless `--follow` or `--count` say otherwise. A record is printed only after its batch's crc
//! was found right. With `--group` it shares the partitions with the group's other members.

mod format;
mod group;
mod reader;
mod start;

use crate::client::{ClientArgs, Cluster, Topic};
use anyhow::{Result, bail};
use format::Format;
use reader::Reader;
use start::From;
pub(crate) use start::Partitions;
use std::collections::BTreeMap;
use std::io::{BufWriter, Write, stdout};

/// Options of `millrace consume`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The topic
    topic: String,
    /// Partitions, such as 0,2,5-7; all when not given
    #[arg(short, long, value_name = "LIST")]
    partition: Option<Partitions>,
    /// Read as a member of this consumer group: share the partitions with its other members, begin
    /// where it has committed, commit what was printed
    #[arg(short, long, conflicts_with = "partition")]
    group: Option<String>,
    /// Where to begin, with --group where nothing is committed: beginning, end, an offset, -N for
    /// the last N of each partition, or @TIME with milliseconds since 1970 or 2026-11-23T06:00:00Z
    #[arg(
        short = 'o',
        long,
        default_value = "beginning",
        allow_hyphen_values = true
    )]
    from: From,
    /// Go on when the end is reached, until ctrl-C
    #[arg(short, long)]
    follow: bool,
    /// Stop after this many records
    #[arg(short, long)]
    count: Option<u64>,
    /// value, key-value, json, or a text with %t topic, %p partition, %o offset, %T timestamp,
    /// %k key, %v value, %h headers, \n and \t
    #[arg(short = 'F', long, default_value = "value")]
    format: Format,
    #[command(flatten)]
    client: ClientArgs,
}

/// Prints until the end that was asked for.
pub(crate) fn run(args: &Args) -> Result<()> {
    let mut cluster = Cluster::open(&args.client)?;
    let mut topic = cluster.topic(&args.topic, false)?;
    if let Some(group) = &args.group {
        return group::run(args, group, cluster);
    }
    if let Some(Partitions(wanted)) = &args.partition {
        keep_partitions(&mut topic, wanted)?;
    }
    let starts = start::offsets(&mut cluster, &topic, args.from)?;
    let ends = match args.follow {
        true => BTreeMap::new(),
        false => start::ends(&mut cluster, &topic)?,
    };
    let mut out = BufWriter::new(stdout().lock());
    let mut left = args.count.unwrap_or(u64::MAX);
    let mut reader = Reader::new(cluster);
    reader.assign(topic, starts, ends);
    while left > 0 && !reader.is_done() {
        reader.poll(|record| {
            if left > 0 {
                left -= 1;
                args.format.write(&mut out, &args.topic, record)?;
            }
            Ok(left > 0)
        })?;
        out.flush()?;
    }
    Ok(())
}

/// Leaves out all partitions but the wanted ones.
pub(crate) fn keep_partitions(topic: &mut Topic, wanted: &[i32]) -> Result<()> {
    for partition in wanted {
        if !topic.leaders.contains_key(partition) {
            let last = topic.leaders.len().saturating_sub(1);
            bail!(
                "topic {} has no partition {partition}, only 0 to {last}",
                topic.name
            );
        }
    }
    topic
        .leaders
        .retain(|partition, _| wanted.contains(partition));
    Ok(())
}
