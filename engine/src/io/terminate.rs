//! Being asked to end: SIGINT and SIGTERM become calls on a thread of their own.
#![expect(unsafe_code, reason = "signal handlers are installed by hand")]

use rustix::event::{EventfdFlags, eventfd};
use std::io::{Error, Result};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

/// The eventfd that the handler writes to.
static EVENT: AtomicI32 = AtomicI32::new(-1);

/// Signals this close are one request: `timeout`, shells and supervisors often signal the process
/// and then its group.
const ONE_REQUEST: Duration = Duration::from_millis(500);

/// Calls `action` on a thread of its own each time the process is asked to end (SIGINT, SIGTERM),
/// with the count so far: 1 for the first. Signals within half a second of a counted one are the
/// same request. Typically it sends a stop message over a [`super::remote::Remote`], and ends the
/// process at the second.
///
/// # Errors
/// What the operating system says; there may be one such action per process.
pub fn on_terminate(mut action: impl FnMut(u32) + Send + 'static) -> Result<()> {
    let event = eventfd(0, EventfdFlags::CLOEXEC)?;
    let claimed = EVENT.compare_exchange(-1, event.as_raw_fd(), Ordering::SeqCst, Ordering::SeqCst);
    if claimed.is_err() {
        return Err(Error::other("the process has such an action already"));
    }
    for signal in [libc::SIGINT, libc::SIGTERM] {
        install(signal)?;
    }
    std::thread::Builder::new()
        .name("terminate".to_owned())
        .spawn(move || {
            let mut requests = Requests::default();
            while wait(&event).is_some() {
                if let Some(count) = requests.count(Instant::now()) {
                    action(count);
                }
            }
        })?;
    Ok(())
}

#[derive(Debug, Default)]
struct Requests {
    count: u32,
    counted: Option<Instant>,
}

impl Requests {
    /// The number of the request that came `now`; `None`: it belongs to the one before.
    fn count(&mut self, now: Instant) -> Option<u32> {
        let is_same = |counted| now.saturating_duration_since(counted) < ONE_REQUEST;
        if self.counted.is_some_and(is_same) {
            return None;
        }
        self.counted = Some(now);
        self.count += 1;
        Some(self.count)
    }
}

fn wait(event: &OwnedFd) -> Option<u64> {
    let mut times = [0; 8];
    loop {
        match rustix::io::read(event, &mut times) {
            Ok(8) => return Some(u64::from_ne_bytes(times)),
            Err(rustix::io::Errno::INTR) => {}
            _ => return None,
        }
    }
}

fn install(signal: i32) -> Result<()> {
    // SAFETY: zeroes are a valid action: no flags, nothing blocked.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handle as *const () as usize;
    action.sa_flags = libc::SA_RESTART;
    // SAFETY: `handle` does only what a signal handler may.
    match unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(Error::last_os_error()),
    }
}

extern "C" fn handle(_signal: i32) {
    let one = 1u64;
    // SAFETY: `write` may be called in a handler; the thread above keeps the descriptor for ever.
    unsafe { libc::write(EVENT.load(Ordering::Relaxed), (&raw const one).cast(), 8) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{Signal, getpid, kill_process};

    #[test]
    fn being_asked_to_end_is_counted_and_does_not_end_the_process() {
        let (sender, asked) = std::sync::mpsc::channel();
        on_terminate(move |count| sender.send(count).unwrap()).unwrap();
        assert!(on_terminate(|_| ()).is_err(), "one per process");
        for signal in [Signal::TERM, Signal::INT] {
            kill_process(getpid(), signal).unwrap();
        }
        assert_eq!(asked.recv(), Ok(1));
    }

    #[test]
    fn signals_close_to_each_other_are_one_request() {
        let start = Instant::now();
        let mut requests = Requests::default();
        let counted: Vec<_> = [0, 1, 499, 500, 501, 999, 1000]
            .map(|ms| requests.count(start + Duration::from_millis(ms)))
            .to_vec();
        let expected = [Some(1), None, None, Some(2), None, None, Some(3)];
        assert_eq!(counted, expected);
    }
}
