//! The command line: `millrace`.

fn main() {}
