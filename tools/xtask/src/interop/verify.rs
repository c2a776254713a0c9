//! What came back against what was sent. Pure.

use super::input::NUMBER_DIGITS;
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;

/// One record as a consumer printed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Consumed {
    /// Partition.
    pub(super) partition: i32,
    /// Offset.
    pub(super) offset: i64,
    /// Value.
    pub(super) value: Vec<u8>,
}

/// What the producer promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Promise {
    /// Each line once, in order per partition.
    ExactlyOnce,
    /// Each line at least once; a retry may repeat lines and change their order.
    AtLeastOnce,
}

/// Checks everything a user would: every offset there, every byte right, nothing lost, in order.
pub(super) fn verify(input: &[Vec<u8>], consumed: &[Consumed], promise: Promise) -> Result<()> {
    let mut next_offsets: BTreeMap<i32, i64> = BTreeMap::new();
    let mut last_numbers: BTreeMap<i32, usize> = BTreeMap::new();
    let mut counts = vec![0_u32; input.len()];
    for record in consumed {
        let Consumed {
            partition,
            offset,
            value,
        } = record;
        let next = next_offsets.entry(*partition).or_insert(0);
        if offset != next {
            bail!("partition {partition}: offset {offset} came where {next} was due");
        }
        *next += 1;
        let number = number_of(value)
            .with_context(|| format!("partition {partition} offset {offset}: no line number"))?;
        if input.get(number) != Some(value) {
            bail!("partition {partition} offset {offset}: line {number} is not what was sent");
        }
        counts[number] += 1;
        let last = last_numbers.insert(*partition, number);
        if promise == Promise::ExactlyOnce && last.is_some_and(|last| last >= number) {
            bail!("partition {partition} offset {offset}: line {number} after line {last:?}");
        }
    }
    if let Some(lost) = counts.iter().position(|&count| count == 0) {
        let all = counts.iter().filter(|&&count| count == 0).count();
        bail!("line {lost} was acknowledged and is not there, {all} lines in all");
    }
    if promise == Promise::ExactlyOnce
        && let Some(twice) = counts.iter().position(|&count| count > 1)
    {
        bail!("line {twice} is there more than once");
    }
    Ok(())
}

fn number_of(value: &[u8]) -> Option<usize> {
    std::str::from_utf8(value.get(..NUMBER_DIGITS)?)
        .ok()?
        .parse()
        .ok()
}

/// Reads lines of `partition offset value`.
pub(super) fn parse(printed: &[u8]) -> Result<Vec<Consumed>> {
    let mut consumed = Vec::new();
    for line in printed
        .split(|&byte| byte == b'\n')
        .filter(|line| !line.is_empty())
    {
        let mut fields = line.splitn(3, |&byte| byte == b' ');
        let mut field = || {
            fields
                .next()
                .context("a line of a consumer has too few fields")
        };
        let partition = std::str::from_utf8(field()?)?.parse()?;
        let offset = std::str::from_utf8(field()?)?.parse()?;
        consumed.push(Consumed {
            partition,
            offset,
            value: field()?.to_vec(),
        });
    }
    Ok(consumed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input() -> Vec<Vec<u8>> {
        (0..4)
            .map(|number| format!("{number:08} line").into_bytes())
            .collect()
    }

    fn consumed(records: &[(i32, i64, usize)]) -> Vec<Consumed> {
        let printed: Vec<String> = records
            .iter()
            .map(|(partition, offset, number)| format!("{partition} {offset} {number:08} line\n"))
            .collect();
        parse(printed.concat().as_bytes()).unwrap()
    }

    fn fault(records: &[(i32, i64, usize)], promise: Promise) -> String {
        verify(&input(), &consumed(records), promise)
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn what_was_sent_is_accepted_over_several_partitions() {
        let records = consumed(&[(1, 0, 1), (0, 0, 0), (0, 1, 2), (1, 1, 3)]);
        verify(&input(), &records, Promise::ExactlyOnce).unwrap();
        let repeated = consumed(&[(0, 0, 0), (0, 1, 1), (0, 2, 2), (0, 3, 1), (0, 4, 3)]);
        verify(&input(), &repeated, Promise::AtLeastOnce).unwrap();
    }

    #[test]
    fn each_kind_of_fault_is_named() {
        use Promise::{AtLeastOnce, ExactlyOnce};
        assert!(fault(&[(0, 1, 0)], ExactlyOnce).contains("offset 1 came where 0 was due"));
        assert!(fault(&[(0, 0, 0), (0, 1, 1)], AtLeastOnce).contains("line 2 was acknowledged"));
        let swapped = [(0, 0, 1), (0, 1, 0), (0, 2, 2), (0, 3, 3)];
        assert!(fault(&swapped, ExactlyOnce).contains("line 0 after line Some(1)"));
        let twice = [(0, 0, 0), (0, 1, 1), (0, 2, 2), (0, 3, 3), (1, 0, 2)];
        assert!(fault(&twice, ExactlyOnce).contains("line 2 is there more than once"));
        let mut changed = consumed(&[(0, 0, 0)]);
        changed[0].value.push(b'!');
        let error = verify(&input(), &changed, AtLeastOnce).unwrap_err();
        assert!(error.to_string().contains("not what was sent"));
    }
}
