//! Control records: what a commit says beside records. Most fit the fixed part of a table entry;
//! creation and registry changes have a body in the payload.

use super::format::{Entry, FoundEntry, Kind};
use super::wire::{Reader, put_sized};
use crate::ids::{FileId, PartitionHandle, TopicId};

/// One control record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Control {
    /// A partition came to be.
    Create {
        /// Its topic.
        topic_id: TopicId,
        /// Its index in the topic.
        index: i32,
    },
    /// The partition is gone.
    Delete,
    /// The active segment ended and the next one began.
    Roll {
        /// The new segment's file.
        file: FileId,
        /// Its generation.
        generation: u32,
        /// Offset of its first record.
        base_offset: i64,
        /// Prepared bytes of the file when it was taken.
        prepared_bytes: u64,
    },
    /// A segment takes no more records.
    Seal {
        /// Its file.
        file: FileId,
        /// Its generation.
        generation: u32,
        /// End of its records in the file, exclusive.
        end_position: u64,
        /// Offset behind its last record.
        end_offset: i64,
    },
    /// The first offset that may be read.
    LogStart(i64),
    /// A new leader epoch and the offset at which it begins.
    LeaderEpoch {
        /// The epoch.
        epoch: i32,
        /// First offset of it.
        start_offset: i64,
    },
    /// No exposed record of this relaxed partition lies at or above this offset.
    Ceiling(i64),
    /// Records in `[base_offset, end_offset)` are damaged and fenced.
    Quarantine {
        /// First offset.
        base_offset: i64,
        /// End, exclusive.
        end_offset: i64,
    },
    /// A fenced range was given up.
    Gap {
        /// First offset.
        base_offset: i64,
        /// End, exclusive.
        end_offset: i64,
    },
    /// A registry entry; `None` removes it.
    Registry {
        /// Which.
        key: Vec<u8>,
        /// Its value.
        value: Option<Vec<u8>>,
    },
}

impl Control {
    /// Its table entry; its body, if it has one, is appended to `body`.
    pub fn encode(&self, handle: PartitionHandle, body: &mut Vec<u8>) -> Entry {
        let start = body.len();
        let plain = |kind| Entry::control(kind, handle, 0);
        let mut entry = match self {
            Self::Create { topic_id, index } => {
                body.extend_from_slice(&topic_id.0);
                body.extend_from_slice(&index.to_le_bytes());
                plain(Kind::Create)
            }
            Self::Delete => plain(Kind::Delete),
            Self::Roll {
                file,
                generation,
                base_offset,
                prepared_bytes,
            } => Entry {
                file: *file,
                generation: *generation,
                base_offset: *base_offset,
                length: *prepared_bytes,
                ..plain(Kind::Roll)
            },
            Self::Seal {
                file,
                generation,
                end_position,
                end_offset,
            } => Entry {
                file: *file,
                generation: *generation,
                position: *end_position,
                end_offset: *end_offset,
                ..plain(Kind::Seal)
            },
            Self::LogStart(offset) => Entry {
                base_offset: *offset,
                ..plain(Kind::LogStart)
            },
            Self::LeaderEpoch {
                epoch,
                start_offset,
            } => Entry {
                leader_epoch: *epoch,
                base_offset: *start_offset,
                ..plain(Kind::LeaderEpoch)
            },
            Self::Ceiling(offset) => Entry {
                ceiling: Some(*offset),
                ..plain(Kind::Ceiling)
            },
            Self::Quarantine {
                base_offset,
                end_offset,
            } => Entry {
                base_offset: *base_offset,
                end_offset: *end_offset,
                ..plain(Kind::Quarantine)
            },
            Self::Gap {
                base_offset,
                end_offset,
            } => Entry {
                base_offset: *base_offset,
                end_offset: *end_offset,
                ..plain(Kind::Gap)
            },
            Self::Registry { key, value } => {
                put_sized(body, key);
                body.push(u8::from(value.is_some()));
                put_sized(body, value.as_deref().unwrap_or_default());
                plain(Kind::Registry)
            }
        };
        entry.inline_bytes = (body.len() - start) as u32;
        entry
    }

    /// The control record of an entry. `None` for records, for kinds that this version never
    /// writes, and for a body that does not fit.
    #[must_use]
    pub fn decode(found: &FoundEntry<'_>) -> Option<Self> {
        let entry = &found.entry;
        let mut body = Reader::new(found.inline);
        Some(match entry.kind {
            Kind::Create => Self::Create {
                topic_id: TopicId(body.id()?),
                index: body.i32()?,
            },
            Kind::Delete => Self::Delete,
            Kind::Roll => Self::Roll {
                file: entry.file,
                generation: entry.generation,
                base_offset: entry.base_offset,
                prepared_bytes: entry.length,
            },
            Kind::Seal => Self::Seal {
                file: entry.file,
                generation: entry.generation,
                end_position: entry.position,
                end_offset: entry.end_offset,
            },
            Kind::LogStart => Self::LogStart(entry.base_offset),
            Kind::LeaderEpoch => Self::LeaderEpoch {
                epoch: entry.leader_epoch,
                start_offset: entry.base_offset,
            },
            Kind::Ceiling => Self::Ceiling(entry.ceiling?),
            Kind::Quarantine => Self::Quarantine {
                base_offset: entry.base_offset,
                end_offset: entry.end_offset,
            },
            Kind::Gap => Self::Gap {
                base_offset: entry.base_offset,
                end_offset: entry.end_offset,
            },
            Kind::Registry => {
                let key = body.sized()?.to_vec();
                let is_put = body.u8()? == 1;
                let value = body.sized()?.to_vec();
                Self::Registry {
                    key,
                    value: is_put.then_some(value),
                }
            }
            Kind::Append
            | Kind::Truncate
            | Kind::Swap
            | Kind::ProducerSnapshot
            | Kind::MoveOut
            | Kind::MoveIn => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Control;
    use crate::ids::{FileId, JournalId, PartitionHandle, TopicId};
    use crate::journal::check::JournalKey;
    use crate::journal::format::{
        COMMIT_HEADER_BYTES, CommitId, TableBuilder, read_header, seal_commit,
    };
    use crate::journal::ring::{Place, RingShape};

    #[test]
    fn every_control_record_is_read_back_from_a_commit() {
        let records = [
            Control::Create {
                topic_id: TopicId([3; 16]),
                index: 7,
            },
            Control::Delete,
            Control::Roll {
                file: FileId(9),
                generation: 2,
                base_offset: 100,
                prepared_bytes: 1 << 20,
            },
            Control::Seal {
                file: FileId(8),
                generation: 1,
                end_position: 12_345,
                end_offset: 100,
            },
            Control::LogStart(50),
            Control::LeaderEpoch {
                epoch: 4,
                start_offset: 100,
            },
            Control::Ceiling(4000),
            Control::Quarantine {
                base_offset: 1,
                end_offset: 2,
            },
            Control::Gap {
                base_offset: 1,
                end_offset: 2,
            },
            Control::Registry {
                key: b"key".to_vec(),
                value: Some(b"value".to_vec()),
            },
            Control::Registry {
                key: b"key".to_vec(),
                value: None,
            },
        ];
        let mut table = TableBuilder::default();
        let mut payload = Vec::new();
        for record in &records {
            let entry = record.encode(PartitionHandle(5), &mut payload);
            table.push(entry, &[]);
        }
        let mut commit = vec![0; COMMIT_HEADER_BYTES];
        commit.extend_from_slice(table.table());
        commit.extend_from_slice(&payload);
        commit.resize(commit.len().next_multiple_of(4096), 0);
        let place = Place {
            file: 0,
            position: 0,
        };
        let id = CommitId {
            journal: JournalId(0),
            epoch: 1,
            sequence: 1,
            previous: [0; 16],
            place,
            mark: 0,
        };
        let key = JournalKey([1; 16]);
        seal_commit(&mut commit, &key, &id, &table, 0);
        let shape = RingShape::for_config(1 << 22, 4);
        let header = read_header(&commit, &key, JournalId(0), &shape, place).unwrap();
        let content = header.content(&commit).unwrap();
        let read: Vec<_> = content
            .entries()
            .map(|found| {
                assert_eq!(found.entry.handle, PartitionHandle(5));
                Control::decode(&found).unwrap()
            })
            .collect();
        assert_eq!(read, records);
    }
}
