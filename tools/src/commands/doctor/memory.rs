//! Memory: how much there is, swap, huge pages.

use super::{Finding, read};

/// Default of `--memory`, and room for everything else.
const AVAILABLE_KIB_ADVISED: u64 = 1_572_864;

pub(super) fn findings() -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(read("/proc/meminfo").and_then(|text| available(&text)));
    findings.extend(read("/proc/swaps").map(|text| swap(&text)));
    let huge = read("/sys/kernel/mm/transparent_hugepage/enabled");
    findings.push(huge_pages(huge.as_deref()));
    findings
}

fn available(meminfo: &str) -> Option<Finding> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().trim_end_matches(" kB").trim().parse().ok()?;
    let found = format!("{} MiB available", kib >> 10);
    if kib < AVAILABLE_KIB_ADVISED {
        let fix = "start with a smaller --memory than the default of 1GiB";
        return Some(Finding::warn("memory", found, fix));
    }
    Some(Finding::ok("memory", found))
}

fn swap(swaps: &str) -> Finding {
    match swaps.lines().count() {
        0 | 1 => Finding::ok("swap", "none"),
        _ => Finding::warn(
            "swap",
            "in use or ready: a broker whose memory was swapped out answers late",
            "swapoff -a, or sysctl -w vm.swappiness=1",
        ),
    }
}

fn huge_pages(enabled: Option<&str>) -> Finding {
    let subject = "huge pages";
    match enabled {
        Some(modes) if modes.contains("[never]") => Finding::warn(
            subject,
            "transparent huge pages are off",
            "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled",
        ),
        Some(modes) if modes.contains("[always]") => Finding::ok(subject, "always"),
        Some(_) => Finding::ok(subject, "for those who ask, as shards do"),
        None => Finding::ok(subject, "not visible here"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn memory_swap_and_huge_pages_are_judged() {
        let little = available("MemTotal: 9 kB\nMemAvailable:   1048576 kB\n").unwrap();
        assert_eq!(
            (little.verdict, &*little.found),
            (Verdict::Warn, "1024 MiB available")
        );
        let much = available("MemAvailable:   8388608 kB\n").unwrap();
        assert_eq!(much.verdict, Verdict::Ok);
        assert_eq!(swap("Filename Type Size").verdict, Verdict::Ok);
        assert_eq!(
            swap("Filename Type Size\n/dev/sda2 partition 1").verdict,
            Verdict::Warn
        );
        assert_eq!(
            huge_pages(Some("always madvise [never]")).verdict,
            Verdict::Warn
        );
        assert_eq!(
            huge_pages(Some("always [madvise] never")).verdict,
            Verdict::Ok
        );
    }
}
