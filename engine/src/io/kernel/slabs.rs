//! Registers the arena with the ring, slab by slab as they are first used by the disk, so that
//! disk operations need not pin their pages each time. Without permission to lock that much
//! memory, operations work unregistered and cost more.
#![expect(unsafe_code, reason = "registered memory must outlive the ring")]

use super::super::arena::Arena;
use io_uring::Submitter;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

pub(super) struct Slabs {
    is_registered: Vec<bool>,
    is_off: bool,
}

impl Slabs {
    /// An empty table of buffers. `Err` says what it costs to be without.
    pub(super) fn new(submitter: &Submitter<'_>, arena: &Arena) -> (Self, Option<String>) {
        let slabs = arena.slabs();
        let made = submitter.register_buffers_sparse(slabs as u32);
        let mut this = Self {
            is_registered: vec![false; slabs],
            is_off: made.is_err(),
        };
        let failure = match made {
            Err(error) => Some(unregistered(&error)),
            // The first slab is needed anyway, and tells whether memory may be locked.
            Ok(()) => this.register(submitter, arena, 0).err().map(|error| {
                this.is_off = true;
                unregistered(&error)
            }),
        };
        (this, failure)
    }

    /// The registered buffer that holds this address; `None`: use it unregistered.
    pub(super) fn of(
        &mut self,
        submitter: &Submitter<'_>,
        arena: &Arena,
        address: usize,
    ) -> Option<u16> {
        let slab = arena.slab_of(address)?;
        if !self.is_registered[slab] {
            if self.is_off {
                return None;
            }
            if let Err(error) = self.register(submitter, arena, slab) {
                log::warn!("{}", unregistered(&error));
                self.is_off = true;
                return None;
            }
        }
        u16::try_from(slab).ok()
    }

    fn register(
        &mut self,
        submitter: &Submitter<'_>,
        arena: &Arena,
        slab: usize,
    ) -> std::io::Result<()> {
        let (start, bytes) = arena.slab_range(slab);
        let range = [libc::iovec {
            iov_base: start as *mut libc::c_void,
            iov_len: bytes,
        }];
        // SAFETY: the arena's memory outlives the ring (see the order of `Ring`'s fields).
        let register = || unsafe { submitter.register_buffers_update(slab as u32, &range, None) };
        register().or_else(|error| {
            let is_limit = error.raw_os_error() == Some(libc::ENOMEM);
            if is_limit && raise_memlock() {
                register()
            } else {
                Err(error)
            }
        })?;
        self.is_registered[slab] = true;
        Ok(())
    }
}

/// Raises the soft limit of locked memory to the hard one; whether that changed something.
fn raise_memlock() -> bool {
    let limit = getrlimit(Resource::Memlock);
    limit.current != limit.maximum
        && setrlimit(
            Resource::Memlock,
            Rlimit {
                current: limit.maximum,
                maximum: limit.maximum,
            },
        )
        .is_ok()
}

fn unregistered(error: &std::io::Error) -> String {
    let limit = getrlimit(Resource::Memlock).current;
    let limit = limit.map_or("unlimited".to_owned(), |bytes| format!("{bytes} bytes"));
    format!(
        "arena memory is not registered with io_uring ({error}, memlock limit {limit}): every disk \
         operation pins its pages anew, which costs CPU; set LimitMEMLOCK=infinity (systemd) or \
         --ulimit memlock=-1 (containers)"
    )
}
