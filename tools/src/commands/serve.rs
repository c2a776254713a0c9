//! `millrace serve`: the broker in the foreground, until ctrl-C or SIGTERM.
//!
//! Reads the options, hands them to `millrace_server::run` and prints what it logs.

use crate::log_output;
use anyhow::{Context, Result};
use log::LevelFilter;
use millrace_server::config::properties;
use millrace_server::{Advertise, ServeConfig};
use std::path::PathBuf;

/// Options of `millrace serve`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Where the data is; made when it does not exist
    #[arg(long, value_name = "DIR", default_value = "millrace-data")]
    data_dir: PathBuf,
    /// Where the journals are, on another device say; `journal` in the data directory by default
    #[arg(long, value_name = "DIR")]
    journal_dir: Option<PathBuf>,
    /// Where to listen
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9092")]
    listen: String,
    /// What clients are told to connect to; needed when listening on all addresses
    #[arg(long, value_name = "HOST:PORT")]
    advertised: Option<String>,
    /// As one node, or each shard as its own node with the next id and port
    #[arg(long, value_enum, default_value_t = AdvertiseArg::Single)]
    advertise: AdvertiseArg,
    /// Id of the (first) node
    #[arg(long, value_name = "N", default_value_t = 0)]
    node_id: i32,
    /// A core for each shard, such as 0-3 or 0,0,1,1; the allowed cores at the first start, and
    /// then as many shards as there were
    #[arg(long, value_name = "LIST")]
    cores: Option<Cores>,
    /// Memory for everything, such as 512MiB or 4GiB: three quarters are buffers
    #[arg(long, value_name = "SIZE", default_value = "1GiB", value_parser = parse_size)]
    memory: u64,
    /// A file of settings with Kafka's names
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// One setting, over those of the file; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,
    /// How much to say: error, warn, info, debug, trace or off
    #[arg(long, value_name = "LEVEL", default_value = "info", value_parser = parse_level)]
    log_level: LevelFilter,
}

impl Default for Args {
    /// What a command line without options means.
    fn default() -> Self {
        #[derive(clap::Parser)]
        struct Alone {
            #[command(flatten)]
            args: Args,
        }
        <Alone as clap::Parser>::parse_from(["millrace"]).args
    }
}

#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum AdvertiseArg {
    Single,
    PerCore,
}

/// Cores in the order of shards.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Cores(Vec<usize>);

impl std::str::FromStr for Cores {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no list of cores such as 0-3 or 0,0,1,1");
        let number = |part: &str| {
            part.trim()
                .parse::<u16>()
                .map(usize::from)
                .map_err(|_| wrong())
        };
        let mut cores = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (number(first)?, number(last)?);
            if first > last {
                return Err(wrong());
            }
            cores.extend(first..=last);
        }
        Ok(Self(cores))
    }
}

fn parse_size(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is no size such as 512MiB or 4GiB");
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor: u64 = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        _ => return Err(wrong()),
    };
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    number.checked_mul(factor).ok_or_else(wrong)
}

fn parse_level(text: &str) -> Result<LevelFilter, String> {
    text.parse()
        .map_err(|_| format!("`{text}` is none of off, error, warn, info, debug, trace"))
}

/// Runs the broker to its end.
pub(crate) fn run(args: &Args) -> Result<()> {
    log_output::start(args.log_level);
    let config = ServeConfig {
        data_dir: args.data_dir.clone(),
        journal_dir: args.journal_dir.clone(),
        listen: args.listen.clone(),
        advertised: args.advertised.clone(),
        advertise: match args.advertise {
            AdvertiseArg::Single => Advertise::Single,
            AdvertiseArg::PerCore => Advertise::PerCore,
        },
        node_id: args.node_id,
        cores: args.cores.as_ref().map(|cores| cores.0.clone()),
        memory_bytes: args.memory,
        settings: settings(args)?,
    };
    millrace_server::run(&config)?;
    Ok(())
}

/// The file's settings, then those of the command line, which count.
fn settings(args: &Args) -> Result<Vec<(String, String)>> {
    let mut settings = Vec::new();
    if let Some(path) = &args.config {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("--config {} cannot be read", path.display()))?;
        settings.extend(properties::parse(&path.display().to_string(), &text)?);
    }
    for text in &args.settings {
        settings.push(properties::assignment("--set", text)?);
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_binary_units_and_do_not_overflow() {
        assert_eq!(parse_size("512MiB"), Ok(512 << 20));
        assert_eq!(parse_size("4g"), Ok(4 << 30));
        assert_eq!(parse_size("1000"), Ok(1000));
        for wrong in ["", "MiB", "1.5GiB", "1TBx", "99999999999GiB", "-1"] {
            assert!(parse_size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn cores_may_repeat_and_form_ranges() {
        assert_eq!("0,0,1,1".parse(), Ok(Cores(vec![0, 0, 1, 1])));
        assert_eq!("2-4,0".parse(), Ok(Cores(vec![2, 3, 4, 0])));
        for wrong in ["", "a", "3-1", "1,", "-1"] {
            assert!(wrong.parse::<Cores>().is_err(), "{wrong}");
        }
    }
}
