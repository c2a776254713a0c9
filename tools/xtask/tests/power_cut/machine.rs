//! A machine whose disks record: a loop device over each file of the disks' process, and a file
//! system on each of those. The second disk is for journals, where a seed wants them apart.
//!
//! It lives in a mount namespace of its own (`disk` says why), and loop devices are told to go with
//! their last user: whatever ends this process, nothing stays mounted or attached.

use crate::disk::{DISK_NAMES, FUSE_NAME, ORDERS_NAME, POSITION_NAME, mount_name};
use crate::order::Order;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use xtask::images::cut::{Extents, Tally};

/// Times that an unmount is tried: the kernel takes rings apart after their process went on.
const UNMOUNT_TRIES: u32 = 2000;
const UNMOUNT_PAUSE: Duration = Duration::from_millis(5);

/// A file system to test on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileSystem {
    Ext4,
    Xfs,
}

impl FileSystem {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ext4 => "ext4",
            Self::Xfs => "xfs",
        }
    }

    /// Bytes of a disk: little, but what its mkfs wants.
    pub(crate) const fn disk_bytes(self) -> u64 {
        match self {
            Self::Ext4 => 128 << 20,
            Self::Xfs => 320 << 20,
        }
    }

    fn make(self, device: &str) -> Result<(), String> {
        let words = match self {
            Self::Ext4 => {
                "mkfs.ext4 -q -F -b 4096 -N 1024 -J size=4 -E nodiscard,lazy_itable_init=0 -O \
                 ^resize_inode"
            }
            Self::Xfs => "mkfs.xfs -q -f -K",
        };
        run(words, &[device]).map(drop)
    }
}

/// A running one.
#[derive(Debug)]
pub(crate) struct Machine {
    folder: PathBuf,
    orders: BufReader<UnixStream>,
    position: File,
    devices: Vec<Device>,
    file_system: FileSystem,
    /// How many are mounted, the first ones.
    mounted: usize,
}

/// A loop device over a disk.
#[derive(Debug)]
struct Device {
    name: String,
    /// Keeps the device, which is told to go with its last user.
    _held: File,
}

impl Device {
    fn attach(file: &Path) -> Result<Self, String> {
        let name = attach(file)?;
        let held = File::open(&name).map_err(|error| format!("{name}: {error}"))?;
        // In use, it is only marked to go with its last user.
        run("losetup --detach", &[&name])?;
        Ok(Self { name, _held: held })
    }
}

/// Says how far the recording is; usable from any thread.
#[derive(Debug)]
pub(crate) struct Clock(File);

impl Clock {
    /// Events so far: whatever is durable now was flushed by one of them.
    pub(crate) fn events(&self) -> Result<u64, String> {
        let mut count = [0; 8];
        let read = self.0.read_exact_at(&mut count, 0);
        read.map_err(|error| format!("read {POSITION_NAME}: {error}"))?;
        Ok(u64::from_le_bytes(count))
    }
}

impl Machine {
    /// Makes the devices over the disks below `folder`, and an empty file system on each.
    pub(crate) fn start(folder: &Path, file_system: FileSystem) -> Result<Self, String> {
        let socket = folder.join(ORDERS_NAME);
        let orders = UnixStream::connect(&socket);
        let orders = orders.map_err(|error| format!("{}: {error}", socket.display()))?;
        let mut machine = Self {
            folder: folder.to_owned(),
            orders: BufReader::new(orders),
            position: open_position(folder)?,
            devices: Vec::new(),
            file_system,
            mounted: 0,
        };
        for name in DISK_NAMES {
            let device = Device::attach(&machine.folder.join(FUSE_NAME).join(name))?;
            file_system.make(&device.name)?;
            machine.devices.push(device);
        }
        machine.order(&Order::SetEmpty)?;
        Ok(machine)
    }

    /// Where the file system of a disk is mounted.
    pub(crate) fn mount_point(&self, disk: usize) -> PathBuf {
        self.folder.join(mount_name(disk))
    }

    pub(crate) fn clock(&self) -> Result<Clock, String> {
        let file = self.position.try_clone();
        file.map(Clock).map_err(|error| error.to_string())
    }

    pub(crate) fn order(&mut self, order: &Order) -> Result<String, String> {
        let line = format!("{}\n", order.write());
        let sent = self.orders.get_mut().write_all(line.as_bytes());
        sent.map_err(|error| format!("the disk is gone: {error}"))?;
        let mut answer = String::new();
        let read = self.orders.read_line(&mut answer);
        read.map_err(|error| format!("the disk is silent: {error}"))?;
        let answer = answer.trim_end();
        match answer.split_once(' ').unwrap_or((answer, "")) {
            ("ok", rest) => Ok(rest.to_owned()),
            _ => Err(format!("the disk said `{answer}`")),
        }
    }

    /// Becomes what a power cut leaves.
    pub(crate) fn cut(&mut self, order: &Order) -> Result<Tally, String> {
        let answer = self.order(order)?;
        let numbers: Vec<u64> = answer.split(' ').flat_map(str::parse).collect();
        let &[kept, lost, torn, noisy_blocks] = &numbers[..] else {
            return Err(format!("the disk said `{answer}` about a cut"));
        };
        Ok(Tally {
            kept,
            lost,
            torn,
            noisy_blocks,
        })
    }

    /// Mounts the first `disks` of them.
    pub(crate) fn mount(&mut self, disks: usize) -> Result<(), String> {
        let kind = format!("mount -t {} -o noatime", self.file_system.name());
        while self.mounted < disks {
            let place = self.mount_point(self.mounted);
            let device = &self.devices[self.mounted].name;
            run(&kind, &[device, &place.to_string_lossy()])?;
            self.mounted += 1;
        }
        Ok(())
    }

    /// Unmounts all that are mounted.
    pub(crate) fn unmount(&mut self) -> Result<(), String> {
        while self.mounted > 0 {
            self.mounted -= 1;
            unmount(&self.mount_point(self.mounted))?;
        }
        Ok(())
    }

    /// Which blocks of the disks hold data of files.
    pub(crate) fn data(&self) -> Result<Extents, String> {
        let mut stretches = Vec::new();
        for disk in 0..self.mounted {
            let folder = self.mount_point(disk);
            let mut files = Vec::new();
            list(&folder, &mut files).map_err(|error| format!("{}: {error}", folder.display()))?;
            let names: Vec<_> = files.iter().map(|path| path.to_string_lossy()).collect();
            let names: Vec<&str> = names.iter().map(|name| &**name).collect();
            let said = run("filefrag -e -b4096", &names)?;
            let base = self.file_system.disk_bytes() / 4096 * disk as u64;
            let extents = said.lines().filter_map(read_extent);
            stretches.extend(extents.map(|(first, behind)| (base + first, base + behind)));
        }
        Ok(Extents::new(stretches))
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if let Err(problem) = self.unmount() {
            eprintln!("{}: {problem}", self.folder.display());
        }
        self.devices.clear();
        // The disks' process takes away what is left, unless it was killed.
        if self.order(&Order::Count).is_err()
            && let Err(problem) = clear(&self.folder)
        {
            eprintln!("{problem}");
        }
    }
}

/// Takes a machine's folder away. A loop device may hold a file of it still.
pub(crate) fn clear(folder: &Path) -> Result<(), String> {
    run(
        "umount --lazy",
        &[&folder.join(FUSE_NAME).to_string_lossy()],
    )?;
    fs::remove_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))
}

fn unmount(place: &Path) -> Result<(), String> {
    let mut result = Ok(String::new());
    for _ in 0..UNMOUNT_TRIES {
        result = run("umount", &[&place.to_string_lossy()]);
        match &result {
            Err(problem) if problem.contains("busy") => std::thread::park_timeout(UNMOUNT_PAUSE),
            Ok(_) | Err(_) => break,
        }
    }
    result.map(drop)
}

fn open_position(folder: &Path) -> Result<File, String> {
    let path = folder.join(FUSE_NAME).join(POSITION_NAME);
    File::open(&path).map_err(|error| format!("{}: {error}", path.display()))
}

/// A free loop device over `file`, without a page cache of its own.
fn attach(file: &Path) -> Result<String, String> {
    let file = file.to_string_lossy();
    // Another process may take the free one first.
    let mut result = Ok(String::new());
    for _ in 0..10 {
        result = run("losetup --find --show --direct-io=on", &[&file]);
        if result.is_ok() {
            break;
        }
    }
    result.map(|name| name.trim().to_owned())
}

/// Runs a program; `words` are its name and first arguments. What it printed.
pub(crate) fn run(words: &str, arguments: &[&str]) -> Result<String, String> {
    let mut parts = words.split_whitespace();
    let program = parts.next().unwrap_or_default();
    let output = Command::new(program)
        .args(parts)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{program}: {error}"))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(format!(
            "{program}: {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        )),
    }
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for child in fs::read_dir(folder)? {
        let child = child?;
        match child.file_type()?.is_dir() {
            true => list(&child.path(), files)?,
            false => files.push(child.path()),
        }
    }
    Ok(())
}

/// Reads ` 0:  0..  7:  34816..  34823:  8:  last,eof`: the second range.
fn read_extent(line: &str) -> Option<(u64, u64)> {
    let mut parts = line.split(':').map(str::trim);
    parts.next()?.parse::<u64>().ok()?;
    let (first, last) = parts.nth(1)?.split_once("..")?;
    let first = first.trim().parse().ok()?;
    let last: u64 = last.trim().parse().ok()?;
    Some((first, last + 1))
}
