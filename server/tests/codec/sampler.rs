//! A seeded source of field values.

use std::borrow::Cow;

use millrace_server::protocol::{List, Uuid, Version};

/// A small deterministic generator (xorshift), so that a failing seed can be run again.
pub(crate) struct Sampler {
    state: u64,
}

/// A type of which random values can be made.
pub(crate) trait Sample {
    fn sample(s: &mut Sampler, v: Version) -> Self;
}

impl Sampler {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
        }
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.number() % bound.max(1) as u64) as usize
    }

    pub(crate) fn value<T: Sample>(&mut self, v: Version) -> T {
        T::sample(self, v)
    }

    fn integer(&mut self) -> i64 {
        match self.below(5) {
            0 => 0,
            1 => -1,
            2 => i64::from(self.number() as u8),
            _ => self.number() as i64,
        }
    }
}

macro_rules! sample_integers {
    ($($integer:ty),+) => {$(
        impl Sample for $integer {
            fn sample(s: &mut Sampler, _v: Version) -> Self {
                s.integer() as $integer
            }
        }
    )+};
}

sample_integers!(i8, i16, i32, i64);

impl Sample for bool {
    fn sample(s: &mut Sampler, _v: Version) -> Self {
        s.below(2) == 1
    }
}

impl Sample for Uuid {
    fn sample(s: &mut Sampler, _v: Version) -> Self {
        Self(std::array::from_fn(|_| s.number() as u8))
    }
}

impl Sample for &'static str {
    fn sample(s: &mut Sampler, _v: Version) -> Self {
        const LONG: &str = "a string whose compact length takes two bytes because it is longer \
            than one hundred and twenty-six of them, which a varint of seven bits cannot say";
        ["", "x", "orders", "größer ☃", LONG][s.below(5)]
    }
}

impl Sample for Cow<'static, str> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        Cow::Borrowed(s.value(v))
    }
}

impl Sample for &'static [u8] {
    fn sample(s: &mut Sampler, _v: Version) -> Self {
        static BYTES: [u8; 300] = [0xa5; 300];
        &BYTES[..[0, 1, 61, 126, 127, 300][s.below(6)]]
    }
}

impl<T: Sample> Sample for Option<T> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        (s.below(4) > 0).then(|| s.value(v))
    }
}

impl<T: Sample> Sample for List<'static, T> {
    fn sample(s: &mut Sampler, v: Version) -> Self {
        (0..s.below(4)).map(|_| s.value(v)).collect()
    }
}
