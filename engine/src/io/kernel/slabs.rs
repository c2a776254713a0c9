//! Registers the arena with the ring, slab by slab as they are first used by the disk, so that
//! disk operations need not pin their pages each time. Without permission to lock that much
//! memory, operations work unregistered and cost more.
#![expect(unsafe_code, reason = "registered memory must outlive the ring")]

use super::super::arena::Arena;
use super::super::process_limits;
use io_uring::Submitter;
use std::sync::atomic::{AtomicBool, Ordering};

pub(super) struct Slabs {
    is_registered: Vec<bool>,
    is_off: bool,
    calls: u64,
}

impl Slabs {
    /// An empty table of buffers. `Err` says what it costs to be without.
    pub(super) fn new(submitter: &Submitter<'_>, arena: &Arena) -> (Self, Option<String>) {
        let slabs = arena.slabs();
        let made = submitter.register_buffers_sparse(slabs as u32);
        let mut this = Self {
            is_registered: vec![false; slabs],
            is_off: made.is_err(),
            calls: 1,
        };
        let failure = match made {
            Err(error) => unregistered(&error),
            // The first slab is needed anyway, and tells whether memory may be locked.
            Ok(()) => this.register(submitter, arena, 0).err().and_then(|error| {
                this.is_off = true;
                unregistered(&error)
            }),
        };
        (this, failure)
    }

    /// System calls made to register memory.
    pub(super) const fn calls(&self) -> u64 {
        self.calls
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
                if let Some(line) = unregistered(&error) {
                    log::warn!("{line}");
                }
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
        self.calls += 1;
        // SAFETY: the arena's memory outlives the ring (see the order of `Ring`'s fields).
        unsafe { submitter.register_buffers_update(slab as u32, &range, None) }?;
        self.is_registered[slab] = true;
        Ok(())
    }
}

/// Whether some shard has said it: the limit is one for the process, and so is the line.
static IS_SAID: AtomicBool = AtomicBool::new(false);

/// What it costs; `None` when it was said before.
fn unregistered(error: &std::io::Error) -> Option<String> {
    if IS_SAID.swap(true, Ordering::Relaxed) {
        return None;
    }
    let limit = process_limits::current().locked_bytes;
    let limit = limit.map_or("unlimited".to_owned(), |bytes| format!("{bytes} bytes"));
    Some(format!(
        "arena memory is not registered with io_uring ({error}, memlock limit {limit}): every disk \
         operation pins its pages anew, which costs CPU; set LimitMEMLOCK=infinity (systemd) or \
         --ulimit memlock=-1 (containers)"
    ))
}
