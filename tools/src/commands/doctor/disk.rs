//! A directory: its file system, its space, and what a durable write costs there.

use super::Finding;
use millrace_engine::io::filesystem::{self, FileSystem};
use millrace_engine::io::probe::{self, StorageProbe};
use std::path::{Path, PathBuf};

/// Journals (at most 512 MiB by default) and ballast, which a first start makes.
const FREE_BYTES_NEEDED: u64 = 640 << 20;
const FREE_BYTES_ADVISED: u64 = 10 << 30;

pub(super) fn findings(dir: &Path, subject: &'static str) -> Vec<Finding> {
    let place = existing(dir);
    let found = match filesystem::of(&place) {
        Ok(found) => found,
        Err(error) => {
            let text = format!("{}: {error}", place.display());
            return vec![Finding::fail(
                subject,
                text,
                "give a directory that can be read",
            )];
        }
    };
    let mut findings = vec![file_system(dir, &place, subject, &found)];
    findings.push(space(&found));
    findings.push(match probe::measure(&place) {
        Ok(probe) => durable_writes(&probe),
        Err(error) => Finding::fail(
            "durable writes",
            format!("{}: {error}", place.display()),
            "the broker needs a directory it may write, on a file system with O_DIRECT: ext4, xfs",
        ),
    });
    findings
}

/// The directory, or the one above it that exists, where it would be made.
fn existing(dir: &Path) -> PathBuf {
    let absolute = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    let found = absolute.ancestors().find(|path| path.is_dir());
    found.map_or(absolute.clone(), Path::to_owned)
}

fn file_system(dir: &Path, place: &Path, subject: &'static str, found: &FileSystem) -> Finding {
    let made = match dir.is_dir() {
        true => String::new(),
        false => format!(" (to be made below {})", place.display()),
    };
    let text = format!("{}{made} on {}", dir.display(), found.name);
    match found.objection() {
        None => Finding::ok(subject, text),
        Some(objection) => {
            let (found, fix) = objection.rsplit_once("; ").unwrap_or((objection, ""));
            Finding::warn(subject, format!("{text}, which {found}"), fix)
        }
    }
}

fn space(found: &FileSystem) -> Finding {
    let subject = "free space";
    let text = format!(
        "{} MiB of {} MiB",
        found.free_bytes >> 20,
        found.total_bytes >> 20
    );
    let fix = "free space, or give a --data-dir with more";
    if found.free_bytes < FREE_BYTES_NEEDED {
        let text = format!(
            "{text}, below the {} MiB of a start",
            FREE_BYTES_NEEDED >> 20
        );
        Finding::fail(subject, text, fix)
    } else if found.free_bytes < FREE_BYTES_ADVISED {
        Finding::warn(subject, text, fix)
    } else {
        Finding::ok(subject, text)
    }
}

fn durable_writes(probe: &StorageProbe) -> Finding {
    let times = |times: &probe::Latencies| {
        format!(
            "p50 {} us, p99 {} us",
            times.p50.as_micros(),
            times.p99.as_micros()
        )
    };
    let text = format!(
        "4 KiB, one after the other, {} each: RWF_DSYNC {}; write and fdatasync {}",
        probe.dsync.count,
        times(&probe.dsync),
        times(&probe.fdatasync)
    );
    if probe.dsync.p50.as_micros() > 5000 {
        return Finding::warn(
            "durable writes",
            text,
            "an SSD with power-loss protection acknowledges within a tenth of this; a busy or \
             throttled disk, or a busy machine, looks the same",
        );
    }
    Finding::ok("durable writes", text)
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;
    use millrace_engine::io::filesystem::Nature;

    fn on(name: &'static str, nature: Nature, free_bytes: u64) -> FileSystem {
        let total_bytes = 1 << 40;
        FileSystem {
            name,
            nature,
            free_bytes,
            total_bytes,
        }
    }

    #[test]
    fn space_below_what_a_start_takes_fails() {
        let verdict = |free| space(&on("ext4", Nature::InPlace, free)).verdict;
        assert_eq!(verdict(100 << 20), Verdict::Fail);
        assert_eq!(verdict(2 << 30), Verdict::Warn);
        assert_eq!(verdict(100 << 30), Verdict::Ok);
    }

    #[test]
    fn file_systems_that_keep_no_promise_are_warned_of_with_a_fix() {
        let look = |name, nature| {
            let dir = Path::new("/");
            file_system(dir, dir, "data directory", &on(name, nature, 0))
        };
        assert_eq!(look("xfs", Nature::InPlace).verdict, Verdict::Ok);
        for nature in [
            Nature::CopyOnWrite,
            Nature::Network,
            Nature::Memory,
            Nature::Layered,
        ] {
            let finding = look("x", nature);
            assert_eq!(finding.verdict, Verdict::Warn);
            assert!(!finding.fix.is_empty(), "{nature:?}");
        }
    }

    #[test]
    fn a_directory_that_is_not_there_yet_is_looked_at_where_it_would_be_made() {
        assert_eq!(existing(Path::new("/no/such/place")), Path::new("/"));
        let here = std::env::temp_dir();
        assert_eq!(existing(&here.join("a/b")), here);
    }
}
