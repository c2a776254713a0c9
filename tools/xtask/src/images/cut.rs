//! What a power cut makes of the writes that no flush covers.
//!
//! Each of them is there, is not there, or is torn: at 512 bytes or 4 KiB, with new, old or noise
//! content. Noise and tears within a block hit blocks of data alone ([`Extents`]): the file system
//! is assumed to find each of its own blocks whole, old or new, as it does itself.
//! Whatever follows a write in time may be there without it, which is what reordering leaves.

use super::blocks::{BLOCK_BYTES, Blocks, pieces};
use super::dice::Dice;
use super::{Event, Recording};

const SECTOR_BYTES: usize = 512;

/// Stretches of a disk, in blocks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extents {
    /// First block and the one behind the last, ascending, without overlap.
    stretches: Vec<(u64, u64)>,
}

impl Extents {
    /// Of stretches in any order, each its first block and the one behind its last.
    #[must_use]
    pub fn new(mut stretches: Vec<(u64, u64)>) -> Self {
        stretches.sort_unstable();
        Self { stretches }
    }

    /// Whether they hold `block`.
    #[must_use]
    pub fn holds(&self, block: u64) -> bool {
        let behind = self.stretches.partition_point(|&(first, _)| first <= block);
        behind > 0 && block < self.stretches[behind - 1].1
    }

    /// The stretches.
    #[must_use]
    pub fn stretches(&self) -> &[(u64, u64)] {
        &self.stretches
    }
}

/// What became of the writes that were not flushed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// There whole.
    pub kept: u64,
    /// Not there.
    pub lost: u64,
    /// There in part.
    pub torn: u64,
    /// Blocks with noise in them.
    pub noisy_blocks: u64,
}

/// What a cut does to all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    Keep,
    Lose,
    /// Those up to one are kept, that one is torn, the rest are lost.
    Prefix,
    /// One is kept, or torn, or lost without the others.
    One,
    /// Each by itself.
    Each,
    Tear,
}

const MANNERS: [Manner; 8] = [
    Manner::Keep,
    Manner::Lose,
    Manner::Prefix,
    Manner::One,
    Manner::Each,
    Manner::Each,
    Manner::Each,
    Manner::Tear,
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Kept,
    Lost,
    Torn,
}

impl Recording {
    /// The disk after a power cut behind the first `events` events. The same seed gives the same
    /// disk.
    ///
    /// # Panics
    /// When there are fewer events.
    pub fn image(&mut self, events: usize, seed: u64, data: &Extents) -> (Blocks, Tally) {
        let volatile = self.volatile(events);
        let floor = volatile.first().copied().unwrap_or(events);
        let mut image = Image {
            disk: self.durable(floor),
            dice: Dice::new(seed, 1),
            data,
            tally: Tally::default(),
        };
        let manner = MANNERS[image.dice.below(MANNERS.len() as u64) as usize];
        let chosen = image.dice.below(volatile.len() as u64) as usize;
        let mut left = volatile.iter().enumerate().peekable();
        for (index, event) in self.events()[floor..events].iter().enumerate() {
            let Event::Write { position, bytes } = event else {
                continue;
            };
            match left.next_if(|&(_, &at)| at == floor + index) {
                None => image.disk.write(*position, bytes),
                Some((nth, _)) => {
                    let fate = image.fate(manner, nth.cmp(&chosen));
                    image.write(fate, *position, bytes);
                }
            }
        }
        (image.disk, image.tally)
    }

    /// Which of the first `events` events are writes that none of them flushed, ascending.
    fn volatile(&self, events: usize) -> Vec<usize> {
        let mut volatile = Vec::new();
        // For each stretch: the events that its flushes behind this point cover.
        let mut flushed: Vec<(std::ops::Range<u64>, usize)> = Vec::new();
        for (index, event) in self.events()[..events].iter().enumerate().rev() {
            match event {
                Event::Flush {
                    first,
                    behind,
                    covers,
                } => {
                    let range = *first..*behind;
                    match flushed.iter_mut().find(|known| known.0 == range) {
                        Some(known) => known.1 = known.1.max(*covers),
                        None => flushed.push((range, *covers)),
                    }
                }
                Event::Write { position, .. } => {
                    let is_covered = |(range, covers): &(std::ops::Range<u64>, usize)| {
                        *covers > index && range.contains(position)
                    };
                    if !flushed.iter().any(is_covered) {
                        volatile.push(index);
                    }
                }
            }
        }
        volatile.reverse();
        volatile
    }
}

struct Image<'a> {
    disk: Blocks,
    dice: Dice,
    data: &'a Extents,
    tally: Tally,
}

impl Image<'_> {
    fn fate(&mut self, manner: Manner, to_chosen: std::cmp::Ordering) -> Fate {
        match (manner, to_chosen) {
            (Manner::Keep, _) | (Manner::Prefix, std::cmp::Ordering::Less) => Fate::Kept,
            (Manner::Lose, _) | (Manner::Prefix, std::cmp::Ordering::Greater) => Fate::Lost,
            (Manner::Tear, _) | (Manner::Prefix, std::cmp::Ordering::Equal) => Fate::Torn,
            (Manner::One, std::cmp::Ordering::Equal) if self.dice.chance(1, 2) => Fate::Kept,
            (Manner::One, std::cmp::Ordering::Equal) => Fate::Torn,
            (Manner::One, _) => Fate::Lost,
            (Manner::Each, _) => match self.dice.below(4) {
                0 => Fate::Lost,
                1 => Fate::Torn,
                _ => Fate::Kept,
            },
        }
    }

    fn write(&mut self, fate: Fate, position: u64, bytes: &[u8]) {
        match fate {
            Fate::Lost => self.tally.lost += 1,
            Fate::Kept => {
                self.tally.kept += 1;
                self.disk.write(position, bytes);
            }
            Fate::Torn => {
                self.tally.torn += 1;
                self.tear(position, bytes);
            }
        }
    }

    fn tear(&mut self, position: u64, bytes: &[u8]) {
        let grain = match self.dice.chance(1, 2) {
            true => SECTOR_BYTES,
            false => BLOCK_BYTES,
        };
        let has_noise = self.dice.chance(1, 2);
        for (block, _, piece) in pieces(position, bytes.len()) {
            if !self.data.holds(block as u64) {
                if self.dice.chance(1, 2) {
                    self.disk
                        .write(position + piece.start as u64, &bytes[piece]);
                }
                continue;
            }
            let mut is_noisy = false;
            for start in piece.clone().step_by(grain) {
                let part = start..piece.end.min(start + grain);
                let position = position + start as u64;
                match self.dice.below(4) {
                    0 if has_noise => {
                        let mut noise = vec![0; part.len()];
                        self.dice.fill(&mut noise);
                        self.disk.write(position, &noise);
                        is_noisy = true;
                    }
                    0 | 1 => {}
                    _ => self.disk.write(position, &bytes[part]),
                }
            }
            self.tally.noisy_blocks += u64::from(is_noisy);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{flush, write};
    use super::*;

    /// Two flushed blocks of 1, then a write of 2 over both and one more that is not flushed.
    fn recording() -> Recording {
        let mut recording = Recording::new(Blocks::new(4 * 4096));
        recording.add(write(0, 1, 8192));
        recording.add(flush(1));
        recording.add(write(0, 2, 12_288));
        recording.add(write(12_288, 3, 4096));
        recording
    }

    fn bytes(disk: &Blocks) -> Vec<u8> {
        let mut bytes = vec![0; 4 * 4096];
        disk.read(0, &mut bytes);
        bytes
    }

    #[test]
    fn what_was_flushed_is_there_and_what_comes_later_is_not() {
        for seed in 0..50 {
            let (disk, tally) = recording().image(2, seed, &Extents::default());
            assert!(bytes(&disk)[..8192].iter().all(|&byte| byte == 1));
            assert!(bytes(&disk)[8192..].iter().all(|&byte| byte == 0));
            assert_eq!(tally, Tally::default());
        }
    }

    #[test]
    fn a_seed_gives_the_same_image_every_time_also_after_others() {
        let data = Extents::new(vec![(0, 4)]);
        let mut used = recording();
        used.image(1, 7, &data);
        for seed in 0..20 {
            let (first, _) = recording().image(4, seed, &data);
            let (again, _) = used.image(4, seed, &data);
            assert_eq!(bytes(&first), bytes(&again));
        }
    }

    #[test]
    fn every_fate_is_met_and_the_later_write_may_be_there_alone() {
        let data = Extents::new(vec![(0, 4)]);
        let (mut alone, mut torn_in_block, mut noisy, mut kept) = (0, 0, 0, 0);
        for seed in 0..400 {
            let (disk, tally) = recording().image(4, seed, &data);
            let found = bytes(&disk);
            let old = found[..8192].iter().all(|&byte| byte == 1);
            alone += u32::from(old && found[12_288..].iter().all(|&byte| byte == 3));
            torn_in_block += u32::from(found[0] != found[512]);
            noisy += u32::from(tally.noisy_blocks > 0);
            kept += u32::from(tally.kept == 2);
        }
        assert!(alone > 0 && torn_in_block > 0 && noisy > 0 && kept > 0);
    }

    #[test]
    fn a_flush_covers_its_own_stretch_and_what_was_before_it_began() {
        let mut recording = Recording::new(Blocks::new(32 * 4096));
        recording.add(write(0, 1, 512));
        recording.add(write(4096, 1, 512));
        recording.add(flush(1));
        recording.add(write(65_536, 1, 512));
        recording.add(flush(3));
        recording.add(write(0, 2, 512));
        assert_eq!(recording.volatile(6), [3, 5]);
        assert_eq!(recording.volatile(4), [1, 3]);
        assert_eq!(recording.volatile(2), [0, 1]);
    }

    #[test]
    fn blocks_of_the_file_system_are_whole() {
        for seed in 0..400 {
            let (disk, tally) = recording().image(4, seed, &Extents::default());
            assert_eq!(tally.noisy_blocks, 0);
            for block in bytes(&disk).chunks(4096) {
                assert!(block.iter().all(|byte| *byte == block[0]), "seed {seed}");
            }
        }
    }

    #[test]
    fn extents_hold_their_blocks_and_no_others() {
        let extents = Extents::new(vec![(8, 9), (2, 4)]);
        let held: Vec<u64> = (0..12).filter(|&block| extents.holds(block)).collect();
        assert_eq!(held, [2, 3, 8]);
    }
}
