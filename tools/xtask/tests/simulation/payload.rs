//! Records that say which they are, and readers that find out when they are not whole.
//!
//! A value is the record's number, the value's length, and bytes that follow from both.

use millrace_engine::record_batch::builder::{BatchBuilder, BuildError, Producer};
use millrace_engine::record_batch::compression::decompress;
use millrace_engine::record_batch::records::{Records, payload};
use millrace_engine::record_batch::{self, Compression, Header};
use xtask::history::Run;

const HEAD_BYTES: usize = 12;
/// Before every wall clock of a simulation, so that no timestamp lies ahead of it.
const TIMESTAMP_MS: i64 = 1_600_000_000_000;
/// Opened bytes of one batch at most.
const OPENED_BYTES_MAX: usize = 16 << 20;

/// The value of a record.
fn value(number: u64, value_bytes: usize) -> Vec<u8> {
    let length = value_bytes.max(HEAD_BYTES);
    let mut value = Vec::with_capacity(length + 8);
    value.extend_from_slice(&number.to_le_bytes());
    value.extend_from_slice(&(length as u32).to_le_bytes());
    let mut word = number ^ 0x9e37_79b9_7f4a_7c15;
    while value.len() < length {
        word = word.wrapping_mul(0xd134_2543_de82_ef95).rotate_left(29) ^ number;
        value.extend_from_slice(&word.to_le_bytes());
    }
    value.truncate(length);
    value
}

/// The number of the record whose value this is, if it is one.
fn number_of(bytes: &[u8]) -> Option<u64> {
    let (number, _) = bytes.split_first_chunk()?;
    let number = u64::from_le_bytes(*number);
    (value(number, bytes.len()) == bytes).then_some(number)
}

/// A batch of the records `first..first + count`.
pub(crate) fn batch(
    first: u64,
    count: u32,
    value_bytes: usize,
    producer: Option<Producer>,
    compression: Compression,
) -> Result<Vec<u8>, BuildError> {
    let mut builder = BatchBuilder::new(compression);
    builder.set_producer(producer);
    for number in first..first + u64::from(count) {
        let timestamp = TIMESTAMP_MS + number as i64;
        let key = (number % 16).to_le_bytes();
        builder.push(
            timestamp,
            Some(&key),
            Some(&value(number, value_bytes)),
            &[],
        );
    }
    builder.build()
}

/// What a fetch brought.
#[derive(Debug, Default)]
pub(crate) struct Fetched {
    /// Records at or behind the position asked for.
    pub(crate) records: Vec<Run>,
    /// Behind the last whole batch; `None` without one.
    pub(crate) end: Option<i64>,
}

impl Fetched {
    fn add(&mut self, offset: i64, number: Option<u64>) {
        if let Some(last) = self.records.last_mut()
            && last.offset + i64::from(last.count) == offset
            && let (Some(first), Some(next)) = (last.number, number)
            && first + u64::from(last.count) == next
        {
            last.count += 1;
            return;
        }
        self.records.push(Run {
            offset,
            number,
            count: 1,
        });
    }
}

/// Reads batches as a consumer does: a last one that is cut off is no error.
pub(crate) fn read(mut bytes: &[u8], position: i64) -> Result<Fetched, String> {
    let mut fetched = Fetched::default();
    while let Ok(header) = Header::parse(bytes) {
        let Some(batch) = bytes.get(..header.batch_bytes as usize) else {
            break;
        };
        bytes = &bytes[batch.len()..];
        record_batch::check(batch).map_err(|error| format!("a batch that is none: {error}"))?;
        if header.end_offset() <= position {
            continue;
        }
        read_batch(&header, batch, position, &mut fetched)?;
        fetched.end = Some(header.end_offset());
    }
    Ok(fetched)
}

fn read_batch(
    header: &Header,
    batch: &[u8],
    position: i64,
    fetched: &mut Fetched,
) -> Result<(), String> {
    let mut opened = Vec::new();
    let codec = header.compression().ok_or("an unknown codec")?;
    decompress(codec, payload(batch), OPENED_BYTES_MAX, &mut opened)
        .map_err(|error| format!("a batch that does not open: {error}"))?;
    for record in Records::new(header, &opened) {
        let record = record.map_err(|error| error.to_string())?;
        if record.offset >= position {
            fetched.add(record.offset, record.value.and_then(number_of));
        }
    }
    Ok(())
}
