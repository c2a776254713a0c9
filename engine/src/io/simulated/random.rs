//! Small seeded random streams. One seed gives a run several streams that do not disturb each
//! other: a change in how often the network draws leaves the disk's choices as they were.

use std::ops::Range;

/// A xoshiro256** generator, seeded through splitmix64.
#[derive(Clone, Debug)]
pub struct Random {
    state: [u64; 4],
}

impl Random {
    /// The stream of `seed` with this `name`; different names give unrelated streams.
    #[must_use]
    pub fn stream(seed: u64, name: u64) -> Self {
        let mut x = seed ^ name.wrapping_mul(0xa076_1d64_78bd_642f);
        let state = std::array::from_fn(|_| {
            x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = x;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        });
        Self { state }
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        let s = &mut self.state;
        let result = s[1].wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        result
    }

    /// A number below `end`; 0 when `end` is 0.
    pub fn below(&mut self, end: u64) -> u64 {
        let wide = u128::from(self.bits()) * u128::from(end);
        (wide >> 64) as u64
    }

    /// A number of the range; its start when the range is empty.
    pub fn within(&mut self, range: &Range<u64>) -> u64 {
        range.start + self.below(range.end.saturating_sub(range.start))
    }

    /// True with a chance of `part` in `of`.
    pub fn chance(&mut self, part: u64, of: u64) -> bool {
        part > 0 && self.below(of) < part
    }

    /// True with a chance of `parts` in a million; draws nothing when that is 0, so that a fault
    /// switched off leaves the stream as it was.
    pub fn per_million(&mut self, parts: u32) -> bool {
        self.chance(u64::from(parts), 1_000_000)
    }

    /// Fills `bytes` with noise.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let noise = self.bits().to_le_bytes();
            chunk.copy_from_slice(&noise[..chunk.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Random;

    #[test]
    fn equal_seeds_give_equal_streams_and_names_separate_them() {
        let draw = |seed, name| {
            let mut random = Random::stream(seed, name);
            [random.bits(), random.bits(), random.bits()]
        };
        assert_eq!(draw(7, 1), draw(7, 1));
        assert_ne!(draw(7, 1), draw(7, 2));
        assert_ne!(draw(7, 1), draw(8, 1));
    }

    #[test]
    fn numbers_stay_in_their_range_and_reach_its_ends() {
        let mut random = Random::stream(1, 1);
        let mut seen = [false; 5];
        for _ in 0..200 {
            seen[(random.within(&(10..15)) - 10) as usize] = true;
        }
        assert_eq!(seen, [true; 5]);
        assert_eq!(random.within(&(3..3)), 3);
        assert!(!random.per_million(0));
        assert!(random.per_million(1_000_000));
    }
}
