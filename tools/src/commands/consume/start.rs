//! Where to begin and where to end: the arguments, and the offsets they mean.

use crate::client::{At, Cluster, Topic, list_offsets};
use crate::commands::time::parse_time;
use anyhow::{Result, bail};
use std::collections::BTreeMap;
use std::str::FromStr;

/// More cannot be meant.
const PARTITIONS_MAX: usize = 100_000;

/// A list of partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Partitions(pub(crate) Vec<i32>);

impl FromStr for Partitions {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no list of partitions such as 0,2,5-7");
        let number = |part: &str| {
            part.trim()
                .parse::<u16>()
                .map(i32::from)
                .map_err(|_| wrong())
        };
        let mut partitions = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (number(first)?, number(last)?);
            if first > last || partitions.len() > PARTITIONS_MAX {
                return Err(wrong());
            }
            partitions.extend(first..=last);
        }
        partitions.sort_unstable();
        partitions.dedup();
        Ok(Self(partitions))
    }
}

/// Where to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum From {
    /// At the log start.
    Beginning,
    /// At the high watermark.
    End,
    /// At this offset of every partition.
    Offset(i64),
    /// This many before the high watermark.
    Last(i64),
    /// At the first record with this timestamp, in milliseconds, or a later one.
    Timestamp(i64),
}

impl FromStr for From {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is none of beginning, end, OFFSET, -N, @TIME");
        match text {
            "beginning" | "earliest" => return Ok(Self::Beginning),
            "end" | "latest" => return Ok(Self::End),
            _ => {}
        }
        if let Some(time) = text.strip_prefix('@') {
            let milliseconds = time.parse().ok().or_else(|| parse_time(time));
            return milliseconds.map(Self::Timestamp).ok_or_else(wrong);
        }
        match text.parse::<i64>() {
            Ok(offset) if offset >= 0 => Ok(Self::Offset(offset)),
            Ok(last) => Ok(Self::Last(last.saturating_neg())),
            Err(_) => Err(wrong()),
        }
    }
}

/// The offset at which each partition begins.
pub(super) fn offsets(
    cluster: &mut Cluster,
    topic: &Topic,
    from: From,
) -> Result<BTreeMap<i32, i64>> {
    let ends = ends(cluster, topic)?;
    match from {
        From::Beginning => list_offsets(cluster, topic, At::Earliest),
        From::End => Ok(ends),
        From::Offset(offset) => {
            let starts = list_offsets(cluster, topic, At::Earliest)?;
            within(topic, offset, &starts, &ends)
        }
        From::Last(count) => {
            let starts = list_offsets(cluster, topic, At::Earliest)?;
            let from_end = |(index, end): (i32, i64)| {
                let start = starts.get(&index).copied().unwrap_or(0);
                (index, end.saturating_sub(count).max(start))
            };
            Ok(ends.into_iter().map(from_end).collect())
        }
        From::Timestamp(timestamp) => {
            let found = list_offsets(cluster, topic, At::Timestamp(timestamp))?;
            let or_end = |(index, end)| (index, found.get(&index).copied().unwrap_or(end));
            Ok(ends.into_iter().map(or_end).collect())
        }
    }
}

/// One offset of every partition, kept within each log; outside of all of them it is a mistake.
fn within(
    topic: &Topic,
    offset: i64,
    starts: &BTreeMap<i32, i64>,
    ends: &BTreeMap<i32, i64>,
) -> Result<BTreeMap<i32, i64>> {
    let mut kept = BTreeMap::new();
    let mut outside = Vec::new();
    for (&index, &end) in ends {
        let start = starts.get(&index).copied().unwrap_or(0);
        let nearest = offset.max(start).min(end);
        if nearest != offset {
            outside.push(format!(
                "topic {} partition {index}: offset {offset} is outside [{start}, {end}]",
                topic.name
            ));
        }
        kept.insert(index, nearest);
    }
    if let (Some(first), true) = (outside.first(), outside.len() == ends.len()) {
        bail!("{first}; choose another --from");
    }
    for line in outside {
        eprintln!("{line}; beginning at the nearest one");
    }
    Ok(kept)
}

/// The high watermark of each partition.
pub(super) fn ends(cluster: &mut Cluster, topic: &Topic) -> Result<BTreeMap<i32, i64>> {
    list_offsets(cluster, topic, At::Latest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_partitions_are_sorted_and_bounded() {
        assert_eq!("5-7,0,2,6".parse(), Ok(Partitions(vec![0, 2, 5, 6, 7])));
        for wrong in ["", "a", "3-1", "-1", "1,,2", "70000"] {
            assert!(wrong.parse::<Partitions>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn places_to_begin_are_told_apart() {
        assert_eq!("beginning".parse(), Ok(From::Beginning));
        assert_eq!("latest".parse(), Ok(From::End));
        assert_eq!("12".parse(), Ok(From::Offset(12)));
        assert_eq!("-12".parse(), Ok(From::Last(12)));
        assert_eq!(
            "@1700000000123".parse(),
            Ok(From::Timestamp(1_700_000_000_123))
        );
        assert!("@yesterday".parse::<From>().is_err());
        assert!("first".parse::<From>().is_err());
    }
}
