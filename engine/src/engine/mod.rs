//! The engine of a whole data directory.

pub mod root_file;
