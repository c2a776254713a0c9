//! `message.timestamp.type=LogAppendTime`: gives a batch the broker's time.
//!
//! The time lies within the span of the batch's crc32c, far from its end. A crc is linear: the new
//! one follows from the old one, the few header bytes that changed and the number of bytes behind
//! them, so no byte of the records is read.

use super::{CRC_SPAN_START, HEADER_BYTES, LOG_APPEND_TIME_BIT, WireHeader};
use zerocopy::byteorder::big_endian::{I16, I64, U32};
use zerocopy::{FromBytes, IntoBytes};

/// Sets the largest timestamp of a whole batch to `append_time_ms`, says in its attributes that
/// all records have it, and brings its crc up to date. `header` is at least the batch's header,
/// `batch_bytes` the size of the whole batch. A crc that was wrong before is wrong afterwards.
///
/// # Panics
/// When `header` is shorter than a header, which no checked batch is.
pub fn stamp(header: &mut [u8], batch_bytes: usize, append_time_ms: i64) {
    let wire = WireHeader::mut_from_prefix(header).map(|(wire, _)| wire);
    assert!(wire.is_ok(), "a batch that is stamped was checked before");
    let Ok(wire) = wire else { return };
    let before = span_crc(wire);
    wire.attributes = I16::new(wire.attributes.get() | LOG_APPEND_TIME_BIT);
    wire.max_timestamp = I64::new(append_time_ms);
    let changed = before ^ span_crc(wire);
    let behind = batch_bytes.saturating_sub(HEADER_BYTES);
    wire.crc = U32::new(crc32c::crc32c_combine(changed, wire.crc.get(), behind));
}

/// Checksum of the part of the header that the batch's crc covers.
fn span_crc(wire: &WireHeader) -> u32 {
    crc32c::crc32c(wire.as_bytes().get(CRC_SPAN_START..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record_batch::builder::BatchBuilder;
    use crate::record_batch::{Compression, TimestampType, check};

    #[test]
    fn a_stamped_batch_passes_its_check_whatever_its_size_and_time() {
        for value_bytes in [0, 1, 7, 4096, 300_000] {
            for time in [0, 1, 1_700_000_000_000, i64::MAX] {
                let mut builder = BatchBuilder::new(Compression::None);
                builder.push(77, Some(b"k"), Some(&vec![9; value_bytes]), &[]);
                let mut batch = builder.build().unwrap();
                let bytes = batch.len();
                stamp(&mut batch, bytes, time);
                let header = check(&batch).unwrap();
                assert_eq!(header.max_timestamp, time);
                assert_eq!(header.timestamp_type(), TimestampType::LogAppendTime);
                // The header alone is enough, and stamping again changes only the time.
                let (head, rest) = batch.split_at(HEADER_BYTES);
                let mut head = head.to_vec();
                stamp(&mut head, bytes, 5);
                assert!(check(&[&head[..], rest].concat()).is_ok());
            }
        }
    }

    #[test]
    fn a_wrong_crc_does_not_become_right() {
        let mut builder = BatchBuilder::new(Compression::None);
        builder.push(77, None, Some(b"value"), &[]);
        let mut batch = builder.build().unwrap();
        *batch.last_mut().unwrap() ^= 1;
        let bytes = batch.len();
        stamp(&mut batch, bytes, 1);
        assert!(check(&batch).is_err());
        assert_eq!(batch.len(), bytes);
    }
}
