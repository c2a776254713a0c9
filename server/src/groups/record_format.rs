//! Records of `__consumer_offsets`, in Kafka's own format, so that its tools can read them.
//!
//! ```text
//! key    i16 1 | group, topic string | partition i32            value 3 (or 1, with an expiry)
//! key    i16 2 | group string                                   value 3
//! offset value 3   i16 | offset i64 | leader epoch i32 | metadata string | commit time i64
//! offset value 1   i16 | offset i64 | metadata string | commit time i64 | expire time i64
//! group value 3    i16 | protocol type string | generation i32 | protocol, leader nullable
//!                  | state time i64 | member count i32, each: id string, instance nullable,
//!                  client id, host string, rebalance, session timeout i32, metadata,
//!                  assignment bytes
//! ```

use super::committed_offsets::CommittedOffset;
use super::group::Group;
use std::sync::Arc;

const OFFSET_KEY: i16 = 1;
const GROUP_KEY: i16 = 2;
const NEWEST_VALUE: i16 = 3;
const EXPIRING_VALUE: i16 = 1;

/// What a record is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key<'a> {
    /// A committed offset: group, topic, partition.
    Offset(&'a str, &'a str, i32),
    /// A group's state.
    Group(&'a str),
}

/// A group's state as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GroupValue<'a> {
    pub(super) protocol_type: &'a str,
    pub(super) generation: i32,
    pub(super) protocol_name: Option<&'a str>,
    pub(super) leader: Option<&'a str>,
    pub(super) state_since_ms: i64,
    pub(super) members: Vec<MemberValue<'a>>,
}

/// A member as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MemberValue<'a> {
    pub(super) member_id: &'a str,
    pub(super) instance_id: Option<&'a str>,
    pub(super) client_id: &'a str,
    pub(super) client_host: &'a str,
    pub(super) rebalance_timeout_ms: i32,
    pub(super) session_timeout_ms: i32,
    pub(super) metadata: &'a [u8],
    pub(super) assignment: &'a [u8],
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    // Everything written here came through a protocol whose strings are no longer.
    let length = i16::try_from(text.len()).unwrap_or(i16::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(&text.as_bytes()[..length.unsigned_abs().into()]);
}

fn put_nullable(out: &mut Vec<u8>, text: Option<&str>) {
    match text {
        Some(text) => put_text(out, text),
        None => out.extend_from_slice(&(-1_i16).to_be_bytes()),
    }
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    let length = i32::try_from(bytes.len()).unwrap_or(i32::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(bytes);
}

/// Key of a committed offset.
pub(super) fn offset_key(group_id: &str, topic: &str, partition: i32) -> Vec<u8> {
    let mut out = Vec::with_capacity(10 + group_id.len() + topic.len());
    out.extend_from_slice(&OFFSET_KEY.to_be_bytes());
    put_text(&mut out, group_id);
    put_text(&mut out, topic);
    out.extend_from_slice(&partition.to_be_bytes());
    out
}

/// Key of a group's state.
pub(super) fn group_key(group_id: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(4 + group_id.len());
    out.extend_from_slice(&GROUP_KEY.to_be_bytes());
    put_text(&mut out, group_id);
    out
}

/// A committed offset.
pub(super) fn offset_value(offset: &CommittedOffset) -> Vec<u8> {
    let mut out = Vec::with_capacity(32 + offset.metadata.len());
    match offset.expire_ms {
        None => {
            out.extend_from_slice(&NEWEST_VALUE.to_be_bytes());
            out.extend_from_slice(&offset.offset.to_be_bytes());
            out.extend_from_slice(&offset.leader_epoch.to_be_bytes());
            put_text(&mut out, &offset.metadata);
            out.extend_from_slice(&offset.commit_ms.to_be_bytes());
        }
        // KAFKA: only version 1 can say when an offset expires.
        Some(expire_ms) => {
            out.extend_from_slice(&EXPIRING_VALUE.to_be_bytes());
            out.extend_from_slice(&offset.offset.to_be_bytes());
            put_text(&mut out, &offset.metadata);
            out.extend_from_slice(&offset.commit_ms.to_be_bytes());
            out.extend_from_slice(&expire_ms.to_be_bytes());
        }
    }
    out
}

/// A group's state, as it is now.
pub(super) fn group_value(group: &Group) -> Vec<u8> {
    let mut out = Vec::with_capacity(64 + group.member_bytes);
    out.extend_from_slice(&NEWEST_VALUE.to_be_bytes());
    put_text(&mut out, group.protocol_type.as_deref().unwrap_or_default());
    out.extend_from_slice(&group.generation.to_be_bytes());
    put_nullable(&mut out, group.protocol_name.as_deref());
    put_nullable(&mut out, group.leader.as_deref());
    out.extend_from_slice(&group.state_since_ms.to_be_bytes());
    let count = i32::try_from(group.members.len()).unwrap_or(i32::MAX);
    out.extend_from_slice(&count.to_be_bytes());
    let protocol = group.protocol_name.as_deref().unwrap_or_default();
    for member in group.members.values() {
        put_text(&mut out, &member.member_id);
        put_nullable(&mut out, member.instance_id.as_deref());
        put_text(&mut out, &member.client_id);
        put_text(&mut out, &member.client_host);
        out.extend_from_slice(&member.rebalance_timeout_ms.to_be_bytes());
        out.extend_from_slice(&member.session_timeout_ms.to_be_bytes());
        put_bytes(&mut out, &member.metadata(protocol));
        put_bytes(&mut out, &member.assignment);
    }
    out
}

/// Bytes from the disk are read like bytes from a socket.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, tail) = self.0.split_first_chunk::<N>()?;
        self.0 = tail;
        Some(*head)
    }

    fn i16(&mut self) -> Option<i16> {
        self.take().map(i16::from_be_bytes)
    }

    fn i32(&mut self) -> Option<i32> {
        self.take().map(i32::from_be_bytes)
    }

    fn i64(&mut self) -> Option<i64> {
        self.take().map(i64::from_be_bytes)
    }

    fn slice(&mut self, length: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(length)?;
        self.0 = tail;
        Some(head)
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = usize::try_from(self.i16()?).ok()?;
        std::str::from_utf8(self.slice(length)?).ok()
    }

    fn nullable(&mut self) -> Option<Option<&'a str>> {
        let length = self.i16()?;
        if length < 0 {
            return Some(None);
        }
        let bytes = self.slice(usize::try_from(length).ok()?)?;
        std::str::from_utf8(bytes).ok().map(Some)
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.i32()?).ok()?;
        self.slice(length)
    }
}

/// Reads a key; `None` for kinds of record that are not known here.
pub(super) fn read_key(bytes: &[u8]) -> Option<Key<'_>> {
    let mut rest = Rest(bytes);
    match rest.i16()? {
        0 | OFFSET_KEY => Some(Key::Offset(rest.text()?, rest.text()?, rest.i32()?)),
        GROUP_KEY => Some(Key::Group(rest.text()?)),
        _ => None,
    }
}

/// Reads a committed offset of any version that Kafka wrote; what newer ones add is skipped.
pub(super) fn read_offset(bytes: &[u8]) -> Option<CommittedOffset> {
    let mut rest = Rest(bytes);
    let version = rest.i16()?;
    if !(0..=NEWEST_VALUE).contains(&version) {
        return None;
    }
    let offset = rest.i64()?;
    let leader_epoch = if version == NEWEST_VALUE {
        rest.i32()?
    } else {
        -1
    };
    let metadata = Arc::from(rest.text()?);
    let commit_ms = rest.i64()?;
    let expire_ms = if version == EXPIRING_VALUE {
        Some(rest.i64()?).filter(|expire_ms| *expire_ms >= 0)
    } else {
        None
    };
    Some(CommittedOffset {
        offset,
        leader_epoch,
        metadata,
        commit_ms,
        expire_ms,
    })
}

/// Reads a group's state of any version that Kafka wrote.
pub(super) fn read_group(bytes: &[u8]) -> Option<GroupValue<'_>> {
    let mut rest = Rest(bytes);
    let version = rest.i16()?;
    if !(0..=NEWEST_VALUE).contains(&version) {
        return None;
    }
    let protocol_type = rest.text()?;
    let generation = rest.i32()?;
    let protocol_name = rest.nullable()?;
    let leader = rest.nullable()?;
    let state_since_ms = if version >= 2 { rest.i64()? } else { -1 };
    let count = usize::try_from(rest.i32()?).ok()?;
    // A member takes 20 bytes at least.
    if count > rest.0.len() / 20 {
        return None;
    }
    let mut members = Vec::with_capacity(count);
    for _ in 0..count {
        let member_id = rest.text()?;
        let instance_id = if version >= 3 { rest.nullable()? } else { None };
        let client_id = rest.text()?;
        let client_host = rest.text()?;
        let rebalance_timeout_ms = if version >= 1 {
            Some(rest.i32()?)
        } else {
            None
        };
        let session_timeout_ms = rest.i32()?;
        members.push(MemberValue {
            member_id,
            instance_id,
            client_id,
            client_host,
            rebalance_timeout_ms: rebalance_timeout_ms.unwrap_or(session_timeout_ms),
            session_timeout_ms,
            metadata: rest.bytes()?,
            assignment: rest.bytes()?,
        });
    }
    Some(GroupValue {
        protocol_type,
        generation,
        protocol_name,
        leader,
        state_since_ms,
        members,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offset(expire_ms: Option<i64>) -> CommittedOffset {
        CommittedOffset {
            offset: 77,
            leader_epoch: if expire_ms.is_some() { -1 } else { 4 },
            metadata: Arc::from("ä"),
            commit_ms: 1_700_000_000_000,
            expire_ms,
        }
    }

    #[test]
    fn an_offset_is_laid_out_as_kafka_lays_it_out() {
        let key = [0, 1, 0, 1, b'g', 0, 2, b't', b't', 0, 0, 0, 9];
        assert_eq!(offset_key("g", "tt", 9), key);
        assert_eq!(read_key(&key), Some(Key::Offset("g", "tt", 9)));
        let mut value = vec![0, 3, 0, 0, 0, 0, 0, 0, 0, 77, 0, 0, 0, 4, 0, 2, 0xc3, 0xa4];
        value.extend_from_slice(&1_700_000_000_000_i64.to_be_bytes());
        assert_eq!(offset_value(&offset(None)), value);
        assert_eq!(read_key(&group_key("g")), Some(Key::Group("g")));
        assert_eq!(group_key("g"), [0, 2, 0, 1, b'g']);
    }

    #[test]
    fn an_offset_survives_its_record_and_a_cut_one_is_refused() {
        for expire_ms in [None, Some(1_800_000_000_000)] {
            let value = offset_value(&offset(expire_ms));
            assert_eq!(read_offset(&value), Some(offset(expire_ms)));
            for length in 0..value.len() {
                assert_eq!(read_offset(&value[..length]), None, "{length}");
            }
        }
    }

    #[test]
    fn a_group_value_with_an_impossible_count_allocates_nothing() {
        let mut value = vec![0, 3];
        put_text(&mut value, "consumer");
        value.extend_from_slice(&7_i32.to_be_bytes());
        put_nullable(&mut value, Some("range"));
        put_nullable(&mut value, None);
        value.extend_from_slice(&5_i64.to_be_bytes());
        let mut good = value.clone();
        good.extend_from_slice(&0_i32.to_be_bytes());
        let read = read_group(&good).unwrap();
        assert_eq!((read.generation, read.protocol_name), (7, Some("range")));
        value.extend_from_slice(&i32::MAX.to_be_bytes());
        assert_eq!(read_group(&value), None);
    }
}
