//! `millrace produce`: lines become records.
//!
//! Records collect in one batch per partition; a round sends every batch that is due to its leader
//! and waits for the answers. The producer is idempotent when the broker knows how, so a round that
//! is tried again after a failure neither repeats nor loses a record.

mod input;
mod sender;

use super::parse_pair;
use crate::client::{ClientArgs, Cluster, partition_of_key};
use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use input::{Input, Line};
use millrace_engine::record_batch::Compression;
use millrace_engine::record_batch::builder::BatchBuilder;
use sender::Sender;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

/// Options of `millrace produce`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The topic; created by the broker if its settings allow
    topic: String,
    /// Read lines from a file, with a progress bar, instead of standard input
    #[arg(short, long, value_name = "FILE")]
    from_file: Option<PathBuf>,
    /// Send everything to this partition; else keys choose, and records without keys rotate
    #[arg(short, long)]
    partition: Option<i32>,
    /// What separates key and value of a line; without it lines are values
    #[arg(short, long, value_name = "TEXT")]
    key_separator: Option<String>,
    /// A header for every record; may be repeated
    #[arg(short = 'H', long = "header", value_name = "NAME=VALUE", value_parser = parse_pair)]
    headers: Vec<(String, String)>,
    /// An empty value becomes null, a tombstone on compacted topics
    #[arg(long)]
    empty_is_null: bool,
    /// The codec of batches
    #[arg(short = 'z', long, default_value = "none", value_parser = parse_compression)]
    compression: Compression,
    /// When the broker answers: 0 never, 1 or all when records are as durable as the topic says
    #[arg(long, default_value = "all", value_parser = parse_acks)]
    acks: i16,
    /// Bytes of a batch before compression
    #[arg(long, value_name = "BYTES", default_value_t = 262_144)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=16_777_216))]
    batch_bytes: u32,
    #[command(flatten)]
    client: ClientArgs,
}

fn parse_compression(text: &str) -> Result<Compression, String> {
    let known = Compression::ALL
        .into_iter()
        .find(|codec| codec.name() == text);
    known.ok_or_else(|| format!("`{text}` is none of none, gzip, snappy, lz4, zstd"))
}

fn parse_acks(text: &str) -> Result<i16, String> {
    match text {
        "0" => Ok(0),
        "1" => Ok(1),
        "all" | "-1" => Ok(-1),
        _ => Err(format!("`{text}` is none of 0, 1, all")),
    }
}

/// Sends every line; says how many and where.
pub(crate) fn run(args: &Args) -> Result<()> {
    let mut input = Input::open(args.from_file.as_deref())?;
    let cluster = Cluster::open(&args.client)?;
    let mut sender = Sender::new(cluster, &args.topic, args.acks)?;
    let partition_count = sender.partition_count();
    if args
        .partition
        .is_some_and(|partition| !(0..partition_count).contains(&partition))
    {
        bail!(
            "topic {} has partitions 0 to {}",
            args.topic,
            partition_count - 1
        );
    }
    let progress = input.bytes().map(progress_bar);
    let mut batches = Batches::new(args, partition_count);
    while let Some(line) = input.next_line()? {
        batches.push(args, &line)?;
        // A person at a terminal wants each line to go at once; a pipe that pauses, too.
        if batches.is_due() || input.would_wait() {
            sender.send(&mut batches.builders)?;
            batches.pending_bytes = 0;
            if let Some(bar) = &progress {
                bar.set_position(input.position());
            }
        }
    }
    sender.send(&mut batches.builders)?;
    if let Some(bar) = progress {
        bar.finish_and_clear();
    }
    let said = if args.acks == 0 {
        "sent"
    } else {
        "acknowledged"
    };
    eprintln!("{} records {said}", sender.record_count());
    Ok(())
}

fn progress_bar(bytes: u64) -> ProgressBar {
    let bar = ProgressBar::new(bytes);
    let template = "{bar:40} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

/// Records that wait to be sent, by partition.
struct Batches {
    builders: BTreeMap<i32, BatchBuilder>,
    partition_count: i32,
    pending_bytes: usize,
    /// Where the next record without a key goes.
    rotating: i32,
    batch_bytes: usize,
    largest: usize,
}

impl Batches {
    fn new(args: &Args, partition_count: i32) -> Self {
        Self {
            builders: BTreeMap::new(),
            partition_count,
            pending_bytes: 0,
            rotating: 0,
            batch_bytes: args.batch_bytes as usize,
            largest: 0,
        }
    }

    fn push(&mut self, args: &Args, line: &[u8]) -> Result<()> {
        let Line { key, value } = input::split(line, args.key_separator.as_deref())?;
        let value = if args.empty_is_null && value.is_empty() {
            None
        } else {
            Some(value)
        };
        let partition = match (args.partition, key) {
            (Some(partition), _) => partition,
            (None, Some(key)) => partition_of_key(key, self.partition_count),
            (None, None) => self.rotating,
        };
        let headers: Vec<(&[u8], Option<&[u8]>)> = args
            .headers
            .iter()
            .map(|(name, value)| (name.as_bytes(), Some(value.as_bytes())))
            .collect();
        let builder = self
            .builders
            .entry(partition)
            .or_insert_with(|| BatchBuilder::new(args.compression));
        let before = builder.uncompressed_bytes();
        builder.push(now_ms()?, key, value, &headers);
        self.pending_bytes += builder.uncompressed_bytes() - before;
        self.largest = builder.uncompressed_bytes();
        if self.largest >= self.batch_bytes && partition == self.rotating {
            // KAFKA: as its clients do, records without keys change partition batch by batch.
            self.rotating = (self.rotating + 1) % self.partition_count;
        }
        Ok(())
    }

    const fn is_due(&self) -> bool {
        self.largest >= self.batch_bytes || self.pending_bytes >= self.batch_bytes
    }
}

fn now_ms() -> Result<i64> {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .context("the clock is before 1970")?;
    Ok(i64::try_from(since.as_millis())?)
}
