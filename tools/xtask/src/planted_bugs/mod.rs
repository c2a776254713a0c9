//! `cargo xtask planted-bugs`: plants the bugs of `engine/src/planted.rs` one by one and says which
//! layer of tests notices, by which seed, and in how long.

use anyhow::{Context, Result, bail, ensure};
use std::fmt;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const LIST: &str = "engine/src/planted.rs";
/// Bugs with a switch that no layer noticed so far, or that were not tried on all of them.
const UNNOTICED: [u8; 10] = [9, 11, 16, 33, 34, 38, 39, 42, 43, 47];
/// Bugs of the list that this design cannot have, and why.
const IMPOSSIBLE: [(u8, &str); 3] = [
    (
        17,
        "what is written is a frozen slice or a copy; the chunk in the making has no such handle",
    ),
    (27, "no index is ever rebuilt from records"),
    (45, "this version writes no truncations"),
];
/// Unit tests that uphold rules of storage.
const UNIT_TESTS: &str = "engine:: journal:: partition:: shard:: segment::";
/// Where a switch can be.
const FOLDERS: [&str; 2] = ["engine/src", "server/src"];

/// Options of `cargo xtask planted-bugs`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only so many of those that are known to be noticed; others with every commit
    #[arg(long)]
    sample: Option<usize>,
    /// Only these, by number
    #[arg(long, value_delimiter = ',')]
    bugs: Vec<u8>,
    /// Seeds that each layer gets
    #[arg(long, default_value_t = 300)]
    seeds: u64,
    /// Ask every layer, also where two noticed already
    #[arg(long)]
    all_layers: bool,
}

/// A bug that could be planted.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Bug {
    number: u8,
    name: String,
    has_switch: bool,
}

/// A layer that noticed a bug.
#[derive(Debug)]
struct Noticed {
    layer: &'static str,
    /// What it said first.
    line: String,
    after: Duration,
}

impl fmt::Display for Noticed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line: String = self.line.chars().take(120).collect();
        let seconds = self.after.as_secs_f64();
        write!(f, "{} after {seconds:.0} s: {line}", self.layer)
    }
}

/// Runs the layers against each bug.
///
/// # Errors
/// When a bug goes unnoticed that should not.
pub(crate) fn run(root: &Path, args: &Args) -> Result<()> {
    let all = bugs(root)?;
    let chosen = choose(root, &all, args)?;
    for target in [
        "millrace-engine --lib --test it",
        "xtask --test simulation --test rot",
    ] {
        let words = format!("test --quiet --no-run --package {target}");
        let built = cargo(root).args(words.split(' ')).status();
        ensure!(
            built.context("run cargo")?.success(),
            "{target} does not build"
        );
    }
    let (mut planted, mut caught, mut twice, mut missed) = (0, 0, 0, Vec::new());
    for bug in &chosen {
        let Bug { number, name, .. } = bug;
        if let Some((_, reason)) = IMPOSSIBLE.iter().find(|(other, _)| other == number) {
            println!("{number} {name}: cannot be: {reason}");
            continue;
        }
        if !bug.has_switch {
            println!("{number} {name}: has no switch");
            missed.push(*number);
            continue;
        }
        planted += 1;
        let noticed = noticed_by(root, *number, args)?;
        for layer in &noticed {
            println!("{number} {name}: {layer}");
        }
        if noticed.is_empty() {
            println!("{number} {name}: unnoticed");
            missed.push(*number);
        }
        caught += usize::from(!noticed.is_empty());
        twice += usize::from(noticed.len() > 1);
    }
    println!("{planted} bugs, {caught} caught, {twice} by two layers");
    missed.retain(|number| !UNNOTICED.contains(number));
    if !missed.is_empty() {
        bail!("bugs {missed:?} were noticed before and are not any more");
    }
    Ok(())
}

fn choose(root: &Path, all: &[Bug], args: &Args) -> Result<Vec<Bug>> {
    if !args.bugs.is_empty() {
        let wanted = |bug: &&Bug| args.bugs.contains(&bug.number);
        return Ok(all.iter().filter(wanted).cloned().collect());
    }
    let Some(sample) = args.sample else {
        return Ok(all.to_vec());
    };
    let is_impossible = |bug: &Bug| IMPOSSIBLE.iter().any(|(number, _)| *number == bug.number);
    let known = |bug: &&Bug| !is_impossible(bug) && !UNNOTICED.contains(&bug.number);
    let known: Vec<Bug> = all.iter().filter(known).cloned().collect();
    let output = Command::new("git")
        .args(["rev-list", "--count", "HEAD"])
        .current_dir(root)
        .output();
    let commits = String::from_utf8_lossy(&output.context("run git")?.stdout).into_owned();
    let first = commits.trim().parse::<usize>().context("commits")? * sample;
    let rotated = (0..sample.min(known.len())).map(|nth| (first + nth) % known.len());
    Ok(rotated.map(|index| known[index].clone()).collect())
}

/// The bugs of the list, and whether code asks for them anywhere.
fn bugs(root: &Path) -> Result<Vec<Bug>> {
    let list = fs::read_to_string(root.join(LIST)).context(LIST)?;
    let mut code = String::new();
    for folder in FOLDERS {
        read_code(&root.join(folder), &mut code)?;
    }
    Ok(read_list(&list, &code))
}

fn read_list(list: &str, code: &str) -> Vec<Bug> {
    let entry = |line: &str| {
        let (name, number) = line.trim().strip_suffix(',')?.split_once(" = ")?;
        let number = number.parse().ok()?;
        let switch = format!("Bug::{name}");
        let ends = |at: usize| {
            let rest = &code[at + switch.len()..];
            !rest.starts_with(|c: char| c.is_alphanumeric())
        };
        Some(Bug {
            number,
            name: name.to_owned(),
            has_switch: code.match_indices(&switch).any(|(at, _)| ends(at)),
        })
    };
    list.lines().filter_map(entry).collect()
}

fn read_code(folder: &Path, code: &mut String) -> Result<()> {
    for child in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = child?.path();
        if path.is_dir() {
            read_code(&path, code)?;
        } else if !path.ends_with(LIST) && path.extension().is_some_and(|end| end == "rs") {
            code.push_str(&fs::read_to_string(&path)?);
        }
    }
    Ok(())
}

fn cargo(root: &Path) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(root);
    command
}

/// The layers that notice a bug; the slow ones are asked only where two others did not.
fn noticed_by(root: &Path, bug: u8, args: &Args) -> Result<Vec<Noticed>> {
    let mut noticed = Vec::new();
    for layer in [rot, crash_test, unit_tests, simulation] {
        noticed.extend(layer(root, bug, args.seeds)?);
        if noticed.len() > 1 && !args.all_layers {
            break;
        }
    }
    Ok(noticed)
}

fn rot(root: &Path, bug: u8, seeds: u64) -> Result<Option<Noticed>> {
    let mut command = cargo(root);
    let words = "test --quiet --package xtask --test rot --";
    command.args(words.split(' '));
    command.args(["--cases", &seeds.to_string(), "--bug", &bug.to_string()]);
    notice("rot", command)
}

fn unit_tests(root: &Path, bug: u8, _: u64) -> Result<Option<Noticed>> {
    let mut command = cargo(root);
    command.args("test --quiet --package millrace-engine --lib --".split(' '));
    command.args(UNIT_TESTS.split(' '));
    command.env("MILLRACE_PLANT", bug.to_string());
    notice("unit tests", command)
}

fn crash_test(root: &Path, bug: u8, seeds: u64) -> Result<Option<Noticed>> {
    let mut command = cargo(root);
    let words = "test --quiet --package millrace-engine --test it -- --nocapture \
                 crash::acknowledged";
    command.args(words.split_whitespace());
    command.env("MILLRACE_CRASH_BUG", bug.to_string());
    command.env("MILLRACE_CRASH_SEED", format!("0..{}", 5 * seeds));
    notice("crash test", command)
}

fn simulation(root: &Path, bug: u8, seeds: u64) -> Result<Option<Noticed>> {
    let mut command = cargo(root);
    let words = "test --quiet --package xtask --test simulation --";
    command.args(words.split(' '));
    command.args(["--seeds", &seeds.to_string(), "--bug", &bug.to_string()]);
    notice("simulation", command)
}

/// Runs a layer; noticed is what makes it say the seed that failed.
fn notice(layer: &'static str, mut command: Command) -> Result<Option<Noticed>> {
    let began = Instant::now();
    let output = command.output().context("run cargo")?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let is_telling = |line: &&str| line.starts_with("seed ") || line.ends_with(" --- FAILED");
    let line = said.lines().find(is_telling);
    match (output.status.success(), line) {
        (true, _) => Ok(None),
        (false, Some(line)) => Ok(Some(Noticed {
            layer,
            line: line.to_owned(),
            after: began.elapsed(),
        })),
        (false, None) => bail!("the {layer} failed without naming a seed:\n{said}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Bug, bugs, read_list};

    #[test]
    fn bugs_are_read_with_their_switches() {
        let list = "    /// One.\n    FirstBug = 1,\n    Second = 2,\n    Third = 3,\n";
        let code = "if planted::is(Bug::FirstBug) {} Bug::SecondBest";
        let bug = |number, name: &str, has_switch| Bug {
            number,
            name: name.to_owned(),
            has_switch,
        };
        assert_eq!(
            read_list(list, code),
            [
                bug(1, "FirstBug", true),
                bug(2, "Second", false),
                bug(3, "Third", false)
            ]
        );
    }

    #[test]
    fn the_list_is_read_whole() {
        let found = bugs(&crate::workspace_root()).unwrap();
        let numbers: Vec<u8> = found.iter().map(|bug| bug.number).collect();
        assert_eq!(numbers, (1..=47).collect::<Vec<u8>>());
        let without = found.iter().filter(|bug| !bug.has_switch);
        let without: Vec<u8> = without.map(|bug| bug.number).collect();
        assert_eq!(without, super::IMPOSSIBLE.map(|(number, _)| number));
    }
}
