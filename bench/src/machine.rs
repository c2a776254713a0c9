//! What the machine is and what it did during a run: pinning, CPU time, disk and flush counts.

use anyhow::{Context, Result};
use serde::Serialize;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// The calling thread's sleeps end as exactly as the kernel can make them, until this is dropped:
/// the default slack of 50 us would count as latency on a schedule.
#[derive(Debug)]
pub struct ExactSleeps(());

impl ExactSleeps {
    /// From here on.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn begin() -> Result<Self> {
        rustix::thread::set_current_timer_slack(Some(std::num::NonZeroU64::MIN))
            .context("the timer slack cannot be set")?;
        Ok(Self(()))
    }
}

impl Drop for ExactSleeps {
    fn drop(&mut self) {
        // Refused only where it was refused before.
        rustix::thread::set_current_timer_slack(None).ok();
    }
}

/// Pins the calling thread to one core.
///
/// # Errors
/// When the core is not among the allowed ones.
pub fn pin_to(core: usize) -> Result<()> {
    let mut set = rustix::thread::CpuSet::new();
    set.set(core);
    rustix::thread::sched_setaffinity(None, &set)
        .with_context(|| format!("core {core} is not among the allowed cores; see nproc"))
}

/// A point in time with every counter that a figure may need.
#[derive(Clone, Debug)]
pub struct Sample {
    at: Instant,
    busy: Duration,
    client: Duration,
    process: Duration,
    disk: DiskCounters,
    context_switches: u64,
}

/// The difference between two samples.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Usage {
    /// Wall time.
    pub seconds: f64,
    /// CPU time of the broker process.
    pub broker_cpu_seconds: f64,
    /// All busy time of the machine outside this client: broker, kernel workers, neighbours.
    pub outside_cpu_seconds: f64,
    /// CPU time of this client.
    pub client_cpu_seconds: f64,
    /// Bytes written to the device that holds the data directory.
    pub device_written_bytes: u64,
    /// Bytes read from it.
    pub device_read_bytes: u64,
    /// Flushes of that device.
    pub device_flushes: u64,
    /// Context switches of the whole machine.
    pub context_switches: u64,
}

/// Takes samples of this machine for one broker process and one device.
#[derive(Clone, Debug)]
pub struct Sampler {
    broker: Option<u32>,
    device: Option<String>,
    ticks_per_second: f64,
}

impl Sampler {
    /// For broker process `broker` and the device below `data_dir`, where known.
    #[must_use]
    pub fn new(broker: Option<u32>, data_dir: Option<&Path>) -> Self {
        let device = data_dir.and_then(device_of);
        Self {
            broker,
            device,
            ticks_per_second: rustix::param::clock_ticks_per_second() as f64,
        }
    }

    /// Reads all counters.
    #[must_use]
    pub fn sample(&self) -> Sample {
        let device = self.device.as_deref();
        let disk = device.map_or_else(DiskCounters::default, DiskCounters::of);
        let process = self
            .broker
            .map_or(Duration::ZERO, |id| self.process_cpu(&id.to_string()));
        let (busy, context_switches) = self.machine_busy();
        Sample {
            at: Instant::now(),
            busy,
            client: self.process_cpu("self"),
            process,
            disk,
            context_switches,
        }
    }

    /// What happened since `from`.
    #[must_use]
    pub fn since(&self, from: &Sample) -> Usage {
        let to = self.sample();
        let client = (to.client - from.client).as_secs_f64();
        Usage {
            seconds: (to.at - from.at).as_secs_f64(),
            broker_cpu_seconds: (to.process.saturating_sub(from.process)).as_secs_f64(),
            outside_cpu_seconds: ((to.busy.saturating_sub(from.busy)).as_secs_f64() - client)
                .max(0.0),
            client_cpu_seconds: client,
            device_written_bytes: to.disk.written_bytes - from.disk.written_bytes,
            device_read_bytes: to.disk.read_bytes - from.disk.read_bytes,
            device_flushes: to.disk.flushes - from.disk.flushes,
            context_switches: to.context_switches - from.context_switches,
        }
    }

    fn process_cpu(&self, process: &str) -> Duration {
        let Ok(stat) = fs::read_to_string(format!("/proc/{process}/stat")) else {
            return Duration::ZERO;
        };
        let fields: Vec<&str> = stat
            .rsplit_once(')')
            .map_or("", |(_, rest)| rest)
            .split_whitespace()
            .collect();
        let ticks: u64 = [11, 12]
            .iter()
            .filter_map(|&field| fields.get(field).and_then(|text| text.parse::<u64>().ok()))
            .sum();
        Duration::from_secs_f64(ticks as f64 / self.ticks_per_second)
    }

    fn machine_busy(&self) -> (Duration, u64) {
        let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
        let mut busy = 0_u64;
        let mut switches = 0;
        for line in stat.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("cpu") => {
                    let ticks: Vec<u64> = words.filter_map(|word| word.parse().ok()).collect();
                    // user nice system idle iowait irq softirq steal
                    let all: u64 = ticks.iter().take(8).sum();
                    busy = all - ticks.get(3).unwrap_or(&0) - ticks.get(4).unwrap_or(&0);
                }
                Some("ctxt") => switches = words.next().and_then(|w| w.parse().ok()).unwrap_or(0),
                _ => {}
            }
        }
        (
            Duration::from_secs_f64(busy as f64 / self.ticks_per_second),
            switches,
        )
    }
}

fn device_of(path: &Path) -> Option<String> {
    let stat = rustix::fs::stat(path).ok()?;
    let (major, minor) = (
        rustix::fs::major(stat.st_dev),
        rustix::fs::minor(stat.st_dev),
    );
    let stats = fs::read_to_string("/proc/diskstats").ok()?;
    stats.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        let is_it = words.next()? == major.to_string() && words.next()? == minor.to_string();
        is_it.then(|| words.next().unwrap_or_default().to_owned())
    })
}

/// What a block device did since boot.
#[derive(Clone, Copy, Debug, Default)]
struct DiskCounters {
    read_bytes: u64,
    written_bytes: u64,
    flushes: u64,
}

impl DiskCounters {
    fn of(device: &str) -> Self {
        let stats = fs::read_to_string("/proc/diskstats").unwrap_or_default();
        for line in stats.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            if words.get(2) == Some(&device) {
                let word = |place: usize| words.get(place).and_then(|word| word.parse().ok());
                let number = |place: usize| word(place).unwrap_or(0_u64);
                return Self {
                    read_bytes: number(5) * 512,
                    written_bytes: number(9) * 512,
                    flushes: number(18),
                };
            }
        }
        Self::default()
    }
}

/// The machine in a few words, for reports.
#[derive(Clone, Debug, Serialize)]
pub struct Manifest {
    /// Version of this program.
    pub version: String,
    /// Kernel release.
    pub kernel: String,
    /// CPU model.
    pub cpu: String,
    /// Cores this process may use.
    pub cores: usize,
    /// File system of the data directory, by magic number.
    pub file_system: String,
    /// Device of the data directory, its cache mode and FUA support.
    pub device: String,
}

impl Manifest {
    /// Reads it for a data directory.
    #[must_use]
    pub fn of(data_dir: Option<&Path>) -> Self {
        let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let cpu = cpu
            .lines()
            .find_map(|line| line.strip_prefix("model name"))
            .map_or_else(
                || "unknown".into(),
                |rest| rest.trim_start_matches([' ', '\t', ':']).to_owned(),
            );
        let device = data_dir.and_then(device_of);
        let queue = |name: &str| {
            let device = device.as_deref().unwrap_or_default();
            fs::read_to_string(format!("/sys/block/{device}/queue/{name}"))
                .map_or_else(|_| "unknown".into(), |text| text.trim().to_owned())
        };
        Self {
            version: env!("CARGO_PKG_VERSION").into(),
            kernel: rustix::system::uname()
                .release()
                .to_string_lossy()
                .into_owned(),
            cpu,
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            file_system: data_dir
                .and_then(|dir| rustix::fs::statfs(dir).ok())
                .map_or_else(|| "unknown".into(), |stat| format!("{:#x}", stat.f_type)),
            device: format!(
                "{} cache {} fua {}",
                device.clone().unwrap_or_else(|| "unknown".into()),
                queue("write_cache"),
                queue("fua")
            ),
        }
    }
}
