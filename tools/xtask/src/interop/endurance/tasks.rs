//! The processes of a run: producers, members, samplers and the final read, all of them verbs of
//! `tools/xtask/interop/programs/group_endurance.py`.

use super::super::process::{self, Process};
use super::super::suites::PythonPrograms;
use super::events::{self, Logged};
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::time::Duration;

/// The topic all of them share.
#[derive(Clone, Debug)]
pub(super) struct Workload {
    /// The broker's address.
    pub(super) address: String,
    /// The topic's name.
    pub(super) topic: String,
    /// Its partitions.
    pub(super) partitions: u32,
}

/// Which client a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Client {
    Confluent,
    KafkaPython,
}

/// Starts them.
#[derive(Debug)]
pub(super) struct Tasks {
    programs: PythonPrograms,
    workload: Workload,
    folder: PathBuf,
}

/// A process that works until its standard input ends; killed when dropped.
#[derive(Debug)]
pub(super) struct Task {
    process: Process,
    stdin: ChildStdin,
}

impl Tasks {
    /// Installs the clients; what processes print goes into `folder`.
    pub(super) fn install(workload: Workload, folder: &Path) -> Result<Self> {
        Ok(Self {
            programs: PythonPrograms::install()?,
            workload,
            folder: folder.to_path_buf(),
        })
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.programs.command("group_endurance.py");
        command.args(args);
        command
    }

    fn start(&self, name: &str, args: &[&str]) -> Result<Task> {
        let log = self.folder.join(name);
        let mut process = Process::start(&mut self.command(args), &log, Stdio::piped())?;
        let stdin = process.take_stdin()?;
        Ok(Task { process, stdin })
    }

    /// An idempotent producer of `rate` records a second.
    pub(super) fn producer(&self, name: &str, rate: u32) -> Result<Task> {
        let Workload { address, topic, .. } = &self.workload;
        let partitions = self.workload.partitions.to_string();
        let args = [
            "produce",
            address,
            topic,
            &partitions,
            name,
            &rate.to_string(),
        ];
        self.start(&events::producer_log(name), &args)
    }

    /// Member `number` of a group since the run began.
    pub(super) fn member(
        &self,
        group: &str,
        number: usize,
        client: Client,
        strategy: &str,
    ) -> Result<Task> {
        let Workload { address, topic, .. } = &self.workload;
        let client = match client {
            Client::Confluent => "confluent",
            Client::KafkaPython => "kafka-python",
        };
        let args = ["member", client, address, topic, group, strategy];
        self.start(&events::member_log(group, number), &args)
    }

    /// Asks for a group's committed offsets all the time.
    pub(super) fn sampler(&self, group: &str) -> Result<Task> {
        let Workload { address, topic, .. } = &self.workload;
        let partitions = self.workload.partitions.to_string();
        let args = ["sample", address, topic, &partitions, group];
        self.start(&events::sampler_log(group), &args)
    }

    /// What a group's sampler has found last, by partition.
    pub(super) fn last_sample(&self, group: &str) -> Result<Vec<i64>> {
        let samples = events::samples(&self.folder, group)?;
        Ok(samples.last().map_or_else(Vec::new, |it| {
            let offsets = it.offsets.iter();
            offsets.map(|&(_, offset)| offset).collect()
        }))
    }

    /// The whole log, each partition's values in the order of offsets.
    pub(super) fn read(&self, limit: Duration) -> Result<Logged> {
        let args = ["read", &self.workload.address, &self.workload.topic];
        let printed = process::run(&mut self.command(&args), &self.folder.join("read"), limit)?;
        events::logged(&String::from_utf8(printed)?, self.workload.partitions)
    }

    /// End offsets as clients see them.
    pub(super) fn log_ends(&self) -> Result<Vec<i64>> {
        let logged = self.read(super::READ_LIMIT)?;
        let ends = logged.iter().map(|values| i64::try_from(values.len()));
        Ok(ends.collect::<Result<_, _>>()?)
    }
}

impl Task {
    /// Asks it to end, which it may take its time for.
    pub(super) fn ask_to_end(self) -> Process {
        let Self { process, stdin } = self;
        drop(stdin);
        process
    }

    /// Asks it to end and waits until it has done so without a fault.
    pub(super) fn end(self, limit: Duration) -> Result<()> {
        self.ask_to_end().finish(limit).map(drop)
    }

    /// kill -9.
    pub(super) fn kill(mut self) {
        self.process.kill();
    }

    /// Fails when it has ended by itself.
    pub(super) fn check_running(&mut self) -> Result<()> {
        let ended = self.process.try_wait().context("a process of the run")?;
        let errors = || self.process.last_errors();
        ensure!(ended.is_none(), "a process ended by itself: {}", errors());
        Ok(())
    }
}
