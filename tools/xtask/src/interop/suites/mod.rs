//! Test suites of others, and scenario programs of ours, against our broker or Apache Kafka.
//!
//! A suite is installed from its registry by name, gets a fresh broker, and each of its ids runs in
//! a process of its own with a time limit. The ids that passed are compared with committed lists.

mod cache;
mod kafka_node;
mod kafka_tools;
mod librdkafka;
mod node;
mod programs;
mod results;
mod running;
mod rust_crates;

pub(super) use node::Peer;
pub(super) use programs::PythonPrograms;

use super::{Args, SuiteName};
use anyhow::Result;
use running::{Plan, Suite};
use rust_crates::{CrateTests, RDKAFKA, RSKAFKA};
use std::path::Path;

/// Installs and runs one suite.
///
/// # Errors
/// When it cannot be installed, when the broker does not start or stop, or when an id of the
/// committed list does not pass.
pub(super) fn run(args: &Args, name: SuiteName, binary: &Path, folder: &Path) -> Result<()> {
    let (name, suite): (_, Box<dyn Suite>) = match name {
        SuiteName::Librdkafka => ("librdkafka", Box::new(librdkafka::Librdkafka::install()?)),
        SuiteName::KafkaTools => ("kafka-tools", Box::new(kafka_tools::KafkaTools::install()?)),
        SuiteName::Rdkafka => ("rdkafka", Box::new(CrateTests::install(&RDKAFKA)?)),
        SuiteName::Rskafka => ("rskafka", Box::new(CrateTests::install(&RSKAFKA)?)),
        SuiteName::Clients => (
            "clients",
            Box::new(programs::ScenarioPrograms::install(binary.to_path_buf())?),
        ),
    };
    Plan {
        name,
        args,
        binary,
        folder,
    }
    .run(suite.as_ref())
}
