//! Cores: how many, whether they are whole ones, what a cgroup leaves of them, and where the
//! interrupts of devices arrive.

use super::{Finding, read};
use millrace_engine::io::group::allowed_cores;
use std::collections::{BTreeMap, BTreeSet};

/// How drivers name the queues that a log's data goes through.
const QUEUES: [&str; 9] = [
    "nvme", "req.", "eth", "ens", "enp", "mlx", "ena-", "input", "rx",
];

pub(super) fn findings() -> Vec<Finding> {
    let allowed = allowed_cores();
    let mut findings = vec![siblings(&allowed, |core| {
        read(&format!(
            "/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list"
        ))
    })];
    findings.extend(cpu_limit(allowed.len()));
    let table = read("/proc/interrupts").unwrap_or_default();
    let affinity = |irq: u32| read(&format!("/proc/irq/{irq}/effective_affinity_list"));
    findings.push(interrupts(&allowed, &queue_irqs(&table), affinity));
    findings
}

/// Two shards on the two threads of one core share its execution units and caches.
fn siblings(allowed: &[usize], of: impl Fn(usize) -> Option<String>) -> Finding {
    let mut physical: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for &core in allowed {
        let key = of(core).unwrap_or_else(|| core.to_string());
        physical.entry(key).or_default().push(core);
    }
    let shared: Vec<String> = physical
        .values()
        .filter(|cores| cores.len() > 1)
        .map(|cores| {
            cores
                .iter()
                .map(usize::to_string)
                .collect::<Vec<_>>()
                .join("+")
        })
        .collect();
    let count = allowed.len();
    if shared.is_empty() {
        return Finding::ok("cores", format!("{count} allowed, each a core of its own"));
    }
    let first: Vec<String> = physical
        .values()
        .filter_map(|cores| cores.first())
        .map(usize::to_string)
        .collect();
    Finding::warn(
        "cores",
        format!(
            "{count} allowed; hyperthreads of one core: {}",
            shared.join(", ")
        ),
        format!("--cores {} gives each shard a whole core", first.join(",")),
    )
}

/// The quota of the control group, in its second and its first version.
fn cpu_limit(cores: usize) -> Option<Finding> {
    let groups = read("/proc/self/cgroup").unwrap_or_default();
    let unified = groups.lines().find_map(|line| line.strip_prefix("0::"));
    let unified = unified.and_then(|path| read(&format!("/sys/fs/cgroup{path}/cpu.max")));
    let quota = unified
        .or_else(|| read("/sys/fs/cgroup/cpu.max"))
        .or_else(|| {
            let quota = read("/sys/fs/cgroup/cpu/cpu.cfs_quota_us")?;
            let period = read("/sys/fs/cgroup/cpu/cpu.cfs_period_us")?;
            Some(format!("{quota} {period}"))
        });
    match quota.as_deref().and_then(cores_of_quota) {
        Some(limit) if limit < cores as f64 => Some(Finding::warn(
            "cgroup CPU limit",
            format!("{limit:.1} cores of {cores}: shards are stopped when it is used up"),
            "raise the limit (--cpus, CPUQuota=), or give as many --cores as it allows",
        )),
        Some(limit) => Some(Finding::ok("cgroup CPU limit", format!("{limit:.1} cores"))),
        None => Some(Finding::ok("cgroup CPU limit", "none")),
    }
}

/// `max 100000` or `150000 100000`; the first version writes -1 for no limit.
fn cores_of_quota(text: &str) -> Option<f64> {
    let (quota, period) = text.split_once(' ')?;
    let (quota, period) = (quota.parse::<f64>().ok()?, period.parse::<f64>().ok()?);
    (quota > 0.0 && period > 0.0).then(|| quota / period)
}

/// Interrupts of queues of disks and network cards, with their names, from `/proc/interrupts`.
fn queue_irqs(table: &str) -> Vec<(u32, String)> {
    let mut irqs = Vec::new();
    for line in table.lines() {
        let Some((number, rest)) = line.split_once(':') else {
            continue;
        };
        let (Ok(irq), Some(name)) = (number.trim().parse(), rest.split_whitespace().last()) else {
            continue;
        };
        if QUEUES.iter().any(|queue| name.contains(queue)) {
            irqs.push((irq, name.to_owned()));
        }
    }
    irqs
}

fn interrupts(
    allowed: &[usize],
    irqs: &[(u32, String)],
    affinity: impl Fn(u32) -> Option<String>,
) -> Finding {
    let subject = "interrupts";
    let mut cores: BTreeSet<usize> = BTreeSet::new();
    for (irq, _) in irqs {
        cores.extend(affinity(*irq).iter().flat_map(|list| core_list(list)));
    }
    if cores.is_empty() {
        return Finding::ok(
            subject,
            "those of disks and network cards are not visible here",
        );
    }
    let listed: Vec<String> = cores.iter().map(usize::to_string).collect();
    let found = format!(
        "{} device queues interrupt cores {}",
        irqs.len(),
        listed.join(",")
    );
    let busy: Vec<&usize> = cores.iter().filter(|core| allowed.contains(core)).collect();
    if let ([core], true) = (busy.as_slice(), allowed.len() > 1) {
        let others: Vec<String> = allowed
            .iter()
            .filter(|other| other != core)
            .map(usize::to_string)
            .collect();
        return Finding::warn(
            subject,
            format!("{found}: one shard's core serves all"),
            format!(
                "spread them (irqbalance), or leave that core out: --cores {}",
                others.join(",")
            ),
        );
    }
    Finding::ok(subject, found)
}

/// `0-3,8`.
fn core_list(text: &str) -> Vec<usize> {
    let mut cores = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        if let (Ok(first), Ok(last)) = (first.trim().parse(), last.trim().parse::<usize>()) {
            cores.extend(first..=last.min(first + 4096));
        }
    }
    cores
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn hyperthreads_are_told_from_cores() {
        let apart = siblings(&[0, 1], |core| Some(core.to_string()));
        assert_eq!(apart.verdict, Verdict::Ok);
        let pairs = |core: usize| Some(format!("{},{}", core % 2, core % 2 + 2));
        let shared = siblings(&[0, 1, 2, 3], pairs);
        assert_eq!(shared.verdict, Verdict::Warn);
        assert!(shared.found.contains("0+2, 1+3"), "{}", shared.found);
        assert!(shared.fix.contains("--cores 0,1 "), "{}", shared.fix);
    }

    #[test]
    fn quotas_of_both_versions_are_read() {
        assert_eq!(cores_of_quota("max 100000"), None);
        assert_eq!(cores_of_quota("-1 100000"), None);
        assert_eq!(cores_of_quota("150000 100000"), Some(1.5));
    }

    #[test]
    fn interrupts_that_all_hit_one_shard_are_a_warning() {
        let table = " 36:  0  20  PCI-MSIX-0000:00:02.0  1-edge  virtio1-req.0\n\
                     40: 1 0 x eth0-rx\nLOC: 1 2 Local timer interrupts\n\
                     24: 1 0 IO-APIC 5-edge ACPI:Ged\n";
        let irqs = queue_irqs(table);
        assert_eq!(
            irqs,
            [(36, "virtio1-req.0".to_owned()), (40, "eth0-rx".to_owned())]
        );
        let one = interrupts(&[0, 1], &irqs, |_| Some("1".to_owned()));
        assert_eq!(one.verdict, Verdict::Warn);
        assert!(one.fix.contains("--cores 0"), "{}", one.fix);
        let spread = interrupts(&[0, 1], &irqs, |irq| Some((irq / 40).to_string()));
        assert_eq!(spread.verdict, Verdict::Ok);
        assert!(
            interrupts(&[0, 1], &irqs, |_| None)
                .found
                .contains("not visible")
        );
        assert_eq!(core_list("0-2,8"), [0, 1, 2, 8]);
    }
}
