//! What happens to a disk that lies in a drawer: bits of checkpoints and segments turn over.

use millrace_engine::io::simulated::{Random, World};
use millrace_engine::io::{Dir, FilePath};
use millrace_engine::journal::checkpoint::read_checkpoint;
use millrace_engine::shard::JournalSetup;

const BLOCK_BYTES: u64 = 4096;

/// Spoils one of the two copies of a journal's checkpoint, if the other can do for it; whether it
/// did. After a kill a copy may lie in the drive's cache alone: then a power cut may take it, and
/// the other must not rot too.
pub(crate) fn spoil_checkpoint(
    world: &World,
    random: &mut Random,
    journals: &[JournalSetup],
) -> bool {
    let nth = random.below(journals.len() as u64) as usize;
    let Some(journal) = journals.get(nth) else {
        return false;
    };
    let mut copies = ['A', 'B'].map(|letter| {
        let name = format!("{:04x}.ckpt.{letter}", journal.id.0);
        FilePath::new(Dir::Journal, name)
    });
    let number = |path: &FilePath| {
        let content = world.content(path).filter(|_| world.is_flushed(path))?;
        let found = read_checkpoint(&content, &journal.key, journal.id).ok()?;
        Some(found.head.number)
    };
    let (Some(a), Some(b)) = (number(&copies[0]), number(&copies[1])) else {
        return false;
    };
    let is_between = a != b;
    if !random.chance(1, if is_between { 2 } else { 6 }) {
        return false;
    }
    // Where a crash came between the two, the newer one goes.
    let is_b_first = if is_between {
        b > a
    } else {
        random.chance(1, 2)
    };
    copies.rotate_left(usize::from(is_b_first));
    while number(&copies[0]).is_some() {
        // Most of a small copy lies in its first blocks.
        world.rot(&copies[0], random.below(3));
    }
    true
}

/// Turns a bit of some block of some segment or index file, or of some journal's ring; whether
/// there was one.
pub(crate) fn spoil(world: &World, random: &mut Random, dir: Dir) -> bool {
    let names = world.names(dir);
    let is_wanted = |name: &&String| {
        let endings = [".seg", ".idx", ".jnl"];
        endings.iter().any(|ending| name.ends_with(ending))
    };
    let files: Vec<&String> = names.iter().filter(is_wanted).collect();
    if files.is_empty() {
        return false;
    }
    let name = files[random.below(files.len() as u64) as usize];
    let path = FilePath::new(dir, name.clone());
    let bytes = world
        .content(&path)
        .map_or(0, |content| content.len() as u64);
    // Most of a segment is space that was prepared and not written.
    let most = if dir == Dir::Segments { 40 } else { u64::MAX };
    let blocks = (bytes / BLOCK_BYTES).min(most);
    world.rot(&path, random.below(blocks))
}
