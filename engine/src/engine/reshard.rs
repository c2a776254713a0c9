//! Changes the number of shards of a data directory at rest.
//!
//! ```text
//! 1 recover every journal, one after the other, until all it holds is in segments
//! 2 remove segment files that no partition names
//! 3 root: the new journals are being made        crash: the old journals count, new files go
//! 4 make the new journals out of the old content
//! 5 root: the new journals count, the old ones are retired, layout epoch + 1
//! 6 remove the old journals' files; root: nothing is retired
//! ```
//! Segment files stay where they are and keep their names. INVARIANT: the moment of change is the
//! first copy written in step 5; before it nothing of the old journals was changed but by recovery.

use super::config::EngineConfig;
use super::open::{journal_setup, list, remove_retired, shard_id};
use super::root_file::{FoundRoot, failed, sync_dir};
use crate::ids::{FileId, JournalId, PartitionHandle, ShardId};
use crate::io::{Dir, FileOp, Io};
use crate::partition::Partition;
use crate::shard::file_table::SegmentFile;
use crate::shard::preparation::call_file;
use crate::shard::{OpenError, ShardContent, create_journal, export_journal};
use std::collections::BTreeSet;

/// Where a partition goes: its handle (0: what belongs to a shard itself), the shard it comes
/// from, and the new number of shards.
pub type Placement = dyn Fn(PartitionHandle, ShardId, usize) -> ShardId + Send + Sync;

/// By remainder of the handle: what [`Handle`](super::Handle) uses to find a partition. What
/// belongs to shards themselves comes together on shard 0.
#[must_use]
pub fn by_remainder(handle: PartitionHandle, _: ShardId, shards: usize) -> ShardId {
    shard_id(usize::try_from(handle.0 % shards.max(1) as u64).unwrap_or(0))
}

/// Moves everything to `count` shards. Returns what a human should know.
pub(super) fn reshard(
    io: &mut Io,
    config: &EngineConfig,
    root: &mut FoundRoot,
    count: usize,
    placement: &Placement,
) -> Result<String, OpenError> {
    let before = root.root.journals.len();
    let contents = export_all(io, config, root)?;
    remove_unnamed(io, &contents)?;
    let placed = place(contents, count, placement)?;
    let partitions: usize = placed.iter().map(|shard| shard.partitions.len()).sum();

    let first = root.root.next_journal;
    let next = u16::try_from(count)
        .ok()
        .and_then(|count| first.checked_add(count));
    let next = next.ok_or_else(|| OpenError::Refused {
        object: "root file".to_owned(),
        problem: "all 65535 journal ids were used".to_owned(),
        remedy: "copy the records into a new data directory".to_owned(),
    })?;
    root.root.next_journal = next;
    root.root.making = (first..next).map(JournalId).collect();
    root.write(io)?;
    for (shard, content) in placed.iter().enumerate() {
        let setup = journal_setup(&root.root, root.root.making[shard]);
        let config = config.shard_config(shard_id(shard), count);
        create_journal(io, &config, &setup, content)?;
    }
    root.root.retired = std::mem::take(&mut root.root.journals);
    root.root.journals = std::mem::take(&mut root.root.making);
    root.root.layout_epoch += 1;
    root.write(io)?;
    remove_retired(io, root)?;
    Ok(format!(
        "moved {partitions} partitions from {before} to {count} shards"
    ))
}

fn export_all(
    io: &mut Io,
    config: &EngineConfig,
    root: &FoundRoot,
) -> Result<Vec<ShardContent>, OpenError> {
    let journals = &root.root.journals;
    let export = |(shard, &id): (usize, &JournalId)| {
        let config = config.shard_config(shard_id(shard), journals.len());
        export_journal(io, config, journal_setup(&root.root, id))
    };
    journals.iter().enumerate().map(export).collect()
}

/// All journals were recovered, so a file that no partition names is nobody's (an interrupted
/// start's, or a spare).
fn remove_unnamed(io: &mut Io, contents: &[ShardContent]) -> Result<(), OpenError> {
    let mut named = BTreeSet::new();
    for (handle, state) in contents.iter().flat_map(|content| &content.partitions) {
        let partition = Partition::restore(state).map_err(|damage| OpenError::Refused {
            object: format!("partition {}", handle.0),
            problem: damage.to_string(),
            remedy: "keep the number of shards and report this".to_owned(),
        })?;
        named.extend(partition.files().map(|file| file.file));
    }
    let is_unnamed = |id: FileId| !named.contains(&id);
    let mut is_changed = false;
    for name in list(io, Dir::Segments)? {
        if let Some(file) = SegmentFile::parse(&name)
            && is_unnamed(file.id)
        {
            let path = file.path();
            call_file(io, FileOp::Unlink { path }).map_err(|failure| failed(&name, failure))?;
            is_changed = true;
        }
    }
    if is_changed {
        sync_dir(io, Dir::Segments)?;
    }
    Ok(())
}

fn place(
    contents: Vec<ShardContent>,
    count: usize,
    placement: &Placement,
) -> Result<Vec<ShardContent>, OpenError> {
    let mut placed: Vec<_> = (0..count).map(|_| ShardContent::default()).collect();
    for (shard, content) in contents.into_iter().enumerate() {
        let from = shard_id(shard);
        for (handle, state) in content.partitions {
            let to = placement(handle, from, count).index();
            placed[to].partitions.push((handle, state));
        }
        for (owner, key, value) in content.registry {
            let to = placement(owner, from, count).index();
            placed[to].registry.push((owner, key, value));
        }
    }
    for shard in &mut placed {
        shard.partitions.sort_by_key(|(handle, _)| *handle);
        shard.registry.sort();
        let twice = |pair: &[(PartitionHandle, Vec<u8>)]| pair[0].0 == pair[1].0;
        if let Some(pair) = shard.partitions.windows(2).find(|pair| twice(pair)) {
            return Err(OpenError::Refused {
                object: format!("partition {}", pair[0].0.0),
                problem: "is claimed by two journals".to_owned(),
                remedy: "keep the number of shards and report this".to_owned(),
            });
        }
    }
    Ok(placed)
}
