//! The groups driven by requests and time alone; the log is a vector.

mod expiring;
mod joining;
mod logging;
mod offsets;
mod statics;

use super::coordinator::Coordinator;
use super::describing::DescribedGroup;
use super::effects::{Asker, Effect, Join, JoinAnswer, MemberRef, Now, Pending, Sync, SyncAnswer};
use super::offset_requests::Commit;
use crate::config::{BrokerSettings, GroupSettings};
use crate::protocol::ErrorCode;
use millrace_engine::record_batch::Header;
use millrace_engine::record_batch::records::{Records, payload};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

const RANGE: &[(&str, &[u8])] = &[("range", b"")];
const SESSION_MS: i32 = 10_000;
const REBALANCE_MS: i32 = 60_000;
const GROUP: &str = "g";

/// What came back for a request.
#[derive(Debug)]
enum Answer {
    Join(JoinAnswer),
    Sync(SyncAnswer),
    Code(ErrorCode),
}

/// A coordinator of one partition, its log and its clock.
struct Rig {
    coordinator: Coordinator,
    now: Now,
    askers: u64,
    answers: BTreeMap<u64, Answer>,
    log: Vec<Vec<u8>>,
    log_start: usize,
    pending: VecDeque<Pending>,
    /// Appends are durable only when `settle` is called.
    is_slow: bool,
    is_refusing: bool,
}

/// A member as a test remembers it.
#[derive(Clone, Debug)]
struct Known {
    member_id: String,
    instance_id: Option<&'static str>,
    generation: i32,
}

fn settings() -> GroupSettings {
    GroupSettings {
        initial_rebalance_delay_ms: 0,
        ..BrokerSettings::default().groups
    }
}

impl Rig {
    fn new() -> Self {
        Self::with(settings())
    }

    fn with(settings: GroupSettings) -> Self {
        Self::bounded(settings, 100 << 20)
    }

    fn bounded(settings: GroupSettings, bytes_max: usize) -> Self {
        let mut rig = Self {
            coordinator: Coordinator::new(settings, bytes_max),
            now: Now {
                ns: 1,
                wall_ms: 1_700_000_000_000,
            },
            askers: 0,
            answers: BTreeMap::new(),
            log: Vec::new(),
            log_start: 0,
            pending: VecDeque::new(),
            is_slow: false,
            is_refusing: false,
        };
        let new = rig.coordinator.assign(1, &BTreeSet::from([0]), rig.now);
        assert_eq!(new, [0]);
        rig.coordinator.loaded(0, |_| true, rig.now);
        rig
    }

    /// A coordinator that has read this one's log.
    fn restarted(&self, settings: GroupSettings) -> Self {
        let mut next = Self::with(settings);
        next.now = self.now;
        next.coordinator = Coordinator::new(settings, 100 << 20);
        next.coordinator.assign(1, &BTreeSet::from([0]), next.now);
        assert_eq!(
            next.coordinator.partition(GROUP),
            Err(ErrorCode::CoordinatorLoadInProgress)
        );
        next.log.clone_from(&self.log);
        next.log_start = self.log_start;
        for batch in &next.log[next.log_start..] {
            let header = Header::parse(batch).unwrap();
            for record in Records::new(&header, payload(batch)) {
                let record = record.unwrap();
                let key = record.key.unwrap();
                next.coordinator.load_record(0, key, record.value, next.now);
            }
        }
        next.coordinator
            .loaded(0, |topic| topic != "gone", next.now);
        next.carry_out();
        next
    }

    fn asker(&mut self) -> Asker {
        self.askers += 1;
        Asker(self.askers)
    }

    fn carry_out(&mut self) {
        loop {
            let mut effects = Vec::new();
            self.coordinator.drain_effects(&mut effects);
            if effects.is_empty() {
                return;
            }
            for effect in effects {
                self.carry_out_one(effect);
            }
        }
    }

    fn carry_out_one(&mut self, effect: Effect) {
        match effect {
            Effect::Joined(asker, answer) => self.answered(asker, Answer::Join(*answer)),
            Effect::Synced(asker, answer) => self.answered(asker, Answer::Sync(answer)),
            Effect::Answered(asker, error) => self.answered(asker, Answer::Code(error)),
            Effect::Trim { offset, .. } => {
                let end = self.log.len();
                self.log_start = offset.map_or(end, |offset| usize::try_from(offset).unwrap());
            }
            Effect::Append(append) if self.is_refusing => {
                let error = Err(ErrorCode::CoordinatorNotAvailable);
                self.coordinator.resolved(append.pending, error, self.now);
            }
            Effect::Append(append) => {
                assert!(!append.batch.is_empty());
                if let Pending::Snapshot(index) = append.pending {
                    let offset = i64::try_from(self.log.len()).unwrap();
                    self.coordinator.piece_appended(index, offset);
                }
                self.log.push(append.batch);
                if self.is_slow {
                    self.pending.push_back(append.pending);
                } else {
                    self.coordinator.resolved(append.pending, Ok(()), self.now);
                }
            }
            Effect::Store(stored) => panic!("left the coordinator: {stored:?}"),
        }
    }

    fn answered(&mut self, asker: Asker, answer: Answer) {
        let before = self.answers.insert(asker.0, answer);
        assert!(before.is_none(), "answered twice");
    }

    /// The oldest append becomes durable.
    fn settle(&mut self) {
        let pending = self.pending.pop_front().expect("an append on its way");
        self.coordinator.resolved(pending, Ok(()), self.now);
        self.carry_out();
    }

    /// Lets time pass, alarm by alarm.
    fn pass_ms(&mut self, ms: i32) {
        let end_ns = self.now.after_ms(ms);
        let end_ms = self.now.wall_ms + i64::from(ms);
        while let Some(at) = self.coordinator.next_deadline_ns()
            && at <= end_ns
        {
            assert!(at >= self.now.ns || at == 0, "an alarm in the past");
            let passed = at.saturating_sub(self.now.ns) / 1_000_000;
            self.now.wall_ms += i64::try_from(passed).unwrap();
            self.now.ns = at.max(self.now.ns);
            self.coordinator.tick(self.now);
            self.carry_out();
        }
        self.now.ns = end_ns;
        self.now.wall_ms = end_ms;
    }

    fn join<'a>(&mut self, change: impl FnOnce(&mut Join<'a>)) -> Asker {
        let asker = self.asker();
        let mut join = Join {
            asker,
            group_id: GROUP,
            member_id: "",
            instance_id: None,
            client_id: "client",
            client_host: "/127.0.0.1",
            session_timeout_ms: SESSION_MS,
            rebalance_timeout_ms: REBALANCE_MS,
            protocol_type: "consumer",
            protocols: RANGE,
            needs_member_id: false,
            can_skip_assignment: false,
            random: u128::from(asker.0) << 64 | u128::from(asker.0),
        };
        change(&mut join);
        self.coordinator.join(&join, self.now);
        self.carry_out();
        asker
    }

    fn join_again(&mut self, member: &Known) -> Asker {
        self.join(|join| {
            join.member_id = &member.member_id;
            join.instance_id = member.instance_id;
        })
    }

    fn is_answered(&self, asker: Asker) -> bool {
        self.answers.contains_key(&asker.0)
    }

    fn joined(&mut self, asker: Asker) -> JoinAnswer {
        match self.answers.remove(&asker.0) {
            Some(Answer::Join(answer)) => answer,
            other => panic!("no answer to a join: {other:?}"),
        }
    }

    /// The error of a join.
    fn refused(&mut self, asker: Asker) -> ErrorCode {
        self.joined(asker).error
    }

    /// The member of a join that must have gone well.
    fn member(&mut self, asker: Asker) -> Known {
        let answer = self.joined(asker);
        assert_eq!(answer.error, ErrorCode::None);
        Known {
            member_id: answer.member_id.to_string(),
            instance_id: None,
            generation: answer.generation,
        }
    }

    fn sync(&mut self, member: &Known, assignments: &[(&str, &[u8])]) -> Asker {
        let asker = self.asker();
        let sync = Sync {
            asker,
            group_id: GROUP,
            member: reference(member),
            protocol_type: Some("consumer"),
            protocol_name: None,
            assignments,
        };
        self.coordinator.sync(&sync, self.now);
        self.carry_out();
        asker
    }

    fn synced(&mut self, asker: Asker) -> Result<Vec<u8>, ErrorCode> {
        match self.answers.remove(&asker.0) {
            Some(Answer::Sync(answer)) if answer.error.is_none() => Ok(answer.assignment.to_vec()),
            Some(Answer::Sync(answer)) => Err(answer.error),
            other => panic!("no answer to a sync: {other:?}"),
        }
    }

    fn heartbeat(&mut self, member: &Known) -> ErrorCode {
        let beaten = self
            .coordinator
            .heartbeat(GROUP, reference(member), self.now);
        beaten.err().unwrap_or(ErrorCode::None)
    }

    fn leave(&mut self, member_id: &str, instance_id: Option<&str>) -> ErrorCode {
        let left = self
            .coordinator
            .leave(GROUP, &[(member_id, instance_id)], self.now);
        self.carry_out();
        let left = left.unwrap();
        left[0].err().unwrap_or(ErrorCode::None)
    }

    fn code(&mut self, asker: Asker) -> ErrorCode {
        match self.answers.remove(&asker.0) {
            Some(Answer::Code(error)) => error,
            other => panic!("no answer to a change: {other:?}"),
        }
    }

    fn try_commit<'a>(
        &mut self,
        member: MemberRef<'_>,
        offset: i64,
        change: impl FnOnce(&mut Commit<'a>),
    ) -> Result<Asker, ErrorCode> {
        let asker = self.asker();
        let mut commit = Commit {
            topic: "t",
            partition: 0,
            offset,
            leader_epoch: -1,
            metadata: "",
        };
        change(&mut commit);
        let begun = self
            .coordinator
            .commit((asker, GROUP), member, &[commit], None, self.now);
        self.carry_out();
        begun.map(|()| asker)
    }

    /// A commit of partition 0 of topic t.
    fn commit(&mut self, member: &Known, offset: i64) -> ErrorCode {
        match self.try_commit(reference(member), offset, |_| {}) {
            Ok(asker) => self.code(asker),
            Err(error) => error,
        }
    }

    fn commit_without_member(&mut self, topic: &str, offset: i64) {
        let begun = self.try_commit(reference(&nobody()), offset, |commit| commit.topic = topic);
        let asker = begun.unwrap();
        assert_eq!(self.code(asker), ErrorCode::None);
    }

    fn committed(&self, topic: &str) -> Option<i64> {
        let group = self.coordinator.committed(GROUP).unwrap()?;
        group.offset(topic, 0).map(|offset| offset.offset)
    }

    fn describe(&self) -> Option<DescribedGroup> {
        self.coordinator.describe(GROUP).unwrap()
    }

    fn state(&self) -> &'static str {
        self.describe().map_or("none", |group| group.state)
    }

    /// One member, first generation, assigned "all".
    fn stable_one(&mut self) -> Known {
        let asker = self.join(|_| {});
        self.pass_ms(0);
        let member = self.member(asker);
        let asker = self.sync(&member, &[(&member.member_id, b"all")]);
        assert_eq!(self.synced(asker), Ok(b"all".to_vec()));
        member
    }

    /// Two members, second generation, assigned "1" and "2".
    fn stable_two(&mut self) -> (Known, Known) {
        let first = self.stable_one();
        let second = self.join(|_| {});
        let first = self.join_again(&first);
        let (first, second) = (self.member(first), self.member(second));
        let waiting = self.sync(&second, &[]);
        let given: [(&str, &[u8]); 2] = [(&first.member_id, b"1"), (&second.member_id, b"2")];
        let leader = self.sync(&first, &given);
        assert_eq!(self.synced(leader), Ok(b"1".to_vec()));
        assert_eq!(self.synced(waiting), Ok(b"2".to_vec()));
        (first, second)
    }
}

fn nobody() -> Known {
    Known {
        member_id: String::new(),
        instance_id: None,
        generation: -1,
    }
}

fn reference(member: &Known) -> MemberRef<'_> {
    MemberRef {
        member_id: &member.member_id,
        instance_id: member.instance_id,
        generation: member.generation,
    }
}
