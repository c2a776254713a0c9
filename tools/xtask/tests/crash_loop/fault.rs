//! What is done to the broker, and what of the machine that takes: signals, control groups, a small
//! disk.

use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A way for a broker to come to harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// kill -9.
    Kill,
    /// SIGSTOP for a while, then SIGCONT or kill -9.
    Stop,
    /// The kernel's OOM killer, in a control group of the broker's own.
    Oom,
    /// Its file system is filled; kill -9; start; space comes back.
    FullDisk,
    /// Its disk takes a few hundred KB a second; kill -9.
    SlowDisk,
}

impl Fault {
    pub(crate) const ALL: [Self; 5] = [
        Self::Kill,
        Self::Stop,
        Self::Oom,
        Self::FullDisk,
        Self::SlowDisk,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Stop => "stop",
            Self::Oom => "oom",
            Self::FullDisk => "full-disk",
            Self::SlowDisk => "slow-disk",
        }
    }

    /// Whether it wants a disk of its own.
    pub(crate) const fn wants_small_disk(self) -> bool {
        matches!(self, Self::FullDisk | Self::SlowDisk)
    }

    /// Why this machine cannot do it, if it cannot.
    pub(crate) fn obstacle(self, folder: &Path) -> Option<String> {
        let result = match self {
            Self::Kill | Self::Stop => Ok(()),
            Self::Oom => Group::make("memory").map(drop),
            Self::FullDisk => SmallDisk::make(folder).map(drop),
            Self::SlowDisk => Group::make("blkio").and_then(|_| SmallDisk::make(folder).map(drop)),
        };
        result.err().map(|error| format!("{error:#}"))
    }
}

/// A control group (version 1) of one controller; removed when dropped.
#[derive(Debug)]
pub(crate) struct Group(PathBuf);

impl Group {
    pub(crate) fn make(controller: &str) -> Result<Self> {
        let name = format!("millrace-crash-loop-{}", std::process::id());
        let root = Path::new("/sys/fs/cgroup").join(controller);
        let procs = root.join("cgroup.procs");
        ensure!(procs.exists(), "no version 1 controller `{controller}`");
        let folder = root.join(name);
        if !folder.exists() {
            fs::create_dir(&folder).with_context(|| folder.display().to_string())?;
        }
        Ok(Self(folder))
    }

    pub(crate) fn add(&self, process: u32) -> Result<()> {
        self.set("cgroup.procs", &process.to_string())
    }

    pub(crate) fn set(&self, name: &str, value: &str) -> Result<()> {
        let file = self.0.join(name);
        fs::write(&file, value).with_context(|| format!("write {value} to {}", file.display()))
    }

    pub(crate) fn number(&self, name: &str) -> Result<u64> {
        let file = self.0.join(name);
        let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        text.trim()
            .parse()
            .with_context(|| file.display().to_string())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir(&self.0) {
            eprintln!("{}: {error}", self.0.display());
        }
    }
}

/// A process that takes memory until its group has none left.
#[derive(Debug)]
pub(crate) struct Hog(Child);

impl Hog {
    pub(crate) fn start(group: &Group) -> Result<Self> {
        let child = Command::new("tail")
            .arg("/dev/zero")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("tail")?;
        let hog = Self(child);
        group.add(hog.0.id())?;
        Ok(hog)
    }
}

impl Drop for Hog {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A file system on a loop device over a file; goes with the mount namespace at the latest.
#[derive(Debug)]
pub(crate) struct SmallDisk {
    file: PathBuf,
    place: PathBuf,
}

impl SmallDisk {
    const BYTES: u64 = 640 << 20;

    pub(crate) fn make(folder: &Path) -> Result<Self> {
        let disk = Self {
            file: folder.join("small-disk"),
            place: folder.join("small-disk-mount"),
        };
        fs::create_dir_all(&disk.place)?;
        fs::File::create(&disk.file)?.set_len(Self::BYTES)?;
        run("mkfs.ext4 -q -F", &[&disk.file])?;
        run("mount -o loop,noatime", &[&disk.file, &disk.place])?;
        Ok(disk)
    }

    pub(crate) fn place(&self) -> &Path {
        &self.place
    }

    /// Takes all but `left` bytes of the space.
    pub(crate) fn fill(&self, left: u64) -> Result<Filler> {
        let text = run("df --output=avail -B1", &[&self.place])?;
        let free: u64 = text.lines().nth(1).context("df")?.trim().parse()?;
        let filler = Filler(self.place.join("filler"));
        let length = free.saturating_sub(left).to_string();
        run("fallocate -l", &[Path::new(&length), &filler.0])?;
        Ok(filler)
    }

    /// `major:minor` of the device.
    pub(crate) fn device(&self) -> Result<String> {
        let number = run("findmnt --noheadings --output MAJ:MIN", &[&self.place])?;
        Ok(number.trim().to_owned())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // The kernel takes a ring apart after its process has ended.
        for _ in 0..1000 {
            match run("umount", &[&self.place]) {
                Err(error) if error.to_string().contains("busy") => {
                    std::thread::park_timeout(std::time::Duration::from_millis(10));
                }
                Err(error) => {
                    eprintln!("{error}");
                    break;
                }
                Ok(_) => break,
            }
        }
        drop(fs::remove_file(&self.file));
    }
}

/// A file that takes space until it is dropped.
#[derive(Debug)]
pub(crate) struct Filler(PathBuf);

impl Drop for Filler {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0) {
            eprintln!("{}: {error}", self.0.display());
        }
    }
}

/// Sends a signal to a process that this one started.
pub(crate) fn signal(name: &str, process: u32) -> Result<()> {
    let number = process.to_string();
    run(&format!("kill -{name}"), &[Path::new(&number)]).map(drop)
}

fn run(words: &str, arguments: &[&Path]) -> Result<String> {
    let mut parts = words.split(' ');
    let program = parts.next().unwrap_or_default();
    let output = Command::new(program)
        .args(parts)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .with_context(|| program.to_owned())?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{program}: {}", said.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
