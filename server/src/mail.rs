//! What shards tell each other. Record bytes travel by reference, so a hop copies them at most
//! once: into the owner's log.

use crate::handlers::fetch::part::{FetchPart, PartReport};
use crate::handlers::group_questions::GroupAnswer;
use crate::handlers::question::{Answer, Asked};
use crate::net::FrameBytes;
use crate::protocol::ErrorCode;
use crate::request::RequestHead;
use crate::topics::catalog::{Catalog, Node};
use crate::topics::controller::{Change, Job, JobReply};
use millrace_engine::ids::{PartitionHandle, Ticket, TopicId};
use millrace_engine::io::arena::ArenaBuf;
use millrace_engine::io::op::DetachedSocket;
use std::net::IpAddr;
use std::sync::Arc;

/// One piece of mail. The sender is known from the mailbox.
#[derive(Debug)]
pub enum Mail {
    /// A connection that the acceptor gives to this shard.
    Socket(DetachedSocket, IpAddr),
    /// To the acceptor: connections of these addresses were closed.
    Closed(Vec<IpAddr>),
    /// To the controller, once per start: this shard recovered and listens.
    Hello(Box<Hello>),
    /// The newest catalog; answered with `CatalogHeld`.
    Catalog(Arc<Catalog>),
    /// To the controller: the sender uses the catalog of this version.
    CatalogHeld(u64),
    /// To the owner of a partition: append.
    Produce(HopProduce),
    /// What became of it.
    Produced(Ticket, Result<Produced, ErrorCode>),
    /// To the owner of some partitions: read them, and again when they grow.
    Fetch(Box<FetchPart>),
    /// What was read, for the sender's fetch request.
    Fetched(Box<PartReport>),
    /// The fetch request with this key is answered: forget its part.
    FetchOver(u64),
    /// To the owner of some partitions: answer these questions for the sender's request.
    Ask(u64, Vec<Asked>),
    /// The answers, each with its place in the request.
    Answers(u64, Vec<(u32, Answer)>),
    /// To the coordinator of a group: a request that came to another shard of the same node.
    GroupRequest(Box<GroupRequest>),
    /// The response to such a request, for the sender's connection; `None` closes it.
    Respond(Box<(RequestHead, Option<Vec<u8>>)>),
    /// To the coordinator of some groups: answer for these places of the sender's request.
    GroupAsk(u64, Vec<u32>, Box<GroupRequest>),
    /// The answers, each with its place in the request.
    GroupAnswers(u64, Vec<(u32, GroupAnswer)>),
    /// To the controller: change topics; the number is the sender's name for it.
    Job(u64, Box<Job>),
    /// The job is done and every shard holds the change.
    JobDone(u64, Box<JobReply>),
    /// From the controller: create and delete partitions.
    Change(Box<Change>),
    /// Done; these could not be created.
    Changed(Vec<(PartitionHandle, ErrorCode)>),
    /// A shard could not start: everyone stops.
    Stop,
}

/// A batch on its way to its log.
#[derive(Debug)]
pub enum HopBytes {
    /// Shared with the request it came in.
    Shared(FrameBytes),
    /// In memory of its own, waiting for room on its own shard; there until it is appended.
    Slab(Option<ArenaBuf>),
}

/// What a shard found when it started.
#[derive(Debug)]
pub struct Hello {
    /// Its partitions, by handle.
    pub partitions: Vec<FoundPartition>,
    /// The node that its listener is, if it has one.
    pub node: Option<Node>,
}

/// A partition that a shard found when it started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoundPartition {
    /// Its handle.
    pub handle: PartitionHandle,
    /// Its topic.
    pub topic_id: TopicId,
    /// Its index in the topic.
    pub index: i32,
    /// Its leader epoch; nothing raises it before the next start.
    pub leader_epoch: i32,
}

/// A request on its way to the coordinator of its group.
#[derive(Debug)]
pub struct GroupRequest {
    /// Where its response goes.
    pub head: RequestHead,
    /// All its bytes.
    pub frame: FrameBytes,
}

/// An append on its way to its owner.
#[derive(Debug)]
pub struct HopProduce {
    /// The sender's name for it.
    pub ticket: Ticket,
    /// Which partition.
    pub handle: PartitionHandle,
    /// One checked batch.
    pub bytes: HopBytes,
    /// Answer when it is acknowledged; otherwise as soon as it is appended.
    pub is_acked: bool,
}

/// A finished append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Produced {
    /// Offset of the first record.
    pub base_offset: i64,
    /// The partition's log start.
    pub log_start: i64,
    /// The time the batch was given, -1 for none (`message.timestamp.type=CreateTime`).
    pub log_append_time: i64,
}
