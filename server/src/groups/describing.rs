//! Groups as administrators see them.

use super::group::{Group, State};
use std::sync::Arc;

/// DescribeGroups' answer for a group that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedGroup {
    /// Kafka's name of its state.
    pub state: &'static str,
    /// Its protocol type, empty for none.
    pub protocol_type: Arc<str>,
    /// The protocol in use; empty unless the group is stable.
    pub protocol_name: Arc<str>,
    /// Its members.
    pub members: Vec<DescribedMember>,
}

/// A member in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedMember {
    /// Its id.
    pub member_id: Arc<str>,
    /// Its `group.instance.id`.
    pub instance_id: Option<Arc<str>>,
    /// Its client's id.
    pub client_id: Arc<str>,
    /// Where its client is.
    pub client_host: Arc<str>,
    /// Its metadata; empty unless the group is stable.
    pub metadata: Arc<[u8]>,
    /// Its assignment; empty unless the group is stable.
    pub assignment: Arc<[u8]>,
}

/// A group in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedGroup {
    /// Its id.
    pub group_id: Arc<str>,
    /// Its protocol type, empty for none.
    pub protocol_type: Arc<str>,
    /// Kafka's name of its state.
    pub state: &'static str,
}

fn or_empty(text: Option<&Arc<str>>) -> Arc<str> {
    text.map_or_else(|| Arc::from(""), Arc::clone)
}

impl Group {
    pub(super) fn describe(&self) -> DescribedGroup {
        let is_stable = self.state == State::Stable;
        let protocol_name = or_empty(self.protocol_name.as_ref().filter(|_| is_stable));
        let nothing: Arc<[u8]> = Arc::from([].as_slice());
        let members = self.members.values().map(|member| DescribedMember {
            member_id: Arc::clone(&member.member_id),
            instance_id: member.instance_id.clone(),
            client_id: Arc::clone(&member.client_id),
            client_host: Arc::clone(&member.client_host),
            metadata: if is_stable {
                member.metadata(&protocol_name)
            } else {
                Arc::clone(&nothing)
            },
            assignment: if is_stable {
                Arc::clone(&member.assignment)
            } else {
                Arc::clone(&nothing)
            },
        });
        DescribedGroup {
            state: self.state.name(),
            protocol_type: or_empty(self.protocol_type.as_ref()),
            members: members.collect(),
            protocol_name,
        }
    }

    pub(super) fn list(&self) -> ListedGroup {
        ListedGroup {
            group_id: Arc::clone(&self.group_id),
            protocol_type: or_empty(self.protocol_type.as_ref()),
            state: self.state.name(),
        }
    }
}
