//! The rings shared with the kernel: pushing submissions, entering, draining completions. Knows
//! no operation.
//!
//! What does not fit into the submission ring waits in a FIFO, so order is kept and pushing never
//! fails. Linked pairs stay together: the kernel links only within one `enter`.
#![expect(
    unsafe_code,
    reason = "the rings are shared with the kernel, and entering is a raw system call"
)]

use io_uring::types::{SubmitArgs, Timespec};
use io_uring::{CompletionQueue, EnterFlags, IoUring, SubmissionQueue, Submitter, cqueue, squeue};
use std::collections::VecDeque;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::time::{Duration, Instant};

/// Longer than this, an `enter` that did not wait counts as slow: the device queue was full.
const SLOW_ENTER: Duration = Duration::from_millis(1);

/// Submissions that did not fit yet; a linked pair goes in one piece.
enum Waiting {
    One(squeue::Entry),
    Linked([squeue::Entry; 2]),
}

pub(super) struct Queue {
    // Borrow from `ring`, which is freed after them.
    submission: ManuallyDrop<SubmissionQueue<'static>>,
    completion: ManuallyDrop<CompletionQueue<'static>>,
    submitter: Submitter<'static>,
    ring: NonNull<IoUring>,
    overflow: VecDeque<Waiting>,
    wait_flags: EnterFlags,
    has_disk: bool,
    enters: u64,
    slow_enters: u64,
}

impl Queue {
    pub(super) fn new(ring: IoUring) -> Self {
        let wait_flags = if ring.params().is_feature_no_iowait() {
            EnterFlags::NO_IOWAIT
        } else {
            EnterFlags::empty()
        };
        let ring = NonNull::from(Box::leak(Box::new(ring)));
        // SAFETY: leaked just now; used through this borrow alone until `drop` takes it back.
        let borrow: &'static mut IoUring = unsafe { &mut *ring.as_ptr() };
        let (mut submitter, submission, completion) = borrow.split();
        if let Err(error) = submitter.register_ring_fd() {
            log::debug!("the ring's descriptor is not registered: {error}");
        }
        Self {
            submission: ManuallyDrop::new(submission),
            completion: ManuallyDrop::new(completion),
            submitter,
            ring,
            overflow: VecDeque::new(),
            wait_flags: EnterFlags::GETEVENTS | EnterFlags::EXT_ARG | wait_flags,
            has_disk: false,
            enters: 0,
            slow_enters: 0,
        }
    }

    pub(super) const fn submitter(&self) -> &Submitter<'static> {
        &self.submitter
    }

    /// Queues one submission.
    ///
    /// # Safety
    /// Everything the entry points to stays valid and unused until its last completion.
    pub(super) unsafe fn push(&mut self, entry: squeue::Entry) {
        if !self.overflow.is_empty() || !self.offer(&entry) {
            self.overflow.push_back(Waiting::One(entry));
        }
    }

    /// Queues two submissions of which the first is flagged as linked to the second.
    ///
    /// # Safety
    /// As [`Self::push`], for both.
    pub(super) unsafe fn push_linked(&mut self, entries: [squeue::Entry; 2]) {
        if !self.overflow.is_empty() || !self.offer_linked(&entries) {
            self.overflow.push_back(Waiting::Linked(entries));
        }
    }

    /// Whether there was room.
    fn offer(&mut self, entry: &squeue::Entry) -> bool {
        // SAFETY: entries come from `push` only; this is its contract.
        unsafe { self.submission.push(entry) }.is_ok()
    }

    /// Whether there was room for both.
    fn offer_linked(&mut self, entries: &[squeue::Entry; 2]) -> bool {
        // SAFETY: entries come from `push_linked` only; this is its contract.
        unsafe { self.submission.push_multiple(entries) }.is_ok()
    }

    /// Says that a disk operation is queued: entering with it may block in the device queue, so
    /// that time is measured apart from waiting.
    pub(super) const fn note_disk(&mut self) {
        self.has_disk = true;
    }

    pub(super) const fn has_disk(&self) -> bool {
        self.has_disk
    }

    /// Moves what did not fit into the room there is, in order.
    fn fill(&mut self) {
        while let Some(waiting) = self.overflow.pop_front() {
            let is_taken = match &waiting {
                Waiting::One(entry) => self.offer(entry),
                Waiting::Linked(entries) => self.offer_linked(entries),
            };
            if !is_taken {
                self.overflow.push_front(waiting);
                break;
            }
        }
    }

    /// Hands what is queued to the kernel and lets it finish what it can, without waiting. No
    /// system call if there is nothing to do.
    pub(super) fn submit(&mut self) {
        loop {
            self.submission.sync();
            let queued = self.submission.len();
            let is_due = self.submission.taskrun() || self.submission.cq_overflow();
            if queued == 0 && !is_due {
                return;
            }
            let start = Instant::now();
            let entered = self.enter(0, EnterFlags::GETEVENTS, None);
            self.slow_enters += u64::from(start.elapsed() > SLOW_ENTER);
            self.has_disk = false;
            self.fill();
            // Without progress the kernel wants its completions drained first.
            if !entered || self.overflow.is_empty() {
                return;
            }
        }
    }

    /// Hands what is queued to the kernel and waits for one completion or the time-out.
    pub(super) fn wait(&mut self, timeout: Option<Duration>) {
        self.submission.sync();
        let timespec = timeout.map(Timespec::from);
        let args = SubmitArgs::new();
        match &timespec {
            Some(timespec) => self.enter(1, self.wait_flags, Some(&args.timespec(timespec))),
            None => self.enter(1, self.wait_flags, Some(&args)),
        };
        self.has_disk = false;
        self.fill();
    }

    /// Whether the kernel took everything it was offered.
    fn enter(&mut self, want: u32, flags: EnterFlags, args: Option<&SubmitArgs<'_, '_>>) -> bool {
        let queued = self.submission.len() as u32;
        self.enters += 1;
        // SAFETY: the arguments match the flags, and the entries keep the contract of `push`.
        let entered = unsafe { self.submitter.enter(queued, want, flags.bits(), args) };
        self.submission.sync();
        match entered {
            Ok(taken) => taken == queued as usize,
            Err(error) => match error.raw_os_error() {
                // Interrupted, time over, completions to drain first, or short of memory: what
                // was not taken stays queued for the next call.
                Some(libc::EINTR | libc::ETIME | libc::EBUSY | libc::EAGAIN | libc::ENOMEM) => {
                    false
                }
                _ => panic!("io_uring_enter: {error}; this is a fault of the reactor"),
            },
        }
    }

    /// Whether there are completions, or work that an `enter` would turn into some.
    pub(super) fn has_completions(&mut self) -> bool {
        self.completion.sync();
        !self.completion.is_empty() || self.submission.taskrun()
    }

    /// The next completion. The ring's head is published when the last one was taken, so that
    /// waiting does not return at once for those already seen.
    pub(super) fn next(&mut self) -> Option<cqueue::Entry> {
        let entry = self.completion.next();
        if entry.is_none() {
            self.completion.sync();
            return self.completion.next();
        }
        entry
    }

    pub(super) const fn enters(&self) -> (u64, u64) {
        (self.enters, self.slow_enters)
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: not used again.
        unsafe { ManuallyDrop::drop(&mut self.submission) };
        // SAFETY: not used again.
        unsafe { ManuallyDrop::drop(&mut self.completion) };
        // SAFETY: leaked in `new`; its borrowers were just dropped or are not used again.
        drop(unsafe { Box::from_raw(self.ring.as_ptr()) });
    }
}
