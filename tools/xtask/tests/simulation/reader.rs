//! A reader of one partition: from the beginning forward, and now and then from the beginning
//! again; or once over everything, when the run is over.

use super::actor::{Actor, BACKOFF_NS, NEVER, REQUEST_TIMEOUT_NS};
use super::fetching::{self, Place, Read};
use super::link::Link;
use super::scene::{Partition, Scene};
use xtask::history::What;

const WAIT_MS: i32 = 500;

#[derive(Debug)]
pub(crate) struct Reader {
    id: u32,
    link: Link,
    partition: Partition,
    position: i64,
    is_placed: bool,
    asked_ns: Option<u64>,
    retry_ns: u64,
    wake_ns: u64,
    fetch_bytes: i32,
    /// Ends at the end of the log.
    is_scan: bool,
    is_over: bool,
    /// It went over records that were compacted away.
    has_holes: bool,
}

impl Reader {
    pub(crate) const fn new(
        id: u32,
        partition: Partition,
        fetch_bytes: i32,
        is_scan: bool,
    ) -> Self {
        Self {
            id,
            link: Link::new(),
            partition,
            position: 0,
            is_placed: false,
            asked_ns: None,
            retry_ns: 0,
            wake_ns: 0,
            fetch_bytes,
            is_scan,
            is_over: false,
            has_holes: false,
        }
    }

    fn seek(&mut self, scene: &mut Scene, offset: i64) {
        self.position = offset;
        let log = self.partition.log;
        scene.note(self.id, What::Seek { log, offset });
    }

    fn take(&mut self, scene: &mut Scene, began_ns: u64, frame: &[u8]) {
        let place = Place {
            position: self.position,
            began_ns,
            may_be_cut: false,
        };
        let compacted_away = scene.compacted_away;
        let read = fetching::take(scene, self.id, &self.partition, place, frame);
        self.has_holes |= scene.compacted_away > compacted_away;
        match read {
            Read::Next(next, is_at_end) => {
                self.position = next;
                self.is_over = self.is_scan && is_at_end;
                scene.compacted_logs_read += u64::from(self.is_over && self.has_holes);
                let one_in = if self.partition.is_keyed { 16 } else { 64 };
                if is_at_end && !self.is_scan && scene.random.chance(1, one_in) {
                    self.seek(scene, 0);
                }
            }
            Read::Deleted(start) => self.seek(scene, start),
            // What lies behind the damage is for others to read.
            Read::Damaged => self.is_over = true,
            Read::Later => self.retry_ns = scene.now_ns() + BACKOFF_NS,
        }
    }
}

impl Actor for Reader {
    fn link(&mut self) -> &mut Link {
        &mut self.link
    }

    fn act(&mut self, scene: &mut Scene) {
        self.wake_ns = NEVER;
        for answer in self.link.answers(&scene.world) {
            match self.asked_ns.take() {
                Some(began_ns) => self.take(scene, began_ns, &answer.frame),
                None => scene.problem(self.id, "an answer that nobody asked for"),
            }
        }
        let now_ns = scene.now_ns();
        let deadline_ns = self.asked_ns.map(|asked| asked + REQUEST_TIMEOUT_NS);
        if deadline_ns.is_some_and(|deadline| now_ns >= deadline) {
            if scene.is_calm && self.link.is_up() {
                scene.problem(self.id, "Fetch: no answer, and nothing is wrong");
            }
            self.link.drop_connection();
        }
        if self.is_over {
            return;
        }
        if now_ns < self.retry_ns {
            self.wake_ns = self.retry_ns;
            return;
        }
        if !self.link.is_up() {
            self.asked_ns = None;
            if !self
                .link
                .connect(&scene.world, scene.leader(&self.partition))
            {
                self.retry_ns = now_ns + BACKOFF_NS;
                self.wake_ns = self.retry_ns;
                return;
            }
        }
        if self.asked_ns.is_none() {
            if !std::mem::replace(&mut self.is_placed, true) {
                self.seek(scene, 0);
            }
            let limits = (self.fetch_bytes, WAIT_MS);
            fetching::ask(&mut self.link, &self.partition, self.position, limits);
            self.asked_ns = Some(now_ns);
        }
        self.wake_ns = self
            .asked_ns
            .map_or(NEVER, |asked| asked + REQUEST_TIMEOUT_NS);
    }

    fn wake_ns(&self) -> u64 {
        self.wake_ns
    }

    fn is_done(&self) -> bool {
        self.is_over || !self.is_scan
    }
}
