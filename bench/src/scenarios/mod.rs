//! What can be measured, one scenario a file.

pub mod load;
