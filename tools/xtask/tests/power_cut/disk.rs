//! The disks: a process that serves a file for each through FUSE, below the loop devices.
//!
//! Every write and every flush that a file gets is recorded, in the order in which they end. As a
//! real disk does, it lets some writes wait while later ones pass, and takes its time to flush.
//! One more file, `position`, says how many there were. Orders come through a socket ([`Order`]).
//!
//! The process starts the station that uses its disks, in a mount namespace of the station's own:
//! a process that ends takes its namespace apart, and must not wait for disks that it serves.

use crate::machine;
use crate::order::{Fault, Order, Pace};
use fuser::{
    Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo,
    InitFlags, KernelConfig, LockOwner, MountOption, OpenFlags, ReplyAttr, ReplyData, ReplyEmpty,
    ReplyEntry, ReplyOpen, ReplyWrite, Request, WriteFlags,
};
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};
use xtask::images::blocks::Blocks;
use xtask::images::cut::Extents;
use xtask::images::dice::Dice;
use xtask::images::{Event, Recording, file};

/// Attributes may be kept by the kernel: they do not change.
const TTL: Duration = Duration::from_secs(3600);
const POSITION: INodeNo = INodeNo(2);
/// The first disk; the next follows.
const FIRST_DISK: u64 = 3;
/// Names of the files that are disks.
pub(crate) const DISK_NAMES: [&str; 2] = ["disk-0", "disk-1"];
/// Threads that serve requests: a flush keeps one busy, and the rest goes on.
const THREADS: usize = 4;
/// Where the files are, below the folder.
pub(crate) const FUSE_NAME: &str = "fuse";
/// The socket, below the folder.
pub(crate) const ORDERS_NAME: &str = "orders";
/// Name of the file that says how many events there were: 8 bytes, little end first.
pub(crate) const POSITION_NAME: &str = "position";

/// What both sides of the process work on.
#[derive(Debug)]
struct Disk {
    content: Blocks,
    /// What it is after `Order::Reset`.
    empty: Blocks,
    is_recording: bool,
    now: Recording,
    /// The recording that images are made from.
    kept: Recording,
    data: Extents,
    faults: Vec<Fault>,
    /// Writes and flushes since the faults were ordered.
    since_faults: u64,
    pace: Pace,
    dice: Dice,
}

/// A write that waits while others pass.
struct Held {
    position: u64,
    bytes: Arc<[u8]>,
    wait: Duration,
    reply: ReplyWrite,
}

#[derive(Clone, Debug)]
struct Server {
    disk: Arc<Mutex<Disk>>,
    disk_bytes: u64,
    held: Sender<Held>,
}

/// Where a disk is mounted, below the folder.
pub(crate) fn mount_name(disk: usize) -> String {
    format!("mount-{disk}")
}

/// Serves disks for a station that it starts with `station`, until that has ended. Whether it ended
/// well.
pub(crate) fn serve(disk_bytes: u64, station: &[&str]) -> Result<bool, String> {
    let name = format!("millrace-power-cut-{}", std::process::id());
    let folder = std::env::temp_dir().join(name);
    let inside = [FUSE_NAME.to_owned(), mount_name(0), mount_name(1)];
    for name in inside {
        let made = std::fs::create_dir_all(folder.join(name));
        made.map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    let socket = UnixListener::bind(folder.join(ORDERS_NAME)).map_err(|error| error.to_string())?;
    let server = start(&folder.join(FUSE_NAME), disk_bytes)?;
    std::thread::spawn(move || take_orders(&socket, &server));
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let status = Command::new("unshare")
        .args(["--mount", "--propagation", "private"])
        .arg(program)
        .args(station)
        .arg(&folder)
        .status();
    machine::clear(&folder)?;
    status
        .map(|status| status.success())
        .map_err(|error| format!("start a station: {error}"))
}

fn take_orders(socket: &UnixListener, server: &Server) {
    for stream in socket.incoming().map_while(Result::ok) {
        let mut answers = &stream;
        for line in BufReader::new(&stream).lines().map_while(Result::ok) {
            let done = Order::read(&line).and_then(|order| server.lock().obey(order));
            let answered = match done {
                Ok(answer) => writeln!(answers, "ok {answer}"),
                Err(problem) => writeln!(answers, "error {problem}"),
            };
            if answered.is_err() {
                break;
            }
        }
    }
}

/// Mounts the files at `place` and serves them as long as the process lives.
fn start(place: &Path, disk_bytes: u64) -> Result<Server, String> {
    let empty = Blocks::new(disk_bytes * DISK_NAMES.len() as u64);
    let disk = Arc::new(Mutex::new(Disk {
        content: empty.clone(),
        now: Recording::new(empty.clone()),
        kept: Recording::new(empty.clone()),
        empty,
        is_recording: false,
        data: Extents::default(),
        faults: Vec::new(),
        since_faults: 0,
        pace: Pace::default(),
        dice: Dice::new(0, 0),
    }));
    let (held, late) = channel();
    let server = Server {
        disk,
        disk_bytes,
        held,
    };
    let behind = server.clone();
    std::thread::spawn(move || late.into_iter().for_each(|held| behind.write_late(held)));
    let mut config = Config::default();
    config.mount_options = vec![MountOption::FSName("millrace-power-cut".to_owned())];
    config.n_threads = Some(THREADS);
    let session = fuser::spawn_mount(server.clone(), place, &config);
    let session = session.map_err(|error| format!("mount {}: {error}", place.display()))?;
    // Its end would unmount, and loop devices have files open.
    std::thread::spawn(move || session.join());
    Ok(server)
}

impl Disk {
    fn obey(&mut self, order: Order) -> Result<String, String> {
        match order {
            Order::SetEmpty => self.empty = self.content.clone(),
            Order::Reset => self.replace(self.empty.clone()),
            Order::Record => self.record(),
            Order::Keep => {
                self.is_recording = false;
                self.kept = std::mem::replace(&mut self.now, Recording::new(self.empty.clone()));
            }
            Order::Pace(pace, seed) => {
                self.pace = pace;
                self.dice = Dice::new(seed, 31);
            }
            Order::Count => return Ok(self.kept.count().to_string()),
            Order::Data(data) => self.data = data,
            Order::Fault(fault) => {
                self.since_faults = 0;
                self.faults.push(fault);
            }
            Order::Cut { events, seed } => {
                let (content, tally) =
                    self.kept
                        .image(events.min(self.kept.count()), seed, &self.data);
                self.replace(content);
                self.record();
                return Ok(tally_line(&tally));
            }
            Order::CutAgain { events, seed } => {
                let (content, tally) =
                    self.now
                        .image(events.min(self.now.count()), seed, &self.data);
                self.replace(content);
                self.record();
                return Ok(tally_line(&tally));
            }
            Order::Save(path) => {
                let saved = file::save(&self.kept, &self.data, &path);
                saved.map_err(|error| format!("{error:#}"))?;
            }
            Order::Load(path) => {
                let loaded = file::load(&path).map_err(|error| format!("{error:#}"))?;
                (self.kept, self.data) = loaded;
            }
        }
        Ok(String::new())
    }

    fn replace(&mut self, content: Blocks) {
        self.content = content;
        self.faults.clear();
        self.pace = Pace::default();
    }

    fn record(&mut self) {
        self.now = Recording::new(self.content.clone());
        self.is_recording = true;
    }

    fn write(&mut self, position: u64, bytes: Arc<[u8]>) {
        self.content.write(position, &bytes);
        self.add(Event::Write { position, bytes });
    }

    /// How long the next write waits, if others may pass it.
    fn next_hold(&mut self) -> Option<Duration> {
        let Pace {
            held_per_thousand,
            held_us_max,
            ..
        } = self.pace;
        let is_held = self.dice.chance(held_per_thousand, 1000);
        is_held.then(|| Duration::from_micros(self.dice.below(held_us_max + 1)))
    }

    fn add(&mut self, event: Event) {
        if self.is_recording {
            self.now.add(event);
        }
    }

    /// What goes wrong with the next write or flush.
    fn next_fault(&mut self) -> Option<Fault> {
        self.since_faults += 1;
        let due = |fault: &Fault| fault.after() < self.since_faults;
        let index = self.faults.iter().position(due)?;
        Some(self.faults.swap_remove(index))
    }
}

fn tally_line(tally: &xtask::images::cut::Tally) -> String {
    let xtask::images::cut::Tally {
        kept,
        lost,
        torn,
        noisy_blocks,
    } = tally;
    format!("{kept} {lost} {torn} {noisy_blocks}")
}

impl Server {
    fn lock(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The error that a write or flush is answered with, after a stall if one is due.
    fn fault(&self) -> Option<Errno> {
        let fault = self.lock().next_fault()?;
        match fault {
            Fault::Error { .. } => Some(Errno::EIO),
            Fault::Stall { ms, .. } => {
                std::thread::park_timeout(Duration::from_millis(ms));
                None
            }
        }
    }

    fn write_late(&self, held: Held) {
        std::thread::park_timeout(held.wait);
        let length = held.bytes.len() as u32;
        self.lock().write(held.position, held.bytes);
        held.reply.written(length);
    }

    /// Where the disk behind `node` lies.
    const fn base(&self, node: INodeNo) -> u64 {
        node.0.saturating_sub(FIRST_DISK) * self.disk_bytes
    }

    const fn attributes(&self, node: INodeNo) -> FileAttr {
        let (kind, size) = match node {
            INodeNo::ROOT => (FileType::Directory, 0),
            POSITION => (FileType::RegularFile, 8),
            _ => (FileType::RegularFile, self.disk_bytes),
        };
        FileAttr {
            ino: node,
            size,
            blocks: size / 512,
            atime: UNIX_EPOCH,
            mtime: UNIX_EPOCH,
            ctime: UNIX_EPOCH,
            crtime: UNIX_EPOCH,
            kind,
            perm: 0o700,
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            blksize: 4096,
            flags: 0,
        }
    }
}

impl Filesystem for Server {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> std::io::Result<()> {
        // Without it the loop device's writes come one by one, and none could pass another.
        config
            .add_capabilities(InitFlags::FUSE_ASYNC_DIO)
            .map_err(|_| std::io::Error::other("this kernel's FUSE has no asynchronous direct I/O"))
    }

    fn lookup(&self, _: &Request, _: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let disk = DISK_NAMES.iter().position(|known| name == *known);
        let node = match disk {
            Some(index) => INodeNo(FIRST_DISK + index as u64),
            None if name == POSITION_NAME => POSITION,
            None => return reply.error(Errno::ENOENT),
        };
        reply.entry(&TTL, &self.attributes(node), Generation(0));
    }

    fn getattr(&self, _: &Request, node: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        reply.attr(&TTL, &self.attributes(node));
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        // Nothing of it is kept in the page cache.
        let flags = FopenFlags::FOPEN_DIRECT_IO | FopenFlags::FOPEN_PARALLEL_DIRECT_WRITES;
        reply.opened(FileHandle(0), flags);
    }

    fn read(
        &self,
        _: &Request,
        node: INodeNo,
        _: FileHandle,
        position: u64,
        length: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        if node == POSITION {
            let count = self.lock().now.count() as u64;
            return reply.data(&count.to_le_bytes());
        }
        let left = self.disk_bytes.saturating_sub(position);
        let mut bytes = vec![0; u64::from(length).min(left) as usize];
        let disk = self.lock();
        disk.content.read(self.base(node) + position, &mut bytes);
        drop(disk);
        reply.data(&bytes);
    }

    fn write(
        &self,
        _: &Request,
        node: INodeNo,
        _: FileHandle,
        position: u64,
        bytes: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        if let Some(error) = self.fault() {
            return reply.error(error);
        }
        let position = self.base(node) + position;
        let length = bytes.len() as u32;
        let bytes = Arc::from(bytes);
        let mut disk = self.lock();
        let Some(wait) = disk.next_hold() else {
            disk.write(position, bytes);
            drop(disk);
            return reply.written(length);
        };
        drop(disk);
        let held = Held {
            position,
            bytes,
            wait,
            reply,
        };
        if let Err(back) = self.held.send(held) {
            self.write_late(back.0);
        }
    }

    fn fsync(&self, _: &Request, node: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        if let Some(error) = self.fault() {
            return reply.error(error);
        }
        let disk = self.lock();
        let covers = disk.now.count();
        let wait = Duration::from_micros(disk.pace.flush_us);
        drop(disk);
        if !wait.is_zero() {
            std::thread::park_timeout(wait);
        }
        let first = self.base(node);
        self.lock().add(Event::Flush {
            first,
            behind: first + self.disk_bytes,
            covers,
        });
        reply.ok();
    }
}
