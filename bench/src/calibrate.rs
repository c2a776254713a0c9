//! What the disk can do below the broker: durable writes and direct reads through the engine's own
//! seam, at the sizes and depths that the broker uses.

use anyhow::{Context, Result, bail, ensure};
use hdrhistogram::Histogram;
use millrace_engine::io::{
    Awaiting, Class, Dir, FileHandle, FileOp, FilePath, FileReply, Io, Op, Outcome, Token,
};
use std::time::Duration;

/// Size of the file that calibrations write over and over, zero-filled before.
const FILE_BYTES: u64 = 512 << 20;

/// What one calibration found.
#[derive(Debug)]
pub struct DiskFigure {
    /// Bytes a second.
    pub bytes_per_second: f64,
    /// Time of one operation in nanoseconds.
    pub latency: Histogram<u64>,
}

/// Which disk operation to repeat.
#[derive(Clone, Copy, Debug)]
pub struct DiskLoad {
    /// Durable write, else read.
    pub write: bool,
    /// Bytes of each operation.
    pub bytes: usize,
    /// Operations in flight.
    pub depth: usize,
    /// For how long.
    pub time: Duration,
}

/// A zero-filled file to calibrate on.
#[derive(Debug)]
pub struct DiskFile {
    file: FileHandle,
    path: FilePath,
}

impl DiskFile {
    /// Makes and fills it.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn create(io: &mut Io) -> Result<Self> {
        let path = FilePath::new(Dir::Segments, "calibration");
        file_call(io, FileOp::Unlink { path: path.clone() })?;
        let FileReply::Opened { file, .. } = file_call(io, FileOp::Create { path: path.clone() })?
        else {
            bail!("the calibration file was not opened");
        };
        file_call(
            io,
            FileOp::ZeroFill {
                file,
                from: 0,
                to: FILE_BYTES,
            },
        )?;
        file_call(io, FileOp::SyncData { file })?;
        file_call(io, FileOp::SyncDir { dir: Dir::Segments })?;
        Ok(Self { file, path })
    }

    /// Repeats one operation over the file, front to back.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn measure(&self, io: &mut Io, load: DiskLoad) -> Result<DiskFigure> {
        let mut latency = Histogram::new_with_bounds(1_000, 60_000_000_000, 3)?;
        let mut started = vec![0_u64; load.depth];
        let mut next = 0_u64;
        let mut done_bytes = 0_u64;
        let mut in_flight = 0;
        let mut payload = io
            .arena()
            .alloc(load.bytes)
            .context("no memory to calibrate with")?;
        for place in 0..load.bytes {
            payload.extend_from_slice(&[u8::try_from((place * 31) % 251)?]);
        }
        let payload = payload.freeze();
        let begin = io.now_ns();
        let end = begin + u64::try_from(load.time.as_nanos())?;
        let mut done = Vec::new();
        for (slot, start) in started.iter_mut().enumerate() {
            *start = io.now_ns();
            self.submit(io, load, slot, &mut next, &payload)?;
            in_flight += 1;
        }
        while in_flight > 0 {
            io.park(None, Awaiting::Disk);
            io.poll(&mut done);
            for completion in done.drain(..) {
                match completion.outcome {
                    Outcome::Write(_, result) | Outcome::Read(_, result) => result?,
                    other => bail!("unexpected completion {other:?}"),
                }
                let slot = usize::try_from(completion.token.key)?;
                let now = io.now_ns();
                latency.saturating_record(now - started[slot]);
                done_bytes += load.bytes as u64;
                in_flight -= 1;
                if now < end {
                    started[slot] = now;
                    self.submit(io, load, slot, &mut next, &payload)?;
                    in_flight += 1;
                }
            }
        }
        let seconds = (io.now_ns() - begin) as f64 / 1e9;
        Ok(DiskFigure {
            bytes_per_second: done_bytes as f64 / seconds,
            latency,
        })
    }

    fn submit(
        &self,
        io: &mut Io,
        load: DiskLoad,
        slot: usize,
        next: &mut u64,
        payload: &millrace_engine::io::arena::ArenaSlice,
    ) -> Result<()> {
        let position = *next % (FILE_BYTES - load.bytes as u64);
        *next += load.bytes as u64;
        let token = Token {
            class: Class::Broker,
            key: slot as u64,
        };
        let op = if load.write {
            Op::Write {
                file: self.file,
                position,
                parts: vec![payload.clone()],
                durable: true,
            }
        } else {
            let buf = io
                .arena()
                .alloc(load.bytes)
                .context("no memory to calibrate with")?;
            ensure!(
                buf.spare() == load.bytes,
                "reads are measured in powers of two"
            );
            Op::Read {
                file: self.file,
                position,
                buf,
            }
        };
        io.submit(token, op);
        Ok(())
    }

    /// Removes it.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn remove(self, io: &mut Io) -> Result<()> {
        io.close_file(self.file);
        file_call(io, FileOp::Unlink { path: self.path })?;
        Ok(())
    }
}

/// Bytes of each direct read of a broker's segments, and how many are in flight.
const SEQUENTIAL_READ: (usize, usize) = (1 << 20, 4);

/// Reads every segment file below the data directory once, in order of their names: bytes a second.
///
/// # Errors
/// When there is none, or the disk refuses.
pub fn read_segments(io: &mut Io) -> Result<f64> {
    let mut places = segment_reads(io)?.into_iter();
    let (bytes, depth) = SEQUENTIAL_READ;
    let begin = io.now_ns();
    let mut done_bytes = 0_u64;
    let mut in_flight = 0;
    let mut done = Vec::new();
    loop {
        while in_flight < depth
            && let Some((file, position)) = places.next()
        {
            let buf = io.arena().alloc(bytes);
            let buf = buf.context("no memory to calibrate with")?;
            let token = Token {
                class: Class::Broker,
                key: 0,
            };
            io.submit(
                token,
                Op::Read {
                    file,
                    position,
                    buf,
                },
            );
            in_flight += 1;
        }
        if in_flight == 0 {
            break;
        }
        io.park(None, Awaiting::Disk);
        io.poll(&mut done);
        for completion in done.drain(..) {
            let Outcome::Read(_, result) = completion.outcome else {
                bail!("unexpected completion {:?}", completion.outcome);
            };
            result?;
            done_bytes += bytes as u64;
            in_flight -= 1;
        }
    }
    ensure!(done_bytes > 0, "there is no segment to read");
    Ok(done_bytes as f64 / ((io.now_ns() - begin) as f64 / 1e9))
}

/// Opens the segment files: where each read begins.
fn segment_reads(io: &mut Io) -> Result<Vec<(FileHandle, u64)>> {
    let list = FileOp::List { dir: Dir::Segments };
    let FileReply::Listed(files) = file_call(io, list)? else {
        bail!("the segments were not listed");
    };
    let mut places = Vec::new();
    for (name, bytes) in files {
        if !name.ends_with(".seg") {
            continue;
        }
        let path = FilePath::new(Dir::Segments, &name);
        let FileReply::Opened { file, .. } = file_call(io, FileOp::Open { path })? else {
            bail!("{name} was not opened");
        };
        let whole = bytes / SEQUENTIAL_READ.0 as u64;
        places.extend((0..whole).map(|number| (file, number * SEQUENTIAL_READ.0 as u64)));
    }
    Ok(places)
}

fn file_call(io: &mut Io, op: FileOp) -> Result<FileReply> {
    let name = format!("{op:?}");
    match io.call(Op::File(op)) {
        Outcome::File(result) => result.with_context(|| name),
        other => bail!("unexpected completion {other:?}"),
    }
}
