//! Compaction: produce latency while a backlog of another topic is compacted on the same shard, at
//! the rate that `log.cleaner.io.max.bytes.per.second` allows.

use super::load::{Load, Pace};
use super::{Setting, produce};
use crate::cli::CompactionArgs;
use crate::connection::{Connection, RequestRing};
use crate::machine::{Sampler, pin_to};
use crate::report::Report;
use crate::requests::{self, TOPIC, call};
use anyhow::{Result, ensure};
use millrace_engine::record_batch::Compression;
use millrace_engine::record_batch::builder::BatchBuilder;
use millrace_server::protocol::messages::IncrementalAlterConfigsRequest;
use millrace_server::protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

const BACKLOG: &str = "backlog";
const INCREMENTAL_ALTER_CONFIGS_VERSION: i16 = 0;
const RESOURCE_TOPIC: i8 = 2;
const OPERATION_SET: i8 = 0;
const BATCHES: usize = 256;
const RECORDS_PER_BATCH: usize = 64;
const VALUE_BYTES: usize = 1_000;
const CONNECTIONS: usize = 4;
const WINDOW: u64 = 16;
const FILL_STEP: Duration = Duration::from_millis(500);
/// Until the cleaner reads.
const BEGIN_LIMIT: Duration = Duration::from_secs(60);
/// Read by then, it is at work.
const BEGUN_BYTES: u64 = 8 << 20;
/// A run in which less was read did not compact all the time.
const READ_PER_SECOND_MIN: f64 = 8e6;
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// The probe alone, then beside compaction.
///
/// # Errors
/// When the broker cannot be started or a load fails.
pub fn run(setting: &Setting, args: &CompactionArgs, report: &mut Report) -> Result<()> {
    pin_to(setting.client_core)?;
    let mut setting = setting.clone();
    setting.set.push("log.cleaner.backoff.ms=100".to_owned());
    let subject = setting.subject("compaction")?;
    let probe = args.probe();
    requests::create_topic(subject.address, TOPIC, 1, &probe.topic_configs())?;
    fill(subject.address, args, report)?;
    let pace = Pace::Rate(args.per_second);
    let alone = produce::measure(&setting, &subject, &probe, pace)?;
    produce::percentiles(report, "produce alone", &alone.load.latency);
    begin(&setting, subject.address)?;
    let both = produce::measure(&setting, &subject, &probe, pace)?;
    let read = both.usage.device_read_bytes as f64 / both.usage.seconds;
    produce::percentiles(report, "produce while compacting", &both.load.latency);
    report.figure(
        "produce while compacting: read from the device",
        read / 1e6,
        "MB/s",
    );
    if read < READ_PER_SECOND_MIN {
        report.remark("compaction: VOID, it was done before the probe");
    }
    for (label, quantile) in [("p50", 0.5), ("p99", 0.99)] {
        report.figure(
            format!("produce {label}, compacting / alone"),
            both.load.latency.value_at_quantile(quantile) as f64
                / alone.load.latency.value_at_quantile(quantile) as f64,
            "x",
        );
    }
    for (name, measured) in [("alone", &alone), ("while compacting", &both)] {
        report.figure(
            format!("produce {name}: broker CPU"),
            measured.usage.broker_cpu_seconds / measured.usage.seconds * 100.0,
            "% of a core",
        );
        // Much more than the broker's: a neighbour was at work.
        report.figure(
            format!("produce {name}: all CPU outside the client"),
            measured.usage.outside_cpu_seconds / measured.usage.seconds * 100.0,
            "% of a core",
        );
    }
    // What it says is when compaction was done.
    for line in subject.stop()? {
        if line.contains("compacted to offset") {
            report.remark(line);
        }
    }
    Ok(())
}

/// Writes the backlog while its topic is not compacted yet.
fn fill(address: SocketAddr, args: &CompactionArgs, report: &mut Report) -> Result<()> {
    let configs = [
        ("cleanup.policy", "delete".to_owned()),
        ("segment.bytes", (64 << 20).to_string()),
        ("max.message.bytes", (1 << 20).to_string()),
    ];
    requests::create_topic(address, BACKLOG, 1, &configs)?;
    let frames: Vec<Vec<u8>> = (0..BATCHES)
        .map(|number| requests::produce(BACKLOG, 0, &keyed_batch(number)?))
        .collect::<Result<_>>()?;
    let error_at = requests::produce_error_at(BACKLOG);
    let frame_bytes = frames.first().map_or(0, Vec::len);
    let ring = RequestRing::new(&frames, error_at, 0)?;
    let mut connections = (0..CONNECTIONS)
        .map(|place| Connection::open(address, ring.clone(), place * BATCHES / CONNECTIONS))
        .collect::<Result<Vec<_>>>()?;
    let mut bytes = 0.0;
    while bytes < args.backlog_bytes as f64 {
        let filled = Load {
            connections: &mut connections,
            pace: Pace::Window(WINDOW),
            warm_up: Duration::ZERO,
            measure: FILL_STEP,
        }
        .run(|| {})?;
        bytes += filled.requests as f64 * frame_bytes as f64;
    }
    report.figure("compaction: backlog", bytes / 1e6, "MB");
    Ok(())
}

/// The batches hold the same keys in every round, so that the last round is what stays.
fn keyed_batch(number: usize) -> Result<Vec<u8>> {
    let mut builder = BatchBuilder::new(Compression::None);
    let value = [b'v'; VALUE_BYTES];
    for record in 0..RECORDS_PER_BATCH {
        let key = format!("key {number:04} {record:04}");
        builder.push(0, Some(key.as_bytes()), Some(&value), &[]);
    }
    Ok(builder.build()?)
}

/// Turns compaction on and waits until it reads.
fn begin(setting: &Setting, address: SocketAddr) -> Result<()> {
    let sampler = Sampler::new(None, Some(&setting.dir));
    let from = sampler.sample();
    let mut stream = TcpStream::connect(address)?;
    let config = AlterableConfig {
        name: "cleanup.policy",
        config_operation: OPERATION_SET,
        value: Some("compact"),
    };
    let resource = AlterConfigsResource {
        resource_type: RESOURCE_TOPIC,
        resource_name: BACKLOG,
        configs: vec![config].into(),
    };
    let request = IncrementalAlterConfigsRequest {
        resources: vec![resource].into(),
        validate_only: false,
    };
    let version = INCREMENTAL_ALTER_CONFIGS_VERSION;
    call(&mut stream, version, &request, |response| {
        for resource in &response.responses {
            let code = resource.error_code;
            ensure!(code == 0, "compaction cannot be turned on: error {code}");
        }
        Ok(())
    })?;
    let asked = Instant::now();
    while sampler.since(&from).device_read_bytes < BEGUN_BYTES {
        ensure!(
            asked.elapsed() < BEGIN_LIMIT,
            "compaction did not begin within {BEGIN_LIMIT:?}"
        );
        std::thread::sleep(LOOK_INTERVAL);
    }
    Ok(())
}
