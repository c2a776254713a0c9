//! What is written over a block of a ring that was missing or could not be read, once its loss is
//! accepted: recovery must know that a commit may have been there, or what was acknowledged would
//! pass for a tail that was cut.
//!
//! ```text
//! magic [8] | journal u16 | zeros [2] | file u32 | position u64 | epoch u64
//! | keyed check [16] over all before it | zeros
//! ```
//! Little-endian. It counts in its epoch alone; recovery ends that epoch.

use super::check::JournalKey;
use super::ring::Place;
use crate::ids::JournalId;
use crate::limits::BLOCK_BYTES;

/// First bytes of such a block.
pub const GIVEN_UP_MAGIC: [u8; 8] = *b"MILLLOST";

const HEAD_BYTES: usize = 32;
const CHECK_END: usize = HEAD_BYTES + 16;

/// The block for a place of the ring of `journal` in `epoch`.
#[must_use]
pub fn given_up_block(
    key: &JournalKey,
    journal: JournalId,
    epoch: u64,
    place: Place,
) -> [u8; BLOCK_BYTES as usize] {
    let mut block = [0; BLOCK_BYTES as usize];
    block[..8].copy_from_slice(&GIVEN_UP_MAGIC);
    block[8..10].copy_from_slice(&journal.0.to_le_bytes());
    block[12..16].copy_from_slice(&place.file.to_le_bytes());
    block[16..24].copy_from_slice(&place.position.to_le_bytes());
    block[24..32].copy_from_slice(&epoch.to_le_bytes());
    let check = key.check(&[&block[..HEAD_BYTES]]);
    block[HEAD_BYTES..CHECK_END].copy_from_slice(&check);
    block
}

/// Whether `bytes` begin with that block.
#[must_use]
pub fn is_given_up(
    bytes: &[u8],
    key: &JournalKey,
    journal: JournalId,
    epoch: u64,
    place: Place,
) -> bool {
    bytes.starts_with(&GIVEN_UP_MAGIC)
        && bytes.get(..CHECK_END) == given_up_block(key, journal, epoch, place).get(..CHECK_END)
}

#[cfg(test)]
mod tests {
    use super::{given_up_block, is_given_up};
    use crate::ids::JournalId;
    use crate::journal::check::JournalKey;
    use crate::journal::ring::Place;

    #[test]
    fn a_block_counts_at_its_place_in_its_epoch_alone() {
        let (key, journal) = (JournalKey([3; 16]), JournalId(2));
        let place = Place {
            file: 1,
            position: 8192,
        };
        let block = given_up_block(&key, journal, 7, place);
        assert!(is_given_up(&block, &key, journal, 7, place));
        let elsewhere = Place { file: 2, ..place };
        assert!(!is_given_up(&block, &key, journal, 7, elsewhere));
        assert!(!is_given_up(&block, &key, journal, 8, place));
        assert!(!is_given_up(&block, &key, JournalId(3), 7, place));
        assert!(!is_given_up(
            &block,
            &JournalKey([4; 16]),
            journal,
            7,
            place
        ));
    }
}
