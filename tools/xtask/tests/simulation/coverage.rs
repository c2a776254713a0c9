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
    }
}

counts! {
    /// What brokers and clients did.
    Work {
        lives: "lives",
        clean_stops: "clean stops",
        crashes_in_start: "crashes inside a start",
        turns: "turns",
        polled_records: "records read",
        batches: "batches",
        commits: "commits",
        checkpoints: "checkpoints",
        rolls: "rolls",
        ring_wraps: "ring wraps",
        tail_images: "tail images",
        commits_cut: "commits cut by recovery",
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
