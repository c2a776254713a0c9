//! Crash loops: the release binary under real clients, harmed again and again. `cargo xtask
//! crash-loop` runs it.
//!
//! Files: `round` (a data directory, its cycles and the verdict), `fault` (what is done), `clients`
//! (librdkafka's), `scribe` (the history of what they saw), `content` (what a broker holds).

mod clients;
mod content;
mod fault;
mod round;
mod scribe;

use anyhow::{Context, Result, bail, ensure};
use fault::Fault;
use round::{Plan, Tally};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use xtask::broker::Setup;

/// Cycles on one data directory, whose content grows with each.
const CYCLES_PER_ROUND: u64 = 30;
/// Of faults that fill or slow the disk.
const CYCLES_PER_SMALL_ROUND: u64 = 6;
/// Marks the process that lives in a mount namespace of its own.
const INSIDE: &str = "--inside";

#[derive(Debug)]
struct Asked {
    binary: PathBuf,
    cycles: u64,
    faults: Vec<Fault>,
    shards: usize,
    from: u64,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let result = match words.iter().any(|word| word == INSIDE) {
        true => asked(&words).and_then(|asked| run(&asked)),
        false => enter(&words),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("crash-loop: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Begins again where mounts go with the process; without the right to, just goes on.
fn enter(words: &[String]) -> Result<bool> {
    let separate = ["--mount", "--propagation", "private"];
    let may = Command::new("unshare").args(separate).arg("true").output();
    if !may.is_ok_and(|output| output.status.success()) {
        return run(&asked(words)?);
    }
    let error = Command::new("unshare")
        .args(separate)
        .arg(std::env::current_exe()?)
        .args(words)
        .arg(INSIDE)
        .exec();
    Err(error).context("unshare")
}

fn asked(words: &[String]) -> Result<Asked> {
    let mut asked = Asked {
        binary: PathBuf::new(),
        cycles: 0,
        faults: vec![Fault::Kill],
        shards: 2,
        from: 0,
    };
    let mut words = words.iter().filter(|word| *word != INSIDE);
    while let Some(word) = words.next() {
        let value = words
            .next()
            .with_context(|| format!("{word} wants a value"))?;
        match word.as_str() {
            "--binary" => asked.binary = value.into(),
            "--cycles" => asked.cycles = value.parse()?,
            "--shards" => asked.shards = value.parse()?,
            "--from" => asked.from = value.parse()?,
            "--fault" if value == "all" => asked.faults = Fault::ALL.to_vec(),
            "--fault" => {
                let known = Fault::ALL.into_iter().find(|fault| fault.name() == value);
                asked.faults = vec![known.with_context(|| format!("no fault `{value}`"))?];
            }
            _ => bail!("`{word}` means nothing here"),
        }
    }
    ensure!(asked.binary.exists(), "--binary wants the broker's program");
    Ok(asked)
}

fn setup(shards: usize) -> Result<Setup> {
    let cores = ["0", "0,1", "0,1,0", "0,1,0,1"];
    Ok(Setup {
        cores: cores.get(shards.wrapping_sub(1)).context("1 to 4 shards")?,
        advertise: "single",
        // Little journal, so that it comes round, and checkpoints all the time.
        settings: &[
            ("millrace.journal.bytes", "8388608"),
            ("millrace.checkpoint.interval.ms", "300"),
        ],
    })
}

fn run(asked: &Asked) -> Result<bool> {
    let name = format!("crash-loop-{}", std::process::id());
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder)?;
    let mut total = Tally::default();
    let mut is_good = true;
    for &fault in &asked.faults {
        if let Some(obstacle) = fault.obstacle(&folder) {
            println!("crash-loop: {} not run: {obstacle}", fault.name());
            continue;
        }
        let mut left = asked.cycles;
        let mut number = asked.from;
        while left > 0 && is_good {
            let most = match fault.wants_small_disk() {
                true => CYCLES_PER_SMALL_ROUND,
                false => CYCLES_PER_ROUND,
            };
            let plan = Plan {
                binary: asked.binary.clone(),
                folder: folder.join(format!("{}-{number}", fault.name())),
                fault,
                cycles: left.min(most),
                number,
                setup: setup(asked.shards)?,
            };
            left -= plan.cycles;
            number += 1;
            match round::run(&plan) {
                Ok(tally) => {
                    println!(
                        "   {}: {} cycles, {} compared, {} records acknowledged",
                        fault.name(),
                        tally.cycles,
                        tally.compared,
                        tally.acked
                    );
                    total.add(&tally);
                }
                Err((error, tally)) => {
                    println!("   {} round {}: {error:#}", fault.name(), plan.number);
                    println!("   logs are in {}", plan.folder.display());
                    total.add(&tally);
                    is_good = false;
                }
            }
        }
    }
    if is_good {
        std::fs::remove_dir_all(&folder)?;
    }
    println!(
        "crash-loop: {} cycles, {} records acknowledged, {} lost, {} duplicates",
        total.cycles, total.acked, total.lost, total.duplicates
    );
    Ok(is_good)
}
