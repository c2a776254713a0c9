//! Reading logs back, as a client does.

use super::oracle::Asked;
use super::run::{Halt, Run};
use millrace_engine::ids::PartitionHandle;
use millrace_engine::partition::{LogOffsets, ReadBatches, ReadBound, ReadError, ReadRequest};
use millrace_engine::record_batch::Header;
use millrace_engine::shard::Read;

/// Offsets of a log and its batches by base offset.
pub(super) type Stored = (LogOffsets, Vec<(i64, Vec<u8>)>);

impl Run {
    /// The offsets of a log and all its batches. Retention may cut it meanwhile: once more then.
    pub(super) fn read_whole(&mut self, handle: PartitionHandle) -> Result<Stored, Halt> {
        loop {
            let offsets = self.offsets_of(handle)?;
            let found = self.read_from(handle, offsets.log_start, offsets.high_watermark);
            if self.offsets_of(handle)?.log_start == offsets.log_start {
                return Ok((offsets, found?));
            }
        }
    }

    /// Reads whole batches of `[from, to)`.
    pub(super) fn read_from(
        &mut self,
        handle: PartitionHandle,
        from: i64,
        to: i64,
    ) -> Result<Vec<(i64, Vec<u8>)>, Halt> {
        let mut found = Vec::new();
        let mut offset = from;
        while offset < to {
            let bytes_max = 1 + self.random.below(200_000) as usize;
            let read = self.read(handle, offset, bytes_max)?;
            if read.next_offset <= offset || read.parts.is_empty() {
                // A gap at the end of a relaxed log holds no batches.
                break;
            }
            offset = read.next_offset;
            let mut bytes = Vec::with_capacity(read.bytes);
            for part in &read.parts {
                bytes.extend_from_slice(part);
            }
            split_batches(handle, &bytes, &mut found)?;
        }
        Ok(found)
    }

    fn read(
        &mut self,
        handle: PartitionHandle,
        offset: i64,
        bytes_max: usize,
    ) -> Result<ReadBatches, Halt> {
        let request = ReadRequest {
            offset,
            bytes_max,
            bound: ReadBound::HighWatermark,
        };
        let ticket = self.ticket(Asked::Read);
        let node = self.node_of(handle);
        let read = node.shard.read(&mut node.io, handle, request, ticket);
        match read {
            Ok(Read::Ready(batches)) => {
                self.oracle.asked.remove(&ticket.0);
                return Ok(batches);
            }
            Ok(Read::Pending) => {}
            Err(_) if self.world.is_crashed() => return Err(Halt::Crashed),
            Err(error) => {
                self.oracle.asked.remove(&ticket.0);
                return Err(self.unread(handle, offset, error));
            }
        }
        let what = format!("a read of {handle:?} at {offset}");
        self.turn_until(&what, |run| run.reads.contains_key(&ticket.0))?;
        match self.reads.remove(&ticket.0) {
            Some(result) => result.map_err(|error| self.unread(handle, offset, error)),
            None => Err(Halt::Wrong(format!("{what} was answered twice"))),
        }
    }

    fn unread(&self, handle: PartitionHandle, offset: i64, error: ReadError) -> Halt {
        let text = format!("{handle:?} at {offset}: {error}");
        match error {
            ReadError::NoMemory => Halt::Refused(text),
            ReadError::Io(_) if self.is_faulty() => Halt::Refused(text),
            _ => Halt::Wrong(text),
        }
    }
}

/// Cuts bytes into the batches they are.
fn split_batches(
    handle: PartitionHandle,
    bytes: &[u8],
    found: &mut Vec<(i64, Vec<u8>)>,
) -> Result<(), String> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let header = Header::parse(rest).map_err(|error| format!("{handle:?}: {error}"))?;
        let batch_bytes = header.batch_bytes as usize;
        let Some((batch, behind)) = rest.split_at_checked(batch_bytes) else {
            return Err(format!(
                "{handle:?}: the batch at {} is cut",
                header.base_offset
            ));
        };
        found.push((header.base_offset, batch.to_vec()));
        rest = behind;
    }
    Ok(())
}
