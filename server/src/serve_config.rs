//! What `millrace serve` was told, or what an embedder of the broker says instead.

use std::path::PathBuf;

/// How shards appear to clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Advertise {
    /// As one node with one port.
    #[default]
    Single,
    /// Each as its own node: node id and port of the first plus its number.
    PerCore,
}

/// What `millrace serve` was told.
#[derive(Clone, Debug)]
pub struct ServeConfig {
    /// Where the data is.
    pub data_dir: PathBuf,
    /// Where the journals are; `None`: `journal` in the data directory.
    pub journal_dir: Option<PathBuf>,
    /// Where to listen, `HOST:PORT`; the host is an address or `localhost`.
    pub listen: String,
    /// What clients are told to connect to, `HOST:PORT`; `None`: where it listens.
    pub advertised: Option<String>,
    /// How shards appear to clients.
    pub advertise: Advertise,
    /// Id of the (first) node.
    pub node_id: i32,
    /// One core for each shard; `None`: the allowed cores.
    pub cores: Option<Vec<usize>>,
    /// Memory in all: `MemoryPlan` says what for.
    pub memory_bytes: u64,
    /// Settings: the configuration file's, then those of the command line.
    pub settings: Vec<(String, String)>,
}

impl Default for ServeConfig {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("millrace-data"),
            journal_dir: None,
            listen: "127.0.0.1:9092".to_owned(),
            advertised: None,
            advertise: Advertise::Single,
            node_id: 0,
            cores: None,
            memory_bytes: 1 << 30,
            settings: Vec::new(),
        }
    }
}
