//! Makes batches out of records: for the tools, the benchmark and the tests.
//!
//! The broker itself makes no batches. A builder is used again after `build_into`, and keeps its
//! buffers, so that a load generator allocates nothing per batch.

use super::compression::{CompressionError, compress};
use super::{Compression, HEADER_BYTES, LENGTH_OVERHEAD_BYTES, MAGIC, WireHeader, crc};
use crate::limits::BATCH_BYTES_MAX;
use zerocopy::IntoBytes;
use zerocopy::byteorder::big_endian::{I16, I32, I64, U32};

/// Why no batch was made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// A batch has at least one record.
    #[error("a batch needs at least one record; push one first")]
    Empty,
    /// Larger than any broker of this kind takes.
    #[error("batch of {bytes} bytes is above {max}; put fewer records into it")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The bound.
        max: u32,
    },
    /// The codec failed.
    #[error(transparent)]
    Compression(#[from] CompressionError),
}

/// The idempotent producer a batch comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Producer {
    /// Its id.
    pub id: i64,
    /// Its epoch.
    pub epoch: i16,
    /// The sequence of the batch's first record.
    pub base_sequence: i32,
}

/// Collects records, then makes one batch of them.
#[derive(Clone, Debug, Default)]
pub struct BatchBuilder {
    compression: Compression,
    producer: Option<Producer>,
    base_timestamp: i64,
    max_timestamp: i64,
    record_count: i32,
    records: Vec<u8>,
    fields: Vec<u8>,
}

impl BatchBuilder {
    /// A builder of batches with this compression.
    #[must_use]
    pub fn new(compression: Compression) -> Self {
        Self {
            compression,
            ..Self::default()
        }
    }

    /// Makes the next batch one of this producer.
    pub const fn set_producer(&mut self, producer: Option<Producer>) {
        self.producer = producer;
    }

    /// Adds a record. `None` is null. The first record's timestamp becomes the batch's base.
    pub fn push(
        &mut self,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[(&[u8], Option<&[u8]>)],
    ) {
        if self.record_count == 0 {
            self.base_timestamp = timestamp;
            self.max_timestamp = timestamp;
        }
        self.max_timestamp = self.max_timestamp.max(timestamp);
        let fields = &mut self.fields;
        fields.clear();
        fields.push(0);
        put_varlong(fields, timestamp.wrapping_sub(self.base_timestamp));
        put_varlong(fields, i64::from(self.record_count));
        put_bytes(fields, key);
        put_bytes(fields, value);
        put_length(fields, headers.len());
        for (name, value) in headers {
            put_bytes(fields, Some(name));
            put_bytes(fields, *value);
        }
        put_length(&mut self.records, self.fields.len());
        self.records.extend_from_slice(&self.fields);
        self.record_count = self.record_count.saturating_add(1);
    }

    /// Records since the last batch.
    #[must_use]
    pub const fn record_count(&self) -> i32 {
        self.record_count
    }

    /// Bytes the batch would have without compression.
    #[must_use]
    pub const fn uncompressed_bytes(&self) -> usize {
        self.records.len().saturating_add(HEADER_BYTES)
    }

    /// Makes the batch, with base offset 0 and leader epoch -1 as a client sends it.
    ///
    /// # Errors
    /// See [`BuildError`]; the records stay.
    pub fn build(&mut self) -> Result<Vec<u8>, BuildError> {
        let mut batch = Vec::new();
        self.build_into(&mut batch)?;
        Ok(batch)
    }

    /// As `build`, appended to `output`. The builder is empty afterwards.
    ///
    /// # Errors
    /// See [`BuildError`]; the records stay and `output` is as it was.
    pub fn build_into(&mut self, output: &mut Vec<u8>) -> Result<(), BuildError> {
        if self.record_count == 0 {
            return Err(BuildError::Empty);
        }
        let start = output.len();
        output.resize(start.saturating_add(HEADER_BYTES), 0);
        let result = compress(self.compression, &self.records, output)
            .map_err(BuildError::from)
            .and_then(|()| self.seal(output.get_mut(start..).unwrap_or_default()));
        match result {
            Ok(()) => self.clear(),
            Err(_) => output.truncate(start),
        }
        result
    }

    /// Forgets the records; compression and producer stay.
    pub fn clear(&mut self) {
        self.records.clear();
        self.record_count = 0;
    }

    fn seal(&self, batch: &mut [u8]) -> Result<(), BuildError> {
        let bytes = batch.len();
        let too_large = BuildError::TooLarge {
            bytes,
            max: BATCH_BYTES_MAX,
        };
        let length = match i32::try_from(bytes.saturating_sub(LENGTH_OVERHEAD_BYTES)) {
            Ok(length) if bytes <= BATCH_BYTES_MAX as usize => length,
            _ => return Err(too_large),
        };
        let producer = self.producer.unwrap_or(Producer {
            id: -1,
            epoch: -1,
            base_sequence: -1,
        });
        let mut header = WireHeader {
            base_offset: I64::new(0),
            length: I32::new(length),
            partition_leader_epoch: I32::new(-1),
            magic: MAGIC,
            crc: U32::new(0),
            attributes: I16::new(self.compression.bits()),
            last_offset_delta: I32::new(self.record_count.saturating_sub(1)),
            base_timestamp: I64::new(self.base_timestamp),
            max_timestamp: I64::new(self.max_timestamp),
            producer_id: I64::new(producer.id),
            producer_epoch: I16::new(producer.epoch),
            base_sequence: I32::new(producer.base_sequence),
            record_count: I32::new(self.record_count),
        };
        put_header(batch, &header);
        header.crc = U32::new(crc(batch));
        put_header(batch, &header);
        Ok(())
    }
}

pub(super) fn put_header(batch: &mut [u8], header: &WireHeader) {
    if let Some(place) = batch.first_chunk_mut::<HEADER_BYTES>() {
        place.copy_from_slice(header.as_bytes());
    }
}

pub(super) fn put_varlong(output: &mut Vec<u8>, value: i64) {
    let mut rest = (value.wrapping_shl(1) ^ value.wrapping_shr(63)).cast_unsigned();
    while rest >= 0x80 {
        output.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    output.push(rest as u8);
}

pub(super) fn put_length(output: &mut Vec<u8>, length: usize) {
    put_varlong(output, i64::try_from(length).unwrap_or(i64::MAX));
}

fn put_bytes(output: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        None => put_varlong(output, -1),
        Some(bytes) => {
            put_length(output, bytes.len());
            output.extend_from_slice(bytes);
        }
    }
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "test bytes")]
mod tests {
    use super::*;
    use crate::record_batch::compression::decompress;
    use crate::record_batch::records::{Records, payload};
    use crate::record_batch::{Header, check};

    #[test]
    fn a_built_batch_passes_check_with_every_codec_and_opens_again() {
        for codec in Compression::ALL {
            let mut builder = BatchBuilder::new(codec);
            for index in 0..500_i64 {
                builder.push(index, None, Some(format!("record {index}").as_bytes()), &[]);
            }
            let batch = builder.build().unwrap();
            let header: Header = check(&batch).unwrap();
            assert_eq!(header.compression(), Some(codec));
            assert_eq!((header.record_count, header.max_timestamp), (500, 499));
            let mut opened = Vec::new();
            decompress(codec, payload(&batch), 1 << 20, &mut opened).unwrap();
            for (index, record) in Records::new(&header, &opened).enumerate() {
                let wanted = format!("record {index}");
                assert_eq!(record.unwrap().value, Some(wanted.as_bytes()), "{codec:?}");
            }
        }
    }

    #[test]
    fn a_builder_starts_afresh_after_each_batch() {
        let mut builder = BatchBuilder::default();
        assert_eq!(builder.build(), Err(BuildError::Empty));
        builder.push(50, None, Some(b"a"), &[]);
        let first = builder.build().unwrap();
        builder.set_producer(Some(Producer {
            id: 4,
            epoch: 1,
            base_sequence: 9,
        }));
        builder.push(10, None, Some(b"b"), &[]);
        let mut both = first.clone();
        builder.build_into(&mut both).unwrap();
        let header = check(&both[first.len()..]).unwrap();
        assert_eq!((header.base_timestamp, header.max_timestamp), (10, 10));
        assert_eq!(
            (
                header.producer_id,
                header.producer_epoch,
                header.base_sequence
            ),
            (4, 1, 9)
        );
        assert_eq!(builder.record_count(), 0);
    }

    #[test]
    fn a_batch_above_the_bound_is_refused_and_leaves_nothing_behind() {
        let mut builder = BatchBuilder::default();
        let value = vec![0; BATCH_BYTES_MAX as usize];
        builder.push(0, None, Some(&value), &[]);
        let mut output = vec![1, 2, 3];
        let error = builder.build_into(&mut output).unwrap_err();
        assert!(matches!(error, BuildError::TooLarge { .. }), "{error}");
        assert_eq!(output, [1, 2, 3]);
        assert_eq!(builder.record_count(), 1);
    }
}
