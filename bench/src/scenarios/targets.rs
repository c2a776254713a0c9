//! Every figure of the target table in one run, with its calibrations before and after.

use super::calibration::{self, Calibration};
use super::produce::{self, Measured};
use super::{Setting, fetch, groups, idle, recovery};
use crate::cli::{GroupsArgs, LoadArgs};
use crate::report::{Report, Target};
use anyhow::Result;

fn load(batch_bytes: usize, connections: usize, window: u64, partitions: i32) -> LoadArgs {
    LoadArgs {
        batch_bytes,
        connections,
        window,
        partitions,
        durability: "disk".into(),
        warm_up: 6.0,
        seconds: 12.0,
        retention_bytes: 1 << 30,
        segment_bytes: 256 << 20,
    }
}

/// Runs the whole table.
///
/// # Errors
/// When the broker cannot be started or a load fails.
pub fn run(setting: &Setting, report: &mut Report) -> Result<()> {
    let calibration = calibration::run(setting, report)?;
    large(setting, report, &calibration)?;
    let one = small(setting, report)?;
    many(setting, report, &one)?;
    latency(setting, report, &calibration)?;
    fetch::against(setting, &load(65_536, 4, 16, 1), report, &calibration)?;
    super::drain::run(setting, &load(65_536, 4, 16, 1), report)?;
    let mut recovery_load = load(16_384, 8, 16, 1_000);
    recovery_load.seconds = 10.0;
    recovery::run(setting, &recovery_load, report)?;
    idle::run(setting, report)?;
    groups::run(setting, &GroupsArgs::default(), report)?;
    calibration::run(setting, report)?;
    Ok(())
}

fn large(setting: &Setting, report: &mut Report, calibration: &Calibration) -> Result<()> {
    let mut load = load(65_536, 4, 16, 1);
    // Until what is written goes into files that were released.
    load.warm_up = 10.0;
    let measured = produce::peak(setting, &load, report, "64 KiB")?;
    let bytes = measured.load.requests as f64 * measured.batch_bytes as f64;
    report.against(
        "64 KiB: acked / durable write 256 KiB x 4",
        measured.bytes_per_second() / calibration.durable_bytes_per_second,
        "x",
        Target::AtLeast(0.6),
    );
    report.against(
        "64 KiB: broker CPU per GB",
        measured.usage.broker_cpu_seconds / (bytes / 1e9),
        "s/GB",
        Target::AtMost(0.45),
    );
    report.against(
        "64 KiB: device bytes written / acked",
        measured.usage.device_written_bytes as f64 / bytes,
        "x",
        Target::AtMost(1.1),
    );
    Ok(())
}

fn small(setting: &Setting, report: &mut Report) -> Result<Measured> {
    let measured = produce::peak(setting, &load(1_024, 64, 64, 1), report, "1 KiB")?;
    let bytes = measured.load.requests as f64 * measured.batch_bytes as f64;
    report.against(
        "1 KiB: requests",
        measured.load.rate(),
        "/s",
        Target::AtLeast(250_000.0),
    );
    report.against(
        "1 KiB: broker CPU per request",
        measured.usage.broker_cpu_seconds * 1e6 / measured.load.requests as f64,
        "us",
        Target::AtMost(3.5),
    );
    report.against(
        "1 KiB: device bytes written / acked",
        measured.usage.device_written_bytes as f64 / bytes,
        "x",
        Target::AtMost(2.3),
    );
    Ok(measured)
}

fn many(setting: &Setting, report: &mut Report, one: &Measured) -> Result<()> {
    for (partitions, bound) in [(1_000, 0.7), (10_000, 0.5)] {
        let name = format!("1 KiB over {partitions} partitions");
        let mut load = load(1_024, 64, 64, partitions);
        // Until every partition has its file and memory was touched once.
        load.warm_up = 12.0;
        load.seconds = 15.0;
        let measured = produce::peak(setting, &load, report, &name)?;
        report.against(
            format!("{name} / one partition"),
            measured.load.rate() / one.load.rate(),
            "x",
            Target::AtLeast(bound),
        );
    }
    Ok(())
}

fn latency(setting: &Setting, report: &mut Report, calibration: &Calibration) -> Result<()> {
    let floor = |quantile: f64| {
        calibration.durable_4k.value_at_quantile(quantile) as f64
            + calibration.round_trip.value_at_quantile(quantile) as f64
    };
    for durability in ["disk", "memory", "null"] {
        let mut load = load(1_024, 1, 64, 1);
        load.durability = durability.into();
        load.warm_up = 2.0;
        load.seconds = 8.0;
        let name = format!("ack, {durability}, 2000/s");
        let measured = produce::rate(setting, &load, 2_000.0, report, &name)?;
        if durability != "disk" {
            continue;
        }
        for (label, quantile, bound) in [("p50", 0.5, 1.5), ("p99", 0.99, 2.0)] {
            report.against(
                format!("{name}: {label} / (durable 4 KiB + round trip)"),
                measured.load.latency.value_at_quantile(quantile) as f64 / floor(quantile),
                "x",
                Target::AtMost(bound),
            );
        }
    }
    Ok(())
}
