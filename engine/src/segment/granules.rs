//! Granule checksums: one crc32c per 64 KiB of a segment file, seeded with who the bytes belong to
//! and where they lie. Kafka's own batch checksum covers neither, nor base offset and length: a
//! stale, misdirected or flipped block could pass it.
//!
//! INVARIANT: the checksum of a granule is over its bytes from the granule's start up to the end
//! of the granule or of the segment's records, whichever comes first; padding is not covered.

use crate::crc_join::join;
use crate::ids::{FileId, TopicId};
use crate::limits::GRANULE_BYTES;
use crate::planted::{self, Bug};

/// Whose granules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GranuleOwner {
    pub(crate) topic_id: TopicId,
    pub(crate) index: i32,
    pub(crate) file: FileId,
    pub(crate) generation: u32,
}

impl GranuleOwner {
    /// What the checksum of the granule that holds file position `position` begins with.
    pub(crate) fn seed(&self, position: u64) -> u32 {
        if planted::is(Bug::GranuleWithoutIdentity) {
            return 0;
        }
        let mut bytes = [0; 40];
        bytes[..16].copy_from_slice(&self.topic_id.0);
        bytes[16..20].copy_from_slice(&self.index.to_le_bytes());
        bytes[20..28].copy_from_slice(&self.file.0.to_le_bytes());
        bytes[28..32].copy_from_slice(&self.generation.to_le_bytes());
        bytes[32..].copy_from_slice(&granule_start(position).to_le_bytes());
        crc32c::crc32c(&bytes)
    }
}

/// Start of the granule that holds `position` (a file position or a log position).
pub(crate) const fn granule_start(position: u64) -> u64 {
    position - position % GRANULE_BYTES
}

/// End of the granule that holds `position`.
pub(crate) const fn granule_end(position: u64) -> u64 {
    granule_start(position) + GRANULE_BYTES
}

/// Number of the granule that holds file position `position`.
pub(crate) const fn granule_number(position: u64) -> u32 {
    (position / GRANULE_BYTES) as u32
}

/// Joins the checksum of a piece to that of the bytes before it in the same granule. A piece that
/// begins at the granule's start was computed with the granule's seed and stands for itself.
pub(crate) fn join_piece(before: u32, piece_start: u64, piece: u32, piece_bytes: u64) -> u32 {
    if piece_start.is_multiple_of(GRANULE_BYTES) {
        piece
    } else {
        join(before, piece, piece_bytes as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner() -> GranuleOwner {
        GranuleOwner {
            topic_id: TopicId([7; 16]),
            index: 3,
            file: FileId(9),
            generation: 1,
        }
    }

    #[test]
    fn every_part_of_the_identity_changes_the_seed() {
        let seed = owner().seed(0);
        let mut others = vec![owner().seed(GRANULE_BYTES)];
        for change in [
            |o: &mut GranuleOwner| o.topic_id.0[15] = 8,
            |o: &mut GranuleOwner| o.index = 4,
            |o: &mut GranuleOwner| o.file = FileId(10),
            |o: &mut GranuleOwner| o.generation = 2,
        ] {
            let mut other = owner();
            change(&mut other);
            others.push(other.seed(0));
        }
        assert!(others.iter().all(|&other| other != seed));
        assert_eq!(owner().seed(GRANULE_BYTES - 1), seed);
    }

    #[test]
    fn pieces_join_to_the_checksum_of_the_whole() {
        let bytes: Vec<u8> = (0..GRANULE_BYTES).map(|i| (i * 31 % 251) as u8).collect();
        let seed = owner().seed(0);
        let whole = crc32c::crc32c_append(seed, &bytes);
        for cut in [4096, 5000, 65535] {
            let head = crc32c::crc32c_append(seed, &bytes[..cut]);
            let rest = crc32c::crc32c(&bytes[cut..]);
            let joined = join_piece(head, cut as u64, rest, GRANULE_BYTES - cut as u64);
            assert_eq!(joined, whole);
        }
        assert_eq!(join_piece(1, GRANULE_BYTES, whole, GRANULE_BYTES), whole);
    }
}
