//! The limits the system puts on this process: open files and locked memory. Soft limits are
//! raised to the hard ones before shards start; what is left is told, not guessed.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What this process may have; `None`: without limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessLimits {
    /// Open files, sockets included.
    pub open_files: Option<u64>,
    /// Bytes of locked memory. Does not bind a process with CAP_IPC_LOCK.
    pub locked_bytes: Option<u64>,
}

/// The soft limits that hold.
#[must_use]
pub fn current() -> ProcessLimits {
    ProcessLimits {
        open_files: getrlimit(Resource::Nofile).current,
        locked_bytes: getrlimit(Resource::Memlock).current,
    }
}

/// Raises the soft limits to the hard ones and gives what holds then. A limit that cannot be
/// raised stays as it is.
pub fn raise() -> ProcessLimits {
    for resource in [Resource::Nofile, Resource::Memlock] {
        let limit = getrlimit(resource);
        if limit.current != limit.maximum {
            let raised = Rlimit {
                current: limit.maximum,
                maximum: limit.maximum,
            };
            if let Err(error) = setrlimit(resource, raised) {
                log::debug!("the soft limit of {resource:?} stays {limit:?}: {error}");
            }
        }
    }
    current()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raised_limits_are_the_hard_ones() {
        let raised = raise();
        assert_eq!(raised.open_files, getrlimit(Resource::Nofile).maximum);
        assert_eq!(raised.locked_bytes, getrlimit(Resource::Memlock).maximum);
        assert_eq!(raised, current());
    }
}
