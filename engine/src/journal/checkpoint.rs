//! Checkpoints: everything a shard must know to begin replay, in two files of equal content.
//!
//! ```text
//! block 0   header (192), keyed check over header and body, zeros
//! block 1.. body: partitions, registry
//! ```
//! A copy is good when its check holds; the newer good copy counts. Each checkpoint is written to
//! the older copy first and, when that is durable, to the other one, so that a torn write leaves
//! one whole copy whose journal is still live.

use super::check::{Check, JournalKey};
use super::format::FORMAT_VERSION;
use super::ring::{Place, RingShape};
use super::wire::{Reader, put_sized};
use crate::ids::{JournalId, PartitionHandle};
use crate::limits::BLOCK_BYTES;
use zerocopy::byteorder::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// First bytes of a checkpoint.
pub const CHECKPOINT_MAGIC: [u8; 8] = *b"MILLCKP1";
/// Bytes before the body.
pub const BODY_START: usize = BLOCK_BYTES as usize;
/// Largest checkpoint file that is read.
pub const CHECKPOINT_BYTES_MAX: u64 = 1 << 32;
const FLAG_CLEAN: u32 = 1;
const CHECK_AT: usize = 16;
const HEADER_BYTES: usize = 192;

#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct RawHeader {
    magic: [u8; 8],
    version: U16,
    journal: U16,
    flags: U32,
    check: [u8; 16],
    set_id: [u8; 16],
    previous: [u8; 16],
    number: U64,
    epoch: U64,
    start_sequence: U64,
    mark: U64,
    start_position: U64,
    start_file: U32,
    ring_files: U32,
    ring_file_bytes: U64,
    body_bytes: U64,
    next_file: U64,
    partition_count: U32,
    registry_count: U32,
    reserved: [u8; 48],
}

const _: () = assert!(size_of::<RawHeader>() == HEADER_BYTES);
const _: () = assert!(std::mem::offset_of!(RawHeader, check) == CHECK_AT);
const _: () = assert!(std::mem::offset_of!(RawHeader, number) == 64);
const _: () = assert!(HEADER_BYTES <= BODY_START);

/// The fixed facts of a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckpointHead {
    /// The data directory it belongs to.
    pub set_id: [u8; 16],
    /// Which journal.
    pub journal: JournalId,
    /// Counts up by one.
    pub number: u64,
    /// Journal epoch of the commits behind it.
    pub epoch: u64,
    /// First sequence that is not in it.
    pub start_sequence: u64,
    /// Where that commit starts.
    pub start: Place,
    /// Check of the commit before it, or the epoch's seed.
    pub previous: Check,
    /// Everything up to this sequence is resolved.
    pub mark: u64,
    /// The ring it was written beside.
    pub shape: RingShape,
    /// Counter for the next segment file.
    pub next_file: u64,
    /// Written by a clean stop: no commit follows it.
    pub is_clean: bool,
}

/// Builds the bytes of a checkpoint file. Reused from checkpoint to checkpoint.
#[derive(Debug, Default)]
pub struct CheckpointBuilder {
    bytes: Vec<u8>,
    partition_count: u32,
    registry_count: u32,
    registry: Vec<u8>,
}

impl CheckpointBuilder {
    /// Begins a new checkpoint, keeping the memory of the last one.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.resize(BODY_START, 0);
        self.registry.clear();
        self.partition_count = 0;
        self.registry_count = 0;
    }

    /// Adds a partition: `encode` appends its state.
    pub fn partition(&mut self, handle: PartitionHandle, encode: impl FnOnce(&mut Vec<u8>)) {
        self.bytes.extend_from_slice(&handle.0.to_le_bytes());
        let length_at = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        encode(&mut self.bytes);
        let length = (self.bytes.len() - length_at - 4) as u32;
        self.bytes[length_at..length_at + 4].copy_from_slice(&length.to_le_bytes());
        self.partition_count += 1;
    }

    /// Adds a registry entry.
    pub fn registry(&mut self, owner: PartitionHandle, key: &[u8], value: &[u8]) {
        self.registry.extend_from_slice(&owner.0.to_le_bytes());
        put_sized(&mut self.registry, key);
        put_sized(&mut self.registry, value);
        self.registry_count += 1;
    }

    /// Bytes of the file so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len() + self.registry.len()
    }

    /// Whether nothing was begun.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Writes the header and pads to whole blocks: the bytes of the file.
    pub fn seal(&mut self, key: &JournalKey, head: &CheckpointHead) -> &[u8] {
        self.bytes.append(&mut self.registry);
        let body_bytes = self.bytes.len() - BODY_START;
        let mut raw = RawHeader {
            magic: CHECKPOINT_MAGIC,
            version: FORMAT_VERSION.into(),
            journal: head.journal.0.into(),
            flags: if head.is_clean { FLAG_CLEAN } else { 0 }.into(),
            check: [0; 16],
            set_id: head.set_id,
            previous: head.previous,
            number: head.number.into(),
            epoch: head.epoch.into(),
            start_sequence: head.start_sequence.into(),
            mark: head.mark.into(),
            start_position: head.start.position.into(),
            start_file: head.start.file.into(),
            ring_files: head.shape.files.into(),
            ring_file_bytes: head.shape.file_bytes.into(),
            body_bytes: (body_bytes as u64).into(),
            next_file: head.next_file.into(),
            partition_count: self.partition_count.into(),
            registry_count: self.registry_count.into(),
            reserved: [0; 48],
        };
        self.bytes[..HEADER_BYTES].copy_from_slice(raw.as_bytes());
        raw.check = check_of(key, &self.bytes);
        self.bytes[..HEADER_BYTES].copy_from_slice(raw.as_bytes());
        let padded = self.bytes.len().next_multiple_of(BLOCK_BYTES as usize);
        self.bytes.resize(padded, 0);
        &self.bytes
    }

    /// The sealed bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// The check of header block and body, read as if the check itself were zero.
fn check_of(key: &JournalKey, bytes: &[u8]) -> Check {
    key.check(&[&bytes[..CHECK_AT], &[0; 16], &bytes[CHECK_AT + 16..]])
}

/// A checkpoint that was read back and whose check holds.
#[derive(Debug)]
pub struct FoundCheckpoint<'a> {
    /// The fixed facts.
    pub head: CheckpointHead,
    partition_count: u32,
    registry_count: u32,
    body: &'a [u8],
}

/// The content of a checkpoint, in the order of the file.
#[derive(Debug, Default)]
pub struct CheckpointContent<'a> {
    /// Partition states, as the partitions encoded them.
    pub partitions: Vec<(PartitionHandle, &'a [u8])>,
    /// Registry entries.
    pub registry: Vec<(PartitionHandle, &'a [u8], &'a [u8])>,
}

/// Why a checkpoint copy does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointFault {
    /// Never written, or its first block is lost.
    #[error("holds no checkpoint")]
    Absent,
    /// Another format version.
    #[error("has format version {0}, this program reads {FORMAT_VERSION}")]
    Version(u16),
    /// The check does not hold.
    #[error("fails its check")]
    Damaged,
    /// It belongs to another journal.
    #[error("belongs to journal {0}")]
    OtherJournal(u16),
}

/// Reads a checkpoint copy: the whole content of its file.
///
/// # Errors
/// Why it does not count.
pub fn read_checkpoint<'a>(
    file: &'a [u8],
    key: &JournalKey,
    journal: JournalId,
) -> Result<FoundCheckpoint<'a>, CheckpointFault> {
    let (raw, _) = RawHeader::ref_from_prefix(file).map_err(|_| CheckpointFault::Absent)?;
    if raw.magic != CHECKPOINT_MAGIC {
        return Err(CheckpointFault::Absent);
    }
    if raw.version.get() != FORMAT_VERSION {
        return Err(CheckpointFault::Version(raw.version.get()));
    }
    let covered = usize::try_from(raw.body_bytes.get())
        .ok()
        .and_then(|bytes| file.get(..BODY_START.checked_add(bytes)?))
        .ok_or(CheckpointFault::Damaged)?;
    if raw.check != check_of(key, covered) {
        return Err(CheckpointFault::Damaged);
    }
    let body = &covered[BODY_START..];
    if raw.journal.get() != journal.0 {
        return Err(CheckpointFault::OtherJournal(raw.journal.get()));
    }
    let shape = RingShape {
        files: raw.ring_files.get(),
        file_bytes: raw.ring_file_bytes.get(),
    };
    let start = Place {
        file: raw.start_file.get(),
        position: raw.start_position.get(),
    };
    if !shape.is_valid() || !shape.holds(start, BLOCK_BYTES) {
        return Err(CheckpointFault::Damaged);
    }
    Ok(FoundCheckpoint {
        head: CheckpointHead {
            set_id: raw.set_id,
            journal,
            number: raw.number.get(),
            epoch: raw.epoch.get(),
            start_sequence: raw.start_sequence.get(),
            start,
            previous: raw.previous,
            mark: raw.mark.get(),
            shape,
            next_file: raw.next_file.get(),
            is_clean: raw.flags.get() & FLAG_CLEAN != 0,
        },
        partition_count: raw.partition_count.get(),
        registry_count: raw.registry_count.get(),
        body,
    })
}

impl<'a> FoundCheckpoint<'a> {
    /// The body. `None` when its parts do not fit it, which a check that holds rules out unless
    /// the program that wrote it was wrong.
    #[must_use]
    pub fn content(&self) -> Option<CheckpointContent<'a>> {
        let mut reader = Reader::new(self.body);
        let mut content = CheckpointContent::default();
        for _ in 0..self.partition_count {
            let handle = PartitionHandle(reader.u64()?);
            content.partitions.push((handle, reader.sized()?));
        }
        for _ in 0..self.registry_count {
            let owner = PartitionHandle(reader.u64()?);
            let key = reader.sized()?;
            content.registry.push((owner, key, reader.sized()?));
        }
        (reader.remaining() == 0).then_some(content)
    }
}

/// Which of the two copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Copy {
    /// `ckpt.A`.
    A,
    /// `ckpt.B`.
    B,
}

impl Copy {
    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    /// Which copy a new checkpoint overwrites first: the older or damaged one.
    #[must_use]
    pub fn older(a: Option<u64>, b: Option<u64>) -> Self {
        match (a, b) {
            (Some(a), Some(b)) if a > b => Self::B,
            (Some(_), None) => Self::B,
            _ => Self::A,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        BODY_START, CheckpointBuilder, CheckpointFault, CheckpointHead, Copy, read_checkpoint,
    };
    use crate::ids::{JournalId, PartitionHandle};
    use crate::journal::check::JournalKey;
    use crate::journal::ring::{Place, RingShape};

    const KEY: JournalKey = JournalKey([5; 16]);

    fn head() -> CheckpointHead {
        CheckpointHead {
            set_id: [2; 16],
            journal: JournalId(1),
            number: 12,
            epoch: 3,
            start_sequence: 400,
            start: Place {
                file: 1,
                position: 4096,
            },
            previous: [7; 16],
            mark: 399,
            shape: RingShape::for_config(1 << 22, 4),
            next_file: 55,
            is_clean: true,
        }
    }

    fn sample() -> Vec<u8> {
        let mut builder = CheckpointBuilder::default();
        builder.clear();
        builder.partition(PartitionHandle(1), |out| out.extend_from_slice(b"first"));
        builder.registry(PartitionHandle(0), b"topic", b"value");
        builder.partition(PartitionHandle(9), |_| ());
        builder.seal(&KEY, &head()).to_vec()
    }

    #[test]
    fn a_checkpoint_is_read_back_as_it_was_sealed() {
        let file = sample();
        assert_eq!(file.len() % 4096, 0);
        let found = read_checkpoint(&file, &KEY, JournalId(1)).unwrap();
        assert_eq!(found.head, head());
        let content = found.content().unwrap();
        assert_eq!(
            content.partitions,
            [
                (PartitionHandle(1), &b"first"[..]),
                (PartitionHandle(9), &b""[..])
            ]
        );
        assert_eq!(
            content.registry,
            [(PartitionHandle(0), &b"topic"[..], &b"value"[..])]
        );
    }

    #[test]
    fn a_longer_file_with_stale_bytes_behind_the_end_is_read_as_well() {
        let mut file = sample();
        file.extend_from_slice(&[0xee; 8192]);
        assert!(read_checkpoint(&file, &KEY, JournalId(1)).is_ok());
    }

    #[test]
    fn every_flipped_bit_makes_a_copy_bad() {
        let file = sample();
        let covered = 0..BODY_START + 50;
        for at in covered {
            let mut hurt = file.clone();
            hurt[at] ^= 1 << (at % 8);
            assert!(
                read_checkpoint(&hurt, &KEY, JournalId(1)).is_err(),
                "byte {at}"
            );
        }
        let fault = read_checkpoint(&file, &JournalKey([0; 16]), JournalId(1)).unwrap_err();
        assert_eq!(fault, CheckpointFault::Damaged);
        let fault = read_checkpoint(&file, &KEY, JournalId(2)).unwrap_err();
        assert_eq!(fault, CheckpointFault::OtherJournal(1));
        for length in [0, 100, 191, 4096, 4100] {
            assert!(read_checkpoint(&file[..length], &KEY, JournalId(1)).is_err());
        }
    }

    #[test]
    fn a_new_checkpoint_goes_over_the_older_or_damaged_copy() {
        assert_eq!(Copy::older(Some(5), Some(4)), Copy::B);
        assert_eq!(Copy::older(Some(4), Some(5)), Copy::A);
        assert_eq!(Copy::older(Some(4), None), Copy::B);
        assert_eq!(Copy::older(None, Some(4)), Copy::A);
        assert_eq!(Copy::older(None, None), Copy::A);
        assert_eq!(Copy::A.other(), Copy::B);
    }
}
