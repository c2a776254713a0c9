//! The layers of tests as programs: built once, run with a bug, and what they say of it.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Seeds, cases and images that a layer gets at most.
const CRASH_SEEDS: u64 = 2000;
const ROT_CASES: u64 = 3000;
const SIMULATION_SEEDS: u64 = 300;
const POWER_CUT_IMAGES: u64 = 300;

/// A layer, and what of it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layer {
    /// The engine's unit tests whose names hold this.
    Unit(&'static str),
    /// The crash test from this seed on.
    Crash(u64),
    /// Rot, likewise.
    Rot(u64),
    /// The simulation.
    Simulation(u64),
    /// The power-cut rig.
    PowerCut(u64),
}

use Layer::{Crash, PowerCut, Rot, Simulation, Unit};

impl Layer {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Unit(_) => "unit tests",
            Crash(_) => "crash test",
            Rot(_) => "rot",
            Simulation(_) => "simulation",
            PowerCut(_) => "power cut",
        }
    }

    /// Package and target of its program.
    const fn target(self) -> (&'static str, &'static str) {
        match self {
            Unit(_) => ("millrace-engine", "millrace_engine"),
            Crash(_) => ("millrace-engine", "it"),
            Rot(_) => ("xtask", "rot"),
            Simulation(_) => ("xtask", "simulation"),
            PowerCut(_) => ("xtask", "power_cut"),
        }
    }
}

/// What a layer said of a bug.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It noticed, and this is what it said first.
    Noticed(String, Duration),
    Unnoticed,
    /// The machine lacks what it needs.
    NotRun(String),
}

/// The layers' programs, by package and target.
#[derive(Debug)]
pub(super) struct Programs {
    root: PathBuf,
    paths: BTreeMap<(String, String), PathBuf>,
}

impl Programs {
    /// Builds them.
    ///
    /// # Errors
    /// When one does not build.
    pub(super) fn build(root: &Path) -> Result<Self> {
        let mut paths = BTreeMap::new();
        for words in [
            "--package millrace-engine --lib --test it",
            "--package xtask --test simulation --test rot --test power_cut",
        ] {
            let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
            let output = Command::new(cargo)
                .args(["test", "--quiet", "--no-run", "--message-format=json"])
                .args(words.split(' '))
                .current_dir(root)
                .stderr(Stdio::inherit())
                .output()
                .context("run cargo")?;
            ensure!(output.status.success(), "cargo test {words} does not build");
            for line in String::from_utf8_lossy(&output.stdout).lines() {
                paths.extend(program(line));
            }
        }
        let root = root.to_owned();
        Ok(Self { root, paths })
    }

    /// Asks a layer. One that notices says so with the seed or the test that failed.
    ///
    /// # Errors
    /// When it fails in another way.
    pub(super) fn ask(&self, layer: Layer, bug: u8) -> Result<Answer> {
        let (package, target) = layer.target();
        let key = (package.to_owned(), target.to_owned());
        let path = self
            .paths
            .get(&key)
            .with_context(|| format!("cargo built no {target}"))?;
        let mut command = Command::new(path);
        command.current_dir(&self.root);
        let number = bug.to_string();
        match layer {
            Unit(filter) => {
                command.arg(filter).env("MILLRACE_PLANT", &number);
            }
            Crash(from) => {
                command
                    .args(["--nocapture", "crash::acknowledged"])
                    .env("MILLRACE_CRASH_BUG", &number)
                    .env(
                        "MILLRACE_CRASH_SEED",
                        format!("{from}..{}", from + CRASH_SEEDS),
                    );
            }
            Rot(from) => with_seeds(&mut command, ("--cases", ROT_CASES), from, &number),
            Simulation(from) => {
                with_seeds(&mut command, ("--seeds", SIMULATION_SEEDS), from, &number);
            }
            PowerCut(from) => {
                with_seeds(&mut command, ("--images", POWER_CUT_IMAGES), from, &number);
            }
        }
        let began = Instant::now();
        let output = command
            .output()
            .with_context(|| format!("run {}", path.display()))?;
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        judge(output.status.success(), &said, began.elapsed())
            .with_context(|| format!("the {} failed without a reason:\n{said}", layer.name()))
    }
}

fn with_seeds(command: &mut Command, (option, count): (&str, u64), from: u64, bug: &str) {
    command.args([option, &count.to_string()]);
    command.args(["--from", &from.to_string(), "--bug", bug]);
}

/// What a layer's words mean; `None`: it failed and named no seed.
fn judge(is_good: bool, said: &str, after: Duration) -> Option<Answer> {
    let of_seed = |line: &&str| line.starts_with("seed ");
    let of_test = |line: &&str| line.starts_with("test ") && line.ends_with(" FAILED");
    let telling = said
        .lines()
        .find(of_seed)
        .or_else(|| said.lines().find(of_test));
    let obstacle = said.lines().find_map(|line| line.split_once(": not run: "));
    match (is_good, obstacle, telling) {
        (true, Some((_, obstacle)), _) => Some(Answer::NotRun(obstacle.to_owned())),
        (true, None, _) => Some(Answer::Unnoticed),
        (false, _, Some(line)) => Some(Answer::Noticed(line.to_owned(), after)),
        (false, _, None) => None,
    }
}

/// The program that a line of cargo's names.
fn program(line: &str) -> Option<((String, String), PathBuf)> {
    let message: Value = serde_json::from_str(line).ok()?;
    let path = message["executable"].as_str()?;
    let package = message["package_id"].as_str()?;
    // `path+file:///w/engine#millrace-engine@1.0.0`, or the folder that has the package's name.
    let (folder, name) = package.rsplit_once('#')?;
    let name = match name.split_once('@') {
        Some((name, _)) => name,
        None => folder.rsplit('/').next()?,
    };
    let target = message["target"]["name"].as_str()?;
    Some(((name.to_owned(), target.to_owned()), path.into()))
}

#[cfg(test)]
mod tests {
    use super::{Answer, judge, program};
    use std::time::Duration;

    #[test]
    fn a_program_is_told_by_package_and_target() {
        let message = |package: &str, target: &str| {
            format!(
                r#"{{"package_id":"{package}","target":{{"name":"{target}"}},"executable":"/t/1"}}"#
            )
        };
        let line = message("path+file:///w/engine#millrace-engine@0.1.0", "it");
        let key = ("millrace-engine".to_owned(), "it".to_owned());
        assert_eq!(program(&line), Some((key, "/t/1".into())));
        let line = message("path+file:///w/xtask#0.1.0", "rot");
        let key = ("xtask".to_owned(), "rot".to_owned());
        assert_eq!(program(&line), Some((key, "/t/1".into())));
        assert_eq!(
            program(r#"{"reason":"build-finished","success":true}"#),
            None
        );
    }

    #[test]
    fn noticed_is_what_names_a_seed_or_a_test() {
        let after = Duration::from_secs(1);
        let noticed = |line: &str| Some(Answer::Noticed(line.to_owned(), after));
        assert_eq!(
            judge(false, "x\nseed 3: lost\n", after),
            noticed("seed 3: lost")
        );
        let line = "test a::b ... FAILED";
        assert_eq!(judge(false, line, after), noticed(line));
        assert_eq!(judge(true, line, after), Some(Answer::Unnoticed));
        assert_eq!(judge(false, "out of memory", after), None);
        let line = "power-cut: not run: /dev/fuse: absent";
        let obstacle = Answer::NotRun("/dev/fuse: absent".to_owned());
        assert_eq!(judge(true, line, after), Some(obstacle));
    }
}
