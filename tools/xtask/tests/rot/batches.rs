//! Batches whose bytes a case knows again.

use millrace_engine::io::simulated::Random;
use millrace_engine::record_batch::{Header, crc, patch};

/// A batch of some records and about `bytes` bytes.
pub(crate) fn batch(random: &mut Random, bytes: usize) -> Vec<u8> {
    let records = 1 + random.below(5) as i32;
    let bytes = bytes.max(70);
    let mut batch = vec![0; bytes];
    batch[8..12].copy_from_slice(&((bytes - 12) as i32).to_be_bytes());
    batch[16] = 2;
    batch[23..27].copy_from_slice(&(records - 1).to_be_bytes());
    batch[27..35].copy_from_slice(&1_700_000_000_000_i64.to_be_bytes());
    batch[35..43].copy_from_slice(&1_700_000_000_000_i64.to_be_bytes());
    batch[43..51].copy_from_slice(&(-1_i64).to_be_bytes());
    batch[51..53].copy_from_slice(&(-1_i16).to_be_bytes());
    batch[53..57].copy_from_slice(&(-1_i32).to_be_bytes());
    batch[57..61].copy_from_slice(&records.to_be_bytes());
    for chunk in batch[61..].chunks_mut(8) {
        let word = random.bits().to_le_bytes();
        chunk.copy_from_slice(&word[..chunk.len()]);
    }
    let crc = crc(&batch);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
    batch
}

/// As a log stores it.
pub(crate) fn patched(bytes: &[u8], base_offset: i64, leader_epoch: i32) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    patch(&mut bytes, base_offset, leader_epoch);
    bytes
}

/// Base offset, end offset, bytes.
pub(crate) type Found<'a> = (i64, i64, &'a [u8]);

/// Takes read bytes apart.
pub(crate) fn split(mut bytes: &[u8]) -> Result<Vec<Found<'_>>, String> {
    let mut batches = Vec::new();
    while !bytes.is_empty() {
        let header = Header::parse(bytes).map_err(|error| error.to_string())?;
        let batch = bytes.split_at_checked(header.batch_bytes as usize);
        let (batch, rest) = batch.ok_or("a batch reaches behind what was read")?;
        batches.push((header.base_offset, header.end_offset(), batch));
        bytes = rest;
    }
    Ok(batches)
}
