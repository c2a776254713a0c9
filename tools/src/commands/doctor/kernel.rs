//! The kernel: version, io_uring and what stands in its way, limits of the process.

use super::{Finding, read};
use millrace_engine::io::group::{RingFeature, kernel_release, ring_features};
use millrace_engine::io::process_limits;

/// Files that a broker with Kafka's default of connections may open.
const OPEN_FILES_ADVISED: u64 = 11_024;
/// CAP_IPC_LOCK: the limit of locked memory does not bind who has it.
const IPC_LOCK: u32 = 14;
/// What a shard's memory takes at least.
const LOCKED_BYTES_ADVISED: u64 = 1 << 30;

pub(super) fn findings() -> Vec<Finding> {
    // As the broker does before it makes its rings, which count as locked memory.
    let limits = process_limits::raise();
    let ring = ring_features();
    let is_ring_there = ring.is_ok();
    let mut findings = vec![version(&kernel_release())];
    match ring {
        Ok(features) => {
            findings.push(Finding::ok(
                "io_uring",
                "allowed; a ring as shards use it was made",
            ));
            findings.push(judge(&features));
        }
        Err(error) => {
            let (found, fix) = error.0.split_once("; ").unwrap_or((&error.0, ""));
            findings.push(Finding::fail("io_uring", found, fix));
        }
    }
    let status = read("/proc/self/status").unwrap_or_default();
    findings.push(seccomp(field(&status, "Seccomp:"), is_ring_there));
    let disabled = read("/proc/sys/kernel/io_uring_disabled");
    findings.push(sysctl(disabled.as_deref(), is_ring_there));
    let may_lock = field(&status, "CapEff:").is_some_and(|caps| has_capability(caps, IPC_LOCK));
    findings.push(locked_memory(limits.locked_bytes, may_lock));
    findings.push(open_files(limits.open_files));
    findings
}

fn version(release: &str) -> Finding {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    let mut number = || numbers.next().and_then(|text| text.parse::<u32>().ok());
    let found = (number().unwrap_or(0), number().unwrap_or(0));
    match found {
        (0..6, _) | (6, 0) => Finding::fail(
            "kernel",
            format!("{release} is below 6.1"),
            "use Linux 6.1 or later, 6.12 or later is advised",
        ),
        (6, 1..12) => Finding::warn(
            "kernel",
            format!("{release} is older than what Millrace is tested on"),
            "Linux 6.12 or later is advised",
        ),
        _ => Finding::ok("kernel", release),
    }
}

fn judge(features: &[RingFeature]) -> Finding {
    let missing = |is_needed: bool| -> Vec<String> {
        features
            .iter()
            .filter(|feature| feature.is_needed == is_needed && !feature.is_there)
            .map(|feature| format!("{} ({})", feature.name, feature.purpose))
            .collect()
    };
    let (needed, useful) = (missing(true), missing(false));
    if !needed.is_empty() {
        let list = needed.join(", ");
        return Finding::fail(
            "ring operations",
            format!("missing: {list}"),
            "use a newer kernel",
        );
    }
    if !useful.is_empty() {
        return Finding::warn(
            "ring operations",
            format!("all that is needed; missing: {}", useful.join(", ")),
            "a newer kernel saves CPU",
        );
    }
    let names: Vec<&str> = features.iter().map(|feature| feature.name).collect();
    Finding::ok("ring operations", names.join(" "))
}

fn seccomp(mode: Option<&str>, is_ring_there: bool) -> Finding {
    match (mode, is_ring_there) {
        (Some("0"), _) => Finding::ok("seccomp", "no filter"),
        (Some(_), true) => Finding::ok("seccomp", "a filter, which lets io_uring through"),
        (Some(_), false) => Finding::warn(
            "seccomp",
            "a filter, which may be what blocks io_uring",
            "in a container: --security-opt seccomp=unconfined, or a profile that allows \
             io_uring_setup, io_uring_enter and io_uring_register; systemd: SystemCallFilter=",
        ),
        (None, _) => Finding::ok("seccomp", "not visible here"),
    }
}

fn sysctl(disabled: Option<&str>, is_ring_there: bool) -> Finding {
    let subject = "io_uring sysctl";
    let fix = "sysctl -w kernel.io_uring_disabled=0";
    match disabled {
        Some("0") => Finding::ok(subject, "kernel.io_uring_disabled=0"),
        None => Finding::ok(subject, "this kernel has none"),
        Some(value) if is_ring_there => Finding::warn(
            subject,
            format!("kernel.io_uring_disabled={value}: allowed for this user, not for others"),
            fix,
        ),
        Some(value) => Finding::fail(subject, format!("kernel.io_uring_disabled={value}"), fix),
    }
}

fn locked_memory(limit: Option<u64>, may_lock: bool) -> Finding {
    let subject = "locked memory";
    match limit {
        None => Finding::ok(subject, "no limit"),
        Some(_) if may_lock => Finding::ok(subject, "no limit for this user (CAP_IPC_LOCK)"),
        Some(bytes) if bytes >= LOCKED_BYTES_ADVISED => {
            Finding::ok(subject, format!("{} MiB", bytes >> 20))
        }
        Some(bytes) => Finding::warn(
            subject,
            format!(
                "limited to {} KiB: memory is not registered, each disk operation pins its pages \
                 anew",
                bytes >> 10
            ),
            "LimitMEMLOCK=infinity (systemd), --ulimit memlock=-1 (containers)",
        ),
    }
}

fn open_files(limit: Option<u64>) -> Finding {
    let subject = "open files";
    match limit {
        Some(count) if count < OPEN_FILES_ADVISED => Finding::warn(
            subject,
            format!("limited to {count}, max.connections is 10000 by default"),
            "LimitNOFILE=65536 (systemd), --ulimit nofile=65536 (containers)",
        ),
        Some(count) => Finding::ok(subject, format!("up to {count}")),
        None => Finding::ok(subject, "no limit"),
    }
}

/// A field of `/proc/self/status`.
fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    let line = status.lines().find(|line| line.starts_with(name))?;
    Some(line[name.len()..].trim())
}

fn has_capability(mask: &str, number: u32) -> bool {
    u64::from_str_radix(mask, 16).is_ok_and(|mask| mask >> number & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn kernels_are_judged_by_their_version() {
        let verdict = |release| version(release).verdict;
        assert_eq!(verdict("5.15.0-91-generic"), Verdict::Fail);
        assert_eq!(verdict("6.0.19"), Verdict::Fail);
        assert_eq!(verdict("6.1.0-13-amd64"), Verdict::Warn);
        assert_eq!(verdict("6.12.3"), Verdict::Ok);
        assert_eq!(verdict("7.0.0"), Verdict::Ok);
        assert_eq!(verdict("nonsense"), Verdict::Fail);
    }

    #[test]
    fn missing_operations_are_named_with_what_they_are_for() {
        let feature = |name, is_needed, is_there| RingFeature {
            name,
            purpose: "p",
            is_needed,
            is_there,
        };
        let all = [feature("A", true, true), feature("B", false, true)];
        assert_eq!(judge(&all), Finding::ok("ring operations", "A B"));
        let slow = judge(&[feature("A", true, true), feature("B", false, false)]);
        assert_eq!(slow.verdict, Verdict::Warn);
        assert!(slow.found.contains("B (p)"));
        let dead = judge(&[feature("A", true, false), feature("B", false, false)]);
        assert_eq!(dead.verdict, Verdict::Fail);
    }

    #[test]
    fn limits_bind_who_may_not_lock() {
        assert_eq!(locked_memory(Some(8 << 20), false).verdict, Verdict::Warn);
        assert_eq!(locked_memory(Some(8 << 20), true).verdict, Verdict::Ok);
        assert_eq!(locked_memory(None, false).verdict, Verdict::Ok);
        let status = "Name:\tx\nCapEff:\t0000000000004000\nSeccomp:\t2\n";
        assert!(has_capability(field(status, "CapEff:").unwrap(), IPC_LOCK));
        assert_eq!(field(status, "Seccomp:"), Some("2"));
        assert!(!has_capability("0000000000003fff", IPC_LOCK));
        assert_eq!(open_files(Some(1024)).verdict, Verdict::Warn);
    }

    #[test]
    fn what_blocks_is_told_from_what_does_not() {
        assert_eq!(sysctl(Some("2"), false).verdict, Verdict::Fail);
        assert_eq!(sysctl(Some("1"), true).verdict, Verdict::Warn);
        assert_eq!(sysctl(Some("0"), false).verdict, Verdict::Ok);
        assert_eq!(seccomp(Some("2"), false).verdict, Verdict::Warn);
        assert_eq!(seccomp(Some("2"), true).verdict, Verdict::Ok);
    }
}
