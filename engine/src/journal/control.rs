//! Control records: what a commit says beside records. Each has a table entry of its kind, which
//! names the partition, and a body in the payload.

use super::format::{Entry, FoundEntry, Kind};
use super::wire::{Reader, put_sized};
use crate::ids::PartitionHandle;
use crate::partition::{Control as PartitionControl, PartitionSpec};

/// One control record.
#[derive(Clone, Debug)]
pub enum Control {
    /// A partition came to be.
    Create(PartitionSpec),
    /// The partition is gone.
    Delete,
    /// A registry entry of the partition, or of the shard; `None` removes it.
    Registry {
        /// Which.
        key: Vec<u8>,
        /// Its value.
        value: Option<Vec<u8>>,
    },
    /// A change inside a partition.
    Partition(PartitionControl),
}

/// The kind under which a partition's control record is filed.
const fn kind_of(control: &PartitionControl) -> Kind {
    match control {
        PartitionControl::Seal { .. } => Kind::Seal,
        PartitionControl::Roll { .. } => Kind::Roll,
        PartitionControl::LogStart { .. } => Kind::LogStart,
        PartitionControl::LeaderEpoch { .. } => Kind::LeaderEpoch,
        PartitionControl::Quarantine { .. } => Kind::Quarantine,
        PartitionControl::AcceptLoss { .. } => Kind::Gap,
        PartitionControl::Swap(_) => Kind::Swap,
    }
}

/// The table entry of a partition's control record, whose body is appended to `body`.
pub fn encode_partition_control(
    handle: PartitionHandle,
    control: &PartitionControl,
    body: &mut Vec<u8>,
) -> Entry {
    let start = body.len();
    control.encode(body);
    Entry::control(kind_of(control), handle, (body.len() - start) as u32)
}

impl Control {
    /// Its table entry; its body is appended to `body`.
    pub fn encode(&self, handle: PartitionHandle, body: &mut Vec<u8>) -> Entry {
        let start = body.len();
        let kind = match self {
            Self::Create(spec) => {
                spec.encode(body);
                Kind::Create
            }
            Self::Delete => Kind::Delete,
            Self::Registry { key, value } => {
                put_sized(body, key);
                body.push(u8::from(value.is_some()));
                put_sized(body, value.as_deref().unwrap_or_default());
                Kind::Registry
            }
            Self::Partition(control) => return encode_partition_control(handle, control, body),
        };
        Entry::control(kind, handle, (body.len() - start) as u32)
    }

    /// The control record of an entry. `None` for records, for kinds that this version never
    /// writes, and for a body that does not fit.
    #[must_use]
    pub fn decode(found: &FoundEntry<'_>) -> Option<Self> {
        let mut body = Reader::new(found.inline);
        Some(match found.entry.kind {
            Kind::Create => {
                let (spec, bytes) = PartitionSpec::decode(found.inline).ok()?;
                if bytes != found.inline.len() || spec.handle != found.entry.handle {
                    return None;
                }
                Self::Create(spec)
            }
            Kind::Delete => Self::Delete,
            Kind::Registry => {
                let key = body.sized()?.to_vec();
                let is_put = body.u8()? == 1;
                let value = body.sized()?.to_vec();
                Self::Registry {
                    key,
                    value: is_put.then_some(value),
                }
            }
            Kind::Roll
            | Kind::Seal
            | Kind::LogStart
            | Kind::LeaderEpoch
            | Kind::Quarantine
            | Kind::Swap
            | Kind::Gap => {
                let control = PartitionControl::decode(found.inline).ok()?;
                if kind_of(&control) != found.entry.kind {
                    return None;
                }
                Self::Partition(control)
            }
            Kind::Append
            | Kind::Truncate
            | Kind::ProducerSnapshot
            | Kind::Ceiling
            | Kind::MoveOut
            | Kind::MoveIn => return None,
        })
    }
}
