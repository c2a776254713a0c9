//! The clients: how each is installed by its package's name, and how it produces and consumes.

use super::process;
use super::verify::{Consumed, Promise, parse};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const INSTALL_LIMIT: Duration = Duration::from_secs(600);
/// Long enough for the whole index, short enough to notice a client that waits for ever.
pub(super) const CLIENT_LIMIT: Duration = Duration::from_secs(180);

/// One topic on one broker, and where to put what clients print.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// The broker's address.
    pub(super) address: String,
    /// The topic.
    pub(super) topic: String,
    /// Its partitions.
    pub(super) partitions: u32,
    /// Start of the names of log files.
    pub(super) logs: PathBuf,
}

impl Target {
    fn log(&self, client: &str) -> PathBuf {
        self.logs.join(format!("{}-{client}", self.topic))
    }
}

/// The installed clients.
#[derive(Debug)]
pub(super) struct Clients {
    folder: PathBuf,
}

impl Clients {
    /// Installs what is missing below `folder`.
    pub(super) fn install(folder: &Path) -> Result<Self> {
        let clients = Self {
            folder: folder.join("clients"),
        };
        fs::create_dir_all(&clients.folder)?;
        for (name, text) in [
            ("produce.py", include_str!("clients/produce.py")),
            ("consume.py", include_str!("clients/consume.py")),
            ("produce.js", include_str!("clients/produce.js")),
            ("group.py", include_str!("clients/group.py")),
            ("group.js", include_str!("clients/group.js")),
            ("pom.xml", include_str!("clients/pom.xml")),
        ] {
            fs::write(clients.folder.join(name), text)?;
        }
        let python = ["-m", "pip", "-q", "install", "kafka-python"];
        let codecs = ["lz4", "zstandard", "python-snappy"];
        clients.install_one("venv", "python3", &["-m", "venv", "venv"])?;
        clients.install_one("venv/bin/pip", "venv/bin/python", &["-m", "ensurepip"])?;
        let package = "venv/kafka-python.done";
        if !clients.folder.join(package).exists() {
            let program = clients.folder.join("venv/bin/python");
            clients.run_install(&program, &[python.as_slice(), codecs.as_slice()].concat())?;
            fs::write(clients.folder.join(package), "")?;
        }
        let npm = [
            "install",
            "--silent",
            "--no-audit",
            "--no-fund",
            "--prefix",
            ".",
            "kafkajs",
        ];
        clients.install_one("node_modules/kafkajs", "npm", &npm)?;
        let maven = [
            "-q",
            "-B",
            "dependency:copy-dependencies",
            "-DoutputDirectory=lib",
        ];
        clients.install_one("lib", "mvn", &maven)?;
        Ok(clients)
    }

    fn install_one(&self, result: &str, program: &str, args: &[&str]) -> Result<()> {
        if self.folder.join(result).exists() {
            return Ok(());
        }
        self.run_install(Path::new(program), args)
    }

    fn run_install(&self, program: &Path, args: &[&str]) -> Result<()> {
        let mut command = Command::new(program);
        command.args(args).current_dir(&self.folder);
        let log = self.folder.join("install");
        process::run(&mut command, &log, INSTALL_LIMIT)
            .with_context(|| format!("installing with {} {}", program.display(), args.join(" ")))?;
        Ok(())
    }

    /// kcat as a producer that reads lines from its standard input or from a file.
    pub(super) fn kcat_producer(target: &Target, codec: &str, promise: Promise) -> Command {
        let mut command = Command::new("kcat");
        // Without -E kcat gives up as soon as no broker is there.
        command.args(["-P", "-E", "-b", &target.address, "-t", &target.topic]);
        let is_idempotent = promise == Promise::ExactlyOnce;
        command.args(["-X", &format!("enable.idempotence={is_idempotent}")]);
        command.args(["-X", "linger.ms=5"]);
        command.args(["-X", "message.timeout.ms=150000"]);
        if target.partitions == 1 {
            command.args(["-p", "0"]);
        }
        if codec != "none" {
            command.args(["-z", codec]);
        }
        command
    }

    /// Produces a file's lines with kcat.
    pub(super) fn kcat_produce(target: &Target, codec: &str, file: &Path) -> Result<()> {
        let mut command = Self::kcat_producer(target, codec, Promise::ExactlyOnce);
        command.arg("-l").arg(file);
        process::run(&mut command, &target.log("kcat-produce"), CLIENT_LIMIT).map(drop)
    }

    /// Everything in the topic, as kcat sees it.
    pub(super) fn kcat_consume(target: &Target) -> Result<Vec<Consumed>> {
        let mut command = Command::new("kcat");
        command.args(["-C", "-q", "-e", "-o", "beginning", "-b", &target.address]);
        command.args(["-t", &target.topic, "-f", "%p %o %s\n"]);
        command.args(["-X", "check.crcs=true"]);
        parse(&process::run(
            &mut command,
            &target.log("kcat-consume"),
            CLIENT_LIMIT,
        )?)
    }

    /// Produces a file's lines with kafka-python or kafkajs, line n into partition n mod count.
    pub(super) fn script_produce(
        &self,
        target: &Target,
        script: &str,
        codec: &str,
        file: &Path,
    ) -> Result<()> {
        let mut command = match script.rsplit('.').next() {
            Some("py") => Command::new(self.folder.join("venv/bin/python")),
            Some("js") => Command::new("node"),
            _ => bail!("script {script} is of no known kind"),
        };
        command.current_dir(&self.folder).arg(script);
        command.args([
            &target.address,
            &target.topic,
            codec,
            &target.partitions.to_string(),
        ]);
        command.arg(file);
        process::run(&mut command, &target.log(script), CLIENT_LIMIT).map(drop)
    }

    /// Everything in the topic, as kafka-python's `assign` sees it.
    pub(super) fn python_consume(&self, target: &Target) -> Result<Vec<Consumed>> {
        let mut command = Command::new(self.folder.join("venv/bin/python"));
        command.current_dir(&self.folder).arg("consume.py");
        command.args([&target.address, &target.topic]);
        parse(&process::run(
            &mut command,
            &target.log("consume.py"),
            CLIENT_LIMIT,
        )?)
    }

    /// A member of the group that is called like its script; leaves after `limit` records, or with
    /// 0 when everything is committed.
    pub(super) fn member(&self, target: &Target, script: &str, limit: usize) -> Command {
        let program = match script.rsplit('.').next() {
            Some("py") => self.folder.join("venv/bin/python"),
            _ => PathBuf::from("node"),
        };
        let mut command = Command::new(program);
        command.current_dir(&self.folder).arg(script);
        command.args([&target.address, &target.topic, script, &limit.to_string()]);
        command
    }

    /// What is left for a group, as its only member kcat reads and commits it.
    pub(super) fn kcat_group(target: &Target, group: &str) -> Result<Vec<Consumed>> {
        let mut command = Command::new("kcat");
        command.args(["-G", group, "-q", "-e", "-b", &target.address]);
        command.args(["-X", "auto.offset.reset=earliest", "-f", "%p %o %s\n"]);
        command.args(["-X", "session.timeout.ms=6000"]);
        command.arg(&target.topic);
        let log = target.log("kcat-group");
        parse(&process::run(&mut command, &log, CLIENT_LIMIT)?)
    }

    /// What Kafka's tool prints about a group.
    pub(super) fn java_describe_group(&self, target: &Target, group: &str) -> Result<String> {
        let mut command = self.java("org.apache.kafka.tools.consumer.group.ConsumerGroupCommand");
        command.args(["--bootstrap-server", &target.address]);
        command.args(["--describe", "--group", group]);
        let log = target.log("java-describe-group");
        let printed = process::run(&mut command, &log, CLIENT_LIMIT)?;
        Ok(String::from_utf8_lossy(&printed).into_owned())
    }

    fn java(&self, class: &str) -> Command {
        let mut command = Command::new("java");
        command
            .current_dir(&self.folder)
            .args(["-Xmx256m", "-cp", "lib/*", class]);
        command
    }

    /// Sends the numbers 0, 1, 2, … with Kafka's ProducerPerformance.
    pub(super) fn java_produce(&self, target: &Target, count: usize, codec: &str) -> Result<()> {
        let mut command = self.java("org.apache.kafka.tools.ProducerPerformance");
        command.args([
            "--topic",
            &target.topic,
            "--num-records",
            &count.to_string(),
        ]);
        command.args([
            "--throughput",
            "-1",
            "--payload-monotonic",
            "--producer-props",
        ]);
        command.arg(format!("bootstrap.servers={}", target.address));
        command.arg(format!("compression.type={codec}"));
        process::run(&mut command, &target.log("java-produce"), CLIENT_LIMIT).map(drop)
    }

    /// The first `count` records of a partition, as Kafka's console consumer sees them.
    pub(super) fn java_consume(
        &self,
        target: &Target,
        partition: i32,
        count: usize,
    ) -> Result<Vec<Consumed>> {
        let mut command = self.java("org.apache.kafka.tools.consumer.ConsoleConsumer");
        command.args([
            "--bootstrap-server",
            &target.address,
            "--topic",
            &target.topic,
        ]);
        command.args([
            "--partition",
            &partition.to_string(),
            "--offset",
            "earliest",
        ]);
        command.args([
            "--max-messages",
            &count.to_string(),
            "--timeout-ms",
            "60000",
        ]);
        command.args([
            "--property",
            "print.partition=true",
            "--property",
            "print.offset=true",
        ]);
        command.args(["--property", "key.separator= "]);
        let log = target.log(&format!("java-consume-{partition}"));
        let printed = process::run(&mut command, &log, CLIENT_LIMIT)?;
        parse(&without_labels(&printed))
    }
}

/// `Partition:0 Offset:7 value` becomes `0 7 value`, in the order Kafka's formatter prints.
fn without_labels(printed: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(printed.len());
    for line in printed.split_inclusive(|&byte| byte == b'\n') {
        let line = line.strip_prefix(b"Partition:").unwrap_or(line);
        match line.windows(8).position(|window| window == b" Offset:") {
            Some(at) => {
                out.extend_from_slice(&line[..=at]);
                out.extend_from_slice(&line[at + 8..]);
            }
            None => out.extend_from_slice(line),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_the_console_consumer_are_taken_off() {
        let printed = b"Partition:3 Offset:12 a Offset:b\nPartition:3 Offset:13 \n";
        assert_eq!(without_labels(printed), b"3 12 a Offset:b\n3 13 \n");
    }
}
