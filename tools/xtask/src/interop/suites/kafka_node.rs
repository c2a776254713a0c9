//! Apache Kafka as the peer: one KRaft node from Maven Central's artifacts, on free ports of
//! 127.0.0.1, on an empty data directory.

use super::super::broker;
use super::super::process::{self, Process};
use super::cache::{self, Cache};
use anyhow::{Result, bail};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const POM: &str = include_str!("kafka-pom.xml");
const READY_LIMIT: Duration = Duration::from_secs(90);
const FORMAT_LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(60);
/// Any id will do: each data directory is used once.
const CLUSTER_ID: &str = "bWlsbHJhY2UtaW50ZXJvcA";
const LOGGING: &str = "rootLogger.level=warn\n\
    rootLogger.appenderRef.out.ref=out\n\
    appender.out.type=Console\n\
    appender.out.name=out\n\
    appender.out.layout.type=PatternLayout\n\
    appender.out.layout.pattern=%d %p %m %c%n\n";

/// Kafka's jars: the broker, and the tools of the suite `kafka-tools`.
pub(super) fn install() -> Result<Cache> {
    cache::require(&[("java", "default-jre-headless"), ("mvn", "maven")])?;
    let cache = Cache::open("kafka")?;
    cache.write_source("pom.xml", POM)?;
    let copy = [
        "mvn",
        "-q",
        "-B",
        "dependency:copy-dependencies",
        "-DincludeScope=runtime",
        "-DoutputDirectory=lib",
    ];
    cache.install(&[("", &["rm", "-rf", "lib"]), ("", &copy)])?;
    Ok(cache)
}

/// A running node.
#[derive(Debug)]
pub(super) struct KafkaNode {
    process: Process,
    port: u16,
}

impl KafkaNode {
    /// Formats a data directory below `folder`, starts a node, and waits until it answers.
    pub(super) fn start(folder: &Path, settings: &[(&str, &str)]) -> Result<Self> {
        let cache = install()?;
        let port = broker::free_ports()?;
        let properties = folder.join("server.properties");
        fs::write(&properties, server_properties(folder, port, settings))?;
        let logging = folder.join("logging.properties");
        fs::write(&logging, LOGGING)?;
        let jars = format!("{}/*", cache.path("lib").display());
        let properties = properties.display().to_string();
        let mut format = Command::new("java");
        format.args(["-cp", &jars, "kafka.tools.StorageTool", "format"]);
        format.args(["-t", CLUSTER_ID, "-c", &properties]);
        process::run(&mut format, &folder.join("kafka-format"), FORMAT_LIMIT)?;
        let mut command = Command::new("java");
        command.args(["-Xms1g", "-Xmx1g", "-XX:+UseG1GC"]);
        command.arg(format!("-Dlog4j2.configurationFile={}", logging.display()));
        command.args(["-cp", &jars, "kafka.Kafka", &properties]);
        let mut process = Process::start(&mut command, &folder.join("kafka"), Stdio::null())?;
        let start = Instant::now();
        while start.elapsed() < READY_LIMIT {
            if let Some(status) = process.try_wait()? {
                bail!("Kafka ended with {status}; see {}", folder.display());
            }
            if broker::answers(port).is_ok() {
                return Ok(Self { process, port });
            }
            thread::sleep(Duration::from_millis(200));
        }
        bail!(
            "Kafka does not answer after {READY_LIMIT:?}; see {}",
            folder.display()
        )
    }

    /// Where clients connect.
    pub(super) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// SIGTERM, and the end that follows.
    pub(super) fn stop(mut self) -> Result<()> {
        self.process.terminate()?;
        self.process.wait(STOP_LIMIT).map(drop)
    }
}

/// Node id 0 as suites expect, ACL calls that work, and internal topics with one replica.
fn server_properties(folder: &Path, port: u16, settings: &[(&str, &str)]) -> String {
    let controller = port + 1;
    let mut text = format!(
        "process.roles=broker,controller\n\
         node.id=0\n\
         controller.quorum.voters=0@127.0.0.1:{controller}\n\
         listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
         advertised.listeners=PLAINTEXT://127.0.0.1:{port}\n\
         controller.listener.names=CONTROLLER\n\
         listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT\n\
         log.dirs={}\n\
         offsets.topic.replication.factor=1\n\
         transaction.state.log.replication.factor=1\n\
         transaction.state.log.min.isr=1\n\
         share.coordinator.state.topic.replication.factor=1\n\
         share.coordinator.state.topic.min.isr=1\n\
         authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n\
         super.users=User:ANONYMOUS\n\
         allow.everyone.if.no.acl.found=true\n",
        folder.join("data").display()
    );
    for (key, value) in settings {
        text.push_str(&format!("{key}={value}\n"));
    }
    text
}
