//! A broker of our own making on free ports of 127.0.0.1, which can be killed and started again.

use crate::process::Process;
use anyhow::{Context, Result, bail};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Ports a broker may use: one per shard.
const PORTS: u16 = 4;
const READY_LIMIT: Duration = Duration::from_secs(20);
const ANSWER_LIMIT: Duration = Duration::from_millis(500);
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// How to start a broker.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The value of `--cores`.
    pub cores: &'static str,
    /// The value of `--advertise`.
    pub advertise: &'static str,
    /// Settings with Kafka's names.
    pub settings: &'static [(&'static str, &'static str)],
}

/// A broker and its data directory.
#[derive(Debug)]
pub struct Broker {
    binary: PathBuf,
    /// For what it prints.
    folder: PathBuf,
    data: PathBuf,
    port: u16,
    starts: u32,
    process: Option<Process>,
}

impl Broker {
    /// Starts a broker on an empty data directory below `folder`.
    ///
    /// # Errors
    /// It ends, or does not answer in time.
    pub fn start(binary: &Path, folder: &Path, setup: &Setup) -> Result<Self> {
        Self::start_on(binary, folder, &folder.join("data"), setup)
    }

    /// The same on another data directory.
    ///
    /// # Errors
    /// It ends, or does not answer in time.
    pub fn start_on(binary: &Path, folder: &Path, data: &Path, setup: &Setup) -> Result<Self> {
        let mut broker = Self {
            binary: binary.to_path_buf(),
            folder: folder.to_path_buf(),
            data: data.to_path_buf(),
            port: free_ports()?,
            starts: 0,
            process: None,
        };
        broker.start_again(setup)?;
        Ok(broker)
    }

    /// Where clients connect.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Starts it on the data directory it has, and waits until it answers.
    ///
    /// # Errors
    /// It ends, or does not answer in time.
    pub fn start_again(&mut self, setup: &Setup) -> Result<()> {
        self.starts += 1;
        // The kernel ends it with the thread that started it: whoever is killed leaves no broker.
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL"])
            .arg(&self.binary)
            .arg("serve")
            .arg("--data-dir")
            .arg(&self.data)
            .args(["--listen", &self.address()])
            .args(["--cores", setup.cores])
            .args(["--advertise", setup.advertise])
            .args(["--memory", "512MiB"]);
        for (key, value) in setup.settings {
            command.arg("--set").arg(format!("{key}={value}"));
        }
        let base = self.folder.join(format!("broker-{}", self.starts));
        let mut process = Process::start(&mut command, &base, Stdio::null())?;
        let start = Instant::now();
        while start.elapsed() < READY_LIMIT {
            if let Some(status) = process.try_wait()? {
                bail!("the broker ended with {status}: {}", process.last_errors());
            }
            if answers(self.port).is_ok() {
                self.process = Some(process);
                return Ok(());
            }
            thread::sleep(Duration::from_millis(10));
        }
        bail!(
            "the broker does not listen after {READY_LIMIT:?}: {}",
            process.last_errors()
        )
    }

    /// Starts it where its clients do not look for it, gives `work` the address, and kills it.
    ///
    /// # Errors
    /// It does not start, or `work` fails.
    pub fn aside<R>(&mut self, setup: &Setup, work: impl FnOnce(&str) -> Result<R>) -> Result<R> {
        // Its own are free at the moment.
        let other = free_ports_but(Some(self.port))?;
        let port = std::mem::replace(&mut self.port, other);
        let result = self.start_again(setup).and_then(|()| work(&self.address()));
        self.process = None;
        self.port = port;
        result
    }

    /// The id of its process.
    ///
    /// # Errors
    /// When it does not run.
    pub fn process_id(&self) -> Result<u32> {
        let process = self.process.as_ref().context("the broker does not run")?;
        Ok(process.id())
    }

    /// Waits until something else has ended it; how it ended.
    ///
    /// # Errors
    /// It does not run, or not end in time.
    pub fn wait_ended(&mut self, limit: Duration) -> Result<ExitStatus> {
        let mut process = self.process.take().context("the broker does not run")?;
        process.wait(limit)
    }

    /// kill -9.
    ///
    /// # Errors
    /// It did not run any more.
    pub fn kill(&mut self) -> Result<()> {
        let mut process = self.process.take().context("the broker does not run")?;
        if let Some(status) = process.try_wait()? {
            bail!(
                "the broker had ended with {status}: {}",
                process.last_errors()
            );
        }
        process.kill();
        Ok(())
    }

    /// SIGTERM, and the clean end that must follow.
    ///
    /// # Errors
    /// It ends otherwise, or not in time.
    pub fn stop(&mut self) -> Result<()> {
        let mut process = self.process.take().context("the broker does not run")?;
        process.terminate()?;
        let status = process.wait(STOP_LIMIT)?;
        if !status.success() {
            bail!(
                "the broker stopped with {status}: {}",
                process.last_errors()
            );
        }
        Ok(())
    }
}

/// Asks for the broker's versions. A connection alone proves nothing: the listener of a killed
/// broker takes connections until the kernel has taken its ring apart.
///
/// # Errors
/// Nobody answers.
pub fn answers(port: u16) -> std::io::Result<()> {
    // Size 10, ApiVersions (18) in version 0, correlation id 1, no client id.
    let request = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff];
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(ANSWER_LIMIT))?;
    stream.write_all(&request)?;
    stream.read_exact(&mut [0; 8])
}

/// The first of four free ports in a row, below the range that outgoing connections take.
///
/// # Errors
/// There are none.
pub fn free_ports() -> Result<u16> {
    free_ports_but(None)
}

fn free_ports_but(avoided: Option<u16>) -> Result<u16> {
    let first = 20_000 + u16::try_from(std::process::id() % 2_000)? * PORTS;
    let candidates = (first..28_000)
        .chain(20_000..first)
        .step_by(usize::from(PORTS));
    for port in candidates {
        let is_free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
        if Some(port) != avoided && (port..port + PORTS).all(is_free) {
            return Ok(port);
        }
    }
    bail!("no four free ports in a row between 20000 and 28000")
}
