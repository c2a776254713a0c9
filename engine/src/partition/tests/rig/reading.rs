//! The rig's reads, from memory and from its disk, compared with the model.

use super::super::super::*;
use super::*;

impl Rig {
    /// Reads one offset and compares with the model. Returns the offset to go on at.
    pub(in crate::partition::tests) fn read(
        &mut self,
        offset: i64,
        bytes_max: usize,
        bound: ReadBound,
    ) -> i64 {
        let request = ReadRequest {
            offset,
            bytes_max,
            bound,
        };
        let found = self.read_request(&request).unwrap();
        let offsets = self.partition.offsets();
        let end = match bound {
            ReadBound::LogEnd => offsets.log_end,
            _ => offsets.high_watermark,
        };
        let bytes = bytes_of(&found.parts);
        assert_eq!(bytes.len(), found.bytes);
        let first = self
            .batches
            .iter()
            .find(|(base, (batch_end, _))| *batch_end > offset && **base < end);
        let Some((first, (_, first_bytes))) = first else {
            assert!(bytes.is_empty(), "nothing is there at {offset}");
            return found.next_offset;
        };
        assert!(!bytes.is_empty(), "a batch is there at {offset}");
        assert!(bytes.len() <= bytes_max || bytes.len() == first_bytes.len());
        let mut at = 0;
        let mut last_end = offset;
        for (base, (batch_end, stored)) in self.batches.range(first..) {
            if at == bytes.len() {
                assert!(found.next_offset <= *base, "no batch is skipped");
                break;
            }
            assert!(*base < end, "nothing above the bound");
            assert!(bytes[at..].starts_with(stored), "batch {base} differs");
            at += stored.len();
            last_end = *batch_end;
        }
        assert_eq!(at, bytes.len(), "whole batches only");
        assert!(found.next_offset >= last_end);
        found.next_offset
    }

    pub(in crate::partition::tests) fn read_request(
        &mut self,
        request: &ReadRequest,
    ) -> Result<ReadBatches, ReadError> {
        let mut index_loads = 0;
        loop {
            match self.partition.plan_read(request, &mut self.spare)? {
                ReadPlan::Ready(batches) => return Ok(batches),
                ReadPlan::Index(read) => {
                    index_loads += 1;
                    assert!(index_loads < 3, "an index that was loaded is used");
                    self.load_index(&read);
                }
                ReadPlan::Disk(read) => return self.read_disk(read, request),
            }
        }
    }

    pub(in crate::partition::tests) fn load_index(&mut self, read: &IndexRead) {
        self.counts.index_reads += 1;
        let bytes = &self.idx[&read.file][..read.range.end as usize];
        let part = slice_of(&mut self.arena, bytes);
        self.partition.index_loaded(read, &[part]).unwrap();
    }

    fn read_disk(
        &mut self,
        mut read: DiskRead,
        request: &ReadRequest,
    ) -> Result<ReadBatches, ReadError> {
        for _ in 0..4 {
            self.counts.disk_reads += 1;
            let range = read.range.start as usize..read.range.end as usize;
            let bytes = &self.seg[&read.file][range];
            let parts: Vec<_> = bytes
                .chunks(128 * 1024)
                .map(|chunk| slice_of(&mut self.arena, chunk))
                .collect();
            self.partition.check_granules(&mut read, &parts, &[])?;
            let found = self
                .partition
                .batches_in(&read, &parts, request, &mut self.spare)?;
            match found {
                FoundBatches::Found(batches) => return Ok(batches),
                FoundBatches::NeedMore(more) => {
                    self.counts.splits += 1;
                    assert!(more.data_end > read.data_end);
                    read = more;
                }
                FoundBatches::PlanAgain => panic!("no segment went during the read"),
            }
        }
        panic!("a read that never has enough");
    }

    pub(in crate::partition::tests) fn read_all(&mut self) {
        let offsets = self.partition.offsets();
        let mut at = offsets.log_start;
        while at < offsets.high_watermark {
            let bytes_max = 1 + self.random.below(400_000) as usize;
            let next = self.read(at, bytes_max, ReadBound::HighWatermark);
            if next == at {
                let behind = self.batches.values().any(|(end, _)| *end > at);
                assert!(!behind, "reading stands still at {at}");
                break;
            }
            at = next;
        }
    }

    /// Every segment file with data says whose it is.
    pub(in crate::partition::tests) fn check_identities(&self) {
        for segment in &self.partition.segments {
            if self.partition.written_end > segment.start {
                let block = &self.seg[&segment.file][..4096];
                let identity = SegmentIdentity::decode(block).unwrap();
                assert_eq!(identity, self.partition.identity(segment));
            }
        }
    }
}
