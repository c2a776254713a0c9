//! Completions: what ended, who is told, and what may go on. Step 4 of the append path: a commit
//! and all before it are durable, so their appends are acknowledged.

use super::checkpoint::CheckpointEnd;
use super::commit::{InFlight, JournalOp, WriteEnd};
use super::file_table::FileEvent;
use super::preparation::PreparationEvent;
use super::token::LogKind;
use super::writes::{LogWriteEnd, WriteDone};
use super::{Event, Life, Release, Shard};
use crate::ids::PartitionHandle;
use crate::io::{Class, Completion, Io, Outcome};
use crate::planted::{Bug, is};

impl Shard {
    /// Takes completions of `Class::Journal` and `Class::Log`.
    pub fn complete(&mut self, io: &mut Io, completion: Completion) {
        match completion.token.class {
            Class::Journal => self.complete_journal(io, completion),
            Class::Log => self.complete_log(io, completion),
            Class::Net | Class::Broker => {
                debug_assert!(false, "{:?} is not the shard's", completion.token);
            }
        }
    }

    fn complete_journal(&mut self, io: &mut Io, completion: Completion) {
        let op = JournalOp::parse(completion.token.key);
        if self.life == Life::Failed && !is(Bug::CheckpointAfterFailStop) {
            self.journal.abandon(op);
            self.checkpointing.abandon(op);
            return;
        }
        let end = match (op, completion.outcome) {
            (JournalOp::Commit(index), Outcome::Write(parts, result)) => {
                let end = self.journal.write_ended(io, index, parts, result);
                if is(Bug::AckOnOwnCompletion) && result.is_ok() {
                    self.acknowledge_alone(index);
                }
                end
            }
            (JournalOp::Sync, Outcome::File(reply)) => self.journal.sync_ended(io, reply.map(drop)),
            (op, outcome) => {
                let end = self.checkpointing.op_ended(io, op, outcome);
                match end {
                    CheckpointEnd::GoesOn => WriteEnd::Done,
                    CheckpointEnd::DiskFull => {
                        self.preparation.disk_full(io);
                        WriteEnd::Done
                    }
                    CheckpointEnd::Failed(reason) => WriteEnd::Failed(reason),
                }
            }
        };
        match end {
            WriteEnd::Done => self.resolve(io),
            WriteEnd::Failed(reason) => self.fail_stop(reason),
        }
    }

    /// Acknowledges what became durable, in order. A stopped shard acknowledges nothing.
    fn resolve(&mut self, io: &mut Io) {
        if self.life == Life::Failed {
            return;
        }
        while let Some((sequence, commit)) = self.journal.resolve_next() {
            for (number, handle) in &commit.slots {
                let Some(slot) = self.partitions.same(*number, *handle) else {
                    continue;
                };
                let is_advanced = slot.partition.resolve(sequence, &mut self.acks);
                if is_advanced && std::mem::take(&mut slot.is_watched) {
                    self.events.push(Event::Advanced(*handle));
                }
                self.recount(*number);
                self.want_write_back(*number);
            }
            self.resolve_controls(io, &commit);
            self.journal.recycle(sequence, commit);
        }
        self.acknowledge_written();
        self.tell_acks();
    }

    fn acknowledge_written(&mut self) {
        for sequence in self.journal.newly_written() {
            let commit = self.journal.of(sequence);
            for (number, handle) in &commit.slots {
                let Some(slot) = self.partitions.same(*number, *handle) else {
                    continue;
                };
                let is_advanced = slot.partition.written(sequence, &mut self.acks);
                if is_advanced && std::mem::take(&mut slot.is_watched) {
                    self.events.push(Event::Advanced(*handle));
                }
            }
        }
    }

    /// Planted bug 1: a commit is acknowledged although one before it is not durable.
    fn acknowledge_alone(&mut self, index: u64) {
        let (sequence, commit) = self.journal.at(index);
        for (number, handle) in &commit.slots {
            if let Some(slot) = self.partitions.same(*number, *handle) {
                slot.partition.resolve(sequence, &mut self.acks);
            }
        }
        self.tell_acks();
    }

    fn resolve_controls(&mut self, io: &mut Io, commit: &InFlight) {
        for (number, handle) in &commit.controlled {
            let before = self.released.len();
            if let Some(slot) = self.partitions.same(*number, *handle) {
                slot.partition.take_released(&mut self.released);
            }
            if self.released.len() > before {
                // It may have waited for the space of a file that is gone now.
                self.lists.touch(&mut self.partitions, *number);
            }
        }
        for handle in &commit.deleted {
            self.finish_delete(io, *handle);
        }
        let after_checkpoint = self.checkpointing.newest_begun();
        self.releases
            .extend(self.released.drain(..).map(|file| Release {
                file,
                after_checkpoint,
            }));
        while is(Bug::ReuseAtOnce)
            && let Some(release) = self.releases.pop_front()
        {
            self.release(io, release);
        }
        let tickets = commit.controls.iter().copied();
        self.events.extend(tickets.map(Event::ControlDone));
    }

    pub(super) fn tell_acks(&mut self) {
        self.events
            .extend(self.acks.appends.drain(..).map(Event::AppendAcked));
        self.events
            .extend(self.acks.controls.drain(..).map(Event::ControlDone));
    }

    fn complete_log(&mut self, io: &mut Io, completion: Completion) {
        let Some((kind, index)) = LogKind::parse(completion.token.key) else {
            debug_assert!(false, "{:?} is not the shard's", completion.token);
            return;
        };
        match kind {
            LogKind::OpenFile => self.table.complete(io, index, completion.outcome),
            LogKind::Prepare
            | LogKind::SyncSegments
            | LogKind::Unlink
            | LogKind::Ballast
            | LogKind::Sweep => {
                self.preparation
                    .complete(io, &mut self.table, kind, index, completion.outcome);
            }
            LogKind::ColdRead | LogKind::LoadIndex | LogKind::TailRead => {
                self.complete_query(io, kind, index, completion.outcome);
            }
            LogKind::WriteBack | LogKind::Placed | LogKind::WriteIndex | LogKind::CleanWrite => {
                self.complete_write(io, index, completion.outcome);
            }
            LogKind::CleanWork | LogKind::CleanSync => {
                self.complete_cleaning(completion.outcome);
            }
        }
        self.take_file_events(io);
    }

    fn complete_write(&mut self, io: &mut Io, index: u64, outcome: Outcome) {
        let end = match outcome {
            Outcome::Write(parts, result) => {
                self.spare.give(parts);
                self.writes
                    .ended(io, &mut self.table, &mut self.spare, index, result)
            }
            other => {
                debug_assert!(false, "a write was answered by {other:?}");
                return;
            }
        };
        self.log_write_ended(io, end);
    }

    fn log_write_ended(&mut self, io: &mut Io, end: LogWriteEnd) {
        match end {
            LogWriteEnd::Again => {}
            LogWriteEnd::DiskFull => self.preparation.disk_full(io),
            LogWriteEnd::Failed(reason) => self.fail_stop(reason),
            LogWriteEnd::Done(done) => self.write_done(done),
        }
    }

    pub(super) fn write_done(&mut self, done: WriteDone) {
        if self.life == Life::Failed {
            return;
        }
        if done.kind == LogKind::CleanWrite {
            self.cleaner.written();
            return;
        }
        let Some(slot) = self.partitions.same(done.slot, done.handle) else {
            return;
        };
        slot.partition.write_done(done.id);
        if done.kind == LogKind::Placed {
            self.lists.touch(&mut self.partitions, done.slot);
        }
        self.recount(done.slot);
        self.want_write_back(done.slot);
    }

    /// Carries events of the files' parts to whom they concern.
    pub(super) fn take_file_events(&mut self, io: &mut Io) {
        loop {
            if let Some(event) = self.table.next_event() {
                self.take_file_event(io, event);
            } else if let Some(event) = self.preparation.next_event() {
                self.take_preparation_event(io, event);
            } else {
                return;
            }
        }
    }

    fn take_file_event(&mut self, io: &mut Io, event: FileEvent) {
        let FileEvent::Opened { waiter, result, .. } = event else {
            self.preparation.file_event(io, &mut self.table, event);
            return;
        };
        match LogKind::parse(waiter) {
            Some((LogKind::Prepare, _)) => {
                self.preparation.file_event(io, &mut self.table, event);
            }
            Some((
                LogKind::WriteBack | LogKind::Placed | LogKind::WriteIndex | LogKind::CleanWrite,
                index,
            )) => {
                let opened = result.map(|(file, _)| file);
                let end = self
                    .writes
                    .opened(io, &mut self.table, &mut self.spare, index, opened);
                self.log_write_ended(io, end);
            }
            Some((kind, index)) => self.query_file_event(io, kind, index, event),
            None => debug_assert!(false, "nobody waits with the key {waiter}"),
        }
    }

    fn take_preparation_event(&mut self, io: &mut Io, event: PreparationEvent) {
        match event {
            PreparationEvent::Prepared {
                handle,
                file,
                prepared_to,
            } => {
                self.cleaner.prepared(file, prepared_to);
                self.prepared(handle, file, prepared_to);
            }
            PreparationEvent::DiskFull(is_full) => {
                if !is_full {
                    self.retry_stalled_writes(io);
                }
                self.events.push(Event::DiskFull(is_full));
            }
            // Index blocks and checkpoints must get on, for only behind them files are released.
            PreparationEvent::BallastSpent => self.retry_stalled_writes(io),
            PreparationEvent::Failed(failure) => {
                self.fail_stop(format!("segment space was not prepared: {failure}"));
            }
        }
    }

    fn retry_stalled_writes(&mut self, io: &mut Io) {
        self.writes
            .retry_stalled(io, &mut self.table, &mut self.spare);
        self.checkpointing.space_returned();
    }

    fn prepared(&mut self, handle: PartitionHandle, file: crate::ids::FileId, to: u64) {
        let Some(number) = self.partitions.number(handle) else {
            return;
        };
        if let Some(slot) = self.partitions.at_mut(number) {
            slot.partition.set_prepared(file, to);
        }
        self.recount(number);
        self.lists.touch(&mut self.partitions, number);
        self.want_write_back(number);
    }
}
