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
/// With fewer pairs, the machine is too busy to tell.
const ROUNDS_MIN: usize = 16;

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
    /// None was faster.
    pub fastest: Duration,
    /// Half was faster.
    pub p50: Duration,
    /// All but one in a hundred were faster; with fewer measured, the slowest.
    pub p99: Duration,
    /// How many there were.
    pub count: usize,
}

impl StorageProbe {
    /// The one to use. What else the machine does only ever adds to a time: RWF_DSYNC is given up
    /// only if none of its writes came within `PREFERENCE_PERCENT` of fdatasync's median. A wrong
    /// choice for fdatasync costs every write a kernel worker.
    #[must_use]
    pub const fn durable_by(&self) -> DurableBy {
        let dsync = self.dsync.fastest.as_nanos() * 100;
        let is_slower = dsync > self.fdatasync.p50.as_nanos() * PREFERENCE_PERCENT;
        if is_slower && self.dsync.count >= ROUNDS_MIN {
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
            "durable 4 KiB write: {} us with RWF_DSYNC (fastest {}), {} us with fdatasync (medians \
             of {}); using {chosen}",
            self.dsync.p50.as_micros(),
            self.dsync.fastest.as_micros(),
            self.fdatasync.p50.as_micros(),
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
            fastest: times[0],
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

    fn probe(dsync: &[u64], fdatasync: &[u64]) -> StorageProbe {
        let times = |micros: &[u64]| {
            let mut times: Vec<_> = micros.iter().copied().map(Duration::from_micros).collect();
            Latencies::of(&mut times)
        };
        StorageProbe {
            dsync: times(dsync),
            fdatasync: times(fdatasync),
        }
    }

    #[test]
    fn dsync_is_kept_unless_clearly_slower() {
        let choice = |dsync, fdatasync| probe(&[dsync; 20], &[fdatasync; 20]).durable_by();
        assert_eq!(choice(150, 100), DurableBy::Dsync);
        assert_eq!(choice(151, 100), DurableBy::Fdatasync);
        assert!(
            probe(&[400; 20], &[160; 20])
                .line()
                .contains("kernel workers")
        );
    }

    #[test]
    fn what_else_the_machine_does_decides_nothing() {
        let quiet: Vec<u64> = (100..120).collect();
        // Neighbours met most of one kind of write, all the same.
        let mut loaded = vec![5_000; 19];
        loaded.push(110);
        assert_eq!(probe(&loaded, &quiet).durable_by(), DurableBy::Dsync);
        assert_eq!(
            probe(&[5_000; 15], &[100; 15]).durable_by(),
            DurableBy::Dsync
        );
        let of = probe(&loaded, &quiet);
        let micros = [of.fdatasync.fastest, of.fdatasync.p50, of.fdatasync.p99];
        assert_eq!(micros.map(|time| time.as_micros()), [100, 110, 119]);
    }

    #[test]
    fn the_probe_leaves_nothing_behind() {
        let dir = crate::io::test_dir::TestDir::new("probe");
        let probe = measure(dir.path()).unwrap();
        assert!(probe.dsync.p50 > Duration::ZERO && probe.fdatasync.p50 > Duration::ZERO);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
