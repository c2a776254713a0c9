//! `cargo xtask planted-bugs`: plants the bugs of `engine/src/planted.rs` one by one and says which
//! layer of tests notices, by which seed, and in how long. `table` says which must; files: `list`
//! (the bugs), `layers` (the programs).

mod layers;
mod list;
mod table;

use crate::proof_runs;
use anyhow::{Context, Result, bail};
use layers::{Answer, Layer, Programs};
use list::{Bug, bugs};
use serde_json::json;
use std::path::Path;
use std::process::Command;
use std::time::Instant;
use table::{EVERYTHING, IMPOSSIBLE, TABLE};

/// Characters of what a layer said that are printed.
const LINE_MAX: usize = 120;

/// Options of `cargo xtask planted-bugs`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only so many of them; others with every commit
    #[arg(long)]
    sample: Option<usize>,
    /// Only these, by number
    #[arg(long, value_delimiter = ',', conflicts_with = "sample")]
    bugs: Vec<u8>,
    /// Ask every layer, whatever the table says, to see who notices
    #[arg(long)]
    search: bool,
    /// Add a line about this run to docs/proof-runs.jsonl
    #[arg(long, conflicts_with_all = ["sample", "bugs", "search"])]
    record: bool,
}

/// What a run came to.
#[derive(Debug, Default)]
struct Sum {
    bugs: u64,
    caught: u64,
    by_two: u64,
    /// Layers that did not notice what the table says they do.
    missed: Vec<String>,
}

/// Runs the layers against each bug.
///
/// # Errors
/// When a layer does not notice what it should.
pub(crate) fn run(root: &Path, args: &Args) -> Result<()> {
    let commit = match args.record {
        true => Some(proof_runs::clean_commit(root)?),
        false => None,
    };
    let chosen = choose(root, args)?;
    let programs = Programs::build(root)?;
    let began = Instant::now();
    let mut sum = Sum::default();
    for bug in &chosen {
        ask(&programs, bug, args, &mut sum)?;
    }
    let Sum {
        bugs,
        caught,
        by_two,
        ref missed,
    } = sum;
    if let Some(commit) = commit {
        let facts = json!({
            "layer": "planted bugs",
            "bugs": bugs,
            "caught": caught,
            "by_two": by_two,
            "seconds": began.elapsed().as_secs(),
        });
        proof_runs::add(root, &commit, facts)?;
    }
    for line in missed {
        println!("missed: {line}");
    }
    println!("{bugs} bugs, {caught} caught, {by_two} by two layers");
    if !missed.is_empty() {
        bail!(
            "{} times a layer did not notice what it should",
            missed.len()
        );
    }
    Ok(())
}

/// Asks the layers of one bug, and says what they said.
fn ask(programs: &Programs, bug: &Bug, args: &Args, sum: &mut Sum) -> Result<()> {
    let Bug { number, name, .. } = bug;
    if let Some((_, reason)) = IMPOSSIBLE.iter().find(|(other, _)| other == number) {
        println!("{number} {name}: cannot be: {reason}");
        return Ok(());
    }
    let known = TABLE.iter().find(|(other, _)| other == number);
    let (_, known) = known.with_context(|| format!("bug {number} is not in the table"))?;
    let layers: &[Layer] = if args.search { &EVERYTHING } else { known };
    let mut noticed = 0;
    for &layer in layers {
        let layer_name = layer.name();
        match programs.ask(layer, *number)? {
            Answer::Noticed(line, after) => {
                noticed += 1;
                let line: String = line.chars().take(LINE_MAX).collect();
                let seconds = after.as_secs_f64();
                println!("{number} {name}: {layer_name} after {seconds:.1} s: {line}");
            }
            Answer::NotRun(obstacle) => {
                println!("{number} {name}: {layer_name} not asked: {obstacle}");
            }
            Answer::Unnoticed => {
                println!("{number} {name}: {layer_name} does not notice");
                if !args.search {
                    sum.missed.push(format!("{number} {name} by {layer:?}"));
                }
            }
        }
    }
    sum.bugs += 1;
    sum.caught += u64::from(noticed > 0);
    sum.by_two += u64::from(noticed > 1);
    Ok(())
}

/// The bugs to plant; a sample goes on with every commit.
fn choose(root: &Path, args: &Args) -> Result<Vec<Bug>> {
    let mut all = bugs(root)?;
    if !args.bugs.is_empty() {
        all.retain(|bug| args.bugs.contains(&bug.number));
        return Ok(all);
    }
    let Some(sample) = args.sample else {
        return Ok(all);
    };
    all.retain(|bug| bug.has_switch);
    let output = Command::new("git")
        .args(["rev-list", "--count", "HEAD"])
        .current_dir(root)
        .output();
    let commits = String::from_utf8_lossy(&output.context("run git")?.stdout).into_owned();
    let first = commits.trim().parse::<usize>().context("commits")? * sample;
    let rotated = (0..sample.min(all.len())).map(|nth| (first + nth) % all.len());
    Ok(rotated.map(|index| all[index].clone()).collect())
}
