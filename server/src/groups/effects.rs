//! What goes into the groups of a shard and what comes out.

use crate::config::GroupSettings;
use crate::protocol::ErrorCode;
use std::sync::Arc;

/// Names a request that waits for an answer to whoever carries out effects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asker(pub u64);

/// Both clocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Now {
    /// Monotonic: deadlines.
    pub ns: u64,
    /// Wall clock: what records say.
    pub wall_ms: i64,
}

impl Now {
    /// The moment `ms` from now; a negative time is none.
    #[must_use]
    pub fn after_ms(self, ms: i32) -> u64 {
        let ms = u64::try_from(ms).unwrap_or_default();
        self.ns.saturating_add(ms.saturating_mul(1_000_000))
    }
}

/// What a group's step needs beside the request.
#[derive(Debug)]
pub struct Step<'a> {
    /// The time.
    pub now: Now,
    /// The broker's settings for groups.
    pub settings: &'a GroupSettings,
    /// What the step comes to.
    pub effects: &'a mut Vec<Effect>,
}

/// A JoinGroup request.
#[derive(Clone, Debug)]
pub struct Join<'a> {
    /// Whom to answer.
    pub asker: Asker,
    /// The group.
    pub group_id: &'a str,
    /// The member, empty for a new one.
    pub member_id: &'a str,
    /// `group.instance.id` of a static member (KIP-345).
    pub instance_id: Option<&'a str>,
    /// The client's id; begins the ids of its members.
    pub client_id: &'a str,
    /// Where the client is, as Kafka writes addresses.
    pub client_host: &'a str,
    /// Time without a heartbeat after which the member is out.
    pub session_timeout_ms: i32,
    /// Time to join again in a rebalance.
    pub rebalance_timeout_ms: i32,
    /// `consumer`, `connect` or whatever the clients agree on.
    pub protocol_type: &'a str,
    /// Name and metadata of each protocol the member knows, the preferred first.
    pub protocols: &'a [(&'a str, &'a [u8])],
    /// KIP-394: a new dynamic member has to come back with the id it is given.
    pub needs_member_id: bool,
    /// KIP-814: a returning static leader can be told that there is nothing to assign.
    pub can_skip_assignment: bool,
    /// Random bits for a new member's id.
    pub random: u128,
}

/// A SyncGroup request.
#[derive(Clone, Debug)]
pub struct Sync<'a> {
    /// Whom to answer.
    pub asker: Asker,
    /// The group.
    pub group_id: &'a str,
    /// The member and its generation.
    pub member: MemberRef<'a>,
    /// The protocol type the member believes in.
    pub protocol_type: Option<&'a str>,
    /// The protocol the member believes in.
    pub protocol_name: Option<&'a str>,
    /// From the leader: what each member gets.
    pub assignments: &'a [(&'a str, &'a [u8])],
}

/// Who speaks, and from which generation.
#[derive(Clone, Copy, Debug)]
pub struct MemberRef<'a> {
    /// The member's id.
    pub member_id: &'a str,
    /// Its `group.instance.id`, if it is static.
    pub instance_id: Option<&'a str>,
    /// The generation it is in, -1 for none.
    pub generation: i32,
}

/// Answer to a JoinGroup request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinAnswer {
    /// None, or why not.
    pub error: ErrorCode,
    /// The generation that begins, -1 for none.
    pub generation: i32,
    /// The group's protocol type.
    pub protocol_type: Option<Arc<str>>,
    /// The protocol the members voted for.
    pub protocol_name: Option<Arc<str>>,
    /// The member that assigns.
    pub leader: Arc<str>,
    /// The leader keeps the assignment that there is.
    pub skip_assignment: bool,
    /// The asking member's id.
    pub member_id: Arc<str>,
    /// For the leader: all members.
    pub members: Vec<JoinedMember>,
}

impl JoinAnswer {
    /// No generation.
    #[must_use]
    pub fn refused(error: ErrorCode, member_id: &str) -> Self {
        Self {
            error,
            generation: -1,
            protocol_type: None,
            protocol_name: None,
            leader: Arc::from(""),
            skip_assignment: false,
            member_id: Arc::from(member_id),
            members: Vec::new(),
        }
    }
}

/// A member as the leader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinedMember {
    /// Its id.
    pub member_id: Arc<str>,
    /// Its `group.instance.id`.
    pub instance_id: Option<Arc<str>>,
    /// Its metadata for the protocol voted for.
    pub metadata: Arc<[u8]>,
}

/// Answer to a SyncGroup request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncAnswer {
    /// None, or why not.
    pub error: ErrorCode,
    /// The group's protocol type.
    pub protocol_type: Option<Arc<str>>,
    /// The protocol the members voted for.
    pub protocol_name: Option<Arc<str>>,
    /// What the member gets.
    pub assignment: Arc<[u8]>,
}

impl SyncAnswer {
    /// No assignment.
    #[must_use]
    pub fn refused(error: ErrorCode) -> Self {
        Self {
            error,
            protocol_type: None,
            protocol_name: None,
            assignment: Arc::from([].as_slice()),
        }
    }
}

/// What has to be done outside.
#[derive(Debug)]
pub enum Effect {
    /// Answer a JoinGroup request.
    Joined(Asker, Box<JoinAnswer>),
    /// Answer a SyncGroup request.
    Synced(Asker, SyncAnswer),
    /// Answer a request that changes offsets or deletes a group.
    Answered(Asker, ErrorCode),
    /// The group's state has to be made durable; the coordinator makes an append of it.
    Store(Stored),
    /// Append a batch to a partition of `__consumer_offsets`, then tell what became of it.
    Append(Box<Append>),
    /// Move the log start of a partition of `__consumer_offsets`.
    Trim {
        /// Which partition.
        partition: i32,
        /// First offset that stays; `None`: nothing that is readable stays.
        offset: Option<i64>,
    },
}

/// A batch for the log of a partition of `__consumer_offsets`.
#[derive(Debug)]
pub struct Append {
    /// Which partition.
    pub partition: i32,
    /// One whole record batch.
    pub batch: Vec<u8>,
    /// What it means.
    pub pending: Pending,
}

/// Why a group's state was written.
#[derive(Debug)]
pub enum Stored {
    /// The last member left.
    Empty,
    /// The leader's assignment of this generation.
    Assignment(i32),
    /// A static member came back under a new id; it is answered now.
    Replaced(Asker, Box<JoinAnswer>),
}

/// An append that is not durable yet, and what is done when it is.
#[derive(Debug)]
pub enum Pending {
    /// A group's state.
    Group(Arc<str>, Stored),
    /// Offsets of a group, new or deleted.
    Offsets {
        /// The group.
        group_id: Arc<str>,
        /// The topics and partitions whose offsets change.
        places: Vec<(Arc<str>, i32)>,
        /// The group itself is deleted with them.
        is_group_deleted: bool,
        /// Who waits for it.
        asker: Option<Asker>,
    },
    /// A piece of a partition's snapshot.
    Snapshot(i32),
}

/// One changed committed offset; `None` deletes it.
pub type OffsetChange = (
    Arc<str>,
    i32,
    Option<super::committed_offsets::CommittedOffset>,
);
