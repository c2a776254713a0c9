//! The journal of one shard: bytes and rules, no I/O.
//!
//! On the append path: `shard::commit` builds commits with [`format`] at places that [`ring`]
//! gives. At start: `shard::recovery` reads the ring and lets [`scan`] say which commits count.
//! [`checkpoint`] is where recovery begins. Everything read from disk is checked with [`check`]
//! (keyed, so that bytes which clients sent can never pass for a commit) before it is believed.

pub mod check;
pub mod checkpoint;
pub mod control;
pub mod format;
pub mod given_up;
pub mod ring;
pub mod scan;
pub mod wire;
