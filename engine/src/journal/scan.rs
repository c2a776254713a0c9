//! Which commits of a ring count: the decisions of recovery, without the reading.
//!
//! First every block of the ring is looked at ([`Evidence::look_at`]): each header whose keyed
//! check holds is kept. Then [`Walk`] follows the chain from the checkpoint. Where it breaks, the
//! marks of the headers decide: a broken commit above every mark was never acknowledged and is
//! cut, with all behind it (a legal power-cut state); one at or below a mark was resolved, so its
//! bytes rotted: what it held is fenced and the walk goes on behind it.

use super::check::{Check, JournalKey};
use super::format::{FoundHeader, read_header};
use super::given_up::is_given_up;
use super::ring::{Place, RingShape};
use crate::ids::JournalId;
use crate::limits::{BLOCK_BYTES, COMMITS_IN_FLIGHT_MAX};

/// Every header of one epoch that was found in a ring, by sequence.
#[derive(Debug)]
pub struct Evidence {
    key: JournalKey,
    journal: JournalId,
    shape: RingShape,
    epoch: u64,
    start_sequence: u64,
    headers: Vec<FoundHeader>,
    /// Blocks that were given up: anything may have been there.
    given_up: Vec<Place>,
    highest_sequence: u64,
    highest_epoch: u64,
}

impl Evidence {
    /// Collects headers of `epoch` from `start_sequence` on.
    #[must_use]
    pub const fn new(
        key: JournalKey,
        journal: JournalId,
        shape: RingShape,
        epoch: u64,
        start_sequence: u64,
    ) -> Self {
        Self {
            key,
            journal,
            shape,
            epoch,
            start_sequence,
            headers: Vec::new(),
            given_up: Vec::new(),
            highest_sequence: start_sequence.saturating_sub(1),
            highest_epoch: epoch,
        }
    }

    /// Looks at the block at `place`; `bytes` begins with it.
    pub fn look_at(&mut self, bytes: &[u8], place: Place) {
        if is_given_up(bytes, &self.key, self.journal, self.epoch, place) {
            self.given_up.push(place);
            return;
        }
        let Some(header) = read_header(bytes, &self.key, self.journal, &self.shape, place) else {
            return;
        };
        self.highest_sequence = self.highest_sequence.max(header.id.sequence);
        self.highest_epoch = self.highest_epoch.max(header.id.epoch);
        if header.id.epoch == self.epoch && header.id.sequence >= self.start_sequence {
            self.headers.push(header);
        }
    }

    /// Headers that count so far.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.headers.len()
    }

    /// Whether no header counts so far.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.headers.is_empty()
    }

    /// Highest sequence ever seen, in any epoch.
    #[must_use]
    pub const fn highest_sequence(&self) -> u64 {
        self.highest_sequence
    }

    /// Highest epoch ever seen.
    #[must_use]
    pub const fn highest_epoch(&self) -> u64 {
        self.highest_epoch
    }

    /// Ends the collection: everything at or below the result was resolved.
    #[must_use]
    pub fn resolved_at_least(&mut self, checkpoint_mark: u64) -> u64 {
        self.headers
            .sort_unstable_by_key(|header| header.id.sequence);
        self.headers
            .iter()
            .map(|header| header.id.mark)
            .fold(checkpoint_mark, u64::max)
    }

    fn with_sequence(&self, sequence: u64) -> Option<&FoundHeader> {
        let index = self
            .headers
            .binary_search_by_key(&sequence, |header| header.id.sequence)
            .ok()?;
        self.headers.get(index)
    }

    fn first_from(&self, sequence: u64) -> Option<&FoundHeader> {
        let index = self
            .headers
            .partition_point(|header| header.id.sequence < sequence);
        self.headers.get(index)
    }

    /// Whether some block of these bytes of the ring was given up.
    fn is_given_up(&self, from: Place, length: u64) -> bool {
        let end = from.position + length;
        self.given_up.iter().any(|place| {
            place.file == from.file && place.position >= from.position && place.position < end
        })
    }

    /// Headers above `sequence`.
    fn count_above(&self, sequence: u64) -> usize {
        let index = self
            .headers
            .partition_point(|header| header.id.sequence <= sequence);
        self.headers.len() - index
    }
}

/// A commit that must be looked at next, and where the walk stands.
#[derive(Debug)]
pub struct Walk<'a> {
    evidence: &'a Evidence,
    resolved: u64,
    next_sequence: u64,
    /// Place and predecessor's check, unless the predecessor is lost.
    expected: Option<(Place, Check)>,
}

/// What comes next in the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// This commit continues the chain: read and check its content, then `accept` it, or call
    /// `content_is_damaged`.
    Commit(FoundHeader),
    /// Sequences `[from, to)` were resolved and are lost; `to` may be read.
    Lost {
        /// First lost sequence.
        from: u64,
        /// First sequence that is there again.
        to: u64,
    },
    /// Sequences from `from` to the last resolved one are lost, nothing is behind them; or what lay
    /// at the journal's end was given up.
    LostTail {
        /// First lost sequence.
        from: u64,
        /// Last that is known of.
        last: u64,
    },
    /// The journal ends before this sequence.
    End {
        /// First sequence that does not count.
        cut: u64,
        /// Commits behind it whose headers are whole and which are discarded.
        discarded: usize,
    },
}

/// More commits above the last mark than the window allows: the writer broke its rule, or the
/// evidence of acknowledged commits is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{found} whole commits lie above the last mark {mark}, at most {COMMITS_IN_FLIGHT_MAX} can"
)]
pub struct WindowBroken {
    /// How many there are.
    pub found: usize,
    /// The last mark.
    pub mark: u64,
}

impl<'a> Walk<'a> {
    /// A walk from the checkpoint's start place. `resolved` is the result of
    /// [`Evidence::resolved_at_least`].
    ///
    /// # Errors
    /// When the evidence contradicts the window.
    pub fn new(
        evidence: &'a Evidence,
        start: Place,
        previous: Check,
        resolved: u64,
    ) -> Result<Self, WindowBroken> {
        let found = evidence.count_above(resolved);
        if found > COMMITS_IN_FLIGHT_MAX as usize {
            return Err(WindowBroken {
                found,
                mark: resolved,
            });
        }
        Ok(Self {
            evidence,
            resolved,
            next_sequence: evidence.start_sequence,
            expected: Some((start, previous)),
        })
    }

    /// What comes next.
    pub fn step(&mut self) -> Step {
        let sequence = self.next_sequence;
        let fits = |header: &&FoundHeader| {
            self.expected.is_none_or(|(place, previous)| {
                header.id.place == place && header.id.previous == previous
            })
        };
        if let Some(header) = self.evidence.with_sequence(sequence).filter(fits) {
            return Step::Commit(*header);
        }
        self.broken_at(sequence)
    }

    /// The commit of the last step counts.
    pub fn accept(&mut self, header: &FoundHeader) {
        self.next_sequence = header.id.sequence + 1;
        let next = self.evidence.shape.after(header.id.place, header.length);
        self.expected = Some((next, header.check));
    }

    /// The content of the commit of the last step fails its check. Resolved: its names may still
    /// be used, and the walk goes on behind it. Else the journal ends before it.
    pub fn content_is_damaged(&mut self, header: &FoundHeader) -> Step {
        if header.id.sequence <= self.resolved && !is_cut_despite_mark() {
            self.accept(header);
            return Step::Lost {
                from: header.id.sequence,
                to: header.id.sequence + 1,
            };
        }
        if crate::planted::is(crate::planted::Bug::ResumeBehindHole) {
            self.accept(header);
            return self.step();
        }
        if self.evidence.is_given_up(header.id.place, header.length) {
            return self.lost_end(header.id.sequence);
        }
        self.end(header.id.sequence)
    }

    fn broken_at(&mut self, sequence: u64) -> Step {
        let next = self.evidence.first_from(sequence + 1);
        if sequence <= self.resolved && !is_cut_despite_mark() {
            self.expected = None;
            if let Some(next) = next {
                let to = next.id.sequence;
                self.next_sequence = to;
                return Step::Lost { from: sequence, to };
            }
            self.next_sequence = self.resolved + 1;
            return Step::LostTail {
                from: sequence,
                last: self.resolved,
            };
        }
        if crate::planted::is(crate::planted::Bug::ResumeBehindHole)
            && let Some(next) = next
        {
            self.expected = None;
            self.next_sequence = next.id.sequence;
            return Step::Commit(*next);
        }
        if let Some((place, _)) = self.expected
            && self.evidence.is_given_up(place, BLOCK_BYTES)
        {
            return self.lost_end(sequence);
        }
        self.end(sequence)
    }

    /// Where the journal ends something was given up: what was there, and how much followed it,
    /// nothing tells.
    fn lost_end(&mut self, sequence: u64) -> Step {
        self.expected = None;
        self.next_sequence = sequence.max(self.evidence.highest_sequence) + 1;
        Step::LostTail {
            from: sequence,
            last: sequence,
        }
    }

    fn end(&self, sequence: u64) -> Step {
        Step::End {
            cut: sequence,
            discarded: self.evidence.count_above(sequence),
        }
    }
}

fn is_cut_despite_mark() -> bool {
    crate::planted::is(crate::planted::Bug::CutDespiteMark)
}

#[cfg(test)]
mod tests {
    use super::{Evidence, Step, Walk};
    use crate::ids::{JournalId, PartitionHandle};
    use crate::journal::check::JournalKey;
    use crate::journal::format::{
        COMMIT_HEADER_BYTES, CommitId, Entry, Kind, TableBuilder, seal_commit,
    };
    use crate::journal::given_up::given_up_block;
    use crate::journal::ring::{Place, RingShape};
    use crate::planted::{Bug, plant};

    const KEY: JournalKey = JournalKey([3; 16]);
    const SHAPE: RingShape = RingShape {
        files: 4,
        file_bytes: 256 * 1024,
    };
    const EPOCH: u64 = 7;
    const START: Place = Place {
        file: 1,
        position: 0,
    };

    /// A ring of commits, each of one block, and their headers' places.
    struct Ring {
        blocks: Vec<(Place, Vec<u8>)>,
    }

    impl Ring {
        /// Commits 10, 11, … whose marks are given.
        fn with_marks(marks: &[u64]) -> Self {
            let mut blocks = Vec::new();
            let mut place = START;
            let mut previous = KEY.seed(0, EPOCH);
            for (index, mark) in marks.iter().enumerate() {
                let mut table = TableBuilder::default();
                table.push(
                    Entry::control(Kind::Delete, PartitionHandle(1), 0),
                    &[],
                    &[],
                );
                let mut commit = vec![0; COMMIT_HEADER_BYTES];
                commit.extend_from_slice(table.table());
                commit.resize(4096, 0);
                let id = CommitId {
                    journal: JournalId(0),
                    epoch: EPOCH,
                    sequence: 10 + index as u64,
                    previous,
                    place,
                    mark: *mark,
                };
                previous = seal_commit(&mut commit, &KEY, &id, &table, 0);
                blocks.push((place, commit));
                place = SHAPE.after(place, 4096);
            }
            Self { blocks }
        }

        fn break_header(&mut self, sequence: u64) {
            self.blocks[(sequence - 10) as usize].1[50] ^= 1;
        }

        fn evidence(&self) -> Evidence {
            let mut evidence = Evidence::new(KEY, JournalId(0), SHAPE, EPOCH, 10);
            for (place, block) in &self.blocks {
                evidence.look_at(block, *place);
            }
            evidence
        }

        /// The sequences that count, and the last step.
        fn walk(&self) -> (Vec<u64>, Vec<Step>) {
            let mut evidence = self.evidence();
            let resolved = evidence.resolved_at_least(9);
            let mut walk = Walk::new(&evidence, START, KEY.seed(0, EPOCH), resolved).unwrap();
            let mut counted = Vec::new();
            let mut others = Vec::new();
            loop {
                match walk.step() {
                    Step::Commit(header) => {
                        counted.push(header.id.sequence);
                        walk.accept(&header);
                    }
                    end @ Step::End { .. } => {
                        others.push(end);
                        return (counted, others);
                    }
                    lost => others.push(lost),
                }
            }
        }
    }

    #[test]
    fn a_whole_chain_counts_to_its_end() {
        let (counted, steps) = Ring::with_marks(&[9, 10, 11]).walk();
        assert_eq!(counted, [10, 11, 12]);
        let end = Step::End {
            cut: 13,
            discarded: 0,
        };
        assert_eq!(steps, [end]);
    }

    #[test]
    fn a_hole_above_every_mark_cuts_the_whole_commits_behind_it() {
        let mut ring = Ring::with_marks(&[9, 10, 10, 10, 10]);
        ring.break_header(12);
        let (counted, steps) = ring.walk();
        assert_eq!(counted, [10, 11]);
        let end = Step::End {
            cut: 12,
            discarded: 2,
        };
        assert_eq!(steps, [end]);
        let _bug = plant(Bug::ResumeBehindHole);
        assert_eq!(ring.walk().0, [10, 11, 13, 14]);
    }

    #[test]
    fn a_broken_commit_below_a_mark_is_rot_and_the_walk_goes_on() {
        let mut ring = Ring::with_marks(&[9, 10, 11, 12, 13]);
        ring.break_header(11);
        let (counted, steps) = ring.walk();
        assert_eq!(counted, [10, 12, 13, 14]);
        assert_eq!(steps[0], Step::Lost { from: 11, to: 12 });
        let _bug = plant(Bug::CutDespiteMark);
        assert_eq!(ring.walk().0, [10]);
    }

    #[test]
    fn rot_of_the_last_resolved_commit_is_told_by_an_idle_mark() {
        let mut ring = Ring::with_marks(&[9, 10, 11]);
        ring.break_header(11);
        let (counted, steps) = ring.walk();
        assert_eq!(counted, [10, 12]);
        assert_eq!(steps[0], Step::Lost { from: 11, to: 12 });
    }

    #[test]
    fn commits_of_another_epoch_or_behind_another_chain_do_not_count() {
        let ring = Ring::with_marks(&[9, 10]);
        let mut evidence = ring.evidence();
        let resolved = evidence.resolved_at_least(9);
        let mut walk = Walk::new(&evidence, START, KEY.seed(0, EPOCH + 1), resolved).unwrap();
        assert!(!matches!(walk.step(), Step::Commit(_)));
        let mut later = Evidence::new(KEY, JournalId(0), SHAPE, EPOCH + 1, 10);
        for (place, block) in &ring.blocks {
            later.look_at(block, *place);
        }
        assert_eq!(later.resolved_at_least(9), 9);
        assert_eq!(later.highest_sequence(), 11);
        let mut walk = Walk::new(&later, START, KEY.seed(0, EPOCH + 1), 9).unwrap();
        let end = Step::End {
            cut: 10,
            discarded: 0,
        };
        assert_eq!(walk.step(), end);
    }

    #[test]
    fn a_block_given_up_at_the_journals_end_is_a_loss_and_no_cut() {
        let mut ring = Ring::with_marks(&[9, 10, 11, 11]);
        let place = ring.blocks[3].0;
        ring.blocks[3].1 = given_up_block(&KEY, JournalId(0), EPOCH, place).to_vec();
        let (counted, steps) = ring.walk();
        assert_eq!(counted, [10, 11, 12]);
        let lost = Step::LostTail { from: 13, last: 13 };
        assert_eq!(steps[0], lost);
        assert!(matches!(steps[1], Step::End { .. }));
        // One of an epoch before is no more than what lay there.
        ring.blocks[3].1 = given_up_block(&KEY, JournalId(0), EPOCH - 1, place).to_vec();
        assert!(matches!(ring.walk().1[..], [Step::End { .. }]));
    }

    #[test]
    fn more_commits_above_the_mark_than_the_window_are_refused() {
        let ring = Ring::with_marks(&[9, 9, 9, 9, 9]);
        let mut evidence = ring.evidence();
        let resolved = evidence.resolved_at_least(9);
        assert!(Walk::new(&evidence, START, KEY.seed(0, EPOCH), resolved).is_err());
    }
}
