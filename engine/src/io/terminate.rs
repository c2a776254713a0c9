//! Being asked to end: SIGINT and SIGTERM become calls on a thread of their own.
#![expect(unsafe_code, reason = "signal handlers are installed by hand")]

use rustix::event::{EventfdFlags, eventfd};
use std::io::{Error, Result};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicI32, Ordering};

/// The eventfd that the handler writes to.
static EVENT: AtomicI32 = AtomicI32::new(-1);

/// Calls `action` on a thread of its own each time the process is asked to end (SIGINT, SIGTERM),
/// with the count so far: 1 for the first. Typically it sends a stop message over a
/// [`super::remote::Remote`], and ends the process at the second.
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
            let mut count = 0;
            while let Some(times) = wait(&event) {
                for _ in 0..times {
                    count += 1;
                    action(count);
                }
            }
        })?;
    Ok(())
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
        for (signal, count) in [(Signal::TERM, 1), (Signal::INT, 2)] {
            kill_process(getpid(), signal).unwrap();
            assert_eq!(asked.recv(), Ok(count));
        }
    }
}
