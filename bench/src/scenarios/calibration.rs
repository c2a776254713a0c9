//! The floors and ceilings below every figure: the disk through the engine's seam, a loopback
//! stream, and a round trip against an echo that waits the way the broker does.

use super::Setting;
use super::load::{Load, Pace};
use crate::broker_process::RunDirectory;
use crate::calibrate::{DiskFile, DiskLoad, read_segments};
use crate::connection::{Connection, RequestRing};
use crate::machine::pin_to;
use crate::report::Report;
use anyhow::{Context, Result, anyhow};
use hdrhistogram::Histogram;
use millrace_engine::io::group::{KernelConfig, run_shards};
use millrace_engine::io::{
    Awaiting, Class, Io, Op, Outcome, ReceiveInto, Received, SocketHandle, Token,
};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const ECHO_BYTES: usize = 128;
const DISK_SECONDS: Duration = Duration::from_secs(2);

/// What the machine can do below the broker.
#[derive(Debug)]
pub struct Calibration {
    /// Durable writes of 256 KiB, four in flight, bytes a second.
    pub durable_bytes_per_second: f64,
    /// Durable 4 KiB write, one at a time, nanoseconds.
    pub durable_4k: Histogram<u64>,
    /// Direct sequential reads of 1 MiB, four in flight, bytes a second.
    pub read_bytes_per_second: f64,
    /// Loopback stream between two cores, bytes a second.
    pub stream_bytes_per_second: f64,
    /// Request and answer of a few bytes, nanoseconds.
    pub round_trip: Histogram<u64>,
}

/// Measures everything and adds it to the report.
///
/// # Errors
/// When the disk or the ring refuses.
pub fn run(setting: &Setting, report: &mut Report) -> Result<Calibration> {
    pin_to(setting.client_core)?;
    let server_core = first_core(setting)?;
    let (write, write_4k, read) = disk(setting, server_core)?;
    report.figure(
        "calibration: durable write 256 KiB x 4",
        write.0 / 1e6,
        "MB/s",
    );
    super::produce::percentiles(report, "calibration: durable write 4 KiB x 1", &write_4k);
    report.figure("calibration: direct read 1 MiB x 4", read / 1e6, "MB/s");
    let stream = stream(setting, server_core)?;
    report.figure("calibration: loopback stream", stream / 1e6, "MB/s");
    let round_trip = round_trip(server_core)?;
    super::produce::percentiles(report, "calibration: round trip 128 B", &round_trip);
    Ok(Calibration {
        durable_bytes_per_second: write.0,
        durable_4k: write_4k,
        read_bytes_per_second: read,
        stream_bytes_per_second: stream,
        round_trip,
    })
}

fn first_core(setting: &Setting) -> Result<usize> {
    let core = setting
        .server_cores
        .split([',', '-'])
        .next()
        .context("--server-cores is empty")?;
    Ok(core.trim().parse()?)
}

fn kernel_config(
    setting: &Setting,
    core: usize,
    name: &str,
) -> Result<(KernelConfig, RunDirectory)> {
    let directory = RunDirectory::new(&setting.dir, name)?;
    let config = KernelConfig {
        cores: vec![core],
        arena_bytes: 64 << 20,
        data_dir: directory.0.clone(),
        journal_dir: directory.0.join("journal"),
        mailbox_capacity: 64,
        durable_by: None,
    };
    Ok((config, directory))
}

type DiskFigures = ((f64, Histogram<u64>), Histogram<u64>, f64);

fn disk(setting: &Setting, core: usize) -> Result<DiskFigures> {
    let (config, directory) = kernel_config(setting, core, "calibration")?;
    let results = run_shards::<(), _, _>(&config, move |mut io, _mailbox| {
        let file = DiskFile::create(&mut io)?;
        let load = |write, bytes, depth| DiskLoad {
            write,
            bytes,
            depth,
            time: DISK_SECONDS,
        };
        let write = file.measure(&mut io, load(true, 256 << 10, 4))?;
        let write_4k = file.measure(&mut io, load(true, 4 << 10, 1))?;
        let read = file.measure(&mut io, load(false, 1 << 20, 4))?;
        file.remove(&mut io)?;
        anyhow::Ok((
            (write.bytes_per_second, write.latency),
            write_4k.latency,
            read.bytes_per_second,
        ))
    })?;
    drop(directory);
    results
        .into_iter()
        .next()
        .context("the calibration shard gave no result")?
}

/// Direct sequential reads of all segments below the data directory of a stopped broker, from the
/// broker's core: bytes a second.
///
/// # Errors
/// When there is no segment, or the ring refuses.
pub fn segments(setting: &Setting, data_dir: &Path) -> Result<f64> {
    let config = KernelConfig {
        cores: vec![first_core(setting)?],
        arena_bytes: 64 << 20,
        data_dir: data_dir.to_owned(),
        journal_dir: data_dir.join("journal"),
        mailbox_capacity: 64,
        durable_by: None,
    };
    let results = run_shards::<(), _, _>(&config, |mut io, _mailbox| read_segments(&mut io))?;
    results
        .into_iter()
        .next()
        .context("the calibration shard gave no result")?
}

/// A plain stream from the broker's core to the client's, received as the fetch load receives.
fn stream(setting: &Setting, core: usize) -> Result<f64> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let sender = std::thread::spawn(move || -> Result<()> {
        pin_to(core)?;
        let (mut stream, _) = listener.accept()?;
        let bytes = vec![0x5a; 1 << 20];
        while stream.write_all(&bytes).is_ok() {}
        Ok(())
    });
    pin_to(setting.client_core)?;
    let mut stream = TcpStream::connect(address)?;
    let mut buffer = vec![0; 1 << 20];
    let begin = Instant::now();
    let mut total = 0;
    while begin.elapsed() < DISK_SECONDS {
        total += stream.read(&mut buffer)?;
    }
    let rate = total as f64 / begin.elapsed().as_secs_f64();
    drop(stream);
    sender
        .join()
        .map_err(|_| anyhow!("the stream's sender panicked"))??;
    Ok(rate)
}

/// Small request and answer against an echo on a shard of the engine's own reactor.
fn round_trip(core: usize) -> Result<Histogram<u64>> {
    let directory = RunDirectory::new(&std::env::temp_dir(), "echo")?;
    let (address, echo) = start_echo(core, &directory.0)?;
    let mut frame = vec![0; ECHO_BYTES];
    frame[..4].copy_from_slice(&i32::try_from(ECHO_BYTES - 4)?.to_be_bytes());
    let ring = RequestRing::new(&[frame], 4, 1)?;
    let mut connections = [Connection::open(address, ring, 0)?];
    let result = Load {
        connections: &mut connections,
        pace: Pace::Rate(2_000.0),
        warm_up: Duration::from_millis(300),
        measure: Duration::from_secs(2),
    }
    .run(|| {})?;
    drop(connections);
    echo.join().map_err(|_| anyhow!("the echo panicked"))??;
    Ok(result.latency)
}

/// Starts an echo for one connection on a shard of the engine's own reactor, pinned to `core`; it
/// ends with the connection.
///
/// # Errors
/// When the ring cannot be made.
pub fn start_echo(core: usize, directory: &Path) -> Result<(SocketAddr, JoinHandle<Result<()>>)> {
    let config = KernelConfig {
        cores: vec![core],
        arena_bytes: 16 << 20,
        data_dir: directory.to_owned(),
        journal_dir: directory.join("journal"),
        mailbox_capacity: 64,
        durable_by: None,
    };
    let (tell, told) = sync_channel(1);
    let echo = std::thread::spawn(move || -> Result<()> {
        run_shards::<(), _, _>(&config, move |mut io, _mailbox| echo(&mut io, &tell))?;
        Ok(())
    });
    let address = told.recv().context("the echo did not start")?;
    Ok((address, echo))
}

/// Sends back what comes on one connection until it ends.
fn echo(io: &mut Io, tell: &SyncSender<SocketAddr>) {
    let Ok((listener, address)) = io.listen(SocketAddr::from(([127, 0, 0, 1], 0))) else {
        return;
    };
    if tell.send(address).is_err() {
        return;
    }
    let token = Token {
        class: Class::Net,
        key: 0,
    };
    io.submit(token, Op::Accept { listener });
    let mut peer: Option<SocketHandle> = None;
    let mut done = Vec::new();
    loop {
        io.park(None, Awaiting::Anything);
        io.poll(&mut done);
        for completion in done.drain(..) {
            match completion.outcome {
                Outcome::Accept(Ok((socket, _))) => {
                    peer = Some(socket);
                    io.submit(
                        token,
                        Op::Receive {
                            socket,
                            into: ReceiveInto::Slot,
                        },
                    );
                }
                Outcome::Receive(Ok(Received::Slot(buf))) if !buf.is_empty() => {
                    let Some(socket) = peer else { return };
                    io.submit(
                        token,
                        Op::Send {
                            socket,
                            parts: vec![buf.freeze()],
                        },
                    );
                    io.submit(
                        token,
                        Op::Receive {
                            socket,
                            into: ReceiveInto::Slot,
                        },
                    );
                }
                Outcome::Send(..) => {}
                _ => return,
            }
        }
    }
}
