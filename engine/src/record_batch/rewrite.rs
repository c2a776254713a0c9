//! Makes a batch again: with some of its records (compaction), or with another codec
//! (`compression.type`).
//!
//! Base offset, last offset, producer and sequences stay as they are, so that offsets and the
//! detection of duplicates are not touched by what was left out. Runs off the data cores.

use super::builder::{BuildError, put_header, put_length, put_varlong};
use super::compression::{CompressionError, compress, decompress};
use super::records::{Record, payload};
use super::{
    COMPRESSION_MASK, Compression, DELETE_HORIZON_BIT, HEADER_BYTES, Header, LENGTH_OVERHEAD_BYTES,
    TimestampType, WireHeader, crc,
};
use crate::limits::BATCH_BYTES_MAX;
use std::borrow::Cow;
use zerocopy::byteorder::big_endian::{I16, I32, I64, U32};

/// The records of one whole batch, opened if they are compressed: at most `bytes_max` bytes.
///
/// # Errors
/// See [`CompressionError`]; compression bits without a meaning count as corrupt.
pub fn open<'a>(
    header: &Header,
    batch: &'a [u8],
    bytes_max: usize,
) -> Result<Cow<'a, [u8]>, CompressionError> {
    match header.compression() {
        Some(Compression::None) => Ok(Cow::Borrowed(payload(batch))),
        Some(codec) => {
            let mut opened = Vec::new();
            decompress(codec, payload(batch), bytes_max, &mut opened)?;
            Ok(Cow::Owned(opened))
        }
        None => Err(CompressionError::Corrupt {
            codec: "unknown",
            bytes: batch.len(),
            reason: "its codec has no meaning".to_owned(),
        }),
    }
}

/// The batch of `header` with its opened `records` in another codec.
///
/// # Errors
/// See [`BuildError`].
pub fn recompress(
    header: &Header,
    records: &[u8],
    codec: Compression,
) -> Result<Vec<u8>, BuildError> {
    let header = Header {
        attributes: (header.attributes & !COMPRESSION_MASK) | codec.bits(),
        ..*header
    };
    let mut batch = Vec::new();
    seal(&header, codec, records, &mut batch)?;
    Ok(batch)
}

/// Appends the batch of `header` without its records: it says what the producer's last sequence
/// and the last offset were.
///
/// # Errors
/// None that could happen with a header that was parsed.
pub fn empty(header: &Header, output: &mut Vec<u8>) -> Result<(), BuildError> {
    let header = Header {
        attributes: header.attributes & !(COMPRESSION_MASK | DELETE_HORIZON_BIT),
        base_timestamp: header.max_timestamp,
        record_count: 0,
        ..*header
    };
    seal(&header, Compression::None, &[], output)
}

/// Collects the records of one batch that stay, then makes the batch of them.
#[derive(Debug)]
pub struct Rewriter {
    header: Header,
    base_timestamp_before: i64,
    record_count: i32,
    max_timestamp: i64,
    records: Vec<u8>,
    fields: Vec<u8>,
}

impl Rewriter {
    /// Begins the batch of `header` anew. With `delete_horizon_ms` it gets this delete horizon
    /// (KIP-534), to which then the timestamps of its records are relative.
    #[must_use]
    pub const fn new(header: &Header, delete_horizon_ms: Option<i64>) -> Self {
        let base_timestamp_before = header.base_timestamp;
        let mut header = *header;
        if let Some(horizon) = delete_horizon_ms {
            header.base_timestamp = horizon;
            header.attributes |= DELETE_HORIZON_BIT;
        }
        Self {
            header,
            base_timestamp_before,
            record_count: 0,
            max_timestamp: -1,
            records: Vec::new(),
            fields: Vec::new(),
        }
    }

    /// Keeps a record of this batch. Records come in their order.
    pub fn keep(&mut self, record: &Record<'_>) {
        self.record_count = self.record_count.saturating_add(1);
        self.max_timestamp = self.max_timestamp.max(record.timestamp);
        let encoding = &record.encoding;
        if self.header.base_timestamp == self.base_timestamp_before {
            self.records.extend_from_slice(encoding.whole);
            return;
        }
        let moved = self
            .base_timestamp_before
            .wrapping_sub(self.header.base_timestamp);
        self.fields.clear();
        self.fields.push(encoding.attributes);
        let delta = encoding.timestamp_delta.wrapping_add(moved);
        put_varlong(&mut self.fields, delta);
        self.fields.extend_from_slice(encoding.behind_timestamp);
        put_length(&mut self.records, self.fields.len());
        self.records.extend_from_slice(&self.fields);
    }

    /// Appends the batch to `output`.
    ///
    /// # Errors
    /// See [`BuildError`]; `output` is as it was.
    pub fn finish(self, output: &mut Vec<u8>) -> Result<(), BuildError> {
        if self.record_count == 0 {
            return Err(BuildError::Empty);
        }
        let codec = self.header.compression().unwrap_or_default();
        let mut header = self.header;
        header.record_count = self.record_count;
        if header.timestamp_type() == TimestampType::CreateTime {
            header.max_timestamp = self.max_timestamp;
        }
        seal(&header, codec, &self.records, output)
    }
}

/// Appends a batch: `header` with length and crc of its own, and the compressed `records`.
fn seal(
    header: &Header,
    codec: Compression,
    records: &[u8],
    output: &mut Vec<u8>,
) -> Result<(), BuildError> {
    let start = output.len();
    output.resize(start.saturating_add(HEADER_BYTES), 0);
    let result = compress(codec, records, output)
        .map_err(BuildError::from)
        .and_then(|()| seal_header(header, output.get_mut(start..).unwrap_or_default()));
    if result.is_err() {
        output.truncate(start);
    }
    result
}

fn seal_header(header: &Header, batch: &mut [u8]) -> Result<(), BuildError> {
    let bytes = batch.len();
    let too_large = BuildError::TooLarge {
        bytes,
        max: BATCH_BYTES_MAX,
    };
    let length = match i32::try_from(bytes.saturating_sub(LENGTH_OVERHEAD_BYTES)) {
        Ok(length) if bytes <= BATCH_BYTES_MAX as usize => length,
        _ => return Err(too_large),
    };
    let mut wire = WireHeader {
        base_offset: I64::new(header.base_offset),
        length: I32::new(length),
        partition_leader_epoch: I32::new(header.partition_leader_epoch),
        magic: header.magic,
        crc: U32::new(0),
        attributes: I16::new(header.attributes),
        last_offset_delta: I32::new(header.last_offset_delta),
        base_timestamp: I64::new(header.base_timestamp),
        max_timestamp: I64::new(header.max_timestamp),
        producer_id: I64::new(header.producer_id),
        producer_epoch: I16::new(header.producer_epoch),
        base_sequence: I32::new(header.base_sequence),
        record_count: I32::new(header.record_count),
    };
    put_header(batch, &wire);
    wire.crc = U32::new(crc(batch));
    put_header(batch, &wire);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record_batch::builder::{BatchBuilder, Producer};
    use crate::record_batch::records::Records;
    use crate::record_batch::{check, patch};

    fn batch(codec: Compression) -> Vec<u8> {
        let mut builder = BatchBuilder::new(codec);
        builder.set_producer(Some(Producer {
            id: 9,
            epoch: 2,
            base_sequence: 40,
        }));
        for index in 0..10_u8 {
            let value = [index; 100];
            let value = (index % 3 != 0).then_some(&value[..]);
            let times = (1_000_000_i64..).step_by(100_000);
            let time = times.take(usize::from(index).saturating_add(1)).last();
            let time = time.unwrap();
            builder.push(time, Some(&[index]), value, &[(b"h", Some(b"x"))]);
        }
        let mut batch = builder.build().unwrap();
        patch(&mut batch, 500, 7);
        batch
    }

    fn rewritten(batch: &[u8], horizon: Option<i64>, is_kept: impl Fn(i64) -> bool) -> Vec<u8> {
        let header = Header::parse(batch).unwrap();
        let opened = open(&header, batch, 1 << 20).unwrap();
        let mut rewriter = Rewriter::new(&header, horizon);
        for record in Records::new(&header, &opened) {
            let record = record.unwrap();
            if is_kept(record.offset) {
                rewriter.keep(&record);
            }
        }
        let mut output = Vec::new();
        rewriter.finish(&mut output).unwrap();
        assert_eq!(crc(&output), Header::parse(&output).unwrap().crc);
        output
    }

    type Seen = (i64, i64, Option<Vec<u8>>, Option<Vec<u8>>, usize);

    fn records(batch: &[u8]) -> Vec<Seen> {
        let header = Header::parse(batch).unwrap();
        let opened = open(&header, batch, 1 << 20).unwrap();
        let all = Records::new(&header, &opened).map(Result::unwrap);
        all.map(|it| {
            let key = it.key.map(<[u8]>::to_vec);
            let value = it.value.map(<[u8]>::to_vec);
            (it.offset, it.timestamp, key, value, it.headers.count())
        })
        .collect()
    }

    #[test]
    fn what_is_kept_stays_as_it_was_with_every_codec_and_with_a_horizon() {
        for codec in Compression::ALL {
            for horizon in [None, Some(1_700_000_000_000), Some(3)] {
                let before = batch(codec);
                let after = rewritten(&before, horizon, |offset| offset % 2 == 0);
                let (old, new) = (
                    Header::parse(&before).unwrap(),
                    Header::parse(&after).unwrap(),
                );
                assert_eq!(new.compression(), Some(codec));
                assert_eq!((new.base_offset, new.last_offset()), (500, 509));
                assert_eq!(new.partition_leader_epoch, 7);
                assert_eq!(
                    (new.producer_id, new.producer_epoch, new.base_sequence),
                    (9, 2, 40)
                );
                assert_eq!((new.record_count, new.max_timestamp), (5, 1_800_000));
                assert_eq!(new.delete_horizon_ms(), horizon);
                assert_eq!(old.delete_horizon_ms(), None);
                let mut wanted = records(&before);
                wanted.retain(|record| record.0 % 2 == 0);
                assert_eq!(records(&after), wanted);
                // A horizon that is there stays.
                let again = rewritten(&after, None, |offset| offset == 502);
                let header = Header::parse(&again).unwrap();
                assert_eq!(header.delete_horizon_ms(), horizon);
                wanted.retain(|record| record.0 == 502);
                assert_eq!(records(&again), wanted);
            }
        }
    }

    #[test]
    fn an_empty_batch_keeps_its_offsets_and_sequences() {
        let before = batch(Compression::Lz4);
        let header = Header::parse(&before).unwrap();
        let mut output = vec![1];
        empty(&header, &mut output).unwrap();
        let after = output.get(1..).unwrap();
        let found = Header::parse(after).unwrap();
        assert_eq!(found.batch_bytes as usize, after.len());
        assert_eq!((found.record_count, crc(after)), (0, found.crc));
        assert_eq!((found.base_offset, found.last_offset()), (500, 509));
        assert_eq!((found.producer_id, found.base_sequence), (9, 40));
        assert_eq!(found.max_timestamp, header.max_timestamp);
        assert!(records(after).is_empty());
    }

    #[test]
    fn another_codec_changes_nothing_but_the_encoding() {
        let before = batch(Compression::Gzip);
        let header = Header::parse(&before).unwrap();
        let opened = open(&header, &before, 1 << 20).unwrap();
        for codec in Compression::ALL {
            let after = recompress(&header, &opened, codec).unwrap();
            let found = check(&after).unwrap();
            assert_eq!(found.compression(), Some(codec));
            assert_eq!(found.producer_id, 9);
            assert_eq!(records(&after), records(&before));
        }
        let error = open(&header, &before, opened.len() - 1).unwrap_err();
        assert!(matches!(error, CompressionError::TooLarge { .. }));
    }
}
