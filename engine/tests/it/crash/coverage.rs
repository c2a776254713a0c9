//! What a run went through, and what it must have gone through to show anything.

use millrace_engine::shard::ShardCounters;

/// What a run went through.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Coverage {
    pub(super) lives: u64,
    pub(super) crashes: u64,
    pub(super) power_cuts: u64,
    pub(super) crashes_in_recovery: u64,
    pub(super) clean_stops: u64,
    pub(super) blocks_torn: u64,
    pub(super) blocks_garbage: u64,
    pub(super) acked_batches: u64,
    pub(super) duplicates: u64,
    pub(super) fail_stops: u64,
    pub(super) checkpoints_rotten: u64,
    /// Rot of the newest copy, with only an older checkpoint in the other one.
    pub(super) newest_rotten: u64,
    pub(super) reshards: u64,
    pub(super) commits_forged: u64,
    /// Lives in which the disk failed writes and nothing else.
    pub(super) failed_writes: u64,
    pub(super) shard: ShardCounters,
}

impl Coverage {
    pub(super) fn add(&mut self, more: &Self) {
        self.lives += more.lives;
        self.crashes += more.crashes;
        self.power_cuts += more.power_cuts;
        self.crashes_in_recovery += more.crashes_in_recovery;
        self.clean_stops += more.clean_stops;
        self.blocks_torn += more.blocks_torn;
        self.blocks_garbage += more.blocks_garbage;
        self.acked_batches += more.acked_batches;
        self.duplicates += more.duplicates;
        self.fail_stops += more.fail_stops;
        self.checkpoints_rotten += more.checkpoints_rotten;
        self.newest_rotten += more.newest_rotten;
        self.reshards += more.reshards;
        self.commits_forged += more.commits_forged;
        self.failed_writes += more.failed_writes;
        add_counters(&mut self.shard, &more.shard);
    }

    /// A run that missed one of these shows nothing by passing.
    pub(super) fn assert_that_it_proves_something(&self) {
        let marks = [
            ("power cuts", self.power_cuts),
            ("crashes inside recovery", self.crashes_in_recovery),
            ("clean stops", self.clean_stops),
            ("blocks torn by sector", self.blocks_torn),
            ("blocks turned to noise", self.blocks_garbage),
            ("acknowledged batches", self.acked_batches),
            ("duplicates recognised", self.duplicates),
            ("fail-stops", self.fail_stops),
            ("changes of the number of shards", self.reshards),
            ("checkpoint copies that rotted", self.checkpoints_rotten),
            ("newest copies that rotted alone", self.newest_rotten),
            ("commits made by others", self.commits_forged),
            ("lives with failed writes alone", self.failed_writes),
            ("commits", self.shard.commits),
            ("placed bytes", self.shard.placed_bytes),
            ("bytes written back", self.shard.write_back_bytes),
            ("ring wraps", self.shard.ring_wraps),
            ("tail images", self.shard.tail_images),
            ("holes with whole commits behind", self.shard.commits_cut),
            ("files reused", self.shard.files_reused),
            ("checkpoints", self.shard.checkpoints),
            ("rolls", self.shard.rolls),
            ("cold reads", self.shard.cold_read_bytes),
            ("swaps of compacted segments", self.shard.swaps),
        ];
        for (name, count) in marks {
            assert!(count > 0, "no {name}: the run proves nothing; {self:#?}");
        }
    }
}

pub(super) fn add_counters(sum: &mut ShardCounters, more: &ShardCounters) {
    sum.batches += more.batches;
    sum.commits += more.commits;
    sum.placed_bytes += more.placed_bytes;
    sum.write_back_bytes += more.write_back_bytes;
    sum.checkpoints += more.checkpoints;
    sum.rolls += more.rolls;
    sum.ring_wraps += more.ring_wraps;
    sum.tail_images += more.tail_images;
    sum.commits_cut += more.commits_cut;
    sum.files_reused += more.files_reused;
    sum.cold_read_bytes += more.cold_read_bytes;
    sum.swaps += more.swaps;
    sum.cleaned_bytes += more.cleaned_bytes;
}
