//! Tests of the engine through its public interface, in one binary.

mod conformance;

// mod crash; joins once its seeds pass.
