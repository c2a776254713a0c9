//! Child processes that end: each has a time limit, and is killed by its own id when dropped.

use anyhow::{Context, Result, bail};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// A running child whose output goes to files.
#[derive(Debug)]
pub struct Process {
    child: Child,
    name: String,
    output: PathBuf,
    errors: PathBuf,
}

impl Process {
    /// Starts a command; its output goes to `<base>.out` and `<base>.err`.
    ///
    /// # Errors
    /// The command or the files cannot be had.
    pub fn start(command: &mut Command, base: &Path, stdin: Stdio) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let (output, errors) = (base.with_extension("out"), base.with_extension("err"));
        let child = command
            .stdin(stdin)
            .stdout(File::create(&output)?)
            .stderr(File::create(&errors)?)
            .spawn()
            .with_context(|| format!("{name} cannot be started; is it installed?"))?;
        Ok(Self {
            child,
            name,
            output,
            errors,
        })
    }

    /// The writing end of its standard input, if it was piped.
    ///
    /// # Errors
    /// It was not, or was taken.
    pub fn take_stdin(&mut self) -> Result<std::process::ChildStdin> {
        self.child
            .stdin
            .take()
            .context("standard input is not piped")
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its status, if it ended.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn try_wait(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Waits for success and gives back what it printed.
    ///
    /// # Errors
    /// It fails, or does not end in time.
    pub fn finish(mut self, limit: Duration) -> Result<Vec<u8>> {
        let status = self.wait(limit)?;
        if !status.success() {
            bail!("{} ended with {status}: {}", self.name, self.last_errors());
        }
        std::fs::read(&self.output).context("reading what it printed")
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// It does not come in time.
    pub fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        let start = Instant::now();
        while start.elapsed() < limit {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            thread::sleep(LOOK_INTERVAL);
        }
        bail!(
            "{} did not end within {limit:?}: {}",
            self.name,
            self.last_errors()
        )
    }

    /// Asks for a clean end.
    ///
    /// # Errors
    /// It cannot be asked.
    pub fn terminate(&self) -> Result<()> {
        let sent = Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status()?;
        if !sent.success() {
            bail!("{} cannot be signalled", self.name);
        }
        Ok(())
    }

    /// Ends it at once, as a power cut would, and waits until it is gone.
    pub fn kill(&mut self) {
        // It may have ended by itself, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// The end of its standard error.
    #[must_use]
    pub fn last_errors(&self) -> String {
        let mut bytes = Vec::new();
        if let Ok(mut file) = File::open(&self.errors) {
            // What can be read is shown; an unreadable log is an empty one.
            let _ = file.read_to_end(&mut bytes);
        }
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(8)..].join(" | ")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Runs a command to its end.
///
/// # Errors
/// As [`Process::start`] and [`Process::finish`].
pub fn run(command: &mut Command, base: &Path, limit: Duration) -> Result<Vec<u8>> {
    Process::start(command, base, Stdio::null())?.finish(limit)
}
