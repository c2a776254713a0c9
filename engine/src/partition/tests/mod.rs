//! Tests of the partition on a disk in memory: `rig` performs its plans and keeps a plain model
//! beside it, `random` drives it by seed through crashes, `rules` looks at single rules.

mod random;
mod rig;
mod rules;
