//! Tests of the engine through its public interface, in one binary.

mod conformance;
// The crash test joins when the shard works.
// mod crash;
