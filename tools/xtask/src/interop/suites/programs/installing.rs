//! Installs each client by its package's name and says how its scenario program is started.

use super::super::cache::{self, Cache};
use super::super::kafka_node;
use anyhow::{Context, Result};
use std::path::PathBuf;
use std::process::Command;

/// A client.
#[derive(Clone, Copy, Debug)]
pub(super) struct Client {
    /// First part of its ids.
    pub(super) name: &'static str,
    /// Codecs it has without more packages.
    pub(super) codecs: &'static [&'static str],
}

/// All clients. Kafkajs has gzip alone.
pub(super) const CLIENTS: [Client; 5] = [
    client_with("kafka-python", &ALL_CODECS),
    client_with("confluent-kafka", &ALL_CODECS),
    client_with("kafkajs", &["gzip"]),
    client_with("franz-go", &ALL_CODECS),
    client_with("java", &ALL_CODECS),
];
const ALL_CODECS: [&str; 4] = ["gzip", "snappy", "lz4", "zstd"];

const fn client_with(name: &'static str, codecs: &'static [&'static str]) -> Client {
    Client { name, codecs }
}

/// The client of a name.
pub(super) fn client(name: &str) -> Result<Client> {
    let found = CLIENTS.iter().find(|client| client.name == name);
    found
        .copied()
        .with_context(|| format!("no client `{name}`"))
}

/// Where the programs are.
#[derive(Debug)]
pub(super) struct Programs {
    python: PythonPrograms,
    node: Cache,
    go: Cache,
    java: Cache,
    jars: PathBuf,
}

/// Programs for confluent-kafka and kafka-python, in one environment.
#[derive(Debug)]
pub(in super::super::super) struct PythonPrograms(Cache);

impl PythonPrograms {
    /// Installs the clients when they are missing.
    pub(in super::super::super) fn install() -> Result<Self> {
        let cache = Cache::open("programs-python")?;
        let venv = ["python3", "-m", "venv", "venv"];
        let codecs = ["lz4", "zstandard", "python-snappy"];
        let pip = ["venv/bin/python", "-m", "pip", "-q", "install"];
        let clients = ["kafka-python>=3", "confluent-kafka"];
        let install = [pip.as_slice(), &clients, &codecs].concat();
        cache.install(&[("", &venv), ("", &install)])?;
        for (name, text) in [
            (
                "kafka_python.py",
                include_str!("../../../../interop/programs/kafka_python.py"),
            ),
            (
                "confluent.py",
                include_str!("../../../../interop/programs/confluent.py"),
            ),
            (
                "group_endurance.py",
                include_str!("../../../../interop/programs/group_endurance.py"),
            ),
        ] {
            cache.write(name, text)?;
        }
        Ok(Self(cache))
    }

    /// Starts one of them; arguments are added.
    pub(in super::super::super) fn command(&self, file: &str) -> Command {
        let mut command = Command::new(self.0.path("venv/bin/python"));
        command.arg(self.0.path(file));
        command
    }
}

impl Programs {
    /// Installs what is missing.
    pub(super) fn install() -> Result<Self> {
        cache::require(&[
            ("python3", "python3-venv"),
            ("node", "nodejs"),
            ("npm", "npm"),
            ("go", "golang-go (1.25 or later)"),
            ("javac", "default-jdk-headless"),
        ])?;
        let jars = kafka_node::install()?.path("lib");
        Ok(Self {
            python: PythonPrograms::install()?,
            node: node()?,
            go: go()?,
            java: java(&jars)?,
            jars,
        })
    }

    /// A command to which a verb and its arguments are added.
    pub(super) fn command(&self, client: &str) -> Result<Command> {
        let mut command;
        match client {
            "kafka-python" => command = self.python.command("kafka_python.py"),
            "confluent-kafka" => command = self.python.command("confluent.py"),
            "kafkajs" => {
                command = Command::new("node");
                command.arg(self.node.path("kafkajs.js"));
            }
            "franz-go" => command = Command::new(self.go.path("scenarios")),
            _ => {
                let classes = self.java.path("classes");
                let path = format!("{}:{}/*", classes.display(), self.jars.display());
                command = Command::new("java");
                command.args(["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]);
                command.args(["-cp", &path, "Scenarios"]);
            }
        }
        Ok(command)
    }
}

fn node() -> Result<Cache> {
    let cache = Cache::open("programs-node")?;
    let quiet = ["--silent", "--no-audit", "--no-fund"];
    let install = [
        ["npm", "install", "--prefix"].as_slice(),
        &["."],
        &quiet,
        &["kafkajs@2"],
    ];
    cache.install(&[("", &install.concat())])?;
    cache.write(
        "kafkajs.js",
        include_str!("../../../../interop/programs/kafkajs.js"),
    )?;
    Ok(cache)
}

fn go() -> Result<Cache> {
    let cache = Cache::open("programs-go")?;
    cache.write_source(
        "bad_input.go",
        include_str!("../../../../interop/programs/franz-go/bad_input.go"),
    )?;
    cache.write_source(
        "main.go",
        include_str!("../../../../interop/programs/franz-go/main.go"),
    )?;
    cache.write_source(
        "go.mod",
        include_str!("../../../../interop/programs/franz-go/go.mod"),
    )?;
    cache.write_source(
        "go.sum",
        include_str!("../../../../interop/programs/franz-go/go.sum"),
    )?;
    cache.install(&[("", &["go", "build", "-o", "scenarios", "."])])?;
    Ok(cache)
}

fn java(jars: &std::path::Path) -> Result<Cache> {
    let cache = Cache::open("programs-java")?;
    cache.write_source(
        "Scenarios.java",
        include_str!("../../../../interop/programs/Scenarios.java"),
    )?;
    let path = format!("{}/*", jars.display());
    let compile = ["javac", "-d", "classes", "-cp", &path, "Scenarios.java"];
    cache.install(&[("", &compile)])?;
    Ok(cache)
}
