//! What a person reads when the broker starts and when it ends.

use crate::counters::BrokerCounters;
use millrace_engine::engine::MemoryPlan;
use millrace_engine::io::group::{KernelConfig, SetupReport, kernel_release};
use millrace_engine::partition::Durability;
use std::sync::Arc;

const MIB: u64 = 1 << 20;
/// Names in one line at most, so that lines stay readable with any number of topics.
const NAMES_MAX: usize = 20;

/// A topic whose acknowledged records may be lost with the power.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelaxedTopic {
    /// Its name.
    pub name: Arc<str>,
    /// Its class, below `disk`.
    pub durability: Durability,
}

/// What the start found, chose and bounded.
pub(crate) struct StartFacts<'a> {
    pub(crate) kernel: &'a KernelConfig,
    pub(crate) memory_bytes: u64,
    pub(crate) report: &'a SetupReport,
    pub(crate) relaxed_topics: &'a [RelaxedTopic],
    /// Where a client connects.
    pub(crate) client_address: &'a str,
    pub(crate) nodes: usize,
}

/// Logs all of it; where a client connects comes last.
pub(crate) fn log_start(facts: &StartFacts<'_>) {
    let kernel = facts.kernel;
    let cores: Vec<String> = kernel.cores.iter().map(usize::to_string).collect();
    log::info!(
        "kernel {}; {} on {} {}",
        kernel_release(),
        count(kernel.cores.len(), "shard"),
        if cores.len() == 1 { "core" } else { "cores" },
        cores.join(",")
    );
    for line in &facts.report.lines {
        log::info!("{line}");
    }
    let plan = MemoryPlan::of(facts.memory_bytes);
    log::info!(
        "memory: {} MiB, {} MiB of it buffers of each shard, room for {} partitions and {} \
         connections; data in {}, journals in {}",
        facts.memory_bytes / MIB,
        kernel.arena_bytes as u64 / MIB,
        plan.partitions_max(1),
        plan.connections_max(),
        kernel.data_dir.display(),
        kernel.journal_dir.display()
    );
    for line in &facts.report.warnings {
        log::warn!("{line}");
    }
    for line in relaxed_lines(facts.relaxed_topics) {
        log::warn!("{line}");
    }
    let address = facts.client_address;
    log::info!(
        "ready as {}: point Kafka clients at {address} (for example: kcat -b {address} -L)",
        count(facts.nodes, "node")
    );
}

fn count(number: usize, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {thing}{plural}")
}

/// Every topic is named: lines of one class each, in the order of the classes.
fn relaxed_lines(topics: &[RelaxedTopic]) -> Vec<String> {
    let classes = [Durability::Written, Durability::Memory, Durability::Null];
    let mut lines = Vec::new();
    for class in classes {
        let names = topics.iter().filter(|topic| topic.durability == class);
        let names: Vec<&str> = names.map(|topic| &*topic.name).collect();
        for named in names.chunks(NAMES_MAX) {
            lines.push(format!(
                "millrace.durability={}, {}: {}",
                class.name(),
                risk(class),
                named.join(", ")
            ));
        }
    }
    lines
}

const fn risk(class: Durability) -> &'static str {
    match class {
        Durability::Disk => "acknowledged records are on stable storage",
        Durability::Written => "a power cut may take acknowledged records",
        Durability::Memory => "a crash may take acknowledged records",
        Durability::Null => "nothing is stored",
    }
}

/// Logs what one shard did in its life, for operators and benchmarks.
pub(crate) fn log_end(counters: &BrokerCounters) {
    let BrokerCounters {
        shard,
        io,
        engine,
        net,
    } = counters;
    log::info!(
        "{shard} counters: batches {} bytes {} commits {} commit_bytes {} placed_bytes {} \
         write_back_bytes {} copied_bytes {} realigned_bytes {} checkpoints {} rolls {} \
         cold_read_bytes {} copied_in_bytes {} copied_out_bytes {}; enters {} other_calls {} \
         submitted {} writes {} written_bytes {} durable_writes {} \
         receives {} received_bytes {} sends {} sent_bytes {} doorbells {} slow_enters {}",
        engine.batches,
        engine.batch_bytes,
        engine.commits,
        engine.commit_bytes,
        engine.placed_bytes,
        engine.write_back_bytes,
        engine.copied_bytes,
        engine.realigned_bytes,
        engine.checkpoints,
        engine.rolls,
        engine.cold_read_bytes,
        net.copied_in_bytes,
        net.copied_out_bytes,
        io.enters,
        io.other_calls,
        io.submitted,
        io.writes,
        io.written_bytes,
        io.durable_writes,
        io.receives,
        io.received_bytes,
        io.sends,
        io.sent_bytes,
        io.doorbells,
        io.slow_enters,
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_topic_below_disk_is_named_with_its_class_and_what_that_means() {
        let topic = |index: usize, durability| RelaxedTopic {
            name: Arc::from(format!("t{index}.")),
            durability,
        };
        let memory = (0..45).map(|index| topic(index, Durability::Memory));
        let topics: Vec<_> = memory.chain([topic(99, Durability::Written)]).collect();
        let lines = relaxed_lines(&topics);
        assert_eq!(lines.len(), 1 + 3, "{lines:?}");
        assert!(lines[0].contains("=written"), "{}", lines[0]);
        assert!(lines[0].contains("power cut may take"), "{}", lines[0]);
        for topic in &topics {
            let naming = lines.iter().filter(|line| line.contains(&*topic.name));
            assert_eq!(naming.count(), 1, "{}", topic.name);
        }
        assert!(relaxed_lines(&[]).is_empty());
    }
}
