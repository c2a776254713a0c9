//! librdkafka's own test runner, from the npm package that carries its sources with its tests.
//!
//! One id per process, since one test that times out ends the whole runner; full mode, since the
//! quick one skips subtests and calls that a pass. An id passes when the process ends with 0 and
//! its row says PASSED.

use super::super::process;
use super::cache::{self, Cache};
use super::results::Outcome;
use super::running::{Context, Suite};
use anyhow::Result;
use std::fs;
use std::process::Command;
use std::time::Duration;

const PACKAGE: &str = "@confluentinc/kafka-javascript@1.10.1";
const ID_LIMIT: Duration = Duration::from_secs(600);
/// It takes six minutes here, and more than ten on Kafka.
const LONG_ID: &str = "0113";
const LONG_ID_LIMIT: Duration = Duration::from_secs(900);
const SETTINGS: &[(&str, &str)] = &[
    ("num.partitions", "4"),
    // 0102 and 0113 want members that come at the same time in one generation.
    ("group.initial.rebalance.delay.ms", "500"),
];
/// What runs on one plaintext broker that creates topics by itself. 0103 creates topics with three
/// replicas, which fails on every single node.
const IDS: &str = "0001 0002 0003 0005 0007 0008 0011 0012 0013 0014 0015 0016 0017 0018 0019 \
    0020 0021 0022 0026 0029 0030 0031 0033 0034 0035 0036 0038 0039 0040 0041 0042 0044 0045 \
    0048 0049 0050 0051 0053 0054 0055 0056 0057 0059 0060 0061 0063 0064 0065 0067 0069 0070 \
    0073 0075 0076 0081 0082 0083 0084 0085 0086 0088 0089 0090 0091 0093 0094 0099 0102 0103 \
    0110 0112 0113 0114 0118 0122 0123 0125 0127 0129 0130 0132 0137 0140";

/// The installed runner.
#[derive(Debug)]
pub(super) struct Librdkafka {
    cache: Cache,
}

impl Librdkafka {
    /// Fetches and builds what is missing: about three minutes on two cores.
    pub(super) fn install() -> Result<Self> {
        cache::require(&[
            ("npm", "npm"),
            ("tar", "tar"),
            ("make", "build-essential"),
            ("g++", "build-essential"),
            ("python3", "python3"),
        ])?;
        let cache = Cache::open("librdkafka")?;
        let unpack = "rm -rf package src && tar xzf confluentinc-kafka-javascript-*.tgz \
            && mv package/deps/librdkafka src && rm -rf package \
            && chmod +x src/configure src/lds-gen.py src/tests/*.sh";
        cache.install(&[
            ("", &["npm", "pack", "--silent", PACKAGE]),
            ("", &["sh", "-c", unpack]),
            ("src", &["./configure", "--disable-curl"]),
            ("src", &["make", "-j2", "libs"]),
            ("src", &["make", "-C", "tests", "-j2", "build"]),
        ])?;
        Ok(Self { cache })
    }
}

impl Suite for Librdkafka {
    fn ids(&self) -> Result<Vec<String>> {
        Ok(IDS.split_whitespace().map(str::to_owned).collect())
    }

    fn settings(&self) -> &'static [(&'static str, &'static str)] {
        SETTINGS
    }

    fn jobs(&self) -> usize {
        4
    }

    fn run(&self, id: &str, context: &Context) -> Result<Outcome> {
        let config = context.logs.join(format!("{id}.conf"));
        fs::write(&config, format!("bootstrap.servers={}\n", context.address))?;
        let mut command = Command::new(self.cache.path("src/tests/test-runner"));
        command
            .args(["-p1", "-L"])
            .current_dir(self.cache.path("src/tests"));
        command.env("LD_LIBRARY_PATH", "../src:../src-cpp");
        command.env("TEST_KAFKA_VERSION", "4.3.1").env("TESTS", id);
        command.env("RDKAFKA_TEST_CONF", &config);
        let log = context.logs.join(id);
        let limit = if id == LONG_ID {
            LONG_ID_LIMIT
        } else {
            ID_LIMIT
        };
        let ended = process::run(&mut command, &log, limit);
        let printed = fs::read(log.with_extension("out"))?;
        Ok(outcome(id, &String::from_utf8_lossy(&printed), ended.err()))
    }
}

/// From the summary's rows, such as `| 0012_produce_consume | PASSED | 3.1s | reason |`.
fn outcome(id: &str, printed: &str, error: Option<anyhow::Error>) -> Outcome {
    let plain = without_colours(printed);
    let mut found = Outcome::Skipped("the runner printed no row".to_owned());
    let mut has_passed = false;
    for line in plain.lines().filter(|line| line.starts_with('|')) {
        let fields: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, name, state, _, rest @ ..] = &fields[..] else {
            continue;
        };
        if !name.starts_with(id) {
            continue;
        }
        match *state {
            "PASSED" => has_passed = true,
            "SKIPPED" => found = Outcome::Skipped(rest.concat()),
            "DNS" => {}
            _ => return Outcome::Failed(format!("{state} {}", rest.concat())),
        }
    }
    match error {
        Some(error) => Outcome::Failed(format!("{error:#}")),
        None if has_passed => Outcome::Passed,
        None => found,
    }
}

fn without_colours(printed: &str) -> String {
    let mut plain = String::with_capacity(printed.len());
    let mut rest = printed;
    while let Some(start) = rest.find('\u{1b}') {
        plain.push_str(&rest[..start]);
        let end = rest[start..]
            .find('m')
            .map_or(rest.len(), |at| start + at + 1);
        rest = &rest[end..];
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSED: &str =
        "\u{1b}[32m|\u{1b}[0m\n|\u{1b}[32m 0012_produce_consume | PASSED | 3.100s \u{1b}[0m|\n";

    #[test]
    fn a_pass_is_a_passed_row_and_an_end_with_zero() {
        assert_eq!(outcome("0012", PASSED, None), Outcome::Passed);
        let error = anyhow::anyhow!("ended with 1");
        let failed = outcome("0012", PASSED, Some(error));
        assert_eq!(failed, Outcome::Failed("ended with 1".into()));
        assert!(matches!(outcome("0013", PASSED, None), Outcome::Skipped(_)));
    }

    #[test]
    fn a_skip_is_no_pass_and_a_failed_row_names_its_reason() {
        let skipped = "| 0098_txn | SKIPPED | 0.0s | needs json |\n";
        assert_eq!(
            outcome("0098", skipped, None),
            Outcome::Skipped("needs json".into())
        );
        let both = [
            PASSED,
            "|\u{1b}[31m 0012_b | FAILED | 1.0s \u{1b}[0m| bad |\n",
        ]
        .concat();
        assert_eq!(
            outcome("0012", &both, None),
            Outcome::Failed("FAILED bad".into())
        );
    }
}
