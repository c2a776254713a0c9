//! Runs stations side by side, each with its disks in a mount namespace and a process group of its
//! own, hands out seeds and adds up what they found. A station that falls silent is ended and is a
//! violation; one whose supervisor is gone ends by itself.

use crate::line::{Line, Sum, Task};
use crate::machine::{FileSystem, run};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

const STATIONS: usize = 2;
/// Images of one recording.
const IMAGES_PER_SEED: u64 = 75;
/// A station that says nothing for so long is ended.
const SILENCE_MAX: Duration = Duration::from_secs(120);
/// From so many images on, a run must have gone through everything.
const IMAGES_FOR_MARKS: u64 = 300;

/// What was asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) images: u64,
    pub(crate) from: u64,
    pub(crate) file_system: FileSystem,
    /// This image alone, of the recording that was kept.
    pub(crate) image: Option<u64>,
    pub(crate) bug: u64,
}

/// Why the machine cannot do it, if it cannot.
pub(crate) fn obstacle(file_system: FileSystem) -> Option<String> {
    for device in ["/dev/fuse", "/dev/loop-control"] {
        let opened = OpenOptions::new().read(true).write(true).open(device);
        if let Err(error) = opened.map(drop::<File>) {
            return Some(format!("{device}: {error}"));
        }
    }
    let mkfs = format!("mkfs.{} -V", file_system.name());
    let words = [
        "unshare --mount --propagation private true",
        "losetup --find",
        "filefrag -V",
        &mkfs,
    ];
    words.into_iter().find_map(|words| run(words, &[]).err())
}

/// Runs what was asked for, and prints the last line. Whether all was well.
pub(crate) fn supervise(asked: &Asked) -> bool {
    let tasks = Mutex::new(tasks(asked));
    let total = Mutex::new(Sum::default());
    std::thread::scope(|scope| {
        for _ in 0..STATIONS {
            scope.spawn(|| tend(asked, &tasks, &total));
        }
    });
    let total = total.into_inner().unwrap_or_default();
    let mut is_good = total.lost + total.others == 0;
    for (name, count) in total.marks() {
        println!("   {count} {name}");
        if count == 0 && total.images >= IMAGES_FOR_MARKS {
            println!("   the run has none of them and proves nothing");
            is_good = false;
        }
    }
    println!(
        "power-cut: {} images on {}, {} acknowledged batches checked, {} lost, {} other violations",
        total.images,
        asked.file_system.name(),
        total.checked,
        total.lost,
        total.others
    );
    is_good
}

/// What there is to do, the last first.
fn tasks(asked: &Asked) -> Vec<Task> {
    if let Some(image) = asked.image {
        let seed = asked.from;
        return vec![Task::Replay { seed, image }];
    }
    let count = asked.images.div_ceil(IMAGES_PER_SEED);
    let task = |nth| Task::Seed {
        seed: asked.from + nth,
        images: IMAGES_PER_SEED.min(asked.images - nth * IMAGES_PER_SEED),
    };
    (0..count).rev().map(task).collect()
}

/// One station after another until there is nothing left to do.
fn tend(asked: &Asked, tasks: &Mutex<Vec<Task>>, total: &Mutex<Sum>) {
    let next = || tasks.lock().ok()?.pop();
    let mut station: Option<Station> = None;
    while let Some(task) = next() {
        let result = match station.take() {
            Some(running) => Ok(running),
            None => Station::start(asked),
        };
        let result = result.and_then(|mut running| Ok((running.work(task)?, running)));
        let sum = match result {
            Ok((sum, running)) => {
                station = Some(running);
                sum
            }
            Err(problem) => {
                eprintln!("seed {}: {problem}", task.seed());
                Sum {
                    others: 1,
                    ..Sum::default()
                }
            }
        };
        if let Ok(mut total) = total.lock() {
            total.add(&sum);
            // A planted bug was noticed, or many images fail for one reason.
            if asked.bug != 0 && total.lost + total.others > 0 {
                tasks.lock().map(|mut tasks| tasks.clear()).unwrap_or(());
            }
        }
    }
}

struct Station {
    child: Child,
    tasks: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Station {
    fn start(asked: &Asked) -> Result<Self, String> {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let mut child = Command::new("unshare")
            .args(["--mount", "--propagation", "private"])
            .arg(program)
            .args(["--disks", asked.file_system.name()])
            .args(["--bug", &asked.bug.to_string()])
            // An interrupt from the keyboard is for the supervisor; the station cleans up.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("start a station: {error}"))?;
        let tasks = child.stdin.take();
        let output = child.stdout.take().ok_or("the station has no output")?;
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let mut station = Self {
            child,
            tasks,
            lines,
        };
        match station.line()? {
            Line::Ready => Ok(station),
            line => Err(format!("the station began with {line}")),
        }
    }

    fn line(&mut self) -> Result<Line, String> {
        match self.lines.recv_timeout(SILENCE_MAX) {
            Ok(line) => Ok(Line::read(&line)),
            Err(RecvTimeoutError::Timeout) => Err("the station fell silent".to_owned()),
            Err(RecvTimeoutError::Disconnected) => match self.child.wait() {
                Ok(status) => Err(format!("the station ended: {status}")),
                Err(error) => Err(format!("the station is gone: {error}")),
            },
        }
    }

    fn work(&mut self, task: Task) -> Result<Sum, String> {
        let tasks = self.tasks.as_mut().ok_or("the station takes no tasks")?;
        let sent = writeln!(tasks, "{task}");
        sent.map_err(|error| format!("the station is gone: {error}"))?;
        loop {
            match self.line()? {
                Line::Ready | Line::Image => {}
                Line::Problem(text) => eprintln!("{text}"),
                Line::Done(sum) => return Ok(sum),
            }
        }
    }
}

impl Drop for Station {
    fn drop(&mut self) {
        // Without tasks it ends; one that hangs is ended. What it mounted goes with it.
        drop(self.tasks.take());
        if self.lines.recv_timeout(SILENCE_MAX) == Err(RecvTimeoutError::Timeout) {
            // The group is the station, its disks and what they started.
            let group = format!("-{}", self.child.id());
            if let Err(problem) = run("kill -KILL --", &[&group]) {
                eprintln!("{problem}");
            }
        }
        drop(self.child.wait());
    }
}
