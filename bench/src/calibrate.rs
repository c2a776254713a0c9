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

fn file_call(io: &mut Io, op: FileOp) -> Result<FileReply> {
    let name = format!("{op:?}");
    match io.call(Op::File(op)) {
        Outcome::File(result) => result.with_context(|| name),
        other => bail!("unexpected completion {other:?}"),
    }
}
