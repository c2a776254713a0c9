//! Makes a shard's ring, or says what stands in the way and how to remove it.

use super::super::IoCounters;
use super::super::arena::Arena;
use super::super::group::SetupError;
use super::super::housekeeper::{HousekeeperHandle, Reply};
use super::super::probe::DurableBy;
use super::super::process_limits;
use super::super::random::SystemRandom;
use super::Ring;
use super::descriptors::Table;
use super::park::Spin;
use super::queue::Queue;
use super::receive_slots::ReceiveSlots;
use super::signal::Signal;
use super::slabs::Slabs;
use super::slots::Slots;
use crate::ids::ShardId;
use io_uring::{IoUring, Probe, opcode};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::Arc;
use std::sync::mpsc::Receiver;

const SUBMISSIONS: u32 = 1024;
const COMPLETIONS: u32 = 16384;
/// Places of the registered table of files, as far as the limit of open files allows.
const REGISTERED_FILES: u32 = 16384;
/// Kernel workers of a ring, for regular files and for others. Nothing on the path needs one.
const KERNEL_WORKERS: [u32; 2] = [2, 2];

/// What a ring is made from.
pub(in crate::io) struct RingConfig {
    pub(in crate::io) shard: ShardId,
    pub(in crate::io) arena_bytes: usize,
    pub(in crate::io) durable_by: DurableBy,
    pub(in crate::io) may_spin: bool,
    pub(in crate::io) signals: Vec<Arc<Signal>>,
    pub(in crate::io) housekeeper: HousekeeperHandle,
    pub(in crate::io) replies: Receiver<Reply>,
}

impl Ring {
    /// Makes the ring of a shard, on the thread that will use it. The lines are for the report.
    pub(in crate::io) fn new(config: RingConfig) -> Result<(Self, Vec<String>), SetupError> {
        let shard = config.shard;
        let said = |what: &'static str| {
            move |error: std::io::Error| SetupError(format!("{shard}: {what}: {error}"))
        };
        let mut arena = Arena::new(config.arena_bytes).map_err(said("reserving the arena"))?;
        let ring = build_ring().map_err(|error| explain(&error))?;
        let signal = &config.signals[shard.index()];
        signal
            .set_ring(borrow_ring(&ring))
            .map_err(said("duplicating the ring's descriptor"))?;
        let queue = Queue::new(ring);
        let (slabs, unregistered) = Slabs::new(queue.submitter(), &arena);
        let receive_slots = ReceiveSlots::new(queue.submitter(), &mut arena)
            .map_err(said("registering receive slots"))?;
        let registered_files = register_files(&queue);
        let has_vectored_fixed = has_vectored_fixed(&queue);
        if let Err(error) = queue
            .submitter()
            .register_iowq_max_workers(&mut KERNEL_WORKERS.clone())
        {
            log::debug!("{shard}: kernel workers are not bounded: {error}");
        }
        let mut ring = Self {
            queue,
            slots: Slots::new(),
            receive_slots,
            event_count: Box::new(0),
            slabs,
            arena,
            shard,
            files: Table::new(),
            sockets: Table::new(),
            registered_files,
            has_vectored_fixed,
            durable_by: config.durable_by,
            signals: config.signals,
            housekeeper: config.housekeeper,
            replies: config.replies,
            ready: Vec::new(),
            awaited: None,
            awaited_outcome: None,
            spin: Spin::new(config.may_spin),
            random: SystemRandom::new(),
            counters: IoCounters::default(),
            is_event_armed: false,
            is_ending: false,
        };
        ring.arm_event();
        Ok((ring, unregistered.into_iter().collect()))
    }
}

#[expect(
    unsafe_code,
    reason = "the crate gives the descriptor as a number only"
)]
fn borrow_ring(ring: &IoUring) -> BorrowedFd<'_> {
    // SAFETY: open as long as `ring`, which the result borrows.
    unsafe { BorrowedFd::borrow_raw(ring.as_raw_fd()) }
}

pub(super) fn build_ring() -> std::io::Result<IoUring> {
    IoUring::builder()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_taskrun_flag()
        .setup_submit_all()
        .setup_cqsize(COMPLETIONS)
        .setup_clamp()
        .dontfork()
        .build(SUBMISSIONS)
}

fn register_files(queue: &Queue) -> u32 {
    let open_files = process_limits::current().open_files.unwrap_or(u64::MAX);
    let places = REGISTERED_FILES.min(u32::try_from(open_files).unwrap_or(u32::MAX));
    match queue.submitter().register_files_sparse(places) {
        Ok(()) => places,
        Err(error) => {
            log::debug!("files are not registered: {error}");
            0
        }
    }
}

fn has_vectored_fixed(queue: &Queue) -> bool {
    let mut probe = Probe::new();
    let probed = queue.submitter().register_probe(&mut probe);
    probed.is_ok() && probe.is_supported(opcode::WritevFixed::CODE)
}

/// What the machine says about io_uring.
struct Facts {
    /// `kernel.io_uring_disabled`; `None` on kernels without it.
    disabled: Option<u32>,
    release: String,
    /// The limit of locked memory; `None`: without one.
    locked_bytes: Option<u64>,
}

pub(super) fn explain(error: &std::io::Error) -> SetupError {
    let disabled = std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled");
    let facts = Facts {
        disabled: disabled.ok().and_then(|text| text.trim().parse().ok()),
        release: rustix::system::uname()
            .release()
            .to_string_lossy()
            .into_owned(),
        locked_bytes: process_limits::current().locked_bytes,
    };
    SetupError(explanation(error, &facts))
}

/// First Linux with DEFER_TASKRUN, without which a shard cannot run as designed.
pub(in crate::io) const KERNEL_MIN: (u32, u32) = (6, 1);

fn explanation(error: &std::io::Error, facts: &Facts) -> String {
    let release = &facts.release;
    let is_old = kernel_version(release).is_some_and(|version| version < KERNEL_MIN);
    let cause = match (error.raw_os_error(), facts.disabled) {
        _ if is_old => format!(
            "kernel {release} is too old: Linux {}.{} or later is needed (6.12 or later advised)",
            KERNEL_MIN.0, KERNEL_MIN.1
        ),
        (Some(libc::EPERM), Some(2)) => {
            "it is switched off for everybody by sysctl kernel.io_uring_disabled=2; run: sysctl -w \
             kernel.io_uring_disabled=0"
                .to_owned()
        }
        (Some(libc::EPERM), Some(1)) => {
            "it is reserved for one group by sysctl kernel.io_uring_disabled=1; run: sysctl -w \
             kernel.io_uring_disabled=0, or add this user to the group in kernel.io_uring_group"
                .to_owned()
        }
        (Some(libc::EPERM | libc::EACCES | libc::ENOSYS), _) => {
            "a seccomp filter blocks it (kernel.io_uring_disabled does not); in a container run \
             with --security-opt seccomp=unconfined or a profile that allows io_uring_setup, \
             io_uring_enter and io_uring_register; under systemd check SystemCallFilter="
                .to_owned()
        }
        (Some(libc::ENOMEM), _) => no_memory(facts.locked_bytes),
        (Some(libc::EMFILE | libc::ENFILE), _) => {
            "too many open files; raise LimitNOFILE (systemd) or ulimit -n".to_owned()
        }
        _ => format!("unexpected on kernel {release}"),
    };
    format!("io_uring cannot be used ({error}): {cause}")
}

/// Rings themselves count as locked memory of their user, all processes together.
fn no_memory(locked_bytes: Option<u64>) -> String {
    match locked_bytes {
        Some(bytes) => format!(
            "locked memory is limited to {bytes} bytes for all processes of this user (memlock), \
             which the rings of all shards do not fit; set LimitMEMLOCK=infinity (systemd) or \
             --ulimit memlock=-1 (containers), or use fewer --cores"
        ),
        None => "the machine or the container's memory limit has no room for it; give it more \
                 memory"
            .to_owned(),
    }
}

pub(in crate::io) fn kernel_version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    let major = numbers.next()?.parse().ok()?;
    let minor = numbers.next()?.parse().ok()?;
    Some((major, minor))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(errno: i32, disabled: Option<u32>, release: &str, expected: &str) {
        let facts = Facts {
            disabled,
            release: release.to_owned(),
            locked_bytes: Some(65_536),
        };
        let text = explanation(&std::io::Error::from_raw_os_error(errno), &facts);
        assert!(text.contains(expected), "{text}");
    }

    #[test]
    fn a_seccomp_filter_is_recognised_where_it_stands() {
        let blocked = std::thread::spawn(|| {
            forbid_io_uring();
            explain(&build_ring().err().unwrap()).0
        });
        let text = blocked.join().unwrap();
        assert!(text.contains("seccomp=unconfined"), "{text}");
        assert!(build_ring().is_ok(), "only that thread was filtered");
    }

    /// Makes `io_uring_setup` fail with EPERM on this thread, as containers do.
    #[expect(unsafe_code, reason = "a filter is installed by raw system calls")]
    fn forbid_io_uring() {
        let step = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
        let load = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
        let is_equal = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
        let answer = (libc::BPF_RET | libc::BPF_K) as u16;
        let refuse = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;
        let mut steps = [
            step(load, 0, 0, 0),
            step(is_equal, 0, 1, libc::SYS_io_uring_setup as u32),
            step(answer, 0, 0, refuse),
            step(answer, 0, 0, libc::SECCOMP_RET_ALLOW),
        ];
        let program = libc::sock_fprog {
            len: steps.len() as u16,
            filter: steps.as_mut_ptr(),
        };
        // SAFETY: plain numbers; concerns this thread only.
        let fixed = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
        assert_eq!(fixed, 0);
        let mode = libc::SECCOMP_MODE_FILTER;
        // SAFETY: a complete program that lives through the call.
        let filtered = unsafe { libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const program) };
        assert_eq!(filtered, 0);
    }

    #[test]
    fn each_obstacle_is_named_with_its_fix() {
        check(
            libc::EPERM,
            Some(2),
            "6.18.4",
            "sysctl -w kernel.io_uring_disabled=0",
        );
        check(libc::EPERM, Some(1), "6.18.4", "kernel.io_uring_group");
        check(libc::EPERM, Some(0), "6.18.4", "seccomp");
        check(libc::ENOSYS, None, "6.1.0-13-amd64", "seccomp");
        check(libc::EINVAL, None, "5.15.0-91-generic", "too old");
        check(libc::ENOSYS, None, "4.18.0", "too old");
        check(libc::ENOMEM, Some(0), "6.6.1", "limited to 65536 bytes");
        check(libc::ENOMEM, Some(0), "6.6.1", "memlock=-1");
        assert!(no_memory(None).contains("container's memory limit"));
        check(libc::EMFILE, Some(0), "6.6.1", "LimitNOFILE");
        check(libc::EIO, Some(0), "6.6.1", "unexpected on kernel 6.6.1");
    }
}
