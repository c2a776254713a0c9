//! Measures, before shards start, how this device makes a write durable cheapest: in the write
//! itself (RWF_DSYNC) or by a flush behind it (fdatasync). Consumer drives differ by a factor of
//! two either way, so neither is assumed.
#![expect(unsafe_code, reason = "pwritev2 takes flags that no safe wrapper has")]

use super::arena::Arena;
use rustix::fs::{Mode, OFlags};
use std::io::{Error, Result};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::Path;
use std::time::{Duration, Instant};

const BLOCK: usize = 4096;
const BLOCKS: usize = 64;
/// Pairs of writes at most, and time at most.
const ROUNDS: usize = 64;
const TIME_MAX: Duration = Duration::from_millis(100);
/// RWF_DSYNC is preferred (it stays out of kernel workers) unless slower by more than this.
const PREFERENCE_PERCENT: u128 = 150;

/// How a durable write is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DurableBy {
    /// The write carries RWF_DSYNC.
    #[default]
    Dsync,
    /// A write, then a linked fdatasync, which always needs a kernel worker.
    Fdatasync,
}

/// What the device needs for a durable write of one block, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StorageProbe {
    /// With RWF_DSYNC.
    pub dsync: Latencies,
    /// A write and fdatasync.
    pub fdatasync: Latencies,
}

/// Times of the same operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latencies {
    /// A tenth was faster. What else the machine does only ever adds to a time, so this is what
    /// decides.
    pub p10: Duration,
    /// Half was faster.
    pub p50: Duration,
    /// All but one in a hundred were faster; with fewer measured, the slowest.
    pub p99: Duration,
    /// How many there were.
    pub count: usize,
}

impl StorageProbe {
    /// The one to use.
    #[must_use]
    pub const fn durable_by(&self) -> DurableBy {
        let dsync = self.dsync.p10.as_nanos() * 100;
        if dsync > self.fdatasync.p10.as_nanos() * PREFERENCE_PERCENT {
            DurableBy::Fdatasync
        } else {
            DurableBy::Dsync
        }
    }

    /// The choice and its reason in one sentence.
    #[must_use]
    pub fn line(&self) -> String {
        let chosen = match self.durable_by() {
            DurableBy::Dsync => "RWF_DSYNC",
            DurableBy::Fdatasync => "write and fdatasync, through kernel workers",
        };
        format!(
            "durable 4 KiB write: {} us with RWF_DSYNC, {} us with fdatasync (fastest tenth of \
             {} each); using {chosen}",
            self.dsync.p10.as_micros(),
            self.fdatasync.p10.as_micros(),
            self.dsync.count
        )
    }
}

/// Measures on a small file in `dir`, which is removed at once.
///
/// # Errors
/// What the file system says; EINVAL from one that knows no O_DIRECT.
pub fn measure(dir: &Path) -> Result<StorageProbe> {
    // Without a name there is nothing to clean up; where that is not known, a name goes at once.
    let flags = OFlags::RDWR | OFlags::DIRECT | OFlags::CLOEXEC;
    let mode = Mode::RUSR | Mode::WUSR;
    let file = rustix::fs::open(dir, flags | OFlags::TMPFILE, mode).or_else(|_| {
        let name = dir.join(format!(".probe-{}", std::process::id()));
        let file = rustix::fs::open(&name, flags | OFlags::CREATE | OFlags::EXCL, mode)?;
        rustix::fs::unlink(&name)?;
        Ok::<_, rustix::io::Errno>(file)
    })?;
    let mut arena = Arena::new(BLOCK * BLOCKS)?;
    let block = arena.alloc(BLOCK * BLOCKS);
    let mut block = block.ok_or_else(|| Error::other("no memory for the probe"))?;
    block.extend_zeroed(BLOCK * BLOCKS);
    write(file.as_fd(), &block, 0, 0)?;
    rustix::fs::fdatasync(&file)?;

    let mut dsync = Vec::with_capacity(ROUNDS);
    let mut fdatasync = Vec::with_capacity(ROUNDS);
    let start = Instant::now();
    for round in 0..ROUNDS {
        let position = (round % BLOCKS * BLOCK) as i64;
        let begin = Instant::now();
        write(file.as_fd(), &block[..BLOCK], position, libc::RWF_DSYNC)?;
        dsync.push(begin.elapsed());
        let begin = Instant::now();
        write(file.as_fd(), &block[..BLOCK], position, 0)?;
        rustix::fs::fdatasync(&file)?;
        fdatasync.push(begin.elapsed());
        if start.elapsed() > TIME_MAX {
            break;
        }
    }
    Ok(StorageProbe {
        dsync: Latencies::of(&mut dsync),
        fdatasync: Latencies::of(&mut fdatasync),
    })
}

impl Latencies {
    /// Of at least one time.
    fn of(times: &mut [Duration]) -> Self {
        times.sort_unstable();
        let at = |percent: usize| times[times.len() * percent / 100];
        Self {
            p10: at(10),
            p50: at(50),
            p99: at(99),
            count: times.len(),
        }
    }
}

fn write(file: BorrowedFd<'_>, bytes: &[u8], position: i64, flags: i32) -> Result<()> {
    let range = libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    };
    // SAFETY: one range of readable memory that lives through the call.
    let written = unsafe { libc::pwritev2(file.as_raw_fd(), &raw const range, 1, position, flags) };
    match usize::try_from(written) {
        Ok(written) if written == bytes.len() => Ok(()),
        Ok(_) => Err(Error::from(std::io::ErrorKind::WriteZero)),
        Err(_) => Err(Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dsync_is_kept_unless_clearly_slower() {
        let times = |micros| Latencies::of(&mut [Duration::from_micros(micros); 4]);
        let probe = |dsync, fdatasync| StorageProbe {
            dsync: times(dsync),
            fdatasync: times(fdatasync),
        };
        assert_eq!(probe(150, 100).durable_by(), DurableBy::Dsync);
        assert_eq!(probe(151, 100).durable_by(), DurableBy::Fdatasync);
        assert!(probe(400, 160).line().contains("kernel workers"));
    }

    #[test]
    fn what_else_the_machine_does_decides_nothing() {
        let mut times: Vec<_> = (1..=100).rev().map(Duration::from_micros).collect();
        let quiet = Latencies::of(&mut times);
        let micros = [quiet.p10, quiet.p50, quiet.p99].map(|time| time.as_micros());
        assert_eq!((micros, quiet.count), ([11, 51, 100], 100));
        times[30..].fill(Duration::from_secs(1));
        let loaded = Latencies::of(&mut times);
        assert_eq!(loaded.p10, quiet.p10);
        assert_eq!(loaded.p50, Duration::from_secs(1));
    }

    #[test]
    fn the_probe_leaves_nothing_behind() {
        let dir = crate::io::test_dir::TestDir::new("probe");
        let probe = measure(dir.path()).unwrap();
        assert!(probe.dsync.p50 > Duration::ZERO && probe.fdatasync.p50 > Duration::ZERO);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
