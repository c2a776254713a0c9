//! What must be left of a compacted log: nothing that was not sent, and of every key the newest
//! record.

use super::oracle::Sent;
use millrace_engine::record_batch::records::{Records, payload};
use millrace_engine::record_batch::{Header, crc};
use std::collections::BTreeMap;

/// A record: offset, timestamp, key, value.
type Record = (i64, i64, Vec<u8>, Option<Vec<u8>>);

fn records(batch: &[u8], base_offset: i64) -> Result<Vec<Record>, String> {
    let header = Header::parse(batch).map_err(|error| error.to_string())?;
    let header = Header {
        base_offset,
        ..header
    };
    let all = Records::new(&header, payload(batch));
    all.map(|record| {
        let it = record.map_err(|error| error.to_string())?;
        let key = it.key.ok_or("a record without a key")?.to_vec();
        Ok((it.offset, it.timestamp, key, it.value.map(<[u8]>::to_vec)))
    })
    .collect()
}

/// Whether a stored batch is what compaction may have made of the one that was sent.
pub(super) fn check_kept(sent: &Sent, bytes: &[u8]) -> Result<(), String> {
    let header = Header::parse(bytes).map_err(|error| error.to_string())?;
    let was = Header::parse(&sent.bytes).map_err(|error| error.to_string())?;
    let is_in_place = (header.base_offset, header.end_offset())
        == (sent.base_offset, sent.end_offset)
        && header.partition_leader_epoch == sent.leader_epoch
        && (header.producer_id, header.base_sequence) == (was.producer_id, was.base_sequence);
    if !is_in_place || header.crc != crc(bytes) {
        return Err(format!(
            "the batch at {} became {header:?}",
            sent.base_offset
        ));
    }
    let before = records(&sent.bytes, sent.base_offset)?;
    let kept = records(bytes, sent.base_offset)?;
    match kept.iter().all(|record| before.contains(record)) {
        true => Ok(()),
        false => Err(format!(
            "the batch at {} holds records that were not sent",
            sent.base_offset
        )),
    }
}

/// Of every key the newest record from `log_start` on must be there.
pub(super) fn check_newest<'a>(
    sent: impl Iterator<Item = &'a Sent>,
    found: &[(i64, Vec<u8>)],
    log_start: i64,
) -> Result<(), String> {
    let mut newest = BTreeMap::new();
    for sent in sent {
        for (offset, _, key, _) in records(&sent.bytes, sent.base_offset)? {
            newest.insert(key, offset);
        }
    }
    let mut offsets = Vec::new();
    for (base_offset, bytes) in found {
        let kept = records(bytes, *base_offset)?;
        offsets.extend(kept.into_iter().map(|record| record.0));
    }
    let mut wanted = newest.values().filter(|offset| **offset >= log_start);
    match wanted.find(|offset| !offsets.contains(offset)) {
        None => Ok(()),
        Some(lost) => Err(format!("offset {lost}, the newest of its key, is gone")),
    }
}
