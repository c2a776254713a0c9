//! What the processes of a run printed, line by line, as events. Times are nanoseconds of the
//! machine's monotonic clock, which all processes share.

use anyhow::{Context, Result, bail};
use std::fs;
use std::path::Path;

/// Values by offset, by partition.
pub(super) type Logged = Vec<Vec<String>>;
/// Offsets of some partitions.
pub(super) type Offsets = Vec<(usize, i64)>;

/// A record that a producer was told is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Acked {
    pub(super) partition: usize,
    /// `None` when the broker told only that it had the record already.
    pub(super) offset: Option<usize>,
    pub(super) value: String,
}

/// Something a member did or saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// It was given partitions and has not asked yet from where to read them.
    Assigned(Vec<usize>),
    Revoked(Vec<usize>),
    /// It closed without a fault.
    Left,
    Record {
        partition: usize,
        offset: usize,
        value: String,
    },
    /// It is about to ask for this commit.
    Committing(Offsets),
    /// The broker said that this is done.
    Committed(Offsets),
}

/// An event and when it was.
pub(super) type Timed = (u64, Event);

/// What the broker said a group has committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sample {
    pub(super) asked: u64,
    pub(super) answered: u64,
    /// -1 where nothing was committed.
    pub(super) offsets: Offsets,
}

/// Names of what processes print, without their endings.
pub(super) fn producer_log(name: &str) -> String {
    format!("producer-{name}")
}

pub(super) fn member_log(group: &str, number: usize) -> String {
    format!("{group}-member-{number}")
}

pub(super) fn sampler_log(group: &str) -> String {
    format!("{group}-sampler")
}

/// What a producer printed.
pub(super) fn acked(folder: &Path, name: &str) -> Result<Vec<Acked>> {
    each_line(&printed(folder, &producer_log(name))?, |line| {
        let ["acked", partition, offset, value] = line[..] else {
            bail!("not a line of a producer");
        };
        let offset: i64 = offset.parse()?;
        Ok(Acked {
            partition: partition.parse()?,
            offset: usize::try_from(offset).ok(),
            value: value.to_owned(),
        })
    })
}

/// What a member printed.
pub(super) fn member(folder: &Path, group: &str, number: usize) -> Result<Vec<Timed>> {
    member_events(&printed(folder, &member_log(group, number))?)
}

fn member_events(text: &str) -> Result<Vec<Timed>> {
    each_line(text, |line| {
        let [kind, time, ref rest @ ..] = *line else {
            bail!("not a line of a member");
        };
        let event = match (kind, rest) {
            ("assigned", partitions) => Event::Assigned(numbers(partitions)?),
            ("revoked", partitions) => Event::Revoked(numbers(partitions)?),
            ("left", []) => Event::Left,
            ("record", [partition, offset, value]) => Event::Record {
                partition: partition.parse()?,
                offset: offset.parse()?,
                value: (*value).to_owned(),
            },
            ("committing", [places]) => Event::Committing(offsets(places)?),
            ("committed", [places]) => Event::Committed(offsets(places)?),
            _ => bail!("not a line of a member"),
        };
        Ok((time.parse()?, event))
    })
}

/// What a group's sampler has printed so far.
pub(super) fn samples(folder: &Path, group: &str) -> Result<Vec<Sample>> {
    each_line(&printed(folder, &sampler_log(group))?, |line| {
        let ["sampled", answered, asked, places] = line[..] else {
            bail!("not a line of a sampler");
        };
        Ok(Sample {
            asked: asked.parse()?,
            answered: answered.parse()?,
            offsets: offsets(places)?,
        })
    })
}

/// What the final read printed: offsets must follow each other from 0.
pub(super) fn logged(text: &str, partitions: u32) -> Result<Logged> {
    let mut log: Logged = vec![Vec::new(); partitions as usize];
    each_line(text, |line| {
        let ["log", partition, offset, value] = line[..] else {
            bail!("not a line of the final read");
        };
        let partition: usize = partition.parse()?;
        let values = log.get_mut(partition).context("no such partition")?;
        let due = values.len();
        if offset.parse() != Ok(due) {
            bail!("partition {partition}: offset {offset} is in the log where {due} was due");
        }
        values.push(value.to_owned());
        Ok(())
    })?;
    Ok(log)
}

fn printed(folder: &Path, name: &str) -> Result<String> {
    let path = folder.join(name).with_extension("out");
    fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))
}

/// Whole lines only: a process that was killed, or works on, may have written half of its last.
fn each_line<T>(text: &str, mut read: impl FnMut(&[&str]) -> Result<T>) -> Result<Vec<T>> {
    let end = text.rfind('\n').map_or(0, |at| at + 1);
    let lines = text[..end].lines();
    let parse = |line: &str| {
        let fields: Vec<&str> = line.split(' ').filter(|it| !it.is_empty()).collect();
        read(&fields).with_context(|| format!("line `{line}`"))
    };
    lines.map(parse).collect()
}

/// One field with commas in it, or none.
fn numbers(fields: &[&str]) -> Result<Vec<usize>> {
    let numbers = fields.iter().flat_map(|field| field.split(','));
    Ok(numbers.map(str::parse).collect::<Result<_, _>>()?)
}

fn offsets(text: &str) -> Result<Offsets> {
    let pairs = text.split(',').map(|pair| {
        let (partition, offset) = pair.split_once(':').context("partition:offset")?;
        Ok((partition.parse()?, offset.parse()?))
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_member_become_events_and_half_a_line_does_not() {
        let text = "assigned 5 1,3\nrecord 6 1 0 p.1.0\ncommitting 7 1:1\ncommitted 8 1:1\n\
                    revoked 9 1,3\nassigned 10 \nleft 11\nrecord 12 1";
        let wanted = [
            (5, Event::Assigned(vec![1, 3])),
            (
                6,
                Event::Record {
                    partition: 1,
                    offset: 0,
                    value: "p.1.0".to_owned(),
                },
            ),
            (7, Event::Committing(vec![(1, 1)])),
            (8, Event::Committed(vec![(1, 1)])),
            (9, Event::Revoked(vec![1, 3])),
            (10, Event::Assigned(Vec::new())),
            (11, Event::Left),
        ];
        assert_eq!(member_events(text).unwrap(), wanted);
        assert!(member_events("record 6 1 x v\n").is_err());
    }

    #[test]
    fn a_log_with_a_hole_or_a_repetition_is_a_fault() {
        assert_eq!(
            logged("log 1 0 a\nlog 0 0 b\nlog 1 1 c\n", 2).unwrap(),
            [vec!["b".to_owned()], vec!["a".to_owned(), "c".to_owned()]]
        );
        for text in ["log 0 1 a\n", "log 0 0 a\nlog 0 0 a\n", "log 2 0 a\n"] {
            assert!(logged(text, 2).is_err(), "{text}");
        }
    }
}
