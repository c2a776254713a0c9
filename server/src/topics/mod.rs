//! What topics exist: their names, records in the registry, the snapshot all shards read, and the
//! controller on shard 0 that alone changes them.

pub mod catalog;
pub mod controller;
pub mod name;
pub mod planning;
pub mod record;
