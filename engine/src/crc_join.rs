//! Checksum of two pieces from the checksums of each, and of one piece from those of the other and
//! of both, without looking at the bytes again.
//!
//! A crc is a remainder of polynomials over GF(2): behind `n` more bytes it is multiplied by
//! x^(8n), and divided to take them away. The powers are computed at compile time for each value
//! of each byte of `n`, so a join costs one multiplication for each byte of it that is not 0; the
//! general one of the `crc32c` crate squares matrices.

/// The polynomial of CRC-32C, bits reflected.
const POLYNOMIAL: u32 = 0x82f6_3b78;
/// x^0 in the reflected order of bits.
const ONE: u32 = 1 << 31;

/// `[k][v]`: the factor of `v * 256^k` bytes.
type Factors = [[u32; 256]; 4];

static FACTORS: Factors = factors(power(ONE >> 1, 3));
/// The same for bytes that are taken away.
static INVERSE_FACTORS: Factors = factors(power(inverse_of_x(), 3));

/// `base^(2^squarings)`.
const fn power(mut base: u32, squarings: usize) -> u32 {
    let mut k = 0;
    while k < squarings {
        base = multiply(base, base);
        k += 1;
    }
    base
}

/// Of `one_byte`, the factor of one byte.
const fn factors(mut one_byte: u32) -> Factors {
    let mut factors = [[ONE; 256]; 4];
    let mut k = 0;
    while k < factors.len() {
        let mut value = 1;
        while value < 256 {
            factors[k][value] = multiply(factors[k][value - 1], one_byte);
            value += 1;
        }
        one_byte = power(one_byte, 8);
        k += 1;
    }
    factors
}

/// x^(2^31 - 2): the powers of x repeat after 2^31 - 1 of them, as the polynomial is x + 1 times a
/// primitive one of degree 31.
const fn inverse_of_x() -> u32 {
    let mut inverse = ONE;
    let mut square = ONE >> 1;
    let mut k = 1;
    while k < 31 {
        square = multiply(square, square);
        inverse = multiply(inverse, square);
        k += 1;
    }
    inverse
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
    times(&FACTORS, first, second_bytes) ^ second
}

/// The crc32c of `first`, from that of `first` followed by `second`.
#[must_use]
pub(crate) fn first_of(both: u32, second: u32, second_bytes: u32) -> u32 {
    times(&INVERSE_FACTORS, both ^ second, second_bytes)
}

fn times(factors: &Factors, mut crc: u32, bytes: u32) -> u32 {
    for (factors, value) in factors.iter().zip(bytes.to_le_bytes()) {
        if value != 0 {
            crc = multiply(factors[usize::from(value)], crc);
        }
    }
    crc
}

#[cfg(test)]
mod tests {
    use super::{first_of, join};

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
                let first = first_of(joined, crc32c::crc32c(second), second.len() as u32);
                assert_eq!(first, crc32c::crc32c(&bytes[..cut]), "{cut} of {end}");
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
