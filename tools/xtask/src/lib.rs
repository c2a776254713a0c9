//! What chores share with tests and with each other.

pub mod history;
pub mod images;
