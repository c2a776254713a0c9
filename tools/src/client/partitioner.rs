//! Which partition a key belongs to: as Kafka's Java clients choose, so that tools and
//! applications agree.

/// The partition of a key in a topic of `partition_count`.
pub(crate) fn partition_of_key(key: &[u8], partition_count: i32) -> i32 {
    // KAFKA: the hash's sign bit is dropped, its remainder is taken.
    let positive = (murmur2(key) & 0x7fff_ffff).cast_signed();
    positive % partition_count.max(1)
}

/// Murmur2 with 32 bits and Kafka's seed.
fn murmur2(bytes: &[u8]) -> u32 {
    const FACTOR: u32 = 0x5bd1_e995;
    const SEED: u32 = 0x9747_b28c;
    // Keys are bounded by a request, which is far below 4 GiB.
    let mut hash = SEED ^ (bytes.len() as u32);
    let (words, rest) = bytes.as_chunks::<4>();
    for word in words {
        let mut mixed = u32::from_le_bytes(*word).wrapping_mul(FACTOR);
        mixed ^= mixed >> 24;
        hash = hash.wrapping_mul(FACTOR) ^ mixed.wrapping_mul(FACTOR);
    }
    if !rest.is_empty() {
        for (place, byte) in rest.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * place);
        }
        hash = hash.wrapping_mul(FACTOR);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(FACTOR);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_the_java_client() {
        let published: [(&[u8], i32); 5] = [
            (b"21", -973_932_308),
            (b"foobar", -790_332_482),
            (b"a-little-bit-long-string", -985_981_536),
            (b"a-little-bit-longer-string", -1_486_304_829),
            (b"abc", 479_470_107),
        ];
        for (key, hash) in published {
            assert_eq!(murmur2(key).cast_signed(), hash);
        }
    }

    #[test]
    fn partitions_are_within_the_topic() {
        for index in 0..1_000_u32 {
            let partition = partition_of_key(&index.to_be_bytes(), 7);
            assert!((0..7).contains(&partition));
        }
    }
}
