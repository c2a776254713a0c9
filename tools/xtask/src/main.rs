//! The project's chores: `cargo xtask <chore>`.
//!
//! One module per chore, each with an `Args` (clap) and a `run` that fails with a sentence. A chore
//! works on the workspace it was built from and needs nothing but what its help names.

mod check_history;
mod codegen;
mod configuration;
mod crash_loop;
mod interop;
mod layer;
mod planted_bugs;
mod power_cut;
mod proof_runs;
mod rot;
mod simulate;
mod tidy;

use clap::{Parser, Subcommand};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Parser)]
#[command(
    name = "xtask",
    about = "Project chores: code generation, tidy checks, interop"
)]
struct Cli {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Judges a recorded history of what clients did and saw
    CheckHistory(check_history::Args),
    /// Runs real clients against brokers that are killed while they work
    Interop(interop::Args),
    /// Writes the Kafka messages from their schemas, or checks them
    Codegen(codegen::Args),
    /// Writes docs/configuration.md from the broker's tables, or checks it
    Configuration(configuration::Args),
    /// Kills, stops and starves the release binary under real clients
    CrashLoop(crash_loop::Args),
    /// Plants known bugs one by one and says which tests notice
    PlantedBugs(planted_bugs::Args),
    /// Recovers the engine from disks as power cuts may leave them, on a real file system
    PowerCut(power_cut::Args),
    /// Damages the files of data directories and sees that it is detected and never served
    Rot(rot::Args),
    /// Runs whole brokers with their clients on simulated machines
    Simulate(simulate::Args),
    /// Checks layout, layers, sizes, words and the map
    Tidy(tidy::Args),
}

fn main() -> ExitCode {
    let result = match Cli::parse().chore {
        Chore::CheckHistory(args) => check_history::run(&args),
        Chore::Interop(args) => interop::run(&args),
        Chore::Codegen(args) => codegen::run(&workspace_root(), &args),
        Chore::Configuration(args) => configuration::run(&workspace_root(), &args),
        Chore::CrashLoop(args) => crash_loop::run(&workspace_root(), &args),
        Chore::PlantedBugs(args) => planted_bugs::run(&workspace_root(), &args),
        Chore::PowerCut(args) => power_cut::run(&workspace_root(), &args),
        Chore::Rot(args) => rot::run(&workspace_root(), &args),
        Chore::Simulate(args) => simulate::run(&workspace_root(), &args),
        Chore::Tidy(args) => tidy::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The folder that holds the workspace's Cargo.toml.
fn workspace_root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_path_buf()
}
