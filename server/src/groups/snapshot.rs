//! Keeping a partition of `__consumer_offsets` short: what lives is written again at the log's
//! end, piece by piece, and once all of it is durable the log starts there.
//!
//! INVARIANT: a piece says what was appended last of each key, so a replay from the first piece
//! ends where a replay of the whole log ends, whatever is appended between the pieces.

use super::group::Group;
use super::record_format::{group_key, offset_key, offset_value};
use millrace_engine::record_batch::builder::BatchBuilder;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

/// Bytes of a piece, about.
const PIECE_BYTES: usize = 128 << 10;
/// Groups looked at for one piece.
const GROUPS_MAX: usize = 5000;

/// How far a snapshot is.
#[derive(Debug, Default)]
pub(super) struct Snapshot {
    /// Offset of its first piece.
    pub(super) start: Option<i64>,
    next: Option<Place>,
    is_begun: bool,
    /// Its bytes so far.
    pub(super) bytes: usize,
}

/// Where the next piece begins.
#[derive(Debug)]
struct Place {
    group_id: Arc<str>,
    /// `None`: with the group's state.
    offset: Option<(Arc<str>, i32)>,
}

/// What the next piece is.
#[derive(Debug)]
pub(super) enum Piece {
    /// A batch to append.
    Batch(Vec<u8>),
    /// Nothing of this partition among the groups looked at; ask again.
    Nothing,
    /// All pieces were made.
    End,
}

impl Snapshot {
    /// The next piece of the state of `partition`.
    pub(super) fn next_piece(
        &mut self,
        partition: i32,
        groups: &BTreeMap<Arc<str>, Group>,
        now_ms: i64,
    ) -> Piece {
        if self.is_begun && self.next.is_none() {
            return Piece::End;
        }
        self.is_begun = true;
        let from = self.next.take();
        let lower = from
            .as_ref()
            .map_or(Bound::Unbounded, |place| Bound::Included(&*place.group_id));
        let mut builder = BatchBuilder::default();
        let rest = groups.range::<str, _>((lower, Bound::Unbounded));
        for (count, (group_id, group)) in rest.enumerate() {
            let is_full = builder.uncompressed_bytes() >= PIECE_BYTES || count >= GROUPS_MAX;
            if is_full {
                self.next = Some(Place {
                    group_id: Arc::clone(group_id),
                    offset: None,
                });
                break;
            }
            if group.partition != partition {
                continue;
            }
            let start = from.as_ref().filter(|place| place.group_id == *group_id);
            let start = start.and_then(|place| place.offset.as_ref());
            if let Some(offset) = add_group(&mut builder, group, start, now_ms) {
                self.next = Some(Place {
                    group_id: Arc::clone(group_id),
                    offset: Some(offset),
                });
                break;
            }
        }
        match builder.build() {
            Ok(batch) => {
                self.bytes += batch.len();
                Piece::Batch(batch)
            }
            Err(_) if self.next.is_some() => Piece::Nothing,
            Err(_) => Piece::End,
        }
    }
}

/// Adds a group's records until the piece is full; where it stopped, if it did.
fn add_group(
    builder: &mut BatchBuilder,
    group: &Group,
    from: Option<&(Arc<str>, i32)>,
    now_ms: i64,
) -> Option<(Arc<str>, i32)> {
    if from.is_none()
        && let Some(stored) = &group.stored
    {
        builder.push(now_ms, Some(&group_key(&group.group_id)), Some(stored), &[]);
    }
    for (topic, partition, offset) in group.offsets.latest_from(from) {
        if builder.uncompressed_bytes() >= PIECE_BYTES {
            return Some((Arc::clone(topic), partition));
        }
        let key = offset_key(&group.group_id, topic, partition);
        builder.push(now_ms, Some(&key), Some(&offset_value(offset)), &[]);
    }
    None
}
