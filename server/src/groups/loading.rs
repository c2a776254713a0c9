//! Reading a partition of `__consumer_offsets` back at start: the last record of each key counts.

use super::effects::Now;
use super::group::{Group, State};
use super::member::Member;
use super::record_format::{self, GroupValue, Key, MemberValue};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The groups of a partition that is being read.
#[derive(Debug, Default)]
pub(super) struct Loading {
    groups: BTreeMap<Arc<str>, Group>,
}

impl Loading {
    /// One record. Those of other kinds are not ours to understand.
    pub(super) fn record(&mut self, partition: i32, key: &[u8], value: Option<&[u8]>, now: Now) {
        let known = match record_format::read_key(key) {
            Some(Key::Offset(group_id, topic, index)) => {
                match value.map(record_format::read_offset) {
                    Some(None) => None,
                    offset => {
                        let group = self.group(group_id, partition, now);
                        group.offsets.load(topic, index, offset.flatten());
                        Some(())
                    }
                }
            }
            Some(Key::Group(group_id)) => self.group_record(group_id, partition, value, now),
            None => None,
        };
        if known.is_none() {
            log::warn!("__consumer_offsets-{partition}: a record of unknown form was left out");
        }
    }

    fn group(&mut self, group_id: &str, partition: i32, now: Now) -> &mut Group {
        if !self.groups.contains_key(group_id) {
            let group_id: Arc<str> = Arc::from(group_id);
            let group = Group::new(Arc::clone(&group_id), partition, now);
            self.groups.insert(group_id, group);
        }
        // It is there now; the entry API would copy the id each time.
        self.groups
            .get_mut(group_id)
            .unwrap_or_else(|| unreachable_group())
    }

    fn group_record(
        &mut self,
        group_id: &str,
        partition: i32,
        value: Option<&[u8]>,
        now: Now,
    ) -> Option<()> {
        let read = value.map(record_format::read_group);
        if let Some(None) = read {
            return None;
        }
        let group = self.group(group_id, partition, now);
        let fresh = Group::new(Arc::clone(&group.group_id), partition, now);
        let offsets = std::mem::replace(group, fresh).offsets;
        group.offsets = offsets;
        if let Some(read) = read.flatten() {
            restore(group, &read);
            group.stored = value.map(Arc::from);
        }
        Some(())
    }

    /// The groups that are there at the end; their members' sessions begin now.
    pub(super) fn finish(self, now: Now) -> Vec<Group> {
        let mut groups: Vec<_> = self
            .groups
            .into_values()
            .filter(|group| !group.is_unused())
            .collect();
        for group in &mut groups {
            group.learn_subscriptions();
            let member_ids: Vec<_> = group.members.keys().cloned().collect();
            for member_id in member_ids {
                group.renew_session(&member_id, now);
            }
        }
        groups
    }
}

#[expect(clippy::panic, reason = "inserted by the line above")]
fn unreachable_group() -> ! {
    panic!("a group that was just inserted is not there")
}

fn restore(group: &mut Group, read: &GroupValue<'_>) {
    let is_empty = read.members.is_empty();
    group.state = if is_empty {
        State::Empty
    } else {
        State::Stable
    };
    group.state_since_ms = read.state_since_ms;
    group.generation = read.generation;
    let protocol_type = Some(read.protocol_type).filter(|it| !it.is_empty());
    group.protocol_type = protocol_type.map(Arc::from);
    group.protocol_name = read.protocol_name.map(Arc::from);
    let protocol = read.protocol_name.unwrap_or_default();
    for member in &read.members {
        group.insert(restored_member(member, protocol));
    }
    group.leader = read.leader.map(Arc::from);
}

fn restored_member(read: &MemberValue<'_>, protocol: &str) -> Member {
    Member {
        member_id: Arc::from(read.member_id),
        instance_id: read.instance_id.map(Arc::from),
        client_id: Arc::from(read.client_id),
        client_host: Arc::from(read.client_host),
        session_timeout_ms: read.session_timeout_ms,
        rebalance_timeout_ms: read.rebalance_timeout_ms,
        protocols: vec![(Arc::from(protocol), Arc::from(read.metadata))],
        assignment: Arc::from(read.assignment),
        awaiting_join: None,
        awaiting_sync: None,
        is_new: false,
        deadline_ns: u64::MAX,
    }
}
