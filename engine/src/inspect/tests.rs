//! What `log verify` makes of single files.

use super::{Known, KnownBatch, Partitions, Report, Source, segments};
use crate::ids::{FileId, PartitionHandle, TopicId};
use crate::io::Dir;
use crate::limits::{BLOCK_BYTES, SEGMENT_DATA_START};
use crate::partition::SegmentFacts;
use crate::segment::file_format::segment_name;
use crate::segment::granules::GranuleOwner;
use crate::segment::index::SegmentIndex;

const FILE: FileId = FileId(3);
const HANDLE: PartitionHandle = PartitionHandle(1);

/// One segment file of zeros.
struct Zeros;

impl Source for Zeros {
    fn list(&self, _: Dir) -> Result<Vec<(String, u64)>, String> {
        Ok(vec![(segment_name(FILE), 16 * BLOCK_BYTES)])
    }

    fn read(&self, _: Dir, _: &str, _: u64, out: &mut [u8]) -> Result<(), String> {
        out.fill(0);
        Ok(())
    }
}

/// A segment that is younger than the checkpoint, with one batch in the journal.
fn young_segment(prepared: u64) -> Partitions {
    let topic_id = TopicId([7; 16]);
    let facts = SegmentFacts {
        file: FILE,
        generation: 0,
        base_offset: 0,
        end_offset: 0,
        bytes: SEGMENT_DATA_START,
        prepared,
        index_blocks: 0,
        owner: GranuleOwner {
            topic_id,
            index: 0,
            file: FILE,
            generation: 0,
        },
        index: SegmentIndex::default(),
        tail_crc: None,
    };
    let batch = KnownBatch {
        file: FILE,
        position: SEGMENT_DATA_START,
        bytes: 100,
        base_offset: 0,
        end_offset: 5,
    };
    let known = Known {
        topic_id,
        index: 0,
        log_start: 0,
        log_end: 5,
        fences: Vec::new(),
        segments: vec![facts],
        batches: vec![batch],
        faults: Vec::new(),
        tail: super::LogTail::default(),
        is_deleted: false,
    };
    [(HANDLE, known)].into()
}

#[test]
fn zeros_for_an_owner_are_damage_once_the_file_is_known_to_be_made() {
    for (prepared, count) in [(0, 0), (16 * BLOCK_BYTES, 1)] {
        let mut report = Report::new(None);
        let partitions = young_segment(prepared);
        segments::check_named(&mut report, &Zeros, &partitions, None).unwrap();
        assert_eq!(report.problems.len(), count, "{report:?}");
        let lost = report.problems.iter().filter_map(|found| found.records);
        assert!(lost.clone().all(|lost| lost.end_offset == 5), "{report:?}");
        assert_eq!(lost.count(), count);
    }
}
