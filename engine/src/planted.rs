//! Planted bugs: one switch per rule of the storage design that a test must be able to miss.
//!
//! Code that upholds a rule asks `planted::is(Bug::X)` at the one place where breaking the rule
//! is a single branch. The crash test plants a bug, runs, and must find the damage: a rule whose
//! absence no test notices is a rule that nobody guards. Without the feature `planted-bugs` (and
//! outside unit tests) [`is`] is a constant `false` and the branch is gone.
//!
//! The switch belongs to the thread that planted it: tests run side by side.

/// The rules that can be broken. The numbers are those of the test plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Bug {
    /// An append is acknowledged when its own commit completed, not when all before it did.
    AckOnOwnCompletion = 1,
    /// A placed reference enters a commit before its placed write completed.
    AckBeforePlaced = 2,
    /// The mark counts journal writes only, not the placed writes they refer to.
    MarkIsJournalPrefix = 3,
    /// The mark is the last commit submitted.
    MarkIsLastSubmitted = 4,
    /// No mark commit is written when the shard falls idle.
    NoIdleMark = 5,
    /// Recovery cuts the tail although a later mark covers the broken commit.
    CutDespiteMark = 6,
    /// Recovery goes on behind a hole instead of cutting there.
    ResumeBehindHole = 7,
    /// Recovery keeps the journal epoch.
    EpochNotRaised = 8,
    /// Recovery appends behind the tail it found instead of in a fresh file.
    AppendBehindFoundTail = 9,
    /// The commit header's check ignores the journal key.
    HeaderCheckNotKeyed = 10,
    /// The window counts operations in flight instead of distance.
    WindowCountsOperations = 11,
    /// A placed write rounds its end up to a block that later bytes share.
    PlacedEndRoundedUp = 12,
    /// Write-back rewrites blocks that were placed.
    WriteBackRewritesPlaced = 13,
    /// The tail image due after a checkpoint is left out.
    TailImageOmitted = 14,
    /// A checkpoint cuts at the last resolved commit instead of the last closed one.
    CheckpointCutsAtResolved = 15,
    /// An unchanged partial tail is flushed again.
    UnchangedTailFlushed = 16,
    /// A partial tail is written from the chunk that is still being filled.
    TailFromLiveChunk = 17,
    /// Write-back is neither durable nor flushed before the checkpoint names it.
    WriteBackNotDurable = 18,
    /// A checkpoint includes ends that are not resolved.
    CheckpointUnresolvedEnds = 19,
    /// Only one checkpoint copy is written.
    OneCheckpointCopy = 20,
    /// The newest checkpoint copy is overwritten first.
    NewestCopyFirst = 21,
    /// Journal files are recycled after the first checkpoint copy.
    RecycleAfterFirstCopy = 22,
    /// The ring is used to its last file, leaving none for recovery.
    RingUsedWhole = 23,
    /// A deleted partition's file is reused at once.
    ReuseAtOnce = 24,
    /// A file is reused while a write to it is in flight.
    ReuseWithWriteInFlight = 25,
    /// A file is recycled under a reader.
    RecycleUnderReader = 26,
    /// An index rebuild walks past the recorded end into stale bytes.
    IndexWalksPastEnd = 27,
    /// The granule checksum leaves out identity and generation.
    GranuleWithoutIdentity = 28,
    /// A flipped base offset is served.
    BaseOffsetNotChecked = 29,
    /// The high watermark of a durable partition moves at append.
    HighWatermarkAtAppend = 30,
    /// A short write is continued.
    ShortWriteContinued = 31,
    /// A failed write is tried again.
    FailedWriteRetried = 32,
    /// A shard that stopped after a failed write still checkpoints.
    CheckpointAfterFailStop = 33,
    /// Recovery reads before it flushed what it reads.
    NoFlushBeforeRecovery = 34,
    /// A new file is handed over before its folder was synced.
    HandOverBeforeDirSync = 35,
    /// A missing journal is treated as an empty one.
    MissingJournalIsEmpty = 36,
    /// The processor limit decides the number of shards.
    ShardCountFromProcessors = 37,
    /// A deletion is acknowledged before every shard knows, without a tombstone.
    DeleteWithoutTombstone = 38,
    /// Orphan files are removed although a journal was damaged.
    OrphansRemovedAfterRot = 39,
    /// Offsets that a relaxed partition lost in a crash are given out again.
    RelaxedOffsetsReused = 40,
    /// A fenced range answers "out of range".
    FencedIsOutOfRange = 41,
    /// An append is admitted without a prepared place for its bytes.
    AdmittedWithoutPlace = 42,
    /// Write-back goes by size and starves the oldest bytes.
    WriteBackBySize = 43,
    /// A placed entry carries no producer data.
    PlacedWithoutProducers = 44,
    /// A truncation carries no image of its block.
    TruncateWithoutImage = 45,
    /// Compacted files are swapped in before they are durable.
    SwapBeforeDurable = 46,
    /// The data directory is not locked.
    NoLock = 47,
}

#[cfg(any(test, feature = "planted-bugs"))]
impl Bug {
    /// All of them, by number.
    pub const ALL: [Self; 47] = [
        Self::AckOnOwnCompletion,
        Self::AckBeforePlaced,
        Self::MarkIsJournalPrefix,
        Self::MarkIsLastSubmitted,
        Self::NoIdleMark,
        Self::CutDespiteMark,
        Self::ResumeBehindHole,
        Self::EpochNotRaised,
        Self::AppendBehindFoundTail,
        Self::HeaderCheckNotKeyed,
        Self::WindowCountsOperations,
        Self::PlacedEndRoundedUp,
        Self::WriteBackRewritesPlaced,
        Self::TailImageOmitted,
        Self::CheckpointCutsAtResolved,
        Self::UnchangedTailFlushed,
        Self::TailFromLiveChunk,
        Self::WriteBackNotDurable,
        Self::CheckpointUnresolvedEnds,
        Self::OneCheckpointCopy,
        Self::NewestCopyFirst,
        Self::RecycleAfterFirstCopy,
        Self::RingUsedWhole,
        Self::ReuseAtOnce,
        Self::ReuseWithWriteInFlight,
        Self::RecycleUnderReader,
        Self::IndexWalksPastEnd,
        Self::GranuleWithoutIdentity,
        Self::BaseOffsetNotChecked,
        Self::HighWatermarkAtAppend,
        Self::ShortWriteContinued,
        Self::FailedWriteRetried,
        Self::CheckpointAfterFailStop,
        Self::NoFlushBeforeRecovery,
        Self::HandOverBeforeDirSync,
        Self::MissingJournalIsEmpty,
        Self::ShardCountFromProcessors,
        Self::DeleteWithoutTombstone,
        Self::OrphansRemovedAfterRot,
        Self::RelaxedOffsetsReused,
        Self::FencedIsOutOfRange,
        Self::AdmittedWithoutPlace,
        Self::WriteBackBySize,
        Self::PlacedWithoutProducers,
        Self::TruncateWithoutImage,
        Self::SwapBeforeDurable,
        Self::NoLock,
    ];
}

#[cfg(any(test, feature = "planted-bugs"))]
mod switch {
    use super::Bug;
    use std::cell::Cell;

    thread_local! {
        static PLANTED: Cell<Option<Bug>> = Cell::new(from_environment());
    }

    /// A whole test program runs with the bug whose number `MILLRACE_PLANT` is.
    fn from_environment() -> Option<Bug> {
        let number: u8 = std::env::var("MILLRACE_PLANT").ok()?.parse().ok()?;
        Bug::ALL.into_iter().find(|bug| *bug as u8 == number)
    }

    /// Whether this thread runs with that bug.
    #[must_use]
    pub fn is(bug: Bug) -> bool {
        PLANTED.get() == Some(bug)
    }

    /// Takes the bug out again when dropped.
    #[derive(Debug)]
    #[must_use = "the bug lasts as long as this guard"]
    pub struct Planted {
        before: Option<Bug>,
    }

    /// Plants `bug` in this thread until the guard is dropped.
    pub fn plant(bug: Bug) -> Planted {
        Planted {
            before: PLANTED.replace(Some(bug)),
        }
    }

    impl Drop for Planted {
        fn drop(&mut self) {
            PLANTED.set(self.before);
        }
    }

    /// The bug of this thread, for a thread that works for it.
    #[must_use]
    pub fn current() -> Option<Bug> {
        PLANTED.get()
    }

    /// Runs `work` with `bug`, if there is one.
    pub fn during<R>(bug: Option<Bug>, work: impl FnOnce() -> R) -> R {
        let _planted = bug.map(plant);
        work()
    }
}

#[cfg(any(test, feature = "planted-bugs"))]
pub use switch::{Planted, current, during, is, plant};

/// The bug of this thread: none, in a build without the switch.
#[cfg(not(any(test, feature = "planted-bugs")))]
#[must_use]
pub const fn current() -> Option<Bug> {
    None
}

/// Runs `work`.
#[cfg(not(any(test, feature = "planted-bugs")))]
#[inline(always)]
pub fn during<R>(bug: Option<Bug>, work: impl FnOnce() -> R) -> R {
    _ = bug;
    work()
}

/// Whether this thread runs with that bug: never, in a build without the switch.
#[cfg(not(any(test, feature = "planted-bugs")))]
#[must_use]
#[inline(always)]
pub const fn is(bug: Bug) -> bool {
    _ = bug;
    false
}

#[cfg(test)]
mod tests {
    use super::{Bug, current, during, is, plant};

    #[test]
    fn a_bug_lasts_as_long_as_its_guard_and_only_on_its_thread() {
        assert!(!is(Bug::TailImageOmitted));
        {
            let _guard = plant(Bug::TailImageOmitted);
            assert!(is(Bug::TailImageOmitted));
            assert!(!is(Bug::NoIdleMark));
            let elsewhere = std::thread::spawn(|| is(Bug::TailImageOmitted)).join();
            assert!(!elsewhere.unwrap());
            let bug = current();
            let carried = move || during(bug, || is(Bug::TailImageOmitted));
            assert!(std::thread::spawn(carried).join().unwrap());
        }
        assert!(!is(Bug::TailImageOmitted));
    }
}
