//! A reader of several partitions in one fetch session (KIP-227): it asks for all of them once,
//! then says what changed, takes some out and puts them in again, and is told only news. Its
//! session is lost with the broker's process, with its shard's connection, or grows stale.

use super::actor::{Actor, BACKOFF_NS, NEVER, REQUEST_TIMEOUT_NS};
use super::fetching::{self, Place, Read};
use super::link::Link;
use super::scene::{Partition, Scene};
use millrace_server::protocol::messages::fetch_request::{
    FetchPartition, FetchTopic, ForgottenTopic,
};
use millrace_server::protocol::messages::{FetchRequest, FetchResponse};
use millrace_server::protocol::{ErrorCode, decode_response};
use xtask::history::What;

const WAIT_MS: i32 = 300;
/// A position that nobody has.
const UNKNOWN: i64 = i64::MIN;
/// The epoch that begins a session.
const EPOCH_NEW: i32 = 0;

/// A partition of the session.
#[derive(Debug)]
struct Wanted {
    partition: Partition,
    position: i64,
    /// What the broker knows to be wanted of it: the position it was told last.
    told: Option<i64>,
    is_wanted: bool,
    is_damaged: bool,
    /// The end that somebody had seen when this was asked for.
    end_before: i64,
    /// Answers in a row that brought nothing although there was something.
    passed_over: u32,
}

/// A session as the client knows it.
#[derive(Clone, Copy, Debug)]
struct Session {
    id: i32,
    /// Of the next request.
    epoch: i32,
    /// The connection that it was made on, by number.
    connection: u64,
}

#[derive(Debug)]
pub(crate) struct SessionReader {
    id: u32,
    link: Link,
    wanted: Vec<Wanted>,
    session: Option<Session>,
    is_placed: bool,
    /// When it was asked, and whether that was for a whole answer.
    asked: Option<(u64, bool)>,
    retry_ns: u64,
    wake_ns: u64,
    fetch_bytes: i32,
    bytes_max: i32,
    /// No new work, and it is at the end of everything.
    is_over: bool,
}

impl SessionReader {
    pub(crate) fn new(
        id: u32,
        partitions: Vec<Partition>,
        fetch_bytes: i32,
        bytes_max: i32,
    ) -> Self {
        let wanted = |partition| Wanted {
            partition,
            position: 0,
            told: None,
            is_wanted: true,
            is_damaged: false,
            end_before: 0,
            passed_over: 0,
        };
        Self {
            id,
            link: Link::new(),
            wanted: partitions.into_iter().map(wanted).collect(),
            session: None,
            is_placed: false,
            asked: None,
            retry_ns: 0,
            wake_ns: 0,
            fetch_bytes,
            bytes_max,
            is_over: false,
        }
    }

    fn seek(&mut self, scene: &mut Scene, nth: usize, offset: i64) {
        self.wanted[nth].position = offset;
        let log = self.wanted[nth].partition.log;
        scene.note(self.id, What::Seek { log, offset });
    }

    /// Takes one out, or puts it in again.
    fn change_mind(&mut self, scene: &mut Scene) {
        let nth = scene.random.below(self.wanted.len() as u64) as usize;
        let wanted = &mut self.wanted[nth];
        if wanted.is_damaged {
            return;
        }
        wanted.is_wanted = scene.is_closing || !wanted.is_wanted;
    }

    fn ask(&mut self, scene: &mut Scene) {
        if !std::mem::replace(&mut self.is_placed, true) {
            for nth in 0..self.wanted.len() {
                self.seek(scene, nth, 0);
            }
        }
        if scene.is_closing {
            for wanted in &mut self.wanted {
                wanted.is_wanted = !wanted.is_damaged;
            }
        } else if scene.random.chance(1, 16) {
            self.change_mind(scene);
        }
        let is_new = self.session.is_none();
        if is_new {
            for wanted in &mut self.wanted {
                wanted.told = None;
            }
        }
        let news: Vec<usize> = (0..self.wanted.len())
            .filter(|&nth| self.wanted[nth].is_wanted)
            .filter(|&nth| self.wanted[nth].told != Some(self.wanted[nth].position))
            .collect();
        let gone: Vec<usize> = (0..self.wanted.len())
            .filter(|&nth| !self.wanted[nth].is_wanted && self.wanted[nth].told.is_some())
            .collect();
        self.send(&news, &gone);
        for nth in news {
            self.wanted[nth].told = Some(self.wanted[nth].position);
        }
        for nth in gone {
            self.wanted[nth].told = None;
        }
        for wanted in &mut self.wanted {
            wanted.end_before = scene.known_end(wanted.partition.log);
        }
        self.asked = Some((scene.now_ns(), is_new));
    }

    fn send(&mut self, news: &[usize], gone: &[usize]) {
        let topic = |&nth: &usize| FetchTopic {
            topic: &self.wanted[nth].partition.topic,
            partitions: [FetchPartition {
                partition: self.wanted[nth].partition.index,
                current_leader_epoch: -1,
                fetch_offset: self.wanted[nth].position,
                last_fetched_epoch: -1,
                partition_max_bytes: self.fetch_bytes,
                ..FetchPartition::default()
            }]
            .into(),
        };
        let forgotten = |&nth: &usize| ForgottenTopic {
            topic: &self.wanted[nth].partition.topic,
            partitions: [self.wanted[nth].partition.index].into(),
        };
        let session = self.session;
        let request = FetchRequest {
            max_wait_ms: WAIT_MS,
            min_bytes: 1,
            max_bytes: self.bytes_max,
            session_id: session.map_or(0, |session| session.id),
            session_epoch: session.map_or(EPOCH_NEW, |session| session.epoch),
            replica_id: -1,
            topics: news.iter().map(topic).collect(),
            forgotten_topics_data: gone.iter().map(forgotten).collect(),
            ..FetchRequest::default()
        };
        self.link.send(fetching::VERSION, &request);
    }

    fn take(&mut self, scene: &mut Scene, (began_ns, is_new): (u64, bool), frame: &[u8]) {
        let decoded = decode_response::<FetchResponse<'_>>(frame, fetching::VERSION);
        let Ok((_, answer)) = decoded else {
            return scene.problem(self.id, "an answer to Fetch that is none");
        };
        match ErrorCode::from_code(answer.error_code) {
            Some(ErrorCode::None) => {}
            code => return self.lose_session(scene, code),
        }
        self.go_on(scene, is_new, answer.session_id);
        let mut is_shown = vec![false; self.wanted.len()];
        let mut has_bytes = false;
        for topic in &answer.responses {
            for part in &topic.partitions {
                let found = self.wanted.iter().position(|wanted| {
                    let partition = &wanted.partition;
                    partition.topic == topic.topic && partition.index == part.partition_index
                });
                let Some(nth) = found.filter(|&nth| self.wanted[nth].told.is_some()) else {
                    let text = format!(
                        "Fetch: {}/{} was not asked for",
                        topic.topic, part.partition_index
                    );
                    return scene.problem(self.id, text);
                };
                is_shown[nth] = true;
                let place = Place {
                    position: self.wanted[nth].position,
                    began_ns,
                    may_be_cut: has_bytes,
                };
                has_bytes |= part.records.is_some_and(|records| !records.is_empty());
                let partition = self.wanted[nth].partition.clone();
                let read = fetching::take_part(scene, self.id, &partition, place, &part);
                self.took(scene, nth, read);
            }
        }
        self.check_shown(scene, is_new, &is_shown);
    }

    fn took(&mut self, scene: &mut Scene, nth: usize, read: Read) {
        let wanted = &mut self.wanted[nth];
        match read {
            Read::Next(next, is_at_end) => {
                wanted.position = next;
                if is_at_end && !scene.is_closing && scene.random.chance(1, 64) {
                    self.seek(scene, nth, 0);
                }
            }
            Read::Deleted(start) => self.seek(scene, nth, start),
            Read::Damaged => {
                wanted.is_damaged = true;
                wanted.is_wanted = false;
            }
            Read::Later => self.retry_ns = scene.now_ns() + BACKOFF_NS,
        }
    }

    /// What an answer without error says of the session.
    fn go_on(&mut self, scene: &mut Scene, is_new: bool, session_id: i32) {
        match (&mut self.session, is_new) {
            (Some(session), false) if session.id == session_id => {
                session.epoch += 1;
                scene.sessions_gone_on += 1;
            }
            (None, true) if session_id > 0 => {
                self.session = Some(Session {
                    id: session_id,
                    epoch: 1,
                    connection: self.link.connects,
                });
                scene.sessions_begun += 1;
            }
            (session, _) => {
                let text = format!("Fetch: answered in session {session_id}, asked in {session:?}");
                scene.problem(self.id, text);
            }
        }
    }

    fn lose_session(&mut self, scene: &mut Scene, code: Option<ErrorCode>) {
        let lost = self.session.take();
        // On the connection that it was made on, a session stays what it is.
        let is_moved = lost.is_some_and(|session| session.connection != self.link.connects);
        match code {
            Some(ErrorCode::FetchSessionIdNotFound) if is_moved => scene.sessions_lost += 1,
            Some(ErrorCode::InvalidFetchSessionEpoch) if is_moved => scene.sessions_stale += 1,
            code => scene.problem(self.id, format!("Fetch in session {lost:?}: {code:?}")),
        }
    }

    /// A whole answer leaves nothing out. Any other may, for want of bytes or memory, but nothing
    /// with news for long.
    fn check_shown(&mut self, scene: &mut Scene, is_new: bool, is_shown: &[bool]) {
        let turns_max = 4 + 4 * self.wanted.len() as u32;
        for (nth, wanted) in self.wanted.iter_mut().enumerate() {
            let Some(position) = wanted.told else {
                continue;
            };
            scene.sessions_left_out += u64::from(!is_shown[nth]);
            let is_behind =
                position < wanted.end_before && !scene.may_be_gap(&wanted.partition, position);
            let has_more = is_behind && position == wanted.position;
            if !is_shown[nth] && is_new {
                let text = format!("Fetch: {wanted:?} was left out of a whole answer");
                return scene.problem(self.id, text);
            }
            wanted.passed_over = if has_more { wanted.passed_over + 1 } else { 0 };
            if wanted.passed_over > turns_max && scene.is_calm {
                let text = format!("Fetch: {wanted:?} is passed over again and again");
                return scene.problem(self.id, text);
            }
        }
    }

    fn is_behind(&self, scene: &Scene) -> bool {
        self.wanted.iter().any(|wanted| {
            let partition = &wanted.partition;
            !wanted.is_damaged
                && wanted.position < scene.known_end(partition.log)
                && !scene.may_be_gap(partition, wanted.position)
        })
    }

    /// The connection is gone. Some clients forget the session with it, others ask for it.
    fn forget_link(&mut self, scene: &mut Scene) {
        let is_unsure = self.asked.take().is_some();
        if is_unsure && scene.random.chance(1, 2) {
            self.session = None;
        }
        for wanted in &mut self.wanted {
            wanted.passed_over = 0;
            if is_unsure {
                // What it asked for may not have arrived: all of it is said again.
                wanted.told = Some(UNKNOWN);
            }
        }
    }
}

impl Actor for SessionReader {
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
        let deadline_ns = self.asked.map(|(asked, _)| asked + REQUEST_TIMEOUT_NS);
        if deadline_ns.is_some_and(|deadline| now_ns >= deadline) {
            if scene.is_calm && self.link.is_up() {
                scene.problem(self.id, "Fetch: no answer, and nothing is wrong");
            }
            self.link.drop_connection();
        }
        if now_ns < self.retry_ns {
            self.wake_ns = self.retry_ns;
            return;
        }
        if !self.link.is_up() {
            self.forget_link(scene);
            let node = scene.some_node();
            if scene.topics_known_ns.is_none() || !self.link.connect(&scene.world, node) {
                self.retry_ns = now_ns + BACKOFF_NS;
                self.wake_ns = self.retry_ns;
                return;
            }
        }
        if self.asked.is_none() {
            self.ask(scene);
        }
        self.is_over = scene.is_closing && !self.is_behind(scene);
        self.wake_ns = self
            .asked
            .map_or(NEVER, |(asked, _)| asked + REQUEST_TIMEOUT_NS);
    }

    fn wake_ns(&self) -> u64 {
        self.wake_ns
    }

    fn is_done(&self) -> bool {
        self.is_over
    }
}
