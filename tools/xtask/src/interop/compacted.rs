//! A compacted topic as clients see it: each skips the holes and finds the same records at the
//! offsets they had, the newest of every key among them.

use super::Bench;
use super::clients::{CLIENT_LIMIT, Clients, Target};
use super::process;
use super::verify::{Consumed, Promise};
use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

/// Of the broker: compact what there is at once.
pub(super) const SETTINGS: &[(&str, &str)] = &[
    ("log.cleaner.backoff.ms", "100"),
    ("log.cleaner.min.cleanable.ratio", "0.01"),
    ("millrace.checkpoint.interval.ms", "100"),
];
/// Of the topic: a segment per round, so that all but the last can be compacted.
pub(super) const CONFIGS: [&str; 2] = ["cleanup.policy=compact", "segment.ms=1"];
const ROUNDS: usize = 6;
const RECORDS_PER_ROUND: usize = 300;
const KEYS: usize = 40;
const COMPACTION_LIMIT: Duration = Duration::from_secs(60);

/// Writes the same keys in rounds, waits for compaction, reads with every client.
pub(super) fn run(bench: &Bench, target: &Target) -> Result<String> {
    let newest = write(target)?;
    let sent = ROUNDS * RECORDS_PER_ROUND;
    let begin = Instant::now();
    let consumed = loop {
        let consumed = Clients::kcat_consume(target)?;
        if consumed.len() * 2 < sent {
            break consumed;
        }
        ensure!(
            begin.elapsed() < COMPACTION_LIMIT,
            "{} of {sent} records are left after {COMPACTION_LIMIT:?}",
            consumed.len()
        );
    };
    check_newest(&consumed, &newest)?;
    // Compaction may go on: what is left is the same at the end of it all, or it is looked again.
    let again = loop {
        let before = Clients::kcat_consume(target)?;
        let python = bench.clients.python_consume(target)?;
        let java = bench.clients.java_consume(target, 0, before.len())?;
        if Clients::kcat_consume(target)? == before {
            same("kafka-python", &python, &before)?;
            same("Kafka's console consumer", &java, &before)?;
            break before;
        }
    };
    check_newest(&again, &newest)?;
    let hole = again
        .iter()
        .zip(0..)
        .find(|(record, due)| record.offset != *due);
    ensure!(hole.is_some(), "there is no hole to skip");
    Ok(format!(
        "{} of {sent} records left, the same ones for kcat, kafka-python and Kafka's tool",
        again.len()
    ))
}

/// Sends the rounds; gives the newest value of each key.
fn write(target: &Target) -> Result<BTreeMap<usize, String>> {
    let mut newest = BTreeMap::new();
    for round in 0..ROUNDS {
        let mut text = String::new();
        for record in 0..RECORDS_PER_ROUND {
            let key = record % KEYS;
            let value = format!("{key} {round} {record}");
            text.push_str(&format!("{key}:{value}\n"));
            newest.insert(key, value);
        }
        let file = target.logs.join(format!("{}-{round}.txt", target.topic));
        fs::write(&file, text)?;
        let mut command = Clients::kcat_producer(target, "lz4", Promise::ExactlyOnce);
        command.args(["-K", ":", "-l"]).arg(&file);
        let log = target.logs.join(format!("{}-{round}-kcat", target.topic));
        process::run(&mut command, &log, CLIENT_LIMIT).context("kcat, with keys")?;
    }
    Ok(newest)
}

/// The last record of each key is the one sent last.
fn check_newest(consumed: &[Consumed], newest: &BTreeMap<usize, String>) -> Result<()> {
    let mut last = BTreeMap::new();
    for record in consumed {
        let value = String::from_utf8(record.value.clone())?;
        let key: usize = value.split(' ').next().unwrap_or_default().parse()?;
        last.insert(key, value);
    }
    for (key, value) in newest {
        let found = last.get(key);
        ensure!(
            found == Some(value),
            "key {key}: {found:?} is last, not {value}"
        );
    }
    Ok(())
}

fn same(client: &str, found: &[Consumed], wanted: &[Consumed]) -> Result<()> {
    if found != wanted {
        let at = found.iter().zip(wanted).position(|(a, b)| a != b);
        bail!(
            "{client} finds {} records of {}, and others from record {at:?} on",
            found.len(),
            wanted.len()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_whose_newest_value_is_gone_is_named() {
        let record = |offset, value: &str| Consumed {
            partition: 0,
            offset,
            value: value.as_bytes().to_vec(),
        };
        let newest = [(3, "3 1 0".to_owned())].into();
        let both = [record(0, "3 0 0"), record(4, "3 1 0")];
        check_newest(&both, &newest).unwrap();
        assert!(check_newest(&both[..1], &newest).is_err());
        assert!(same("x", &both[..1], &both).is_err());
    }
}
