//! Produce: peak under a window, and latency at a fixed rate.

use super::load::{Load, LoadResult, Pace};
use super::{Setting, Subject};
use crate::cli::LoadArgs;
use crate::connection::{Connection, RequestRing};
use crate::machine::{Sampler, Usage, pin_to};
use crate::null_sink::NullSink;
use crate::report::Report;
use crate::requests::{self, TOPIC};
use anyhow::Result;
use hdrhistogram::Histogram;
use std::net::SocketAddr;
use std::time::Duration;

/// Bytes that one send call may carry from a connection's ring.
const RING_BYTES_MIN: usize = 1 << 20;

/// A load run with what the machine did meanwhile.
#[derive(Debug)]
pub struct Measured {
    /// The load's own view.
    pub load: LoadResult,
    /// The machine's.
    pub usage: Usage,
    /// Bytes of one batch as sent.
    pub batch_bytes: usize,
}

impl Measured {
    /// Acked batch bytes a second.
    #[must_use]
    pub fn bytes_per_second(&self) -> f64 {
        self.load.rate() * self.batch_bytes as f64
    }
}

/// Opens connections that together write to all partitions of the topic in turn.
///
/// # Errors
/// When nobody listens.
pub fn connect(address: SocketAddr, load: &LoadArgs) -> Result<(Vec<Connection>, usize)> {
    let batch = requests::batch(load.batch_bytes)?;
    let error_at = requests::produce_error_at(TOPIC);
    let count = load.connections.max(1);
    let mut connections = Vec::with_capacity(count);
    for place in 0..count {
        let mine: Vec<i32> = (0..load.partitions)
            .filter(|partition| {
                load.partitions < i32::try_from(count).unwrap_or(i32::MAX)
                    || usize::try_from(*partition).is_ok_and(|number| number % count == place)
            })
            .collect();
        let frames: Vec<Vec<u8>> = mine
            .iter()
            .map(|&partition| requests::produce(TOPIC, partition, &batch))
            .collect::<Result<_>>()?;
        let ring = RequestRing::new(&frames, error_at, RING_BYTES_MIN)?;
        connections.push(Connection::open(address, ring, place)?);
    }
    Ok((connections, batch.len()))
}

/// Runs one load against a broker.
///
/// # Errors
/// When a connection breaks or the broker refuses a request.
pub fn measure(
    setting: &Setting,
    subject: &Subject,
    load: &LoadArgs,
    pace: Pace,
) -> Result<Measured> {
    let (mut connections, batch_bytes) = connect(subject.address, load)?;
    let id = subject
        .process
        .as_ref()
        .map(crate::broker_process::BrokerProcess::id);
    let sampler = Sampler::new(id, Some(&setting.dir));
    let mut from = sampler.sample();
    let result = Load {
        connections: &mut connections,
        pace,
        warm_up: Duration::from_secs_f64(load.warm_up),
        measure: Duration::from_secs_f64(load.seconds),
    }
    .run(|| from = sampler.sample())?;
    let usage = sampler.since(&from);
    Ok(Measured {
        load: result,
        usage,
        batch_bytes,
    })
}

/// As many requests as the window allows.
///
/// # Errors
/// When the broker cannot be started or a load fails.
pub fn peak(
    setting: &Setting,
    load: &LoadArgs,
    report: &mut Report,
    name: &str,
) -> Result<Measured> {
    pin_to(setting.client_core)?;
    let ceiling = client_ceiling(setting, load)?;
    let subject = setting.subject("peak")?;
    requests::create_topic(
        subject.address,
        TOPIC,
        load.partitions,
        &load.topic_configs(),
    )?;
    let measured = measure(setting, &subject, load, Pace::Window(load.window))?;
    describe(report, name, &measured);
    report.figure(
        format!("{name}: the client alone, against the null sink"),
        ceiling / measured.load.rate(),
        "x",
    );
    for line in subject.stop()? {
        if line.contains("counters") {
            report.remark(line);
        }
    }
    Ok(measured)
}

/// Adds the usual figures of a measured load.
pub fn describe(report: &mut Report, name: &str, measured: &Measured) {
    report.figure(format!("{name}: requests"), measured.load.rate(), "/s");
    report.figure(
        format!("{name}: acked"),
        measured.bytes_per_second() / 1e6,
        "MB/s",
    );
    percentiles(report, name, &measured.load.latency);
    let requests = measured.load.requests as f64;
    report.usage(
        name,
        &measured.usage,
        requests * measured.batch_bytes as f64,
        requests,
    );
}

/// Adds percentiles of a histogram of nanoseconds.
pub fn percentiles(report: &mut Report, name: &str, latency: &Histogram<u64>) {
    for (label, quantile) in [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)] {
        let value = latency.value_at_quantile(quantile) as f64 / 1e3;
        report.figure(format!("{name}: {label}"), value, "us");
    }
    report.figure(format!("{name}: max"), latency.max() as f64 / 1e3, "us");
}

/// Requests on a schedule of `per_second`.
///
/// # Errors
/// When the broker cannot be started or a load fails.
pub fn rate(
    setting: &Setting,
    load: &LoadArgs,
    per_second: f64,
    report: &mut Report,
    name: &str,
) -> Result<Measured> {
    pin_to(setting.client_core)?;
    let subject = setting.subject("rate")?;
    requests::create_topic(
        subject.address,
        TOPIC,
        load.partitions,
        &load.topic_configs(),
    )?;
    let measured = measure(setting, &subject, load, Pace::Rate(per_second))?;
    let answered = measured.load.requests as f64 / measured.load.offered.max(1) as f64;
    if answered < 0.99 {
        report.remark(format!(
            "{name}: VOID, only {answered:.3} of the offered rate was answered"
        ));
    }
    describe(report, name, &measured);
    drop(subject.stop()?);
    Ok(measured)
}

/// What the client reaches when nothing is stored.
///
/// # Errors
/// When the sink cannot be started.
pub fn client_ceiling(setting: &Setting, load: &LoadArgs) -> Result<f64> {
    let core = setting.first_server_core()?;
    let sink = NullSink::start(core, requests::produce_response(TOPIC)?)?;
    let (mut connections, _) = connect(sink.address, load)?;
    let result = Load {
        connections: &mut connections,
        pace: Pace::Window(load.window),
        warm_up: Duration::from_millis(300),
        measure: Duration::from_secs(2),
    }
    .run(|| {})?;
    Ok(result.rate())
}
