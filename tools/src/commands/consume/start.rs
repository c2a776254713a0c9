//! Where to begin and where to end: the arguments, and the offsets they mean.

use crate::client::{Cluster, Topic};
use crate::commands::topic::list_offsets;
use anyhow::Result;
use std::collections::BTreeMap;
use std::str::FromStr;

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
/// More cannot be meant.
const PARTITIONS_MAX: usize = 100_000;

/// A list of partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Partitions(pub(super) Vec<i32>);

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

/// `2026-11-23T06:00:00Z`, with an optional fraction, as milliseconds since 1970.
fn parse_time(text: &str) -> Option<i64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let mut date = date.splitn(3, '-').map(str::parse::<i64>);
    let (year, month, day) = (date.next()?.ok()?, date.next()?.ok()?, date.next()?.ok()?);
    let mut time = time.splitn(3, ':');
    let (hour, minute) = (
        time.next()?.parse::<i64>().ok()?,
        time.next()?.parse::<i64>().ok()?,
    );
    let seconds = time.next()?;
    let (second, fraction) = seconds.split_once('.').unwrap_or((seconds, ""));
    let second: i64 = second.parse().ok()?;
    let milliseconds: i64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    let is_valid = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..=60).contains(&second);
    let days = days_since_1970(year, month, day);
    is_valid.then_some((((days * 24 + hour) * 60 + minute) * 60 + second) * 1000 + milliseconds)
}

/// Days of the Gregorian calendar, counted from a March so that leap days come last.
const fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year_from_march = if month <= 2 { year - 1 } else { year };
    let era = year_from_march / 400;
    let year_of_era = year_from_march % 400;
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The offset at which each partition begins.
pub(super) fn offsets(
    cluster: &mut Cluster,
    topic: &Topic,
    from: From,
) -> Result<BTreeMap<i32, i64>> {
    let ends = ends(cluster, topic)?;
    match from {
        From::Beginning => list_offsets(cluster, topic, EARLIEST),
        From::End => Ok(ends),
        From::Offset(offset) => Ok(ends.into_keys().map(|index| (index, offset)).collect()),
        From::Last(count) => {
            let starts = list_offsets(cluster, topic, EARLIEST)?;
            let from_end = |(index, end): (i32, i64)| {
                let start = starts.get(&index).copied().unwrap_or(0);
                (index, end.saturating_sub(count).max(start))
            };
            Ok(ends.into_iter().map(from_end).collect())
        }
        From::Timestamp(timestamp) => {
            let found = list_offsets(cluster, topic, timestamp)?;
            // -1 says that every record is older.
            let or_end = |(index, end): (i32, i64)| match found.get(&index) {
                Some(&offset) if offset >= 0 => (index, offset),
                _ => (index, end),
            };
            Ok(ends.into_iter().map(or_end).collect())
        }
    }
}

/// The high watermark of each partition.
pub(super) fn ends(cluster: &mut Cluster, topic: &Topic) -> Result<BTreeMap<i32, i64>> {
    list_offsets(cluster, topic, LATEST)
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

    #[test]
    fn times_are_milliseconds_since_1970() {
        assert_eq!(parse_time("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(parse_time("2000-02-29T12:00:00Z"), Some(951_825_600_000));
        assert_eq!(
            parse_time("2026-11-23T06:00:01.25Z"),
            Some(1_795_413_601_250)
        );
        for wrong in [
            "2026-11-23",
            "2026-13-01T00:00:00Z",
            "2026-11-23T06:00Z",
            "x",
        ] {
            assert_eq!(parse_time(wrong), None, "{wrong}");
        }
    }
}
