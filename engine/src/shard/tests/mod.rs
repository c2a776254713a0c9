//! A shard over the simulated disk: appends, commits, checkpoints, crashes and recovery.

mod cleaning;
mod full_disk;
mod harness;
mod journal_rules;
mod life;
mod losses;
mod start_rules;
mod tombstones;
mod write_rules;
