//! What the producers were told against the whole log, and each group against it
//! (`group_verdict.rs`). Pure, once everything is read.

use super::churn::Changes;
use super::events::{self, Acked, Logged};
use super::group_verdict::GroupStory;
use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeMap;
use std::path::Path;

/// Everything that happened.
#[derive(Debug)]
pub(super) struct Story {
    log: Logged,
    /// By producer.
    acked: Vec<Vec<Acked>>,
    groups: Vec<GroupStory>,
}

impl Story {
    /// Reads what the processes printed.
    pub(super) fn read(
        folder: &Path,
        producers: &[&str],
        groups: &[Changes],
        log: Logged,
    ) -> Result<Self> {
        let acked = producers.iter().map(|name| events::acked(folder, name));
        let groups = groups
            .iter()
            .map(|it| GroupStory::read(folder, it.group, it.joins));
        Ok(Self {
            log,
            acked: acked.collect::<Result<_>>()?,
            groups: groups.collect::<Result<_>>()?,
        })
    }

    /// What was found, with counts.
    ///
    /// # Errors
    /// The first promise that was broken, with where.
    pub(super) fn judge(&self) -> Result<String> {
        let acked = self.acked.iter().map(Vec::len).sum::<usize>();
        check_log(&self.log, &self.acked)?;
        let mut said = format!("{acked} records acknowledged, each once in the log");
        for group in &self.groups {
            let found = group.judge(&self.log).context(group.name)?;
            said.push_str(&format!("; {}: {found}", group.name));
        }
        Ok(said)
    }
}

/// Every acknowledged record is where it was said to be, once, in its producer's order; and since
/// producers were flushed before they ended, nothing else is there.
fn check_log(log: &Logged, acked: &[Vec<Acked>]) -> Result<()> {
    let mut places = BTreeMap::new();
    let mut next_sequences: BTreeMap<(&str, usize), usize> = BTreeMap::new();
    for (partition, values) in log.iter().enumerate() {
        for (offset, value) in values.iter().enumerate() {
            let (producer, sequence) = split(value, partition)
                .with_context(|| format!("partition {partition} offset {offset}: `{value}`"))?;
            let before = places.insert(value.as_str(), (partition, offset));
            if let Some(before) = before {
                bail!("{value} is twice in partition {partition}: {before:?} and offset {offset}");
            }
            let next = next_sequences.entry((producer, partition)).or_insert(0);
            ensure!(
                sequence == *next,
                "partition {partition} offset {offset}: {value} came where {next} was due"
            );
            *next += 1;
        }
    }
    for Acked {
        partition,
        offset,
        value,
    } in acked.iter().flatten()
    {
        let Some(&(found_in, found_at)) = places.get(value.as_str()) else {
            bail!("{value} was acknowledged at {partition}, {offset:?} and is lost");
        };
        ensure!(
            found_in == *partition && offset.is_none_or(|offset| offset == found_at),
            "{value} was acknowledged at {partition}, {offset:?}, and is at {found_in}, {found_at}"
        );
    }
    let count = acked.iter().map(Vec::len).sum::<usize>();
    ensure!(
        count == places.len(),
        "{count} records were acknowledged, {} are there",
        places.len()
    );
    Ok(())
}

/// `producer.partition.sequence`.
fn split(value: &str, partition: usize) -> Result<(&str, usize)> {
    let mut fields = value.split('.');
    let mut field = || fields.next().context("too few fields");
    let (producer, sent_to, sequence) = (field()?, field()?, field()?);
    ensure!(
        sent_to.parse() == Ok(partition),
        "it was sent to partition {sent_to}"
    );
    Ok((producer, sequence.parse()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(values: &[&str]) -> Logged {
        vec![values.iter().map(|&value| value.to_owned()).collect()]
    }

    fn acks(places: &[(i64, &str)]) -> Vec<Vec<Acked>> {
        let ack = |&(offset, value): &(i64, &str)| Acked {
            partition: 0,
            offset: usize::try_from(offset).ok(),
            value: value.to_owned(),
        };
        vec![places.iter().map(ack).collect()]
    }

    #[test]
    fn a_log_that_has_what_was_acknowledged_once_and_in_order_is_right() {
        let values = log(&["a.0.0", "b.0.0", "a.0.1"]);
        // The second one was acknowledged as known already, without its offset.
        let told = acks(&[(0, "a.0.0"), (2, "a.0.1"), (-1, "b.0.0")]);
        check_log(&values, &told).unwrap();
    }

    #[test]
    fn each_fault_of_the_log_is_named() {
        let fault = |values: &[&str], told: &[(i64, &str)]| {
            let error = check_log(&log(values), &acks(told)).unwrap_err();
            format!("{error:#}")
        };
        assert!(fault(&["a.0.0", "a.0.0"], &[]).contains("twice"));
        assert!(fault(&["a.0.1"], &[]).contains("came where 0 was due"));
        assert!(fault(&["a.0.0"], &[(1, "a.0.1")]).contains("is lost"));
        assert!(fault(&["a.0.0", "a.0.1"], &[(0, "a.0.1")]).contains("and is at 0, 1"));
        assert!(fault(&["a.1.0"], &[]).contains("sent to partition 1"));
        assert!(fault(&["a.0.0"], &[]).contains("0 records were acknowledged, 1 are there"));
    }
}
