//! The scenarios: which broker, which clients, which faults.

use super::Bench;
use super::broker::{Broker, Setup};
use super::clients::{CLIENT_LIMIT, Clients, Target};
use super::compacted;
use super::groups;
use super::process::{self, Process};
use super::verify::{Consumed, Promise, verify};
use anyhow::{Context, Result, bail};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];
const CORES: [&str; 3] = ["0", "0,1", "0,0,1,1"];
const ADVERTISE: [&str; 2] = ["single", "per-core"];
const PARTITIONS: [u32; 2] = [1, 16];
/// Times the broker is killed while a producer works.
const KILLS: usize = 3;
const JAVA_RECORDS: usize = 50_000;

/// What is done with a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    /// kcat with every codec, then a clean restart.
    Codecs,
    /// kcat while the broker is killed and comes back with other shard counts.
    Kills,
    /// kafka-python, kafkajs and Kafka's own tools.
    Clients,
    /// Consumer groups of kafka-python, kafkajs and kcat.
    Groups,
    /// A compacted topic.
    Compacted,
}

/// A scenario.
#[derive(Clone, Debug)]
pub(super) struct Scenario {
    work: Work,
    setup: Setup,
}

impl Scenario {
    /// A name that `--only` can pick.
    pub(super) fn name(&self) -> String {
        let work = format!("{:?}", self.work).to_lowercase();
        let shards = self.setup.cores.split(',').count();
        format!("{work}-{shards}-{}", self.setup.advertise)
    }
}

/// All of them.
pub(super) fn all() -> Vec<Scenario> {
    let mut scenarios = Vec::new();
    for work in [Work::Codecs, Work::Kills, Work::Clients, Work::Groups] {
        for cores in CORES {
            for advertise in ADVERTISE {
                scenarios.push(Scenario {
                    work,
                    setup: Setup {
                        cores,
                        advertise,
                        settings: &[],
                    },
                });
            }
        }
    }
    scenarios.push(Scenario {
        work: Work::Compacted,
        setup: Setup {
            cores: "0,1",
            advertise: "single",
            settings: compacted::SETTINGS,
        },
    });
    scenarios
}

/// Runs one; says what it did.
pub(super) fn run(bench: &Bench, scenario: &Scenario) -> Result<String> {
    let folder = bench.folder.join("runs").join(scenario.name());
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let mut broker = Broker::start(&bench.binary, &folder, &scenario.setup)?;
    let said = match scenario.work {
        Work::Codecs => codecs(bench, &mut broker, &folder, scenario)?,
        Work::Kills => kills(bench, &mut broker, &folder, scenario)?,
        Work::Clients => clients(bench, &broker, &folder)?,
        Work::Groups => {
            let target = create(bench, &broker, &folder, "groups", 4)?;
            // Into every partition, so that each member has work and each partition a lag.
            let file = &bench.input.file;
            bench
                .clients
                .script_produce(&target, "produce.py", "none", file)?;
            groups::run(bench, &mut broker, &target, &scenario.setup)?
        }
        Work::Compacted => {
            let configs = &compacted::CONFIGS;
            let target = create_with(bench, &broker, &folder, "compacted", (1, configs))?;
            compacted::run(bench, &target)?
        }
    };
    broker.stop()?;
    if !bench.is_kept {
        fs::remove_dir_all(&folder)?;
    }
    Ok(said)
}

fn codecs(bench: &Bench, broker: &mut Broker, logs: &Path, scenario: &Scenario) -> Result<String> {
    let mut targets = Vec::new();
    for partitions in PARTITIONS {
        for codec in CODECS {
            let topic = format!("{codec}-{partitions}");
            let target = create(bench, broker, logs, &topic, partitions)?;
            Clients::kcat_produce(&target, codec, &bench.input.file).context(topic.clone())?;
            check(bench, &target, Promise::ExactlyOnce).context(topic)?;
            targets.push(target);
        }
    }
    broker.stop()?;
    broker.start_again(&scenario.setup)?;
    for target in &targets {
        check(bench, target, Promise::ExactlyOnce)
            .with_context(|| format!("{} after a restart", target.topic))?;
    }
    Ok(format!(
        "{} topics, before and after a clean restart",
        targets.len()
    ))
}

fn check(bench: &Bench, target: &Target, promise: Promise) -> Result<()> {
    let consumed = Clients::kcat_consume(target)?;
    verify(&bench.input.lines, &consumed, promise)
}

/// Kills the broker while kcat sends, each time coming back with another number of shards.
fn kills(bench: &Bench, broker: &mut Broker, logs: &Path, scenario: &Scenario) -> Result<String> {
    let topics = [
        (1, Promise::ExactlyOnce),
        (16, Promise::ExactlyOnce),
        (16, Promise::AtLeastOnce),
    ];
    for (partitions, promise) in topics {
        let topic = format!("kills-{partitions}-{promise:?}");
        let target = create(bench, broker, logs, &topic, partitions)?;
        let mut command = Clients::kcat_producer(&target, "lz4", promise);
        let log = logs.join(format!("{topic}-kcat"));
        let mut producer = Process::start(&mut command, &log, Stdio::piped())?;
        let mut lines = producer.take_stdin()?;
        let text = fs::read(&bench.input.file)?;
        let parts: Vec<&[u8]> = text.chunks(text.len() / (KILLS + 1) + 1).collect();
        for (index, part) in parts.iter().enumerate() {
            lines.write_all(part).context("kcat ended early")?;
            lines.flush()?;
            if index < KILLS {
                broker.kill()?;
                let cores = match index {
                    1 => scenario.setup.cores,
                    _ => CORES[(shards(scenario) + index) % CORES.len()],
                };
                broker.start_again(&Setup {
                    cores,
                    ..scenario.setup.clone()
                })?;
            }
        }
        drop(lines);
        producer.finish(CLIENT_LIMIT).context(topic.clone())?;
        check(bench, &target, promise).context(topic.clone())?;
        broker.kill()?;
        broker.start_again(&scenario.setup)?;
        check(bench, &target, promise).with_context(|| format!("{topic} after a last kill"))?;
    }
    Ok(format!(
        "{} kills per topic, other shard counts in between",
        KILLS + 1
    ))
}

fn shards(scenario: &Scenario) -> usize {
    scenario.setup.cores.split(',').count()
}

fn clients(bench: &Bench, broker: &Broker, logs: &Path) -> Result<String> {
    let file = &bench.input.file;
    let scripts = [
        ("produce.py", "gzip"),
        ("produce.py", "zstd"),
        ("produce.js", "gzip"),
        ("produce.js", "none"),
    ];
    for (index, (script, codec)) in scripts.into_iter().enumerate() {
        let topic = format!("client-{index}");
        let target = create(bench, broker, logs, &topic, 4)?;
        bench
            .clients
            .script_produce(&target, script, codec, file)
            .context(topic.clone())?;
        check(bench, &target, Promise::ExactlyOnce).context(topic.clone())?;
        let consumed = bench.clients.python_consume(&target)?;
        verify(&bench.input.lines, &consumed, Promise::ExactlyOnce)
            .with_context(|| format!("{topic}, read by kafka-python"))?;
        if index == 0 {
            check_console_consumer(bench, &target, &consumed)?;
        }
    }
    for codec in ["none", "zstd"] {
        let target = create(bench, broker, logs, &format!("java-{codec}"), 2)?;
        bench.clients.java_produce(&target, JAVA_RECORDS, codec)?;
        check_numbers(&Clients::kcat_consume(&target)?)?;
    }
    Ok("kafka-python, kafkajs, ProducerPerformance, console consumer".to_owned())
}

/// Kafka's console consumer must print what kafka-python read, partition by partition.
fn check_console_consumer(bench: &Bench, target: &Target, read: &[Consumed]) -> Result<()> {
    for partition in 0..i32::try_from(target.partitions)? {
        let wanted: Vec<Consumed> = read
            .iter()
            .filter(|record| record.partition == partition)
            .cloned()
            .collect();
        let printed = bench
            .clients
            .java_consume(target, partition, wanted.len())?;
        if printed != wanted {
            let at = printed.iter().zip(&wanted).position(|(a, b)| a != b);
            bail!("console consumer, partition {partition}: differs at record {at:?}");
        }
    }
    Ok(())
}

/// ProducerPerformance sends 0, 1, 2, …, so each partition must hold ascending numbers.
fn check_numbers(consumed: &[Consumed]) -> Result<()> {
    let mut numbers: Vec<usize> = Vec::new();
    let mut last = std::collections::BTreeMap::new();
    for (index, record) in consumed.iter().enumerate() {
        let number: usize = std::str::from_utf8(&record.value)?.parse()?;
        let before = last.insert(record.partition, (number, record.offset));
        let due = before.map_or(0, |(_, offset)| offset + 1);
        if record.offset != due || before.is_some_and(|(before, _)| before >= number) {
            bail!("record {index}: {record:?} after {before:?}");
        }
        numbers.push(number);
    }
    numbers.sort_unstable();
    if numbers != (0..JAVA_RECORDS).collect::<Vec<_>>() {
        bail!("{} numbers came back of {JAVA_RECORDS}", numbers.len());
    }
    Ok(())
}

fn create(
    bench: &Bench,
    broker: &Broker,
    logs: &Path,
    topic: &str,
    partitions: u32,
) -> Result<Target> {
    create_with(bench, broker, logs, topic, (partitions, &[]))
}

fn create_with(
    bench: &Bench,
    broker: &Broker,
    logs: &Path,
    topic: &str,
    (partitions, configs): (u32, &[&str]),
) -> Result<Target> {
    let mut command = Command::new(&bench.binary);
    command.args([
        "topic",
        "create",
        topic,
        "--partitions",
        &partitions.to_string(),
    ]);
    command.args(["--bootstrap", &broker.address()]);
    for config in configs {
        command.args(["--config", config]);
    }
    let log: PathBuf = logs.join(format!("{topic}-create"));
    process::run(&mut command, &log, Duration::from_secs(20))?;
    Ok(Target {
        address: broker.address(),
        topic: topic.to_owned(),
        partitions,
        logs: logs.to_path_buf(),
    })
}
