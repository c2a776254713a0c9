//! Where commits lie: a fixed ring of equal files, written from front to back.
//!
//! A commit starts in its predecessor's file if a whole commit of the largest size still fits
//! there, else at the start of the next file, so that its place follows from its predecessor
//! alone. One file stays free for recovery's fresh epoch; of the last file before it, a slice is
//! for control records. Files are freed only by a checkpoint that both copies hold.

use crate::limits::{BLOCK_BYTES, COMMIT_BYTES_MAX};

/// Fewest files of a ring: the live ones, the one being written, the one for recovery.
pub const FILES_MIN: u32 = 4;
/// Smallest journal file.
pub const FILE_BYTES_MIN: u64 = 256 * 1024;

/// Size of a ring. Fixed for the life of a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingShape {
    /// Number of files.
    pub files: u32,
    /// Bytes of each, a multiple of the block.
    pub file_bytes: u64,
}

/// A place in the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Which file.
    pub file: u32,
    /// Byte in it.
    pub position: u64,
}

impl RingShape {
    /// The ring for about `journal_bytes` in `journal_files`, within the bounds of a ring.
    #[must_use]
    pub fn for_config(journal_bytes: u64, journal_files: u32) -> Self {
        let files = journal_files.max(FILES_MIN);
        let file_bytes =
            (journal_bytes / u64::from(files)).max(FILE_BYTES_MIN) / BLOCK_BYTES * BLOCK_BYTES;
        Self { files, file_bytes }
    }

    /// Whether a ring of this shape can exist.
    #[must_use]
    pub const fn is_valid(&self) -> bool {
        self.files >= FILES_MIN
            && self.files <= 1 << 16
            && self.file_bytes >= FILE_BYTES_MIN
            && self.file_bytes <= 1 << 40
            && self.file_bytes.is_multiple_of(BLOCK_BYTES)
    }

    /// Largest commit of this ring. Small rings take smaller commits, so that a file holds several.
    #[must_use]
    pub const fn commit_bytes_max(&self) -> u64 {
        let quarter = self.file_bytes / 4 / BLOCK_BYTES * BLOCK_BYTES;
        if quarter < COMMIT_BYTES_MAX {
            quarter
        } else {
            COMMIT_BYTES_MAX
        }
    }

    /// Where the commit behind one of `length` bytes at `place` starts.
    #[must_use]
    pub const fn after(&self, place: Place, length: u64) -> Place {
        let position = place.position + length;
        if self.file_bytes - position >= self.commit_bytes_max() {
            Place {
                file: place.file,
                position,
            }
        } else {
            self.start_of_next(place.file)
        }
    }

    /// The first place of the file behind `file`.
    #[must_use]
    pub const fn start_of_next(&self, file: u32) -> Place {
        Place {
            file: (file + 1) % self.files,
            position: 0,
        }
    }

    /// Whether a commit may lie at `place`.
    #[must_use]
    pub const fn holds(&self, place: Place, length: u64) -> bool {
        place.file < self.files
            && place.position.is_multiple_of(BLOCK_BYTES)
            && length.is_multiple_of(BLOCK_BYTES)
            && length > 0
            && length <= self.commit_bytes_max()
            && place.position <= self.file_bytes - self.commit_bytes_max()
    }

    /// Files from that of `from` to that of `to`, both counted, going forward.
    #[must_use]
    pub const fn files_between(&self, from: u32, to: u32) -> u32 {
        (to + self.files - from) % self.files + 1
    }

    /// Bytes between two places going forward, the skipped ends of files included.
    #[must_use]
    pub const fn distance(&self, from: Place, to: Place) -> u64 {
        let files = (to.file + self.files - from.file) % self.files;
        (files as u64 * self.file_bytes + to.position).saturating_sub(from.position)
    }

    /// Bytes that live commits may take up: all but the file kept for recovery.
    #[must_use]
    pub const fn usable_bytes(&self) -> u64 {
        (self.files - 1) as u64 * self.file_bytes
    }
}

/// Who wants to write a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Records.
    Appends,
    /// Control records and marks: may go on a little longer.
    Control,
}

/// The writing end of a ring.
#[derive(Clone, Copy, Debug)]
pub struct RingFront {
    shape: RingShape,
    /// Where the next commit starts.
    next: Place,
    /// Start of the oldest live commit.
    live: Place,
}

impl RingFront {
    /// A front that writes at `next`, with commits live from `live` on.
    #[must_use]
    pub const fn new(shape: RingShape, live: Place, next: Place) -> Self {
        Self { shape, next, live }
    }

    /// The ring's shape.
    #[must_use]
    pub const fn shape(&self) -> RingShape {
        self.shape
    }

    /// Where the next commit starts.
    #[must_use]
    pub const fn next(&self) -> Place {
        self.next
    }

    /// Start of the live part.
    #[must_use]
    pub const fn live(&self) -> Place {
        self.live
    }

    /// Bytes from the oldest live commit to the next one.
    #[must_use]
    pub const fn live_bytes(&self) -> u64 {
        self.shape.distance(self.live, self.next)
    }

    /// Whether a commit may start at [`Self::next`] and still leave what others are promised.
    #[must_use]
    pub fn has_room(&self, use_: Use) -> bool {
        let commit_max = self.shape.commit_bytes_max();
        let files = self.shape.files_between(self.live.file, self.next.file);
        if files < self.shape.files - 1 {
            return true;
        }
        // `next` lies in the last file before recovery's, or would start in that one.
        if files > self.shape.files - 1 {
            return false;
        }
        let left = self.shape.file_bytes - self.next.position;
        match use_ {
            Use::Control => left >= commit_max,
            Use::Appends => left >= 2 * commit_max + commit_max / 2,
        }
    }

    /// Takes the place of a commit of `length` bytes.
    pub fn advance(&mut self, length: u64) {
        self.next = self.shape.after(self.next, length);
    }

    /// Everything before `live` is not needed any more.
    pub fn free_before(&mut self, live: Place) {
        self.live = live;
    }
}

#[cfg(test)]
mod tests {
    use super::{Place, RingFront, RingShape, Use};

    const SHAPE: RingShape = RingShape {
        files: 4,
        file_bytes: 1 << 20,
    };

    #[test]
    fn a_commit_starts_where_a_largest_one_still_fits() {
        let max = SHAPE.commit_bytes_max();
        assert_eq!(max, 256 * 1024);
        let at = |file, position| Place { file, position };
        assert_eq!(SHAPE.after(at(0, 0), 4096), at(0, 4096));
        assert_eq!(SHAPE.after(at(0, 3 * max - 4096), 4096), at(0, 3 * max));
        assert_eq!(SHAPE.after(at(0, 3 * max), 4096), at(1, 0));
        assert_eq!(SHAPE.after(at(3, 3 * max), max), at(0, 0));
    }

    #[test]
    fn appends_and_control_records_leave_one_file_for_recovery() {
        let start = Place {
            file: 2,
            position: 0,
        };
        let mut front = RingFront::new(SHAPE, start, start);
        let mut appended = 0;
        while front.has_room(Use::Appends) {
            front.advance(4096);
            appended += 1;
        }
        assert!(appended > 100);
        let mut control = 0;
        while front.has_room(Use::Control) {
            front.advance(64 * 1024);
            control += 1;
        }
        assert!(control >= 4, "the control slice holds {control} records");
        let files = SHAPE.files_between(front.live().file, front.next().file);
        assert!(files <= SHAPE.files);
        assert_ne!(front.next(), start);
        // Recovery's file is the one behind the last that holds commits; nothing lies in it.
        assert!(
            front.next().position == 0
                || SHAPE.start_of_next(front.next().file).file == start.file
                || SHAPE.files_between(start.file, front.next().file) < SHAPE.files
        );
        front.free_before(Place {
            file: 3,
            position: 8192,
        });
        assert!(front.has_room(Use::Appends) || front.next().position > 0);
    }

    #[test]
    fn distances_go_forward_over_the_end_of_the_ring() {
        let from = Place {
            file: 3,
            position: 4096,
        };
        let to = Place {
            file: 1,
            position: 8192,
        };
        assert_eq!(SHAPE.distance(from, to), 2 * (1 << 20) + 4096);
        assert_eq!(SHAPE.distance(from, from), 0);
    }

    #[test]
    fn places_outside_of_the_ring_hold_nothing() {
        let at = |file, position| Place { file, position };
        assert!(SHAPE.holds(at(0, 0), 4096));
        assert!(!SHAPE.holds(at(4, 0), 4096));
        assert!(!SHAPE.holds(at(0, 1), 4096));
        assert!(!SHAPE.holds(at(0, 0), 4095));
        assert!(!SHAPE.holds(at(0, 0), 0));
        assert!(!SHAPE.holds(at(0, 1 << 20), 4096));
    }
}
