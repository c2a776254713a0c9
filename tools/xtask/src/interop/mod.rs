//! `cargo xtask interop`: real clients and their test suites against real brokers.
//!
//! Every broker is started fresh on 127.0.0.1, with 1, 2 and 4 shards and both ways to advertise.
//! Debian's package index goes in line by line with each codec, and must come back byte for byte,
//! in order per partition, without an offset missing. Clients: kcat (Debian), kafka-python (pip),
//! kafkajs (npm), Kafka's own tools (Maven); all installed by name into the target folder.

mod clients;
mod compacted;
mod endurance;
mod groups;
mod input;
mod scenarios;
mod suites;
mod verify;

use anyhow::{Context, Result, bail};
use std::path::PathBuf;
use std::process::Command;
use xtask::{broker, process};

/// Options of `cargo xtask interop`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// `quick` and `full` kill brokers while clients work, with 1.5 MB per topic or the whole
    /// index; the others are suites with ids
    #[arg(value_enum, default_value_t = Work::Quick)]
    work: Work,
    /// The broker to test; built with --release when not given
    #[arg(long, value_name = "PATH")]
    binary: Option<PathBuf>,
    /// quick, full: only scenarios whose name contains this
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Keep data directories (and, of quick and full, logs of scenarios that pass), too
    #[arg(long)]
    keep: bool,
    /// Suites: which broker
    #[arg(long, value_enum, default_value_t = suites::Peer::Millrace)]
    peer: suites::Peer,
    /// Suites: only these, into the table that is there
    #[arg(long, value_name = "ID,…", value_delimiter = ',')]
    ids: Vec<String>,
    /// Suites: only ids that have no row in the table that is there
    #[arg(long = "continue")]
    is_continued: bool,
    /// Suites: begin no id after this many seconds; group-endurance: how long members come and go
    #[arg(long, value_name = "N")]
    seconds: Option<u64>,
    /// Suites: ids at the same time
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// Suites: only setups with this many shards; group-endurance: shards
    #[arg(long, value_name = "N")]
    shards: Option<usize>,
    /// Suites, group-endurance: only setups that advertise so: single or per-core
    #[arg(long, value_name = "HOW")]
    advertise: Option<String>,
    /// Suites: make what passed the committed list
    #[arg(long = "write")]
    is_written: bool,
}

/// What is run.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    Quick,
    Full,
    /// The test runner of librdkafka 2.15.1
    Librdkafka,
    /// Kafka's own command-line tools
    KafkaTools,
    /// The live tests of the crate rdkafka
    Rdkafka,
    /// The live tests of the crate rskafka
    Rskafka,
    /// Our scenario programs for five clients
    Clients,
    /// Two groups whose members join, leave and are killed all the time
    GroupEndurance,
}

/// A suite with ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SuiteName {
    Librdkafka,
    Rdkafka,
    Rskafka,
    KafkaTools,
    Clients,
}

/// What all scenarios share.
struct Bench {
    binary: PathBuf,
    clients: clients::Clients,
    folder: PathBuf,
    input: input::Input,
    is_kept: bool,
}

/// Runs what was asked for.
///
/// # Errors
/// When a scenario or an expected id failed, or when a client cannot be installed.
pub(crate) fn run(args: &Args) -> Result<()> {
    let folder = target_folder().join("interop");
    let binary = match &args.binary {
        Some(binary) => std::path::absolute(binary)?,
        None => build_broker()?,
    };
    std::fs::create_dir_all(&folder)?;
    let suite = |name| suites::run(args, name, &binary, &folder);
    let bytes_max = match args.work {
        Work::Quick => 1_500_000,
        Work::Full => usize::MAX,
        Work::Librdkafka => return suite(SuiteName::Librdkafka),
        Work::KafkaTools => return suite(SuiteName::KafkaTools),
        Work::Rdkafka => return suite(SuiteName::Rdkafka),
        Work::Rskafka => return suite(SuiteName::Rskafka),
        Work::Clients => return suite(SuiteName::Clients),
        Work::GroupEndurance => return endurance::run(args, &binary, &folder),
    };
    run_scenarios(args, binary, folder, bytes_max)
}

/// Runs every scenario and says which failed.
fn run_scenarios(args: &Args, binary: PathBuf, folder: PathBuf, bytes_max: usize) -> Result<()> {
    let bench = Bench {
        binary,
        clients: clients::Clients::install(&folder)?,
        input: input::Input::read(&folder, bytes_max)?,
        folder,
        is_kept: args.keep,
    };
    println!(
        "interop: {} lines, {} bytes",
        bench.input.lines.len(),
        bench.input.bytes()
    );
    let mut failures = Vec::new();
    for scenario in scenarios::all() {
        let name = scenario.name();
        if args
            .only
            .as_ref()
            .is_some_and(|only| !name.contains(only.as_str()))
        {
            continue;
        }
        match scenarios::run(&bench, &scenario) {
            Ok(lines) => println!("ok    {name}: {lines}"),
            Err(error) => {
                println!("FAIL  {name}: {error:#}");
                failures.push(name);
            }
        }
    }
    if failures.is_empty() {
        println!("interop: every scenario passed");
        return Ok(());
    }
    bail!(
        "{} scenarios failed; folders and logs are below {}",
        failures.len(),
        { bench.folder.display() }
    )
}

fn target_folder() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| crate::workspace_root().join("target"), PathBuf::from)
}

/// Builds the release binary; where it is.
pub(crate) fn build_broker() -> Result<PathBuf> {
    let built = Command::new(env!("CARGO"))
        .args(["build", "--release", "--package", "millrace"])
        .current_dir(crate::workspace_root())
        .status()
        .context("cargo build")?;
    if !built.success() {
        bail!("the broker does not build");
    }
    Ok(target_folder().join("release/millrace"))
}
