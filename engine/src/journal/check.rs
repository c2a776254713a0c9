//! The keyed check of commit headers and checkpoints: SipHash-2-4 with a 128-bit result.
//!
//! Recovery searches blocks that may hold bytes which clients chose. The key is random, made when
//! the data directory is formatted and never leaves it, so nobody can compose a block that
//! passes. The function is small enough to own (no dependency) and is tested against the
//! reference vectors of its authors.

/// The secret of one data directory.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct JournalKey(pub [u8; 16]);

impl std::fmt::Debug for JournalKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JournalKey(secret)")
    }
}

/// A 128-bit check.
pub type Check = [u8; 16];

impl JournalKey {
    /// The check of all `parts`, read one behind the other.
    #[must_use]
    pub fn check(&self, parts: &[&[u8]]) -> Check {
        let mut state = SipHash::new(&self.0);
        for part in parts {
            state.update(part);
        }
        state.finish()
    }

    /// What stands in for the check of a predecessor in the first commit of an epoch.
    #[must_use]
    pub fn seed(&self, journal: u16, epoch: u64) -> Check {
        self.check(&[
            b"millrace epoch",
            &journal.to_le_bytes(),
            &epoch.to_le_bytes(),
        ])
    }
}

struct SipHash {
    v: [u64; 4],
    pending: [u8; 8],
    pending_len: usize,
    total: u64,
}

impl SipHash {
    fn new(key: &[u8; 16]) -> Self {
        let k0 = u64::from_le_bytes(first_8(&key[..8]));
        let k1 = u64::from_le_bytes(first_8(&key[8..]));
        Self {
            v: [
                k0 ^ 0x736f_6d65_7073_6575,
                k1 ^ 0x646f_7261_6e64_6f6d ^ 0xee,
                k0 ^ 0x6c79_6765_6e65_7261,
                k1 ^ 0x7465_6462_7974_6573,
            ],
            pending: [0; 8],
            pending_len: 0,
            total: 0,
        }
    }

    fn round(&mut self) {
        let [v0, v1, v2, v3] = &mut self.v;
        *v0 = v0.wrapping_add(*v1);
        *v1 = v1.rotate_left(13) ^ *v0;
        *v0 = v0.rotate_left(32);
        *v2 = v2.wrapping_add(*v3);
        *v3 = v3.rotate_left(16) ^ *v2;
        *v0 = v0.wrapping_add(*v3);
        *v3 = v3.rotate_left(21) ^ *v0;
        *v2 = v2.wrapping_add(*v1);
        *v1 = v1.rotate_left(17) ^ *v2;
        *v2 = v2.rotate_left(32);
    }

    fn word(&mut self, word: u64) {
        self.v[3] ^= word;
        self.round();
        self.round();
        self.v[0] ^= word;
    }

    fn update(&mut self, mut bytes: &[u8]) {
        self.total = self.total.wrapping_add(bytes.len() as u64);
        if self.pending_len > 0 {
            let take = bytes.len().min(8 - self.pending_len);
            self.pending[self.pending_len..self.pending_len + take].copy_from_slice(&bytes[..take]);
            self.pending_len += take;
            bytes = &bytes[take..];
            if self.pending_len < 8 {
                return;
            }
            self.word(u64::from_le_bytes(self.pending));
            self.pending_len = 0;
        }
        let mut words = bytes.chunks_exact(8);
        for word in words.by_ref() {
            self.word(u64::from_le_bytes(first_8(word)));
        }
        let rest = words.remainder();
        self.pending[..rest.len()].copy_from_slice(rest);
        self.pending_len = rest.len();
    }

    fn finish(mut self) -> Check {
        let mut last = [0; 8];
        last[..self.pending_len].copy_from_slice(&self.pending[..self.pending_len]);
        last[7] = self.total.to_le_bytes()[0];
        self.word(u64::from_le_bytes(last));
        self.v[2] ^= 0xee;
        for _ in 0..4 {
            self.round();
        }
        let low = self.v[0] ^ self.v[1] ^ self.v[2] ^ self.v[3];
        self.v[1] ^= 0xdd;
        for _ in 0..4 {
            self.round();
        }
        let high = self.v[0] ^ self.v[1] ^ self.v[2] ^ self.v[3];
        let mut check = [0; 16];
        check[..8].copy_from_slice(&low.to_le_bytes());
        check[8..].copy_from_slice(&high.to_le_bytes());
        check
    }
}

/// The first 8 bytes of a slice that has them.
fn first_8(bytes: &[u8]) -> [u8; 8] {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[..8]);
    word
}

#[cfg(test)]
mod tests {
    use super::JournalKey;

    fn reference_key() -> JournalKey {
        let mut key = [0; 16];
        for (index, byte) in key.iter_mut().enumerate() {
            *byte = index as u8;
        }
        JournalKey(key)
    }

    #[test]
    fn it_gives_the_reference_vectors_of_siphash_2_4_128() {
        let key = reference_key();
        assert_eq!(
            key.check(&[]),
            [
                0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6, 0x6d, 0xf6, 0x72, 0x14, 0xc7, 0x55,
                0x02, 0x93
            ]
        );
        assert_eq!(
            key.check(&[&[0]]),
            [
                0xda, 0x87, 0xc1, 0xd8, 0x6b, 0x99, 0xaf, 0x44, 0x34, 0x76, 0x59, 0x11, 0x9b, 0x22,
                0xfc, 0x45
            ]
        );
    }

    #[test]
    fn how_the_bytes_are_cut_into_parts_does_not_matter() {
        let key = reference_key();
        let bytes: Vec<u8> = (0..100).collect();
        let whole = key.check(&[&bytes]);
        for cut in 0..bytes.len() {
            let (front, back) = bytes.split_at(cut);
            let (middle, end) = back.split_at(back.len() / 2);
            assert_eq!(key.check(&[front, middle, end]), whole, "cut at {cut}");
        }
    }

    #[test]
    fn another_key_or_another_byte_gives_another_check() {
        let key = reference_key();
        let other = JournalKey([7; 16]);
        assert_ne!(key.check(&[b"abc"]), other.check(&[b"abc"]));
        assert_ne!(key.check(&[b"abc"]), key.check(&[b"abd"]));
        assert_ne!(key.seed(1, 1), key.seed(1, 2));
        assert_ne!(key.seed(1, 1), key.seed(2, 1));
    }
}
