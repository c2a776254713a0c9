//! The live tests of the crates rdkafka and rskafka: each test a process of its own.
//!
//! The crate's published source is built as it is; a test that says it skips itself (it lacks a
//! proxy, or Java) and then ends with 0 has not passed.

use super::super::process::{self, Process};
use super::cache::{self, Cache};
use super::results::Outcome;
use super::running::{Context, Suite};
use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

const BUILD_LIMIT: Duration = Duration::from_secs(1500);
const LIST_LIMIT: Duration = Duration::from_secs(30);
const TEST_LIMIT: Duration = Duration::from_secs(120);

/// What differs between the two.
#[derive(Debug)]
pub(super) struct Crate {
    name: &'static str,
    requirement: &'static str,
    features: &'static [&'static str],
    /// Variables; `@A` is the broker's address.
    variables: &'static [(&'static str, &'static str)],
    settings: &'static [(&'static str, &'static str)],
    /// A part of the names of tests that return early without a word.
    silent: Option<&'static str>,
}

/// Bindings of librdkafka.
pub(super) const RDKAFKA: Crate = Crate {
    name: "rdkafka",
    requirement: "=0.39.0",
    features: &[],
    variables: &[("KAFKA_HOST", "@A"), ("KAFKA_VERSION", "4.3.0")],
    settings: &[
        ("num.partitions", "3"),
        ("group.initial.rebalance.delay.ms", "0"),
    ],
    silent: None,
};

/// A client of its own, in Rust.
pub(super) const RSKAFKA: Crate = Crate {
    name: "rskafka",
    requirement: "=0.6.0",
    features: &["--features", "full"],
    variables: &[
        ("KAFKA_CONNECT", "@A"),
        ("TEST_INTEGRATION", "1"),
        ("TEST_BROKER_IMPL", "kafka"),
    ],
    settings: &[("auto.create.topics.enable", "false")],
    silent: Some("java"),
};

/// A crate whose tests are built.
#[derive(Debug)]
pub(super) struct CrateTests {
    tested: &'static Crate,
    source: PathBuf,
    /// The test programs by name.
    programs: BTreeMap<String, PathBuf>,
}

impl CrateTests {
    /// Fetches the crate and builds its tests.
    pub(super) fn install(tested: &'static Crate) -> Result<Self> {
        cache::require(&[
            ("cargo", "cargo"),
            ("g++", "build-essential"),
            ("cmake", "cmake"),
        ])?;
        let cache = Cache::open(tested.name)?;
        let manifest = format!(
            "[package]\nname = \"fetch\"\nversion = \"0.0.0\"\nedition = \"2021\"\n\n\
             [dependencies]\n{} = \"{}\"\n\n[workspace]\n",
            tested.name, tested.requirement
        );
        fs::create_dir_all(cache.path("fetch/src"))?;
        cache.write_source("fetch/Cargo.toml", &manifest)?;
        cache.write("fetch/src/lib.rs", "")?;
        let name = tested.name;
        let version = tested.requirement.trim_start_matches('=');
        // A toolchain file would ask for a compiler of its own.
        let copy = format!(
            "rm -rf src && cp -r vendor/{name}-{version} src && rm -rf vendor && \
             rm -f src/rust-toolchain.toml src/.cargo-checksum.json && \
             printf '\\n[workspace]\\n' >> src/Cargo.toml"
        );
        let vendor = ["cargo", "vendor", "-q", "--versioned-dirs", "../vendor"];
        cache.install(&[("fetch", &vendor), ("", &["sh", "-c", &copy])])?;
        let source = cache.path("src");
        let programs = build(tested, &cache, &source)?;
        Ok(Self {
            tested,
            source,
            programs,
        })
    }

    fn command(&self, program: &str) -> Result<Command> {
        let path = self.programs.get(program);
        let mut command = Command::new(path.with_context(|| format!("no test {program}"))?);
        command.current_dir(&self.source);
        Ok(command)
    }
}

/// Builds the integration tests; cargo finds for itself what is up to date.
fn build(tested: &Crate, cache: &Cache, source: &PathBuf) -> Result<BTreeMap<String, PathBuf>> {
    if tested.name == "rskafka" {
        let mut update = Command::new("cargo");
        update
            .args(["update", "-q", "-p", "rsasl"])
            .current_dir(source);
        process::run(&mut update, &cache.path("update"), LIST_LIMIT)?;
    }
    let mut command = Command::new("cargo");
    command.args([
        "test",
        "--no-run",
        "--test",
        "*",
        "--message-format",
        "json",
    ]);
    command.args(tested.features).current_dir(source);
    command.env("CARGO_TARGET_DIR", cache.path("target"));
    let printed = process::run(&mut command, &cache.path("build"), BUILD_LIMIT)?;
    let mut programs = BTreeMap::new();
    for line in String::from_utf8_lossy(&printed).lines() {
        let message: Value = serde_json::from_str(line).unwrap_or(Value::Null);
        let (target, path) = (&message["target"], message["executable"].as_str());
        if let (Some(name), Some(path)) = (target["name"].as_str(), path) {
            programs.insert(name.to_owned(), PathBuf::from(path));
        }
    }
    if programs.is_empty() {
        bail!("cargo named no test program of {}", tested.name);
    }
    Ok(programs)
}

impl Suite for CrateTests {
    fn ids(&self) -> Result<Vec<String>> {
        let mut ids = Vec::new();
        for program in self.programs.keys() {
            let mut command = self.command(program)?;
            command.args(["--list", "--format", "terse"]);
            let log = self.source.join(format!("list-{program}"));
            let printed = process::run(&mut command, &log, LIST_LIMIT)?;
            for line in String::from_utf8_lossy(&printed).lines() {
                if let Some(test) = line.strip_suffix(": test") {
                    ids.push(format!("{program}::{test}"));
                }
            }
        }
        Ok(ids)
    }

    fn settings(&self) -> &'static [(&'static str, &'static str)] {
        self.tested.settings
    }

    fn jobs(&self) -> usize {
        2
    }

    fn run(&self, id: &str, context: &Context) -> Result<Outcome> {
        let (program, test) = id.split_once("::").context("an id is program::test")?;
        if self.tested.silent.is_some_and(|part| test.contains(part)) {
            return Ok(Outcome::Skipped(
                "needs a Java bridge that is not set up".to_owned(),
            ));
        }
        let mut command = self.command(program)?;
        command.args(["--exact", test, "--nocapture", "--test-threads", "1"]);
        for (name, value) in self.tested.variables {
            command.env(name, value.replace("@A", &context.address));
        }
        let log = context.logs.join(id.replace("::", "-"));
        let mut process = Process::start(&mut command, &log, Stdio::null())?;
        let ended = process.wait(TEST_LIMIT);
        let printed = fs::read_to_string(log.with_extension("out"))?;
        let errors = fs::read_to_string(log.with_extension("err"))?;
        Ok(match ended {
            Err(error) => Outcome::Failed(format!("{error:#}")),
            Ok(status) => outcome(status.success(), &printed, &errors),
        })
    }
}

fn outcome(is_success: bool, printed: &str, errors: &str) -> Outcome {
    if !is_success {
        let fault = errors
            .lines()
            .skip_while(|line| !line.contains("panicked at"));
        let fault: Vec<&str> = fault.take(4).collect();
        return Outcome::Failed(fault.join(" "));
    }
    let skipped = errors
        .lines()
        .find(|line| line.to_lowercase().starts_with("skip"));
    match skipped {
        Some(line) => Outcome::Skipped(line.to_owned()),
        None if printed.contains("1 passed") => Outcome::Passed,
        None => Outcome::Skipped("the program ran no test, or ignores it".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_passes_when_it_ran_and_did_not_skip_itself() {
        let passed = "running 1 test\ntest a ... ok\ntest result: ok. 1 passed; 0 failed";
        assert_eq!(outcome(true, passed, "log line"), Outcome::Passed);
        let skipped = outcome(true, passed, "Skipping due to missing SOCKS5_PROXY\n");
        assert!(matches!(skipped, Outcome::Skipped(_)));
        let ignored = outcome(true, "test result: ok. 0 passed; 1 ignored", "");
        assert!(matches!(ignored, Outcome::Skipped(_)));
        let failed = outcome(false, "", "noise\nthread 'a' panicked at x.rs:1:\nbad\n");
        assert_eq!(
            failed,
            Outcome::Failed("thread 'a' panicked at x.rs:1: bad".into())
        );
    }
}
