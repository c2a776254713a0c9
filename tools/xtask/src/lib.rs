//! What chores share with tests and with each other.

pub mod broker;
pub mod history;
pub mod images;
pub mod process;
