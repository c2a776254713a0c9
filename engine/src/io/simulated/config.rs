//! What a simulated world is like, what may go wrong in it, and what did.

use crate::io::{Dir, FilePath};
use std::ops::Range;

/// Settings of a world.
#[derive(Clone, Debug)]
pub struct WorldConfig {
    /// Arena bytes of each shard.
    pub arena_bytes: usize,
    /// Wall clock at the start, in milliseconds since the epoch.
    pub wall_start_ms: i64,
    /// Chance, per event, that the wall clock jumps by up to an hour either way.
    pub wall_jump_per_million: u32,
    /// Time from a mailbox's send to its visibility at the receiver, in nanoseconds.
    pub mailbox_delay_ns: Range<u64>,
    /// The disk.
    pub disk: DiskConfig,
    /// The network.
    pub network: NetworkConfig,
}

impl Default for WorldConfig {
    fn default() -> Self {
        Self {
            arena_bytes: 8 << 20,
            wall_start_ms: 1_700_000_000_000,
            wall_jump_per_million: 0,
            mailbox_delay_ns: 100..20_000,
            disk: DiskConfig::default(),
            network: NetworkConfig::default(),
        }
    }
}

/// The disk and its faults. Rates are chances in a million per operation; the default disk is
/// honest and never fails, and still reorders completions and forgets what was not flushed.
#[derive(Clone, Debug)]
pub struct DiskConfig {
    /// Size of the file system.
    pub space_bytes: u64,
    /// Time of an operation, in nanoseconds.
    pub latency_ns: Range<u64>,
    /// An operation takes `stall_ns` longer.
    pub stall_per_million: u32,
    /// How much longer.
    pub stall_ns: u64,
    /// A durable write also makes durable whatever else the device holds un-flushed, as a flush
    /// of the whole write cache does.
    pub flush_all_per_million: u32,
    /// A read fails with EIO.
    pub read_error_per_million: u32,
    /// A write fails with EIO; any part of it may have reached the cache.
    pub write_error_per_million: u32,
    /// A flush fails with EIO and forgets what it did not write.
    pub sync_error_per_million: u32,
    /// A read or write ends with EINTR or EAGAIN.
    pub interrupted_per_million: u32,
    /// A write ends short.
    pub short_write_per_million: u32,
    /// The files that dishonesty is for: those of this folder, or all.
    pub dishonest_in: Option<Dir>,
    /// Dishonest: one bit of a written block is wrong for ever.
    pub bit_flip_per_million: u32,
    /// Dishonest: a write goes to another place of its file.
    pub misdirected_per_million: u32,
    /// Dishonest: a write is acknowledged and forgotten.
    pub lost_write_per_million: u32,
    /// Dishonest: a read gives what was there before the last write.
    pub stale_read_per_million: u32,
}

impl Default for DiskConfig {
    fn default() -> Self {
        Self {
            space_bytes: 1 << 40,
            latency_ns: 20_000..400_000,
            stall_per_million: 0,
            stall_ns: 50_000_000,
            flush_all_per_million: 200_000,
            read_error_per_million: 0,
            write_error_per_million: 0,
            sync_error_per_million: 0,
            interrupted_per_million: 0,
            short_write_per_million: 0,
            dishonest_in: None,
            bit_flip_per_million: 0,
            misdirected_per_million: 0,
            lost_write_per_million: 0,
            stale_read_per_million: 0,
        }
    }
}

/// The network and its faults.
#[derive(Clone, Debug)]
pub struct NetworkConfig {
    /// Time of a piece of a stream from end to end, in nanoseconds. Pieces never overtake.
    pub delay_ns: Range<u64>,
    /// Largest piece that arrives at once; pieces are cut at random below it.
    pub piece_bytes_max: u64,
    /// Bytes sent and not yet received at most, per direction; a sender waits beyond.
    pub window_bytes: usize,
    /// Chance in a million per piece that the connection is reset instead.
    pub reset_per_million: u32,
    /// Chance in a million per piece that this direction goes silent for ever (half open).
    pub silent_per_million: u32,
    /// Chance in a million per piece that it is late, as one that was sent again is.
    pub late_per_million: u32,
    /// By how much at most, in nanoseconds.
    pub late_ns_max: u64,
    /// Chance in a million per piece that machine and clients are split from then on.
    pub split_per_million: u32,
    /// For how long at most, in nanoseconds; what was under way arrives behind it.
    pub split_ns_max: u64,
}

impl Default for NetworkConfig {
    fn default() -> Self {
        Self {
            delay_ns: 5_000..200_000,
            piece_bytes_max: 16 << 10,
            window_bytes: 256 << 10,
            reset_per_million: 0,
            silent_per_million: 0,
            late_per_million: 0,
            late_ns_max: 2_000_000_000,
            split_per_million: 0,
            split_ns_max: 8_000_000_000,
        }
    }
}

/// How the machine stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// The process dies. The kernel and the drive keep their caches; each operation in flight
    /// happens or does not.
    Kill,
    /// The power fails: whatever was not flushed is lost, kept or torn.
    PowerCut,
}

/// What a scripted fault hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultTarget {
    /// `Op::Read`.
    Read,
    /// `Op::Write`.
    Write,
    /// `FileOp::SyncData`.
    SyncData,
    /// Every other file operation.
    File,
}

/// What goes wrong with one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskFault {
    /// It fails with this error number. A write may have done any part of its work.
    Error(i32),
    /// A write ends after this many blocks.
    ShortWrite(u32),
    /// A bit of what is written is wrong.
    BitFlip,
    /// A write goes to another place of its file.
    Misdirected,
    /// A write is acknowledged and forgotten.
    LostWrite,
    /// A read gives what was there before the last write.
    StaleRead,
    /// It takes this many nanoseconds longer.
    Stall(u64),
}

/// A fault that a test wants at one place.
#[derive(Clone, Debug)]
pub struct ScriptedFault {
    /// Which kind of operation.
    pub target: FaultTarget,
    /// On this file alone (folder operations have none).
    pub path: Option<FilePath>,
    /// Operations that match and are left in peace first.
    pub skip: u32,
    /// What happens.
    pub fault: DiskFault,
}

/// What happened in a world so far: the marks by which a run shows what it covered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorldCounters {
    /// Events fired.
    pub events: u64,
    /// Disk operations submitted and completed: the places where a crash can be asked for.
    pub disk_events: u64,
    /// Processes that died.
    pub kills: u64,
    /// Power cuts.
    pub power_cuts: u64,
    /// Writes that a crash met in flight.
    pub writes_cut: u64,
    /// Un-flushed sectors that a power cut lost.
    pub sectors_lost: u64,
    /// Un-flushed sectors that survived a power cut.
    pub sectors_kept: u64,
    /// Blocks that hold old and new sectors after a power cut.
    pub blocks_torn: u64,
    /// Blocks or sectors that hold noise after a power cut.
    pub blocks_garbage: u64,
    /// Folder changes that a power cut took back.
    pub names_lost: u64,
    /// Operations of the disk that failed, scripted and drawn.
    pub disk_faults: u64,
    /// Writes that left a bit wrong.
    pub bits_flipped: u64,
    /// Writes that were acknowledged and forgotten.
    pub writes_lost: u64,
    /// Writes that went to another place.
    pub writes_misdirected: u64,
    /// Reads that gave other bytes than were written last.
    pub reads_stale: u64,
    /// Operations refused because the disk was full.
    pub disk_full: u64,
    /// Completions that overtook an operation submitted before them.
    pub reordered: u64,
    /// Mailbox deliveries that came with an earlier doorbell.
    pub doorbells_merged: u64,
    /// Connections reset by the network.
    pub resets: u64,
    /// Stream directions that went silent.
    pub silences: u64,
    /// Pieces that were late.
    pub late_pieces: u64,
    /// Splits that held something back.
    pub splits: u64,
    /// Disk operations that took long.
    pub stalls: u64,
    /// Jumps of the wall clock that were drawn.
    pub wall_jumps: u64,
}
