//! The rig's power cuts: what is torn, what the journal keeps, and what recovery must bring back.

use super::super::super::*;
use super::*;

impl Rig {
    /// A power cut: writes in flight may be torn, the journal keeps at least what is resolved.
    pub(in crate::partition::tests) fn crash(&mut self) {
        for write in std::mem::take(&mut self.in_flight) {
            let how = self.random.below(4);
            self.put(&write, |random, new, old| match how {
                0 => old.to_vec(),
                1 => new.to_vec(),
                _ => match random.below(3) {
                    0 => old.to_vec(),
                    1 => new.to_vec(),
                    _ => vec![random.next() as u8; 4096],
                },
            });
            self.counts.torn += 1;
        }
        let kept = self.resolved + self.random.below(self.sequence - self.resolved + 1);
        self.journal.retain(|(sequence, _)| *sequence <= kept);
        self.recover(kept, false);
    }

    fn recover(&mut self, kept: u64, is_clean: bool) {
        let config = self.partition.spec().config.clone();
        self.partition = match &self.checkpoint {
            Some(state) => Partition::restore(state).unwrap(),
            None => Partition::new(PartitionSpec {
                config,
                ..self.partition.spec().clone()
            }),
        };
        let end = self.replay_journal();
        self.partition.finish_recovery(is_clean);
        self.batches.retain(|_, (end_offset, _)| *end_offset <= end);
        for (sent, next) in self.sent.iter_mut().zip(&mut self.next_sequence) {
            while let Some(&(sequence, base_offset)) = sent.last()
                && !self.batches.contains_key(&base_offset)
            {
                // The client did not get an answer: it sends from there on again.
                *next = sequence;
                sent.pop();
            }
        }
        let offsets = self.partition.offsets();
        if self.partition.spec().config.durability == Durability::Disk {
            assert!(
                end.max(offsets.log_start) >= self.acked_end,
                "an acked record is gone"
            );
        }
        assert!(
            offsets.log_end >= self.exposed_end,
            "an exposed offset is used again"
        );
        self.exposed_end = offsets.high_watermark;
        self.acked_end = self.acked_end.min(end);
        self.tickets.clear();
        self.sequence = kept;
        self.resolved = kept;
        self.written = kept;
        self.checkpoint_begun = None;
        self.full_checkpoint();
    }

    /// Replays; returns the end offset of the records that survived.
    fn replay_journal(&mut self) -> i64 {
        let mut end = self
            .partition
            .segments
            .back()
            .map_or(0, |segment| segment.end_offset);
        for (sequence, item) in std::mem::take(&mut self.journal) {
            match &item {
                Item::Control(bytes) => {
                    let control = Control::decode(bytes).unwrap();
                    self.partition.replay_control(sequence, &control).unwrap();
                }
                Item::Entry(entry) => {
                    let replayed = ReplayEntry {
                        sequence,
                        base_offset: entry.base_offset,
                        end_offset: entry.end_offset,
                        leader_epoch: entry.leader_epoch,
                        file: entry.file,
                        generation: entry.generation,
                        position: entry.position,
                        length: entry.length,
                        placed: entry.placed.clone(),
                        placed_crcs: &entry.placed_crcs,
                        descriptors: &entry.descriptors,
                        image: &entry.image,
                        inline: &entry.inline,
                        ceiling: entry.ceiling,
                    };
                    end = end.max(entry.end_offset);
                    self.partition
                        .replay_entry(&mut self.arena, &replayed)
                        .unwrap();
                }
            }
            self.journal.push((sequence, item));
        }
        end
    }
}
