//! Reads partitions back through the engine.

use crate::account::{Content, Found, Stored};
use crate::shape;
use millrace_engine::engine::Handle;
use millrace_engine::ids::PartitionHandle;
use millrace_engine::partition::{ReadBound, ReadRequest};
use millrace_engine::record_batch::Header;
use std::collections::BTreeMap;

const READ_BYTES_MAX: usize = 1 << 20;

/// The batches of a partition from `offset` to its high watermark.
pub(crate) fn read(engine: &Handle, handle: u64, mut offset: i64) -> Result<Found, String> {
    let mut found = Vec::new();
    loop {
        let request = ReadRequest {
            offset,
            bytes_max: READ_BYTES_MAX,
            bound: ReadBound::HighWatermark,
        };
        let batches = engine.read(PartitionHandle(handle), request);
        let batches = batches
            .map_err(|error| format!("partition {handle} does not read from {offset}: {error}"))?;
        if batches.bytes == 0 {
            return Ok(found);
        }
        let parts: Vec<_> = batches.parts.iter().map(|part| part.to_vec()).collect();
        let bytes = parts.concat();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let wrong = |what: &str| format!("partition {handle} after {offset}: {what}");
            let header = Header::parse(rest).map_err(|error| wrong(&error.to_string()))?;
            let length = header.batch_bytes as usize;
            let batch = rest.get(..length).ok_or_else(|| wrong("half a batch"))?;
            found.push(Stored {
                base_offset: header.base_offset,
                end_offset: header.base_offset + i64::from(header.last_offset_delta) + 1,
                sum: shape::sum(batch),
            });
            rest = &rest[length..];
        }
        offset = batches.next_offset;
    }
}

/// Everything the engine holds.
pub(crate) fn read_all(engine: &Handle) -> Result<Content, String> {
    let mut content = BTreeMap::new();
    for handle in engine.partitions().map_err(|error| error.to_string())? {
        let offsets = engine.offsets(handle).map_err(|error| error.to_string())?;
        let Some(offsets) = offsets else {
            continue;
        };
        let found = read(engine, handle.0, offsets.log_start)?;
        let end = found
            .last()
            .map_or(offsets.log_start, |last| last.end_offset);
        if end < offsets.high_watermark {
            let high = offsets.high_watermark;
            return Err(format!("partition {}: {end} is read, not {high}", handle.0));
        }
        content.insert(handle.0, (offsets.log_start, found));
    }
    Ok(content)
}
