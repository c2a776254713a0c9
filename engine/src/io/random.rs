//! Random bits from the operating system, a page of them per system call.
#![expect(unsafe_code, reason = "getrandom fills memory")]

const WORDS: usize = 32;

#[derive(Debug)]
pub(super) struct SystemRandom {
    words: [u64; WORDS],
    left: usize,
}

impl SystemRandom {
    pub(super) const fn new() -> Self {
        Self {
            words: [0; WORDS],
            left: 0,
        }
    }

    pub(super) fn next_u64(&mut self) -> u64 {
        if self.left == 0 {
            let bytes = size_of_val(&self.words);
            // SAFETY: writes `bytes` bytes of an array of that size; any bits are valid words.
            let got = unsafe { libc::getrandom(self.words.as_mut_ptr().cast(), bytes, 0) };
            // Up to 256 bytes come whole or not at all, and not at all only on ancient kernels.
            assert_eq!(usize::try_from(got), Ok(bytes), "getrandom gave no bits");
            self.left = WORDS;
        }
        self.left -= 1;
        self.words[self.left]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_differ_across_refills() {
        let mut random = SystemRandom::new();
        let mut words: Vec<_> = (0..4 * WORDS).map(|_| random.next_u64()).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), 4 * WORDS);
    }
}
