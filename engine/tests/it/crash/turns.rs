//! The shards' turns: they run when something woke them, as in production, and never otherwise.

use super::machine_off::checkpoint_numbers;
use super::oracle::Ending;
use super::run::{Halt, Run};
use millrace_engine::ids::ShardId;
use millrace_engine::io::Awaiting;
use millrace_engine::shard::Event;

/// Turns of all shards in one life, at most.
pub(super) const TURNS_MAX: u64 = 200_000;
/// A deadline so near brings the next turn about.
const SOON_NS: u64 = 10_000;

impl Run {
    /// A turn of every shard that was woken, or that a client asked something of.
    pub(super) fn turn_all(&mut self) -> Result<(), Halt> {
        for index in 0..self.nodes.len() {
            if self.world.is_crashed() {
                return Err(Halt::Crashed);
            }
            let is_woken = self.world.take_runnable(ShardId(index as u16));
            if std::mem::take(&mut self.nodes[index].is_asked) || is_woken {
                self.turn(index)?;
            }
        }
        match self.world.is_crashed() {
            true => Err(Halt::Crashed),
            false => Ok(()),
        }
    }

    /// Turns and steps until `is_done`.
    pub(super) fn turn_until(
        &mut self,
        what: &str,
        mut is_done: impl FnMut(&mut Self) -> bool,
    ) -> Result<(), Halt> {
        what.clone_into(&mut self.doing);
        loop {
            self.turn_all()?;
            if is_done(self) {
                return Ok(());
            }
            if !self.world.step() && !self.world.is_crashed() {
                let problem = format!("waits for {what}, and nothing is going to happen");
                return Err(Halt::Wrong(problem));
            }
        }
    }

    fn turn(&mut self, index: usize) -> Result<(), Halt> {
        let Some(turns_left) = self.turns_left.checked_sub(1) else {
            return Err(Halt::Wrong(format!(
                "a life of {TURNS_MAX} turns ends waiting for {}; not answered: {:?}",
                self.doing,
                self.oracle.asked.values().take(5)
            )));
        };
        self.turns_left = turns_left;
        let node = &mut self.nodes[index];
        node.io.poll(&mut self.done);
        for completion in self.done.drain(..) {
            node.shard.complete(&mut node.io, completion);
        }
        node.shard.end_turn(&mut node.io);
        node.shard.drain_events(&mut self.events);
        let deadline = node.shard.next_deadline_ns();
        log::trace!("shard {index} parks until {deadline:?}");
        node.io.park(deadline, Awaiting::Anything);
        if self.world.is_crashed() {
            // What a turn says after the machine stopped reached nobody.
            self.events.clear();
            return Err(Halt::Crashed);
        }
        for event in std::mem::take(&mut self.events) {
            self.take_event(index, event)?;
        }
        if self.is_checked {
            self.observe(index);
        }
        self.check_that_nothing_is_left(index, deadline)
    }

    /// A turn leaves nothing undone for a later one that nothing brings about.
    fn check_that_nothing_is_left(
        &mut self,
        index: usize,
        deadline: Option<u64>,
    ) -> Result<(), Halt> {
        let soon = self.world.now_ns() + SOON_NS;
        let is_followed = deadline.is_some_and(|deadline| deadline <= soon);
        if is_followed || self.world.operations_in_flight() > 0 {
            return Ok(());
        }
        let node = &mut self.nodes[index];
        let before = node.io.counters().submitted;
        node.shard.end_turn(&mut node.io);
        node.shard.drain_events(&mut self.events);
        let submitted = node.io.counters().submitted - before;
        if submitted == 0 && self.events.is_empty() || self.world.is_crashed() {
            return Ok(());
        }
        Err(Halt::Wrong(format!(
            "a turn left {submitted} operations and {:?} to a turn that nothing brings about",
            self.events
        )))
    }

    fn take_event(&mut self, index: usize, event: Event) -> Result<(), Halt> {
        let node = &mut self.nodes[index];
        match event {
            Event::AppendAcked(ticket) | Event::ControlDone(ticket) => {
                if node.is_stopped {
                    return Err(Halt::Wrong(format!("{ticket:?} acked after the fail-stop")));
                }
                let asked = self.oracle.asked.remove(&ticket.0);
                let asked = asked.ok_or_else(|| format!("{ticket:?} was answered before"))?;
                log::debug!("{ticket:?} is answered: {asked:?}");
                self.oracle.acked(asked);
            }
            Event::AppendFailed(ticket) | Event::ControlFailed(ticket) => {
                self.oracle.asked.remove(&ticket.0);
            }
            Event::ReadDone(ticket, result) => {
                self.oracle.asked.remove(&ticket.0);
                self.reads.insert(ticket.0, result);
            }
            Event::FailStopped(reason) => {
                if self.world.counters().disk_faults == self.faults_before {
                    return Err(Halt::Wrong(format!(
                        "fail-stop on an honest disk: {reason}"
                    )));
                }
                self.coverage.fail_stops += u64::from(!node.is_stopped);
                node.is_stopped = true;
                let id = self.journals[index].id;
                self.nodes[index].copies_at_stop = Some(checkpoint_numbers(&self.world, id));
            }
            Event::Advanced(_) | Event::DiskFull(_) | Event::IndexLoaded(_) => {}
        }
        Ok(())
    }

    fn observe(&mut self, index: usize) {
        for (handle, log) in &mut self.oracle.logs {
            if self.home.get(handle) == Some(&index)
                && let Some(offsets) = self.nodes[index].shard.offsets(*handle)
            {
                log.observe(&offsets);
            }
        }
    }

    /// Turns and steps until nothing waits for an answer.
    pub(super) fn settle(&mut self) -> Result<(), Halt> {
        self.turn_until("answers", |run| {
            run.oracle.asked.is_empty() || run.nodes.iter().all(|node| node.is_stopped)
        })?;
        self.check_that_failed_writes_are_final()?;
        self.check_that_stopped_shards_rest()
    }

    /// The copy that a stopped shard was writing may be torn: it leaves the other one alone.
    fn check_that_stopped_shards_rest(&mut self) -> Result<(), Halt> {
        if self.nodes.iter().all(|node| node.is_stopped) {
            let what = "the end of what stopped shards began";
            self.turn_until(what, |run| run.world.operations_in_flight() == 0)?;
        }
        for (node, journal) in self.nodes.iter().zip(&self.journals) {
            let now = checkpoint_numbers(&self.world, journal.id);
            let is_changed = |before: [Option<u64>; 2]| before[0] != now[0] && before[1] != now[1];
            if node.copies_at_stop.is_some_and(is_changed) {
                let problem = format!("{:?} went on with a checkpoint after its stop", journal.id);
                return Err(Halt::Wrong(problem));
            }
        }
        Ok(())
    }

    /// A write that failed has stopped its shard by the time all that was begun has ended.
    fn check_that_failed_writes_are_final(&mut self) -> Result<(), Halt> {
        let faults = self.world.counters().disk_faults;
        if self.failed_writes_from.is_none_or(|from| faults <= from) {
            return Ok(());
        }
        let is_stopped = |run: &Self| run.nodes.iter().any(|node| node.is_stopped);
        self.turn_until("the end of a failed write", |run| {
            is_stopped(run) || run.world.operations_in_flight() == 0
        })?;
        self.coverage.failed_writes += 1;
        match is_stopped(self) {
            true => Ok(()),
            false => Err(Halt::Wrong(
                "a write failed and no shard stopped".to_owned(),
            )),
        }
    }

    pub(super) fn stop_cleanly(&mut self) -> Result<Ending, Halt> {
        for node in &mut self.nodes {
            node.shard.begin_stop(&mut node.io);
            node.is_asked = true;
        }
        self.turn_until("a clean stop", |run| {
            run.nodes.iter().all(|node| node.shard.is_stopped())
        })?;
        if self.nodes.iter().any(|node| node.is_stopped) {
            return self.crash_now();
        }
        self.coverage.clean_stops += 1;
        Ok(Ending::Stopped)
    }
}
