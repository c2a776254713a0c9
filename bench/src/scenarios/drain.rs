//! Drain: produce latency while a backlog is read cold on the same shard.

use super::load::Pace;
use super::{Setting, Subject, produce};
use crate::broker_process::BrokerProcess;
use crate::cli::LoadArgs;
use crate::machine::pin_to;
use crate::report::{Report, Target};
use crate::requests::{self, Fetcher, TOPIC};
use anyhow::{Context, Result, anyhow};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

const FETCH_BYTES: i32 = 8 << 20;
/// Requests a second of the latency probe.
const PROBE_PER_SECOND: f64 = 1_000.0;

/// The probe alone, the drain alone, then both.
///
/// # Errors
/// When the broker cannot be started or a load fails.
pub fn run(setting: &Setting, load: &LoadArgs, report: &mut Report) -> Result<()> {
    pin_to(setting.client_core)?;
    let mut load = load.clone();
    load.retention_bytes = -1;
    load.partitions = 2;
    let (subject, batch_bytes) = with_backlog(setting, &load)?;
    let address = subject.address;
    // The probe writes behind the backlog.
    let mut fetcher = Fetcher::open(address, TOPIC, 0, batch_bytes, FETCH_BYTES)?;
    fetcher.end = fetcher.end_offset()?;
    let probe = LoadArgs {
        batch_bytes: 1024,
        connections: 1,
        partitions: 2,
        warm_up: 0.5,
        seconds: 4.0,
        ..load
    };
    let alone = produce::measure(setting, &subject, &probe, Pace::Rate(PROBE_PER_SECOND))?;
    produce::percentiles(report, "produce alone", &alone.load.latency);
    let half = u64::try_from(fetcher.end)? * batch_bytes as u64 / 2;
    let (bytes, seconds) = fetcher.drain(half)?;
    let lone_rate = bytes as f64 / seconds;
    report.figure("drain alone", lone_rate / 1e6, "MB/s");
    let stop = Arc::new(AtomicBool::new(false));
    let drain = drain_until(fetcher, Arc::clone(&stop));
    let both = produce::measure(setting, &subject, &probe, Pace::Rate(PROBE_PER_SECOND))?;
    stop.store(true, Ordering::Relaxed);
    let rate = drain.join().map_err(|_| anyhow!("the drain panicked"))??;
    produce::percentiles(report, "produce while draining", &both.load.latency);
    let ratio = both.load.latency.value_at_quantile(0.99) as f64
        / alone.load.latency.value_at_quantile(0.99) as f64;
    report.against(
        "produce p99, draining / alone",
        ratio,
        "x",
        Target::AtMost(2.0),
    );
    report.figure("drain while producing", rate / 1e6, "MB/s");
    report.against(
        "drain, producing / alone",
        rate / lone_rate,
        "x",
        Target::AtLeast(0.5),
    );
    drop(subject.stop()?);
    Ok(())
}

/// Reads round and round on a thread of its own; gives bytes a second.
fn drain_until(mut fetcher: Fetcher, stopped: Arc<AtomicBool>) -> JoinHandle<Result<f64>> {
    std::thread::spawn(move || {
        yield_core_to_others()?;
        let (mut bytes, mut seconds) = (0, 0.0);
        while !stopped.load(Ordering::Relaxed) {
            let (read, took) = fetcher.drain(64 << 20)?;
            bytes += read;
            seconds += took;
            if read == 0 {
                fetcher.offset = 0;
            }
        }
        Ok(bytes as f64 / seconds)
    })
}

/// The reader shares its core with the client whose latency counts: a nice thread would still keep
/// the core for a time slice of some milliseconds, one of the idle class does not.
fn yield_core_to_others() -> Result<()> {
    let thread = rustix::thread::gettid().as_raw_nonzero().to_string();
    let is_idle = Command::new("chrt")
        .args(["--idle", "--pid", "0", &thread])
        .status()
        .is_ok_and(|status| status.success());
    if !is_idle {
        rustix::process::nice(10)?;
    }
    Ok(())
}

/// Writes a backlog into the first of two partitions, then restarts the broker, so that nothing of
/// it is in memory. Gives the size of its batches too.
fn with_backlog(setting: &Setting, load: &LoadArgs) -> Result<(Subject, usize)> {
    let (process, directory) = setting.own_broker("drain")?;
    requests::create_topic(process.address, TOPIC, 2, &load.topic_configs())?;
    let fill = LoadArgs {
        partitions: 1,
        ..load.clone()
    };
    let subject = Subject {
        address: process.address,
        process: Some(process),
        directory: Some(directory),
    };
    let written = produce::measure(setting, &subject, &fill, Pace::Window(fill.window))?;
    let Subject {
        process, directory, ..
    } = subject;
    drop(process.context("drain starts its own broker")?.stop()?);
    let directory = directory.context("drain has a directory of its own")?;
    let process = BrokerProcess::start(&setting.broker_options(directory.0.clone())?)?;
    let address = process.address;
    let subject = Subject {
        address,
        process: Some(process),
        directory: Some(directory),
    };
    Ok((subject, written.batch_bytes))
}
