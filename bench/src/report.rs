//! Prints figures beside their calibrations and targets, and keeps them as JSON.

use crate::machine::{Manifest, Usage};
use anyhow::{Context, Result};
use serde::Serialize;
use std::path::Path;

/// One measured figure.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    /// Which row.
    pub name: String,
    /// The value.
    pub value: f64,
    /// Its unit.
    pub unit: String,
    /// The bound it is held against, if any: `>= 0.6`.
    pub target: Option<String>,
    /// Whether it holds; `None` without a target.
    pub holds: Option<bool>,
}

/// A bound for a figure.
#[derive(Clone, Copy, Debug)]
pub enum Target {
    /// The figure must reach this.
    AtLeast(f64),
    /// The figure must stay at or below this.
    AtMost(f64),
}

/// Everything one run has to say.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The command line.
    pub command: String,
    /// The machine.
    pub machine: Manifest,
    /// The figures, in order.
    pub figures: Vec<Figure>,
    /// What a reader must know beside them.
    pub remarks: Vec<String>,
}

impl Report {
    /// An empty report for this command line.
    #[must_use]
    pub fn new(data_dir: Option<&Path>) -> Self {
        let command: Vec<String> = std::env::args().collect();
        Self {
            command: command.join(" "),
            machine: Manifest::of(data_dir),
            figures: Vec::new(),
            remarks: Vec::new(),
        }
    }

    /// Prints the machine and the command.
    pub fn print_head(&self) {
        let machine = &self.machine;
        println!("# {}", self.command);
        println!(
            "# version {} | kernel {} | {} | {} cores | fs {} | {}",
            machine.version,
            machine.kernel,
            machine.cpu,
            machine.cores,
            machine.file_system,
            machine.device
        );
    }

    /// Adds a figure and prints it at once.
    pub fn figure(&mut self, name: impl Into<String>, value: f64, unit: &str) {
        self.push(name.into(), value, unit, None);
    }

    /// Adds a figure with its target and prints it at once.
    pub fn against(&mut self, name: impl Into<String>, value: f64, unit: &str, target: Target) {
        self.push(name.into(), value, unit, Some(target));
    }

    /// Adds a remark and prints it at once.
    pub fn remark(&mut self, text: impl Into<String>) {
        let text = text.into();
        println!("  ({text})");
        self.remarks.push(text);
    }

    fn push(&mut self, name: String, value: f64, unit: &str, target: Option<Target>) {
        let (bound, holds) = match target {
            Some(Target::AtLeast(bound)) => (Some(format!(">= {bound}")), Some(value >= bound)),
            Some(Target::AtMost(bound)) => (Some(format!("<= {bound}")), Some(value <= bound)),
            None => (None, None),
        };
        let verdict = match holds {
            Some(true) => "  holds",
            Some(false) => "  MISSED",
            None => "",
        };
        let shown = bound
            .as_deref()
            .map(|bound| format!("  [{bound}]"))
            .unwrap_or_default();
        println!(
            "  {name:<58} {:>12} {unit}{shown}{verdict}",
            readable(value)
        );
        self.figures.push(Figure {
            name,
            value,
            unit: unit.into(),
            target: bound,
            holds,
        });
    }

    /// The CPU, disk and flush figures of one run over `bytes` acked bytes and `requests`.
    pub fn usage(&mut self, name: &str, usage: &Usage, bytes: f64, requests: f64) {
        let gigabytes = bytes / 1e9;
        self.figure(
            format!("{name}: broker CPU per GB"),
            usage.broker_cpu_seconds / gigabytes,
            "s/GB",
        );
        self.figure(
            format!("{name}: all CPU outside the client per GB"),
            usage.outside_cpu_seconds / gigabytes,
            "s/GB",
        );
        self.figure(
            format!("{name}: broker CPU per request"),
            usage.broker_cpu_seconds * 1e6 / requests,
            "us",
        );
        self.figure(
            format!("{name}: all CPU outside the client per request"),
            usage.outside_cpu_seconds * 1e6 / requests,
            "us",
        );
        self.figure(
            format!("{name}: client CPU"),
            usage.client_cpu_seconds / usage.seconds,
            "cores",
        );
        self.figure(
            format!("{name}: device bytes written / acked"),
            usage.device_written_bytes as f64 / bytes,
            "x",
        );
        self.figure(
            format!("{name}: device flushes"),
            usage.device_flushes as f64 / usage.seconds,
            "/s",
        );
    }

    /// Writes the report as JSON.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        std::fs::write(path, text).with_context(|| format!("{} cannot be written", path.display()))
    }
}

fn readable(value: f64) -> String {
    if value.abs() >= 10_000.0 {
        format!("{value:.0}")
    } else if value.abs() >= 100.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.3}")
    }
}
