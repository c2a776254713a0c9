//! What can be measured, one scenario a file.

pub mod calibration;
pub mod compaction;
pub mod drain;
pub mod fetch;
pub mod groups;
pub mod idle;
pub mod load;
pub mod produce;
pub mod recovery;
pub mod targets;

use crate::broker_process::{BrokerOptions, BrokerProcess, RunDirectory};
use crate::cli::LoadArgs;
use anyhow::{Context, Result, bail};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Where and against what a run is made.
#[derive(Clone, Debug)]
pub struct Setting {
    /// A running broker, instead of one started for the run.
    pub bootstrap: Option<SocketAddr>,
    /// Parent of the data directories.
    pub dir: PathBuf,
    /// Core of the client.
    pub client_core: usize,
    /// `--cores` of the broker.
    pub server_cores: String,
    /// `--memory` of the broker.
    pub memory: String,
    /// `--set` of the broker.
    pub set: Vec<String>,
}

/// The broker of a run.
#[derive(Debug)]
pub struct Subject {
    /// Where it listens.
    pub address: SocketAddr,
    /// The process, if this run started it.
    pub process: Option<BrokerProcess>,
    /// Its directory, removed at the end.
    pub directory: Option<RunDirectory>,
}

impl Setting {
    /// How to start a broker on `data_dir`.
    ///
    /// # Errors
    /// When this program's own path is unknown.
    pub fn broker_options(&self, data_dir: PathBuf) -> Result<BrokerOptions> {
        Ok(BrokerOptions {
            program: std::env::current_exe()?,
            data_dir,
            cores: self.server_cores.clone(),
            memory: self.memory.clone(),
            extra: self
                .set
                .iter()
                .flat_map(|set| ["--set".to_owned(), set.clone()])
                .collect(),
        })
    }

    /// The first core of the broker, for a sink in its place.
    ///
    /// # Errors
    /// When none is named.
    pub fn first_server_core(&self) -> Result<usize> {
        let first = self.server_cores.split([',', '-']).next();
        let core = first.and_then(|core| core.trim().parse().ok());
        core.context("--server-cores names no core")
    }

    /// The broker to measure: the one named, or a fresh one.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn subject(&self, name: &str) -> Result<Subject> {
        if let Some(address) = self.bootstrap {
            return Ok(Subject {
                address,
                process: None,
                directory: None,
            });
        }
        let directory = RunDirectory::new(&self.dir, name)?;
        let process = BrokerProcess::start(&self.broker_options(directory.0.clone())?)?;
        Ok(Subject {
            address: process.address,
            process: Some(process),
            directory: Some(directory),
        })
    }

    /// As [`Self::subject`], for scenarios that stop and restart the broker.
    ///
    /// # Errors
    /// When a running broker was named.
    pub fn own_broker(&self, name: &str) -> Result<(BrokerProcess, RunDirectory)> {
        if self.bootstrap.is_some() {
            bail!("this scenario restarts the broker; run it without --bootstrap");
        }
        let directory = RunDirectory::new(&self.dir, name)?;
        let process = BrokerProcess::start(&self.broker_options(directory.0.clone())?)?;
        Ok((process, directory))
    }
}

impl Subject {
    /// Stops the broker and shows what it logged at its end.
    ///
    /// # Errors
    /// When it does not stop.
    pub fn stop(self) -> Result<Vec<String>> {
        self.process
            .map_or_else(|| Ok(Vec::new()), BrokerProcess::stop)
    }
}

impl LoadArgs {
    /// The topic configs of this load.
    #[must_use]
    pub fn topic_configs(&self) -> Vec<(&'static str, String)> {
        vec![
            ("millrace.durability", self.durability.clone()),
            ("retention.bytes", self.retention_bytes.to_string()),
            ("segment.bytes", self.segment_bytes.to_string()),
            ("max.message.bytes", (16 << 20).to_string()),
        ]
    }
}
