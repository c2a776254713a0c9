//! The command line: `millrace`.
//!
//! Without an argument it is the broker. Every command ends with a sentence that says what to do
//! next when it fails, and with a code other than 0.

mod client;
mod commands;
mod log_output;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A Kafka-compatible event log whose acknowledgement means stable storage.
#[derive(Parser)]
#[command(name = "millrace", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the broker; what happens without a command, too
    Serve(commands::serve::Args),
    /// Creates, lists, describes, alters and deletes topics of any Kafka broker
    #[command(subcommand)]
    Topic(commands::topic::Command),
    /// Sends lines as records
    Produce(commands::produce::Args),
    /// Prints records
    Consume(commands::consume::Args),
    /// Lists, describes and deletes consumer groups, moves their offsets
    #[command(subcommand)]
    Group(commands::group::Command),
    /// Says whether this machine suits a broker, and what to change
    Doctor(commands::doctor::Args),
    /// Looks at a data directory whose broker does not run
    #[command(subcommand)]
    Log(commands::log::Command),
    /// Measures this broker, or any Kafka broker, with calibrations in the same run
    Bench(millrace_bench::BenchArgs),
    /// Prints the completion script of a shell
    Completions(commands::completions::Args),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        None => commands::serve::run(&commands::serve::Args::default()),
        Some(Command::Serve(args)) => commands::serve::run(&args),
        Some(Command::Topic(command)) => commands::topic::run(&command),
        Some(Command::Produce(args)) => commands::produce::run(&args),
        Some(Command::Consume(args)) => commands::consume::run(&args),
        Some(Command::Group(command)) => commands::group::run(&command),
        Some(Command::Doctor(args)) => commands::doctor::run(&args),
        Some(Command::Log(command)) => commands::log::run(&command),
        Some(Command::Bench(args)) => millrace_bench::run(args),
        Some(Command::Completions(args)) => commands::completions::run::<Cli>(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if commands::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("millrace: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
