//! Every bound of the engine, with the relations between them checked at compile time.

/// Unit of every disk write and of every place on disk.
pub const BLOCK_BYTES: u64 = 4096;
/// Unit of segment checksums and of the sparse index.
pub const GRANULE_BYTES: u64 = 64 * 1024;
/// Largest commit: header, table, echo and payload.
pub const COMMIT_BYTES_MAX: u64 = 1 << 20;
/// Largest single disk write.
pub const WRITE_BYTES_MAX: u64 = 1 << 20;
/// Bytes one reader gets from disk at once: enough that asking for the next ones costs little.
pub const READ_BYTES_MAX: u64 = 4 << 20;
/// Distance between the last resolved commit and the newest written one (storage-review A1e).
pub const COMMITS_IN_FLIGHT_MAX: u64 = 4;
/// First byte of records in a segment file; the block before it holds the file's identity.
pub const SEGMENT_DATA_START: u64 = BLOCK_BYTES;
/// Largest record batch. Also bounds what one append may ask of memory.
pub const BATCH_BYTES_MAX: u32 = 64 << 20;
/// Who found no memory or descriptor tries again after this time: both come back with what others
/// send or write, and nobody would tell.
pub const STARVED_RETRY_NS: u64 = 5_000_000;
/// Batches remembered per producer for duplicate detection, as Kafka.
pub const PRODUCER_BATCHES_REMEMBERED: usize = 5;

const _: () = assert!(GRANULE_BYTES.is_multiple_of(BLOCK_BYTES));
const _: () = assert!(COMMIT_BYTES_MAX <= WRITE_BYTES_MAX);
