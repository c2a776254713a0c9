//! Starts and stops the broker under test as a process of its own, pinned to its cores.

use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A broker that this run started and will stop.
#[derive(Debug)]
pub struct BrokerProcess {
    child: Child,
    log: std::sync::Arc<std::sync::Mutex<Vec<String>>>,
    /// Where it listens.
    pub address: SocketAddr,
    /// Its data directory.
    pub data_dir: PathBuf,
    /// From the start of the process to the first request answered.
    pub ready_after: Duration,
}

/// How to start it.
#[derive(Clone, Debug)]
pub struct BrokerOptions {
    /// The program; this one by default.
    pub program: PathBuf,
    /// `--data-dir`.
    pub data_dir: PathBuf,
    /// `--cores`.
    pub cores: String,
    /// `--memory`.
    pub memory: String,
    /// More arguments.
    pub extra: Vec<String>,
}

impl BrokerProcess {
    /// Starts a broker and waits until it answers.
    ///
    /// # Errors
    /// When it ends or stays silent for 60 s; the message carries what it printed.
    pub fn start(options: &BrokerOptions) -> Result<Self> {
        let address: SocketAddr = format!("127.0.0.1:{}", free_port()?).parse()?;
        let started = Instant::now();
        let mut child = Command::new(&options.program)
            .arg("serve")
            .args(["--data-dir".as_ref(), options.data_dir.as_os_str()])
            .args(["--listen", &address.to_string()])
            .args(["--cores", &options.cores, "--memory", &options.memory])
            .args(&options.extra)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("{} cannot be started", options.program.display()))?;
        let log = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let stderr = child
            .stderr
            .take()
            .context("the broker has no standard error")?;
        let lines = std::sync::Arc::clone(&log);
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if let Ok(mut lines) = lines.lock() {
                    lines.push(line);
                }
            }
        });
        while !answers(address) {
            if let Some(status) = child.try_wait()? {
                bail!("the broker ended with {status}: {}", joined(&log));
            }
            if started.elapsed() > Duration::from_secs(60) {
                child.kill()?;
                child.wait()?;
                bail!("the broker did not listen within 60 s: {}", joined(&log));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        let ready_after = started.elapsed();
        Ok(Self {
            child,
            log,
            address,
            data_dir: options.data_dir.clone(),
            ready_after,
        })
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Resident memory in bytes.
    #[must_use]
    pub fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id()));
        let status = status.unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
        kibibytes.unwrap_or(0) * 1024
    }

    /// Ends it at once, as a crash of the process would.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Stops it cleanly and returns what it logged.
    ///
    /// # Errors
    /// When it does not end within 60 s.
    pub fn stop(mut self) -> Result<Vec<String>> {
        let id = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(id, rustix::process::Signal::TERM)?;
        let asked = Instant::now();
        while self.child.try_wait()?.is_none() {
            if asked.elapsed() > Duration::from_secs(60) {
                self.child.kill()?;
                self.child.wait()?;
                bail!("the broker did not stop within 60 s: {}", joined(&self.log));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(self
            .log
            .lock()
            .map(|lines| lines.clone())
            .unwrap_or_default())
    }
}

impl Drop for BrokerProcess {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}

fn joined(log: &std::sync::Mutex<Vec<String>>) -> String {
    log.lock().map(|lines| lines.join("\n")).unwrap_or_default()
}

/// Whether a broker answers there: it may listen while it still recovers.
fn answers(address: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(address) else {
        return false;
    };
    crate::requests::ask_versions(&mut stream).is_ok()
}

fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?
        .local_addr()?
        .port())
}

/// A fresh directory for one run below `parent`, removed when dropped.
#[derive(Debug)]
pub struct RunDirectory(pub PathBuf);

impl RunDirectory {
    /// Makes it.
    ///
    /// # Errors
    /// When the parent cannot be written.
    pub fn new(parent: &Path, name: &str) -> Result<Self> {
        let path = parent.join(format!("millrace-bench-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path)
            .with_context(|| format!("{} cannot be made", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for RunDirectory {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}
