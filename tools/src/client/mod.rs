//! A small blocking Kafka client for the tools, over the server's own codec.
//!
//! It speaks to any Kafka broker: versions are negotiated per connection. One thread, one request
//! at a time per connection, every wait bounded by the timeout the user gave. Errors are sentences
//! that say what to do next, since they are read by whoever typed the command.

mod cluster;
mod connection;
pub(crate) mod consumer_protocol;
mod coordinator;
mod list_offsets;
mod member;
mod partitioner;

pub(crate) use cluster::{Cluster, Topic};
pub(crate) use connection::{Connection, Pending};
pub(crate) use coordinator::{Coordinator, GroupDescription, OUTSIDER, Offsets};
pub(crate) use list_offsets::{At, list_offsets};
pub(crate) use member::{Member, Standing};
pub(crate) use partitioner::partition_of_key;

use anyhow::{Result, bail};
use millrace_server::protocol::ErrorCode;

/// Where brokers are and how long to wait for them.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct ClientArgs {
    /// A broker to ask first; more, separated by commas, are tried in order
    #[arg(
        short,
        long,
        value_name = "HOST:PORT",
        default_value = "127.0.0.1:9092"
    )]
    pub(crate) bootstrap: String,
    /// Seconds to wait for a connection or an answer
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) timeout: u64,
}

/// Turns an error code of the protocol into a sentence.
pub(crate) fn check(code: i16, object: &str, message: Option<&str>) -> Result<()> {
    if code == 0 {
        return Ok(());
    }
    let name = ErrorCode::from_code(code).map_or("unknown error", ErrorCode::name);
    let message = message.unwrap_or_default().trim_end_matches('.');
    let colon = if message.is_empty() { "" } else { ": " };
    match remedy(code) {
        Some(remedy) => bail!("{object}: {name} ({code}){colon}{message}; {remedy}"),
        None => bail!("{object}: {name} ({code}){colon}{message}"),
    }
}

/// Whether the same request may succeed later.
pub(crate) fn is_retriable(code: i16) -> bool {
    ErrorCode::from_code(code).is_some_and(ErrorCode::is_retriable)
}

const fn remedy(code: i16) -> Option<&'static str> {
    Some(match code {
        1 => "ask for the offsets that exist with `millrace topic describe`",
        2 => "the broker found damage; run `millrace log verify` on its data directory",
        3 => "create it with `millrace topic create`, or see `millrace topic list`",
        10 => "send smaller records, or raise max.message.bytes of the topic",
        17 => "use letters, digits, `.`, `_` and `-`, at most 249",
        23 => "the group's members agree on no assignor; ours is range",
        30 => "the broker's ACLs do not let this client do that",
        36 => "choose another name, or pass --if-not-exists",
        37 => "a topic's partitions can only be added to; see `millrace topic describe`",
        38 => "Millrace keeps one copy: use replication factor 1",
        44 => "a policy of the broker refuses it",
        56 => "the broker's log says which disk failed or is full",
        68 => "stop its members first; see `millrace group describe`",
        69 => "see `millrace group list`",
        81 => "the group has group.max.size members; stop one first",
        87 => "a compacted topic takes only records with a key: give --key-separator",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_object_code_and_what_to_do() {
        check(0, "topic a", None).unwrap();
        let unknown = check(3, "topic a", None).unwrap_err().to_string();
        assert!(unknown.starts_with("topic a: UNKNOWN_TOPIC_OR_PARTITION (3); create it"));
        let said = check(40, "topic a", Some("bad value"))
            .unwrap_err()
            .to_string();
        assert_eq!(said, "topic a: INVALID_CONFIG (40): bad value");
        let both = check(36, "topic a", Some("It exists."))
            .unwrap_err()
            .to_string();
        assert!(
            both.contains("(36): It exists; choose another name"),
            "{both}"
        );
        assert!(
            check(12_345, "x", None)
                .unwrap_err()
                .to_string()
                .contains("(12345)")
        );
    }
}
