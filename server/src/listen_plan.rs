//! Where a broker listens and what clients are told to connect to, from options and settings.

use crate::config::BrokerSettings;
use crate::run_error::RunError;
use crate::serve_config::{Advertise, ServeConfig};
use crate::topics::catalog::Node;
use millrace_engine::ids::ShardId;
use millrace_engine::io::group::listen;
use millrace_engine::io::op::DetachedSocket;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::Range;

/// A shard's socket that listens, and where.
pub(crate) type Bound = (ShardId, DetachedSocket, SocketAddr);

/// Where shards listen and what clients are told.
#[derive(Debug)]
pub(crate) struct ListenPlan {
    pub(crate) advertise: Advertise,
    node_id: i32,
    listen: SocketAddr,
    advertised: Option<(String, u16)>,
}

impl ListenPlan {
    /// What options and settings say together.
    ///
    /// # Errors
    /// An address that cannot be one, or that clients cannot be told.
    pub(crate) fn new(config: &ServeConfig, settings: &BrokerSettings) -> Result<Self, RunError> {
        let (listen_option, listen) = match settings.explicit("listeners") {
            Some(listener) => ("config listeners", bare(listener)),
            None => ("--listen", config.listen.as_str()),
        };
        let (advertised_option, advertised) = match settings.explicit("advertised.listeners") {
            Some(listener) => ("config advertised.listeners", Some(bare(listener))),
            None => ("--advertised", config.advertised.as_deref()),
        };
        let (host, port) = host_and_port(listen_option, listen)?;
        let ip: IpAddr = match host.as_str() {
            "localhost" => IpAddr::V4(Ipv4Addr::LOCALHOST),
            host => host.parse().map_err(|_| RunError::Option {
                option: listen_option,
                value: listen.to_owned(),
                problem: "the host must be an IP address or localhost".to_owned(),
            })?,
        };
        if ip.is_unspecified() && advertised.is_none() {
            return Err(RunError::Option {
                option: listen_option,
                value: listen.to_owned(),
                problem: "listening on all addresses needs --advertised HOST:PORT, the address \
                          that clients are told to connect to"
                    .to_owned(),
            });
        }
        let advertised = advertised
            .map(|text| host_and_port(advertised_option, text))
            .transpose()?;
        let node_id = settings
            .explicit("node.id")
            .or_else(|| settings.explicit("broker.id"));
        Ok(Self {
            advertise: config.advertise,
            node_id: node_id
                .and_then(|id| id.parse().ok())
                .unwrap_or(config.node_id),
            listen: SocketAddr::new(ip, port),
            advertised,
        })
    }

    /// Listens for shards `from` to `to`; what is bound is held until a shard takes it over. A
    /// broker does this before it touches its data directory, so that a start that cannot be
    /// reached leaves nothing behind.
    ///
    /// # Errors
    /// A port that is taken, not allowed, or above 65535.
    pub(crate) fn listen(&self, shards: Range<usize>) -> Result<Vec<Bound>, RunError> {
        let needed = match self.advertise {
            Advertise::Single => 1,
            Advertise::PerCore => shards.end,
        };
        let advertised = self.advertised.as_ref().map(|(_, port)| *port);
        for port in [Some(self.listen.port()), advertised].into_iter().flatten() {
            if usize::from(port) + needed > usize::from(u16::MAX) + 1 {
                return Err(RunError::Option {
                    option: "--listen",
                    value: self.listen.to_string(),
                    problem: format!("{needed} ports from {port} on end above 65535"),
                });
            }
        }
        let shards = shards.map(|index| ShardId(u16::try_from(index).unwrap_or(u16::MAX)));
        let addresses = shards.filter_map(|shard| Some((shard, self.address(shard)?)));
        addresses
            .map(|(shard, address)| bind(address).map(|(socket, at)| (shard, socket, at)))
            .collect()
    }

    /// Where a shard listens, if it does.
    fn address(&self, shard: ShardId) -> Option<SocketAddr> {
        let mut address = self.listen;
        match self.advertise {
            Advertise::Single => (shard == ShardId(0)).then_some(address),
            Advertise::PerCore => {
                if address.port() != 0 {
                    address.set_port(address.port() + shard.0);
                }
                Some(address)
            }
        }
    }

    /// What clients are told about the shard that listens at `bound`.
    pub(crate) fn node(&self, shard: ShardId, bound: SocketAddr) -> Node {
        let id = self.node_id + i32::from(shard.0);
        match &self.advertised {
            Some((host, port)) => Node {
                id,
                host: host.clone(),
                port: port + shard.0,
            },
            None => Node {
                id,
                host: bound.ip().to_string(),
                port: bound.port(),
            },
        }
    }
}

/// Takes `PLAINTEXT://` off a Kafka listener.
fn bare(listener: &str) -> &str {
    listener
        .split_once("://")
        .map_or(listener, |(_, address)| address)
}

fn host_and_port(option: &'static str, text: &str) -> Result<(String, u16), RunError> {
    let wrong = || RunError::Option {
        option,
        value: text.to_owned(),
        problem: "expected one HOST:PORT with a port up to 65535".to_owned(),
    };
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let port = port.parse().map_err(|_| wrong())?;
    if host.is_empty() {
        return Err(wrong());
    }
    Ok((host.to_owned(), port))
}

fn bind(address: SocketAddr) -> Result<(DetachedSocket, SocketAddr), RunError> {
    listen(address).map_err(|failure| RunError::Listen {
        address,
        failure,
        hint: if failure.is_address_in_use() {
            "; another broker or program uses this port: stop it or choose another with --listen"
        } else if failure.is_foreign_address() {
            "; no interface of this machine has this address: give one that it has, or \
             --listen 0.0.0.0:PORT with --advertised"
        } else {
            ""
        },
    })
}
