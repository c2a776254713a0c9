//! A broker in a program of one's own: `cargo run --example broker -- DIR HOST:PORT SHARDS`, with
//! `per-core` behind it every shard is a node of its own.

use millrace_server::{Advertise, RunError, ServeConfig, run};

fn main() -> Result<(), RunError> {
    let mut arguments = std::env::args().skip(1);
    let mut next = |default: &str| arguments.next().unwrap_or_else(|| default.to_owned());
    let data_dir = next("millrace-data").into();
    let listen = next("127.0.0.1:9092");
    let shards = next("1").parse().unwrap_or(1);
    let advertise = match next("single").as_str() {
        "per-core" => Advertise::PerCore,
        _ => Advertise::Single,
    };
    run(&ServeConfig {
        data_dir,
        listen,
        advertise,
        cores: Some(vec![0; shards]),
        ..ServeConfig::default()
    })
}
