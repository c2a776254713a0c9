//! Our scenario programs: one per client, the same verbs, checked alike.
//!
//! The verbs are in `tools/xtask/interop/programs/README.md`. An id is `client/scenario`; it passes
//! here only when it passes with 1, 2 and 4 shards and both ways to advertise.

mod installing;
mod member;

pub(in super::super) use installing::PythonPrograms;

use super::super::process;
use super::results::Outcome;
use super::running::{Context, Suite};
use anyhow::{Context as _, Result, bail, ensure};
use installing::Programs;
use member::Member;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

const PARTITIONS: u64 = 3;
const RECORDS: u64 = 300;
/// Sent after a member left or was killed.
const MORE_RECORDS: u64 = 30;
const VERB_LIMIT: Duration = Duration::from_secs(90);
const SCENARIOS: [&str; 9] = [
    "produce",
    "codecs",
    "group",
    "rebalance",
    "takeover",
    "seek-offset",
    "seek-time",
    "admin",
    "groups",
];
/// What a coordinator refuses, with codes; franz-go is the client that can send such requests.
const BAD_INPUT: &str = "franz-go/bad-input";
/// What Kafka 4.3.1 answers.
const REFUSALS: &str = include_str!("../../../../interop/programs/bad-input.txt");
const SETUPS: [(&str, &str); 6] = [
    ("0", "single"),
    ("0", "per-core"),
    ("0,1", "single"),
    ("0,1", "per-core"),
    ("0,0,1,1", "single"),
    ("0,0,1,1", "per-core"),
];
const SETTINGS: &[(&str, &str)] = &[
    ("num.partitions", "3"),
    ("group.initial.rebalance.delay.ms", "0"),
];

/// The programs, installed.
#[derive(Debug)]
pub(super) struct ScenarioPrograms {
    programs: Programs,
    binary: PathBuf,
}

impl ScenarioPrograms {
    /// Installs the clients; `binary` creates topics, on Kafka too.
    pub(super) fn install(binary: PathBuf) -> Result<Self> {
        let programs = Programs::install()?;
        Ok(Self { programs, binary })
    }
}

impl Suite for ScenarioPrograms {
    fn ids(&self) -> Result<Vec<String>> {
        let clients = installing::CLIENTS.iter();
        let ids = clients.flat_map(|client| SCENARIOS.map(|it| format!("{}/{it}", client.name)));
        Ok(ids.chain([BAD_INPUT.to_owned()]).collect())
    }

    fn settings(&self) -> &'static [(&'static str, &'static str)] {
        SETTINGS
    }

    fn jobs(&self) -> usize {
        3
    }

    fn setups(&self) -> Vec<(&'static str, &'static str)> {
        SETUPS.to_vec()
    }

    fn run(&self, id: &str, context: &Context) -> Result<Outcome> {
        let (client, scenario) = id.split_once('/').context("an id is client/scenario")?;
        let run = Run {
            suite: self,
            client,
            topic: format!("{client}.{scenario}"),
            context,
        };
        let done = match scenario {
            "produce" => run.produce("none"),
            "codecs" => run.codecs(),
            "group" => run.group(),
            "rebalance" => run.rebalance(),
            "takeover" => run.takeover(),
            "seek-offset" => run.seek("offset", 50, 50),
            // Between record 149 and 150, which is the 50th of partition 0.
            "seek-time" => run.seek("time", BASE_MS + 149_500, 50),
            "admin" => run.admin(),
            "bad-input" => run.bad_input(),
            _ => run.groups(),
        };
        Ok(match done {
            Ok(()) => Outcome::Passed,
            Err(error) => Outcome::Failed(format!("{error:#}")),
        })
    }
}

/// The time of record 0.
const BASE_MS: u64 = 1_700_000_000_000;

/// One scenario of one client.
struct Run<'a> {
    suite: &'a ScenarioPrograms,
    client: &'a str,
    topic: String,
    context: &'a Context,
}

impl Run<'_> {
    fn log(&self, what: &str) -> PathBuf {
        let name = format!("{}-{what}", self.topic).replace('.', "-");
        self.context.logs.join(name)
    }

    fn command(&self, verb: &str, topic: &str, args: &[&str]) -> Result<Command> {
        let mut command = self.suite.programs.command(self.client)?;
        command
            .args([verb, &self.context.address, topic])
            .args(args);
        Ok(command)
    }

    fn verb(&self, verb: &str, topic: &str, args: &[&str]) -> Result<String> {
        let mut command = self.command(verb, topic, args)?;
        let printed = process::run(&mut command, &self.log(verb), VERB_LIMIT)?;
        Ok(String::from_utf8_lossy(&printed).into_owned())
    }

    fn create(&self, topic: &str) -> Result<()> {
        let mut command = Command::new(&self.suite.binary);
        command.args(["topic", "create", topic, "--partitions", "3"]);
        command.args(["--bootstrap", &self.context.address]);
        process::run(&mut command, &self.log("create"), VERB_LIMIT).map(drop)
    }

    fn send(&self, topic: &str, codec: &str, first: u64, count: u64) -> Result<()> {
        let (first, count) = (first.to_string(), count.to_string());
        self.verb("produce", topic, &[codec, &first, &count])
            .map(drop)
    }

    /// Every record comes back whole: place, time, key, header, value.
    fn produce(&self, codec: &str) -> Result<()> {
        let topic = format!("{}.{codec}", self.topic);
        self.create(&topic)?;
        self.send(&topic, codec, 0, RECORDS)?;
        let printed = self.verb("read", &topic, &[])?;
        let found: BTreeSet<&str> = printed.lines().collect();
        ensure!(
            found.len() == printed.lines().count(),
            "a record came twice"
        );
        let wanted: BTreeSet<String> = (0..RECORDS).map(record_line).collect();
        for line in &wanted {
            ensure!(
                found.contains(line.as_str()),
                "{codec}: `{line}` did not come back"
            );
        }
        ensure!(
            found.len() == wanted.len(),
            "{codec}: more records than were sent"
        );
        Ok(())
    }

    fn codecs(&self) -> Result<()> {
        for codec in installing::client(self.client)?.codecs {
            self.produce(codec)?;
        }
        Ok(())
    }

    fn member(&self, name: &str) -> Result<Member> {
        let mut command = self.command("member", &self.topic, &[&self.group_id()])?;
        Member::start(&mut command, &self.log(name))
    }

    fn group_id(&self) -> String {
        format!("{}.group", self.topic)
    }

    /// A member reads all and leaves; the next one gets what came later, and nothing else.
    fn group(&self) -> Result<()> {
        self.create(&self.topic)?;
        self.send(&self.topic, "none", 0, RECORDS)?;
        let first = self.member("first")?;
        first.wait_records(0..RECORDS)?;
        first.leave()?;
        self.send(&self.topic, "none", RECORDS, MORE_RECORDS)?;
        let second = self.member("second")?;
        second.wait_records(RECORDS..RECORDS + MORE_RECORDS)?;
        let again = second.records()?.len() as u64;
        second.leave()?;
        ensure!(
            again == MORE_RECORDS,
            "{again} records came to the second member"
        );
        Ok(())
    }

    /// A second member takes some of the partitions; when the first leaves, it has them all.
    fn rebalance(&self) -> Result<()> {
        self.create(&self.topic)?;
        let first = self.member("first")?;
        first.wait_assigned(PARTITIONS)?;
        let second = self.member("second")?;
        Member::wait_shared(&first, &second, PARTITIONS)?;
        self.send(&self.topic, "none", 0, RECORDS)?;
        Member::wait_together(&[&first, &second], 0..RECORDS)?;
        for (name, member) in [("first", &first), ("second", &second)] {
            ensure!(
                !member.records()?.is_empty(),
                "the {name} member read nothing"
            );
        }
        first.leave()?;
        second.wait_assigned(PARTITIONS)?;
        self.send(&self.topic, "none", RECORDS, MORE_RECORDS)?;
        second.wait_records(RECORDS..RECORDS + MORE_RECORDS)?;
        second.leave()
    }

    /// A member is killed; after its session timeout the next one has its partitions and goes on.
    fn takeover(&self) -> Result<()> {
        self.create(&self.topic)?;
        let first = self.member("first")?;
        first.wait_assigned(PARTITIONS)?;
        self.send(&self.topic, "none", 0, RECORDS)?;
        first.wait_records(0..RECORDS)?;
        let before = first.records()?;
        first.kill();
        self.send(&self.topic, "none", RECORDS, MORE_RECORDS)?;
        let second = self.member("second")?;
        second.wait_assigned(PARTITIONS)?;
        second.wait_records(RECORDS..RECORDS + MORE_RECORDS)?;
        let after = second.records()?;
        second.leave()?;
        same_values(&before, &after)
    }

    fn seek(&self, kind: &str, number: u64, offset: u64) -> Result<()> {
        self.create(&self.topic)?;
        self.send(&self.topic, "none", 0, RECORDS)?;
        let printed = self.verb("seek", &self.topic, &["0", kind, &number.to_string()])?;
        let wanted = format!("0 {offset} v{}", offset * PARTITIONS);
        ensure!(
            printed.trim() == wanted,
            "`{}` came, not `{wanted}`",
            printed.trim()
        );
        Ok(())
    }

    fn admin(&self) -> Result<()> {
        let printed = self.verb("admin", &self.topic, &[])?;
        let wanted = "partitions 2\nretention.ms 60000\nexists\nretention.ms 120000\n\
                      partitions 4\ngone";
        ensure!(printed.trim() == wanted, "it found {:?}", printed.trim());
        Ok(())
    }

    /// Every refusal has Kafka's error code.
    fn bad_input(&self) -> Result<()> {
        self.create(&self.topic)?;
        let printed = self.verb("bad-input", &self.topic, &[&self.group_id()])?;
        for (found, wanted) in printed.lines().zip(REFUSALS.lines()) {
            ensure!(found == wanted, "`{found}`, Kafka says `{wanted}`");
        }
        let (found, wanted) = (printed.lines().count(), REFUSALS.lines().count());
        ensure!(found == wanted, "{found} answers of {wanted}");
        Ok(())
    }

    fn groups(&self) -> Result<()> {
        self.create(&self.topic)?;
        self.send(&self.topic, "none", 0, RECORDS)?;
        let member = self.member("first")?;
        member.wait_records(0..RECORDS)?;
        member.leave()?;
        let printed = self.verb("groups", &self.topic, &[&self.group_id()])?;
        let wanted = "listed\nstate Empty\ncommitted 0 100\ncommitted 1 100\ncommitted 2 100\ngone";
        ensure!(printed.trim() == wanted, "it found {:?}", printed.trim());
        Ok(())
    }
}

/// What `read` prints of record `number`.
fn record_line(number: u64) -> String {
    let (partition, offset) = (number % PARTITIONS, number / PARTITIONS);
    let time = BASE_MS + 1000 * number;
    format!("{partition} {offset} {time} k{number} {number} v{number}")
}

/// A record that two members read is the same record.
fn same_values(
    before: &BTreeMap<(u64, u64), u64>,
    after: &BTreeMap<(u64, u64), u64>,
) -> Result<()> {
    for (place, value) in after {
        if before.get(place).is_some_and(|it| it != value) {
            bail!("{place:?} was read with two values");
        }
    }
    Ok(())
}
