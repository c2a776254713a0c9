//! What comes to a shard: completions, mail, the engine's events; each goes to who waits for it.

use super::{BrokerShard, MAIL_MAX, Phase};
use crate::mail::Mail;
use crate::slab::SlabKey;
use crate::ticket::{Waiting, read_ticket};
use millrace_engine::ids::{ShardId, Ticket};
use millrace_engine::io::{Class, Outcome};
use millrace_engine::shard::Event;

impl BrokerShard {
    pub(super) fn take_completions(&mut self) {
        let mut done = std::mem::take(&mut self.done);
        self.io.poll(&mut done);
        for completion in done.drain(..) {
            match completion.token.class {
                Class::Journal | Class::Log => self.engine.complete(&mut self.io, completion),
                Class::Net => {
                    let arrived = self.net.complete(&mut self.io, completion);
                    self.connection_arrived(arrived);
                }
                Class::Broker => {
                    self.work_done(Ticket(completion.token.key), completion.outcome);
                }
            }
        }
        self.done = done;
    }

    pub(super) fn work_done(&mut self, ticket: Ticket, outcome: Outcome) {
        match read_ticket(ticket) {
            Some((Waiting::Question, key, item)) => self.batch_opened(key, item, outcome),
            Some((Waiting::Produce, key, item)) => self.validated(key, item, outcome),
            _ => {}
        }
    }

    pub(super) fn take_mail(&mut self) {
        let mut mail = std::mem::take(&mut self.mail);
        self.mailbox.receive(&mut self.io, MAIL_MAX, &mut mail);
        for (from, piece) in mail.drain(..) {
            self.take_piece(from, piece);
        }
        self.mail = mail;
    }

    pub(super) fn take_piece(&mut self, from: ShardId, piece: Mail) {
        match piece {
            Mail::Socket(socket, peer) => {
                let socket = self.io.attach_socket(socket);
                if self.phase == Phase::Serving {
                    self.net.add(&mut self.io, socket, peer);
                } else {
                    self.io.close_socket(socket);
                    self.send(from, Mail::Closed(vec![peer]));
                }
            }
            Mail::Closed(peers) => {
                if let Some(acceptor) = &mut self.acceptor {
                    peers
                        .into_iter()
                        .for_each(|peer| acceptor.closed(from, peer));
                }
            }
            Mail::Hello(hello) => {
                self.control(|controller, random| controller.hello(from, *hello, random))
            }
            Mail::Catalog(catalog) => self.hold_catalog(catalog),
            Mail::CatalogHeld(version) => {
                self.control(|controller, random| controller.held(version, random));
            }
            Mail::Produce(hop) => self.hop_arrived(from, hop),
            Mail::Produced(ticket, result) => self.hop_answered(ticket, result),
            Mail::Fetch(part) => self.part_arrived(from, part),
            Mail::Fetched(report) => self.part_reported(from, *report),
            Mail::FetchOver(request) => self.part_over(from, request),
            Mail::Ask(request, asked) => self.answer(from, request, asked),
            Mail::Answers(request, answers) => self.answered(request, &answers),
            Mail::GroupRequest(request) => self.group_request_arrived(&request),
            Mail::Respond(response) => self.respond_for_coordinator(&response.0, response.1),
            Mail::GroupAsk(key, places, asked) => self.answer_groups(from, key, &places, &asked),
            Mail::GroupAnswers(key, answers) => self.groups_answered(key, answers),
            Mail::Job(token, job) => {
                self.control(|controller, random| controller.ask(from, token, *job, random));
            }
            Mail::JobDone(token, reply) => {
                if let Some(done) = self.admin.remove(SlabKey::from_bits(token)) {
                    (done.finish)(self, &done.head, &done.frame, &reply);
                }
            }
            Mail::Change(change) => self.change_partitions(from, *change),
            Mail::Changed(failed) => {
                self.control(|controller, random| controller.changed(failed, random));
            }
            Mail::Stop => self.stop(),
        }
    }

    pub(super) fn take_events(&mut self) {
        let mut events = std::mem::take(&mut self.events);
        self.engine.drain_events(&mut events);
        for event in events.drain(..) {
            match event {
                Event::AppendAcked(ticket) => self.append_resolved(ticket, true),
                Event::AppendFailed(ticket) => self.append_resolved(ticket, false),
                Event::ReadDone(ticket, result) => match read_ticket(ticket) {
                    Some((Waiting::Fetch, key, item)) => self.part_read(key, item, result),
                    Some((Waiting::Question, key, item)) => self.search_read(key, item, result),
                    Some((Waiting::GroupLoad, ..)) => self.group_log_read(result),
                    _ => {}
                },
                Event::ControlDone(ticket) => self.control_resolved(ticket, true),
                Event::ControlFailed(ticket) => self.control_resolved(ticket, false),
                Event::Advanced(handle) => self.partition_advanced(handle),
                Event::IndexLoaded(handle) => self.index_loaded(handle),
                Event::FailStopped(why) => {
                    log::error!("{} takes no more appends until restart: {why}", self.me);
                }
                Event::DiskFull(true) => {
                    let wanted = self.engine.free_bytes_wanted() >> 20;
                    log::error!(
                        "{}: disk full: produce is refused with KAFKA_STORAGE_ERROR and goes on by \
                         itself once {wanted} MiB are free; reads go on",
                        self.me
                    );
                }
                Event::DiskFull(false) => {
                    log::info!("{}: disk space is back, produce goes on", self.me)
                }
            }
        }
        self.events = events;
    }

    pub(super) fn append_resolved(&mut self, ticket: Ticket, is_acked: bool) {
        match read_ticket(ticket) {
            Some((Waiting::Produce, key, item)) => self.produce_resolved(key, item, is_acked),
            Some((Waiting::Hop, key, _)) => self.hop_resolved(key, is_acked),
            Some((Waiting::Group, key, _)) => self.group_append_resolved(key, is_acked),
            _ => {}
        }
    }

    pub(super) fn control_resolved(&mut self, ticket: Ticket, is_durable: bool) {
        match read_ticket(ticket) {
            Some((Waiting::Controller, ..)) => {
                self.control(|controller, random| controller.recorded(is_durable, random));
            }
            Some((Waiting::Change, key, item)) => self.change_resolved(key, item, is_durable),
            Some((Waiting::Question, key, item)) => self.deletion_done(key, item, is_durable),
            _ => {}
        }
    }
}
