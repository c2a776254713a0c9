//! How a topic and the broker's counters are kept in shard 0's durable registry.
//!
//! Keys: `t` + topic id, `h` (next partition handle), `p` (next producer id), `c` (cluster id).
//! ```text
//! topic value: version u8 = 1 | state u8 (0 live, 1 being deleted) | name length u16, name
//!            | partition count u32, each: handle u64, pinned shard u16 (0xffff: none)
//!            | override count u16, each: key length u16, key, value length u16, value
//! ```
//! All little-endian. Values from the disk are checked like bytes from a socket.

use crate::config::TopicOverrides;
use millrace_engine::ids::{PartitionHandle, ShardId, TopicId};

/// Registry key of the next partition handle to give out.
pub const NEXT_HANDLE_KEY: &[u8] = b"h";
/// Registry key of the next producer id to give out.
pub const NEXT_PRODUCER_ID_KEY: &[u8] = b"p";
/// Registry key of the cluster id.
pub const CLUSTER_ID_KEY: &[u8] = b"c";
/// Most partitions of one topic: keeps its record below the registry's bound.
pub const PARTITIONS_PER_TOPIC_MAX: usize = 20_000;

const VERSION: u8 = 1;
const NOT_PINNED: u16 = u16::MAX;

/// A topic as the registry has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicRecord {
    /// Its id; the registry key.
    pub id: TopicId,
    /// Its name.
    pub name: String,
    /// Its deletion has begun and must be finished.
    pub is_being_deleted: bool,
    /// Its partitions, by index: handle, and the shard it was pinned to by its creator.
    pub partitions: Vec<(PartitionHandle, Option<ShardId>)>,
    /// Its own settings.
    pub overrides: TopicOverrides,
}

/// The registry key of a topic.
#[must_use]
pub fn topic_key(id: TopicId) -> [u8; 17] {
    let mut key = [b't'; 17];
    key[1..].copy_from_slice(&id.0);
    key
}

/// The topic id in a registry key, if it is a topic's.
#[must_use]
pub fn topic_of_key(key: &[u8]) -> Option<TopicId> {
    let (b't', id) = key.split_first()? else {
        return None;
    };
    Some(TopicId(id.try_into().ok()?))
}

fn push_text(out: &mut Vec<u8>, text: &str) {
    // Names are at most 249 and config values at most 4096 bytes.
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&text.as_bytes()[..usize::from(length)]);
}

impl TopicRecord {
    /// The registry value.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION, u8::from(self.is_being_deleted)];
        push_text(&mut out, &self.name);
        let count = u32::try_from(self.partitions.len()).unwrap_or(u32::MAX);
        out.extend_from_slice(&count.to_le_bytes());
        for (handle, pinned) in &self.partitions {
            out.extend_from_slice(&handle.0.to_le_bytes());
            let pinned = pinned.map_or(NOT_PINNED, |shard| shard.0);
            out.extend_from_slice(&pinned.to_le_bytes());
        }
        let count = u16::try_from(self.overrides.iter().count()).unwrap_or(u16::MAX);
        out.extend_from_slice(&count.to_le_bytes());
        for (key, value) in self.overrides.iter() {
            push_text(&mut out, key);
            push_text(&mut out, value);
        }
        out
    }

    /// Reads a registry value. `None` when it is not one of this version's. Settings that this
    /// program does not know or allow are left out.
    #[must_use]
    pub fn decode(id: TopicId, value: &[u8]) -> Option<Self> {
        let mut rest = Rest(value);
        if rest.u8()? != VERSION {
            return None;
        }
        let is_being_deleted = rest.u8()? != 0;
        let name = rest.text()?.to_owned();
        let count = usize::try_from(rest.u32()?).ok()?;
        if count > PARTITIONS_PER_TOPIC_MAX {
            return None;
        }
        let mut partitions = Vec::with_capacity(count.min(rest.0.len() / 10));
        for _ in 0..count {
            let handle = PartitionHandle(u64::from_le_bytes(rest.take()?));
            let pinned = rest.u16()?;
            partitions.push((handle, (pinned != NOT_PINNED).then_some(ShardId(pinned))));
        }
        let mut overrides = TopicOverrides::default();
        for _ in 0..rest.u16()? {
            let key = rest.text()?;
            let value = rest.text()?;
            if let Err(error) = overrides.set(key, Some(value)) {
                log::warn!("topic {name}: stored setting left out: {error}");
            }
        }
        Some(Self {
            id,
            name,
            is_being_deleted,
            partitions,
            overrides,
        })
    }
}

struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, tail) = self.0.split_first_chunk::<N>()?;
        self.0 = tail;
        Some(*head)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take::<1>().map(|[byte]| byte)
    }

    fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = usize::from(self.u16()?);
        let (head, tail) = self.0.split_at_checked(length)?;
        self.0 = tail;
        std::str::from_utf8(head).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> TopicRecord {
        let mut overrides = TopicOverrides::default();
        overrides.set("retention.ms", Some("5")).unwrap();
        TopicRecord {
            id: TopicId([7; 16]),
            name: "orders".to_owned(),
            is_being_deleted: false,
            partitions: vec![
                (PartitionHandle(1), None),
                (PartitionHandle(9), Some(ShardId(3))),
            ],
            overrides,
        }
    }

    #[test]
    fn a_topic_record_survives_its_encoding() {
        let record = example();
        assert_eq!(
            TopicRecord::decode(record.id, &record.encode()),
            Some(record)
        );
        assert_eq!(
            topic_of_key(&topic_key(TopicId([3; 16]))),
            Some(TopicId([3; 16]))
        );
        assert_eq!(topic_of_key(NEXT_HANDLE_KEY), None);
    }

    #[test]
    fn a_cut_topic_record_is_refused_at_every_length() {
        let record = example();
        let whole = record.encode();
        for length in 0..whole.len() {
            assert_eq!(
                TopicRecord::decode(record.id, &whole[..length]),
                None,
                "{length}"
            );
        }
    }
}
