//! The broker as its clients see it: real ring, real sockets on 127.0.0.1, the codec as client.

mod fetching;
mod harness;
mod producing;
