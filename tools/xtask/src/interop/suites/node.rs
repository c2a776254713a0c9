//! The broker a suite runs against: ours, or Apache Kafka.

use super::super::broker::{Broker, Setup};
use super::kafka_node::KafkaNode;
use anyhow::Result;
use std::path::Path;

/// Which broker.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Peer {
    /// This project's.
    Millrace,
    /// Apache Kafka, one KRaft node.
    Kafka,
}

impl Peer {
    /// Its name in file names and closing lines.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Millrace => "millrace",
            Self::Kafka => "kafka",
        }
    }
}

/// A running broker.
#[derive(Debug)]
pub(super) enum Node {
    /// Ours.
    Millrace(Broker),
    /// Apache Kafka.
    Kafka(KafkaNode),
}

impl Node {
    /// Starts one on an empty data directory in `folder`.
    pub(super) fn start(peer: Peer, binary: &Path, folder: &Path, setup: &Setup) -> Result<Self> {
        Ok(match peer {
            Peer::Millrace => Self::Millrace(Broker::start(binary, folder, setup)?),
            Peer::Kafka => Self::Kafka(KafkaNode::start(folder, setup.settings)?),
        })
    }

    /// Where clients connect.
    pub(super) fn address(&self) -> String {
        match self {
            Self::Millrace(broker) => broker.address(),
            Self::Kafka(node) => node.address(),
        }
    }

    /// A clean end; that ours ended before or ends badly is an error.
    pub(super) fn stop(self) -> Result<()> {
        match self {
            Self::Millrace(mut broker) => broker.stop(),
            Self::Kafka(node) => node.stop(),
        }
    }
}
