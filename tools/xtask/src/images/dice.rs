//! Numbers that follow from a seed.

/// A splitmix64 generator.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// One for each seed and purpose.
    #[must_use]
    pub const fn new(seed: u64, purpose: u64) -> Self {
        let mut mixer = Self(purpose);
        Self(seed ^ mixer.bits())
    }

    /// 64 bits.
    pub const fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, or 0 if that is 0.
    pub const fn below(&mut self, bound: u64) -> u64 {
        match self.bits().checked_rem(bound) {
            Some(number) => number,
            None => 0,
        }
    }

    /// A number of the range.
    pub const fn within(&mut self, range: &std::ops::Range<u64>) -> u64 {
        range.start + self.below(range.end - range.start)
    }

    /// True `times` of `of` times.
    pub const fn chance(&mut self, times: u64, of: u64) -> bool {
        self.below(of) < times
    }

    /// Fills `bytes`.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let word = self.bits().to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Dice;

    #[test]
    fn a_seed_and_a_purpose_give_the_same_numbers_every_time() {
        let numbers = |seed, purpose| {
            let mut dice = Dice::new(seed, purpose);
            [
                dice.bits(),
                dice.bits(),
                dice.below(10),
                dice.within(&(5..6)),
            ]
        };
        assert_eq!(numbers(1, 2), numbers(1, 2));
        assert_ne!(numbers(1, 2), numbers(2, 1));
        assert_eq!(numbers(3, 3)[3], 5);
        assert_eq!(Dice::new(0, 0).below(0), 0);
    }
}
