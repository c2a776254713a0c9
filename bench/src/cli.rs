//! The command line of `millrace bench`.

use crate::report::Report;
use crate::scenarios::{self, Setting};
use anyhow::Result;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// Measures Millrace (or any Kafka broker), with calibrations in the same run.
#[derive(Clone, Debug, Args)]
pub struct BenchArgs {
    #[command(subcommand)]
    scenario: Scenario,
    #[command(flatten)]
    setting: SettingArgs,
    /// Also write the figures as JSON to this file
    #[arg(long, global = true, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Clone, Debug, Subcommand)]
enum Scenario {
    /// What the disk and loopback can do: durable writes, reads, stream, round trip
    Calibrate,
    /// As many requests as a window in flight allows
    Peak(LoadArgs),
    /// A fixed rate on a schedule; latency counts from the time a request was due
    Rate {
        #[command(flatten)]
        load: LoadArgs,
        /// Requests a second
        #[arg(long)]
        per_second: f64,
    },
    /// Read a topic that was just written (hot) and after a restart (cold)
    Fetch(LoadArgs),
    /// Kill -9 with a full journal, then time until it serves
    Recovery(LoadArgs),
    /// Memory and CPU of idle partitions and connections
    Idle,
    /// Produce latency while a backlog is drained cold on the same shard
    Drain(LoadArgs),
    /// Produce latency while another topic is compacted on the same shard
    Compaction(CompactionArgs),
    /// CPU of heartbeats of many consumer groups
    Groups(GroupsArgs),
    /// Every figure of the target table, one after the other
    Targets,
}

/// The shape of a load.
#[derive(Clone, Debug, Args)]
pub struct LoadArgs {
    /// Bytes of one record batch; each request carries one
    #[arg(long, default_value_t = 65_536)]
    pub batch_bytes: usize,
    /// Connections
    #[arg(long, default_value_t = 4)]
    pub connections: usize,
    /// Requests in flight on each connection
    #[arg(long, default_value_t = 16)]
    pub window: u64,
    /// Partitions written
    #[arg(long, default_value_t = 1)]
    pub partitions: i32,
    /// Durability class of the topic
    #[arg(long, default_value = "disk")]
    pub durability: String,
    /// Seconds before measuring
    #[arg(long, default_value_t = 3.0)]
    pub warm_up: f64,
    /// Seconds measured
    #[arg(long, default_value_t = 10.0)]
    pub seconds: f64,
    /// `retention.bytes` of the topic, so that a long run recycles its space
    #[arg(long, default_value_t = 2 << 30)]
    pub retention_bytes: i64,
    /// `segment.bytes` of the topic
    #[arg(long, default_value_t = 256 << 20)]
    pub segment_bytes: i64,
}

/// A backlog to compact and the probe beside it.
#[derive(Clone, Debug, Args)]
pub struct CompactionArgs {
    /// Requests of 1 KiB a second
    #[arg(long, default_value_t = 1_000.0)]
    pub per_second: f64,
    /// Bytes of the backlog, at least
    #[arg(long, default_value_t = 1 << 30)]
    pub backlog_bytes: u64,
    /// Seconds measured, alone and beside compaction
    #[arg(long, default_value_t = 8.0)]
    pub seconds: f64,
}

impl CompactionArgs {
    /// The load whose latency counts.
    #[must_use]
    pub fn probe(&self) -> LoadArgs {
        LoadArgs {
            batch_bytes: 1_024,
            connections: 1,
            window: 1,
            partitions: 1,
            durability: "disk".into(),
            warm_up: 1.0,
            seconds: self.seconds,
            retention_bytes: -1,
            segment_bytes: 256 << 20,
        }
    }
}

/// The consumer groups of a load.
#[derive(Clone, Debug, Args)]
pub struct GroupsArgs {
    /// Groups, each on a connection of its own
    #[arg(long, default_value_t = Self::default().groups)]
    pub groups: usize,
    /// Members of each
    #[arg(long, default_value_t = Self::default().members)]
    pub members: usize,
    /// Milliseconds between two heartbeats of a member
    #[arg(long, default_value_t = Self::default().interval_ms)]
    pub interval_ms: u32,
    /// Seconds before measuring
    #[arg(long, default_value_t = Self::default().warm_up)]
    pub warm_up: f64,
    /// Seconds measured
    #[arg(long, default_value_t = Self::default().seconds)]
    pub seconds: f64,
}

impl Default for GroupsArgs {
    /// What the target table measures, as the command line's defaults.
    fn default() -> Self {
        Self {
            groups: 1_000,
            members: 10,
            interval_ms: 3_000,
            warm_up: 3.0,
            seconds: 12.0,
        }
    }
}

#[derive(Clone, Debug, Args)]
struct SettingArgs {
    /// Measure a running broker instead of starting one
    #[arg(long, global = true, value_name = "HOST:PORT")]
    bootstrap: Option<std::net::SocketAddr>,
    /// Where brokers that this run starts keep their data
    #[arg(long, global = true, default_value = ".", value_name = "DIR")]
    dir: PathBuf,
    /// Core of the load client
    #[arg(long, global = true, default_value_t = 0)]
    client_core: usize,
    /// `--cores` of the broker
    #[arg(long, global = true, default_value = "1")]
    server_cores: String,
    /// `--memory` of the broker
    #[arg(long, global = true, default_value = "1GiB")]
    memory: String,
    /// More `--set key=value` for the broker
    #[arg(long = "set", global = true, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

/// Runs one benchmark command.
///
/// # Errors
/// When the broker cannot be started or reached, or a load fails.
pub fn run(args: BenchArgs) -> Result<()> {
    let setting = Setting {
        bootstrap: args.setting.bootstrap,
        dir: args.setting.dir,
        client_core: args.setting.client_core,
        server_cores: args.setting.server_cores,
        memory: args.setting.memory,
        set: args.setting.set,
    };
    let mut report = Report::new(Some(&setting.dir));
    report.print_head();
    match args.scenario {
        Scenario::Calibrate => {
            scenarios::calibration::run(&setting, &mut report)?;
        }
        Scenario::Peak(load) => {
            scenarios::produce::peak(&setting, &load, &mut report, "peak")?;
        }
        Scenario::Rate { load, per_second } => {
            scenarios::produce::rate(&setting, &load, per_second, &mut report, "rate")?;
        }
        Scenario::Fetch(load) => scenarios::fetch::run(&setting, &load, &mut report)?,
        Scenario::Recovery(load) => scenarios::recovery::run(&setting, &load, &mut report)?,
        Scenario::Idle => scenarios::idle::run(&setting, &mut report)?,
        Scenario::Drain(load) => scenarios::drain::run(&setting, &load, &mut report)?,
        Scenario::Compaction(compaction) => {
            scenarios::compaction::run(&setting, &compaction, &mut report)?;
        }
        Scenario::Groups(groups) => scenarios::groups::run(&setting, &groups, &mut report)?,
        Scenario::Targets => scenarios::targets::run(&setting, &mut report)?,
    }
    if let Some(path) = args.json {
        report.save(&path)?;
    }
    Ok(())
}
