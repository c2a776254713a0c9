//! Kafka's own command-line tools: each id is a list of tool runs and what they must print.

mod ids;

use super::super::process::Process;
use super::kafka_node;
use super::results::Outcome;
use super::running::{Context, Suite};
use anyhow::{Context as _, Result, ensure};
use ids::{IDS, Step};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

const STEP_LIMIT: Duration = Duration::from_secs(90);
const SETTINGS: &[(&str, &str)] = &[("group.initial.rebalance.delay.ms", "0")];

/// The jars.
#[derive(Debug)]
pub(super) struct KafkaTools {
    jars: PathBuf,
}

impl KafkaTools {
    /// Copies the jars from Maven Central, once.
    pub(super) fn install() -> Result<Self> {
        let jars = kafka_node::install()?.path("lib");
        Ok(Self { jars })
    }

    fn run_steps(&self, id: &str, steps: &[Step], context: &Context) -> Result<()> {
        for (index, step) in steps.iter().enumerate() {
            let log = context.logs.join(format!("{id}-{index}"));
            let said = format!("step {index}, {}", step.class);
            self.run_step(id, step, &log, context).context(said)?;
        }
        Ok(())
    }

    fn run_step(&self, id: &str, step: &Step, log: &Path, context: &Context) -> Result<()> {
        let file = log.with_extension("in");
        fs::write(&file, filled(step.input, id, context, &file))?;
        let mut command = Command::new("java");
        command.args(["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]);
        command.args(["-cp", &format!("{}/*", self.jars.display())]);
        command.arg(match step.class.contains('.') {
            true => step.class.to_owned(),
            false => format!("org.apache.kafka.tools.{}", step.class),
        });
        let args = step.args.split_whitespace();
        command.args(args.map(|arg| filled(arg, id, context, &file)));
        let mut process = Process::start(&mut command, log, Stdio::from(fs::File::open(&file)?))?;
        let status = process.wait(STEP_LIMIT)?;
        let printed = fs::read_to_string(log.with_extension("out"))?;
        let errors = fs::read_to_string(log.with_extension("err"))?;
        let said = one_line(&format!("{printed} {errors}"));
        let is_as_wanted = status.success() != step.is_refused;
        ensure!(is_as_wanted, "ended with {status}: {said}");
        for wanted in step.wants {
            let wanted = filled(wanted, id, context, &file);
            ensure!(said.contains(&wanted), "`{wanted}` is not in: {said}");
        }
        for unwanted in step.lacks {
            let unwanted = filled(unwanted, id, context, &file);
            ensure!(!said.contains(&unwanted), "`{unwanted}` is in: {said}");
        }
        Ok(())
    }
}

impl Suite for KafkaTools {
    fn ids(&self) -> Result<Vec<String>> {
        Ok(IDS.iter().map(|(id, _)| (*id).to_owned()).collect())
    }

    fn settings(&self) -> &'static [(&'static str, &'static str)] {
        SETTINGS
    }

    fn jobs(&self) -> usize {
        3
    }

    fn run(&self, id: &str, context: &Context) -> Result<Outcome> {
        let found = IDS.iter().find(|(name, _)| *name == id);
        let (_, steps) = found.with_context(|| format!("no id `{id}`"))?;
        Ok(match self.run_steps(id, steps, context) {
            Ok(()) => Outcome::Passed,
            Err(error) => Outcome::Failed(format!("{error:#}")),
        })
    }
}

/// `@A` is the address, `@T` the id's own topic, `@F` the file that is standard input, too.
fn filled(text: &str, id: &str, context: &Context, file: &Path) -> String {
    let text = text
        .replace("@A", &context.address)
        .replace("@T", &format!("tools-{id}"));
    text.replace("@F", &file.display().to_string())
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
