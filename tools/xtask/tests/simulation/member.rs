//! A member of a consumer group: joins, is given partitions, goes on at the committed offsets,
//! reads, commits, and leaves now and then. It has one request under way at a time.

use super::actor::{Actor, BACKOFF_NS, NEVER, REQUEST_TIMEOUT_NS};
use super::fetching::{self, Place, Read};
use super::link::Link;
use super::member_protocol::{self as protocol, Membership, Remedy, Said};
use super::scene::{Partition, Scene};
use millrace_server::protocol::ErrorCode;
use std::net::SocketAddr;
use xtask::history::{GroupId, What};

const HEARTBEAT_NS: u64 = 1_500_000_000;
const WAIT_MS: i32 = 200;

/// How far into the group it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Lost,
    Found,
    Joined,
    /// The offsets of the partitions from this one on are to be asked for.
    Synced(usize),
    Member,
}

/// What is under way.
#[derive(Clone, Copy, Debug)]
enum Asked {
    Coordinator,
    Join,
    Sync,
    Offset(usize),
    Fetch(usize),
    /// The operation, of which partition, and the offset.
    Commit(u64, usize, i64),
    Heartbeat,
    Leave,
}

/// A partition that it was given.
#[derive(Debug)]
struct Mine {
    partition: Partition,
    position: i64,
    committed: Option<i64>,
    is_at_end: bool,
}

#[derive(Debug)]
pub(crate) struct Member {
    id: u32,
    link: Link,
    group: GroupId,
    me: Membership,
    /// Those that the group reads.
    partitions: Vec<Partition>,
    phase: Phase,
    led: Vec<String>,
    mine: Vec<Mine>,
    /// Where the coordinator listens, until it was connected to.
    coordinator: Option<SocketAddr>,
    connected_to: Option<SocketAddr>,
    asked: Option<(Asked, u64)>,
    next_read: usize,
    heartbeat_ns: u64,
    retry_ns: u64,
    wake_ns: u64,
}

impl Member {
    pub(crate) fn new(id: u32, scene: &mut Scene, group: &str, partitions: Vec<Partition>) -> Self {
        Self {
            id,
            link: Link::new(),
            group: scene.history.group(group),
            me: Membership {
                group: group.to_owned(),
                ..Membership::default()
            },
            partitions,
            phase: Phase::Lost,
            led: Vec::new(),
            mine: Vec::new(),
            coordinator: None,
            connected_to: None,
            asked: None,
            next_read: 0,
            heartbeat_ns: 0,
            retry_ns: 0,
            wake_ns: 0,
        }
    }

    fn take(&mut self, scene: &mut Scene, (asked, began_ns): (Asked, u64), frame: &[u8]) {
        match asked {
            Asked::Coordinator => match protocol::coordinator(frame) {
                Ok(address) => {
                    self.phase = Phase::Found;
                    self.coordinator = Some(address);
                    if self.connected_to != Some(address) {
                        self.link.drop_connection();
                    }
                }
                Err(code) => self.mend(scene, "FindCoordinator", code),
            },
            Asked::Join => self.take_joined(scene, frame),
            Asked::Sync => match protocol::synced(frame) {
                Ok(indexes) => self.take_assignment(&indexes),
                Err(code) => self.mend(scene, "SyncGroup", code),
            },
            Asked::Offset(index) => match protocol::offset(frame) {
                Ok(offset) => self.take_offset(scene, index, began_ns, offset),
                Err(code) => self.mend(scene, "OffsetFetch", code),
            },
            Asked::Fetch(index) => self.take_records(scene, index, began_ns, frame),
            Asked::Commit(op, index, offset) => {
                self.take_committed(scene, op, (index, offset), protocol::committed(frame));
            }
            Asked::Heartbeat => {
                let said = protocol::heartbeat(frame);
                self.advance(scene, "Heartbeat", said, Phase::Member);
            }
            Asked::Leave => {
                scene.members_left += 1;
                self.me.member.clear();
                self.phase = Phase::Found;
                self.retry_ns = scene.now_ns() + scene.random.below(5_000_000_000);
            }
        }
    }

    /// A request without news: on to the next phase, or not.
    fn advance(&mut self, scene: &mut Scene, what: &str, said: Said<()>, phase: Phase) {
        match said {
            Ok(()) => self.phase = phase,
            Err(code) => self.mend(scene, what, code),
        }
    }

    fn mend(&mut self, scene: &mut Scene, what: &str, code: Option<ErrorCode>) {
        let remedy = protocol::remedy(scene, self.id, what, code);
        match remedy {
            Remedy::Rejoin => self.phase = Phase::Found,
            Remedy::Anew => {
                self.me.member.clear();
                self.phase = Phase::Found;
            }
            Remedy::Find => self.phase = Phase::Lost,
            Remedy::Later => {}
        }
        if matches!(remedy, Remedy::Find | Remedy::Later) {
            self.retry_ns = scene.now_ns() + BACKOFF_NS;
        }
    }

    fn take_joined(&mut self, scene: &mut Scene, frame: &[u8]) {
        match protocol::joined(frame) {
            Ok(joined) => {
                self.me.member = joined.member;
                self.me.generation = joined.generation;
                self.led = joined.led;
                self.phase = Phase::Joined;
            }
            Err((Some(ErrorCode::MemberIdRequired), member)) => self.me.member = member,
            Err((code, _)) => self.mend(scene, "JoinGroup", code),
        }
    }

    fn take_assignment(&mut self, indexes: &[usize]) {
        let given = |index: &usize| self.partitions.get(*index).cloned();
        let mine = indexes.iter().filter_map(given);
        self.mine = mine
            .map(|partition| Mine {
                partition,
                position: 0,
                committed: None,
                is_at_end: false,
            })
            .collect();
        self.phase = Phase::Synced(0);
    }

    fn take_offset(&mut self, scene: &mut Scene, index: usize, began_ns: u64, offset: Option<i64>) {
        let (group, log) = (self.group, self.mine[index].partition.log);
        let fetched = What::Fetched {
            group,
            log,
            began_ns,
            offset,
        };
        scene.note(self.id, fetched);
        scene.offsets_fetched += u64::from(offset.is_some());
        let mine = &mut self.mine[index];
        mine.committed = offset;
        mine.position = offset.unwrap_or(0);
        let offset = mine.position;
        scene.note(self.id, What::Seek { log, offset });
        self.phase = Phase::Synced(index + 1);
    }

    fn take_records(&mut self, scene: &mut Scene, index: usize, began_ns: u64, frame: &[u8]) {
        let mine = &mut self.mine[index];
        let place = Place {
            position: mine.position,
            began_ns,
            may_be_cut: false,
        };
        match fetching::take(scene, self.id, &mine.partition, place, frame) {
            Read::Next(next, is_at_end) => {
                mine.position = next;
                mine.is_at_end = is_at_end;
                if is_at_end && scene.is_closing {
                    self.retry_ns = scene.now_ns() + BACKOFF_NS / 10;
                }
            }
            Read::Deleted(offset) => {
                mine.position = offset;
                let log = mine.partition.log;
                scene.note(self.id, What::Seek { log, offset });
            }
            Read::Damaged | Read::Later => self.retry_ns = scene.now_ns() + BACKOFF_NS,
        }
    }

    fn take_committed(
        &mut self,
        scene: &mut Scene,
        op: u64,
        (index, offset): (usize, i64),
        said: Said<()>,
    ) {
        match said {
            Ok(()) => {
                scene.note(self.id, What::Committed { op });
                scene.commits_done += 1;
                self.mine[index].committed = Some(offset);
            }
            Err(code) => {
                // A member that is none any more changes nothing.
                let is_refused = matches!(
                    code,
                    Some(ErrorCode::UnknownMemberId | ErrorCode::IllegalGeneration)
                );
                if is_refused {
                    scene.note(self.id, What::Refused { op });
                }
                self.mend(scene, "OffsetCommit", code);
            }
        }
    }

    /// What to ask for next, if anything.
    fn next(&mut self, scene: &mut Scene) -> Option<Asked> {
        let now_ns = scene.now_ns();
        Some(match self.phase {
            Phase::Lost => Asked::Coordinator,
            Phase::Found => Asked::Join,
            Phase::Joined => Asked::Sync,
            Phase::Synced(index) if index < self.mine.len() => Asked::Offset(index),
            Phase::Synced(_) => {
                self.phase = Phase::Member;
                Asked::Heartbeat
            }
            Phase::Member if now_ns >= self.heartbeat_ns => {
                match !scene.is_closing && scene.random.chance(1, 40) {
                    true => Asked::Leave,
                    false => Asked::Heartbeat,
                }
            }
            Phase::Member => return self.next_of_partition(scene),
        })
    }

    fn next_of_partition(&mut self, scene: &mut Scene) -> Option<Asked> {
        if self.mine.is_empty() {
            return None;
        }
        self.next_read = (self.next_read + 1) % self.mine.len();
        let index = self.next_read;
        let mine = &self.mine[index];
        let is_dirty = mine.committed.unwrap_or(0) != mine.position;
        if is_dirty && (scene.is_closing || scene.random.chance(1, 4)) {
            return Some(Asked::Commit(scene.op(), index, mine.position));
        }
        Some(Asked::Fetch(index))
    }

    fn ask(&mut self, scene: &mut Scene, asked: Asked) {
        let now_ns = scene.now_ns();
        let link = &mut self.link;
        match asked {
            Asked::Coordinator => protocol::ask_coordinator(link, &self.me),
            Asked::Join => protocol::ask_join(link, &self.me, "orders"),
            Asked::Sync => {
                protocol::ask_sync(link, &self.me, &self.led, self.partitions.len());
            }
            Asked::Offset(index) => {
                protocol::ask_offset(link, &self.me, &self.mine[index].partition);
            }
            Asked::Fetch(index) => {
                let mine = &self.mine[index];
                let wait_ms = if scene.is_closing { 0 } else { WAIT_MS };
                let limits = (100_000, wait_ms);
                fetching::ask(link, &mine.partition, mine.position, limits);
            }
            Asked::Commit(op, index, offset) => {
                let partition = &self.mine[index].partition;
                protocol::ask_commit(link, &self.me, partition, offset);
                let (group, log) = (self.group, partition.log);
                let commit = What::Commit {
                    op,
                    group,
                    log,
                    offset,
                };
                scene.note(self.id, commit);
            }
            Asked::Heartbeat => {
                protocol::ask_heartbeat(link, &self.me);
                self.heartbeat_ns = now_ns + HEARTBEAT_NS;
            }
            Asked::Leave => protocol::ask_leave(link, &self.me),
        }
        self.asked = Some((asked, now_ns));
    }
}

impl Actor for Member {
    fn link(&mut self) -> &mut Link {
        &mut self.link
    }

    fn act(&mut self, scene: &mut Scene) {
        self.wake_ns = NEVER;
        for answer in self.link.answers(&scene.world) {
            match self.asked.take() {
                Some(asked) => self.take(scene, asked, &answer.frame),
                None => scene.problem(self.id, "an answer that nobody asked for"),
            }
        }
        let now_ns = scene.now_ns();
        let is_late = |(_, since): (Asked, u64)| now_ns >= since + REQUEST_TIMEOUT_NS;
        if self.asked.is_some_and(is_late) {
            if scene.is_calm && self.link.is_up() {
                let text = format!("{:?}: no answer, and nothing is wrong", self.asked);
                scene.problem(self.id, text);
            }
            self.link.drop_connection();
        }
        if now_ns < self.retry_ns {
            self.wake_ns = self.retry_ns;
            return;
        }
        if !self.link.is_up() {
            self.asked = None;
            let node = self.coordinator.take();
            let node = node.unwrap_or_else(|| scene.some_node());
            self.connected_to = Some(node);
            if !self.link.connect(&scene.world, node) {
                self.retry_ns = now_ns + BACKOFF_NS;
                self.wake_ns = self.retry_ns;
                return;
            }
        }
        if self.asked.is_none()
            && let Some(asked) = self.next(scene)
        {
            self.ask(scene, asked);
        }
        let timeout = self.asked.map(|(_, since)| since + REQUEST_TIMEOUT_NS);
        self.wake_ns = timeout.unwrap_or(self.heartbeat_ns);
    }

    fn wake_ns(&self) -> u64 {
        self.wake_ns
    }

    /// It is a member, and everything of its partitions is read and committed.
    fn is_done(&self) -> bool {
        let is_read = |mine: &Mine| mine.is_at_end && mine.committed.unwrap_or(0) == mine.position;
        self.phase == Phase::Member && self.mine.iter().all(is_read)
    }
}
