//! The root file: what a data directory is, in two copies in `Dir::Root`. It names the journals in
//! shard order, so the number of shards is a stored fact; a journal that it names and that is
//! missing is a refusal, never an empty partition. Changes are made by writing one copy after the
//! other, each synced; the valid copy with the highest number counts.
//! INVARIANT: nothing that the older copy names is removed before both copies say otherwise.
//!
//! ```text
//! magic [8] | version u32 | bytes u32 | number u64 | set id [16] | journal key [16]
//! | layout epoch u64 | next journal u16 | 3 lists of (count u16, journal id u16 ...):
//! journals, being made, retired | crc32c u32 over all before it        (all little-endian)
//! ```
//! Magic, version, and the crc in the last 4 bytes stay in their places in later versions.

use crate::ids::JournalId;
use crate::io::{Dir, FileOp, FilePath, FileReply, Io, IoFailure};
use crate::journal::check::JournalKey;
use crate::shard::OpenError;
use crate::shard::preparation::call_file;

/// The format of everything below a data directory.
pub const FORMAT_VERSION: u32 = 1;

const ROOT_MAGIC: [u8; 8] = *b"MLRCROOT";
const SET_MAGIC: [u8; 8] = *b"MLRCSET\0";
/// Names of the two copies.
pub const COPIES: [&str; 2] = ["root.A", "root.B"];
const SET_NAME: &str = "set";
const BYTES_MAX: u64 = 64 * 1024;

/// What a data directory is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// Names the set of directories that belong together.
    pub set_id: [u8; 16],
    /// The secret of the checks in journals and checkpoints.
    pub key: JournalKey,
    /// Raised each time the number of shards changes.
    pub layout_epoch: u64,
    /// The id the next new journal gets; ids are never reused.
    pub next_journal: u16,
    /// The journal of each shard. Empty while the directory is being made.
    pub journals: Vec<JournalId>,
    /// Journals that are being made. What exists of them is incomplete.
    pub making: Vec<JournalId>,
    /// Journals whose content has moved to others. What exists of them is removed.
    pub retired: Vec<JournalId>,
}

/// A root file as it was found.
#[derive(Clone, Debug)]
pub struct FoundRoot {
    /// The valid copy with the highest number.
    pub root: Root,
    number: u64,
    /// The copy it was read from, which is overwritten last.
    copy: usize,
    /// The other copy is damaged, missing or older.
    is_half: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum CopyState {
    Missing,
    Damaged,
    OtherVersion(u32),
    Valid(u64, Root),
}

impl Root {
    fn encode(&self, number: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&ROOT_MAGIC);
        bytes.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&number.to_le_bytes());
        bytes.extend_from_slice(&self.set_id);
        bytes.extend_from_slice(&self.key.0);
        bytes.extend_from_slice(&self.layout_epoch.to_le_bytes());
        bytes.extend_from_slice(&self.next_journal.to_le_bytes());
        for list in [&self.journals, &self.making, &self.retired] {
            let count = u16::try_from(list.len()).expect("journal ids have 16 bits");
            bytes.extend_from_slice(&count.to_le_bytes());
            for journal in list {
                bytes.extend_from_slice(&journal.0.to_le_bytes());
            }
        }
        let length = u32::try_from(bytes.len() + 4).expect("three lists of 16-bit ids");
        bytes[12..16].copy_from_slice(&length.to_le_bytes());
        let crc = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> CopyState {
        let Some((body, crc)) = bytes.split_last_chunk::<4>() else {
            return CopyState::Damaged;
        };
        let mut rest = body;
        if crc32c::crc32c(body).to_le_bytes() != *crc || take(&mut rest) != Some(ROOT_MAGIC) {
            return CopyState::Damaged;
        }
        match take(&mut rest).map(u32::from_le_bytes) {
            Some(FORMAT_VERSION) => {}
            Some(version) => return CopyState::OtherVersion(version),
            None => return CopyState::Damaged,
        }
        Self::decode_fields(rest, bytes.len()).unwrap_or(CopyState::Damaged)
    }

    /// Reads one copy: its number and what it says.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn from_copy(bytes: &[u8]) -> Result<(u64, Self), String> {
        match Self::decode(bytes) {
            CopyState::Valid(number, root) => Ok((number, root)),
            CopyState::OtherVersion(version) => Err(format!(
                "has format version {version}, this program reads {FORMAT_VERSION}"
            )),
            CopyState::Missing | CopyState::Damaged => Err("fails its check".to_owned()),
        }
    }

    fn decode_fields(mut rest: &[u8], length: usize) -> Option<CopyState> {
        let rest = &mut rest;
        if u32::from_le_bytes(take(rest)?) as usize != length {
            return None;
        }
        let number = u64::from_le_bytes(take(rest)?);
        let root = Self {
            set_id: take(rest)?,
            key: JournalKey(take(rest)?),
            layout_epoch: u64::from_le_bytes(take(rest)?),
            next_journal: u16::from_le_bytes(take(rest)?),
            journals: take_list(rest)?,
            making: take_list(rest)?,
            retired: take_list(rest)?,
        };
        rest.is_empty().then_some(CopyState::Valid(number, root))
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (first, behind) = rest.split_first_chunk()?;
    *rest = behind;
    Some(*first)
}

fn take_list(rest: &mut &[u8]) -> Option<Vec<JournalId>> {
    let count = usize::from(u16::from_le_bytes(take(rest)?));
    let (list, behind) = rest.split_at_checked(count * 2)?;
    *rest = behind;
    let id = |pair: &[u8]| JournalId(u16::from_le_bytes([pair[0], pair[1]]));
    Some(list.chunks_exact(2).map(id).collect())
}

/// Reads both copies. `None`: there is no trace of a root file.
///
/// # Errors
/// Another format version; no copy that is whole; a failing disk.
pub fn read(io: &mut Io) -> Result<Option<FoundRoot>, OpenError> {
    let [a, b] = [read_copy(io, COPIES[0])?, read_copy(io, COPIES[1])?];
    for state in [&a, &b] {
        if let CopyState::OtherVersion(version) = state {
            return Err(OpenError::Refused {
                object: "root file".to_owned(),
                problem: format!(
                    "has format version {version}, this Millrace reads {FORMAT_VERSION}"
                ),
                remedy: "use the Millrace that wrote it, or another --data-dir".to_owned(),
            });
        }
    }
    let is_half = a != b;
    let found = |root, number, copy| {
        Ok(Some(FoundRoot {
            root,
            number,
            copy,
            is_half,
        }))
    };
    match (a, b) {
        (CopyState::Valid(a, root), CopyState::Valid(b, _)) if a >= b => found(root, a, 0),
        (_, CopyState::Valid(number, root)) => found(root, number, 1),
        (CopyState::Valid(number, root), _) => found(root, number, 0),
        (CopyState::Missing, CopyState::Missing) => Ok(None),
        // The first write of all begins with copy A and no journal exists before it has ended.
        (CopyState::Damaged, CopyState::Missing) => Ok(None),
        _ => Err(OpenError::Refused {
            object: format!("root files {} and {}", COPIES[0], COPIES[1]),
            problem: "neither is whole".to_owned(),
            remedy: "restore them from a backup, or use another --data-dir".to_owned(),
        }),
    }
}

fn read_copy(io: &mut Io, name: &str) -> Result<CopyState, OpenError> {
    let path = FilePath::new(Dir::Root, name);
    let bytes_max = BYTES_MAX;
    match call_file(io, FileOp::ReadAll { path, bytes_max }) {
        Ok(FileReply::Content(bytes)) => Ok(Root::decode(&bytes)),
        Ok(other) => unreachable!("a file's content is answered by Content, not {other:?}"),
        Err(failure) if failure.is_not_found() => Ok(CopyState::Missing),
        Err(failure) => Err(failed(name, failure)),
    }
}

impl FoundRoot {
    /// A root that is not on disk yet.
    #[must_use]
    pub const fn new(root: Root) -> Self {
        Self {
            root,
            number: 0,
            copy: 1,
            is_half: true,
        }
    }

    /// Makes both copies say what this says: for a found root whose copies differ.
    ///
    /// # Errors
    /// A failing disk.
    pub fn repair(&mut self, io: &mut Io) -> Result<(), OpenError> {
        if self.is_half {
            self.write(io)?;
        }
        Ok(())
    }

    /// Makes a change durable: it holds from some moment inside this call on, in one step.
    ///
    /// # Errors
    /// A failing disk; the change may or may not hold.
    pub fn write(&mut self, io: &mut Io) -> Result<(), OpenError> {
        self.number += 1;
        let content = self.root.encode(self.number);
        for name in [COPIES[self.copy ^ 1], COPIES[self.copy]] {
            let path = FilePath::new(Dir::Root, name);
            let content = content.clone();
            call_file(io, FileOp::WriteAll { path, content })
                .map_err(|failure| failed(name, failure))?;
            if self.is_half {
                sync_dir(io, Dir::Root)?;
            }
        }
        self.is_half = false;
        Ok(())
    }
}

fn set_file(set_id: &[u8; 16]) -> Vec<u8> {
    let mut content = [&SET_MAGIC[..], set_id].concat();
    let crc = crc32c::crc32c(&content);
    content.extend_from_slice(&crc.to_le_bytes());
    content
}

/// Whether `content` marks a journal directory as one of the set.
pub(crate) fn is_set_file(content: &[u8], set_id: &[u8; 16]) -> bool {
    content == set_file(set_id)
}

/// Marks the journal directory as one of the set.
pub(super) fn write_set(io: &mut Io, set_id: &[u8; 16]) -> Result<(), OpenError> {
    let content = set_file(set_id);
    let path = FilePath::new(Dir::Journal, SET_NAME);
    call_file(io, FileOp::WriteAll { path, content })
        .map_err(|failure| failed(SET_NAME, failure))?;
    sync_dir(io, Dir::Journal)
}

/// Refuses a journal directory that is not of the set. A damaged file is written anew: checkpoints
/// say themselves of which set they are.
pub(super) fn check_set(io: &mut Io, set_id: &[u8; 16]) -> Result<(), OpenError> {
    let path = FilePath::new(Dir::Journal, SET_NAME);
    let bytes_max = BYTES_MAX;
    let content = match call_file(io, FileOp::ReadAll { path, bytes_max }) {
        Ok(FileReply::Content(content)) => content,
        Ok(other) => unreachable!("a file's content is answered by Content, not {other:?}"),
        Err(failure) if failure.is_not_found() => {
            return Err(OpenError::Refused {
                object: "journal directory".to_owned(),
                problem: "has no file 'set': it holds no journals of this data directory"
                    .to_owned(),
                remedy: "mount it, or give the --journal-dir used before".to_owned(),
            });
        }
        Err(failure) => return Err(failed(SET_NAME, failure)),
    };
    let whole = content
        .split_last_chunk::<4>()
        .filter(|(body, crc)| crc32c::crc32c(body).to_le_bytes() == **crc);
    match whole {
        Some((body, _)) if body == [&SET_MAGIC[..], set_id].concat() => Ok(()),
        None => {
            log::warn!("journal directory: its file 'set' is damaged and written anew");
            write_set(io, set_id)
        }
        Some(_) => Err(OpenError::Refused {
            object: "journal directory".to_owned(),
            problem: "belongs to another data directory".to_owned(),
            remedy: "give the --journal-dir that was used with this --data-dir before".to_owned(),
        }),
    }
}

pub(super) fn failed(object: &str, failure: IoFailure) -> OpenError {
    OpenError::Io {
        object: object.to_owned(),
        failure,
    }
}

pub(super) fn sync_dir(io: &mut Io, dir: Dir) -> Result<(), OpenError> {
    call_file(io, FileOp::SyncDir { dir })
        .map(|_| ())
        .map_err(|failure| failed("directory", failure))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::simulated::{Crash, World, WorldConfig};

    fn root() -> Root {
        Root {
            set_id: [3; 16],
            key: JournalKey([4; 16]),
            layout_epoch: 7,
            next_journal: 9,
            journals: vec![JournalId(1), JournalId(2)],
            making: vec![JournalId(8)],
            retired: vec![],
        }
    }

    #[test]
    fn a_root_is_read_back_and_damage_is_seen() {
        let bytes = root().encode(5);
        assert_eq!(Root::decode(&bytes), CopyState::Valid(5, root()));
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Root::decode(&damaged), CopyState::Damaged, "bit {bit}");
        }
        for length in 0..bytes.len() {
            assert_eq!(Root::decode(&bytes[..length]), CopyState::Damaged);
        }
    }

    #[test]
    fn lists_longer_than_the_file_are_refused() {
        let mut bytes = root().encode(5);
        let at = 66;
        assert_eq!(bytes[at..at + 2], 2_u16.to_le_bytes());
        bytes[at..at + 2].copy_from_slice(&u16::MAX.to_le_bytes());
        let body = bytes.len() - 4;
        let crc = crc32c::crc32c(&bytes[..body]).to_le_bytes();
        bytes[body..].copy_from_slice(&crc);
        assert_eq!(Root::decode(&bytes), CopyState::Damaged);
    }

    #[test]
    fn a_change_holds_wholly_or_not_at_all_whenever_the_power_fails() {
        let (mut before, mut after) = (0, 0);
        for operations in 1..20 {
            for seed in 0..8 {
                let (world, mut ios) = World::new(seed, 1, WorldConfig::default());
                let mut io = ios.remove(0);
                let mut found = FoundRoot::new(root());
                found.write(&mut io).unwrap();
                world.crash_after(operations, Crash::PowerCut);
                found.root.layout_epoch += 1;
                let result = found.write(&mut io);
                world.crash_never();
                world.power_cut();
                drop(io);
                let mut io = world.restart(1).remove(0);
                let mut found = read(&mut io).unwrap().unwrap();
                match found.root.layout_epoch {
                    7 => before += 1,
                    8 => after += 1,
                    other => panic!("epoch {other}"),
                }
                assert!(result.is_err() || found.root.layout_epoch == 8);
                // The next change goes through, whatever the crash left of the copies.
                found.repair(&mut io).unwrap();
                found.root.layout_epoch = 30;
                found.write(&mut io).unwrap();
                assert_eq!(read(&mut io).unwrap().unwrap().root.layout_epoch, 30);
            }
        }
        assert!(before > 0 && after > 0, "both outcomes were seen");
    }

    #[test]
    fn one_rotten_copy_is_repaired_from_the_other_and_two_are_refused() {
        for (first, second) in [(0, 1), (1, 0)] {
            let (world, mut ios) = World::new(1, 1, WorldConfig::default());
            let mut io = ios.remove(0);
            FoundRoot::new(root()).write(&mut io).unwrap();
            let damage = |io: &mut Io, copy: usize| {
                let path = FilePath::new(Dir::Root, COPIES[copy]);
                let content = vec![7; 100];
                call_file(io, FileOp::WriteAll { path, content }).unwrap();
            };
            damage(&mut io, first);
            let mut found = read(&mut io).unwrap().unwrap();
            assert_eq!(found.root, root());
            found.repair(&mut io).unwrap();
            damage(&mut io, second);
            assert_eq!(read(&mut io).unwrap().unwrap().root, root());
            damage(&mut io, first);
            let error = read(&mut io).unwrap_err().to_string();
            assert!(error.contains("neither is whole"), "{error}");
            drop(world);
        }
    }

    #[test]
    fn another_version_is_named_with_its_remedy() {
        let (_world, mut ios) = World::new(1, 1, WorldConfig::default());
        let io = &mut ios[0];
        let mut content = root().encode(1);
        content[8..12].copy_from_slice(&77_u32.to_le_bytes());
        let body = content.len() - 4;
        let crc = crc32c::crc32c(&content[..body]).to_le_bytes();
        content[body..].copy_from_slice(&crc);
        let path = FilePath::new(Dir::Root, COPIES[0]);
        call_file(io, FileOp::WriteAll { path, content }).unwrap();
        let error = read(io).unwrap_err().to_string();
        assert!(error.contains("format version 77"), "{error}");
    }
}
