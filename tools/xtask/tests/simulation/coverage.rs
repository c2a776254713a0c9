//! What runs went through, and what they must have gone through to show anything.

use super::machine::Machine;
use millrace_engine::io::simulated::WorldCounters;

/// Runs of fewer seeds than this are looks at single seeds, and prove nothing by themselves.
const SEEDS_MIN: u64 = 100;

/// Counts that add up, with the name of each.
macro_rules! counts {
    ($(#[$about:meta])* $kind:ident { $($field:ident: $name:literal,)+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, Default)]
        pub(crate) struct $kind {
            $(pub(crate) $field: u64,)+
        }

        impl $kind {
            pub(crate) fn add(&mut self, more: &Self) {
                $(self.$field += more.$field;)+
            }

            fn named(&self) -> Vec<(&'static str, u64)> {
                vec![$(($name, self.$field)),+]
            }
        }
    };
}

counts! {
    /// What went wrong on purpose. What a crash does to writes counts beside the crash.
    Faults {
        kills: "kills",
        power_cuts: "power cuts",
        writes_cut: "writes cut in flight",
        blocks_torn: "blocks torn by sector",
        blocks_garbage: "blocks turned to noise",
        names_lost: "names lost",
        disk_faults: "disk faults",
        disk_full: "operations on a full disk",
        stalls: "stalls",
        bits_flipped: "writes that left a bit wrong",
        writes_lost: "writes lost",
        writes_misdirected: "writes misdirected",
        reads_stale: "stale reads",
        resets: "connections reset",
        silences: "directions gone silent",
        late_pieces: "late pieces of streams",
        splits: "splits of the network",
        wall_jumps: "jumps of the wall clock",
        checkpoints_rotten: "checkpoint copies that rotted",
        segments_rotten: "blocks of segments that rotted",
        journals_rotten: "blocks of journals that rotted",
    }
}

counts! {
    /// What brokers and clients did.
    Work {
        lives: "lives",
        lives_of_nodes: "lives as several nodes",
        metadata_told: "metadata that was told",
        clean_stops: "clean stops",
        crashes_in_start: "crashes inside a start",
        reshards: "changes of the number of shards",
        turns: "turns",
        polled_records: "records read",
        cleanings: "compactions",
        cleanings_cut: "compactions that a crash cut off",
        swaps: "segments compacted",
        compacted_away: "offsets found compacted away",
        compacted_logs_read: "compacted logs read whole",
        sessions_begun: "fetch sessions",
        sessions_gone_on: "fetches within a session",
        sessions_lost: "fetch sessions found gone",
        sessions_stale: "fetch sessions of another epoch",
        sessions_left_out: "partitions without news left out",
        trims: "deletions of records",
        topics_deleted: "topics deleted",
        awaited_deletions: "long polls that a deletion ended",
        probes: "requests for topics that were gone",
        offset_commits: "committed offsets",
        offsets_fetched: "committed offsets gone on from",
        members_left: "members that left",
        damage_told: "damage that was told",
        batches: "batches",
        commits: "commits",
        checkpoints: "checkpoints",
        rolls: "rolls",
        ring_wraps: "ring wraps",
        tail_images: "tail images",
        commits_cut: "commits cut by recovery",
        files_reused: "files reused",
        placed_bytes: "placed bytes",
        cold_read_bytes: "bytes read from disk",
        doorbells_merged: "doorbells that stood for several",
    }
}

/// What runs went through.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Coverage {
    pub(crate) work: Work,
    pub(crate) faults: Faults,
}

impl Faults {
    pub(crate) const fn of(counters: &WorldCounters) -> Self {
        Self {
            kills: counters.kills,
            power_cuts: counters.power_cuts,
            writes_cut: counters.writes_cut,
            blocks_torn: counters.blocks_torn,
            blocks_garbage: counters.blocks_garbage,
            names_lost: counters.names_lost,
            disk_faults: counters.disk_faults,
            disk_full: counters.disk_full,
            stalls: counters.stalls,
            bits_flipped: counters.bits_flipped,
            writes_lost: counters.writes_lost,
            writes_misdirected: counters.writes_misdirected,
            reads_stale: counters.reads_stale,
            resets: counters.resets,
            silences: counters.silences,
            late_pieces: counters.late_pieces,
            splits: counters.splits,
            wall_jumps: counters.wall_jumps,
            checkpoints_rotten: 0,
            segments_rotten: 0,
            journals_rotten: 0,
        }
    }

    pub(crate) fn total(&self) -> u64 {
        self.named().iter().map(|(_, count)| count).sum()
    }
}

impl Coverage {
    pub(crate) fn add(&mut self, more: &Self) {
        self.work.add(&more.work);
        self.faults.add(&more.faults);
    }

    /// Adds what a process did in its life.
    pub(crate) fn add_machine(&mut self, machine: &Machine) {
        let work = &mut self.work;
        work.turns += machine.turns;
        for shard in &machine.shards {
            let engine = shard.counters().engine;
            work.batches += engine.batches;
            work.commits += engine.commits;
            work.checkpoints += engine.checkpoints;
            work.rolls += engine.rolls;
            work.ring_wraps += engine.ring_wraps;
            work.tail_images += engine.tail_images;
            work.commits_cut += engine.commits_cut;
            work.files_reused += engine.files_reused;
            work.cleanings += engine.cleanings;
            work.cleanings_cut += engine.cleanings_now;
            work.swaps += engine.swaps;
            work.placed_bytes += engine.placed_bytes;
            work.cold_read_bytes += engine.cold_read_bytes;
        }
    }

    /// What there is, by name.
    pub(crate) fn marks(&self) -> Vec<(&'static str, u64)> {
        let mut marks = self.work.named();
        marks.extend(self.faults.named());
        marks
    }

    /// What `seeds` runs should have gone through and did not.
    pub(crate) fn missed(&self, seeds: u64) -> Vec<&'static str> {
        if seeds < SEEDS_MIN {
            return Vec::new();
        }
        let missed = self.marks().into_iter().filter(|(_, count)| *count == 0);
        missed.map(|(name, _)| name).collect()
    }
}
