//! The codec from outside: every message in every version.

mod round_trip;
mod sampler;
#[rustfmt::skip]
mod samples;
