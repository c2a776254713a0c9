//! Where suites are installed: `$XDG_CACHE_HOME/millrace-interop`, each in a folder of its own.
//!
//! An installation that succeeded leaves a mark and is not done again while its steps are the same;
//! remove the folder to install anew. What the machine lacks is said before anything is tried.

use super::super::process;
use anyhow::{Context, Result, bail};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const STEP_LIMIT: Duration = Duration::from_secs(1200);

/// The folder of one suite or peer.
#[derive(Clone, Debug)]
pub(super) struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// Opens the folder, and makes it when it is not there.
    pub(super) fn open(name: &str) -> Result<Self> {
        let home = env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
        let base = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or(home);
        let base = base.context("neither XDG_CACHE_HOME nor HOME is set; set one of them")?;
        let folder = base.join("millrace-interop").join(name);
        fs::create_dir_all(&folder).with_context(|| format!("folder {}", folder.display()))?;
        Ok(Self { folder })
    }

    /// A path in it.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Writes a program of ours into it, which needs no installation.
    pub(super) fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.path(name);
        fs::write(&path, text).with_context(|| format!("file {}", path.display()))
    }

    /// Writes a file that its installation reads; one that is new undoes the installation.
    pub(super) fn write_source(&self, name: &str, text: &str) -> Result<()> {
        let before = fs::read_to_string(self.path(name));
        let done = self.path("installed");
        if before.is_ok_and(|before| before == text) {
            return Ok(());
        }
        if done.exists() {
            fs::remove_file(done)?;
        }
        self.write(name, text)
    }

    /// Runs the steps of an installation, each in a folder below the cache, unless exactly these
    /// have succeeded before.
    pub(super) fn install(&self, steps: &[(&str, &[&str])]) -> Result<()> {
        let done = self.path("installed");
        let text: Vec<String> = steps.iter().map(|(_, step)| step.join(" ")).collect();
        let text = text.join("\n");
        if fs::read_to_string(&done).is_ok_and(|before| before == text) {
            return Ok(());
        }
        if done.exists() {
            fs::remove_file(&done)?;
        }
        for (index, (folder, step)) in steps.iter().enumerate() {
            println!("installing: {}", step.join(" "));
            let [program, args @ ..] = step else {
                bail!("an installation step without a command");
            };
            let mut command = Command::new(program);
            command.args(args).current_dir(self.path(folder));
            // Not `.log`: a configure script may look for files called like its own modules.
            let log = self.path(&format!("step-{index}"));
            process::run(&mut command, &log, STEP_LIMIT)
                .with_context(|| format!("see {}.out", log.display()))?;
        }
        fs::write(&done, text).context("the mark of an installation")
    }
}

/// Fails when a program is not there; names the package of Debian that has it.
pub(super) fn require(programs: &[(&str, &str)]) -> Result<()> {
    for (program, package) in programs {
        if !is_on_path(program) {
            bail!("`{program}` is not on PATH; install the package {package} and run again");
        }
    }
    Ok(())
}

fn is_on_path(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| is_file(&folder.join(program)))
}

fn is_file(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lacking_is_named_with_its_package() {
        require(&[("sh", "dash")]).unwrap();
        let error = require(&[("sh", "dash"), ("no-such-program", "a-package")]).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("no-such-program") && text.contains("a-package"),
            "{text}"
        );
    }
}
