//! Released segment files: waits until nobody uses them, then keeps them as spares or removes
//! them; and removes orphans after recovery.
//!
//! A file comes here only after both checkpoint copies are past its release; the third condition,
//! no operation in flight and no reader, is the file table's `Drained`. A spare keeps its name and
//! its written blocks; its next owner gets the next generation. INVARIANT: a spare's index file is
//! gone before the spare is handed out, so the next generation begins without one.

use super::super::file_table::{Content, FileTable, SegmentFile};
use super::super::token::LogKind;
use crate::ids::{FileId, JournalId};
use crate::io::{Dir, FileOp, FileReply, Io, IoFailure, Op};
use crate::partition::ReleasedFile;
use std::collections::{BTreeMap, BTreeSet};

/// A file that waits for its next owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spare {
    pub(super) file: FileId,
    /// Generation of its last owner.
    pub(super) generation: u32,
    /// Bytes of it that are written and synced.
    pub(super) bytes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// `n` of its two files still have users.
    Draining(u8),
    /// Its index is being removed, then it is a spare.
    BecomingSpare,
    /// `n` of its two files are still being removed.
    Removing(u8),
}

/// Listing and removal of what no partition names.
#[derive(Debug)]
struct Sweep {
    /// Sorted.
    named: Vec<FileId>,
    /// Files with this number or a higher one were made after the sweep began.
    number_end: u64,
}

#[derive(Debug)]
pub(super) struct Recycling {
    journal: JournalId,
    spares: BTreeMap<(u32, FileId), Spare>,
    spare_bytes: u64,
    spare_bytes_max: u64,
    /// A smaller file is not worth keeping.
    spare_file_bytes_min: u64,
    released: BTreeMap<FileId, (ReleasedFile, Fate)>,
    orphans: BTreeSet<SegmentFile>,
    removals_in_flight: usize,
    sweep: Option<Sweep>,
    is_dir_changed: bool,
}

impl Recycling {
    pub(super) fn new(journal: JournalId, spare_file_bytes_min: u64) -> Self {
        Self {
            journal,
            spares: BTreeMap::new(),
            spare_bytes: 0,
            spare_bytes_max: 0,
            spare_file_bytes_min,
            released: BTreeMap::new(),
            orphans: BTreeSet::new(),
            removals_in_flight: 0,
            sweep: None,
            is_dir_changed: false,
        }
    }

    pub(super) const fn set_spare_bytes_max(&mut self, bytes: u64) {
        self.spare_bytes_max = bytes;
    }

    pub(super) const fn spare_bytes_max(&self) -> u64 {
        self.spare_bytes_max
    }

    pub(super) const fn spare_bytes(&self) -> u64 {
        self.spare_bytes
    }

    pub(super) fn is_busy(&self) -> bool {
        self.removals_in_flight > 0
            || self.sweep.is_some()
            || self
                .released
                .values()
                .any(|(_, fate)| !matches!(fate, Fate::Draining(_)))
    }

    /// Whether names were removed since the last call: the folder should be synced some time.
    pub(super) const fn take_dir_changed(&mut self) -> bool {
        std::mem::replace(&mut self.is_dir_changed, false)
    }

    /// The largest spare whose whole size a segment of `file_bytes` can use. A segment that asks
    /// for little room gets a small one.
    pub(super) fn take_spare(&mut self, file_bytes: u64) -> Option<Spare> {
        let class_end = size_class(file_bytes) + 1;
        let fits = |spare: &&Spare| spare.bytes <= file_bytes;
        let best = self
            .spares
            .range(..(class_end, FileId(0)))
            .rev()
            .map(|(_, spare)| spare)
            .find(fits)
            .copied()?;
        self.spares.remove(&(size_class(best.bytes), best.file));
        self.spare_bytes -= best.bytes;
        Some(best)
    }

    pub(super) fn release(&mut self, io: &mut Io, table: &mut FileTable, file: ReleasedFile) {
        let before = self.released.insert(file.file, (file, Fate::Draining(2)));
        assert!(before.is_none(), "{:?} was released twice", file.file);
        table.retire(io, SegmentFile::records(file.file));
        table.retire(io, SegmentFile::index(file.file));
    }

    /// One of a released file's two files has no users any more. `reserved_bytes` of the spares'
    /// share are taken by files made ahead.
    pub(super) fn drained(&mut self, io: &mut Io, drained: SegmentFile, reserved_bytes: u64) {
        let Some((file, fate)) = self.released.get_mut(&drained.id) else {
            unreachable!("{drained:?} was drained and not released");
        };
        match fate {
            Fate::Draining(2) => *fate = Fate::Draining(1),
            Fate::Draining(_) => {
                let bytes = spare_bytes(file);
                let held = self.spare_bytes + reserved_bytes;
                let fits = held + bytes <= self.spare_bytes_max;
                // A foreign journal's file would be nobody's orphan after a crash: never kept.
                let is_own = journal_of(file.file) == self.journal;
                if bytes >= self.spare_file_bytes_min && fits && is_own {
                    self.spare_bytes += bytes;
                    *fate = Fate::BecomingSpare;
                } else {
                    *fate = Fate::Removing(2);
                    self.remove(io, SegmentFile::records(drained.id));
                }
                self.remove(io, SegmentFile::index(drained.id));
            }
            fate => unreachable!("{drained:?} was drained twice ({fate:?})"),
        }
    }

    /// Disk full: every spare's space is given back.
    pub(super) fn remove_spares(&mut self, io: &mut Io) {
        while let Some((_, spare)) = self.spares.pop_first() {
            self.spare_bytes -= spare.bytes;
            let file = ReleasedFile {
                file: spare.file,
                generation: spare.generation,
                bytes: spare.bytes,
                prepared: spare.bytes,
            };
            self.released.insert(spare.file, (file, Fate::Removing(1)));
            self.remove(io, SegmentFile::records(spare.file));
        }
    }

    /// Begins to remove this journal's files below `number_end` that are not in `named`.
    pub(super) fn begin_sweep(&mut self, io: &mut Io, mut named: Vec<FileId>, number_end: u64) {
        named.sort_unstable();
        self.sweep = Some(Sweep { named, number_end });
        io.submit(
            LogKind::Sweep.token(0),
            Op::File(FileOp::List { dir: Dir::Segments }),
        );
    }

    pub(super) fn swept(
        &mut self,
        io: &mut Io,
        reply: Result<FileReply, IoFailure>,
    ) -> Result<(), IoFailure> {
        let Some(sweep) = self.sweep.take() else {
            unreachable!("a listing came that nobody asked for");
        };
        let FileReply::Listed(files) = reply? else {
            unreachable!("a listing is answered by Listed");
        };
        for (name, _) in &files {
            let Some(file) = SegmentFile::parse(name) else {
                continue;
            };
            let is_ours = journal_of(file.id) == self.journal
                && number_of(file.id) < sweep.number_end
                && !self.released.contains_key(&file.id)
                && !self.spares.values().any(|spare| spare.file == file.id);
            if is_ours && sweep.named.binary_search(&file.id).is_err() {
                self.orphans.insert(file);
                self.remove(io, file);
            }
        }
        Ok(())
    }

    fn remove(&mut self, io: &mut Io, file: SegmentFile) {
        self.removals_in_flight += 1;
        io.submit(
            LogKind::Unlink.token(removal_key(file)),
            Op::File(FileOp::Unlink { path: file.path() }),
        );
    }

    /// Takes the completion of a removal.
    pub(super) fn removed(
        &mut self,
        slot: u64,
        reply: Result<FileReply, IoFailure>,
    ) -> Result<(), IoFailure> {
        self.removals_in_flight -= 1;
        reply?;
        self.is_dir_changed = true;
        let file = removal_of(slot);
        if self.orphans.remove(&file) {
            return Ok(());
        }
        let Some((released, fate)) = self.released.get_mut(&file.id) else {
            unreachable!("{file:?} was removed and not released");
        };
        match fate {
            Fate::Removing(2) => *fate = Fate::Removing(1),
            Fate::BecomingSpare => {
                let spare = Spare {
                    file: file.id,
                    generation: released.generation,
                    bytes: spare_bytes(released),
                };
                self.spares
                    .insert((size_class(spare.bytes), spare.file), spare);
                self.released.remove(&file.id);
            }
            _ => {
                self.released.remove(&file.id);
            }
        }
        Ok(())
    }
}

/// Powers of two: spares of a class differ by less than a factor of two.
const fn size_class(bytes: u64) -> u32 {
    (bytes | 1).ilog2()
}

/// What is on disk for sure: records of a deleted partition may never have come there, nor its
/// file.
const fn spare_bytes(file: &ReleasedFile) -> u64 {
    file.prepared / crate::limits::BLOCK_BYTES * crate::limits::BLOCK_BYTES
}

/// Whose counter gave the file its id.
#[must_use]
pub const fn journal_of(file: FileId) -> JournalId {
    JournalId((file.0 >> 40) as u16)
}

/// The counter's part of a file's id.
#[must_use]
pub const fn number_of(file: FileId) -> u64 {
    file.0 & ((1 << 40) - 1)
}

/// A token's slot has 56 bits, exactly an id: 16 of the journal, 40 of the counter. The content
/// takes the counter's top bit, which 2^39 files do not reach.
fn removal_key(file: SegmentFile) -> u64 {
    let is_index = u64::from(file.content == Content::Index);
    file.id.0 | is_index << 39
}

fn removal_of(slot: u64) -> SegmentFile {
    let id = FileId(slot & !(1 << 39));
    if slot & (1 << 39) == 0 {
        SegmentFile::records(id)
    } else {
        SegmentFile::index(id)
    }
}
