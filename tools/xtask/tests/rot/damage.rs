//! One thing that is wrong with one file of a directory at rest, drawn from the seed.

use millrace_engine::io::simulated::{Random, World};
use millrace_engine::io::{Dir, FilePath};
use std::collections::BTreeMap;
use std::fmt;

const BLOCK: usize = 4096;

/// The kinds of file that `docs/file_format.md` lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum FileKind {
    Root,
    Set,
    Checkpoint,
    Ring,
    /// All files of a journal.
    Journal,
    Segment,
    Index,
    Ballast,
}

/// What happens to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum DamageKind {
    BitFlip,
    Zeroed,
    Noise,
    /// A block is what it was some time ago: a lost write.
    Stale,
    /// A block of another place, or of another file, lies there.
    Misdirected,
    Swapped,
    Truncated,
    Removed,
    Unreadable,
}

const KINDS: [DamageKind; 9] = [
    DamageKind::BitFlip,
    DamageKind::Zeroed,
    DamageKind::Noise,
    DamageKind::Stale,
    DamageKind::Misdirected,
    DamageKind::Swapped,
    DamageKind::Truncated,
    DamageKind::Removed,
    DamageKind::Unreadable,
];

/// How often each kind of file is hit.
const FILES: [FileKind; 17] = [
    FileKind::Root,
    FileKind::Set,
    FileKind::Checkpoint,
    FileKind::Checkpoint,
    FileKind::Ring,
    FileKind::Ring,
    FileKind::Ring,
    FileKind::Ring,
    FileKind::Journal,
    FileKind::Segment,
    FileKind::Segment,
    FileKind::Segment,
    FileKind::Segment,
    FileKind::Segment,
    FileKind::Index,
    FileKind::Index,
    FileKind::Ballast,
];

/// Files as they were once.
pub(crate) type Snapshot = BTreeMap<(u8, String), Vec<u8>>;

/// What was done.
#[derive(Clone, Debug)]
pub(crate) struct Damage {
    pub(crate) file: FileKind,
    pub(crate) kind: DamageKind,
    pub(crate) path: FilePath,
    pub(crate) blocks: Vec<u64>,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kind, path, blocks, ..
        } = self;
        write!(f, "{kind:?} of {} at blocks {blocks:?}", path.name)
    }
}

impl FileKind {
    pub(crate) fn of(path: &FilePath) -> Option<Self> {
        let name = &path.name;
        Some(match path.dir {
            Dir::Root if name.starts_with("root.") => Self::Root,
            Dir::Journal if name == "set" => Self::Set,
            Dir::Journal if name.contains(".ckpt.") => Self::Checkpoint,
            Dir::Journal if name.ends_with(".jnl") => Self::Ring,
            Dir::Segments if name.ends_with(".seg") => Self::Segment,
            Dir::Segments if name.ends_with(".idx") => Self::Index,
            _ if name.ends_with(".ballast") => Self::Ballast,
            _ => return None,
        })
    }

    /// Whether it is read as a whole by a call that knows no blocks.
    const fn is_small(self) -> bool {
        matches!(self, Self::Root | Self::Set | Self::Ballast)
    }
}

fn files(world: &World) -> Vec<(FileKind, FilePath)> {
    let mut found = Vec::new();
    for dir in [Dir::Root, Dir::Journal, Dir::Segments] {
        for name in world.names(dir) {
            let path = FilePath::new(dir, name);
            found.extend(FileKind::of(&path).map(|kind| (kind, path)));
        }
    }
    found
}

/// The files as they are.
pub(crate) fn snapshot(world: &World) -> Snapshot {
    let content = |(_, path): (FileKind, FilePath)| {
        let content = world.content(&path)?;
        Some(((path.dir as u8, path.name), content))
    };
    files(world).into_iter().filter_map(content).collect()
}

fn is_written(block: &[u8]) -> bool {
    block.iter().any(|&byte| byte != 0)
}

fn block_of(content: &[u8], block: u64) -> [u8; BLOCK] {
    let mut data = [0; BLOCK];
    let start = (block as usize * BLOCK).min(content.len());
    let end = (start + BLOCK).min(content.len());
    data[..end - start].copy_from_slice(&content[start..end]);
    data
}

/// Damages something. `None`: this seed found nothing that it could change.
pub(crate) fn draw(
    world: &World,
    random: &mut Random,
    (before, last): (&Snapshot, &Snapshot),
) -> Option<Damage> {
    let kind = KINDS[random.below(KINDS.len() as u64) as usize];
    let file = FILES[random.below(FILES.len() as u64) as usize];
    if file == FileKind::Journal {
        return remove_journal(world, random);
    }
    let of_kind: Vec<FilePath> = files(world)
        .into_iter()
        .filter_map(|(found, path)| (found == file).then_some(path))
        .collect();
    let path = pick(random, &of_kind)?.clone();
    let content = world.content(&path)?;
    let blocks: Vec<u64> = (0..content.len().div_ceil(BLOCK) as u64).collect();
    let written: Vec<u64> = blocks
        .iter()
        .copied()
        .filter(|&block| is_written(&block_of(&content, block)))
        .collect();
    let key = (path.dir as u8, path.name.clone());
    let changed_since = |then: &Snapshot| -> Vec<u64> {
        let then = then.get(&key);
        let is_other =
            |then: &Vec<u8>, block: u64| block_of(then, block) != block_of(&content, block);
        let changed = |&block: &u64| then.is_some_and(|then| is_other(then, block));
        written.iter().copied().filter(changed).collect()
    };
    let block = match random.below(10) {
        0 => pick(random, &blocks).copied(),
        // Of what came last nothing else tells.
        1..=3 => pick(random, &changed_since(last))
            .or(pick(random, &written))
            .copied(),
        _ => pick(random, &written).or(pick(random, &blocks)).copied(),
    };
    let mut hit = vec![block?];
    let old = block_of(&content, hit[0]);
    let mut new = old;
    match kind {
        DamageKind::BitFlip => {
            let within = content.len().min((hit[0] as usize + 1) * BLOCK) - hit[0] as usize * BLOCK;
            let bit = random.below(within as u64 * 8) as usize;
            new[bit / 8] ^= 1 << (bit % 8);
        }
        DamageKind::Zeroed => new = [0; BLOCK],
        DamageKind::Noise => new.fill_with(|| random.bits() as u8),
        DamageKind::Stale => {
            hit = vec![*pick(random, &changed_since(before))?];
            new = block_of(before.get(&key)?, hit[0]);
        }
        DamageKind::Misdirected => {
            let all = files(world);
            let (_, other) = pick(random, &all)?;
            let is_near = random.chance(1, 2);
            let from = world.content(if is_near { &path } else { other })?;
            let written: Vec<u64> = (0..from.len().div_ceil(BLOCK) as u64)
                .filter(|&block| is_written(&block_of(&from, block)))
                .collect();
            new = block_of(&from, *pick(random, &written)?);
        }
        DamageKind::Swapped => {
            let second = *pick(random, &written)?;
            hit.push(second);
            new = block_of(&content, second);
            if new != old && !world.overwrite(&path, second, &old) {
                return None;
            }
        }
        DamageKind::Truncated => {
            let bytes = match random.chance(1, 2) || file.is_small() {
                true => random.below(content.len() as u64),
                false => hit[0] * BLOCK as u64,
            };
            hit = vec![bytes / BLOCK as u64];
            return world.truncate(&path, bytes).then_some(Damage {
                file,
                kind,
                path,
                blocks: hit,
            });
        }
        DamageKind::Removed => {
            return world.remove(&path).then_some(Damage {
                file,
                kind,
                path,
                blocks: Vec::new(),
            });
        }
        DamageKind::Unreadable => {
            let is_done = !file.is_small() && world.make_unreadable(&path, hit[0]);
            return is_done.then_some(Damage {
                file,
                kind,
                path,
                blocks: hit,
            });
        }
    }
    let is_done = new != old && world.overwrite(&path, hit[0], &new);
    is_done.then_some(Damage {
        file,
        kind,
        path,
        blocks: hit,
    })
}

/// A journal is gone, with all its files.
fn remove_journal(world: &World, random: &mut Random) -> Option<Damage> {
    let names = world.names(Dir::Journal);
    let rings: Vec<&String> = names.iter().filter(|name| name.ends_with(".jnl")).collect();
    let (journal, _) = pick(random, &rings)?.split_once('.')?;
    let of_journal = names.iter().filter(|name| name.starts_with(journal));
    let mut paths = of_journal.map(|name| FilePath::new(Dir::Journal, name.clone()));
    let is_done = paths.all(|path| world.remove(&path));
    is_done.then_some(Damage {
        file: FileKind::Journal,
        kind: DamageKind::Removed,
        path: FilePath::new(Dir::Journal, journal.to_owned()),
        blocks: Vec::new(),
    })
}

fn pick<'a, T>(random: &mut Random, from: &'a [T]) -> Option<&'a T> {
    from.get(random.below(from.len() as u64) as usize)
}
