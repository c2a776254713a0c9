//! Scenarios of consumer groups: members share a topic, one leaves in the middle, the broker is
//! killed, and what the group has committed is what the next member and Kafka's own tool find.

use super::Bench;
use super::broker::{Broker, Setup};
use super::clients::{CLIENT_LIMIT, Clients, Target};
use super::process::Process;
use super::verify::{Consumed, Promise, parse, verify};
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::process::Stdio;

/// The topic, whose lines are read by each of these groups.
const MEMBERS: [&str; 2] = ["group.py", "group.js"];

/// Runs every kind of member over a topic that is there.
pub(super) fn run(
    bench: &Bench,
    broker: &mut Broker,
    target: &Target,
    setup: &Setup,
) -> Result<String> {
    for script in MEMBERS {
        let consumed = share(bench, target, script).context(script)?;
        verify(&bench.input.lines, &consumed, Promise::ExactlyOnce).context(script)?;
    }
    let consumed = Clients::kcat_group(target, "kcat")?;
    verify(
        &bench.input.lines,
        &merged(vec![consumed])?,
        Promise::ExactlyOnce,
    )
    .context("kcat")?;
    broker.kill()?;
    broker.start_again(setup)?;
    for group in MEMBERS.into_iter().chain(["kcat"]) {
        check_lag(bench, target, group).context(group)?;
    }
    let again = Clients::kcat_group(target, "kcat")?;
    if !again.is_empty() {
        bail!("group kcat read {} records twice", again.len());
    }
    Ok("kafka-python and kafkajs shared and left, kcat, kafka-consumer-groups after a kill".into())
}

/// Two members at once, of which one leaves after a third; what both have read.
fn share(bench: &Bench, target: &Target, script: &str) -> Result<Vec<Consumed>> {
    let third = bench.input.lines.len() / 3;
    let mut members = Vec::new();
    for (number, limit) in [(1, third), (2, 0)] {
        let mut command = bench.clients.member(target, script, limit);
        // A dot would be taken for the file's extension.
        let log = target
            .logs
            .join(format!("{}-{number}", script.replace('.', "-")));
        members.push(Process::start(&mut command, &log, Stdio::null())?);
    }
    let mut read = Vec::new();
    for member in members {
        read.push(parse(&member.finish(CLIENT_LIMIT)?)?);
    }
    if let Some(idle) = read.iter().position(Vec::is_empty) {
        bail!("member {} read nothing", idle + 1);
    }
    merged(read)
}

/// By place; a record that moved to another member in a rebalance may have been read twice.
fn merged(read: Vec<Vec<Consumed>>) -> Result<Vec<Consumed>> {
    let mut by_place = BTreeMap::new();
    for record in read.into_iter().flatten() {
        let place = (record.partition, record.offset);
        let before = by_place.insert(place, record);
        if let Some(before) = before
            && by_place.get(&place) != Some(&before)
        {
            bail!("{place:?} was read with two values");
        }
    }
    Ok(by_place.into_values().collect())
}

/// Kafka's own tool must see no lag.
fn check_lag(bench: &Bench, target: &Target, group: &str) -> Result<()> {
    let described = bench.clients.java_describe_group(target, group)?;
    let rows = lags(&described, group);
    if rows.len() != target.partitions as usize || rows.iter().any(|lag| lag != "0") {
        bail!("lags {rows:?} in: {described}");
    }
    Ok(())
}

/// The lag of each partition: the sixth field of a group's rows.
fn lags(described: &str, group: &str) -> Vec<String> {
    let rows = described.lines().map(str::split_whitespace);
    rows.filter_map(|mut fields| (fields.next() == Some(group)).then(|| fields.nth(4)))
        .flatten()
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lags_are_found_in_what_the_tool_prints() {
        let printed = "\nGROUP TOPIC PARTITION CURRENT-OFFSET LOG-END-OFFSET LAG CONSUMER-ID\n\
                       g     t     0         5              9              4   -\n\
                       g     t     1         -              9              -   -\n\
                       other t     0         1              1              0   -\n";
        assert_eq!(lags(printed, "g"), ["4", "-"]);
    }

    #[test]
    fn a_record_read_twice_is_one_and_with_two_values_a_fault() {
        let record = |offset, value: &[u8]| Consumed {
            partition: 0,
            offset,
            value: value.to_vec(),
        };
        let both = vec![
            vec![record(1, b"b"), record(0, b"a")],
            vec![record(1, b"b")],
        ];
        assert_eq!(merged(both).unwrap(), [record(0, b"a"), record(1, b"b")]);
        assert!(merged(vec![vec![record(0, b"a"), record(0, b"x")]]).is_err());
    }
}
