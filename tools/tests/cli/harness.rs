//! A broker in this process, and runs of the binary.

use millrace_server::{Running, ServeConfig, start};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// A broker with a data directory of its own, gone when dropped.
pub(crate) struct Broker {
    running: Option<Running>,
    directory: PathBuf,
    address: String,
}

static DIRECTORIES: AtomicU32 = AtomicU32::new(0);

/// A path that nothing is at yet, in the folder of this build's tests.
pub(crate) fn new_path(name: &str) -> PathBuf {
    let number = DIRECTORIES.fetch_add(1, Ordering::Relaxed);
    let name = format!("cli-{name}-{}-{number}", std::process::id());
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

impl Broker {
    /// With two shards on one core.
    pub(crate) fn new() -> Self {
        let directory = new_path("broker");
        let settings = [
            ("millrace.journal.bytes", "16777216"),
            ("group.initial.rebalance.delay.ms", "0"),
        ];
        let running = start(&ServeConfig {
            data_dir: directory.clone(),
            listen: "127.0.0.1:0".to_owned(),
            cores: Some(vec![0; 2]),
            memory_bytes: 2 * (64 << 20),
            settings: settings
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .to_vec(),
            ..ServeConfig::default()
        })
        .unwrap();
        let address = running.addresses()[0].to_string();
        Self {
            running: Some(running),
            directory,
            address,
        }
    }

    /// Runs `millrace` with these words and this broker.
    pub(crate) fn run(&self, words: &str) -> Ended {
        self.run_with(words, "")
    }

    /// The same with standard input.
    pub(crate) fn run_with(&self, words: &str, input: &str) -> Ended {
        let words = format!("{words} --bootstrap {}", self.address);
        millrace(&words, input)
    }
}

impl Broker {
    /// Starts `millrace` with these words and this broker, and leaves it running.
    pub(crate) fn spawn(&self, words: &str) -> RunningCommand {
        let mut child = Command::new(env!("CARGO_BIN_EXE_millrace"))
            .args(words.split_whitespace())
            .args(["--bootstrap", &self.address])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let notes = BufReader::new(child.stderr.take().unwrap());
        RunningCommand { child, notes }
    }
}

/// A command that runs until it is told to end.
pub(crate) struct RunningCommand {
    child: Child,
    notes: BufReader<ChildStderr>,
}

impl RunningCommand {
    /// The next line it says on standard error; waits for it.
    pub(crate) fn note(&mut self) -> String {
        let mut line = String::new();
        self.notes.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Presses ctrl-C; what it had printed, once it has ended.
    #[track_caller]
    pub(crate) fn interrupt(self) -> String {
        // The shell's own: a minimal system has no program of this name.
        let command = format!("kill -INT {}", self.child.id());
        let told = Command::new("sh").args(["-c", &command]).status();
        assert!(told.unwrap().success());
        let output = self.child.wait_with_output().unwrap();
        assert!(output.status.success(), "{:?}", output.status);
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop();
            let ended = running.join();
            if !std::thread::panicking() {
                ended.unwrap();
            }
        }
        drop(std::fs::remove_dir_all(&self.directory));
    }
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) is_success: bool,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// What it printed, if it succeeded.
    #[track_caller]
    pub(crate) fn output(self) -> String {
        assert!(self.is_success, "{self:?}");
        self.stdout
    }

    /// What it said, if it failed with a sentence.
    #[track_caller]
    pub(crate) fn error(self) -> String {
        assert!(!self.is_success, "{self:?}");
        assert!(self.stderr.starts_with("millrace: "), "{self:?}");
        self.stderr
    }
}

/// Runs the binary with these words.
pub(crate) fn millrace(words: &str, input: &str) -> Ended {
    let mut child = Command::new(env!("CARGO_BIN_EXE_millrace"))
        .args(words.split_whitespace())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A command that reads no input may have ended by now.
    drop(stdin.write_all(input.as_bytes()));
    drop(stdin);
    let Output {
        status,
        stdout,
        stderr,
    } = child.wait_with_output().unwrap();
    Ended {
        is_success: status.success(),
        stdout: String::from_utf8(stdout).unwrap(),
        stderr: String::from_utf8(stderr).unwrap(),
    }
}
