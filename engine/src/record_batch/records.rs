//! The single records of a batch, read in place from its payload (opened first if compressed).
//!
//! Nothing is copied: keys, values and headers are borrowed. Every length is compared with the
//! bytes that remain before it is used, every varint ends after 5 or 10 bytes, and the walk ends
//! at the first record that breaks a rule. Not on the append path, which takes batches as a whole.

use super::{HEADER_BYTES, Header, TimestampType};

/// One record.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Its offset.
    pub offset: i64,
    /// Its timestamp, in milliseconds; the batch's largest one when the broker gave it.
    pub timestamp: i64,
    /// Its key; `None` is null.
    pub key: Option<&'a [u8]>,
    /// Its value; `None` is null, a tombstone on compacted topics.
    pub value: Option<&'a [u8]>,
    /// Its headers.
    pub headers: RecordHeaders<'a>,
    /// Its encoding, for making it again.
    pub encoding: Encoding<'a>,
}

/// How a record lies in its payload.
#[derive(Clone, Copy, Debug)]
pub struct Encoding<'a> {
    /// All of it, its length included.
    pub whole: &'a [u8],
    /// Its timestamp minus the batch's base timestamp.
    pub timestamp_delta: i64,
    /// Its attribute byte.
    pub attributes: u8,
    /// Everything behind the timestamp delta.
    pub behind_timestamp: &'a [u8],
}

/// Why a payload is not the records its batch's header announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The record goes on behind the payload's end, or one of its parts behind its own.
    #[error("record {index} of the batch ends before its last field; the batch is damaged")]
    Truncated {
        /// Which record, from 0.
        index: i32,
    },
    /// A varint of more than 5 or 10 bytes, or a negative length other than null's -1.
    #[error("record {index} of the batch has an impossible number in it; the batch is damaged")]
    BadNumber {
        /// Which record, from 0.
        index: i32,
    },
    /// The record's own length and its fields differ.
    #[error("record {index} of the batch has {bytes} bytes behind its fields; it is damaged")]
    BadLength {
        /// Which record, from 0.
        index: i32,
        /// How many.
        bytes: usize,
    },
    /// The offset delta is outside the batch.
    #[error("record {index} of the batch has offset delta {delta}, the last one is {last}")]
    BadOffset {
        /// Which record, from 0.
        index: i32,
        /// What the record says.
        delta: i32,
        /// What the header says.
        last: i32,
    },
    /// Bytes behind the last record.
    #[error("batch has {bytes} bytes behind its {count} records; it is damaged")]
    Trailing {
        /// Records.
        count: i32,
        /// Bytes behind them.
        bytes: usize,
    },
}

/// The payload of one whole batch: everything behind its header. Still compressed if the batch is.
#[must_use]
pub fn payload(batch: &[u8]) -> &[u8] {
    batch.get(HEADER_BYTES..).unwrap_or_default()
}

/// Walks the records of a payload. After an error it yields nothing more.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    header: Header,
    rest: Cursor<'a>,
    index: i32,
    is_done: bool,
}

impl<'a> Records<'a> {
    /// A walk over the uncompressed `payload` of the batch with this header.
    #[must_use]
    pub const fn new(header: &Header, payload: &'a [u8]) -> Self {
        Self {
            header: *header,
            rest: Cursor(payload),
            index: 0,
            is_done: false,
        }
    }

    fn read(&mut self) -> Result<Record<'a>, RecordError> {
        let index = self.index;
        let all = self.rest.0;
        let length = self.rest.varint().map_err(|fault| fault.at(index))?;
        let bytes = usize::try_from(length).map_err(|_| RecordError::BadNumber { index })?;
        let mut fields = Cursor(
            self.rest
                .take(bytes)
                .ok_or(RecordError::Truncated { index })?,
        );
        let mut record = self.read_fields(&mut fields)?;
        if !fields.0.is_empty() {
            return Err(RecordError::BadLength {
                index,
                bytes: fields.0.len(),
            });
        }
        let whole_bytes = all.len().saturating_sub(self.rest.0.len());
        record.encoding.whole = all.get(..whole_bytes).unwrap_or_default();
        Ok(record)
    }

    fn read_fields(&self, fields: &mut Cursor<'a>) -> Result<Record<'a>, RecordError> {
        let index = self.index;
        let at = |fault: Fault| fault.at(index);
        let attributes = fields.take(1).ok_or(RecordError::Truncated { index })?;
        let attributes = attributes.first().copied().unwrap_or_default();
        let timestamp_delta = fields.varlong().map_err(at)?;
        let behind_timestamp = fields.0;
        let delta = fields.varint().map_err(at)?;
        let last = self.header.last_offset_delta;
        if !(0..=last).contains(&delta) {
            return Err(RecordError::BadOffset { index, delta, last });
        }
        let key = fields.nullable_bytes().map_err(at)?;
        let value = fields.nullable_bytes().map_err(at)?;
        let headers = RecordHeaders::read(fields).map_err(at)?;
        let timestamp = match self.header.timestamp_type() {
            TimestampType::CreateTime => self.header.base_timestamp.saturating_add(timestamp_delta),
            TimestampType::LogAppendTime => self.header.max_timestamp,
        };
        let offset = self.header.base_offset.saturating_add(i64::from(delta));
        Ok(Record {
            offset,
            timestamp,
            key,
            value,
            headers,
            encoding: Encoding {
                whole: &[],
                timestamp_delta,
                attributes,
                behind_timestamp,
            },
        })
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_done {
            return None;
        }
        let count = self.header.record_count;
        if self.index >= count {
            self.is_done = true;
            let bytes = self.rest.0.len();
            return (bytes > 0).then_some(Err(RecordError::Trailing { count, bytes }));
        }
        let result = self.read();
        self.is_done = result.is_err();
        self.index = self.index.saturating_add(1);
        Some(result)
    }
}

/// A record's headers, in order. Checked when the record was read.
#[derive(Clone, Copy, Debug)]
pub struct RecordHeaders<'a> {
    rest: Cursor<'a>,
    left: i32,
}

impl<'a> RecordHeaders<'a> {
    /// How many are left.
    #[must_use]
    pub fn count(&self) -> usize {
        usize::try_from(self.left).unwrap_or(0)
    }

    /// Walks the headers to their end, so that yielding them later cannot fail.
    fn read(fields: &mut Cursor<'a>) -> Result<Self, Fault> {
        let left = fields.varint()?;
        if left < 0 {
            return Err(Fault::Number);
        }
        let headers = Self {
            rest: *fields,
            left,
        };
        for _ in 0..left {
            fields.bytes()?;
            fields.nullable_bytes()?;
        }
        Ok(headers)
    }
}

impl<'a> Iterator for RecordHeaders<'a> {
    type Item = (&'a [u8], Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.left <= 0 {
            return None;
        }
        self.left = self.left.saturating_sub(1);
        Some((self.rest.bytes().ok()?, self.rest.nullable_bytes().ok()?))
    }
}

#[derive(Clone, Copy)]
enum Fault {
    Short,
    Number,
}

impl Fault {
    const fn at(self, index: i32) -> RecordError {
        match self {
            Self::Short => RecordError::Truncated { index },
            Self::Number => RecordError::BadNumber { index },
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(taken)
    }

    fn unsigned(&mut self, bytes_max: u32) -> Result<u64, Fault> {
        let mut value = 0_u64;
        for place in 0..bytes_max {
            let Some((&byte, rest)) = self.0.split_first() else {
                return Err(Fault::Short);
            };
            self.0 = rest;
            let shift = place.saturating_mul(7);
            value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Fault::Number)
    }

    fn varint(&mut self) -> Result<i32, Fault> {
        let raw = self.unsigned(5)?;
        i32::try_from(unzigzag(raw)).map_err(|_| Fault::Number)
    }

    fn varlong(&mut self) -> Result<i64, Fault> {
        self.unsigned(10).map(unzigzag)
    }

    fn bytes(&mut self) -> Result<&'a [u8], Fault> {
        let bytes = usize::try_from(self.varint()?).map_err(|_| Fault::Number)?;
        self.take(bytes).ok_or(Fault::Short)
    }

    fn nullable_bytes(&mut self) -> Result<Option<&'a [u8]>, Fault> {
        let start = *self;
        if self.varint()? == -1 {
            return Ok(None);
        }
        *self = start;
        self.bytes().map(Some)
    }
}

/// Small numbers of both signs lie in few bits: 0, -1, 1, -2, 2, …
const fn unzigzag(raw: u64) -> i64 {
    (raw >> 1).cast_signed() ^ (raw & 1).cast_signed().wrapping_neg()
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "test bytes")]
mod tests {
    use super::*;
    use crate::record_batch::builder::BatchBuilder;
    use crate::record_batch::check;

    fn batch() -> Vec<u8> {
        let mut builder = BatchBuilder::default();
        builder.push(
            1_000,
            Some(b"key"),
            Some(b"value"),
            &[(b"h", Some(b"1")), (b"g", None)],
        );
        builder.push(990, None, None, &[]);
        builder.push(i64::MAX, Some(b""), Some(&[7; 300]), &[]);
        builder.build().unwrap()
    }

    #[test]
    fn records_come_back_as_they_were_pushed() {
        let bytes = batch();
        let header = check(&bytes).unwrap();
        let records: Vec<Record<'_>> = Records::new(&header, payload(&bytes))
            .map(Result::unwrap)
            .collect();
        assert_eq!(records.len(), 3);
        assert_eq!((records[0].offset, records[0].timestamp), (0, 1_000));
        assert_eq!(records[0].key, Some(b"key".as_slice()));
        assert_eq!(records[0].headers.count(), 2);
        let headers: Vec<_> = records[0].headers.collect();
        assert_eq!(
            headers,
            [
                (b"h".as_slice(), Some(b"1".as_slice())),
                (b"g".as_slice(), None)
            ]
        );
        assert_eq!((records[1].key, records[1].value), (None, None));
        assert_eq!((records[1].offset, records[1].timestamp), (1, 990));
        assert_eq!(records[2].key, Some(b"".as_slice()));
        assert_eq!(records[2].value.map(<[u8]>::len), Some(300));
        assert_eq!(records[2].timestamp, i64::MAX);
        assert_eq!(header.max_timestamp, i64::MAX);
    }

    #[test]
    fn log_append_time_hides_the_records_own_timestamps() {
        let bytes = batch();
        let mut header = check(&bytes).unwrap();
        header.attributes |= 0x08;
        header.max_timestamp = 77;
        let timestamps: Vec<i64> = Records::new(&header, payload(&bytes))
            .map(|record| record.unwrap().timestamp)
            .collect();
        assert_eq!(timestamps, [77, 77, 77]);
    }

    #[test]
    fn every_truncation_ends_the_walk_with_one_error() {
        let bytes = batch();
        let header = check(&bytes).unwrap();
        let payload = payload(&bytes);
        for end in 0..payload.len() {
            let walked: Vec<_> = Records::new(&header, &payload[..end]).collect();
            let errors = walked.iter().filter(|result| result.is_err()).count();
            assert_eq!(errors, 1, "{end}");
            assert!(walked.last().unwrap().is_err(), "{end}");
        }
    }

    #[test]
    fn trailing_bytes_and_wrong_counts_are_named() {
        let bytes = batch();
        let mut header = check(&bytes).unwrap();
        let longer = [payload(&bytes), &[0]].concat();
        let last = Records::new(&header, &longer).last().unwrap();
        assert_eq!(
            last.unwrap_err(),
            RecordError::Trailing { count: 3, bytes: 1 }
        );
        header.last_offset_delta = 1;
        let last = Records::new(&header, payload(&bytes)).last().unwrap();
        assert_eq!(
            last.unwrap_err(),
            RecordError::BadOffset {
                index: 2,
                delta: 2,
                last: 1
            }
        );
        header.record_count = i32::MAX;
        header.last_offset_delta = i32::MAX;
        let walked = Records::new(&header, payload(&bytes)).count();
        assert_eq!(walked, 4);
    }

    #[test]
    fn every_changed_byte_ends_in_records_or_one_error() {
        let bytes = batch();
        let header = check(&bytes).unwrap();
        for position in 0..payload(&bytes).len() {
            for value in 0..=255 {
                let mut changed = payload(&bytes).to_vec();
                changed[position] = value;
                let walked: Vec<_> = Records::new(&header, &changed).collect();
                assert!(walked.len() <= 4);
                let errors = walked.iter().filter(|result| result.is_err()).count();
                assert!(errors <= 1);
                for record in walked.into_iter().flatten() {
                    assert_eq!(
                        record.headers.count(),
                        record.headers.collect::<Vec<_>>().len()
                    );
                }
            }
        }
    }

    #[test]
    fn varints_are_bounded_in_length_and_value() {
        let long = [0xff; 16];
        assert!(matches!(Cursor(&long).varint(), Err(Fault::Number)));
        assert!(matches!(Cursor(&long).varlong(), Err(Fault::Number)));
        let above = [0xff, 0xff, 0xff, 0xff, 0x7f];
        assert!(matches!(Cursor(&above).varint(), Err(Fault::Number)));
        let most = [0xff, 0xff, 0xff, 0xff, 0x0f];
        assert!(matches!(Cursor(&most).varint(), Ok(i32::MIN)));
        assert!(matches!(Cursor(&[0x80]).varint(), Err(Fault::Short)));
    }
}
