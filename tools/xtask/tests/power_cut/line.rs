//! What a station is told and what it says, a line a thing.

use crate::account::{Content, Verdict};
use std::fmt;
use xtask::images::cut::Tally;

/// What a station is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// Make the recording of a seed, and so many images of it.
    Seed { seed: u64, images: u64 },
    /// Look at one image again, of a recording that was kept.
    Replay { seed: u64, image: u64 },
}

impl Task {
    pub(crate) const fn seed(self) -> u64 {
        let (Self::Seed { seed, .. } | Self::Replay { seed, .. }) = self;
        seed
    }

    pub(crate) fn read(line: &str) -> Option<Self> {
        let (kind, numbers) = line.split_once(' ')?;
        let (seed, number) = numbers.split_once(' ')?;
        let (seed, number) = (seed.parse().ok()?, number.parse().ok()?);
        match kind {
            "seed" => Some(Self::Seed {
                seed,
                images: number,
            }),
            "replay" => Some(Self::Replay {
                seed,
                image: number,
            }),
            _ => None,
        }
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seed { seed, images } => write!(f, "seed {seed} {images}"),
            Self::Replay { seed, image } => write!(f, "replay {seed} {image}"),
        }
    }
}

/// What a station says.
#[derive(Clone, Debug)]
pub(crate) enum Line {
    Ready,
    /// An image is done.
    Image,
    Problem(String),
    /// A seed is done.
    Done(Sum),
}

/// Sums over images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sum {
    pub(crate) images: u64,
    pub(crate) checked: u64,
    pub(crate) lost: u64,
    pub(crate) others: u64,
    pub(crate) writes_lost: u64,
    pub(crate) writes_torn: u64,
    pub(crate) noisy_blocks: u64,
    pub(crate) cut_again: u64,
    pub(crate) retried: u64,
    /// Partitions whose log start had moved.
    pub(crate) trimmed: u64,
    pub(crate) partitions: u64,
}

impl Sum {
    fn numbers(&mut self) -> [&mut u64; 11] {
        [
            &mut self.images,
            &mut self.checked,
            &mut self.lost,
            &mut self.others,
            &mut self.writes_lost,
            &mut self.writes_torn,
            &mut self.noisy_blocks,
            &mut self.cut_again,
            &mut self.retried,
            &mut self.trimmed,
            &mut self.partitions,
        ]
    }

    pub(crate) fn add(&mut self, other: &Self) {
        let mut other = *other;
        for (sum, number) in self.numbers().into_iter().zip(other.numbers()) {
            *sum += *number;
        }
    }

    pub(crate) const fn add_tally(&mut self, tally: &Tally) {
        self.writes_lost += tally.lost;
        self.writes_torn += tally.torn;
        self.noisy_blocks += tally.noisy_blocks;
    }

    pub(crate) const fn add_verdict(&mut self, verdict: &Verdict) {
        self.checked += verdict.checked;
        self.lost += verdict.lost;
        self.others += verdict.others;
    }

    pub(crate) fn add_content(&mut self, content: &Content) {
        self.partitions += content.len() as u64;
        self.trimmed += content.values().filter(|(start, _)| *start > 0).count() as u64;
    }

    /// What a long run went through, and must have.
    pub(crate) const fn marks(&self) -> [(&'static str, u64); 6] {
        [
            ("unflushed writes lost", self.writes_lost),
            ("unflushed writes torn", self.writes_torn),
            ("blocks with noise", self.noisy_blocks),
            ("cuts during recovery", self.cut_again),
            ("batches sent again", self.retried),
            ("partitions with retention at work", self.trimmed),
        ]
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready => write!(f, "ready"),
            Self::Image => write!(f, "image"),
            Self::Problem(text) => write!(f, "problem {text}"),
            Self::Done(sum) => {
                write!(f, "done")?;
                let mut sum = *sum;
                sum.numbers()
                    .iter()
                    .try_for_each(|number| write!(f, " {number}"))
            }
        }
    }
}

impl Line {
    pub(crate) fn read(line: &str) -> Self {
        match line.split_once(' ').unwrap_or((line, "")) {
            ("ready", "") => Self::Ready,
            ("image", "") => Self::Image,
            ("done", numbers) => {
                let mut sum = Sum::default();
                for (place, number) in sum.numbers().into_iter().zip(numbers.split(' ')) {
                    *place = number.parse().unwrap_or(0);
                }
                Self::Done(sum)
            }
            ("problem", text) => Self::Problem(text.to_owned()),
            _ => Self::Problem(line.to_owned()),
        }
    }
}
