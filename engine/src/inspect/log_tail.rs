//! The bytes of a partition's last block, as the journal has them. A placed write begins with the
//! block that the records before it end in, and holds them once more.

use super::Source;
use crate::ids::FileId;
use crate::io::Dir;
use crate::journal::format::Entry;
use crate::limits::BLOCK_BYTES;
use crate::segment::file_format::segment_name;

/// What is known of a log's last block.
#[derive(Debug, Default)]
pub(super) struct LogTail {
    file: Option<FileId>,
    /// Where the bytes begin.
    start: u64,
    bytes: Vec<u8>,
}

impl LogTail {
    /// The log goes on with the bytes of an entry; `image` is what lies before it in its block,
    /// if the entry has that.
    pub(super) fn append(&mut self, entry: &Entry, image: &[u8], bytes: &[u8]) {
        if (self.file, self.end()) != (Some(entry.file), entry.position) {
            self.file = Some(entry.file);
            self.start = entry.position.saturating_sub(image.len() as u64);
            self.bytes = image.to_vec();
        }
        self.bytes.extend_from_slice(bytes);
        let block = self.end() / BLOCK_BYTES * BLOCK_BYTES;
        let older = (block.saturating_sub(self.start) as usize).min(self.bytes.len());
        self.bytes.drain(..older);
        self.start += older as u64;
    }

    const fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }

    /// Where the placed bytes of the next entry are not what the records before it are.
    pub(super) fn first_difference(&self, source: &dyn Source, entry: &Entry) -> Option<u64> {
        let is_shared =
            entry.placed_start < entry.placed_end && entry.placed_start < entry.position;
        if !is_shared || (self.file, self.end()) != (Some(entry.file), entry.position) {
            return None;
        }
        let start = self.start.max(entry.placed_start);
        let known = &self.bytes[(start - self.start) as usize..];
        let mut placed = vec![0; known.len()];
        // What cannot be read is told with the records of the entry.
        source
            .read(Dir::Segments, &segment_name(entry.file), start, &mut placed)
            .ok()?;
        let mut pairs = known.iter().zip(&placed);
        let at = pairs.position(|(known, placed)| known != placed)?;
        Some(start + at as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::PartitionHandle;
    use crate::journal::format::Kind;

    /// A segment file.
    struct Segment(Vec<u8>);

    impl Source for Segment {
        fn list(&self, _: Dir) -> Result<Vec<(String, u64)>, String> {
            Err("nobody asks".to_owned())
        }

        fn read(&self, _: Dir, _: &str, position: u64, out: &mut [u8]) -> Result<(), String> {
            let bytes = self.0.get(position as usize..);
            let bytes = bytes.and_then(|bytes| bytes.get(..out.len()));
            out.copy_from_slice(bytes.ok_or("the file ends before")?);
            Ok(())
        }
    }

    fn entry(position: u64, placed_start: u64, placed_end: u64) -> Entry {
        Entry {
            file: FileId(4),
            position,
            placed_start,
            placed_end,
            ..Entry::control(Kind::Append, PartitionHandle(1), 0)
        }
    }

    #[test]
    fn damage_before_a_placed_write_in_its_block_is_found() {
        let mut tail = LogTail::default();
        let before: Vec<u8> = (0..5000).map(|at| at as u8).collect();
        tail.append(&entry(4096, 0, 0), &[], &before[..3000]);
        tail.append(&entry(7096, 0, 0), &[], &before[3000..]);
        let mut segment = Segment([vec![0; 4096], before, vec![9; 4000]].concat());
        // Its block begins with the last 904 bytes of the records before it.
        let placed = entry(9096, 8192, 12288);
        assert_eq!(tail.first_difference(&segment, &placed), None);
        segment.0[9000] ^= 1;
        assert_eq!(tail.first_difference(&segment, &placed), Some(9000));
        segment.0[8191] ^= 1;
        assert_eq!(tail.first_difference(&segment, &placed), Some(9000));
        assert_eq!(tail.first_difference(&segment, &entry(9096, 0, 0)), None);
    }
}
