//! `cargo xtask interop`: real clients against real brokers, killed while they work.
//!
//! Every broker is started fresh on 127.0.0.1, with 1, 2 and 4 shards and both ways to advertise.
//! Debian's package index goes in line by line with each codec, and must come back byte for byte,
//! in order per partition, without an offset missing. Clients: kcat (Debian), kafka-python (pip),
//! kafkajs (npm), Kafka's own tools (Maven); all installed by name into the target folder.

mod broker;
mod clients;
mod groups;
mod input;
mod process;
mod scenarios;
mod verify;

use anyhow::{Context, Result, bail};
use std::path::PathBuf;
use std::process::Command;

/// Options of `cargo xtask interop`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// How much: `quick` sends 1.5 MB per topic, `full` the whole index
    #[arg(value_enum, default_value_t = Extent::Quick)]
    extent: Extent,
    /// The broker to test; built with --release when not given
    #[arg(long, value_name = "PATH")]
    binary: Option<PathBuf>,
    /// Only scenarios whose name contains this
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Keep data directories and logs of scenarios that pass, too
    #[arg(long)]
    keep: bool,
}

/// How much is sent.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    Quick,
    Full,
}

/// What all scenarios share.
struct Bench {
    binary: PathBuf,
    clients: clients::Clients,
    folder: PathBuf,
    input: input::Input,
    is_kept: bool,
}

/// Runs every scenario and says which failed.
///
/// # Errors
/// When one failed, or when a client cannot be installed.
pub(crate) fn run(args: &Args) -> Result<()> {
    let folder = target_folder().join("interop");
    let binary = match &args.binary {
        Some(binary) => binary.clone(),
        None => build_broker()?,
    };
    let bytes_max = match args.extent {
        Extent::Quick => 1_500_000,
        Extent::Full => usize::MAX,
    };
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

fn build_broker() -> Result<PathBuf> {
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
