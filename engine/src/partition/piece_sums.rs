//! Granule checksums of a placed run, from the checksums that its batches carry: most bytes are
//! not read a second time. It also means that a bit which turned over in memory since a batch was
//! checked does not get a granule checksum that agrees with it.

use super::{Batch, Partition};
use crate::crc_join::{first_of, join};
use crate::record_batch::CRC_SPAN_START;
use crate::segment::granules::{granule_end, granule_start};
use std::ops::Range;

/// What joining must spare of a part's bytes to be worth it: a join costs as much as these.
const SPARED_BYTES_MIN: u64 = 8 * 1024;

/// The last part that was summed by its bytes: its neighbour in the next granule needs it, too.
#[derive(Default)]
struct Summed {
    part: Range<u64>,
    crc: u32,
}

impl Partition {
    /// One checksum per granule of `[from, to)`: seeded where the granule begins in the range.
    pub(super) fn sum_pieces(&self, from: u64, to: u64, segment: usize, crcs: &mut Vec<u32>) {
        let segment = &self.segments[segment];
        let owner = self.owner(segment);
        let mut summed = Summed::default();
        let mut at = from;
        while at < to {
            let end = granule_end(at).min(to);
            let seed = if at == granule_start(at) {
                owner.seed(segment.in_file(at))
            } else {
                0
            };
            let piece = at..end.min(self.appended.position);
            let sum = self.sum_piece(&piece, seed, &mut summed);
            debug_assert_eq!(sum, self.tail.crc(piece.start, piece.end, seed));
            crcs.push(sum);
            at = end;
        }
    }

    fn sum_piece(&self, piece: &Range<u64>, seed: u32, summed: &mut Summed) -> u32 {
        let first = self.batches.partition_point(|b| b.end() <= piece.start);
        let mut sum = seed;
        let mut at = piece.start;
        for batch in self.batches.range(first..) {
            let body = batch.position + CRC_SPAN_START as u64..batch.end();
            let part = body.start.max(at)..body.end.min(piece.end);
            if part.start >= part.end {
                break;
            }
            if let Some(crc) = self.sum_part(batch, &body, &part, summed) {
                sum = self.tail.crc(at, part.start, sum);
                sum = join(sum, crc, (part.end - part.start) as u32);
                at = part.end;
            }
        }
        self.tail.crc(at, piece.end, sum)
    }

    /// Checksum of a part of a batch's body, if it follows from fewer bytes than it has.
    fn sum_part(
        &self,
        batch: &Batch,
        body: &Range<u64>,
        part: &Range<u64>,
        summed: &mut Summed,
    ) -> Option<u32> {
        if summed.part == *part {
            return Some(summed.crc);
        }
        let behind = body.end - part.end;
        let is_before_known = summed.part == (body.start..part.start);
        let before = if is_before_known {
            0
        } else {
            part.start - body.start
        };
        let bytes = part.end - part.start;
        if bytes < before + behind + SPARED_BYTES_MIN {
            // Summed by its bytes; that spares the next granule its part of the batch.
            let is_first = part.start == body.start && bytes >= SPARED_BYTES_MIN;
            return is_first.then(|| self.sum_bytes(part.clone(), summed));
        }
        let whole = self.tail.header_at(batch.position)?.crc;
        let before = if is_before_known {
            summed.crc
        } else {
            self.tail.crc(body.start, part.start, 0)
        };
        let behind_crc = self.sum_bytes(part.end..body.end, summed);
        let to_end = first_of(whole, behind_crc, behind as u32);
        // Joined with the checksum of nothing, which is 0, the bytes before give their share alone.
        Some(to_end ^ join(before, 0, bytes as u32))
    }

    fn sum_bytes(&self, part: Range<u64>, summed: &mut Summed) -> u32 {
        let crc = self.tail.crc(part.start, part.end, 0);
        *summed = Summed { part, crc };
        crc
    }
}
