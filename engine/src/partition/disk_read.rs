//! What a cold read brought: its granules checked, then whole batches taken out of it.
//!
//! INVARIANT: nothing is taken from bytes that were not checked. A batch that reaches behind the
//! read is completed from memory, or a longer read is asked for.

use super::index_lookup::offset_delta;
use super::read::{Found, nothing_at};
use super::{
    DiskRead, Fence, FoundBatches, Partition, ReadBatches, ReadError, ReadPlan, ReadRequest,
    SpareVecs,
};
use crate::ids::FileId;
use crate::io::arena::ArenaSlice;
use crate::planted::{self, Bug};
use crate::record_batch::{HEADER_BYTES, Header};
use crate::segment::granules::{GranuleOwner, granule_end, granule_number};
use std::ops::Range;

/// After the disk read.
impl Partition {
    /// The checksum of the granule that begins at `position` of a segment file, computed over
    /// `bytes`: its records. Does not look whether the segment is still one of this log.
    #[must_use]
    pub fn granule_sum(&self, file: FileId, generation: u32, position: u64, bytes: &[u8]) -> u32 {
        let seed = self.granule_owner(file, generation).seed(position);
        crc32c::crc32c_append(seed, bytes)
    }

    fn granule_owner(&self, file: FileId, generation: u32) -> GranuleOwner {
        GranuleOwner {
            topic_id: self.spec.topic_id,
            index: self.spec.index,
            file,
            generation,
        }
    }

    /// Checks what a disk read brought against the granule checksums. `parts` are the bytes of
    /// `read.range`, in order; every part but the last is whole granules. `sums` are what
    /// `granule_sum` gave for its granules, `None` or nothing for those to be summed now.
    ///
    /// # Errors
    /// `Corrupt`: damage among the bytes the first batch needs. Damage further on only shortens
    /// `read`. Either way the batches that begin in the damaged granule are fenced by this call,
    /// with a control record.
    pub fn check_granules(
        &mut self,
        read: &mut DiskRead,
        parts: &[ArenaSlice],
        sums: &[Option<u32>],
    ) -> Result<(), ReadError> {
        let owner = self.granule_owner(read.file, read.generation);
        if self.segment_of_file(read.file, read.generation).is_none() {
            // Replaced or dropped meanwhile: `batches_in` takes nothing from it.
            return Ok(());
        }
        let view = PartsView::of(read, parts);
        let mut at = read.range.start;
        for (number, &expected) in read.crcs.iter().enumerate() {
            let end = granule_end(at).min(read.data_end);
            let known = sums.get(number).copied().flatten();
            let sum = known.or_else(|| view.crc(at..end, owner.seed(at)));
            if sum != Some(expected) && !planted::is(Bug::BaseOffsetNotChecked) {
                let is_needed = at < read.needed_end;
                log::error!(
                    "partition {}: {:?}: bytes {at} to {end} fail their checksum",
                    self.spec.handle.0,
                    read.file
                );
                self.fence_granule(read, at);
                if is_needed {
                    let reaching = self.batch_reaching(read, &view, at);
                    self.fence_batch(reaching);
                    return Err(ReadError::Corrupt {
                        offset: read.offset,
                    });
                }
                read.data_end = at;
                read.range.end = at;
                read.crcs.truncate(number);
                return Ok(());
            }
            at = end;
        }
        Ok(())
    }

    /// Fences the batches that begin in a damaged granule. A batch that only reaches into it is
    /// noticed whenever it is read.
    fn fence_granule(&mut self, read: &DiskRead, position: u64) {
        let Some(number) = self.segment_of_file(read.file, read.generation) else {
            return;
        };
        let segment = &self.segments[number];
        let deltas = segment
            .index
            .as_ref()
            .and_then(|index| index.deltas_in(granule_number(position)));
        let Some((first, next)) = deltas else {
            return;
        };
        let end_of_closed = segment.end_offset.min(self.closed.offset);
        let end_offset = next.map_or(end_of_closed, |n| segment.base_offset + i64::from(n));
        let start_offset = segment.base_offset + i64::from(first);
        self.fence(Fence {
            start_offset,
            end_offset,
            stops_appends: false,
            is_lost: false,
        });
    }

    /// The wanted batch, if it begins in checked bytes before `damage` and reaches into it: what
    /// no granule's own batches tell.
    fn batch_reaching(&self, read: &DiskRead, view: &PartsView<'_>, damage: u64) -> Option<Header> {
        let mut at = read.walk_from;
        while at + HEADER_BYTES as u64 <= damage {
            let header = self.header_across(read, view, at)??;
            let end = at + u64::from(header.batch_bytes);
            if header.end_offset() > read.offset {
                return (end > damage).then_some(header);
            }
            at = end;
        }
        None
    }

    fn fence_batch(&mut self, batch: Option<Header>) {
        if let Some(header) = batch {
            self.fence(Fence {
                start_offset: header.base_offset,
                end_offset: header.end_offset(),
                stops_appends: false,
                is_lost: false,
            });
        }
    }

    /// What cannot be told from what begins at `offset`, which cannot be read: up to where the
    /// index knows of the next batch, or to the segment's end. `None`: no segment holds the offset.
    #[must_use]
    pub fn unreadable_from(&self, offset: i64) -> Option<Range<i64>> {
        let segment = self.segments.iter().find(|s| s.end_offset > offset)?;
        let delta = offset_delta(segment, offset);
        let index = segment.index.as_ref().filter(|index| index.missing == 0);
        let next = index.and_then(|index| index.next_behind(delta));
        let end_offset = match next {
            Some(next) => segment.base_offset + i64::from(next),
            None => segment.end_offset,
        };
        Some(offset..end_offset)
    }

    /// Fences a range that cannot be read and is about to be given up.
    pub fn fence_unreadable(&mut self, offsets: Range<i64>) {
        self.fence(Fence {
            start_offset: offsets.start,
            end_offset: offsets.end,
            stops_appends: false,
            is_lost: false,
        });
    }

    /// The batches `request` wants out of checked bytes (`parts` as for `check_granules`).
    ///
    /// # Errors
    /// As `plan_read`; `Corrupt` also for bytes that passed their check and are no batches.
    pub fn batches_in(
        &self,
        read: &DiskRead,
        parts: &[ArenaSlice],
        request: &ReadRequest,
        spare: &mut SpareVecs,
    ) -> Result<FoundBatches, ReadError> {
        if request.offset < self.log_start {
            return Err(ReadError::OutOfRange {
                offset: request.offset,
                log_start: self.log_start,
                log_end: self.appended.offset,
            });
        }
        if self.segment_of_file(read.file, read.generation).is_none() {
            return Ok(FoundBatches::PlanAgain);
        }
        let corrupt = ReadError::Corrupt {
            offset: read.offset,
        };
        // What passed the check here may have been fenced by another read meanwhile.
        let bound = self.bound(request.bound).offset;
        let limit = self.fence_limit(read.offset, bound);
        let limit = limit.unwrap_or(i64::MAX).min(bound);
        let view = PartsView::of(read, parts);
        let mut start = None;
        let mut at = read.walk_from;
        let mut next_offset = request.offset;
        while let Some(header) = self.header_across(read, &view, at) {
            let header = header.ok_or(corrupt)?;
            let end = at + u64::from(header.batch_bytes);
            if header.end_offset() <= read.offset {
                at = end;
                continue;
            }
            let first = *start.get_or_insert(at);
            let is_first = first == at;
            let is_too_much = (end - first) as usize > request.bytes_max && !is_first;
            if is_first && limit < bound && header.base_offset >= limit {
                // Compaction left nothing before the fenced range: without an error its reader
                // would ask for ever.
                return Err(ReadError::Corrupt { offset: limit });
            }
            if header.base_offset >= limit || is_too_much {
                break;
            }
            if end > read.data_end {
                if is_first {
                    return self.first_batch_split(read, at..end, &view, &header, spare);
                }
                break;
            }
            next_offset = header.end_offset();
            at = end;
        }
        let Some(start) = start else {
            return self.behind_gap(read, at, limit, request, spare);
        };
        let mut found = spare.take();
        view.slices(start..at, &mut found);
        Ok(FoundBatches::Found(ReadBatches {
            parts: found,
            bytes: (at - start) as usize,
            next_offset,
        }))
    }

    /// Offsets are missing up to file position `at`, where the read ends (a crash of a relaxed
    /// class left a gap): the batch behind the gap lies further on, perhaps in memory.
    fn behind_gap(
        &self,
        read: &DiskRead,
        at: u64,
        limit: i64,
        request: &ReadRequest,
        spare: &mut SpareVecs,
    ) -> Result<FoundBatches, ReadError> {
        if let Some(position) = self.log_position(read, at)
            && let Ok(Found::InMemory(start)) = self.walk_in_memory(position, read.offset)
        {
            let bound = self.bound(request.bound);
            if start >= bound.position {
                return Ok(FoundBatches::Found(nothing_at(request.offset)));
            }
            let batches = self.take_from_memory(start, limit, bound, request, spare)?;
            return Ok(FoundBatches::Found(batches));
        }
        self.need_more(read, at..at + HEADER_BYTES as u64, spare)
    }

    /// The header at a file position of the read; its end may be in memory. `None` when it is not
    /// all there, `Some(None)` when it is none.
    fn header_across(
        &self,
        read: &DiskRead,
        view: &PartsView<'_>,
        position: u64,
    ) -> Option<Option<Header>> {
        let mut bytes = [0; HEADER_BYTES];
        let mut done = view.copy_out(position, &mut bytes);
        if done == 0 {
            return None;
        }
        if done < HEADER_BYTES {
            let number = self.segment_of_file(read.file, read.generation)?;
            let behind = self.segments[number].start + position + done as u64;
            done += self.tail.copy_out(behind, &mut bytes[done..]);
        }
        (done == HEADER_BYTES).then(|| Header::parse(&bytes).ok())
    }

    fn log_position(&self, read: &DiskRead, in_file: u64) -> Option<u64> {
        let number = self.segment_of_file(read.file, read.generation)?;
        Some(self.segments[number].start + in_file)
    }

    /// The first batch reaches behind what was read: the rest is in memory, or more must be read.
    fn first_batch_split(
        &self,
        read: &DiskRead,
        batch: Range<u64>,
        view: &PartsView<'_>,
        header: &Header,
        spare: &mut SpareVecs,
    ) -> Result<FoundBatches, ReadError> {
        if let Some(number) = self.segment_of_file(read.file, read.generation) {
            let start = self.segments[number].start;
            let (from, to) = (start + read.data_end, start + batch.end);
            if self.tail.covers(from, to) {
                let mut parts = spare.take();
                view.slices(batch.start..read.data_end, &mut parts);
                self.tail.slices(from, to, &mut parts);
                return Ok(FoundBatches::Found(ReadBatches {
                    parts,
                    bytes: (batch.end - batch.start) as usize,
                    next_offset: header.end_offset(),
                }));
            }
        }
        self.need_more(read, batch.start..batch.end, spare)
    }

    fn need_more(
        &self,
        read: &DiskRead,
        needed: Range<u64>,
        spare: &mut SpareVecs,
    ) -> Result<FoundBatches, ReadError> {
        let corrupt = ReadError::Corrupt {
            offset: read.offset,
        };
        let Some(number) = self.segment_of_file(read.file, read.generation) else {
            return Err(ReadError::OutOfRange {
                offset: read.offset,
                log_start: self.log_start,
                log_end: self.appended.offset,
            });
        };
        let segment = &self.segments[number];
        let disk_end = self.disk_end.position.min(segment.end) - segment.start;
        if disk_end <= read.data_end {
            return Err(corrupt);
        }
        let needed_end = segment.start + needed.end.min(disk_end);
        let plan = self.plan_disk_read(
            number,
            segment.start + needed.start,
            read.offset,
            (needed.end - needed.start) as usize,
            Some(needed_end),
            spare,
        )?;
        match plan {
            ReadPlan::Disk(more) => Ok(FoundBatches::NeedMore(more)),
            // Its index went meanwhile: the caller begins again.
            _ => Err(ReadError::NoMemory),
        }
    }
}

/// The bytes a disk read brought, by file position, up to where they are records.
struct PartsView<'a> {
    parts: &'a [ArenaSlice],
    start: u64,
    end: u64,
}

impl<'a> PartsView<'a> {
    fn of(read: &DiskRead, parts: &'a [ArenaSlice]) -> Self {
        let bytes: usize = parts.iter().map(|part| part.len()).sum();
        Self {
            parts,
            start: read.range.start,
            end: read.data_end.min(read.range.start + bytes as u64),
        }
    }

    /// Calls `part` with the pieces of `range`; whether all of it was there.
    fn each(&self, range: Range<u64>, mut part: impl FnMut(&'a ArenaSlice, Range<usize>)) -> bool {
        if range.start < self.start || range.end > self.end {
            return false;
        }
        let mut part_start = self.start;
        for slice in self.parts {
            let part_end = part_start + slice.len() as u64;
            let from = range.start.max(part_start);
            let to = range.end.min(part_end);
            if from < to {
                part(
                    slice,
                    (from - part_start) as usize..(to - part_start) as usize,
                );
            }
            part_start = part_end;
        }
        true
    }

    fn crc(&self, range: Range<u64>, mut crc: u32) -> Option<u32> {
        self.each(range, |slice, part| {
            crc = crc32c::crc32c_append(crc, &slice[part]);
        })
        .then_some(crc)
    }

    fn slices(&self, range: Range<u64>, out: &mut Vec<ArenaSlice>) {
        self.each(range, |slice, part| out.push(slice.slice(part)));
    }

    /// Copies bytes from `position` on, as many as there are.
    fn copy_out(&self, position: u64, out: &mut [u8]) -> usize {
        let mut done = 0;
        let end = self.end.min(position.saturating_add(out.len() as u64));
        self.each(position..end.max(position), |slice, part| {
            let part = &slice[part];
            out[done..done + part.len()].copy_from_slice(part);
            done += part.len();
        });
        done
    }
}
