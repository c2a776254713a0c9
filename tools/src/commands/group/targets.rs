//! What `group reset-offsets` is asked: which partitions, and where each is to go.

use crate::client::{At, Cluster, Offsets, Topic, list_offsets};
use crate::commands::consume::Partitions;
use crate::commands::time::{parse_duration, parse_time};
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

/// `TOPIC` or `TOPIC:0,2,5-7`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TopicPartitions {
    pub(super) topic: String,
    /// `None`: all.
    pub(super) partitions: Option<Vec<i32>>,
}

impl FromStr for TopicPartitions {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (topic, partitions) = match text.split_once(':') {
            Some((topic, list)) => (topic, Some(list.parse::<Partitions>()?.0)),
            None => (text, None),
        };
        if topic.is_empty() {
            return Err(format!("`{text}` is not TOPIC or TOPIC:PARTITIONS"));
        }
        Ok(Self {
            topic: topic.to_owned(),
            partitions,
        })
    }
}

/// Where to; one of them is given.
#[derive(clap::Args, Clone, Debug)]
#[group(required = true, multiple = false)]
pub(super) struct ToArgs {
    /// To the log start
    #[arg(long)]
    to_earliest: bool,
    /// To the high watermark: nothing that is there now is read
    #[arg(long)]
    to_latest: bool,
    /// To this offset
    #[arg(long, value_name = "OFFSET")]
    #[arg(value_parser = clap::value_parser!(i64).range(0..))]
    to_offset: Option<i64>,
    /// To the first record of this time or later: 2026-11-23T06:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time)]
    to_datetime: Option<i64>,
    /// Forward by this many records, or with a minus back
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    shift_by: Option<i64>,
    /// To the first record of this long ago or later: PT1H30M, P7D
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    by_duration: Option<i64>,
}

fn time(text: &str) -> Result<i64, String> {
    parse_time(text).ok_or_else(|| format!("`{text}` is no time such as 2026-11-23T06:00:00Z"))
}

fn duration(text: &str) -> Result<i64, String> {
    parse_duration(text).ok_or_else(|| format!("`{text}` is no duration such as PT1H30M or P7D"))
}

/// Where to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Place(At),
    Offset(i64),
    Shift(i64),
}

impl ToArgs {
    /// The one that was given.
    pub(super) fn target(&self) -> Result<Target> {
        let given = [
            self.to_earliest.then_some(Target::Place(At::Earliest)),
            self.to_latest.then_some(Target::Place(At::Latest)),
            self.to_offset.map(Target::Offset),
            self.to_datetime
                .map(|time| Target::Place(At::Timestamp(time))),
            self.shift_by.map(Target::Shift),
        ];
        if let Some(target) = given.into_iter().flatten().next() {
            return Ok(target);
        }
        let Some(ago) = self.by_duration else {
            bail!("give one of --to-earliest, --to-latest, --to-offset and the others");
        };
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = i64::try_from(since.context("the clock is before 1970")?.as_millis())?;
        Ok(Target::Place(At::Timestamp((now - ago).max(0))))
    }
}

/// Where a partition's committed offset goes, within what is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Move {
    pub(super) from: Option<i64>,
    pub(super) to: i64,
    /// What was asked, when that lies outside of the log.
    pub(super) asked: Option<i64>,
}

/// The move of every partition of `topic`.
pub(super) fn moves(
    cluster: &mut Cluster,
    topic: &Topic,
    target: Target,
    committed: &Offsets,
) -> Result<BTreeMap<i32, Move>> {
    let starts = list_offsets(cluster, topic, At::Earliest)?;
    let ends = list_offsets(cluster, topic, At::Latest)?;
    let placed = match target {
        Target::Place(At::Timestamp(time)) => list_offsets(cluster, topic, At::Timestamp(time))?,
        _ => BTreeMap::new(),
    };
    let mut moves = BTreeMap::new();
    for (&partition, &end) in &ends {
        let start = starts.get(&partition).copied().unwrap_or(0);
        let from = committed.get(&(topic.name.clone(), partition)).copied();
        let wanted = match target {
            Target::Place(At::Earliest) => start,
            Target::Place(At::Latest) => end,
            // KAFKA: where every record is older, the end.
            Target::Place(At::Timestamp(_)) => placed.get(&partition).copied().unwrap_or(end),
            Target::Offset(offset) => offset,
            Target::Shift(by) => {
                let from = from.with_context(|| {
                    format!(
                        "topic {} partition {partition}: nothing is committed that could be \
                         shifted; leave it out, or use another target",
                        topic.name
                    )
                })?;
                from.saturating_add(by)
            }
        };
        moves.insert(partition, Move::within(from, wanted, (start, end)));
    }
    Ok(moves)
}

impl Move {
    fn within(from: Option<i64>, wanted: i64, (start, end): (i64, i64)) -> Self {
        let to = wanted.max(start).min(end);
        Self {
            from,
            to,
            asked: (to != wanted).then_some(wanted),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_of_a_topic_can_be_listed() {
        let parsed: TopicPartitions = "a.b:0,2-4".parse().unwrap();
        assert_eq!(parsed.topic, "a.b");
        assert_eq!(parsed.partitions, Some(vec![0, 2, 3, 4]));
        assert_eq!("a".parse::<TopicPartitions>().unwrap().partitions, None);
        for wrong in ["", ":1", "a:", "a:x", "a:3-1"] {
            assert!(wrong.parse::<TopicPartitions>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn moves_stay_within_the_log_and_say_so() {
        let inside = Move::within(Some(5), 7, (2, 10));
        assert_eq!((inside.to, inside.asked), (7, None));
        let below = Move::within(Some(5), -1, (2, 10));
        assert_eq!((below.to, below.asked), (2, Some(-1)));
        let above = Move::within(None, 11, (2, 10));
        assert_eq!((above.to, above.asked), (10, Some(11)));
    }
}
