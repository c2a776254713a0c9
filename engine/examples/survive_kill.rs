//! Appends records, is killed with SIGKILL in the middle, and shows that every record that was
//! acknowledged is still there.
//!
//! ```text
//! cargo run --example survive_kill
//! ```
//! The program starts itself a second time as the one that appends. That child prints the offset
//! of each record once its append has been acknowledged; the parent kills it after a while, opens
//! the same data directory itself, and reads everything back.

use millrace_engine::engine::{Engine, EngineConfig, Handle};
use millrace_engine::ids::{PartitionHandle, TopicId};
use millrace_engine::partition::{
    Durability, PartitionConfig, PartitionSpec, ReadBound, ReadRequest,
};
use millrace_engine::record_batch::{
    self, Compression,
    builder::BatchBuilder,
    records::{Records, payload},
};
use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Any number above 0 that this data directory has not used before.
const PARTITION: PartitionHandle = PartitionHandle(1);
/// The child is killed after this many acknowledgements.
const ACKNOWLEDGED: usize = 2000;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1);
    match (arguments.next(), arguments.next()) {
        (Some(word), Some(dir)) if word == "append" => append_for_ever(&PathBuf::from(dir)),
        (None, None) => {
            // Not in a memory file system: the engine writes past the page cache.
            let name = format!("survive_kill-{}", std::process::id());
            let dir = Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("../target")
                .join(name);
            std::fs::create_dir_all(&dir)?;
            let result = kill_and_check(&dir);
            std::fs::remove_dir_all(&dir)?;
            result
        }
        _ => Err("usage: survive_kill".into()),
    }
}

fn config(dir: &Path) -> EngineConfig {
    EngineConfig {
        memory_bytes: 64 << 20,
        journal_bytes: Some(16 << 20),
        ballast_bytes: 4 << 20,
        ..EngineConfig::new(dir)
    }
}

/// The child: appends until it is killed.
fn append_for_ever(dir: &Path) -> Result<(), Box<dyn Error>> {
    let engine = Engine::open(&config(dir))?;
    let log = engine.handle();
    log.create_partition(PartitionSpec {
        handle: PARTITION,
        topic_id: TopicId(*b"survive-kill-sky"),
        index: 0,
        config: PartitionConfig {
            durability: Durability::Disk,
            segment_bytes: 16 << 20,
            segment_ms: i64::MAX,
            retention_bytes: -1,
            retention_ms: -1,
            flush_messages: u64::MAX,
            flush_ms: 1000,
            batch_bytes_max: 1 << 20,
            producer_expiration_ms: 86_400_000,
            is_log_append_time: false,
            compaction: None,
        },
    })?;
    let mut out = std::io::stdout().lock();
    for group in 0.. {
        // Several appends in flight share one write to the disk.
        let batches: Vec<_> = (0..16).map(|n| batch(group * 16 + n)).collect();
        for appended in log.append_many(PARTITION, batches)? {
            // Only what has been acknowledged is told to the parent.
            writeln!(out, "{}", appended?.base_offset)?;
        }
    }
    Ok(())
}

fn batch(number: i64) -> Vec<u8> {
    let mut builder = BatchBuilder::new(Compression::None);
    let value = format!("record {number}");
    builder.push(number, None, Some(value.as_bytes()), &[]);
    builder.build().expect("a small batch can always be built")
}

/// The parent: kills the child, then counts.
fn kill_and_check(dir: &Path) -> Result<(), Box<dyn Error>> {
    let mut child = Command::new(std::env::current_exe()?)
        .arg("append")
        .arg(dir)
        .stdout(Stdio::piped())
        .spawn()?;
    let mut acknowledged = Vec::new();
    let output = child.stdout.take().ok_or("the child has no output")?;
    let mut lines = BufReader::new(output).lines();
    while acknowledged.len() < ACKNOWLEDGED {
        match lines.next() {
            Some(line) => acknowledged.push(line?.parse::<i64>()?),
            None => {
                let status = child.wait()?;
                return Err(format!("the child ended by itself: {status}").into());
            }
        }
    }
    // SIGKILL: no chance to flush or say goodbye.
    child.kill()?;
    child.wait()?;
    // What it had said before it died counts too.
    for line in lines {
        if let Ok(offset) = line?.parse() {
            acknowledged.push(offset);
        }
    }

    let engine = Engine::open(&config(dir))?;
    for line in engine.report() {
        println!("{line}");
    }
    let values = read_all(&engine.handle())?;
    for &offset in &acknowledged {
        let value = values.get(usize::try_from(offset)?);
        if value.map(String::as_str) != Some(&format!("record {offset}")) {
            return Err(format!("record {offset} was acknowledged and is {value:?}").into());
        }
    }
    engine.shutdown()?;
    println!(
        "killed after {} acknowledged records; {} are there, none is missing",
        acknowledged.len(),
        values.len()
    );
    Ok(())
}

/// The values of all records, in order.
fn read_all(log: &Handle) -> Result<Vec<String>, Box<dyn Error>> {
    let mut values = Vec::new();
    let mut offset = 0;
    loop {
        let request = ReadRequest {
            offset,
            bytes_max: 1 << 20,
            bound: ReadBound::HighWatermark,
        };
        let batches = log.read(PARTITION, request)?;
        if batches.bytes == 0 {
            return Ok(values);
        }
        // The parts are slices of the shard's memory; a batch may cross from one to the next.
        let bytes: Vec<u8> = batches
            .parts
            .iter()
            .flat_map(|part| part.to_vec())
            .collect();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let header = record_batch::Header::parse(rest)?;
            let (batch, behind) = rest.split_at(header.batch_bytes as usize);
            for record in Records::new(&record_batch::check(batch)?, payload(batch)) {
                let value = record?.value.unwrap_or_default();
                values.push(String::from_utf8(value.to_vec())?);
            }
            rest = behind;
        }
        offset = batches.next_offset;
    }
}
