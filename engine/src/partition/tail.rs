//! The partition's bytes in memory: extents of frozen arena slices, each with its log position,
//! and the chunk that takes small batches.
//!
//! INVARIANT: the memory address of a byte and its log position are congruent modulo a block, so
//! that whole blocks can be written from where they lie. Extents are in order and do not overlap;
//! between two of them lies a gap only at a segment's end and, in replay, where bytes were placed.

use crate::io::arena::{Arena, ArenaBuf, ArenaSlice};
use crate::limits::BLOCK_BYTES;
use crate::record_batch::{self, HEADER_BYTES, Header};
use std::collections::VecDeque;

const BLOCK: usize = BLOCK_BYTES as usize;
/// Smallest and largest chunk.
const CHUNK_BYTES_MIN: usize = 4096;
const CHUNK_BYTES_MAX: usize = 512 * 1024;
/// A chunk that filled faster than this is followed by one of twice its size, ...
const CHUNK_FILLED_FAST_NS: u64 = 100_000_000;
/// ... one that took longer than this by one of half.
const CHUNK_FILLED_SLOWLY_NS: u64 = 2_000_000_000;

/// Consecutive bytes of the log in memory.
#[derive(Debug)]
pub(super) struct Extent {
    pub(super) position: u64,
    pub(super) slice: ArenaSlice,
    /// Arena bytes counted for it: the whole block for the first extent of a block, else 0.
    charged: usize,
}

impl Extent {
    pub(super) fn end(&self) -> u64 {
        self.position + self.slice.len() as u64
    }

    /// Arena bytes that giving it up frees.
    pub(super) const fn charged(&self) -> usize {
        self.charged
    }
}

/// What is written into a batch's header.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patch {
    pub(super) base_offset: i64,
    pub(super) leader_epoch: i32,
    /// The batch gets this time.
    pub(super) append_time_ms: Option<i64>,
}

impl Patch {
    /// Writes it into a header at the start of `header`, that of a batch of `batch_bytes`.
    fn apply(&self, header: &mut [u8], batch_bytes: usize) {
        record_batch::patch(header, self.base_offset, self.leader_epoch);
        if let Some(time_ms) = self.append_time_ms {
            record_batch::stamp(header, batch_bytes, time_ms);
        }
    }
}

/// Bytes an append copied.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Copied {
    pub(super) bytes: u64,
    pub(super) realigned: u64,
}

#[derive(Debug, Default)]
pub(super) struct Tail {
    extents: VecDeque<Extent>,
    /// Empty between calls; its next byte is congruent to the log's end.
    chunk: Option<ArenaBuf>,
    /// Chunks allocated for the append in progress.
    fresh: VecDeque<ArenaBuf>,
    /// The chunk's block is counted in an extent already.
    is_chunk_charged: bool,
    chunk_bytes: usize,
    chunk_began_ns: u64,
    memory_bytes: usize,
}

/// Not enough arena memory for this many bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct NoMemory(pub(super) usize);

impl Tail {
    /// Arena bytes held.
    pub(super) fn memory_bytes(&self) -> usize {
        let idle_chunk = match &self.chunk {
            Some(chunk) if !self.is_chunk_charged => chunk.block_bytes(),
            _ => 0,
        };
        self.memory_bytes + idle_chunk
    }

    pub(super) fn extents(&self) -> &VecDeque<Extent> {
        &self.extents
    }

    /// Log position of the first byte in memory.
    pub(super) fn front(&self) -> Option<u64> {
        self.extents.front().map(|extent| extent.position)
    }

    /// Log position where a batch may be received to without a copy, as a remainder.
    pub(super) const fn remainder(log_end: u64) -> usize {
        (log_end % BLOCK_BYTES) as usize
    }

    /// Copies a batch in at `position`, giving it its place.
    pub(super) fn append_copy(
        &mut self,
        arena: &mut Arena,
        position: u64,
        batch: &[u8],
        patch: Patch,
        now_ns: u64,
    ) -> Result<Copied, NoMemory> {
        self.reserve(arena, position, batch.len(), now_ns)?;
        let (header, records) = batch.split_at(HEADER_BYTES);
        let mut patched = [0; HEADER_BYTES];
        patched.copy_from_slice(header);
        patch.apply(&mut patched, batch.len());
        let position = self.write(position, &patched);
        let position = self.write(position, records);
        self.freeze(position);
        Ok(Copied {
            bytes: batch.len() as u64,
            realigned: 0,
        })
    }

    /// Takes a batch's own buffer as part of the tail if it lies as its place demands; its partial
    /// first and last block are copied. Else copies all of it.
    pub(super) fn append_slab(
        &mut self,
        arena: &mut Arena,
        position: u64,
        slab: &mut Option<ArenaBuf>,
        patch: Patch,
        now_ns: u64,
    ) -> Result<Copied, NoMemory> {
        let Some(batch) = slab else {
            return Err(NoMemory(0));
        };
        let length = batch.len();
        let remainder = Self::remainder(position);
        let head = if remainder == 0 || !self.is_chunk_at(position) {
            0
        } else {
            BLOCK - remainder
        };
        let fits = batch.address() % BLOCK == remainder;
        let tail = Self::remainder(position + length as u64);
        if !fits || head + tail + BLOCK > length {
            let mut copied = self.append_copy(arena, position, batch, patch, now_ns)?;
            *slab = None;
            if !fits {
                copied.realigned = copied.bytes;
            }
            return Ok(copied);
        }
        // Head and tail are not neighbours, but both end or begin at a block boundary: the same
        // chunk takes them one behind the other.
        if head + tail > 0 {
            let from = if head > 0 {
                position
            } else {
                position + (length - tail) as u64
            };
            self.reserve(arena, from, head + tail, now_ns)?;
        }
        let Some(mut slab) = slab.take() else {
            return Err(NoMemory(0));
        };
        patch.apply(&mut slab, length);
        let at = self.write(position, &slab[..head]);
        self.freeze(at);
        let tail_position = position + (length - tail) as u64;
        if tail > 0 {
            let at = self.write(tail_position, &slab[length - tail..]);
            self.freeze(at);
        }
        let charged = slab.block_bytes();
        let whole = slab.freeze().into_part(head..length - tail);
        self.insert_slab(at, whole, charged);
        Ok(Copied {
            bytes: (head + tail) as u64,
            realigned: 0,
        })
    }

    /// Puts bytes back that a journal held: a tail image or inline bytes.
    pub(super) fn put_back(
        &mut self,
        arena: &mut Arena,
        position: u64,
        bytes: &[u8],
    ) -> Result<(), NoMemory> {
        self.reserve(arena, position, bytes.len(), 0)?;
        let end = self.write(position, bytes);
        self.freeze(end);
        Ok(())
    }

    /// Puts the bytes before the front extent in, which came from disk.
    pub(super) fn put_front(&mut self, position: u64, slice: ArenaSlice) {
        let charged = slice.block_bytes();
        self.memory_bytes += charged;
        self.extents.push_front(Extent {
            position,
            slice,
            charged,
        });
    }

    /// Forgets bytes at and above `position`, which were just put in.
    pub(super) fn cut(&mut self, position: u64) {
        while let Some(mut extent) = self.extents.pop_back() {
            if extent.end() <= position {
                self.extents.push_back(extent);
                return;
            }
            if extent.position < position {
                let keep = (position - extent.position) as usize;
                extent.slice = extent.slice.into_part(0..keep);
                self.extents.push_back(extent);
                break;
            }
            self.memory_bytes -= extent.charged;
        }
        self.give_up_chunk();
    }

    /// Gives up the oldest extent and returns its charge.
    pub(super) fn pop_front(&mut self) -> Option<usize> {
        let extent = self.extents.pop_front()?;
        self.memory_bytes -= extent.charged;
        Some(extent.charged)
    }

    /// Gives up the chunk's spare room; the next append begins a new one.
    pub(super) fn give_up_chunk(&mut self) {
        self.chunk = None;
        self.is_chunk_charged = false;
    }

    /// Gives up the chunk of a tail without bytes, which holds a whole block. Returns the bytes of
    /// it that `memory_bytes` did not count any more: they went with its extents.
    pub(super) fn give_up_last_chunk(&mut self) -> usize {
        let block = self.chunk.as_ref().map_or(0, ArenaBuf::block_bytes);
        let is_counted = !self.is_chunk_charged;
        self.give_up_chunk();
        if is_counted { 0 } else { block }
    }

    /// Gives back what an idle partition does not need.
    pub(super) fn shrink(&mut self) {
        if self.extents.is_empty() {
            self.give_up_chunk();
            self.extents = VecDeque::new();
            self.fresh = VecDeque::new();
            self.chunk_bytes = 0;
        }
    }

    /// Whether `[from, to)` is in memory.
    pub(super) fn covers(&self, from: u64, to: u64) -> bool {
        self.each_part(from, to, |_, _| ()) == to.max(from)
    }

    /// Calls `part` with the extents' pieces of `[from, to)` in order, up to the first gap; returns
    /// where it stopped.
    fn each_part<'a>(
        &'a self,
        from: u64,
        to: u64,
        mut part: impl FnMut(&'a ArenaSlice, std::ops::Range<usize>),
    ) -> u64 {
        let mut at = from;
        let first = self.extents.partition_point(|extent| extent.end() <= from);
        for extent in self.extents.range(first..) {
            if at >= to || extent.position > at {
                break;
            }
            let start = (at - extent.position) as usize;
            let end = (extent.end().min(to) - extent.position) as usize;
            part(&extent.slice, start..end);
            at = extent.position + end as u64;
        }
        at
    }

    /// Appends slices of `[from, to)` to `out`; returns where memory ends.
    pub(super) fn slices(&self, from: u64, to: u64, out: &mut Vec<ArenaSlice>) -> u64 {
        self.each_part(from, to, |slice, range| out.push(slice.slice(range)))
    }

    /// crc32c of `[from, to)`, continuing `crc`. All of it is in memory.
    pub(super) fn crc(&self, from: u64, to: u64, mut crc: u32) -> u32 {
        let end = self.each_part(from, to, |slice, range| {
            crc = crc32c::crc32c_append(crc, &slice[range]);
        });
        debug_assert_eq!(end, to, "bytes that are checksummed are in memory");
        crc
    }

    /// Copies bytes from `from` on into `out`, as many as there are in memory without a gap.
    pub(super) fn copy_out(&self, from: u64, out: &mut [u8]) -> usize {
        let mut done = 0;
        self.each_part(from, from + out.len() as u64, |slice, range| {
            let part = &slice[range];
            out[done..done + part.len()].copy_from_slice(part);
            done += part.len();
        });
        done
    }

    /// The header of the batch at `position`.
    pub(super) fn header_at(&self, position: u64) -> Option<Header> {
        let number = self
            .extents
            .partition_point(|extent| extent.end() <= position);
        let extent = self.extents.get(number)?;
        let start = position.checked_sub(extent.position)? as usize;
        if extent.slice.len() - start >= HEADER_BYTES {
            return Header::parse(&extent.slice[start..]).ok();
        }
        let mut bytes = [0; HEADER_BYTES];
        if self.copy_out(position, &mut bytes) < HEADER_BYTES {
            return None;
        }
        Header::parse(&bytes).ok()
    }

    /// Whether the chunk's next byte is where `position` needs it.
    fn is_chunk_at(&self, position: u64) -> bool {
        self.chunk
            .as_ref()
            .is_some_and(|c| c.spare() > 0 && c.address() % BLOCK == Self::remainder(position))
    }

    /// Makes room for `bytes` from `position` on, in the chunk and in `fresh`, or changes nothing.
    fn reserve(
        &mut self,
        arena: &mut Arena,
        position: u64,
        bytes: usize,
        now_ns: u64,
    ) -> Result<(), NoMemory> {
        let mut room = 0;
        if let Some(chunk) = &mut self.chunk {
            let skip = (Self::remainder(position) + BLOCK - chunk.address() % BLOCK) % BLOCK;
            if skip < chunk.spare() {
                chunk.skip(skip);
                room = chunk.spare();
            } else {
                self.give_up_chunk();
            }
        }
        let had_chunk = room > 0;
        while room < bytes {
            if self.fresh.is_empty() {
                self.adapt_chunk_bytes(now_ns);
            }
            let is_first = !had_chunk && self.fresh.is_empty();
            let skip = if is_first {
                Self::remainder(position)
            } else {
                0
            };
            let wanted = (bytes - room + skip).next_power_of_two();
            let size = wanted.clamp(self.chunk_bytes, CHUNK_BYTES_MAX);
            let Some(mut chunk) = arena.alloc(size) else {
                self.fresh.clear();
                return Err(NoMemory(bytes));
            };
            chunk.skip(skip);
            room += chunk.spare();
            self.fresh.push_back(chunk);
        }
        Ok(())
    }

    fn adapt_chunk_bytes(&mut self, now_ns: u64) {
        let took = now_ns.saturating_sub(self.chunk_began_ns);
        let next = if self.chunk_bytes == 0 || took > CHUNK_FILLED_SLOWLY_NS {
            self.chunk_bytes / 2
        } else if took < CHUNK_FILLED_FAST_NS {
            self.chunk_bytes * 2
        } else {
            self.chunk_bytes
        };
        self.chunk_bytes = next.clamp(CHUNK_BYTES_MIN, CHUNK_BYTES_MAX);
        self.chunk_began_ns = now_ns;
    }

    /// Copies into reserved room; returns the position behind.
    fn write(&mut self, mut position: u64, mut bytes: &[u8]) -> u64 {
        while !bytes.is_empty() {
            if self.chunk.as_ref().is_none_or(|chunk| chunk.spare() == 0) {
                self.freeze(position);
                self.chunk = self.fresh.pop_front();
                self.is_chunk_charged = false;
            }
            let chunk = self.chunk.as_mut().expect("room was reserved");
            let now = chunk.spare().min(bytes.len());
            chunk.extend_from_slice(&bytes[..now]);
            bytes = &bytes[now..];
            position += now as u64;
        }
        position
    }

    /// Makes the chunk's filled part, which ends at `end`, an extent or joins it to the last one.
    fn freeze(&mut self, end: u64) {
        let Some(chunk) = self.chunk.as_mut().filter(|chunk| !chunk.is_empty()) else {
            return;
        };
        let block_bytes = chunk.block_bytes();
        let slice = chunk.split_frozen();
        let position = end - slice.len() as u64;
        if let Some(last) = self.extents.back_mut()
            && last.end() == position
            && let Some(joined) = last.slice.joined(&slice)
        {
            last.slice = joined;
            return;
        }
        let charged = if self.is_chunk_charged {
            0
        } else {
            block_bytes
        };
        self.is_chunk_charged = true;
        self.memory_bytes += charged;
        self.extents.push_back(Extent {
            position,
            slice,
            charged,
        });
    }

    /// Puts a slab's whole blocks in at `position`: behind the head fragment, before the tail
    /// fragment that was written already.
    fn insert_slab(&mut self, position: u64, slice: ArenaSlice, charged: usize) {
        self.memory_bytes += charged;
        let extent = Extent {
            position,
            slice,
            charged,
        };
        let after = match self.extents.back() {
            Some(last) if last.position > position => self.extents.pop_back(),
            _ => None,
        };
        self.extents.push_back(extent);
        self.extents.extend(after);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record_batch;

    fn batch(bytes: usize, fill: u8) -> Vec<u8> {
        let mut batch = vec![fill; bytes];
        batch[..HEADER_BYTES].fill(0);
        batch[8..12].copy_from_slice(&(bytes as i32 - 12).to_be_bytes());
        batch[16] = 2;
        batch
    }

    const PATCH: Patch = Patch {
        base_offset: 77,
        leader_epoch: 5,
        append_time_ms: None,
    };

    fn patched(mut bytes: Vec<u8>) -> Vec<u8> {
        record_batch::patch(&mut bytes, PATCH.base_offset, PATCH.leader_epoch);
        bytes
    }

    fn assert_congruent(tail: &Tail) {
        for extent in tail.extents() {
            assert_eq!(
                extent.slice.address() % BLOCK,
                (extent.position % BLOCK_BYTES) as usize
            );
        }
    }

    #[test]
    fn batches_of_any_size_read_back_and_lie_congruent_to_their_position() {
        let mut arena = Arena::new(16 << 20).unwrap();
        let mut tail = Tail::default();
        let mut position = 4096;
        let mut expected = Vec::new();
        for (i, bytes) in [
            61, 100, 4096, 70_000, 9000, 61, 300_000, 5000, 8192, 61, 900_000,
        ]
        .into_iter()
        .enumerate()
        {
            let bytes = batch(bytes, i as u8);
            let copied = if i % 2 == 0 {
                tail.append_copy(&mut arena, position, &bytes, PATCH, 0)
                    .unwrap()
            } else {
                let mut slab = arena.alloc(bytes.len() + BLOCK).unwrap();
                slab.skip(Tail::remainder(position));
                slab.extend_from_slice(&bytes);
                tail.append_slab(&mut arena, position, &mut Some(slab), PATCH, 0)
                    .unwrap()
            };
            assert_eq!(copied.realigned, 0);
            position += bytes.len() as u64;
            expected.extend(patched(bytes));
            assert_congruent(&tail);
        }
        let mut found = vec![0; expected.len()];
        assert_eq!(tail.copy_out(4096, &mut found), expected.len());
        assert!(found == expected);
        assert_eq!(tail.crc(4096, position, 0), crc32c::crc32c(&expected));
        assert_eq!(tail.header_at(4096).unwrap().base_offset, 77);
        while tail.pop_front().is_some() {}
        tail.shrink();
        assert_eq!(tail.memory_bytes(), 0);
        assert_eq!(arena.used_bytes(), 0);
    }

    #[test]
    fn a_slab_at_the_wrong_remainder_is_copied_and_counted() {
        let mut arena = Arena::new(4 << 20).unwrap();
        let mut tail = Tail::default();
        let bytes = batch(50_000, 3);
        let mut slab = arena.alloc(bytes.len() + BLOCK).unwrap();
        slab.skip(100);
        slab.extend_from_slice(&bytes);
        let slab = &mut Some(slab);
        let copied = tail.append_slab(&mut arena, 4096, slab, PATCH, 0).unwrap();
        assert_eq!(copied.realigned, 50_000);
        assert_congruent(&tail);
        let mut found = vec![0; 50_000];
        tail.copy_out(4096, &mut found);
        assert!(found == patched(bytes));
    }

    #[test]
    fn an_append_without_memory_changes_nothing() {
        let mut arena = Arena::new(2 << 20).unwrap();
        let mut tail = Tail::default();
        tail.append_copy(&mut arena, 4096, &batch(100, 1), PATCH, 0)
            .unwrap();
        let used = arena.used_bytes();
        let too_much = batch(3 << 20, 2);
        assert!(
            tail.append_copy(&mut arena, 4196, &too_much, PATCH, 0)
                .is_err()
        );
        assert_eq!(arena.used_bytes(), used);
        assert!(tail.covers(4096, 4196) && !tail.covers(4096, 4197));
        tail.append_copy(&mut arena, 4196, &batch(5000, 1), PATCH, 0)
            .unwrap();
        assert!(tail.covers(4096, 9196));
    }
}
