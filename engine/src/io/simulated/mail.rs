//! Mail between simulated shards: what was sent becomes visible later, in order per pair; a
//! doorbell rings after that, and one ring may stand for several. The contents lie in `mailbox`.

use super::world::{Event, Inner};

/// What of the mail between shards is visible, by count. The contents lie with the mailboxes.
#[derive(Debug, Default)]
pub(super) struct Mailroom {
    shards: usize,
    /// Visible and not yet taken, per pair.
    visible: Vec<u64>,
    /// When the last one of each pair becomes visible.
    last_ns: Vec<u64>,
    /// When the doorbell of a shard rings next.
    doorbell_ns: Vec<Option<u64>>,
}

impl Mailroom {
    pub(super) fn new(shards: usize) -> Self {
        Self {
            shards,
            visible: vec![0; shards * shards],
            last_ns: vec![0; shards * shards],
            doorbell_ns: vec![None; shards],
        }
    }

    const fn pair(&self, from: usize, to: usize) -> usize {
        from * self.shards + to
    }

    pub(super) fn deliver(&mut self, from: usize, to: usize) {
        let pair = self.pair(from, to);
        self.visible[pair] += 1;
    }

    /// Takes one visible piece of mail, if there is one.
    pub(super) fn take(&mut self, from: usize, to: usize) -> bool {
        let pair = self.pair(from, to);
        let is_there = self.visible[pair] > 0;
        self.visible[pair] -= u64::from(is_there);
        is_there
    }

    /// Whether visible mail was left behind.
    pub(super) fn is_waiting(&self, to: usize) -> bool {
        (0..self.shards).any(|from| self.visible[self.pair(from, to)] > 0)
    }

    pub(super) fn rung(&mut self, shard: usize) {
        self.doorbell_ns[shard] = None;
    }
}

impl Inner {
    /// Something was put into the queue from `from` to `to`.
    pub(super) fn send_mail(&mut self, from: usize, to: usize) {
        let delay = self
            .mail_random
            .within(&self.config.mailbox_delay_ns.clone());
        let pair = self.mail.pair(from, to);
        let time = self.mail.last_ns[pair].max(self.now() + delay);
        self.mail.last_ns[pair] = time;
        self.mix(&[4, from as u64, to as u64]);
        self.schedule(time, Event::Mail { from, to });
    }

    /// Rings a shard's doorbell once everything sent to it so far is visible.
    pub(super) fn ring_doorbell(&mut self, to: usize) {
        let pairs = (0..self.mail.shards).map(|from| self.mail.pair(from, to));
        let visible_ns = pairs.map(|pair| self.mail.last_ns[pair]).max().unwrap_or(0);
        if self.mail.doorbell_ns[to].is_some_and(|rings_ns| rings_ns >= visible_ns) {
            self.counters.doorbells_merged += 1;
            return;
        }
        let delay = self
            .mail_random
            .within(&self.config.mailbox_delay_ns.clone());
        let time = visible_ns.max(self.now()) + delay;
        self.mail.doorbell_ns[to] = Some(time);
        self.schedule(time, Event::Doorbell(to));
    }
}
