//! Fetch: hot from memory right after the write, cold from the disk after a restart.

use super::calibration::{self, Calibration};
use super::load::Pace;
use super::{Setting, Subject, produce};
use crate::broker_process::BrokerProcess;
use crate::cli::LoadArgs;
use crate::machine::{Sampler, pin_to};
use crate::report::{Report, Target};
use crate::requests::{self, Fetcher, TOPIC};
use anyhow::{Context, Result};
use std::path::Path;

/// Bytes of records asked for at once.
const FETCH_BYTES: i32 = 8 << 20;
/// Bytes read hot, over and over, and at least read cold.
const HOT_BYTES: u64 = 64 << 20;

/// Both fetch figures beside their calibrations.
///
/// # Errors
/// When the broker cannot be started or a load fails.
pub fn run(setting: &Setting, load: &LoadArgs, report: &mut Report) -> Result<()> {
    let calibration = calibration::run(setting, report)?;
    against(setting, load, report, &calibration)
}

/// The same with calibrations of the same run.
///
/// # Errors
/// When the broker cannot be started or a load fails.
pub fn against(
    setting: &Setting,
    load: &LoadArgs,
    report: &mut Report,
    calibration: &Calibration,
) -> Result<()> {
    pin_to(setting.client_core)?;
    let (process, directory) = setting.own_broker("fetch")?;
    let mut load = load.clone();
    load.retention_bytes = -1;
    load.partitions = 1;
    requests::create_topic(process.address, TOPIC, 1, &load.topic_configs())?;
    let subject = Subject {
        address: process.address,
        process: Some(process),
        directory: Some(directory),
    };
    let written = produce::measure(setting, &subject, &load, Pace::Window(load.window))?;
    let batch_bytes = written.batch_bytes;
    let Subject {
        process, directory, ..
    } = subject;
    let process = process.context("the fetch scenario starts its own broker")?;
    let hot = hot(setting, &process, batch_bytes)?;
    let name = "fetch hot";
    report.figure(format!("{name}: records"), hot.0 / 1e6, "MB/s");
    report.figure(format!("{name}: broker CPU per GB"), hot.1, "s/GB");
    report.against(
        format!("{name} / loopback stream"),
        hot.0 / calibration.stream_bytes_per_second,
        "x",
        Target::AtLeast(0.85),
    );
    drop(process.stop()?);
    let directory = directory.context("the fetch scenario has a directory of its own")?;
    cold(setting, report, &directory.0, batch_bytes)?;
    report.remark(format!(
        "fetch: one connection, {FETCH_BYTES} bytes of records asked at once"
    ));
    Ok(())
}

/// Starts the broker again and reads everything, between two direct reads of the same segments: a
/// small file that was just written says little of what the disk gives of a large log.
fn cold(setting: &Setting, report: &mut Report, data_dir: &Path, batch_bytes: usize) -> Result<()> {
    let read_before = calibration::segments(setting, data_dir)?;
    let process = BrokerProcess::start(&setting.broker_options(data_dir.to_owned())?)?;
    let sampler = Sampler::new(Some(process.id()), Some(&setting.dir));
    let from = sampler.sample();
    let mut fetcher = Fetcher::open(process.address, TOPIC, 0, batch_bytes, FETCH_BYTES)?;
    let (bytes, seconds) = fetcher.drain(u64::MAX)?;
    let usage = sampler.since(&from);
    let rate = bytes as f64 / seconds;
    let name = "fetch cold";
    report.figure(format!("{name}: bytes"), bytes as f64 / 1e6, "MB");
    report.figure(format!("{name}: records"), rate / 1e6, "MB/s");
    report.figure(
        format!("{name}: broker CPU per GB"),
        usage.broker_cpu_seconds / (bytes as f64 / 1e9),
        "s/GB",
    );
    drop(process.stop()?);
    let read_after = calibration::segments(setting, data_dir)?;
    for (when, rate) in [("before", read_before), ("after", read_after)] {
        report.figure(
            format!("calibration: direct read of the same segments, {when}"),
            rate / 1e6,
            "MB/s",
        );
    }
    report.against(
        format!("{name} / direct read of the same segments"),
        2.0 * rate / (read_before + read_after),
        "x",
        Target::AtLeast(0.85),
    );
    Ok(())
}

/// Reads the newest bytes again and again: rate and CPU seconds per GB.
fn hot(setting: &Setting, process: &BrokerProcess, batch_bytes: usize) -> Result<(f64, f64)> {
    let mut fetcher = Fetcher::open(process.address, TOPIC, 0, batch_bytes, FETCH_BYTES)?;
    let end = fetcher.end_offset()?;
    let start = (end - i64::try_from(HOT_BYTES / batch_bytes as u64)?).max(0);
    let sampler = Sampler::new(Some(process.id()), Some(&setting.dir));
    let from = sampler.sample();
    let (mut bytes, mut seconds) = (0, 0.0);
    while seconds < 3.0 {
        fetcher.offset = start;
        let (read, took) = fetcher.drain(HOT_BYTES - (HOT_BYTES % batch_bytes as u64))?;
        bytes += read;
        seconds += took;
    }
    let usage = sampler.since(&from);
    Ok((
        bytes as f64 / seconds,
        usage.broker_cpu_seconds / (bytes as f64 / 1e9),
    ))
}
