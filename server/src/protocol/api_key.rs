//! The APIs this codec knows: key, name, versions.
//!
//! Written by `cargo xtask codegen` from `server/src/protocol/schemas`.

/// An API of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i16)]
pub enum ApiKey {
    /// The `Produce` API.
    Produce = 0,
    /// The `Fetch` API.
    Fetch = 1,
    /// The `ListOffsets` API.
    ListOffsets = 2,
    /// The `Metadata` API.
    Metadata = 3,
    /// The `OffsetCommit` API.
    OffsetCommit = 8,
    /// The `OffsetFetch` API.
    OffsetFetch = 9,
    /// The `FindCoordinator` API.
    FindCoordinator = 10,
    /// The `JoinGroup` API.
    JoinGroup = 11,
    /// The `Heartbeat` API.
    Heartbeat = 12,
    /// The `LeaveGroup` API.
    LeaveGroup = 13,
    /// The `SyncGroup` API.
    SyncGroup = 14,
    /// The `DescribeGroups` API.
    DescribeGroups = 15,
    /// The `ListGroups` API.
    ListGroups = 16,
    /// The `ApiVersions` API.
    ApiVersions = 18,
    /// The `CreateTopics` API.
    CreateTopics = 19,
    /// The `DeleteTopics` API.
    DeleteTopics = 20,
    /// The `DeleteRecords` API.
    DeleteRecords = 21,
    /// The `InitProducerId` API.
    InitProducerId = 22,
    /// The `OffsetForLeaderEpoch` API.
    OffsetForLeaderEpoch = 23,
    /// The `DescribeConfigs` API.
    DescribeConfigs = 32,
    /// The `AlterConfigs` API.
    AlterConfigs = 33,
    /// The `CreatePartitions` API.
    CreatePartitions = 37,
    /// The `DeleteGroups` API.
    DeleteGroups = 42,
    /// The `IncrementalAlterConfigs` API.
    IncrementalAlterConfigs = 44,
    /// The `OffsetDelete` API.
    OffsetDelete = 47,
    /// The `DescribeCluster` API.
    DescribeCluster = 60,
}

impl ApiKey {
    /// Every API, by key.
    pub const ALL: [Self; 26] = [
        Self::Produce,
        Self::Fetch,
        Self::ListOffsets,
        Self::Metadata,
        Self::OffsetCommit,
        Self::OffsetFetch,
        Self::FindCoordinator,
        Self::JoinGroup,
        Self::Heartbeat,
        Self::LeaveGroup,
        Self::SyncGroup,
        Self::DescribeGroups,
        Self::ListGroups,
        Self::ApiVersions,
        Self::CreateTopics,
        Self::DeleteTopics,
        Self::DeleteRecords,
        Self::InitProducerId,
        Self::OffsetForLeaderEpoch,
        Self::DescribeConfigs,
        Self::AlterConfigs,
        Self::CreatePartitions,
        Self::DeleteGroups,
        Self::IncrementalAlterConfigs,
        Self::OffsetDelete,
        Self::DescribeCluster,
    ];

    /// The API with this key.
    #[must_use]
    pub const fn from_key(key: i16) -> Option<Self> {
        Some(match key {
            0 => Self::Produce,
            1 => Self::Fetch,
            2 => Self::ListOffsets,
            3 => Self::Metadata,
            8 => Self::OffsetCommit,
            9 => Self::OffsetFetch,
            10 => Self::FindCoordinator,
            11 => Self::JoinGroup,
            12 => Self::Heartbeat,
            13 => Self::LeaveGroup,
            14 => Self::SyncGroup,
            15 => Self::DescribeGroups,
            16 => Self::ListGroups,
            18 => Self::ApiVersions,
            19 => Self::CreateTopics,
            20 => Self::DeleteTopics,
            21 => Self::DeleteRecords,
            22 => Self::InitProducerId,
            23 => Self::OffsetForLeaderEpoch,
            32 => Self::DescribeConfigs,
            33 => Self::AlterConfigs,
            37 => Self::CreatePartitions,
            42 => Self::DeleteGroups,
            44 => Self::IncrementalAlterConfigs,
            47 => Self::OffsetDelete,
            60 => Self::DescribeCluster,
            _ => return None,
        })
    }

    /// The number on the wire.
    #[must_use]
    pub const fn key(self) -> i16 {
        self as i16
    }

    /// The name in the protocol's documentation.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Produce => "Produce",
            Self::Fetch => "Fetch",
            Self::ListOffsets => "ListOffsets",
            Self::Metadata => "Metadata",
            Self::OffsetCommit => "OffsetCommit",
            Self::OffsetFetch => "OffsetFetch",
            Self::FindCoordinator => "FindCoordinator",
            Self::JoinGroup => "JoinGroup",
            Self::Heartbeat => "Heartbeat",
            Self::LeaveGroup => "LeaveGroup",
            Self::SyncGroup => "SyncGroup",
            Self::DescribeGroups => "DescribeGroups",
            Self::ListGroups => "ListGroups",
            Self::ApiVersions => "ApiVersions",
            Self::CreateTopics => "CreateTopics",
            Self::DeleteTopics => "DeleteTopics",
            Self::DeleteRecords => "DeleteRecords",
            Self::InitProducerId => "InitProducerId",
            Self::OffsetForLeaderEpoch => "OffsetForLeaderEpoch",
            Self::DescribeConfigs => "DescribeConfigs",
            Self::AlterConfigs => "AlterConfigs",
            Self::CreatePartitions => "CreatePartitions",
            Self::DeleteGroups => "DeleteGroups",
            Self::IncrementalAlterConfigs => "IncrementalAlterConfigs",
            Self::OffsetDelete => "OffsetDelete",
            Self::DescribeCluster => "DescribeCluster",
        }
    }

    /// The lowest and the highest version the codec reads and writes.
    #[must_use]
    pub const fn versions(self) -> (i16, i16) {
        match self {
            Self::Produce => (3, 11),
            Self::Fetch => (4, 12),
            Self::ListOffsets => (1, 7),
            Self::Metadata => (0, 12),
            Self::OffsetCommit => (2, 8),
            Self::OffsetFetch => (1, 8),
            Self::FindCoordinator => (0, 4),
            Self::JoinGroup => (0, 9),
            Self::Heartbeat => (0, 4),
            Self::LeaveGroup => (0, 5),
            Self::SyncGroup => (0, 5),
            Self::DescribeGroups => (0, 6),
            Self::ListGroups => (0, 5),
            Self::ApiVersions => (0, 4),
            Self::CreateTopics => (0, 7),
            Self::DeleteTopics => (1, 6),
            Self::DeleteRecords => (0, 2),
            Self::InitProducerId => (0, 4),
            Self::OffsetForLeaderEpoch => (0, 4),
            Self::DescribeConfigs => (1, 4),
            Self::AlterConfigs => (0, 2),
            Self::CreatePartitions => (0, 3),
            Self::DeleteGroups => (0, 2),
            Self::IncrementalAlterConfigs => (0, 1),
            Self::OffsetDelete => (0, 0),
            Self::DescribeCluster => (0, 1),
        }
    }

    /// The first version with compact lengths and tagged fields; `i16::MAX` if none has.
    #[must_use]
    pub const fn flexible_from(self) -> i16 {
        match self {
            Self::Produce => 9,
            Self::Fetch => 12,
            Self::ListOffsets => 6,
            Self::Metadata => 9,
            Self::OffsetCommit => 8,
            Self::OffsetFetch => 6,
            Self::FindCoordinator => 3,
            Self::JoinGroup => 6,
            Self::Heartbeat => 4,
            Self::LeaveGroup => 4,
            Self::SyncGroup => 4,
            Self::DescribeGroups => 5,
            Self::ListGroups => 3,
            Self::ApiVersions => 3,
            Self::CreateTopics => 5,
            Self::DeleteTopics => 4,
            Self::DeleteRecords => 2,
            Self::InitProducerId => 2,
            Self::OffsetForLeaderEpoch => 4,
            Self::DescribeConfigs => 4,
            Self::AlterConfigs => 2,
            Self::CreatePartitions => 2,
            Self::DeleteGroups => 2,
            Self::IncrementalAlterConfigs => 1,
            Self::DescribeCluster => 0,
            _ => i16::MAX,
        }
    }
}
