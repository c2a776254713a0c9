//! Whether the kernel has what a shard's ring needs, for whoever looks before a start.

use super::super::group::SetupError;
use super::setup::{build_ring, explain};
use io_uring::{Probe, opcode};

/// One thing that rings are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingFeature {
    /// Its name in the kernel.
    pub name: &'static str,
    /// What a shard does with it.
    pub purpose: &'static str,
    /// Whether shards cannot run without it; else they run slower.
    pub is_needed: bool,
    /// Whether the kernel has it.
    pub is_there: bool,
}

const NEEDED: [(u8, &str, &str); 9] = [
    (opcode::Writev::CODE, "WRITEV", "journal and segment writes"),
    (opcode::Read::CODE, "READ", "cold reads"),
    (
        opcode::Fsync::CODE,
        "FSYNC",
        "durable writes where RWF_DSYNC is slow",
    ),
    (opcode::Accept::CODE, "ACCEPT", "connections"),
    (opcode::Recv::CODE, "RECV", "requests"),
    (opcode::Send::CODE, "SEND", "responses"),
    (opcode::SendMsg::CODE, "SENDMSG", "responses in pieces"),
    (opcode::AsyncCancel::CODE, "ASYNC_CANCEL", "stopping"),
    (
        opcode::MsgRingData::CODE,
        "MSG_RING",
        "waking another shard",
    ),
];
const USEFUL: [(u8, &str, &str); 3] = [
    (
        opcode::WriteFixed::CODE,
        "WRITE_FIXED",
        "writes from registered memory",
    ),
    (
        opcode::ReadFixed::CODE,
        "READ_FIXED",
        "reads into registered memory",
    ),
    (
        opcode::WritevFixed::CODE,
        "WRITEV_FIXED",
        "writes of several pieces from registered memory",
    ),
];

/// Makes a ring as shards do and asks what it can.
///
/// # Errors
/// Why there is no ring: which of seccomp, sysctl, memlock or kernel it is, and the fix.
pub fn ring_features() -> Result<Vec<RingFeature>, SetupError> {
    let ring = build_ring().map_err(|error| explain(&error))?;
    let mut probe = Probe::new();
    let probed = ring.submitter().register_probe(&mut probe);
    probed.map_err(|error| SetupError(format!("asking the ring what it can: {error}")))?;
    let feature = |is_needed| {
        let probe = &probe;
        move |(code, name, purpose)| RingFeature {
            name,
            purpose,
            is_needed,
            is_there: probe.is_supported(code),
        }
    };
    let needed = NEEDED.into_iter().map(feature(true));
    Ok(needed
        .chain(USEFUL.into_iter().map(feature(false)))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_shards_run_everything_they_need_is_found() {
        let features = ring_features().unwrap();
        let missing = features
            .iter()
            .filter(|found| found.is_needed && !found.is_there);
        assert_eq!(missing.count(), 0, "{features:?}");
        assert!(features.iter().any(|found| !found.is_needed));
    }
}
