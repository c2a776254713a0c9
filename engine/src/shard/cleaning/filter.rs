//! Compaction's decisions, record by record and batch by batch, as Kafka makes them. Pure; runs
//! off the data cores, since batches are opened and made again.
//!
//! INVARIANT: a batch is made again only if its bytes passed its own crc, so that damage never
//! gets a checksum that fits it.
//!
//! INVARIANT: a tombstone gets its delete horizon only when no older record of its key is left, or
//! such a record would come back once the tombstone is gone. A batch or a group that would grow
//! stays as it is, outdated records included: the map remembers their keys, and their tombstones
//! stay for good, or until the key is written again.

use super::key_map::KeyMap;
use super::output::{Grows, Output};
use crate::record_batch::records::{Record, Records};
use crate::record_batch::rewrite::{Rewriter, empty, open};
use crate::record_batch::{self, Header};
use rustc_hash::FxHashMap;

/// What a compressed batch may become when it is opened.
const OPENED_BYTES_MAX: usize = 64 << 20;

/// Why a partition cannot be compacted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum CleanError {
    /// Its bytes are damaged.
    #[error("the batch at offset {base_offset} does not pass its check")]
    Corrupt { base_offset: i64, end_offset: i64 },
    /// Its producer sent it so.
    #[error("the records of the batch at offset {base_offset} cannot be read: {reason}")]
    Unreadable { base_offset: i64, reason: String },
    /// What was kept of a group takes more room than the group.
    #[error("what is kept takes more room than it took before")]
    Grows,
}

impl From<Grows> for CleanError {
    fn from(_: Grows) -> Self {
        Self::Grows
    }
}

/// What one compaction of a partition goes by.
#[derive(Debug)]
pub(super) struct Rules {
    /// The newest offset of every key below `map_end`.
    pub(super) map: KeyMap,
    /// Keys of records below are not in the map.
    pub(super) map_start: i64,
    /// Records from here on are kept.
    pub(super) map_end: i64,
    pub(super) now_ms: i64,
    pub(super) delete_retention_ms: i64,
    /// Offset behind each producer's last batch.
    pub(super) producer_ends: FxHashMap<i64, i64>,
    /// The batch that ends here is kept, if need be without records.
    pub(super) keep_end: i64,
}

/// How far the keys of a stretch were taken into the map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mapped {
    /// All keyed records below are in the map.
    pub(super) end_offset: i64,
    pub(super) is_full: bool,
}

impl Rules {
    /// Takes the keys of whole batches, at offsets in `[from, to)`, into the map.
    pub(super) fn map_batches(
        &mut self,
        batches: &[u8],
        from: i64,
        to: i64,
    ) -> Result<Mapped, CleanError> {
        let mut end_offset = from;
        let mut rest = batches;
        while !rest.is_empty() {
            let (header, batch, behind) = split(rest)?;
            rest = behind;
            if header.base_offset >= to {
                break;
            }
            if let Some(full_at) = self.map_batch(&header, batch, from)? {
                return Ok(Mapped {
                    end_offset: full_at,
                    is_full: true,
                });
            }
            end_offset = header.end_offset();
        }
        Ok(Mapped {
            end_offset,
            is_full: false,
        })
    }

    /// Returns the offset of the first record whose key found no room.
    fn map_batch(
        &mut self,
        header: &Header,
        batch: &[u8],
        from: i64,
    ) -> Result<Option<i64>, CleanError> {
        if header.is_control() {
            return Ok(None);
        }
        let opened = opened(header, batch)?;
        for record in Records::new(header, &opened) {
            let record = record.map_err(|error| unreadable(header, &error))?;
            let key = record.key.filter(|_| record.offset >= from);
            if key.is_some_and(|key| self.map.put(key, record.offset).is_err()) {
                return Ok(Some(record.offset));
            }
        }
        Ok(None)
    }

    /// Puts what is kept of whole batches below `to` into `output`, or, when that was given up,
    /// notes what stays.
    pub(super) fn keep_batches(
        &mut self,
        batches: &[u8],
        to: i64,
        output: &mut Output,
    ) -> Result<(), CleanError> {
        let mut rest = batches;
        while !rest.is_empty() {
            let (header, batch, behind) = split(rest)?;
            rest = behind;
            if header.base_offset >= to {
                break;
            }
            if output.is_given_up() {
                self.leave_batch(&header, batch)?;
            } else {
                self.keep_batch(&header, batch, output)?;
            }
        }
        Ok(())
    }

    fn keep_batch(
        &mut self,
        header: &Header,
        batch: &[u8],
        output: &mut Output,
    ) -> Result<(), CleanError> {
        if header.is_control() {
            return Ok(output.append(header, batch)?);
        }
        let opened = opened(header, batch)?;
        let verdict = self.judge(header, &opened)?;
        let is_whole = verdict.kept_count == header.record_count && header.record_count > 0;
        if is_whole && verdict.new_horizon_ms.is_none() {
            return Ok(output.append(header, batch)?);
        }
        let mut made = Vec::new();
        if verdict.kept_count == 0 {
            output.is_changed |= header.record_count > 0;
            if !self.is_kept_empty(header) {
                output.is_changed = true;
                return Ok(());
            }
            let result = empty(header, &mut made);
            result.map_err(|error| unreadable(header, &error))?;
        } else {
            let mut rewriter = Rewriter::new(header, verdict.new_horizon_ms);
            for record in Records::new(header, &opened) {
                let record = record.map_err(|error| unreadable(header, &error))?;
                if self.is_kept(header, &record) {
                    rewriter.keep(&record);
                }
            }
            let result = rewriter.finish(&mut made);
            result.map_err(|error| unreadable(header, &error))?;
            if made.len() > batch.len() && verdict.new_horizon_ms.is_none() {
                // Another encoder than the producer's: nothing would be won.
                output.append(header, batch)?;
                return self.leave_records(header, &opened);
            }
            output.is_changed = true;
        }
        let header = Header::parse(&made).map_err(|error| unreadable(header, &error))?;
        Ok(output.append(&header, &made)?)
    }

    /// A batch of a group that stays as it is.
    fn leave_batch(&mut self, header: &Header, batch: &[u8]) -> Result<(), CleanError> {
        if header.is_control() {
            return Ok(());
        }
        let opened = opened(header, batch)?;
        self.leave_records(header, &opened)
    }

    /// Notes the keys of the records that should have gone and stay.
    fn leave_records(&mut self, header: &Header, opened: &[u8]) -> Result<(), CleanError> {
        for record in Records::new(header, opened) {
            let record = record.map_err(|error| unreadable(header, &error))?;
            let Some(key) = record.key else { continue };
            if !self.is_kept(header, &record) {
                self.map.leave_behind(key);
            }
        }
        Ok(())
    }

    fn judge(&self, header: &Header, opened: &[u8]) -> Result<Verdict, CleanError> {
        let mut kept_count = 0;
        let mut has_tombstone = false;
        let mut are_alone = true;
        for record in Records::new(header, opened) {
            let record = record.map_err(|error| unreadable(header, &error))?;
            if self.is_kept(header, &record) {
                kept_count += 1;
                if record.value.is_none() {
                    has_tombstone = true;
                    are_alone &= self.is_alone(&record);
                }
            }
        }
        let is_first_meeting = has_tombstone && are_alone && header.delete_horizon_ms().is_none();
        let horizon_ms = self.now_ms.saturating_add(self.delete_retention_ms);
        Ok(Verdict {
            kept_count,
            new_horizon_ms: is_first_meeting.then_some(horizon_ms),
        })
    }

    /// Whether this run leaves no older record of a kept record's key.
    fn is_alone(&self, record: &Record<'_>) -> bool {
        let is_mapped = (self.map_start..self.map_end).contains(&record.offset);
        let is_left_behind = |key| self.map.is_left_behind(key);
        is_mapped && !record.key.is_some_and(is_left_behind)
    }

    /// KAFKA: kept is what lies behind the map, and of each key the newest record unless it is a
    /// tombstone whose batch's delete horizon has passed (KIP-534). Records without a key go.
    fn is_kept(&self, header: &Header, record: &Record<'_>) -> bool {
        if record.offset >= self.map_end {
            return true;
        }
        let Some(key) = record.key else {
            return false;
        };
        let is_newest = self
            .map
            .get(key)
            .is_none_or(|newest| record.offset >= newest);
        let is_due = |horizon_ms| self.now_ms >= horizon_ms;
        let is_expired = record.value.is_none() && header.delete_horizon_ms().is_some_and(is_due);
        is_newest && !is_expired
    }

    /// A batch without records still says where its producer's sequence stands, and where the
    /// compacted part ends.
    fn is_kept_empty(&self, header: &Header) -> bool {
        let is_last_of_producer = header.has_producer()
            && self.producer_ends.get(&header.producer_id) == Some(&header.end_offset());
        is_last_of_producer || header.end_offset() == self.keep_end
    }
}

struct Verdict {
    kept_count: i32,
    /// The delete horizon that the batch gets.
    new_horizon_ms: Option<i64>,
}

/// The first batch of `bytes`, checked, and what lies behind it.
fn split(bytes: &[u8]) -> Result<(Header, &[u8], &[u8]), CleanError> {
    let corrupt = |header: Option<&Header>| CleanError::Corrupt {
        base_offset: header.map_or(-1, |header| header.base_offset),
        end_offset: header.map_or(-1, Header::end_offset),
    };
    let header = Header::parse(bytes).map_err(|_| corrupt(None))?;
    let parts = bytes.split_at_checked(header.batch_bytes as usize);
    let (batch, behind) = parts.ok_or_else(|| corrupt(Some(&header)))?;
    if record_batch::crc(batch) != header.crc {
        return Err(corrupt(Some(&header)));
    }
    Ok((header, batch, behind))
}

fn opened<'a>(header: &Header, batch: &'a [u8]) -> Result<std::borrow::Cow<'a, [u8]>, CleanError> {
    open(header, batch, OPENED_BYTES_MAX).map_err(|error| unreadable(header, &error))
}

fn unreadable(header: &Header, error: &impl ToString) -> CleanError {
    CleanError::Unreadable {
        base_offset: header.base_offset,
        reason: error.to_string(),
    }
}
