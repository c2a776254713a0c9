//! Checksum of two pieces from the checksums of each, without looking at the bytes again.
//!
//! A crc is a remainder of polynomials over GF(2): behind `n` more bytes it is multiplied by
//! x^(8n). The powers x^(2^k) are computed at compile time, so a join costs one multiplication
//! for each set bit of the length; the general one of the `crc32c` crate squares matrices.

/// The polynomial of CRC-32C, bits reflected.
const POLYNOMIAL: u32 = 0x82f6_3b78;
/// x^0 in the reflected order of bits.
const ONE: u32 = 1 << 31;

/// `x^(2^k)` modulo the polynomial, for each bit `k` of a length in bits below 2^35.
const POWERS: [u32; 35] = powers();

const fn powers() -> [u32; 35] {
    let mut powers = [0; 35];
    powers[0] = ONE >> 1;
    let mut k = 1;
    while k < powers.len() {
        powers[k] = multiply(powers[k - 1], powers[k - 1]);
        k += 1;
    }
    powers
}

/// Product modulo the polynomial.
const fn multiply(a: u32, mut b: u32) -> u32 {
    let mut product = 0;
    let mut bit = ONE;
    while bit != 0 {
        // The masks keep it free of branches, which would be taken at random.
        product ^= b & 0_u32.wrapping_sub((a & bit != 0) as u32);
        b = (b >> 1) ^ (POLYNOMIAL & 0_u32.wrapping_sub(b & 1));
        bit >>= 1;
    }
    product
}

/// The crc32c of `first` followed by `second`, which has `second_bytes` bytes (32 bits of them).
#[must_use]
pub(crate) fn join(first: u32, second: u32, second_bytes: u32) -> u32 {
    let mut shifted = first;
    let mut left = second_bytes;
    while left != 0 {
        // Bytes are eight bits: the power of bit k of their count is number k + 3.
        let k = left.trailing_zeros() as usize + 3;
        shifted = multiply(POWERS[k], shifted);
        left &= left - 1;
    }
    shifted ^ second
}

#[cfg(test)]
mod tests {
    use super::join;

    #[test]
    fn a_join_is_the_checksum_of_both_pieces_together() {
        let bytes: Vec<u8> = (0..70_000_u32).map(|i| (i * 31 % 251) as u8).collect();
        for end in [0, 1, 2, 3, 40, 4095, 4096, 65_535, 65_536, 70_000] {
            for cut in [0, 1, 39, 512, 4096, 65_000] {
                let Some(second) = bytes[..end].get(cut..) else {
                    continue;
                };
                let joined = join(
                    crc32c::crc32c(&bytes[..cut]),
                    crc32c::crc32c(second),
                    second.len() as u32,
                );
                assert_eq!(joined, crc32c::crc32c(&bytes[..end]), "{cut} of {end}");
            }
        }
    }

    #[test]
    fn joins_agree_with_the_general_method_for_lengths_of_any_size() {
        for bytes in [1, 1 << 16, (1 << 20) + 7, 0x7fff_ffff, u32::MAX] {
            let general = crc32c::crc32c_combine(0x1234_5678, 0x9abc_def0, bytes as usize);
            assert_eq!(join(0x1234_5678, 0x9abc_def0, bytes), general, "{bytes}");
        }
    }
}
