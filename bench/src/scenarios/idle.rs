//! Idle: memory of partitions and connections that do nothing, and the CPU of a broker at rest.

use super::load::Pace;
use super::produce;
use super::{Setting, Subject};
use crate::cli::LoadArgs;
use crate::machine::{Sampler, pin_to};
use crate::report::{Report, Target};
use crate::requests::{self, TOPIC};
use anyhow::{Context, Result};
use std::net::TcpStream;
use std::time::Duration;

const PARTITIONS: i32 = 10_000;
const CONNECTIONS: usize = 2_000;
const REST: Duration = Duration::from_secs(10);
/// Until a broker is idle: a checkpoint was taken, and memory of what was done is given back.
const SETTLE: Duration = Duration::from_secs(12);

const FILES_IDLE: Duration = Duration::from_secs(65);

/// Every idle figure.
///
/// # Errors
/// When the broker cannot be started or a load fails.
pub fn run(setting: &Setting, report: &mut Report) -> Result<()> {
    pin_to(setting.client_core)?;
    let subject = setting.subject("idle")?;
    let process = subject
        .process
        .as_ref()
        .context("idle starts its own broker")?;
    let empty = process.resident_bytes();
    report.figure("idle: resident, empty broker", empty as f64 / 1e6, "MB");
    connected(&subject, empty, report)?;
    let load = LoadArgs {
        batch_bytes: 256,
        connections: 8,
        window: 64,
        partitions: PARTITIONS,
        durability: "disk".into(),
        warm_up: 0.0,
        seconds: 2.0,
        retention_bytes: -1,
        segment_bytes: 1 << 30,
    };
    requests::create_topic(subject.address, TOPIC, PARTITIONS, &load.topic_configs())?;
    std::thread::sleep(SETTLE);
    let partitions = process.resident_bytes();
    report.against(
        "idle: memory per partition without records",
        (partitions.saturating_sub(empty)) as f64 / f64::from(PARTITIONS) / 1024.0,
        "KiB",
        Target::AtMost(4.0),
    );
    let written = produce::measure(setting, &subject, &load, Pace::Window(load.window))?;
    report.figure(
        "idle: requests to wake all partitions",
        written.load.rate(),
        "/s",
    );
    // Twice the time after which a file that nobody uses is closed.
    std::thread::sleep(FILES_IDLE);
    let process = subject
        .process
        .as_ref()
        .context("idle starts its own broker")?;
    let descriptors = std::fs::read_dir(format!("/proc/{}/fd", process.id()))?.count();
    report.figure("idle: open files of the broker", descriptors as f64, "");
    let written = process.resident_bytes();
    report.figure(
        "idle: memory per partition with records",
        (written.saturating_sub(empty)) as f64 / f64::from(PARTITIONS) / 1024.0,
        "KiB",
    );
    let directory = subject.directory.as_ref().context("idle has a directory")?;
    report.against(
        "idle: disk per partition with records",
        segment_bytes(&directory.0)? as f64 / f64::from(PARTITIONS) / 1024.0,
        "KiB",
        Target::AtMost(64.0),
    );
    at_rest(setting, process.id(), report);
    drop(subject.stop()?);
    Ok(())
}

/// Memory of connections that say nothing, above `empty`.
fn connected(subject: &Subject, empty: u64, report: &mut Report) -> Result<()> {
    let connections: Vec<TcpStream> = (0..CONNECTIONS)
        .map(|_| TcpStream::connect(subject.address))
        .collect::<std::io::Result<_>>()?;
    std::thread::sleep(Duration::from_secs(1));
    let process = subject.process.as_ref();
    let process = process.context("idle starts its own broker")?;
    let connected = process.resident_bytes();
    report.against(
        "idle: memory per connection",
        (connected.saturating_sub(empty)) as f64 / CONNECTIONS as f64 / 1024.0,
        "KiB",
        Target::AtMost(16.0),
    );
    drop(connections);
    Ok(())
}

fn segment_bytes(data_dir: &std::path::Path) -> Result<u64> {
    use std::os::unix::fs::MetadataExt;
    let mut total = 0;
    for file in std::fs::read_dir(data_dir.join("segments"))? {
        total += file?.metadata()?.blocks() * 512;
    }
    Ok(total)
}

fn at_rest(setting: &Setting, broker: u32, report: &mut Report) {
    let sampler = Sampler::new(Some(broker), Some(&setting.dir));
    let from = sampler.sample();
    std::thread::sleep(REST);
    let usage = sampler.since(&from);
    report.against(
        "idle: CPU of a broker at rest",
        usage.broker_cpu_seconds / usage.seconds * 100.0,
        "% of a core",
        Target::AtMost(0.2),
    );
}
