//! What may become of a journal while the machine is off.

use super::run::{KEY, Run};
use millrace_engine::ids::JournalId;
use millrace_engine::io::simulated::World;
use millrace_engine::io::{Dir, FilePath};
use millrace_engine::journal::check::JournalKey;
use millrace_engine::journal::checkpoint::read_checkpoint;
use millrace_engine::journal::format::{CommitId, TableBuilder, read_header, seal_commit};
use millrace_engine::journal::ring::Place;

const BLOCK: usize = 4096;

impl Run {
    /// A sector of one checkpoint copy may die while the machine is off; the other must do.
    pub(super) fn rot_a_checkpoint(&mut self) {
        let nth = self.random.below(self.journals.len() as u64) as usize;
        let Some(setup) = self.journals.get(nth).copied() else {
            return;
        };
        let mut copies = ['A', 'B'].map(|letter| checkpoint_path(setup.id, letter));
        // After a kill one copy may lie in the drive's cache alone: a power cut may still take it.
        let number_of = |path: &FilePath| {
            let number = checkpoint_number(&self.world, path, setup.id);
            number.filter(|_| self.world.is_flushed(path))
        };
        let (Some(a), Some(b)) = (number_of(&copies[0]), number_of(&copies[1])) else {
            return;
        };
        // Where the crash came between the two, the older one is on trial.
        let is_between = a != b;
        if !self.random.chance(1, if is_between { 2 } else { 3 }) {
            return;
        }
        let is_b_first = if is_between {
            b > a
        } else {
            self.random.chance(1, 2)
        };
        copies.rotate_left(usize::from(is_b_first));
        while checkpoint_number(&self.world, &copies[0], setup.id).is_some() {
            // Most of a small copy lies in its first blocks.
            self.world.rot(&copies[0], self.random.below(3));
        }
        self.coverage.checkpoints_rotten += 1;
        self.coverage.newest_rotten += u64::from(is_between);
    }

    /// What clients send lies in the ring for a while, and may look like a commit: one block that
    /// no commit was ever written to does. Whoever made it does not know the journal's key.
    pub(super) fn forge_a_commit(&mut self) {
        let nth = self.random.below(self.journals.len() as u64) as usize;
        let Some(setup) = self.journals.get(nth).copied() else {
            return;
        };
        let copies =
            ['A', 'B'].map(|letter| self.world.content(&checkpoint_path(setup.id, letter)));
        let found = copies
            .iter()
            .flatten()
            .find_map(|content| read_checkpoint(content, &KEY, setup.id).ok());
        let Some(head) = found.map(|found| found.head) else {
            return;
        };
        let mut newest = (head.epoch, head.mark);
        let mut unwritten = None;
        for file in 0..head.shape.files {
            let path = ring_path(setup.id, file);
            let content = self.world.content(&path).unwrap_or_default();
            let mut end_of_commit = 0;
            for (block, bytes) in content.chunks_exact(BLOCK).enumerate() {
                let position = (block * BLOCK) as u64;
                let place = Place { file, position };
                if let Some(header) = read_header(bytes, &KEY, setup.id, &head.shape, place) {
                    newest = newest.max((header.id.epoch, header.id.sequence));
                    end_of_commit = position + header.length;
                } else if position >= end_of_commit
                    && head.shape.holds(place, BLOCK as u64)
                    && bytes.iter().all(|&byte| byte == 0)
                {
                    unwritten = Some((path.clone(), place));
                }
            }
        }
        let Some((path, place)) = unwritten.filter(|_| self.random.chance(1, 4)) else {
            return;
        };
        let (epoch, sequence) = (newest.0, newest.1 + 1);
        let id = CommitId {
            journal: setup.id,
            epoch,
            sequence,
            previous: [0; 16],
            place,
            mark: sequence + self.random.below(20),
        };
        let mut commit = [0; BLOCK];
        let no_key = JournalKey([0; 16]);
        seal_commit(&mut commit, &no_key, &id, &TableBuilder::default(), 0);
        assert!(
            self.world
                .overwrite(&path, place.position / BLOCK as u64, &commit)
        );
        self.coverage.commits_forged += 1;
    }
}

pub(super) fn checkpoint_path(journal: JournalId, letter: char) -> FilePath {
    FilePath::new(Dir::Journal, format!("{:04x}.ckpt.{letter}", journal.0))
}

fn ring_path(journal: JournalId, file: u32) -> FilePath {
    FilePath::new(Dir::Journal, format!("{:04x}.{file:04}.jnl", journal.0))
}

/// The numbers of the checkpoints in both copies.
pub(super) fn checkpoint_numbers(world: &World, journal: JournalId) -> [Option<u64>; 2] {
    ['A', 'B'].map(|letter| checkpoint_number(world, &checkpoint_path(journal, letter), journal))
}

/// The number of the checkpoint in a copy, if it is whole.
fn checkpoint_number(world: &World, path: &FilePath, journal: JournalId) -> Option<u64> {
    let content = world.content(path)?;
    let found = read_checkpoint(&content, &KEY, journal).ok()?;
    Some(found.head.number)
}
