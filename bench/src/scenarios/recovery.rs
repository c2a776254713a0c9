//! Recovery: kill -9 with a full journal, then the time until the broker serves again.

use super::load::Pace;
use super::{Setting, Subject, produce};
use crate::broker_process::BrokerProcess;
use crate::cli::LoadArgs;
use crate::machine::pin_to;
use crate::report::{Report, Target};
use crate::requests::{self, TOPIC};
use anyhow::{Context, Result};

/// Writes what the load says, kills the broker in the middle of it, starts it again.
///
/// # Errors
/// When the broker cannot be started or a load fails.
pub fn run(setting: &Setting, load: &LoadArgs, report: &mut Report) -> Result<()> {
    pin_to(setting.client_core)?;
    let (process, directory) = setting.own_broker("recovery")?;
    report.figure(
        "start on an empty directory",
        process.ready_after.as_secs_f64(),
        "s",
    );
    let mut load = load.clone();
    load.retention_bytes = -1;
    requests::create_topic(
        process.address,
        TOPIC,
        load.partitions,
        &load.topic_configs(),
    )?;
    let subject = Subject {
        address: process.address,
        process: Some(process),
        directory: Some(directory),
    };
    let written = produce::measure(setting, &subject, &load, Pace::Window(load.window))?;
    let bytes = written.bytes_per_second() * (load.seconds + load.warm_up);
    report.figure("recovery: log written before the kill", bytes / 1e9, "GB");
    let Subject {
        process, directory, ..
    } = subject;
    process
        .context("the recovery scenario starts its own broker")?
        .kill()?;
    let directory = directory.context("the recovery scenario has a directory of its own")?;
    let options = setting.broker_options(directory.0.clone())?;
    let process = BrokerProcess::start(&options)?;
    report.against(
        "recovery: kill -9 until it serves",
        process.ready_after.as_secs_f64(),
        "s",
        Target::AtMost(2.0),
    );
    for line in process.stop()? {
        if line.contains("recover") {
            report.remark(line);
        }
    }
    let process = BrokerProcess::start(&options)?;
    report.against(
        "start after a clean stop",
        process.ready_after.as_secs_f64(),
        "s",
        Target::AtMost(0.3),
    );
    drop(process.stop()?);
    Ok(())
}
